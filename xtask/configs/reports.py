"""Runs the SQL of reports, dashboards and alerts in ClickHouse's own engine, on a filtered log.

    reports.py CHECKOUT KEPT.jsonl EXAMPLES.jsonl

Each report must give what a direct count gives, and each dashboard what its report gives, for several choices of the
dashboard's variables; each alert fires with what a direct count finds. Each alert also fires on the filtered log of
examples.py, at the end of each case that it is about, and there the collectors' own alerts take the same events. Needs
`chdb-core` and PyYAML.
"""

import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path

import yaml
from chdb.session import Session

import alerts
import examples
from direct_count import REPORTS, alert, chosen

# Enough for the whole of the log, and less than all of it.
EVER = {"from": "2026-01-01 00:00:00", "to": "2027-01-01 00:00:00"}


def statements(sql):
    """The statements of a file with the comment line right above each, which is its title in a report."""
    for statement in sql.split(";\n"):
        lines = statement.strip().splitlines()
        code = [line for line in lines if not line.startswith("--")]
        if code:
            comments = [line for line in lines if line.startswith("-- ")]
            yield (comments[-1].removeprefix("-- ") if comments else ""), "\n".join(code)


def rows(session, sql, parameters):
    answer = str(session.query(sql, "JSONCompactEachRow", params=parameters))
    return [tuple(json.loads(line)) for line in answer.splitlines()]


def in_grafana(sql, parameters):
    """What Grafana makes of a dashboard's query: its macros and variables replaced."""
    sql = sql.replace("$__timeFilter(time)", f"time >= '{parameters['from']}' AND time <= '{parameters['to']}'")
    sql = sql.replace("$__timeInterval(time)", "toStartOfInterval(time, INTERVAL 3600 SECOND)")
    return re.sub(r"\$\{(\w+):sqlstring\}", lambda match: "'" + parameters[match[1]].replace("'", "''") + "'", sql)


def comparable(rows):
    """The same whatever the order; whole numbers are the same whether written as text or not."""
    plain = [tuple(int(v) if isinstance(v, bool) else v for v in row) for row in rows]
    return sorted(plain, key=repr)


def choices(events):
    """No variable, then each alone with a value that some events have and some have not, then one that none has."""
    nothing = dict.fromkeys(["namespace", "user", "resource", "code"], "")
    yield nothing
    for variable, value in [("namespace", "kube-system"), ("user", "279812345678901234-1735689600"), ("resource", "secrets"), ("code", "403")]:
        found = len(chosen(events, **{variable: value}))
        assert 0 < found < len(events), f"{variable}={value} chooses {found} of {len(events)} events: it shows nothing"
        yield nothing | {variable: value}
    yield nothing | {"namespace": "it's nowhere"}


def insert(session, table, lines, scratch):
    scratch.write_text("".join(lines))
    session.query(f"INSERT INTO {table} FROM INFILE '{scratch}' FORMAT JSONAsString")


def fires_until(session, rule, end):
    """The rows that make a rule of Grafana's fire when it is asked at a time."""
    query = rule["data"][0]
    begin = end - timedelta(seconds=query["relativeTimeRange"]["from"])
    window = {"from": f"{begin:%Y-%m-%d %H:%M:%S.%f}", "to": f"{end:%Y-%m-%d %H:%M:%S.%f}"}
    return rows(session, in_grafana(query["model"]["rawSql"].replace("$$", "$"), window), {})


def time_of(event):
    return datetime.fromisoformat(event["stageTimestamp"].removesuffix("Z"))


def addresses_counted_twice(checkout, session, events, rule):
    """ACK's second example is counted by the filter for one collector and by the backend for all: where there is one, both
    must find the same addresses."""
    correlation = alerts.correlations(checkout)[alerts.PUBLIC_ACCESS_FAILED]["id"]
    by_filter = {alert["group"]["audit.source_ip"]
                 for event in events for alert in event["audit"].get("alerts", []) if alert["rule"] == correlation}
    times = {time_of(event) for event in events if event["audit"].get("source_scope") == "public"}
    by_backend = {address for end in times for address, _ in fires_until(session, rule, end)}
    if not by_filter or by_filter != by_backend:
        yield f"alert {rule['title']}: the filter finds {by_filter}, ClickHouse {by_backend}"


def unnoticed(checkout, session, kept, alert_rules):
    """The examples of what an alert is about that it does not notice."""
    kept = {event["auditID"]: event for event in kept}
    ends = [event["auditID"] for event in examples.log(checkout) if event["auditID"].endswith("/last")]
    tried = set()
    for stem, documents in alerts.rules(checkout):
        rule, correlates, tag = documents[0], "correlation" in documents[0], alerts.tag_of(documents[0])
        titles = {alerts.name(tag)} if rule["level"] in alerts.GRAVE else set()
        if stem == alerts.PUBLIC_ACCESS_FAILED:
            titles.add("KubernetesAuditPublicAccessFailed")
        elif correlates:
            titles.add(alerts.name(stem))
        if tag in ("exec", "container-command"):
            titles.add("KubernetesAuditCommandInContainer")
        tried |= titles
        for end in ends if titles else []:
            if not end.startswith(f"{stem}/"):
                continue
            event = kept.get(end)
            if event is None:
                yield f"{end}: of plugin/rules/{stem}.events.yml: dropped by the policy of pipeline-configs/alerts"
                continue
            fired = {alert["rule"] for alert in event["audit"].get("alerts", [])}
            if not fired and event["audit"].get("route") != "alert" or correlates and rule["id"] not in fired:
                yield f"{end}: of plugin/rules/{stem}.events.yml: no alert of pipeline-configs/alerts/audit-filter.yaml"
            for title in sorted(titles):
                if not fires_until(session, alert_rules[title], time_of(event)):
                    yield f"{end}: of plugin/rules/{stem}.events.yml: {title} does not fire"
    yield from (f"alert {title}: there is no example of it" for title in sorted(alert_rules.keys() - tried))


def main(checkout, kept, examples_kept):
    events = [json.loads(line) for line in kept.read_text().splitlines()]
    session = Session()
    for _, statement in statements((checkout / "pipeline-configs/backends/clickhouse/schema.sql").read_text()):
        session.query(statement)
    # The log's day may be over for longer than the table keeps events.
    session.query("SYSTEM STOP TTL MERGES audit.events")
    # Half of them as Fluent Bit inserts, half as Vector does.
    for table, half in [("audit.events (record)", events[::2]), ("audit.ingest", events[1::2])]:
        insert(session, table, [json.dumps(event) + "\n" for event in half], kept.with_name("half.jsonl"))

    panels = {
        (board["uid"].split("-", 2)[2].removesuffix("-clickhouse"), panel["title"]): panel["targets"][0]["rawSql"]
        for path in sorted((checkout / "pipeline-configs/grafana/clickhouse").glob("*.json"))
        for board in [json.loads(path.read_text())]
        for panel in board["panels"]
    }
    compared, problems = 0, []
    seen = set()
    for variables in choices(events):
        wanted = chosen(events, **variables)
        for path in sorted((checkout / "pipeline-configs/backends/clickhouse/reports").glob("*.sql")):
            for title, sql in statements(path.read_text()):
                seen.add((path.stem, title))
                expected = comparable(REPORTS[path.stem][title](wanted))
                counted = comparable(rows(session, sql, EVER | variables))
                shown = comparable(rows(session, in_grafana(panels[path.stem, title], EVER | variables), {}))
                compared += 1
                for what, answer in [("the report", counted), ("the dashboard", shown)]:
                    if answer != expected:
                        difference = [row for row in answer if row not in expected], [row for row in expected if row not in answer]
                        problems.append(f"{path.stem}.sql: {title}: {variables}: {what} differs from a direct count: "
                                        f"only it has {difference[0][:3]}, only the count has {difference[1][:3]}")
    rules = yaml.safe_load((checkout / "pipeline-configs/alerts/grafana-clickhouse-rules.yaml").read_text())
    rules = {rule["title"]: rule for rule in rules["groups"][0]["rules"]}
    tags = {alerts.name(tag): tag for tag in alerts.high_tags(checkout)}
    correlations = {alerts.name(stem): rule["id"] for stem, rule in alerts.correlations(checkout).items()}
    firing = 0
    for title, rule in rules.items():
        sql = rule["data"][0]["model"]["rawSql"].replace("$$", "$")
        answer = comparable(rows(session, in_grafana(sql, EVER), {}))
        expected = comparable(alert(events, title, tags, correlations))
        compared, firing = compared + 1, firing + bool(expected)
        if answer != expected:
            problems.append(f"alert {title}: fires with {answer[:3]}, and a direct count finds {expected[:3]}")
    problems += addresses_counted_twice(checkout, session, events, rules["KubernetesAuditPublicAccessFailed"])
    session.query("TRUNCATE TABLE audit.events")
    lines = examples_kept.read_text().splitlines(keepends=True)
    insert(session, "audit.events (record)", lines, examples_kept)
    problems += unnoticed(checkout, session, map(json.loads, lines), rules)
    if not firing:
        problems.append("no alert fires on the log: it shows nothing")
    unseen = {(board, title) for board, titles in REPORTS.items() for title in titles} ^ seen
    problems += [f"{board}: {title}: not both counted and reported" for board, title in unseen]
    problems += [f"{board}: {title}: a panel without a report" for board, title in panels.keys() - seen]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{compared} comparisons of {len(seen)} reports and {len(rules)} alerts on {len(events)} events", file=sys.stderr)
    return 1 if problems or not compared else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))

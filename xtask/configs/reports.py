"""Runs the SQL of reports, dashboards and alerts in ClickHouse's own engine, on a filtered log.

    reports.py CHECKOUT KEPT.jsonl

Each report must give what a direct count gives, and each dashboard what its report gives, for several choices of the
dashboard's variables; each alert fires with what a direct count finds. Needs `chdb-core` and PyYAML.
"""

import json
import re
import sys
from pathlib import Path

import yaml
from chdb.session import Session

import alerts
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


def main(checkout, kept):
    events = [json.loads(line) for line in kept.read_text().splitlines()]
    session = Session()
    for _, statement in statements((checkout / "pipeline-configs/backends/clickhouse/schema.sql").read_text()):
        session.query(statement)
    # The log's day may be over for longer than the table keeps events.
    session.query("SYSTEM STOP TTL MERGES audit.events")
    # Half of them as Fluent Bit inserts, half as Vector does.
    for table, half in [("audit.events (record)", events[::2]), ("audit.ingest", events[1::2])]:
        lines = kept.with_name("half.jsonl")
        lines.write_text("".join(json.dumps(event) + "\n" for event in half))
        session.query(f"INSERT INTO {table} FROM INFILE '{lines}' FORMAT JSONAsString")

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
    tags = {alerts.name(tag): tag for tag in alerts.high_tags(checkout)}
    firing = 0
    for rule in rules["groups"][0]["rules"]:
        sql = rule["data"][0]["model"]["rawSql"].replace("$$", "$")
        answer, expected = comparable(rows(session, in_grafana(sql, EVER), {})), comparable(alert(events, rule["title"], tags))
        compared, firing = compared + 1, firing + bool(expected)
        if answer != expected:
            problems.append(f"alert {rule['title']}: fires with {answer[:3]}, and a direct count finds {expected[:3]}")
    if not firing:
        problems.append("no alert fires on the log: it shows nothing")
    unseen = {(board, title) for board, titles in REPORTS.items() for title in titles} ^ seen
    problems += [f"{board}: {title}: not both counted and reported" for board, title in unseen]
    problems += [f"{board}: {title}: a panel without a report" for board, title in panels.keys() - seen]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{compared} comparisons of {len(seen)} reports and {len(tags) + 2} alerts on {len(events)} events", file=sys.stderr)
    return 1 if problems or not compared else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

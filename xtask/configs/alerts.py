"""Makes the alert rules of pipeline-configs/alerts from the built-in rules: one for each tag of high severity, one for each
correlation, and ACK's two examples of alerts.

    alerts.py CHECKOUT           says which files are not what the rules make, and fails
    alerts.py CHECKOUT --write   writes them

Needs PyYAML.
"""

import json
import sys
from pathlib import Path

import yaml

from dashboards import HINT

MADE = (f"Made from plugin/rules by `{HINT}`: one alert for each tag of high severity and one for each\n"
        "# correlation, where the filter itself counts, and ACK's two examples. Rules of your own with those tags are in it.")
LOKI_TAGS = '| json audit_tags="audit.tags" | audit_tags=~`.*"({})".*`'
GRAVE = ("high", "critical")
# ACK's second example. The filter counts what one collector sees; this counts what all of them have sent.
PUBLIC_ACCESS_FAILED = "public-access-failed-burst"


def rules(checkout):
    """The documents of each file of built-in rules, by the file's name."""
    for path in sorted((checkout / "plugin/rules").glob("*.yml")):
        if not path.name.endswith(".events.yml"):
            yield path.stem, list(yaml.safe_load_all(path.read_text()))


def tag_of(rule):
    return next(tag.removeprefix("audit.") for tag in rule["tags"] if tag.startswith("audit."))


def high_tags(checkout):
    """The tags of built-in rules and correlations whose level is high or critical, each with the titles of those."""
    found = {}
    for _, documents in rules(checkout):
        for rule in documents:
            if rule.get("level") in GRAVE:
                found.setdefault(tag_of(rule), []).append(rule["title"])
    return dict(sorted(found.items()))


def correlations(checkout):
    """The built-in correlations, by the name of their file."""
    return {stem: documents[0] for stem, documents in rules(checkout) if "correlation" in documents[0]}


def name(tag):
    return "KubernetesAudit" + "".join(part.capitalize() for part in tag.split("-"))


def alerts(checkout):
    """Every alert: name, severity, summary, LogQL, SQL. Each query gives a row for each group with something in it."""
    yield (
        "KubernetesAuditCommandInContainer", "warning", "A command was executed in a container",
        'sum by (audit_operator, objectRef_namespace) (count_over_time({job="audit"} '
        + LOKI_TAGS.format("exec|container-command") + " [5m])) > 0",
        "SELECT operator, namespace, toFloat64(count()) AS events FROM audit.events\n"
        "WHERE $__timeFilter(time) AND hasAny(tags, ['exec', 'container-command']) GROUP BY operator, namespace",
        300,
    )
    documents = dict(rules(checkout))[PUBLIC_ACCESS_FAILED]
    correlation = documents[0]["correlation"]
    more, share, span = correlation["condition"]["gt"], correlation["x-share"]["gt"], correlation["timespan"]
    minutes = int(span.removesuffix("m"))
    probes = documents[1]["detection"]["filter_probe"]["requestURI|re"]
    public = (f'| json audit_source_scope="audit.source_scope", requestURI="requestURI" | audit_source_scope="public" '
              f"| requestURI!~`{probes}.*` [{span}]")
    yield (
        "KubernetesAuditPublicAccessFailed", "warning",
        f"More than {more} requests from a public address within {minutes} minutes, and most of them failed",
        f'sum by (audit_source_ip) (count_over_time({{job="audit", audit_outcome="failure"}} {public}))\n'
        f'/ (sum by (audit_source_ip) (count_over_time({{job="audit"}} {public})) > {more})\n'
        f"> {share}",
        # A request is logged at several stages.
        "SELECT source_ip, toFloat64(uniqExact(audit_id)) AS requests FROM audit.events\n"
        f"WHERE $__timeFilter(time) AND source_scope = 'public' AND NOT match(request_uri, '{probes}') GROUP BY source_ip\n"
        f"HAVING requests > {more} AND uniqExactIf(audit_id, outcome = 'failure') / requests > {share}",
        minutes * 60,
    )
    for tag, titles in high_tags(checkout).items():
        yield (
            name(tag), "critical", " / ".join(titles),
            'sum by (audit_operator, objectRef_namespace) (count_over_time({job="audit", audit_severity=~"high|critical"} '
            + LOKI_TAGS.format(tag) + " [5m])) > 0",
            "SELECT operator, namespace, toFloat64(count()) AS events FROM audit.events\n"
            f"WHERE $__timeFilter(time) AND has(tags, '{tag}') AND severity IN ('high', 'critical') GROUP BY operator, namespace",
            300,
        )

    for stem, correlation in correlations(checkout).items():
        if stem == PUBLIC_ACCESS_FAILED:
            continue
        rule = correlation["id"]
        yield (
            name(stem), "critical" if correlation["level"] in GRAVE else "warning", correlation["title"],
            'sum by (audit_operator, audit_source_ip) (count_over_time({job="audit"} '
            f'| json audit_alerts="audit.alerts" | audit_alerts=~`.*"{rule}".*` [5m])) > 0',
            "SELECT operator, source_ip, toFloat64(count()) AS events FROM audit.events\n"
            f"WHERE $__timeFilter(time) AND has(alerts, '{rule}') GROUP BY operator, source_ip",
            300,
        )


def text(value):
    """A string that YAML reads as it is."""
    return json.dumps(value, ensure_ascii=False)


def block(value, indent):
    return "|-\n" + "\n".join(" " * indent + line for line in value.splitlines())


def loki(checkout):
    """Rules of Loki's ruler."""
    out = f"# {MADE}\n# Put it where loki.yaml of ../backends/loki says: /etc/loki/rules/fake/ in a Loki without tenants.\n\n"
    out += "groups:\n  - name: kubernetes-audit\n    interval: 1m\n    rules:\n"
    for alert, severity, summary, logql, _, _ in alerts(checkout):
        out += f"      - alert: {alert}\n        expr: {block(logql, 10)}\n        labels:\n          severity: {severity}\n"
        out += f"        annotations:\n          summary: {text(summary)}\n"
    return out


def grafana(checkout):
    """Grafana's alert rules as it provisions them from a file."""
    out = f"# {MADE}\n# Put it into Grafana's provisioning/alerting/; the data source of ClickHouse must have the uid `clickhouse`.\n\n"
    out += "apiVersion: 1\ngroups:\n  - orgId: 1\n    name: kubernetes-audit\n    folder: Kubernetes audit\n    interval: 1m\n    rules:\n"
    for alert, severity, summary, _, sql, seconds in alerts(checkout):
        out += f"""\
      - uid: {"".join("-" + c.lower() if c.isupper() else c for c in alert.removeprefix("KubernetesAudit"))[1:]}
        title: {alert}
        condition: B
        for: 0s
        # No row is no event.
        noDataState: OK
        execErrState: Error
        labels:
          severity: {severity}
        annotations:
          summary: {text(summary)}
        data:
          - refId: A
            datasourceUid: clickhouse
            relativeTimeRange: {{from: {seconds}, to: 0}}
            model:
              refId: A
              editorType: sql
              format: 1
              queryType: table
              # Grafana reads $ as a variable of its environment, $$ as $.
              rawSql: {block(sql.replace("$", "$$"), 16)}
          - refId: B
            datasourceUid: __expr__
            relativeTimeRange: {{from: {seconds}, to: 0}}
            model:
              refId: B
              type: threshold
              expression: A
              conditions:
                - evaluator: {{type: gt, params: [0]}}
"""
    return out


def files(checkout):
    folder = checkout / "pipeline-configs/alerts"
    return {folder / "loki-rules.yaml": loki(checkout), folder / "grafana-clickhouse-rules.yaml": grafana(checkout)}


if __name__ == "__main__":
    from dashboards import write_or_compare

    checkout = Path(sys.argv[1])
    sys.exit(write_or_compare(checkout, files(checkout), "plugin/rules makes", "--write" in sys.argv[2:]))

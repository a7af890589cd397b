"""Makes the alert rules of pipeline-configs/alerts from the built-in rules: one for each tag of high severity, and ACK's two
examples of alerts.

    alerts.py CHECKOUT           says which files are not what the rules make, and fails
    alerts.py CHECKOUT --write   writes them

Needs PyYAML.
"""

import json
import sys
from pathlib import Path

import yaml

from dashboards import HINT

MADE = f"Made from plugin/rules by `{HINT}`: one alert for each tag of high severity, and ACK's two examples."
LOKI_TAGS = '| json audit_tags="audit.tags" | audit_tags=~`.*"({})".*`'


def high_tags(checkout):
    """The tags of built-in rules whose level is high or critical, each with the titles of its rules."""
    found = {}
    for path in sorted((checkout / "plugin/rules").glob("*.yml")):
        if path.name.endswith(".events.yml"):
            continue
        for rule in yaml.safe_load_all(path.read_text()):
            if rule.get("level") in ("high", "critical") and "detection" in rule:
                for tag in rule.get("tags", []):
                    if tag.startswith("audit."):
                        found.setdefault(tag.removeprefix("audit."), []).append(rule["title"])
    return dict(sorted(found.items()))


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
    public = '| json audit_source_scope="audit.source_scope" | audit_source_scope="public" [15m]'
    yield (
        "KubernetesAuditPublicAccessFailed", "warning",
        "More than ten requests from a public address within 15 minutes, and most of them failed",
        f'sum by (audit_source_ip) (count_over_time({{job="audit", audit_outcome="failure"}} {public}))\n'
        f'/ (sum by (audit_source_ip) (count_over_time({{job="audit"}} {public})) > 10)\n'
        "> 0.5",
        "SELECT source_ip, toFloat64(count()) AS events FROM audit.events\n"
        "WHERE $__timeFilter(time) AND source_scope = 'public' GROUP BY source_ip\n"
        "HAVING events > 10 AND countIf(outcome = 'failure') / events > 0.5",
        900,
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

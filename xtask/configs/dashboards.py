"""Makes the dashboards and the plain SQL reports from pipeline-configs/grafana/panels.toml.

    dashboards.py CHECKOUT           says which files are not what panels.toml makes, and fails
    dashboards.py CHECKOUT --write   writes them

Nothing but the standard library: Python 3.11 or later.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

HINT = "cargo xtask configs --write"
SELECTOR = 'job="audit", log_type="kube-audit"'


def load(checkout):
    """What panels.toml says."""
    return tomllib.loads((checkout / "pipeline-configs/grafana/panels.toml").read_text())


def grafana_sql(sql, variables):
    """The SQL with Grafana's macros: what the ClickHouse data source of Grafana takes."""
    conditions = ["$__timeFilter(time)"]
    for variable in variables:
        value = f"${{{variable['name']}:sqlstring}}"
        conditions.append(f"({value} = '' OR {variable['sql']} = {value})")
    sql = sql.replace("<filters>", " AND ".join(conditions))
    return sql.replace("<bucket>", "$__timeInterval(time)").strip()


def plain_sql(sql, variables):
    """The SQL with ClickHouse's own query parameters."""
    conditions = ["time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}"]
    for variable in variables:
        value = f"{{{variable['name']}:String}}"
        conditions.append(f"({value} = '' OR {variable['sql']} = {value})")
    sql = sql.replace("<filters>", "\n  AND ".join(conditions))
    return sql.replace("<bucket>", "toStartOfHour(time)").strip()


def grafana_logql(logql, variables):
    """The LogQL with the stream selector and the variables put in."""
    def events(match):
        matchers = ", ".join(filter(None, [SELECTOR, match[1]]))
        filters = "".join(f' | {v["logql"]}=~"${{{v["name"]}}}"' for v in variables)
        return f"{{{matchers}}}{filters}"

    return re.sub(r"<events(?: ([^>]*))?>", events, logql).strip()


def dashboard(source, variables, language):
    """One dashboard of Grafana, in the form that its file import takes."""
    datasource = {"type": {"loki": "loki", "clickhouse": "grafana-clickhouse-datasource"}[language], "uid": "${datasource}"}
    panels, x, y = [], 0, 0
    for index, panel in enumerate(source["panel"]):
        height = 4 if panel["kind"] == "number" else 9
        if x + panel["width"] > 24:
            x, y = 0, y + panels[-1]["gridPos"]["h"]
        panels.append(
            {
                "id": index + 1,
                "title": panel["title"],
                "datasource": datasource,
                "gridPos": {"x": x, "y": y, "w": panel["width"], "h": height},
                "fieldConfig": {"defaults": {}, "overrides": []},
                **{"loki": loki_panel, "clickhouse": clickhouse_panel}[language](panel, variables),
            }
        )
        x += panel["width"]
    # A Loki variable is a regular expression; one of ClickHouse is compared, and empty is everything.
    empty = {"loki": ".*", "clickhouse": ""}[language]
    return {
        "uid": f"k8s-audit-{source['name']}-{language}",
        "title": f"{source['title']} ({ {'loki': 'Loki', 'clickhouse': 'ClickHouse'}[language] })",
        "description": source["description"],
        "tags": ["kubernetes", "audit"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "version": 1,
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "annotations": {"list": []},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": datasource["type"]},
                *(
                    {"name": v["name"], "label": v["label"], "type": "textbox", "query": empty,
                     "current": {"text": empty, "value": empty}}
                    for v in variables
                ),
            ]
        },
        "panels": panels,
    }


def loki_panel(panel, variables):
    kind = panel["kind"]
    target = {"refId": "A", "expr": grafana_logql(panel["logql"], variables)}
    if kind == "events":
        return {
            "type": "logs",
            "targets": [target | {"queryType": "range"}],
            "options": {"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending"},
        }
    if kind == "time":
        return {"type": "timeseries", "targets": [target | {"queryType": "range"}], "options": legend()}
    shapes = {
        "number": {"type": "stat", "options": number()},
        "share": {"type": "piechart", "options": legend()},
        "table": {"type": "table", "options": {"showHeader": True}},
    }
    # One row for each group, with the time that means nothing here left out.
    tidy = {"transformations": [{"id": "organize", "options": {"excludeByName": {"Time": True}}}]} if kind == "table" else {}
    formatted = {"format": "table"} if kind == "table" else {}
    return shapes[kind] | tidy | {"targets": [target | {"queryType": "instant", **formatted}]}


def clickhouse_panel(panel, variables):
    kind = panel["kind"]
    target = {"refId": "A", "rawSql": grafana_sql(panel["sql"], variables), "editorType": "sql"}
    if kind == "time":
        # 0 is the data source's number for a time series, 1 for a table.
        return {
            "type": "timeseries",
            "targets": [target | {"format": 0, "queryType": "timeseries"}],
            "options": legend(),
        }
    shapes = {
        "number": {"type": "stat", "options": number()},
        "share": {"type": "piechart", "options": legend() | {"reduceOptions": {"values": True, "calcs": []}}},
        "table": {"type": "table", "options": {"showHeader": True}},
        "events": {"type": "table", "options": {"showHeader": True}},
    }
    return shapes[kind] | {"targets": [target | {"format": 1, "queryType": "table"}]}


def number():
    return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "graphMode": "none"}


def legend():
    return {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"}}


def report(source, variables):
    """The plain queries of one dashboard, to be run by clickhouse-client."""
    parameters = " ".join(f"--param_{v['name']}=''" for v in variables)
    head = f"""\
-- {source['title']}: {source['description']}
-- Made from pipeline-configs/grafana/panels.toml by `{HINT}`. An empty parameter is everything.
--
-- clickhouse-client --queries-file {source['name']}.sql --format PrettyCompact \\
--   --param_from='2026-03-02 00:00:00' --param_to='2026-03-03 00:00:00' \\
--   {parameters}
"""
    return head + "".join(f"\n-- {p['title']}\n{plain_sql(p['sql'], variables)};\n" for p in source["panel"])


def files(checkout):
    """Every file that panels.toml makes, by path."""
    source = load(checkout)
    variables = source["variable"]
    configs = checkout / "pipeline-configs"
    made = {}
    for each in source["dashboard"]:
        for language in ["loki", "clickhouse"]:
            text = json.dumps(dashboard(each, variables, language), indent=1, ensure_ascii=False)
            made[configs / f"grafana/{language}/{each['name']}.json"] = text + "\n"
        made[configs / f"backends/clickhouse/reports/{each['name']}.sql"] = report(each, variables)
    return made


def write_or_compare(checkout, made, what_makes, write):
    """Writes the files, or says which are different. The exit status."""
    stale = [(path, text) for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        problem = "written" if write else f"is not what {what_makes}: {HINT}"
        print(f"{path.relative_to(checkout)}: {problem}", file=sys.stderr)
    return 1 if stale and not write else 0


if __name__ == "__main__":
    checkout = Path(sys.argv[1])
    sys.exit(write_or_compare(checkout, files(checkout), "panels.toml makes", "--write" in sys.argv[2:]))

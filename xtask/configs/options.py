"""Writes options.json: the options of each component that the configurations use, as the collectors say themselves.

    fluent-bit -J >flb.json; options.py flb.json VECTOR-SOURCES

By hand, when a collector has a new version. Vector's are taken from the generated reference in its sources,
website/cue/reference/components/*/generated/.
"""

import json
import re
import sys
from pathlib import Path

FLUENT_BIT = {
    "inputs": ["tail", "http", "kafka"],
    "filters": ["wasm", "modify", "nest", "lua", "rewrite_tag", "throttle"],
    "outputs": ["file", "loki", "es", "opensearch", "http", "kafka", "s3", "splunk"],
}
VECTOR = {
    "sources": ["exec", "http_server", "kafka"],
    "transforms": ["remap", "exclusive_route", "filter", "throttle"],
    "sinks": ["file", "loki", "elasticsearch", "clickhouse", "kafka", "aws_s3", "splunk_hec_logs", "http"],
}
# What Fluent Bit's own description leaves out: the service section, what every plugin of a kind has, prefixes.
SERVICE = ["flush", "grace", "log_level", "storage.path", "storage.sync", "storage.max_chunks_up",
           "storage.backlog.mem_limit", "scheduler.cap", "http_server", "http_listen", "http_port", "health_check"]
COMMON = {
    "inputs": ["tag", "storage.type", "mem_buf_limit"],
    "filters": ["match", "match_regex", "alias"],
    "outputs": ["storage.total_limit_size", "workers"],
}
# What Vector's reference has in another place, or nowhere.
VECTOR_COMMON = {"sources": ["log_namespace"], "sinks": ["buffer", "healthcheck"]}
# An option that stands for many.
PATTERNS = {"rdkafka.": "rdkafka.*"}
MODIFY = ["set", "add", "remove", "rename", "hard_rename", "copy", "hard_copy", "condition"]


def fluent_bit(schema):
    found = {"service": SERVICE}
    for kind, names in FLUENT_BIT.items():
        for plugin in schema[kind]:
            if plugin["name"] in names:
                options = {o["name"].lower() for group in plugin["properties"].values() for o in group}
                options |= set(COMMON[kind])
                if plugin["name"] == "modify":
                    options |= set(MODIFY)
                found[f"{kind}.{plugin['name']}"] = sorted(PATTERNS.get(o, o) for o in options)
    return found


def vector(sources):
    """The names below `configuration`: with one tab in the generated files, or in the first line where it is the only."""
    found = {}
    for kind, names in VECTOR.items():
        for name in names:
            text = (sources / f"website/cue/reference/components/{kind}/generated/{name}.cue").read_text()
            options = re.findall(r"^\t(\w+): \{", text, re.MULTILINE) + re.findall(r"configuration: (\w+):", text)
            found[f"{kind}.{name}"] = sorted({*options, *VECTOR_COMMON.get(kind, [])})
    return found


if __name__ == "__main__":
    schema = json.loads(Path(sys.argv[1]).read_text())
    options = {"fluent-bit": fluent_bit(schema), "vector": vector(Path(sys.argv[2]))}
    # One line for each component.
    rows = [
        f' "{collector}": {{\n' + ",\n".join(f"  {json.dumps(name)}: {json.dumps(known)}" for name, known in components.items()) + "\n }"
        for collector, components in options.items()
    ]
    text = "{\n" + ",\n".join(rows) + "\n}\n"
    Path(__file__).with_name("options.json").write_text(text)

"""Writes the test events of the built-in rules as a log: what each of the alerts is about, happening.

    examples.py CHECKOUT LOG.jsonl CONFIGURATION.yaml

The log has every case under `match`, each an hour after the end of the one before, so that no correlation sees two. An event's
`auditID` is `RULE/CASE/NUMBER`, the last of a case ends in `/last`. The configuration is that of pipeline-configs/alerts,
with the networks for which the events are written. Needs PyYAML.
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import yaml

BEGIN = datetime(2026, 3, 1)
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(every):
    text = str(every)
    return int(text[:-1]) * UNITS[text[-1]] if text[-1] in UNITS else int(text)


def counted(value, number):
    """The event with `{n}` replaced, wherever it stands."""
    return json.loads(json.dumps(value).replace("{n}", str(number)))


def events(case):
    """The events of a case, each with the seconds since its beginning."""
    if "event" in case:
        yield 0, case["event"]
        return
    second = 0
    for step in case["events"]:
        for number in range(1, step.get("times", 1) + 1):
            second += seconds(step.get("every", 1))
            yield second, counted(step["event"], number)


def log(checkout):
    time = BEGIN
    for path in sorted((checkout / "plugin/rules").glob("*.events.yml")):
        rule = path.name.removesuffix(".events.yml")
        for index, case in enumerate(yaml.safe_load(path.read_text())["match"]):
            happening = list(events(case))
            for number, (second, event) in enumerate(happening, 1):
                place = "last" if number == len(happening) else number
                # Whatever an event has of these itself is kept.
                yield {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": f"{rule}/{index}/{place}",
                       "level": "RequestResponse", "stage": "ResponseComplete",
                       "stageTimestamp": f"{time + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%f}Z"} | event
            time += timedelta(hours=1, seconds=happening[-1][0])


def main(checkout, target, configuration):
    target.write_text("".join(json.dumps(event) + "\n" for event in log(checkout)))
    alerts = (checkout / "pipeline-configs/alerts/audit-filter.yaml").read_text()
    configuration.write_text(alerts + "network: {highRisk: [198.51.100.0/24]}\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

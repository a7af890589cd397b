"""What the reports must say of a log, counted without a database.

Knows nothing of the SQL: each report is a few lines over the events as they are. Values are what JSON has, times as
text in ClickHouse's form.
"""

import re
from collections import defaultdict

CHANGES = ("create", "update", "delete")


def get(event, path, default=""):
    """The member at a path of names with dots between."""
    for name in path.split("."):
        event = event.get(name) if isinstance(event, dict) else None
        if event is None:
            return default
    return event


def time(event):
    seconds, _, fraction = event["stageTimestamp"].rstrip("Z").replace("T", " ").partition(".")
    return f"{seconds}.{fraction:0<6}"


def hour(event):
    return time(event)[:13] + ":00:00"


def operator(event):
    return get(event, "audit.operator")


def address(event):
    return get(event, "audit.source_ip")


def action(event):
    return get(event, "audit.action")


def severity(event):
    return get(event, "audit.severity")


def resource(event):
    return get(event, "objectRef.resource")


def namespace(event):
    return get(event, "objectRef.namespace")


def name(event):
    return get(event, "objectRef.name")


def kind(event):
    return get(event, "audit.resource_class")


def verb(event):
    return get(event, "verb")


def code(event):
    return get(event, "responseStatus.code", 0)


def status(event):
    return str(code(event))


def tags(event):
    return get(event, "audit.tags", [])


def cves(event):
    return [tag for tag in tags(event) if re.match(r"cve\.", tag)]


def failed(event):
    return get(event, "audit.outcome") == "failure"


def succeeded(event):
    return get(event, "audit.outcome") == "success"


def person(event):
    return get(event, "audit.operator_type") == "user"


def public(event):
    return get(event, "audit.source_scope") == "public"


def ran_command(event):
    return bool({"exec", "container-command"} & set(tags(event)))


def tagged(tag):
    return lambda event: tag in tags(event)


def changed(event):
    return action(event) in CHANGES


def number(events, condition=lambda event: True):
    return [(sum(1 for event in events if condition(event)),)]


def grouped(events, keys, *columns, condition=lambda event: True):
    """One row for each group: its keys, then what each of the columns makes of its events."""
    groups = defaultdict(list)
    for event in events:
        if condition(event):
            groups[tuple(key(event) for key in keys)].append(event)
    return [(*group, *(column(members) for column in columns)) for group, members in groups.items()]


def listed(events, *columns, condition=lambda event: True):
    return [tuple(column(event) for column in columns) for event in events if condition(event)]


def how_many(condition):
    return lambda members: sum(1 for event in members if condition(event))


def different(key):
    return lambda members: len({key(event) for event in members})


def latest(members):
    return max(time(event) for event in members)


def per_tag(events, wanted):
    """The events once for each of their tags that is wanted, with the tag."""
    return [event | {"tag": tag} for event in events for tag in tags(event) if wanted(tag)]


def tag(event):
    return event["tag"]


def cve(event):
    return "CVE-" + event["tag"].removeprefix("cve.")


def each_action(members):
    return [how_many(lambda event, wanted=wanted: action(event) == wanted)(members) for wanted in (*CHANGES, "access")]


def actions_by(events, *keys, condition=lambda event: True):
    rows = grouped(events, keys, each_action, how_many(failed), condition=condition)
    return [(*row[:-2], *row[-2], row[-1]) for row in rows]


def detail(event):
    """A row of the lists of events."""
    return (time(event), operator(event), verb(event), resource(event), get(event, "objectRef.subresource"),
            namespace(event), name(event), address(event), code(event), severity(event), get(event, "audit.message"),
            get(event, "auditID"))


def details(events, condition=lambda event: True):
    return [detail(event) for event in events if condition(event)]


REPORTS = {
    "overview": {
        "Events": lambda events: number(events),
        "Events of people": lambda events: number(events, person),
        "Events from public addresses": lambda events: number(events, public),
        "Commands in containers": lambda events: number(events, ran_command),
        "Events of high severity": lambda events: number(events, lambda event: severity(event) in ("high", "critical")),
        "Correlations that fired": lambda events: number(events, lambda event: bool(get(event, "audit.alerts"))),
        "Events by severity": lambda events: grouped(events, (hour, severity), len),
        "Actions": lambda events: grouped(events, (action,), len),
        "People by operations": lambda events: grouped(
            events, (operator,), len, *(how_many(lambda event, wanted=wanted: action(event) == wanted) for wanted in CHANGES),
            how_many(failed), latest, condition=person),
        "Access from public addresses": lambda events: grouped(
            events, (address,), len,
            lambda members: round(100 * how_many(succeeded)(members) / len(members), 2),
            how_many(lambda event: code(event) in (401, 403)),
            lambda members: any(get(event, "audit.source_high_risk", False) for event in members), condition=public),
        "Commands executed in containers": lambda events: listed(
            events, time, operator, namespace, name, lambda event: get(event, "audit.exec.container"),
            lambda event: " ".join(get(event, "audit.exec.command", [])), address, code, condition=ran_command),
        "Resources deleted": lambda events: listed(
            events, time, operator, resource, namespace, name, address, code, condition=tagged("resource-delete")),
        "Access to Secrets": lambda events: grouped(
            events, (operator, verb, namespace), len, different(name), how_many(failed),
            condition=lambda event: resource(event) == "secrets"),
        "What the rules found": lambda events: grouped(
            per_tag(events, lambda tag: not tag.startswith("attack.")), (tag,), len, different(operator),
            different(address), latest),
    },
    "resources": {
        "Operations by class": lambda events: actions_by(events, kind),
        "Changes by class": lambda events: grouped(events, (hour, kind), len, condition=changed),
        "Operations by resource": lambda events: actions_by(events, kind, resource, condition=lambda e: resource(e) != ""),
        "Namespaces": lambda events: grouped(
            events, (namespace,), len, how_many(changed), different(operator), condition=lambda e: namespace(e) != ""),
        "Who changes what": lambda events: grouped(
            events, (operator, resource, action), len, condition=lambda event: changed(event) and person(event)),
    },
    "resource-details": {
        "Operations": lambda events: grouped(events, (hour, action), len),
        "Status codes": lambda events: grouped(events, (status,), len),
        "Operators": lambda events: top(20, grouped(events, (operator,), len)),
        "Addresses": lambda events: top(20, grouped(events, (address,), len)),
        "Changes": lambda events: details(events, changed),
        "Access": lambda events: details(events, lambda event: action(event) == "access"),
    },
    "cve": {
        "Traces of CVEs": lambda events: number(events, tagged("cve")),
        "Traces over time": lambda events: grouped(events, (hour, severity), len, condition=tagged("cve")),
        "By CVE": lambda events: grouped(
            per_tag(events, lambda tag: tag.startswith("cve.")), (cve,), len, different(operator), how_many(succeeded), latest),
        "Events": lambda events: listed(
            events, time, lambda event: " ".join(cves(event)), severity, operator, namespace, name, address, code,
            lambda event: get(event, "audit.message"), condition=tagged("cve")),
    },
    "search": {
        "Events, system components excluded": lambda events: details(
            events, lambda event: get(event, "audit.operator_type") in ("user", "anonymous")),
        "RAM users": lambda events: grouped(
            events, (operator,), len, how_many(changed), how_many(failed), different(address), latest,
            condition=tagged("ram-user")),
        "Every event": lambda events: details(events),
    },
}


def top(count, rows):
    """The rows with the largest last column."""
    return sorted(rows, key=lambda row: (-row[-1], row[0]))[:count]


def chosen(events, **variables):
    """The events that the variables of a dashboard leave."""
    keys = {"namespace": namespace, "user": operator, "resource": resource, "code": status}
    return [event for event in events if all(keys[name](event) == value for name, value in variables.items() if value)]


def alert(events, name, tags_of_alerts, rules_of_alerts):
    """The rows with which an alert fires: for ACK's examples what they say, for a correlation the events that complete it,
    else the grave events with the tag."""
    who = (operator, namespace)
    if name == "KubernetesAuditCommandInContainer":
        return grouped(events, who, len, condition=ran_command)
    if name == "KubernetesAuditPublicAccessFailed":
        probe = re.compile("/(healthz|livez|readyz|version)([/?]|$)")
        counted = grouped(
            [event for event in events if public(event) and not probe.match(get(event, "requestURI", ""))],
            (address,), requests, lambda members: requests([event for event in members if failed(event)]))
        return [(ip, count) for ip, count, failures in counted if count > 10 and failures > count / 2]
    if name in rules_of_alerts:
        completes = lambda event: rules_of_alerts[name] in [alert["rule"] for alert in get(event, "audit.alerts", [])]
        return grouped(events, (operator, address), len, condition=completes)
    grave = lambda event: tags_of_alerts[name] in tags(event) and severity(event) in ("high", "critical")
    return grouped(events, who, len, condition=grave)


def requests(events):
    """How many requests: one is logged at several stages."""
    return len({get(event, "auditID") for event in events})

//! The two alerts that ACK's documentation sets up in Simple Log Service (commands executed in containers; failed access
//! from the internet), each answered twice: from the raw events as its query does it, and from what the filter says.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use end_to_end_tests::{configuration, filter, root};
use host_harness::host::native::NativeHost;
use serde_json::Value;

/// All that an API server of ACK has written, which omits this stage. What else ACK's policy leaves out is no matter here.
const POLICY: &str = "policy: {apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived], \
    rules: [{level: RequestResponse}]}\n";

/// The account that all people share where a cluster gives its own certificates out.
const SHARED: &str = "kubernetes-admin";

/// A person of the sample log, by the id and the time of issue that ACK has in the names of certificates.
const PERSON: (&str, &str) = ("279812345678901234", "-1735689600");

/// Whose token is used at night.
const INTRUDER: &str = "system:serviceaccount:shop:storefront";

fn sample() -> String {
    fs::read_to_string(root().join("tests/fixtures/sample-audit.jsonl")).unwrap()
}

/// The sample log as it would be if that person used the shared account, so that only RBAC's reason names them.
fn with_shared_account() -> String {
    let (id, issued) = PERSON;
    sample()
        .replace(issued, "")
        .replace(&format!(r#""username":"{id}""#), &format!(r#""username":"{SHARED}""#))
}

/// The events that Simple Log Service has.
fn raw(log: &str) -> Vec<Value> {
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| text(event, "/stage") != "RequestReceived").collect()
}

/// The same events as the filter hands them on.
fn filtered(log: &str) -> Vec<Value> {
    let mut host = NativeHost::new(configuration(POLICY).config);
    log.lines()
        .filter_map(|line| filter(&mut host, line.as_bytes()))
        .map(|line| serde_json::from_slice(&line).unwrap())
        .collect()
}

fn text<'e>(event: &'e Value, pointer: &str) -> &'e str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn code(event: &Value) -> i64 {
    event.pointer("/responseStatus/code").and_then(Value::as_i64).unwrap()
}

/// `date_format(…, '%Y-%m-%d %T')`
fn to_the_second(timestamp: &str) -> String {
    timestamp.get(..19).unwrap().replace('T', " ")
}

/// `CASE WHEN json_array_length(sourceIPs) = 1 then json_format(json_array_get(sourceIPs, 0)) ELSE sourceIPs END`
fn source_address(event: &Value) -> String {
    let addresses: Vec<_> = event.get("sourceIPs").and_then(Value::as_array).unwrap().iter().collect();
    addresses.iter().map(|address| address.as_str().unwrap()).collect::<Vec<_>>().join(",")
}

/// A command executed in a container.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Execution {
    event_id: String,
    time: String,
    resource: String,
    container: String,
    command: Vec<String>,
    status_code: i64,
    operator: String,
    source_address: String,
}

/// `verb: … and objectRef.subresource: exec and stage: ResponseStarted | SELECT …`
fn executions_of_raw(events: &[Value], verbs: &[&str]) -> Vec<Execution> {
    let is_asked_for = |event: &&Value| {
        verbs.contains(&text(event, "/verb"))
            && text(event, "/objectRef/subresource") == "exec"
            && text(event, "/stage") == "ResponseStarted"
    };
    let execution = |event: &Value| {
        let (resource, query) = text(event, "/requestURI").split_once("/exec?").unwrap();
        // The query shows the parameters as they are; they say the same once decoded.
        let parameters = |name: &str| -> Vec<String> {
            let all = form_urlencoded::parse(query.as_bytes());
            all.filter(|(parameter, _)| parameter == name).map(|(_, value)| value.into_owned()).collect()
        };
        let username = text(event, "/user/username");
        let reason = text(event, "/annotations/authorization.k8s.io~1reason");
        let named = reason.split_once(" to User \"").and_then(|(_, rest)| rest.split_once('"'));
        let operator = match named {
            Some((name, _)) if username == SHARED && reason.contains("RoleBinding") => name,
            _ => username,
        };
        Execution {
            event_id: text(event, "/auditID").to_owned(),
            time: to_the_second(text(event, "/stageTimestamp")),
            resource: resource.to_owned(),
            container: parameters("container").concat(),
            command: parameters("command"),
            status_code: code(event),
            operator: operator.to_owned(),
            source_address: source_address(event),
        }
    };
    events.iter().filter(is_asked_for).map(execution).collect()
}

/// The same by `audit.tags` and `audit.exec`.
fn executions_of_filtered(events: &[Value], verbs: &[&str]) -> Vec<Execution> {
    let is_asked_for = |event: &&Value| {
        let tags = event.pointer("/audit/tags").and_then(Value::as_array);
        verbs.contains(&text(event, "/verb"))
            && tags.is_some_and(|tags| tags.contains(&"exec".into()))
            && text(event, "/stage") == "ResponseStarted"
    };
    let execution = |event: &Value| {
        let (namespace, pod) = (text(event, "/objectRef/namespace"), text(event, "/objectRef/name"));
        let command = event.pointer("/audit/exec/command").and_then(Value::as_array).unwrap();
        Execution {
            event_id: text(event, "/auditID").to_owned(),
            time: to_the_second(text(event, "/stageTimestamp")),
            resource: format!("/api/v1/namespaces/{namespace}/pods/{pod}"),
            container: text(event, "/audit/exec/container").to_owned(),
            command: command.iter().map(|word| word.as_str().unwrap().to_owned()).collect(),
            status_code: code(event),
            operator: text(event, "/audit/operator").to_owned(),
            source_address: text(event, "/audit/source_ip").to_owned(),
        }
    };
    events.iter().filter(is_asked_for).map(execution).collect()
}

#[test]
fn commands_in_containers_are_the_same() {
    // The documented query asks for `create`; kubectl since 1.30 executes by `get`, over a WebSocket.
    for (log, verbs, operators) in [
        (sample(), &["create"][..], &[INTRUDER][..]),
        (with_shared_account(), &["create", "get"], &[PERSON.0, INTRUDER, INTRUDER, INTRUDER, INTRUDER]),
    ] {
        let expected = executions_of_raw(&raw(&log), verbs);
        assert_eq!(executions_of_filtered(&filtered(&log), verbs), expected);
        assert_eq!(expected.iter().map(|row| &*row.operator).collect::<Vec<_>>(), operators);
    }
}

/// What came from an address: how often, and in percent, to the second place, how much of it failed.
type Visits = BTreeMap<String, (u64, String)>;

fn visits(all: impl Iterator<Item = (String, bool)>) -> Visits {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (address, failed) in all {
        let (visits, failures) = counts.entry(address).or_default();
        *visits += 1;
        *failures += u64::from(failed);
    }
    let rate = |(visits, failures)| (visits, format!("{:.2}", failures as f64 * 100.0 / visits as f64));
    counts.into_iter().map(|(address, counts)| (address, rate(counts))).collect()
}

/// `… group by ip … where ip_to_domain(ip) != 'intranet' and ip not LIKE '%,%'`
fn visits_of_raw(events: &[Value]) -> Visits {
    let is_public = |address: &str| match address.parse::<IpAddr>().unwrap() {
        // What carriers and load balancers share among themselves (RFC 6598) is not of the internet either.
        IpAddr::V4(address) if matches!(address.octets(), [100, 64..=127, ..]) => false,
        IpAddr::V4(address) => !address.is_private() && !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unique_local() && !address.is_loopback(),
    };
    let addresses = events.iter().map(|event| (source_address(event), code(event) >= 400));
    visits(addresses.filter(|(address, _)| !address.contains(',') && is_public(address)))
}

/// The same by `audit.source_scope` and `audit.outcome`.
fn visits_of_filtered(events: &[Value]) -> Visits {
    let is_asked_for = |event: &&Value| {
        text(event, "/audit/source_scope") == "public" && !text(event, "/audit/source_ips").contains(',')
    };
    let visit = |event: &Value| {
        (text(event, "/audit/source_ip").to_owned(), text(event, "/audit/outcome") == "failure")
    };
    visits(events.iter().filter(is_asked_for).map(visit))
}

#[test]
fn failed_access_from_public_addresses_is_the_same() {
    let expected = visits_of_raw(&raw(&sample()));
    assert_eq!(visits_of_filtered(&filtered(&sample())), expected);
    // More than ten visits, of which more than half failed: what the alert is about.
    let alerted =
        expected.iter().filter(|(_, (visits, rate))| *visits > 10 && rate.parse::<f64>().unwrap() > 50.0);
    assert_eq!(alerted.map(|(address, _)| &**address).collect::<Vec<_>>(), ["192.0.2.44"]);
}

//! Records as collectors and providers write them, from end to end: what goes on, and what of it has changed.

use crate::config::{self, Files};
use crate::json::{self as text, Raw};
use crate::{Engine, Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::RefCell;

/// Keeps what touches pods, with the request; what touches secrets at Metadata; drops what leases are for.
const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
  - level: None
    resources: [{group: coordination.k8s.io, resources: [leases]}]
  - level: Metadata
    resources: [{group: '', resources: [secrets]}]
  - level: Request
    resources: [{group: '', resources: [pods, pods/exec]}]
  - level: RequestResponse
";

const CONFIGURATION: &str = "
rules: {builtin: false, files: [rules.yml]}
routes: [{name: siem, when: {audit.tags: container-command}}, {name: default}]
";

const RULES: &str = "
title: Download In A Container
id: 6ad5ab96-2f9d-4c2a-9f0b-0f3f9d0c1a11
level: medium
tags: [audit.container-command]
logsource: {product: kubernetes, service: audit}
detection:
  selection:
    objectRef.resource: pods
    objectRef.subresource: exec
    verb: exec
    audit.exec.command: curl
  condition: selection
";

struct Texts;

impl Files for Texts {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(match path {
            config::FILE_NAME => Some(CONFIGURATION.into()),
            config::POLICY_FILE_NAME => Some(POLICY.into()),
            "rules.yml" => Some(RULES.into()),
            _ => None,
        })
    }

    fn list(&self, _: &str) -> Result<Option<Vec<String>>, String> {
        Ok(None)
    }
}

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new({
        let loaded = config::load(&Texts);
        Engine::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems)))
    });
}

fn filter(record: &str) -> (Outcome, String) {
    let mut out = Vec::new();
    let outcome = ENGINE.with_borrow_mut(|engine| engine.filter(record.as_bytes(), &mut out));
    let out = String::from_utf8(out).unwrap();
    if !out.is_empty() {
        let _: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    }
    (outcome, out)
}

/// What goes on of a record that is kept: its bytes without the `audit` object at its end, and that object.
fn kept(record: &str) -> (String, Value) {
    let (outcome, out) = filter(record);
    assert_eq!(outcome, Outcome::Kept, "{record}\n{out}");
    let at = out.rfind(",\"audit\":").unwrap();
    let audit = serde_json::from_str(&out[at + 9..out.len() - 1]).unwrap();
    (format!("{}}}", &out[..at]), audit)
}

/// An event as kube-apiserver writes it; `more` begins with a comma.
fn event(verb: &str, group: &str, resource: &str, level: &str, more: &str) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"{level}","auditID":"a-1","stage":"ResponseComplete","requestURI":"/x","verb":"{verb}","user":{{"username":"alice","groups":["dev"]}},"sourceIPs":["203.0.113.7"],"objectRef":{{"resource":"{resource}","namespace":"shop","name":"web-0","apiGroup":"{group}","apiVersion":"v1"}},"responseStatus":{{"code":200}}{more}}}"#
    )
}

fn pod() -> String {
    event("get", "", "pods", "Request", "")
}

fn pod_with_bodies() -> String {
    event(
        "get",
        "",
        "pods",
        "RequestResponse",
        r#","requestObject":{"metadata":{"managedFields":[1],"name":"w\u0026\"x\""}},"responseObject":{"kind":"Pod"}"#,
    )
}

fn lease() -> String {
    event("update", "coordination.k8s.io", "leases", "RequestResponse", "")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn an_event_in_a_string_stays_there_to_the_byte() {
    for (before, after) in [
        (r#"{"log":"#, "}"),
        (r#"{"message":"#, "}"),
        (r#"{ "stream" : "stdout", "log" : "#, r#" , "kubernetes":{"host":"n1"}}"#),
        (r#"{"file":"/var/log/audit.log","host":"n1","message":"#, r#","source_type":"file"}"#),
    ] {
        for line_end in ["", "\n", "\r\n"] {
            let record = format!("{before}{}{after}", quoted(&format!("{}{line_end}", pod())));
            let (rest, audit) = kept(&record);
            let ends_in_space = |text: &str| text.trim_end_matches('}').trim_end().to_owned();
            assert_eq!(ends_in_space(&rest), ends_in_space(&record));
            assert_eq!(audit["level"], "Request");
            assert_eq!(audit["operator"], "alice");
        }
    }
}

#[test]
fn an_event_in_a_string_is_written_anew_where_the_policy_cuts_it() {
    let (rest, audit) =
        kept(&format!(r#"{{"a":"\u00e9","log":{},"z":1.0}}"#, quoted(&format!("{}\n", pod_with_bodies()))));
    let log = event("get", "", "pods", "Request", r#","requestObject":{"metadata":{"name":"w\u0026\"x\""}}"#);
    assert_eq!(rest, format!(r#"{{"a":"\u00e9","log":{},"z":1.0}}"#, quoted(&format!("{log}\n"))));
    assert_eq!(audit["level"], "Request");
}

#[test]
fn an_event_in_an_object_is_edited_there() {
    let (rest, audit) = kept(&format!(r#"{{"message":{},"z":1}}"#, pod_with_bodies()));
    let message =
        event("get", "", "pods", "Request", r#","requestObject":{"metadata":{"name":"w\u0026\"x\""}}"#);
    assert_eq!(rest, format!(r#"{{"message":{message},"z":1}}"#));
    assert_eq!(audit["operator"], "alice");
}

#[test]
fn an_earlier_output_beside_the_event_is_replaced() {
    for record in [
        format!(r#"{{"audit":{{"old":1}},"log":{}}}"#, quoted(&pod())),
        format!(r#"{{"log":{},"audit":{{"old":1}}}}"#, quoted(&pod())),
    ] {
        let (rest, audit) = kept(&record);
        assert_eq!(rest, format!(r#"{{"log":{}}}"#, quoted(&pod())));
        assert_eq!(audit["old"], Value::Null);
    }
}

#[test]
fn what_the_policy_drops_is_dropped_in_any_shape() {
    let line = quoted(&lease());
    for record in [
        lease(),
        format!(r#"{{"log":{line}}}"#),
        format!(r#"{{"message":{}}}"#, lease()),
        format!(r#"{{"category":"kube-audit","properties":{{"log":{line},"stream":"stdout"}}}}"#),
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{0}, {0}]}}"#, lease()),
        format!(r#"{{"records":[{{"category":"kube-audit","properties":{{"log":{line}}}}}]}}"#),
        format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{{"id":"1","timestamp":1,"message":{line}}}]}}"#),
        r#"{"insertId":"1","protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"k8s.io","methodName":"io.k8s.coordination.v1.leases.update","resourceName":"coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1"}}"#.to_owned(),
        r#"{"auditID":"1","stage":"ResponseComplete","verb":"update","user.username":"n1","objectRef.resource":"leases","objectRef.apiGroup":"coordination.k8s.io"}"#.to_owned(),
    ] {
        assert_eq!(filter(&record), (Outcome::Dropped, String::new()), "{record}");
    }
}

#[test]
fn the_items_of_a_webhooks_list_go_their_own_ways() {
    // kube-apiserver leaves kind and version out of the items.
    let item = |event: String| event.replace(r#""kind":"Event","apiVersion":"audit.k8s.io/v1","#, "");
    let list = |items: &str| {
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{items}]}}"#)
    };
    let (pod, lease) = (item(pod()), item(lease()));
    let marked = |out: &str| {
        let out: Value = serde_json::from_str(out).unwrap();
        let items = out["items"].as_array().unwrap().clone();
        items
            .into_iter()
            .map(|item| (item["audit"]["level"].clone(), item["audit"]["error"].clone()))
            .collect::<Vec<_>>()
    };
    for (items, expected) in [
        (format!("{pod},{lease},{pod}"), 2),
        (format!("{lease},{pod}"), 1),
        (format!(" {lease} , {lease} ,\n{pod} ,{lease} "), 1),
        (pod.clone(), 1),
    ] {
        let (outcome, out) = filter(&list(&items));
        assert_eq!(outcome, Outcome::Kept);
        assert_eq!(marked(&out), vec![(json!("Request"), Value::Null); expected], "{out}");
        assert!(
            out.starts_with(r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#)
        );
    }
    // What is no event passes in its place.
    let (outcome, out) = filter(&list(&format!(r#"{{"x":1.0}},7,{pod}"#)));
    assert_eq!(outcome, Outcome::Kept);
    assert!(out.contains(r#"{"x":1.0,"audit":{"#) && out.contains(",7,{"), "{out}");
    let (outcome, out) = filter(&list(r#"{"x":1}"#));
    assert_eq!(outcome, Outcome::PassedThrough);
    assert!(marked(&out)[0].1.as_str().unwrap().starts_with("not an audit event"), "{out}");
    // An empty list is no reason to drop a record.
    assert_eq!(filter(&list("")).0, Outcome::PassedThrough);
}

#[test]
fn batches_of_providers_are_lists_of_their_records() {
    let aks = |event: &str| {
        format!(
            r#"{{"time":"2026-03-02T08:00:00.0000000Z","resourceId":"/SUBSCRIPTIONS/1","category":"kube-audit","operationName":"Microsoft.ContainerService/managedClusters/diagnosticLogs/Read","properties":{{"log":{},"stream":"stdout","pod":"kube-apiserver-1","containerID":"c1"}}}}"#,
            quoted(event)
        )
    };
    let (rest, audit) = kept(&aks(&format!("{}\n", pod())));
    assert_eq!(rest, aks(&format!("{}\n", pod())));
    assert_eq!(audit["operator"], "alice");

    let other = r#"{"category":"guard","properties":{"log":"I0302 started\n"}}"#;
    let (outcome, out) = filter(&format!(r#"{{"records":[{},{other},{}]}}"#, aks(&pod()), aks(&lease())));
    assert_eq!(outcome, Outcome::Kept);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["records"].as_array().unwrap().len(), 2);
    assert_eq!(out["records"][0]["audit"]["operator"], "alice");
    assert!(out["records"][1]["audit"]["error"].as_str().unwrap().starts_with("not an audit event"));

    let cloud_watch =
        |event: &str| format!(r#"{{"id":"1","timestamp":1772438400000,"message":{}}}"#, quoted(event));
    let (outcome, out) = filter(&format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/eks/c/cluster","logStream":"kube-apiserver-audit-1","subscriptionFilters":["f"],"logEvents":[{},{}]}}"#,
        cloud_watch(&lease()),
        cloud_watch(&pod())
    ));
    assert_eq!(outcome, Outcome::Kept);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["logEvents"].as_array().unwrap().len(), 1);
    assert_eq!(out["logEvents"][0]["message"], pod());
    assert_eq!(out["logEvents"][0]["audit"]["operator"], "alice");
}

#[test]
fn an_entry_of_google_cloud_is_an_event() {
    let entry = |method: &str, name: &str, more: &str| {
        format!(
            r#"{{"insertId":"i-1","labels":{{"authorization.k8s.io/decision":"allow"}},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","operation":{{"first":true,"id":"i-1","last":true,"producer":"k8s.io"}},"protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{{"principalEmail":"alice@example.com"}},"authorizationInfo":[{{"granted":true}}],"methodName":"{method}","requestMetadata":{{"callerIp":"203.0.113.7","callerSuppliedUserAgent":"kubectl/v1.33"}},"resourceName":"{name}","serviceName":"k8s.io"{more}}},"timestamp":"2026-03-02T08:00:00Z"}}"#
        )
    };
    let record = entry(
        "io.k8s.core.v1.pods.exec.create",
        "core/v1/namespaces/shop/pods/web-0/exec",
        r#","status":{}"#,
    );
    let (rest, audit) = kept(&record);
    assert_eq!(rest, record);
    assert_eq!(audit["operator"], "alice@example.com");
    assert_eq!(audit["source_ip"], "203.0.113.7");
    assert_eq!(audit["level"], "Metadata");
    assert_eq!(audit["outcome"], "success");
    // Nobody says which command it was, nor whether it had a terminal.
    assert_eq!(audit["exec"], Value::Null);
    assert!(audit["message"].as_str().unwrap().contains("pod shop/web-0"), "{audit}");

    // Bodies go from where they stand, whether the entry stands alone or in a message of Pub/Sub.
    let bodies = r#","request":{"@type":"core.k8s.io/v1.Pod","metadata":{"managedFields":[],"name":"w"}},"response":{"@type":"core.k8s.io/v1.Pod"},"status":{"code":0}"#;
    let trimmed = r#","request":{"@type":"core.k8s.io/v1.Pod","metadata":{"name":"w"}},"status":{"code":0}"#;
    let (method, name) = ("io.k8s.core.v1.pods.create", "core/v1/namespaces/shop/pods/w");
    let (rest, audit) = kept(&entry(method, name, bodies));
    assert_eq!(rest, entry(method, name, trimmed));
    assert_eq!(audit["level"], "Request");
    let (rest, _) = kept(&format!(r#"{{"message":{}}}"#, quoted(&entry(method, name, bodies))));
    assert_eq!(rest, format!(r#"{{"message":{}}}"#, quoted(&entry(method, name, trimmed))));
    let (method, name) = ("io.k8s.core.v1.secrets.create", "core/v1/namespaces/shop/secrets/s");
    let (rest, _) = kept(&entry(method, name, r#","request":{"data":1},"response":{"data":2}"#));
    assert_eq!(rest, entry(method, name, ""));

    let denied = entry("io.k8s.get", "readyz", r#","status":{"code":7,"message":"Forbidden"}"#).replace(
        r#""principalEmail":"alice@example.com""#,
        r#""principalEmail":"system:serviceaccount:ci:robot","authoritySelector":"bob@example.com""#,
    );
    let (_, audit) = kept(&denied);
    assert_eq!(audit["operator"], "bob@example.com");
    assert_eq!(audit["operator_source"], "impersonation");
    assert_eq!(audit["outcome"], "failure");
    assert_eq!(audit["resource_class"], "non-resource");
    // Entries of other services are none of ours.
    let other = record.replace(r#""serviceName":"k8s.io""#, r#""serviceName":"compute.googleapis.com""#);
    assert_eq!(filter(&other).0, Outcome::PassedThrough);
}

#[test]
fn an_export_of_simple_log_service_is_an_event() {
    let export = |level: &str, bodies: &str| {
        format!(
            r#"{{"__time__":"1772438400","apiVersion":"audit.k8s.io/v1","kind":"Event","level":"{level}","auditID":"a-1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/web-0","verb":"update","user.username":"alice","user.groups":"[\"dev\"]","sourceIPs":"[\"203.0.113.7\"]","objectRef.resource":"pods","objectRef.namespace":"shop","objectRef.name":"web-0","responseStatus.code":"403"{bodies}}}"#
        )
    };
    let (rest, audit) = kept(&export(
        "RequestResponse",
        r#","requestObject":"{\"metadata\":{\"managedFields\":[],\"name\":\"w\"}}","requestObject.kind":"Pod","responseObject":"{\"kind\":\"Pod\"}","responseObject.kind":"Pod""#,
    ));
    assert_eq!(
        rest,
        export("Request", r#","requestObject":"{\"metadata\":{\"name\":\"w\"}}","requestObject.kind":"Pod""#)
    );
    assert_eq!(audit["level"], "Request");
    assert_eq!(audit["operator"], "alice");
    assert_eq!(audit["source_ip"], "203.0.113.7");
    assert_eq!(audit["outcome"], "failure");

    // Where the service keeps objects as JSON, and where it has no addresses.
    for user in [r#""user":"{\"username\":\"alice\"}""#, r#""user.username":"alice""#] {
        let record = format!(
            r#"{{"auditID":"1","stage":"ResponseComplete","verb":"get",{user},"objectRef":"{{\"resource\":\"pods\"}}"}}"#
        );
        let (rest, audit) = kept(&record);
        assert_eq!((rest, &audit["operator"]), (record, &json!("alice")));
    }
}

#[test]
fn commands_in_containers_get_the_same_object() {
    let ack = r#"{"kind":"Command","clusterid":"c1","time":"2026-03-02T08:00:00Z","traceId":"t-1","eventId":"e-1","k8s":{"user":{"aliuid":"1","username":"alice@example.com","groups":["dev"]},"pod":{"namespace":"shop","name":"web-0","labels":{}},"container":{"name":"app","image":"nginx"}},"host":{"nodename":"n1"},"process":{"cwd":"/","name":"curl","cmdline":"curl -s http://198.51.100.9/x","pid":7}}"#;
    let flat = r#"{"kind":"Command","time":"2026-03-02T08:00:00Z","eventId":"e-1","k8s.user.username":"alice@example.com","k8s.user.groups":"[\"dev\"]","k8s.pod.namespace":"shop","k8s.pod.name":"web-0","k8s.container.name":"app","process.name":"curl","process.cmdline":"curl -s http://198.51.100.9/x"}"#;
    let strings = r#"{"eventId":"e-1","k8s":"{\"user\":{\"username\":\"alice@example.com\"},\"pod\":{\"namespace\":\"shop\",\"name\":\"web-0\"},\"container\":{\"name\":\"app\"}}","process":"{\"name\":\"curl\",\"cmdline\":\"curl -s http://198.51.100.9/x\"}"}"#;
    let tetragon = r#"{"process_exec":{"process":{"exec_id":"e-1","pid":7,"uid":0,"cwd":"/","binary":"curl","arguments":"-s http://198.51.100.9/x","start_time":"2026-03-02T08:00:00Z","pod":{"namespace":"shop","name":"web-0","container":{"id":"containerd://1","name":"app"}}},"parent":{"binary":"/bin/sh"}},"node_name":"n1","time":"2026-03-02T08:00:00Z"}"#;
    let falco = r#"{"hostname":"n1","output":"…","output_fields":{"container.id":"1","container.name":"app","k8s.ns.name":"shop","k8s.pod.name":"web-0","proc.cmdline":"curl -s http://198.51.100.9/x","proc.name":"curl","user.name":"root"},"priority":"Notice","rule":"Network tool","source":"syscall","time":"2026-03-02T08:00:00Z"}"#;
    for (record, operator) in [(ack, true), (flat, true), (strings, true), (tetragon, false), (falco, false)]
    {
        for record in [record.to_owned(), format!(r#"{{"log":{}}}"#, quoted(&format!("{record}\n")))] {
            let (rest, audit) = kept(&record);
            assert_eq!(rest, record);
            assert_eq!(
                audit["exec"],
                json!({"container": "app", "command": ["curl", "-s", "http://198.51.100.9/x"]})
            );
            assert_eq!(audit["operator"], if operator { json!("alice@example.com") } else { Value::Null });
            assert_eq!(audit["operator_type"], if operator { json!("user") } else { Value::Null });
            assert_eq!(audit["rules"], json!(["6ad5ab96-2f9d-4c2a-9f0b-0f3f9d0c1a11"]));
            assert_eq!(audit["route"], "siem");
            assert_eq!(audit["outcome"], "success");
            assert_eq!((&audit["level"], &audit["policy_rule"]), (&Value::Null, &Value::Null));
            let who = if operator { "alice@example.com" } else { "a process" };
            assert_eq!(
                audit["message"],
                format!("{who} ran [curl -s http://198.51.100.9/x] in container app of pod shop/web-0")
            );
        }
    }
    // Neither a process outside pods nor a rule about something else is a command in a container.
    for record in [
        r#"{"process_exec":{"process":{"binary":"/usr/bin/containerd"}}}"#,
        r#"{"process_exit":{"process":{"binary":"curl","pod":{"name":"web-0"}}}}"#,
        r#"{"output_fields":{"k8s.pod.name":null,"proc.cmdline":"id"},"rule":"x"}"#,
        r#"{"output_fields":{"k8s.pod.name":"<NA>","proc.cmdline":"id"},"rule":"x"}"#,
        r#"{"output_fields":{"k8s.pod.name":"web-0","proc.cmdline":"<NA>"},"rule":"x"}"#,
        r#"{"output_fields":{"ka.verb":"create","k8s.pod.name":"web-0"},"rule":"x"}"#,
    ] {
        assert_eq!(filter(record).0, Outcome::PassedThrough, "{record}");
    }
}

#[test]
fn what_cannot_be_read_passes_through_and_says_why() {
    let not_an_event = "not an audit event: neither apiVersion audit.k8s.io/… nor auditID and stage";
    for (record, why) in [
        (r#"{"log":"GET / 200\n"}"#.to_owned(), not_an_event),
        (r#"{"log":"{\"level\":\"info\"}"}"#.to_owned(), not_an_event),
        (r#"{"log":{"x":1},"message":7}"#.to_owned(), not_an_event),
        (r#"{"log":"{\"kind\":\"Ev"}"#.to_owned(), "log: not JSON: expected the end of a string at byte 11"),
        (
            format!(r#"{{"message":{}}}"#, quoted(&pod().replace(r#""verb":"get""#, r#""verb":1"#))),
            "message: verb has another type than in audit.k8s.io",
        ),
        // Nobody can tell which of two is meant.
        (format!(r#"{{"log":{0},"log":{0}}}"#, quoted(&pod())), not_an_event),
        (r#"{"records":[{"x":1}]}"#.to_owned(), not_an_event),
        (r#"{"items":[{"x":1}]}"#.to_owned(), not_an_event),
        (format!(r#"{{"records":[{{"records":[{}]}}]}}"#, pod()), not_an_event),
    ] {
        let (outcome, out) = filter(&record);
        assert_eq!(outcome, Outcome::PassedThrough, "{record}");
        let expected = format!(r#"{},"audit":{{"route":"#, record.strip_suffix('}').unwrap());
        assert!(out.starts_with(&expected) || out.contains(r#""audit":{"error""#), "{out}");
        let value: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["audit"]["error"], why, "{record}");
    }
}

#[test]
fn the_elements_of_a_list_are_found_and_an_event_has_none() {
    for (record, expected) in [
        (
            r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[ {"a":1} ,7]}"#,
            &[r#"{"a":1}"#, "7"][..],
        ),
        (r#"{"records":[{}]}"#, &["{}"]),
        (r#"{"logEvents":[]}"#, &[]),
        (r#"{"items":[{}]}"#, &[]),
        (r#"{"auditID":"a","records":[{}]}"#, &[]),
        ("[{}]", &[]),
        ("", &[]),
    ] {
        let found: Vec<_> =
            super::elements(record.as_bytes()).into_iter().map(|element| &record[element]).collect();
        assert_eq!(found, expected, "{record}");
    }
}

#[test]
fn a_list_of_nothing_much_does_not_grow_beyond_measure() {
    let record = format!(r#"{{"records":[{},{}{{}}]}}"#, pod(), "{},".repeat(100_000));
    let (outcome, out) = filter(&record);
    assert_eq!(outcome, Outcome::Kept);
    assert!(out.len() < 2 * record.len(), "{} of {}", out.len(), record.len());
}

#[test]
fn bytes_that_are_no_utf8_are_mended_in_any_shape() {
    let mut record = format!(r#"{{"log":{},"x":"?"}}"#, quoted(&pod())).into_bytes();
    let at = record.iter().rposition(|&byte| byte == b'?').unwrap();
    record[at] = 0xff;
    let mut out = Vec::new();
    assert_eq!(ENGINE.with_borrow_mut(|engine| engine.filter(&record, &mut out)), Outcome::Kept);
    let out: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&out["x"], &out["log"]), (&json!("\u{fffd}"), &json!(pod())));
    assert_eq!(out["audit"]["error"], "invalid UTF-8 replaced by U+FFFD");
}

/// The members of a record that nothing may change, with the bytes of their values.
fn untouchable(record: &str) -> Vec<(String, String)> {
    const TOUCHED: &[&str] =
        &["audit", "level", "log", "message", "properties", "items", "records", "logEvents", "protoPayload"];
    text::members(Raw(record.trim().as_bytes()))
        .map(|(name, value)| (name.to_str().into_owned(), String::from_utf8(value.0.to_vec()).unwrap()))
        .filter(|(name, _)| !TOUCHED.contains(&name.as_str()))
        .filter(|(name, _)| !name.starts_with("requestObject") && !name.starts_with("responseObject"))
        .collect()
}

/// Values that an event or what is around it may have, the odd ones too.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            pod(),
            lease(),
            pod_with_bodies(),
            "{\"kind\":".to_owned(),
            "[\"203.0.113.7\"]".to_owned(),
            "{} x".to_owned(),
            "k8s.io".to_owned(),
            "type.googleapis.com/google.cloud.audit.AuditLog".to_owned(),
            "io.k8s.core.v1.pods.exec.create".to_owned(),
            "core/v1/namespaces/shop/pods/web-0/exec".to_owned(),
            "ResponseComplete".to_owned(),
            "audit.k8s.io/v1".to_owned(),
            "EventList".to_owned(),
            "\"a \"b c\" d".to_owned(),
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Names by which shapes are told, and others.
fn name() -> impl Strategy<Value = String> {
    let known = "kind apiVersion items records logEvents protoPayload properties log message audit level auditID \
        stage verb user user.username user.groups objectRef objectRef.resource sourceIPs responseStatus.code \
        requestObject requestObject.metadata responseObject responseObject.kind annotations annotations.a.b \
        serviceName @type methodName resourceName authenticationInfo principalEmail authoritySelector status code \
        request response metadata managedFields process_exec process pod name namespace binary arguments k8s \
        k8s.pod.name k8s.pod process.name process.cmdline output_fields proc.cmdline eventId labels insertId";
    prop_oneof![
        8 => prop::sample::select(known.split_whitespace().map(str::to_owned).collect::<Vec<_>>()),
        1 => any::<String>(),
    ]
}

/// A record in one of the shapes, with something in it that may be an event.
fn record() -> impl Strategy<Value = String> {
    let object = prop::collection::vec((name(), value()), 0..12).prop_map(|members| {
        let members: Vec<_> =
            members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        format!("{{{}}}", members.join(","))
    });
    let event =
        prop_oneof![Just(pod()), Just(lease()), Just(pod_with_bodies()), object, Just("7".to_owned())];
    (prop::collection::vec(event, 1..4), 0..9_usize, value()).prop_map(|(events, shape, other)| {
        let first = &events[0];
        let wrapped = |event: &String| format!(r#"{{"id":1.0,"message":{}}}"#, quoted(event));
        let list = events.join(" , ");
        match shape {
            0 => first.clone(),
            1 => format!(r#"{{"a":{other},"log":{},"z":-0.0}}"#, quoted(first)),
            2 => format!(r#"{{"a":{other},"message":{first} }}"#),
            3 => format!(r#"{{"category":"kube-audit","properties":{{"x":{other},"log":{}}}}}"#, quoted(first)),
            4 => format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[ {list} ],"x":{other}}}"#),
            5 => format!(r#"{{"x":{other},"records":[{list}]}}"#),
            6 => {
                let events: Vec<_> = events.iter().map(wrapped).collect();
                format!(r#"{{"logEvents":[{}],"x":{other}}}"#, events.join(","))
            }
            7 => format!(
                r#"{{"protoPayload":{{"@type":"google.cloud.audit.AuditLog","serviceName":"k8s.io","methodName":"io.k8s.core.v1.pods.create","resourceName":"core/v1/pods","request":{first},"response":{other}}},"labels":{other}}}"#
            ),
            _ => format!(
                r#"{{"auditID":"1","stage":"Panic","user.username":"a","requestObject":{},"requestObject.x":{other},"responseObject":{first},"x":{other}}}"#,
                quoted(first)
            ),
        }
    })
}

proptest! {
    #[test]
    fn whatever_comes_in_json_comes_out_and_the_rest_stays(record in record()) {
        let (outcome, out) = filter(&record);
        prop_assert_eq!(outcome == Outcome::Dropped, out.is_empty());
        // A record that is none is put into a member of a new one.
        if outcome != Outcome::Dropped && record.starts_with('{') {
            prop_assert_eq!(untouchable(&out), untouchable(&record), "{}\n{}", record, out);
        }
    }

    #[test]
    fn damaged_records_come_out_as_json_too(
        record in record(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut record = record.into_bytes();
        for (at, byte) in damage {
            let at = at.index(record.len());
            record[at] = byte;
        }
        let mut out = Vec::new();
        let outcome = ENGINE.with_borrow_mut(|engine| engine.filter(&record, &mut out));
        prop_assert_eq!(outcome == Outcome::Dropped, out.is_empty());
        if !out.is_empty() {
            // Any number: serde_json's own are those that fit into its types.
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&out).is_ok();
            let is_object = out.starts_with(b"{");
            prop_assert!(std::str::from_utf8(&out).is_ok() && is_json && is_object);
        }
    }

    #[test]
    fn each_item_of_a_list_is_judged_alone(
        kept in prop::collection::vec(any::<bool>(), 0..12),
        shape in 0..3_usize,
    ) {
        let item = |(index, kept): (usize, &bool)| {
            let event = if *kept { pod() } else { lease() }.replace("a-1", &format!("a-{index}"));
            match shape {
                0 => event,
                1 => format!(r#"{{"properties":{{"log":{}}}}}"#, quoted(&event)),
                _ => format!(r#"{{"message":{}}}"#, quoted(&event)),
            }
        };
        let (before, name) =
            [(r#""kind":"EventList","apiVersion":"audit.k8s.io/v1","#, "items"), ("", "records"), ("", "logEvents")][shape];
        let items: Vec<_> = kept.iter().enumerate().map(item).collect();
        let (outcome, out) = filter(&format!(r#"{{{before}"{name}":[{}]}}"#, items.join(",")));
        // Each as it would have been alone.
        let expected: Vec<_> = items.iter().map(|item| filter(item).1).filter(|item| !item.is_empty()).collect();
        if kept.is_empty() {
            prop_assert_eq!(outcome, Outcome::PassedThrough);
        } else if expected.is_empty() {
            prop_assert_eq!(outcome, Outcome::Dropped);
        } else {
            prop_assert_eq!(out, format!(r#"{{{before}"{name}":[{}]}}"#, expected.join(",")));
        }
    }
}

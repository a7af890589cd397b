//! The module in wasmtime, the component and the engine compiled into this program give the same bytes, whatever they
//! are given.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use std::fs;

use end_to_end_tests::{filter, hosts, root};
use host_harness::generate::{Options, generate};
use host_harness::host::Host;
use serde_json::Value;

/// Everything is kept, bodies and all.
const KEEP_ALL: &str =
    "policy:\n  apiVersion: audit.k8s.io/v1\n  kind: Policy\n  rules: [{level: RequestResponse}]\n";

/// A record's name in a failure: its beginning.
fn name(record: &[u8]) -> String {
    String::from_utf8_lossy(record.get(..200).unwrap_or(record)).into_owned()
}

/// What all hosts make of a record, which is one thing.
fn agreed(hosts: &mut [(&str, Box<dyn Host>)], record: &[u8]) -> Option<Vec<u8>> {
    let mut answers = hosts.iter_mut().map(|(host, filtering)| (*host, filter(&mut **filtering, record)));
    let (first_host, first) = answers.next().unwrap();
    for (host, answer) in answers {
        assert!(
            answer == first,
            "on {}\n{first_host}: {}\n{host}: {}",
            name(record),
            name(first.as_deref().unwrap_or(b"dropped")),
            name(answer.as_deref().unwrap_or(b"dropped"))
        );
    }
    first
}

fn agree_on_log(configuration: &str, log: &[u8]) {
    let mut hosts = hosts(configuration);
    let mut kept = 0;
    let mut dropped = 0;
    for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match agreed(&mut hosts, line) {
            None => dropped += 1,
            Some(output) => {
                kept += 1;
                let output: Value = serde_json::from_slice(&output).unwrap();
                assert!(output.pointer("/audit/error").is_none(), "{} of {}", output, name(line));
            }
        }
    }
    assert!(kept > 0, "nothing kept of {}", kept + dropped);
}

fn generated(events: u64) -> Vec<u8> {
    let mut log = Vec::new();
    generate(&Options { events, seed: 7, ..Options::default() }, &mut log).unwrap();
    log
}

#[test]
fn on_a_generated_log_by_default() {
    agree_on_log("", &generated(2_000));
}

#[test]
fn on_a_generated_log_with_everything_kept() {
    agree_on_log(KEEP_ALL, &generated(2_000));
}

#[test]
fn on_the_sample_log() {
    agree_on_log(
        "output: {key: k8s_audit}\n",
        &fs::read(root().join("tests/fixtures/sample-audit.jsonl")).unwrap(),
    );
}

#[test]
fn on_alerts() {
    let log = fs::read(root().join("tests/fixtures/sample-audit.jsonl")).unwrap();
    let mut hosts = hosts(&format!("{KEEP_ALL}rules: {{correlationGroups: 5}}\n"));
    let mut alerts = 0;
    for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let output: Value = serde_json::from_slice(&agreed(&mut hosts, line).unwrap()).unwrap();
        alerts += output.pointer("/audit/alerts").and_then(Value::as_array).map_or(0, Vec::len);
    }
    assert!(alerts > 0, "no correlation of the sample log's story is complete");
}

/// What a hostile record is to become.
enum Becomes {
    /// An event that is kept, with its level and without an error.
    Kept,
    /// An event that is kept, and what is said about it.
    KeptSaying(&'static str),
    /// Something that goes on with this reason in `audit.error`, and no level.
    PassedThroughSaying(&'static str),
}

/// An audit event with a request body, and `more` among its members.
fn event(body: &str, more: &str) -> Vec<u8> {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"8d1c9a4e-0a54-4c43-9c5b-0d5d5c7e5f10","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/configmaps","verb":"create","user":{{"username":"jane","groups":["system:authenticated"]}},"sourceIPs":["192.0.2.1"],"objectRef":{{"resource":"configmaps","namespace":"a","name":"b","apiVersion":"v1"}},"responseStatus":{{"metadata":{{}},"code":201}},"requestObject":{body},"requestReceivedTimestamp":"2026-03-02T00:00:00.000000Z","stageTimestamp":"2026-03-02T00:00:00.100000Z"{more}}}"#
    )
    .into_bytes()
}

fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"a":["#.repeat(depth / 2), "]}".repeat(depth / 2))
}

#[test]
fn on_hostile_records_and_whatever_follows_them() {
    use Becomes::{Kept, KeptSaying, PassedThroughSaying};
    let large = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(8 << 20));
    let mut not_utf8 = event(r#"{"data":"?"}"#, "");
    let question_mark = not_utf8.iter().position(|byte| *byte == b'?').unwrap();
    *not_utf8.get_mut(question_mark).unwrap() = 0xff;
    let cut = event("{}", "");
    let cut = cut.get(..cut.len() / 2).unwrap().to_vec();

    let mut hosts = hosts(KEEP_ALL);
    let good = event(r#"{"data":{"a":"b"}}"#, "");
    let expected_of_good = agreed(&mut hosts, &good).unwrap();
    for (what, record, becomes) in [
        ("an event of 8 MiB", event(&large, ""), KeptSaying("too large for the rules")),
        (
            "no JSON",
            b"E1121 10:00:00.000000 1 server.go:1] no event".to_vec(),
            PassedThroughSaying("not JSON"),
        ),
        ("nothing", b"".to_vec(), PassedThroughSaying("not JSON")),
        ("a lone brace", b"{".to_vec(), PassedThroughSaying("not JSON")),
        ("an empty object", b"{}".to_vec(), PassedThroughSaying("not an audit event")),
        ("an array", b"[]".to_vec(), PassedThroughSaying("not a JSON object")),
        ("half an event", cut, PassedThroughSaying("not JSON")),
        ("two events", [good.clone(), good.clone()].concat(), PassedThroughSaying("not JSON")),
        ("a body nested 1,000 deep", event(&nested(1_000), ""), KeptSaying("too large for the rules")),
        ("a body nested 100,000 deep", event(&nested(100_000), ""), KeptSaying("too large for the rules")),
        ("a body of 100,000 open brackets", event(&"[".repeat(100_000), ""), PassedThroughSaying("not JSON")),
        (
            "nesting beside the body",
            event("{}", &format!(r#","annotations":{}"#, nested(100_000))),
            KeptSaying("too large for the rules"),
        ),
        ("invalid UTF-8 in a string", not_utf8, KeptSaying("UTF-8")),
        ("a NUL", b"{\"a\":\"\0\"}".to_vec(), PassedThroughSaying("not JSON")),
        ("an escaped NUL", event(r#"{"data":"\u0000"}"#, ""), Kept),
        ("a lone surrogate", event(r#"{"data":"\ud800"}"#, ""), Kept),
        ("a second level", event("{}", r#","level":"None""#), Kept),
        ("a second user", event("{}", r#","user":{"username":"system:admin"}"#), Kept),
        ("an audit member", event("{}", r#","audit":{"level":"None","route":"nowhere"}"#), Kept),
        ("a level that is none", event("{}", "").replace_once("RequestResponse", "Everything"), Kept),
    ] {
        let output = agreed(&mut hosts, &record).unwrap_or_else(|| panic!("{what} is dropped"));
        assert!(!output.contains(&b'\n') && !output.contains(&0), "{what}");
        let members = last_audit(&output);
        let level = members.get("level").and_then(Value::as_str);
        let error = members.get("error").and_then(Value::as_str);
        match becomes {
            Kept => assert!(level.is_some() && error.is_none(), "{what}: {members}"),
            KeptSaying(why) => {
                assert!(
                    level.is_some() && error.is_some_and(|error| error.contains(why)),
                    "{what}: {members}"
                );
            }
            PassedThroughSaying(why) => {
                assert!(
                    level.is_none() && error.is_some_and(|error| error.contains(why)),
                    "{what}: {members}"
                );
            }
        }
        assert!(agreed(&mut hosts, &good).as_ref() == Some(&expected_of_good), "after {what}");
    }
}

/// The filter's object: the output's last member. The output's other end may be nested too deep for `serde_json`.
fn last_audit(output: &[u8]) -> Value {
    let mark = b"\"audit\":";
    let start =
        output.windows(mark.len()).rposition(|window| window == mark).expect("there is an audit member");
    let rest = output.get(start + mark.len()..).unwrap();
    serde_json::from_slice(rest.strip_suffix(b"}").unwrap()).unwrap()
}

trait ReplaceOnce {
    fn replace_once(self, from: &str, to: &str) -> Self;
}

impl ReplaceOnce for Vec<u8> {
    fn replace_once(self, from: &str, to: &str) -> Self {
        String::from_utf8(self).unwrap().replacen(from, to, 1).into_bytes()
    }
}

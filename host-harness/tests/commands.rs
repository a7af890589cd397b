//! The commands that answer questions, from outside: what they say, on which stream, and how they end.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Rules begin on the lines 5, 7 and 9.
const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [kubelet]
- level: Request
  resources: [{group: '', resources: [pods, pods/exec]}]
- level: Metadata
  verbs: [delete]
";

/// An event of the user, who does the verb to a resource of namespace shop; `more` are members.
fn event(id: &str, user: &str, verb: &str, resource: &str, more: &str) -> String {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"{id}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/{resource}/x/{subresource}?command=id","verb":"{verb}","user":{{"username":"{user}","groups":["system:authenticated"]}},"sourceIPs":["192.0.2.7","10.0.0.1"],"objectRef":{{"resource":"{resource}","subresource":"{subresource}","namespace":"shop","name":"x","apiVersion":"v1"}},"responseStatus":{{"code":200}}{more}}}"#
    )
}

/// Runs a command in a directory: its status, stdout and stderr.
fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_host-harness"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        fs::write(directory.path().join(name), contents).unwrap();
    }
    directory
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let unreachable = format!("{POLICY}- level: None\n  verbs: [delete]\n");
    let directory = directory(&[
        ("policy.yaml", POLICY),
        ("odd.yaml", &unreachable),
        ("no-policy.yaml", "kind: Policy\nrules: [{level: Everything}]\n"),
        ("good.yaml", "policyFile: policy.yaml\nroutes: [{name: siem, when: {verb: get}}, {name: rest}]\n"),
        ("wrong.yaml", "polcy: {}\nomitResponseCodes: [7]\n"),
    ]);
    for (arguments, status, expected) in [
        (
            &["check"][..],
            0,
            &["checked the built-in defaults: ", " policy rules, ", " Sigma rules, 1 route; no problems"][..],
        ),
        (&["check", "--policy", "minimal"], 0, &["checked built-in policy minimal: "]),
        (&["check", "--policy", "policy.yaml"], 0, &["checked policy.yaml: 3 policy rules, "]),
        (&["check", "--policy", "odd.yaml"], 0, &["odd.yaml:11: warning: rules[3]: ", "; 2 warnings\n"]),
        (
            &["check", "--config", "good.yaml"],
            0,
            &["checked good.yaml, policy.yaml: 3 policy rules, ", " 2 routes; 1 warning\n"],
        ),
        (
            &["check", "--config", "wrong.yaml"],
            2,
            &[
                "wrong.yaml:1: error: polcy: ",
                "wrong.yaml:2: error: omitResponseCodes[0]: ",
                "cannot be used; 2 errors\n",
            ],
        ),
        (
            &["check", "--policy", "no-policy.yaml"],
            2,
            &["no-policy.yaml:2: error: rules[0].level: ", "cannot be used"],
        ),
        (&["check", "--config", "wrong.yaml", "--policy", "odd.yaml"], 2, &["2 errors, 2 warnings\n"]),
        (
            &["check", "--config", "absent.yaml"],
            2,
            &["cannot read the configuration absent.yaml: No such file"],
        ),
        (&["check", "--policy", "maximal"], 2, &["maximal", "built in are ack-default, "]),
    ] {
        let (found, stdout, stderr) = run(directory.path(), arguments);
        assert_eq!((found, &*stdout), (status, ""), "{arguments:?}: {stderr}");
        for part in expected {
            assert!(stderr.contains(part), "{arguments:?} does not say {part:?}:\n{stderr}");
        }
    }
}

/// Who deletes three things within a minute.
const CORRELATION: &str = "title: Three Deletions
id: three-deletions
level: high
correlation:
  type: event_count
  rules: [deletion]
  group-by: [audit.operator]
  timespan: 1m
  condition: {gte: 3}
---
title: Deletion
id: '1'
name: deletion
level: low
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: delete}
  condition: selection
";

#[test]
fn check_judges_rules_by_the_events_beside_them() {
    let events = "base: &base {verb: delete, user: {username: jane}}
match:
  - {why: one of its own rules, event: *base}
  - {why: three, events: [{event: *base, times: 3, every: 29s}]}
miss:
  - {why: two, events: [{event: *base, times: 2}]}
";
    let wrong = "match:
  - why: too slowly
    events: [{event: {verb: delete, user: {username: jane}}, times: 3, every: 30}]
miss:
  - why: no deletion
    event: {verb: get}
  - why: four
    events: [{event: {verb: delete, user: {username: jane}}, times: 4}]
  - {why: nothing}
";
    for (events, status, expected) in [
        (Some(events), 0, &["2 Sigma rules, 1 route, 3 test cases; no problems"][..]),
        (None, 0, &["2 Sigma rules, 1 route; no problems"]),
        (
            Some(wrong),
            2,
            &[
                "mine.events.yml:2: error: match[0]: too slowly: no correlation of the file fires on any of the 3 events",
                "mine.events.yml:7: error: miss[1]: four: fires on event [3] of 4, and is not to",
                "mine.events.yml:9: error: miss[2]: nothing: expected one of `event` and `events`",
                "4 test cases; 3 errors",
            ],
        ),
        (Some("matches: []\n"), 2, &["mine.events.yml:1: error: no test events"]),
    ] {
        let mut files =
            vec![("filter.yaml", "rules: {builtin: false, files: ['*.yml']}\n"), ("mine.yml", CORRELATION)];
        files.extend(events.map(|events| ("mine.events.yml", events)));
        let directory = directory(&files);
        let (found, _, stderr) = run(directory.path(), &["check", "--config", "filter.yaml"]);
        assert_eq!(found, status, "{stderr}");
        for part in expected {
            assert!(stderr.contains(part), "does not say {part:?}:\n{stderr}");
        }
    }
}

#[test]
fn run_tries_a_rule_and_shows_what_it_hits() {
    let at = |id: &str, user: &str, verb: &str, second: u32| {
        let time = format!(r#","stageTimestamp":"2026-03-02T08:00:{second:02}Z""#);
        event(id, user, verb, "secrets", &time)
    };
    let log = [
        at("a-1", "jane", "delete", 0),
        at("a-2", "jane", "get", 1),
        at("a-3", "mary", "delete", 2),
        at("a-4", "jane", "delete", 3),
        at("a-5", "jane", "delete", 4),
        at("a-6", "jane", "delete", 5),
    ];
    let loud = CORRELATION.replacen("level: high\n", "level: high\ngenerate: true\n", 1);
    let own = "title: Secrets\nid: s\nlevel: low\nlogsource: {product: kubernetes}\n\
               detection: {selection: {verb: get}, condition: selection}\n";
    let wrong = CORRELATION.replace("timespan: 1m", "timespan: soon");
    let directory = directory(&[
        ("audit.log", &log.join("\n")),
        ("quiet.yml", CORRELATION),
        ("loud.yml", &loud),
        ("own.yml", own),
        ("wrong.yml", &wrong),
        ("policy.yaml", POLICY),
    ]);
    let alert = "audit.log:5: alert, high: Three Deletions (three-deletions): 3 within 60 s for \
                 {\"audit.operator\":\"jane\"}: jane ";
    for (arguments, status, ids, expected) in [
        (&["--rule", "quiet.yml"][..], 0, &["a-5"][..], &[alert, "1 of 6 events hit"][..]),
        (
            &["--rule", "loud.yml"],
            0,
            &["a-1", "a-3", "a-4", "a-5", "a-6"],
            &[alert, "audit.log:3: Deletion: mary ", "5 of 6 events hit", "5  Deletion (1)"],
        ),
        (&["--rule", "own.yml"], 0, &["a-2"], &["audit.log:2: Secrets: jane "]),
        // The policy has no rule for reading secrets.
        (&["--rule", "own.yml", "--policy", "policy.yaml"], 0, &[], &["0 of 6 events hit"]),
        (&["--rule", "wrong.yml"], 2, &[], &["wrong.yml:8: error: correlation.timespan: "]),
        (&["--rule", "absent.yml"], 2, &[], &["cannot read absent.yml"]),
        (&["--rule", "own.yml", "--engine", "native"], 2, &[], &["cannot be used with"]),
    ] {
        let arguments: Vec<&str> =
            ["run"].iter().chain(arguments).chain(&["audit.log", "--stats", "stats.json"]).copied().collect();
        let (found, stdout, stderr) = run(directory.path(), &arguments);
        assert_eq!(found, status, "{arguments:?}: {stderr}");
        let hit: Vec<String> = stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|record| record.get("auditID").unwrap().as_str().unwrap().to_owned())
            .collect();
        assert_eq!(hit, ids, "{arguments:?}: {stderr}");
        for part in expected {
            assert!(stderr.contains(part), "{arguments:?} does not say {part:?}:\n{stderr}");
        }
    }
    let statistics = fs::read(directory.path().join("stats.json")).unwrap();
    let statistics: Value = serde_json::from_slice(&statistics).unwrap();
    assert_eq!(statistics.get("read").unwrap(), 6);
}

#[test]
fn explain_tells_of_alerts() {
    let at = |id: &str, second: u32| {
        event(
            id,
            "jane",
            "delete",
            "secrets",
            &format!(r#","stageTimestamp":"2026-03-02T08:00:{second:02}Z""#),
        )
    };
    let log: Vec<String> = (0..3).map(|second| at(&format!("a-{second}"), second)).collect();
    let directory = directory(&[
        ("audit.log", &log.join("\n")),
        ("policy.yaml", POLICY),
        ("mine.yml", CORRELATION),
        ("filter.yaml", "policyFile: policy.yaml\nrules: {builtin: false, files: [mine.yml]}\n"),
    ]);
    // What comes before the event is followed, though it is not told.
    let arguments = ["explain", "--config", "filter.yaml", "--audit-id", "a-2", "audit.log"];
    let (status, stdout, stderr) = run(directory.path(), &arguments);
    assert_eq!(status, 0, "{stderr}");
    let alert = "  alerts    high: Three Deletions (three-deletions): 3 within 60 s for {\"audit.operator\":\"jane\"}\n";
    assert!(stdout.contains(alert), "{stdout}");
    assert!(stdout.contains("  rules     none holds\n"), "{stdout}");
    let (_, stdout, _) = run(directory.path(), &[&arguments[..], &["--format", "json"]].concat());
    let story: Value = serde_json::from_str(&stdout).unwrap();
    let alert = story.pointer("/alerts/0").unwrap();
    assert_eq!(
        (alert.get("title").unwrap(), alert.get("line").unwrap()),
        (&"Three Deletions".into(), &1.into())
    );
}

#[test]
fn check_lists_problems_for_programs() {
    let directory = directory(&[("wrong.yaml", "polcy: {}\n")]);
    let (status, stdout, stderr) =
        run(directory.path(), &["check", "--config", "wrong.yaml", "--format", "json"]);
    let list: Value = serde_json::from_str(&stdout).unwrap();
    let first = list.get(0).unwrap();
    assert_eq!((status, list.as_array().map(Vec::len)), (2, Some(1)), "{stdout}");
    assert_eq!(first.get("severity").unwrap(), "error");
    assert_eq!(first.get("file").unwrap(), "wrong.yaml");
    assert_eq!(first.get("line").unwrap(), 1);
    assert_eq!(first.get("field").unwrap(), "polcy");
    assert!(first.get("message").unwrap().as_str().unwrap().contains("policyFile"), "{first}");
    assert_eq!(stderr, "host-harness: checked wrong.yaml: cannot be used; 1 error\n");

    let (status, stdout, _) = run(directory.path(), &["check", "--policy", "minimal", "--format", "json"]);
    assert_eq!((status, &*stdout), (0, "[]\n"));
}

#[test]
fn explain_tells_each_event_its_story() {
    let log = [
        event("a-1", "jane", "get", "pods/exec", r#","responseObject":{"metadata":{}}"#),
        event("a-2", "kubelet", "get", "pods", ""),
        event("a-3", "jane", "get", "nodes", ""),
        "no event".to_owned(),
        event("a-4", "jane\\u001b[2J", "delete", "nodes", ""),
    ];
    let directory = directory(&[
        ("audit.log", &log.join("\n")),
        ("policy.yaml", POLICY),
        ("filter.yaml", "policyFile: policy.yaml\nnetwork: {trustedProxies: [10.0.0.0/8]}\n"),
    ]);
    for (id, expected) in [
        (
            "a-1",
            &[
                "audit.log:1: jane ran [id]",
                "event     a-1, ResponseComplete, written at RequestResponse",
                "policy    rule 0 (line 5, None) is ruled out by users: the event has user \"jane\"",
                "rule 1 (line 7, Request) matches",
                "level     Request\n",
                "cut       responseObject (15 bytes)",
                "operator  jane (user): the user who authenticated",
                "source    192.0.2.7 (public): from the right, the first of 192.0.2.7,10.0.0.1 that is no trusted proxy",
                "action    access on the resource class compute; it succeeded",
                "exec      [\"id\"]",
                "rules     ",
                "route     default",
                "fate      kept at Request by rule 1 at line 7 of policy.yaml; ",
            ][..],
        ),
        (
            "a-2",
            &[
                "policy    rule 0 (line 5, None) matches",
                "fate      dropped by rule 0 at line 5 of policy.yaml\n",
            ],
        ),
        (
            "a-3",
            &[
                "rule 2 (line 9, Metadata) is ruled out by verbs: the event has verb \"get\"",
                "no rule of policy.yaml matches, which means None",
                "fate      dropped because no rule of policy.yaml matches\n",
            ],
        ),
        (
            "a-4",
            &[
                "operator  jane\u{fffd}[2J (user)",
                "cut       nothing",
                "fate      kept at Metadata by rule 2",
            ],
        ),
    ] {
        let arguments = ["explain", "--config", "filter.yaml", "--audit-id", id, "audit.log"];
        let (status, stdout, stderr) = run(directory.path(), &arguments);
        assert_eq!((status, &*stderr), (0, ""), "{id}");
        for part in expected {
            assert!(stdout.contains(part), "{id}: no {part:?} in\n{stdout}");
        }
        assert!(!stdout.contains('\u{1b}'), "{stdout}");
        assert_eq!(stdout.matches("fate ").count(), 1, "{stdout}");
    }

    let (_, stdout, _) = run(directory.path(), &["explain", "--policy", "policy.yaml", "audit.log"]);
    assert_eq!(stdout.matches("  fate ").count(), log.len());
    assert!(
        stdout
            .contains("audit.log:4: no audit event\n  fate      passed through, since it is no audit event"),
        "{stdout}"
    );
    let (_, stdout, _) = run(directory.path(), &["explain", "--limit", "2", "audit.log"]);
    assert_eq!(stdout.matches("  fate ").count(), 2);
    let (status, stdout, stderr) = run(directory.path(), &["explain", "--audit-id", "b", "audit.log"]);
    assert_eq!((status, &*stdout, &*stderr), (1, "", "host-harness: no event has the auditID b\n"));
}

#[test]
fn explain_looks_into_lists() {
    let (deleted, watched) =
        (event("a-1", "jane", "delete", "pods", ""), event("a-2", "kubelet", "get", "pods", ""));
    let cloud_watch = |event: &str| serde_json::json!({"id": "1", "message": event}).to_string();
    let log = [
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{deleted}, {watched}, 7]}}"#),
        format!(r#"{{"logEvents":[{},{}]}}"#, cloud_watch(&watched), cloud_watch(&deleted)),
        format!(r#"{{"records":[{}]}}"#, serde_json::json!({"properties": {"log": deleted}})),
        deleted.clone(),
    ];
    let directory = directory(&[("audit.log", &log.join("\n")), ("policy.yaml", POLICY)]);
    let told = |more: &[&str]| {
        let arguments = ["explain", "--policy", "policy.yaml", "--stats", "stats.json", "audit.log"];
        let (status, stdout, stderr) = run(directory.path(), &[&arguments[..], more].concat());
        assert_eq!((status, &*stderr), (0, ""));
        stdout
    };
    let by_program = |more: &[&str], member: &str| -> Vec<Value> {
        told(&[&["--format", "json"], more].concat())
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|story| story.get(member).cloned().unwrap_or_default())
            .collect()
    };

    let text = told(&[]);
    for beginning in [
        "audit.log:1: item 1: jane deleted pod shop/x ",
        "audit.log:1: item 2: kubelet ",
        "audit.log:1: item 3: no audit event",
        "audit.log:2: item 1: kubelet ",
        "audit.log:2: item 2: jane ",
        // The only one of a list, and an event on its own.
        "audit.log:3: jane ",
        "audit.log:4: jane ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(beginning)), "no {beginning:?} in\n{text}");
    }
    let (kept, dropped, passed_through) = ("kept", "dropped", "passed-through");
    assert_eq!(by_program(&[], "fate"), [kept, dropped, passed_through, dropped, kept, kept, kept]);
    let items = [1.into(), 2.into(), 3.into(), 1.into(), 2.into(), Value::Null, Value::Null];
    assert_eq!(by_program(&[], "item"), items);
    assert_eq!(by_program(&["--audit-id", "a-2"], "line"), [1, 2]);
    assert_eq!(by_program(&["--limit", "4"], "line"), [1, 1, 1, 2]);
    let stats: Value =
        serde_json::from_slice(&fs::read(directory.path().join("stats.json")).unwrap()).unwrap();
    assert_eq!(stats.get("read").unwrap(), 4);
}

#[test]
fn explain_speaks_to_programs() {
    let log = [
        event("a-1", "jane", "delete", "pods", ""),
        event("a-2", "kubelet", "get", "pods", ""),
        "{}".to_owned(),
    ];
    let directory = directory(&[("audit.log", &log.join("\n")), ("policy.yaml", POLICY)]);
    let arguments =
        ["explain", "--policy", "policy.yaml", "--format", "json", "--stats", "stats.json", "audit.log"];
    let (status, stdout, _) = run(directory.path(), &arguments);
    let stories: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all = |pointer: &str| -> Vec<Value> {
        stories.iter().map(|story| story.pointer(pointer).cloned().unwrap_or_default()).collect()
    };
    assert_eq!(status, 0);
    assert_eq!(all("/fate"), ["kept", "dropped", "passed-through"]);
    assert_eq!(all("/audit_id"), [Value::from("a-1"), "a-2".into(), Value::Null]);
    assert_eq!(all("/policy/line"), [Value::from(7), 5.into(), Value::Null]);
    assert_eq!(
        all("/policy/considered/0/event_has"),
        [Value::from("user \"jane\""), Value::Null, Value::Null]
    );
    assert_eq!(all("/audit/operator"), [Value::from("jane"), "kubelet".into(), Value::Null]);
    let stats: Value =
        serde_json::from_slice(&fs::read(directory.path().join("stats.json")).unwrap()).unwrap();
    for (name, expected) in [("read", 3), ("kept", 1), ("dropped", 1), ("passed_through", 1)] {
        assert_eq!(stats.get(name).unwrap(), expected, "{name}");
    }
}

/// What the policies keep of the same events: A by `POLICY`, B only what is done to pods, at Metadata, and by kubelet.
const OTHER_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  resources: [{group: '', resources: [pods]}]
- level: Metadata
  users: [kubelet]
";

/// A rule that holds on what is done to nodes.
const RULE: &str = "title: Node Touched
id: node-touched
logsource: {product: kubernetes, service: audit}
detection: {selection: {objectRef.resource: nodes}, condition: selection}
level: high
";

fn compared() -> tempfile::TempDir {
    let lost = event("a-1", "jane", "delete", "nodes", "");
    let log = [
        lost.clone(),
        event("a-2", "kubelet", "get", "nodes", ""),
        event("a-3", "jane", "get", "pods", r#","requestObject":{"a":1}"#),
        "no event".to_owned(),
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{lost},{lost}]}}"#),
    ];
    directory(&[
        ("audit.log", &log.join("\n")),
        ("a.yaml", POLICY),
        ("b.yaml", OTHER_POLICY),
        ("rule.yml", RULE),
        ("filter.yaml", "rules: {builtin: false, files: [rule.yml]}\n"),
    ])
}

#[test]
fn compare_says_what_a_change_of_policy_does() {
    let directory = compared();
    let shared = ["compare", "--engine", "native", "--config", "filter.yaml", "--policy", "a.yaml"];
    let with = |more: &[&'static str]| [&shared[..], more].concat();

    let arguments = with(&["--policy", "b.yaml", "--stats", "stats.json", "--format", "json", "audit.log"]);
    let (status, stdout, stderr) = run(directory.path(), &arguments);
    assert_eq!((status, &*stderr), (0, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let stats: Value =
        serde_json::from_slice(&fs::read(directory.path().join("stats.json")).unwrap()).unwrap();
    let example = serde_json::json!({
        "audit_id": "a-1", "severity": "high",
        "message": "jane deleted node shop/x from 10.0.0.1: 200",
    });
    for (pointer, expected) in [
        ("/policies", serde_json::json!(["a.yaml", "b.yaml"])),
        ("/read", 6.into()),
        ("/kept", serde_json::json!([5, 3])),
        ("/passed_through", 1.into()),
        ("/by_resource/rows/0/name", "nodes".into()),
        ("/by_resource/rows/0/read", 4.into()),
        ("/by_resource/rows/0/kept", serde_json::json!([3, 1])),
        ("/by_verb/rows/0/name", "delete".into()),
        ("/by_user/rows/0/name", "jane".into()),
        ("/by_user/rows/0/kept", serde_json::json!([4, 1])),
        ("/lost/events", 3.into()),
        ("/lost/with_rules", 3.into()),
        (
            "/lost/by_rule",
            serde_json::json!([
                {"id": "node-touched", "title": "Node Touched", "severity": "high", "events": 3}
            ]),
        ),
        ("/lost/examples/0", example),
        ("/gained/events", 1.into()),
        ("/gained/examples/0/audit_id", "a-2".into()),
        ("/lowered/events", 1.into()),
        ("/lowered/with_rules", 0.into()),
        ("/raised/events", 0.into()),
    ] {
        assert_eq!(report.pointer(pointer), Some(&expected), "{pointer} in {report:#}");
    }
    // All that came in is in some row, and the rows agree with the summaries.
    for table in ["by_resource", "by_verb", "by_user"] {
        let rows = report.pointer(&format!("/{table}/rows")).unwrap().as_array().unwrap();
        for (column, total) in [("/read", "/read"), ("/bytes_out/0", "/bytes_out/0")] {
            let sum: u64 = rows.iter().map(|row| row.pointer(column).unwrap().as_u64().unwrap()).sum();
            assert_eq!(Some(sum), report.pointer(total).unwrap().as_u64(), "{table}{column}");
        }
    }
    for side in [0, 1] {
        assert_eq!(
            stats.pointer(&format!("/{side}/bytes_out")),
            report.pointer(&format!("/bytes_out/{side}")),
        );
    }

    let (status, stdout, _) =
        run(directory.path(), &with(&["--policy", "b.yaml", "--top", "1", "audit.log"]));
    assert_eq!(status, 0);
    for part in [
        "A is a.yaml, B is b.yaml\n",
        "\nnodes                              4           3           1 ",
        "\nothers                             2           2           2 ",
        "\nall                                6           5           3 ",
        "\nlost: dropped by B only\n  events 3, bytes ",
        "\n           3  high           Node Touched (node-touched)\n  such as a-1: jane deleted node ",
        "\nraised: kept by both, B at a higher level\n  no event\n",
    ] {
        assert!(stdout.contains(part), "no {part:?} in\n{stdout}");
    }
}

#[test]
fn compare_takes_two_policies() {
    let directory = compared();
    for (policies, expected) in [
        (&[][..], "compare takes two policies, not 0: name them with --policy A --policy B"),
        (&["a.yaml"], "compare takes two policies, not 1: "),
        (&["a.yaml", "b.yaml", "gke"], "compare takes two policies, not 3: "),
        (&["a.yaml", "absent.yaml"], "cannot read the policy absent.yaml: "),
    ] {
        let mut arguments = vec!["compare", "--engine", "native", "audit.log"];
        arguments.extend(policies.iter().flat_map(|policy| ["--policy", policy]));
        let (status, stdout, stderr) = run(directory.path(), &arguments);
        assert_eq!((status, &*stdout), (2, ""), "{policies:?}");
        assert!(stderr.contains(expected), "{policies:?}: {stderr}");
    }
}

//! The module in WAMR as Fluent Bit sets it up: the default sizes, and what happens after a trap.
#![cfg(feature = "wamr")]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::fmt::Write as _;

use end_to_end_tests::{filter, hosts_with, wamr};
use host_harness::configuration::{Configuration, FileSet};
use host_harness::generate::{Options, generate};

/// A configuration larger than anybody's, of every kind of thing that is read at start, with rules that use everything
/// that rules may use.
fn large_configuration() -> FileSet {
    let mut yaml = "policyFile: policies/large.yaml\nomitResponseCodes: [404, 409]\nkeepSeverity: high\n\
        network: {trustedProxies: [10.0.0.0/8], highRiskFiles: [bad.txt]}\nrules: {files: ['rules/*.yml']}\nroutes:\n"
        .to_owned();
    for n in 0..50 {
        writeln!(
            yaml,
            "- {{name: route-{n}, when: {{user.username|contains: team-{n}-, verb|re: '^(get|l.*t)$'}}}}"
        )
        .unwrap();
    }
    yaml.push_str("- {name: rest}\n");
    let mut policy =
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n".to_owned();
    for n in 0..500 {
        writeln!(policy, "- level: None\n  users: ['system:serviceaccount:ns-{n}:sa']\n  verbs: [get, list]\n  namespaces: [ns-{n}]\n  resources: [{{group: 'g{n}.example.com', resources: ['r{n}', 'r{n}/status']}}]").unwrap();
    }
    policy.push_str("- level: RequestResponse\n");
    let mut bad = String::new();
    for n in 0..2_000 {
        writeln!(bad, "198.18.{}.{}", n / 256, n % 256).unwrap();
    }
    let mut files = FileSet::default();
    files.insert("audit-filter.yaml", yaml);
    files.insert("policies/large.yaml", policy);
    files.insert("bad.txt", bad);
    for n in 0..40 {
        let nested = format!("{}selection{}", "not (".repeat(10), ")".repeat(10));
        let rule = format!(
            "title: Own rule {n}\nid: 00000000-0000-4000-8000-{n:012}\nlogsource: {{product: kubernetes, service: audit}}\n\
             detection:\n  selection:\n    user.username|re: '^(a|b+|[c-f]{{2,8}})[^x]*(y|z)?{n}$'\n    \
             objectRef.name|contains|all: [a{n}, b, c]\n  other_a:\n    sourceIPs|cidr: [198.51.{n}.0/24, '2001:db8:{n}::/48']\n  \
             other_b: [text{n}, '*wild*card?{n}']\n  condition: {nested} or 1 of other_*\nlevel: low\n"
        );
        files.insert(format!("rules/own-{n}.yml"), rule);
    }
    files
}

/// What an attacker can have logged, and what is simply large.
fn hostile_records() -> Vec<Vec<u8>> {
    let event = |body: &str, uri: &str| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"1","stage":"ResponseComplete","requestURI":"{uri}","verb":"create","user":{{"username":"cccccy7","groups":["system:authenticated"]}},"sourceIPs":["198.18.0.7","198.51.3.1"],"userAgent":"{}","objectRef":{{"resource":"pods","namespace":"a","name":"a1bc","apiVersion":"v1"}},"responseStatus":{{"code":201}},"requestObject":{body},"stageTimestamp":"2026-03-02T00:00:00.100000Z"}}"#,
            "wildxcard".repeat(1_000)
        )
        .into_bytes()
    };
    let pod = |containers: usize| {
        let container = r#"{"name":"c","securityContext":{"privileged":true,"capabilities":{"add":["SYS_ADMIN"]}},"env":[{"name":"PASSWORD","value":"x"}]}"#;
        format!(
            r#"{{"kind":"Pod","spec":{{"hostPID":true,"volumes":[{{"hostPath":{{"path":"/"}}}}],"containers":[{}]}}}}"#,
            vec![container; containers].join(",")
        )
    };
    let nested = |depth: usize| format!("{}1{}", r#"{"a":["#.repeat(depth), "]}".repeat(depth));
    let list = vec![
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"2","stage":"ResponseComplete","verb":"get","requestURI":"/"}"#;
        500
    ];
    vec![
        event("{}", "/api/v1/namespaces/a/pods"),
        event(&pod(1), "/api/v1/namespaces/a/pods"),
        event(&pod(2_000), "/api/v1/namespaces/a/pods"),
        event(&nested(30), "/"),
        event(&nested(50_000), "/"),
        event(&format!(r#"{{"data":"{}"}}"#, "x\\u0000\\\"".repeat(200_000)), "/"),
        event(
            "{}",
            &format!("/api/v1/namespaces/a/pods/b/exec?{}", "command=%73h&command=-c&".repeat(5_000)),
        ),
        "[".repeat(100_000).into_bytes(),
        b"{\"a\":\xff\xfe}".to_vec(),
        vec![b'"'; 50_000],
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{}]}}"#, list.join(","))
            .into_bytes(),
        format!(r#"{{"log":{:?}}}"#, String::from_utf8_lossy(&event(&pod(3), "/"))).into_bytes(),
        b"".to_vec(),
    ]
}

fn log(events: u64) -> Vec<Vec<u8>> {
    let mut log = Vec::new();
    generate(&Options { events, seed: 5, ..Options::default() }, &mut log).unwrap();
    log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

#[test]
fn wamr_at_the_default_sizes_takes_a_large_configuration_and_hostile_records() {
    let files = large_configuration();
    let config = files.load().unwrap_or_else(|error| panic!("{error}"));
    let mut hosts = hosts_with(Configuration { config, files });
    let mut records = hostile_records();
    records.extend(log(300));
    for record in &records {
        let mut answers = hosts.iter_mut().map(|(name, host)| (*name, filter(&mut **host, record)));
        let (_, expected) = answers.next().unwrap();
        for (name, answer) in answers {
            assert!(answer == expected, "{name} on {:.300}", String::from_utf8_lossy(record));
        }
    }
}

/// Rules and a route in which everything nests as deep as it may: expressions, YAML, conditions.
fn deepest_configuration() -> FileSet {
    const EXPRESSIONS: [&str; 4] = [
        r"(a(b([^\w\s.]\d|c)d)+|e)x",
        r"^(a|(b|(c|[^\s\w]+)d)e)f$",
        r"((([[:alpha:]\d_-]+)))",
        r"((\S{2,5}){2}\b)?z",
    ];
    let mut files = FileSet::default();
    let route =
        |(n, expression)| format!("- {{name: route-{n}, when: {{audit.operator|re: '{expression}'}}}}\n");
    let routes: String = EXPRESSIONS.iter().enumerate().map(route).collect();
    files.insert(
        "audit-filter.yaml",
        format!("rules: {{files: ['rules/*.yml']}}\nroutes:\n{routes}- {{name: rest}}\n"),
    );
    let nested = |open: &str, within: &str, close: &str, depth: usize| {
        format!("{}{within}{}", open.repeat(depth), close.repeat(depth))
    };
    for (n, expression) in EXPRESSIONS.iter().enumerate() {
        let rule = format!(
            "title: Own rule {n}\nid: 00000000-0000-4000-8000-{n:012}\nlogsource: {{product: kubernetes, service: audit}}\n\
             custom: {}\ndetection:\n  selection:\n  - requestURI|re: '{expression}'\n  - user.username|re|i|m|s: '{expression}'\n  \
             condition: {}\nlevel: low\n",
            nested("{a: ", "1", "}", 31),
            nested("(", "selection", ")", 60),
        );
        files.insert(format!("rules/own-{n}.yml"), rule);
    }
    files
}

#[test]
fn wamr_at_the_default_sizes_takes_what_nests_as_deep_as_it_may() {
    let files = deepest_configuration();
    let config = files.load().unwrap_or_else(|error| panic!("{error}"));
    let mut hosts = hosts_with(Configuration { config, files });
    for record in log(50) {
        let mut answers = hosts.iter_mut().map(|(_, host)| filter(&mut **host, &record));
        let expected = answers.next().unwrap();
        assert!(answers.all(|answer| answer == expected), "{:.300}", String::from_utf8_lossy(&record));
    }
}

#[test]
fn wamr_compiles_what_an_event_first_wants_beneath_a_list_as_well() {
    // Nowhere is the stack deeper when an expression of a built-in rule is compiled.
    let in_a_list = |event: Vec<u8>| {
        [&br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":["#[..], &event, b"]}"].concat()
    };
    let mut hosts =
        hosts_with(Configuration { config: FileSet::default().load().unwrap(), files: FileSet::default() });
    for record in log(3_000).into_iter().map(in_a_list) {
        let mut answers = hosts.iter_mut().map(|(_, host)| filter(&mut **host, &record));
        let expected = answers.next().unwrap();
        assert!(answers.all(|answer| answer == expected), "{:.300}", String::from_utf8_lossy(&record));
    }
}

#[test]
fn wamr_goes_on_after_traps_with_a_whole_stack() {
    let mut host = wamr(&FileSet::default());
    let records = log(100);
    let before: Vec<_> = records.iter().map(|record| filter(&mut host, record)).collect();
    // A record where no memory is makes the filter trap in the middle of its work. Were the stack not whole again after
    // each, it would be used up.
    for _ in 0..2_000 {
        let trap = host.instance().call(c"audit_filter", [0, 0, 0, 0, 0xf000_0000, 1 << 20]).unwrap_err();
        assert!(trap.contains("out of bounds memory access"), "{trap}");
    }
    let after: Vec<_> = records.iter().map(|record| filter(&mut host, record)).collect();
    assert!(before == after);
}

#[test]
fn wamr_keeps_its_memory_whether_the_host_frees_or_not() {
    let records = log(300);
    for frees in [true, false] {
        let mut host = wamr(&FileSet::default());
        let mut pass = || {
            for record in &records {
                let instance = host.instance();
                let tag = instance.hand_over(b"tag\0").unwrap();
                let start = instance.hand_over(&[record, &b"\0"[..]].concat()).unwrap();
                let length = u32::try_from(record.len()).unwrap();
                let result = instance.call(c"audit_filter", [tag, 3, 0, 0, start, length]).unwrap();
                instance.string(result).unwrap();
                if frees {
                    instance.free(start);
                    instance.free(tag);
                }
            }
            host.instance().memory_bytes()
        };
        // In the first pass expressions are compiled that events want, and after each all is learnt anew.
        pass();
        let warm = pass();
        for _ in 0..3 {
            assert_eq!(pass(), warm, "host frees: {frees}");
        }
    }
}

#[test]
fn wamr_refuses_a_wrong_configuration() {
    let mut files = FileSet::default();
    files.insert("audit-filter.yaml", "polcy: {}\n");
    let limits = host_harness::host::wasmtime::Limits::default();
    let Err(error) =
        host_harness::host::wamr::WamrHost::new("test.wasm", end_to_end_tests::module(), &files, limits)
    else {
        panic!("it starts")
    };
    assert!(format!("{error:#}").contains("cannot run test.wasm in WAMR"), "{error:#}");
}

//! What a generated log promises: the same bytes for ever, the shape of real audit events, a believable mix, and
//! everything that detections are about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use super::*;

fn log(options: &Options) -> String {
    let mut out = Vec::new();
    generate(options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A log that is long enough for shares and percentiles, made once: the tests look at it from different sides.
fn day() -> &'static str {
    static DAY: OnceLock<String> = OnceLock::new();
    DAY.get_or_init(|| log(&Options { events: 5_000, seed: 8, ..Options::default() }))
}

fn events(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn string<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// FNV-1a: enough to notice that a byte has changed.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// A log must not change by accident: measurements are compared across versions. Whoever changes it on purpose
/// changes this number, and says so in the changelog.
#[test]
fn the_same_options_give_the_same_bytes_for_ever() {
    let options = Options { events: 500, seed: 42, ..Options::default() };
    let text = log(&options);
    assert_eq!(text, log(&options));
    assert_eq!(format!("{:016x}", fingerprint(&text)), "872e6ee3ca9649bd");
    let options = Options { events: 60, ..options };
    let text = log(&options);
    for other in [
        Options { seed: 43, ..options.clone() },
        Options { start: DEFAULT_START + 86_400, ..options.clone() },
        Options { sensitive_bodies: true, ..options.clone() },
    ] {
        assert_ne!(text, log(&other));
    }
}

#[test]
fn a_day_may_begin_whenever() {
    for (start, first) in [(0, "1970-01-01T"), (DEFAULT_START, "2026-03-02T"), (u64::MAX, "2500-01-01T")] {
        let text = log(&Options { events: MIN_EVENTS_FOR_STORY, start, ..Options::default() });
        assert!(events(&text).all(|event| string(&event, "/stageTimestamp").starts_with(first)), "{start}");
    }
}

#[test]
fn there_are_as_many_events_as_asked_for() {
    for count in [0, 1, 2, 10, MIN_EVENTS_FOR_STORY - 1, MIN_EVENTS_FOR_STORY, 700] {
        assert_eq!(log(&Options { events: count, ..Options::default() }).lines().count() as u64, count);
    }
}

const FIELDS: [&str; 18] = [
    "kind",
    "apiVersion",
    "level",
    "auditID",
    "stage",
    "requestURI",
    "verb",
    "user",
    "impersonatedUser",
    "sourceIPs",
    "userAgent",
    "objectRef",
    "responseStatus",
    "requestObject",
    "responseObject",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "annotations",
];

const OPTIONAL: [&str; 7] = [
    "impersonatedUser",
    "userAgent",
    "objectRef",
    "responseStatus",
    "requestObject",
    "responseObject",
    "annotations",
];

#[test]
fn every_event_has_the_fields_of_an_audit_event_in_go_s_order() {
    for event in events(day()) {
        let keys: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        let places: Vec<Option<usize>> =
            keys.iter().map(|key| FIELDS.iter().position(|field| field == key)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{keys:?}");
        let missing = FIELDS.iter().find(|field| !keys.contains(field) && !OPTIONAL.contains(field));
        assert_eq!(missing, None, "{event}");

        let stage = string(&event, "/stage");
        assert_eq!(event.get("responseStatus").is_none(), stage == "RequestReceived", "{event}");
        let has_body = event.get("requestObject").or(event.get("responseObject")).is_some();
        assert!(!has_body || stage == "ResponseComplete" && string(&event, "/level") == "RequestResponse");
        if event.pointer("/responseStatus/code") == Some(&401.into()) {
            assert_eq!((stage, &event["user"]), ("ResponseStarted", &serde_json::json!({})));
        } else {
            assert_ne!(string(&event, "/user/username"), "");
        }
        if matches!(string(&event, "/objectRef/resource"), "secrets" | "configmaps" | "tokenreviews") {
            assert_eq!(string(&event, "/level"), "Metadata");
        }
        // The path says what the reference says.
        let path = string(&event, "/requestURI").split('?').next().unwrap_or_default();
        for key in ["/objectRef/resource", "/objectRef/subresource", "/objectRef/apiGroup"] {
            assert!(path.contains(string(&event, key)), "{key}: {path}");
        }
    }
}

#[test]
fn events_are_in_order_of_time_within_one_day() {
    let short = log(&Options { events: MIN_EVENTS_FOR_STORY, ..Options::default() });
    for text in [&short, day()] {
        let events: Vec<Value> = events(text).collect();
        let times: Vec<&str> = events.iter().map(|event| string(event, "/stageTimestamp")).collect();
        assert!(times.is_sorted());
        assert!(times.iter().all(|time| time.len() == 27 && time.starts_with("2026-03-02T")));
        assert!(times[0] < "2026-03-02T01" && times[times.len() - 1] > "2026-03-02T23");
        for event in &events {
            assert!(string(event, "/requestReceivedTimestamp") <= string(event, "/stageTimestamp"));
        }
    }
}

#[test]
fn the_stages_of_a_request_belong_together() {
    let mut requests: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in events(day()) {
        requests.entry(string(&event, "/auditID").into()).or_default().push(event);
    }
    let mut streams = 0;
    for stages in requests.values() {
        let names: Vec<&str> = stages.iter().map(|event| string(event, "/stage")).collect();
        let names = if names[0] == "RequestReceived" { &names[1..] } else { &names[..] };
        // The last requests may miss the stages that no longer fit into the number of events.
        assert!(
            matches!(
                names,
                [] | ["ResponseComplete"] | ["ResponseStarted"] | ["ResponseStarted", "ResponseComplete"]
            ),
            "{names:?}"
        );
        streams += usize::from(names.len() == 2);
        for key in ["requestURI", "user", "requestReceivedTimestamp"] {
            assert!(stages.iter().all(|event| event[key] == stages[0][key]), "{key}");
        }
    }
    assert!(streams > 200, "{streams}");
}

/// Who caused an event, as the mix counts them.
fn origin(event: &Value) -> &'static str {
    let user = string(event, "/user/username");
    match user {
        "" | "system:anonymous" => "nobody known",
        "system:apiserver" | "system:kube-scheduler" | "system:kube-controller-manager" => "control plane",
        _ if string(event, "/userAgent").starts_with("kube-controller-manager/") => "control plane",
        _ if user.starts_with("system:node:") => "kubelet",
        "system:serviceaccount:staging:release-robot" | "system:serviceaccount:kube-system:console-proxy" => {
            "people"
        }
        _ if user.starts_with("system:serviceaccount:") => "add-on",
        _ => "people",
    }
}

#[test]
fn the_mix_is_that_of_a_real_cluster() {
    let events: Vec<Value> = events(day()).collect();
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &events {
        *shares.entry(origin(event)).or_default() += 1;
    }
    for (who, percent) in [
        ("kubelet", 25..=36),
        ("control plane", 30..=42),
        ("add-on", 14..=24),
        ("people", 5..=13),
        ("nobody known", 3..=9),
    ] {
        let share = shares[who] * 100 / events.len();
        assert!(percent.contains(&share), "{who}: {share} %, of {shares:?}");
    }
    let office =
        |event: &&Value| ("2026-03-02T01".."2026-03-02T10").contains(&string(event, "/stageTimestamp"));
    let person = |event: &&Value| string(event, "/userAgent").starts_with("kubectl/v1.31.4 (darwin");
    let people: Vec<&Value> = events.iter().filter(person).collect();
    assert!(
        people.iter().filter(|event| office(event)).count() * 10 > people.len() * 7,
        "people work by day"
    );
    let codes: BTreeSet<u64> =
        events.iter().filter_map(|event| event.pointer("/responseStatus/code")?.as_u64()).collect();
    assert!(codes.is_superset(&[101, 200, 201, 401, 403, 404, 409].into()), "{codes:?}");
}

#[test]
fn sizes_have_a_long_tail() {
    let text = day();
    let mut sizes: Vec<usize> = text.lines().map(str::len).collect();
    sizes.sort_unstable();
    let at = |per_mille: usize| sizes[(sizes.len() - 1) * per_mille / 1000];
    assert!((1_000..=3_000).contains(&at(500)), "median {}", at(500));
    assert!((30_000..=200_000).contains(&at(990)), "99th percentile {}", at(990));
    assert!((500_000..=5_000_000).contains(&at(1000)), "largest {}", at(1000));
    assert!(text.contains("\"fieldsV1\":{\"f:metadata\""));
}

#[test]
fn long_events_are_truncated_as_the_api_server_does() {
    let options = Options { events: 600, seed: 4, max_event_bytes: Some(20_000), ..Options::default() };
    let text = log(&options);
    let truncated: Vec<Value> = text
        .lines()
        .filter(|line| line.contains("audit.k8s.io/truncated"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(text.lines().all(|line| line.len() <= 20_000));
    assert!(!truncated.is_empty());
    for event in truncated {
        assert!(event.get("requestObject").is_none() && event.get("responseObject").is_none());
        assert_eq!(string(&event, "/annotations/audit.k8s.io~1truncated"), "true");
    }
}

#[test]
fn nothing_is_written_that_go_would_escape() {
    let text = day();
    assert!(!text.contains(['&', '<', '>', '\u{2028}']));
    assert!(text.contains("\\u0026") && text.contains("\\u003c") && text.contains("\\u003e"));
}

#[test]
fn public_addresses_are_from_the_documentation_ranges() {
    for event in events(day()) {
        for address in event["sourceIPs"].as_array().unwrap() {
            let address = address.as_str().unwrap();
            let known = ["10.", "100.117.", "192.0.2.", "198.51.100.", "203.0.113.", "::1"];
            assert!(known.iter().any(|prefix| address.starts_with(prefix)), "{address}");
        }
    }
}

/// What of the story an event is, for the detections that are about it: `verb resource[/subresource]`, and a piece
/// of text in the event that only this act has.
const ACTS: &[(&str, &str, &str)] = &[
    ("exec with a reverse shell", "create pods/exec", "%2Fdev%2Ftcp%2F192.0.2.77"),
    ("exec over WebSocket", "get pods/exec", "command=id"),
    ("exec that reads the token", "get pods/exec", "serviceaccount%2Ftoken"),
    ("exec that asks the metadata service", "get pods/exec", "100.100.100.200"),
    ("attach", "create pods/attach", "192.0.2.77"),
    ("port-forward", "create pods/portforward", "192.0.2.77"),
    ("ephemeral container", "patch pods/ephemeralcontainers", "debugger-x7k2p"),
    ("node debugger", "create pods", "node-debugger-"),
    ("eviction by a drain", "create pods/eviction", "kubernetes-admin"),
    ("exec through the kubelet", "get nodes/proxy", "/proxy/exec/"),
    ("command in a log query", "get nodes/proxy", "%24%28id%29"),
    ("redirect by a node", "get nodes/proxy", "\"code\":302"),
    ("anonymous probe", "list secrets", "kube-hunter"),
    ("anonymous read that is allowed", "get configmaps", "\"name\":\"cluster-info\""),
    ("failed authentication", "list secrets", "\"user\":{}"),
    ("rules review", "create selfsubjectrulesreviews", "192.0.2.77"),
    ("access review", "create selfsubjectaccessreviews", "192.0.2.77"),
    ("secrets of the cluster", "list secrets", "\"requestURI\":\"/api/v1/secrets?limit=500\""),
    ("token for a year", "create serviceaccounts/token", "31536000"),
    ("impersonation of the masters", "list pods", "\"impersonatedUser\":{\"username\":\"system:admin\""),
    ("impersonation by the dashboard", "list", "console-proxy"),
    ("privileged pod of the host", "create pods", "\"privileged\":true"),
    ("capabilities", "create pods", "CAP_SYS_PTRACE"),
    ("host namespaces", "create pods", "\"hostPID\":true,\"hostIPC\":true,\"hostNetwork\":true"),
    ("root of the host", "create pods", "\"hostPath\":{\"path\":\"/\""),
    ("runtime socket", "create pods", "containerd.sock"),
    ("audit log of the host", "create pods", "/var/log/kubernetes/audit"),
    ("git repository volume", "create pods", "gitRepo"),
    ("sysctl with a plus", "create pods", "core_pattern"),
    ("service account in kube-system", "create serviceaccounts", "metrics-sync"),
    ("cluster-admin binding", "create clusterrolebindings", "\"name\":\"cluster-admin\""),
    ("binding of everybody", "create clusterrolebindings", "system:unauthenticated"),
    ("role binding to cluster-admin", "create rolebindings", "\"name\":\"cluster-admin\""),
    ("role with wildcards", "create clusterroles", "\"resources\":[\"*\"]"),
    ("role with exec and escalation", "create roles", "escalate"),
    ("change of a system role", "patch clusterroles", "system:public-info-viewer"),
    ("token secret", "create secrets", "metrics-sync-token"),
    ("signing request", "create certificatesigningrequests", "kube-apiserver-client"),
    ("approval", "update certificatesigningrequests/approval", "Approved"),
    ("daemon set in kube-system", "create daemonsets", "stratum+tcp"),
    ("cron job", "create cronjobs", "192.0.2.77/s | sh"),
    ("ingress snippet", "create ingresses", "configuration-snippet"),
    ("ingress without TLS", "create ingresses", "returns.example.com"),
    ("external address", "create services", "externalIPs"),
    ("node port", "create services", "NodePort"),
    ("slice to the metadata service", "create endpointslices", "169.254.169.254"),
    ("DNS", "patch configmaps", "coredns"),
    ("webhook outside", "create validatingwebhookconfigurations", "https://192.0.2.77/admit"),
    ("aggregated API", "create apiservices", "insecureSkipTLSVerify"),
    ("volume of the host", "create persistentvolumes", "/etc/kubernetes"),
    ("namespace", "create namespaces", "returns"),
    ("relaxed policy label", "patch namespaces", "pod-security.kubernetes.io/enforce"),
    ("namespace removed", "delete namespaces", "campaign-2025"),
    ("dry run", "create deployments", "dryRun=All"),
    ("refusal by admission", "create pods", "violates PodSecurity"),
    ("removal of the log agent", "delete daemonsets", "logtail-ds"),
    ("removal of events", "delete events", "192.0.2.77"),
    ("removal of all events", "deletecollection events", "192.0.2.77"),
    ("path that climbs", "get", "%2e%2e"),
];

fn act_of(event: &Value) -> String {
    let mut act = format!("{} {}", string(event, "/verb"), string(event, "/objectRef/resource"));
    if let Some(subresource) = event.pointer("/objectRef/subresource").and_then(Value::as_str) {
        act.push('/');
        act.push_str(subresource);
    }
    act.trim_end().to_owned()
}

#[test]
fn the_story_is_complete_in_the_shortest_log() {
    for seed in 0..3 {
        let text = log(&Options { events: MIN_EVENTS_FOR_STORY, seed, ..Options::default() });
        let acts: Vec<(String, &str)> =
            text.lines().map(|line| (act_of(&serde_json::from_str(line).unwrap()), line)).collect();
        for (name, act, trace) in ACTS {
            let found = acts.iter().any(|(it, line)| it.starts_with(act) && line.contains(trace));
            assert!(found, "{name} is missing with seed {seed}");
        }
        let count =
            |filter: &dyn Fn(&str, &str) -> bool| acts.iter().filter(|(act, line)| filter(act, line)).count();
        let from = |line: &str, address| line.contains(&format!("\"sourceIPs\":[\"{address}\"]"));
        // What the correlations count.
        let intruder = |line: &str| from(line, story::INTRUDER);
        assert!(count(&|_, line| from(line, story::SCANNER) && !line.contains("\"code\":2")) > 10);
        assert!(count(&|_, line| intruder(line) && line.contains("\"code\":403")) >= 20);
        assert!(count(&|act, line| act == "get secrets" && intruder(line)) >= 15);
        assert!(count(&|act, line| act.contains("selfsubject") && intruder(line)) >= 10);
        assert!(count(&|act, line| act.starts_with("delete ") && intruder(line)) >= 20);
    }
}

#[test]
fn credentials_in_config_maps_show_only_where_bodies_do() {
    let options = Options { events: MIN_EVENTS_FOR_STORY, ..Options::default() };
    assert!(!log(&options).contains("LTAIinventedExample"));
    assert!(log(&Options { sensitive_bodies: true, ..options }).contains("LTAIinventedExample"));
}

/// The options of the sample log, which `tests/fixtures/README.md` names.
fn sample_options() -> Options {
    Options { events: 400, seed: 10, max_event_bytes: Some(20_000), ..Options::default() }
}

/// `UPDATE_FIXTURES=1 cargo test -p host-harness sample_log` writes it anew.
#[test]
fn the_sample_log_is_what_the_generator_writes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample-audit.jsonl");
    let text = log(&sample_options());
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let sample = std::fs::read_to_string(&path).unwrap();
    assert!(sample == text, "the sample log is out of date; UPDATE_FIXTURES=1 writes it anew");
    assert!(sample.len() < 5_000_000, "the sample log has become too large to keep: {} bytes", sample.len());
}

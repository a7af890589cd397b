//! The report's numbers against a direct count of the filtered sample log, and what the page holds.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample-audit.jsonl")
}

/// Runs the command with `input` on stdin: its status, stdout and stderr.
fn run(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_host-harness"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A wrong command line is told without reading.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn report(input: &[u8]) -> Value {
    let (status, stdout, stderr) = run(&["report", "--format", "json", "--quiet"], input);
    assert_eq!(status, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// How often each text occurs.
fn count<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    texts.for_each(|text| *counts.entry(text).or_default() += 1);
    counts
}

/// The same of rows that have a number each.
fn listed<'a>(rows: &'a Value, name: &str) -> BTreeMap<&'a str, u64> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (row[name].as_str().unwrap(), row["events"].as_u64().unwrap())).collect()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// As kubectl names it.
fn resource(event: &Value) -> String {
    let part = |sign: &str, name: &str| {
        event["objectRef"][name].as_str().map(|part| format!("{sign}{part}")).unwrap_or_default()
    };
    format!("{}{}{}", part("", "resource"), part(".", "apiGroup"), part("/", "subresource"))
}

#[test]
fn the_numbers_are_those_of_a_direct_count() {
    let log = fs::read(sample()).unwrap();
    let (_, kept, _) = run(&["run", "--engine", "native", "--quiet"], &log);
    let events: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let audit = |event: &'static str| events.iter().filter_map(move |one| one["audit"][event].as_str());
    let report = report(&log);
    let overview = &report["overview"];

    assert_eq!(report["filter"]["read"], log.iter().filter(|byte| **byte == b'\n').count());
    assert_eq!(report["filter"]["kept"], events.len());
    assert_eq!(report["filter"]["bytes_out"], kept.len());
    assert_eq!(overview["events"], events.len());

    let mut severities =
        count(events.iter().map(|event| event["audit"]["severity"].as_str().unwrap_or("none")));
    for name in ["none", "informational", "low", "medium", "high", "critical"] {
        severities.entry(name).or_default();
    }
    assert_eq!(listed(&overview["severities"], "name"), severities);
    let bars = overview["timeline"]["events"].as_array().unwrap().iter();
    let in_bars = bars.flat_map(|series| series.as_array().unwrap()).filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(in_bars, events.len() as u64);

    assert_eq!(listed(&overview["operators"]["rows"], "name"), count(audit("operator")));
    assert_eq!(listed(&overview["sources"]["rows"], "address"), count(audit("source_ip")));
    assert_eq!(listed(&overview["scopes"], "name"), count(audit("source_scope")));
    assert_eq!(listed(&overview["outcomes"], "name"), count(audit("outcome")));
    let codes: Vec<_> =
        events.iter().filter_map(|one| Some(one["responseStatus"]["code"].as_u64()?.to_string())).collect();
    let mut counted = listed(&overview["codes"], "name");
    counted.remove("none");
    assert_eq!(counted, count(codes.iter().map(String::as_str)));
    let rules = count(events.iter().flat_map(|event| texts(&event["audit"]["rules"])));
    assert_eq!(listed(&overview["rules"]["rows"], "id"), rules);

    let with_tag = |tags: &[&str]| {
        events.iter().filter(|event| texts(&event["audit"]["tags"]).any(|tag| tags.contains(&tag))).count()
    };
    for (index, (name, tags)) in [
        ("ram-users", &["ram-user"][..]),
        ("public-access", &["public-access"]),
        ("container-commands", &["exec", "attach", "container-command"]),
        ("deletions", &["resource-delete"]),
        ("secret-access", &["secret-access"]),
        ("cve-risks", &["cve"]),
    ]
    .into_iter()
    .enumerate()
    {
        let priority = &overview["priorities"][index];
        assert_eq!((&priority["name"], &priority["events"]), (&name.into(), &with_tag(tags).into()));
        assert_ne!(priority["events"], 0, "{name}: the sample log shows all of them");
    }

    for class in report["operations"].as_array().unwrap() {
        for row in class["resources"]["rows"].as_array().unwrap() {
            for action in ["create", "update", "delete", "access"] {
                let is_meant = |event: &&Value| {
                    event["audit"]["resource_class"] == class["class"]
                        && event["audit"]["action"] == action
                        && resource(event) == row["resource"].as_str().unwrap()
                };
                assert_eq!(row[action], events.iter().filter(is_meant).count(), "{action} {row}");
            }
        }
    }

    let names: Vec<_> = events.iter().map(resource).filter(|name| !name.is_empty()).collect();
    assert_eq!(listed(&report["resources"]["rows"], "resource"), count(names.iter().map(String::as_str)));
    for row in report["resources"]["rows"].as_array().unwrap() {
        let of: Vec<_> =
            events.iter().filter(|event| resource(event) == row["resource"].as_str().unwrap()).collect();
        let namespaces = count(of.iter().filter_map(|event| event["objectRef"]["namespace"].as_str()));
        assert_eq!(listed(&row["namespaces"]["rows"], "name"), namespaces);
        let outcomes = count(of.iter().filter_map(|event| event["audit"]["outcome"].as_str()));
        let of = |outcome| outcomes.get(outcome).copied().unwrap_or_default();
        assert_eq!((&row["successes"], &row["failures"]), (&of("success").into(), &of("failure").into()));
    }

    assert_eq!(report["cves"]["events"], with_tag(&["cve"]));
    for row in report["cves"]["rules"].as_array().unwrap() {
        assert_eq!(row["events"], rules[row["rule"].as_str().unwrap()], "{row}");
        assert!(texts(&row["cves"]).all(|cve| cve.starts_with("CVE-")), "{row}");
    }

    let commands: Vec<_> = events.iter().filter(|event| event["audit"]["exec"].is_object()).collect();
    let containers = &report["containers"];
    assert_eq!(containers["events"], commands.len());
    let sessions = containers["sessions"]["rows"].as_array().unwrap();
    assert_eq!(
        sessions.iter().filter_map(|session| session["events"].as_u64()).sum::<u64>(),
        commands.len() as u64
    );
    let pods = commands.iter().map(|event| {
        let name = |part: &str| event["objectRef"][part].as_str().unwrap_or_default();
        format!("{}/{}", name("namespace"), name("name"))
    });
    let pods: Vec<_> = pods.collect();
    assert_eq!(listed(&containers["pods"]["rows"], "name"), count(pods.iter().map(String::as_str)));
    let gravest_first: Vec<_> = sessions.iter().filter_map(|session| session["severity"].as_str()).collect();
    let order = ["critical", "high", "medium", "low", "informational", "none"];
    assert!(
        gravest_first.is_sorted_by_key(|severity| order.iter().position(|name| name == severity)),
        "{gravest_first:?}"
    );
}

#[test]
fn what_a_filter_has_seen_before_is_taken_as_it_is() {
    let log = fs::read(sample()).unwrap();
    let (_, kept, _) = run(&["run", "--engine", "native", "--quiet"], &log);
    let (mut of_log, mut of_kept) = (report(&log), report(kept.as_bytes()));
    assert_eq!(of_kept["filter"]["filtered_before"], of_log["filter"]["kept"]);
    for report in [&mut of_log, &mut of_kept] {
        report.as_object_mut().unwrap().remove("filter");
    }
    assert_eq!(of_log, of_kept);
}

#[test]
fn the_events_of_a_list_count_each() {
    let log = fs::read_to_string(sample()).unwrap();
    let events: Vec<_> = log.lines().take(50).collect();
    let list =
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{}]}}"#, events.join(","));
    let (of_list, of_lines) = (report(list.as_bytes()), report(events.join("\n").as_bytes()));
    assert_eq!(of_list, of_lines);
}

#[test]
fn the_page_holds_data_and_no_text_of_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    let (template, page) = (place("template.html"), place("page.html"));
    fs::write(&template, "<html><!--data--><script>run()</script><!--details--></html>").unwrap();
    let log = fs::read(sample()).unwrap();
    let (status, stdout, stderr) = run(&["report", "-o", &page, "--page", &template], &log);
    assert_eq!((status, &*stdout), (0, ""), "{stderr}");
    assert!(stderr.contains("page.html: ") && stderr.contains(" events, "), "{stderr}");

    let text = fs::read_to_string(&page).unwrap();
    let (data, rest) = text.strip_prefix("<html>").unwrap().split_once("<script>run()</script>").unwrap();
    let data = [data, rest.strip_suffix("</html>").unwrap()].concat();
    let elements: Vec<_> = data.split("</script>\n").filter(|element| !element.is_empty()).collect();
    let mut signs = BTreeSet::new();
    let mut kinds = Vec::new();
    for element in elements {
        let element = element.strip_prefix(r#"<script type="application/octet-stream" "#).unwrap();
        let (attributes, data) = element.split_once('>').unwrap();
        kinds.push(attributes.trim_end_matches(|c: char| c.is_ascii_digit() || c == '"'));
        signs.extend(data.chars());
    }
    kinds.dedup();
    assert_eq!(kinds, [r#"id="start"#, r#"id="records"#, r#"class="details" data-first="#]);
    assert!(signs.iter().all(|sign| sign.is_ascii_alphanumeric() || "+/=".contains(*sign)), "{signs:?}");
}

#[test]
fn a_page_that_cannot_be_written_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    fs::write(place("other.html"), "<html></html>").unwrap();
    for (arguments, expected) in [
        (&["report"][..], "--output"),
        (&["report", "-o", "x.html", "--page", &place("absent.html")], "cannot read the page"),
        (&["report", "-o", "x.html", "--page", &place("other.html")], "no page of this program's"),
    ] {
        let (status, _, stderr) = run(arguments, b"");
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

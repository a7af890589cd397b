//! Holds every built-in rule to what `plugin/rules/README.md` promises, its test events included.

use super::builtin::files;
use super::tests::hits;
use super::{RuleSet, Scratch};
use crate::normalize::{Normalizer, Settings};
use crate::problem::Problems;
use crate::record::Event;
use crate::yaml::{self, Node, Resolved, Value};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What the tags in the namespace `audit` may be: those of the `audit` object's documentation.
const TAGS: &str = "exec attach port-forward ephemeral-container proxy anonymous-access public-access \
    public-access-failed high-risk-ip resource-delete secret-access secret-write secret-enumeration \
    configmap-credentials rbac-change cluster-admin-binding rbac-wildcard rbac-exec rbac-write rbac-enumeration \
    system-role-change token-request serviceaccount-create certificate-request impersonation privileged-pod \
    host-network host-pid host-ipc host-path dangerous-capabilities kube-system-workload workload-persistence \
    admission-change node-port external-ip ingress-without-tls dns-change namespace-change event-delete \
    audit-tamper unauthorized scanner-user-agent debug-node cve ram-user container-command";

fn directory() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../rules")
}

/// A rule's file, without its directory and ending.
fn stem(file: &str) -> &str {
    file.trim_start_matches("builtin/").trim_end_matches(".yml")
}

#[test]
fn all_rules_load_without_problems_and_have_ids_of_their_own() {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(BTreeSet::new());
    RuleSet::add_builtin(&mut builder, &mut problems);
    assert!(problems.as_slice().is_empty(), "{:#?}", problems.as_slice());
    assert_eq!(builder.finish().rules().len(), files().count(), "one rule in each file");
}

#[test]
fn all_rules_are_documented() {
    for (file, _) in files() {
        // The engine has no text of its own for what is for people.
        let text = std::fs::read_to_string(directory().join(format!("{}.yml", stem(file)))).unwrap();
        let document = yaml::parse(&text).unwrap().remove(0);
        let text_of = |field: &str| {
            document.get(field).and_then(Node::str).unwrap_or_else(|| panic!("{file}: no {field}"))
        };
        let id = text_of("id");
        let uuid = |at: usize, c: char| match at {
            8 | 13 | 18 | 23 => c == '-',
            14 => c == '4',
            _ => c.is_ascii_digit() || ('a'..='f').contains(&c),
        };
        assert!(
            id.len() == 36 && id.chars().enumerate().all(|(at, c)| uuid(at, c)),
            "{file}: {id} is no UUID"
        );
        assert!(text_of("title").len() <= 110, "{file}: the title is too long for a list");
        assert!(text_of("description").len() >= 40, "{file}: the description says too little");
        for field in ["status", "level"] {
            text_of(field);
        }
        for field in ["references", "falsepositives", "tags"] {
            let Some(Value::Sequence(items)) = document.get(field).map(|node| &node.value) else {
                panic!("{file}: no {field}")
            };
            assert!(!items.is_empty() && items.iter().all(|item| item.str().is_some()), "{file}: {field}");
        }
        check_tags(file, &document);
    }
}

fn check_tags(file: &str, document: &Node) {
    let Some(Value::Sequence(tags)) = document.get("tags").map(|tags| &tags.value) else { unreachable!() };
    let mut short = Vec::new();
    let mut techniques = 0;
    for tag in tags.iter().filter_map(Node::str) {
        match tag.split_once('.') {
            Some(("audit", tag)) => short.push(tag),
            Some(("attack", technique)) => techniques += usize::from(technique.starts_with('t')),
            Some(("cve", number)) => assert!(is_cve(number), "{file}: {tag} is no number of a CVE"),
            _ => panic!("{file}: {tag} is neither of ATT&CK nor of the namespaces audit and cve"),
        }
    }
    assert!(techniques > 0, "{file}: no technique of ATT&CK");
    let [tag] = short.as_slice() else { panic!("{file}: {short:?}, not one tag of the namespace audit") };
    assert!(TAGS.split_whitespace().any(|known| known == *tag), "{file}: audit.{tag} is no known tag");
    assert!(stem(file).starts_with(tag), "{file}: the name does not start with the tag {tag}");
}

/// Whether that is a year and a number, as in `2021-25740`.
fn is_cve(number: &str) -> bool {
    let digits = |text: &str, least| text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit());
    number
        .split_once('-')
        .is_some_and(|(year, number)| year.len() == 4 && digits(year, 4) && digits(number, 4))
}

#[test]
fn every_tag_has_a_rule() {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(BTreeSet::new());
    RuleSet::add_builtin(&mut builder, &mut problems);
    let rules = builder.finish();
    let without: Vec<&str> = TAGS
        .split_whitespace()
        .filter(|tag| !rules.rules().iter().any(|rule| rule.tags.iter().any(|of| &**of == *tag)))
        .collect();
    assert!(without.is_empty(), "no rule has the tags {without:?}");
}

#[test]
fn all_rules_hold_on_their_events_and_not_on_near_misses() {
    // One of the documentation ranges is on the list of high risk.
    let high_risk = ["198.51.100.0/24".parse().unwrap()].into_iter().collect();
    let normalizer = Normalizer::new(Settings { high_risk, ..Settings::default() });
    for (file, documents) in files() {
        let mut problems = Problems::default();
        let mut builder = RuleSet::builder(BTreeSet::new());
        builder.add_documents(&Arc::from(file), &documents, &mut problems);
        let rules = builder.finish();
        let mut scratch = Scratch::default();
        let path = directory().join(format!("{}.events.yml", stem(file)));
        let events =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let events =
            yaml::parse(&events).unwrap_or_else(|error| panic!("{}: {error:?}", path.display())).remove(0);
        for (list, expected) in [("match", true), ("miss", false)] {
            let Some(Value::Sequence(cases)) = events.get(list).map(|cases| &cases.value) else {
                panic!("{}: no {list}", path.display())
            };
            assert!(cases.len() >= 2, "{}: {list} has fewer than two events", path.display());
            for case in cases {
                let why = case.get("why").and_then(Node::str).unwrap_or_else(|| panic!("{list} without why"));
                let json = json_of_event(case.get("event").unwrap_or_else(|| panic!("{why}: no event")));
                let event =
                    Event::read(json.as_bytes(), b"audit").unwrap_or_else(|error| panic!("{json}: {error}"));
                let normalized = normalizer.normalize(&event);
                let found = !hits(&rules, &mut scratch, &json, &normalized).is_empty();
                assert_eq!(found, expected, "{} (line {}): {why}\n{json}", path.display(), case.line);
            }
        }
    }
}

#[test]
fn no_events_are_left_over_from_a_rule() {
    for entry in std::fs::read_dir(directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(rule) = name.strip_suffix(".events.yml") {
            assert!(files().any(|(file, _)| stem(file) == rule), "{name} belongs to no rule");
        }
    }
}

/// The event with what all events have.
fn json_of_event(event: &Node) -> String {
    let mut json = json_of(event);
    for (name, value) in [
        ("kind", "Event"),
        ("apiVersion", "audit.k8s.io/v1"),
        ("auditID", "1"),
        ("level", "RequestResponse"),
        ("stage", "ResponseComplete"),
    ] {
        json.as_object_mut().unwrap().entry(name).or_insert_with(|| value.into());
    }
    json.to_string()
}

fn json_of(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => serde_json::Value::Null,
            Resolved::Bool(value) => value.into(),
            Resolved::Int(value) => value.into(),
            Resolved::Float(value) => value.into(),
            Resolved::Str(value) => value.into(),
        },
        Value::Sequence(items) => items.iter().map(json_of).collect(),
        Value::Mapping(members) => members
            .iter()
            .map(|(key, value)| (key.scalar().unwrap().text.clone(), json_of(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

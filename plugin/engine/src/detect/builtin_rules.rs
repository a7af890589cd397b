//! Holds every built-in rule to what `plugin/rules/README.md` promises, its test events included.

use super::{Rule, RuleSet, trial};
use crate::normalize::{Normalizer, Settings};
use crate::problem::Problems;
use crate::yaml::{self, Node, Value};
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

/// The files of all rules, called as the engine calls them.
fn files() -> Vec<String> {
    let names = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name());
    names
        .map(|name| format!("builtin/{}", name.to_str().unwrap()))
        .filter(|name| name.ends_with(".yml") && !name.ends_with(".events.yml"))
        .collect()
}

/// A rule's file, without its directory and ending.
fn stem(file: &str) -> &str {
    file.trim_start_matches("builtin/").trim_end_matches(".yml")
}

#[test]
fn all_rules_load_without_problems_and_have_ids_of_their_own() {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(Vec::new());
    RuleSet::add_builtin(&mut builder, &mut problems);
    assert!(problems.as_slice().is_empty(), "{:#?}", problems.as_slice());
    let rules = builder.finish(&mut problems);
    assert!(problems.as_slice().is_empty(), "{:#?}", problems.as_slice());
    for file in &files() {
        let count = |of: &[Rule]| of.iter().filter(|rule| *rule.file == *file).count();
        let (plain, correlations) = (count(rules.rules()), count(rules.correlations()));
        assert!(
            correlations > 0 || plain == 1,
            "{file}: one rule in each file, or correlations and what they need"
        );
    }
}

#[test]
fn all_rules_are_documented() {
    for file in &files() {
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
    let mut builder = RuleSet::builder(Vec::new());
    RuleSet::add_builtin(&mut builder, &mut problems);
    let rules = builder.finish(&mut problems);
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
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(Vec::new());
    RuleSet::add_builtin(&mut builder, &mut problems);
    let rules = builder.finish(&mut problems);
    for file in &files() {
        let path = directory().join(format!("{}.events.yml", stem(file)));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = Arc::from(path.to_str().unwrap());
        let cases = trial::run(&rules, &normalizer, file, &name, &text, &mut problems);
        assert!(cases.matching >= 2 && cases.missing >= 2, "{name} has fewer than two events of a kind");
    }
    let wrong: Vec<String> = problems.into_iter().map(|problem| problem.to_string()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_events_are_left_over_from_a_rule() {
    for entry in std::fs::read_dir(directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(rule) = name.strip_suffix(".events.yml") {
            assert!(files().iter().any(|file| stem(file) == rule), "{name} belongs to no rule");
        }
    }
}

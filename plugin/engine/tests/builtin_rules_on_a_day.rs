//! The built-in rules put to a whole day's audit log, in which some people work, machines do what they
//! always do, and somebody breaks in.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use audit_filter_engine::detect::{Rule, RuleSet, Scratch, Severity, State};
use audit_filter_engine::normalize::{Normalizer, Settings};
use audit_filter_engine::problem::Problems;
use audit_filter_engine::record::{Event, Member};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// Those who do something out of the ordinary on this day: the people of the operations team, who debug a
/// pod and a node; the visitors from the internet with the tokens that they have stolen; and a build system that
/// stands outside and uses a service account, which rules cannot tell from a stolen one.
const ACTORS: &[&str] = &[
    "279812345678901234-1735689600",
    "kubernetes-admin",
    "oidc:mara.novak@example.com",
    "system:anonymous",
    "system:serviceaccount:shop:legacy-admin",
    "system:serviceaccount:shop:storefront",
    "system:serviceaccount:staging:release-robot",
];

/// What is not to be seen on this day: the log has config maps at `Metadata`, without what is in them, and there
/// is no list of bad addresses.
const NOT_TO_BE_SEEN: &[&str] = &["configmap-credentials", "high-risk-ip"];

/// What comes together on this day, by the titles of the correlations.
const ALERTS: &[&str] = &[
    "Many Permissions Looked Up",
    "Many Requests Refused",
    "Many Resources Deleted",
    "Many Secrets Read",
    "Most Of Many Requests From A Public Address Failed",
    "Permissions Changed, Then A Workload",
    "Permissions Tried Out",
    "Secrets Listed In Several Namespaces",
];

fn sample() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/sample-audit.jsonl")
}

fn builtin() -> RuleSet {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(Vec::new());
    RuleSet::add_builtin(&mut builder, &mut problems);
    let rules = builder.finish(&mut problems);
    assert!(problems.as_slice().is_empty(), "{:#?}", problems.as_slice());
    rules
}

/// Gives each event of the log, with the rules that hold on it and the correlations that it completes, to `each`.
fn for_each_event(log: &str, rules: &RuleSet, mut each: impl FnMut(&Event<'_>, &[&Rule])) {
    let normalizer = Normalizer::new(Settings::default());
    let (mut scratch, mut state) = (Scratch::default(), State::default());
    for line in log.lines() {
        let event = Event::read(line.as_bytes(), b"audit").unwrap_or_else(|error| panic!("{line}: {error}"));
        let normalized = normalizer.normalize(&event);
        let (mut hits, mut alerts) = (Vec::new(), Vec::new());
        rules.evaluate(&mut scratch, &event, &normalized, &mut hits);
        rules.correlate(&mut state, &hits, &event, &normalized, &mut alerts);
        let mut found: Vec<&Rule> = hits.iter().filter_map(|&id| rules.finding(id)).collect();
        found.extend(alerts.iter().filter_map(|alert| rules.correlation(alert)));
        each(&event, &found);
    }
}

fn username(event: &Event<'_>) -> String {
    String::from_utf8_lossy(&event.user.username.decode()).into_owned()
}

/// The line without the bodies, which are long.
fn in_short(event: &Event<'_>) -> String {
    [Member::Verb, Member::RequestUri, Member::UserAgent]
        .into_iter()
        .filter_map(|member| Some(String::from_utf8_lossy(&event.text(member)?.decode()).into_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn only_people_and_intruders_do_what_is_grave() {
    let rules = builtin();
    let mut wrong = Vec::new();
    let mut grave = 0;
    for_each_event(&fs::read_to_string(sample()).unwrap(), &rules, |event, found| {
        for rule in found.iter().filter(|rule| rule.level >= Severity::High) {
            grave += 1;
            // Whose credentials were no good has no name.
            let name = username(event);
            if !name.is_empty() && !ACTORS.contains(&name.as_str()) {
                wrong.push(format!("{} ({}) on {name}: {}", rule.title, rule.level, in_short(event)));
            }
        }
    });
    assert!(grave > 0, "nothing grave was found on a day with a break-in");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scan_and_the_visit_complete_correlations() {
    let rules = builtin();
    let mut alerts = BTreeSet::new();
    for_each_event(&fs::read_to_string(sample()).unwrap(), &rules, |_, found| {
        let is_correlation = |rule: &&&Rule| rules.correlations().contains(rule);
        alerts.extend(found.iter().filter(is_correlation).map(|rule| rule.title.to_string()));
    });
    assert_eq!(alerts.into_iter().collect::<Vec<_>>(), ALERTS);
}

#[test]
fn every_act_of_the_story_is_found() {
    let rules = builtin();
    let mut found = BTreeSet::new();
    for_each_event(&fs::read_to_string(sample()).unwrap(), &rules, |_, rules| {
        for rule in rules {
            found.extend(rule.tags.iter().filter(|tag| !tag.contains('.')).cloned());
        }
    });
    let all: BTreeSet<Cow<'_, str>> = rules
        .rules()
        .iter()
        .flat_map(|rule| rule.tags.iter().filter(|tag| !tag.contains('.')).cloned())
        .collect();
    let missing: Vec<_> = all.difference(&found).map(|tag| &**tag).collect();
    assert_eq!(missing, NOT_TO_BE_SEEN);
}

/// Says what the rules find in a log of one's own: `AUDIT_LOG=/path/to/audit.log cargo test -p
/// audit-filter-engine --test builtin_rules_on_a_day -- --ignored --nocapture`.
#[test]
#[ignore = "prints, for a person to read, what is found in the log that AUDIT_LOG names"]
fn print_findings() {
    let path = std::env::var_os("AUDIT_LOG").map_or_else(sample, PathBuf::from);
    let rules = builtin();
    /// By user: how often, and an example.
    type ByUser = BTreeMap<String, (usize, String)>;
    let mut findings: BTreeMap<(Severity, String), ByUser> = BTreeMap::new();
    let (mut events, mut severities) = (0, BTreeMap::<Severity, usize>::new());
    for_each_event(&fs::read_to_string(path).unwrap(), &rules, |event, found| {
        events += 1;
        if let Some(highest) = found.iter().map(|rule| rule.level).max() {
            *severities.entry(highest).or_default() += 1;
        }
        for rule in found {
            let by_user = findings.entry((rule.level, rule.title.to_string())).or_default();
            by_user.entry(username(event)).or_insert_with(|| (0, in_short(event))).0 += 1;
        }
    });
    for ((level, title), by_user) in findings.iter().rev() {
        println!("{level}: {title}");
        for (user, (count, example)) in by_user {
            println!("    {count:5} {user}: {example}");
        }
    }
    println!("{events} events; by highest severity: {severities:?}");
}

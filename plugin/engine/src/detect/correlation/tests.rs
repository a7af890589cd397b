//! What correlations mean, as tables: a correlation, a stream of events, the alerts.

use super::super::tests::rule_of;
use super::super::{RuleSet, Scratch};
use super::*;
use crate::config::{self, Files};
use crate::problem::{Problem, Problems, Severity as Gravity};
use crate::{Engine, Outcome};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Three rules: `a` holds on create, `b` on create and delete, `c` on patch.
fn base_rules() -> String {
    let rule = |name: &str, verbs: &str| {
        rule_of(&format!("s: {{verb: [{verbs}]}}\ncondition: s"))
            .replace("00000000-0000-4000-8000-000000000001", name)
    };
    [rule("a", "create"), rule("b", "create, delete"), rule("c", "patch")].join("---\n")
}

fn load(disabled: &[&str], files: &[(&str, &str)]) -> (RuleSet, Vec<Problem>) {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(disabled.iter().map(|&id| id.to_owned()).collect());
    for (file, text) in files {
        builder.add(&Arc::from(*file), text, &mut problems);
    }
    (builder.finish(&mut problems), problems.into_iter().collect())
}

/// A document with that correlation, given in YAML's flow style.
fn document(id: &str, correlation: &str) -> String {
    format!("title: A correlation\nid: {id}\nlevel: high\ncorrelation: {correlation}\n")
}

/// The rules and one correlation, called `x`.
fn with(correlation: &str) -> RuleSet {
    let text = format!("{}---\n{}", base_rules(), document("x", correlation));
    let (rules, problems) = load(&[], &[("rules.yml", &text)]);
    assert!(
        !problems.iter().any(|problem| problem.severity == Gravity::Error),
        "{correlation}: {problems:?}"
    );
    rules
}

/// An event, as far as the tests are concerned.
#[derive(Debug, Clone)]
struct Act<'a> {
    /// In seconds, from whenever.
    time: f64,
    verb: &'a str,
    user: &'a str,
    /// Its name and its code.
    value: i64,
    /// None for one of its own.
    request: Option<u32>,
}

fn act<'a>(time: f64, verb: &'a str, user: &'a str, value: i64) -> Act<'a> {
    Act { time, verb, user, value, request: None }
}

fn json_of(act: &Act<'_>, number: usize) -> String {
    let Act { time, verb, user, value, request } = act;
    let micros = ((time + 43_200.0) * 1e6).round() as i64;
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let stamp =
        format!("2026-03-02T{:02}:{:02}:{:02}.{micros:06}Z", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let id = request.map_or_else(|| format!("own-{number}"), |request| format!("shared-{request}"));
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{id}","stage":"ResponseComplete","verb":"{verb}","user":{{"username":"{user}"}},"objectRef":{{"resource":"pods","name":"n{value}"}},"responseStatus":{{"code":{value}}},"stageTimestamp":"{stamp}"}}"#
    )
}

/// A rule set and what it remembers.
struct Stream<'r> {
    rules: &'r RuleSet,
    state: State,
    scratch: Scratch,
    number: usize,
}

impl<'r> Stream<'r> {
    fn new(rules: &'r RuleSet) -> Self {
        Self { rules, state: State::default(), scratch: Scratch::default(), number: 0 }
    }

    fn json(&mut self, json: &str) -> Vec<Alert> {
        let event = Event::read(json.as_bytes(), b"audit").unwrap();
        let (mut hits, mut alerts) = (Vec::new(), Vec::new());
        self.rules.evaluate(&mut self.scratch, &event, &(), &mut hits);
        self.rules.correlate(&mut self.state, &hits, &event, &(), &mut alerts);
        alerts
    }

    fn pass(&mut self, act: &Act<'_>) -> Vec<Alert> {
        self.number += 1;
        self.json(&json_of(act, self.number))
    }
}

/// Checks on which events, from 0, a correlation fires, with which count and value.
#[track_caller]
fn fires(correlation: &str, acts: &[Act<'_>], expected: &[(usize, u64, Option<f64>)]) {
    let rules = with(correlation);
    let mut stream = Stream::new(&rules);
    let mut found = Vec::new();
    for (number, act) in acts.iter().enumerate() {
        found.extend(stream.pass(act).iter().map(|alert| (number, alert.count, alert.value)));
    }
    assert_eq!(found, expected, "{correlation}\n{acts:?}");
}

/// Events of jane's that are the same but for their times.
fn at(times: &[f64]) -> Vec<Act<'static>> {
    times.iter().map(|&time| act(time, "create", "jane", 1)).collect()
}

/// Events of jane's, a second apart, that differ in what they have.
fn having(values: &[i64]) -> Vec<Act<'static>> {
    values.iter().zip(0..).map(|(&value, second)| act(f64::from(second), "create", "jane", value)).collect()
}

/// Events of jane's, a second apart, with these verbs.
fn doing(verbs: &[&'static str]) -> Vec<Act<'static>> {
    verbs.iter().zip(0..).map(|(verb, second)| act(f64::from(second), verb, "jane", 1)).collect()
}

#[test]
fn events_are_counted_within_the_timespan() {
    let three =
        "{type: event_count, rules: [a], group-by: [user.username], timespan: 10s, condition: {gte: 3}}";
    for (times, expected) in [
        (&[0.0, 1.0, 2.0][..], &[(2, 3, None)][..]),
        (&[0.0, 1.0], &[]),
        // The window's beginning is not in it.
        (&[0.0, 5.0, 10.0], &[]),
        (&[0.0, 5.0, 9.999_999], &[(2, 3, None)]),
        (&[0.0, 5.0, 11.0, 12.0], &[(3, 3, None)]),
        // Out of order, within the window.
        (&[5.0, 9.0, 0.0], &[(2, 3, None)]),
        (&[9.0, 0.0, 5.0], &[(2, 3, None)]),
        // Too late to count.
        (&[10.0, 11.0, 1.0, 0.0], &[]),
        // Quiet until a timespan after the alert, then again.
        (&[0.0, 1.0, 2.0, 3.0, 4.0, 11.9, 12.0], &[(2, 3, None), (6, 4, None)]),
        // A log from another time begins anew.
        (&[1000.0, 1001.0, 0.0, 1.0, 2.0], &[(4, 3, None)]),
        (&[1000.0, 1001.0, 1002.0, 0.0, 1.0, 2.0], &[(2, 3, None), (5, 3, None)]),
    ] {
        fires(three, &at(times), expected);
    }
}

#[test]
fn every_comparison_is_kept() {
    for (condition, expected) in [
        ("{gt: 2}", &[2][..]),
        ("{gte: 2}", &[1]),
        ("{eq: 2}", &[1]),
        ("{neq: 1}", &[1]),
        ("{lt: 2}", &[0]),
        ("{lte: 1}", &[0]),
        ("{gt: 1, lt: 3}", &[1]),
        ("{gte: 3, lte: 2}", &[]),
    ] {
        let correlation = format!("{{type: event_count, rules: [a], timespan: 1h, condition: {condition}}}");
        let expected: Vec<_> = expected.iter().map(|&at| (at, at as u64 + 1, None)).collect();
        fires(&correlation, &at(&[0.0, 1.0, 2.0, 3.0]), &expected);
    }
}

#[test]
fn a_request_counts_once() {
    let three =
        "{type: event_count, rules: [a, b], group-by: [user.username], timespan: 1m, condition: {gte: 3}}";
    let same = |time, request| Act { request: Some(request), ..act(time, "create", "jane", 1) };
    fires(three, &[same(0.0, 1), same(1.0, 1), same(2.0, 2), same(3.0, 2)], &[]);
    fires(three, &[same(0.0, 1), same(1.0, 1), same(2.0, 2), same(3.0, 3)], &[(3, 3, None)]);
    // Without an identifier there is nothing to tell them by.
    let rules = with(three);
    let mut stream = Stream::new(&rules);
    let nameless = json_of(&same(0.0, 1), 0).replace("auditID", "id");
    assert_eq!([(); 3].map(|()| stream.json(&nameless).len()), [0, 0, 1]);
}

#[test]
fn who_gives_all_requests_the_same_identifier_is_counted_all_the_same() {
    // kube-apiserver takes the identifier from the request's `Audit-ID`, if it has one.
    let three =
        "{type: event_count, rules: [a], group-by: [user.username], timespan: 1m, condition: {gte: 3}}";
    let received = |time: u32, stage: &str| {
        let act = Act { request: Some(7), ..act(f64::from(time) + 0.5, "create", "jane", 1) };
        let members =
            format!(r#""stage":"{stage}","requestReceivedTimestamp":"2026-03-02T12:00:0{time}.000000Z""#);
        json_of(&act, 0).replace(r#""stage":"ResponseComplete""#, &members)
    };
    let rules = with(three);
    let mut stream = Stream::new(&rules);
    let requests =
        [(0, "ResponseStarted"), (0, "ResponseComplete"), (1, "ResponseComplete"), (2, "ResponseComplete")];
    let alerts = requests.map(|(time, stage)| stream.json(&received(time, stage)).len());
    assert_eq!(alerts, [0, 0, 0, 1]);
}

#[test]
fn different_values_are_counted() {
    let of = |field: &str, gte: u32| {
        format!(
            "{{type: value_count, rules: [a], group-by: [user.username], timespan: 10s, condition: {{field: {field}, gte: {gte}}}}}"
        )
    };
    fires(&of("objectRef.name", 3), &having(&[1, 2, 2, 1, 3]), &[(4, 3, Some(3.0))]);
    fires(&of("[objectRef.resource, objectRef.name]", 2), &having(&[1, 1, 2]), &[(2, 2, Some(2.0))]);
    // What does not have the field does not count.
    fires(&of("objectRef.namespace", 1), &having(&[1, 2, 3]), &[]);
    fires(&of("[objectRef.namespace, objectRef.name]", 1), &having(&[1, 2, 3]), &[]);
    // A value is as new as its newest event.
    let mut acts = having(&[1, 2]);
    acts.extend([act(9.0, "create", "jane", 1), act(10.5, "create", "jane", 3)]);
    fires(&of("objectRef.name", 3), &acts, &[(3, 3, Some(3.0))]);
}

#[test]
fn rules_meet_in_any_order_or_in_theirs() {
    let temporal = |more: &str| {
        format!("{{type: temporal{more}, rules: [a, b, c], group-by: [user.username], timespan: 10s}}")
    };
    let all = Some(3);
    for (verbs, expected, expected_ordered) in [
        (&["create", "delete", "patch"][..], Some(2), Some(2)),
        // Create is of rules a and b, but in an order each needs an event of its own.
        (&["create", "patch"], Some(1), None),
        (&["patch", "delete", "create"], Some(2), None),
        (&["patch", "create", "delete", "patch"], Some(1), all),
        (&["delete", "patch", "delete", "patch"], None, None),
        (&["create", "create", "create", "patch"], all, all),
    ] {
        for (more, expected) in [("", expected), ("_ordered", expected_ordered)] {
            let expected: Vec<_> = expected.map(|at| (at, 3, None)).into_iter().collect();
            fires(&temporal(more), &doing(verbs), &expected);
        }
    }
    let late = [act(5.0, "delete", "jane", 1), act(6.0, "patch", "jane", 1), act(4.0, "create", "jane", 1)];
    fires(&temporal("_ordered"), &late, &[(2, 3, None)]);
    let two = "{type: temporal, rules: [a, b, c], timespan: 10s, condition: {gte: 2}}";
    fires(two, &doing(&["patch", "delete"]), &[(1, 2, None)]);
    // By somebody else, or too late.
    fires(&temporal(""), &[act(0.0, "create", "jane", 1), act(1.0, "patch", "mary", 1)], &[]);
    fires(&temporal(""), &[act(0.0, "create", "jane", 1), act(10.0, "patch", "jane", 1)], &[]);
}

#[test]
fn values_are_added_up_averaged_and_ranked() {
    let of = |kind: &str, condition: &str| {
        format!(
            "{{type: value_{kind}, rules: [a], timespan: 1m, condition: {{field: responseStatus.code, {condition}}}}}"
        )
    };
    for (correlation, values, expected) in [
        (of("sum", "gt: 10"), &[5, 5, 1][..], &[(2, 3, Some(11.0))][..]),
        (of("avg", "gte: 4.5"), &[4, 4, 6, 4], &[(2, 3, Some(14.0 / 3.0))]),
        (of("avg", "lt: 2"), &[4, 1, 0], &[(2, 3, Some(5.0 / 3.0))]),
        (of("median", "gt: 4"), &[1, 9, 3, 7, 8], &[(1, 2, Some(5.0))]),
        (of("median", "eq: 3"), &[1, 9, 3], &[(2, 3, Some(3.0))]),
        (of("percentile", "percentile: 90, gte: 5"), &[1, 2, 3, 4, 5, 1, 1, 1, 1, 1], &[(4, 5, Some(5.0))]),
        (of("percentile", "percentile: 50, eq: 2"), &[1, 3, 2], &[(2, 3, Some(2.0))]),
    ] {
        fires(&correlation, &having(values), expected);
    }
    // What is no number does not count.
    let names = "{type: value_sum, rules: [a], timespan: 1m, condition: {field: objectRef.name, gte: 0}}";
    fires(names, &having(&[1, 2]), &[]);
}

#[test]
fn a_share_of_the_counted_events_must_match_as_well() {
    let share = "{type: event_count, rules: [b], group-by: [user.username], timespan: 1m, condition: {gt: 3}, \
                 x-share: {rules: [a], gt: 0.5}}";
    for (verbs, expected) in [
        (&["create", "create", "create", "delete"][..], &[(3, 4, Some(0.75))][..]),
        (&["create", "create", "delete", "delete"], &[]),
        (&["create", "create", "delete", "delete", "create"], &[(4, 5, Some(0.6))]),
        (&["delete", "delete", "delete", "delete"], &[]),
    ] {
        fires(share, &doing(verbs), expected);
    }
    // The later stage of a request tells that it is one of the share.
    let two =
        "{type: event_count, rules: [b], timespan: 1m, condition: {gte: 2}, x-share: {rules: [a], gte: 1}}";
    let same = |time, verb, request| Act { request: Some(request), ..act(time, verb, "jane", 1) };
    let acts = [same(0.0, "create", 1), same(1.0, "delete", 2), same(2.0, "create", 2)];
    fires(two, &acts, &[(2, 2, Some(1.0))]);
}

#[test]
fn groups_are_what_the_fields_say() {
    let rules = with(
        "{type: event_count, rules: [a], group-by: [user.username, objectRef.name], timespan: 1m, condition: {gte: 2}}",
    );
    let mut stream = Stream::new(&rules);
    for (user, value, expected) in [
        ("jane", 1, None),
        ("mary", 1, None),
        ("jane", 2, None),
        ("jan", 1, None),
        ("jane", 1, Some(r#"{"user.username":"jane","objectRef.name":"n1"}"#)),
        ("\u{1f600}\\\"", 1, None),
        ("\u{1f600}\\\"", 1, Some(r#"{"user.username":"😀\"","objectRef.name":"n1"}"#)),
    ] {
        let found = stream.pass(&act(0.0, "create", user, value));
        let group = found.first().map(|alert| String::from_utf8(alert.group.clone()).unwrap());
        assert_eq!(group.as_deref(), expected, "{user} {value}");
    }
    // Without a field there is no group; one that is empty is a group.
    let nobody = json_of(&act(0.0, "create", "x", 1), 0).replace(r#""user":{"username":"x"},"#, "");
    for id in 1..4 {
        assert!(stream.json(&nobody.replace("own-0", &format!("nobody-{id}"))).is_empty());
    }
    let rules =
        with("{type: event_count, rules: [a], group-by: [user.groups], timespan: 1m, condition: {gte: 2}}");
    let mut stream = Stream::new(&rules);
    let grouped =
        json_of(&act(0.0, "create", "x", 1), 0).replace(r#""username":"x""#, r#""groups":["p","q"]"#);
    assert!(stream.json(&grouped).is_empty());
    let found = stream.json(&grouped.replace("own-0", "own-1"));
    assert_eq!(found.first().map(|alert| &*alert.group), Some(&br#"{"user.groups":["p","q"]}"#[..]));
}

#[test]
fn an_alias_is_another_field_in_the_events_of_each_rule() {
    let rules = with(
        "{type: temporal, rules: [a, c], group-by: [who], timespan: 1m, \
         aliases: {who: {a: user.username, c: objectRef.name}}}",
    );
    let mut stream = Stream::new(&rules);
    assert!(stream.pass(&act(0.0, "create", "n7", 1)).is_empty());
    assert!(stream.pass(&act(1.0, "patch", "n7", 8)).is_empty());
    let found = stream.pass(&act(2.0, "patch", "jane", 7));
    assert_eq!(found.first().map(|alert| &*alert.group), Some(&br#"{"who":"n7"}"#[..]));
}

#[test]
fn correlations_build_on_correlations() {
    // As in the specification's example, the outermost stands first.
    let text = format!(
        "{}---\n{}---\n{}",
        document(
            "outer",
            "{type: temporal_ordered, rules: [many, c], group-by: [user.username], timespan: 1m}"
        ),
        document(
            "inner",
            "{type: event_count, rules: [a], group-by: [user.username], timespan: 1m, condition: {gte: 3}}"
        )
        .replace("level", "name: many\nlevel"),
        base_rules()
    );
    let (rules, problems) = load(&[], &[("rules.yml", &text)]);
    assert!(problems.is_empty(), "{problems:?}");
    let mut stream = Stream::new(&rules);
    let mut acts = at(&[0.0, 1.0, 2.0]);
    acts.push(act(3.0, "patch", "mary", 1));
    assert!(acts.iter().all(|act| stream.pass(act).is_empty()), "the inner one says nothing by itself");
    let found = stream.pass(&act(4.0, "patch", "jane", 1));
    assert_eq!(
        found.iter().map(|alert| &*rules.correlation(alert).unwrap().id).collect::<Vec<_>>(),
        ["outer"]
    );
}

#[test]
fn who_says_something_by_itself() {
    let correlation = |more: &str| {
        document("x", "{type: event_count, rules: [a], timespan: 1m, condition: {gte: 1}}") + more
    };
    let other = document("other", "{type: event_count, rules: [a, b], timespan: 1m, condition: {gte: 1}}");
    for (what, disabled, correlations, rules_heard, alerts_heard) in [
        ("a correlation's rules are silent", &[][..], correlation(""), &["b"][..], &["x"][..]),
        ("but not if they are to be heard", &[], correlation("generate: true\n"), &["a", "b"], &["x"]),
        (
            "one says so",
            &[],
            format!("{}---\n{other}", correlation("generate: true\n")),
            &["a"],
            &["x", "other"],
        ),
        ("a disabled rule serves its correlation", &["a"], correlation("generate: true\n"), &["b"], &["x"]),
        ("a disabled correlation is gone", &["x"], correlation(""), &["a", "b"], &[]),
    ] {
        let (rules, problems) = load(disabled, &[("rules.yml", &base_rules()), ("x.yml", &correlations)]);
        assert!(problems.is_empty(), "{what}: {problems:?}");
        let json = json_of(&act(0.0, "create", "jane", 1), 0);
        let event = Event::read(json.as_bytes(), b"audit").unwrap();
        let (mut hits, mut alerts) = (Vec::new(), Vec::new());
        rules.evaluate(&mut Scratch::default(), &event, &(), &mut hits);
        rules.correlate(&mut State::default(), &hits, &event, &(), &mut alerts);
        let heard: BTreeSet<&str> =
            hits.iter().filter_map(|&hit| rules.finding(hit)).map(|rule| &*rule.id).collect();
        assert_eq!(heard.into_iter().collect::<Vec<_>>(), rules_heard, "{what}");
        let heard: Vec<&str> =
            alerts.iter().filter_map(|alert| rules.correlation(alert)).map(|rule| &*rule.id).collect();
        assert_eq!(heard, alerts_heard, "{what}");
    }
}

#[test]
fn nobody_elses_correlation_silences_a_built_in_rule() {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(Vec::new());
    RuleSet::add_builtin(&mut builder, &mut problems);
    let exec = "{type: event_count, rules: [c9b8d3f5], timespan: 1m, condition: {gte: 1}}";
    let id = builder.rules[0].id.clone();
    builder.add(&Arc::from("x.yml"), &document("x", &exec.replace("c9b8d3f5", &id)), &mut problems);
    let rules = builder.finish(&mut problems);
    assert!(problems.as_slice().is_empty(), "{:?}", problems.as_slice());
    assert!(rules.finding(RuleId(0)).is_some());
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let good = "type: event_count, rules: [a], timespan: 1m, condition: {gte: 2}";
    for (correlation, field, message) in [
        ("[a]".to_owned(), "correlation", "expected a mapping, found a list"),
        ("{}".to_owned(), "correlation.type", "expected one of event_count, "),
        (good.replace("event_count", "sequence"), "correlation.type", "expected one of event_count, "),
        (format!("{good}, window: 5m"), "correlation.window", "unknown, and so it cannot be honoured"),
        (good.replace("[a]", "[]"), "correlation.rules", "missing"),
        (good.replace("[a]", "[z]"), "correlation.rules", "no rule that could be read has the name or id z"),
        (good.replace("[a]", "[a, a]"), "correlation.rules", "a is named twice"),
        (good.replace("[a]", "[x]"), "correlation.rules", "refers to itself"),
        (good.replace("1m", "1M"), "correlation.timespan", "months have no fixed length"),
        (good.replace("1m", "0s"), "correlation.timespan", "expected a number and s, m, h, d or w"),
        (good.replace("1m", "400d"), "correlation.timespan", "a year at most"),
        (good.replace(", condition: {gte: 2}", ""), "correlation.condition", "missing"),
        (good.replace("{gte: 2}", "a and not b"), "correlation.condition", "other forms are not supported"),
        (good.replace("{gte: 2}", "{}"), "correlation.condition", "compares with nothing"),
        (good.replace("gte: 2", "gte: two"), "correlation.condition.gte", "expected a number"),
        (good.replace("gte: 2", "gte: 2, field: verb"), "correlation.condition.field", "unknown"),
        (good.replace("event_count", "value_count"), "correlation.condition.field", "missing"),
        (good.replace("event_count", "value_sum"), "correlation.condition.field", "missing"),
        (
            good.replace("event_count", "value_sum").replace("gte: 2", "gte: 2, field: [a.b, c.d]"),
            "correlation.condition.field",
            "several fields",
        ),
        (
            good.replace("event_count", "value_percentile").replace("gte: 2", "gte: 2, field: a.b"),
            "correlation.condition.percentile",
            "write which one",
        ),
        (
            good.replace("event_count", "value_count").replace("gte: 2", "gte: 5000, field: verb"),
            "correlation.condition",
            "too much memory",
        ),
        (
            good.replace("event_count", "temporal_ordered").replace("[a]", "[a, b, c]"),
            "correlation.condition",
            "an order of some of the rules",
        ),
        (format!("{good}, group-by: [audit.severity]"), "correlation.group-by", "follows from the rules"),
        (format!("{good}, group-by: ['a[0]']"), "correlation.group-by", "brackets"),
        (
            format!("{good}, group-by: [w], aliases: {{w: {{z: verb}}}}"),
            "correlation.aliases.w",
            "z is not among",
        ),
        (
            format!("{good}, group-by: [w], aliases: {{w: {{}}}}"),
            "correlation.aliases.w",
            "says nothing of a",
        ),
        (format!("{good}, generate: maybe"), "generate", "expected true or false"),
        (format!("{good}, x-share: {{rules: [b]}}"), "correlation.x-share", "compares with nothing"),
        (format!("{good}, x-share: {{gt: 0.5}}"), "correlation.x-share.rules", "missing"),
        (
            format!("{}, x-share: {{rules: [b], gt: 0.5}}", good.replace("event_count", "temporal")),
            "correlation.x-share",
            "counted events only",
        ),
    ] {
        let correlation =
            if correlation.starts_with(['[', '{']) { correlation } else { format!("{{{correlation}}}") };
        let text = format!("# A comment.\n{}", document("x", &correlation));
        let (_, problems) = load(&[], &[("rules.yml", &base_rules()), ("x.yml", &text)]);
        let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Gravity::Error).collect();
        assert!(
            errors.iter().any(|error| error.field == field && error.message.contains(message)),
            "{correlation}: {errors:#?}"
        );
        assert!(
            errors.iter().all(|error| &*error.file == "x.yml" && (2..6).contains(&error.line)),
            "{errors:?}"
        );
    }
    let twice = format!("{}---\n{}", document("a", &format!("{{{good}}}")), base_rules());
    let (_, problems) = load(&[], &[("rules.yml", &twice)]);
    assert!(
        problems.iter().any(|problem| problem.message.contains("a is taken by rules.yml:1")),
        "{problems:?}"
    );
}

#[test]
fn an_upper_bound_alone_is_warned_of() {
    for (condition, expected) in [("{lt: 3}", 1), ("{neq: 3}", 1), ("{gte: 1, lt: 3}", 0), ("{eq: 3}", 0)] {
        let text = document(
            "x",
            &format!("{{type: event_count, rules: [a], timespan: 1m, condition: {condition}}}"),
        );
        let (_, problems) = load(&[], &[("rules.yml", &base_rules()), ("x.yml", &text)]);
        let warnings =
            problems.iter().filter(|problem| problem.message.contains("add a lower bound")).count();
        assert_eq!((warnings, problems.len()), (expected, expected), "{condition}: {problems:?}");
    }
}

/// Correlation x of 50 groups: ten events of one user within an hour.
fn few_groups() -> RuleSet {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(Vec::new());
    let ten =
        "{type: event_count, rules: [a], group-by: [user.username], timespan: 1h, condition: {gte: 10}}";
    builder.add(&Arc::from("x.yml"), &format!("{}---\n{}", base_rules(), document("x", ten)), &mut problems);
    builder.set_groups(50);
    builder.finish(&mut problems)
}

#[test]
fn any_number_of_addresses_does_not_push_out_who_is_on_the_way_to_an_alert() {
    let rules = few_groups();
    let mut stream = Stream::new(&rules);
    let mut fired = Vec::new();
    for number in 0..100_000 {
        // A few requests at first, then one in ten thousand of those that are to cover them up.
        if number < 5 || number % 10_000 == 0 {
            fired.extend(stream.pass(&act(f64::from(number) / 50.0, "create", "mallory", 1)));
        }
        let name = format!("cover-{number}");
        fired.extend(stream.pass(&act(f64::from(number) / 50.0, "create", &name, 1)));
    }
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].group, br#"{"user.username":"mallory"}"#);
    // Who has fired is remembered, too.
    assert!((0..20).all(|_| stream.pass(&act(2000.0, "create", "mallory", 1)).is_empty()));
    assert_eq!(stream.state.groups[0].extent().0.max(50), 50);
}

#[test]
fn a_newcomer_is_not_forgotten_at_once_and_whose_window_is_over_goes_first() {
    let rules = few_groups();
    let mut stream = Stream::new(&rules);
    // Fifty that are nearly there, and have given up since.
    for number in 0..50 {
        let name = format!("old-{number}");
        (0..9).for_each(|_| assert!(stream.pass(&act(0.0, "create", &name, 1)).is_empty()));
    }
    let mut alerts = 0;
    for round in 0..10 {
        for number in 0..12 {
            let name = format!("new-{number}");
            alerts += stream.pass(&act(3600.0 + f64::from(round), "create", &name, 1)).len();
        }
    }
    assert_eq!(alerts, 12);
}

#[test]
fn memory_has_a_bound() {
    let kinds = [
        "event_count, condition: {gte: 100000}",
        "value_count, condition: {field: objectRef.name, gte: 40}",
        "value_sum, condition: {field: responseStatus.code, gt: 1000000000}",
        "value_median, condition: {field: responseStatus.code, gt: 1000000000}",
        "temporal_ordered",
    ];
    for kind in kinds {
        let mut problems = Problems::default();
        let mut builder = RuleSet::builder(Vec::new());
        let correlation = document(
            "x",
            &format!("{{rules: [a, c], group-by: [user.username], timespan: 1h, type: {kind}}}"),
        );
        builder.add(&Arc::from("x.yml"), &format!("{}---\n{correlation}", base_rules()), &mut problems);
        builder.set_groups(20);
        let rules = builder.finish(&mut problems);
        assert!(!problems.has_errors(), "{:?}", problems.as_slice());
        let mut stream = Stream::new(&rules);
        for number in 0..30_000_i32 {
            let name = format!("user-{}", number % 30);
            stream.pass(&act(f64::from(number) / 10.0, "create", &name, number.into()));
        }
        let capacity = rules.correlations.list[0].shape.capacity;
        let (groups, bytes) = stream.state.groups[0].extent();
        // Vectors double, so that up to half of what they take is empty.
        let bound = 20 * 2 * (capacity * size_of::<Entry>() + 100);
        assert!(groups <= 20 && bytes <= bound, "{kind}: {groups} groups of {bytes} bytes, bound {bound}");
    }
}

#[test]
fn what_is_more_than_fits_is_counted_all_the_same() {
    // Of a thousand events in a window there is no room for each.
    let thousand = "{type: event_count, rules: [a], timespan: 100s, condition: {gte: 1000}}";
    let acts: Vec<_> = (0..2000).map(|number| act(f64::from(number) * 0.09, "create", "jane", 1)).collect();
    fires(thousand, &acts, &[(999, 1000, None)]);
    // Entries stay a little longer than their time, and no more than that.
    let steady: Vec<_> = (0..5000).map(|number| act(f64::from(number) * 0.11, "create", "jane", 1)).collect();
    fires(thousand, &steady, &[]);
    let sum =
        "{type: value_sum, rules: [a], timespan: 100s, condition: {field: responseStatus.code, gte: 1000}}";
    fires(sum, &acts, &[(999, 1000, Some(1000.0))]);
    // A flood of one rule does not hide that the others came in order.
    let mut acts = vec![act(0.0, "create", "jane", 1), act(1.0, "delete", "jane", 1)];
    acts.extend((0..500).map(|number| act(2.0 + f64::from(number) / 100.0, "create", "jane", 1)));
    acts.push(act(8.0, "patch", "jane", 1));
    fires("{type: temporal_ordered, rules: [a, b, c], timespan: 10s}", &acts, &[(502, 3, None)]);
}

#[test]
fn hostile_values_are_hashed_and_cut_short() {
    let rules =
        with("{type: event_count, rules: [a], group-by: [user.username], timespan: 1m, condition: {gte: 2}}");
    let mut stream = Stream::new(&rules);
    let long = "é".repeat(500_000);
    assert!(stream.pass(&act(0.0, "create", &long, 1)).is_empty());
    assert!(stream.pass(&act(0.0, "create", &format!("{long}x"), 1)).is_empty(), "the whole value counts");
    let found = stream.pass(&act(1.0, "create", &long, 1));
    let group = String::from_utf8(found[0].group.clone()).unwrap();
    assert!(group.len() < 2 * MAX_SHOWN && group.ends_with("é…\"}"), "{group:.100}");
    // Times that are none, or as far away as times can be.
    for stamp in ["", "yesterday", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"] {
        let json = json_of(&act(0.0, "create", "m", 1), 0);
        let from = json.find("2026-03-02").unwrap();
        stream.json(&format!("{}{stamp}\"}}", &json[..from]));
    }
    assert!(stream.pass(&act(0.0, "create", "m", 1)).is_empty());
    assert_eq!(stream.pass(&act(0.0, "create", "m", 1)).len(), 1);
}

/// What a correlation finds, computed from all events of a group anew each time.
struct Oracle<'c> {
    kind: &'c str,
    span: f64,
    least: f64,
    groups: BTreeMap<String, History<'c>>,
}

/// The events of a group, each with its time and rules, and when the correlation fired last.
type History<'c> = (Vec<(f64, Act<'c>, u8)>, Option<f64>);

impl<'c> Oracle<'c> {
    fn pass(&mut self, act: &Act<'c>) -> bool {
        let rules = match act.verb {
            "create" => 0b011,
            "delete" => 0b010,
            _ => 0b100,
        };
        let (events, fired) = self.groups.entry(act.user.to_owned()).or_default();
        let newest = events.iter().map(|event| event.0).fold(f64::MIN, f64::max);
        if act.time <= newest - self.span {
            return false;
        }
        let begin = newest.max(act.time) - self.span;
        let is_by_request = !matches!(self.kind, "value_count" | "temporal");
        let same = |event: &&mut (f64, Act<'c>, u8)| {
            is_by_request && event.0 > begin && act.request.is_some() && event.1.request == act.request
        };
        match events.iter_mut().find(same) {
            Some(known) => known.2 |= rules,
            None => {
                events.retain(|event| event.0 > begin);
                events.push((act.time, act.clone(), rules));
            }
        }
        let newest = events.iter().map(|event| event.0).fold(f64::MIN, f64::max);
        if fired.is_some_and(|fired| newest < fired + self.span) {
            return false;
        }
        let values: Vec<f64> = events.iter().map(|event| event.1.value as f64).collect();
        let sum: f64 = values.iter().sum();
        let measured = match self.kind {
            "event_count" => events.len() as f64,
            "value_count" => events.iter().map(|event| event.1.value).collect::<BTreeSet<_>>().len() as f64,
            "temporal" => f64::from(events.iter().fold(0, |all, event| all | event.2).count_ones()),
            "temporal_ordered" => {
                let mut in_order: Vec<_> = events.iter().collect();
                in_order.sort_by(|a, b| a.0.total_cmp(&b.0));
                let found = (0..in_order.len()).any(|i| {
                    (i + 1..in_order.len()).any(|j| {
                        (j + 1..in_order.len()).any(|k| {
                            in_order[i].2 & 1 != 0 && in_order[j].2 & 2 != 0 && in_order[k].2 & 4 != 0
                        })
                    })
                });
                if found { 3.0 } else { 0.0 }
            }
            "value_sum" => sum,
            "value_avg" => sum / values.len() as f64,
            _ => {
                let mut values = values;
                values.sort_by(f64::total_cmp);
                let middle = values.len() / 2;
                if values.len() % 2 == 1 {
                    values[middle]
                } else {
                    (values[middle - 1] + values[middle]) / 2.0
                }
            }
        };
        let fires = measured >= self.least;
        if fires {
            *fired = Some(newest);
        }
        fires
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_say_what_all_events_together_say(
        kind in 0..7_usize,
        least in 1..6_i32,
        acts in prop::collection::vec(
            (0..60_i32, 0..3_usize, 0..2_usize, 0..5_i64, prop::option::weighted(0.3, 0..6_u32), 0..8_i32),
            1..60,
        ),
    ) {
        let kind = ["event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_median"][kind];
        let field = match kind {
            "value_count" => "field: objectRef.name, ",
            "value_sum" | "value_avg" | "value_median" => "field: responseStatus.code, ",
            _ => "",
        };
        let least = match kind {
            "temporal_ordered" => 3,
            "temporal" => least.min(3),
            "value_sum" => least * 4,
            _ => least,
        };
        let rules = with(&format!(
            "{{type: {kind}, rules: [a, b, c], group-by: [user.username], timespan: 10s, condition: {{{field}gte: {least}}}}}"
        ));
        let mut stream = Stream::new(&rules);
        let mut oracle = Oracle { kind, span: 10.0, least: least.into(), groups: BTreeMap::new() };
        // Time goes on, with events a little, or much, out of order.
        for (number, &(jitter, verb, user, value, request, step)) in acts.iter().enumerate() {
            let time = number as f64 * 0.5 + f64::from(step) - if jitter < 20 { f64::from(jitter) } else { 0.0 };
            let act = Act {
                request, ..act(time, ["create", "delete", "patch"][verb], ["jane", "mary"][user], value)
            };
            let found = stream.pass(&act).len();
            prop_assert_eq!(found == 1, oracle.pass(&act), "{} on event {} of {:?}", kind, number, acts);
        }
    }
}

/// A configuration and a file of rules.
struct Texts<'t>(&'t str, &'t str);

impl Files for Texts<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(match path {
            config::FILE_NAME => Some(self.0.into()),
            "rules.yml" => Some(self.1.into()),
            _ => None,
        })
    }

    fn list(&self, _: &str) -> Result<Option<Vec<String>>, String> {
        Ok(None)
    }
}

fn engine(configuration: &str, rules: &str) -> Engine {
    let loaded = config::load(&Texts(configuration, rules));
    Engine::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems)))
}

fn audit_of(engine: &mut Engine, act: &Act<'_>, number: usize) -> Option<serde_json::Value> {
    let mut out = Vec::new();
    let outcome = engine.filter(json_of(act, number).as_bytes(), &mut out);
    (outcome != Outcome::Dropped)
        .then(|| serde_json::from_slice::<serde_json::Value>(&out).unwrap()["audit"].take())
}

const KEEP: &str = "policy: {apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}\n";

fn two_of_a(more: &str) -> String {
    let two =
        "{type: event_count, rules: [a], group-by: [audit.operator], timespan: 5m, condition: {gte: 2}}";
    format!("{}---\n{}{more}", base_rules(), document("x", two))
}

#[test]
fn an_alert_is_in_the_event_that_completes_it_and_leads_it_elsewhere() {
    let configuration = format!(
        "{KEEP}rules: {{builtin: false, files: [rules.yml], correlationGroups: 7}}\nroutes:\n\
         - {{name: counted, when: {{audit.alerts.count|gte: 3}}}}\n\
         - {{name: alerts, when: {{audit.alerts|exists: true, audit.alerts.rule: x, audit.alerts.severity: high}}}}\n\
         - {{name: rest}}\n"
    );
    let mut engine = engine(&configuration, &two_of_a("tags: [attack.t1110]\ngenerate: true\n"));
    let first = audit_of(&mut engine, &act(0.0, "create", "jane", 200), 1).unwrap();
    assert_eq!(
        (&first["route"], &first["severity"], first.get("alerts")),
        (&"rest".into(), &"low".into(), None)
    );
    let second = audit_of(&mut engine, &act(1.0, "create", "jane", 200), 2).unwrap();
    let expected = serde_json::json!([{
        "rule": "x", "severity": "high", "group": {"audit.operator": "jane"}, "count": 2, "window_seconds": 300,
    }]);
    assert_eq!(second["alerts"], expected);
    assert_eq!((&second["route"], &second["severity"]), (&"alerts".into(), &"high".into()));
    assert_eq!(
        (&second["rules"], &second["tags"]),
        (&serde_json::json!(["a", "b"]), &serde_json::json!(["attack.t1110"]))
    );
    let third = audit_of(&mut engine, &act(2.0, "create", "jane", 200), 3).unwrap();
    assert_eq!(third.get("alerts"), None);
}

#[test]
fn what_is_dropped_counts_only_where_severity_may_keep_it() {
    let none = KEEP.replace("Metadata", "None");
    let rules = "rules: {builtin: false, files: [rules.yml]}\n";
    for (configuration, expected, counts) in [
        (format!("{KEEP}{rules}"), &[true, true][..], true),
        (format!("{none}{rules}"), &[false, false], false),
        // The event that completes the correlation is as grave as the correlation.
        (format!("{none}{rules}keepSeverity: high\n"), &[false, true], true),
        (format!("{none}{rules}keepSeverity: critical\n"), &[false, false], true),
        (format!("{KEEP}{rules}omitResponseCodes: [200]\n"), &[false, false], false),
    ] {
        let mut engine = engine(&configuration, &two_of_a(""));
        let acts = [act(0.0, "create", "jane", 200), act(1.0, "create", "jane", 200)];
        let kept = [0, 1].map(|number| audit_of(&mut engine, &acts[number], number).is_some());
        assert_eq!(kept, expected, "{configuration}");
        // Whoever asks why sees the same, and does not count what was dropped.
        let mut engine = self::engine(&configuration, &two_of_a(""));
        for (number, act) in acts.iter().enumerate() {
            let explanation = engine.explain(json_of(act, number).as_bytes());
            assert_eq!(explanation.outcome == Outcome::Kept, expected[number], "{configuration}");
            let alerts = explanation.findings.map_or(0, |findings| findings.alerts.len());
            assert_eq!(alerts, usize::from(number == 1 && counts), "{configuration}");
        }
    }
}

#[test]
fn the_number_of_groups_is_a_number() {
    for (groups, sound) in
        [("1", true), ("100000", true), ("0", false), ("100001", false), ("many", false), ("-1", false)]
    {
        let loaded =
            config::load(&Texts(&format!("rules: {{builtin: false, correlationGroups: {groups}}}"), ""));
        assert_eq!(loaded.config.is_some(), sound, "{groups}: {:?}", loaded.problems);
    }
}

#[test]
fn only_a_change_that_was_cut_short_makes_it_forget() {
    let rules = with("{type: event_count, rules: [a], timespan: 1m, condition: {gte: 2}}");
    let mut stream = Stream::new(&rules);
    stream.pass(&act(0.0, "create", "jane", 1));
    stream.state.recover();
    assert_eq!(stream.pass(&act(1.0, "create", "jane", 1)).len(), 1);
    stream.state.changing = true;
    stream.state.recover();
    assert!(stream.pass(&act(200.0, "create", "jane", 1)).is_empty());
}

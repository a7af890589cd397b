//! A second reading of Sigma, straight from its text: no index, no memory, no order of evaluation, by
//! recursion over trees. What it says of random rules and events, the compiled rules have to say too.

use super::tests::{Findings, hits};
use super::{AuditField, AuditValue, RuleSet, Scratch};
use crate::problem::Problems;
use crate::record::Member;
use crate::yaml::{self, Node, Resolved, Value};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Whether a rule's detection holds.
fn holds(detection: &Node, event: &Json, audit: &[(&str, &str)]) -> bool {
    let condition = detection.get("condition").and_then(Node::str).unwrap();
    let words: Vec<String> =
        condition.replace('(', " ( ").replace(')', " ) ").split_whitespace().map(str::to_owned).collect();
    let mut reading = Reading { words: &words, at: 0, detection, event, audit };
    let result = reading.or();
    assert_eq!(reading.at, words.len(), "{condition}");
    result
}

/// A condition being read, by one function for each level of precedence.
struct Reading<'r> {
    words: &'r [String],
    at: usize,
    detection: &'r Node,
    event: &'r Json,
    audit: &'r [(&'r str, &'r str)],
}

impl Reading<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let next = self.words.get(self.at).is_some_and(|next| next == word);
        self.at += usize::from(next);
        next
    }

    fn or(&mut self) -> bool {
        let mut result = self.and();
        while self.takes("or") {
            result |= self.and();
        }
        result
    }

    fn and(&mut self) -> bool {
        let mut result = self.not();
        while self.takes("and") {
            result &= self.not();
        }
        result
    }

    fn not(&mut self) -> bool {
        if self.takes("not") { !self.not() } else { self.operand() }
    }

    fn operand(&mut self) -> bool {
        if self.takes("(") {
            let result = self.or();
            assert!(self.takes(")"));
            return result;
        }
        let word = self.words[self.at].clone();
        self.at += 1;
        if !self.takes("of") {
            return selected(self.detection.get(&word).unwrap(), self.event, self.audit);
        }
        let pattern = self.words[self.at].clone();
        self.at += 1;
        let Value::Mapping(members) = &self.detection.value else { unreachable!() };
        let mut results = members
            .iter()
            .map(|(name, selection)| (name.scalar().unwrap().text.as_str(), selection))
            .filter(|(name, _)| *name != "condition" && !name.starts_with('_'))
            .filter(|(name, _)| pattern == "them" || name.starts_with(pattern.trim_end_matches('*')))
            .map(|(_, selection)| selected(selection, self.event, self.audit));
        if word == "all" { results.all(|result| result) } else { results.any(|result| result) }
    }
}

fn selected(selection: &Node, event: &Json, audit: &[(&str, &str)]) -> bool {
    match &selection.value {
        Value::Mapping(items) => {
            items.iter().all(|(key, value)| item(&key.scalar().unwrap().text, value, event, audit))
        }
        Value::Sequence(list) => list.iter().any(|one| selected(one, event, audit)),
        Value::Scalar(_) => item("", selection, event, audit),
    }
}

fn item(key: &str, value: &Node, event: &Json, audit: &[(&str, &str)]) -> bool {
    let mut parts = key.split('|');
    let field = parts.next().unwrap();
    let modifiers: Vec<&str> = parts.collect();
    let found = values_of(field, event, audit);
    let wanted = match &value.value {
        Value::Sequence(list) => list.iter().collect(),
        _ => vec![value],
    };
    let mut results = wanted.into_iter().map(|wanted| {
        let is_null = wanted.is_null();
        if modifiers.contains(&"exists") {
            return (wanted.scalar().unwrap().resolve() == Resolved::Bool(true)) != found.is_empty();
        }
        if modifiers.contains(&"fieldref") {
            let others = values_of(&wanted.scalar().unwrap().text, event, audit);
            return found.iter().any(|one| {
                others.iter().any(|other| match (written(one), written(other)) {
                    (Some(one), Some(other)) => placed(&one, &literally(&other), &modifiers, false),
                    _ => false,
                })
            });
        }
        if is_null {
            return found.iter().all(|one| one.is_null() || one.is_array());
        }
        found.iter().any(|one| matches(one, wanted, &modifiers, field.is_empty()))
    });
    let result =
        if modifiers.contains(&"all") { results.all(|result| result) } else { results.any(|result| result) };
    result != modifiers.contains(&"neq")
}

/// The values of a field. An array is a value, and so are its elements.
fn values_of(field: &str, event: &Json, audit: &[(&str, &str)]) -> Vec<Json> {
    let mut values = Vec::new();
    if let Some(name) = field.strip_prefix("audit.") {
        values.extend(audit.iter().filter(|(of, _)| *of == name).map(|(_, value)| json!(value)));
    } else if field.is_empty() {
        everything(event, &mut values);
        values.retain(|value| value.is_string() || value.is_number());
    } else if field.contains('.') || Member::named(field).is_some() {
        lead(event, field, &mut values);
    } else if let Some(value) = event.get(field) {
        spread(value, &mut values);
    } else {
        for place in ["objectRef", "requestObject", "responseObject"] {
            named(&event[place], field, &mut values);
        }
    }
    values
}

fn spread(value: &Json, values: &mut Vec<Json>) {
    values.push(value.clone());
    if let Json::Array(elements) = value {
        elements.iter().for_each(|element| spread(element, values));
    }
}

fn lead(value: &Json, path: &str, values: &mut Vec<Json>) {
    match value {
        Json::Array(elements) => elements.iter().for_each(|element| lead(element, path, values)),
        Json::Object(members) => {
            for (name, value) in members {
                if name == path {
                    spread(value, values);
                } else if let Some(rest) =
                    path.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('.'))
                {
                    lead(value, rest, values);
                }
            }
        }
        _ => {}
    }
}

fn named(value: &Json, name: &str, values: &mut Vec<Json>) {
    match value {
        Json::Array(elements) => elements.iter().for_each(|element| named(element, name, values)),
        Json::Object(members) => {
            for (of, value) in members {
                if of == name {
                    spread(value, values);
                }
                named(value, name, values);
            }
        }
        _ => {}
    }
}

fn everything(value: &Json, values: &mut Vec<Json>) {
    values.push(value.clone());
    match value {
        Json::Array(elements) => elements.iter().for_each(|element| everything(element, values)),
        Json::Object(members) => members.values().for_each(|value| everything(value, values)),
        _ => {}
    }
}

fn written(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn matches(value: &Json, wanted: &Node, modifiers: &[&str], keyword: bool) -> bool {
    let scalar = wanted.scalar().unwrap();
    let pattern = wildcards(&scalar.text);
    let Some(text) = written(value) else {
        let signs = in_place(&pattern, modifiers, keyword);
        return value.is_object() && !signs.is_empty() && signs.iter().all(|sign| *sign == Sign::Any);
    };
    if modifiers.contains(&"re") {
        return regex_lite::Regex::new(&scalar.text).unwrap().is_match(&text);
    }
    for (name, holds) in
        [("lt", (|left, right| left < right) as fn(f64, f64) -> bool), ("gte", |left, right| left >= right)]
    {
        if modifiers.contains(&name) {
            let number =
                text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit() || c == '-'));
            return number.is_some_and(|number| holds(number, scalar.text.parse().unwrap()));
        }
    }
    match scalar.resolve() {
        Resolved::Int(wanted) if modifiers.is_empty() && !keyword => text.parse() == Ok(wanted),
        _ => placed(&text, &pattern, modifiers, keyword),
    }
}

/// A character of a pattern.
#[derive(Debug, Clone, PartialEq)]
enum Sign {
    Just(char),
    One,
    Any,
}

fn literally(text: &str) -> Vec<Sign> {
    text.chars().map(Sign::Just).collect()
}

fn wildcards(text: &str) -> Vec<Sign> {
    let mut signs = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        signs.push(match c {
            '*' => Sign::Any,
            '?' => Sign::One,
            '\\' => Sign::Just(rest.next_if(|next| "*?\\".contains(*next)).unwrap_or('\\')),
            other => Sign::Just(other),
        });
    }
    signs
}

fn placed(text: &str, pattern: &[Sign], modifiers: &[&str], keyword: bool) -> bool {
    let text: Vec<char> = text.chars().collect();
    follows(&text, &in_place(pattern, modifiers, keyword), modifiers.contains(&"cased"))
}

/// The pattern with a star where the rest of a value may stand.
fn in_place(pattern: &[Sign], modifiers: &[&str], keyword: bool) -> Vec<Sign> {
    let anywhere = keyword || modifiers.contains(&"contains");
    let mut signs = Vec::new();
    if anywhere || modifiers.contains(&"endswith") {
        signs.push(Sign::Any);
    }
    signs.extend_from_slice(pattern);
    if anywhere || modifiers.contains(&"startswith") {
        signs.push(Sign::Any);
    }
    signs
}

fn follows(text: &[char], signs: &[Sign], cased: bool) -> bool {
    let Some((sign, rest)) = signs.split_first() else { return text.is_empty() };
    match sign {
        Sign::Any => (0..=text.len()).any(|taken| follows(&text[taken..], rest, cased)),
        Sign::One => !text.is_empty() && follows(&text[1..], rest, cased),
        Sign::Just(wanted) => text.split_first().is_some_and(|(c, after)| {
            (c == wanted || !cased && c.eq_ignore_ascii_case(wanted)) && follows(after, rest, cased)
        }),
    }
}

const FIELDS: &[&str] = &[
    "verb",
    "level",
    "requestURI",
    "objectRef.resource",
    "objectRef.subresource",
    "objectRef.name",
    "user.username",
    "user.groups",
    "responseStatus.code",
    "annotations.a.b/c",
    "requestObject",
    "requestObject.a",
    "requestObject.a.b",
    "requestObject.b.a",
    "responseObject.a",
    "extra.a",
    "a",
    "b",
    "audit.operator",
    "audit.source_scope",
];

const WORDS: &[&str] = &[
    "", "a", "b", "A", "ab", "aB", "a*", "*b", "*", "a?", "?", r"\*", r"a\", "é", "get", "list", "pods", "1",
    "12", "etli", "*etli*", "GetList", "li?t", "xpods*", "/&", "/", "B/", "2",
];

/// A value of a rule as YAML, which JSON is.
fn wanted() -> impl Strategy<Value = Json> {
    prop_oneof![6 => select(WORDS).prop_map(Json::from), 1 => Just(json!(1)), 1 => Just(json!(12))]
}

fn rule_item() -> impl Strategy<Value = (String, Json)> {
    let values = || prop::collection::vec(wanted(), 1..4).prop_map(Json::from);
    let modified = prop_oneof![
        4 => (Just(""), prop_oneof![wanted(), values()]),
        1 => (Just(""), Just(Json::Null)),
        1 => (Just("|neq"), values()),
        1 => (Just("|all"), values()),
        1 => (Just("|cased"), values()),
        1 => (Just("|contains"), values()),
        1 => (Just("|contains|all"), values()),
        1 => (Just("|startswith"), wanted()),
        1 => (Just("|endswith|cased"), wanted()),
        1 => (Just("|exists"), any::<bool>().prop_map(Json::from)),
        1 => (Just("|re"), select(&["a", "^a", "b$", "a.", "^$", "[ab]{2}"][..]).prop_map(Json::from)),
        1 => (Just("|lt"), Just(json!(12))),
        1 => (Just("|gte"), Just(json!(12))),
        1 => (select(&["|fieldref", "|fieldref|contains", "|fieldref|cased|startswith"][..]),
              select(FIELDS).prop_map(Json::from)),
    ];
    (select(FIELDS), modified).prop_map(|(field, (modifiers, value))| (format!("{field}{modifiers}"), value))
}

fn selection() -> impl Strategy<Value = Json> {
    let map = || {
        prop::collection::vec(rule_item(), 1..4).prop_map(|items| Json::Object(items.into_iter().collect()))
    };
    prop_oneof![
        6 => map(),
        2 => prop::collection::vec(map(), 1..3).prop_map(Json::from),
        1 => prop::collection::vec(select(&["a", "ab", "pods", "a?b"][..]), 1..3).prop_map(Json::from),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let operand = select(&["s1", "s2", "s3", "1 of s*", "all of s*", "1 of them", "all of them"][..]);
    operand.prop_map(str::to_owned).prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| format!("not {of}")),
            inner.clone().prop_map(|of| format!("({of})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} and {right}")),
            (inner.clone(), inner).prop_map(|(left, right)| format!("{left} or {right}")),
        ]
    })
}

fn rule() -> impl Strategy<Value = Json> {
    (selection(), selection(), selection(), condition())
        .prop_map(|(s1, s2, s3, condition)| json!({"s1": s1, "s2": s2, "s3": s3, "condition": condition}))
}

fn text() -> impl Strategy<Value = String> {
    select(&["", "a", "b", "ab", "AB", "a*", r"a\", "é", "get", "list", "pods", "1", "12"][..])
        .prop_map(str::to_owned)
}

fn body() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        text().prop_map(Json::from),
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        select(&[0, 1, 12][..]).prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((select(&["a", "b", "a.b", "b.a", "x"][..]), inner), 0..4).prop_map(
                |members| {
                    Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                }
            ),
        ]
    })
}

fn event() -> impl Strategy<Value = Json> {
    let text = || prop::option::of(text());
    let path = prop::collection::vec(self::text(), 0..8).prop_map(|texts| texts.join("/&"));
    let reference = (text(), text(), text());
    let user = (text(), prop::collection::vec(self::text(), 0..3));
    (
        (text(), text(), prop::option::of(path), reference, user),
        prop::option::of(select(&[200, 12, 1][..])),
        (text(), prop::option::of(body()), prop::option::of(body())),
        (prop::option::of(body()), prop::option::of(body())),
    )
        .prop_map(
            |(
                (verb, level, path, (resource, subresource, name), (username, groups)),
                code,
                bodies,
                foreign,
            )| {
                let mut event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1"});
                let mut set = |path: &[&str], value: Option<Json>| {
                    let Some(value) = value else { return };
                    let mut at = &mut event;
                    for step in path {
                        at = &mut at[*step];
                    }
                    *at = value;
                };
                set(&["verb"], verb.map(Json::from));
                set(&["level"], level.map(Json::from));
                set(&["requestURI"], path.map(Json::from));
                set(&["objectRef", "resource"], resource.map(Json::from));
                set(&["objectRef", "subresource"], subresource.map(Json::from));
                set(&["objectRef", "name"], name.map(Json::from));
                set(&["user", "username"], username.map(Json::from));
                set(&["user", "groups"], Some(groups.into()));
                set(&["responseStatus", "code"], code.map(Json::from));
                set(&["annotations", "a.b/c"], bodies.0.map(Json::from));
                // A null of these is as good as absent.
                set(&["requestObject"], bodies.1.filter(|body| !body.is_null()));
                set(&["responseObject"], bodies.2.filter(|body| !body.is_null()));
                set(&["extra"], foreign.0);
                set(&["a"], foreign.1);
                event
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compiled_rules_say_what_their_text_says(
        detections in prop::collection::vec(rule(), 1..8),
        events in prop::collection::vec((event(), prop::option::of(text())), 1..4),
    ) {
        let mut problems = Problems::default();
        let mut builder = RuleSet::builder(Vec::new());
        let mut texts = Vec::new();
        for (index, detection) in detections.iter().enumerate() {
            let text = json!({
                "title": "A rule", "id": format!("r{index}"),
                "logsource": {"product": "kubernetes"}, "detection": detection,
            }).to_string();
            builder.add(&Arc::from("rule.yml"), &text, &mut problems);
            texts.push(yaml::parse(&text).unwrap().remove(0));
        }
        prop_assert!(!problems.has_errors(), "{:#?}", problems.as_slice());
        let rules = builder.finish(&mut problems);
        let mut scratch = Scratch::default();
        // What has come before is known when it comes again.
        for (event, operator) in events.iter().chain(&events) {
            let mut found = Vec::new();
            let mut named = Vec::new();
            if let Some(operator) = operator {
                found.push((AuditField::Operator, AuditValue::Text(operator.as_bytes())));
                named.push(("operator", operator.as_str()));
            }
            // As kube-apiserver writes it.
            let written = event.to_string().replace('&', r"\u0026");
            let compiled: Vec<u32> = hits(&rules, &mut scratch, &written, &Findings(&found))
                .into_iter().map(|id| id.0).collect();
            let expected: Vec<u32> = (0..).zip(&texts)
                .filter(|(_, text)| holds(text.get("detection").unwrap(), event, &named))
                .map(|(id, _)| id).collect();
            prop_assert_eq!(compiled, expected, "{}", event);
        }
    }
}

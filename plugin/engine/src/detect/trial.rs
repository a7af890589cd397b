//! Rules put to the test events that stand beside them: `RULE.events.yml` beside `RULE.yml`.
//!
//! `plugin/rules/README.md` says how such a file is written. What does not come out as it says is an error with the
//! line of the case.

use super::{RuleSet, Scratch, State};
use crate::json;
use crate::normalize::Normalizer;
use crate::problem::Problems;
use crate::record::Event;
use crate::yaml::{self, Node, Resolved, Scalar, Value};
use std::sync::Arc;

/// When the events of a sequence begin, in seconds of the day 2026-03-02.
const BEGIN: u64 = 8 * 3600;

/// How many events a case may come to. A typing error would otherwise keep the command busy for hours.
const MAX_EVENTS: u64 = 100_000;

/// What all events have, unless a case says otherwise.
const COMMON: [(&str, &str); 4] = [
    ("kind", "Event"),
    ("apiVersion", "audit.k8s.io/v1"),
    ("level", "RequestResponse"),
    ("stage", "ResponseComplete"),
];

/// How many cases a file had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cases {
    /// Those on which the rules hold.
    pub matching: usize,
    /// Those on which they do not.
    pub missing: usize,
}

/// Puts the rules that are from `rule_file` to the test events `text` of `file`, and says what is wrong with either.
pub fn run(
    rules: &RuleSet,
    normalizer: &Normalizer,
    rule_file: &str,
    file: &Arc<str>,
    text: &str,
    problems: &mut Problems,
) -> Cases {
    let mut cases = Cases::default();
    let document = match yaml::parse(text) {
        Ok(documents) if documents.len() == 1 => documents.into_iter().next(),
        Ok(_) => {
            problems.error(file, 1, "", "test events are one YAML document");
            None
        }
        Err(error) => {
            problems.error(file, error.line, "", format!("not YAML: {}", error.message));
            None
        }
    };
    let Some(document) = document else { return cases };
    for (list, expected) in [("match", true), ("miss", false)] {
        let listed = match document.get(list) {
            None => continue,
            Some(Node { value: Value::Sequence(listed), .. }) => listed,
            Some(node) => {
                problems.error(file, node.line, list, format!("expected a list, found {}", node.describe()));
                continue;
            }
        };
        *(if expected { &mut cases.matching } else { &mut cases.missing }) += listed.len();
        let mut trial = Trial { rules, normalizer, rule_file, scratch: Scratch::default() };
        for (index, case) in listed.iter().enumerate() {
            if let Err(wrong) = trial.case(case, expected) {
                let why = case.get("why").and_then(Node::str).unwrap_or("a case without `why`");
                problems.error(file, case.line, format!("{list}[{index}]"), format!("{why}: {wrong}"));
            }
        }
    }
    if cases == Cases::default() {
        problems.error(file, document.line, "", "no test events; list some under `match` and `miss`");
    }
    cases
}

struct Trial<'r> {
    rules: &'r RuleSet,
    normalizer: &'r Normalizer,
    rule_file: &'r str,
    scratch: Scratch,
}

impl Trial<'_> {
    fn case(&mut self, case: &Node, expected: bool) -> Result<(), String> {
        match (case.get("event"), case.get("events")) {
            (Some(event), None) => {
                let held = self.event(&Json::of(event, 1, BEGIN), &mut State::default())?.held;
                match (held, expected) {
                    (true, false) => Err("a rule holds on the event, and is not to".to_owned()),
                    (false, true) => Err("no rule of the file holds on the event".to_owned()),
                    _ => Ok(()),
                }
            }
            (None, Some(Node { value: Value::Sequence(steps), .. })) => self.sequence(steps, expected),
            _ => Err("expected one of `event` and `events`, the latter a list".to_owned()),
        }
    }

    /// A sequence of events that completes a correlation with its last one, or with none.
    fn sequence(&mut self, steps: &[Node], expected: bool) -> Result<(), String> {
        let mut state = State::default();
        let (mut number, mut second, mut fired) = (0, BEGIN, Vec::new());
        for step in steps {
            let event = step.get("event").ok_or("each of `events` needs an `event`")?;
            let times = whole(step, "times")?.unwrap_or(1);
            let every = whole(step, "every")?.unwrap_or(1);
            for time in 1..=times {
                number += 1;
                second += every;
                if number > MAX_EVENTS {
                    return Err(format!("more than {MAX_EVENTS} events"));
                }
                if self.event(&Json::of_step(event, time, number, second), &mut state)?.alerted {
                    fired.push(number);
                }
            }
        }
        match (fired.as_slice(), expected) {
            ([], false) => Ok(()),
            ([at], true) if *at == number => Ok(()),
            ([], true) => Err(format!("no correlation of the file fires on any of the {number} events")),
            (fired, true) => Err(format!("fires on event {fired:?} of {number}, not on the last one only")),
            (fired, false) => Err(format!("fires on event {fired:?} of {number}, and is not to")),
        }
    }

    fn event(&mut self, json: &Json, state: &mut State) -> Result<Found, String> {
        let event = Event::read(&json.0, b"audit").map_err(|error| error.to_string())?;
        let normalized = self.normalizer.normalize(&event);
        let (mut hits, mut alerts) = (Vec::new(), Vec::new());
        self.rules.evaluate(&mut self.scratch, &event, &normalized, &mut hits);
        self.rules.correlate(state, &hits, &event, &normalized, &mut alerts);
        let is_from = |rule: &super::Rule| *rule.file == *self.rule_file;
        Ok(Found {
            held: hits.iter().filter_map(|&hit| self.rules.rule(hit)).any(is_from),
            alerted: alerts.iter().filter_map(|alert| self.rules.correlation(alert)).any(is_from),
        })
    }
}

/// What of the file applies to an event.
struct Found {
    held: bool,
    alerted: bool,
}

/// A number, or how many seconds a time is that is written with a unit.
fn whole(step: &Node, field: &str) -> Result<Option<u64>, String> {
    let Some(node) = step.get(field) else { return Ok(None) };
    let text = node.scalar().map_or("", |scalar| scalar.text.as_str());
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) if text.ends_with('s') => (digits, 1),
        Some(digits) if text.ends_with('m') => (digits, 60),
        Some(digits) => (digits, 3600),
        None => (text, 1),
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number <= MAX_EVENTS);
    let expected =
        || format!("{field}: expected a number, of seconds or with s, m or h, found {}", node.describe());
    number.map(|number| Some(number * unit)).ok_or_else(expected)
}

/// An event as JSON.
struct Json(Vec<u8>);

impl Json {
    fn of(event: &Node, number: u64, second: u64) -> Self {
        Self::of_step(event, number, number, second)
    }

    /// The event with what all events have; `{n}` in a string stands for how often it has come.
    fn of_step(event: &Node, time: u64, number: u64, second: u64) -> Self {
        let mut out = Vec::new();
        push(&mut out, event, &time.to_string());
        if out.pop() != Some(b'}') {
            return Self(b"null".to_vec());
        }
        let stamp = format!(
            "2026-03-{:02}T{:02}:{:02}:{:02}.000000Z",
            2 + second / 86_400,
            second / 3600 % 24,
            second / 60 % 60,
            second % 60
        );
        let id = number.to_string();
        for (name, value) in COMMON.into_iter().chain([("auditID", &*id), ("stageTimestamp", &*stamp)]) {
            if event.get(name).is_none() {
                out.extend_from_slice(if out.len() > 1 { b"," } else { b"" });
                json::push_string(&mut out, name.as_bytes());
                out.push(b':');
                json::push_string(&mut out, value.as_bytes());
            }
        }
        out.push(b'}');
        Self(out)
    }
}

/// Appends a node as JSON. Recurses no deeper than [`yaml::parse`] lets a file nest.
fn push(out: &mut Vec<u8>, node: &Node, n: &str) {
    match &node.value {
        Value::Scalar(scalar) => push_scalar(out, scalar, n),
        Value::Sequence(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                out.extend_from_slice(if index == 0 { b"" } else { b"," });
                push(out, item, n);
            }
            out.push(b']');
        }
        Value::Mapping(members) => {
            out.push(b'{');
            for (index, (key, value)) in members.iter().enumerate() {
                out.extend_from_slice(if index == 0 { b"" } else { b"," });
                json::push_string(out, key.scalar().map_or("", |key| &key.text).as_bytes());
                out.push(b':');
                push(out, value, n);
            }
            out.push(b'}');
        }
    }
}

fn push_scalar(out: &mut Vec<u8>, scalar: &Scalar, n: &str) {
    match scalar.resolve() {
        Resolved::Null => out.extend_from_slice(b"null"),
        Resolved::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Resolved::Int(value) => json::push_number(out, value),
        Resolved::Float(value) if value.is_finite() => json::push_decimal(out, value),
        Resolved::Float(_) => json::push_string(out, scalar.text.as_bytes()),
        Resolved::Str(value) => json::push_string(out, value.replace("{n}", n).as_bytes()),
    }
}

//! Which Sigma correlations an event completes: so many events of a rule, or several rules, within a timespan.
//!
//! ```text
//! Sigma text ─▶ read ─▶ Correlations
//!                            │
//! the rules that hold ─▶ observe ─▶ the group's window, changed ─▶ alerts
//!                            │
//!                 the event's fields and time
//! ```
//!
//! [`read`] says what a correlation may ask for, [`lookup`] finds an event's fields, [`groups`] keeps the groups and
//! decides which of them to forget, and [`window`] says what a group has seen lately.
//!
//! Correlations are those of the Sigma correlation rules specification 2.1. Where it leaves a choice:
//!
//! - Time is the event's, never a clock's, so that a log gives the same alerts whenever it is filtered.
//! - A condition is judged at each event that changes a window, over the window as it is then. What only the end of a
//!   timespan could tell ("fewer than three in an hour") is not known here: such a condition holds at the first event.
//! - After an alert, a group is quiet until a whole timespan has passed.
//! - A request counts once, though it is logged at several stages: what has the same `auditID` and was received at the
//!   same time is one.
//! - An event that lacks a field to group by belongs to no group, and one without the counted field does not count.
//! - What has no `generate: true` is about its correlation alone: its rules, and correlations, say nothing by
//!   themselves. Only a built-in rule is not silenced by somebody else's correlation.
//! - Beyond Sigma there is `x-share`: of the counted events, which part must match another rule as well.
//!
//! All memory has a bound: so many groups ([`Correlations::limit`]) of so many entries ([`window`]) for each correlation.
//! An event that no rule of a correlation holds on costs nothing; one that some do costs a hash of the group's fields
//! and a search through the entries of one window.

mod groups;
mod lookup;
mod read;
mod time;
mod window;

#[cfg(test)]
mod tests;

pub(super) use read::{Correlating, Pending, read};

use super::fields::AuditFields;
use super::{Rule, RuleId};
use crate::json::{self, hash_of_words, mixed};
use crate::record::{Event, Member};
use groups::Groups;
use lookup::Lookup;
use std::hash::{DefaultHasher, Hasher as _};
use window::{Entry, Kind, Shape};

/// How many groups each correlation keeps where the configuration does not say.
pub const DEFAULT_GROUPS: usize = 1000;

/// How many groups a configuration may ask for: some hundred megabytes for a correlation.
pub const MAX_GROUPS: usize = 100_000;

/// How much of a group's value an alert repeats. Whoever makes a request may have a name of a megabyte.
const MAX_SHOWN: usize = 256;

/// The bit of the rules of which a share is asked for. The others are those of the counted rules.
const SHARE: u32 = 1 << 31;

/// How many rules one correlation may refer to, where it must tell them apart.
const MAX_RULES: usize = 31;

/// Correlations, compiled.
#[derive(Debug, Default)]
pub(crate) struct Correlations {
    /// Each after those that it refers to.
    list: Vec<Correlation>,
    heads: Vec<Rule>,
    /// For each rule, and then for each correlation, where it belongs.
    places: Vec<Vec<Place>>,
    /// The rules that say nothing by themselves, by number.
    silent: Vec<bool>,
    /// How many groups each may keep.
    limit: usize,
}

/// A correlation, and the rules' place in it: a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    correlation: u32,
    rules: u32,
}

#[derive(Debug)]
struct Correlation {
    shape: Shape,
    group_by: Vec<GroupField>,
    /// What is counted of an event; nothing where it is the event itself.
    counted: Vec<Lookup>,
    /// What the measured count or value has to be.
    condition: Vec<Comparison>,
    /// What the share has to be.
    share: Vec<Comparison>,
    /// Whether it says nothing by itself.
    silent: bool,
}

/// A field to group by.
#[derive(Debug)]
struct GroupField {
    name: Box<str>,
    /// Where it is: one for all rules, or one for each.
    lookups: Vec<Lookup>,
}

/// What a number has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Comparison {
    operator: Operator,
    with: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

impl Operator {
    const NAMES: [(&'static str, Self); 6] = [
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("eq", Self::Eq),
        ("neq", Self::Neq),
    ];
}

impl Comparison {
    fn holds(self, value: f64) -> bool {
        match self.operator {
            Operator::Gt => value > self.with,
            Operator::Gte => value >= self.with,
            Operator::Lt => value < self.with,
            Operator::Lte => value <= self.with,
            Operator::Eq => value == self.with,
            Operator::Neq => value != self.with,
        }
    }
}

/// A correlation that an event has completed.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The correlation's number.
    correlation: u32,
    /// An object of the fields that the events are grouped by, JSON; empty where they are not.
    pub(crate) group: Vec<u8>,
    /// How many there were: events, different values of a `value_count`, rules of a temporal correlation.
    pub(crate) count: u64,
    /// The number that the condition is about where that is not the count, or the share.
    pub(crate) value: Option<f64>,
    /// The timespan.
    pub(crate) window_seconds: i64,
}

/// What the correlations have seen so far. It belongs to one set of rules.
#[derive(Debug, Default)]
pub struct State {
    groups: Vec<Groups>,
    /// For each correlation the first that groups just like it, if it groups events of all rules alike.
    alike: Vec<Option<usize>>,
    due: Vec<Place>,
    /// The keys of the event's groups, by the first correlation that groups so.
    keys: Vec<(usize, Option<u64>)>,
    /// Room for what is hashed.
    hashed: Vec<u8>,
    /// Room for what the event adds to a window.
    entries: Vec<Entry>,
    /// Stands in for the identifier of requests that have none.
    requests: u64,
    /// Set while it is being changed: found set, what changed it was cut short.
    changing: bool,
    cut_short: bool,
}

impl State {
    /// To be called where a call may have been cut short in its middle: starts afresh if that was in here.
    pub(crate) fn recover(&mut self) {
        if self.changing {
            std::mem::forget(std::mem::take(self));
        }
    }

    /// Whether the last event was not looked at in full because of a limit.
    pub(crate) fn cut_short(&self) -> bool {
        self.cut_short
    }
}

impl Correlations {
    /// The correlations themselves, each after those that it refers to.
    pub(super) fn heads(&self) -> &[Rule] {
        &self.heads
    }

    /// Whether a rule is about its correlation alone.
    pub(super) fn silences(&self, rule: RuleId) -> bool {
        self.silent.get(rule.0 as usize).copied().unwrap_or_default()
    }

    /// The correlation that an alert is about.
    pub(super) fn of_alert(&self, alert: &Alert) -> Option<&Rule> {
        self.heads.get(alert.correlation as usize)
    }

    /// Takes notice of an event on which rules hold, and appends the alerts that it completes.
    pub(super) fn observe(
        &self,
        state: &mut State,
        hits: &[RuleId],
        event: &Event<'_>,
        audit: &dyn AuditFields,
        alerts: &mut Vec<Alert>,
    ) {
        state.cut_short = false;
        state.due.clear();
        for hit in hits {
            state.due.extend_from_slice(self.places.get(hit.0 as usize).map_or(&[], Vec::as_slice));
        }
        if state.due.is_empty() {
            return;
        }
        let Some(time) = time::of_event(event) else { return };
        state.changing = true;
        if state.groups.len() != self.list.len() {
            state.groups.resize_with(self.list.len(), Groups::default);
            state.alike = self.alike();
        }
        state.keys.clear();
        state.requests += 1;
        let request = match event.text(Member::AuditId) {
            // Who makes a request may choose its identifier, the same for all, but not when it is received.
            Some(id) => {
                let received =
                    event.get(Member::RequestReceivedTimestamp).map_or(0, |time| hash_of_words(time.0));
                mixed(hash_of_words(id.raw()), received)
            }
            None => state.requests,
        };
        // What fires may belong to a later one.
        while let Some(Place { correlation, .. }) = state.due.iter().min().copied() {
            let mut rules = 0;
            state.due.retain(|place| {
                let is_it = place.correlation == correlation;
                rules |= if is_it { place.rules } else { 0 };
                !is_it
            });
            let seen = Seen { event, audit, time, request, rules };
            let Some(alert) = self.observe_one(state, correlation, &seen) else { continue };
            let places = self.places.get(self.silent.len() + correlation as usize);
            state.due.extend_from_slice(places.map_or(&[], Vec::as_slice));
            if self.list.get(correlation as usize).is_some_and(|correlation| !correlation.silent) {
                alerts.push(alert);
            }
        }
        state.changing = false;
    }

    fn observe_one(&self, state: &mut State, number: u32, seen: &Seen<'_>) -> Option<Alert> {
        let correlation = self.list.get(number as usize)?;
        if seen.rules & !SHARE == 0 {
            return None;
        }
        let mut alert = None;
        for (at, rules) in correlation.apart(seen.rules) {
            let Some(key) = self.key(state, number, seen, at) else { continue };
            correlation.entries(state, seen, rules);
            if state.entries.is_empty() {
                continue;
            }
            let shape = &correlation.shape;
            let groups = state.groups.get_mut(number as usize)?;
            let window = groups.window(key, self.limit, shape, seen.time)?;
            if !window.admits(seen.time, shape.span) {
                continue;
            }
            let mut changed = false;
            state.entries.iter().for_each(|&entry| changed |= window.add(shape, entry));
            if !changed || window.is_quiet(shape.span) {
                continue;
            }
            let measured = window.measure(shape);
            let is_of_count = matches!(shape.kind, Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered);
            let judged = if is_of_count { measured.count as f64 } else { measured.value };
            if correlation.condition.iter().all(|condition| condition.holds(judged))
                && correlation.share.iter().all(|share| share.holds(measured.value))
            {
                window.fired = window.newest();
                let has_value = !is_of_count || !correlation.share.is_empty();
                alert = Some(Alert {
                    correlation: number,
                    group: correlation.group(seen, at),
                    count: measured.count,
                    value: has_value.then_some(measured.value),
                    window_seconds: shape.span / 1_000_000,
                });
            }
        }
        alert
    }

    /// What tells the event's group from others; none where it belongs to none.
    fn key(&self, state: &mut State, number: u32, seen: &Seen<'_>, at: usize) -> Option<u64> {
        let correlation = self.list.get(number as usize)?;
        let alike = state.alike.get(number as usize).copied().flatten();
        let known = alike.and_then(|alike| state.keys.iter().find(|(of, _)| *of == alike));
        if let Some(&(_, key)) = known {
            return key;
        }
        let lookups = correlation.group_by.iter().filter_map(|field| field.lookup(at));
        let key = hash_of_fields(lookups, seen, &mut state.hashed, &mut state.cut_short);
        if let Some(alike) = alike {
            state.keys.push((alike, key));
        }
        key
    }

    /// For each correlation the first that groups just like it, if it groups events of all rules alike.
    fn alike(&self) -> Vec<Option<usize>> {
        let lookups = |correlation: &Correlation| -> Option<Vec<Lookup>> {
            let only = |field: &GroupField| match field.lookups.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            };
            correlation.group_by.iter().map(only).collect()
        };
        let all: Vec<_> = self.list.iter().map(lookups).collect();
        all.iter().map(|one| all.iter().position(|other| other == one).filter(|_| one.is_some())).collect()
    }
}

/// An event, and what is known about it.
struct Seen<'e> {
    event: &'e Event<'e>,
    audit: &'e dyn AuditFields,
    time: i64,
    request: u64,
    rules: u32,
}

impl Correlation {
    /// The rules that hold, together where they have their fields in common, else each with its place.
    fn apart(&self, rules: u32) -> impl Iterator<Item = (usize, u32)> + use<> {
        let together = self.group_by.iter().all(|field| field.lookups.len() == 1);
        let places = if together { 1 } else { MAX_RULES };
        (0..places)
            .map(move |at| (at, if together { rules } else { rules & (1 << at | SHARE) }))
            .filter(|(_, rules)| rules & !SHARE != 0)
    }

    /// Finds what the event adds to its group's window.
    fn entries(&self, state: &mut State, seen: &Seen<'_>, rules: u32) {
        let State { entries, hashed, cut_short, .. } = state;
        entries.clear();
        let Seen { event, audit, time, request, .. } = *seen;
        let entry = Entry { time, key: request, value: 0.0, count: 1, rules };
        match (self.shape.kind, self.counted.as_slice()) {
            (Kind::EventCount | Kind::TemporalOrdered, _) => {
                entries.push(Entry { value: f64::from(u8::from(rules & SHARE != 0)), ..entry });
            }
            (Kind::Temporal, _) => {
                let mut left = rules & !SHARE;
                while left != 0 {
                    let rule = left.trailing_zeros();
                    entries.push(Entry { key: rule.into(), rules: 1 << rule, ..entry });
                    left &= left - 1;
                }
            }
            (Kind::ValueCount, [field]) => {
                *cut_short |= !field.values(event, audit, &mut |value| {
                    entries.push(Entry { key: hash_of(value), ..entry });
                });
            }
            (Kind::ValueCount, fields) => {
                let key = hash_of_fields(fields.iter(), seen, hashed, cut_short);
                entries.extend(key.map(|key| Entry { key, ..entry }));
            }
            (_, fields) => {
                let mut number = None;
                for field in fields {
                    field.values(event, audit, &mut |value| {
                        number = number.or_else(|| super::pattern::number(value));
                    });
                }
                let number = number.filter(|number| number.is_finite());
                entries.extend(number.map(|value| Entry { value, ..entry }));
            }
        }
    }

    /// The group as an alert has it; empty where there is only one.
    fn group(&self, seen: &Seen<'_>, at: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for field in &self.group_by {
            out.push(if out.is_empty() { b'{' } else { b',' });
            json::push_string(&mut out, field.name.as_bytes());
            out.push(b':');
            let mut values: Vec<Vec<u8>> = Vec::new();
            let mut left = MAX_SHOWN;
            if let Some(lookup) = field.lookup(at) {
                lookup.values(seen.event, seen.audit, &mut |value| {
                    if left > 0 {
                        let shown = shorten(value, left);
                        left = left.saturating_sub(value.len());
                        values.push(shown);
                    }
                });
            }
            match values.as_slice() {
                [only] => json::push_string(&mut out, only),
                several => {
                    out.push(b'[');
                    for (index, value) in several.iter().enumerate() {
                        out.extend_from_slice(if index == 0 { b"" } else { b"," });
                        json::push_string(&mut out, value);
                    }
                    out.push(b']');
                }
            }
        }
        if !out.is_empty() {
            out.push(b'}');
        }
        out
    }
}

impl GroupField {
    fn lookup(&self, at: usize) -> Option<&Lookup> {
        self.lookups.get(at).or(self.lookups.first())
    }
}

/// What is the same for what is the same. Nobody can find two things for which this is the same much faster than by
/// trying, though its key is known, and to find many that are the same, by which to stay below a count, is out of reach.
#[inline(never)]
fn hash_of(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(value);
    hasher.finish()
}

/// The hash of all values of all fields; none where a field has no value.
#[inline(never)]
fn hash_of_fields<'l>(
    mut fields: impl Iterator<Item = &'l Lookup>,
    seen: &Seen<'_>,
    hashed: &mut Vec<u8>,
    cut_short: &mut bool,
) -> Option<u64> {
    hashed.clear();
    fields
        .all(|field| {
            let mut values = 0;
            *cut_short |= !field.values(seen.event, seen.audit, &mut |value| {
                values += 1;
                // Each value starts with its length, so that none can pass for two.
                hashed.extend_from_slice(&(value.len() + 1).to_le_bytes());
                hashed.extend_from_slice(value);
            });
            hashed.extend_from_slice(&0_usize.to_le_bytes());
            values > 0
        })
        .then(|| hash_of(hashed))
}

/// The beginning of a value, with an ellipsis where that is not all of it.
fn shorten(value: &[u8], length: usize) -> Vec<u8> {
    if value.len() <= length {
        return value.to_vec();
    }
    // A character that is cut in two would come out as another.
    let is_inside = |at: &usize| value.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (0..=length).rev().find(|at| !is_inside(at)).unwrap_or_default();
    let mut shown = value.get(..end).unwrap_or_default().to_vec();
    shown.extend_from_slice("…".as_bytes());
    shown
}

//! The way of a record through the engine, from its bytes to the bytes that go on.

use crate::audit::Findings;
use crate::config::Config;
use crate::detect::{self, RuleId};
use crate::emit::{self, Edits};
use crate::explain::{Cause, Unwatched, Witness};
use crate::json;
use crate::policy::{Level, trim};
use crate::record::{Bodies, Event, TopLevel, Touched, Unreadable};
use std::ops::Range;

/// Said of an event whose strings were not all UTF-8.
const INVALID_UTF8: &str = "invalid UTF-8 replaced by U+FFFD";

/// Said of an event that is too large for the rules to see all of it.
const RULES_CUT_SHORT: &str = "too large for the rules to see all of it";

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An audit event that goes on, with its `audit` object.
    Kept,
    /// An audit event that the policy does not want.
    Dropped,
    /// A record that could not be treated as an audit event: goes on with `audit.error`, otherwise untouched.
    PassedThrough,
}

/// The filter: a configuration, and the buffers that it reuses from record to record.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    edits: Edits,
    cuts: Vec<Range<usize>>,
    rules: detect::Scratch,
    routes: detect::Scratch,
    hits: Vec<RuleId>,
    message: Vec<u8>,
    audit: Vec<u8>,
}

/// Why an event cannot be filtered from these bytes.
enum Refused {
    Unreadable(Unreadable),
    NotUtf8,
}

impl From<Unreadable> for Refused {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

impl Engine {
    /// A filter with that configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, scratch: Scratch::default() }
    }

    /// Filters one record and appends what goes on to `out`: a JSON object on one line if the record was
    /// on one, or nothing where the record is dropped. Never fails and never panics, whatever the record.
    pub fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Outcome {
        self.filter_watched(record, out, &mut Unwatched)
    }

    /// The same, with somebody looking on.
    pub(crate) fn filter_watched(
        &mut self,
        record: &[u8],
        out: &mut Vec<u8>,
        witness: &mut impl Witness,
    ) -> Outcome {
        let refused = match self.event(record, None, out, witness) {
            Err(Refused::NotUtf8) => {
                let mended = String::from_utf8_lossy(record);
                self.event(mended.as_bytes(), Some(INVALID_UTF8), out, witness)
            }
            result => result,
        };
        match refused {
            Ok(outcome) => outcome,
            Err(Refused::Unreadable(why)) => self.pass_through(record, why, out),
            // Not reached: the second time the bytes are UTF-8.
            Err(Refused::NotUtf8) => self.pass_through(record, Unreadable::NotAnObject, out),
        }
    }

    /// To be called before the next record where a call was cut short in its middle (a trap in a host):
    /// forgets the buffers that it may have left in disorder.
    pub fn recover(&mut self) {
        std::mem::forget(std::mem::take(&mut self.scratch));
    }

    /// The stages, one after the other.
    fn event(
        &mut self,
        record: &[u8],
        note: Option<&str>,
        out: &mut Vec<u8>,
        witness: &mut impl Witness,
    ) -> Result<Outcome, Refused> {
        let Config { policy, normalizer, rules, routes, keep_severity, .. } = &self.config;
        let key = self.config.output_key.as_bytes();
        let scratch = &mut self.scratch;

        let mut event = Event::read_head(record, key)?;

        let decision = policy.evaluate(&event);
        witness.decided(policy, &event, &decision);
        if decision.stage_omitted && witness.drops(Cause::Stage) {
            return Ok(Outcome::Dropped);
        }
        if decision.level == Level::None && keep_severity.is_none() && witness.drops(Cause::Level) {
            return Ok(Outcome::Dropped);
        }
        event.read_rest(key, kept_bodies(decision.level_of(&event)))?;
        if let Some(code) = event.response_code()
            && self.config.omit_response_codes.contains(&code)
            && witness.drops(Cause::ResponseCode(code))
        {
            return Ok(Outcome::Dropped);
        }
        if event.non_ascii() && std::str::from_utf8(record).is_err() {
            return Err(Refused::NotUtf8);
        }

        let normalized = normalizer.normalize(&event);

        let mut findings = Findings::new(&normalized);
        scratch.hits.clear();
        rules.evaluate(&mut scratch.rules, &event, &findings, &mut scratch.hits);
        findings.add_rules(scratch.hits.iter().filter_map(|hit| rules.rule(*hit)));
        findings.notes.extend(note);
        findings.notes.extend(normalized.note());
        findings.notes.extend(scratch.rules.cut_short().then_some(RULES_CUT_SHORT));

        let kept_for_severity = decision.level == Level::None;
        if kept_for_severity && findings.severity < *keep_severity && witness.drops(Cause::Severity) {
            return Ok(Outcome::Dropped);
        }
        // An event tells of its request at least at Metadata, whatever it says of itself.
        findings.level = Some(decision.level_of(&event).max(Level::Metadata));
        findings.policy_rule = decision.rule;

        scratch.message.clear();
        normalized.write_message(&event, &mut scratch.message);
        findings.message = &scratch.message;
        findings.route = routes
            .selections
            .first_match(&mut scratch.routes, &event, &findings)
            .and_then(|route| routes.names.get(route))
            .map(String::as_str);

        scratch.edits.clear();
        edit(&event, &findings, decision.omit_managed_fields, &mut scratch.cuts, &mut scratch.edits);
        scratch.audit.clear();
        findings.write(&mut scratch.audit);
        let hits = scratch.hits.iter().filter_map(|hit| rules.rule(*hit));
        witness.finds(&event, normalizer, hits, &scratch.audit);
        emit::write(record, event.close(), &mut scratch.edits, key, &scratch.audit, out);
        Ok(Outcome::Kept)
    }

    /// Lets a record go on with the reason why it was not treated as an audit event. An object keeps its
    /// bytes; what is none goes into the member where Fluent Bit's `tail` puts a line that it does not parse.
    fn pass_through(&mut self, record: &[u8], why: Unreadable, out: &mut Vec<u8>) -> Outcome {
        let key = self.config.output_key.as_bytes();
        let routes = &self.config.routes;
        let Scratch { edits, audit, .. } = &mut self.scratch;
        edits.clear();
        audit.clear();
        audit.push(b'{');
        if let Some(route) = routes.catch_all.and_then(|route| routes.names.get(route)) {
            audit.extend_from_slice(b"\"route\":");
            json::push_string(audit, route.as_bytes());
            audit.push(b',');
        }
        audit.extend_from_slice(b"\"error\":");
        json::push_string(audit, why.to_string().as_bytes());
        audit.push(b'}');
        let mended = String::from_utf8_lossy(record);
        let record = mended.as_bytes();
        match close_of_object(record, key) {
            Some(Ok(close)) => emit::write(record, close, edits, key, audit, out),
            // Somebody else's member of that name is not ours to replace.
            Some(Err(Taken)) => out.extend_from_slice(record),
            None => {
                out.extend_from_slice(b"{\"log\":");
                json::push_string(out, record);
                emit::write(b"", 0, edits, key, audit, out);
            }
        }
        Outcome::PassedThrough
    }
}

/// Which bodies go on at a level.
fn kept_bodies(level: Level) -> Bodies {
    match level {
        Level::RequestResponse => Bodies::Both,
        Level::Request => Bodies::Request,
        Level::Metadata | Level::None => Bodies::Neither,
    }
}

/// What changes in the event's bytes: the level, the bodies that go, and an `audit` object from an earlier pass.
fn edit(
    event: &Event<'_>,
    findings: &Findings<'_>,
    omit_managed_fields: bool,
    cuts: &mut Vec<Range<usize>>,
    edits: &mut Edits,
) {
    let level = findings.level.unwrap_or(Level::Metadata);
    cuts.clear();
    trim::cuts(event, level, omit_managed_fields, cuts);
    for cut in cuts.drain(..) {
        edits.cut(cut);
    }
    let unchanged = Level::of(event) == Some(level);
    for &(touched, place) in &event.places {
        match touched {
            Touched::Level if unchanged => {}
            Touched::Level => edits.replace(place, level.as_json()),
            Touched::Output => edits.cut_member(event.object().0, place),
            Touched::RequestObject | Touched::ResponseObject => {}
        }
    }
}

/// A member of the output's name is there already.
struct Taken;

/// Where the closing brace of the object stands, if the record is one.
fn close_of_object(record: &[u8], output_key: &[u8]) -> Option<Result<usize, Taken>> {
    let mut members = TopLevel::new(record).ok()?;
    let mut taken = false;
    while let Some((name, _)) = members.next().ok()? {
        taken |= name.is(output_key);
    }
    Some(if taken { Err(Taken) } else { Ok(members.close()) })
}

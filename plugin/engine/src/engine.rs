//! The way of a record through the engine, from its bytes to the bytes that go on.

use crate::audit::{Findings, Message};
use crate::buffer::Buffer;
use crate::config::Config;
use crate::detect::{self, Alert, RuleId};
use crate::emit::{self, Edits};
use crate::explain::{Cause, Unwatched, Witness};
use crate::json;
use crate::normalize;
use crate::policy::{self, Level, trim};
use crate::record::{
    Bodies, Envelope, Event, Familiar, List, Nature, Place, Requests, TopLevel, Touched, Unreadable,
};
use std::fmt;
use std::ops::Range;

/// Said of an event whose strings were not all UTF-8.
const INVALID_UTF8: &str = "invalid UTF-8 replaced by U+FFFD";

/// Said of an event that is too large for the rules to see all of it.
const RULES_CUT_SHORT: &str = "too large for the rules to see all of it";

/// How many elements of one list are told why they are no audit events. Whoever can have a line logged can make a
/// list of millions of empty objects, and a reason is fifty times as long.
const MOST_REASONS: usize = 1024;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An audit event that goes on, with its `audit` object; or a list that still has one.
    Kept,
    /// An audit event that the policy does not want; or a list of nothing else.
    Dropped,
    /// A record that could not be treated as an audit event: goes on with `audit.error`, otherwise untouched.
    PassedThrough,
}

/// The filter: a configuration, and the buffers that it reuses from record to record.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    /// What stands before the `audit` object in a record.
    member_name: Vec<u8>,
    scratch: Scratch,
    /// What correlations remember from event to event.
    correlating: detect::State,
}

#[derive(Debug, Default)]
struct Scratch {
    familiar: Familiar,
    requests: Requests,
    policy: policy::Memory,
    normalizer: normalize::Memory,
    /// Room for an event's [places](Event::places), which most events give back.
    places: Vec<(Touched, Place)>,
    edits: Edits,
    cuts: Vec<Range<usize>>,
    rules: detect::Scratch,
    routes: detect::Scratch,
    hits: Vec<RuleId>,
    alerts: Vec<Alert>,
    message: Buffer,
    audit: Buffer,
}

impl Scratch {
    fn take_places(&mut self) -> Vec<(Touched, Place)> {
        let mut places = std::mem::take(&mut self.places);
        places.clear();
        places
    }
}

/// Why an event cannot be filtered from these bytes.
enum Refused {
    Unreadable(Unreadable),
    /// What stands in the member of that name begins like an event, and is none.
    Within(&'static str, Unreadable),
    NotUtf8,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => why.fmt(f),
            Self::Within(member, why) => write!(f, "{member}: {why}"),
            // Not reached: the second time the bytes are UTF-8.
            Self::NotUtf8 => f.write_str(INVALID_UTF8),
        }
    }
}

/// What became of an event.
enum Verdict {
    Dropped,
    /// `Scratch` has what changes in its text, and its `audit` object. `close` is the offset of its closing brace.
    Kept {
        close: usize,
    },
}

impl From<Unreadable> for Refused {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

impl Engine {
    /// A filter with that configuration.
    #[must_use]
    // Not part of what reads the configuration, whose calls are the deepest there are.
    #[inline(never)]
    pub fn new(config: Config) -> Self {
        let member_name = emit::member_name(config.output_key.as_bytes());
        Self { config, member_name, scratch: Scratch::default(), correlating: detect::State::default() }
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
        match self.event(record, None, out, witness) {
            Ok(outcome) => outcome,
            Err(refused) => self.other(record, refused, out, witness),
        }
    }

    /// A record that was refused as an event. What is one pays nothing for the others.
    #[cold]
    #[inline(never)]
    fn other(
        &mut self,
        record: &[u8],
        refused: Refused,
        out: &mut Vec<u8>,
        witness: &mut impl Witness,
    ) -> Outcome {
        let result = match self.another_shape(record, refused, None, out, witness) {
            Err(Refused::NotUtf8) => {
                let mended = String::from_utf8_lossy(record);
                let mended = mended.as_bytes();
                let note = Some(INVALID_UTF8);
                self.event(mended, note, out, witness)
                    .or_else(|refused| self.another_shape(mended, refused, note, out, witness))
            }
            result => result,
        };
        result.unwrap_or_else(|refused| self.pass_through(record, &refused, out))
    }

    /// To be called before the next record where a call was cut short in its middle (a trap in a host):
    /// forgets the buffers that it may have left in disorder.
    pub fn recover(&mut self) {
        self.correlating.recover();
        std::mem::forget(std::mem::take(&mut self.scratch));
    }

    /// A record that may hold an event, or several, where it is none itself.
    fn another_shape(
        &mut self,
        record: &[u8],
        refused: Refused,
        note: Option<&str>,
        out: &mut Vec<u8>,
        witness: &mut impl Witness,
    ) -> Result<Outcome, Refused> {
        let why = match refused {
            Refused::Unreadable(why @ (Unreadable::NotAnAuditEvent | Unreadable::WrongType(_))) => why,
            refused => return Err(refused),
        };
        let envelope = Envelope::read(record, self.config.output_key.as_bytes())?;
        if envelope.non_ascii && std::str::from_utf8(record).is_err() {
            return Err(Refused::NotUtf8);
        }
        if let Some(list) = envelope.list()
            && let Some(outcome) = self.list(record, &list, note, out)
        {
            return Ok(outcome);
        }
        self.wrapped(record, &envelope, why, note, out, witness)
    }

    /// A record that is an event.
    #[inline(always)]
    fn event(
        &mut self,
        record: &[u8],
        note: Option<&str>,
        out: &mut Vec<u8>,
        witness: &mut impl Witness,
    ) -> Result<Outcome, Refused> {
        let Verdict::Kept { close } = self.judge(record, None, note, witness)? else {
            return Ok(Outcome::Dropped);
        };
        let Scratch { edits, audit, .. } = &mut self.scratch;
        emit::write(record, close, edits, audit.bytes(), out);
        Ok(Outcome::Kept)
    }

    /// A record that holds one event. `why` is why it is none itself.
    #[inline(never)]
    fn wrapped(
        &mut self,
        record: &[u8],
        envelope: &Envelope<'_>,
        why: Unreadable,
        note: Option<&str>,
        out: &mut Vec<u8>,
        witness: &mut impl Witness,
    ) -> Result<Outcome, Refused> {
        let Some(found) = envelope.event() else { return Err(why.into()) };
        let mut verdict = self.judge(&found.text, Some(&found.nature), note, witness);
        if let Nature::Embedded(member) = found.nature {
            if let Err(Refused::Unreadable(Unreadable::NotAnAuditEvent | Unreadable::WrongType(_))) = verdict
            {
                verdict = self.mapped(&found.text, verdict, note, witness);
            }
            verdict = verdict.map_err(|refused| match refused {
                Refused::Unreadable(Unreadable::NotAnAuditEvent) => why.into(),
                Refused::Unreadable(why) => Refused::Within(member, why),
                refused => refused,
            });
        }
        let Verdict::Kept { .. } = verdict? else { return Ok(Outcome::Dropped) };
        let Scratch { edits, audit, .. } = &mut self.scratch;
        edits.put_back(&found.text, &found.pieces, record);
        for &place in &envelope.outputs {
            edits.cut_member(record, place);
        }
        emit::write(record, envelope.close, edits, audit.bytes(), out);
        Ok(Outcome::Kept)
    }

    /// An event in another form that was found in a record's member: a Google Cloud entry from Pub/Sub, say. What
    /// changes in it is left in `Scratch` as changes to `text`.
    #[inline(never)]
    fn mapped(
        &mut self,
        text: &[u8],
        refused: Result<Verdict, Refused>,
        note: Option<&str>,
        witness: &mut impl Witness,
    ) -> Result<Verdict, Refused> {
        let envelope = Envelope::read(text, self.config.output_key.as_bytes())?;
        let Some(found) = envelope.mapped() else { return refused };
        let verdict = self.judge(&found.text, Some(&found.nature), note, witness)?;
        self.scratch.edits.put_back(&found.text, &found.pieces, text);
        Ok(verdict)
    }

    /// A list of records: each goes its own way, and those that are dropped go with their comma. Nobody looks on.
    /// None where it is empty, or is a list of anything and has no event.
    #[inline(never)]
    fn list(&mut self, record: &[u8], list: &List, note: Option<&str>, out: &mut Vec<u8>) -> Option<Outcome> {
        let array = record.get(list.array.clone()).unwrap_or_default();
        let start = out.len();
        out.extend_from_slice(record.get(..=list.array.start).unwrap_or_default());
        let (mut kept, mut dropped, mut passed) = (0_usize, 0_usize, 0_usize);
        // What stands between the bracket and the first element, and between elements.
        let mut indent: &[u8] = b"";
        let mut end = 1;
        for element in json::element_ranges(json::Raw(array)) {
            let gap = array.get(end..element.start).unwrap_or_default();
            end = element.end;
            if kept + dropped + passed == 0 {
                indent = gap;
            }
            let before = out.len();
            out.extend_from_slice(if kept + passed == 0 { indent } else { gap });
            let element = array.get(element).unwrap_or_default();
            match self.element(element, passed < MOST_REASONS, note, out) {
                Outcome::Kept => kept += 1,
                Outcome::PassedThrough => passed += 1,
                Outcome::Dropped => {
                    dropped += 1;
                    out.truncate(before);
                }
            }
        }
        if kept + dropped == 0 && (passed == 0 || !list.of_events) {
            out.truncate(start);
            return None;
        }
        if kept + passed == 0 {
            out.truncate(start);
            return Some(Outcome::Dropped);
        }
        out.extend_from_slice(array.get(end..).unwrap_or_default());
        out.extend_from_slice(record.get(list.array.end..=list.close).unwrap_or_default());
        Some(if kept == 0 { Outcome::PassedThrough } else { Outcome::Kept })
    }

    /// An element of a list: a record like any other, except that it is no list. If it is no event, it is told
    /// why where `with_reason` says so.
    #[inline(never)]
    fn element(
        &mut self,
        record: &[u8],
        with_reason: bool,
        note: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let witness = &mut Unwatched;
        let result = match self.event(record, note, out, witness) {
            Err(Refused::Unreadable(why @ (Unreadable::NotAnAuditEvent | Unreadable::WrongType(_)))) => {
                Envelope::read(record, self.config.output_key.as_bytes())
                    .map_err(Refused::from)
                    .and_then(|envelope| self.wrapped(record, &envelope, why, note, out, witness))
            }
            result => result,
        };
        result.unwrap_or_else(|refused| match record.first() {
            Some(b'{') if with_reason => self.pass_through(record, &refused, out),
            // There is no place for a reason in it, or no end of reasons.
            _ => {
                out.extend_from_slice(record);
                Outcome::PassedThrough
            }
        })
    }

    /// The stages, one after the other, for one event's text. `nature` says what it is if it is not as the API
    /// server wrote it, in a record of its own.
    #[inline(never)]
    fn judge(
        &mut self,
        text: &[u8],
        nature: Option<&Nature>,
        note: Option<&str>,
        witness: &mut impl Witness,
    ) -> Result<Verdict, Refused> {
        let Config { policy, normalizer, rules, routes, keep_severity, .. } = &self.config;
        let key = self.config.output_key.as_bytes();
        let scratch = &mut self.scratch;

        let mut event = Event::unread(text);
        event.places = scratch.take_places();
        event.read_head(key, Some(&mut scratch.familiar))?;
        event.request = scratch.requests.number(&event);

        // What ran in a container is no request: the policy says nothing about it.
        let decision = (!matches!(nature, Some(Nature::Command(_))))
            .then(|| policy.evaluate_with(&event, &mut scratch.policy));
        if let Some(decision) = &decision {
            witness.decided(policy, &event, decision);
            if decision.stage_omitted && witness.drops(Cause::Stage)
                || decision.level == Level::None && keep_severity.is_none() && witness.drops(Cause::Level)
            {
                scratch.places = event.places;
                return Ok(Verdict::Dropped);
            }
        }
        let own_level = Level::of(&event);
        let level = decision.map(|decision| decision.level_beneath(own_level));
        let bodies = level.map_or(Bodies::Both, kept_bodies);
        event.read_rest(key, bodies, Some(&mut scratch.familiar))?;
        if !self.config.omit_response_codes.is_empty()
            && let Some(code) = event.response_code()
            && self.config.omit_response_codes.contains(&code)
            && witness.drops(Cause::ResponseCode(code))
        {
            return Ok(Verdict::Dropped);
        }
        if event.non_ascii() && std::str::from_utf8(text).is_err() {
            return Err(Refused::NotUtf8);
        }

        let mut normalized = normalizer.normalize_with(&event, &mut scratch.normalizer);
        match nature {
            Some(Nature::Command(exec)) => normalized.set_process(exec.clone()),
            Some(Nature::Rebuilt) => normalized.set_without_query(),
            Some(Nature::Embedded(_) | Nature::Mapped) | None => {}
        }

        let mut findings = Findings::new(&normalized);
        scratch.hits.clear();
        rules.evaluate(&mut scratch.rules, &event, &findings, &mut scratch.hits);
        scratch.alerts.clear();
        let mut cut_short = scratch.rules.cut_short();
        if !witness.has_seen_it_dropped() {
            rules.correlate(&mut self.correlating, &scratch.hits, &event, &findings, &mut scratch.alerts);
            cut_short |= self.correlating.cut_short();
        }
        findings.add_rules(scratch.hits.iter().filter_map(|hit| rules.finding(*hit)));
        let about = |alert| Some((rules.correlation(alert)?, alert));
        findings.add_alerts(scratch.alerts.iter().filter_map(about));
        findings.add_note(note);
        findings.add_note(normalized.note());
        findings.add_note(cut_short.then_some(RULES_CUT_SHORT));

        let kept_for_severity = decision.is_some_and(|decision| decision.level == Level::None);
        if kept_for_severity && findings.severity < *keep_severity && witness.drops(Cause::Severity) {
            return Ok(Verdict::Dropped);
        }
        // An event tells of its request at least at Metadata, whatever it says of itself.
        findings.level = level.map(|level| level.max(Level::Metadata));
        findings.policy_rule = decision.and_then(|decision| decision.rule);

        let is_plain = scratch.message.write(|out| normalized.write_message(&event, out));
        findings.message = Message { text: scratch.message.bytes(), is_plain };
        findings.route = routes
            .selections
            .first_match(&mut scratch.routes, &event, &findings)
            .and_then(|route| routes.names.get(route))
            .map(String::as_str);

        scratch.edits.clear();
        if let (Some(decision), Some(level)) = (decision, findings.level) {
            let level = (own_level != Some(level), level);
            let omit_managed_fields = decision.omit_managed_fields;
            edit(&event, level, omit_managed_fields, nature.is_none(), &mut scratch.cuts, &mut scratch.edits);
        }
        findings.write(&self.member_name, &mut scratch.audit);
        let hits = scratch.hits.iter().filter_map(|hit| rules.finding(*hit));
        let alerts = scratch.alerts.iter().filter_map(|alert| rules.correlation(alert));
        // Less the brace that closes the record.
        let object = scratch.audit.bytes().get(self.member_name.len()..).unwrap_or_default();
        let object = object.strip_suffix(b"}").unwrap_or_default();
        witness.finds(&event, normalizer, hits, alerts, object);
        let close = event.close();
        scratch.places = event.places;
        Ok(Verdict::Kept { close })
    }

    /// Lets a record go on with the reason why it was not treated as an audit event. An object keeps its
    /// bytes; what is none goes into the member where Fluent Bit's `tail` puts a line that it does not parse.
    fn pass_through(&mut self, record: &[u8], why: &Refused, out: &mut Vec<u8>) -> Outcome {
        let key = self.config.output_key.as_bytes();
        let routes = &self.config.routes;
        let edits = &mut self.scratch.edits;
        edits.clear();
        let mut audit = self.member_name.clone();
        audit.push(b'{');
        if let Some(route) = routes.catch_all.and_then(|route| routes.names.get(route)) {
            audit.extend_from_slice(b"\"route\":");
            json::push_string(&mut audit, route.as_bytes());
            audit.push(b',');
        }
        audit.extend_from_slice(b"\"error\":");
        json::push_string(&mut audit, why.to_string().as_bytes());
        audit.extend_from_slice(b"}}");
        let mended = String::from_utf8_lossy(record);
        let record = mended.as_bytes();
        match close_of_object(record, key) {
            Some(Ok(close)) => emit::write(record, close, edits, &audit, out),
            // Somebody else's member of that name is not ours to replace.
            Some(Err(Taken)) => out.extend_from_slice(record),
            None => {
                out.extend_from_slice(b"{\"log\":");
                json::push_string(out, record);
                emit::write(b"", 0, edits, &audit, out);
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

/// What changes in the event's bytes: the level, if it does, the bodies that go, and an `audit` object from an earlier pass
/// where that is due `in_the_event`.
#[inline(always)]
fn edit(
    event: &Event<'_>,
    (changes, level): (bool, Level),
    omit_managed_fields: bool,
    in_the_event: bool,
    cuts: &mut Vec<Range<usize>>,
    edits: &mut Edits,
) {
    // In the order in which they mostly stand.
    for &(touched, place) in &event.places {
        match touched {
            Touched::Level if changes => edits.replace(place, level.as_json()),
            Touched::Output if in_the_event => edits.cut_member(event.object().0, place),
            _ => {}
        }
    }
    cuts.clear();
    trim::cuts(event, level, omit_managed_fields, cuts);
    for cut in cuts.drain(..) {
        edits.cut(cut);
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

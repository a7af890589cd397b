//! Finding audit events in a record that is none itself: what collectors and cloud providers wrap them in, and
//! what they make of them.
//!
//! | shape | the event |
//! | --- | --- |
//! | `log` or `message`, as Fluent Bit's `tail`, Vector's `file` and CloudWatch have a line | the string's text, or the object |
//! | `properties.log` of an AKS diagnostic record | the string's text |
//! | `items` of a webhook's `EventList`; `records` of an Event Hub batch; `logEvents` of a CloudWatch subscription | each element is a record of its own |
//! | `protoPayload` of a Google Cloud audit log entry | mapped by [`gke`] |
//! | names with dots, or objects in strings, as Simple Log Service exports | mapped by [`sls`] |
//! | a command that ran in a container | mapped by [`container`] |
//!
//! A mapped event is written as the audit API has it, into a buffer of its own, and goes through the same stages
//! as any other; [`Piece`] says what of it stands where in the record, so that what the policy removes goes from
//! there. Nothing here is done twice to one record: a list holds no lists, a string no strings.

use super::{Member, Piece, Place, TopLevel, Unreadable, container, gke, sls};
use crate::json::{self, Kind, Raw, Text};
use crate::normalize::Exec;
use std::borrow::Cow;
use std::ops::Range;

/// The members by which a record's shape is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Kind,
    ApiVersion,
    Items,
    Records,
    LogEvents,
    ProtoPayload,
    Properties,
    Log,
    Message,
}

const SLOTS: usize = Slot::Message as usize + 1;

impl Slot {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"kind" => Self::Kind,
            b"apiVersion" => Self::ApiVersion,
            b"items" => Self::Items,
            b"records" => Self::Records,
            b"logEvents" => Self::LogEvents,
            b"protoPayload" => Self::ProtoPayload,
            b"properties" => Self::Properties,
            b"log" => Self::Log,
            b"message" => Self::Message,
            _ => return None,
        })
    }
}

/// A record that is no audit event, by its members.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    src: &'a [u8],
    /// The members by which its shape is told. One that stands twice is nobody's.
    slots: [Option<Place>; SLOTS],
    twice: [bool; SLOTS],
    /// Whether it has a member that only what watches containers writes.
    may_be_command: bool,
    /// The members that are called as the engine's own output is.
    pub(crate) outputs: Vec<Place>,
    /// Offset of the closing brace.
    pub(crate) close: usize,
    /// Whether a byte above 0x7f may stand in the record.
    pub(crate) non_ascii: bool,
}

/// A list of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    /// Where the array stands in the record.
    pub(crate) array: Range<usize>,
    /// Offset of the record's closing brace.
    pub(crate) close: usize,
    /// Whether the record says that it is a list of audit events. Others may be lists of anything.
    pub(crate) of_events: bool,
}

/// An event found in a record.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// The event, JSON.
    pub(crate) text: Cow<'a, [u8]>,
    /// What of it stands where in the record.
    pub(crate) pieces: Vec<Piece>,
    /// What it is.
    pub(crate) nature: Nature,
}

/// What an event that was found is.
#[derive(Debug)]
pub(crate) enum Nature {
    /// An event as the API server wrote it, if it is one, in the member of that name.
    Embedded(&'static str),
    /// An event made from an entry that lacks the query of its request.
    Rebuilt,
    /// An event made from all that the API server wrote.
    Mapped,
    /// A command that ran in a container: no request, so that no audit policy applies.
    Command(Exec),
}

impl<'a> Envelope<'a> {
    /// Reads a whole record: a JSON object, and nothing else but whitespace.
    pub(crate) fn read(src: &'a [u8], output_key: &[u8]) -> Result<Self, Unreadable> {
        let mut members = TopLevel::new(src)?;
        let mut slots = [None; SLOTS];
        let mut twice = [false; SLOTS];
        let mut may_be_command = false;
        let mut outputs = Vec::new();
        while let Some((name, place)) = members.next()? {
            if name.is(output_key) {
                outputs.push(place);
            }
            let name = name.decode();
            may_be_command |= container::is_sign(&name);
            if let Some(slot) = Slot::named(&name)
                && let (Some(place_of), Some(twice)) =
                    (slots.get_mut(slot as usize), twice.get_mut(slot as usize))
            {
                *twice = place_of.is_some();
                *place_of = Some(place);
            }
        }
        let (close, non_ascii) = (members.close(), members.non_ascii());
        Ok(Self { src, slots, twice, may_be_command, outputs, close, non_ascii })
    }

    fn place(&self, slot: Slot) -> Option<Place> {
        let twice = self.twice.get(slot as usize).copied()?;
        self.slots.get(slot as usize).copied().flatten().filter(|_| !twice)
    }

    fn value(&self, slot: Slot) -> Option<Raw<'a>> {
        raw(self.src, self.place(slot)?)
    }

    /// The list that the record is, if it is one.
    pub(crate) fn list(&self) -> Option<List> {
        let says = |slot, what: &[u8]| {
            self.value(slot).and_then(Raw::text).is_some_and(|text| text.decode().starts_with(what))
        };
        let of_events = says(Slot::Kind, b"EventList") && says(Slot::ApiVersion, b"audit.k8s.io/");
        let slots: &[Slot] = if of_events { &[Slot::Items] } else { &[Slot::Records, Slot::LogEvents] };
        let place = slots.iter().find_map(|&slot| {
            let place = self.place(slot)?;
            (raw(self.src, place)?.kind() == Kind::Array).then_some(place)
        })?;
        Some(List { array: place.value..place.end, close: self.close, of_events })
    }

    /// The one event that the record holds, if it can hold one.
    pub(crate) fn event(&self) -> Option<Found<'a>> {
        if self.place(Slot::ProtoPayload).is_some() {
            return self.mapped();
        }
        self.of_properties()
            .or_else(|| self.mapped())
            .or_else(|| embedded(self.src, self.place(Slot::Log)?, "log"))
            .or_else(|| embedded(self.src, self.place(Slot::Message)?, "message"))
    }

    /// The event that the record is another form of, if it is one.
    pub(crate) fn mapped(&self) -> Option<Found<'a>> {
        match self.place(Slot::ProtoPayload) {
            Some(place) => gke::event(self.src, place),
            None if self.may_be_command => container::event(self.src),
            None => sls::event(self.src),
        }
    }

    /// An AKS diagnostic record has the event as a line of the API server's log.
    fn of_properties(&self) -> Option<Found<'a>> {
        let mut log = None;
        let properties = self.place(Slot::Properties)?;
        each_member(self.src, properties.value..properties.end, |name, place| {
            if name.is(b"log") {
                log = Some(place);
            }
        });
        embedded(self.src, log?, "properties.log")
    }
}

/// The event that a member's value is, as an object or as text that may be one.
fn embedded<'a>(src: &'a [u8], place: Place, member: &'static str) -> Option<Found<'a>> {
    let value = raw(src, place)?;
    let (text, quoted) = match value.kind() {
        Kind::Object => (Cow::Borrowed(value.0), false),
        Kind::String => (object_in(value.text()?)?, true),
        _ => return None,
    };
    let pieces = vec![Piece { text: 0..text.len(), place, quoted }];
    Some(Found { text, pieces, nature: Nature::Embedded(member) })
}

/// What a string says, if that begins like an object.
fn object_in(text: Text<'_>) -> Option<Cow<'_, [u8]>> {
    // Most strings in such a place are lines of some other log: tell them before decoding.
    let mut start = text.raw();
    while let [b' ', rest @ ..] | [b'\\', b'n' | b't' | b'r', rest @ ..] = start {
        start = rest;
    }
    start.starts_with(b"{").then(|| text.decode())
}

/// The JSON that a string says, if it says an object or an array and nothing else.
pub(super) fn json_in(text: Text<'_>) -> Option<Cow<'_, [u8]>> {
    let said = text.decode();
    let start = json::skip_whitespace(&said, 0);
    if !matches!(said.get(start), Some(b'{' | b'[')) {
        return None;
    }
    let end = json::scan(&said, start).ok()?.end;
    (json::skip_whitespace(&said, end) == said.len()).then(|| match said {
        Cow::Borrowed(said) => Cow::Borrowed(said.get(start..end).unwrap_or_default()),
        Cow::Owned(mut said) => {
            said.truncate(end);
            said.drain(..start);
            Cow::Owned(said)
        }
    })
}

pub(super) fn raw(src: &[u8], place: Place) -> Option<Raw<'_>> {
    src.get(place.value..place.end).map(Raw)
}

/// Calls with each member of the object at `object`, by its place in `src`; of anything else, there is none.
pub(super) fn each_member<'s>(src: &'s [u8], object: Range<usize>, mut member: impl FnMut(Text<'s>, Place)) {
    let start = object.start;
    let Ok(mut members) = TopLevel::new(src.get(object).unwrap_or_default()) else { return };
    while let Ok(Some((name, Place { name: at, value, end }))) = members.next() {
        member(name, Place { name: start + at, value: start + value, end: start + end });
    }
}

/// The value in an object to which names joined by dots lead. A dot may be part of a name, or a step inwards.
pub(super) fn lookup<'a>(object: Raw<'a>, path: &[u8]) -> Option<Raw<'a>> {
    let (mut object, mut path) = (object, path);
    loop {
        let mut inwards = None;
        for (name, value) in json::members(object) {
            let name = name.decode();
            if *name == *path {
                return (value.kind() != Kind::Null).then_some(value);
            }
            if value.kind() == Kind::Object
                && let Some(rest) = path.strip_prefix(&*name).and_then(|rest| rest.strip_prefix(b"."))
            {
                inwards = Some((value, rest));
            }
        }
        (object, path) = inwards?;
    }
}

/// An event being written.
#[derive(Debug)]
pub(super) struct Draft {
    text: Vec<u8>,
    pieces: Vec<Piece>,
}

impl Draft {
    /// Begins an event.
    pub(super) fn new() -> Self {
        Self { text: b"{".to_vec(), pieces: Vec::new() }
    }

    /// Begins an event of the current version of the audit API.
    pub(super) fn of_v1() -> Self {
        Self { text: br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1""#.to_vec(), pieces: Vec::new() }
    }

    fn name(&mut self, name: &[u8]) {
        if !matches!(self.text.last(), Some(b'{')) {
            self.text.push(b',');
        }
        json::push_string(&mut self.text, name);
        self.text.push(b':');
    }

    /// Writes a string, unless it is empty.
    pub(super) fn string(&mut self, member: Member, value: &[u8]) {
        self.named_string(member.name(), value);
    }

    /// The same, for a member of a member.
    pub(super) fn named_string(&mut self, name: &str, value: &[u8]) {
        if !value.is_empty() {
            self.name(name.as_bytes());
            json::push_string(&mut self.text, value);
        }
    }

    /// Copies a value that is JSON.
    pub(super) fn raw(&mut self, name: &[u8], value: &[u8]) {
        self.name(name);
        self.text.extend_from_slice(value);
    }

    /// Copies a value that stands in the record, and may go from there.
    pub(super) fn piece(&mut self, name: &[u8], value: &[u8], place: Place, quoted: bool) {
        self.name(name);
        let start = self.text.len();
        self.text.extend_from_slice(value);
        self.pieces.push(Piece { text: start..self.text.len(), place, quoted });
    }

    /// Writes an integer.
    pub(super) fn number(&mut self, name: &str, number: i64) {
        self.name(name.as_bytes());
        json::push_number(&mut self.text, number);
    }

    /// Writes a list of strings, unless it is empty.
    pub(super) fn strings(&mut self, name: &str, values: &[&[u8]]) {
        if values.is_empty() {
            return;
        }
        self.name(name.as_bytes());
        for (index, value) in values.iter().enumerate() {
            self.text.push(if index == 0 { b'[' } else { b',' });
            json::push_string(&mut self.text, value);
        }
        self.text.push(b']');
    }

    /// Begins a member that is an object.
    pub(super) fn open(&mut self, member: Member) {
        self.name(member.name().as_bytes());
        self.text.push(b'{');
    }

    /// Ends the object begun last.
    pub(super) fn close(&mut self) {
        self.text.push(b'}');
    }

    /// The event.
    pub(super) fn finish<'a>(mut self, nature: Nature) -> Found<'a> {
        self.close();
        Found { text: Cow::Owned(self.text), pieces: self.pieces, nature }
    }
}

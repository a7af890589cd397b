//! First stage: finds the audit event in a record and gives a borrowed view of it.

mod container;
mod event;
mod familiar;
mod gke;
mod requests;
mod shape;
mod sls;
mod tail;
mod top_level;

#[cfg(test)]
mod tests;

pub(crate) use event::{Bodies, Touched};
pub use event::{Event, Member, ObjectRef, Place, User};
pub(crate) use familiar::Familiar;
pub(crate) use requests::{ByRequest, Requests};
pub(crate) use shape::{Envelope, List, Nature};
pub(crate) use top_level::{Name, TopLevel};

use crate::json;
use std::fmt;
use std::ops::Range;

/// Where the elements stand of a record that is a list of records, a webhook's `EventList` for one; nothing where it is
/// no list. Of an event on its own no more is read than it takes to see that it is one.
#[must_use]
pub fn elements(record: &[u8]) -> Vec<Range<usize>> {
    list_of(record).unwrap_or_default()
}

fn list_of(record: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut members = TopLevel::new(record).ok()?;
    while let Some((name, _)) = members.next().ok()? {
        if name.is(Member::AuditId.name().as_bytes()) {
            return None;
        }
    }
    let array = Envelope::read(record, b"").ok()?.list()?.array;
    let within = json::element_ranges(json::Raw(record.get(array.clone())?));
    Some(within.map(|element| array.start + element.start..array.start + element.end).collect())
}

/// A part of an event's text that stands in the record which the event was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where the part stands in the event's text.
    pub(crate) text: Range<usize>,
    /// The member of the record whose value it is.
    pub(crate) place: Place,
    /// Whether the record has it in a string, with escapes.
    pub(crate) quoted: bool,
}

/// Why a record could not be treated as an audit event. Such a record passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// The record is not JSON.
    NotJson(json::Error),
    /// The record is JSON, but not an object.
    NotAnObject,
    /// The record is an object, but nothing says that it is an audit event.
    NotAnAuditEvent,
    /// A member has another type than the audit API gives it.
    WrongType(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(error) => error.fmt(f),
            Self::NotAnObject => f.write_str("not a JSON object"),
            Self::NotAnAuditEvent => {
                f.write_str("not an audit event: neither apiVersion audit.k8s.io/… nor auditID and stage")
            }
            Self::WrongType(member) => write!(f, "{member} has another type than in audit.k8s.io"),
        }
    }
}

impl From<json::Error> for Unreadable {
    fn from(error: json::Error) -> Self {
        Self::NotJson(error)
    }
}

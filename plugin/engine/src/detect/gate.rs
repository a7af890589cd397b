//! What a member has to have for a tree to hold, told from the event's bytes as they stand.
//!
//! Of most events one or two trees are left open, by tests of paths that look for something rare. One pass over the path,
//! eight bytes at a time, says that it is not there, without decoding anything, and no tree is looked at.

use super::compile::{Operation, Program, Test};
use super::fields::{Source, View};
use super::modifier::Matcher;
use super::pattern::Bytes;
use crate::json::may_say;
use crate::record::{Event, Member};

/// A test of a member that has to hold, which has to have one of two texts for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    predicate: u32,
    member: Member,
    /// What the texts begin with, in lower case.
    pairs: [[u8; 2]; 2],
}

impl Gate {
    /// What operations need that are a tree, or what is left of one: the first test that has to hold and says so.
    pub(crate) fn of(program: &Program, operations: &[Operation]) -> Option<Self> {
        let mut at = 0;
        loop {
            at = match *operations.get(at)? {
                Operation::Group { all: false, end } => end as usize,
                Operation::Test { predicate, negated: false } => {
                    if let Some(gate) = Self::of_test(program, predicate) {
                        return Some(gate);
                    }
                    at + 1
                }
                _ => at + 1,
            };
        }
    }

    fn of_test(program: &Program, predicate: u32) -> Option<Self> {
        let texts = texts(program, predicate);
        let (first, last) = (texts.first()?, texts.last()?);
        // What may be written in more than one way is not to be found in bytes as they stand.
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\"\\&<>".contains(byte);
        if texts.len() > 2 || !texts.iter().all(|text| text.iter().all(plain)) {
            return None;
        }
        let Test::Value { field, .. } = program.predicate(predicate)?.test else { return None };
        let Source::View(view) = program.field(field)?.source else { return None };
        let View::Top(member) = program.view(view)? else { return None };
        let pairs = [*first.first_chunk()?, *last.first_chunk()?];
        Some(Self {
            predicate,
            member,
            pairs: pairs.map(|pair: [u8; 2]| pair.map(|byte| byte.to_ascii_lowercase())),
        })
    }

    /// Whether the event may have one of the texts there. If not, no tree holds of which this is the gate.
    #[inline(never)]
    pub(crate) fn is_open(self, program: &Program, event: &Event<'_>) -> bool {
        let value = event.get(self.member);
        value.is_some_and(|value| may_say(value.0, self.pairs, || texts(program, self.predicate)))
    }
}

/// Texts without any of which a test does not hold.
fn texts(program: &Program, predicate: u32) -> &[Bytes] {
    match program.predicate(predicate).map(|predicate| &predicate.test) {
        Some(Test::Value { matcher: Matcher::Text(pattern), .. }) => pattern.needed(),
        _ => &[],
    }
}

//! What a member has to have for a tree to hold, told from the event's bytes as they stand.
//!
//! Of most events one or two trees are left open, by tests of paths that look for something rare. One pass over the path,
//! eight bytes at a time, says that it is not there, without decoding anything, and no tree is looked at.

use super::compile::{Operation, Program, Test};
use super::fields::{Source, View};
use super::modifier::Matcher;
use crate::json::may_say_pair;
use crate::record::{Event, Member};

/// Two pairs of bytes of which a member has to have one, without regard to case. They may be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    member: Member,
    pairs: [[u8; 2]; 2],
}

impl Gate {
    /// What operations need that are a tree, or what is left of one: the first test that has to hold and says so.
    pub(crate) fn of(program: &Program, operations: &[Operation]) -> Option<Self> {
        let mut at = 0;
        loop {
            match *operations.get(at)? {
                Operation::Group { all: true, .. } | Operation::Test { negated: true, .. } => at += 1,
                Operation::Group { all: false, end } => at = end as usize,
                Operation::Test { predicate, negated: false } => {
                    let gate =
                        program.predicate(predicate).and_then(|test| Self::of_test(program, &test.test));
                    if gate.is_some() {
                        return gate;
                    }
                    at += 1;
                }
            }
        }
    }

    fn of_test(program: &Program, test: &Test) -> Option<Self> {
        let Test::Value { field, matcher: Matcher::Text(pattern) } = test else { return None };
        let &Source::View(view) = &program.field(*field)?.source else { return None };
        let View::Top(member) = program.view(view)? else { return None };
        let pairs = match *pattern.pairs()? {
            [pair] => [pair, pair],
            [pair, other] => [pair, other],
            _ => return None,
        };
        // What may be written in more than one way is not to be found in bytes as they stand.
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\"\\&<>".contains(byte);
        pairs.as_flattened().iter().all(plain).then_some(Self { member, pairs })
    }

    /// Whether the event may have one of the pairs there. If not, no tree holds of which this is the gate.
    #[inline(always)]
    pub(crate) fn is_open(&self, event: &Event<'_>) -> bool {
        event.get(self.member).is_some_and(|value| may_say_pair(value.0, self.pairs))
    }
}

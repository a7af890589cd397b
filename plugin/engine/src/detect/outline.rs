//! An event in outline: what can be told of it at a glance, and which trees that rules out.
//!
//! Some of what rules ask for has few answers: how it ended, what kind of address it came from, whether there is a
//! body at all. Each such question is a [`Group`] of bits, one for each answer, and an event has one bit of each
//! group. A test has the bits with which it can hold, and so has a tree: with all of its parts, with any of them.
//! An event with a bit that a tree does not have cannot satisfy it, and to see that takes one operation.

use super::compile::{Field, NONE, Operation, Program, ROOT, Test};
use super::evaluate::matches;
use super::fields::{AuditField, AuditFields, AuditValue, Found, Reference, Source, Value, View};
use super::modifier::Matcher;
use super::pattern::Limits;
use crate::json::{self, Kind};
use crate::record::{Event, Member};

/// All bits: nothing is ruled out.
pub(crate) const ANY: u64 = u64::MAX;

/// A question with few answers.
struct Group {
    question: Question,
    /// The answers that are told apart. There are two more: that there is none, and that it is another.
    answers: &'static [&'static str],
    /// What kind of value an answer is.
    kind: Kind,
}

enum Question {
    /// The value of a field.
    Audit(AuditField),
    View(View),
    /// Whether the event has the member at all.
    Has(Member),
    /// Whether the user's `extra` has a member that any rule asks for.
    HasExtraAskedFor,
}

const GROUPS: &[Group] = &[
    of_audit(AuditField::Outcome, &["success", "failure"]),
    of_audit(AuditField::OperatorType, &["user", "serviceaccount", "node", "control-plane", "anonymous"]),
    of_audit(AuditField::SourceScope, &["public", "private", "loopback", "link-local", "internal"]),
    of_audit(AuditField::SourceHighRisk, &[]),
    of_audit(
        AuditField::ResourceClass,
        &["compute", "network", "storage", "access-control", "other", "non-resource"],
    ),
    Group {
        question: Question::View(View::Top(Member::Verb)),
        answers: &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"],
        kind: Kind::String,
    },
    Group {
        question: Question::View(View::ResponseCode),
        answers: &["200", "201", "101", "401", "403", "404", "409"],
        kind: Kind::Number,
    },
    Group {
        question: Question::View(View::Reference(Reference::Subresource)),
        answers: &[],
        kind: Kind::String,
    },
    has(Question::HasExtraAskedFor),
    has(Question::Has(Member::ImpersonatedUser)),
    has(Question::Has(Member::RequestObject)),
    has(Question::Has(Member::ResponseObject)),
    has(Question::Has(Member::Annotations)),
];

const _: () = {
    let (mut bits, mut at) = (0, 0);
    while at < GROUPS.len() {
        bits += GROUPS[at].len();
        at += 1;
    }
    assert!(bits <= u64::BITS as usize);
};

const fn of_audit(field: AuditField, answers: &'static [&'static str]) -> Group {
    Group { question: Question::Audit(field), answers, kind: Kind::String }
}

const fn has(question: Question) -> Group {
    Group { question, answers: &[], kind: Kind::Object }
}

/// The places within a group of the two answers that each has.
const NONE_AT_ALL: usize = 0;
const ANOTHER: usize = 1;

impl Group {
    const fn len(&self) -> usize {
        self.answers.len() + 2
    }

    /// Where an answer stands in the group.
    fn place(&self, answer: &[u8]) -> usize {
        self.answers.iter().position(|known| known.as_bytes() == answer).map_or(ANOTHER, |at| at + 2)
    }

    /// The answer that an event gives.
    fn answer(&self, program: &Program, event: &Event<'_>, audit: &dyn AuditFields) -> usize {
        let present = |present: bool| if present { ANOTHER } else { NONE_AT_ALL };
        match &self.question {
            Question::Audit(field) => {
                let mut place = NONE_AT_ALL;
                audit.values(*field, &mut |value| {
                    place = match value {
                        AuditValue::Text(text) => self.place(text),
                        AuditValue::Integer(_) | AuditValue::Bool(_) => ANOTHER,
                    };
                });
                place
            }
            Question::View(view) => match view.value(event) {
                None => NONE_AT_ALL,
                Some(Found::Text(_)) if self.answers.is_empty() => ANOTHER,
                Some(Found::Text(text)) => self.place(text.raw()),
                Some(Found::Raw(raw)) if raw.kind() != self.kind => ANOTHER,
                // An answer has no escapes.
                Some(Found::Raw(raw)) => self.place(raw.text().map_or(raw.0, |text| text.raw())),
            },
            Question::Has(member) => present(event.may_have(*member)),
            Question::HasExtraAskedFor => present(may_have_extra(program, event)),
        }
    }

    /// Whether a test of the field is about this question. `steps` are the first two of its path.
    fn is_asked_by(&self, program: &Program, field: &Field, steps: (&[u8], &[u8])) -> bool {
        match (&self.question, &field.source) {
            (Question::Audit(asked), Source::Audit(field)) => asked == field,
            (Question::View(asked), &Source::View(view)) => program.view(view) == Some(*asked),
            (Question::Has(member), Source::Path(_)) => steps.0 == member.name().as_bytes(),
            (Question::HasExtraAskedFor, Source::Path(node)) => {
                steps == (Member::User.name().as_bytes(), EXTRA) && program.user_extra != *node
            }
            _ => false,
        }
    }

    /// With which of the group's bits a test can hold, and with which it can fail. The lowest is the group's first.
    fn outcomes(&self, matcher: &Matcher) -> (u64, u64) {
        let (mut holds, mut fails) = (1 << ANOTHER, 1 << ANOTHER | 1 << NONE_AT_ALL);
        for answer in self.answers {
            let bit = 1 << self.place(answer.as_bytes());
            let value = Value { kind: self.kind, text: answer.as_bytes() };
            let mut limits = Limits::default();
            let matched = matches(matcher, value, &mut limits);
            if matched || limits.uncompiled {
                holds |= bit;
            }
            if !matched {
                fails |= bit;
            }
        }
        (holds, fails)
    }
}

const EXTRA: &[u8] = b"extra";

/// Whether `user.extra` may have a member that begins like one of the paths that lead there.
pub(crate) fn may_have_extra(program: &Program, event: &Event<'_>) -> bool {
    if event.user.has_more {
        return true;
    }
    let (Some(asked_for), Some(extra)) = (program.path(program.user_extra), event.user.extra) else {
        return false;
    };
    json::members(extra).any(|(name, _)| {
        let name = name.decode();
        // A dot in a name is no different from a step.
        let first = name.split(|&byte| byte == b'.').next().unwrap_or_default();
        asked_for.children.iter().any(|(asked_for, _)| **asked_for == *first)
    })
}

/// The node of the tree of paths at which `user.extra` lies, if any path leads there.
pub(crate) fn user_extra(program: &Program) -> u32 {
    let child = |node: u32, name: &[u8]| {
        let children = &program.path(node)?.children;
        children.iter().find(|(child, _)| **child == *name).map(|&(_, child)| child)
    };
    child(ROOT, Member::User.name().as_bytes()).and_then(|user| child(user, EXTRA)).unwrap_or(NONE)
}

/// The first two steps of the path that ends at a node.
fn first_steps(program: &Program, node: u32) -> (&[u8], &[u8]) {
    let name = |node: u32| {
        let parent = program.path(node).and_then(|node| program.path(node.parent));
        let child = parent.and_then(|parent| parent.children.iter().find(|&&(_, child)| child == node));
        child.map_or(&b""[..], |(name, _)| name)
    };
    let (mut at, mut before) = (node, NONE);
    while let Some(parent) = program.path(at).map(|node| node.parent)
        && parent != ROOT
        && parent != NONE
    {
        (at, before) = (parent, at);
    }
    (name(at), name(before))
}

/// The bits of an event, one of each group.
pub(crate) fn of_event(program: &Program, event: &Event<'_>, audit: &dyn AuditFields) -> u64 {
    let mut first = 0;
    let mut bits = 0;
    for group in GROUPS {
        bits |= 1 << (first + group.answer(program, event, audit));
        first += group.len();
    }
    bits
}

/// Which members an event has, a bit for each question about one.
pub(crate) fn members_of_event(event: &Event<'_>) -> u16 {
    let mut members = 0;
    for group in GROUPS {
        if let Question::Has(member) = group.question {
            members = members << 1 | u16::from(event.may_have(member));
        }
    }
    members
}

/// The bits with which a test can hold, and those with which it can fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcomes {
    pub(crate) holds: u64,
    fails: u64,
}

impl Outcomes {
    const ANY: Self = Self { holds: ANY, fails: ANY };
}

/// The outcomes of all tests.
pub(crate) fn of_tests(program: &Program) -> Vec<Outcomes> {
    let asked: Vec<Option<(&Group, usize)>> =
        program.fields.iter().map(|field| asked_by(program, field)).collect();
    let of_test = |test: &Test| {
        let Test::Value { field, matcher } = test else { return Outcomes::ANY };
        let Some((group, first)) = asked.get(*field as usize).copied().flatten() else {
            return Outcomes::ANY;
        };
        let bits = ((1 << group.len()) - 1) << first;
        let (holds, fails) = group.outcomes(matcher);
        Outcomes { holds: ANY & !bits | holds << first, fails: ANY & !bits | fails << first }
    };
    program.predicates.iter().map(|predicate| of_test(&predicate.test)).collect()
}

/// The question that tests of a field are about, and where its bits start.
fn asked_by(program: &Program, field: &Field) -> Option<(&'static Group, usize)> {
    let steps = match field.source {
        Source::Path(node) => first_steps(program, node),
        _ => (&b""[..], &b""[..]),
    };
    let mut first = 0;
    GROUPS.iter().find_map(|group| {
        let at = first;
        first += group.len();
        group.is_asked_by(program, field, steps).then_some((group, at))
    })
}

/// The bits with which a tree can hold.
pub(crate) fn of_tree(program: &Program, tests: &[Outcomes], tree: u32) -> u64 {
    struct Open {
        all: bool,
        end: usize,
        so_far: u64,
    }
    let operations = program.tree(tree);
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(&operation) = operations.get(at) {
        at += 1;
        let mut found = match operation {
            Operation::Group { all, end } => {
                open.push(Open { all, end: end as usize, so_far: if all { ANY } else { 0 } });
                continue;
            }
            Operation::Test { predicate, negated } => {
                let outcomes = tests.get(predicate as usize).copied().unwrap_or(Outcomes::ANY);
                if negated { outcomes.fails } else { outcomes.holds }
            }
        };
        loop {
            let Some(group) = open.last_mut() else { return found };
            group.so_far = if group.all { group.so_far & found } else { group.so_far | found };
            if at < group.end {
                break;
            }
            found = group.so_far;
            open.pop();
        }
    }
    0
}

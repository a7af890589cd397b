//! Which members an event has, and without which a test or a tree cannot hold.
//!
//! Most events have no body that a rule may look into, and nearly none has what rules ask of `user.extra`. What has no
//! values without such a member is a bit for it; an event that lacks one of a tree's bits cannot satisfy it, and to see
//! that takes one operation.

use super::compile::{NONE, Operation, Predicate, Program, ROOT, Test};
use super::fields::Source;
use crate::json;
use crate::record::{Event, Member};

/// The members that are told apart, a bit for each.
const MEMBERS: [Member; 4] =
    [Member::ImpersonatedUser, Member::RequestObject, Member::ResponseObject, Member::Annotations];

/// Whether the user's `extra` has a member that any rule asks for.
const EXTRA_ASKED_FOR: u16 = 1 << MEMBERS.len();

/// The bits of the members that an event has.
pub(crate) fn of_event(event: &Event<'_>) -> u16 {
    let bits = MEMBERS.iter().enumerate().map(|(bit, &member)| u16::from(event.may_have(member)) << bit);
    bits.fold(0, |bits, bit| bits | bit)
}

/// The bits of an event, with what takes a look at its user.
pub(crate) fn all_of_event(program: &Program, event: &Event<'_>) -> u16 {
    let extra = if may_have_extra(program, event) { EXTRA_ASKED_FOR } else { 0 };
    of_event(event) | extra
}

/// The bits without which a field has no values.
fn of_field(program: &Program, field: u32) -> u16 {
    let Some(&Source::Path(node)) = program.field(field).map(|field| &field.source) else { return 0 };
    let (first, second) = first_steps(program, node);
    if let Some(bit) = MEMBERS.iter().position(|member| member.name().as_bytes() == first) {
        return 1 << bit;
    }
    let is_extra = first == Member::User.name().as_bytes() && second == EXTRA && program.user_extra != node;
    if is_extra { EXTRA_ASKED_FOR } else { 0 }
}

/// The bits without which tests of each field cannot hold.
pub(crate) fn of_fields(program: &Program) -> Vec<u16> {
    (0u32..).zip(&program.fields).map(|(field, _)| of_field(program, field)).collect()
}

/// The bits without which a test cannot hold, by those of the fields.
pub(crate) fn of_test(fields: &[u16], test: &Test) -> u16 {
    let of = |field: u32| fields.get(field as usize).copied().unwrap_or_default();
    match *test {
        Test::Value { field, .. } => of(field),
        Test::Reference { left, right, .. } => of(left) | of(right),
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
        asked_for.children.iter().any(|asked_for| *asked_for.name == *first)
    })
}

/// The node of the tree of paths at which `user.extra` lies, if any path leads there.
pub(crate) fn user_extra(program: &Program) -> u32 {
    let child = |node: u32, name: &[u8]| {
        let children = &program.path(node)?.children;
        children.iter().find(|child| *child.name == *name).map(|child| child.id)
    };
    child(ROOT, Member::User.name().as_bytes()).and_then(|user| child(user, EXTRA)).unwrap_or(NONE)
}

/// The first two steps of the path that ends at a node.
fn first_steps(program: &Program, node: u32) -> (&[u8], &[u8]) {
    let name = |node: u32| {
        let parent = program.path(node).and_then(|node| program.path(node.parent));
        let child = parent.and_then(|parent| parent.children.iter().find(|child| child.id == node));
        child.map_or(&b""[..], |child| &child.name)
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

/// The bits without which a tree cannot hold, by those of its tests.
pub(crate) fn of_tree(program: &Program, tree: u32) -> u16 {
    struct Open {
        all: bool,
        end: usize,
        so_far: u16,
    }
    let operations = program.tree(tree);
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(&operation) = operations.get(at) {
        at += 1;
        let mut found = match operation {
            Operation::Group { all, end } => {
                open.push(Open { all, end: end as usize, so_far: if all { 0 } else { u16::MAX } });
                continue;
            }
            // What does not hold needs nothing.
            Operation::Test { negated: true, .. } => 0,
            Operation::Test { predicate, .. } => {
                program.predicate(predicate).map_or(0, |predicate: &Predicate| predicate.members)
            }
        };
        loop {
            let Some(group) = open.last_mut() else { return found };
            group.so_far = if group.all { group.so_far | found } else { group.so_far & found };
            if at < group.end {
                break;
            }
            found = group.so_far;
            open.pop();
        }
    }
    0
}

//! A program put to an event: which of its trees hold.
//!
//! An event is looked at in three stages, each dearer than the one before ([`Stage`]). After each, the
//! trees that are not decided say which predicates they still wait for; the next stage's walk descends to
//! the fields of those and nowhere else, and compares each value as it finds it. So nothing about an event
//! is stored but one bit for each predicate, however large the event is. (Fields that are compared with
//! fields are the exception, and have their limits here.)

use super::classes::{Classes, Decided, Undecided};
use super::compile::{NONE, Named, Operation, Predicate, Program, ROOT, Test};
use super::fields::{AuditFields, AuditValue, Decoded, Found, Source, Stage, Value};
use super::gate::Gate;
use super::members;
use super::modifier::{Likeness, Matcher, Number, Place, TimePart};
use super::pairs::Pairs;
use super::pattern::{self, Form, Limits};
use crate::json::{self, Kind, Raw, position, skip_string, skip_value, skip_whitespace};
use crate::record::{Event, Member};
use crate::sort::sort;
use std::net::IpAddr;
use std::sync::Arc;

/// How deep a walk follows the nesting of a body. Kubernetes' own types nest less than 30 deep; whoever may
/// write a custom resource may nest as deep as the API server's own limits let them.
const MAX_DEPTH: usize = 128;

/// How many values of a field are kept for comparison with another field. Whoever can create an object can
/// give a list a hundred thousand elements.
const MAX_KEPT_VALUES: usize = 256;

/// How many bytes of such values are kept altogether.
const MAX_KEPT_BYTES: usize = 64 << 10;

/// How long a value may be whose pairs of bytes tell anything: a longer one has nearly all.
const LONGEST_IN_PAIRS: usize = 512;

/// Yes, no, or not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Unknown,
}

impl Answer {
    /// The answer of one test that answers for all of them, or for any.
    fn decisive(all: bool) -> Self {
        if all { Self::No } else { Self::Yes }
    }

    /// The opposite where the question is negated.
    fn unless(self, negated: bool) -> Self {
        match (self, negated) {
            (Self::Yes, true) => Self::No,
            (Self::No, true) => Self::Yes,
            (answer, _) => answer,
        }
    }
}

/// What an evaluation needs room for, kept from event to event.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The program that this is for.
    program: Option<u32>,
    /// Counts events, so that marks of earlier ones need not be removed.
    epoch: u32,
    /// For each predicate: the epoch in which it was found to hold or not, times two, plus one if it holds.
    memo: Vec<u32>,
    /// For each predicate: the epoch in which a tree came to wait for it.
    awaited: Vec<u32>,
    /// For each field: the epoch in which a walk came to look for its values.
    sought: Vec<u32>,
    /// For each field: the epoch in which its values came to be kept.
    keeping: Vec<u32>,
    /// For each node of the tree of paths: the epoch in which something sought came to lie at or under it.
    leading: Vec<u32>,
    /// For each field: the predicates that its values are compared with.
    pending: Vec<Vec<u32>>,
    pending_fields: Vec<u32>,
    pending_references: Vec<u32>,
    bare_sought: bool,
    keyword_sought: bool,
    kept: Vec<(u32, usize, usize)>,
    kept_bytes: Vec<u8>,
    /// The trees that are not decided yet, by their place among [`Decided::undecided`].
    candidates: Vec<usize>,
    classes: Classes,
    groups: Vec<OpenGroup>,
    containers: Vec<Container>,
    holding: Vec<u32>,
    /// What of the event was not looked at.
    limits: Limits,
}

/// A group of operations whose end has not been reached.
#[derive(Debug)]
struct OpenGroup {
    all: bool,
    end: u32,
    so_far: Answer,
}

/// An object or array that a walk is within.
#[derive(Debug)]
struct Container {
    object: bool,
    /// Where the values in it lie in the tree of paths: an array's elements where the array does.
    node: u32,
    /// The field of one name that an array's elements are values of.
    bare: u32,
}

impl Scratch {
    #[inline(always)]
    fn begin(&mut self, program: &Program) {
        if self.program != Some(program.id) || self.epoch >= u32::MAX / 2 {
            self.forget(program);
        }
        self.epoch += 1;
        self.kept.clear();
        self.kept_bytes.clear();
        self.candidates.clear();
        self.limits = Limits::default();
    }

    /// Forgets everything, for another program. Out of line, as the constants of a function cost at each call where the
    /// module is interpreted.
    #[cold]
    #[inline(never)]
    fn forget(&mut self, program: &Program) {
        let (predicates, fields, nodes) =
            (program.predicates.len(), program.fields.len(), program.paths.len());
        self.program = Some(program.id);
        self.epoch = 0;
        for (marks, length) in [
            (&mut self.memo, predicates),
            (&mut self.awaited, predicates),
            (&mut self.sought, fields),
            (&mut self.keeping, fields),
            (&mut self.leading, nodes),
        ] {
            marks.clear();
            marks.resize(length, 0);
        }
        self.pending.clear();
        self.pending.resize_with(fields, Vec::new);
        self.classes.begin(program);
    }

    fn answer(&self, predicate: u32) -> Answer {
        match self.memo.get(predicate as usize) {
            Some(&mark) if mark == self.epoch * 2 + 1 => Answer::Yes,
            Some(&mark) if mark == self.epoch * 2 => Answer::No,
            _ => Answer::Unknown,
        }
    }

    fn set(&mut self, predicate: u32, holds: bool) {
        if let Some(mark) = self.memo.get_mut(predicate as usize) {
            *mark = self.epoch * 2 + u32::from(holds);
        }
    }

    fn is_marked(marks: &[u32], at: u32, epoch: u32) -> bool {
        marks.get(at as usize) == Some(&epoch)
    }

    /// Marks; returns whether it was not marked before.
    fn mark(marks: &mut [u32], at: u32, epoch: u32) -> bool {
        marks.get_mut(at as usize).is_some_and(|mark| std::mem::replace(mark, epoch) != epoch)
    }

    /// An empty list for the trees that hold.
    pub(super) fn take_holding(&mut self) -> Vec<u32> {
        let mut holding = std::mem::take(&mut self.holding);
        holding.clear();
        holding
    }

    /// Takes the list back for the next event.
    pub(super) fn put_holding(&mut self, holding: Vec<u32>) {
        self.holding = holding;
    }

    /// Whether the last evaluation left out a part of the event because of a limit.
    #[must_use]
    pub fn cut_short(&self) -> bool {
        self.limits.cut
    }

    /// Whether the last evaluation has found that an expression is yet to be compiled. What it says is of no use then, and
    /// what it has remembered is forgotten here.
    pub(super) fn take_uncompiled(&mut self) -> bool {
        let uncompiled = std::mem::take(&mut self.limits.uncompiled);
        if uncompiled {
            self.program = None;
        }
        uncompiled
    }
}

/// Appends to `holding` the numbers of the trees that hold on the event, in ascending order.
#[inline(always)]
pub(crate) fn evaluate(
    program: &Program,
    scratch: &mut Scratch,
    event: &Event<'_>,
    audit: &dyn AuditFields,
    holding: &mut Vec<u32>,
) {
    if program.trees.is_empty() {
        scratch.limits = Limits::default();
    } else {
        evaluate_trees(program, scratch, event, audit, holding);
    }
}

/// The same where there are trees.
#[inline(never)]
fn evaluate_trees(
    program: &Program,
    scratch: &mut Scratch,
    event: &Event<'_>,
    audit: &dyn AuditFields,
    holding: &mut Vec<u32>,
) {
    scratch.begin(program);
    let mut run = Run { program, scratch, event, audit, members: 0, seen: None, more_seen: Vec::new() };
    let decided = run.find_candidates();
    let first = holding.len();
    holding.extend_from_slice(&decided.holding);
    let open = decided.open(program, event);
    if open != 0 {
        run.decide_undecided(&decided, open, holding);
        if let Some(found) = holding.get_mut(first..) {
            sort(found);
        }
    }
}

struct Run<'r, 'e> {
    program: &'r Program,
    scratch: &'r mut Scratch,
    event: &'r Event<'e>,
    audit: &'r dyn AuditFields,
    /// The members that the event has.
    members: u16,
    /// What the event has of those of the program's views that have been asked for, decoded once.
    seen: Option<Seen<'e>>,
    /// Those beyond the first. Mostly there are none, and nothing is allocated.
    more_seen: Vec<Seen<'e>>,
}

/// What the event has for a view.
struct Seen<'e> {
    view: u32,
    found: Option<Decoded<'e>>,
    /// The pairs of bytes that it has, once somebody has asked.
    pairs: Option<Pairs>,
}

impl Seen<'_> {
    fn value(&self) -> Option<Value<'_>> {
        let (kind, text) = self.found.as_ref()?;
        Some(Value { kind: *kind, text })
    }
}

impl<'e> Run<'_, 'e> {
    /// What the classes of the event's values decide.
    fn find_candidates(&mut self) -> Arc<Decided> {
        let program = self.program;
        let members = members::of_event(self.event);
        if let Some(decided) = self.scratch.classes.gather(program, self.event, self.audit, members) {
            self.members = decided.members;
            return decided;
        }
        let mut classes = std::mem::take(&mut self.scratch.classes);
        classes.classify(program, self.event, self.audit, &mut |predicate| {
            if predicate == NONE {
                return members::may_have_extra(program, self.event);
            }
            program.predicate(predicate).is_some_and(|predicate| self.test_now(predicate))
        });
        self.scratch.classes = classes;
        if let Some(decided) = self.scratch.classes.decided() {
            self.members = decided.members;
            return decided;
        }
        self.decide_by_classes()
    }

    /// Finds out what the classes of the event's values decide.
    #[inline(never)]
    fn decide_by_classes(&mut self) -> Arc<Decided> {
        let program = self.program;
        self.members = members::all_of_event(program, self.event);
        let (mut holding, mut undecided) = (Vec::new(), Vec::new());
        let (mut gate, mut behind_it) = (None, Vec::new());
        for (tree, needed) in (0u32..).zip(&program.members) {
            if needed & !self.members != 0 {
                continue;
            }
            match self.decide(program.tree(tree), Stage::Class) {
                Answer::Yes => holding.push(tree),
                Answer::No => {}
                Answer::Unknown => {
                    let operations: Box<[_]> = self.what_is_left(tree).into();
                    let stages = program.stages_of(&operations);
                    let needed = Gate::of(program, &operations);
                    gate = gate.or(needed);
                    let group =
                        if needed.is_some() && needed == gate { &mut behind_it } else { &mut undecided };
                    group.push(Undecided { tree, operations, stages });
                }
            }
        }
        let before_it = undecided.len();
        undecided.append(&mut behind_it);
        let (holding, undecided) = (holding.into(), undecided.into());
        let gate = gate.map(|gate| (gate, before_it));
        let decided = Arc::new(Decided { members: self.members, holding, undecided, gate });
        self.scratch.classes.remember(Arc::clone(&decided));
        decided
    }

    /// Appends those of the first undecided trees that hold.
    #[inline(never)]
    fn decide_undecided(&mut self, decided: &Decided, open: usize, holding: &mut Vec<u32>) {
        let mut undecided = std::mem::take(&mut self.scratch.candidates);
        undecided.extend(0..open);
        for stage in [Stage::Immediate, Stage::Head, Stage::Body] {
            let has_stage = |undecided: &Undecided| undecided.stages & stage.bit() != 0;
            let mut trees = undecided.iter().filter_map(|&at| decided.undecided.get(at));
            if !trees.any(has_stage) {
                continue;
            }
            if stage != Stage::Immediate {
                self.look(stage, decided, &undecided);
            }
            undecided.retain(|&at| {
                let Some(undecided) = decided.undecided.get(at) else { return false };
                if !has_stage(undecided) {
                    return true;
                }
                let answer = self.decide(&undecided.operations, stage);
                if answer == Answer::Yes {
                    holding.push(undecided.tree);
                }
                answer == Answer::Unknown
            });
        }
        self.scratch.candidates = undecided;
    }

    /// The operations on which a tree depends that the classes of the event's values leave open.
    fn what_is_left(&mut self, tree: u32) -> Vec<Operation> {
        let operations = self.program.tree(tree);
        let mut rest = Vec::new();
        // Each with where it stands in what is left.
        let mut groups: Vec<(bool, u32, usize)> = Vec::new();
        let mut at = 0;
        while let Some(&operation) = operations.get(at as usize) {
            at += 1;
            let mut answer = match operation {
                Operation::Group { all, end } => {
                    groups.push((all, end, rest.len()));
                    rest.push(operation);
                    continue;
                }
                Operation::Test { predicate, negated } => {
                    self.answer(predicate, Stage::Class).unless(negated)
                }
            };
            if answer == Answer::Unknown {
                rest.push(operation);
            }
            while let Some(&(all, end, start)) = groups.last() {
                if answer == Answer::decisive(all) {
                    at = end;
                    rest.truncate(start);
                } else if at < end {
                    break;
                } else if rest.len() == start + 1 {
                    // None of what it is made of matters any more.
                    answer = Answer::decisive(!all);
                    rest.truncate(start);
                } else {
                    answer = Answer::Unknown;
                    let end = u32::try_from(rest.len()).unwrap_or(u32::MAX);
                    if let Some(group) = rest.get_mut(start) {
                        *group = Operation::Group { all, end };
                    }
                }
                groups.pop();
            }
        }
        rest
    }

    /// Gives the values of a field that is known at once to `each`, until it returns true. Returns whether
    /// it did.
    fn values(&mut self, field: u32, each: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        match self.program.field(field).map(|field| &field.source) {
            Some(Source::Audit(field)) => {
                let mut done = false;
                let mut give = |value: Value<'_>| done = done || each(value);
                self.audit.values(*field, &mut |value| match value {
                    AuditValue::Text(text) => give(Value { kind: Kind::String, text }),
                    AuditValue::Integer(number) => {
                        let text = number.to_string();
                        give(Value { kind: Kind::Number, text: text.as_bytes() });
                    }
                    AuditValue::Bool(true) => give(Value { kind: Kind::Bool, text: b"true" }),
                    AuditValue::Bool(false) => give(Value { kind: Kind::Bool, text: b"false" }),
                });
                done
            }
            Some(&Source::View(view)) => self.see(view).and_then(|seen| seen.value()).is_some_and(each),
            Some(Source::Groups) => self.event.user.groups.is_some_and(|groups| {
                Value::with(groups, &mut *each)
                    || json::elements(groups).any(|group| Value::with(group, &mut *each))
            }),
            _ => false,
        }
    }

    /// What the view of the event has.
    fn see(&mut self, view: u32) -> Option<&mut Seen<'e>> {
        let known = self.seen.iter().chain(&self.more_seen).position(|seen| seen.view == view);
        if known.is_none() {
            let found = self.program.view(view).and_then(|view| view.value(self.event));
            let seen = Seen { view, found: found.map(Found::decode), pairs: None };
            if self.seen.is_none() {
                self.seen = Some(seen);
            } else {
                self.more_seen.push(seen);
            }
        }
        match known.unwrap_or(self.more_seen.len()) {
            0 => self.seen.as_mut(),
            beyond => self.more_seen.get_mut(beyond - 1),
        }
    }

    /// The pairs of bytes that the one value of a field has, if it is short and has one value only.
    fn pairs(&mut self, field: u32) -> Pairs {
        let Some(&Source::View(view)) = self.program.field(field).map(|field| &field.source) else {
            return Pairs::ANY;
        };
        match self.see(view) {
            Some(Seen { found: Some((_, text)), pairs, .. }) if text.len() <= LONGEST_IN_PAIRS => {
                *pairs.get_or_insert_with(|| Pairs::of(text))
            }
            _ => Pairs::ANY,
        }
    }

    /// Evaluates what is left of a tree as far as what is known after `stage` goes.
    fn decide(&mut self, operations: &[Operation], stage: Stage) -> Answer {
        let mut groups = std::mem::take(&mut self.scratch.groups);
        groups.clear();
        let mut at = 0;
        let mut result = Answer::No;
        while let Some(operation) = operations.get(at as usize) {
            at += 1;
            let mut answer = match *operation {
                Operation::Group { all, end } => {
                    groups.push(OpenGroup { all, end, so_far: if all { Answer::Yes } else { Answer::No } });
                    continue;
                }
                Operation::Test { predicate, negated } => self.answer(predicate, stage).unless(negated),
            };
            // Hand the answer up through the groups that it completes.
            loop {
                let Some(group) = groups.last_mut() else {
                    result = answer;
                    break;
                };
                // One such answer decides the group, whatever the rest says.
                let decisive = Answer::decisive(group.all);
                if answer == decisive {
                    group.so_far = decisive;
                    at = group.end;
                } else if answer == Answer::Unknown {
                    group.so_far = Answer::Unknown;
                }
                if at < group.end {
                    break;
                }
                answer = group.so_far;
                groups.pop();
            }
        }
        self.scratch.groups = groups;
        result
    }

    #[inline(always)]
    fn answer(&mut self, id: u32, stage: Stage) -> Answer {
        let known = self.scratch.answer(id);
        if known != Answer::Unknown {
            return known;
        }
        let Some(predicate) = self.program.predicate(id) else { return Answer::No };
        if let Some(holds) = self.scratch.classes.answer(predicate.place) {
            return if holds { Answer::Yes } else { Answer::No };
        }
        if predicate.members & !self.members != 0 {
            return Answer::No;
        }
        if predicate.stage > stage {
            return Answer::Unknown;
        }
        // A walk has compared every value there is, unless the values are known without one.
        let holds = predicate.stage == Stage::Immediate && self.test_now(predicate);
        self.scratch.set(id, holds);
        if holds { Answer::Yes } else { Answer::No }
    }

    fn test_now(&mut self, predicate: &Predicate) -> bool {
        match &predicate.test {
            Test::Value { field, matcher } => {
                if predicate.place.is_some() && !self.pairs(*field).may_have(predicate.needed) {
                    return false;
                }
                let mut limits = Limits::default();
                let holds = match self.program.field(*field).map(|field| &field.source) {
                    // What most fields have, without a call for each value.
                    Some(&Source::View(view)) => {
                        let value = self.see(view).and_then(|seen| seen.value());
                        value.is_some_and(|value| matches(matcher, value, &mut limits))
                    }
                    _ => self.values(*field, &mut |value| matches(matcher, value, &mut limits)),
                };
                self.scratch.limits.add(limits);
                holds
            }
            Test::Reference { left, right, likeness } => self.alike(*left, *right, *likeness),
        }
    }

    /// Finds out what the undecided trees want to know at this stage.
    fn look(&mut self, stage: Stage, decided: &Decided, undecided: &[usize]) {
        self.await_predicates(stage, decided, undecided);
        if !self.scratch.pending_fields.is_empty() {
            match stage {
                Stage::Class | Stage::Immediate => {}
                Stage::Head => self.walk_head(),
                Stage::Body => self.walk_bodies(),
            }
        }
        for field in self.scratch.pending_fields.drain(..) {
            if let Some(pending) = self.scratch.pending.get_mut(field as usize) {
                pending.clear();
            }
        }
        let mut references = std::mem::take(&mut self.scratch.pending_references);
        for id in references.drain(..) {
            if let Some(Predicate { test: Test::Reference { left, right, likeness }, .. }) =
                self.program.predicate(id)
            {
                let holds = self.alike(*left, *right, *likeness);
                self.scratch.set(id, holds);
            }
        }
        self.scratch.pending_references = references;
    }

    fn await_predicates(&mut self, stage: Stage, decided: &Decided, undecided: &[usize]) {
        let program = self.program;
        let epoch = self.scratch.epoch;
        self.scratch.bare_sought = false;
        self.scratch.keyword_sought = false;
        for undecided in undecided.iter().filter_map(|&at| decided.undecided.get(at)) {
            for &operation in &undecided.operations {
                let Operation::Test { predicate: id, .. } = operation else { continue };
                let Some(predicate) = program.predicate(id) else { continue };
                // Values to be compared with those of a dearer field are kept when they come by.
                if predicate.stage < stage || self.scratch.answer(id) != Answer::Unknown {
                    continue;
                }
                match predicate.test {
                    Test::Value { field, .. } => {
                        if predicate.stage == stage && Scratch::mark(&mut self.scratch.awaited, id, epoch) {
                            self.seek(field);
                            if let Some(pending) = self.scratch.pending.get_mut(field as usize) {
                                pending.push(id);
                            }
                        }
                    }
                    Test::Reference { left, right, .. } => {
                        for field in [left, right] {
                            if program.field(field).is_some_and(|field| field.stage == stage)
                                && Scratch::mark(&mut self.scratch.keeping, field, epoch)
                            {
                                self.seek(field);
                            }
                        }
                        if predicate.stage == stage && Scratch::mark(&mut self.scratch.awaited, id, epoch) {
                            self.scratch.pending_references.push(id);
                        }
                    }
                }
            }
        }
    }

    /// Makes the next walk find the values of a field.
    fn seek(&mut self, field: u32) {
        let epoch = self.scratch.epoch;
        if !Scratch::mark(&mut self.scratch.sought, field, epoch) {
            return;
        }
        self.scratch.pending_fields.push(field);
        match self.program.field(field).map(|field| &field.source) {
            Some(&Source::Path(node)) => {
                let mut at = node;
                while Scratch::mark(&mut self.scratch.leading, at, epoch) {
                    at = self.program.path(at).map_or(NONE, |node| node.parent);
                }
            }
            Some(Source::Bare) => self.scratch.bare_sought = true,
            Some(Source::Keyword) => self.scratch.keyword_sought = true,
            _ => {}
        }
    }

    fn walk_head(&mut self) {
        let program = self.program;
        let Some(root) = program.path(ROOT) else { return };
        for Named { name, .. } in &root.children {
            let member = std::str::from_utf8(name).ok().and_then(Member::named);
            let Some(member) = member.filter(|&member| !is_body(member)) else { continue };
            let Some(value) = self.event.get(member) else { continue };
            let mut walker = self.walker(false, false);
            let node = walker.child(ROOT, name);
            if node != NONE {
                walker.value(value, node, NONE);
            }
        }
    }

    fn walk_bodies(&mut self) {
        let program = self.program;
        let keyword = self.scratch.keyword_sought;
        let foreign_sought = program.path(ROOT).is_some_and(|root| {
            root.children.iter().any(|Named { name, id: node, .. }| {
                Scratch::is_marked(&self.scratch.leading, *node, self.scratch.epoch) && !is_member(name)
            })
        });
        if keyword || foreign_sought || self.scratch.bare_sought {
            self.walk_foreign_members();
        }
        let bare = self.scratch.bare_sought;
        for &member in Member::ALL {
            let body = is_body(member);
            let deep = bare && (body || member == Member::ObjectRef);
            if !(body || deep || keyword) {
                continue;
            }
            let Some(value) = self.event.get(member) else { continue };
            let mut walker = self.walker(deep, keyword);
            // What the head's paths lead to has been seen.
            let node = if body { walker.child(ROOT, member.name().as_bytes()) } else { NONE };
            if node != NONE || deep || keyword {
                walker.value(value, node, NONE);
            }
        }
    }

    /// Walks through members that `Event` does not have, which a collector may have added.
    fn walk_foreign_members(&mut self) {
        let keyword = self.scratch.keyword_sought;
        let mut found = Vec::new();
        for (name, value) in json::members(self.event.object()) {
            let name = name.decode();
            if is_member(&name) {
                continue;
            }
            let mut walker = self.walker(false, keyword);
            let node = walker.steps(ROOT, &name);
            let bare = walker.bare(&name);
            if node != NONE || bare != NONE || keyword {
                walker.value(value, node, bare);
            }
            if bare != NONE {
                found.push(bare);
            }
        }
        // The record's own member of that name stands for what lies deeper.
        for field in found {
            if let Some(mark) = self.scratch.sought.get_mut(field as usize) {
                *mark = 0;
            }
        }
    }

    fn walker(&mut self, deep: bool, keyword: bool) -> Walker<'_> {
        let keyword = if keyword { self.program.keyword } else { NONE };
        Walker { program: self.program, scratch: self.scratch, deep, keyword }
    }

    fn alike(&mut self, left: u32, right: u32, likeness: Likeness) -> bool {
        self.keep_now(left);
        self.keep_now(right);
        let kept = |field: u32| {
            self.scratch
                .kept
                .iter()
                .filter(move |&&(of, ..)| of == field)
                .filter_map(|&(_, start, end)| self.scratch.kept_bytes.get(start..end))
        };
        kept(left).any(|left| {
            kept(right).any(|right| match likeness.place {
                Place::Whole => pattern::equal(left, right, likeness.cased),
                Place::Start => {
                    left.get(..right.len()).is_some_and(|start| pattern::equal(start, right, likeness.cased))
                }
                Place::End => pattern::ends_with(left, right, likeness.cased),
                Place::Anywhere => pattern::contains(left, right, likeness.cased),
            })
        })
    }

    /// Keeps the values of a field that is known without a walk.
    fn keep_now(&mut self, field: u32) {
        if self.program.field(field).is_none_or(|field| field.stage != Stage::Immediate)
            || !Scratch::mark(&mut self.scratch.keeping, field, self.scratch.epoch)
        {
            return;
        }
        let (mut kept, mut bytes) =
            (std::mem::take(&mut self.scratch.kept), std::mem::take(&mut self.scratch.kept_bytes));
        let mut cut = false;
        self.values(field, &mut |value| {
            cut |= !keep(&mut kept, &mut bytes, field, value);
            false
        });
        self.scratch.limits.cut |= cut;
        self.scratch.kept = kept;
        self.scratch.kept_bytes = bytes;
    }
}

/// Keeps a value for comparison, unless there are too many. Returns whether it could.
fn keep(kept: &mut Vec<(u32, usize, usize)>, bytes: &mut Vec<u8>, field: u32, value: Value<'_>) -> bool {
    if !matches!(value.kind, Kind::String | Kind::Number | Kind::Bool) {
        return true;
    }
    let start = bytes.len();
    if start + value.text.len() > MAX_KEPT_BYTES
        || kept.iter().filter(|&&(of, ..)| of == field).count() >= MAX_KEPT_VALUES
    {
        return false;
    }
    bytes.extend_from_slice(value.text);
    kept.push((field, start, bytes.len()));
    true
}

fn is_body(member: Member) -> bool {
    matches!(member, Member::RequestObject | Member::ResponseObject)
}

fn is_member(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| Member::named(name).is_some())
}

/// A walk over one value, with a stack of its own.
struct Walker<'w> {
    program: &'w Program,
    scratch: &'w mut Scratch,
    /// Whether members of one sought name are found at any depth.
    deep: bool,
    /// The field of keywords while they are sought.
    keyword: u32,
}

impl Walker<'_> {
    /// Compares the value, which lies at `node` and is one of the field `bare`, and all values within it.
    fn value(&mut self, value: Raw<'_>, node: u32, bare: u32) {
        let src = value.0;
        let mut containers = std::mem::take(&mut self.scratch.containers);
        containers.clear();
        let (mut pos, mut node, mut bare) = (0, node, bare);
        while let Some(&byte) = src.get(pos) {
            // Here a value starts.
            let container = matches!(byte, b'{' | b'[');
            if container && self.leads_on(byte == b'[', node, bare) && containers.len() < MAX_DEPTH {
                self.compare(Raw(src.get(pos..).unwrap_or_default()), node, bare);
                let object = byte == b'{';
                containers.push(Container { object, node, bare });
                pos = skip_whitespace(src, pos + 1);
            } else {
                let Ok(end) = skip_value(src, pos, &mut 0) else { break };
                self.scratch.limits.cut |=
                    containers.len() == MAX_DEPTH && container && self.leads_on(byte == b'[', node, bare);
                self.compare(Raw(src.get(pos..end).unwrap_or_default()), node, bare);
                pos = skip_whitespace(src, end);
            }
            // Here a value has ended, or a container begun: go on to the next value.
            loop {
                match src.get(pos) {
                    Some(b',') => pos = skip_whitespace(src, pos + 1),
                    Some(b'}' | b']') => {
                        containers.pop();
                        pos = skip_whitespace(src, pos + 1);
                        if containers.is_empty() {
                            break;
                        }
                        continue;
                    }
                    _ => {}
                }
                break;
            }
            let Some(container) = containers.last() else { break };
            if !container.object {
                (node, bare) = (container.node, container.bare);
                continue;
            }
            let within = container.node;
            let Ok(key_end) = skip_string(src, pos + 1, &mut 0) else { break };
            let key = json::Text::new(src.get(pos + 1..key_end - 1).unwrap_or_default());
            let key = key.decode();
            node = self.step(within, &key);
            bare = if self.deep { self.bare(&key) } else { NONE };
            let colon = skip_whitespace(src, key_end);
            pos = skip_whitespace(src, colon + 1);
        }
        self.scratch.containers = containers;
    }

    /// Whether anything sought may lie within a container.
    fn leads_on(&self, array: bool, node: u32, bare: u32) -> bool {
        self.deep
            || self.keyword != NONE
            || array && (node != NONE || bare != NONE)
            || self.program.path(node).is_some_and(|node| !node.children.is_empty())
    }

    /// Where the member `name` of what lies at `node` lies, if anything sought does there or below.
    #[inline(always)]
    fn step(&self, node: u32, name: &[u8]) -> u32 {
        if node == NONE {
            return NONE;
        }
        // Most names that have a dot lead nowhere from the start.
        let dot = position(name, b'.').unwrap_or(name.len());
        let (first, rest) = name.split_at_checked(dot).unwrap_or((name, b""));
        let child = self.child(node, first);
        if rest.is_empty() || child == NONE {
            child
        } else {
            self.steps(child, rest.get(1..).unwrap_or_default())
        }
    }

    /// The same where the name may have more dots, which are no different from steps.
    #[inline(never)]
    fn steps(&self, node: u32, name: &[u8]) -> u32 {
        name.split(|&byte| byte == b'.').fold(node, |at, part| self.child(at, part))
    }

    #[inline(always)]
    fn child(&self, node: u32, name: &[u8]) -> u32 {
        let children = self.program.path(node).map_or(&[][..], |node| &node.children);
        Named::find(children, name, &self.scratch.leading, self.scratch.epoch)
    }

    /// The sought field that is just this name.
    fn bare(&self, name: &[u8]) -> u32 {
        Named::find(&self.program.bare, name, &self.scratch.sought, self.scratch.epoch)
    }

    #[inline(always)]
    fn compare(&mut self, raw: Raw<'_>, node: u32, bare: u32) {
        if node != NONE || bare != NONE || self.keyword != NONE {
            self.compare_sought(raw, node, bare);
        }
    }

    /// The same where the value may be sought.
    #[inline(never)]
    fn compare_sought(&mut self, raw: Raw<'_>, node: u32, bare: u32) {
        let at_node = self.program.path(node).map_or(NONE, |node| node.field);
        let keyword = if matches!(raw.kind(), Kind::String | Kind::Number) { self.keyword } else { NONE };
        for field in [at_node, bare, keyword] {
            if field != NONE && Scratch::is_marked(&self.scratch.sought, field, self.scratch.epoch) {
                Value::with(raw, |value| self.compare_with(field, value));
            }
        }
    }

    fn compare_with(&mut self, field: u32, value: Value<'_>) {
        let scratch = &mut *self.scratch;
        if Scratch::is_marked(&scratch.keeping, field, scratch.epoch) {
            scratch.limits.cut |= !keep(&mut scratch.kept, &mut scratch.kept_bytes, field, value);
        }
        let Some(pending) = scratch.pending.get_mut(field as usize) else { return };
        let (program, memo, limits) = (self.program, &mut scratch.memo, &mut scratch.limits);
        let holds = scratch.epoch * 2 + 1;
        let mut address = None;
        // What has been found to hold need not be compared again.
        pending.retain(|&id| {
            let Some(Predicate { test: Test::Value { matcher, .. }, .. }) = program.predicate(id) else {
                return false;
            };
            let matched = match matcher {
                // Read but once, for however many networks.
                Matcher::Cidr(networks) => address
                    .get_or_insert_with(|| address_of(value.text))
                    .is_some_and(|ip| networks.contains(ip)),
                matcher => matches(matcher, value, limits),
            };
            if matched && let Some(mark) = memo.get_mut(id as usize) {
                *mark = holds;
            }
            !matched
        });
    }
}

/// Whether one value matches; `limits` says what left the question open.
pub(super) fn matches(matcher: &Matcher, value: Value<'_>, limits: &mut Limits) -> bool {
    let Value { kind, text } = value;
    let written = matches!(kind, Kind::String | Kind::Number | Kind::Bool);
    match matcher {
        Matcher::Exists => true,
        Matcher::Text(pattern) => {
            written && pattern.is_match(text) || kind == Kind::Object && pattern.form == Form::Anything
        }
        Matcher::Bool(wanted) => {
            written && text.eq_ignore_ascii_case(if *wanted { b"true" } else { b"false" })
        }
        Matcher::Number(wanted) => written && is_number(text, wanted),
        Matcher::Compare(comparison, with) => {
            written && pattern::number(text).is_some_and(|number| comparison.holds(number, *with))
        }
        Matcher::Cidr(networks) => address_of(text).is_some_and(|address| networks.contains(address)),
        Matcher::Expression(expression) => written && expression.is_match(text, limits),
        Matcher::Time(part, wanted) => written && time_part(text, *part) == Some(*wanted),
    }
}

/// The address that a text is, an IPv4 address where it was mapped into IPv6.
fn address_of(text: &[u8]) -> Option<IpAddr> {
    Some(std::str::from_utf8(text).ok()?.parse::<IpAddr>().ok()?.to_canonical())
}

fn is_number(text: &[u8], wanted: &Number) -> bool {
    let Some(number) = pattern::number(text) else { return false };
    match *wanted {
        Number::Float(wanted) => number == wanted,
        // Large numbers differ as integers that are the same as floats.
        Number::Integer(wanted) => match std::str::from_utf8(text).map(str::parse::<i64>) {
            Ok(Ok(number)) => number == wanted,
            _ => number == wanted as f64,
        },
    }
}

/// A part of a time in the form that audit events have (RFC 3339), in whatever zone it is written.
fn time_part(text: &[u8], part: TimePart) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', mi1, mi2, ..] = text
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month) = (number(&[*y1, *y2, *y3, *y4])?, number(&[*mo1, *mo2])?);
    let (day, hour, minute) = (number(&[*d1, *d2])?, number(&[*h1, *h2])?, number(&[*mi1, *mi2])?);
    Some(match part {
        TimePart::Minute => minute,
        TimePart::Hour => hour,
        TimePart::Day => day,
        TimePart::Month => month,
        TimePart::Year => year,
        TimePart::Week => iso_week(year, month, day)?,
    })
}

/// The week of a date by ISO 8601: weeks start on Monday, and a year's first is the one with its first Thursday.
fn iso_week(year: i64, month: i64, day: i64) -> Option<i64> {
    const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = *DAYS_BEFORE.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let day_of_year = before + day + i64::from(month > 2 && leap(year));
    // Monday is 1; what precedes a year moves its first day by one, and by two after a leap year.
    let past = year - 1;
    let weekday = (past + past / 4 - past / 100 + past / 400 + day_of_year - 1).rem_euclid(7) + 1;
    let week = (day_of_year - weekday + 10) / 7;
    let weeks_in = |year: i64| {
        let shift = |year: i64| (year + year / 4 - year / 100 + year / 400).rem_euclid(7);
        if shift(year) == 4 || shift(year - 1) == 3 { 53 } else { 52 }
    };
    Some(match week {
        0 => weeks_in(year - 1),
        53 if weeks_in(year) == 52 => 1,
        week => week,
    })
}

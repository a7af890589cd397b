//! Conditions made into one decision structure: shared tests, flat programs, an index.
//!
//! A [`Builder`] takes trees of tests and gives a [`Program`] that answers which of the trees hold. Four
//! things make a thousand trees cost about what ten do:
//!
//! - A test that several trees contain is one *predicate*, evaluated at most once for an event.
//! - Trees are looked up by what they cannot do without: the verb, resource and subresource they name,
//!   another string that must be there exactly, or three bytes of one that must be contained. Trees that
//!   an event cannot satisfy are never looked at.
//! - What can be told of an event at a glance (its outcome, where it came from, whether there is a body) rules most of
//!   the rest out before any test is evaluated: [`outline`].
//! - Fields of the bodies form one tree of paths, so that one walk finds the values of all of them, and
//!   there is no walk unless a tree that is still undecided needs it.

use super::classes::{self, Together};
use super::fields::{self, Reference, Source, Stage, View};
use super::modifier::{Likeness, Matcher};
use super::outline;
use super::pattern::{Form, Step, Uncompiled};
use super::rule::Report;
use crate::hash::{Fnv, Numbering};
use crate::record::Member;
use crate::sort::sort;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many operations one tree may become. A condition may name a selection of thousands of tests
/// hundreds of times.
const MAX_OPERATIONS: usize = 100_000;

/// How many combinations of verb, resource and subresource one tree may be listed under.
const MAX_COMBINATIONS: usize = 128;

/// How many values of one field one tree may be listed under.
const MAX_REQUIRED: usize = 4096;

/// How long a part of a string is under which trees are listed that want a string contained in a field.
pub(crate) const GRAM: usize = 3;

/// From how many bytes of a value at most one is looked at for such a part: all the parts that may stand there are
/// keys.
const MAX_STRIDE: usize = 4;

/// How many trees may as well be looked at as the grams of a value.
const LOOK_AT_GRAMS: u32 = 16;

/// What the groups of the user are called: nearly every event is asked for them, so they are looked up without a walk.
const GROUPS: &str = "user.groups";

/// No node, no field.
pub(crate) const NONE: u32 = u32::MAX;

/// How many programs there have been.
static PROGRAMS: AtomicU32 = AtomicU32::new(0);

/// The root of the tree of paths.
pub(crate) const ROOT: u32 = 0;

/// A field of a program.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) source: Source,
    pub(crate) stage: Stage,
}

/// A step of a path that some field has.
#[derive(Debug)]
pub(crate) struct PathNode {
    /// By name, sorted.
    pub(crate) children: Vec<(Box<[u8]>, u32)>,
    pub(crate) parent: u32,
    /// The field whose path ends here.
    pub(crate) field: u32,
}

/// A test, with what it tests.
#[derive(Debug)]
pub(crate) enum Test {
    /// Some value of the field matches.
    Value { field: u32, matcher: Matcher },
    /// Some values of the two fields are alike.
    Reference { left: u32, right: u32, likeness: Likeness },
}

#[derive(Debug)]
pub(crate) struct Predicate {
    pub(crate) test: Test,
    pub(crate) stage: Stage,
    /// The bits of an event's outline with which it can hold.
    pub(crate) outline: u64,
    /// Where the classes of an event say whether it holds, if they do.
    pub(crate) place: classes::Place,
    cost: u32,
}

/// Fields whose values come again, and the predicates about them alone; [`NONE`] asks whether `user.extra` has a member
/// that any rule asks for.
#[derive(Debug)]
pub(crate) struct Dimension {
    pub(crate) together: Together,
    pub(crate) fields: Vec<u32>,
    pub(crate) predicates: Vec<u32>,
}

/// A tree as a list in which each group stands before what it is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Test {
        predicate: u32,
        negated: bool,
    },
    /// All or any of what follows, up to `end`.
    Group {
        all: bool,
        end: u32,
    },
}

/// The trees that can hold only where some fields have certain values.
#[derive(Debug)]
pub(crate) struct Access {
    /// The fields. More than one only where each has at most one value.
    pub(crate) fields: Vec<u32>,
    /// Whether the one field is to contain certain strings of [`GRAM`] bytes, instead of being one: then at how many
    /// bytes from one another they have to be looked for.
    pub(crate) stride: Option<usize>,
    /// Key of the values, sorted, and where the trees stand in `trees`.
    table: Vec<(u64, u32, u32)>,
    trees: Vec<u32>,
    /// A bit for each key in the table: most of what is not there is found out here.
    sieve: Box<[u64; SIEVE_WORDS]>,
    /// The number of the first entry of the table among those of all accesses.
    first_entry: u32,
}

/// Half a kilobyte: with a hundred keys it lets one in forty through.
const SIEVE_WORDS: usize = 64;

impl Access {
    fn new(list: List, first_entry: u32) -> Self {
        Self {
            fields: list.fields,
            stride: list.grams.then_some(list.stride),
            table: Vec::new(),
            trees: Vec::new(),
            sieve: Box::new([0; SIEVE_WORDS]),
            first_entry,
        }
    }

    /// Adds a tree; keys have to come in ascending order.
    fn add(&mut self, key: u64, tree: u32) {
        if self.table.last().is_none_or(|&(last, ..)| last != key) {
            let (word, bit) = Self::place(key);
            if let Some(word) = self.sieve.get_mut(word) {
                *word |= bit;
            }
            let start = to_u32(self.trees.len());
            self.table.push((key, start, start));
        }
        self.trees.push(tree);
        if let Some((.., end)) = self.table.last_mut() {
            *end = to_u32(self.trees.len());
        }
    }

    /// Where a key stands in the sieve.
    #[inline(always)]
    fn place(key: u64) -> (usize, u64) {
        // Multiplying spreads the few bits of a gram over the upper ones, of which twelve are taken.
        let spread = ((key >> 32) as u32 ^ key as u32).wrapping_mul(0x9e37_79b1) >> 20;
        (spread as usize / 64, 1 << (spread % 64))
    }

    /// The trees that may hold where the values have that key, and the number of the entry that says so.
    #[inline]
    pub(crate) fn get(&self, key: u64) -> Option<(u32, &[u32])> {
        let (word, bit) = Self::place(key);
        if self.sieve.get(word)? & bit == 0 {
            return None;
        }
        let at = self.table.binary_search_by_key(&key, |&(key, ..)| key).ok()?;
        let &(_, start, end) = self.table.get(at)?;
        Some((self.first_entry + to_u32(at), self.trees.get(start as usize..end as usize)?))
    }
}

/// The key of one value.
pub(crate) fn key_of(value: &[u8]) -> u64 {
    let mut key = Fnv::new();
    key.lowercase(value);
    key.finish()
}

/// The key of a list of values, that of none being 0, and one more, whose own key is `value`.
pub(crate) fn joined(list: u64, value: u64) -> u64 {
    (list.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Gives `each` the keys under which trees are found that want some of `text` contained, of every `stride`th byte.
#[inline]
pub(crate) fn each_gram(text: &[u8], stride: usize, mut each: impl FnMut(u64)) {
    let mut at = 0;
    // Four bytes at a time are one load; the last gram has only three.
    while let Some(&[a, b, c, _]) = text.get(at..).and_then(<[u8]>::first_chunk) {
        each(gram_key(a, b, c));
        at += stride;
    }
    if let Some(&[a, b, c]) = text.get(at..) {
        each(gram_key(a, b, c));
    }
}

/// One key for both cases of a letter, and for some other pairs: who finds a tree under it looks at it closely.
#[inline(always)]
fn gram_key(a: u8, b: u8, c: u8) -> u64 {
    u64::from(u32::from_le_bytes([a, b, c, 0]) | 0x20_2020)
}

/// Trees of tests, compiled.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// Which program it is: no other has the number.
    pub(crate) id: u32,
    pub(crate) fields: Vec<Field>,
    /// What the view of the event is asked for, each once.
    pub(crate) views: Vec<View>,
    pub(crate) paths: Vec<PathNode>,
    /// Where `user.extra` lies in the tree of paths, or none.
    pub(crate) user_extra: u32,
    /// Fields that are one name, by name, sorted.
    pub(crate) bare: Vec<(Box<[u8]>, u32)>,
    /// The field of keywords, or none.
    pub(crate) keyword: u32,
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) operations: Vec<Operation>,
    /// Where each tree stands in `operations`.
    pub(crate) trees: Vec<(u32, u32)>,
    /// The bits of an event's outline with which each tree can hold.
    pub(crate) outlines: Vec<u64>,
    pub(crate) accesses: Vec<Access>,
    /// How many entries all their tables have.
    pub(crate) entries: u32,
    /// Trees that any event might satisfy.
    pub(crate) always: Vec<u32>,
}

impl Program {
    pub(crate) fn field(&self, field: u32) -> Option<&Field> {
        self.fields.get(field as usize)
    }

    pub(crate) fn view(&self, view: u32) -> Option<View> {
        self.views.get(view as usize).copied()
    }

    pub(crate) fn predicate(&self, predicate: u32) -> Option<&Predicate> {
        self.predicates.get(predicate as usize)
    }

    pub(crate) fn path(&self, node: u32) -> Option<&PathNode> {
        self.paths.get(node as usize)
    }

    /// The operations of a tree, and where they start.
    pub(crate) fn tree(&self, tree: u32) -> &[Operation] {
        self.trees
            .get(tree as usize)
            .and_then(|&(start, end)| self.operations.get(start as usize..end as usize))
            .unwrap_or_default()
    }
}

/// A tree or a part of one, within its builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

#[derive(Debug)]
enum Node {
    Test(u32),
    All(Vec<NodeId>),
    Any(Vec<NodeId>),
    Not(NodeId),
}

/// Whose trees these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Rules: severity, tags and what follows from them are not known yet.
    Rules,
    /// Routes: everything is known.
    Routes,
}

/// Gathers trees of tests.
#[derive(Debug)]
pub(crate) struct Builder {
    scope: Scope,
    program: Program,
    /// The names of the program's fields.
    field_names: Numbering,
    /// What tells the program's predicates apart.
    predicate_keys: Numbering,
    nodes: Vec<(Node, u32)>,
    /// Regular expressions that have been read and not been compiled.
    pub(crate) uncompiled: Vec<Uncompiled>,
}

impl Builder {
    pub(crate) fn new(scope: Scope) -> Self {
        let root = PathNode { children: Vec::new(), parent: NONE, field: NONE };
        let program = Program { paths: vec![root], user_extra: NONE, keyword: NONE, ..Program::default() };
        Self {
            scope,
            program,
            field_names: Numbering::default(),
            predicate_keys: Numbering::default(),
            nodes: Vec::new(),
            uncompiled: Vec::new(),
        }
    }

    /// Says in which field the expressions stand that have been read since this was last called.
    pub(crate) fn name_expressions(&mut self, field: &str) {
        for expression in
            self.uncompiled.iter_mut().rev().take_while(|expression| expression.field.is_empty())
        {
            expression.field = field.to_owned();
        }
    }

    /// Compiles the expressions that have been read; reports those that cannot be.
    pub(crate) fn compile_expressions(&mut self, report: &mut Report<'_>) {
        for expression in self.uncompiled.drain(..) {
            if let Err(message) = expression.compile() {
                report.error(expression.line, expression.field, message);
            }
        }
    }

    /// A test that some value of the field matches; `key` tells matchers apart. The field `""` is any
    /// string or number of the event.
    pub(crate) fn test(&mut self, field: &str, matcher: Matcher, key: &[u8]) -> Result<NodeId, String> {
        let field = self.intern_field(field)?;
        let predicate = Predicate {
            stage: self.stage(field),
            outline: outline::ANY,
            place: None,
            cost: cost(&matcher),
            test: Test::Value { field, matcher },
        };
        Ok(self.intern_predicate(&[&field.to_le_bytes(), key], predicate))
    }

    /// A test that some value of one field is like some value of the other.
    pub(crate) fn reference(
        &mut self,
        left: &str,
        right: &str,
        likeness: Likeness,
    ) -> Result<NodeId, String> {
        let (left, right) = (self.intern_field(left)?, self.intern_field(right)?);
        let stage = self.stage(left).max(self.stage(right));
        let test = Test::Reference { left, right, likeness };
        let how = [b'=', likeness.place as u8, u8::from(likeness.cased)];
        let key: [&[u8]; 3] = [&left.to_le_bytes(), &how, &right.to_le_bytes()];
        Ok(self
            .intern_predicate(&key, Predicate { test, stage, outline: outline::ANY, place: None, cost: 30 }))
    }

    fn intern_predicate(&mut self, key: &[&[u8]], predicate: Predicate) -> NodeId {
        let id = self.predicate_keys.add(&key.concat());
        if id as usize == self.program.predicates.len() {
            self.program.predicates.push(predicate);
        }
        self.node(Node::Test(id))
    }

    pub(crate) fn all(&mut self, of: Vec<NodeId>) -> NodeId {
        self.group(of, true)
    }

    pub(crate) fn any(&mut self, of: Vec<NodeId>) -> NodeId {
        self.group(of, false)
    }

    pub(crate) fn not(&mut self, of: NodeId) -> NodeId {
        match self.nodes.get(of.0 as usize) {
            Some((Node::Not(inner), _)) => *inner,
            _ => self.node(Node::Not(of)),
        }
    }

    /// Adds a tree; trees are numbered in the order in which they are added.
    pub(crate) fn add_tree(&mut self, root: NodeId) -> Result<u32, String> {
        let start = self.program.operations.len();
        if let Err(message) = self.flatten(root) {
            self.program.operations.truncate(start);
            return Err(message);
        }
        let tree = to_u32(self.program.trees.len());
        self.program.trees.push((to_u32(start), to_u32(self.program.operations.len())));
        Ok(tree)
    }

    /// The program that decides all trees added.
    pub(crate) fn finish(mut self) -> Program {
        for node in &mut self.program.paths {
            sort(&mut node.children);
        }
        sort(&mut self.program.bare);
        self.program.user_extra = outline::user_extra(&self.program);
        let outlines =
            (0..to_u32(self.program.trees.len())).map(|tree| outline::of_tree(&self.program, tree)).collect();
        let of_tests: Vec<u64> = self
            .program
            .predicates
            .iter()
            .map(|predicate| outline::of_test(&self.program, &predicate.test).0)
            .collect();
        self.program.outlines = outlines;
        for (predicate, outline) in self.program.predicates.iter_mut().zip(of_tests) {
            predicate.outline = outline;
        }
        self.find_dimensions();
        self.program.id = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        Indexer::new(&mut self.program).run();
        self.program
    }

    /// Groups the predicates about fields whose values come again.
    fn find_dimensions(&mut self) {
        let Program { fields, views, predicates, dimensions, user_extra, .. } = &mut self.program;
        let place = |dimensions: &mut Vec<Dimension>, together| {
            let known = dimensions.iter().position(|dimension| dimension.together == together);
            known.unwrap_or_else(|| {
                dimensions.push(Dimension { together, fields: Vec::new(), predicates: Vec::new() });
                dimensions.len() - 1
            })
        };
        if *user_extra != NONE {
            let predicates = vec![NONE];
            dimensions.push(Dimension { together: Together::User, fields: Vec::new(), predicates });
        }
        for (id, predicate) in (0u32..).zip(predicates) {
            let &Test::Value { field, .. } = &predicate.test else { continue };
            let source = fields.get(field as usize).map(|field| &field.source);
            let Some(together) = source.and_then(|source| Together::of(source, views)) else { continue };
            let at = place(dimensions, together);
            if let Some(dimension) = dimensions.get_mut(at)
                && let (Ok(at), Ok(bit)) = (u16::try_from(at), u16::try_from(dimension.predicates.len()))
            {
                predicate.place = Some((at, bit));
                dimension.predicates.push(id);
                if !dimension.fields.contains(&field) {
                    dimension.fields.push(field);
                }
            }
        }
    }

    fn node(&mut self, node: Node) -> NodeId {
        let rank = match &node {
            Node::Test(predicate) => self
                .program
                .predicate(*predicate)
                .map_or(0, |predicate| predicate.stage as u32 * 1000 + predicate.cost),
            Node::All(of) | Node::Any(of) => of.iter().map(|&of| self.rank(of)).max().unwrap_or(0),
            Node::Not(of) => self.rank(*of),
        };
        self.nodes.push((node, rank));
        NodeId(to_u32(self.nodes.len() - 1))
    }

    fn rank(&self, node: NodeId) -> u32 {
        self.nodes.get(node.0 as usize).map_or(0, |&(_, rank)| rank)
    }

    fn group(&mut self, of: Vec<NodeId>, all: bool) -> NodeId {
        let mut members = Vec::with_capacity(of.len());
        for node in of {
            match self.nodes.get(node.0 as usize) {
                Some((Node::All(inner), _)) if all => members.extend_from_slice(inner),
                Some((Node::Any(inner), _)) if !all => members.extend_from_slice(inner),
                _ => members.push(node),
            }
        }
        if let [only] = members.as_slice() {
            return *only;
        }
        // Cheap tests first: they often spare the others.
        let mut by_rank: Vec<(u32, NodeId)> = members.iter().map(|&node| (self.rank(node), node)).collect();
        sort(&mut by_rank);
        by_rank.dedup();
        let members = by_rank.into_iter().map(|(_, node)| node).collect();
        self.node(if all { Node::All(members) } else { Node::Any(members) })
    }

    /// Writes a tree's operations, with negations moved down to the tests.
    fn flatten(&mut self, root: NodeId) -> Result<(), String> {
        enum Step {
            Enter(NodeId, bool),
            Close(usize),
        }
        let start = self.program.operations.len();
        let mut steps = vec![Step::Enter(root, false)];
        while let Some(step) = steps.pop() {
            if self.program.operations.len() - start > MAX_OPERATIONS {
                return Err(format!(
                    "the condition comes to more than {MAX_OPERATIONS} tests; name large selections less often"
                ));
            }
            let here = self.program.operations.len();
            match step {
                Step::Close(group) => {
                    if let Some(Operation::Group { end, .. }) = self.program.operations.get_mut(group) {
                        *end = to_u32(here - start);
                    }
                }
                Step::Enter(node, negated) => match self.nodes.get(node.0 as usize) {
                    Some((Node::Test(predicate), _)) => {
                        self.program.operations.push(Operation::Test { predicate: *predicate, negated });
                    }
                    Some((Node::Not(inner), _)) => steps.push(Step::Enter(*inner, !negated)),
                    Some((group @ (Node::All(of) | Node::Any(of)), _)) => {
                        let all = matches!(group, Node::All(_)) != negated;
                        self.program.operations.push(Operation::Group { all, end: 0 });
                        steps.push(Step::Close(here));
                        steps.extend(of.iter().rev().map(|&of| Step::Enter(of, negated)));
                    }
                    None => {}
                },
            }
        }
        Ok(())
    }

    fn stage(&self, field: u32) -> Stage {
        self.program.field(field).map_or(Stage::Immediate, |field| field.stage)
    }

    fn intern_field(&mut self, name: &str) -> Result<u32, String> {
        if let Some(known) = self.field_names.get(name.as_bytes()) {
            return Ok(known);
        }
        let (source, stage) = self.resolve(name, to_u32(self.program.fields.len()))?;
        self.program.fields.push(Field { source, stage });
        Ok(self.field_names.add(name.as_bytes()))
    }

    fn resolve(&mut self, name: &str, id: u32) -> Result<(Source, Stage), String> {
        if name.is_empty() {
            self.program.keyword = id;
            return Ok((Source::Keyword, Stage::Body));
        }
        if let Some(field) = name.strip_prefix("audit.") {
            let field = fields::audit_field(field, self.scope == Scope::Rules)?;
            return Ok((Source::Audit(field), Stage::Immediate));
        }
        fields::check_path(name)?;
        if let Some(view) = View::of_path(name) {
            self.program.views.push(view);
            return Ok((Source::View(to_u32(self.program.views.len() - 1)), Stage::Immediate));
        }
        if name == GROUPS {
            return Ok((Source::Groups, Stage::Immediate));
        }
        let first = name.split('.').next().unwrap_or_default();
        let stage = match Member::named(first) {
            None | Some(Member::RequestObject | Member::ResponseObject) => Stage::Body,
            Some(_) => Stage::Head,
        };
        if Member::named(first).is_none() && first == name {
            self.program.bare.push((name.as_bytes().into(), id));
            return Ok((Source::Bare, Stage::Body));
        }
        Ok((Source::Path(self.add_path(name, id)), stage))
    }

    fn add_path(&mut self, path: &str, field: u32) -> u32 {
        let mut at = ROOT;
        for step in path.split('.') {
            let next = to_u32(self.program.paths.len());
            let Some(node) = self.program.paths.get_mut(at as usize) else { return ROOT };
            let known = node.children.iter().find(|(name, _)| **name == *step.as_bytes());
            at = match known {
                Some(&(_, child)) => child,
                None => {
                    node.children.push((step.as_bytes().into(), next));
                    self.program.paths.push(PathNode { children: Vec::new(), parent: at, field: NONE });
                    next
                }
            };
        }
        if let Some(node) = self.program.paths.get_mut(at as usize) {
            node.field = field;
        }
        at
    }
}

/// Numbers of rules, fields and operations are bounded by what fits into a configuration.
fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// About how long a test takes, relative to the others of its stage.
fn cost(matcher: &Matcher) -> u32 {
    match matcher {
        Matcher::Exists | Matcher::Number(_) | Matcher::Bool(_) => 1,
        Matcher::Compare(..) => 3,
        Matcher::Cidr(_) | Matcher::Time(..) => 6,
        Matcher::Expression(_) => 20,
        Matcher::Text(pattern) => match pattern.form {
            Form::Anything | Form::Exact(_) | Form::Prefix(_) | Form::Suffix(_) => 1,
            Form::OneOf(_) => 2,
            Form::Contains(_) => 4,
            Form::Steps(_) => 5,
            Form::AnyOf(..) => 6,
        },
    }
}

/// A field without certain strings in which a tree cannot hold.
#[derive(Debug)]
struct Required {
    field: u32,
    need: Need,
    /// In lower case. The field has to have one of them.
    strings: Vec<Vec<u8>>,
}

/// How a field has to have a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Whole,
    Contained,
}

/// A kind of list under which trees are found: by the values of these fields, or by what they contain.
#[derive(Debug, Clone, PartialEq, Eq)]
struct List {
    fields: Vec<u32>,
    grams: bool,
    /// At how many bytes from one another grams are to be looked for.
    stride: usize,
}

/// Where a tree could be listed: for each string, the keys of which one has to be chosen.
struct Place {
    list: u32,
    keys: Vec<Vec<u64>>,
}

/// Finds for each tree the list under which an event will find it.
struct Indexer<'p> {
    program: &'p mut Program,
    /// Verb, resource and subresource: what most rules ask for, and together tell most.
    request: Vec<u32>,
    lists: Vec<List>,
}

impl<'p> Indexer<'p> {
    fn new(program: &'p mut Program) -> Self {
        let is_request = |field: &Field| {
            let Source::View(view) = field.source else { return false };
            matches!(
                program.view(view),
                Some(View::Top(Member::Verb) | View::Reference(Reference::Resource | Reference::Subresource))
            )
        };
        let request =
            (0u32..).zip(&program.fields).filter(|(_, field)| is_request(field)).map(|(id, _)| id).collect();
        Self { program, request, lists: Vec::new() }
    }

    fn run(mut self) {
        let mut places = Vec::with_capacity(self.program.trees.len());
        for tree in 0..to_u32(self.program.trees.len()) {
            let required = self.required(tree);
            places.push(self.places(&required));
        }
        let crowds = Crowds::new(&places);
        let mut places_chosen: Vec<(u32, &Place, Vec<usize>)> = Vec::new();
        for (tree, places) in (0u32..).zip(&places) {
            let mut best: Option<(u32, &Place, Vec<usize>)> = None;
            for place in places {
                let (worst, keys) = crowds.least(place);
                // To look for parts of a value takes a look at many of its bytes.
                let grams = self.lists.get(place.list as usize).is_some_and(|list| list.grams);
                let cost = if grams { LOOK_AT_GRAMS + worst } else { worst };
                if best.as_ref().is_none_or(|&(least, ..)| cost < least) {
                    best = Some((cost, place, keys));
                }
            }
            match best {
                None => self.program.always.push(tree),
                Some((_, place, keys)) => places_chosen.push((tree, place, keys)),
            }
        }
        // The shortest string says how far apart its grams may be looked for.
        for (_, place, _) in &places_chosen {
            let shortest = place.keys.iter().map(Vec::len).min();
            if let (Some(list), Some(shortest)) = (self.lists.get_mut(place.list as usize), shortest) {
                list.stride = list.stride.min(shortest);
            }
        }
        let mut chosen: Vec<(u32, u64, u32)> = Vec::new();
        for (tree, place, best) in &places_chosen {
            let list = self.lists.get(place.list as usize);
            let stride = list.map_or(1, |list| if list.grams { list.stride } else { 1 });
            for (keys, &best) in place.keys.iter().zip(best) {
                // Around the best one, as many keys in a row as bytes are passed over.
                let first = best.min(keys.len().saturating_sub(stride));
                let keys = keys.iter().skip(first).take(stride);
                chosen.extend(keys.map(|&key| (place.list, key, *tree)));
            }
        }
        sort(&mut chosen);
        chosen.dedup();
        self.fill(&chosen);
    }

    /// Makes the lists of what was chosen, which is sorted.
    fn fill(self, chosen: &[(u32, u64, u32)]) {
        let mut entries = 0;
        let mut filled = None;
        for &(list, key, tree) in chosen {
            if filled != Some(list)
                && let Some(list) = self.lists.get(list as usize)
            {
                entries +=
                    self.program.accesses.last().map_or(0, |access: &Access| to_u32(access.table.len()));
                self.program.accesses.push(Access::new(list.clone(), entries));
            }
            filled = Some(list);
            if let Some(access) = self.program.accesses.last_mut() {
                access.add(key, tree);
            }
        }
        self.program.entries =
            entries + self.program.accesses.last().map_or(0, |access| to_u32(access.table.len()));
    }

    /// What a tree demands, found from its parts upwards.
    fn required(&self, tree: u32) -> Vec<Required> {
        struct Open {
            all: bool,
            end: usize,
            so_far: Option<Vec<Required>>,
        }
        let operations = self.program.tree(tree);
        let mut open: Vec<Open> = Vec::new();
        let mut at = 0;
        while let Some(&operation) = operations.get(at) {
            at += 1;
            let mut found = match operation {
                Operation::Group { all, end } => {
                    open.push(Open { all, end: end as usize, so_far: None });
                    continue;
                }
                Operation::Test { negated: true, .. } => Vec::new(),
                Operation::Test { predicate, .. } => self.required_by(predicate),
            };
            loop {
                let Some(group) = open.last_mut() else { return found };
                let so_far = match group.so_far.take() {
                    None => found,
                    Some(so_far) if group.all => stricter(so_far, found),
                    Some(so_far) => either(so_far, found),
                };
                if at < group.end {
                    group.so_far = Some(so_far);
                    break;
                }
                open.pop();
                found = so_far;
            }
        }
        Vec::new()
    }

    fn required_by(&self, predicate: u32) -> Vec<Required> {
        let Some(Predicate { test: Test::Value { field, matcher }, stage: Stage::Immediate, .. }) =
            self.program.predicate(predicate)
        else {
            return Vec::new();
        };
        let owned = |strings: &[Box<[u8]>]| strings.iter().map(|string| string.to_vec()).collect();
        let of_form = |form: &Form| -> (Vec<Vec<u8>>, bool) {
            match form {
                Form::Exact(only) => (vec![only.to_vec()], true),
                Form::OneOf(strings) => (owned(strings), true),
                Form::Prefix(part) | Form::Suffix(part) | Form::Contains(part) => {
                    (vec![part.to_vec()], false)
                }
                Form::Steps(steps) => (vec![longest_run(steps)], false),
                Form::Anything | Form::AnyOf(..) => (vec![Vec::new()], false),
            }
        };
        let (mut strings, whole): (Vec<Vec<u8>>, bool) = match matcher {
            Matcher::Text(pattern) => match pattern.forms() {
                [only] => of_form(only),
                forms => (forms.iter().flat_map(|form| of_form(form).0).collect(), false),
            },
            Matcher::Expression(expression) => match expression.needed() {
                Some(strings) => (owned(strings), false),
                None => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        strings.iter_mut().for_each(|string| string.make_ascii_lowercase());
        let field = *field;
        let mut required = Vec::new();
        if strings.iter().all(|string| string.len() >= GRAM) {
            required.push(Required { field, need: Need::Contained, strings: strings.clone() });
        }
        if whole {
            required.push(Required { field, need: Need::Whole, strings });
        }
        required
    }

    /// Where a tree could be listed.
    fn places(&mut self, required: &[Required]) -> Vec<Place> {
        let whole = |field: u32| required.iter().find(|one| one.field == field && one.need == Need::Whole);
        let mut together: Vec<&Required> = self.request.iter().filter_map(|&field| whole(field)).collect();
        while together.iter().map(|one| one.strings.len()).product::<usize>() > MAX_COMBINATIONS {
            let longest = together.iter().enumerate().max_by_key(|(_, one)| one.strings.len());
            let Some((longest, _)) = longest else { break };
            together.remove(longest);
        }
        let mut places = Vec::new();
        if !together.is_empty() {
            let mut keys = vec![0];
            for one in &together {
                let mut extended = Vec::with_capacity(keys.len() * one.strings.len());
                for &key in &keys {
                    extended.extend(one.strings.iter().map(|string| joined(key, key_of(string))));
                }
                keys = extended;
            }
            let list = self.list(together.iter().map(|one| one.field).collect(), false);
            places.push(Place { list, keys: keys.into_iter().map(|key| vec![key]).collect() });
        }
        for one in required {
            let keys = match one.need {
                Need::Whole if self.request.contains(&one.field) => continue,
                Need::Whole => one.strings.iter().map(|string| vec![joined(0, key_of(string))]).collect(),
                Need::Contained => one.strings.iter().map(|string| grams_of(string)).collect(),
            };
            let list = self.list(vec![one.field], one.need == Need::Contained);
            places.push(Place { list, keys });
        }
        places
    }

    /// The number of the list of that kind.
    fn list(&mut self, fields: Vec<u32>, grams: bool) -> u32 {
        let known = self.lists.iter().position(|known| known.fields == fields && known.grams == grams);
        to_u32(known.unwrap_or_else(|| {
            self.lists.push(List { fields, grams, stride: MAX_STRIDE });
            self.lists.len() - 1
        }))
    }
}

/// How crowded each list would be if all trees were in it that could be.
struct Crowds {
    /// List, key and count, at the first free place from where the key points; a power of two long, half of it free.
    slots: Vec<(u32, u64, u32)>,
}

impl Crowds {
    fn new(places: &[Vec<Place>]) -> Self {
        let keys: usize = places.iter().flatten().flat_map(|place| &place.keys).map(Vec::len).sum();
        let mut crowds = Self { slots: vec![(0, 0, 0); (keys * 2 + 1).next_power_of_two()] };
        for place in places.iter().flatten() {
            for &key in place.keys.iter().flatten() {
                if let Some(slot) = crowds.slot(place.list, key).and_then(|at| crowds.slots.get_mut(at)) {
                    *slot = (place.list, key, slot.2 + 1);
                }
            }
        }
        crowds
    }

    /// Where the count of a key stands or would stand.
    fn slot(&self, list: u32, key: u64) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = (joined(key, u64::from(list)) >> 32) as usize & mask;
        loop {
            let &(of, known, count) = self.slots.get(at)?;
            if count == 0 || (of, known) == (list, key) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn of(&self, list: u32, key: u64) -> u32 {
        self.slot(list, key).and_then(|at| self.slots.get(at)).map_or(0, |&(.., count)| count)
    }

    /// Where among each string's keys the least crowded one stands, and how crowded the worst of these is.
    fn least(&self, place: &Place) -> (u32, Vec<usize>) {
        let mut worst = 0;
        let mut least = Vec::with_capacity(place.keys.len());
        for keys in &place.keys {
            let best = keys.iter().enumerate().map(|(at, &key)| (self.of(place.list, key), at)).min();
            if let Some((crowd, at)) = best {
                worst = worst.max(crowd);
                least.push(at);
            }
        }
        (worst, least)
    }
}

/// The keys of all grams of a string, in their order.
fn grams_of(string: &[u8]) -> Vec<u64> {
    let mut keys = Vec::new();
    each_gram(string, 1, |key| keys.push(key));
    keys
}

/// The longest string that a text has to contain to follow the steps.
fn longest_run(steps: &[Step]) -> Vec<u8> {
    let runs = steps.split(|step| !matches!(step, Step::Byte(_)));
    let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
    longest.iter().filter_map(|step| if let Step::Byte(byte) = step { Some(*byte) } else { None }).collect()
}

/// Both demands: of those for one field, the one with fewer strings is kept.
fn stricter(mut left: Vec<Required>, right: Vec<Required>) -> Vec<Required> {
    for one in right {
        match left.iter_mut().find(|known| known.field == one.field && known.need == one.need) {
            Some(known) if known.strings.len() <= one.strings.len() => {}
            Some(known) => *known = one,
            None => left.push(one),
        }
    }
    left
}

/// One demand or the other: those for one field in both, with the strings of either.
fn either(left: Vec<Required>, mut right: Vec<Required>) -> Vec<Required> {
    let mut both = left;
    both.retain_mut(|one| {
        let other = right.iter_mut().find(|other| other.field == one.field && other.need == one.need);
        other.is_some_and(|other| {
            one.strings.append(&mut other.strings);
            one.strings.len() <= MAX_REQUIRED
        })
    });
    both
}

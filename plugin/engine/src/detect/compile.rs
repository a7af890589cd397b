//! Conditions made into one decision structure: shared tests, flat programs, an index.
//!
//! A [`Builder`] takes trees of tests and gives a [`Program`] that answers which of the trees hold. Three
//! things make a thousand trees cost about what ten do:
//!
//! - A test that several trees contain is one *predicate*, evaluated at most once for an event.
//! - Trees are looked up by what they cannot do without: the verb, resource and subresource they name,
//!   another string that must be there exactly, or three bytes of one that must be contained. Trees that
//!   an event cannot satisfy are never looked at.
//! - Fields of the bodies form one tree of paths, so that one walk finds the values of all of them, and
//!   there is no walk unless a tree that is still undecided needs it.

use super::fields::{AuditField, Reference, Source, Stage, View};
use super::modifier::{Likeness, Matcher};
use super::pattern::{Form, Step};
use crate::hash::Fnv;
use crate::record::Member;
use std::collections::{BTreeMap, BTreeSet};

/// How many operations one tree may become. A condition may name a selection of thousands of tests
/// hundreds of times.
const MAX_OPERATIONS: usize = 100_000;

/// How many combinations of verb, resource and subresource one tree may be listed under.
const MAX_COMBINATIONS: usize = 128;

/// How many values of one field one tree may be listed under.
const MAX_REQUIRED: usize = 4096;

/// How long a part of a string is under which trees are listed that want a string contained in a field.
pub(crate) const GRAM: usize = 3;

/// How many trees may as well be looked at as the grams of a value.
const LOOK_AT_GRAMS: u32 = 16;

/// How many steps a path may have. A rule's author could otherwise make each walk keep thousands of steps.
const MAX_STEPS: usize = 64;

/// No node, no field.
pub(crate) const NONE: u32 = u32::MAX;

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
    cost: u32,
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
    /// Whether the one field is to contain certain strings of [`GRAM`] bytes, instead of being one.
    pub(crate) grams: bool,
    /// Key of the values, sorted, and where the trees stand in `trees`.
    table: Vec<(u64, u32, u32)>,
    trees: Vec<u32>,
    /// A bit for each key in the table: most of what is not there is found out here.
    sieve: Box<[u64; SIEVE_WORDS]>,
    /// The number of the first entry of the table among those of all accesses.
    first_entry: u32,
}

/// Trees by the keys under which they are to be found.
type ByKey = BTreeMap<u64, Vec<u32>>;

/// Half a kilobyte: with a hundred keys it lets one in forty through.
const SIEVE_WORDS: usize = 64;

impl Access {
    fn new((fields, grams): (&[u32], bool), by_key: ByKey, first_entry: u32) -> Self {
        let mut access = Self {
            fields: fields.to_vec(),
            grams,
            table: Vec::with_capacity(by_key.len()),
            trees: Vec::new(),
            sieve: Box::new([0; SIEVE_WORDS]),
            first_entry,
        };
        for (key, trees) in by_key {
            let (word, bit) = Self::place(key);
            if let Some(word) = access.sieve.get_mut(word) {
                *word |= bit;
            }
            let start = to_u32(access.trees.len());
            access.trees.extend(trees);
            access.table.push((key, start, to_u32(access.trees.len())));
        }
        access
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

/// Takes one value of a list of values into the hash under which trees are found.
pub(crate) fn add_to_key(key: &mut Fnv, value: &[u8]) {
    key.lowercase(value);
    // No byte of UTF-8, so that no two lists of values run together.
    key.byte(0xff);
}

/// The keys under which trees are found that want some of `text` contained.
#[inline]
pub(crate) fn gram_keys(text: &[u8]) -> impl Iterator<Item = u64> {
    let mut gram = 0u32;
    let keys = text.iter().map(move |byte| {
        gram = (gram << 8 | u32::from(byte.to_ascii_lowercase())) & 0xff_ffff;
        u64::from(gram)
    });
    keys.skip(GRAM - 1)
}

/// Trees of tests, compiled.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) fields: Vec<Field>,
    pub(crate) paths: Vec<PathNode>,
    /// Fields that are one name, by name, sorted.
    pub(crate) bare: Vec<(Box<[u8]>, u32)>,
    /// The field of keywords, or none.
    pub(crate) keyword: u32,
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) operations: Vec<Operation>,
    /// Where each tree stands in `operations`.
    pub(crate) trees: Vec<(u32, u32)>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    field_names: BTreeMap<String, u32>,
    predicate_keys: BTreeMap<(u32, String), u32>,
    nodes: Vec<(Node, u32)>,
}

impl Builder {
    pub(crate) fn new(scope: Scope) -> Self {
        let root = PathNode { children: Vec::new(), parent: NONE, field: NONE };
        let program = Program { paths: vec![root], keyword: NONE, ..Program::default() };
        Self {
            scope,
            program,
            field_names: BTreeMap::new(),
            predicate_keys: BTreeMap::new(),
            nodes: Vec::new(),
        }
    }

    /// A test that some value of the field matches; `key` tells matchers apart. The field `""` is any
    /// string or number of the event.
    pub(crate) fn test(&mut self, field: &str, matcher: Matcher, key: String) -> Result<NodeId, String> {
        let field = self.intern_field(field)?;
        let known = self.predicate_keys.get(&(field, key.clone())).copied();
        let predicate = match known {
            Some(known) => known,
            None => {
                let stage = self.stage(field);
                let cost = cost(&matcher);
                self.add_predicate(
                    Predicate { test: Test::Value { field, matcher }, stage, cost },
                    field,
                    key,
                )
            }
        };
        Ok(self.node(Node::Test(predicate)))
    }

    /// A test that some value of one field is like some value of the other.
    pub(crate) fn reference(
        &mut self,
        left: &str,
        right: &str,
        likeness: Likeness,
    ) -> Result<NodeId, String> {
        let (left, right) = (self.intern_field(left)?, self.intern_field(right)?);
        let key = format!("fieldref:{right}:{likeness:?}");
        let known = self.predicate_keys.get(&(left, key.clone())).copied();
        let predicate = match known {
            Some(known) => known,
            None => {
                let stage = self.stage(left).max(self.stage(right));
                let test = Test::Reference { left, right, likeness };
                self.add_predicate(Predicate { test, stage, cost: 30 }, left, key)
            }
        };
        Ok(self.node(Node::Test(predicate)))
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
            node.children.sort();
        }
        self.program.bare.sort();
        Indexer::new(&mut self.program).run();
        self.program
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
        members.sort_by_key(|&node| self.rank(node));
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

    fn add_predicate(&mut self, predicate: Predicate, field: u32, key: String) -> u32 {
        let id = to_u32(self.program.predicates.len());
        self.program.predicates.push(predicate);
        self.predicate_keys.insert((field, key), id);
        id
    }

    fn stage(&self, field: u32) -> Stage {
        self.program.field(field).map_or(Stage::Immediate, |field| field.stage)
    }

    fn intern_field(&mut self, name: &str) -> Result<u32, String> {
        if let Some(&known) = self.field_names.get(name) {
            return Ok(known);
        }
        let id = to_u32(self.program.fields.len());
        let (source, stage) = self.resolve(name, id)?;
        self.program.fields.push(Field { source, stage });
        self.field_names.insert(name.to_owned(), id);
        Ok(id)
    }

    fn resolve(&mut self, name: &str, id: u32) -> Result<(Source, Stage), String> {
        if name.is_empty() {
            self.program.keyword = id;
            return Ok((Source::Keyword, Stage::Body));
        }
        if let Some(field) = name.strip_prefix("audit.") {
            return self.resolve_audit(field).map(|field| (Source::Audit(field), Stage::Immediate));
        }
        if name.contains(['[', ']']) {
            return Err(format!(
                "the field {name:?} has brackets; an array stands for its elements, so leave them out"
            ));
        }
        if name.split('.').any(str::is_empty) {
            return Err(format!("the field {name:?} has an empty step; join names by single dots"));
        }
        if name.split('.').count() > MAX_STEPS {
            return Err(format!("the field {name:?} has more than {MAX_STEPS} steps"));
        }
        if let Some(view) = View::of_path(name) {
            return Ok((Source::View(view), Stage::Immediate));
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

    fn resolve_audit(&self, name: &str) -> Result<AuditField, String> {
        let known = |field: &AuditField| self.scope == Scope::Routes || field.normalized().is_some();
        match AuditField::of_name(name) {
            Some(field) if known(&field) => Ok(field),
            Some(_) => {
                Err(format!("audit.{name} follows from the rules, so only a route's \"when\" can ask for it"))
            }
            None => {
                let names: Vec<String> = AuditField::ALL
                    .iter()
                    .filter(|field| known(field))
                    .map(|field| format!("audit.{}", field.name()))
                    .collect();
                Err(format!("there is no field audit.{name}; there are: {}", names.join(", ")))
            }
        }
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
        },
    }
}

/// The strings of which a field must have one, for each field of which a tree demands that; apart, those of
/// which it must contain one.
type Required = BTreeMap<(u32, Need), BTreeSet<Vec<u8>>>;

/// How a field has to have a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Whole,
    Contained,
}

/// A list under which a tree could be found: fields, whether they are to contain the strings, and for each
/// string the hashes of which one has to be chosen.
struct Place {
    fields: Vec<u32>,
    grams: bool,
    keys: Vec<Vec<u64>>,
}

/// Finds for each tree the list under which an event will find it.
struct Indexer<'p> {
    program: &'p mut Program,
    /// Verb, resource and subresource: what most rules ask for, and together tell most.
    request: Vec<u32>,
}

impl<'p> Indexer<'p> {
    fn new(program: &'p mut Program) -> Self {
        let request = (0u32..)
            .zip(&program.fields)
            .filter(|(_, field)| {
                matches!(
                    field.source,
                    Source::View(
                        View::Top(Member::Verb)
                            | View::Reference(Reference::Resource | Reference::Subresource)
                    )
                )
            })
            .map(|(id, _)| id)
            .collect();
        Self { program, request }
    }

    fn run(self) {
        let places: Vec<Vec<Place>> =
            (0..to_u32(self.program.trees.len())).map(|tree| self.places(&self.required(tree))).collect();
        // How crowded each list would be if all trees were in it that could be.
        let mut crowds: BTreeMap<(&[u32], bool, u64), u32> = BTreeMap::new();
        for place in places.iter().flatten() {
            for &key in place.keys.iter().flatten() {
                *crowds.entry((&place.fields, place.grams, key)).or_default() += 1;
            }
        }
        let crowd = |place: &Place, key: u64| {
            crowds.get(&(place.fields.as_slice(), place.grams, key)).copied().unwrap_or(0)
        };
        let mut lists: BTreeMap<(&[u32], bool), ByKey> = BTreeMap::new();
        let mut always = Vec::new();
        for (tree, places) in (0u32..).zip(&places) {
            // Of each string the least crowded part, and of all lists the one least crowded at its worst.
            let best = places
                .iter()
                .map(|place| {
                    let keys: Vec<u64> = place
                        .keys
                        .iter()
                        .filter_map(|keys| keys.iter().copied().min_by_key(|&key| crowd(place, key)))
                        .collect();
                    let worst = keys.iter().map(|&key| crowd(place, key)).max().unwrap_or(0);
                    // To look for parts of a value takes a look at each of its bytes.
                    let cost = if place.grams { LOOK_AT_GRAMS + worst } else { worst };
                    (cost, place, keys)
                })
                .min_by_key(|&(cost, ..)| cost);
            match best {
                None => always.push(tree),
                Some((_, place, keys)) => {
                    let by_key = lists.entry((&place.fields, place.grams)).or_default();
                    for key in keys {
                        by_key.entry(key).or_default().push(tree);
                    }
                }
            }
        }
        let mut accesses = Vec::with_capacity(lists.len());
        let mut entries = 0;
        for (fields, by_key) in lists {
            let first_entry = entries;
            entries += to_u32(by_key.len());
            accesses.push(Access::new(fields, by_key, first_entry));
        }
        self.program.accesses = accesses;
        self.program.entries = entries;
        self.program.always = always;
    }

    /// What a tree demands, found from its parts upwards.
    fn required(&self, tree: u32) -> Required {
        struct Open {
            all: bool,
            end: usize,
            so_far: Option<Required>,
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
                Operation::Test { predicate, negated } => self.required_by(predicate, negated),
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
        Required::new()
    }

    fn required_by(&self, predicate: u32, negated: bool) -> Required {
        let mut required = Required::new();
        if !negated
            && let Some(predicate) = self.program.predicate(predicate)
            && predicate.stage == Stage::Immediate
            && let Test::Value { field, matcher: Matcher::Text(pattern) } = &predicate.test
        {
            let mut contained: Vec<&[u8]> = Vec::new();
            let run;
            match &pattern.form {
                Form::Exact(only) => contained.push(only),
                Form::OneOf(strings) => contained.extend(strings.iter().map(|string| &**string)),
                Form::Prefix(part) | Form::Suffix(part) | Form::Contains(part) => contained.push(part),
                Form::Steps(steps) => {
                    run = longest_run(steps);
                    contained.push(&run);
                }
                Form::Anything => {}
            }
            let lower: BTreeSet<Vec<u8>> =
                contained.iter().map(|string| string.to_ascii_lowercase()).collect();
            if lower.iter().all(|string| string.len() >= GRAM) && !lower.is_empty() {
                required.insert((*field, Need::Contained), lower.clone());
            }
            if let Form::Exact(_) | Form::OneOf(_) = pattern.form {
                required.insert((*field, Need::Whole), lower);
            }
        }
        required
    }

    /// The lists under which a tree could be found.
    fn places(&self, required: &Required) -> Vec<Place> {
        let mut together: Vec<(u32, &BTreeSet<Vec<u8>>)> = self
            .request
            .iter()
            .filter_map(|&field| Some((field, required.get(&(field, Need::Whole))?)))
            .collect();
        together.sort_by_key(|(_, values)| values.len());
        while together.iter().map(|(_, values)| values.len()).product::<usize>() > MAX_COMBINATIONS {
            together.pop();
        }
        together.sort_by_key(|&(field, _)| field);
        let mut places = Vec::new();
        if !together.is_empty() {
            let mut keys = vec![Fnv::new()];
            for (_, values) in &together {
                keys = keys.iter().flat_map(|key| values.iter().map(|value| extended(*key, value))).collect();
            }
            let fields = together.iter().map(|&(field, _)| field).collect();
            places.push(Place {
                fields,
                grams: false,
                keys: keys.into_iter().map(|key| vec![key.finish()]).collect(),
            });
        }
        for (&(field, need), values) in required {
            let keys: Vec<Vec<u64>> = match need {
                Need::Whole if self.request.contains(&field) => continue,
                Need::Whole => {
                    values.iter().map(|value| vec![extended(Fnv::new(), value).finish()]).collect()
                }
                Need::Contained => values.iter().map(|value| gram_keys(value).collect()).collect(),
            };
            places.push(Place { fields: vec![field], grams: need == Need::Contained, keys });
        }
        places
    }
}

fn extended(mut key: Fnv, value: &[u8]) -> Fnv {
    add_to_key(&mut key, value);
    key
}

/// The longest string that a text has to contain to follow the steps.
fn longest_run(steps: &[Step]) -> Vec<u8> {
    let runs = steps.split(|step| !matches!(step, Step::Byte(_)));
    let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
    longest.iter().filter_map(|step| if let Step::Byte(byte) = step { Some(*byte) } else { None }).collect()
}

/// Both demands: of a field in both, the one with fewer values is kept.
fn stricter(mut left: Required, right: Required) -> Required {
    for (field, values) in right {
        match left.get(&field) {
            Some(known) if known.len() <= values.len() => {}
            _ => {
                left.insert(field, values);
            }
        }
    }
    left
}

/// One demand or the other: fields in both, with the values of either.
fn either(left: Required, mut right: Required) -> Required {
    let mut both = Required::new();
    for (field, mut values) in left {
        if let Some(others) = right.remove(&field) {
            values.extend(others);
            if values.len() <= MAX_REQUIRED {
                both.insert(field, values);
            }
        }
    }
    both
}

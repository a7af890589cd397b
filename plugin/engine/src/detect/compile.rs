//! Conditions made into one decision structure: shared tests, flat programs, groups of fields.
//!
//! A [`Builder`] takes trees of tests and gives a [`Program`] that answers which of the trees hold. Four
//! things make a thousand trees cost about what ten do:
//!
//! - A test that several trees contain is one *predicate*, evaluated at most once for an event.
//! - Predicates about values that come again are grouped into [`Dimension`]s. What they say of a value is found out when
//!   it first comes, and which trees that leaves open: [`classes`]. Other trees are never looked at.
//! - Members that an event does not have rule out whatever asks for them, before any test is evaluated: [`members`].
//! - Fields of the bodies form one tree of paths, so that one walk finds the values of all of them, and
//!   there is no walk unless a tree that is still undecided needs it.

use super::classes::{self, AskedByNumber, Together};
use super::fields::{self, Source, Stage, View};
use super::members;
use super::modifier::{Likeness, Matcher};
use super::pairs::Pairs;
use super::pattern::{Expression, Form};
use super::rule::Report;
use super::written;
use crate::hash::Numbering;
use crate::json::tag;
use crate::record::Member;
use crate::sort::sort;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many operations one tree may become. A condition may name a selection of thousands of tests
/// hundreds of times.
const MAX_OPERATIONS: usize = 100_000;

/// What the groups of the user are called: nearly every event is asked for them, so they are looked up without a walk.
const GROUPS: &str = "user.groups";

/// What the names of fields begin with that earlier stages find out.
const AUDIT: &str = "audit.";

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
    /// Sorted.
    pub(crate) children: Vec<Named>,
    pub(crate) parent: u32,
    /// The field whose path ends here.
    pub(crate) field: u32,
}

/// A node below another or a field, by name. Sorted by a number of the name first, which takes no call to compare.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    tag: u64,
    pub(crate) name: Box<[u8]>,
    pub(crate) id: u32,
}

impl Named {
    fn new(name: &[u8], id: u32) -> Self {
        Self { tag: tag(name), name: name.into(), id }
    }

    /// The one of that name among those that are sorted, if it is marked with that epoch.
    #[inline(never)]
    pub(crate) fn find(sorted: &[Self], name: &[u8], marks: &[u32], epoch: u32) -> u32 {
        let tag = tag(name);
        let first = sorted.partition_point(|named| named.tag < tag);
        let alike = sorted.get(first..).unwrap_or_default().iter().take_while(|named| named.tag == tag);
        let is_it = |named: &&Self| {
            named.name.len() == name.len() && (matches!(name.len(), 4..=8) || *named.name == *name)
        };
        let found = { alike }.find(is_it).map(|named| named.id);
        found.filter(|&id| marks.get(id as usize) == Some(&epoch)).unwrap_or(NONE)
    }
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
    /// The members without which it cannot hold.
    pub(crate) members: u16,
    /// Where the classes of an event say whether it holds, if they do.
    pub(crate) place: classes::Place,
    /// The pairs of bytes without which no value matches, if the classes of an event say whether it holds.
    pub(crate) needed: Pairs,
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

/// The operations of one tree.
#[derive(Debug)]
pub(crate) struct Tree(pub(crate) Vec<Operation>);

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
    /// Fields that are one name, sorted.
    pub(crate) bare: Vec<Named>,
    /// The field of keywords, or none.
    pub(crate) keyword: u32,
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) dimensions: Vec<Dimension>,
    /// What the dimensions ask for that follows from numbers, if they ask for nothing else.
    pub(crate) asked_by_number: Option<AskedByNumber>,
    pub(crate) operations: Vec<Operation>,
    /// Where each tree stands in `operations`.
    pub(crate) trees: Vec<(u32, u32)>,
    /// The members without which each tree cannot hold.
    pub(crate) members: Vec<u16>,
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

    /// Compiles the expressions that an event has wanted.
    #[inline(never)]
    pub(crate) fn compile_wanted(&self) {
        for predicate in &self.predicates {
            if let Test::Value { matcher: Matcher::Expression(expression), .. } = &predicate.test
                && expression.is_wanted()
            {
                // One that cannot be compiled has been reported where its rule was read, and matches nothing.
                let _ = expression.compile();
            }
        }
    }

    /// The stages in which there is anything to be found out for operations, a bit for each.
    pub(crate) fn stages_of(&self, operations: &[Operation]) -> u8 {
        let of_field = |field: u32| self.field(field).map_or(0, |field| field.stage.bit());
        let of = |operation: &Operation| match *operation {
            Operation::Group { .. } => 0,
            Operation::Test { predicate, .. } => {
                match self.predicate(predicate).map(|predicate| &predicate.test) {
                    Some(&Test::Value { field, .. }) => of_field(field),
                    // Values to be compared with those of a dearer field are kept when they come by.
                    Some(&Test::Reference { left, right, .. }) => of_field(left) | of_field(right),
                    None => 0,
                }
            }
        };
        operations.iter().fold(0, |stages, operation| stages | of(operation))
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
    uncompiled: Vec<Uncompiled>,
}

/// A regular expression and where it stands, for errors.
#[derive(Debug)]
struct Uncompiled {
    expression: Expression,
    line: u32,
    field: String,
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

    /// Takes note of an expression that stands in that line.
    pub(crate) fn compile_later(&mut self, expression: &Expression, line: u32) {
        self.uncompiled.push(Uncompiled { expression: expression.clone(), line, field: String::new() });
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
        for Uncompiled { expression, line, field } in self.uncompiled.drain(..) {
            if let Err(message) = expression.compile() {
                report.error(line, field, message);
            }
        }
    }

    /// A test that some value of the field matches. The field `""` is any string or number of the event.
    pub(crate) fn test(&mut self, field: &str, matcher: Matcher) -> Result<NodeId, String> {
        let test = Test::Value { field: self.field(field)?, matcher };
        let id = self.intern_test(test);
        Ok(self.node(Node::Test(id)))
    }

    /// A test that some value of one field is like some value of the other.
    pub(crate) fn reference(
        &mut self,
        left: &str,
        right: &str,
        likeness: Likeness,
    ) -> Result<NodeId, String> {
        let test = Test::Reference { left: self.field(left)?, right: self.field(right)?, likeness };
        let id = self.intern_test(test);
        Ok(self.node(Node::Test(id)))
    }

    /// Whether there is no test yet.
    pub(crate) fn has_no_tests(&self) -> bool {
        self.program.predicates.is_empty()
    }

    /// The number of a test, the next one if there is none like it.
    pub(crate) fn intern_test(&mut self, test: Test) -> u32 {
        // Those that were added without a look at others are told apart once somebody looks.
        for known in self.program.predicates.get(self.predicate_keys.len()..).unwrap_or_default() {
            self.predicate_keys.add(&written::of_test(&known.test));
        }
        let id = self.predicate_keys.add(&written::of_test(&test));
        if id as usize == self.program.predicates.len() {
            self.add_test(test);
        }
        id
    }

    /// The number of a test of which it is known that there is none like it.
    pub(crate) fn add_test(&mut self, test: Test) -> u32 {
        let predicate = match &test {
            Test::Value { field, matcher } => Predicate {
                stage: self.stage(*field),
                members: 0,
                place: None,
                needed: Pairs::NONE,
                cost: cost(matcher),
                test,
            },
            Test::Reference { left, right, .. } => Predicate {
                stage: self.stage(*left).max(self.stage(*right)),
                members: 0,
                place: None,
                needed: Pairs::NONE,
                cost: 30,
                test,
            },
        };
        self.program.predicates.push(predicate);
        to_u32(self.program.predicates.len() - 1)
    }

    /// The names of all fields, and all tests, by their numbers.
    #[allow(dead_code, reason = "asked for where rules are written down")]
    pub(crate) fn fields_and_tests(&self) -> (Vec<&[u8]>, Vec<&Test>) {
        let tests = self.program.predicates.iter().map(|predicate| &predicate.test).collect();
        (self.field_names.keys().collect(), tests)
    }

    /// The operations of a tree that has been added.
    #[allow(dead_code, reason = "asked for where rules are written down")]
    pub(crate) fn operations_of(&self, tree: usize) -> &[Operation] {
        self.program.tree(to_u32(tree))
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
    pub(crate) fn add_tree(&mut self, Tree(operations): Tree) -> u32 {
        let (start, tree) = (self.program.operations.len(), self.program.trees.len());
        self.program.operations.extend(operations);
        self.program.trees.push((to_u32(start), to_u32(self.program.operations.len())));
        to_u32(tree)
    }

    /// The program that decides all trees added.
    pub(crate) fn finish(mut self) -> Program {
        for node in &mut self.program.paths {
            sort(&mut node.children);
        }
        sort(&mut self.program.bare);
        self.program.user_extra = members::user_extra(&self.program);
        let of_fields = members::of_fields(&self.program);
        for predicate in &mut self.program.predicates {
            predicate.members = members::of_test(&of_fields, &predicate.test);
        }
        let trees = 0..to_u32(self.program.trees.len());
        self.program.members = trees.map(|tree| members::of_tree(&self.program, tree)).collect();
        self.find_dimensions();
        self.program.asked_by_number = AskedByNumber::of(&self.program);
        self.program.id = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        self.program
    }

    /// Groups the predicates about fields whose values come again.
    fn find_dimensions(&mut self) {
        let Program { fields, views, predicates, dimensions, user_extra, .. } = &mut self.program;
        if *user_extra != NONE {
            let predicates = vec![NONE];
            dimensions.push(Dimension { together: Together::User, fields: Vec::new(), predicates });
        }
        for (id, predicate) in (0u32..).zip(&*predicates) {
            let &Test::Value { field, .. } = &predicate.test else { continue };
            let source = fields.get(field as usize).map(|field| &field.source);
            let Some(together) = source.and_then(|source| Together::of(source, views)) else { continue };
            let known = dimensions.iter().position(|dimension| dimension.together == together);
            let at = known.unwrap_or_else(|| {
                dimensions.push(Dimension { together, fields: Vec::new(), predicates: Vec::new() });
                dimensions.len() - 1
            });
            if let Some(dimension) = dimensions.get_mut(at) {
                dimension.predicates.push(id);
                if !dimension.fields.contains(&field) {
                    dimension.fields.push(field);
                }
            }
        }
        dimensions.retain(|dimension| dimension.together.is_worth(dimension.predicates.len()));
        for (at, dimension) in dimensions.iter().enumerate() {
            for (bit, &id) in dimension.predicates.iter().enumerate() {
                if let Some(predicate) = predicates.get_mut(id as usize) {
                    predicate.place = Some((to_u32(at), to_u32(bit)));
                    if let Test::Value { matcher, .. } = &predicate.test {
                        predicate.needed = Pairs::needed_by(matcher);
                    }
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

    /// The operations of a tree, with negations moved down to the tests.
    pub(crate) fn tree(&self, root: NodeId) -> Result<Tree, String> {
        enum Step {
            Enter(NodeId, bool),
            Close(usize),
        }
        let mut operations = Vec::new();
        let mut steps = vec![Step::Enter(root, false)];
        while let Some(step) = steps.pop() {
            if operations.len() > MAX_OPERATIONS {
                return Err(format!(
                    "the condition comes to more than {MAX_OPERATIONS} tests; name large selections less often"
                ));
            }
            let here = operations.len();
            match step {
                Step::Close(group) => {
                    if let Some(Operation::Group { end, .. }) = operations.get_mut(group) {
                        *end = to_u32(here);
                    }
                }
                Step::Enter(node, negated) => match self.nodes.get(node.0 as usize) {
                    Some((Node::Test(predicate), _)) => {
                        operations.push(Operation::Test { predicate: *predicate, negated });
                    }
                    Some((Node::Not(inner), _)) => steps.push(Step::Enter(*inner, !negated)),
                    Some((group @ (Node::All(of) | Node::Any(of)), _)) => {
                        let all = matches!(group, Node::All(_)) != negated;
                        operations.push(Operation::Group { all, end: 0 });
                        steps.push(Step::Close(here));
                        steps.extend(of.iter().rev().map(|&of| Step::Enter(of, negated)));
                    }
                    None => {}
                },
            }
        }
        Ok(Tree(operations))
    }

    fn stage(&self, field: u32) -> Stage {
        self.program.field(field).map_or(Stage::Immediate, |field| field.stage)
    }

    /// The number of the field that a rule calls so.
    fn field(&mut self, name: &str) -> Result<u32, String> {
        let is_path = !name.is_empty() && !name.starts_with(AUDIT);
        if is_path && self.field_names.get(name.as_bytes()).is_none() {
            fields::check_path(name)?;
        }
        self.intern_field(name)
    }

    /// The number of a field whose name is sound.
    pub(crate) fn intern_field(&mut self, name: &str) -> Result<u32, String> {
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
        if let Some(field) = name.strip_prefix(AUDIT) {
            let field = fields::audit_field(field, self.scope == Scope::Rules)?;
            return Ok((Source::Audit(field), Stage::Immediate));
        }
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
            self.program.bare.push(Named::new(name.as_bytes(), id));
            return Ok((Source::Bare, Stage::Body));
        }
        Ok((Source::Path(self.add_path(name, id)), stage))
    }

    fn add_path(&mut self, path: &str, field: u32) -> u32 {
        let mut at = ROOT;
        for step in path.as_bytes().split(|&byte| byte == b'.') {
            let next = to_u32(self.program.paths.len());
            let Some(node) = self.program.paths.get_mut(at as usize) else { return ROOT };
            let known = node.children.iter().find(|child| *child.name == *step);
            at = match known {
                Some(child) => child.id,
                None => {
                    node.children.push(Named::new(step, next));
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

#[cfg(test)]
mod tests {
    use super::{NONE, Named, sort};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_has_a_name_is_found_where_it_is_marked(
            names in prop::collection::btree_set("[ab]{0,9}|(host|x)?serviceAccount(Name)?", 0..40),
            asked_for in "[ab]{0,9}|(host|y)?serviceAccount(Name)?",
            marks in prop::collection::vec(1..3_u32, 40),
        ) {
            let mut sorted: Vec<Named> =
                (0..).zip(&names).map(|(id, name)| Named::new(name.as_bytes(), id)).collect();
            sort(&mut sorted);
            for name in names.iter().chain([&asked_for]) {
                let at = names.iter().position(|known| known == name).filter(|&at| marks[at] == 2);
                let expected = at.map_or(NONE, |at| u32::try_from(at).unwrap());
                prop_assert_eq!(Named::find(&sorted, name.as_bytes(), &marks, 2), expected);
            }
        }
    }
}

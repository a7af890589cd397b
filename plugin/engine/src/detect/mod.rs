//! Fourth stage: which Sigma rules hold on an event, and which route's selection it meets.
//!
//! ```text
//! Sigma text ─▶ rule, condition, modifier ─▶ compile ─▶ Program
//!     what build.rs has compiled ─▶ written ────┘         │
//!                              event, audit.* ─▶ evaluate ┴─▶ the rules that hold
//! ```
//!
//! [`fields`] says what a field of a rule names, `modifier` what a value means, and `compile` how rules
//! become one structure that is put to an event as a whole. `written` is how the built-in rules, compiled when the engine
//! was built, come to be among them. `correlation` follows the rules that hold from event to
//! event.
//!
//! Rules are those of the Sigma specification 2.1 for `product: kubernetes`, `service: audit`. Where it
//! leaves a choice: strings compare without regard to the case of ASCII letters; a number or boolean
//! compares by how it is written with a string; `null` means that the path leads to nothing but nulls;
//! `*` means that it leads to anything else, objects included.

mod classes;
mod compile;
mod condition;
mod correlation;
mod evaluate;
pub mod fields;
mod gate;
mod literals;
mod members;
mod modifier;
mod pairs;
mod pattern;
mod rule;
pub mod trial;
mod written;

#[cfg(test)]
mod builtin_rules;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;

pub use correlation::{Alert, DEFAULT_GROUPS, MAX_GROUPS, State};
pub use evaluate::Scratch;
pub use fields::{AuditField, AuditFields, AuditValue, Few};
#[allow(unused_imports, reason = "what build.rs has the rules written down with")]
pub(crate) use written::builtin as written;

use crate::builtin;
use crate::hash::Numbering;
use crate::problem::Problems;
use crate::record::Event;
use crate::yaml::{self, Node};
use compile::{Builder, Program, Scope, Tree};
use correlation::{Correlating, Correlations, Pending};
use rule::{Kind, Report};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use written::Written;

/// How grave a finding is: Sigma's `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For enrichment; no alert.
    Informational,
    /// Notable, rarely an incident.
    Low,
    /// To be reviewed now and then.
    Medium,
    /// To be reviewed promptly.
    High,
    /// An incident.
    Critical,
}

impl Severity {
    const NAMES: [(&'static str, Self); 5] = [
        ("informational", Self::Informational),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("critical", Self::Critical),
    ];

    /// The severity of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, severity)| severity)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known of a rule beside its condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `id`, else `name`, else `title`: what `audit.rules` has.
    pub id: Cow<'static, str>,
    /// `name`, by which correlations may refer to the rule.
    pub name: Option<Cow<'static, str>>,
    /// `title`
    pub title: Cow<'static, str>,
    /// `level`
    pub level: Severity,
    /// `tags`, sorted, each once; without the namespace `audit`.
    pub tags: Vec<Cow<'static, str>>,
    /// The file it is from, as the user named it.
    pub file: Arc<str>,
    /// The line it starts at.
    pub line: u32,
}

impl Rule {
    /// Whether a name or an id means this rule.
    fn is_called(&self, name: &str) -> bool {
        *self.id == *name || self.name.as_deref() == Some(name)
    }
}

/// A rule's number within its set, in the order in which rules were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// Rules and the correlations over them, compiled.
#[derive(Debug)]
pub struct RuleSet {
    program: Program,
    rules: Vec<Rule>,
    correlations: Correlations,
}

impl RuleSet {
    /// A builder without rules. Rules whose id is in `disabled` are checked, but left out; where a correlation refers
    /// to one, it only says nothing by itself.
    #[must_use]
    pub fn builder(disabled: Vec<String>) -> RuleSetBuilder {
        RuleSetBuilder {
            builder: Builder::new(Scope::Rules),
            rules: Vec::new(),
            ids: Numbering::default(),
            places: Vec::new(),
            disabled,
            shelved: Vec::new(),
            pending: Vec::new(),
            builtin: 0,
            only: None,
            groups: DEFAULT_GROUPS,
        }
    }

    /// Adds the built-in rules to a set, before any others.
    pub fn add_builtin(builder: &mut RuleSetBuilder, problems: &mut Problems) {
        Written(builtin::RULES).add_to(builder, problems);
        builder.builtin = builder.rules.len();
        builder.pending.iter_mut().for_each(Pending::set_builtin);
    }

    /// Appends to `hits` the rules that hold on the event, in the order in which they were added.
    ///
    /// `scratch` serves one set; with another it starts afresh each time.
    /// [`Scratch::cut_short`] says afterwards whether a limit kept a part of the event from being seen.
    pub fn evaluate(
        &self,
        scratch: &mut Scratch,
        event: &Event<'_>,
        audit: &dyn AuditFields,
        hits: &mut Vec<RuleId>,
    ) {
        let mut holding = scratch.take_holding();
        evaluate::evaluate(&self.program, scratch, event, audit, &mut holding);
        // Most events want no expression that no event before them has wanted.
        while scratch.take_uncompiled() {
            self.program.compile_wanted();
            holding.clear();
            evaluate::evaluate(&self.program, scratch, event, audit, &mut holding);
        }
        hits.extend(holding.iter().map(|&tree| RuleId(tree)));
        scratch.put_holding(holding);
    }

    /// Appends to `alerts` the correlations that an event completes on which the rules `hits` hold, and lets `state`
    /// remember the event. `state` serves one set.
    pub fn correlate(
        &self,
        state: &mut State,
        hits: &[RuleId],
        event: &Event<'_>,
        audit: &dyn AuditFields,
        alerts: &mut Vec<Alert>,
    ) {
        self.correlations.observe(state, hits, event, audit, alerts);
    }

    /// A rule that holds by its number; none where it is about its correlation alone.
    #[must_use]
    pub fn finding(&self, id: RuleId) -> Option<&Rule> {
        self.rule(id).filter(|_| !self.correlations.silences(id))
    }

    /// The correlation that an alert is about.
    #[must_use]
    pub fn correlation(&self, alert: &Alert) -> Option<&Rule> {
        self.correlations.of_alert(alert)
    }

    /// All correlations.
    #[must_use]
    pub fn correlations(&self) -> &[Rule] {
        self.correlations.heads()
    }

    /// A rule by its number.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.0 as usize)
    }

    /// All rules, in the order in which they were added.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// Gathers rules from files.
#[derive(Debug)]
pub struct RuleSetBuilder {
    builder: Builder,
    rules: Vec<Rule>,
    /// Every id, those of disabled rules too.
    ids: Numbering,
    /// Where the rule with each id stands.
    places: Vec<(Arc<str>, u32)>,
    disabled: Vec<String>,
    /// Rules that are disabled, in case a correlation refers to them.
    shelved: Vec<(Rule, Tree)>,
    /// Correlations, whose rules may be still to come.
    pending: Vec<Pending>,
    /// How many of the rules are built in.
    builtin: usize,
    /// The file whose rules alone speak, if not all do.
    only: Option<Arc<str>>,
    /// How many groups each correlation may keep.
    groups: usize,
}

impl RuleSetBuilder {
    /// Reads the rules of a file: one or more YAML documents. What is wrong with them goes to `problems`;
    /// a rule with an error is left out.
    pub fn add(&mut self, file: &Arc<str>, text: &str, problems: &mut Problems) {
        match yaml::parse(text) {
            Err(error) => problems.error(file, error.line, "", format!("not YAML: {}", error.message)),
            Ok(documents) => self.add_documents(file, &documents, problems),
        }
    }

    fn add_documents(&mut self, file: &Arc<str>, documents: &[Node], problems: &mut Problems) {
        for document in documents.iter().filter(|document| !document.is_null()) {
            self.add_document(document, &mut Report::new(file, problems));
        }
    }

    /// Reads the rules of a file that alone are to speak: what else there is, is there for correlations to refer to. Of
    /// rules with the same id, the file's counts.
    pub fn add_for_trial(&mut self, file: &Arc<str>, text: &str, problems: &mut Problems) {
        self.add(file, text, problems);
        self.only = Some(Arc::clone(file));
        if !self.pending.is_empty() {
            RuleSet::add_builtin(self, &mut Problems::default());
        }
    }

    /// The ids that are disabled and that no rule has had so far.
    pub fn disabled_in_vain(&self) -> impl Iterator<Item = &str> {
        self.disabled.iter().map(String::as_str).filter(|id| self.ids.get(id.as_bytes()).is_none())
    }

    /// How many groups each correlation may keep: [`DEFAULT_GROUPS`] where this is not called.
    pub fn set_groups(&mut self, groups: usize) {
        self.groups = groups;
    }

    /// The set. What is wrong with what correlations refer to goes to `problems`.
    #[must_use]
    pub fn finish(mut self, problems: &mut Problems) -> RuleSet {
        let is_wanted = |rule: &Rule, pending: &[Pending]| {
            pending.iter().flat_map(Pending::references).any(|name| rule.is_called(name))
        };
        for (rule, tree) in std::mem::take(&mut self.shelved) {
            if is_wanted(&rule, &self.pending) {
                self.push_rule(rule, tree);
            }
        }
        let correlating = Correlating {
            rules: &self.rules,
            builtin: self.builtin,
            disabled: &self.disabled,
            only: self.only.as_deref(),
            limit: self.groups,
            problems,
        };
        let correlations = correlating.resolve(self.pending);
        RuleSet { program: self.builder.finish(), rules: self.rules, correlations }
    }

    fn add_document(&mut self, document: &Node, report: &mut Report<'_>) {
        if !matches!(document.value, yaml::Value::Mapping(_)) {
            let message = format!("expected a Sigma rule, found {}", document.describe());
            return report.error(document.line, "", message);
        }
        match rule::kind_of(document) {
            Kind::Rule => self.add_rule(document, report),
            Kind::Correlation => self.add_correlation(document, report),
            Kind::Filter => report.error(
                document.line,
                "filter",
                "Sigma filters are not supported; add \"and not\" to the rule's condition, or disable it",
            ),
            Kind::Action => report.error(
                document.line,
                "action",
                "collections of Sigma before 2.0 are not supported; write each rule out",
            ),
        }
    }

    // What reads a rule is kept out of line: inlined, its frame would lie beneath the compiler of regular expressions, which
    // takes half of the operand stack that Fluent Bit gives the module.
    #[inline(never)]
    fn add_rule(&mut self, document: &Node, report: &mut Report<'_>) {
        let head = rule::read_head(document, report);
        rule::check_log_source(document, report);
        let detection = rule::read_detection(document, &mut self.builder, report);
        self.builder.compile_expressions(report);
        let (Some(head), Some(detection)) = (head, detection) else { return };
        match self.builder.tree(detection) {
            Ok(tree) => self.add_compiled(head, tree, report),
            Err(message) => report.error(head.line, "detection.condition", message),
        }
    }

    /// Adds a rule whose detection has been compiled with this builder's tests.
    fn add_compiled(&mut self, head: Rule, tree: Tree, report: &mut Report<'_>) {
        if report.failed || !self.take_id(&head, report) {
            return;
        }
        if self.disabled.iter().any(|id| **id == *head.id) {
            return self.shelved.push((head, tree));
        }
        self.push_rule(head, tree);
    }

    fn push_rule(&mut self, head: Rule, tree: Tree) {
        self.builder.add_tree(tree);
        self.rules.push(head);
    }

    #[inline(never)]
    fn add_correlation(&mut self, document: &Node, report: &mut Report<'_>) {
        let head = rule::read_head(document, report);
        if let Some(pending) = correlation::read(document, head, report)
            && self.take_id(pending.head(), report)
        {
            self.pending.push(pending);
        }
    }

    /// Takes note of a rule's id. Returns whether no other rule has it.
    fn take_id(&mut self, head: &Rule, report: &mut Report<'_>) -> bool {
        let id = self.ids.add(head.id.as_bytes());
        if let Some((file, line)) = self.places.get(id as usize) {
            let message = format!("{} is taken by {file}:{line}; give the rule another id", head.id);
            report.error(head.line, "id", message);
            return false;
        }
        self.places.push((Arc::clone(&head.file), head.line));
        true
    }
}

/// Sigma selections in an order in which the first that is met counts: the `when` of routes.
#[derive(Debug)]
pub struct Selections {
    program: Program,
    /// The tree of each selection; none where it is met by every event.
    trees: Vec<Option<u32>>,
}

impl Selections {
    /// A builder without selections.
    #[must_use]
    pub fn builder() -> SelectionsBuilder {
        SelectionsBuilder { builder: Builder::new(Scope::Routes), trees: Vec::new() }
    }

    /// The number, from 0, of the first selection that the event meets.
    #[inline(always)]
    pub fn first_match(
        &self,
        scratch: &mut Scratch,
        event: &Event<'_>,
        audit: &dyn AuditFields,
    ) -> Option<usize> {
        if self.trees.is_empty() { None } else { self.first_of_some(scratch, event, audit) }
    }

    #[inline(never)]
    fn first_of_some(
        &self,
        scratch: &mut Scratch,
        event: &Event<'_>,
        audit: &dyn AuditFields,
    ) -> Option<usize> {
        let mut holding = scratch.take_holding();
        evaluate::evaluate(&self.program, scratch, event, audit, &mut holding);
        let first =
            self.trees.iter().position(|tree| tree.is_none_or(|tree| holding.binary_search(&tree).is_ok()));
        scratch.put_holding(holding);
        first
    }
}

/// Gathers selections.
#[derive(Debug)]
pub struct SelectionsBuilder {
    builder: Builder,
    trees: Vec<Option<u32>>,
}

impl SelectionsBuilder {
    /// Adds a selection that every event meets.
    pub fn add_always(&mut self) {
        self.trees.push(None);
    }

    /// Adds the selection that `node`, called `field` in `file`, is: a map, a list of maps or a list of
    /// keywords. With an error among the problems, its place is not taken and the set is of no use.
    pub fn add(&mut self, file: &Arc<str>, field: &str, node: &Node, problems: &mut Problems) {
        let report = &mut Report::new(file, problems);
        let selection = rule::read_selection(node, field, &mut self.builder, report);
        self.builder.compile_expressions(report);
        let Some(selection) = selection.filter(|_| !report.failed) else { return };
        match self.builder.tree(selection) {
            Ok(tree) => self.trees.push(Some(self.builder.add_tree(tree))),
            Err(message) => report.error(node.line, field, message),
        }
    }

    /// The set.
    #[must_use]
    pub fn finish(self) -> Selections {
        Selections { program: self.builder.finish(), trees: self.trees }
    }
}

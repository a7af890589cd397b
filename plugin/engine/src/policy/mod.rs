//! Second stage: the level at which a Kubernetes audit policy wants an event, exactly as kube-apiserver
//! would answer for the request that the event tells of.
//!
//! ```text
//! text ─▶ read (validate) ─▶ Policy ─▶ compiled ─▶ evaluate ─▶ Decision ─▶ trim::cuts
//!                              │                      ▲
//!                              ├─▶ lint               request (what the API server saw)
//!                              └─▶ matching (rule by rule) ─▶ explain
//! ```
//!
//! `matching` says in the plainest way what a rule matches; `compiled` answers the same from tables, at a
//! cost that hardly depends on the number of rules. A property test holds the two against each other.
//! The semantics are those of k8s.io/apiserver: `pkg/audit/policy`, `pkg/apis/audit/validation` and, for what
//! a request is taken to be, `pkg/endpoints/request`.

mod builtin;
mod compiled;
mod explain;
mod known;
mod lint;
mod matching;
mod model;
mod read;
mod request;
mod suggest;
pub mod trim;

#[cfg(test)]
mod generate;
#[cfg(test)]
mod tests;

pub use builtin::{DEFAULT, builtin, builtin_names};
pub use explain::{Considered, Mismatch, Seen};
pub use matching::Field;
pub use model::{Entry, GroupResources, Level, Rule, Stage, Stages};

use crate::problem::Problems;
use crate::record::Event;
use crate::yaml::Node;
use compiled::Index;
pub(crate) use compiled::Memory;
use request::Request;
use std::sync::Arc;

/// An audit policy, read and found valid.
#[derive(Debug)]
pub struct Policy {
    /// The file it is from, as the user named it.
    file: Arc<str>,
    /// Where the policy begins in its file, from 1.
    line: u32,
    rules: Vec<Rule>,
    omit_stages: Stages,
    omit_managed_fields: bool,
    index: Index,
}

/// What a policy says about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The level that the policy wants; [`level_of`](Self::level_of) is the event's after it.
    pub level: Level,
    /// Index, from 0, of the rule that decided; none where no rule matched.
    pub rule: Option<usize>,
    /// Whether the policy or the rule wants no events of this stage.
    pub stage_omitted: bool,
    /// Whether `managedFields` are to go from the bodies.
    pub omit_managed_fields: bool,
}

impl Decision {
    /// Whether the event is to be dropped.
    #[must_use]
    pub fn drops(&self) -> bool {
        self.level == Level::None || self.stage_omitted
    }

    /// The event's level after the policy: the policy's, or the event's own where that is lower, since
    /// nobody can give back what the API server has not written.
    #[must_use]
    pub fn level_of(&self, event: &Event<'_>) -> Level {
        self.level_beneath(Level::of(event))
    }

    /// The same for an event of that level, if it has one.
    pub(crate) fn level_beneath(&self, own: Option<Level>) -> Level {
        own.map_or(self.level, |own| own.min(self.level))
    }
}

impl Policy {
    /// Reads and validates a policy file as kube-apiserver does: what it refuses is an error, what it
    /// accepts with a warning is a warning. None where there was an error.
    #[must_use]
    pub fn from_yaml(text: &str, file: &Arc<str>, problems: &mut Problems) -> Option<Self> {
        read::file(text, file, problems)
    }

    /// Reads and validates a policy that is part of another file. `path` is the field that holds it.
    #[must_use]
    pub fn from_node(node: &Node, file: &Arc<str>, path: &str, problems: &mut Problems) -> Option<Self> {
        read::node(node, file, path, problems)
    }

    fn new(
        file: &Arc<str>,
        line: u32,
        rules: Vec<Rule>,
        omit_stages: Stages,
        omit_managed_fields: bool,
    ) -> Self {
        let index = Index::new(&rules);
        Self { file: Arc::clone(file), line, rules, omit_stages, omit_managed_fields, index }
    }

    /// The file it is from, as the user named it.
    #[must_use]
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What the policy says about an event.
    ///
    /// Looks at `verb`, `user`, `objectRef`, `requestURI` and `stage`, never at the bodies. Allocates only
    /// where a string has escapes.
    #[must_use]
    pub fn evaluate(&self, event: &Event<'_>) -> Decision {
        self.evaluate_with(event, &mut Memory::default())
    }

    /// The same, with a memory that serves this policy and one engine's events.
    pub(crate) fn evaluate_with(&self, event: &Event<'_>, memory: &mut Memory) -> Decision {
        let rule = match self.index.first_match(event, memory) {
            Ok(rule) => rule,
            Err(compiled::Undecided) => matching::first_match(&self.rules, &Request::of(event)),
        };
        self.decision(rule, event)
    }

    /// The same rule by rule, without the tables: the slow way, for tests.
    #[cfg(test)]
    fn evaluate_directly(&self, event: &Event<'_>) -> Decision {
        self.decision(matching::first_match(&self.rules, &Request::of(event)), event)
    }

    /// Every rule up to the one that matches, each with what ruled it out.
    #[must_use]
    pub fn explain(&self, event: &Event<'_>) -> Vec<Considered> {
        explain::explain(&self.rules, &Request::of(event))
    }

    /// Warns of what is valid but surely not meant: rules that are never reached, resources that do not
    /// exist, wildcards where there are none, writes of Secrets that nobody would see. `path` is the field
    /// that holds the policy; empty for a policy file.
    pub fn lint(&self, file: &Arc<str>, path: &str, problems: &mut Problems) {
        lint::lint(self, file, path, problems);
    }

    fn decision(&self, index: Option<usize>, event: &Event<'_>) -> Decision {
        let rule = index.and_then(|index| self.rules.get(index));
        let omit_stages = self.omit_stages.union(rule.map_or(Stages::NONE, |rule| rule.omit_stages));
        let stage = Stage::of(event);
        Decision {
            level: rule.map_or(Level::None, |rule| rule.level),
            rule: index,
            stage_omitted: stage.is_some_and(|stage| omit_stages.has(stage)),
            omit_managed_fields: rule
                .and_then(|rule| rule.omit_managed_fields)
                .unwrap_or(self.omit_managed_fields),
        }
    }
}

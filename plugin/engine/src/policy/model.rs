//! The types of `audit.k8s.io` that a policy is made of. Every string knows its line, so that a lint can
//! point at it.

use crate::json::{Raw, stands_at};
use crate::record::{Event, Member};
use std::borrow::Cow;

/// How much of a request is written down; each level includes the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    None,
    /// Who did what to which object, without bodies.
    Metadata,
    /// With the request's body.
    Request,
    /// With both bodies.
    RequestResponse,
}

impl Level {
    /// All levels, the lowest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Metadata, Self::Request, Self::RequestResponse];

    /// The level of that name, which is case-sensitive.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().as_bytes() == name)
    }

    /// The level's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }

    /// The level's name as a JSON string.
    pub(crate) fn as_json(self) -> &'static [u8] {
        match self {
            Self::None => b"\"None\"",
            Self::Metadata => b"\"Metadata\"",
            Self::Request => b"\"Request\"",
            Self::RequestResponse => b"\"RequestResponse\"",
        }
    }

    /// The level at which the API server wrote an event, unless it does not say.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Option<Self> {
        said(event.get(Member::Level)?, Self::ALL, Self::as_str)
    }
}

/// Which of these words a value is.
#[inline(always)]
fn said<T: Copy>(value: Raw<'_>, words: [T; 4], text: fn(T) -> &'static str) -> Option<T> {
    // Nearly all are said without escapes, and to compare short words with what stands there takes no call.
    let stands_there = |word: &T| {
        let text = text(*word).as_bytes();
        value.0.len() == text.len() + 2 && stands_at(value.0, 1, text)
    };
    words.into_iter().find(stands_there).or_else(|| {
        let decoded = decoded(value)?;
        words.into_iter().find(|word| *text(*word).as_bytes() == *decoded)
    })
}

#[cold]
#[inline(never)]
fn decoded(value: Raw<'_>) -> Option<Cow<'_, [u8]>> {
    Some(value.text()?.decode())
}

/// How far the API server had come with a request when it wrote an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The request has arrived; nothing has handled it.
    RequestReceived,
    /// The response's headers are sent, but not its body: long-running requests only.
    ResponseStarted,
    /// The response is complete.
    ResponseComplete,
    /// The handler panicked.
    Panic,
}

impl Stage {
    /// All stages in their order.
    pub const ALL: [Self; 4] =
        [Self::RequestReceived, Self::ResponseStarted, Self::ResponseComplete, Self::Panic];

    /// The stage of that name, which is case-sensitive.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str().as_bytes() == name)
    }

    /// How far the API server had come with an event's request, unless the event does not say.
    pub(crate) fn of(event: &Event<'_>) -> Option<Self> {
        said(event.get(Member::Stage)?, Self::ALL, Self::as_str)
    }

    /// The stage's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestReceived => "RequestReceived",
            Self::ResponseStarted => "ResponseStarted",
            Self::ResponseComplete => "ResponseComplete",
            Self::Panic => "Panic",
        }
    }
}

/// A set of stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stages(u8);

impl Stages {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Whether the stage is in the set.
    #[must_use]
    pub fn has(self, stage: Stage) -> bool {
        self.0 & 1 << stage as u8 != 0
    }

    /// Adds a stage.
    pub fn add(&mut self, stage: Stage) {
        self.0 |= 1 << stage as u8;
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A string of a policy and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it says.
    pub text: String,
    /// The line, from 1.
    pub line: u32,
}

/// One rule of a policy. It matches a request if all its fields do; an empty list matches everything.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The line it begins on, from 1.
    pub line: u32,
    /// `level`
    pub level: Level,
    /// `users`: usernames
    pub users: Vec<Entry>,
    /// `userGroups`: one of them suffices
    pub user_groups: Vec<Entry>,
    /// `verbs`
    pub verbs: Vec<Entry>,
    /// `resources`
    pub resources: Vec<GroupResources>,
    /// `namespaces`; the empty one stands for requests without a namespace
    pub namespaces: Vec<Entry>,
    /// `nonResourceURLs`: paths, or prefixes where they end in `*`
    pub non_resource_urls: Vec<Entry>,
    /// `omitStages`, without the policy's
    pub omit_stages: Stages,
    /// `omitManagedFields`; none inherits the policy's
    pub omit_managed_fields: Option<bool>,
}

impl Rule {
    /// Whether the rule matches nothing but requests for resources.
    #[must_use]
    pub fn is_for_resources(&self) -> bool {
        !self.resources.is_empty() || !self.namespaces.is_empty()
    }
}

/// Resources of one API group.
#[derive(Debug, Clone)]
pub struct GroupResources {
    /// `group`: empty for the core group, `*` for all groups
    pub group: Entry,
    /// `resources`: `pods`, `pods/log`, `pods/*`, `*/scale` or `*`; empty for the whole group
    pub resources: Vec<Entry>,
    /// `resourceNames`
    pub resource_names: Vec<Entry>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_stages_are_told_however_they_are_escaped() {
        let read = |level: &str, stage: &str| {
            let record = format!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"{level}","stage":"{stage}"}}"#
            );
            let event = Event::read(record.as_bytes(), b"audit").unwrap();
            (Level::of(&event), Stage::of(&event))
        };
        for (level, stage) in Level::ALL.into_iter().zip(Stage::ALL) {
            let expected = (Some(level), Some(stage));
            let (level, stage) = (level.as_str(), stage.as_str());
            assert_eq!(read(level, stage), expected);
            let escaped = |name: &str| name.replace('e', r"\u0065").replace('n', r"\u006e");
            assert_eq!(read(&escaped(level), &escaped(stage)), expected);
            assert_eq!(read(&level.to_lowercase(), &format!("{stage}x")), (None, None));
        }
        assert_eq!(read("", r"\\Panic"), (None, None));
    }
}

//! Why a policy decided as it did: each rule up to the one that matched, and what ruled it out.

use super::matching::{self, Field};
use super::model::{Level, Rule};
use super::request::Request;
use std::fmt;

/// A rule that was considered for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// The rule's index, from 0.
    pub rule: usize,
    /// The line it begins on, from 1.
    pub line: u32,
    /// Its level.
    pub level: Level,
    /// What ruled it out; none for the last one if that matched.
    pub mismatch: Option<Mismatch>,
}

/// What ruled a rule out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The first field that does not match.
    pub field: Field,
    /// What the event has in its place.
    pub seen: Seen,
}

/// What an event has where a rule wants something else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// No user: authentication failed.
    NoUser,
    /// The username.
    User(String),
    /// The user's groups.
    Groups(Vec<String>),
    /// The verb.
    Verb(String),
    /// The namespace in the path; empty for a request without one.
    Namespace(String),
    /// The API group, empty for core.
    Group(String),
    /// The resource as a policy writes it: `pods` or `pods/log`.
    Resource(String),
    /// The name in the path; empty for a collection.
    Name(String),
    /// The path of a request that is for no resource.
    Path(String),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser => f.write_str("no user"),
            Self::User(name) => write!(f, "user {name:?}"),
            Self::Groups(groups) if groups.is_empty() => f.write_str("no groups"),
            Self::Groups(groups) => write!(f, "groups {groups:?}"),
            Self::Verb(verb) => write!(f, "verb {verb:?}"),
            Self::Namespace(namespace) if namespace.is_empty() => f.write_str("no namespace"),
            Self::Namespace(namespace) => write!(f, "namespace {namespace:?}"),
            Self::Group(group) if group.is_empty() => f.write_str("the core group"),
            Self::Group(group) => write!(f, "group {group:?}"),
            Self::Resource(resource) => write!(f, "resource {resource:?}"),
            Self::Name(name) if name.is_empty() => f.write_str("no name"),
            Self::Name(name) => write!(f, "name {name:?}"),
            Self::Path(path) => write!(f, "path {path:?}"),
        }
    }
}

/// Considers the rules in their order, up to the one that matches.
pub(super) fn explain(rules: &[Rule], request: &Request<'_>) -> Vec<Considered> {
    let mut considered = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let mismatch = matching::mismatch(rule, request);
        considered.push(Considered {
            rule: index,
            line: rule.line,
            level: rule.level,
            mismatch: mismatch.map(|field| Mismatch { field, seen: seen(field, request) }),
        });
        if mismatch.is_none() {
            break;
        }
    }
    considered
}

fn seen(field: Field, request: &Request<'_>) -> Seen {
    match (field, &request.user, &request.resource) {
        (Field::Users | Field::UserGroups, None, _) => Seen::NoUser,
        (Field::Users, Some(user), _) => Seen::User(text(&user.name)),
        (Field::UserGroups, Some(user), _) => {
            Seen::Groups(user.groups.iter().map(|group| text(group)).collect())
        }
        (Field::Verbs, ..) => Seen::Verb(text(&request.verb)),
        (_, _, None) => Seen::Path(text(&request.path)),
        (Field::Namespaces, _, Some(target)) => Seen::Namespace(text(&target.namespace)),
        (Field::Group, _, Some(target)) => Seen::Group(text(&target.group)),
        (Field::ResourceName, _, Some(target)) => Seen::Name(text(&target.name)),
        (Field::Resource | Field::NonResourceUrls, _, Some(target)) if target.subresource.is_empty() => {
            Seen::Resource(text(&target.resource))
        }
        (Field::Resource | Field::NonResourceUrls, _, Some(target)) => {
            Seen::Resource(format!("{}/{}", text(&target.resource), text(&target.subresource)))
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

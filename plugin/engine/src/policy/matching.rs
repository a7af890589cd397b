//! What a rule matches, said as plainly as possible: `ruleMatches` of k8s.io/apiserver/pkg/audit/policy.
//!
//! This is what the tables of [`compiled`](super::compiled) are held against, and what `explain` asks.

use super::model::{Entry, GroupResources, Rule};
use super::request::{Request, Target};

/// The field of a rule that rules a request out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `users`
    Users,
    /// `userGroups`
    UserGroups,
    /// `verbs`
    Verbs,
    /// `namespaces`
    Namespaces,
    /// `resources`: none has the request's group
    Group,
    /// `resources`: one has the group, none the resource
    Resource,
    /// `resources`: one has group and resource, none the name
    ResourceName,
    /// `nonResourceURLs`
    NonResourceUrls,
}

impl Field {
    /// The field's path within the rule.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::UserGroups => "userGroups",
            Self::Verbs => "verbs",
            Self::Namespaces => "namespaces",
            Self::Group => "resources[].group",
            Self::Resource => "resources[].resources",
            Self::ResourceName => "resources[].resourceNames",
            Self::NonResourceUrls => "nonResourceURLs",
        }
    }
}

/// The index of the first rule that matches.
pub(super) fn first_match(rules: &[Rule], request: &Request<'_>) -> Option<usize> {
    rules.iter().position(|rule| mismatch(rule, request).is_none())
}

/// The first field that rules the request out; none where the rule matches.
pub(super) fn mismatch(rule: &Rule, request: &Request<'_>) -> Option<Field> {
    let user = request.user.as_ref();
    if !rule.users.is_empty() && !user.is_some_and(|user| has(&rule.users, &user.name)) {
        return Some(Field::Users);
    }
    if !rule.user_groups.is_empty()
        && !user.is_some_and(|user| user.groups.iter().any(|group| has(&rule.user_groups, group)))
    {
        return Some(Field::UserGroups);
    }
    if !rule.verbs.is_empty() && !has(&rule.verbs, &request.verb) {
        return Some(Field::Verbs);
    }
    if rule.is_for_resources() {
        return resource_mismatch(rule, request.resource.as_ref());
    }
    if !rule.non_resource_urls.is_empty() {
        let matches = request.resource.is_none()
            && rule.non_resource_urls.iter().any(|pattern| path_matches(&pattern.text, &request.path));
        return (!matches).then_some(Field::NonResourceUrls);
    }
    None
}

fn resource_mismatch(rule: &Rule, target: Option<&Target<'_>>) -> Option<Field> {
    let Some(target) = target else {
        return Some(if rule.namespaces.is_empty() { Field::Resource } else { Field::Namespaces });
    };
    if !rule.namespaces.is_empty() && !has(&rule.namespaces, &target.namespace) {
        return Some(Field::Namespaces);
    }
    if rule.resources.is_empty() {
        return None;
    }
    let mut reason = Field::Group;
    for resources in &rule.resources {
        match group_resources_mismatch(resources, target) {
            None => return None,
            // The reason nearest to a match says most.
            Some(Field::ResourceName) => reason = Field::ResourceName,
            Some(Field::Resource) if reason == Field::Group => reason = Field::Resource,
            Some(_) => {}
        }
    }
    Some(reason)
}

fn group_resources_mismatch(resources: &GroupResources, target: &Target<'_>) -> Option<Field> {
    let group = resources.group.text.as_str();
    if group != "*" && group.as_bytes() != &*target.group {
        return Some(Field::Group);
    }
    if resources.resources.is_empty() {
        return None;
    }
    if !resources.resources.iter().any(|pattern| resource_matches(&pattern.text, target)) {
        return Some(Field::Resource);
    }
    if !resources.resource_names.is_empty() && !has(&resources.resource_names, &target.name) {
        return Some(Field::ResourceName);
    }
    None
}

fn resource_matches(pattern: &str, target: &Target<'_>) -> bool {
    let (resource, subresource) = (&*target.resource, &*target.subresource);
    if pattern == "*" {
        return true;
    }
    let exact = if subresource.is_empty() {
        pattern.as_bytes() == resource
    } else {
        pattern
            .as_bytes()
            .strip_prefix(resource)
            .and_then(|rest| rest.strip_prefix(b"/"))
            .is_some_and(|rest| rest == subresource)
    };
    exact
        || (!subresource.is_empty()
            && pattern.strip_prefix("*/").is_some_and(|wanted| wanted.as_bytes() == subresource))
        || pattern.strip_suffix("/*").is_some_and(|wanted| wanted.as_bytes() == resource)
}

fn path_matches(pattern: &str, path: &[u8]) -> bool {
    match url_prefix(pattern) {
        Some(prefix) => path.starts_with(prefix.as_bytes()),
        None => path == pattern.as_bytes(),
    }
}

/// What stands before the trailing `*` of a pattern that has one.
pub(super) fn url_prefix(pattern: &str) -> Option<&str> {
    pattern.ends_with('*').then(|| pattern.trim_end_matches('*'))
}

fn has(list: &[Entry], value: &[u8]) -> bool {
    list.iter().any(|entry| entry.text.as_bytes() == value)
}

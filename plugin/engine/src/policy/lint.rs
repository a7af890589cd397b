//! What is valid in a policy but surely not meant. Each lint is sure of itself or silent: a custom
//! resource, a custom group or a rule that might be reached is never warned of.

use super::Policy;
use super::known;
use super::matching::{self, url_prefix};
use super::model::{Entry, GroupResources, Level, Rule, Stage};
use super::request::{Request, Requester, Target, is_for_resource};
use super::suggest::nearest;
use crate::problem::Problems;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn lint(policy: &Policy, file: &Arc<str>, path: &str, problems: &mut Problems) {
    let mut linter = Linter { file, problems };
    let rules_path = if path.is_empty() { "rules".to_owned() } else { format!("{path}.rules") };
    for (index, rule) in policy.rules.iter().enumerate() {
        linter.rule(rule, &format!("{rules_path}[{index}]"));
    }
    linter.unreachable_rules(&policy.rules, &rules_path);
    linter.dropped_secret_writes(policy, &rules_path);
}

struct Linter<'l> {
    file: &'l Arc<str>,
    problems: &'l mut Problems,
}

/// The verbs of requests for resources: `RequestInfo` knows no others.
const RESOURCE_VERBS: &[&str] =
    &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "proxy", ""];

/// The verbs of other requests: the HTTP methods.
const HTTP_VERBS: &[&str] = &["get", "head", "post", "put", "patch", "delete", "options", "connect", "trace"];

impl Linter<'_> {
    fn rule(&mut self, rule: &Rule, path: &str) {
        let users = format!("{path}.users");
        self.values(&rule.users, &users, "a username");
        self.groups_among_users(&rule.users, &users);
        let groups = format!("{path}.userGroups");
        self.values(&rule.user_groups, &groups, "a group");
        self.users_among_groups(&rule.user_groups, &groups);
        let verbs = format!("{path}.verbs");
        self.values(&rule.verbs, &verbs, "a verb");
        self.verbs(rule, &verbs);
        self.values(&rule.namespaces, &format!("{path}.namespaces"), "a namespace");
        self.urls(&rule.non_resource_urls, &format!("{path}.nonResourceURLs"));
        for (index, entry) in rule.resources.iter().enumerate() {
            let path = format!("{path}.resources[{index}]");
            self.resources(entry, &path);
            self.values(&entry.resource_names, &format!("{path}.resourceNames"), "a name");
        }
    }

    /// A list whose items are compared as they stand.
    fn values(&mut self, list: &[Entry], path: &str, what: &str) {
        self.duplicates(list, path);
        for (index, Entry { text, line }) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if text == "*" {
                let message = format!(
                    "there are no wildcards here: this is {what} called *; \
                                       leave the whole list out to match all"
                );
                self.warn(*line, &path, message);
            } else if text.contains('*') {
                self.warn(
                    *line,
                    &path,
                    format!("there are no wildcards here: {text:?} is {what} as it stands"),
                );
            }
        }
    }

    fn duplicates(&mut self, list: &[Entry], path: &str) {
        let mut seen = BTreeSet::new();
        for (index, Entry { text, line }) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if !seen.insert(text) {
                self.warn(*line, &path, format!("{text:?} is in the list already"));
            }
            if text.trim() != text {
                let message = format!("{text:?} has blanks around it, which count; write {:?}", text.trim());
                self.warn(*line, &path, message);
            }
        }
    }

    fn groups_among_users(&mut self, users: &[Entry], path: &str) {
        for (index, Entry { text, line }) in users.iter().enumerate() {
            let is_group = matches!(
                text.as_str(),
                "system:masters"
                    | "system:nodes"
                    | "system:authenticated"
                    | "system:unauthenticated"
                    | "system:serviceaccounts"
                    | "system:monitoring"
            ) || text.starts_with("system:serviceaccounts:");
            if is_group {
                self.warn(
                    *line,
                    &format!("{path}[{index}]"),
                    format!("{text:?} is a group; it belongs in userGroups"),
                );
            }
        }
    }

    fn users_among_groups(&mut self, groups: &[Entry], path: &str) {
        for (index, Entry { text, line }) in groups.iter().enumerate() {
            let is_user = text.starts_with("system:serviceaccount:")
                || text.starts_with("system:node:")
                || text == "system:anonymous";
            if is_user {
                self.warn(
                    *line,
                    &format!("{path}[{index}]"),
                    format!("{text:?} is a user; it belongs in users"),
                );
            }
        }
    }

    fn verbs(&mut self, rule: &Rule, path: &str) {
        let for_resources = rule.is_for_resources();
        let for_others = !rule.non_resource_urls.is_empty();
        for (index, Entry { text, line }) in rule.verbs.iter().enumerate() {
            let verb = text.as_str();
            let known = (!for_others && RESOURCE_VERBS.contains(&verb))
                || (!for_resources && HTTP_VERBS.contains(&verb));
            if known || verb.contains('*') || verb.trim() != verb {
                continue;
            }
            let path = format!("{path}[{index}]");
            let meant = match verb.to_ascii_lowercase().as_str() {
                "post" if for_resources => Some("create"),
                "put" if for_resources => Some("update"),
                "head" if for_resources => Some("get"),
                "create" if for_others => Some("post"),
                "update" if for_others => Some("put"),
                "list" | "watch" if for_others => Some("get"),
                lower if for_others => nearest(lower, HTTP_VERBS.iter().copied()),
                lower => nearest(lower, RESOURCE_VERBS.iter().copied()),
            };
            let which = if for_resources {
                "no request for a resource has"
            } else if for_others {
                "no request for a path has"
            } else {
                "no request has"
            };
            self.warn(*line, &path, format!("{which} the verb {verb:?}{}", did_you_mean(meant)));
        }
    }

    fn urls(&mut self, urls: &[Entry], path: &str) {
        self.duplicates(urls, path);
        for (index, Entry { text, line }) in urls.iter().enumerate() {
            // Whatever continues a resource's path is a resource's path as well.
            if is_for_resource(url_prefix(text).unwrap_or(text).as_bytes()) {
                let message =
                    format!("never matches: {text:?} is the path of a resource; write a rule with resources");
                self.warn(*line, &format!("{path}[{index}]"), message);
            }
        }
    }

    fn resources(&mut self, entry: &GroupResources, path: &str) {
        self.group(&entry.group, &format!("{path}.group"));
        let path = format!("{path}.resources");
        self.duplicates(&entry.resources, &path);
        for (index, pattern) in entry.resources.iter().enumerate() {
            if let Some(message) = resource_problem(&pattern.text, &entry.group.text) {
                self.warn(pattern.line, &format!("{path}[{index}]"), message);
            }
        }
    }

    fn group(&mut self, group: &Entry, path: &str) {
        let name = group.text.as_str();
        if name == "*" || known::group(name).is_some() {
            return;
        }
        let message = if name == "core" || is_version(name) {
            let what = if name == "core" { "the core group's nickname" } else { "a version" };
            format!("{name:?} is {what} and matches nothing; the core group is \"\"")
        } else if let Some(meant) = full_group(name) {
            format!("no API has the group {name:?}; did you mean {meant:?}?")
        } else if name.contains('.') {
            // A custom group, as far as anybody can tell.
            return;
        } else {
            format!("no API has the group {name:?}: a custom one would have a dot in it")
        };
        self.warn(group.line, path, message);
    }

    fn unreachable_rules(&mut self, rules: &[Rule], path: &str) {
        for (index, rule) in rules.iter().enumerate() {
            let earlier = rules.get(..index).unwrap_or_default();
            let Some(covering) = covering(rule, earlier) else { continue };
            let names: Vec<String> = covering.iter().map(|earlier| format!("{path}[{earlier}]")).collect();
            let message = match names.as_slice() {
                [one] => format!(
                    "never reached: {one} already matches all that this rule does; put this one before it"
                ),
                [many @ .., last] => format!(
                    "never reached: {} and {last} together already match all that this rule does",
                    many.join(", ")
                ),
                [] => continue,
            };
            self.warn(rule.line, &format!("{path}[{index}]"), message);
        }
    }

    /// Asks the policy what it would do with an ordinary user's writes of Secrets.
    fn dropped_secret_writes(&mut self, policy: &Policy, path: &str) {
        let mut dropped: Vec<(Option<usize>, Vec<&str>)> = Vec::new();
        for verb in ["create", "update", "patch", "delete", "deletecollection"] {
            let request = secret_request(verb);
            let rule = matching::first_match(&policy.rules, &request);
            if !drops(policy, rule) {
                continue;
            }
            match dropped.iter_mut().find(|(by, _)| *by == rule) {
                Some((_, verbs)) => verbs.push(verb),
                None => dropped.push((rule, vec![verb])),
            }
        }
        for (rule, verbs) in dropped {
            let verbs = verbs.join(", ");
            match rule.and_then(|index| Some((index, policy.rules.get(index)?))) {
                Some((index, rule)) => self.warn(
                    rule.line,
                    &format!("{path}[{index}]"),
                    format!("drops what people do to Secrets ({verbs}); put a rule before it that keeps secrets at Metadata"),
                ),
                None => self.warn(
                    policy.line,
                    path,
                    format!("no rule keeps what people do to Secrets ({verbs}); add one that keeps secrets at Metadata"),
                ),
            }
        }
    }

    fn warn(&mut self, line: u32, path: &str, message: String) {
        self.problems.warning(self.file, line, path, message);
    }
}

fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default()
}

/// `v1`, `v2beta1` and the like.
fn is_version(name: &str) -> bool {
    name.strip_prefix('v').is_some_and(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let suffix = rest.strip_prefix("alpha").or(rest.strip_prefix("beta")).unwrap_or(rest);
        rest.len() < name.len() - 1 && suffix.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The known group that a name is short for, or nearly is.
fn full_group(name: &str) -> Option<&'static str> {
    let names = known::GROUPS.iter().map(|group| group.name).filter(|group| !group.is_empty());
    names
        .clone()
        .find(|group| group.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
        .or_else(|| nearest(name, names))
}

/// What is wrong with a resource pattern, if it surely is.
fn resource_problem(pattern: &str, group: &str) -> Option<String> {
    if pattern.trim() != pattern {
        return None;
    }
    let (resource, subresource) = match pattern.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (pattern, None),
    };
    if pattern == "*/*" {
        return Some(
            "\"*/*\" matches nothing; \"*\" matches all resources and their subresources".to_owned(),
        );
    }
    if subresource.is_none_or(|subresource| subresource != "*") && pattern != "*" && has_stray_star(pattern) {
        return Some(format!("{pattern:?} matches nothing: a * stands for a whole resource or subresource"));
    }
    if resource.is_empty() || subresource == Some("") {
        return Some(format!("{pattern:?} matches nothing; leave resources out to match the whole group"));
    }
    let group = known::group(group)?;
    if resource != "*" && !group.resources.contains(&resource) {
        return unknown_resource(resource, group);
    }
    let subresource = subresource.filter(|subresource| *subresource != "*")?;
    if group.complete && !known::SUBRESOURCES.contains(&subresource) {
        let meant = nearest(subresource, known::SUBRESOURCES.iter().copied());
        return Some(format!("no resource has the subresource {subresource:?}{}", did_you_mean(meant)));
    }
    None
}

/// Whether a `*` stands where it is a character like any other.
fn has_stray_star(pattern: &str) -> bool {
    pattern.strip_prefix("*/").unwrap_or(pattern).contains('*')
}

fn unknown_resource(resource: &str, group: &known::Group) -> Option<String> {
    let what = format!("the group {:?} has no resource {resource:?}", group.name);
    let meant = known::short_name(resource)
        .filter(|full| group.resources.contains(full))
        .or_else(|| nearest(resource, group.resources.iter().copied()));
    if let Some(meant) = meant {
        return Some(format!("{what}; did you mean {meant:?}?"));
    }
    let full = known::short_name(resource).unwrap_or(resource);
    if let Some(home) = known::groups_with(full).find(|home| home.name != "extensions") {
        return Some(format!("{what}; {full:?} is in the group {:?}", home.name));
    }
    group.complete.then_some(what)
}

fn secret_request(verb: &'static str) -> Request<'static> {
    let names_one = !matches!(verb, "create" | "deletecollection");
    Request {
        user: Some(Requester { name: b"jane"[..].into(), groups: vec![b"system:authenticated"[..].into()] }),
        verb: verb.as_bytes().into(),
        path: b"/api/v1/namespaces/default/secrets"[..].into(),
        resource: Some(Target {
            resource: b"secrets"[..].into(),
            namespace: b"default"[..].into(),
            name: if names_one { b"credentials"[..].into() } else { b""[..].into() },
            ..Target::default()
        }),
    }
}

/// Whether no event remains of a request that a rule, or no rule, decides.
fn drops(policy: &Policy, rule: Option<usize>) -> bool {
    let Some(rule) = rule.and_then(|index| policy.rules.get(index)) else { return true };
    let omitted = policy.omit_stages.union(rule.omit_stages);
    let written = [Stage::RequestReceived, Stage::ResponseComplete];
    rule.level == Level::None || written.into_iter().all(|stage| omitted.has(stage))
}

/// One combination of what a rule accepts; none stands for anything.
#[derive(Clone, Copy)]
struct Atom<'r> {
    user: Option<&'r str>,
    group: Option<&'r str>,
    verb: Option<&'r str>,
    target: AtomTarget<'r>,
}

#[derive(Clone, Copy)]
enum AtomTarget<'r> {
    Resource { namespace: Option<&'r str>, resource: Option<AtomResource<'r>> },
    Url(&'r str),
}

#[derive(Clone, Copy)]
struct AtomResource<'r> {
    group: &'r str,
    /// None is the whole group.
    pattern: Option<&'r str>,
    name: Option<&'r str>,
}

/// Which earlier rules together match everything that a rule matches, or none if that is not certain.
///
/// A request that the rule matches has one of its users, verbs and so on, so it is in one of the rule's
/// combinations; if each of them is inside one earlier rule, no request gets as far as this one.
fn covering(rule: &Rule, earlier: &[Rule]) -> Option<BTreeSet<usize>> {
    /// No real rule comes near; a machine-made one is not worth the time.
    const MAX_ATOMS: usize = 1 << 12;
    let targets = targets(rule);
    let (users, groups, verbs) = (choices(&rule.users), choices(&rule.user_groups), choices(&rule.verbs));
    if [groups.len(), verbs.len(), targets.len()].iter().fold(users.len(), |n, len| n.saturating_mul(*len))
        > MAX_ATOMS
    {
        return None;
    }
    let mut by = BTreeSet::new();
    for &user in &users {
        for &group in &groups {
            for &verb in &verbs {
                for &target in &targets {
                    let atom = Atom { user, group, verb, target };
                    by.insert(earlier.iter().position(|earlier| covers(earlier, &atom))?);
                }
            }
        }
    }
    Some(by)
}

fn choices(list: &[Entry]) -> Vec<Option<&str>> {
    if list.is_empty() { vec![None] } else { list.iter().map(|entry| Some(entry.text.as_str())).collect() }
}

fn targets(rule: &Rule) -> Vec<AtomTarget<'_>> {
    if !rule.non_resource_urls.is_empty() {
        return rule.non_resource_urls.iter().map(|pattern| AtomTarget::Url(&pattern.text)).collect();
    }
    let mut resources = Vec::new();
    for entry in &rule.resources {
        for pattern in choices(&entry.resources) {
            for name in choices(&entry.resource_names) {
                resources.push(Some(AtomResource { group: &entry.group.text, pattern, name }));
            }
        }
    }
    if resources.is_empty() {
        resources.push(None);
    }
    let mut targets = Vec::new();
    for namespace in choices(&rule.namespaces) {
        targets.extend(resources.iter().map(|&resource| AtomTarget::Resource { namespace, resource }));
    }
    if !rule.is_for_resources() {
        targets.push(AtomTarget::Url("*"));
    }
    targets
}

/// Whether a rule matches every request that the combination stands for.
fn covers(rule: &Rule, atom: &Atom<'_>) -> bool {
    accepts(&rule.users, atom.user)
        && accepts(&rule.user_groups, atom.group)
        && accepts(&rule.verbs, atom.verb)
        && covers_target(rule, atom.target)
}

fn accepts(list: &[Entry], value: Option<&str>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.iter().any(|entry| entry.text == value))
}

fn covers_target(rule: &Rule, target: AtomTarget<'_>) -> bool {
    match target {
        AtomTarget::Url(url) => {
            !rule.is_for_resources()
                && (rule.non_resource_urls.is_empty()
                    || rule.non_resource_urls.iter().any(|pattern| covers_url(&pattern.text, url)))
        }
        AtomTarget::Resource { namespace, resource } => {
            rule.non_resource_urls.is_empty()
                && accepts(&rule.namespaces, namespace)
                && (rule.resources.is_empty()
                    || rule.resources.iter().any(|entry| covers_resource(entry, resource)))
        }
    }
}

fn covers_url(pattern: &str, url: &str) -> bool {
    match url_prefix(pattern) {
        Some(prefix) => url_prefix(url).unwrap_or(url).starts_with(prefix),
        None => pattern == url,
    }
}

fn covers_resource(entry: &GroupResources, wanted: Option<AtomResource<'_>>) -> bool {
    let Some(wanted) = wanted else {
        return entry.group.text == "*" && covers_pattern(entry, None) && entry.resource_names.is_empty();
    };
    (entry.group.text == "*" || entry.group.text == wanted.group)
        && covers_pattern(entry, wanted.pattern)
        && (entry.resources.is_empty() || accepts(&entry.resource_names, wanted.name))
}

fn covers_pattern(entry: &GroupResources, wanted: Option<&str>) -> bool {
    if entry.resources.is_empty() {
        return true;
    }
    entry.resources.iter().map(|pattern| pattern.text.as_str()).any(|pattern| {
        pattern == "*" || wanted.is_some_and(|wanted| pattern == wanted || is_within(wanted, pattern))
    })
}

/// Whether a resource or subresource is among those of a pattern with one `*`.
fn is_within(wanted: &str, pattern: &str) -> bool {
    let (resource, subresource) = wanted.split_once('/').unwrap_or((wanted, ""));
    match pattern.split_once('/') {
        Some(("*", "*")) | None => false,
        Some((one, "*")) => one == resource,
        Some(("*", one)) => one == subresource,
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::policy;
    use crate::problem::Problems;

    /// What is said of a policy of these rules; the first is on line 4.
    fn lints(rules: &[&str]) -> Vec<String> {
        let mut problems = Problems::default();
        policy(rules).lint(&"p".into(), "", &mut problems);
        problems.into_iter().map(|problem| problem.to_string()).collect()
    }

    /// The same with a rule ahead that keeps Secrets, so that nothing is said of them.
    #[track_caller]
    fn check(rule: &str, expected: &[&str]) {
        let found = lints(&["resources: [{resources: [secrets]}]", rule]);
        let expected: Vec<String> =
            expected.iter().map(|expected| format!("p:5: warning: rules[1].{expected}")).collect();
        assert_eq!(found, expected, "{rule}");
    }

    #[test]
    fn strings_that_match_nothing() {
        for (rule, expected) in [
            ("users: [jane], userGroups: [a, b], verbs: [get], namespaces: ['', a]", &[][..]),
            ("users: [jane, bob, jane]", &["users[2]: \"jane\" is in the list already"]),
            ("users: ['jane ']", &["users[0]: \"jane \" has blanks around it, which count; write \"jane\""]),
            (
                "users: ['*'], verbs: ['*'], namespaces: ['*']",
                &[
                    "users[0]: there are no wildcards here: this is a username called *; leave the whole list out to match all",
                    "verbs[0]: there are no wildcards here: this is a verb called *; leave the whole list out to match all",
                    "namespaces[0]: there are no wildcards here: this is a namespace called *; leave the whole list out to match all",
                ],
            ),
            (
                "users: ['system:*'], resources: [{resources: [pods], resourceNames: ['web-*']}]",
                &[
                    "users[0]: there are no wildcards here: \"system:*\" is a username as it stands",
                    "resources[0].resourceNames[0]: there are no wildcards here: \"web-*\" is a name as it stands",
                ],
            ),
            (
                "users: ['system:masters']",
                &["users[0]: \"system:masters\" is a group; it belongs in userGroups"],
            ),
            (
                "userGroups: ['system:serviceaccount:a:b', 'system:serviceaccounts:a']",
                &["userGroups[0]: \"system:serviceaccount:a:b\" is a user; it belongs in users"],
            ),
            ("nonResourceURLs: [/api, '/api/*', /api/v1, '/apis/apps/*', '/metrics*']", &[]),
            (
                "nonResourceURLs: ['/api/v1/pods*', /apis/apps/v1/deployments]",
                &[
                    "nonResourceURLs[0]: never matches: \"/api/v1/pods*\" is the path of a resource; write a rule with resources",
                    "nonResourceURLs[1]: never matches: \"/apis/apps/v1/deployments\" is the path of a resource; write a rule with resources",
                ],
            ),
            ("nonResourceURLs: [/a, /a]", &["nonResourceURLs[1]: \"/a\" is in the list already"]),
        ] {
            check(rule, expected);
        }
    }

    #[test]
    fn verbs_that_no_request_has() {
        for (rule, expected) in [
            (
                "verbs: [get, list, watch, create, update, patch, delete, deletecollection, '', head, post]",
                &[][..],
            ),
            ("verbs: [GET]", &["verbs[0]: no request has the verb \"GET\"; did you mean \"get\"?"]),
            (
                "verbs: [creates]",
                &["verbs[0]: no request has the verb \"creates\"; did you mean \"create\"?"],
            ),
            ("verbs: [impersonate]", &["verbs[0]: no request has the verb \"impersonate\""]),
            (
                "verbs: [post], namespaces: [a]",
                &["verbs[0]: no request for a resource has the verb \"post\"; did you mean \"create\"?"],
            ),
            (
                "verbs: [list], nonResourceURLs: [/a]",
                &["verbs[0]: no request for a path has the verb \"list\"; did you mean \"get\"?"],
            ),
        ] {
            check(rule, expected);
        }
    }

    #[test]
    fn resources_and_groups_that_no_api_has() {
        for (rule, expected) in [
            ("resources: [{resources: [pods, pods/log, pods/*, '*/status', nodes/proxy]}]", &[][..]),
            ("resources: [{group: example.com, resources: [widget, pod]}]", &[]),
            ("resources: [{group: '*', resources: [widgets]}]", &[]),
            ("resources: [{group: resource.k8s.io, resources: [whateverisnext]}]", &[]),
            ("resources: [{group: gateway.networking.k8s.io, resources: [gateways]}]", &[]),
            (
                "resources: [{resources: [pod]}]",
                &[
                    "resources[0].resources[0]: the group \"\" has no resource \"pod\"; did you mean \"pods\"?",
                ],
            ),
            (
                "resources: [{resources: [Pod/log, cm]}]",
                &[
                    "resources[0].resources[0]: the group \"\" has no resource \"Pod\"; did you mean \"pods\"?",
                    "resources[0].resources[1]: the group \"\" has no resource \"cm\"; did you mean \"configmaps\"?",
                ],
            ),
            (
                "resources: [{resources: [deployments]}]",
                &[
                    "resources[0].resources[0]: the group \"\" has no resource \"deployments\"; \"deployments\" is in the group \"apps\"",
                ],
            ),
            (
                "resources: [{group: apps, resources: [ing]}]",
                &[
                    "resources[0].resources[0]: the group \"apps\" has no resource \"ing\"; \"ingresses\" is in the group \"networking.k8s.io\"",
                ],
            ),
            (
                "resources: [{resources: [widgets]}]",
                &["resources[0].resources[0]: the group \"\" has no resource \"widgets\""],
            ),
            (
                "resources: [{resources: [pods/logs]}]",
                &[
                    "resources[0].resources[0]: no resource has the subresource \"logs\"; did you mean \"log\"?",
                ],
            ),
            (
                "resources: [{resources: ['*/*']}]",
                &[
                    "resources[0].resources[0]: \"*/*\" matches nothing; \"*\" matches all resources and their subresources",
                ],
            ),
            (
                "resources: [{group: example.com, resources: ['p*', '']}]",
                &[
                    "resources[0].resources[0]: \"p*\" matches nothing: a * stands for a whole resource or subresource",
                    "resources[0].resources[1]: \"\" matches nothing; leave resources out to match the whole group",
                ],
            ),
            (
                "resources: [{group: core}, {group: v1}, {group: v2beta1}]",
                &[
                    "resources[0].group: \"core\" is the core group's nickname and matches nothing; the core group is \"\"",
                    "resources[1].group: \"v1\" is a version and matches nothing; the core group is \"\"",
                    "resources[2].group: \"v2beta1\" is a version and matches nothing; the core group is \"\"",
                ],
            ),
            (
                "resources: [{group: rbac}, {group: network.k8s.io}, {group: rbac.authorization.k8s.oi}, {group: widgets}]",
                &[
                    "resources[0].group: no API has the group \"rbac\"; did you mean \"rbac.authorization.k8s.io\"?",
                    "resources[1].group: no API has the group \"network.k8s.io\"; did you mean \"networking.k8s.io\"?",
                    "resources[2].group: no API has the group \"rbac.authorization.k8s.oi\"; did you mean \"rbac.authorization.k8s.io\"?",
                    "resources[3].group: no API has the group \"widgets\": a custom one would have a dot in it",
                ],
            ),
        ] {
            check(rule, expected);
        }
    }

    #[test]
    fn rules_that_are_never_reached() {
        let keeps_secrets = "resources: [{resources: [secrets]}], namespaces: [default]";
        for (rules, expected) in [
            (&["verbs: [get]", "verbs: [list]", "users: [jane]"][..], None),
            (
                &["", "users: [jane]"],
                Some("rules[2]: never reached: rules[1] already matches all that this rule does"),
            ),
            (&["users: [jane, bob]", "users: [bob]"], Some("rules[2]: never reached: rules[1] already")),
            (&["users: [jane]", "users: [jane, bob]"], None),
            (&["users: [jane]", "userGroups: [developers]"], None),
            (
                &["userGroups: [a, b]", "userGroups: [b], verbs: [get]"],
                Some("rules[2]: never reached: rules[1]"),
            ),
            (
                &["verbs: [get]", "verbs: [list, watch]", "verbs: [get, watch], users: [jane]"],
                Some(
                    "rules[3]: never reached: rules[1] and rules[2] together already match all that this rule does",
                ),
            ),
            (
                &["resources: [{resources: [pods/*]}]", "resources: [{resources: [pods, pods/log]}]"],
                Some("rules[2]"),
            ),
            (&["resources: [{resources: [pods]}]", "resources: [{resources: [pods/log]}]"], None),
            (&["resources: [{resources: [pods]}]", "resources: [{resources: [pods/*]}]"], None),
            (
                &["resources: [{resources: ['*/log']}]", "resources: [{resources: [pods/log]}]"],
                Some("rules[2]"),
            ),
            (&["resources: [{resources: ['*/log']}]", "resources: [{resources: [pods/*]}]"], None),
            (
                &["resources: [{resources: ['*/*']}]", "resources: [{resources: ['*/log', '*', pods/*]}]"],
                None,
            ),
            (&["resources: [{resources: ['*/*']}]", "resources: [{resources: ['*/log']}]"], None),
            (&["resources: [{resources: ['*/*']}]", "resources: [{resources: [pods/*]}]"], None),
            (
                &["resources: [{group: example.com, resources: ['*']}]", "resources: [{group: example.com}]"],
                Some("rules[2]"),
            ),
            (&["resources: [{group: '*'}]", "resources: [{group: apps}], namespaces: [a]"], Some("rules[2]")),
            (&["resources: [{group: apps}]", "namespaces: [a]"], None),
            (&["namespaces: [a, '']", "resources: [{group: apps}], namespaces: [a]"], Some("rules[2]")),
            (
                &["resources: [{resources: [pods], resourceNames: [a]}]", "resources: [{resources: [pods]}]"],
                None,
            ),
            (
                &["resources: [{resources: [pods]}]", "resources: [{resources: [pods], resourceNames: [a]}]"],
                Some("rules[2]"),
            ),
            (&["nonResourceURLs: ['/a*']", "nonResourceURLs: [/abc, '/ab*']"], Some("rules[2]")),
            (&["nonResourceURLs: [/a]", "nonResourceURLs: ['/a*']"], None),
            (&["nonResourceURLs: ['*']", "verbs: [get]"], None),
            (&["nonResourceURLs: ['*']", "resources: [{group: '*'}]", "verbs: [get]"], Some("rules[3]")),
            (&["nonResourceURLs: ['*']", "namespaces: [a]"], None),
        ] {
            let rules = [&[keeps_secrets], rules].concat();
            let found = lints(&rules);
            let found: Vec<&str> = found
                .iter()
                .filter(|lint| lint.contains("never reached"))
                .map(|lint| lint.split_once("warning: ").unwrap().1)
                .collect();
            match expected {
                None => assert_eq!(found, [""; 0], "{rules:?}"),
                Some(expected) => {
                    assert!(found.len() == 1 && found[0].starts_with(expected), "{rules:?}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn writes_of_secrets_that_nobody_sees() {
        for (rules, expected) in [
            (&["level: Metadata"][..], &[][..]),
            (&["resources: [{resources: [secrets]}]", "level: None"], &[]),
            (
                &["level: None"],
                &[
                    "p:4: warning: rules[0]: drops what people do to Secrets (create, update, patch, delete, deletecollection); \
                   put a rule before it that keeps secrets at Metadata",
                ],
            ),
            (
                &[
                    "level: None, verbs: [patch], resources: [{resources: [secrets]}]",
                    "verbs: [create, update, patch]",
                ],
                &[
                    "p:1: warning: rules: no rule keeps what people do to Secrets (delete, deletecollection); add one that keeps secrets at Metadata",
                    "p:4: warning: rules[0]: drops what people do to Secrets (patch); put a rule before it that keeps secrets at Metadata",
                ],
            ),
            // The control plane's own writes are not people's.
            (&["level: None, users: ['system:kube-controller-manager']", "level: Metadata"], &[]),
            (
                &["level: Metadata, omitStages: [RequestReceived, ResponseComplete]"],
                &[
                    "p:4: warning: rules[0]: drops what people do to Secrets (create, update, patch, delete, deletecollection); \
                   put a rule before it that keeps secrets at Metadata",
                ],
            ),
        ] {
            let mut found = lints(rules);
            found.sort();
            assert_eq!(found, expected, "{rules:?}");
        }
    }
}

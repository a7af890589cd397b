//! Random policies and events that have something to do with each other: few words, so that they meet, and
//! the odd ones among them.

use super::model::{Entry, GroupResources, Level, Rule, Stage, Stages};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

const USERS: &[&str] = &["", "jane", "system:anonymous", "system:serviceaccount:kube-system:default", "a&b"];
const USER_GROUPS: &[&str] =
    &["", "g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8", "g9", "system:nodes"];
const VERBS: &[&str] = &["", "get", "list", "watch", "create", "update", "patch", "head"];
const API_GROUPS: &[&str] = &["", "apps", "batch"];
const RESOURCES: &[&str] = &["pods", "secrets", "deployments", "*", "a/b"];
const SUBRESOURCES: &[&str] = &["", "", "log", "status", "*", "b/c"];
const PATTERNS: &[&str] = &[
    "*",
    "*/*",
    "pods",
    "pods/log",
    "pods/*",
    "*/log",
    "*/status",
    "secrets",
    "deployments/*",
    "*/b/c",
    "a/b",
    "a/b/log",
    "a/*",
    "a/b/*",
    "/",
    "pods/",
    "*/",
    "",
];
const NAMESPACES: &[&str] = &["", "default", "kube-system"];
const NAMES: &[&str] = &["", "web", "db"];
const URLS: &[&str] =
    &["*", "/", "/*", "/a", "/a*", "/ab", "/ab*", "/abc*", "/healthz", "/healthz*", "/logs/*", "/logs*"];
const PATHS: &[&str] = &[
    "/",
    "",
    "*",
    "/a",
    "/ab",
    "/abcd",
    "/b",
    "/healthz",
    "/%68ealthz?x=/a",
    "/healthz%3Fx",
    "/logs",
    "/logs/",
    "/logsfoo",
];

fn entries(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let some = subsequence(words, 0..=most.min(words.len()));
    prop_oneof![2 => Just(Vec::new()), 1 => some].prop_map(|words| {
        words.into_iter().map(|word: &str| Entry { text: word.to_owned(), line: 1 }).collect()
    })
}

fn group_resources() -> impl Strategy<Value = GroupResources> {
    let group = select(&["", "apps", "batch", "*"][..]);
    (group, entries(PATTERNS, 3), entries(NAMES, 2)).prop_map(|(group, resources, names)| GroupResources {
        group: Entry { text: group.to_owned(), line: 1 },
        // Names without resources are refused.
        resource_names: if resources.is_empty() { Vec::new() } else { names },
        resources,
    })
}

pub(super) fn rule() -> impl Strategy<Value = Rule> {
    let who = (entries(USERS, 3), entries(USER_GROUPS, 12), entries(VERBS, 4));
    let what = prop_oneof![
        3 => (vec(group_resources(), 0..3), entries(NAMESPACES, 2), Just(Vec::new())),
        1 => (Just(Vec::new()), Just(Vec::new()), entries(URLS, 4)),
    ];
    let answer = (select(&Level::ALL[..]), subsequence(&Stage::ALL[..], 0..2), any::<Option<bool>>());
    (who, what, answer).prop_map(
        |((users, user_groups, verbs), (resources, namespaces, non_resource_urls), (level, stages, omit))| {
            let mut omit_stages = Stages::NONE;
            stages.into_iter().for_each(|stage| omit_stages.add(stage));
            Rule {
                line: 1,
                level,
                users,
                user_groups,
                verbs,
                resources,
                namespaces,
                non_resource_urls,
                omit_stages,
                omit_managed_fields: omit,
            }
        },
    )
}

/// An event as JSON text. Where it has an `objectRef`, its path has the namespace and the name or not.
pub(super) fn event() -> impl Strategy<Value = String> {
    let user = prop_oneof![
        1 => Just(json!({})),
        9 => (select(USERS), subsequence(USER_GROUPS, 0..=USER_GROUPS.len()))
            .prop_map(|(name, groups)| json!({"username": name, "groups": groups})),
    ];
    let resource = (
        (select(API_GROUPS), select(RESOURCES), select(SUBRESOURCES)),
        (select(NAMESPACES), select(NAMES)),
        (any::<bool>(), any::<bool>()),
    )
        .prop_map(|((group, resource, subresource), (namespace, name), (has_namespace, has_name))| {
            let base = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
            let mut path = base;
            if has_namespace && !namespace.is_empty() {
                path = format!("{path}/namespaces/{namespace}");
            }
            path = format!("{path}/{resource}");
            if has_name && !name.is_empty() {
                path = format!("{path}/{name}");
            }
            let reference = json!({
                "apiGroup": group, "resource": resource, "subresource": subresource,
                "namespace": namespace, "name": name,
            });
            (path, Some(reference))
        });
    let target = prop_oneof![3 => resource, 1 => select(PATHS).prop_map(|path| (path.to_owned(), None))];
    (user, select(VERBS), target, select(&Stage::ALL[..])).prop_map(
        |(user, verb, (path, reference), stage)| {
            let mut event = json!({
                "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "1",
                "stage": stage.as_str(), "requestURI": path, "verb": verb, "user": user,
            });
            if let (Some(reference), Some(event)) = (reference, event.as_object_mut()) {
                event.insert("objectRef".to_owned(), reference);
            }
            write(&event)
        },
    )
}

/// As kube-apiserver's encoder writes it: `&` is an escape.
fn write(event: &Value) -> String {
    event.to_string().replace('&', "\\u0026")
}

//! What a policy matches, clause by clause, and that the tables agree with the plain evaluator.

use super::generate;
use super::*;
use crate::policy::lint::lint;
use crate::record::{Bodies, Familiar};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A policy with these rules, each the inside of a flow mapping; a rule's level is Metadata if it has none.
pub(super) fn policy(rules: &[&str]) -> Policy {
    let rules: String = rules
        .iter()
        .map(|rule| {
            let level = if rule.contains("level:") { "" } else { "level: Metadata, " };
            format!("- {{{level}{rule}}}\n")
        })
        .collect();
    let (policy, problems) = read(&format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}"));
    policy.unwrap_or_else(|| panic!("{problems:?}"))
}

pub(super) fn read(text: &str) -> (Option<Policy>, Vec<String>) {
    let mut problems = Problems::default();
    let policy = Policy::from_yaml(text, &"policy.yaml".into(), &mut problems);
    assert_eq!(policy.is_none(), problems.has_errors());
    (policy, problems.into_iter().map(|problem| problem.to_string()).collect())
}

/// jane reads a pod, with these members instead.
pub(super) fn event(members: Value) -> String {
    let mut event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse",
        "auditID": "6b9b1d1e-0000-4000-8000-000000000001", "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/pods/web-0", "verb": "get",
        "user": {"username": "jane", "uid": "1001", "groups": ["developers", "system:authenticated"]},
        "sourceIPs": ["203.0.113.7"], "userAgent": "kubectl/v1.33.1",
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-0", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
    });
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            event.as_object_mut().unwrap().remove(name);
        } else {
            event[name] = value.clone();
        }
    }
    // As kube-apiserver writes them.
    event.to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

pub(super) fn decide(policy: &Policy, event: &str) -> Decision {
    let event = Event::read(event.as_bytes(), b"audit").unwrap();
    let decision = policy.evaluate(&event);
    assert_eq!(decision, policy.evaluate_directly(&event));
    let explained = policy.explain(&event);
    let matched = explained.last().filter(|considered| considered.mismatch.is_none());
    assert_eq!(decision.rule, matched.map(|considered| considered.rule));
    assert_eq!(explained.len(), decision.rule.map_or(policy.rules().len(), |rule| rule + 1));
    decision
}

/// Whether a policy of that one rule matches.
#[track_caller]
fn check(rule: &str, members: &Value, expected: bool) {
    let event = event(members.clone());
    assert_eq!(decide(&policy(&[rule]), &event).rule.is_some(), expected, "{rule} on {event}");
}

fn path(path: &str) -> Value {
    json!({"verb": "get", "requestURI": path, "objectRef": null})
}

fn pod(subresource: &str) -> Value {
    let path = format!("/api/v1/namespaces/shop/pods/web-0/{subresource}");
    json!({"requestURI": path.trim_end_matches('/'), "objectRef": {
        "resource": "pods", "namespace": "shop", "name": "web-0", "apiVersion": "v1", "subresource": subresource}})
}

fn deployment(api_group: &str) -> Value {
    json!({"requestURI": "/apis/apps/v1/namespaces/shop/deployments/web", "objectRef": {
        "resource": "deployments", "namespace": "shop", "name": "web", "apiGroup": api_group, "apiVersion": "v1"}})
}

#[test]
fn users_are_those_before_impersonation() {
    let as_admin = json!({"impersonatedUser": {"username": "admin", "groups": ["system:masters"]}});
    for (rule, members, expected) in [
        ("users: [jane]", json!({}), true),
        ("users: [bob, jane]", json!({}), true),
        ("users: [Jane]", json!({}), false),
        ("users: ['jane ']", json!({}), false),
        ("users: ['*']", json!({}), false),
        ("users: ['j*']", json!({}), false),
        ("users: []", json!({}), true),
        ("users: [jane]", as_admin.clone(), true),
        ("users: [admin]", as_admin.clone(), false),
        ("userGroups: ['system:masters']", as_admin, false),
        ("userGroups: [developers]", json!({}), true),
        ("userGroups: [operators, 'system:authenticated']", json!({}), true),
        ("userGroups: [operators]", json!({}), false),
        ("users: [jane], userGroups: [operators]", json!({}), false),
        ("users: [bob], userGroups: [developers]", json!({}), false),
        ("userGroups: [developers]", json!({"user": {"username": "jane"}}), false),
        ("users: ['system:anonymous']", json!({"user": {"username": "system:anonymous"}}), true),
        ("users: ['r&d<x>']", json!({"user": {"username": "r&d<x>"}}), true),
        ("users: ['müller']", json!({"user": {"username": "müller"}}), true),
    ] {
        check(rule, &members, expected);
    }
}

#[test]
fn without_authentication_there_is_no_user() {
    for user in [json!({}), Value::Null] {
        let members = json!({"user": user, "stage": "ResponseStarted"});
        for (rule, expected) in [
            ("users: ['']", false),
            ("userGroups: ['']", false),
            ("users: ['system:anonymous']", false),
            ("verbs: [get]", true),
        ] {
            check(rule, &members, expected);
        }
    }
    // A user without a name is one all the same.
    check("users: ['']", &json!({"user": {"groups": ["developers"]}}), true);
}

#[test]
fn verbs_are_compared_as_they_stand() {
    for (rule, verb, expected) in [
        ("verbs: [get, list]", "list", true),
        ("verbs: [GET]", "get", false),
        ("verbs: ['*']", "get", false),
        ("verbs: ['']", "", true),
        ("verbs: ['']", "get", false),
        ("verbs: [deletecollection]", "delete", false),
    ] {
        check(rule, &json!({"verb": verb}), expected);
    }
    check("verbs: [head]", &json!({"verb": "head", "requestURI": "/healthz", "objectRef": null}), true);
    check("verbs: ['']", &json!({"verb": null}), true);
}

#[test]
fn resources_are_matched_with_their_subresources() {
    for (rule, members, expected) in [
        ("resources: [{resources: [pods]}]", pod(""), true),
        ("resources: [{resources: [pods]}]", pod("log"), false),
        ("resources: [{resources: [pods/log]}]", pod("log"), true),
        ("resources: [{resources: [pods/log]}]", pod(""), false),
        ("resources: [{resources: [pods/log]}]", pod("logs"), false),
        ("resources: [{resources: [pods/*]}]", pod("log"), true),
        ("resources: [{resources: [pods/*]}]", pod(""), true),
        ("resources: [{resources: [po/*]}]", pod(""), false),
        ("resources: [{resources: ['*/log']}]", pod("log"), true),
        ("resources: [{resources: ['*/log']}]", pod("status"), false),
        ("resources: [{resources: ['*/log']}]", pod(""), false),
        ("resources: [{resources: ['*/*']}]", pod("log"), false),
        ("resources: [{resources: ['*/*']}]", pod(""), false),
        ("resources: [{resources: ['*']}]", pod("log"), true),
        ("resources: [{resources: ['*']}]", pod(""), true),
        ("resources: [{resources: ['p*']}]", pod(""), false),
        ("resources: [{resources: [Pods]}]", pod(""), false),
        ("resources: [{resources: ['']}]", pod(""), false),
        ("resources: [{}]", pod("log"), true),
        ("resources: []", pod("log"), true),
        ("resources: [{resources: [secrets]}, {resources: [pods]}]", pod(""), true),
    ] {
        check(rule, &members, expected);
    }
}

#[test]
fn a_missing_group_is_the_core_group() {
    for (rule, members, expected) in [
        ("resources: [{group: '', resources: [pods]}]", pod(""), true),
        ("resources: [{group: null, resources: [pods]}]", pod(""), true),
        ("resources: [{group: core, resources: [pods]}]", pod(""), false),
        ("resources: [{group: v1, resources: [pods]}]", pod(""), false),
        ("resources: [{group: '*', resources: [pods]}]", pod(""), true),
        ("resources: [{resources: [deployments]}]", deployment("apps"), false),
        ("resources: [{group: apps, resources: [deployments]}]", deployment("apps"), true),
        ("resources: [{group: apps}]", deployment("apps"), true),
        ("resources: [{group: '*'}]", deployment("apps"), true),
        ("resources: [{group: app}]", deployment("apps"), false),
        ("resources: [{group: apps, resources: [deployments]}]", deployment(""), false),
        // Group and resource have to be of one item.
        (
            "resources: [{resources: [deployments]}, {group: apps, resources: [daemonsets]}]",
            deployment("apps"),
            false,
        ),
    ] {
        check(rule, &members, expected);
    }
}

#[test]
fn v1alpha1_has_the_group_in_the_version() {
    let members = json!({"apiVersion": "audit.k8s.io/v1alpha1", "objectRef": {
        "resource": "deployments", "namespace": "shop", "name": "web", "apiVersion": "apps/v1"}});
    check("resources: [{group: apps, resources: [deployments]}]", &members, true);
    check("resources: [{resources: [deployments]}]", &members, false);
}

#[test]
fn namespaces_are_those_of_the_path() {
    let access_review = json!({"verb": "create", "requestURI": "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        "objectRef": {"resource": "subjectaccessreviews", "apiGroup": "authorization.k8s.io", "apiVersion": "v1", "namespace": "shop"}});
    let listed = json!({"verb": "list", "requestURI": "/api/v1/pods?limit=500",
        "objectRef": {"resource": "pods", "apiVersion": "v1"}});
    let namespace = json!({"requestURI": "/api/v1/namespaces/shop",
        "objectRef": {"resource": "namespaces", "namespace": "shop", "name": "shop", "apiVersion": "v1"}});
    let escaped = json!({"requestURI": "/api/v1/name%73paces/sh%6fp/pods/web-0"});
    for (rule, members, expected) in [
        ("namespaces: [shop]", json!({}), true),
        ("namespaces: [kube-system, shop]", json!({}), true),
        ("namespaces: [kube-system]", json!({}), false),
        ("namespaces: ['*']", json!({}), false),
        ("namespaces: ['']", json!({}), false),
        ("namespaces: ['']", listed.clone(), true),
        ("namespaces: [shop]", listed, false),
        ("namespaces: [shop]", namespace.clone(), true),
        ("namespaces: ['']", namespace, false),
        ("namespaces: [shop]", escaped, true),
        ("namespaces: [shop], resources: [{resources: [secrets]}]", json!({}), false),
        ("namespaces: [kube-system], resources: [{resources: [pods]}]", json!({}), false),
        // The namespace came from the body, which nobody had read yet.
        ("namespaces: [shop]", access_review.clone(), false),
        ("namespaces: ['']", access_review, true),
        // Not for resources, not matched: not even without a namespace.
        ("namespaces: ['']", path("/healthz"), false),
        // No path to tell by.
        ("namespaces: [shop]", json!({"requestURI": null}), true),
    ] {
        check(rule, &members, expected);
    }
}

#[test]
fn names_are_those_of_the_path() {
    let secret = |verb: &str, path: &str, reference: Value| json!({"verb": verb, "requestURI": path, "objectRef": reference});
    let named = json!({"resource": "secrets", "namespace": "shop", "name": "db", "apiVersion": "v1"});
    let token = json!({"resource": "serviceaccounts", "subresource": "token", "namespace": "shop", "name": "db", "apiVersion": "v1"});
    let collection = "/api/v1/namespaces/shop/secrets";
    let object = "/api/v1/namespaces/shop/secrets/db";
    let selector = "/api/v1/namespaces/shop/secrets?fieldSelector=metadata.name%3Ddb";
    let rule = "resources: [{resources: [secrets], resourceNames: [db]}]";
    let nameless = "resources: [{resources: [secrets], resourceNames: ['']}]";
    for (rule, members, expected) in [
        (rule, secret("get", object, named.clone()), true),
        (rule, secret("patch", object, named.clone()), true),
        (rule, secret("list", selector, named.clone()), true),
        (rule, secret("watch", selector, named.clone()), true),
        (
            "resources: [{resources: [secrets], resourceNames: ['*']}]",
            secret("get", object, named.clone()),
            false,
        ),
        (
            "resources: [{resources: [secrets], resourceNames: [d]}]",
            secret("get", object, named.clone()),
            false,
        ),
        // The name of a new object stands in its body.
        (rule, secret("create", collection, named.clone()), false),
        (nameless, secret("create", collection, named.clone()), true),
        (rule, secret("create", &format!("{collection}?fieldManager=x"), named.clone()), false),
        // A POST to an object, which is answered with 405, has its name in the path.
        (rule, secret("create", object, named), true),
        (
            "resources: [{resources: [serviceaccounts/token], resourceNames: [db]}]",
            secret("create", "/api/v1/namespaces/shop/serviceaccounts/db/token", token),
            true,
        ),
        (
            nameless,
            secret("deletecollection", selector, json!({"resource": "secrets", "namespace": "shop"})),
            true,
        ),
    ] {
        check(rule, &members, expected);
    }
}

#[test]
fn paths_are_decoded_and_matched_as_prefixes() {
    for (rule, members, expected) in [
        ("nonResourceURLs: [/healthz]", path("/healthz"), true),
        ("nonResourceURLs: [/healthz]", path("/healthz?verbose"), true),
        ("nonResourceURLs: [/healthz]", path("/%68ealthz"), true),
        ("nonResourceURLs: [/healthz]", path("/healthz%3Fx"), false),
        ("nonResourceURLs: [/healthz]", path("/healthz/"), false),
        ("nonResourceURLs: [/healthz]", path("//healthz"), false),
        ("nonResourceURLs: ['/a b']", path("/a+b"), false),
        ("nonResourceURLs: ['/a+b']", path("/a+b"), true),
        ("nonResourceURLs: ['/logs*']", path("/logsfoo"), true),
        ("nonResourceURLs: ['/logs*']", path("/logs"), true),
        ("nonResourceURLs: ['/logs/*']", path("/logs"), false),
        ("nonResourceURLs: ['/logs/*']", path("/logs/"), true),
        ("nonResourceURLs: ['/logs/*']", path("/log%73/x"), true),
        ("nonResourceURLs: ['*']", path("/anything"), true),
        ("nonResourceURLs: ['*']", json!({}), false),
        ("nonResourceURLs: ['/api/*']", json!({}), false),
        ("nonResourceURLs: ['/api*']", path("/api/v1"), true),
        ("nonResourceURLs: ['/apis*']", path("/apis/apps/v1"), true),
        ("resources: [{group: '*'}]", path("/apis/apps/v1"), false),
        ("nonResourceURLs: ['/a&b']", path("/a&b?c&d"), true),
        ("verbs: [get]", path("/healthz"), true),
        ("nonResourceURLs: [/]", path("/"), true),
        ("nonResourceURLs: [/healthz], verbs: [post]", path("/healthz"), false),
    ] {
        check(rule, &members, expected);
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = policy(&[
        "level: None, users: [bob]",
        "level: Request, verbs: [get], resources: [{resources: [pods]}]",
        "level: RequestResponse",
    ]);
    let decision = decide(&policy, &event(json!({})));
    assert_eq!((decision.level, decision.rule), (Level::Request, Some(1)));
    let decision = decide(&policy, &event(json!({"user": {"username": "bob"}})));
    assert_eq!((decision.level, decision.rule, decision.drops()), (Level::None, Some(0), true));
    let none = super::tests::policy(&["users: [bob]"]);
    let decision = decide(&none, &event(json!({})));
    assert_eq!((decision.level, decision.rule, decision.drops()), (Level::None, None, true));
}

#[test]
fn an_event_keeps_a_lower_level_of_its_own() {
    let policy = policy(&["level: Request"]);
    for (own, expected) in [
        (json!("None"), Level::None),
        (json!("Metadata"), Level::Metadata),
        (json!("Request"), Level::Request),
        (json!("RequestResponse"), Level::Request),
        (json!("whatever"), Level::Request),
        (Value::Null, Level::Request),
    ] {
        let event = event(json!({"level": own}));
        let event = Event::read(event.as_bytes(), b"audit").unwrap();
        assert_eq!(policy.evaluate(&event).level_of(&event), expected, "{own}");
    }
}

#[test]
fn omitted_stages_are_the_policys_and_the_rules() {
    let (policy, _) = read(
        "apiVersion: audit.k8s.io/v1\nomitStages: [RequestReceived]\nrules:\n\
         - {level: Metadata, verbs: [get], omitStages: [Panic]}\n- {level: Metadata, verbs: [list]}\n",
    );
    let policy = policy.unwrap();
    for (verb, stage, omitted) in [
        ("get", "RequestReceived", true),
        ("get", "Panic", true),
        ("get", "ResponseComplete", false),
        ("list", "RequestReceived", true),
        ("list", "Panic", false),
        ("watch", "RequestReceived", true),
        ("watch", "Panic", false),
        ("get", "requestreceived", false),
    ] {
        let decision = decide(&policy, &event(json!({"verb": verb, "stage": stage})));
        assert_eq!(decision.stage_omitted, omitted, "{verb} {stage}");
        assert_eq!(decision.drops(), omitted || verb == "watch", "{verb} {stage}");
    }
}

#[test]
fn the_rules_word_on_managed_fields_wins() {
    for (of_policy, of_rule, expected) in [
        ("", "", false),
        ("", "omitManagedFields: true", true),
        ("omitManagedFields: true\n", "", true),
        ("omitManagedFields: true\n", "omitManagedFields: null", true),
        ("omitManagedFields: true\n", "omitManagedFields: false", false),
        ("omitManagedFields: false\n", "omitManagedFields: yes", true),
        ("omitManagedFields: on\n", "omitManagedFields: off", false),
    ] {
        let text =
            format!("apiVersion: audit.k8s.io/v1\n{of_policy}rules:\n- level: Metadata\n  {of_rule}\n");
        let decision = decide(&read(&text).0.unwrap(), &event(json!({})));
        assert_eq!(decision.omit_managed_fields, expected, "{text}");
    }
}

#[test]
fn explanations_name_the_first_field_that_rules_out() {
    let policy = policy(&[
        "users: [bob]",
        "userGroups: [operators]",
        "verbs: [list]",
        "namespaces: [default]",
        "resources: [{group: apps}]",
        "resources: [{group: apps}, {resources: [secrets]}]",
        "resources: [{resources: [secrets]}, {resources: [pods], resourceNames: [db]}, {group: batch}]",
        "nonResourceURLs: ['*']",
        "users: [jane]",
        "level: None",
    ]);
    let explain = |members: Value| -> Vec<String> {
        let event = event(members);
        let considered = policy.explain(&Event::read(event.as_bytes(), b"audit").unwrap());
        considered
            .into_iter()
            .map(|considered| match considered.mismatch {
                Some(Mismatch { field, seen }) => format!("{} {}: {seen}", considered.rule, field.as_str()),
                None => format!("{} matches", considered.rule),
            })
            .collect()
    };
    assert_eq!(
        explain(json!({})),
        [
            r#"0 users: user "jane""#,
            r#"1 userGroups: groups ["developers", "system:authenticated"]"#,
            r#"2 verbs: verb "get""#,
            r#"3 namespaces: namespace "shop""#,
            "4 resources[].group: the core group",
            r#"5 resources[].resources: resource "pods""#,
            r#"6 resources[].resourceNames: name "web-0""#,
            r#"7 nonResourceURLs: resource "pods""#,
            "8 matches",
        ]
    );
    assert_eq!(
        explain(json!({"user": {}, "requestURI": "/healthz?x", "objectRef": null})),
        [
            "0 users: no user",
            "1 userGroups: no user",
            r#"2 verbs: verb "get""#,
            r#"3 namespaces: path "/healthz""#,
            r#"4 resources[].resources: path "/healthz""#,
            r#"5 resources[].resources: path "/healthz""#,
            r#"6 resources[].resources: path "/healthz""#,
            "7 matches",
        ]
    );
    assert_eq!(explain(pod("log"))[5], r#"5 resources[].resources: resource "pods/log""#);
    assert_eq!(policy.explain(&Event::read(event(json!({})).as_bytes(), b"audit").unwrap())[8].line, 12);
}

#[test]
fn a_user_in_more_groups_than_the_tables_hold_is_decided_all_the_same() {
    let rules: Vec<String> = (0..40)
        .map(|n| format!("userGroups: [group-{n}], verbs: [{}]", if n == 37 { "get" } else { "list" }))
        .collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let groups: Vec<String> = (0..40).map(|n| format!("group-{n}")).collect();
    let event = event(json!({"user": {"username": "jane", "groups": groups}}));
    assert_eq!(decide(&policy(&rules), &event).rule, Some(37));
}

#[test]
fn more_rules_than_a_word_has_bits_are_kept_apart() {
    let rules: Vec<String> = (0..200).map(|n| format!("users: [user-{n}]")).collect();
    let policy = policy(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    for n in [0, 63, 64, 127, 128, 199] {
        let event = event(json!({"user": {"username": format!("user-{n}")}}));
        assert_eq!(decide(&policy, &event).rule, Some(n));
    }
    assert_eq!(decide(&policy, &event(json!({}))).rule, None);
}

#[test]
fn built_in_policies_have_no_problems() {
    assert_eq!(builtin("nonesuch"), None);
    for name in builtin_names() {
        let text = builtin(name).unwrap();
        let (policy, problems) = read(text);
        assert_eq!(problems, [""; 0], "{name}");
        let mut problems = Problems::default();
        lint(&policy.unwrap(), &name.into(), "", &mut problems);
        assert_eq!(problems.as_slice(), [], "{name}");
        let rules = text.lines().filter(|line| line.starts_with("  - level:")).count();
        let comments = text
            .split("  - level:")
            .filter(|before| before.trim_end().lines().last().is_some_and(is_comment_or_rules))
            .count();
        assert!(rules > 0 && comments >= rules, "{name}: a rule without a comment");
    }
}

/// The text before a rule ends in that rule's comment.
fn is_comment_or_rules(line: &str) -> bool {
    line.starts_with("  # ")
}

#[test]
fn built_in_policies_say_what_they_are_for() {
    let secret = json!({"verb": "create", "requestURI": "/api/v1/namespaces/shop/secrets",
        "objectRef": {"resource": "secrets", "namespace": "shop", "name": "db", "apiVersion": "v1"}});
    let exec = json!({"verb": "create", "requestURI": "/api/v1/namespaces/shop/pods/web-0/exec?command=sh",
        "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-0", "apiVersion": "v1"}});
    let binding = json!({"verb": "create", "requestURI": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "objectRef": {"resource": "clusterrolebindings", "name": "x", "apiGroup": "rbac.authorization.k8s.io", "apiVersion": "v1"}});
    let heartbeat = json!({"verb": "update", "user": {"username": "system:kube-scheduler"},
        "requestURI": "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler",
        "objectRef": {"resource": "leases", "namespace": "kube-system", "name": "kube-scheduler", "apiGroup": "coordination.k8s.io"}});
    let health = path("/healthz");
    use Level::{Metadata, None, Request, RequestResponse};
    for (name, expected) in [
        ("ack-default", [Metadata, RequestResponse, RequestResponse, Metadata, None, Request]),
        ("gke", [Metadata, RequestResponse, RequestResponse, Metadata, None, Request]),
        ("minimal", [Metadata, Metadata, Metadata, None, None, None]),
        ("security", [Metadata, RequestResponse, RequestResponse, None, None, Metadata]),
    ] {
        let policy = read(builtin(name).unwrap()).0.unwrap();
        let levels = [&secret, &exec, &binding, &heartbeat, &health, &json!({})]
            .map(|members| decide(&policy, &event(members.clone())).level);
        assert_eq!(levels, expected, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_tables_agree_with_the_plain_evaluator(
        rules in prop::collection::vec(generate::rule(), 1..80),
        events in prop::collection::vec(generate::event(), 1..16),
    ) {
        let policy = Policy::new(&"policy.yaml".into(), 1, rules, Stages::NONE, false);
        for event in &events {
            decide(&policy, event);
        }
        // What has come before is known when it comes again.
        let (mut familiar, mut memory) = (Familiar::default(), Memory::default());
        for event in events.iter().chain(&events) {
            let mut event = Event::unread(event.as_bytes());
            event.read_head(b"audit", Some(&mut familiar)).unwrap();
            event.read_rest(b"audit", Bodies::Both, Some(&mut familiar)).unwrap();
            prop_assert_eq!(policy.evaluate_with(&event, &mut memory), policy.evaluate_directly(&event));
        }
    }

    /// A rule that the lint calls unreachable is never the one that decides.
    #[test]
    fn rules_called_unreachable_are_never_reached(
        rules in prop::collection::vec(generate::rule(), 2..8),
        events in prop::collection::vec(generate::event(), 1..40),
    ) {
        let policy = Policy::new(&"policy.yaml".into(), 1, rules, Stages::NONE, false);
        let mut problems = Problems::default();
        policy.lint(&"policy.yaml".into(), "", &mut problems);
        let unreachable: Vec<String> = problems
            .into_iter()
            .filter(|problem| problem.message.starts_with("never reached"))
            .map(|problem| problem.field)
            .collect();
        for event in &events {
            if let Some(rule) = decide(&policy, event).rule {
                prop_assert!(!unreachable.contains(&format!("rules[{rule}]")), "{rule} decides {event}");
            }
        }
    }
}

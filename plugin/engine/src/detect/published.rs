//! The forms in which SigmaHQ's published rules for Kubernetes' audit log ask for things, each with an
//! event that it is after and one that it is not.

use super::tests::{event_of, hits, rule_of};
use super::{RuleSet, Scratch};
use crate::problem::Problems;
use std::sync::Arc;

const WRITES: &str = "[create, delete, patch, replace, update]";

#[test]
fn published_rules_do_what_they_say() {
    let writing = |group: &str, resources: &str| {
        format!(
            "s: {{objectRef.apiGroup: {group}, objectRef.resource: {resources}, verb: {WRITES}}}\ncondition: s"
        )
    };
    let of = |verb: &str, resource: &str, rest: &str| {
        format!(r#""verb":"{verb}","objectRef":{{"resource":"{resource}","apiVersion":"v1"{rest}}}"#)
    };
    let with = |event: String, body: &str| format!(r#"{event},"requestObject":{body}"#);
    let group = |name: &str| format!(r#","apiGroup":"{name}""#);
    let admission = group("admissionregistration.k8s.io");
    let rbac = group("rbac.authorization.k8s.io");
    let authorization = group("authorization.k8s.io");
    let volumes = |volume: &str| format!(r#"{{"spec":{{"volumes":[{{"name":"v",{volume}}}]}}}}"#);
    let container =
        |context: &str| format!(r#"{{"spec":{{"containers":[{{"securityContext":{context}}}]}}}}"#);
    let uri = |uri: &str, code: &str| format!(r#""requestURI":"{uri}","responseStatus":{{"code":{code}}}"#);
    let enumeration = "selection_status: {responseStatus.code: ALLOW}\n\
        selection_request_uri: {requestURI|contains: ['%2fbin%2fbash', /bin/sh, /usr/bin/curl]}\n\
        selection_request_user_agent: {userAgent|contains: [access_matrix, trufflehog]}\n\
        condition: selection_status and 1 of selection_request_*";
    let earlier_enumeration = "uri: {requestURI|re: '%2f(bin%2f(ash|bash|sh)|usr%2fbin%2f(curl|wget))|%20-[icl]'}\n\
        agent: {userAgent|contains: [access_matrix, trufflehog]}\nstatus: {responseStatus.code: ALLOW}\n\
        condition: (uri or agent) and status";
    for (name, detection, hit, miss) in [
        (
            "admission controller modification",
            writing("admissionregistration.k8s.io", "[mutatingwebhookconfigurations, validatingwebhookconfigurations]"),
            of("patch", "mutatingwebhookconfigurations", &admission),
            of("get", "mutatingwebhookconfigurations", &admission),
        ),
        (
            "cron job or job modification",
            writing("batch", "[cronjobs, jobs]"),
            of("create", "jobs", &group("batch")),
            of("create", "jobs", &group("example.com")),
        ),
        (
            "deployment deleted",
            "s: {verb: delete, objectRef.resource: deployments}\ncondition: s".to_owned(),
            of("delete", "deployments", &group("apps")),
            of("deletecollection", "deployments", &group("apps")),
        ),
        (
            "events deleted",
            "s: {verb: delete, objectRef.resource: events}\ncondition: s".to_owned(),
            of("delete", "events", ""),
            of("list", "events", ""),
        ),
        (
            "remote command execution",
            "s: {verb: create, objectRef.resource: pods, objectRef.subresource: exec}\ncondition: s".to_owned(),
            of("create", "pods", r#","subresource":"exec""#),
            of("create", "pods", r#","subresource":"attach""#),
        ),
        (
            "host path mounted",
            "s: {verb: create, objectRef.resource: pods, hostPath: '*'}\ncondition: s".to_owned(),
            with(of("create", "pods", ""), &volumes(r#""hostPath":{"path":"/var"}"#)),
            with(of("create", "pods", ""), &volumes(r#""emptyDir":{}"#)),
        ),
        (
            "pod in the system namespace",
            "s: {verb: create, objectRef.resource: pods, objectRef.namespace: kube-system}\ncondition: s".to_owned(),
            of("create", "pods", r#","namespace":"kube-system""#),
            of("create", "pods", r#","namespace":"kube-public""#),
        ),
        (
            "privileged container",
            "s: {verb: create, objectRef.resource: pods, capabilities: '*'}\ncondition: s".to_owned(),
            with(of("create", "pods", ""), &container(r#"{"capabilities":{"add":["SYS_ADMIN"]}}"#)),
            with(of("create", "pods", ""), &container(r#"{"runAsNonRoot":true}"#)),
        ),
        (
            "RBAC permission enumeration",
            "s: {verb: create, apiGroup: authorization.k8s.io, objectRef.resource: selfsubjectrulesreviews}\ncondition: s"
                .to_owned(),
            of("create", "selfsubjectrulesreviews", &authorization),
            of("create", "selfsubjectaccessreviews", &authorization),
        ),
        (
            "role binding modification",
            writing("rbac.authorization.k8s.io", "[clusterrolebindings, rolebindings]"),
            of("update", "rolebindings", &rbac),
            of("update", "roles", &rbac),
        ),
        (
            "secrets enumeration",
            "s: {verb: list, objectRef.resource: secrets}\ncondition: s".to_owned(),
            of("list", "secrets", ""),
            of("get", "secrets", ""),
        ),
        (
            "secrets modified or deleted",
            format!("s: {{objectRef.resource: secrets, verb: {WRITES}}}\ncondition: s"),
            of("delete", "secrets", ""),
            of("watch", "secrets", ""),
        ),
        (
            "service account creation",
            "s: {verb: create, objectRef.resource: serviceaccounts}\ncondition: s".to_owned(),
            of("create", "serviceaccounts", ""),
            of("update", "serviceaccounts", ""),
        ),
        (
            "sidecar injection",
            "s: {verb: patch, apiGroup: apps, objectRef.resource: deployments}\ncondition: s".to_owned(),
            of("patch", "deployments", &group("apps")),
            of("patch", "deployments", &group("example.com")),
        ),
        (
            "unauthorized or unauthenticated",
            "s: {responseStatus.code: [401, 403]}\ncondition: s".to_owned(),
            uri("/api", "403"),
            uri("/api", "404"),
        ),
        (
            "compiler execution",
            "s: {file_path: ['*-gcc-*', '*gcc*', '*g++*']}\ncondition: s".to_owned(),
            r#""file_path":"/usr/bin/gcc""#.to_owned(),
            r#""file_path":"/usr/bin/ls""#.to_owned(),
        ),
        (
            "potential enumeration",
            enumeration.to_owned(),
            uri("/exec?command=%2Fbin%2Fbash", "\"ALLOW\""),
            uri("/exec?command=%2Fbin%2Fbash", "200"),
        ),
        (
            "suspicious enumeration",
            earlier_enumeration.to_owned(),
            uri("/exec?command=%2fbin%2fbash", "\"ALLOW\""),
            uri("/exec?command=%2fbin%2fls", "\"ALLOW\""),
        ),
    ] {
        let mut problems = Problems::default();
        let mut builder = RuleSet::builder(Vec::new());
        builder.add(&Arc::from("rule.yml"), &rule_of(&detection), &mut problems);
        assert!(problems.as_slice().is_empty(), "{name}: {problems:?}");
        let rules = builder.finish(&mut problems);
        let mut scratch = Scratch::default();
        assert_eq!(hits(&rules, &mut scratch, &event_of(&hit), &()).len(), 1, "{name}\n{hit}");
        assert_eq!(hits(&rules, &mut scratch, &event_of(&miss), &()).len(), 0, "{name}\n{miss}");
    }
}

//! Policies and Sigma rules of any number, none of which is about an event of the log, so that every rule has to be
//! ruled out.

use std::fmt::Write as _;

/// The configuration with a policy of `count` rules and one more that takes everything at Metadata, and without Sigma
/// rules.
#[must_use]
pub fn policy(count: usize) -> String {
    let mut text = String::from(
        "rules: {builtin: false}\npolicy:\n  apiVersion: audit.k8s.io/v1\n  kind: Policy\n  rules:\n",
    );
    for rule in 0..count {
        let line = match rule % 4 {
            0 => format!(
                "{{level: None, users: ['user-{rule}', 'system:serviceaccount:a:b-{rule}'], verbs: [get, list, watch]}}"
            ),
            1 => format!(
                "{{level: None, resources: [{{group: '', resources: [things-{rule}, 'things-{rule}/status']}}]}}"
            ),
            2 => format!("{{level: Request, userGroups: ['group-{rule}'], namespaces: [kube-system]}}"),
            _ => format!("{{level: None, nonResourceURLs: ['/path-{rule}/*']}}"),
        };
        let _ = writeln!(text, "  - {line}");
    }
    text.push_str("  - {level: Metadata}\n");
    text
}

/// The configuration that goes with [`sigma`]: everything is kept.
pub const OWN_SIGMA: &str = "policy: {apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}\nrules: {builtin: false, files: [rules.yml]}\n";

/// The same without any rules.
pub const NO_SIGMA: &str = "policy: {apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}\nrules: {builtin: false}\n";

/// The same with the built-in rules.
pub const BUILTIN_SIGMA: &str =
    "policy: {apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}\n";

/// As many Sigma rules.
#[must_use]
pub fn sigma(count: usize) -> String {
    let mut text = String::new();
    for rule in 0..count {
        let selection = match rule % 5 {
            0 => format!("{{verb: [create, delete], objectRef.resource: things-{rule}}}"),
            1 => format!("{{user.username|startswith: 'user-{rule}', responseStatus.code: 403}}"),
            2 => format!("{{userAgent|contains: 'tool-{rule}/'}}"),
            3 => format!(
                "{{verb: create, objectRef.resource: pods, requestObject.spec.containers.image|contains: 'image-{rule}'}}"
            ),
            _ => format!("{{objectRef.namespace: 'space-{rule}', requestURI|re: '/secrets/[a-z]+-{rule}$'}}"),
        };
        let _ = writeln!(
            text,
            "---\ntitle: Rule {rule}\nid: rule-{rule}\nlogsource: {{product: kubernetes, service: audit}}\n\
             detection: {{selection: {selection}, condition: selection}}\nlevel: low"
        );
    }
    text
}

//! Policies and Sigma rules of any number, as a cluster of many teams has them.
//!
//! None is about an event of the log, but they are not ruled out by a glance at its verb and resource either: they ask
//! for what the log is full of (Pods that are created, Leases that are renewed, everybody's user agent), and then for a
//! name, an address or an image that nobody has.

use std::fmt::Write as _;

use audit_filter_engine::config::{NoFiles, load};

/// The configuration with a policy of `count` rules and one more that takes everything at Metadata, and without Sigma
/// rules.
#[must_use]
pub fn policy(count: usize) -> String {
    let mut text = String::from(
        "rules: {builtin: false}\npolicy:\n  apiVersion: audit.k8s.io/v1\n  kind: Policy\n  rules:\n",
    );
    for n in 0..count {
        let rule = match n % 6 {
            0 => format!(
                "{{level: None, users: ['system:serviceaccount:team-{n}:deployer'], verbs: [get, list, watch]}}"
            ),
            1 => format!(
                "{{level: None, verbs: [get, list, watch], resources: [{{group: '', resources: [pods, configmaps]}}], namespaces: [team-{n}]}}"
            ),
            2 => format!(
                "{{level: Request, userGroups: ['team-{n}:admins'], resources: [{{group: apps, resources: [deployments, deployments/scale]}}, {{group: ''}}]}}"
            ),
            3 => format!(
                "{{level: Metadata, resources: [{{group: '', resources: [secrets, configmaps], resourceNames: [team-{n}-tls, team-{n}-settings]}}, {{group: coordination.k8s.io, resources: [leases], resourceNames: [team-{n}-lock]}}]}}"
            ),
            4 => format!("{{level: None, nonResourceURLs: ['/healthz/team-{n}', '/metrics/team-{n}/*']}}"),
            _ => format!(
                "{{level: RequestResponse, verbs: [create, update, patch, delete], namespaces: [team-{n}]}}"
            ),
        };
        let _ = writeln!(text, "  - {rule}");
    }
    text.push_str("  - {level: Metadata}\n");
    text
}

/// A policy that keeps all events as they are, so that the rules have everything to look at.
const KEEP_ALL: &str =
    "policy: {apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}\n";

/// All events are kept; the rules are those of [`sigma`].
#[must_use]
pub fn own_sigma() -> String {
    format!("{KEEP_ALL}rules: {{builtin: false, files: [rules.yml]}}\n")
}

/// The same without any rules.
#[must_use]
pub fn no_sigma() -> String {
    format!("{KEEP_ALL}rules: {{builtin: false}}\n")
}

/// The same with the built-in rules and correlations.
#[must_use]
pub fn builtin_sigma() -> String {
    KEEP_ALL.to_owned()
}

/// The same with the built-in rules, without correlations.
#[must_use]
pub fn builtin_sigma_without_correlations() -> String {
    let builtin = load(&NoFiles).config;
    let correlations = builtin.iter().flat_map(|config| config.rules().correlations());
    let correlations: Vec<&str> = correlations.map(|correlation| &*correlation.id).collect();
    format!("{KEEP_ALL}rules: {{disable: [{}]}}\n", correlations.join(", "))
}

/// As many Sigma rules.
#[must_use]
pub fn sigma(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let selection = match n % 10 {
            0 => format!(
                "{{verb: create, objectRef.resource: pods, requestObject.spec.containers.image|startswith: 'registry-{n}.example.net/'}}"
            ),
            1 => format!(
                "{{verb: [get, list, watch], objectRef.resource: [secrets, configmaps], objectRef.namespace: 'team-{n}'}}"
            ),
            2 => format!("{{userAgent|contains: ['tool-{n}/', 'scanner-{n}']}}"),
            3 => format!("{{user.username|startswith: 'contractor-{n}-', responseStatus.code: [401, 403]}}"),
            4 => format!(
                "{{verb: [create, update, patch], objectRef.resource: [deployments, daemonsets], requestObject.spec.template.spec.containers.securityContext.privileged: true, objectRef.name|startswith: 'agent-{n}-'}}"
            ),
            5 => format!("{{requestURI|re: '/namespaces/team-{n}/(pods|services)/[^/]+/proxy'}}"),
            6 => format!(
                "{{verb: [update, patch], objectRef.resource: [leases, configmaps], objectRef.name|endswith: '-lock-{n}'}}"
            ),
            7 => format!("{{verb: [create, delete], sourceIPs|cidr: '198.18.{}.0/24'}}", n % 256),
            8 => format!(
                "{{audit.operator: 'person-{n}@example.com', audit.action: [create, update, delete]}}"
            ),
            _ => format!("{{audit.action: create, requestObject.metadata.labels.app|contains: 'miner-{n}'}}"),
        };
        let _ = writeln!(
            text,
            "---\ntitle: Rule {n}\nid: rule-{n}\nlogsource: {{product: kubernetes, service: audit}}\n\
             detection: {{selection: {selection}, condition: selection}}\nlevel: low"
        );
    }
    text
}

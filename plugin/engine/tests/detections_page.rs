//! The page that says what the built-in rules find, made from the rules themselves.
//!
//! `UPDATE_DOCS=1 cargo test -p audit-filter-engine --test detections_page` writes it anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use audit_filter_engine::yaml::{self, Node, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// What the rules cannot say of a tag, and where they are coarser than one may think.
const NOTES: &[(&str, &str)] = &[
    (
        "admission-change",
        "Whether a webhook's address is outside the cluster is taken from `url`; a service may still lead there.",
    ),
    (
        "audit-tamper",
        "Agents are known by the beginning of their names. An update (PUT) of one is not told apart from its upgrade, \
         and a deletion of all of a namespace's workloads names none.",
    ),
    (
        "certificate-request",
        "The subject is searched for in the encoded request, at every offset and line end; it is not parsed.",
    ),
    (
        "cluster-admin-binding",
        "Other roles that grant as much are found when they are written (`rbac-wildcard`).",
    ),
    (
        "configmap-credentials",
        "Only known forms of keys, and known names directly under `data`. Where the policy logs config maps at \
         `Metadata`, nothing can be seen.",
    ),
    (
        "container-command",
        "An exec shows its first command; what is typed into a shell is not in the audit log. A command that an \
         interpreter decodes (`base64 -d | sh`) is not looked into.",
    ),
    (
        "cve",
        "Traces of exploitation, not of vulnerable versions, which the audit log does not know. The addresses of your \
         control plane are not known to CVE-2022-3294's rule, only loopback and link-local ones. A path that carries \
         a command is known by its signs. The sequence of CVE-2022-3294 and a use of `nodes/proxy`, and a \
         CVE-2018-1002105 behind an ordinary exec, are not correlated. CVE-2025-1974 goes from a pod to the \
         webhook and never reaches the API server.",
    ),
    (
        "dangerous-capabilities",
        "Images of network and storage agents are not exempt: a rule cannot ask that all containers are theirs.",
    ),
    ("exec", "The exemptions of build systems are yours to make, by their exact names."),
    ("high-risk-ip", "Takes lists of addresses: `network.highRisk`, `network.highRiskFiles`."),
    (
        "host-path",
        "As with all rules about pods, a patch is judged by what it holds, so that old faults do not alert again.",
    ),
    (
        "namespace-change",
        "The label's former value is not in the event: a change to `baseline` may be stricter than before.",
    ),
    (
        "privileged-pod",
        "Images of network and storage agents are not exempt: a rule cannot ask that all containers are theirs.",
    ),
    (
        "proxy",
        "Whoever talks to a kubelet directly shows only in the question that the kubelet asks (a subject access \
         review), which it keeps for some minutes.",
    ),
    (
        "rbac-wildcard",
        "Sigma cannot ask that verbs, groups and resources stand in the same rule of a role; the highest level can \
         thus be reached by several rules together.",
    ),
    (
        "rbac-write",
        "For the same reason, changes to secrets, permissions and webhooks are `medium`: verb and resource may belong \
         to different rules of the role. What can have no other use is `high`.",
    ),
    ("scanner-user-agent", "The client's own word, and so a sign of carelessness only."),
    (
        "secret-access",
        "At `Metadata`, the level of most policies for secrets, this is all that is to be seen of them.",
    ),
    (
        "secret-write",
        "The type of a secret is in its body: at `Metadata` only the names of bootstrap tokens are recognised.",
    ),
    (
        "token-request",
        "At `Metadata`, what a kubelet's token is bound to is not to be seen, and all of its requests are left out.",
    ),
    ("unauthorized", "A 403 of admission or of a quota is none: the annotation of the authorizer decides."),
];

struct Rule {
    file: String,
    title: String,
    level: String,
    /// What it is grouped by and within what time, of a correlation.
    correlation: Option<(String, String)>,
    techniques: Vec<String>,
    vulnerabilities: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The rules by their tag.
fn rules() -> BTreeMap<String, Vec<Rule>> {
    let mut by_tag: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("plugin/rules")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(stem) = name.strip_suffix(".yml").filter(|stem| !stem.ends_with(".events")) else {
            continue;
        };
        let document = yaml::parse(&fs::read_to_string(&path).unwrap()).unwrap().remove(0);
        let text = |field: &str| document.get(field).and_then(Node::str).unwrap().to_owned();
        let Some(Value::Sequence(tags)) = document.get("tags").map(|tags| &tags.value) else {
            panic!("{name}: no tags")
        };
        let tags = |prefix: &str| -> Vec<String> {
            tags.iter().filter_map(|tag| tag.str()?.strip_prefix(prefix).map(str::to_owned)).collect()
        };
        let rule = Rule {
            file: stem.to_owned(),
            title: text("title"),
            level: text("level"),
            correlation: document.get("correlation").map(correlation),
            techniques: tags("attack.t").iter().map(|number| format!("T{number}")).collect(),
            vulnerabilities: tags("cve.").iter().map(|number| format!("CVE-{number}")).collect(),
        };
        by_tag.entry(tags("audit.").remove(0)).or_default().push(rule);
    }
    by_tag
}

/// What a correlation is grouped by, and its timespan.
fn correlation(node: &Node) -> (String, String) {
    let Some(Value::Sequence(fields)) = node.get("group-by").map(|fields| &fields.value) else {
        panic!("line {}: no group-by", node.line)
    };
    let fields: Vec<String> = fields.iter().map(|field| format!("`{}`", field.str().unwrap())).collect();
    (fields.join(", "), node.get("timespan").and_then(Node::str).unwrap().to_owned())
}

fn page() -> String {
    let rules = rules();
    let count: usize = rules.values().map(Vec::len).sum();
    let mut page = format!(
        "# Detections\n\n\
         What the {count} built-in rules find, by the tag that they put into `audit.tags`. The files are in \
         [`plugin/rules`](../plugin/rules/README.md); beside each stand events that it finds and events that it \
         does not.\n\n\
         This page is made from them: `UPDATE_DOCS=1 cargo test -p audit-filter-engine --test detections_page`.\n\n\
         Where nothing else is said, a rule is about requests that succeeded and were no dry run. The policy decides \
         what is logged; rules see the event as it came in, before the filter's own policy trims it.\n\n\
         A rule with a timespan is a correlation: it holds on the event that completes it, which gets an alert in \
         `audit.alerts`, once for each group and timespan.\n\n\
         | tag | rule | severity | ATT&CK |\n| --- | --- | --- | --- |\n"
    );
    for (tag, rules) in &rules {
        for rule in rules {
            let Rule { file, title, level, correlation, techniques, vulnerabilities } = rule;
            let title = if vulnerabilities.is_empty() {
                title.clone()
            } else {
                format!("{title} ({})", vulnerabilities.join(", "))
            };
            let within = match correlation {
                Some((fields, timespan)) => format!(", within {timespan} by {fields}"),
                None => String::new(),
            };
            let techniques: Vec<String> = techniques
                .iter()
                .map(|number| {
                    format!("[{number}](https://attack.mitre.org/techniques/{}/)", number.replace('.', "/"))
                })
                .collect();
            let techniques = techniques.join(", ");
            writeln!(
                page,
                "| `{tag}` | [{title}](../plugin/rules/{file}.yml){within} | {level} | {techniques} |"
            )
            .unwrap();
        }
    }
    page.push_str("\n## What the rules cannot see\n\n| tag | note |\n| --- | --- |\n");
    for (tag, note) in NOTES {
        assert!(rules.contains_key(*tag), "the note about {tag} is about no rule");
        writeln!(page, "| `{tag}` | {note} |").unwrap();
    }
    page
}

#[test]
fn the_page_is_that_of_the_rules() {
    let path = root().join("docs/detections.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    // Not assert_eq!, which would print both pages.
    assert!(written == page, "docs/detections.md is out of date; run this test with UPDATE_DOCS=1");
}

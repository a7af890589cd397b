//! Reads a policy as kube-apiserver reads `--audit-policy-file` and validates it as kube-apiserver does:
//! `LoadPolicyFromBytes` (k8s.io/apiserver/pkg/audit/policy) decodes strictly, and leniently with a warning
//! where that fails; `ValidatePolicy` (pkg/apis/audit/validation) judges the result.
//!
//! Hence the two severities. What the lenient decoder ignores (unknown fields, duplicate keys) is a warning;
//! what makes kube-apiserver refuse to start is an error.

use super::Policy;
use super::model::{Entry, GroupResources, Level, Rule, Stage, Stages};
use super::suggest::nearest;
use crate::json;
use crate::problem::Problems;
use crate::yaml::{self, Node, Resolved, Value};
use std::sync::Arc;

const POLICY_FIELDS: &[&str] =
    &["apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"];
const RULE_FIELDS: &[&str] = &[
    "level",
    "users",
    "userGroups",
    "verbs",
    "resources",
    "namespaces",
    "nonResourceURLs",
    "omitStages",
    "omitManagedFields",
];
const RESOURCES_FIELDS: &[&str] = &["group", "resources", "resourceNames"];
/// `ObjectMeta`, which a policy has for form's sake.
const METADATA_FIELDS: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// Reads a policy file.
pub(super) fn file(text: &str, file: &Arc<str>, problems: &mut Problems) -> Option<Policy> {
    if text.trim_start().starts_with('{')
        && let Err(offset) = check_json(text)
    {
        let line = 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
        problems.error(
            file,
            u32::try_from(line).unwrap_or(u32::MAX),
            "",
            "not JSON: kube-apiserver takes a policy that starts with { for JSON; use block style for YAML",
        );
        return None;
    }
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(error) => {
            problems.error(file, error.line, "", format!("not YAML: {}", error.message));
            return None;
        }
    };
    if let [_, second, ..] = documents.as_slice() {
        problems.warning(
            file,
            second.line,
            "",
            "kube-apiserver reads only the first document of a file; remove the others",
        );
    }
    match documents.first() {
        Some(document) => node(document, file, "", problems),
        None => {
            problems.error(file, 0, "", "empty; a policy has apiVersion, kind and rules");
            None
        }
    }
}

/// Whether a text is one JSON value; else where it stops being one.
fn check_json(text: &str) -> Result<(), usize> {
    let end =
        json::scan(text.as_bytes(), text.len() - text.trim_start().len()).map_err(|error| error.offset)?.end;
    let rest = text.get(end..).unwrap_or_default();
    if rest.trim_start().is_empty() { Ok(()) } else { Err(text.len() - rest.trim_start().len()) }
}

/// Reads a policy that stands at `path` of a file.
pub(super) fn node(node: &Node, file: &Arc<str>, path: &str, problems: &mut Problems) -> Option<Policy> {
    let mut reader = Reader { file, problems, failed: false };
    let policy = reader.policy(node, path);
    if reader.failed { None } else { policy }
}

struct Reader<'r> {
    file: &'r Arc<str>,
    problems: &'r mut Problems,
    failed: bool,
}

/// A member of a mapping whose name is known.
struct Member<'n> {
    name: &'static str,
    path: String,
    node: &'n Node,
}

impl Reader<'_> {
    fn policy(&mut self, node: &Node, path: &str) -> Option<Policy> {
        let mut rules = Vec::new();
        let mut omit_stages = Stages::NONE;
        let mut omit_managed_fields = None;
        let (mut has_version, mut rule_count) = (false, 0);
        let members = self.members(node, path, POLICY_FIELDS)?;
        for Member { name, path, node } in &members {
            match *name {
                "apiVersion" => has_version = self.api_version(node, path),
                "kind" => self.kind(node, path),
                "metadata" => self.metadata(node, path),
                "rules" => {
                    let items = self.items(node, path);
                    rule_count = items.len();
                    rules = items.into_iter().filter_map(|(path, node)| self.rule(node, &path)).collect();
                }
                "omitStages" => omit_stages = self.stages(node, path),
                _ => omit_managed_fields = self.boolean(node, path),
            }
        }
        if !has_version {
            self.error(node.line, &join(path, "apiVersion"), "missing; write audit.k8s.io/v1");
        }
        if rule_count == 0 {
            let message =
                "a policy needs at least one rule; to keep everything, write - level: RequestResponse";
            self.error(node.line, &join(path, "rules"), message);
        }
        Some(Policy::new(self.file, node.line, rules, omit_stages, omit_managed_fields.unwrap_or(false)))
    }

    /// Whether there is a version, be it a wrong one.
    fn api_version(&mut self, node: &Node, path: &str) -> bool {
        let problems = self.problems.as_slice().len();
        match self.string(node, path).as_str() {
            "audit.k8s.io/v1" | "audit.k8s.io/v1beta1" | "audit.k8s.io/v1alpha1" => true,
            // A wrong type has been reported.
            "" => self.problems.as_slice().len() > problems,
            other => {
                self.error(
                    node.line,
                    path,
                    format!("{other:?} has no audit policies; write audit.k8s.io/v1"),
                );
                true
            }
        }
    }

    fn kind(&mut self, node: &Node, path: &str) {
        match self.string(node, path).as_str() {
            "" | "Policy" => {}
            other => self.error(node.line, path, format!("{other:?} is no audit policy; write Policy")),
        }
    }

    /// `ObjectMeta`: nothing of it is used, but a wrong type in it makes kube-apiserver refuse the file.
    fn metadata(&mut self, node: &Node, path: &str) {
        for Member { name, path, node } in self.members(node, path, METADATA_FIELDS).unwrap_or_default() {
            match name {
                "generation" | "deletionGracePeriodSeconds" => {
                    let number =
                        node.scalar().is_some_and(|scalar| matches!(scalar.resolve(), Resolved::Int(_)));
                    if !number && !node.is_null() {
                        self.wrong_type(node, &path, "an integer");
                    }
                }
                "labels" | "annotations" => self.string_map(node, &path),
                "finalizers" => drop(self.strings(node, &path)),
                "ownerReferences" | "managedFields" => drop(self.items(node, &path)),
                _ => drop(self.string(node, &path)),
            }
        }
    }

    fn string_map(&mut self, node: &Node, path: &str) {
        match &node.value {
            Value::Mapping(members) => {
                for (key, value) in members {
                    let key = key.scalar().map_or("", |key| &key.text);
                    self.string(value, &join(path, key));
                }
            }
            _ if node.is_null() => {}
            _ => self.wrong_type(node, path, "a mapping"),
        }
    }

    fn rule(&mut self, node: &Node, path: &str) -> Option<Rule> {
        let mut rule = Rule {
            line: node.line,
            level: Level::None,
            users: Vec::new(),
            user_groups: Vec::new(),
            verbs: Vec::new(),
            resources: Vec::new(),
            namespaces: Vec::new(),
            non_resource_urls: Vec::new(),
            omit_stages: Stages::NONE,
            omit_managed_fields: None,
        };
        let mut level = None;
        let mut urls_line = node.line;
        for Member { name, path, node } in self.members(node, path, RULE_FIELDS)? {
            match name {
                "level" => level = Some((self.string(node, &path), node.line)),
                "users" => rule.users = self.strings(node, &path),
                "userGroups" => rule.user_groups = self.strings(node, &path),
                "verbs" => rule.verbs = self.strings(node, &path),
                "resources" => rule.resources = self.resources(node, &path),
                "namespaces" => rule.namespaces = self.strings(node, &path),
                "nonResourceURLs" => {
                    urls_line = node.line;
                    rule.non_resource_urls = self.strings(node, &path);
                    self.check_urls(&rule.non_resource_urls, &path);
                }
                "omitStages" => rule.omit_stages = self.stages(node, &path),
                _ => rule.omit_managed_fields = self.boolean(node, &path),
            }
        }
        rule.level = self.level(level, node.line, &join(path, "level"))?;
        if !rule.non_resource_urls.is_empty() && rule.is_for_resources() {
            let message = "a rule is for resources and namespaces or for nonResourceURLs, never both; \
                           make two rules of it";
            self.error(urls_line, &join(path, "nonResourceURLs"), message);
        }
        Some(rule)
    }

    fn level(&mut self, level: Option<(String, u32)>, rule_line: u32, path: &str) -> Option<Level> {
        let (name, line) = level.unwrap_or((String::new(), rule_line));
        let found = Level::from_bytes(name.as_bytes());
        if found.is_none() {
            let levels = "None, Metadata, Request or RequestResponse";
            match nearest(&name, Level::ALL.map(Level::as_str)) {
                _ if name.is_empty() => self.error(line, path, format!("missing; write {levels}")),
                Some(meant) => {
                    self.error(line, path, format!("unknown level {name:?}; did you mean {meant}?"))
                }
                None => self.error(line, path, format!("unknown level {name:?}; write {levels}")),
            }
        }
        found
    }

    fn resources(&mut self, node: &Node, path: &str) -> Vec<GroupResources> {
        let items = self.items(node, path);
        items.into_iter().filter_map(|(path, node)| self.group_resources(node, &path)).collect()
    }

    fn group_resources(&mut self, node: &Node, path: &str) -> Option<GroupResources> {
        let mut entry = GroupResources {
            group: Entry { text: String::new(), line: node.line },
            resources: Vec::new(),
            resource_names: Vec::new(),
        };
        let mut names_line = node.line;
        for Member { name, path, node } in self.members(node, path, RESOURCES_FIELDS)? {
            match name {
                "group" => {
                    entry.group = Entry { text: self.string(node, &path), line: node.line };
                    self.check_group(&entry.group, &path);
                }
                "resources" => entry.resources = self.strings(node, &path),
                _ => {
                    names_line = node.line;
                    entry.resource_names = self.strings(node, &path);
                }
            }
        }
        if !entry.resource_names.is_empty() && entry.resources.is_empty() {
            let message = "names without resources; add the resources that the names belong to";
            self.error(names_line, &join(path, "resourceNames"), message);
        }
        Some(entry)
    }

    /// A group is empty, `*` or a DNS subdomain.
    fn check_group(&mut self, group: &Entry, path: &str) {
        let name = group.text.as_str();
        if name.is_empty() || name == "*" || is_dns_subdomain(name) {
            return;
        }
        let message = match name.split_once('/') {
            Some(("core" | "v1", _)) => format!("{name:?} is no group; the core group is \"\""),
            Some((group, _)) => format!("{name:?} is no group; write it without the version: {group:?}"),
            None if is_dns_subdomain(&name.to_ascii_lowercase()) => {
                format!("{name:?} is no group; groups are lower case: {:?}", name.to_ascii_lowercase())
            }
            None => format!(
                "{name:?} is no group; write a DNS name such as \"apps\" or \"networking.k8s.io\", \
                 \"\" for the core group"
            ),
        };
        self.error(group.line, path, message);
    }

    fn check_urls(&mut self, urls: &[Entry], path: &str) {
        for (index, Entry { text, line }) in urls.iter().enumerate() {
            if text == "*" {
                continue;
            }
            let path = format!("{path}[{index}]");
            if !text.starts_with('/') {
                self.error(*line, &path, format!("{text:?} must begin with a slash, or be \"*\" alone"));
            }
            if text.strip_suffix('*').unwrap_or(text).contains('*') {
                self.error(*line, &path, format!("{text:?} may have a * at its end only"));
            }
        }
    }

    fn stages(&mut self, node: &Node, path: &str) -> Stages {
        let mut stages = Stages::NONE;
        for (index, Entry { text, line }) in self.strings(node, path).into_iter().enumerate() {
            match Stage::from_bytes(text.as_bytes()) {
                Some(stage) => stages.add(stage),
                None => {
                    let remedy = match nearest(&text, Stage::ALL.map(Stage::as_str)) {
                        Some(meant) => format!("did you mean {meant}?"),
                        None => {
                            "write RequestReceived, ResponseStarted, ResponseComplete or Panic".to_owned()
                        }
                    };
                    self.error(
                        line,
                        &format!("{path}[{index}]"),
                        format!("unknown stage {text:?}; {remedy}"),
                    );
                }
            }
        }
        stages
    }

    /// The members of a mapping whose names are known; of duplicates the last. Null is an empty mapping.
    fn members<'n>(&mut self, node: &'n Node, path: &str, known: &[&'static str]) -> Option<Vec<Member<'n>>> {
        let Value::Mapping(members) = &node.value else {
            if node.is_null() {
                return Some(Vec::new());
            }
            self.wrong_type(node, path, "a mapping");
            return None;
        };
        let mut found: Vec<Member<'n>> = Vec::new();
        for (key, value) in members {
            let Some(scalar) = key.scalar().filter(|_| !key.is_null()) else {
                self.error(key.line, path, format!("{} cannot be a field's name", key.describe()));
                continue;
            };
            let path = join(path, &scalar.text);
            match known.iter().find(|known| **known == scalar.text) {
                None => self.warning(key.line, &path, unknown_field(&scalar.text, known)),
                Some(name) => {
                    if let Some(duplicate) = found.iter().position(|member| member.name == *name) {
                        found.remove(duplicate);
                        self.warning(
                            key.line,
                            &path,
                            "given twice; kube-apiserver takes the last".to_owned(),
                        );
                    }
                    found.push(Member { name, path, node: value });
                }
            }
        }
        Some(found)
    }

    /// The items of a list with their paths; null is an empty list.
    fn items<'n>(&mut self, node: &'n Node, path: &str) -> Vec<(String, &'n Node)> {
        match &node.value {
            Value::Sequence(items) => {
                items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect()
            }
            _ if node.is_null() => Vec::new(),
            _ => {
                self.wrong_type(node, path, "a list");
                Vec::new()
            }
        }
    }

    fn strings(&mut self, node: &Node, path: &str) -> Vec<Entry> {
        let items = self.items(node, path);
        items
            .into_iter()
            .map(|(path, item)| Entry { text: self.string(item, &path), line: item.line })
            .collect()
    }

    /// A string; null is the empty one, as for every Go decoder.
    fn string(&mut self, node: &Node, path: &str) -> String {
        match node.str() {
            Some(text) => text.to_owned(),
            None if node.is_null() => String::new(),
            None => {
                if let Some(scalar) = node.scalar() {
                    let (found, text) = (node.describe(), &scalar.text);
                    self.error(node.line, path, format!("expected a string, found {found}; write {text:?}"));
                } else {
                    self.wrong_type(node, path, "a string");
                }
                String::new()
            }
        }
    }

    fn boolean(&mut self, node: &Node, path: &str) -> Option<bool> {
        match node.scalar().map(yaml::Scalar::resolve) {
            Some(Resolved::Bool(value)) => Some(value),
            Some(Resolved::Null) => None,
            _ => {
                self.wrong_type(node, path, "true or false");
                None
            }
        }
    }

    fn wrong_type(&mut self, node: &Node, path: &str, expected: &str) {
        self.error(node.line, path, format!("expected {expected}, found {}", node.describe()));
    }

    fn error(&mut self, line: u32, path: &str, message: impl Into<String>) {
        self.failed = true;
        self.problems.error(self.file, line, path, message);
    }

    fn warning(&mut self, line: u32, path: &str, message: String) {
        self.problems.warning(self.file, line, path, message);
    }
}

/// What to say of a field that kube-apiserver ignores.
fn unknown_field(name: &str, known: &[&'static str]) -> String {
    let remedy = if known == RESOURCES_FIELDS && RULE_FIELDS.contains(&name) {
        "it belongs to the rule, beside resources, which without it matches more than it seems".to_owned()
    } else if known == RULE_FIELDS && RESOURCES_FIELDS.contains(&name) {
        "it belongs to an item of resources".to_owned()
    } else if known == POLICY_FIELDS && RULE_FIELDS.contains(&name) {
        "it belongs to a rule".to_owned()
    } else if known == RULE_FIELDS && matches!(name, "groups" | "apiGroups") {
        "the users' groups are userGroups, the API's stand in resources".to_owned()
    } else if known == RESOURCES_FIELDS && name == "apiGroups" {
        "write one item with group for each".to_owned()
    } else if let Some(meant) = nearest(name, known.iter().copied()) {
        format!("did you mean {meant}?")
    } else {
        format!("known here: {}", known.join(", "))
    };
    format!("unknown field, which kube-apiserver ignores; {remedy}")
}

/// `IsDNS1123Subdomain` of k8s.io/apimachinery.
fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            label.bytes().all(|byte| inner(byte) || byte == b'-')
                && label.bytes().next().is_some_and(inner)
                && label.bytes().next_back().is_some_and(inner)
        })
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::read;
    use crate::policy::{Level, builtin, builtin_names};
    use proptest::prelude::*;

    /// Reads a policy and compares its problems, of which each expected one is the beginning.
    #[track_caller]
    fn check(text: &str, accepted: bool, expected: &[&str]) {
        let (policy, problems) = read(text);
        assert_eq!(policy.is_some(), accepted, "{text}\n{problems:#?}");
        assert_eq!(problems.len(), expected.len(), "{text}\n{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}\ndoes not start with\n{expected}");
        }
    }

    /// The same of one rule, which begins on line 3.
    #[track_caller]
    fn check_rule(rule: &str, accepted: bool, expected: &[&str]) {
        check(&format!("apiVersion: audit.k8s.io/v1\nrules:\n{rule}\n"), accepted, expected);
    }

    #[test]
    fn accepted_as_kube_apiserver_accepts_them() {
        for text in [
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: None\n",
            "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules:\n- level: Metadata\n",
            "apiVersion: audit.k8s.io/v1alpha1\nkind: Policy\nrules:\n- level: Request\n",
            "apiVersion: audit.k8s.io/v1\nrules:\n- level: RequestResponse\n",
            "apiVersion: audit.k8s.io/v1\nkind:\nrules:\n- level: None\n",
            "apiVersion: audit.k8s.io/v1\r\nkind: Policy\r\nrules:\r\n- level: None\r\n  users: [a]\r\n",
            "\u{feff}apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n",
            "# comment\n---\napiVersion: audit.k8s.io/v1\nrules: [level: None]\n",
            "{\"apiVersion\": \"audit.k8s.io/v1\", \"kind\": \"Policy\",\n\t\"rules\": [{\"level\": \"None\", \"users\": [\"a\"]}]}\n",
            "apiVersion: audit.k8s.io/v1\nmetadata:\n  name: audit\n  creationTimestamp: null\n  generation: 3\n  labels: {a: b}\nrules:\n- level: None\n",
            "apiVersion: audit.k8s.io/v1\nmetadata:\nomitStages:\nomitManagedFields: null\nrules:\n- level: None\n  users: null\n  userGroups: ~\n  verbs:\n  resources: null\n  namespaces: null\n  nonResourceURLs: null\n  omitStages: null\n  omitManagedFields: null\n",
            "apiVersion: audit.k8s.io/v1\nomitManagedFields: yes\nrules:\n- level: None\n  omitManagedFields: off\n",
            "apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n  nonResourceURLs: ['*', '/', '/*', /a/b*]\n",
            "apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n  resources:\n  - group: '*'\n  - group: 1a.b-c.d\n  - resources: ['*', '*/*', pods/log]\n    resourceNames: ['']\n  -\n",
            "apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n  users: [null, 2024-01-01, '1', \"true\", !!str 5]\n",
            "apiVersion: audit.k8s.io/v1\nrules:\n- &read\n  level: None\n  verbs: [get]\n- <<: *read\n  level: Metadata\n",
        ] {
            check(text, true, &[]);
        }
    }

    #[test]
    fn accepted_with_a_warning() {
        for (text, warnings) in [
            (
                "apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n---\nrules: []\n",
                &["policy.yaml:5: warning: kube-apiserver reads only the first document"][..],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nrule: []\nrules:\n- level: None\n  verb: [get]\n",
                &[
                    "policy.yaml:2: warning: rule: unknown field, which kube-apiserver ignores; did you mean rules?",
                    "policy.yaml:5: warning: rules[0].verb: unknown field, which kube-apiserver ignores; did you mean verbs?",
                ],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n  level: Metadata\n",
                &["policy.yaml:4: warning: rules[0].level: given twice; kube-apiserver takes the last"],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n  resources:\n  - group: ''\n    resources: [pods]\n    verbs: [get]\n",
                &[
                    "policy.yaml:7: warning: rules[0].resources[0].verbs: unknown field, which kube-apiserver ignores; it belongs to the rule",
                ],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n  group: apps\n  apiGroups: [apps]\n  nonResourceUrls: [/a]\n  foo: {bar: [baz]}\n",
                &[
                    "policy.yaml:4: warning: rules[0].group: unknown field, which kube-apiserver ignores; it belongs to an item of resources",
                    "policy.yaml:5: warning: rules[0].apiGroups: unknown field, which kube-apiserver ignores; the users' groups",
                    "policy.yaml:6: warning: rules[0].nonResourceUrls: unknown field, which kube-apiserver ignores; did you mean nonResourceURLs?",
                    "policy.yaml:7: warning: rules[0].foo: unknown field, which kube-apiserver ignores; known here: level, users,",
                ],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nlevel: None\nrules:\n- level: None\nmetadata: {nam: x}\n",
                &[
                    "policy.yaml:2: warning: level: unknown field, which kube-apiserver ignores; it belongs to a rule",
                    "policy.yaml:5: warning: metadata.nam: unknown field, which kube-apiserver ignores; did you mean name?",
                ],
            ),
        ] {
            check(text, true, warnings);
        }
        // The last of two duplicates it is.
        let (policy, _) = read("apiVersion: audit.k8s.io/v1\nrules:\n- level: None\n  level: Request\n");
        assert_eq!(policy.unwrap().rules()[0].level, Level::Request);
    }

    #[test]
    fn refused_as_no_policy() {
        for (text, errors) in [
            ("", &["policy.yaml: error: empty"][..]),
            (
                "rules:\n- level: None\n",
                &["policy.yaml:1: error: apiVersion: missing; write audit.k8s.io/v1"],
            ),
            ("apiVersion:\nrules: [level: None]\n", &["policy.yaml:1: error: apiVersion: missing"]),
            (
                "apiVersion: v1\nrules:\n- level: None\n",
                &["policy.yaml:1: error: apiVersion: \"v1\" has no audit policies; write audit.k8s.io/v1"],
            ),
            ("apiVersion: audit.k8s.io/v2\nrules: [level: None]\n", &["policy.yaml:1: error: apiVersion: "]),
            (
                "apiVersion: 1\nrules: [level: None]\n",
                &["policy.yaml:1: error: apiVersion: expected a string"],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nkind: policy\nrules:\n- level: None\n",
                &["policy.yaml:2: error: kind: \"policy\" is no audit policy; write Policy"],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nkind: Policy\n",
                &["policy.yaml:1: error: rules: a policy needs at least one rule"],
            ),
            ("apiVersion: audit.k8s.io/v1\nrules: []\n", &["policy.yaml:1: error: rules: a policy needs"]),
            ("apiVersion: audit.k8s.io/v1\nrules:\n", &["policy.yaml:1: error: rules: a policy needs"]),
            (
                "apiVersion: audit.k8s.io/v1\nrules: {level: None}\n",
                &[
                    "policy.yaml:2: error: rules: expected a list, found a mapping",
                    "policy.yaml:1: error: rules: a policy needs",
                ],
            ),
            ("- level: None\n", &["policy.yaml:1: error: expected a mapping, found a list"]),
            ("just text\n", &["policy.yaml:1: error: expected a mapping, found the string \"just text\""]),
            ("a: [1\nb: 2\n", &["policy.yaml:2: error: not YAML: "]),
            ("{apiVersion: audit.k8s.io/v1, rules: [{level: None}]}", &["policy.yaml:1: error: not JSON: "]),
            (
                "{\"apiVersion\": \"audit.k8s.io/v1\",\n\"rules\": [{\"level\": \"None\"}],}\n",
                &["policy.yaml:2: error: not JSON: "],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nmetadata: [x]\nrules: [level: None]\n",
                &["policy.yaml:2: error: metadata: expected a mapping"],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nmetadata:\n  name: 5\n  generation: x\n  labels: {a: 1}\nrules: [level: None]\n",
                &[
                    "policy.yaml:3: error: metadata.name: expected a string, found the number 5",
                    "policy.yaml:4: error: metadata.generation: expected an integer",
                    "policy.yaml:5: error: metadata.labels.a: expected a string",
                ],
            ),
            (
                "apiVersion: audit.k8s.io/v1\nomitManagedFields: 'true'\nomitStages: [Done]\nrules: [level: None]\n",
                &[
                    "policy.yaml:2: error: omitManagedFields: expected true or false, found the string \"true\"",
                    "policy.yaml:3: error: omitStages[0]: unknown stage \"Done\"; write RequestReceived, ",
                ],
            ),
            (
                "apiVersion: audit.k8s.io/v1\n? [a]\n: b\nrules: [level: None]\n",
                &["policy.yaml:2: error: a list cannot be a field's name"],
            ),
        ] {
            check(text, false, errors);
        }
    }

    #[test]
    fn refused_for_a_rule() {
        for (rule, errors) in [
            ("- {}", &["policy.yaml:3: error: rules[0].level: missing; write None, Metadata,"][..]),
            ("-", &["policy.yaml:3: error: rules[0].level: missing"]),
            ("- level:", &["policy.yaml:3: error: rules[0].level: missing"]),
            ("- None", &["policy.yaml:3: error: rules[0]: expected a mapping, found the string \"None\""]),
            (
                "- Level: None",
                &[
                    "policy.yaml:3: warning: rules[0].Level: unknown field, which kube-apiserver ignores; did you mean level?",
                    "policy.yaml:3: error: rules[0].level: missing",
                ],
            ),
            (
                "- level: metadata",
                &["policy.yaml:3: error: rules[0].level: unknown level \"metadata\"; did you mean Metadata?"],
            ),
            (
                "- level: None\n- level: Everything",
                &["policy.yaml:4: error: rules[1].level: unknown level \"Everything\"; write None, "],
            ),
            (
                "- level: 1",
                &[
                    "policy.yaml:3: error: rules[0].level: expected a string",
                    "policy.yaml:3: error: rules[0].level: missing",
                ],
            ),
            (
                "- level: None\n  users: jane",
                &["policy.yaml:4: error: rules[0].users: expected a list, found the string \"jane\""],
            ),
            (
                "- level: None\n  users: [yes]\n  verbs:\n  - get\n  - 1",
                &[
                    "policy.yaml:4: error: rules[0].users[0]: expected a string, found the boolean yes; write \"yes\"",
                    "policy.yaml:7: error: rules[0].verbs[1]: expected a string, found the number 1; write \"1\"",
                ],
            ),
            (
                "- level: None\n  userGroups: [[a]]",
                &["policy.yaml:4: error: rules[0].userGroups[0]: expected a string, found a list"],
            ),
            (
                "- level: None\n  resources: [pods]",
                &[
                    "policy.yaml:4: error: rules[0].resources[0]: expected a mapping, found the string \"pods\"",
                ],
            ),
            (
                "- level: None\n  resources:\n  - group: apps/v1",
                &[
                    "policy.yaml:5: error: rules[0].resources[0].group: \"apps/v1\" is no group; write it without the version: \"apps\"",
                ],
            ),
            (
                "- level: None\n  resources:\n  - group: Apps\n  - group: a_b\n  - group: core/v1",
                &[
                    "policy.yaml:5: error: rules[0].resources[0].group: \"Apps\" is no group; groups are lower case: \"apps\"",
                    "policy.yaml:6: error: rules[0].resources[1].group: \"a_b\" is no group; write a DNS name",
                    "policy.yaml:7: error: rules[0].resources[2].group: \"core/v1\" is no group; the core group is \"\"",
                ],
            ),
            (
                "- level: None\n  resources:\n  - group: ''\n    resourceNames: [x]",
                &["policy.yaml:6: error: rules[0].resources[0].resourceNames: names without resources"],
            ),
            (
                "- level: None\n  nonResourceURLs: [healthz, '/a*b', '', '/**']",
                &[
                    "policy.yaml:4: error: rules[0].nonResourceURLs[0]: \"healthz\" must begin with a slash",
                    "policy.yaml:4: error: rules[0].nonResourceURLs[1]: \"/a*b\" may have a * at its end only",
                    "policy.yaml:4: error: rules[0].nonResourceURLs[2]: \"\" must begin with a slash",
                    "policy.yaml:4: error: rules[0].nonResourceURLs[3]: \"/**\" may have a * at its end only",
                ],
            ),
            (
                "- level: None\n  resources: [{group: apps}]\n  nonResourceURLs: [/a]",
                &[
                    "policy.yaml:5: error: rules[0].nonResourceURLs: a rule is for resources and namespaces or",
                ],
            ),
            (
                "- level: None\n  namespaces: [a]\n  nonResourceURLs: [/a]",
                &[
                    "policy.yaml:5: error: rules[0].nonResourceURLs: a rule is for resources and namespaces or",
                ],
            ),
            (
                "- level: None\n  omitStages: [responseComplete]\n  omitManagedFields: 1",
                &[
                    "policy.yaml:4: error: rules[0].omitStages[0]: unknown stage \"responseComplete\"; did you mean ResponseComplete?",
                    "policy.yaml:5: error: rules[0].omitManagedFields: expected true or false, found the number 1",
                ],
            ),
        ] {
            check_rule(rule, false, errors);
        }
    }

    #[test]
    fn a_policy_inside_a_configuration_names_its_path() {
        let node =
            crate::yaml::parse("policy:\n  apiVersion: audit.k8s.io/v1\n  rules:\n  - level: X\n").unwrap();
        let mut problems = crate::problem::Problems::default();
        let node = node[0].get("policy").unwrap();
        assert!(super::node(node, &"audit-filter.yaml".into(), "policy", &mut problems).is_none());
        let problem = &problems.as_slice()[0];
        assert_eq!((problem.line, problem.field.as_str()), (4, "policy.rules[0].level"));
    }

    proptest! {
        /// Whatever the text, the answer is a policy or a reason why not.
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            read(&text);
        }

        #[test]
        fn no_damage_makes_it_panic(
            name in 0..builtin_names().count(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), "[-\\[\\]{}:,*&! \n\"'a1]{0,3}", 0usize..20), 1..6),
        ) {
            let name = builtin_names().nth(name).unwrap();
            let mut text: Vec<char> = builtin(name).unwrap().chars().collect();
            for (at, insert, remove) in edits {
                let at = at.index(text.len() + 1);
                let end = text.len().min(at + remove);
                text.splice(at..end, insert.chars());
            }
            let (policy, _) = read(&text.into_iter().collect::<String>());
            if let Some(policy) = policy {
                policy.lint(&"policy.yaml".into(), "", &mut crate::problem::Problems::default());
            }
        }
    }
}

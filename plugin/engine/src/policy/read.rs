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
        Some(Policy::new(node.line, rules, omit_stages, omit_managed_fields.unwrap_or(false)))
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

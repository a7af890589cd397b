//! Sigma documents: what is read of them, and what is wrong with them.
//!
//! Source: the Sigma rules specification 2.1. What it leaves to tools is decided here: a rule without an
//! `id` is known by its `name` or else its title; one without a `level` is informational.

use super::compile::{Builder, NodeId};
use super::condition::{self, Selections};
use super::modifier::{self, ItemError};
use super::{Rule, Severity};
use crate::problem::Problems;
use crate::sort::sort;
use crate::yaml::{Node, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// Where problems of one file go.
pub(crate) struct Report<'p> {
    pub(crate) file: &'p Arc<str>,
    pub(crate) problems: &'p mut Problems,
    /// Whether this report has had an error.
    pub(crate) failed: bool,
}

impl<'p> Report<'p> {
    pub(crate) fn new(file: &'p Arc<str>, problems: &'p mut Problems) -> Self {
        Self { file, problems, failed: false }
    }

    pub(crate) fn error(&mut self, line: u32, field: impl Into<String>, message: impl Into<String>) {
        self.failed = true;
        self.problems.error(self.file, line, field, message);
    }

    pub(crate) fn warning(&mut self, line: u32, field: impl Into<String>, message: impl Into<String>) {
        self.problems.warning(self.file, line, field, message);
    }
}

/// What a document of a rule file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rule,
    Correlation,
    Filter,
    /// `action: global`, `repeat` or `reset`, of Sigma before 2.0.
    Action,
}

pub(crate) fn kind_of(document: &Node) -> Kind {
    if document.get("correlation").is_some() {
        Kind::Correlation
    } else if document.get("filter").is_some() {
        Kind::Filter
    } else if document.get("action").is_some() {
        Kind::Action
    } else {
        Kind::Rule
    }
}

/// What rules and correlations have in common, or none where it has errors.
#[inline(never)]
pub(crate) fn read_head(document: &Node, report: &mut Report<'_>) -> Option<Rule> {
    let before = std::mem::replace(&mut report.failed, false);
    let title = string(document, "title", report);
    if title.is_none() && document.get("title").is_none() {
        report.error(document.line, "title", "missing; say in a few words what the rule finds");
    }
    let id = string(document, "id", report);
    let name = string(document, "name", report);
    if id.is_none() && document.get("id").is_none() {
        report.warning(document.line, "id", "missing; give the rule a UUID, so that it can be referred to");
    }
    let level = read_level(document, report);
    let tags = read_tags(document, report);
    check_status(document, report);
    for field in ["description", "author", "license"] {
        string(document, field, report);
    }
    for field in ["references", "falsepositives", "fields"] {
        strings(document, field, report);
    }
    let failed = std::mem::replace(&mut report.failed, before);
    report.failed |= failed;
    let title = title?;
    if failed {
        return None;
    }
    let id = id.or(name).unwrap_or(title);
    Some(Rule {
        id: id.to_owned().into(),
        name: name.map(|name| name.to_owned().into()),
        title: title.to_owned().into(),
        level,
        tags,
        file: Arc::clone(report.file),
        line: document.line,
    })
}

/// Whether the rule is about audit events of Kubernetes. Says why where it is not.
#[inline(never)]
pub(crate) fn check_log_source(document: &Node, report: &mut Report<'_>) {
    let Some(source) = document.get("logsource") else {
        report.error(document.line, "logsource", "missing; write product: kubernetes and service: audit");
        return;
    };
    let Value::Mapping(members) = &source.value else {
        let message = format!("expected a mapping, found {}", source.describe());
        return report.error(source.line, "logsource", message);
    };
    let mut narrowed = false;
    for (key, value) in members {
        let name = key.scalar().map_or("", |key| key.text.as_str());
        let wanted = match name {
            "product" => "kubernetes",
            "service" => "audit",
            "category" => "application",
            _ => continue,
        };
        narrowed = true;
        let field = format!("logsource.{name}");
        match value.scalar().map(|value| value.text.as_str()) {
            Some(found) if found == wanted => {}
            Some(found) => report.error(
                value.line,
                field,
                format!(
                    "{found:?} is another log than Kubernetes' audit log, where {name} is {wanted:?}; \
                     leave the rule out"
                ),
            ),
            None => report.error(value.line, field, format!("expected a string, found {}", value.describe())),
        }
    }
    if !narrowed {
        report.error(source.line, "logsource", "names no log; write product: kubernetes and service: audit");
    }
}

/// Compiles the detection of a rule, or none where it has errors.
#[inline(never)]
pub(crate) fn read_detection(
    document: &Node,
    builder: &mut Builder,
    report: &mut Report<'_>,
) -> Option<NodeId> {
    let Some(detection) = document.get("detection") else {
        report.error(
            document.line,
            "detection",
            "missing; write at least a selection and condition: selection",
        );
        return None;
    };
    let Value::Mapping(members) = &detection.value else {
        let message = format!("expected a mapping, found {}", detection.describe());
        report.error(detection.line, "detection", message);
        return None;
    };
    let before = std::mem::replace(&mut report.failed, false);
    let mut selections = Selections::default();
    let mut condition = None;
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in members {
        let name = key.scalar().map_or("", |key| key.text.as_str());
        let field = format!("detection.{name}");
        if seen.contains(&name) {
            report.error(key.line, field, "given twice; keep one of them");
            continue;
        }
        seen.push(name);
        match name {
            "condition" => condition = Some(value),
            "timeframe" => report.error(
                key.line,
                field,
                "belongs to an aggregation, which is no longer part of Sigma; write a correlation",
            ),
            _ => {
                if let Some(node) = read_selection(value, &field, builder, report) {
                    selections.add(name.to_owned(), key.line, node);
                }
            }
        }
    }
    // A condition over selections that could not be read would only repeat what is said already.
    let compiled = if report.failed {
        None
    } else if let Some(condition) = condition {
        read_condition(condition, &mut selections, builder, report)
    } else {
        report.error(detection.line, "detection.condition", "missing; write condition: selection");
        None
    };
    if compiled.is_some() {
        for (name, line) in selections.unused() {
            if !name.starts_with('_') {
                report.warning(line, format!("detection.{name}"), "not used by the condition");
            }
        }
    }
    let failed = report.failed;
    report.failed |= before;
    compiled.filter(|_| !failed)
}

fn read_condition(
    node: &Node,
    selections: &mut Selections,
    builder: &mut Builder,
    report: &mut Report<'_>,
) -> Option<NodeId> {
    let conditions = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut alternatives = Vec::new();
    for condition in conditions {
        let Some(text) =
            condition.scalar().map(|scalar| scalar.text.as_str()).filter(|text| !text.is_empty())
        else {
            let message = format!("expected a condition, found {}", condition.describe());
            report.error(condition.line, "detection.condition", message);
            continue;
        };
        match condition::compile(builder, text, selections) {
            Ok(node) => alternatives.push(node),
            Err(message) => report.error(condition.line, "detection.condition", message),
        }
    }
    if alternatives.is_empty() {
        if conditions.is_empty() {
            report.error(node.line, "detection.condition", "an empty list; write condition: selection");
        }
        return None;
    }
    Some(builder.any(alternatives))
}

/// Compiles a selection: a map, a list of maps, or a list of keywords; none where it has errors.
pub(crate) fn read_selection(
    node: &Node,
    field: &str,
    builder: &mut Builder,
    report: &mut Report<'_>,
) -> Option<NodeId> {
    match &node.value {
        Value::Mapping(_) => read_map(node, field, builder, report),
        Value::Scalar(_) => read_keywords(std::slice::from_ref(node), field, builder, report),
        Value::Sequence(items) if items.is_empty() => {
            report.error(node.line, field, "an empty list selects nothing; give it a map or a keyword");
            None
        }
        Value::Sequence(items) if items.iter().all(|item| item.scalar().is_some()) => {
            read_keywords(items, field, builder, report)
        }
        Value::Sequence(items) => {
            let mut alternatives = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let field = format!("{field}[{index}]");
                let alternative = match &item.value {
                    Value::Mapping(_) => read_map(item, &field, builder, report),
                    Value::Scalar(_) => read_keywords(std::slice::from_ref(item), &field, builder, report),
                    Value::Sequence(_) => {
                        report.error(item.line, field, "a list within a list; write maps or keywords");
                        None
                    }
                };
                alternatives.push(alternative?);
            }
            Some(builder.any(alternatives))
        }
    }
}

fn read_map(node: &Node, field: &str, builder: &mut Builder, report: &mut Report<'_>) -> Option<NodeId> {
    let Value::Mapping(members) = &node.value else { return None };
    if members.is_empty() {
        report.error(node.line, field, "an empty map selects everything; name at least one field");
        return None;
    }
    let mut items = Vec::with_capacity(members.len());
    let mut seen: Vec<&str> = Vec::with_capacity(members.len());
    let mut sound = true;
    for (key, value) in members {
        let Some(name) = key.scalar().map(|key| key.text.as_str()) else {
            report.error(key.line, field, format!("expected a field, found {}", key.describe()));
            sound = false;
            continue;
        };
        let field = format!("{field}.{name}");
        if seen.contains(&name) {
            let message = "given twice in one map; put the values into one list, or use |all";
            report.error(key.line, field, message);
            sound = false;
            continue;
        }
        seen.push(name);
        match modifier::compile(builder, name, value) {
            Ok(item) => {
                builder.name_expressions(&field);
                for message in item.warnings {
                    report.warning(key.line, field.clone(), message);
                }
                items.push(item.node);
            }
            Err(ItemError { line, message }) => {
                report.error(line, field, message);
                sound = false;
            }
        }
    }
    sound.then(|| builder.all(items))
}

fn read_keywords(
    values: &[Node],
    field: &str,
    builder: &mut Builder,
    report: &mut Report<'_>,
) -> Option<NodeId> {
    match modifier::compile_keywords(builder, values) {
        Ok(node) => Some(node),
        Err(ItemError { line, message }) => {
            report.error(line, field, message);
            None
        }
    }
}

fn read_level(document: &Node, report: &mut Report<'_>) -> Severity {
    let Some(node) = document.get("level") else { return Severity::Informational };
    let level = node.scalar().and_then(|level| Severity::of_name(&level.text));
    level.unwrap_or_else(|| {
        let message =
            format!("expected informational, low, medium, high or critical, found {}", node.describe());
        report.error(node.line, "level", message);
        Severity::Informational
    })
}

/// The tags as they come out: sorted, each once. What is in the namespace `audit` comes out without it,
/// because Sigma wants every tag in a namespace and `audit.tags` wants short ones.
fn read_tags(document: &Node, report: &mut Report<'_>) -> Vec<Cow<'static, str>> {
    let mut tags: Vec<Cow<'static, str>> = Vec::new();
    for (tag, line) in strings(document, "tags", report) {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        match tag.split_once('.') {
            _ if tag.is_empty() || !tag.chars().all(known) => {
                let message =
                    format!("{tag:?} is no tag; use letters, digits, dots, hyphens and underscores");
                report.error(line, "tags", message);
            }
            Some(("audit", short)) if !short.is_empty() => tags.push(short.to_owned().into()),
            Some(_) => tags.push(tag.to_owned().into()),
            None => {
                let message = format!("{tag:?} has no namespace, which Sigma asks for; write audit.{tag}");
                report.warning(line, "tags", message);
                tags.push(tag.to_owned().into());
            }
        }
    }
    sort(&mut tags);
    tags.dedup();
    tags
}

fn check_status(document: &Node, report: &mut Report<'_>) {
    let Some(node) = document.get("status") else { return };
    match node.scalar().map(|status| status.text.as_str()) {
        Some("stable" | "test" | "experimental" | "deprecated") => {}
        Some("unsupported") => {
            let message = "\"unsupported\" says that the rule cannot be used as it is; leave the rule out";
            report.error(node.line, "status", message);
        }
        _ => {
            let message =
                format!("expected stable, test, experimental or deprecated, found {}", node.describe());
            report.error(node.line, "status", message);
        }
    }
}

/// A member that has to be a non-empty string where it is there.
pub(crate) fn string<'n>(document: &'n Node, field: &str, report: &mut Report<'_>) -> Option<&'n str> {
    let node = document.get(field)?;
    let text = node.str().filter(|text| !text.is_empty());
    if text.is_none() {
        report.error(node.line, field, format!("expected a string, found {}", node.describe()));
    }
    text
}

/// A member that has to be a list of strings where it is there, with their lines.
pub(crate) fn strings<'n>(document: &'n Node, field: &str, report: &mut Report<'_>) -> Vec<(&'n str, u32)> {
    let Some(node) = document.get(field) else { return Vec::new() };
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        // Many published rules write a single one without a list.
        Value::Scalar(_) => std::slice::from_ref(node),
        Value::Mapping(_) => {
            report.error(node.line, field, "expected a list of strings, found a mapping");
            return Vec::new();
        }
    };
    let mut strings = Vec::with_capacity(items.len());
    for item in items {
        match item.scalar() {
            Some(scalar) => strings.push((scalar.text.as_str(), item.line)),
            None => report.error(item.line, field, format!("expected a string, found {}", item.describe())),
        }
    }
    strings
}

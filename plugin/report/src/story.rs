//! What happened to one record and why, in sentences: what the engine's [`Explanation`] says, told to a person or a
//! program. The command line and the page tell the same.

use std::borrow::Cow;
use std::fmt::Write as _;

use audit_filter_engine::Outcome;
use audit_filter_engine::explain::{Cause, Explanation, Verdict};
use audit_filter_engine::policy::{Considered, Level};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::text::{added_object, grouped, printable};

/// An explanation with all that it takes to tell it.
#[derive(Debug)]
pub struct Story<'r> {
    record: &'r [u8],
    explanation: &'r Explanation,
    /// The `audit` object, or the one that a dropped event would have had; null where there is none.
    audit: Value,
    /// Why the record could not be treated as an audit event.
    error: Option<String>,
}

impl<'r> Story<'r> {
    /// Of a record that the filter, which writes its object under `output_key`, has explained.
    #[must_use]
    pub fn new(record: &'r [u8], explanation: &'r Explanation, output_key: &str) -> Self {
        let audit = explanation.findings.as_ref().map(|findings| &*findings.audit);
        // The engine wrote it, so it is JSON.
        let audit = audit.and_then(|audit| serde_json::from_slice(audit).ok()).unwrap_or_default();
        let error = (explanation.outcome == Outcome::PassedThrough && explanation.output != record)
            .then(|| added_error(&explanation.output, output_key))
            .flatten();
        Self { record, explanation, audit, error }
    }

    /// What goes on of the record; empty where it was dropped.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.explanation.output
    }

    /// A string of the `audit` object.
    fn audit(&self, field: &str) -> Option<&str> {
        self.audit.get(field)?.as_str()
    }

    fn fate(&self) -> &'static str {
        match self.explanation.outcome {
            Outcome::Kept => "kept",
            Outcome::Dropped => "dropped",
            Outcome::PassedThrough => "passed-through",
        }
    }

    /// What became of the record and why, in one sentence.
    fn because(&self) -> String {
        let Some(verdict) = &self.explanation.verdict.as_ref().filter(|_| self.error.is_none()) else {
            return match &self.error {
                Some(error) => format!("passed through, since it is no audit event to the filter: {error}"),
                None => {
                    "passed through as it is: it is no audit event, and has a member of the filter's name"
                        .to_owned()
                }
            };
        };
        let by = deciding_rule(verdict);
        let severity = self.audit("severity").unwrap_or("none");
        match self.explanation.cause {
            Some(Cause::Stage) => {
                format!("dropped: {} omits the stage {}", verdict.file, verdict.stage)
            }
            Some(Cause::ResponseCode(code)) => format!("dropped: omitResponseCodes has {code}"),
            Some(Cause::Severity) => {
                format!("dropped {by}, and its severity ({severity}) is too low for keepSeverity to keep it")
            }
            Some(_) => format!("dropped {by}"),
            None if verdict.decision.level == Level::None => {
                format!(
                    "kept at Metadata: to be dropped {by}, but keepSeverity keeps its severity, {severity}"
                )
            }
            None => format!("kept at {} {by}", self.audit("level").unwrap_or_default()),
        }
    }

    /// All of it, for a program.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let Explanation { outcome, output, verdict, findings, .. } = self.explanation;
        let mut members = Map::new();
        members.insert("fate".to_owned(), self.fate().into());
        members.insert("because".to_owned(), self.because().into());
        members.insert("bytes_in".to_owned(), self.record.len().into());
        members.insert("bytes_out".to_owned(), output.len().into());
        if let Some(error) = &self.error {
            members.insert("error".to_owned(), error.as_str().into());
        }
        if let Some(verdict) = verdict {
            members.insert("audit_id".to_owned(), verdict.audit_id.as_str().into());
            members.insert("stage".to_owned(), verdict.stage.as_str().into());
            members.insert("policy".to_owned(), policy_to_json(verdict));
        }
        if let Some(findings) = findings {
            let rules = findings.rules.iter().map(|rule| {
                serde_json::json!({
                    "id": rule.id, "title": rule.title, "level": rule.level.name(), "tags": rule.tags,
                    "file": &*rule.file, "line": rule.line,
                })
            });
            if *outcome == Outcome::Kept {
                let cuts =
                    findings.cuts.iter().map(|cut| serde_json::json!({"what": cut.what, "bytes": cut.bytes}));
                members.insert("cut".to_owned(), cuts.collect());
            }
            members.insert("rules".to_owned(), rules.collect());
            members.insert("alerts".to_owned(), self.alerts().collect());
            members.insert("audit".to_owned(), self.audit.clone());
        }
        members
    }
}

fn policy_to_json(verdict: &Verdict) -> Value {
    let considered = verdict.considered.iter().map(|rule| {
        let mut object =
            serde_json::json!({"rule": rule.rule, "line": rule.line, "level": rule.level.as_str()});
        match (&rule.mismatch, object.as_object_mut()) {
            (Some(mismatch), Some(members)) => {
                members.insert("mismatch".to_owned(), mismatch.field.as_str().into());
                members.insert("event_has".to_owned(), mismatch.seen.to_string().into());
            }
            (_, members) => {
                members.map(|members| members.insert("matches".to_owned(), true.into()));
            }
        }
        object
    });
    serde_json::json!({
        "file": &*verdict.file,
        "rule": verdict.matched().map(|rule| rule.rule),
        "line": verdict.matched().map(|rule| rule.line),
        "level": verdict.decision.level.as_str(),
        "written_at": verdict.written_at.map(Level::as_str),
        "stage_omitted": verdict.decision.stage_omitted,
        "omit_managed_fields": verdict.decision.omit_managed_fields,
        "considered": considered.collect::<Value>(),
    })
}

/// The `error` in the object that the filter has added.
fn added_error(output: &[u8], key: &str) -> Option<String> {
    Some(added_object(output, key)?.get(b"error")?.text()?.to_str().into_owned())
}

/// `by rule 3 at line 41 of policy.yaml`
fn deciding_rule(verdict: &Verdict) -> String {
    let file = &verdict.file;
    match verdict.matched() {
        Some(Considered { rule, line, .. }) => format!("by rule {rule} at line {line} of {file}"),
        None => format!("because no rule of {file} matches"),
    }
}

/// A thing that a story tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is about; empty where it goes on with what the line before is about.
    pub label: &'static str,
    /// What it says, in a form that gives no orders to a terminal.
    pub text: String,
}

impl Story<'_> {
    /// What the event tells, in a sentence.
    #[must_use]
    pub fn told(&self) -> Cow<'_, str> {
        printable(self.audit("message").unwrap_or(match (&self.explanation.verdict, &self.error) {
            (Some(_), None) => "an audit event that was not read to its end",
            _ => "no audit event",
        }))
    }

    /// A labelled line for each thing found, for a person.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let Explanation { outcome, output, verdict, findings, .. } = self.explanation;
        let mut lines = Vec::new();
        let mut line = |label, text: &str| lines.push(Line { label, text: printable(text).into_owned() });
        if let Some(verdict) = verdict {
            let written_at = verdict.written_at.map_or("no level", Level::as_str);
            line("event", &format!("{}, {}, written at {written_at}", verdict.audit_id, verdict.stage));
            for (index, text) in policy(verdict).iter().enumerate() {
                line(if index == 0 { "policy" } else { "" }, text);
            }
            line("level", &level(verdict));
        }
        if let Some(findings) = findings {
            if *outcome == Outcome::Kept {
                for cut in &findings.cuts {
                    line("cut", &format!("{} ({} bytes)", cut.what, grouped(cut.bytes as u64)));
                }
                if findings.cuts.is_empty() {
                    line("cut", "nothing");
                }
            }
            line("operator", &self.operator());
            line("source", &self.source(findings.source_is_trusted_proxy));
            line("action", &self.action());
            if let Some(exec) = self.audit.get("exec") {
                line("exec", &exec_text(exec));
            }
            if findings.rules.is_empty() {
                line("rules", "none holds");
            }
            for (index, rule) in findings.rules.iter().enumerate() {
                let text = format!("{}: {} ({})", rule.level, rule.title, rule.id);
                line(if index == 0 { "rules" } else { "" }, &text);
            }
            for (index, alert) in self.alerts().enumerate() {
                line(if index == 0 { "alerts" } else { "" }, &alert_text(&alert));
            }
            if *outcome == Outcome::Kept {
                line("route", self.audit("route").unwrap_or("none takes it"));
            }
        }
        let mut fate = self.because();
        if *outcome != Outcome::Dropped {
            let (written, read) = (grouped(output.len() as u64), grouped(self.record.len() as u64));
            let _ = write!(fate, "; {written} bytes go on where {read} came in");
        }
        line("fate", &fate);
        lines
    }
}

fn policy(verdict: &Verdict) -> Vec<String> {
    let mut lines: Vec<_> = verdict
        .considered
        .iter()
        .map(|Considered { rule, line, level, mismatch, .. }| {
            let level = level.as_str();
            match mismatch {
                None => format!("rule {rule} (line {line}, {level}) matches"),
                Some(mismatch) => format!(
                    "rule {rule} (line {line}, {level}) is ruled out by {}: the event has {}",
                    mismatch.field.as_str(),
                    mismatch.seen
                ),
            }
        })
        .collect();
    if verdict.matched().is_none() {
        lines.push(format!("no rule of {} matches, which means None", verdict.file));
    }
    lines
}

fn level(verdict: &Verdict) -> String {
    let wanted = verdict.decision.level;
    if verdict.decision.stage_omitted {
        return format!("none: events of the stage {} are omitted", verdict.stage);
    }
    if verdict.level < wanted {
        return format!(
            "{}: the policy wants {}, but no more was written",
            verdict.level.as_str(),
            wanted.as_str()
        );
    }
    wanted.as_str().to_owned()
}

impl Story<'_> {
    /// The alerts of the `audit` object, each with its correlation's title and place.
    fn alerts(&self) -> impl Iterator<Item = Value> {
        let correlations = self.explanation.findings.iter().flat_map(|findings| &findings.alerts);
        let alerts = self.audit.get("alerts").and_then(Value::as_array).into_iter().flatten();
        alerts.zip(correlations).map(|(alert, correlation)| {
            let mut alert = alert.clone();
            if let Some(members) = alert.as_object_mut() {
                members.insert("title".to_owned(), (&*correlation.title).into());
                members.insert("file".to_owned(), (&*correlation.file).into());
                members.insert("line".to_owned(), correlation.line.into());
            }
            alert
        })
    }

    fn operator(&self) -> String {
        let kind = self.audit("operator_type").unwrap_or_default();
        let Some(name) = self.audit("operator") else { return "nobody: the request has no user".to_owned() };
        let why = match self.audit("operator_source") {
            Some("impersonation") => "the user whom the request impersonates",
            Some("rbac-reason") => "the user whom the reason for allowing it names, as the account is shared",
            _ => "the user who authenticated",
        };
        format!("{name} ({kind}): {why}")
    }

    fn source(&self, is_trusted_proxy: bool) -> String {
        let all = self.audit("source_ips").unwrap_or_default();
        let Some(ip) = self.audit("source_ip") else {
            return match all {
                "" => "unknown: the event has no address".to_owned(),
                all => format!("unknown: what is no trusted proxy among {all} is no address"),
            };
        };
        let why = if !all.contains(',') {
            "the only address".to_owned()
        } else if is_trusted_proxy {
            format!("a trusted proxy, but so is every address to its right, and there is no other, in {all}")
        } else if all.rsplit(',').next() == Some(ip) {
            format!("the last of {all}, which is no trusted proxy")
        } else {
            format!("from the right, the first of {all} that is no trusted proxy")
        };
        let scope = self.audit("source_scope").unwrap_or_default();
        let listed = match self.audit.get("source_high_risk") {
            Some(_) => "; a list of high-risk addresses has it",
            None => "",
        };
        format!("{ip} ({scope}): {why}{listed}")
    }

    fn action(&self) -> String {
        let outcome = match self.audit("outcome") {
            Some("success") => "it succeeded",
            Some(_) => "it failed",
            None => "how it ended is not known yet",
        };
        let class = match self.audit("resource_class") {
            Some("non-resource") => "no resource".to_owned(),
            Some(class) => format!("the resource class {class}"),
            None => String::new(),
        };
        format!("{} on {class}; {outcome}", self.audit("action").unwrap_or_default())
    }
}

/// `high: Many Secrets Read (many-secrets): 15 within 1,800 s for {"audit.operator":"jane"}`, of an alert in the `audit`
/// object to which the title has been added.
#[must_use]
pub fn alert_text(alert: &Value) -> String {
    let text = |field: &str| alert.get(field).and_then(Value::as_str).unwrap_or_default();
    let number = |field: &str| grouped(alert.get(field).and_then(Value::as_u64).unwrap_or_default());
    let value = alert.get("value").map(|value| format!(", value {value}")).unwrap_or_default();
    let group = alert.get("group").map(|group| format!(" for {group}")).unwrap_or_default();
    format!(
        "{}: {} ({}): {} within {} s{group}{value}",
        text("severity"),
        text("title"),
        text("rule"),
        number("count"),
        number("window_seconds")
    )
}

/// `["sh","-c","id"] in container app, with stdin, with a terminal`
fn exec_text(exec: &Value) -> String {
    let list =
        |field: &str| exec.get(field).filter(|list| list.as_array().is_some_and(|list| !list.is_empty()));
    let text = |field: &str| exec.get(field).and_then(Value::as_str);
    let is_set = |field: &str| exec.get(field).and_then(Value::as_bool) == Some(true);
    let mut parts = Vec::new();
    parts.extend(list("command").map(Value::to_string));
    parts.extend(list("ports").map(|ports| format!("ports {ports}")));
    parts.extend(text("container").map(|container| format!("container {container}")));
    parts.extend(text("image").map(|image| format!("image {image}")));
    parts.extend(text("copy").map(|way| format!("copies files {}", way.replace('-', " "))));
    parts.extend(is_set("stdin").then(|| "with stdin".to_owned()));
    parts.extend(is_set("tty").then(|| "with a terminal".to_owned()));
    if parts.is_empty() { "nothing that the request names".to_owned() } else { parts.join(", ") }
}

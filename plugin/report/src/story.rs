//! What happened to one record and why, in sentences: what the engine's [`Explanation`] says, told to a person or a
//! program. The command line and the page tell the same.

use std::borrow::Cow;

use audit_filter_engine::Outcome;
use audit_filter_engine::explain::{Cause, Explanation, Verdict};
use audit_filter_engine::policy::{Considered, Level};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::said::{Said, said};
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

    /// A string of the `audit` object, such as `severity`; of a dropped event, of the one that it would have had.
    #[must_use]
    pub fn audit(&self, field: &str) -> Option<&str> {
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
    fn because(&self) -> Said {
        let Some(verdict) = &self.explanation.verdict.as_ref().filter(|_| self.error.is_none()) else {
            return match &self.error {
                Some(error) => {
                    said!("passed through, since it is no audit event to the filter: {}", error.as_str())
                }
                None => {
                    said!(
                        "passed through as it is: it is no audit event, and has a member of the filter's name"
                    )
                }
            };
        };
        let by = deciding_rule(verdict);
        let severity = Said::name(self.audit("severity").unwrap_or("none"));
        match self.explanation.cause {
            Some(Cause::Stage) => said!("dropped: {} omits the stage {}", &*verdict.file, &*verdict.stage),
            Some(Cause::ResponseCode(code)) => said!("dropped: omitResponseCodes has {}", code.to_string()),
            Some(Cause::Severity) => {
                said!(
                    "dropped {}, and its severity ({}) is too low for keepSeverity to keep it",
                    by,
                    severity
                )
            }
            Some(_) => said!("dropped {}", by),
            None if verdict.decision.level == Level::None => {
                said!(
                    "kept at Metadata: to be dropped {}, but keepSeverity keeps its severity, {}",
                    by,
                    severity
                )
            }
            None => said!("kept at {} {}", self.audit("level").unwrap_or_default(), by),
        }
    }

    /// All of it, for a program.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let Explanation { outcome, output, verdict, findings, .. } = self.explanation;
        let mut members = Map::new();
        members.insert("fate".to_owned(), self.fate().into());
        members.insert("because".to_owned(), self.because().to_string().into());
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
fn deciding_rule(verdict: &Verdict) -> Said {
    let file = &*verdict.file;
    match verdict.matched() {
        Some(Considered { rule, line, .. }) => {
            said!("by rule {} at line {} of {}", rule.to_string(), line.to_string(), file)
        }
        None => said!("because no rule of {} matches", file),
    }
}

/// A thing that a story tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is about; empty where it goes on with what the line before is about.
    pub label: &'static str,
    /// What it says.
    pub text: Said,
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
        let mut line = |label, text| lines.push(Line { label, text });
        let bytes = |count: usize| grouped(count as u64);
        if let Some(verdict) = verdict {
            let written_at = verdict.written_at.map_or("no level", Level::as_str);
            let (id, stage) = (&*verdict.audit_id, &*verdict.stage);
            line("event", said!("{}, {}, written at {}", id, stage, Said::name(written_at)));
            for (index, text) in policy(verdict).into_iter().enumerate() {
                line(if index == 0 { "policy" } else { "" }, text);
            }
            line("level", level(verdict));
        }
        if let Some(findings) = findings {
            if *outcome == Outcome::Kept {
                for cut in &findings.cuts {
                    line("cut", said!("{} ({} bytes)", cut.what, bytes(cut.bytes)));
                }
                if findings.cuts.is_empty() {
                    line("cut", said!("nothing"));
                }
            }
            line("operator", self.operator());
            line("source", self.source(findings.source_is_trusted_proxy));
            line("action", self.action());
            if let Some(exec) = self.audit.get("exec") {
                line("exec", exec_text(exec));
            }
            if findings.rules.is_empty() {
                line("rules", said!("none holds"));
            }
            for (index, rule) in findings.rules.iter().enumerate() {
                let (level, title) = (Said::name(rule.level.name()), Said::name(&rule.title));
                line(if index == 0 { "rules" } else { "" }, said!("{}: {} ({})", level, title, &*rule.id));
            }
            for (index, alert) in self.alerts().enumerate() {
                line(if index == 0 { "alerts" } else { "" }, alert_text(&alert));
            }
            if *outcome == Outcome::Kept {
                line(
                    "route",
                    self.audit("route").map_or_else(|| said!("none takes it"), |name| said!("{}", name)),
                );
            }
        }
        let mut fate = self.because();
        if *outcome != Outcome::Dropped {
            let (written, read) = (bytes(output.len()), bytes(self.record.len()));
            fate = said!("{}; {} bytes go on where {} came in", fate, written, read);
        }
        line("fate", fate);
        lines
    }
}

fn policy(verdict: &Verdict) -> Vec<Said> {
    let mut lines: Vec<_> = verdict
        .considered
        .iter()
        .map(|Considered { rule, line, level, mismatch, .. }| {
            let (rule, line, level) = (rule.to_string(), line.to_string(), level.as_str());
            match mismatch {
                None => said!("rule {} (line {}, {}) matches", rule, line, level),
                Some(mismatch) => {
                    let (field, seen) = (mismatch.field.as_str(), Said::name(&mismatch.seen.to_string()));
                    said!(
                        "rule {} (line {}, {}) is ruled out by {}: the event has {}",
                        rule,
                        line,
                        level,
                        field,
                        seen
                    )
                }
            }
        })
        .collect();
    if verdict.matched().is_none() {
        lines.push(said!("no rule of {} matches, which means None", &*verdict.file));
    }
    lines
}

fn level(verdict: &Verdict) -> Said {
    let wanted = verdict.decision.level;
    if verdict.decision.stage_omitted {
        return said!("none: events of the stage {} are omitted", &*verdict.stage);
    }
    if verdict.level < wanted {
        let (level, wanted) = (verdict.level.as_str(), wanted.as_str());
        return said!("{}: the policy wants {}, but no more was written", level, wanted);
    }
    said!("{}", wanted.as_str())
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

    fn operator(&self) -> Said {
        let kind = Said::name(self.audit("operator_type").unwrap_or_default());
        let Some(name) = self.audit("operator") else { return said!("nobody: the request has no user") };
        let why = match self.audit("operator_source") {
            Some("impersonation") => said!("the user whom the request impersonates"),
            Some("rbac-reason") => {
                said!("the user whom the reason for allowing it names, as the account is shared")
            }
            _ => said!("the user who authenticated"),
        };
        said!("{} ({}): {}", name, kind, why)
    }

    fn source(&self, is_trusted_proxy: bool) -> Said {
        let all = self.audit("source_ips").unwrap_or_default();
        let Some(ip) = self.audit("source_ip") else {
            return match all {
                "" => said!("unknown: the event has no address"),
                all => said!("unknown: what is no trusted proxy among {} is no address", all),
            };
        };
        let why = if !all.contains(',') {
            said!("the only address")
        } else if is_trusted_proxy {
            said!("a trusted proxy, but so is every address to its right, and there is no other, in {}", all)
        } else if all.rsplit(',').next() == Some(ip) {
            said!("the last of {}, which is no trusted proxy", all)
        } else {
            said!("from the right, the first of {} that is no trusted proxy", all)
        };
        let scope = Said::name(self.audit("source_scope").unwrap_or_default());
        let source = said!("{} ({}): {}", ip, scope, why);
        match self.audit.get("source_high_risk") {
            Some(_) => said!("{}; a list of high-risk addresses has it", source),
            None => source,
        }
    }

    fn action(&self) -> Said {
        let outcome = match self.audit("outcome") {
            Some("success") => said!("it succeeded"),
            Some(_) => said!("it failed"),
            None => said!("how it ended is not known yet"),
        };
        let class = match self.audit("resource_class") {
            Some("non-resource") => said!("no resource"),
            Some(class) => said!("the resource class {}", Said::name(class)),
            None => Said::name(""),
        };
        said!("{} on {}; {}", Said::name(self.audit("action").unwrap_or_default()), class, outcome)
    }
}

/// `high: Many Secrets Read (many-secrets): 15 within 1,800 s for {"audit.operator":"jane"}`, of an alert in the `audit`
/// object to which the title has been added.
#[must_use]
pub fn alert_text(alert: &Value) -> Said {
    let text = |field: &str| alert.get(field).and_then(Value::as_str).unwrap_or_default();
    let number = |field: &str| grouped(alert.get(field).and_then(Value::as_u64).unwrap_or_default());
    let (severity, title) = (Said::name(text("severity")), Said::name(text("title")));
    let (count, seconds) = (number("count"), number("window_seconds"));
    let mut said = said!("{}: {} ({}): {} within {} s", severity, title, text("rule"), count, seconds);
    if let Some(group) = alert.get("group") {
        said = said!("{} for {}", said, group.to_string());
    }
    if let Some(value) = alert.get("value") {
        said = said!("{}, value {}", said, value.to_string());
    }
    said
}

/// `["sh","-c","id"], container app, with stdin, with a terminal`
fn exec_text(exec: &Value) -> Said {
    let list =
        |field: &str| exec.get(field).filter(|list| list.as_array().is_some_and(|list| !list.is_empty()));
    let text = |field: &str| exec.get(field).and_then(Value::as_str);
    let is_set = |field: &str| exec.get(field).and_then(Value::as_bool) == Some(true);
    let mut parts = Vec::new();
    parts.extend(list("command").map(|command| said!("{}", command.to_string())));
    parts.extend(list("ports").map(|ports| said!("ports {}", ports.to_string())));
    parts.extend(text("container").map(|container| said!("container {}", container)));
    parts.extend(text("image").map(|image| said!("image {}", image)));
    parts.extend(text("copy").map(|way| match way {
        "from-pod" => said!("copies files from pod"),
        _ => said!("copies files to pod"),
    }));
    parts.extend(is_set("stdin").then(|| said!("with stdin")));
    parts.extend(is_set("tty").then(|| said!("with a terminal")));
    let all = parts.into_iter().reduce(|before, part| said!("{}, {}", before, part));
    all.unwrap_or_else(|| said!("nothing that the request names"))
}

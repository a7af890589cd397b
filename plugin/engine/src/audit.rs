//! The `audit` object: what the stages have found about one event, as rules and routes may ask for it and as
//! it is written into the record.

use crate::buffer::{Buffer, Room, Short};
use crate::detect::{Alert, AuditField, AuditFields, AuditValue, Few, Rule, Severity};
use crate::json;
use crate::normalize::Normalized;
use crate::policy::Level;
use crate::sort::sort;

/// What is known so far. Each stage adds to it; [`write`](Self::write) makes the object of it.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    normalized: &'a Normalized<'a>,
    pub(crate) level: Option<Level>,
    pub(crate) policy_rule: Option<usize>,
    pub(crate) severity: Option<Severity>,
    rules: Vec<&'a str>,
    tags: Vec<&'a str>,
    alerts: Vec<(&'a Rule, &'a Alert)>,
    pub(crate) message: Message<'a>,
    pub(crate) route: Option<&'a str>,
    /// What could not be done in full, for `error`.
    notes: Vec<&'a str>,
}

/// The line for a person.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Message<'a> {
    pub(crate) text: &'a [u8],
    /// Whether it is known to need no escapes in JSON.
    pub(crate) is_plain: bool,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(normalized: &'a Normalized<'a>) -> Self {
        Self {
            normalized,
            level: None,
            policy_rule: None,
            severity: None,
            rules: Vec::new(),
            tags: Vec::new(),
            alerts: Vec::new(),
            message: Message::default(),
            route: None,
            notes: Vec::new(),
        }
    }

    /// Adds the rules that hold: their ids in the order of the set, their tags sorted, each once.
    pub(crate) fn add_rules(&mut self, rules: impl Iterator<Item = &'a Rule>) {
        for rule in rules {
            self.add_level_and_tags(rule);
            self.rules.push(&rule.id);
        }
        if self.tags.len() > 1 {
            self.sort_tags();
        }
    }

    /// Adds the alerts of an event, with the correlations that they are about: an event is as grave as what it
    /// completes, and has its tags.
    pub(crate) fn add_alerts(&mut self, alerts: impl Iterator<Item = (&'a Rule, &'a Alert)>) {
        for (correlation, alert) in alerts {
            self.add_level_and_tags(correlation);
            self.alerts.push((correlation, alert));
        }
        if !self.alerts.is_empty() {
            self.sort_tags();
        }
    }

    /// Adds what could not be done in full, if something could not.
    #[inline(always)]
    pub(crate) fn add_note(&mut self, note: Option<&'a str>) {
        if let Some(note) = note {
            self.notes.push(note);
        }
    }

    fn add_level_and_tags(&mut self, rule: &'a Rule) {
        self.severity = self.severity.max(Some(rule.level));
        self.tags.extend(rule.tags.iter().map(|tag| &**tag));
    }

    #[inline(never)]
    fn sort_tags(&mut self) {
        sort(&mut self.tags);
        self.tags.dedup();
    }

    /// Writes what [`emit::write`](crate::emit::write) adds to a record, after `name`: the object, with its members in the
    /// order in which the documentation lists them.
    pub(crate) fn write(&self, name: &[u8], out: &mut Buffer) {
        out.write(|out| {
            out.push(name)?;
            self.write_to(out)
        });
        // Every member wrote a comma before itself, the first one too; there is always a message.
        if let Some(comma) = out.bytes_mut().get_mut(name.len()) {
            *comma = b'{';
        }
    }

    #[inline(always)]
    fn write_to(&self, out: &mut Room<'_>) -> Result<(), Short> {
        if let Some(level) = self.level {
            out.push(b",\"level\":")?;
            out.push(level.as_json())?;
        }
        if let Some(rule) = self.policy_rule {
            out.push(b",\"policy_rule\":")?;
            out.push_number(i64::try_from(rule).unwrap_or(i64::MAX))?;
        }
        self.normalized.write_members(out)?;
        if let Some(severity) = self.severity {
            out.push(b",\"severity\":\"")?;
            out.push(severity.name().as_bytes())?;
            out.push(b"\"")?;
        }
        push_list(out, b",\"rules\":[\"", &self.rules)?;
        push_list(out, b",\"tags\":[\"", &self.tags)?;
        if !self.alerts.is_empty() {
            out.push_owned(self.alerts())?;
        }
        out.push(b",\"message\":\"")?;
        if self.message.is_plain {
            out.push(self.message.text)?;
        } else {
            out.push_escaped(self.message.text)?;
        }
        if let Some(route) = self.route {
            out.push(b"\",\"route\":\"")?;
            out.push_escaped(route.as_bytes())?;
        }
        if !self.notes.is_empty() {
            out.push(b"\",\"error\":\"")?;
            out.push_escaped(&self.error())?;
        }
        out.push(b"\"}}")
    }

    #[cold]
    #[inline(never)]
    fn error(&self) -> Vec<u8> {
        self.notes.join("; ").into_bytes()
    }

    /// The member for alerts, with a comma before itself.
    #[cold]
    #[inline(never)]
    fn alerts(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, (correlation, alert)) in self.alerts.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b",\"alerts\":[{" } else { b",{" });
            // The first member has no comma before itself.
            out.extend_from_slice(b"\"rule\":");
            json::push_string(&mut out, correlation.id.as_bytes());
            push_name(&mut out, "severity");
            json::push_string(&mut out, correlation.level.name().as_bytes());
            if !alert.group.is_empty() {
                push_name(&mut out, "group");
                out.extend_from_slice(&alert.group);
            }
            push_name(&mut out, "count");
            json::push_number(&mut out, i64::try_from(alert.count).unwrap_or(i64::MAX));
            if let Some(value) = alert.value {
                push_name(&mut out, "value");
                json::push_decimal(&mut out, value);
            }
            push_name(&mut out, "window_seconds");
            json::push_number(&mut out, alert.window_seconds);
            out.push(b'}');
        }
        out.push(b']');
        out
    }
}

fn push_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a list, unless it is empty; `name` ends in the quote that opens the first value.
#[inline(always)]
fn push_list(out: &mut Room<'_>, name: &[u8], values: &[&str]) -> Result<(), Short> {
    let mut before = name;
    for value in values {
        out.push(before)?;
        out.push_escaped(value.as_bytes())?;
        before = b"\",\"";
    }
    if values.is_empty() { Ok(()) } else { out.push(b"\"]") }
}

impl AuditFields for Findings<'_> {
    fn values(&self, field: AuditField, each: &mut dyn FnMut(AuditValue<'_>)) {
        match field {
            AuditField::Level => {
                if let Some(level) = self.level {
                    each(AuditValue::Text(level.as_str().as_bytes()));
                }
            }
            AuditField::PolicyRule => {
                if let Some(rule) = self.policy_rule {
                    each(AuditValue::Integer(i64::try_from(rule).unwrap_or(i64::MAX)));
                }
            }
            AuditField::Severity => {
                if let Some(severity) = self.severity {
                    each(AuditValue::Text(severity.name().as_bytes()));
                }
            }
            AuditField::Rules => self.rules.iter().for_each(|rule| each(AuditValue::Text(rule.as_bytes()))),
            AuditField::Tags => self.tags.iter().for_each(|tag| each(AuditValue::Text(tag.as_bytes()))),
            AuditField::Message => each(AuditValue::Text(self.message.text)),
            AuditField::Error if !self.notes.is_empty() => each(AuditValue::Text(&self.error())),
            AuditField::Error => {}
            AuditField::Alerts | AuditField::AlertRule => {
                self.alerts.iter().for_each(|(rule, _)| each(AuditValue::Text(rule.id.as_bytes())));
            }
            AuditField::AlertSeverity => {
                self.alerts.iter().for_each(|(rule, _)| each(AuditValue::Text(rule.level.name().as_bytes())));
            }
            AuditField::AlertCount => {
                for (_, alert) in &self.alerts {
                    each(AuditValue::Integer(i64::try_from(alert.count).unwrap_or(i64::MAX)));
                }
            }
            AuditField::AlertValue => {
                for value in self.alerts.iter().filter_map(|(_, alert)| alert.value) {
                    let mut text = Vec::new();
                    json::push_decimal(&mut text, value);
                    each(AuditValue::Text(&text));
                }
            }
            normalized => self.normalized.values(normalized, each),
        }
    }

    fn few(&self) -> Option<Few> {
        self.normalized.few()
    }
}

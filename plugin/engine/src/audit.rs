//! The `audit` object: what the stages have found about one event, as rules and routes may ask for it and as
//! it is written into the record.

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
    pub(crate) message: &'a [u8],
    pub(crate) route: Option<&'a str>,
    /// What could not be done in full, for `error`.
    pub(crate) notes: Vec<&'a str>,
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
            message: b"",
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
        self.sort_tags();
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

    fn add_level_and_tags(&mut self, rule: &'a Rule) {
        self.severity = self.severity.max(Some(rule.level));
        self.tags.extend(rule.tags.iter().map(|tag| &**tag));
    }

    fn sort_tags(&mut self) {
        sort(&mut self.tags);
        self.tags.dedup();
    }

    /// Appends the object, with its members in the order in which the documentation lists them.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        if let Some(level) = self.level {
            out.extend_from_slice(b",\"level\":");
            out.extend_from_slice(level.as_json());
        }
        if let Some(rule) = self.policy_rule {
            out.extend_from_slice(b",\"policy_rule\":");
            json::push_number(out, i64::try_from(rule).unwrap_or(i64::MAX));
        }
        self.normalized.write_members(out);
        if let Some(severity) = self.severity {
            push_member(out, "severity", severity.name().as_bytes());
        }
        push_list(out, "rules", &self.rules);
        push_list(out, "tags", &self.tags);
        self.push_alerts(out);
        push_member(out, "message", self.message);
        if let Some(route) = self.route {
            push_member(out, "route", route.as_bytes());
        }
        if !self.notes.is_empty() {
            push_member(out, "error", self.notes.join("; ").as_bytes());
        }
        // Every member wrote a comma before itself, the first one too; there is always a message.
        if let Some(comma) = out.get_mut(start) {
            *comma = b'{';
        }
        out.push(b'}');
    }
}

impl Findings<'_> {
    fn push_alerts(&self, out: &mut Vec<u8>) {
        for (index, (correlation, alert)) in self.alerts.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b",\"alerts\":[{" } else { b",{" });
            // The first member has no comma before itself.
            out.extend_from_slice(b"\"rule\":");
            json::push_string(out, correlation.id.as_bytes());
            push_member(out, "severity", correlation.level.name().as_bytes());
            if !alert.group.is_empty() {
                push_name(out, "group");
                out.extend_from_slice(&alert.group);
            }
            push_name(out, "count");
            json::push_number(out, i64::try_from(alert.count).unwrap_or(i64::MAX));
            if let Some(value) = alert.value {
                push_name(out, "value");
                json::push_decimal(out, value);
            }
            push_name(out, "window_seconds");
            json::push_number(out, alert.window_seconds);
            out.push(b'}');
        }
        if !self.alerts.is_empty() {
            out.push(b']');
        }
    }
}

fn push_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push_name(out, name);
    json::push_string(out, value);
}

fn push_list(out: &mut Vec<u8>, name: &str, values: &[&str]) {
    if values.is_empty() {
        return;
    }
    push_name(out, name);
    for (index, value) in values.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        json::push_string(out, value.as_bytes());
    }
    out.push(b']');
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
            AuditField::Message => each(AuditValue::Text(self.message)),
            AuditField::Error if !self.notes.is_empty() => {
                each(AuditValue::Text(self.notes.join("; ").as_bytes()))
            }
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

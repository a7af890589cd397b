//! Which events a report is about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::records::{HIGH, Records, Row, SEVERITIES};

/// What an event can be chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// `objectRef.namespace`
    Namespace,
    /// `audit.operator`
    User,
    /// `audit.operator_type`
    UserType,
    /// `responseStatus.code`: `403`, or `4xx` for all that begin so; `none` where there is none.
    Code,
    /// `audit.severity`; `none` where no rule holds.
    Severity,
    /// One of `audit.tags`.
    Tag,
    /// One of `audit.rules`.
    Rule,
    /// The rule of one of `audit.alerts`.
    Alert,
    /// `audit.resource_class`
    Class,
    /// The resource as kubectl names it: `deployments.apps`, `pods/exec`.
    Resource,
    /// `verb`
    Verb,
    /// `audit.action`
    Action,
    /// `audit.outcome`; empty where it is not known.
    Outcome,
    /// `audit.source_ip`
    SourceIp,
    /// `audit.source_scope`
    Scope,
    /// `namespace/name` of the pod in which a command ran; `*` for any.
    Pod,
    /// `audit.route`
    Route,
}

/// The choice: all that it names hold, and of the values of one field, any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// From that time on, in milliseconds since 1970.
    pub from: Option<i64>,
    /// Before that time, in milliseconds since 1970.
    pub to: Option<i64>,
    /// What is somewhere in the message, whatever the case of its letters.
    pub text: String,
    /// The values that are wanted of each field; all of a field that is not named.
    pub fields: BTreeMap<Field, Vec<String>>,
}

impl Filter {
    /// The rows that are chosen, by time.
    pub(crate) fn rows<'r>(&self, records: &'r Records) -> Vec<&'r Row> {
        let tests: Vec<_> =
            self.fields.iter().map(|(field, values)| Test::new(*field, values, records)).collect();
        let text = self.text.to_lowercase();
        let is_chosen = |row: &&Row| {
            self.from.is_none_or(|from| row.time.is_some_and(|time| time >= from))
                && self.to.is_none_or(|to| row.time.is_some_and(|time| time < to))
                && tests.iter().all(|test| test.passes(row))
                && (text.is_empty() || records.text(row.message).to_lowercase().contains(&text))
        };
        records.rows().iter().filter(is_chosen).collect()
    }
}

/// The values of a field as they stand in rows, each as a bit at its number.
struct Test {
    field: Field,
    wanted: Vec<bool>,
}

impl Test {
    fn new(field: Field, values: &[String], records: &Records) -> Self {
        let is_wanted = |text: &str| values.iter().any(|value| value == text);
        let wanted = match field {
            Field::Severity => SEVERITIES.iter().map(|name| is_wanted(name)).collect(),
            Field::Rule | Field::Alert => records.rules().iter().map(|rule| is_wanted(&rule.id)).collect(),
            Field::Code => (0..=999_u16)
                .map(|code| match code {
                    0 => is_wanted("none"),
                    code => is_wanted(&code.to_string()) || is_wanted(&format!("{}xx", code / 100)),
                })
                .collect(),
            Field::Pod if is_wanted("*") => records.texts().iter().map(|pod| !pod.is_empty()).collect(),
            _ => records.texts().iter().map(|text| is_wanted(text)).collect(),
        };
        Self { field, wanted }
    }

    fn passes(&self, row: &Row) -> bool {
        let has = |number: u32| self.wanted.get(number as usize).copied().unwrap_or_default();
        match self.field {
            Field::Namespace => has(row.namespace),
            Field::User => has(row.user),
            Field::UserType => has(row.user_type),
            Field::Code => has(row.code.into()),
            Field::Severity => has(row.severity.into()),
            Field::Tag => row.tags.iter().any(|tag| has(*tag)),
            Field::Rule => row.rules.iter().any(|rule| has(*rule)),
            Field::Alert => row.alerts.iter().any(|alert| has(alert.rule)),
            Field::Class => has(row.class),
            Field::Resource => has(row.resource),
            Field::Verb => has(row.verb),
            Field::Action => has(row.action),
            Field::Outcome => has(row.outcome),
            Field::SourceIp => has(row.source_ip),
            Field::Scope => has(row.scope),
            Field::Pod => has(row.pod),
            Field::Route => has(row.route),
        }
    }
}

/// Whether an event is to be reviewed promptly.
pub(crate) fn is_grave(row: &Row) -> bool {
    row.severity >= HIGH
}

//! Events as compact records: of each what the reports ask for, every text once.
//!
//! ```text
//! subject, audit object ─▶ Builder ─▶ Records ◀─▶ bytes in a page
//! ```

use std::collections::HashMap;
use std::fmt;

use audit_filter_engine::detect::{Rule, Severity};
use audit_filter_engine::explain::Subject;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tally::Tally;
use crate::time;

/// Bytes of a text that are kept. Whoever can send a request chooses names, and would otherwise fill the page.
const LONGEST_TEXT: usize = 2048;

/// A text's number in [`Records::text`]. 0 is the empty text: what an event does not have.
pub(crate) type TextId = u32;

/// The texts with which all records begin, so that reports can ask for them by number.
const WORDS: [&str; 7] = ["", "success", "failure", "create", "update", "delete", "access"];

/// `audit.outcome`
pub(crate) const SUCCESS: TextId = 1;
pub(crate) const FAILURE: TextId = 2;

/// The numbers of `audit.action`; its first is that of [`ACTIONS`]'s first.
const FIRST_ACTION: TextId = 3;

/// What can be done to a resource.
pub(crate) const ACTIONS: [&str; 4] = [WORDS[3], WORDS[4], WORDS[5], WORDS[6]];

/// The index in [`ACTIONS`].
pub(crate) fn action_index(row: &Row) -> Option<usize> {
    let index = row.action.checked_sub(FIRST_ACTION)?;
    usize::try_from(index).ok().filter(|index| *index < ACTIONS.len())
}

/// The events that the filter kept, by time, and what it did with all that it read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Records {
    pub(crate) tally: Tally,
    texts: Vec<String>,
    rules: Vec<RuleRecord>,
    rows: Vec<Row>,
}

/// An event.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its number among the kept events, in the order in which they came.
    pub(crate) id: u32,
    /// Milliseconds since 1970.
    pub(crate) time: Option<i64>,
    /// 0 where no rule holds, else one more than [`Severity`] as a number.
    pub(crate) severity: u8,
    /// The response's; 0 where there is none.
    pub(crate) code: u16,
    pub(crate) is_high_risk_source: bool,
    pub(crate) user: TextId,
    pub(crate) user_type: TextId,
    pub(crate) verb: TextId,
    pub(crate) namespace: TextId,
    pub(crate) resource: TextId,
    pub(crate) name: TextId,
    pub(crate) class: TextId,
    pub(crate) action: TextId,
    pub(crate) outcome: TextId,
    pub(crate) source_ip: TextId,
    pub(crate) scope: TextId,
    pub(crate) route: TextId,
    pub(crate) message: TextId,
    /// `namespace/name` of the pod in which a command ran.
    pub(crate) pod: TextId,
    pub(crate) container: TextId,
    pub(crate) command: TextId,
    pub(crate) rules: Vec<u32>,
    pub(crate) tags: Vec<TextId>,
    pub(crate) alerts: Vec<AlertRecord>,
}

/// A correlation that fired on an event.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AlertRecord {
    pub(crate) rule: u32,
    pub(crate) severity: u8,
    /// The fields by which the correlation groups, each with its value.
    pub(crate) group: TextId,
    pub(crate) count: u64,
    pub(crate) window_seconds: u64,
}

/// What there is to know of a rule that holds on an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// As in `audit.rules`.
    pub id: String,
    /// For people; the id where nothing more is known.
    pub title: String,
    /// The vulnerabilities that it is about: `CVE-2021-25741`.
    pub cves: Vec<String>,
}

impl From<&Rule> for RuleRecord {
    fn from(rule: &Rule) -> Self {
        let cves =
            rule.tags.iter().filter_map(|tag| tag.strip_prefix("cve.")).map(|cve| format!("CVE-{cve}"));
        Self { id: rule.id.to_string(), title: rule.title.to_string(), cves: cves.collect() }
    }
}

/// Bytes that hold no records.
#[derive(Debug)]
pub struct Damaged(postcard::Error);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "these are no records of this version: {}; write the report again", self.0)
    }
}

impl std::error::Error for Damaged {}

impl Records {
    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What the filter did with all that it read.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// All of it as bytes.
    ///
    /// # Errors
    /// None that can happen to what is in memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Damaged> {
        postcard::to_allocvec(self).map_err(Damaged)
    }

    /// What [`to_bytes`](Self::to_bytes) has written.
    ///
    /// # Errors
    /// Where it was another version, or somebody else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damaged> {
        postcard::from_bytes(bytes).map_err(Damaged)
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    pub(crate) fn text(&self, id: TextId) -> &str {
        self.texts.get(id as usize).map_or("", String::as_str)
    }

    /// The number of a text; none where no record has it.
    pub(crate) fn id_of(&self, text: &str) -> Option<TextId> {
        let index = self.texts.iter().position(|one| one == text)?;
        TextId::try_from(index).ok()
    }

    pub(crate) fn rules(&self) -> &[RuleRecord] {
        &self.rules
    }
}

/// Gathers events.
#[derive(Debug)]
pub(crate) struct Builder {
    records: Records,
    text_ids: HashMap<String, TextId>,
    rule_ids: HashMap<String, u32>,
    /// What is known of rules, by id.
    known: HashMap<String, RuleRecord>,
}

impl Builder {
    /// `rules` are those that may hold.
    pub(crate) fn new<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> Self {
        Self {
            records: Records { texts: WORDS.map(str::to_owned).to_vec(), ..Records::default() },
            text_ids: WORDS.map(str::to_owned).into_iter().zip(0..).collect(),
            rule_ids: HashMap::new(),
            known: rules.into_iter().map(|rule| (rule.id.to_string(), rule.into())).collect(),
        }
    }

    pub(crate) fn tally(&mut self) -> &mut Tally {
        &mut self.records.tally
    }

    pub(crate) fn tally_so_far(&self) -> &Tally {
        &self.records.tally
    }

    /// Adds an event, of which the filter says `audit`. Returns its number.
    pub(crate) fn push(&mut self, subject: &Subject, audit: &Value) -> u32 {
        let member = |name: &str| audit.get(name).and_then(Value::as_str).unwrap_or_default();
        let members = |name: &str| audit.get(name).and_then(Value::as_array).into_iter().flatten();
        let exec = audit.get("exec");
        let id = u32::try_from(self.records.rows.len()).unwrap_or(u32::MAX);
        let row = Row {
            id,
            time: time::milliseconds(&subject.time),
            severity: severity_number(member("severity")),
            code: subject.code.and_then(|code| u16::try_from(code).ok()).unwrap_or_default(),
            is_high_risk_source: audit.get("source_high_risk") == Some(&Value::Bool(true)),
            user: self.text(member("operator")),
            user_type: self.text(member("operator_type")),
            verb: self.text(&subject.verb),
            namespace: self.text(&subject.namespace),
            resource: self.text(&subject.resource),
            name: self.text(&subject.name),
            class: self.text(member("resource_class")),
            action: self.text(member("action")),
            outcome: self.text(member("outcome")),
            source_ip: self.text(member("source_ip")),
            scope: self.text(member("source_scope")),
            route: self.text(member("route")),
            message: self.text(member("message")),
            pod: exec.map_or(0, |_| self.text(&format!("{}/{}", subject.namespace, subject.name))),
            container: exec
                .and_then(|exec| exec.get("container")?.as_str())
                .map_or(0, |name| self.text(name)),
            command: exec.map_or(0, |exec| self.text(&command(exec))),
            rules: members("rules").filter_map(Value::as_str).map(|rule| self.rule(rule)).collect(),
            tags: members("tags").filter_map(Value::as_str).map(|tag| self.text(tag)).collect(),
            alerts: members("alerts").map(|alert| self.alert(alert)).collect(),
        };
        self.records.rows.push(row);
        id
    }

    pub(crate) fn finish(mut self) -> Records {
        self.records.rows.sort_by_key(|row| (row.time, row.id));
        self.records
    }

    fn alert(&mut self, alert: &Value) -> AlertRecord {
        let text = |name: &str| alert.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| alert.get(name).and_then(Value::as_u64).unwrap_or_default();
        let group = alert.get("group").and_then(Value::as_object).into_iter().flatten();
        let group: Vec<_> = group
            .map(|(field, value)| {
                value.as_str().map_or_else(|| format!("{field} {value}"), |text| format!("{field} {text}"))
            })
            .collect();
        AlertRecord {
            rule: self.rule(text("rule")),
            severity: severity_number(text("severity")),
            group: self.text(&group.join(", ")),
            count: number("count"),
            window_seconds: number("window_seconds"),
        }
    }

    fn text(&mut self, text: &str) -> TextId {
        let text = text.get(..text.floor_char_boundary(LONGEST_TEXT)).unwrap_or(text);
        if let Some(id) = self.text_ids.get(text) {
            return *id;
        }
        let Ok(id) = TextId::try_from(self.records.texts.len()) else { return 0 };
        self.records.texts.push(text.to_owned());
        self.text_ids.insert(text.to_owned(), id);
        id
    }

    fn rule(&mut self, id: &str) -> u32 {
        if let Some(number) = self.rule_ids.get(id) {
            return *number;
        }
        let number = u32::try_from(self.records.rules.len()).unwrap_or(u32::MAX);
        let unknown = || RuleRecord { id: id.to_owned(), title: id.to_owned(), cves: Vec::new() };
        self.records.rules.push(self.known.get(id).cloned().unwrap_or_else(unknown));
        self.rule_ids.insert(id.to_owned(), number);
        number
    }
}

/// The severities, from that of events on which no rule holds; the index is the number in a record.
pub(crate) const SEVERITIES: [&str; 6] = ["none", "informational", "low", "medium", "high", "critical"];

/// The first severity to be reviewed promptly.
pub(crate) const HIGH: u8 = severity_of(Severity::High);

const fn severity_of(severity: Severity) -> u8 {
    severity as u8 + 1
}

pub(crate) fn severity_number(name: &str) -> u8 {
    Severity::of_name(name).map_or(0, severity_of)
}

pub(crate) fn severity_name(number: u8) -> &'static str {
    SEVERITIES.get(usize::from(number)).copied().unwrap_or_default()
}

/// A command as one would type it: arguments that are no plain words in quotes.
fn command(exec: &Value) -> String {
    let is_plain = |argument: &str| {
        let is_word = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
        !argument.is_empty() && argument.chars().all(is_word)
    };
    let arguments = exec.get("command").and_then(Value::as_array).into_iter().flatten();
    let words: Vec<_> = arguments
        .filter_map(Value::as_str)
        .map(|argument| {
            if is_plain(argument) {
                argument.to_owned()
            } else {
                format!("'{}'", argument.replace('\'', r"'\''"))
            }
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_have_the_engines_order() {
        for (number, name) in SEVERITIES.iter().enumerate() {
            assert_eq!(usize::from(severity_number(name)), number, "{name}");
            assert_eq!(&severity_name(u8::try_from(number).unwrap()), name);
        }
        assert_eq!(severity_name(HIGH), "high");
    }

    #[test]
    fn commands_can_be_typed() {
        for (command_json, expected) in [
            (r#"["ls","-l","/etc"]"#, "ls -l /etc"),
            (r#"["sh","-c","id; echo 'x'"]"#, r"sh -c 'id; echo '\''x'\'''"),
            (r#"["echo",""]"#, "echo ''"),
            ("[]", ""),
        ] {
            let exec = serde_json::from_str(&format!(r#"{{"command":{command_json}}}"#)).unwrap();
            assert_eq!(command(&exec), expected);
        }
    }

    #[test]
    fn texts_have_a_bound_and_are_kept_once() {
        let mut builder = Builder::new([]);
        let long = "é".repeat(LONGEST_TEXT);
        for _ in 0..2 {
            builder.push(&Subject::default(), &serde_json::json!({"operator": long}));
        }
        let records = builder.finish();
        let lengths: Vec<_> = records.texts().iter().skip(WORDS.len()).map(String::len).collect();
        assert_eq!(lengths, [LONGEST_TEXT]);
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let mut builder = Builder::new([]);
        builder.push(&Subject::default(), &serde_json::json!({"operator": "jane", "rules": ["r"]}));
        let bytes = builder.finish().to_bytes().unwrap();
        let records = Records::from_bytes(&bytes).unwrap();
        assert_eq!((records.len(), records.text(records.rows()[0].user)), (1, "jane"));
        assert_eq!(records.rules()[0].title, "r");
        for end in 0..bytes.len() {
            assert!(Records::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}

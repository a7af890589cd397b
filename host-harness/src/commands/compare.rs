//! `host-harness compare`: says what a change of policy would keep, drop and no longer see in a log.
//!
//! ```text
//!          ┌─▶ pipeline under A ─▶ Outcome ─┐
//!  event ──┤                                ├─▶ Comparison ─▶ text, or an object of JSON
//!          └─▶ pipeline under B ─▶ Outcome ─┘
//! ```
//!
//! Rules see an event before the policy cuts it, so that what they find does not depend on the policy: what a dropped
//! event would have told is in the output of the policy that keeps it.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Context as _;
use audit_filter_engine::detect::Severity;
use audit_filter_engine::json::{self, Raw, Text};
use audit_filter_engine::policy::Level;
use audit_filter_engine::record::{Event, Member};
use audit_filter_report::text::{added_object, events, grouped, printable};
use clap::Args;
use serde::Serialize;

use super::inputs::{each_record, inputs};
use crate::cli::{ConfigurationOptions, EngineName, FilterOptions, Format};
use crate::configuration;
use crate::exit::{ExitStatus, Misconfigured};
use crate::lines::DEFAULT_MAX_LINE_BYTES;
use crate::pipeline::Pipeline;
use crate::progress::Progress;
use crate::statistics::Statistics;

/// Names that a table counts one by one; the events of later ones are counted together. Whoever can send requests
/// chooses the names of users and resources, a new one with each.
const MOST_NAMES: usize = 10_000;

/// Of a name, a message or an id no more is kept: all of them are a requester's, who may make them as long as a request.
const MOST_NAME_BYTES: usize = 1024;

/// Events that are shown of each kind of change, those of the highest severity first.
const EXAMPLES: usize = 3;

/// The widest column of names; a longer name pushes its row to the right.
const WIDEST_NAME: usize = 60;

/// Say what a change of policy would keep, drop and no longer see
///
/// Filters the same events under the policy A and under the policy B, and says how many events and bytes come in and
/// how many each keeps: altogether, by resource, by verb and by user, the names with the greatest difference in bytes
/// first. Then it says what B loses, gains, lowers to less than A's level, or raises: how many events, which Sigma rules
/// hold on them, and some of them as examples.
///
/// A policy is a file or the name of a built-in one. Everything else of --config applies to both. Events within a list
/// are compared one by one. The comparison is what this command is asked for, so it goes to stdout; --stats writes a list
/// of two summaries, A's first. The exit status is 1 where a line was too long or the filter failed on an event.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness compare --policy ack-default --policy policy.yaml audit.log
  host-harness compare --policy old.yaml --policy new.yaml --config audit-filter.yaml --top 20 audit-*.log.gz
  host-harness compare --policy gke --policy minimal --format json audit.log | jq .lost.by_rule")]
pub struct Arguments {
    /// Where the events are, one a line; - is stdin, and so is naming none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Rows of each table; the other names are counted together, and --format json lists all rules
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,

    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Leave out longer lines, and report them
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_LINE_BYTES)]
    pub max_line_bytes: u64,

    /// A Kubernetes audit policy; given twice, A first and B second
    ///
    /// An audit.k8s.io Policy in YAML, as given to kube-apiserver with --audit-policy-file, or the name of a
    /// built-in one, such as ack-default.
    #[arg(long, value_name = "FILE", help_heading = "Filter")]
    pub policy: Vec<PathBuf>,

    /// The filter's configuration, whose policy the two take the place of
    ///
    /// Without it the built-in defaults apply.
    #[arg(long, value_name = "FILE", help_heading = "Filter")]
    pub config: Option<PathBuf>,

    /// What runs the filter
    #[arg(long, value_enum, default_value_t, help_heading = "Filter")]
    pub engine: EngineName,

    /// The module to run instead of audit_filter.wasm
    #[arg(long, value_name = "FILE", help_heading = "Filter")]
    pub module: Option<PathBuf>,

    /// Write a summary for each policy to FILE, in JSON
    #[arg(long, value_name = "FILE", help_heading = "Filter")]
    pub stats: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// [`Misconfigured`] before anything is read; whatever goes wrong with input or output later.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let [a, b] = &*arguments.policy else {
        let given = arguments.policy.len();
        let text = format!("compare takes two policies, not {given}: name them with --policy A --policy B");
        return Err(Misconfigured(text).into());
    };
    let inputs = inputs(&arguments.files)?;
    let mut rules = BTreeMap::new();
    let mut pipeline = |policy: &PathBuf| {
        let options = FilterOptions {
            configuration: ConfigurationOptions {
                config: arguments.config.clone(),
                policy: Some(policy.clone()),
            },
            engine: arguments.engine,
            module: arguments.module.clone(),
            ..FilterOptions::default()
        };
        let configuration = configuration::load(&options.configuration)?;
        for rule in configuration.config.rules().rules() {
            rules.insert(rule.id.to_string(), (rule.title.to_string(), rule.level));
        }
        Pipeline::configured(configuration, &options)
    };
    let mut sides = [pipeline(a)?, pipeline(b)?];
    let mut outputs = [Vec::new(), Vec::new()];
    let mut comparison = Comparison::default();

    let progress = Progress::new(false, inputs.iter().map(|input| input.size).sum());
    let too_long = each_record(&inputs, arguments.max_line_bytes, &progress, |record| {
        for event in events(record.bytes) {
            for (side, output) in sides.iter_mut().zip(&mut outputs) {
                output.clear();
                side.pass(event, output)?;
            }
            let outcomes = [0, 1].map(|side| {
                let (Some(output), Some(pipeline)) = (outputs.get(side), sides.get(side)) else {
                    return Outcome::default();
                };
                Outcome::of(event, output, pipeline.output_key())
            });
            comparison.count(event, &outcomes);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    progress.finish();

    (0..too_long).for_each(|_| sides.iter_mut().for_each(Pipeline::count_too_long));
    let statistics: Vec<Statistics> = sides.iter_mut().map(|side| side.statistics().clone()).collect();
    let report =
        Report::new([a, b].map(|path| path.display().to_string()), comparison, &rules, arguments.top);
    let mut stdout = io::stdout().lock();
    match arguments.format {
        Format::Text => write!(stdout, "{report}"),
        Format::Json => serde_json::to_writer_pretty(&mut stdout, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(stdout)),
    }
    .context("cannot write the comparison")?;
    super::write_statistics(arguments.stats.as_deref(), &statistics)?;
    let failed = too_long > 0 || statistics.iter().any(|side| side.failed > 0);
    Ok(if failed { ExitStatus::Failure } else { ExitStatus::Success })
}

/// What became of an event under a policy.
#[derive(Debug, Default)]
struct Outcome<'o> {
    /// With the newline; none where it was dropped.
    bytes: u64,
    /// What the filter says of it, and at which level it goes on; nothing of what was dropped or passed through.
    kept: Option<(Level, Raw<'o>)>,
}

impl<'o> Outcome<'o> {
    /// Of an event that was answered with `output`, in which the filter writes its object under `key`.
    fn of(event: &[u8], output: &'o [u8], key: &str) -> Self {
        let bytes = output.len() as u64;
        let output = output.trim_ascii_end();
        if output == event {
            return Self { bytes, kept: None };
        }
        let kept = added_object(output, key).and_then(|audit| {
            let level = Level::from_bytes(&audit.get(b"level")?.text()?.decode())?;
            Some((level, audit))
        });
        Self { bytes, kept }
    }
}

/// Events and bytes that came in, and that each policy kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Tally {
    read: u64,
    kept: [u64; 2],
    bytes_in: u64,
    bytes_out: [u64; 2],
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.bytes_in += other.bytes_in;
        for (sum, more) in self.kept.iter_mut().zip(other.kept) {
            *sum += more;
        }
        for (sum, more) in self.bytes_out.iter_mut().zip(other.bytes_out) {
            *sum += more;
        }
    }

    fn difference(&self) -> u64 {
        let [a, b] = self.bytes_out;
        a.abs_diff(b)
    }
}

/// Tallies by name, as many as there may be.
#[derive(Debug, Default)]
struct Table {
    names: BTreeMap<String, Tally>,
    others: Tally,
}

impl Table {
    fn count(&mut self, name: &str, tally: &Tally) {
        let name = bounded(name);
        if let Some(sum) = self.names.get_mut(name) {
            sum.add(tally);
        } else if self.names.len() < MOST_NAMES {
            self.names.insert(name.to_owned(), *tally);
        } else {
            self.others.add(tally);
        }
    }

    /// The `top` names that differ most, and the others together.
    fn ranked(self, top: usize) -> Ranking {
        let mut rows: Vec<Row> = self.names.into_iter().map(|(name, tally)| Row { name, tally }).collect();
        rows.sort_by_key(|row| Reverse((row.tally.difference(), row.tally.bytes_in)));
        let mut others = self.others;
        rows.iter().skip(top).for_each(|row| others.add(&row.tally));
        rows.truncate(top);
        Ranking { rows, others }
    }
}

/// The beginning of a text that is as long as its writer wanted.
fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MOST_NAME_BYTES)).unwrap_or(text)
}

/// Events on which the policies do not agree in the same way.
#[derive(Debug, Default)]
struct Change {
    events: u64,
    /// By how much the output changes.
    bytes: u64,
    /// On how many a rule holds.
    with_rules: u64,
    by_rule: BTreeMap<String, u64>,
    /// The highest severity first, then as they came.
    examples: Vec<Example>,
}

/// An event on which a rule holds.
#[derive(Debug, Serialize)]
struct Example {
    audit_id: String,
    severity: Option<&'static str>,
    message: String,
}

impl Change {
    fn count(&mut self, bytes: u64, audit: Raw<'_>, audit_id: &str) {
        self.events += 1;
        self.bytes += bytes;
        let mut has_rules = false;
        for rule in audit.get(b"rules").into_iter().flat_map(json::elements).filter_map(Raw::text) {
            has_rules = true;
            let rule = rule.to_str();
            let rule = bounded(&rule);
            if let Some(count) = self.by_rule.get_mut(rule) {
                *count += 1;
            } else if self.by_rule.len() < MOST_NAMES {
                self.by_rule.insert(rule.to_owned(), 1);
            }
        }
        if !has_rules {
            return;
        }
        self.with_rules += 1;
        let text = |name: &[u8]| audit.get(name).and_then(Raw::text).map(Text::to_str).unwrap_or_default();
        let severity = Severity::of_name(&text(b"severity"));
        let rank = |example: &Example| example.severity.and_then(Severity::of_name) >= severity;
        let at = self.examples.partition_point(rank);
        if at < EXAMPLES {
            self.examples.truncate(EXAMPLES - 1);
            let message = bounded(&text(b"message")).to_owned();
            let audit_id = bounded(audit_id).to_owned();
            let example = Example { audit_id, severity: severity.map(Severity::name), message };
            self.examples.insert(at, example);
        }
    }
}

/// All that is counted.
#[derive(Debug, Default)]
struct Comparison {
    total: Tally,
    /// Records that go on under both policies, since they are no audit events to the filter.
    passed_through: u64,
    by_resource: Table,
    by_verb: Table,
    by_user: Table,
    lost: Change,
    gained: Change,
    lowered: Change,
    raised: Change,
}

impl Comparison {
    fn count(&mut self, record: &[u8], outcomes: &[Outcome<'_>; 2]) {
        let [a, b] = outcomes;
        let tally = Tally {
            read: 1,
            kept: [a, b].map(|side| u64::from(side.bytes > 0)),
            bytes_in: record.len() as u64 + 1,
            bytes_out: [a.bytes, b.bytes],
        };
        self.total.add(&tally);
        let text = event_text(record);
        let event = text.as_ref().and_then(|text| Event::read(text, b"").ok());
        let names = event.as_ref().map_or_else(Names::default, Names::of);
        self.by_resource.count(&names.resource, &tally);
        self.by_verb.count(&names.verb, &tally);
        self.by_user.count(&names.user, &tally);
        let (change, audit) = match (a.kept, b.kept) {
            (Some((_, audit)), None) if b.bytes == 0 => (&mut self.lost, audit),
            (None, Some((_, audit))) if a.bytes == 0 => (&mut self.gained, audit),
            (Some((of_a, audit)), Some((of_b, _))) if of_b < of_a => (&mut self.lowered, audit),
            (Some((of_a, audit)), Some((of_b, _))) if of_b > of_a => (&mut self.raised, audit),
            (None, None) if a.bytes > 0 && b.bytes > 0 => {
                self.passed_through += 1;
                return;
            }
            _ => return,
        };
        change.count(a.bytes.abs_diff(b.bytes), audit, &names.audit_id);
    }
}

/// The text of the event that a record is, or that a collector has put into its `log` or `message`. The filter finds
/// events in more shapes; these are counted under [`Names::default`].
fn event_text(record: &[u8]) -> Option<Cow<'_, [u8]>> {
    if Event::read(record, b"").is_ok() {
        return Some(Cow::Borrowed(record));
    }
    let record = Raw(record.trim_ascii());
    let within = record.get(b"log").or_else(|| record.get(b"message"))?;
    Some(within.text().map_or(Cow::Borrowed(within.0), Text::decode))
}

/// What the tables count an event under.
struct Names<'e> {
    resource: Cow<'e, str>,
    verb: Cow<'e, str>,
    user: Cow<'e, str>,
    audit_id: Cow<'e, str>,
}

impl Default for Names<'_> {
    /// Of what is no audit event, or one in another form.
    fn default() -> Self {
        let other = Cow::Borrowed("(other form)");
        Self { resource: other.clone(), verb: other.clone(), user: other, audit_id: Cow::Borrowed("") }
    }
}

impl<'e> Names<'e> {
    fn of(event: &Event<'e>) -> Self {
        let named = |text: Text<'e>| if text.is_empty() { Cow::Borrowed("(none)") } else { text.to_str() };
        // As kubectl names them: deployments.apps, pods/exec.
        let resource = event.object_ref.as_ref().map_or(Cow::Borrowed("(no resource)"), |reference| {
            let part = |sign: &str, text: Text<'_>| {
                if text.is_empty() { String::new() } else { format!("{sign}{}", text.to_str()) }
            };
            let (group, subresource) = (part(".", reference.api_group), part("/", reference.subresource));
            Cow::Owned(format!("{}{group}{subresource}", named(reference.resource)))
        });
        Self {
            resource,
            verb: named(event.text(Member::Verb).unwrap_or_default()),
            user: named(event.user.username),
            audit_id: event.text(Member::AuditId).unwrap_or_default().to_str(),
        }
    }
}

/// What a comparison comes to. Serialises to the object that `--format json` writes; in pairs A stands first.
#[derive(Debug, Serialize)]
struct Report {
    /// Rows of each table for a person.
    #[serde(skip)]
    top: usize,
    policies: [String; 2],
    #[serde(flatten)]
    total: Tally,
    passed_through: u64,
    by_resource: Ranking,
    by_verb: Ranking,
    by_user: Ranking,
    lost: ChangeReport,
    gained: ChangeReport,
    lowered: ChangeReport,
    raised: ChangeReport,
}

/// A table's rows, and the sum of all that have none.
#[derive(Debug, Serialize)]
struct Ranking {
    rows: Vec<Row>,
    others: Tally,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    tally: Tally,
}

#[derive(Debug, Serialize)]
struct ChangeReport {
    events: u64,
    bytes: u64,
    with_rules: u64,
    by_rule: Vec<RuleCount>,
    examples: Vec<Example>,
}

/// How many events a rule holds on. Of a rule that only the module knows there is nothing but the id.
#[derive(Debug, Serialize)]
struct RuleCount {
    id: String,
    title: Option<String>,
    severity: Option<&'static str>,
    events: u64,
}

impl Report {
    fn new(
        policies: [String; 2],
        comparison: Comparison,
        rules: &BTreeMap<String, (String, Severity)>,
        top: usize,
    ) -> Self {
        let change = |change: Change| {
            let mut counts: Vec<_> = change.by_rule.into_iter().collect();
            counts
                .sort_by_key(|(id, events)| Reverse((rules.get(id).map(|(_, severity)| *severity), *events)));
            let by_rule = counts
                .into_iter()
                .map(|(id, events)| {
                    let rule = rules.get(&id);
                    let title = rule.map(|(title, _)| title.clone());
                    RuleCount { id, title, severity: rule.map(|(_, severity)| severity.name()), events }
                })
                .collect();
            let Change { events, bytes, with_rules, examples, .. } = change;
            ChangeReport { events, bytes, with_rules, by_rule, examples }
        };
        Self {
            top,
            policies,
            total: comparison.total,
            passed_through: comparison.passed_through,
            by_resource: comparison.by_resource.ranked(top),
            by_verb: comparison.by_verb.ranked(top),
            by_user: comparison.by_user.ranked(top),
            lost: change(comparison.lost),
            gained: change(comparison.gained),
            lowered: change(comparison.lowered),
            raised: change(comparison.raised),
        }
    }
}

/// The tables for a person, then the changes that there are.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.policies;
        writeln!(f, "A is {}, B is {}", printable(a), printable(b))?;
        for (title, ranking) in
            [("resource", &self.by_resource), ("verb", &self.by_verb), ("user", &self.by_user)]
        {
            table(f, title, ranking, &self.total)?;
        }
        if self.passed_through > 0 {
            let count = grouped(self.passed_through);
            writeln!(
                f,
                "\npassed through by both, since the filter cannot treat them as audit events: {count}"
            )?;
        }
        for (change, what) in [
            (&self.lost, "lost: dropped by B only"),
            (&self.gained, "gained: dropped by A only"),
            (&self.lowered, "lowered: kept by both, B at a lower level"),
            (&self.raised, "raised: kept by both, B at a higher level"),
        ] {
            if change.events == 0 {
                writeln!(f, "\n{what}\n  no event")?;
                continue;
            }
            let [events, bytes, with_rules] = [change.events, change.bytes, change.with_rules].map(grouped);
            write!(f, "\n{what}\n  events {events}, bytes {bytes}, with rules that hold {with_rules}\n")?;
            for RuleCount { id, title, severity, events } in change.by_rule.iter().take(self.top) {
                let title = title.as_deref().unwrap_or("a rule of the module's");
                let (title, id) = (printable(title), printable(id));
                writeln!(f, "  {:>10}  {:<13}  {title} ({id})", grouped(*events), severity.unwrap_or("-"))?;
            }
            if let more @ 1.. = change.by_rule.len().saturating_sub(self.top) {
                writeln!(f, "  … and {more} more rules")?;
            }
            for Example { audit_id, message, .. } in &change.examples {
                writeln!(f, "  such as {}: {}", printable(audit_id), printable(message))?;
            }
        }
        Ok(())
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, ranking: &Ranking, total: &Tally) -> fmt::Result {
    let names = ranking.rows.iter().map(|row| row.name.chars().count());
    let width = names.max().unwrap_or(0).clamp(24, WIDEST_NAME);
    writeln!(
        f,
        "\n{:<width$}{:>12}{:>12}{:>12}{:>16}{:>16}{:>16}",
        title, "events in", "A keeps", "B keeps", "bytes in", "A keeps", "B keeps"
    )?;
    let mut row = |name: &str, tally: &Tally| {
        let ([a, b], [bytes_a, bytes_b]) = (tally.kept.map(grouped), tally.bytes_out.map(grouped));
        let (read, bytes_in) = (grouped(tally.read), grouped(tally.bytes_in));
        let name = printable(name);
        writeln!(f, "{name:<width$}{read:>12}{a:>12}{b:>12}{bytes_in:>16}{bytes_a:>16}{bytes_b:>16}")
    };
    for Row { name, tally } in &ranking.rows {
        row(name, tally)?;
    }
    if ranking.others.read > 0 {
        row("others", &ranking.others)?;
    }
    row("all", total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_counted_together() {
        let mut table = Table::default();
        let tally = Tally { read: 1, kept: [1, 0], bytes_in: 2, bytes_out: [2, 0] };
        (0..MOST_NAMES + 5).for_each(|name| table.count(&format!("user-{name}"), &tally));
        table.count("user-0", &tally);
        assert_eq!((table.names.len(), table.others.read), (MOST_NAMES, 5));
        let ranking = table.ranked(1);
        assert_eq!(ranking.rows.first().map(|row| (&*row.name, row.tally.read)), Some(("user-0", 2)));
        assert_eq!(ranking.others.read, MOST_NAMES as u64 + 4);
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        for (text, expected) in [
            ("jane".to_owned(), "jane".to_owned()),
            ("x".repeat(2000), "x".repeat(MOST_NAME_BYTES)),
            (format!("{}é", "x".repeat(MOST_NAME_BYTES - 1)), "x".repeat(MOST_NAME_BYTES - 1)),
        ] {
            assert_eq!(bounded(&text), expected);
        }
    }
}

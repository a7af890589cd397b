//! `host-harness explain`: says for each event what happened to it and why.
//!
//! ```text
//! line ─▶ its events ─▶ Engine::explain ─▶ Explanation ─▶ Story ─▶ text, or an object of JSON
//! ```
//!
//! The engine that is compiled into this program explains, since the module says only what it decided. The two agree
//! byte for byte.

use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Context as _;
use audit_filter_engine::{Engine, Outcome};
use audit_filter_report::story::{Line, Story};
use audit_filter_report::text::{events, printable};
use clap::Args;
use serde_json::{Map, Value};

use super::inputs::{Record, each_record, inputs};
use crate::cli::{FilterOptions, Format};
use crate::configuration;
use crate::exit::ExitStatus;
use crate::lines::DEFAULT_MAX_LINE_BYTES;
use crate::progress::Progress;
use crate::statistics::Statistics;

/// Say for each event what happened to it and why
///
/// For each event: the policy's rules up to the one that matched, each with what ruled it out; the level, and what it
/// cuts; who the operator is and where the name was found; the client's address and why it is that one; what was done;
/// the Sigma rules that hold; the route; and what became of the event. Of an event that is dropped it says as well what
/// would have been found, had it been kept. The events of a list, a webhook's say, are explained one by one.
///
/// The explanations are what this command is asked for, so they go to stdout: as text, or with --format json as one
/// object a line. The engine inside this program explains, which decides as the module does, so --engine and --module
/// make no difference. The exit status is 1 where no event has the --audit-id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness explain --limit 3 audit.log
  host-harness explain --policy policy.yaml --audit-id 6f0d3a1e-2b64-4f0e-9d1c-1f0f8a2f7c11 audit.log
  tail -n 1 audit.log | host-harness explain --config audit-filter.yaml
  host-harness explain --format json audit.log | jq -r .because")]
pub struct Arguments {
    /// Where the events are, one a line; - is stdin, and so is naming none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Explain the events with that auditID only; a request has one for each stage
    #[arg(long, value_name = "ID")]
    pub audit_id: Option<String>,

    /// Explain that many and stop
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,

    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Leave out longer lines, and report them
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_LINE_BYTES)]
    pub max_line_bytes: u64,

    /// How the filter is configured.
    #[command(flatten)]
    pub filter: FilterOptions,
}

/// Runs the command.
///
/// # Errors
/// [`Misconfigured`](crate::exit::Misconfigured) before anything is read; whatever goes wrong with input or output; that
/// there is no event with the auditID.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let inputs = inputs(&arguments.files)?;
    let config = configuration::load(&arguments.filter.configuration)?.config;
    let output_key = config.output_key().to_owned();
    let mut engine = Engine::new(config);
    let mut statistics = Statistics::default();
    let mut out = BufWriter::new(io::stdout().lock());
    // The explanations are the progress.
    let progress = Progress::new(true, None);
    let mut explained = 0;

    let too_long = each_record(&inputs, arguments.max_line_bytes, &progress, |record| {
        let events = events(record.bytes);
        for (index, event) in events.iter().enumerate() {
            if arguments.limit.is_some_and(|limit| explained >= limit) {
                return Ok(ControlFlow::Break(()));
            }
            let explanation = engine.explain(event);
            let audit_id = explanation.verdict.as_ref().map(|verdict| &verdict.audit_id);
            if arguments.audit_id.is_some() && arguments.audit_id.as_ref() != audit_id {
                continue;
            }
            explained += 1;
            match explanation.outcome {
                Outcome::Dropped => statistics.count_dropped(event),
                Outcome::Kept | Outcome::PassedThrough => {
                    statistics.count_output(event, &explanation.output, &output_key);
                }
            }
            let story = Story::new(event, &explanation, &output_key);
            let place = Place { record: &record, item: (events.len() > 1).then_some(index + 1) };
            match arguments.format {
                Format::Text => write_text(&mut out, &place, &story, explained == 1),
                Format::Json => writeln!(out, "{}", to_json(&place, &story)),
            }
            .context("cannot write the explanations")?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    out.flush().context("cannot write the explanations")?;

    (0..too_long).for_each(|_| statistics.count_too_long());
    super::write_statistics(arguments.filter.stats.as_deref(), &statistics)?;
    if let Some(id) = &arguments.audit_id
        && explained == 0
    {
        anyhow::bail!("no event has the auditID {id}");
    }
    Ok(if too_long > 0 { ExitStatus::Failure } else { ExitStatus::Success })
}

/// Where an event stands.
struct Place<'r> {
    record: &'r Record<'r>,
    /// Its number in the list, from 1, where the record is a list of several.
    item: Option<usize>,
}

/// The story for a person: a line that says what the event tells, then a labelled line for each thing found.
fn write_text(
    out: &mut impl io::Write,
    Place { record, item }: &Place<'_>,
    story: &Story<'_>,
    is_first: bool,
) -> io::Result<()> {
    if !is_first {
        writeln!(out)?;
    }
    let item = item.map(|item| format!("item {item}: ")).unwrap_or_default();
    writeln!(out, "{}:{}: {item}{}", printable(record.source), record.number, story.told())?;
    story.lines().iter().try_for_each(|Line { label, text }| writeln!(out, "  {label:<10}{text}"))
}

fn to_json(Place { record, item }: &Place<'_>, story: &Story<'_>) -> Value {
    let mut members = Map::new();
    members.insert("source".to_owned(), record.source.into());
    members.insert("line".to_owned(), record.number.into());
    members.extend(item.map(|item| ("item".to_owned(), item.into())));
    members.extend(story.to_json());
    members.into()
}

//! `host-harness run --rule`: what the rules of one file hit in a log.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context as _;
use audit_filter_engine::{Engine, Outcome};
use audit_filter_report::story::alert_text;
use audit_filter_report::text::{added_object, grouped, printable};
use serde_json::Value;

use super::inputs::{Input, Record, each_record};
use super::run::Arguments;
use crate::configuration;
use crate::exit::ExitStatus;
use crate::progress::Progress;
use crate::statistics::Statistics;

/// Writes the events that the rules of a file hit, and tells what hit them.
///
/// # Errors
/// [`Misconfigured`](crate::exit::Misconfigured) before anything is read; whatever goes wrong with input or output later.
pub(super) fn run(arguments: &Arguments, rule: &Path, inputs: &[Input]) -> anyhow::Result<ExitStatus> {
    let config = configuration::load_for_trial(&arguments.filter.configuration, rule)?;
    let key = config.output_key().to_owned();
    let titles: BTreeMap<String, String> = config
        .rules()
        .rules()
        .iter()
        .chain(config.rules().correlations())
        .map(|rule| (rule.id.to_string(), rule.title.to_string()))
        .collect();
    let mut engine = Engine::new(config);
    let mut statistics = Statistics::default();
    let mut hits: BTreeMap<String, u64> = BTreeMap::new();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut output = Vec::new();
    // What hit is the progress.
    let progress = Progress::new(true, None);
    let too_long = each_record(inputs, arguments.max_line_bytes, &progress, |record| {
        output.clear();
        let outcome = engine.filter(record.bytes, &mut output);
        let audit = (outcome == Outcome::Kept).then(|| added_object(&output, &key)).flatten();
        let audit: Value = audit.and_then(|audit| serde_json::from_slice(audit.0).ok()).unwrap_or_default();
        let found = found(&audit, &titles);
        if found.is_empty() {
            statistics.count_dropped(record.bytes);
            return Ok(ControlFlow::Continue(()));
        }
        statistics.count_output(record.bytes, &output, &key);
        for (id, text) in found {
            *hits.entry(id).or_default() += 1;
            if !arguments.quiet {
                tell(&record, &text, audit.get("message").and_then(Value::as_str).unwrap_or_default());
            }
        }
        output.push(b'\n');
        out.write_all(&output).context("cannot write the records")?;
        Ok(ControlFlow::Continue(()))
    })?;
    out.flush().context("cannot write the records")?;
    (0..too_long).for_each(|_| statistics.count_too_long());
    super::write_statistics(arguments.filter.stats.as_deref(), &statistics)?;
    if !arguments.quiet {
        let (kept, read) = (grouped(statistics.kept), grouped(statistics.read));
        crate::say(format_args!("{kept} of {read} events hit"));
        for (id, count) in &hits {
            let title = titles.get(id).map_or("", |title| title);
            crate::say(printable(&format!("{:>10}  {title} ({id})", grouped(*count))));
        }
    }
    Ok(if too_long > 0 { ExitStatus::Failure } else { ExitStatus::Success })
}

/// The rules and correlations that hit an event: the id of each, and what there is to say.
fn found(audit: &Value, titles: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let title = |id: &str| titles.get(id).cloned().unwrap_or_default();
    let list = |name: &str| audit.get(name).and_then(Value::as_array).into_iter().flatten();
    let rules = list("rules").filter_map(Value::as_str).map(|id| (id.to_owned(), title(id)));
    let alerts = list("alerts").map(|alert| {
        let id = alert.get("rule").and_then(Value::as_str).unwrap_or_default();
        let mut alert = alert.clone();
        if let Some(members) = alert.as_object_mut() {
            members.insert("title".to_owned(), title(id).into());
        }
        (id.to_owned(), format!("alert, {}", alert_text(&alert)))
    });
    rules.chain(alerts).collect()
}

/// `audit.log:12: Secret Read: jane read secret shop/token …`
fn tell(record: &Record<'_>, what: &str, message: &str) {
    let Record { source, number, .. } = record;
    // As everywhere on stderr: that nobody reads it is no error.
    let _ = writeln!(io::stderr(), "{}", printable(&format!("{source}:{number}: {what}: {message}")));
}

//! `host-harness bench`: how fast each engine filters a log, side by side in one run.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use audit_filter_report::text::grouped;
use clap::Args;
use serde::Serialize;

use super::inputs::{each_record, inputs};
use crate::cli::ConfigurationOptions;
use crate::configuration::{self, Configuration, FileSet};
use crate::exit::{ExitStatus, Misconfigured};
use crate::host::Host;
use crate::host::component::ComponentHost;
use crate::host::module_file;
use crate::host::native::NativeHost;
use crate::host::wasmtime::{Limits, WasmtimeHost};
use crate::lines::DEFAULT_MAX_LINE_BYTES;
use crate::progress::Progress;

/// How often each engine is started.
const STARTS: u32 = 15;

/// Measure throughput per engine, side by side in one run
///
/// Each engine filters the whole log once to warm up, then as often as --repetitions says, in turn with the others, so
/// that what else the machine does meets all alike. The median counts. One thread filters; reading, writing and counting
/// are not in the times. The log is held in memory.
///
/// The table goes to stderr, the numbers in JSON to stdout.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness generate --events 20000 --seed 1 >audit.log
  host-harness bench audit.log
  host-harness bench --policy security --repetitions 9 audit.log >bench.json")]
pub struct Arguments {
    /// The log to filter; - is stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// How often each engine filters the log
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub repetitions: u16,

    /// What it is configured with.
    #[command(flatten)]
    pub configuration: ConfigurationOptions,

    /// The module to run instead of audit_filter.wasm
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
}

/// Starts an engine anew.
type Start = Box<dyn Fn() -> anyhow::Result<Box<dyn Host>>>;

/// An engine, and what was measured of it.
struct Engine {
    name: &'static str,
    start: Start,
    host: Box<dyn Host>,
    passes: Vec<Duration>,
}

/// What is written to stdout.
#[derive(Debug, Serialize)]
struct Report {
    events: usize,
    /// Without the lines' ends.
    bytes: usize,
    repetitions: u16,
    engines: Vec<Row>,
}

/// What was measured of an engine.
#[derive(Debug, Serialize)]
struct Row {
    engine: &'static str,
    /// The median of the passes over the log.
    seconds: f64,
    events_per_second: f64,
    /// Of a million bytes each.
    megabytes_per_second: f64,
    /// The throughput as a multiple of the first engine's.
    relative: f64,
    /// From a compiled module, or from none, to one that is ready for records.
    start_seconds: f64,
}

/// Runs the command.
///
/// # Errors
/// [`Misconfigured`] before anything is measured; where an engine fails on a record.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let configuration = configuration::load(&arguments.configuration)?;
    let mut records = Vec::new();
    let inputs = inputs(std::slice::from_ref(&arguments.file))?;
    each_record(&inputs, DEFAULT_MAX_LINE_BYTES, &Progress::new(true, None), |record| {
        records.push(record.bytes.to_vec());
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    if records.is_empty() {
        return Err(Misconfigured(format!("{} has no records", arguments.file.display())).into());
    }

    let mut engines = engines(configuration, arguments)?;
    for engine in &mut engines {
        engine.pass(&records)?;
        engine.passes.clear();
    }
    for _ in 0..arguments.repetitions {
        for engine in &mut engines {
            engine.pass(&records)?;
        }
    }
    let bytes = records.iter().map(Vec::len).sum();
    let mut report =
        Report { events: records.len(), bytes, repetitions: arguments.repetitions, engines: vec![] };
    for engine in &mut engines {
        let row = engine.row(&report)?;
        report.engines.push(row);
    }

    show(&report);
    let mut stdout = io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, &report)
        .map_err(io::Error::from)
        .and_then(|()| writeln!(stdout))
        .context("cannot write the numbers")?;
    Ok(ExitStatus::Success)
}

/// All engines that there are. The first is the one that the others are compared with. That one is missing is said.
fn engines(configuration: Configuration, arguments: &Arguments) -> anyhow::Result<Vec<Engine>> {
    let files: FileSet = configuration.files;
    let (path, module) = module_file::read(arguments.module.as_deref())?;
    let name = path.display().to_string();
    let limits = Limits::default();

    let wasmtime = WasmtimeHost::new(&name, &module, &files, limits)?;
    let mut engines = vec![Engine::new("wasmtime", move || Ok(Box::new(wasmtime.another()?)))?];
    match module_file::read_component(None) {
        Ok((path, component)) => {
            let component = ComponentHost::new(&path.display().to_string(), &component, &files, limits)?;
            engines.push(Engine::new("component", move || Ok(Box::new(component.another()?)))?);
        }
        Err(_) => crate::say("there is no component: cargo xtask plugin builds it"),
    }
    #[cfg(feature = "wamr")]
    {
        let wamr = crate::host::wamr::WamrHost::new(&name, &module, &files, limits)?;
        engines.push(Engine::new("wamr", move || Ok(Box::new(wamr.another()?)))?);
    }
    engines.insert(0, Engine::new("native", move || Ok(Box::new(NativeHost::new(files.load()?))))?);
    Ok(engines)
}

impl Engine {
    fn new(
        name: &'static str,
        start: impl Fn() -> anyhow::Result<Box<dyn Host>> + 'static,
    ) -> anyhow::Result<Self> {
        let host = start()?;
        Ok(Self { name, start: Box::new(start), host, passes: Vec::new() })
    }

    /// Filters every record once.
    fn pass(&mut self, records: &[Vec<u8>]) -> anyhow::Result<()> {
        let mut out = Vec::new();
        let started = Instant::now();
        for (index, record) in records.iter().enumerate() {
            out.clear();
            self.host.filter(record, &mut out).map_err(|failure| {
                anyhow::anyhow!("{} fails on record {}: {failure}", self.name, index + 1)
            })?;
        }
        self.passes.push(started.elapsed());
        Ok(())
    }

    fn row(&mut self, report: &Report) -> anyhow::Result<Row> {
        let seconds = median(&mut self.passes).as_secs_f64();
        let first = report.engines.first().map_or(seconds, |first| first.seconds);
        Ok(Row {
            engine: self.name,
            seconds,
            events_per_second: report.events as f64 / seconds,
            megabytes_per_second: report.bytes as f64 / 1e6 / seconds,
            relative: first / seconds,
            start_seconds: ready_after(STARTS, &self.start)?.as_secs_f64(),
        })
    }
}

/// The median of how long it takes to start something, out of so many times.
pub(super) fn ready_after<T>(times: u32, start: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<Duration> {
    let mut taken = Vec::new();
    for _ in 0..times {
        let started = Instant::now();
        let host = start()?;
        taken.push(started.elapsed());
        drop(host);
    }
    Ok(median(&mut taken))
}

/// The middle one, or the later of the two in the middle; nothing of nothing.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The table for a person.
fn show(report: &Report) {
    let mut table = format!(
        "{} events, {} bytes, median of {}, one thread\n\n{:<10} {:>12} {:>9} {:>9} {:>12}\n",
        grouped(report.events as u64),
        grouped(report.bytes as u64),
        report.repetitions,
        "engine",
        "events/s",
        "MB/s",
        "relative",
        "ready after"
    );
    for row in &report.engines {
        table.push_str(&format!(
            "{:<10} {:>12} {:>9.1} {:>9.2} {:>9.2} ms\n",
            row.engine,
            grouped(row.events_per_second as u64),
            row.megabytes_per_second,
            row.relative,
            row.start_seconds * 1e3
        ));
    }
    // That nobody reads it is no error.
    let _ = io::stderr().write_all(table.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        for (times, expected) in [(&[][..], 0), (&[5], 5), (&[9, 1, 5], 5), (&[1, 100, 2, 3], 3)] {
            let mut times: Vec<_> = times.iter().map(|&n| Duration::from_secs(n)).collect();
            assert_eq!(median(&mut times), Duration::from_secs(expected));
        }
    }
}

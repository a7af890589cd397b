//! `host-harness run`: filters files or standard input to standard output, in order.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::inputs::{self, Input};
use super::trial;
use crate::cli::FilterOptions;
use crate::exit::ExitStatus;
use crate::follow::StopFlag;
use crate::lines::{DEFAULT_MAX_LINE_BYTES, Line, Lines, UntilStopped};
use crate::pipeline::Pipeline;
use crate::progress::Progress;

/// Records are written in pieces of about this size, and whenever there is nothing more to read at once.
const OUTPUT_CHUNK_BYTES: usize = 256 * 1024;

/// Filter newline-delimited JSON from files or stdin to stdout
///
/// One audit event a line goes in, one record a line comes out, in the same order: the event less what the policy
/// removes, with the filter's findings in "audit". Events that the policy does not want are left out. A line that is
/// no audit event goes on with the reason in "audit.error". Blank lines are left out. Files compressed with gzip are
/// read as they are.
///
/// The summary goes to stderr. The exit status is 1 where a line was too long, the filter failed on a record, or a
/// signal came before the end: what was filtered up to then has been written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness run audit.log >kept.log
  host-harness run --policy policy.yaml --stats stats.json audit-*.log.gz >kept.log
  kubectl logs -n kube-system kube-apiserver | host-harness run --quiet -
  host-harness run --rule rules/mine.yml audit.log >hits.log
  host-harness run --engine native <audit.log | head")]
pub struct Arguments {
    /// What to filter, in this order; - is stdin, and so is naming none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Leave out longer lines, and report them
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_LINE_BYTES)]
    pub max_line_bytes: u64,

    /// Try the rules of this file: write the events that they hit, and nothing else
    ///
    /// One Sigma file, rules, correlations or both. Each hit is told on stderr, the events go to stdout. The built-in
    /// rules say nothing, and the policy drops nothing unless --policy names one. Network and operators are those of
    /// --config. The engine inside this program runs.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["engine", "module"])]
    pub rule: Option<PathBuf>,

    /// Show neither progress nor the summary
    #[arg(long, short)]
    pub quiet: bool,

    /// Which filter, and how it is configured.
    #[command(flatten)]
    pub filter: FilterOptions,
}

/// Runs the command.
///
/// # Errors
/// [`Misconfigured`](crate::exit::Misconfigured) before anything is read; whatever goes wrong with input or output later.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let inputs = inputs::inputs(&arguments.files)?;
    if let Some(rule) = &arguments.rule {
        return trial::run(arguments, rule, &inputs);
    }
    let mut pipeline = Pipeline::new(&arguments.filter)?;
    let stop = StopFlag::on_signals().context("cannot handle signals")?;
    let total = inputs.iter().map(|input| input.size).sum();
    let progress = Progress::new(arguments.quiet, total);

    let mut output = Output { to: io::stdout().lock(), pending: Vec::new() };
    let filtered = inputs
        .iter()
        .try_for_each(|input| filter(input, arguments, &mut pipeline, &mut output, &stop, &progress));
    // What was filtered before an error is written all the same.
    let written = output.flush();
    progress.finish();

    let statistics = pipeline.statistics();
    let is_gone = |done: &anyhow::Result<()>| {
        done.as_ref().is_err_and(|error| ExitStatus::of(error) == ExitStatus::Success)
    };
    if !arguments.quiet && !is_gone(&filtered) && !is_gone(&written) {
        // As everywhere on stderr: that nobody reads it is no error.
        let _ = write!(io::stderr(), "{statistics}");
    }
    super::write_statistics(arguments.filter.stats.as_deref(), statistics)?;
    filtered.and(written)?;
    if stop.is_set() {
        anyhow::bail!("stopped by a signal before the end of the input");
    }
    Ok(if statistics.failed + statistics.too_long > 0 { ExitStatus::Failure } else { ExitStatus::Success })
}

fn filter(
    input: &Input,
    arguments: &Arguments,
    pipeline: &mut Pipeline,
    output: &mut Output<impl Write>,
    stop: &StopFlag,
    progress: &Progress,
) -> anyhow::Result<()> {
    if stop.is_set() {
        return Ok(());
    }
    let limit = arguments.max_line_bytes;
    let opened = match &input.path {
        None => {
            // Past the standard library's own buffer, which would hide from a wait what it holds.
            let stdin = io::stdin().as_fd().try_clone_to_owned().context("cannot read stdin")?;
            Lines::new("stdin", progress.counting(UntilStopped::new(File::from(stdin), stop)), limit)
        }
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
            Lines::new(&name, progress.counting(UntilStopped::new(file, stop)), limit)
        }
    };
    let filtered = opened.and_then(|lines| filter_lines(lines, limit, pipeline, output, stop, progress));
    // A read that was given up because of a signal is no error of the input's.
    if stop.is_set() { Ok(()) } else { filtered }
}

fn filter_lines(
    mut lines: Lines<'_>,
    limit: u64,
    pipeline: &mut Pipeline,
    output: &mut Output<impl Write>,
    stop: &StopFlag,
    progress: &Progress,
) -> anyhow::Result<()> {
    while !stop.is_set() {
        let bytes = match lines.next(|| output.flush())? {
            None => break,
            Some(Line::Record(line)) => {
                pipeline.pass(line, &mut output.pending)?;
                output.flush_if_large()?;
                continue;
            }
            Some(Line::TooLong { bytes }) => bytes,
        };
        pipeline.count_too_long();
        progress.say(format_args!(
            "{}, line {}: left out, since it has {bytes} bytes and --max-line-bytes is {limit}",
            lines.name(),
            lines.number()
        ));
    }
    Ok(())
}

/// Standard output, and what waits to be written to it.
struct Output<W> {
    to: W,
    pending: Vec<u8>,
}

impl<W: Write> Output<W> {
    fn flush_if_large(&mut self) -> anyhow::Result<()> {
        if self.pending.len() >= OUTPUT_CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.to.write_all(&self.pending).and_then(|()| self.to.flush());
        // What could not be written is not tried again: nobody knows how much of it was.
        self.pending.clear();
        self.pending.shrink_to(4 * OUTPUT_CHUNK_BYTES);
        written.context("cannot write the records")
    }
}

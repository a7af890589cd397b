//! `host-harness run`: filters files or standard input to standard output, in order.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::inputs::{self, Input};
use super::trial;
use crate::cli::FilterOptions;
use crate::configuration;
use crate::exit::ExitStatus;
use crate::follow::StopFlag;
use crate::lines::{DEFAULT_MAX_LINE_BYTES, Line, Lines, UntilStopped};
use crate::parallel::{self, Dealer};
use crate::pipeline::Pipeline;
use crate::progress::Progress;
use crate::statistics::Statistics;

/// Most instances at once: each has memory of its own, and no machine that reads logs has more cores.
const MAX_JOBS: i64 = 256;

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
  host-harness run --jobs 8 audit-*.log.gz >kept.log
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
    #[arg(long, value_name = "FILE", conflicts_with_all = ["engine", "module", "component", "jobs"])]
    pub rule: Option<PathBuf>,

    /// Filter in N instances at once
    ///
    /// The output is the same, in the same order, but for alerts: each instance has memory of its own, and follows
    /// correlations in the events that it gets. For alerts about the whole log, leave this at 1.
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=MAX_JOBS))]
    pub jobs: u16,

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
    let configuration = configuration::load(&arguments.filter.configuration)?;
    if arguments.jobs > 1 && !configuration.config.rules().correlations().is_empty() {
        crate::say("each of several instances follows correlations in its own events: alerts may be missing");
    }
    let mut pipelines = Pipeline::several(configuration, &arguments.filter, usize::from(arguments.jobs))?;
    let stop = StopFlag::on_signals().context("cannot handle signals")?;
    let total = inputs.iter().map(|input| input.size).sum();
    let progress = Progress::new(arguments.quiet, total);

    let mut too_long = 0;
    let mut to = io::stdout().lock();
    let filtered = parallel::filter(
        &mut pipelines,
        &stop,
        |dealer| {
            inputs
                .iter()
                .try_for_each(|input| read(input, arguments, dealer, &mut too_long, &stop, &progress))
        },
        |lines| to.write_all(lines).and_then(|()| to.flush()).context("cannot write the records"),
    );
    progress.finish();

    let mut statistics = Statistics { too_long, ..Statistics::default() };
    for pipeline in &mut pipelines {
        let done = pipeline.statistics();
        statistics.add(done);
        statistics.seconds = statistics.seconds.max(done.seconds);
    }
    let is_gone = filtered.as_ref().is_err_and(|error| ExitStatus::of(error) == ExitStatus::Success);
    if !arguments.quiet && !is_gone {
        // As everywhere on stderr: that nobody reads it is no error.
        let _ = write!(io::stderr(), "{statistics}");
    }
    super::write_statistics(arguments.filter.stats.as_deref(), &statistics)?;
    filtered?;
    if stop.is_set() {
        anyhow::bail!("stopped by a signal before the end of the input");
    }
    Ok(if statistics.failed + statistics.too_long > 0 { ExitStatus::Failure } else { ExitStatus::Success })
}

/// Gives the dealer an input's records. Those that are too long are counted and reported instead.
fn read(
    input: &Input,
    arguments: &Arguments,
    dealer: &mut Dealer,
    too_long: &mut u64,
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
    let read = opened.and_then(|lines| read_lines(lines, limit, dealer, too_long, stop, progress));
    // A read that was given up because of a signal is no error of the input's.
    if stop.is_set() { Ok(()) } else { read }
}

fn read_lines(
    mut lines: Lines<'_>,
    limit: u64,
    dealer: &mut Dealer,
    too_long: &mut u64,
    stop: &StopFlag,
    progress: &Progress,
) -> anyhow::Result<()> {
    while !stop.is_set() {
        // Where nobody takes records any more, `stop` is set.
        let before_waiting = || {
            let _ = dealer.deal();
            Ok(())
        };
        let bytes = match lines.next(before_waiting)? {
            None => break,
            Some(Line::Record(line)) => {
                if !dealer.add(line) {
                    break;
                }
                continue;
            }
            Some(Line::TooLong { bytes }) => bytes,
        };
        *too_long += 1;
        progress.say(format_args!(
            "{}, line {}: left out, since it has {bytes} bytes and --max-line-bytes is {limit}",
            lines.name(),
            lines.number()
        ));
    }
    Ok(())
}

//! `host-harness follow`: filters a growing log to standard output.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::cli::FilterOptions;
use crate::exit::ExitStatus;
use crate::follow::{self, Options, Stdout, StopFlag};
use crate::pipeline::Pipeline;

/// Filter a growing log to stdout, across rotation and restarts
///
/// Follows the log as its writer appends to it, renames it or truncates it, until a signal comes or the reader of the
/// output goes away. The position is kept in a checkpoint beside the log, so that the next start goes on where this
/// one ended. Every line is delivered at least once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness follow /var/log/kubernetes.audit
  host-harness follow --from end --config audit-filter.yaml /var/log/kubernetes.audit
  host-harness follow --checkpoint /var/lib/vector/audit.checkpoint /var/log/kubernetes.audit")]
pub struct Arguments {
    /// The log; it need not exist yet
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// Where to keep the position [default: .NAME.checkpoint beside the log]
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,

    /// Where to begin without a checkpoint
    #[arg(long, value_enum, default_value_t)]
    pub from: From,

    /// Look at an idle log this often
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0.2")]
    pub poll_interval: Duration,

    /// Leave a rotated file when it has been quiet for so long
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    pub rotation_grace: Duration,

    /// Write the checkpoint this often at most
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "1")]
    pub checkpoint_interval: Duration,

    /// Keep the checkpoint so far behind what the reader has taken, for it to make that safe
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    pub checkpoint_delay: Duration,

    /// Leave out longer lines, and report them
    #[arg(long, value_name = "BYTES", default_value_t = follow::DEFAULT_MAX_LINE_BYTES)]
    pub max_line_bytes: u64,

    /// Which filter, and how it is configured.
    #[command(flatten)]
    pub filter: FilterOptions,
}

/// Where to begin in a log that has no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum From {
    /// With the first line
    #[default]
    Beginning,
    /// With what is written from now on
    End,
}

/// Runs the command.
///
/// # Errors
/// [`follow::SetupError`] or [`Misconfigured`](crate::exit::Misconfigured) before anything is read; whatever goes
/// wrong with the filter or the output later.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let mut pipeline = Pipeline::new(&arguments.filter)?;
    let stop = StopFlag::on_signals().context("cannot handle signals")?;
    let mut output = Stdout::new(&stop).context("cannot write to stdout")?;
    let options = Options {
        checkpoint: arguments.checkpoint.clone(),
        from: match arguments.from {
            From::Beginning => follow::From::Beginning,
            From::End => follow::From::End,
        },
        poll_interval: arguments.poll_interval,
        rotation_grace: arguments.rotation_grace,
        checkpoint_interval: arguments.checkpoint_interval,
        checkpoint_delay: arguments.checkpoint_delay,
        max_line_bytes: arguments.max_line_bytes,
        ..Options::new(&arguments.path)
    };
    let mut filter = |line: &[u8], out: &mut Vec<u8>| {
        if line.trim_ascii().is_empty() { Ok(()) } else { pipeline.pass(line, out) }
    };
    let followed = follow::follow(&options, &mut filter, &mut output, &stop);
    for _ in 0..followed.as_ref().map_or(0, |summary| summary.too_long) {
        pipeline.count_too_long();
    }
    super::write_statistics(arguments.filter.stats.as_deref(), pipeline.statistics())?;
    followed.map(|_| ExitStatus::Success)
}

/// Seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction() {
        for (text, expected) in [("5", 5_000), ("0.2", 200), ("0", 0), ("1e1", 10_000)] {
            assert_eq!(seconds(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for wrong in ["", "x", "-1", "5s", "NaN", "inf", "1e30"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_following() {
        use clap::Parser as _;
        let crate::cli::Command::Follow(arguments) =
            crate::cli::Cli::try_parse_from(["host-harness", "follow", "x"]).unwrap().command
        else {
            panic!("another command");
        };
        let defaults = Options::new("x");
        assert_eq!(arguments.poll_interval, defaults.poll_interval);
        assert_eq!(arguments.rotation_grace, defaults.rotation_grace);
        assert_eq!(arguments.checkpoint_interval, defaults.checkpoint_interval);
        assert_eq!(arguments.checkpoint_delay, defaults.checkpoint_delay);
        assert_eq!(arguments.max_line_bytes, defaults.max_line_bytes);
    }
}

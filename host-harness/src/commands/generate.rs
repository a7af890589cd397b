//! `host-harness generate`: writes a realistic audit log to standard output.

use std::io::{self, BufWriter, Write as _};

use anyhow::Context as _;
use clap::Args;

use crate::exit::ExitStatus;
use crate::generate::{self, DEFAULT_START, Options};

const BUFFER_BYTES: usize = 256 * 1024;

/// Write a realistic audit log, for trying and measuring
///
/// The log is one day of an invented cluster: everyday traffic, and an intruder's visit where there is room for it. The
/// same options give the same bytes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness generate --events 10000 --seed 1 >audit.log
  host-harness generate --events 1000 | host-harness run >/dev/null")]
pub struct Arguments {
    /// How many events to write, one a line
    #[arg(long, value_name = "N", default_value_t = Options::default().events)]
    pub events: u64,

    /// Which log to write: another seed is another cluster and another day
    #[arg(long, value_name = "S", default_value_t = Options::default().seed)]
    pub seed: u64,

    /// When the day begins, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_START)]
    pub start: u64,

    /// Truncate longer events, as kube-apiserver does when it is told to
    #[arg(long, value_name = "BYTES")]
    pub max_event_bytes: Option<u64>,

    /// Log the bodies of secrets, config maps and token reviews too, as a careless policy does
    #[arg(long)]
    pub sensitive_bodies: bool,
}

/// Runs the command.
///
/// # Errors
/// Those of standard output.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let options = Options {
        events: arguments.events,
        seed: arguments.seed,
        start: arguments.start,
        max_event_bytes: arguments.max_event_bytes,
        sensitive_bodies: arguments.sensitive_bodies,
    };
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    generate::generate(&options, &mut out).and_then(|()| out.flush()).context("cannot write the events")?;
    Ok(ExitStatus::Success)
}

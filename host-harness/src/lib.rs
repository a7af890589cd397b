//! The command line `host-harness`: runs the audit filter on files, on standard input and on a growing log.
//!
//! ```text
//!                   ┌────────────────── pipeline ──────────────────┐
//!  input ─▶ line ─▶ │ host (wasmtime or native) ─▶ record ─▶ count │ ─▶ output
//!                   └──────────────────────────────────────────────┘
//! ```
//!
//! [`cli`] says what can be asked for, [`commands`] has a file for each command. A [`host`] runs the filter the way
//! a collector does and knows nothing of audit events; [`statistics`] reads nothing of a record but what the filter
//! added to it.

pub mod cli;
pub mod commands;
pub mod configuration;
pub mod exit;
pub mod follow;
pub mod generate;
pub mod host;
pub mod lines;
pub mod parallel;
pub mod pipeline;
pub mod statistics;

mod artifact;
mod progress;

use std::fmt::Display;
use std::io::{self, Write as _};

use crate::exit::ExitStatus;

/// Runs the command that the process's arguments ask for. Errors are said on stderr.
pub fn main() -> ExitStatus {
    cli::main()
}

/// Says something to a person, on a line of stderr. That nobody listens is no reason to stop working.
fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "host-harness: {text}");
}

//! The commands, a file for each. What they print for a person goes to stderr, records and results to stdout.

pub mod bake;
pub mod bench;
pub mod check;
pub mod compare;
pub mod explain;
pub mod follow;
pub mod generate;
pub mod report;
pub mod run;

mod inputs;
mod trial;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

/// Writes the summary that `--stats FILE` asks for.
///
/// # Errors
/// Where the file cannot be written.
fn write_statistics(path: Option<&Path>, statistics: &impl Serialize) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let mut json = serde_json::to_vec_pretty(statistics)?;
    json.push(b'\n');
    fs::write(path, json).with_context(|| format!("cannot write the statistics to {}", path.display()))
}

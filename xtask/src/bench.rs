//! `cargo xtask bench`: how fast the filter is, side by side with what users would otherwise run, as ratios of one run.
//!
//! - [`programs`] runs the criterion benches: the module in wasmtime against `serde_json` and VRL, and what its cost
//!   grows by
//! - [`fluent_bit`] runs Fluent Bit without a filter, with those that do the least, with ours, interpreted and compiled ahead
//!   of time, and with a Lua script

mod fluent_bit;
mod programs;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{plugin, workspace};

/// What `cargo xtask bench --help` ends with.
pub(crate) const HELP: &str = "\
Times are those of the processor, so that what else runs on the machine counts little; still, measure on a quiet one.
Without Fluent Bit on the PATH or given by --fluent-bit, that part is left out. With its compiler of modules, flb-wamrc,
beside it or on the PATH, modules that were compiled ahead of time are measured, too.

Examples:
  cargo xtask bench
  cargo xtask bench --log audit.log fluent-bit --fluent-bit build/bin/fluent-bit";

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The module in wasmtime, against serde_json and VRL
    Programs,
    /// Fluent Bit, with one filter after the other
    FluentBit,
    /// Ten million events through one instance of the module
    Memory,
}

/// Builds what is compared, and prints the ratios.
///
/// # Errors
///
/// Where something cannot be built or run, or where programs do not do the same.
pub(crate) fn run(part: Option<Part>, log: Option<&Path>, fluent_bit: Option<&Path>) -> Result<()> {
    let log = log
        .map(|log| log.canonicalize().with_context(|| format!("cannot read {}", log.display())))
        .transpose()?;
    let root = workspace::root();
    plugin::run()?;
    if matches!(part, None | Some(Part::Programs)) {
        programs::run(&root, log.as_deref())?;
    }
    if matches!(part, None | Some(Part::Memory)) {
        programs::memory(&root, log.as_deref())?;
    }
    if matches!(part, None | Some(Part::FluentBit)) {
        let found = fluent_bit.map(Path::to_owned).or_else(|| on_path("fluent-bit"));
        match found {
            Some(program) => fluent_bit::run(&root, &program, log.as_deref())?,
            None => {
                ensure!(part.is_none(), "there is no fluent-bit on the PATH; name it with --fluent-bit");
                eprintln!("\nno fluent-bit on the PATH: left out");
            }
        }
    }
    Ok(())
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|program| program.is_file())
}

/// Where measuring happens.
fn directory(root: &Path) -> Result<PathBuf> {
    let directory = root.join("target/bench");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory)
}

/// Runs a command that has to succeed.
fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Builds the command line. Returns its path.
fn host_harness(root: &Path) -> Result<PathBuf> {
    succeed(Command::new(env!("CARGO")).current_dir(root).args([
        "build",
        "--release",
        "--package",
        "host-harness",
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/host-harness"))
}

/// Writes a log of at least so many bytes: the given one as often as it takes, or one that is generated.
fn write_log(to: &Path, bytes: u64, log: Option<&Path>, host_harness: &Path) -> Result<()> {
    let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let Some(log) = log else {
        let events = (bytes / GENERATED_EVENT_BYTES).to_string();
        return succeed(
            Command::new(host_harness).args(["generate", "--events", &events, "--seed", "7"]).stdout(file),
        );
    };
    let once = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    ensure!(once.last() == Some(&b'\n'), "{} has no line end at its end", log.display());
    let mut out = BufWriter::new(file);
    for _ in 0..bytes.div_ceil(once.len() as u64) {
        out.write_all(&once).with_context(|| format!("cannot write {}", to.display()))?;
    }
    out.flush().with_context(|| format!("cannot write {}", to.display()))
}

/// About what a generated event has.
const GENERATED_EVENT_BYTES: u64 = 6_000;

/// Sorts, and returns the middle one, or the mean of the two in the middle.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let upper = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let lower = times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN);
    (lower + upper) / 2.0
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        for (mut times, expected) in [
            (vec![2.0], 2.0),
            (vec![3.0, 1.0], 2.0),
            (vec![9.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 2.0, 100.0], 3.0),
        ] {
            assert_eq!(median(&mut times), expected);
        }
    }
}

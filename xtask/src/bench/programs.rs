//! The packages in `benches`: their criterion benches, the ratios of what they measured, and the long run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{directory, host_harness, median, succeed, write_log};

/// How much each bench reads: enough for the rare large events to count as they do in a day's log.
const LOG_BYTES: u64 = 24 * 1024 * 1024;

/// How often each bench runs, one after the other and then all again: a processor that others use, too, is fast in one minute
/// and slow in the next.
const ROUNDS: usize = 5;

/// Ratios of medians, by criterion's names, and what to call them.
type Ratios = [(&'static str, &'static str, &'static str)];

const SPEED: &Ratios = &[
    ("ACK's policy: the module in wasmtime, and VRL", "events/vrl", "events/wasmtime-policy"),
    ("the same, and VRL with writing out", "events/vrl-written", "events/wasmtime-policy"),
    ("policy and built-in rules in wasmtime, and only the policy in VRL", "events/vrl", "events/wasmtime"),
    ("the same, and VRL with writing out", "events/vrl-written", "events/wasmtime"),
    ("ACK's policy in wasmtime, and reading in serde_json", "events/serde_json", "events/wasmtime-policy"),
    (
        "policy and built-in rules in wasmtime, and reading in serde_json",
        "events/serde_json",
        "events/wasmtime",
    ),
    ("policy and built-in rules compiled in, and in wasmtime", "events/wasmtime", "events/native"),
];

const COST: &Ratios = &[
    ("1,000 policy rules, and 10", "policy-rules/1000", "policy-rules/10"),
    ("100 policy rules, and 10", "policy-rules/100", "policy-rules/10"),
    ("the built-in Sigma rules, and none", "sigma-rules/built-in", "sigma-rules/none"),
    (
        "the built-in Sigma rules, and those without correlations",
        "sigma-rules/built-in",
        "sigma-rules/built-in-without-correlations",
    ),
    ("1,000 Sigma rules that never hold, and 10", "sigma-rules/1000", "sigma-rules/10"),
    ("100 Sigma rules that never hold, and 10", "sigma-rules/100", "sigma-rules/10"),
    ("10 Sigma rules that never hold, and none", "sigma-rules/10", "sigma-rules/none"),
    ("an event of 1 MiB, and one of 16 KiB, which is 1/64", "bytes/1024-KiB", "bytes/16-KiB"),
];

/// Runs the benches on the log, or on the generated one where there is none, and prints the ratios.
pub(super) fn run(root: &Path, log: Option<&Path>) -> Result<()> {
    let events = events(root, log)?;
    let results = directory(root)?.join("criterion");
    let mut rounds = [SPEED, COST].map(|ratios| vec![Vec::new(); ratios.len()]);
    for _ in 0..ROUNDS {
        for manifest in ["benches/vrl/Cargo.toml", "benches/Cargo.toml"] {
            let mut command = cargo(root, "bench", manifest);
            command.args(["--", "--quiet", "--warm-up-time", "0.5", "--measurement-time", "1"]);
            succeed(command.env("CRITERION_HOME", &results).env("AUDIT_LOG", &events))?;
        }
        let time = |name: &str| median_nanoseconds(&results.join(name).join("new/estimates.json"));
        for (ratios, rounds) in [SPEED, COST].into_iter().zip(&mut rounds) {
            for ((_, slow, fast), rounds) in ratios.iter().zip(rounds) {
                rounds.push(time(slow)? / time(fast)?);
            }
        }
    }
    let titles = ["is as fast as the second", "costs what the second does, in wasmtime"];
    for ((title, ratios), mut rounds) in titles.into_iter().zip([SPEED, COST]).zip(rounds) {
        eprintln!("\ntimes that the first {title} (of {ROUNDS} rounds the median, the least, the most):");
        for ((label, ..), rounds) in ratios.iter().zip(&mut rounds) {
            let middle = median(rounds);
            let [least, .., most] = &rounds[..] else { continue };
            eprintln!("  {label:<66}{middle:>7.2}{least:>7.2}{most:>7.2}");
        }
    }
    Ok(())
}

/// Puts ten million events through one instance of the module, with no more memory than it may have.
pub(super) fn memory(root: &Path, log: Option<&Path>) -> Result<()> {
    let mut command = cargo(root, "run", "benches/Cargo.toml");
    succeed(command.args(["--release", "--bin", "memory"]).env("AUDIT_LOG", events(root, log)?))
}

/// Writes the log to measure with. Returns its path.
fn events(root: &Path, log: Option<&Path>) -> Result<PathBuf> {
    let events = directory(root)?.join("events.jsonl");
    write_log(&events, LOG_BYTES, log, &host_harness(root)?)?;
    Ok(events)
}

/// Cargo for a package of benches, which shares what is built with the workspace.
fn cargo(root: &Path, subcommand: &str, manifest: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args([subcommand, "--manifest-path", manifest, "--target-dir", "target"]);
    command
}

/// The median that criterion wrote to a file.
fn median_nanoseconds(file: &Path) -> Result<f64> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let estimates: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let median = estimates.pointer("/median/point_estimate").and_then(Value::as_f64);
    median.with_context(|| format!("{} has no median", file.display()))
}

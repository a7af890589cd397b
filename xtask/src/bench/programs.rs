//! The packages in `benches`: their criterion benches, the ratios of what they measured, and the long run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{directory, host_harness, succeed, write_log};

/// How much each bench reads: enough for the rare large events to count as they do in a day's log.
const LOG_BYTES: u64 = 24 * 1024 * 1024;

/// Runs the benches on the log, or on the generated one where there is none, and prints the ratios.
pub(super) fn run(root: &Path, log: Option<&Path>) -> Result<()> {
    let events = events(root, log)?;
    let results = directory(root)?.join("criterion");
    for manifest in ["benches/vrl/Cargo.toml", "benches/Cargo.toml"] {
        let mut command = cargo(root, "bench", manifest);
        succeed(command.env("CRITERION_HOME", &results).env("AUDIT_LOG", &events))?;
    }

    let time = |name: &str| median_nanoseconds(&results.join(name).join("new/estimates.json"));
    let ratio = |label: &str, slow: &str, fast: &str| -> Result<()> {
        eprintln!("  {label:<64}{:>7.2}", time(slow)? / time(fast)?);
        Ok(())
    };
    eprintln!("\ntimes that the first is as fast as the second:");
    ratio("ACK's policy: the module in wasmtime, and VRL", "events/vrl", "events/wasmtime-policy")?;
    ratio("the same, and VRL with writing out", "events/vrl-written", "events/wasmtime-policy")?;
    ratio(
        "policy and built-in rules in wasmtime, and only the policy in VRL",
        "events/vrl",
        "events/wasmtime",
    )?;
    ratio("the same, and VRL with writing out", "events/vrl-written", "events/wasmtime")?;
    ratio(
        "ACK's policy in wasmtime, and reading in serde_json",
        "events/serde_json",
        "events/wasmtime-policy",
    )?;
    ratio(
        "policy and built-in rules in wasmtime, and reading in serde_json",
        "events/serde_json",
        "events/wasmtime",
    )?;
    ratio("policy and built-in rules compiled in, and in wasmtime", "events/wasmtime", "events/native")?;
    eprintln!("\ntimes that the first costs what the second does, in wasmtime:");
    ratio("1,000 policy rules, and 10", "policy-rules/1000", "policy-rules/10")?;
    ratio("100 policy rules, and 10", "policy-rules/100", "policy-rules/10")?;
    ratio("the built-in Sigma rules, and none", "sigma-rules/built-in", "sigma-rules/none")?;
    ratio(
        "the built-in Sigma rules, and those without correlations",
        "sigma-rules/built-in",
        "sigma-rules/built-in-without-correlations",
    )?;
    ratio("1,000 Sigma rules that never hold, and 10", "sigma-rules/1000", "sigma-rules/10")?;
    ratio("100 Sigma rules that never hold, and 10", "sigma-rules/100", "sigma-rules/10")?;
    ratio("10 Sigma rules that never hold, and none", "sigma-rules/10", "sigma-rules/none")?;
    ratio("an event of 1 MiB, and one of 16 KiB, which is 1/64", "bytes/1024-KiB", "bytes/16-KiB")
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

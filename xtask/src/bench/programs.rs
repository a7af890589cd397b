//! The package in `benches`: its criterion benches, the ratios of what they measured, and its long run.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::succeed;

/// Runs the benches on the log, or on the generated one where there is none, and prints the ratios.
pub(super) fn run(root: &Path, log: Option<&Path>) -> Result<()> {
    let results = super::directory(root)?.join("criterion");
    let mut command = cargo(root, "bench");
    command.env("CRITERION_HOME", &results);
    if let Some(log) = log {
        command.env("AUDIT_LOG", log);
    }
    succeed(&mut command)?;

    let time = |name: &str| median_nanoseconds(&results.join(name).join("new/estimates.json"));
    let ratio = |label: &str, slow: &str, fast: &str| -> Result<()> {
        eprintln!("  {label:<64}{:>7.2}", time(slow)? / time(fast)?);
        Ok(())
    };
    eprintln!("\ntimes that the first is as fast as the second:");
    ratio("ACK's policy: the module in wasmtime, and VRL", "events/vrl", "events/wasmtime-policy")?;
    ratio(
        "policy and built-in rules in wasmtime, and only the policy in VRL",
        "events/vrl",
        "events/wasmtime",
    )?;
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
    ratio("1,000 Sigma rules that never hold, and 10", "sigma-rules/1000", "sigma-rules/10")?;
    ratio("100 Sigma rules that never hold, and 10", "sigma-rules/100", "sigma-rules/10")?;
    ratio("an event of 1 MiB, and one of 16 KiB, which is 1/64", "bytes/1024-KiB", "bytes/16-KiB")
}

/// Puts ten million events through one instance of the module, with no more memory than it may have.
pub(super) fn memory(root: &Path) -> Result<()> {
    // The same features as the benches, so that nothing is built twice.
    succeed(cargo(root, "run").args(["--release", "--bin", "memory"]))
}

/// Cargo for the package of the benches, which shares what is built with the workspace.
fn cargo(root: &Path, subcommand: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args([
        subcommand,
        "--manifest-path",
        "benches/Cargo.toml",
        "--target-dir",
        "target",
    ]);
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

//! `cargo xtask demo`: from a fresh checkout to filtered events, in one command.
//!
//! Builds the module and the command line, and runs the sample log through them as a collector would. Writes the log's
//! report, where the page can be built.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{page, plugin, workspace};

/// What `cargo xtask demo --help` ends with.
pub(crate) const HELP: &str = "\
The kept events, as a collector would get them, are in target/demo/kept.jsonl afterwards, and the log's report, for a
browser, in target/demo/report.html. The report takes Node.js from 20.19 on.

Example:
  cargo xtask demo";

const SAMPLE: &str = "tests/fixtures/sample-audit.jsonl";
const CONFIGURATION: &str = "pipeline-configs/audit-filter.yaml";

/// Builds everything, filters the sample log, shows what was found in it, and writes its report.
///
/// # Errors
///
/// Where something cannot be built, or the command line fails on the sample log.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    plugin::run()?;
    let status = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args(["build", "--release", "--package", "host-harness"])
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "building host-harness failed");

    let directory = root.join("target/demo");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let kept = directory.join("kept.jsonl");
    let output = File::create(&kept).with_context(|| format!("cannot write {}", kept.display()))?;
    eprintln!("\nhost-harness run --config {CONFIGURATION} {SAMPLE} >target/demo/kept.jsonl\n");
    let status = host_harness(&root).args(["run", "--config", CONFIGURATION, SAMPLE]).stdout(output).status();
    ensure!(status.context("cannot start host-harness")?.success(), "host-harness failed on the sample log");

    eprintln!("\nwhat the rules call high or critical:\n");
    show_high_risk(&kept)?;

    // Filtering takes Rust alone; the page takes Node.js, too.
    if let Err(error) = page::run() {
        eprintln!("\nno report was written, as there is no page to put it into: {error:#}");
        return Ok(());
    }
    eprintln!("\nhost-harness report --config {CONFIGURATION} {SAMPLE} -o target/demo/report.html\n");
    let report = directory.join("report.html");
    let status =
        host_harness(&root).args(["report", "--config", CONFIGURATION, SAMPLE, "-o"]).arg(&report).status();
    ensure!(status.context("cannot start host-harness")?.success(), "host-harness wrote no report");
    eprintln!("\nopen it in a browser: {}", report.display());
    Ok(())
}

fn host_harness(root: &Path) -> Command {
    let mut command = Command::new(workspace::target_directory(root).join("release/host-harness"));
    command.current_dir(root);
    command
}

/// Prints a line for each kept event on the route for high risks.
fn show_high_risk(kept: &Path) -> Result<()> {
    let file = File::open(kept).with_context(|| format!("cannot read {}", kept.display()))?;
    let mut out = std::io::stdout().lock();
    for line in BufReader::new(file).lines() {
        let event: Value = serde_json::from_str(&line?).context("a kept event is not JSON")?;
        let audit = &event["audit"];
        if audit["route"] == "high-risk" {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (time, severity) = (text(&event["stageTimestamp"]), text(&audit["severity"]));
            writeln!(out, "{time:.19}  {severity:8}  {}", text(&audit["message"]))?;
        }
    }
    Ok(())
}

//! `cargo xtask fuzz`: puts the functions of the package `audit-filter-fuzz` to libFuzzer, for a time.
//!
//! The stable compiler can do it: what `cargo fuzz` asks a nightly one for beyond the flags below is the address
//! sanitizer, and there is no unsafe code to sanitize. What a run has learnt stays in `target/fuzz/corpus`, so that the
//! next goes on from there; what failed goes to `target/fuzz/failed`.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::workspace;

/// What `cargo xtask fuzz --help` ends with.
pub(crate) const HELP: &str = "\
An input that fails is kept in target/fuzz/failed, and the command that tries it again is said.

Examples:
  cargo xtask fuzz --seconds 600 record
  cargo xtask fuzz";

/// Seconds for each target unless said otherwise; also what CI gives it.
pub(crate) const DEFAULT_SECONDS: u32 = 15;

/// What the fuzzer needs to see of the program: which edges were taken, and what was compared with what.
const INSTRUMENTATION: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// An input may take this long; usually it takes far less than a millisecond.
const TIMEOUT_SECONDS: u32 = 10;

/// No input may make the engine take more memory than this, what the fuzzer itself keeps included.
const MEMORY_MIB: u32 = 1024;

/// How much is shown of what the fuzzer said about a failure.
const LINES_SHOWN: usize = 60;

/// A kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Audit policies
    Policy,
    /// Records from a collector
    Record,
    /// Sigma rules
    Rules,
    /// audit-filter.yaml
    Configuration,
}

impl Target {
    /// The function's, the program's and the directories' name.
    fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Record => "record",
            Self::Rules => "rules",
            Self::Configuration => "configuration",
        }
    }

    /// Directories that have seeds beside those in `fuzz/corpus`.
    fn seeds(self) -> &'static [&'static str] {
        match self {
            Self::Policy => &["plugin/policies"],
            Self::Rules => &["plugin/rules"],
            Self::Record | Self::Configuration => &[],
        }
    }

    /// Bytes that an input may have. Longer ones are slow, and seldom say more.
    fn max_length(self) -> u32 {
        match self {
            Self::Record => 16 * 1024,
            Self::Policy | Self::Rules | Self::Configuration => 4 * 1024,
        }
    }
}

/// Builds and runs the targets, one after the other, each for so many seconds; all where none is named.
///
/// # Errors
///
/// Where one cannot be built, or finds an input that fails.
pub(crate) fn run(targets: &[Target], seconds: u32) -> Result<()> {
    let targets = if targets.is_empty() { Target::value_variants() } else { targets };
    let root = workspace::root();
    let programs = build(&root)?;
    targets.iter().try_for_each(|target| fuzz(&root, &programs, *target, seconds))
}

/// `cargo xtask ci`'s step.
///
/// # Errors
///
/// Those of [`run`].
pub(crate) fn run_shortly() -> Result<()> {
    run(&[], DEFAULT_SECONDS)
}

/// Builds all targets. Returns the directory that they lie in.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host = host()?;
    let directory = root.join("target/fuzz/build");
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--package", "audit-filter-fuzz", "--features", "libfuzzer", "--profile", "fuzz"])
        // Named, so that the flags do not go to what runs while building.
        .args(["--target", &host, "--target-dir"])
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\x1f"))
        .env_remove("RUSTFLAGS")
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "building the targets failed");
    Ok(directory.join(host).join("fuzz"))
}

/// The machine that the compiler runs on, as compilers call it.
fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("cannot start rustc")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

fn fuzz(root: &Path, programs: &Path, target: Target, seconds: u32) -> Result<()> {
    let name = target.name();
    let work = root.join("target/fuzz");
    let (corpus, failed) = (work.join("corpus").join(name), work.join("failed").join(name));
    for directory in [&corpus, &failed] {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let log = work.join(format!("{name}.log"));
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let program = programs.join(name);
    let mut command = Command::new(&program);
    command
        .current_dir(root)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={}", target.max_length()))
        .arg(format!("-timeout={TIMEOUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-dict=fuzz/dictionaries/{name}.dict"))
        .arg(format!("-artifact_prefix={}/", failed.display()))
        .arg("-print_final_stats=1")
        // What is learnt goes to the first; the others are only read.
        .arg(&corpus)
        .arg(format!("fuzz/corpus/{name}"))
        .args(target.seeds())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output);
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    let said = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let said = String::from_utf8_lossy(&said);
    if !status.success() {
        let lines: Vec<_> = said.lines().collect();
        eprintln!("{}", lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n"));
        let written = said
            .lines()
            .find_map(|line| line.split_once("Test unit written to "))
            .map_or("", |(_, file)| file);
        bail!("{name}: an input fails; again with: {} {written}", program.display());
    }
    let runs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    eprintln!("{name}: {} inputs in {seconds} s, none fails", runs.unwrap_or("no").trim());
    Ok(())
}

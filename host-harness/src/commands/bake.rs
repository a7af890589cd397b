//! `host-harness bake`: writes a module with the configuration already inside.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use audit_filter_report::text::grouped;
use clap::Args;

use super::bench::ready_after;
use crate::cli::ConfigurationOptions;
use crate::configuration::{self, FileSet};
use crate::exit::ExitStatus;
use crate::host::bake;
use crate::host::module_file;
use crate::host::wasmtime::{Limits, WasmtimeHost};

/// How often a module is started to find out how long it takes.
const STARTS: u32 = 15;

/// Write a module with the configuration already inside
///
/// It is the module as it stands after reading the configuration: it is ready in a fraction of the time, which counts in
/// Fluent Bit before 4.1, where every chunk starts it anew, and it reads no files. Without --config and --policy the
/// built-in defaults are in it. To change what it does, bake it again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness bake -o baked.wasm --config audit-filter.yaml
  host-harness bake -o gke.wasm --policy gke
  host-harness run --module gke.wasm audit.log")]
pub struct Arguments {
    /// Where to write the module
    #[arg(long, short, value_name = "OUT.wasm")]
    pub output: PathBuf,

    /// What it is configured with.
    #[command(flatten)]
    pub configuration: ConfigurationOptions,

    /// The module to bake instead of audit_filter.wasm
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// [`Misconfigured`](crate::exit::Misconfigured) where module or configuration cannot be used; where the result would
/// not load in every host, or cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let files = configuration::load(&arguments.configuration)?.files;
    let (path, module) = module_file::read(arguments.module.as_deref())?;
    let name = path.display().to_string();
    let baked = bake::bake(&name, &module, &files)?;
    // Wizer knows more of WebAssembly than the strictest host.
    module_check::check(&baked, &[])?;

    let output = arguments.output.display();
    fs::write(&arguments.output, &baked).with_context(|| format!("cannot write {output}"))?;
    let before = start_time(&name, &module, &files)?;
    let after = start_time(&output.to_string(), &baked, &FileSet::default())?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    crate::say(format_args!(
        "{output}: {} bytes, {} more than {name}; ready after {:.2} ms instead of {:.2} ms in wasmtime",
        grouped(baked.len() as u64),
        grouped(baked.len().saturating_sub(module.len()) as u64),
        milliseconds(after),
        milliseconds(before),
    ));
    if baked.len() > module_check::MOST_BYTES {
        crate::say(format_args!(
            "{output} is larger than {} KiB: it may not fit into a Kubernetes ConfigMap, which takes 1 MiB in base64",
            module_check::MOST_BYTES / 1024
        ));
    }
    Ok(ExitStatus::Success)
}

/// How long an instance takes to be ready, once the module is compiled.
fn start_time(name: &str, module: &[u8], files: &FileSet) -> anyhow::Result<Duration> {
    let host = WasmtimeHost::new(name, module, files, Limits::default())?;
    ready_after(STARTS, || host.another())
}

//! The filter, in the module that users run, and compiled into this program.

use std::fs;

use anyhow::{Result, anyhow};
use host_harness::cli::ConfigurationOptions;
use host_harness::configuration::{self, Configuration};
use host_harness::host::native::NativeHost;
use host_harness::host::wasmtime::{Limits, WasmtimeHost};
use host_harness::host::{Host, Verdict};

/// ACK's policy alone, without rules: what the script in VRL does.
pub const POLICY_ONLY: &str = "rules: {builtin: false}\n";

fn read(yaml: &str, sigma: Option<&str>) -> Result<Configuration> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("audit-filter.yaml");
    fs::write(&file, yaml)?;
    if let Some(sigma) = sigma {
        fs::write(directory.path().join("rules.yml"), sigma)?;
    }
    configuration::load(&ConfigurationOptions { config: Some(file), ..ConfigurationOptions::default() })
}

/// The module in wasmtime, configured by `yaml`, beside which `rules.yml` has the rules `sigma`.
///
/// # Errors
/// Where the configuration is wrong, or the module does not start.
pub fn wasmtime(yaml: &str, sigma: Option<&str>) -> Result<Box<dyn Host>> {
    wasmtime_within(yaml, sigma, Limits::default())
}

/// The same, with what it may use.
///
/// # Errors
/// Where the configuration is wrong, or the module does not start.
pub fn wasmtime_within(yaml: &str, sigma: Option<&str>, limits: Limits) -> Result<Box<dyn Host>> {
    let files = read(yaml, sigma)?.files;
    let module = end_to_end_tests::module();
    Ok(Box::new(WasmtimeHost::new("audit_filter.wasm", module, &files, limits)?))
}

/// The engine, compiled into this program.
///
/// # Errors
/// Where the configuration is wrong.
pub fn native(yaml: &str) -> Result<Box<dyn Host>> {
    Ok(Box::new(NativeHost::new(read(yaml, None)?.config)))
}

/// Filters the events, and returns how many bytes go on.
///
/// # Errors
/// Where the filter fails.
pub fn run<'a>(
    host: &mut dyn Host,
    events: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<u64> {
    let mut bytes = 0;
    for event in events {
        out.clear();
        if host.filter(event, out).map_err(|failure| anyhow!("{failure}"))? == Verdict::Kept {
            bytes += out.len() as u64 + 1;
        }
    }
    Ok(bytes)
}

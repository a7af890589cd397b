//! Helpers shared by the end-to-end tests: the real module, and both hosts with one configuration.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use host_harness::cli::{EngineName, FilterOptions};
use host_harness::configuration::{self, Configuration};
use host_harness::host::native::NativeHost;
use host_harness::host::wasmtime::{Limits, WasmtimeHost};
use host_harness::host::{Host, Verdict};

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The real module, built from the sources as they are.
#[must_use]
pub fn module() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    MODULE.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo).args(["xtask", "plugin"]).current_dir(root()).output().unwrap();
        assert!(
            output.status.success(),
            "cargo xtask plugin failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        fs::read(root().join("target/plugin/audit_filter.wasm")).unwrap()
    })
}

/// Reads a configuration as the command line does; an empty one is none.
#[must_use]
pub fn configuration(yaml: &str) -> Configuration {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit-filter.yaml");
    fs::write(&file, yaml).unwrap();
    let config = (!yaml.is_empty()).then_some(file);
    let options =
        FilterOptions { config, policy: None, engine: EngineName::Native, module: None, stats: None };
    configuration::load(&options).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The hosts that are to agree, by name, each with the real filter and the configuration.
#[must_use]
pub fn hosts(yaml: &str) -> Vec<(&'static str, Box<dyn Host>)> {
    // One after the other: what the first has compiled, wasmtime's cache has for the others.
    static STARTING: Mutex<()> = Mutex::new(());
    let Configuration { config, files } = configuration(yaml);
    let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let wasmtime = WasmtimeHost::new("audit_filter.wasm", module(), &files, Limits::default())
        .unwrap_or_else(|error| panic!("{error:#}"));
    drop(starting);
    vec![("native", Box::new(NativeHost::new(config))), ("wasmtime", Box::new(wasmtime))]
}

/// What a host makes of a record; none where it is dropped.
///
/// # Panics
/// Where the filter fails.
pub fn filter(host: &mut dyn Host, record: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match host.filter(record, &mut out) {
        Ok(Verdict::Kept) => Some(out),
        Ok(Verdict::Dropped) => None,
        Err(failure) => {
            panic!("{failure}, on {:.300}", String::from_utf8_lossy(record))
        }
    }
}

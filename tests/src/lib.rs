//! Helpers shared by the end-to-end tests: the real module, and every host with one configuration.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use host_harness::cli::ConfigurationOptions;
use host_harness::configuration::{self, Configuration};
use host_harness::host::component::ComponentHost;
use host_harness::host::module_file::{COMPONENT, MODULE};
use host_harness::host::native::NativeHost;
use host_harness::host::wasmtime::{Limits, WasmtimeHost};
use host_harness::host::{Host, Verdict};
use wasmtime::{Config, Engine, OptLevel, RegallocAlgorithm};

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What is built from the sources as they are.
struct Built {
    module: Vec<u8>,
    component: Vec<u8>,
}

/// The real module.
#[must_use]
pub fn module() -> &'static [u8] {
    &built().module
}

/// The real component.
#[must_use]
pub fn component() -> &'static [u8] {
    &built().component
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo).args(["xtask", "plugin"]).current_dir(root()).output().unwrap();
        assert!(
            output.status.success(),
            "cargo xtask plugin failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let read = |name| fs::read(root().join("target/plugin").join(name)).unwrap();
        Built { module: read(MODULE), component: read(COMPONENT) }
    })
}

/// An engine for hosts less obliging than the harness. It compiles in half the time, to code that nobody waits for.
///
/// # Panics
/// Where wasmtime does not know the machine.
#[must_use]
pub fn engine_in_a_hurry() -> Engine {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    Engine::new(&config).unwrap()
}

/// Reads a configuration as the command line does; an empty one is none.
#[must_use]
pub fn configuration(yaml: &str) -> Configuration {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit-filter.yaml");
    fs::write(&file, yaml).unwrap();
    let config = (!yaml.is_empty()).then_some(file);
    let options = ConfigurationOptions { config, ..ConfigurationOptions::default() };
    configuration::load(&options).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The hosts that are to agree, by name, each with the real filter and the configuration.
#[must_use]
pub fn hosts(yaml: &str) -> Vec<(&'static str, Box<dyn Host>)> {
    hosts_with(configuration(yaml))
}

/// The same with a configuration of several files.
#[must_use]
pub fn hosts_with(configuration: Configuration) -> Vec<(&'static str, Box<dyn Host>)> {
    // One after the other: what the first has compiled, wasmtime's cache has for the others.
    static STARTING: Mutex<()> = Mutex::new(());
    let Configuration { config, files } = configuration;
    let limits = Limits::default();
    let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let wasmtime =
        WasmtimeHost::new(MODULE, module(), &files, limits).unwrap_or_else(|error| panic!("{error:#}"));
    let component = ComponentHost::new(COMPONENT, component(), &files, limits)
        .unwrap_or_else(|error| panic!("{error:#}"));
    drop(starting);
    vec![
        ("native", Box::new(NativeHost::new(config))),
        ("wasmtime", Box::new(wasmtime)),
        ("component", Box::new(component)),
        #[cfg(feature = "wamr")]
        ("WAMR", Box::new(wamr(&files))),
    ]
}

/// The real module in WAMR, with Fluent Bit's default sizes.
#[cfg(feature = "wamr")]
#[must_use]
pub fn wamr(files: &host_harness::configuration::FileSet) -> host_harness::host::wamr::WamrHost {
    host_harness::host::wamr::WamrHost::new(MODULE, module(), files, Limits::default())
        .unwrap_or_else(|error| panic!("{error:#}"))
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

//! The module in wasmtime, called as Fluent Bit's WebAssembly filter calls it.
//!
//! ```text
//! once:            _initialize()                      where the module exports it
//! for each record: malloc(tag), malloc(record)        both NUL-terminated
//!                  audit_filter(tag, tag_len, seconds, nanoseconds, record, record_len) -> address
//!                  read the NUL-terminated result     an empty one drops the record
//!                  free(tag), free(record)
//! ```
//!
//! The module gets WASI (preview 1) with one directory, that of the [configuration](crate::configuration), and this
//! program's stderr; no arguments, no environment, no network. What it may use of time and memory has a limit. Where
//! it traps, it is thrown away and begins anew with the next record.

use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use audit_filter_engine::json;
use tempfile::TempDir;
use wasmtime::{
    Cache, Config, Engine, Instance, InstancePre, Linker, Memory, Module, Store, StoreLimits,
    StoreLimitsBuilder, Trap, TypedFunc,
};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::Verdict;
use super::component::is_component;
use super::restarting::{Filter, Restarting, Start};
use crate::configuration::FileSet;
use crate::exit::Misconfigured;

/// What a collector calls the records: no tag matters to the filter.
const TAG: &[u8] = b"kube-apiserver.audit";

/// What the configuration's directory is called in the module.
const CONFIGURATION_DIRECTORY: &str = "/audit-filter";

/// How far a module may grow its memory, by default. A record that makes it use more, or one that leaks, would
/// otherwise take the machine's.
pub const DEFAULT_MAX_MEMORY_BYTES: usize = 1 << 30;

/// How long a module may take for a record, or to start, by default. The real one takes milliseconds for the
/// largest; one that hangs on a crafted record would otherwise hold up all that follow.
pub const DEFAULT_MAX_TIME: Duration = Duration::from_secs(10);

/// How often a running module's time is looked at.
const TICK: Duration = Duration::from_millis(50);

/// What a module may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How far it may grow its memory.
    pub max_memory_bytes: usize,
    /// How long it may take for a record, or to start.
    pub max_time: Duration,
}

impl Limits {
    /// For a store's limiter.
    pub(super) fn of_store(self) -> StoreLimits {
        StoreLimitsBuilder::new().memory_size(self.max_memory_bytes).build()
    }

    /// How many ticks may pass before a call is stopped. One may be due at once.
    pub(super) fn ticks(self) -> u64 {
        self.max_time.div_duration_f64(TICK).ceil() as u64 + 1
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_memory_bytes: DEFAULT_MAX_MEMORY_BYTES, max_time: DEFAULT_MAX_TIME }
    }
}

/// A module that runs in wasmtime.
pub type WasmtimeHost = Restarting<Prepared>;

/// What a new instance is made from.
pub struct Prepared {
    instance_pre: InstancePre<State>,
    configuration: Option<TempDir>,
    limits: Limits,
}

/// What belongs to an instance.
pub struct State {
    wasi: WasiP1Ctx,
    limits: StoreLimits,
}

type FilterArguments = (u32, u32, u32, u32, u32, u32);

/// An instance that has been initialized.
pub struct Running {
    pub(super) store: Store<State>,
    pub(super) instance: Instance,
    memory: Memory,
    malloc: TypedFunc<u32, u32>,
    free: TypedFunc<u32, ()>,
    filter: TypedFunc<FilterArguments, u32>,
    ticks_allowed: u64,
}

impl WasmtimeHost {
    /// Compiles a module (or takes it from wasmtime's cache) and starts it. Messages call it `name`.
    ///
    /// # Errors
    /// [`Misconfigured`] where it is no module of this interface, or does not start: the real one does not where its
    /// configuration has an error.
    pub fn new(name: &str, module: &[u8], configuration: &FileSet, limits: Limits) -> anyhow::Result<Self> {
        let engine = engine()?;
        tick(&engine)?;
        let instance_pre =
            prepare(&engine, module).with_context(|| Misconfigured(format!("cannot run {name}")))?;
        let configuration = if configuration.is_empty() { None } else { Some(lay_out(configuration)?) };
        Self::of(Prepared { instance_pre, configuration, limits })
            .with_context(|| Misconfigured(format!("{name} does not start")))
    }
}

/// Wasmtime, compiling for this machine, with its cache where there is a place for it.
pub(super) fn engine() -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Without a home directory there is no cache, and starting takes a little longer.
    config.cache(Cache::from_file(None).ok());
    Engine::new(&config).map_err(anyhow::Error::from).context("cannot set up wasmtime")
}

/// Counts time for everything that runs in `engine`, as long as it exists.
pub(super) fn tick(engine: &Engine) -> anyhow::Result<()> {
    let engine = engine.weak();
    thread::Builder::new()
        .name("wasm-deadline".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}

fn prepare(engine: &Engine, module: &[u8]) -> anyhow::Result<InstancePre<State>> {
    if is_component(module) {
        anyhow::bail!("it is a component; this takes the core module, audit_filter.wasm");
    }
    let module = Module::from_binary(engine, module).map_err(anyhow::Error::from).context("not a module")?;
    let mut linker = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |state: &mut State| &mut state.wasi)?;
    Ok(linker.instantiate_pre(&module)?)
}

/// Writes the configuration's files to a directory of their own, which goes with the host.
pub(super) fn lay_out(configuration: &FileSet) -> anyhow::Result<TempDir> {
    let directory = tempfile::Builder::new()
        .prefix("audit-filter-")
        .tempdir()
        .context("cannot make a temporary directory for the module's configuration")?;
    configuration.write_to(directory.path())?;
    Ok(directory)
}

impl Start for Prepared {
    type Instance = Running;

    const WHAT: &str = "module";

    fn start(&self) -> anyhow::Result<Running> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.inherit_stderr().allow_blocking_current_thread(true);
        if let Some(directory) = &self.configuration {
            wasi.preopened_dir(directory.path(), CONFIGURATION_DIRECTORY, FsPerms::ReadOnly)?;
        }
        let state = State { wasi: wasi.build_p1(), limits: self.limits.of_store() };
        let mut store = Store::new(self.instance_pre.module().engine(), state);
        store.limiter(|state| &mut state.limits);
        let ticks_allowed = self.limits.ticks();
        store.set_epoch_deadline(ticks_allowed);

        let instance = self.instance_pre.instantiate(&mut store)?;
        let memory =
            instance.get_memory(&mut store, "memory").context("it exports no memory named \"memory\"")?;
        let malloc =
            instance.get_typed_func(&mut store, "malloc").map_err(wrong_export("malloc(i32) -> i32"))?;
        let free = instance.get_typed_func(&mut store, "free").map_err(wrong_export("free(i32)"))?;
        let filter = instance
            .get_typed_func(&mut store, "audit_filter")
            .map_err(wrong_export("audit_filter(i32, i32, i32, i32, i32, i32) -> i32"))?;
        if instance.get_export(&mut store, "_initialize").is_some() {
            instance
                .get_typed_func::<(), ()>(&mut store, "_initialize")
                .map_err(wrong_export("_initialize()"))?
                .call(&mut store, ())
                .map_err(|error| anyhow::anyhow!("_initialize failed: {}", reason(&error)))?;
        }
        Ok(Running { store, instance, memory, malloc, free, filter, ticks_allowed })
    }
}

impl Filter for Running {
    fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, String> {
        self.store.set_epoch_deadline(self.ticks_allowed);
        let (tag, tag_len) = self.hand_over(TAG)?;
        let (start, len) = self.hand_over(record)?;
        // No time: an event's is its own.
        let result = self
            .filter
            .call(&mut self.store, (tag, tag_len, 0, 0, start, len))
            .map_err(|error| format!("audit_filter failed: {}", reason(&error)))?;
        let verdict = self.take_result(result, out)?;
        for buffer in [tag, start] {
            self.free
                .call(&mut self.store, buffer)
                .map_err(|error| format!("free failed: {}", reason(&error)))?;
        }
        Ok(verdict)
    }
}

impl Running {
    /// Copies `bytes` and a NUL into a buffer of the module's. Its address, and the length without the NUL.
    fn hand_over(&mut self, bytes: &[u8]) -> Result<(u32, u32), String> {
        let too_large = || format!("a record of {} bytes does not fit into the module", bytes.len());
        let len = u32::try_from(bytes.len()).map_err(|_| too_large())?;
        let size = len.checked_add(1).ok_or_else(too_large)?;
        let start = self
            .malloc
            .call(&mut self.store, size)
            .map_err(|error| format!("malloc failed: {}", reason(&error)))?;
        if start == 0 {
            return Err(format!("malloc has no {size} bytes"));
        }
        let buffer = self
            .memory
            .data_mut(&mut self.store)
            .get_mut(start as usize..)
            .and_then(|rest| rest.get_mut(..size as usize))
            .ok_or_else(|| format!("malloc gave {size} bytes at {start}, which is outside of the memory"))?;
        if let Some((nul, buffer)) = buffer.split_last_mut() {
            buffer.copy_from_slice(bytes);
            *nul = 0;
        }
        Ok((start, len))
    }

    /// Appends the result that stands at an address.
    fn take_result(&self, start: u32, out: &mut Vec<u8>) -> Result<Verdict, String> {
        let rest = self
            .memory
            .data(&self.store)
            .get(start as usize..)
            .ok_or_else(|| format!("the result's address, {start}, is outside of the memory"))?;
        let end = memchr::memchr(0, rest).ok_or("the result has no end: no NUL follows")?;
        let result = rest.get(..end).unwrap_or_default();
        if result.is_empty() {
            return Ok(Verdict::Dropped);
        }
        append_result(result, out)?;
        Ok(Verdict::Kept)
    }
}

/// Appends a result, on one line, that is one JSON object. Anything else, Fluent Bit loses or is aborted by.
pub(super) fn append_result(result: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    check_result(result)?;
    // Between the parts of an object a newline is whitespace, and inside of them there is none.
    let on_one_line = result.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte });
    match memchr::memchr2(b'\n', b'\r', result) {
        None => out.extend_from_slice(result),
        Some(_) => out.extend(on_one_line),
    }
    Ok(())
}

fn check_result(result: &[u8]) -> Result<(), String> {
    let end = match json::scan(result, 0) {
        Ok(scanned) => scanned.end,
        Err(error) => return Err(format!("the result is {error}")),
    };
    if !result.trim_ascii_start().starts_with(b"{") {
        return Err("the result is no JSON object".to_owned());
    }
    let rest = result.get(end..).unwrap_or_default();
    if rest.trim_ascii().is_empty() { Ok(()) } else { Err(format!("the result goes on after byte {end}")) }
}

/// Why a call failed, in one line.
pub(super) fn reason(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => "it took too long and was stopped".to_owned(),
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

/// Says which function is missing or has another type.
fn wrong_export(signature: &'static str) -> impl FnOnce(wasmtime::Error) -> anyhow::Error {
    move |error| anyhow::anyhow!("it does not export {signature}: {}", error.root_cause())
}

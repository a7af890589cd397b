//! The audit filter as a core WebAssembly module with Fluent Bit's C ABI: memory in, memory out.
//!
//! A host calls `_initialize` once, then for each record `malloc` twice (tag and record), `audit_filter`,
//! and `free` twice if it cares to. Beside `audit_filter` stand functions of the same form that a collector sends kept
//! records through, where it cannot make itself what a chat, an alert manager or a queue takes. All that happens to the record happens in the engine; this crate
//! owns the addresses, the reading of configuration files through WASI, and nothing else.
//!
//! The module is single-threaded and no export is called while another has the state, which every `SAFETY`
//! comment about [`State`] rests on.

#![expect(unsafe_code, reason = "the ABI is addresses and lengths")]

mod files;
mod heap;
#[cfg(any(target_arch = "wasm32", test))]
mod memory;
mod pool;
mod wasi;

use audit_filter_engine::notify::{Receiver, notification, with_partition_key};
use audit_filter_engine::{Config, Engine};
use pool::Pool;
use std::cell::UnsafeCell;
use std::ffi::c_char;
use std::slice;

/// Everything the module keeps between calls.
struct State {
    pool: Pool,
    engine: Option<Engine>,
    /// The result of the last call, NUL-terminated.
    output: Vec<u8>,
    /// Set while a record is being filtered: found set at the start of a call, the call before trapped.
    filtering: bool,
}

/// The one [`State`], reachable from the exports alone.
struct Global(UnsafeCell<State>);

// SAFETY: the module is built without threads, so nothing is ever shared between any.
unsafe impl Sync for Global {}

static STATE: Global =
    Global(UnsafeCell::new(State { pool: Pool::new(), engine: None, output: Vec::new(), filtering: false }));

/// Runs `f` on the state.
///
/// Not a lock: a host that interrupts a call by a trap leaves it as it is, and the next call must work.
fn with_state<R>(f: impl FnOnce(&mut State) -> R) -> R {
    // SAFETY: the exports are the only callers, none calls another or this from within `f`, all on one thread:
    // no other reference to the state exists while `f` runs. One that a trap left behind is never used again.
    f(unsafe { &mut *STATE.0.get() })
}

/// Reads the configuration. A host that follows the WASI reactor convention calls this first.
///
/// Looks into each directory that the host has opened for `audit-filter.yaml` (the configuration) and
/// `audit-policy.yaml` (a plain Kubernetes audit policy, which overrides the configuration's). Without
/// either the built-in defaults apply.
///
/// # Traps
/// Where the configuration has an error, after printing each problem to standard error: Fluent Bit 4.1
/// and later then refuses to start.
#[unsafe(export_name = "_initialize")]
// Not part of what calls it: `xtask` makes fast, at the price of bytes, what a record comes by.
#[inline(never)]
pub extern "C" fn initialize() {
    with_state(|state| {
        if state.engine.is_none() {
            let engine = heap::tidily(|| Engine::new(load_config()));
            // There was none. The code to drop one would be kept in the frame beneath the deepest calls there are.
            std::mem::forget(state.engine.replace(engine));
        }
    });
}

/// The configuration that the host's directories hold, or the defaults.
#[inline(never)]
fn load_config() -> Config {
    let loaded = files::load();
    for problem in &loaded.problems {
        wasi::print_error(&format!("audit-filter: {problem}"));
    }
    match loaded.config {
        Some(config) => config,
        None => {
            wasi::print_error("audit-filter: the configuration cannot be used, so nothing is filtered");
            abort()
        }
    }
}

/// Ends the call without a result.
fn abort() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}

/// Hands the host `size` bytes of the module's memory, aligned to 8; null where memory is exhausted.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "malloc"))]
pub extern "C" fn pool_malloc(size: usize) -> *mut u8 {
    with_state(|state| state.pool.take(size))
}

/// Takes back what [`pool_malloc`] handed out. Null and addresses it did not hand out are ignored.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "free"))]
pub extern "C" fn pool_free(start: *mut u8) {
    with_state(|state| state.pool.release(start));
}

/// Exports functions with the ABI of Fluent Bit's `wasm` filter, each with what it makes of a record.
///
/// They take `record_len` bytes at `record`, one JSON object, and return the address of the NUL-terminated record to go
/// on with; an empty string drops it. The result stays valid until the next call. The buffers of tag and record belong
/// to the module again when the call returns, whether the host frees them or not. Tag and time are not used: an event's
/// time is its own.
macro_rules! export {
    ($($(#[$documentation:meta])+ $name:ident: $write:expr;)+) => {$(
        $(#[$documentation])+
        ///
        /// # Safety
        /// `record` must be null or the address of `record_len` readable bytes that nothing else writes meanwhile.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            tag: *const u8,
            _tag_len: usize,
            _time_sec: u32,
            _time_nsec: u32,
            record: *const u8,
            record_len: usize,
        ) -> *const c_char {
            // SAFETY: the caller's promise.
            unsafe { answer(tag, record, record_len, $write) }
        }
    )+};
}

export! {
    /// Filters one record.
    audit_filter: |engine, record, out| { engine.filter(record, out); };
    /// Makes of a record that was kept what Fluent Bit's `http` output posts to a `DingTalk` robot: `body` and `headers`.
    alert_dingtalk: |_, record, out| notification(Receiver::DingTalk, record, out);
    /// The same for an incoming webhook of Slack.
    alert_slack: |_, record, out| notification(Receiver::Slack, record, out);
    /// Makes of a record that was kept an alert of Prometheus Alertmanager's API.
    alert_alertmanager: |_, record, out| notification(Receiver::Alertmanager, record, out);
    /// Adds the client's address as the member `partition_key`, for queues that keep together what has the same key.
    partition_key: |_, record, out| with_partition_key(record, out);
}

/// Has `write` make the answer to one call.
///
/// # Safety
/// As for the exports.
unsafe fn answer(
    tag: *const u8,
    record: *const u8,
    record_len: usize,
    write: impl FnOnce(&mut Engine, &[u8], &mut Vec<u8>),
) -> *const c_char {
    if with_state(|state| state.engine.is_none()) {
        initialize();
    }
    with_state(|state| {
        let Some(engine) = &mut state.engine else { abort() };
        if std::mem::replace(&mut state.filtering, true) {
            engine.recover();
            std::mem::forget(std::mem::take(&mut state.output));
        }
        // SAFETY: the caller's promise; nothing in the module writes the host's buffers.
        let record_bytes = unsafe { bytes(record, record_len) };
        state.output.clear();
        write(engine, record_bytes, &mut state.output);
        state.output.push(0);
        state.filtering = false;
        state.pool.release(tag);
        state.pool.release(record);
        state.output.as_ptr().cast()
    })
}

/// The bytes at an address that a host gave, empty for null or a length of zero.
///
/// # Safety
/// As for [`slice::from_raw_parts`], except that `start` may be null.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> &'a [u8] {
    if start.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise; the address is not null.
    unsafe { slice::from_raw_parts(start, len) }
}

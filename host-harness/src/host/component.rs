//! The component in wasmtime: the filter with an interface of its own, `plugin/component/wit/filter.wit`, instead of a
//! collector's.
//!
//! It imports nothing, so that all it takes to embed it is in [`ComponentHost::new`] and `Prepared::start`: an engine,
//! the component, and a call of `init` with the configuration.

use std::sync::Arc;

use anyhow::Context as _;
use wasmtime::component::{Component, Linker};
use wasmtime::{Store, StoreLimits};

use self::bindings::exports::k8s_audit_filter::filter::audit::{File, Verdict as Answer};
use self::bindings::{AuditFilter, AuditFilterPre};
use super::wasmtime::{Limits, append_result, engine, reason, tick};
use super::{Failure, Host, Verdict};
use crate::configuration::FileSet;
use crate::exit::Misconfigured;

mod bindings {
    wasmtime::component::bindgen!({ path: "../plugin/component/wit", world: "audit-filter" });
}

/// A component that runs in wasmtime.
pub struct ComponentHost {
    prepared: Arc<Prepared>,
    /// None after a failure.
    running: Option<Running>,
}

/// What a new instance is made from.
struct Prepared {
    instance_pre: AuditFilterPre<StoreLimits>,
    configuration: Vec<File>,
    limits: Limits,
}

/// An instance that has its configuration.
struct Running {
    store: Store<StoreLimits>,
    filter: AuditFilter,
    ticks_allowed: u64,
}

/// Whether a WebAssembly binary is a component: its header says so.
#[must_use]
pub fn is_component(binary: &[u8]) -> bool {
    binary.starts_with(b"\0asm\x0d\0\x01\0")
}

impl ComponentHost {
    /// Compiles a component (or takes it from wasmtime's cache) and starts it. Messages call it `name`.
    ///
    /// # Errors
    /// [`Misconfigured`] where it is no component of this interface, or does not take its configuration.
    pub fn new(
        name: &str,
        component: &[u8],
        configuration: &FileSet,
        limits: Limits,
    ) -> anyhow::Result<Self> {
        let engine = engine()?;
        tick(&engine)?;
        let instance_pre = Component::from_binary(&engine, component)
            .and_then(|component| Linker::new(&engine).instantiate_pre(&component))
            .and_then(AuditFilterPre::new)
            .map_err(anyhow::Error::from)
            .with_context(|| Misconfigured(format!("cannot run {name}")))?;
        let file =
            |(path, contents): (&str, &[u8])| File { path: path.to_owned(), contents: contents.to_vec() };
        let configuration = configuration.iter().map(file).collect();
        let prepared = Arc::new(Prepared { instance_pre, configuration, limits });
        let running = prepared.start().with_context(|| Misconfigured(format!("{name} does not start")))?;
        Ok(Self { prepared, running: Some(running) })
    }

    /// Another instance of the same component with the same configuration, to run beside this one.
    ///
    /// # Errors
    /// Where it does not start, though this one did.
    pub fn another(&self) -> anyhow::Result<Self> {
        let prepared = Arc::clone(&self.prepared);
        let running = prepared.start().context("the component does not start again")?;
        Ok(Self { prepared, running: Some(running) })
    }
}

impl Host for ComponentHost {
    fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, Failure> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => {
                self.prepared.start().context("the component does not start again").map_err(Failure::Host)?
            }
        };
        // An instance that failed cannot be entered again.
        let verdict = running.filter(record, out).map_err(Failure::Record)?;
        self.running = Some(running);
        Ok(verdict)
    }
}

impl Prepared {
    fn start(&self) -> anyhow::Result<Running> {
        let mut store = Store::new(self.instance_pre.engine(), self.limits.of_store());
        store.limiter(|limits| limits);
        let ticks_allowed = self.limits.ticks();
        store.set_epoch_deadline(ticks_allowed);
        let filter = self.instance_pre.instantiate(&mut store)?;
        filter
            .k8s_audit_filter_filter_audit()
            .call_init(&mut store, &self.configuration)
            .map_err(|error| anyhow::anyhow!("init failed: {}", reason(&error)))?
            .map_err(|problems| anyhow::anyhow!("{}", problems.join("; ")))?;
        Ok(Running { store, filter, ticks_allowed })
    }
}

impl Running {
    /// Appends to `out` what the component makes of the record. An error says why it makes nothing of it.
    fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, String> {
        self.store.set_epoch_deadline(self.ticks_allowed);
        let answer = self
            .filter
            .k8s_audit_filter_filter_audit()
            .call_filter(&mut self.store, record)
            .map_err(|error| format!("filter failed: {}", reason(&error)))?;
        match answer {
            Answer::Drop => Ok(Verdict::Dropped),
            Answer::Keep(result) => {
                append_result(&result, out)?;
                Ok(Verdict::Kept)
            }
        }
    }
}

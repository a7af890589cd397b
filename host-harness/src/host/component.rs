//! The component in wasmtime: the filter with an interface of its own, `plugin/component/wit/filter.wit`, instead of a
//! collector's.
//!
//! It imports nothing, so that all it takes to embed it is in [`ComponentHost::new`] and `Prepared::start`: an engine,
//! the component, and a call of `init` with the configuration.

use anyhow::Context as _;
use wasmtime::component::{Component, Linker};
use wasmtime::{Store, StoreLimits};

use self::bindings::exports::k8s_audit_filter::filter::audit::{File, Verdict as Answer};
use self::bindings::{AuditFilter, AuditFilterPre};
use super::Verdict;
use super::restarting::{Filter, Restarting, Start};
use super::wasmtime::{Limits, append_result, engine, reason, tick};
use crate::configuration::FileSet;
use crate::exit::Misconfigured;

mod bindings {
    wasmtime::component::bindgen!({ path: "../plugin/component/wit", world: "audit-filter" });
}

/// A component that runs in wasmtime.
pub type ComponentHost = Restarting<Prepared>;

/// What a new instance is made from.
pub struct Prepared {
    instance_pre: AuditFilterPre<StoreLimits>,
    configuration: Vec<File>,
    limits: Limits,
}

/// An instance that has its configuration.
pub struct Running {
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
        Self::of(Prepared { instance_pre, configuration, limits })
            .with_context(|| Misconfigured(format!("{name} does not start")))
    }
}

impl Start for Prepared {
    type Instance = Running;

    const WHAT: &str = "component";

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

impl Filter for Running {
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

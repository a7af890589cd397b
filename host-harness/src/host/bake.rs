//! A module with its configuration inside: started once here, and written down as it stands then.
//!
//! ```text
//! module ─▶ Wizer: export everything ─▶ start with the configuration ─▶ Wizer: memory and globals as data ─▶ mend
//! ```
//!
//! What Wizer writes needs mending for old hosts: where data was it leaves passive segments, which they do not know, and
//! it takes `_initialize` away, which some expect of a module that uses WASI. The result's `_initialize` finds its work done and returns at once, so that it reads no file, whatever directories a
//! collector opens.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use anyhow::Context as _;
use module_check::outline::Outline;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{DataSection, ExportKind, ExportSection, Module};
use wasmparser::{Data, DataKind, ExportSectionReader, Parser};
use wasmtime::Val;
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use super::wasmtime::{Limits, Running, WasmtimeHost};
use crate::configuration::FileSet;
use crate::exit::Misconfigured;

/// What a module does at its start, and has done in the result.
const INITIALIZE: &str = "_initialize";

/// Starts a module with a configuration and writes it down as it stands then. Messages call it `name`.
///
/// # Errors
/// [`Misconfigured`] where the module cannot be used, or does not start.
pub fn bake(name: &str, module: &[u8], configuration: &FileSet) -> anyhow::Result<Vec<u8>> {
    let mut wizer = Wizer::new();
    wizer.init_func(INITIALIZE);
    let (context, instrumented) = wizer
        .instrument(module)
        .map_err(anyhow::Error::from)
        .with_context(|| Misconfigured(format!("cannot bake {name}")))?;
    let host = WasmtimeHost::new(name, &instrumented, configuration, Limits::default())?;
    let running = host.into_running().context("the module is not running")?;
    let mut source = Source { running, missing: None };
    let baked = at_once(wizer.snapshot(&context, &mut source)).context("the snapshot does not come")??;
    match source.missing {
        None => mend(&baked, module),
        Some(name) => anyhow::bail!("there is no {name} to write down"),
    }
}

/// Makes of Wizer's module one for old hosts. `original` is what it was made of, with functions of the same numbers.
fn mend(baked: &[u8], original: &[u8]) -> anyhow::Result<Vec<u8>> {
    let original = Outline::read(original)?;
    let initialize = original.export(INITIALIZE).context("it does not export _initialize")?.index;
    let mut module = Module::new();
    Mender { initialize }
        .parse_core_module(&mut module, Parser::new(0), baked)
        .map_err(|error| anyhow::anyhow!("cannot mend the baked module: {error}"))?;
    Ok(module.finish())
}

struct Mender {
    /// The number of the function.
    initialize: u32,
}

impl Reencode for Mender {
    type Error = Infallible;

    fn parse_data(&mut self, data: &mut DataSection, datum: Data<'_>) -> Result<(), Error> {
        match datum.kind {
            // Nothing refers to one by its number: an old host's module has no instruction for it.
            DataKind::Passive => Ok(()),
            DataKind::Active { .. } => utils::parse_data(self, data, datum),
        }
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(INITIALIZE, ExportKind::Func, self.initialize);
        Ok(())
    }
}

/// What a future comes to that never waits.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// The instance that is written down.
struct Source {
    running: Running,
    /// Something that Wizer asked for and is not there: all it asks for is what it has exported itself.
    missing: Option<String>,
}

impl InstanceState for Source {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let Running { store, instance, .. } = &mut self.running;
        match instance.get_global(&mut *store, name).map(|global| global.get(&mut *store)) {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(bits)) => SnapshotVal::F32(bits),
            Some(Val::F64(bits)) => SnapshotVal::F64(bits),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            _ => {
                self.missing = Some(name.to_owned());
                SnapshotVal::I32(0)
            }
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let Running { store, instance, .. } = &mut self.running;
        match instance.get_memory(&mut *store, name) {
            Some(memory) => contents(memory.data(&store)),
            None => self.missing = Some(name.to_owned()),
        }
    }
}

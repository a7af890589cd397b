//! The module in WAMR, set up and called as in Fluent Bit.
//!
//! As in Fluent Bit since 4.1, the instance lives on after a trap, and the next record goes to it: whether the module
//! recovers is what this is for. There is no limit of time, which that runtime has not.

use std::sync::Arc;

use anyhow::Context as _;
use audit_filter_wamr::Instance;
use tempfile::TempDir;

use super::wasmtime::{Limits, append_result, lay_out};
use super::{Failure, Host, Verdict};
use crate::configuration::FileSet;
use crate::exit::Misconfigured;

/// What a collector calls the records, with its NUL: no tag matters to the filter.
const TAG: &[u8] = b"kube-apiserver.audit\0";

/// A module that runs in WAMR.
pub struct WamrHost {
    prepared: Arc<Prepared>,
    instance: Instance,
    /// The record with its NUL.
    record: Vec<u8>,
}

struct Prepared {
    module: Vec<u8>,
    configuration: Option<TempDir>,
    limits: Limits,
}

impl Prepared {
    fn start(&self) -> anyhow::Result<Instance> {
        let directory = self.configuration.as_ref().map(TempDir::path);
        Instance::new(&self.module, directory, self.limits.max_memory_bytes).map_err(anyhow::Error::msg)
    }
}

impl WamrHost {
    /// Loads a module and starts it. Messages call it `name`. Of the limits, that of time is not kept.
    ///
    /// # Errors
    /// [`Misconfigured`] where WAMR refuses it, or it does not start: the real one does not where its configuration has
    /// an error.
    pub fn new(name: &str, module: &[u8], configuration: &FileSet, limits: Limits) -> anyhow::Result<Self> {
        let configuration = if configuration.is_empty() { None } else { Some(lay_out(configuration)?) };
        let prepared = Arc::new(Prepared { module: module.to_vec(), configuration, limits });
        let instance =
            prepared.start().with_context(|| Misconfigured(format!("cannot run {name} in WAMR")))?;
        Ok(Self { prepared, instance, record: Vec::new() })
    }

    /// Another instance of the same module with the same configuration, to run beside this one.
    ///
    /// # Errors
    /// Where it does not start, though this one did.
    pub fn another(&self) -> anyhow::Result<Self> {
        let prepared = Arc::clone(&self.prepared);
        let instance = prepared.start().context("the module does not start again")?;
        Ok(Self { prepared, instance, record: Vec::new() })
    }

    /// The instance, to be called otherwise than Fluent Bit would.
    pub fn instance(&mut self) -> &mut Instance {
        &mut self.instance
    }

    /// What the module makes of a record; an error says why it makes nothing of it.
    fn call(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, String> {
        let instance = &mut self.instance;
        self.record.clear();
        self.record.extend_from_slice(record);
        self.record.push(0);
        let length = u32::try_from(record.len()).map_err(|_| "the record is larger than 4 GiB".to_owned())?;
        let tag = instance.hand_over(TAG)?;
        let result = instance.hand_over(&self.record).and_then(|start| {
            let called = instance.call(c"audit_filter", [tag, TAG.len() as u32 - 1, 0, 0, start, length]);
            let verdict = called.map_err(|why| format!("audit_filter failed: {why}")).and_then(|result| {
                let result = instance.string(result)?;
                if result.is_empty() {
                    return Ok(Verdict::Dropped);
                }
                append_result(result, out)?;
                Ok(Verdict::Kept)
            });
            instance.free(start);
            verdict
        });
        instance.free(tag);
        result
    }
}

impl Host for WamrHost {
    fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, Failure> {
        self.call(record, out).map_err(Failure::Record)
    }
}

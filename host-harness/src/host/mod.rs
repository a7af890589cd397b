//! What runs the filter: the module in wasmtime, as a collector runs it, the component, the module in
//! WAMR, as Fluent Bit runs it, or the engine itself.
//!
//! A host knows nothing of audit events: bytes in, bytes out. Where its filter fails, it says so and is ready
//! for the next record; what then becomes of the record is the [pipeline](crate::pipeline)'s to see to.

pub mod bake;
pub mod component;
pub mod module_file;
pub mod native;
pub mod restarting;
#[cfg(feature = "wamr")]
pub mod wamr;
pub mod wasmtime;

use std::fmt;

/// What a filter makes of a record that it did not fail on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Kept,
    /// It does not.
    Dropped,
}

/// Why there is no verdict.
#[derive(Debug)]
pub enum Failure {
    /// This record made the filter fail. What it knew of earlier records may be gone; the next one can be filtered.
    Record(String),
    /// Nothing more can be filtered.
    Host(anyhow::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(why) => f.write_str(why),
            Self::Host(error) => write!(f, "{error:#}"),
        }
    }
}

/// Something that runs a filter, on whichever thread.
pub trait Host: Send {
    /// Filters a record, one line without its end, and appends to `out` what goes on: one JSON object on one line,
    /// without its end; nothing where the record is dropped.
    ///
    /// # Errors
    /// Where the filter failed; `out` is then as it was.
    fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, Failure>;
}

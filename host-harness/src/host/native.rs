//! The engine without a module: for measuring what WebAssembly costs, and for telling whose a fault is.

use audit_filter_engine::{Config, Engine, Outcome};

use super::{Failure, Host, Verdict};

/// The engine compiled into this program.
#[derive(Debug)]
pub struct NativeHost {
    engine: Engine,
}

impl NativeHost {
    /// A filter with that configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { engine: Engine::new(config) }
    }
}

impl Host for NativeHost {
    fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, Failure> {
        Ok(match self.engine.filter(record, out) {
            Outcome::Dropped => Verdict::Dropped,
            Outcome::Kept | Outcome::PassedThrough => Verdict::Kept,
        })
    }
}

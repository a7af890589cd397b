//! What fails is thrown away, and begins anew with the next record: the same for modules and for components.

use std::sync::Arc;

use anyhow::Context as _;

use super::{Failure, Host, Verdict};

/// What instances are made from.
pub trait Start {
    /// An instance that has been started.
    type Instance: Filter;

    /// What it is called in messages.
    const WHAT: &str;

    /// Makes an instance and starts it.
    ///
    /// # Errors
    /// Where it does not start.
    fn start(&self) -> anyhow::Result<Self::Instance>;
}

/// An instance, of no more use once it has failed.
pub trait Filter {
    /// Appends to `out` what the instance makes of the record. An error says why it makes nothing of it, and may leave
    /// anything there.
    ///
    /// # Errors
    /// Where it failed.
    fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, String>;
}

/// An instance that runs, and a new one after each failure.
pub struct Restarting<S: Start> {
    prepared: Arc<S>,
    /// None after a failure.
    running: Option<S::Instance>,
}

impl<S: Start> Restarting<S> {
    /// Starts the first instance.
    pub(super) fn of(prepared: S) -> anyhow::Result<Self> {
        let running = prepared.start()?;
        Ok(Self { prepared: Arc::new(prepared), running: Some(running) })
    }

    /// Another instance of the same with the same configuration, to run beside this one.
    ///
    /// # Errors
    /// Where it does not start, though this one did.
    pub fn another(&self) -> anyhow::Result<Self> {
        Ok(Self { prepared: Arc::clone(&self.prepared), running: Some(self.start_again()?) })
    }

    /// The instance that was started, before it has been given any record.
    pub(super) fn into_running(self) -> Option<S::Instance> {
        self.running
    }

    fn start_again(&self) -> anyhow::Result<S::Instance> {
        self.prepared.start().with_context(|| format!("the {} does not start again", S::WHAT))
    }
}

impl<S: Start + Send + Sync> Host for Restarting<S>
where
    S::Instance: Send,
{
    fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, Failure> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start_again().map_err(Failure::Host)?,
        };
        let length = out.len();
        match running.filter(record, out) {
            Ok(verdict) => {
                self.running = Some(running);
                Ok(verdict)
            }
            Err(why) => {
                out.truncate(length);
                Err(Failure::Record(why))
            }
        }
    }
}

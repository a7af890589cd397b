//! How the command line ends: the exit statuses, and which error leads to which.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::follow::SetupError;

/// What the process tells whoever started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// All was done. Also where the reader of the output went away: it has what it wanted.
    Success = 0,
    /// Something failed while working: a file that cannot be read to its end, a module that trapped, a line too
    /// long, a signal before the end. What could be done was done.
    Failure = 1,
    /// The command line or the configuration is wrong. Nothing was done.
    Usage = 2,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

impl ExitStatus {
    /// What an error that ended a command leads to.
    pub fn of(error: &anyhow::Error) -> Self {
        if is_broken_pipe(error) {
            Self::Success
        } else if error.is::<Misconfigured>() || error.is::<SetupError>() {
            Self::Usage
        } else {
            Self::Failure
        }
    }
}

/// Whether the reader of the output went away.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A wrong command line or configuration: an error of its own, or the context of its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misconfigured(pub String);

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misconfigured {}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn errors_lead_to_statuses() {
        let broken_pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        let not_found = || io::Error::from(io::ErrorKind::NotFound);
        let misconfigured = || Misconfigured("no such policy".to_owned());
        for (error, expected) in [
            (anyhow!("the module trapped"), ExitStatus::Failure),
            (anyhow::Error::from(not_found()), ExitStatus::Failure),
            (anyhow::Error::from(not_found()).context("cannot read x"), ExitStatus::Failure),
            (misconfigured().into(), ExitStatus::Usage),
            (anyhow::Error::from(not_found()).context(misconfigured()), ExitStatus::Usage),
            (Err::<(), _>(misconfigured()).context("at start").unwrap_err(), ExitStatus::Usage),
            (anyhow::Error::from(broken_pipe()).context("cannot write the records"), ExitStatus::Success),
        ] {
            assert_eq!(ExitStatus::of(&error), expected, "{error:#}");
        }
    }
}

//! What is wrong with a configuration, said to the person who wrote it.
//!
//! Readers of configuration never stop at the first mistake: they gather problems and give back what
//! they could read. A configuration with an error is not used; one with warnings is.

use std::fmt;
use std::sync::Arc;

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Legal, but surely not meant.
    Warning,
    /// The configuration cannot be used.
    Error,
}

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Whether the configuration can still be used.
    pub severity: Severity,
    /// The file as the user named it.
    pub file: Arc<str>,
    /// The line, from 1; 0 where the problem is with the file as a whole.
    pub line: u32,
    /// The field as a path (`rules[3].level`); empty where it is not about one.
    pub field: String,
    /// What is wrong and what to write instead: lower case, no full stop.
    pub message: String,
}

impl fmt::Display for Problem {
    /// `file:line: severity: field: message`, the form that editors and terminals turn into links.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        f.write_str(match self.severity {
            Severity::Warning => ": warning: ",
            Severity::Error => ": error: ",
        })?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// The problems found so far, in the order in which they were found.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds an error.
    pub fn error(
        &mut self,
        file: &Arc<str>,
        line: u32,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.push(Severity::Error, file, line, field.into(), message.into());
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        file: &Arc<str>,
        line: u32,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.push(Severity::Warning, file, line, field.into(), message.into());
    }

    fn push(&mut self, severity: Severity, file: &Arc<str>, line: u32, field: String, message: String) {
        self.list.push(Problem { severity, file: Arc::clone(file), line, field, message });
    }

    /// Whether any of them keeps the configuration from being used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.list
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

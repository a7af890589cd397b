//! A bar on the terminal of whoever waits.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Read};

use indicatif::{ProgressBar, ProgressStyle};

/// How far reading is. Invisible where nobody looks.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Shows a bar on stderr where that is a terminal, and stdout is not another use of the same one. `total` is what
    /// there is to read, in bytes, as far as it is known.
    pub(crate) fn new(quiet: bool, total: Option<u64>) -> Self {
        if quiet || !io::stderr().is_terminal() || io::stdout().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{bar:30} {percent:>3} %  {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} to go",
            ),
            None => (ProgressBar::no_length(), "{spinner} {binary_bytes}, {binary_bytes_per_sec}, {elapsed}"),
        };
        // A template that does not parse leaves the default.
        Self(match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    /// Counts what is read from `source`.
    pub(crate) fn counting<R: Read>(&self, source: R) -> impl Read {
        self.0.wrap_read(source)
    }

    /// Says something to a person, above the bar where there is one.
    pub(crate) fn say(&self, text: impl Display) {
        self.0.suspend(|| crate::say(text));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

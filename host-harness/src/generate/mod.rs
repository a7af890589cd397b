//! Writes a realistic Kubernetes audit log, for trying the filter and for measuring it.
//!
//! The log is one day of one invented cluster, as `kube-apiserver` writes it to a file under a policy that logs
//! everything at RequestResponse, and secrets, config maps and token reviews at Metadata. It is the same to the
//! byte for the same [`Options`], on every platform: chance comes from a generator of our own, time from the options.
//!
//! ```text
//! actors ─▶ request (event) ─▶ lines ─▶ those still to come (day) ─▶ out, in order of time
//! story  ─▶ ┘
//! ```
//!
//! - `cluster` is the invented cluster and everybody who talks to it; `bodies` has its objects.
//! - `actors` is the table of what goes on all day, with weights. `story` is what happens once, however long the
//!   log is: an intruder's visit, and the operations team's unusual acts.
//! - `event` turns a request into audit events; `day` keeps what is still to be written, in order.
//!
//! Memory does not grow with the number of events: only what is still to be written is kept, up to a limit.

mod actors;
mod bodies;
mod clock;
mod cluster;
mod day;
mod event;
mod json;
mod managed_fields;
mod rng;
mod story;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

/// The first second of the day that is generated unless the options say otherwise: 2026-03-02T00:00:00Z, a Monday.
pub const DEFAULT_START: u64 = 1_772_409_600;

/// The last possible first second, 2500-01-01T00:00:00Z: later days begin then. Nanoseconds of the year 2554 no longer
/// fit into 64 bits, and some names hold them.
const LAST_START: u64 = 16_725_225_600;

/// With fewer events than this there is no room for the story: the log holds everyday traffic only.
pub const MIN_EVENTS_FOR_STORY: u64 = 300;

/// What log to write. Equal options give equal bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many events (lines) to write, exactly.
    pub events: u64,
    /// Which log to write: another seed is another cluster and another day.
    pub seed: u64,
    /// When the day begins, in seconds since 1970; the year 2500 is the last.
    pub start: u64,
    /// Events that would be longer lose their bodies and get the annotation `audit.k8s.io/truncated`, as with
    /// `kube-apiserver --audit-log-truncate-enabled --audit-log-truncate-max-event-size`. `None`: no limit; the
    /// largest events have a few megabytes.
    pub max_event_bytes: Option<u64>,
    /// Log secrets, config maps and token reviews with their bodies too, as a policy that forgets about them does.
    pub sensitive_bodies: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { events: 10_000, seed: 1, start: DEFAULT_START, max_event_bytes: None, sensitive_bodies: false }
    }
}

/// Writes the log to `out`, one event a line.
///
/// # Errors
///
/// Only those of `out`.
pub fn generate(options: &Options, out: &mut impl Write) -> io::Result<()> {
    let mut day = day::Day::new(options);
    if options.events >= MIN_EVENTS_FOR_STORY {
        story::schedule(&mut day);
    }
    day.begin();
    while day.advance() {
        actors::act(&mut day);
        day.write_due(out)?;
    }
    day.write_rest(out)
}

//! Ten million events through one instance of the module, with no more memory than it may have: four times the largest
//! event and 4 MiB. A module that leaks fails, whatever the leak.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use audit_filter_benches::events::Events;
use audit_filter_benches::filter;
use host_harness::host::wasmtime::Limits;

/// How many events go through.
const EVENTS: usize = 10_000_000;

/// Longer events are left out: they would take hours, and it is small ones that a busy cluster has most of.
const LONGEST: usize = 2_048;

/// What the module may have beside four times the largest event.
const MEMORY_BYTES: usize = 4 << 20;

/// How often it is said how far it has come.
const REPORTS: usize = 10;

fn main() -> Result<()> {
    let log = Events::read()?;
    let events: Vec<&[u8]> = log.lines().filter(|event| event.len() <= LONGEST).collect();
    ensure!(!events.is_empty(), "no event has at most {LONGEST} bytes");
    let limits = Limits { max_memory_bytes: MEMORY_BYTES + 4 * LONGEST, ..Limits::default() };
    let mut host = filter::wasmtime_within("", None, limits)?;
    let mut out = Vec::new();
    let mut events = events.iter().copied().cycle();
    for report in 1..=REPORTS {
        let done = report * (EVENTS / REPORTS);
        filter::run(&mut *host, events.by_ref().take(EVENTS / REPORTS), &mut out)
            .with_context(|| format!("among the first {done} events"))?;
        eprintln!("{done} events: none fails, and this program has {}", resident()?);
    }
    Ok(())
}

/// The memory of this program that is not elsewhere.
fn resident() -> Result<String> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.context("/proc/self/status has no VmRSS")?.trim().to_owned())
}

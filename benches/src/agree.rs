//! What is compared does the same.

use anyhow::{Result, anyhow, ensure};
use host_harness::host::{Host, Verdict};
use serde_json::Value;

use crate::events::Events;

/// Members by which it shows what was made of an event.
const TELLING: [&str; 4] = ["level", "auditID", "requestObject", "responseObject"];

/// Fails unless the filter and `other` let the same events go on, at the same level, with the same bodies.
///
/// # Errors
/// The first event on which they differ.
pub fn agree(
    events: &Events,
    host: &mut dyn Host,
    mut other: impl FnMut(&[u8]) -> Result<Option<Value>>,
) -> Result<()> {
    let mut out = Vec::new();
    for event in events.lines() {
        out.clear();
        let verdict = host.filter(event, &mut out).map_err(|failure| anyhow!("{failure}"))?;
        let ours: Option<Value> =
            (verdict == Verdict::Kept).then(|| serde_json::from_slice(&out)).transpose()?;
        let theirs = other(event)?;
        let telling =
            |event: &Option<Value>| event.as_ref().map(|event| TELLING.map(|name| event.get(name).cloned()));
        ensure!(
            telling(&ours) == telling(&theirs),
            "not judged alike: {:.400}",
            String::from_utf8_lossy(event)
        );
    }
    Ok(())
}

//! The events to filter: those of the log that `AUDIT_LOG` names.

use std::env;
use std::fs;

use anyhow::{Context as _, Result};

/// Lines, each an event.
pub struct Events {
    lines: Vec<Vec<u8>>,
    bytes: u64,
}

impl Events {
    /// The log in the file that `AUDIT_LOG` names.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read() -> Result<Self> {
        let file = env::var_os("AUDIT_LOG")
            .context("AUDIT_LOG names no log to measure with; cargo xtask bench sets it")?;
        let log = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        // Where lines end is found here once: to look for it byte by byte takes about as long as to filter what is between.
        let lines =
            log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
        Ok(Self { lines, bytes: log.len() as u64 })
    }

    /// Each event's bytes.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(Vec::as_slice)
    }

    /// All bytes, ends of lines included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One event, a Pod that is created, with a body of about that many bytes.
    #[must_use]
    pub fn with_body(bytes: usize) -> Vec<u8> {
        const VARIABLE: &str = r#"{"name":"SETTING","value":"a value of some length, as they are"}"#;
        let variables = vec![VARIABLE; (bytes / (VARIABLE.len() + 1)).max(1)].join(",");
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"2d1f6a0e-7b7c-4b8f-9a51-0a6d3c1e5b90","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods","verb":"create","user":{{"username":"jane@example.com","groups":["system:authenticated"]}},"sourceIPs":["203.0.113.7"],"userAgent":"kubectl/v1.31.0","objectRef":{{"resource":"pods","namespace":"shop","name":"web-0","apiVersion":"v1"}},"responseStatus":{{"metadata":{{}},"code":201}},"requestObject":{{"kind":"Pod","spec":{{"containers":[{{"name":"web","image":"nginx","env":[{variables}]}}]}}}},"requestReceivedTimestamp":"2026-03-02T00:00:00.000000Z","stageTimestamp":"2026-03-02T00:00:00.100000Z"}}"#
        )
        .into_bytes()
    }
}

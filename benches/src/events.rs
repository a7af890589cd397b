//! The events to filter: a generated log, the same every time, or one that `AUDIT_LOG` names.

use std::env;
use std::fs;

use anyhow::{Context as _, Result};
use host_harness::generate::{Options, generate};

/// How many events are generated: enough for the rare large ones to count as they do in a day's log.
const EVENTS: u64 = 4_000;

/// Lines, each an event.
pub struct Events {
    log: Vec<u8>,
}

impl Events {
    /// The log in the file that `AUDIT_LOG` names, else a generated one.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read() -> Result<Self> {
        let log = match env::var_os("AUDIT_LOG") {
            Some(file) => fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?,
            None => {
                let mut log = Vec::new();
                generate(&Options { events: EVENTS, seed: 7, ..Options::default() }, &mut log)?;
                log
            }
        };
        Ok(Self { log })
    }

    /// Each event's bytes.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
    }

    /// All bytes, ends of lines included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.log.len() as u64
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

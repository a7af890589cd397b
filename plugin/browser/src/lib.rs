//! The engine and the reports in a browser: what the page calls, and nothing that decides or counts.
//!
//! ```text
//! report:      bytes from the page ─▶ Log ─▶ JSON for each of its pages
//! playground:  a file, texts ─▶ Playground ─▶ problems, numbers, a Log
//! ```
//!
//! Everything goes to JavaScript as JSON, whose types stand in `page/src/types.ts`.

mod playground;

pub use playground::Playground;

use audit_filter_engine::policy;
use audit_filter_report::filter::Filter;
use audit_filter_report::records::Records;
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

/// The events of a log.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Log {
    records: Records,
}

#[wasm_bindgen]
impl Log {
    /// What a report has in it.
    ///
    /// # Errors
    /// Where the bytes are none, or from another version.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let records = Records::from_bytes(bytes).map_err(|error| error.to_string())?;
        Ok(Self { records })
    }

    /// What the filter did: [`Tally`](audit_filter_report::tally::Tally).
    #[must_use]
    pub fn tally(&self) -> String {
        json(self.records.tally())
    }

    /// The values to filter by.
    #[must_use]
    pub fn choices(&self) -> String {
        json(&self.records.choices())
    }

    /// The first page.
    ///
    /// # Errors
    /// Where the filter is none. So with all that take one.
    pub fn overview(&self, filter: &str) -> Result<String, String> {
        Ok(json(&self.records.overview(&read(filter)?)))
    }

    /// Operations by class of resource.
    ///
    /// # Errors
    /// See [`overview`](Self::overview).
    pub fn operations(&self, filter: &str) -> Result<String, String> {
        Ok(json(&self.records.operations(&read(filter)?)))
    }

    /// A resource by itself.
    ///
    /// # Errors
    /// See [`overview`](Self::overview).
    pub fn resource(&self, filter: &str, resource: &str) -> Result<String, String> {
        Ok(json(&self.records.resource_details(&read(filter)?, resource)))
    }

    /// Vulnerabilities.
    ///
    /// # Errors
    /// See [`overview`](Self::overview).
    pub fn cves(&self, filter: &str) -> Result<String, String> {
        Ok(json(&self.records.cves(&read(filter)?)))
    }

    /// Commands in containers.
    ///
    /// # Errors
    /// See [`overview`](Self::overview).
    pub fn containers(&self, filter: &str) -> Result<String, String> {
        Ok(json(&self.records.containers(&read(filter)?)))
    }

    /// Some of the events, the latest first.
    ///
    /// # Errors
    /// See [`overview`](Self::overview).
    pub fn events(&self, filter: &str, start: usize, most: usize) -> Result<String, String> {
        Ok(json(&self.records.events(&read(filter)?, start, most)))
    }
}

/// The text of a built-in policy.
#[wasm_bindgen]
#[must_use]
pub fn builtin_policy(name: &str) -> Option<String> {
    policy::builtin(name).map(str::to_owned)
}

/// The names of the built-in policies, as a list in JSON.
#[wasm_bindgen]
#[must_use]
pub fn builtin_policies() -> String {
    json(&policy::builtin_names().collect::<Vec<_>>())
}

fn read(filter: &str) -> Result<Filter, String> {
    serde_json::from_str(filter).map_err(|error| format!("no filter: {error}"))
}

/// Everything that goes out has names for keys, and so can be written.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

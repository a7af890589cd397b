//! Sigma rules: reading, compiling, putting them to events.

use audit_filter_engine::config::{self, Loaded};
use audit_filter_engine::{Engine, Outcome};

use crate::{Given, events, oracle};

/// Everything is kept, so that rules see whole events, and none of them is built in.
const CONFIGURATION: &[u8] =
    b"{policy: {apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}, rules: {builtin: false, files: [rules.yml]}}";

/// A file of Sigma rules, with events to put to them in its comments.
///
/// # Panics
/// Where the rules make the filter drop an event or give something else than JSON.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let files = Given(&[(config::FILE_NAME, CONFIGURATION), ("rules.yml", data)]);
    let Loaded { config: Some(config), .. } = config::load(&files) else { return };
    let mut engine = Engine::new(config);
    let mut out = Vec::new();
    for event in events(text) {
        out.clear();
        let outcome = engine.filter(event.as_bytes(), &mut out);
        assert_ne!(outcome, Outcome::Dropped, "{event}");
        oracle::is_a_record(event.as_bytes(), &out);
    }
}

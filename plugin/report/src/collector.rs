//! The filter with somebody who takes notes: each event goes through the engine, and what is kept becomes a record.

use audit_filter_engine::explain::{Explanation, Subject};
use audit_filter_engine::record::Event;
use audit_filter_engine::{Config, Engine, Outcome};
use serde_json::Value;

use crate::records::{Builder, Records};
use crate::tally::{Fate, Tally};
use crate::text::added_object;

/// A filter, and the records of what it has kept.
#[derive(Debug)]
pub struct Collector {
    engine: Engine,
    output_key: String,
    builder: Builder,
}

/// What came of an event.
#[derive(Debug)]
#[non_exhaustive]
pub struct Collected {
    /// What became of it.
    pub fate: Fate,
    /// Its number among the kept events; none where it is not among the records.
    pub id: Option<u32>,
    /// The filter's words on it; none where it had been filtered before.
    pub explanation: Option<Explanation>,
}

impl Collector {
    /// Of a filter with that configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let output_key = config.output_key().to_owned();
        let builder = Builder::new(&[config.rules().rules(), config.rules().correlations()].concat());
        Self { engine: Engine::new(config), output_key, builder }
    }

    /// The member under which the filter writes its object.
    #[must_use]
    pub fn output_key(&self) -> &str {
        &self.output_key
    }

    /// What was done so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        self.builder.tally_so_far()
    }

    /// Filters an event and takes note of it. Of a list of events, give each by itself: [`events`](crate::text::events).
    pub fn add(&mut self, event: &[u8]) -> Collected {
        if let Some((subject, audit)) = filtered_before(event, &self.output_key) {
            let id = self.note(&subject, &audit);
            self.builder.tally().count(Fate::FilteredBefore, event.len(), event.len());
            return Collected { fate: Fate::FilteredBefore, id: Some(id), explanation: None };
        }
        let explanation = self.engine.explain(event);
        let findings = explanation.findings.as_ref();
        let fate = match explanation.outcome {
            Outcome::Dropped => Fate::Dropped,
            Outcome::PassedThrough => Fate::PassedThrough,
            Outcome::Kept if findings.is_some_and(|findings| !findings.cuts.is_empty()) => Fate::Trimmed,
            Outcome::Kept => Fate::Kept,
        };
        self.builder.tally().count(fate, event.len(), explanation.output.len());
        let id = findings.filter(|_| explanation.outcome == Outcome::Kept).map(|findings| {
            // The engine wrote it, so it is JSON.
            let audit = serde_json::from_slice(&findings.audit).unwrap_or_default();
            self.note(&findings.subject, &audit)
        });
        Collected { fate, id, explanation: Some(explanation) }
    }

    /// The records.
    #[must_use]
    pub fn finish(self) -> Records {
        self.builder.finish()
    }

    fn note(&mut self, subject: &Subject, audit: &Value) -> u32 {
        self.builder.tally().count_audit(audit);
        self.builder.push(subject, audit)
    }
}

/// What a filter has said of an event earlier, if it has: an API server writes no such member.
fn filtered_before(event: &[u8], output_key: &str) -> Option<(Subject, Value)> {
    // Written last, so it stands at the end of what is worth looking into.
    let closes_object = event.trim_ascii_end().ends_with(b"}}");
    let audit = added_object(closes_object.then_some(event)?, output_key)?;
    let audit: Value = serde_json::from_slice(audit.0).ok()?;
    audit.get("level")?.as_str()?;
    audit.get("operator_type").or(audit.get("message"))?;
    let event = Event::read(event, output_key.as_bytes()).ok()?;
    Some((Subject::of(&event), audit))
}

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

    /// What there is before anything is chosen: [`Start`](audit_filter_report::reports::Start).
    #[must_use]
    pub fn start(&self) -> String {
        json(&self.records.start())
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use audit_filter_engine::config;
    use audit_filter_engine::detect::Rule;

    use crate::playground::Texts;

    /// What the page has in Chinese of what the engine says, by kind.
    fn chinese(kind: &str) -> BTreeMap<String, String> {
        let all: BTreeMap<String, BTreeMap<String, String>> =
            serde_json::from_str(include_str!("../page/src/zh.json")).unwrap();
        all[kind].clone()
    }

    fn keys(translations: &BTreeMap<String, String>) -> BTreeSet<&str> {
        translations.keys().map(String::as_str).collect()
    }

    #[test]
    fn every_sentence_of_a_story_has_a_chinese_one_with_the_same_parts() {
        let source = include_str!("../../report/src/story.rs");
        let templates = source.split("said!(").skip(1).map(|call| call.split('"').nth(1).unwrap());
        // What only holds an event's words has none of its own.
        let templates: BTreeSet<_> = templates.filter(|template| *template != "{}").collect();
        let sentences = chinese("sentences");
        assert_eq!(templates, keys(&sentences));
        for (english, chinese) in &sentences {
            assert_eq!(english.matches("{}").count(), chinese.matches("{}").count(), "{english}");
        }
    }

    fn built_in_rules() -> Vec<Rule> {
        let config = config::load(&Texts::default()).config.unwrap();
        [config.rules().rules(), config.rules().correlations()].concat()
    }

    #[test]
    fn every_built_in_rule_has_a_chinese_title() {
        let rules = built_in_rules();
        let titles: BTreeSet<_> = rules.iter().map(|rule| &*rule.title).collect();
        assert_eq!(titles, keys(&chinese("titles")));
    }

    #[test]
    fn every_tag_of_a_built_in_rule_has_a_chinese_name() {
        let rules = built_in_rules();
        // ATT&CK's techniques and the vulnerabilities go by their numbers.
        let is_number = |tag: &str| tag.starts_with("attack.t") || tag.starts_with("cve.");
        let tags = rules.iter().flat_map(|rule| &rule.tags).map(|tag| &**tag);
        let tags: BTreeSet<_> = tags.filter(|tag| !is_number(tag)).collect();
        assert_eq!(tags, keys(&chinese("tags")));
    }
}

//! The filter on a log that somebody dropped into the page, with a configuration that is being written.

use std::ops::Range;

use audit_filter_engine::config::{self, Files};
use audit_filter_engine::problem::{Problem, Severity};
use audit_filter_engine::{Config, Engine};
use audit_filter_report::collector::Collector;
use audit_filter_report::story::Story;
use audit_filter_report::tally::{Fate, Tally};
use audit_filter_report::text::events;
use serde_json::json;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::Log;

/// The file of the rules that are being written, as the configuration names it.
const RULES_FILE: &str = "rules.yml";

/// The texts that are being written.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    configuration: String,
    policy: String,
    rules: String,
}

impl Files for Texts {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(match path {
            config::FILE_NAME => Some(self.configuration.clone().into()),
            config::POLICY_FILE_NAME => (!self.policy.trim().is_empty()).then(|| self.policy.clone().into()),
            RULES_FILE => Some(self.rules.clone().into()),
            _ => None,
        })
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, String> {
        Ok(path.is_empty().then(|| vec![RULES_FILE.to_owned()]))
    }
}

/// A log, and the filter on its way through it.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Playground {
    texts: Texts,
    log: Vec<u8>,
    /// Where in the log each event stands.
    events: Vec<Range<usize>>,
    /// What became of each event that the filter has seen.
    fates: Vec<Fate>,
    /// The index of each kept event.
    kept: Vec<u32>,
    /// Until the filter has seen all.
    collector: Option<Collector>,
    /// For questions about single events, which must not disturb the collector's filter.
    explainer: Option<(Engine, String)>,
}

#[wasm_bindgen]
impl Playground {
    /// One without a log.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a log, one record a line. Returns how many events it has.
    pub fn load(&mut self, log: Vec<u8>) -> usize {
        self.log = log;
        let start = self.log.as_ptr().addr();
        let place = |event: &[u8]| {
            let at = event.as_ptr().addr() - start;
            at..at + event.len()
        };
        let lines =
            self.log.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        self.events = lines.flat_map(events).map(place).collect();
        self.events.len()
    }

    /// Takes what has been written, and begins anew if it can be used. Returns what is wrong with it, or surely not
    /// meant, and whether it can be used.
    pub fn configure(&mut self, configuration: String, policy: String, rules: String) -> String {
        self.texts = Texts { configuration, policy, rules };
        let problems = config::check(&self.texts).problems;
        let config = config::load(&self.texts).config;
        let problems: Vec<_> = problems.iter().map(to_json).collect();
        let answer = json!({"usable": config.is_some(), "problems": problems});
        if let Some(config) = config {
            self.begin(config);
        }
        answer.to_string()
    }

    /// Filters that many events more. Returns how many have been filtered.
    pub fn step(&mut self, events: usize) -> usize {
        let Some(collector) = &mut self.collector else { return self.fates.len() };
        for place in self.events.iter().skip(self.fates.len()).take(events) {
            let collected = collector.add(self.log.get(place.clone()).unwrap_or_default());
            if collected.id.is_some() {
                self.kept.push(u32::try_from(self.fates.len()).unwrap_or(u32::MAX));
            }
            self.fates.push(collected.fate);
        }
        self.fates.len()
    }

    /// What the filter has done so far.
    #[must_use]
    pub fn tally(&self) -> String {
        let none = Tally::default();
        crate::json(self.collector.as_ref().map_or(&none, Collector::tally))
    }

    /// The kept events, to be asked for once all have been filtered.
    pub fn take_log(&mut self) -> Log {
        Log { records: self.collector.take().map(Collector::finish).unwrap_or_default() }
    }

    /// The index in the log of a kept event.
    #[must_use]
    pub fn index_of(&self, id: usize) -> Option<u32> {
        self.kept.get(id).copied()
    }

    /// Up to `most` events of that fate, or of any where there is none, from the one on that has that many before it:
    /// the index, the fate, what the event tells, how grave it is, and its route.
    pub fn list(&mut self, fate: &str, start: usize, most: usize) -> String {
        let name = |fate: &Fate| serde_json::to_value(fate).unwrap_or_default();
        let is_meant = |candidate: &Fate| {
            fate.is_empty() || name(candidate) == fate || (fate == "kept" && *candidate == Fate::Trimmed)
        };
        let chosen = self.fates.iter().enumerate().filter(|(_, fate)| is_meant(fate));
        let total = chosen.clone().count();
        let rows: Vec<_> = chosen.skip(start).take(most).map(|(index, fate)| (index, name(fate))).collect();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(index, fate)| {
                let row = self.explain(index, |story| {
                    let (severity, route) = (story.audit("severity"), story.audit("route"));
                    json!({"index": index, "fate": fate, "told": story.told(), "severity": severity, "route": route})
                });
                row.unwrap_or_default()
            })
            .collect();
        json!({"total": total, "rows": rows}).to_string()
    }

    /// Why an event met its fate, and what goes on of it.
    pub fn detail(&mut self, index: usize) -> String {
        let lines = self.explain(index, |story| story.lines());
        let output = self.explain(index, |story| String::from_utf8_lossy(story.output()).into_owned());
        let input = self.event(index).map(|event| String::from_utf8_lossy(event).into_owned());
        json!({"lines": lines, "output": output, "input": input}).to_string()
    }
}

impl Playground {
    fn begin(&mut self, config: Config) {
        self.fates.clear();
        self.kept.clear();
        self.explainer = config::load(&self.texts).config.map(|config| {
            let output_key = config.output_key().to_owned();
            (Engine::new(config), output_key)
        });
        self.collector = Some(Collector::new(config));
    }

    fn event(&self, index: usize) -> Option<&[u8]> {
        self.log.get(self.events.get(index)?.clone())
    }

    /// What `tell` says of an event's story.
    fn explain<T>(&mut self, index: usize, tell: impl Fn(&Story<'_>) -> T) -> Option<T> {
        let event = self.log.get(self.events.get(index)?.clone())?;
        let (engine, output_key) = self.explainer.as_mut()?;
        let explanation = engine.explain(event);
        Some(tell(&Story::new(event, &explanation, output_key)))
    }
}

fn to_json(problem: &Problem) -> serde_json::Value {
    json!({
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "file": &*problem.file,
        "line": problem.line,
        "field": problem.field,
        "message": problem.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verb: &str, resource: &str) -> String {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"ResponseComplete","requestURI":"/","verb":"{verb}","user":{{"username":"jane"}},"objectRef":{{"resource":"{resource}","namespace":"shop","name":"x","apiVersion":"v1"}},"responseStatus":{{"code":200}}}}"#
        )
    }

    const POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: None\n  verbs: [get]\n- level: Metadata\n";

    #[test]
    fn a_changed_policy_changes_the_numbers() {
        let mut playground = Playground::new();
        let list = format!(
            r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{},{}]}}"#,
            event("get", "pods"),
            event("list", "pods")
        );
        assert_eq!(playground.load(format!("{}\n\n{list}\r\n", event("get", "pods")).into_bytes()), 3);
        for (policy, kept) in [(POLICY.to_owned(), 1), (POLICY.replace("get", "list"), 2)] {
            let answer = playground.configure(String::new(), policy, String::new());
            assert_eq!(answer, r#"{"usable":true,"problems":[]}"#);
            assert_eq!((playground.step(2), playground.step(2)), (2, 3));
            let tally: Tally = serde_json::from_str(&playground.tally()).unwrap();
            assert_eq!((tally.read, tally.kept, tally.dropped), (3, kept, 3 - kept));
        }
        assert_eq!(playground.index_of(1), Some(1));
        let list = playground.list("dropped", 0, 9);
        assert!(list.contains(r#"{"index":2,"fate":"dropped","told":"jane listed"#), "{list}");
        let detail = playground.detail(2);
        let told = r#"["dropped {}",["by rule {} at line {} of {}","0","4","audit-policy.yaml"]]"#;
        assert!(detail.contains(told), "{detail}");
        assert!(playground.take_log().tally().contains(r#""kept":2"#));
    }

    #[test]
    fn problems_have_their_file_and_line() {
        let mut playground = Playground::new();
        let rules = "rules: {files: [rules.yml]}";
        for (texts, expected) in [
            (["x: 1", "", ""], r#""file":"audit-filter.yaml","line":1"#),
            (["", "kind: Policy\nrules: 1", ""], r#""file":"audit-policy.yaml","line":2"#),
            ([rules, "", "title: A\ndetection: {}"], r#""file":"rules.yml","line":"#),
        ] {
            let [configuration, policy, rules] = texts.map(str::to_owned);
            let answer = playground.configure(configuration, policy, rules);
            assert!(answer.contains(r#""usable":false"#) && answer.contains(expected), "{answer}");
        }
    }
}

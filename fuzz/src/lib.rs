//! What must hold of the engine whatever bytes it reads: one function for each kind of input, which panics where it
//! does not.
//!
//! | function | reads | beside never panicking |
//! | --- | --- | --- |
//! | [`policy()`] | an audit policy | what is accepted decides as its explanation says |
//! | [`record()`] | a record from a collector | one line of JSON or nothing, untouched members as they were, the next event unharmed |
//! | [`rules()`] | Sigma rules | what is accepted can be put to events and drops none |
//! | [`configuration()`] | `audit-filter.yaml` | what is accepted filters |
//!
//! `cargo xtask fuzz` puts them to libFuzzer; the tests of this package put the seeds in `corpus` to them. A seed for
//! anything but records may bring its own events along, each in a comment of its own:
//!
//! ```yaml
//! # event: {"apiVersion":"audit.k8s.io/v1", …}
//! ```

mod configuration;
mod oracle;
mod policy;
mod record;
mod rules;

pub use configuration::configuration;
pub use policy::policy;
pub use record::record;
pub use rules::rules;

use audit_filter_engine::config::Files;

/// How a seed brings an event along.
const EVENT_COMMENT: &str = "# event: ";

/// Events of every kind: the sample log's.
const SAMPLE: &str = include_str!("../../tests/fixtures/sample-audit.jsonl");

/// How many of the sample's lines lie between two that are tried: trying all would be slow, and its beginning is one
/// actor's.
const STEP: usize = 29;

/// The events to put to what `text` says: those it brings along, and some of the sample log.
fn events(text: &str) -> impl Iterator<Item = &str> {
    let own = text.lines().filter_map(|line| line.strip_prefix(EVENT_COMMENT));
    own.chain(SAMPLE.lines().step_by(STEP))
}

/// Files of these names and contents, as a host would have them.
struct Given<'a>(&'a [(&'a str, &'a [u8])]);

impl Files for Given<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.iter().find(|(name, _)| *name == path).map(|(_, contents)| contents.to_vec()))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, String> {
        let within = |name: &str| match path {
            "" => Some(name.to_owned()),
            path => name.strip_prefix(path)?.strip_prefix('/').map(str::to_owned),
        };
        let names: Vec<_> =
            self.0.iter().filter_map(|(name, _)| within(name)).filter(|name| !name.contains('/')).collect();
        Ok((path.is_empty() || !names.is_empty()).then_some(names))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Puts every seed of a kind to its function.
    fn each_seed(kind: &str, holds: fn(&[u8])) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(kind);
        let mut seeds = 0;
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            // Says which it was, should it fail.
            println!("{}", path.display());
            holds(&fs::read(path).unwrap());
            seeds += 1;
        }
        assert!(seeds > 0, "no seeds in {}", directory.display());
    }

    #[test]
    fn every_policy_of_the_corpus_holds() {
        each_seed("policy", super::policy);
    }

    #[test]
    fn every_record_of_the_corpus_holds() {
        each_seed("record", super::record);
    }

    #[test]
    fn every_rule_of_the_corpus_holds() {
        each_seed("rules", super::rules);
    }

    #[test]
    fn every_configuration_of_the_corpus_holds() {
        each_seed("configuration", super::configuration);
    }
}

//! The audit filter as a WebAssembly component, with the interface that `wit/filter.wit` describes.
//!
//! All that happens to a record happens in the engine. The configuration comes from the host in memory, so that the
//! component imports nothing.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "audit-filter" });
}

use std::cell::RefCell;
use std::collections::BTreeMap;

use audit_filter_engine::config::{self, Loaded};
use audit_filter_engine::{Engine, Outcome};
use bindings::exports::k8s_audit_filter::filter::audit::{File, Guest, Verdict};

thread_local! {
    /// The component has one thread. A call that traps leaves this borrowed, and no other call can follow: so the
    /// component model has it.
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// The component's functions.
#[derive(Debug)]
pub struct Component;

/// What makes them the component's exports. Only there: their names are none that other linkers take.
#[cfg(target_arch = "wasm32")]
mod abi {
    #![expect(
        unsafe_code,
        reason = "wit-bindgen's code for addresses and lengths, which the host's validation checks"
    )]

    use super::{Component, bindings};

    bindings::export!(Component with_types_in bindings);
}

impl Guest for Component {
    fn init(configuration: Vec<File>) -> Result<Vec<String>, Vec<String>> {
        let files: BTreeMap<String, Vec<u8>> =
            configuration.into_iter().map(|file| (file.path, file.contents)).collect();
        let Loaded { config, problems } = config::load(&files);
        let problems = problems.iter().map(ToString::to_string).collect();
        match config {
            Some(config) => {
                ENGINE.set(Some(Engine::new(config)));
                Ok(problems)
            }
            None => Err(problems),
        }
    }

    fn filter(record: Vec<u8>) -> Verdict {
        ENGINE.with_borrow_mut(|engine| {
            let engine = match engine {
                Some(engine) => engine,
                // The built-in defaults have no error.
                None => match config::load(&config::NoFiles).config {
                    Some(config) => engine.insert(Engine::new(config)),
                    None => return Verdict::Keep(record),
                },
            };
            let mut output = Vec::new();
            match engine.filter(&record, &mut output) {
                Outcome::Dropped => Verdict::Drop,
                Outcome::Kept | Outcome::PassedThrough => Verdict::Keep(output),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, contents: &str) -> File {
        File { path: path.to_owned(), contents: contents.into() }
    }

    fn filter(record: &str) -> Option<String> {
        match Component::filter(record.into()) {
            Verdict::Keep(output) => Some(String::from_utf8_lossy(&output).into_owned()),
            Verdict::Drop => None,
        }
    }

    #[test]
    fn a_configuration_comes_in_memory() {
        const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","stage":"ResponseComplete","requestURI":"/api","verb":"get","user":{"username":"jane"}}"#;
        let keep = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n";
        let drop = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n";
        // The defaults, until there is another one.
        assert!(filter("{}").is_some_and(|output| output.contains(r#""error":"not an audit event"#)));

        let own = file("audit-filter.yaml", "policyFile: policies/own.yaml\noutput: {key: k8s}\n");
        let named = [own.clone(), file("policies/own.yaml", keep)];
        assert_eq!(Component::init(named.to_vec()), Ok(vec![]));
        assert!(filter(EVENT).is_some_and(|output| output.contains(r#""k8s":{"level":"Metadata""#)));

        assert_eq!(Component::init([&named[..], &[file("audit-policy.yaml", drop)]].concat()), Ok(vec![]));
        assert_eq!(filter(EVENT), None);

        // What is wrong is said, and changes nothing.
        let problems = Component::init(vec![own]).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains("policies/own.yaml")), "{problems:?}");
        assert_eq!(filter(EVENT), None);
    }
}

//! The filter's configuration: reading, linting, filtering with it.

use audit_filter_engine::Engine;
use audit_filter_engine::config;

use crate::{Given, events, oracle};

/// What a configuration may refer to.
const POLICY: &[u8] =
    b"apiVersion: audit.k8s.io/v1\nkind: Policy\nomitManagedFields: true\nrules: [{level: Request, verbs: [create, patch, update]}, {level: Metadata}]\n";
const RULE: &[u8] =
    b"title: Deleted\nid: own-deleted\nlogsource: {product: kubernetes, service: audit}\ndetection: {selection: {verb: delete}, condition: selection}\nlevel: high\n";
const NETWORKS: &[u8] = b"# known bad\n198.51.100.0/24\n2001:db8::/32 # a comment\n";

/// Reading the built-in rules takes a hundred times what the rest does. A seed that says so itself has its own key.
const WITHOUT_BUILTIN: &str = "builtin: false";

/// A configuration, with events to filter in its comments. Beside it lie `policy.yaml`, `rules/own.yml` and `bad.txt`.
///
/// # Panics
/// Where a configuration is refused without a reason, where `check` does not say all that loading says, or where what
/// is accepted gives something else than JSON.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = match text.contains(WITHOUT_BUILTIN) {
        true => text.to_owned(),
        false => format!("rules: {{{WITHOUT_BUILTIN}}}\n{text}"),
    };
    let files = Given(&[
        (config::FILE_NAME, text.as_bytes()),
        ("policy.yaml", POLICY),
        ("rules/own.yml", RULE),
        ("bad.txt", NETWORKS),
    ]);
    let loaded = config::load(&files);
    let checked = config::check(&files).problems;
    for problem in &loaded.problems {
        assert!(checked.contains(problem), "check does not say: {problem}");
    }
    let Some(config) = loaded.config else {
        assert!(!loaded.problems.is_empty(), "refused without a reason");
        return;
    };
    let mut engine = Engine::new(config);
    let mut out = Vec::new();
    for event in events(&text) {
        out.clear();
        engine.filter(event.as_bytes(), &mut out);
        oracle::is_a_record(event.as_bytes(), &out);
    }
}

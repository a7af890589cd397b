//! Audit policies: reading, linting, deciding.

use std::sync::Arc;

use audit_filter_engine::policy::Policy;
use audit_filter_engine::problem::Problems;
use audit_filter_engine::record::Event;

use crate::events;

/// A policy, with events to put to it in its comments.
///
/// # Panics
/// Where the compiled policy decides otherwise than the policy explained rule by rule, or where a policy is refused
/// without a reason.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = Arc::from("policy.yaml");
    let mut problems = Problems::default();
    let policy = Policy::from_yaml(text, &file, &mut problems);
    assert_eq!(policy.is_none(), problems.has_errors(), "{:?}", problems.into_iter().collect::<Vec<_>>());
    let Some(policy) = policy else { return };
    policy.lint(&file, "", &mut problems);
    assert!(!problems.has_errors(), "a lint is an error: {:?}", problems.into_iter().collect::<Vec<_>>());

    for event in events(text).filter_map(|event| Event::read(event.as_bytes(), b"audit").ok()) {
        let decision = policy.evaluate(&event);
        let considered = policy.explain(&event);
        let matched = considered.last().filter(|rule| rule.mismatch.is_none());
        assert_eq!(decision.rule, matched.map(|rule| rule.rule), "{considered:?}");
        assert!(matched.is_none_or(|rule| rule.level == decision.level), "{decision:?} {considered:?}");
    }
}

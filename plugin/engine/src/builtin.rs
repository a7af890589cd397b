//! What `build.rs` has made of the files in `plugin/rules` and `plugin/policies`.

/// The built-in Sigma rules, [written down](crate::detect).
pub(crate) const RULES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules"));

/// The default policy's YAML, as a node.
pub(crate) const DEFAULT_POLICY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default_policy"));

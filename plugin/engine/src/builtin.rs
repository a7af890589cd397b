//! What `build.rs` has made of the files in `plugin/rules`.

/// The built-in Sigma rules, [written down](crate::detect).
pub(crate) const RULES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules"));

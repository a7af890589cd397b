//! The policies that come with the filter.

/// By name, in the order in which they are listed.
const POLICIES: [(&str, &str); 4] = [
    ("ack-default", include_str!("../../../policies/ack-default.yaml")),
    ("gke", include_str!("../../../policies/gke.yaml")),
    ("minimal", include_str!("../../../policies/minimal.yaml")),
    ("security", include_str!("../../../policies/security.yaml")),
];

/// The name of the policy that applies where no other is given.
pub const DEFAULT: &str = "ack-default";

/// The YAML text of the built-in policy of that name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static str> {
    POLICIES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The names of the built-in policies.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    POLICIES.iter().map(|(name, _)| *name)
}

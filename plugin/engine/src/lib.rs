//! The audit filter's engine: one Kubernetes audit event in, the same bytes less what the policy
//! removes and plus one `audit` object out, or nothing.
//!
//! ```text
//! record bytes ─▶ record ─▶ policy ─▶ normalize ─▶ detect ─▶ route ─▶ emit ─▶ record bytes, or nothing
//! ```
//!
//! The modules below stand in the order in which a record passes through them. The engine does no
//! I/O, asks no clock and knows no host; it never panics on what it reads, and never recurses over it.
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "tests may panic"))]

pub mod json;
pub mod problem;
pub mod record;
pub mod yaml;

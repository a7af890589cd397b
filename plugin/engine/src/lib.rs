//! The audit filter's engine: one Kubernetes audit event in, the same bytes less what the policy
//! removes and plus one `audit` object out, or nothing.
//!
//! ```text
//! record bytes ─▶ record ─▶ policy ─▶ normalize ─▶ detect ─▶ route ─▶ emit ─▶ record bytes, or nothing
//! ```
//!
//! [`Engine`] takes a record along this way; [`config`] says what it is to do. The modules of the stages
//! stand below in the order of the flow. The engine does no I/O, asks no clock and knows no host; it never
//! panics on what it reads, and never recurses over it.
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "tests may panic"))]

pub mod config;
mod engine;
pub mod explain;

mod audit;
mod buffer;
pub mod detect;
mod emit;
pub mod normalize;
pub mod notify;
pub mod policy;
pub mod record;

mod builtin;
mod hash;
pub mod json;
pub mod problem;
mod recent;
mod sort;
mod sorted;
mod written;
pub mod yaml;

pub use config::Config;
pub use engine::{Engine, Outcome};

//! What the benches have in common: the events, the filters, and what the filters are compared with.
//!
//! | module | is |
//! | --- | --- |
//! | [`events`] | the events to filter |
//! | [`filter`] | the filter, in its module and compiled in |
//! | [`reader`] | the least that a program could do which reads the events with `serde_json` |
//! | [`rules`] | policies and Sigma rules of any number |
//! | [`time`] | what is measured, and how |
//!
//! ACK's audit policy in Vector's language, with all that takes to compile, is in a package of its own, `benches/vrl`.

pub mod events;
#[cfg(feature = "hosts")]
pub mod filter;
pub mod reader;
pub mod rules;
pub mod time;

//! What the benches have in common: the events, the filters, and what the filters are compared with.
//!
//! | module | is |
//! | --- | --- |
//! | [`events`] | the events to filter |
//! | [`filter`] | the filter, in its module and compiled in |
//! | [`reader`] | the least that a program could do which reads the events with `serde_json` |
//! | [`vrl`] | ACK's audit policy in Vector's language |
//! | [`rules`] | policies and Sigma rules of any number |
//! | [`time`] | what is measured |
//!
//! A bench that measures something else than it says is worse than none: before anything is measured, the programs that
//! are compared must agree on what they do ([`agree`]).

pub mod agree;
pub mod events;
pub mod filter;
pub mod reader;
pub mod rules;
pub mod time;
#[cfg(feature = "vrl")]
pub mod vrl;

//! The audit reports, the same for the command line and for a browser: what became of an event in sentences, and what
//! many events add up to.
//!
//! ```text
//!                 ┌─▶ story ─▶ sentences
//! event ─▶ collector (the engine, with somebody who takes notes)
//!                 └─▶ records ─▶ filter ─▶ counts, reports ─▶ JSON, the page
//! ```
//!
//! Nothing here decides anything about an event: the engine does. Nothing here does I/O.
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "tests may panic"))]

pub mod collector;
pub mod counts;
pub mod filter;
pub mod records;
pub mod reports;
pub mod said;
pub mod story;
pub mod tally;
pub mod text;
pub mod time;

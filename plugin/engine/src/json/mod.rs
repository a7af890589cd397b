//! JSON as the engine needs it: a scanner that validates without building anything, views that
//! borrow from the scanned bytes, and a writer for the few values that the engine adds.
//!
//! [`scan`] proves once that a record is JSON; after that [`members`] and [`elements`] walk its
//! parts. They are written for validated bytes and merely end early on anything else.

mod scan;
mod text;
mod walk;
mod words;
mod write;

pub use scan::{Error, Scanned, scan};
pub(crate) use scan::{skip_string, skip_value, skip_whitespace};
pub use text::Text;
pub(crate) use walk::element_ranges;
pub use walk::{Kind, Raw, elements, members};
pub(crate) use words::{
    HIGH, equal, equal_in_any_case, has_pair, hash_of_words, is_plain, is_plain_chunk, may_say, mixed,
    position, position_in_case, position_of_pair, stands_at, tag,
};
pub(crate) use write::push_decimal;
pub use write::{push_escaped, push_number, push_string};

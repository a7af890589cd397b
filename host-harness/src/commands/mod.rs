//! The commands, a file for each. What they print for a person goes to stderr, records and results to stdout.

pub mod check;
pub mod compare;
pub mod explain;
pub mod follow;
pub mod generate;
pub mod run;

mod inputs;

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

/// Writes the summary that `--stats FILE` asks for.
///
/// # Errors
/// Where the file cannot be written.
fn write_statistics(path: Option<&Path>, statistics: &impl Serialize) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let mut json = serde_json::to_vec_pretty(statistics)?;
    json.push(b'\n');
    fs::write(path, json).with_context(|| format!("cannot write the statistics to {}", path.display()))
}

/// What a terminal can be given: an event's words are an attacker's, and control characters are orders to a terminal,
/// as those that turn the direction of writing are to its reader.
fn printable(text: &str) -> Cow<'_, str> {
    let is_order = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.chars().any(is_order) {
        Cow::Owned(text.chars().map(|c| if is_order(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gives_orders_to_a_terminal() {
        for (text, expected) in [
            ("", ""),
            ("jane@example.com", "jane@example.com"),
            ("名前", "名前"),
            ("a\u{1b}[2Jb\n", "a\u{fffd}[2Jb\u{fffd}"),
            ("a\u{202e}b\u{2066}c\u{9b}", "a\u{fffd}b\u{fffd}c\u{fffd}"),
        ] {
            assert_eq!(printable(text), expected, "{text:?}");
        }
    }
}

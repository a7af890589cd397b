//! Small things that everything which shows findings needs: the events of a record, the filter's object in it,
//! writing numbers and names.

use std::borrow::Cow;

use audit_filter_engine::json::{self, Raw};
use audit_filter_engine::record::elements;

/// The events of a record: the elements of a list, or else the record itself.
#[must_use]
pub fn events(record: &[u8]) -> Vec<&[u8]> {
    let elements = elements(record);
    if elements.is_empty() {
        return vec![record];
    }
    elements.into_iter().filter_map(|element| record.get(element)).collect()
}

/// The object that the filter has added to a record under `key`: the last of that name, whatever else a record
/// brings along.
#[must_use]
pub fn added_object<'a>(output: &'a [u8], key: &str) -> Option<Raw<'a>> {
    json::members(Raw(output)).filter(|(name, _)| name.is(key.as_bytes())).last().map(|(_, object)| object)
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a terminal can be given: an event's words are an attacker's, and control characters are orders to a terminal,
/// as those that turn the direction of writing are to its reader.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
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

    #[test]
    fn lists_are_told_from_events() {
        for (record, expected) in [
            (r#"{"auditID":"a","records":[1]}"#, &[r#"{"auditID":"a","records":[1]}"#][..]),
            (
                r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"a":1}, {}]}"#,
                &[r#"{"a":1}"#, "{}"],
            ),
            (r#"{"records":[{}]}"#, &["{}"]),
            (r#"{"records":[]}"#, &[r#"{"records":[]}"#]),
            (r#"{"kind":"EventList","items":[{}"#, &[r#"{"kind":"EventList","items":[{}"#]),
            ("no JSON", &["no JSON"]),
        ] {
            let found: Vec<_> = events(record.as_bytes()).into_iter().map(String::from_utf8_lossy).collect();
            assert_eq!(found, expected, "{record}");
        }
    }
}

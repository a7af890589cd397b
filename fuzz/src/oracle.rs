//! What a record is that goes on: judged by another JSON reader than the engine's.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Panics unless `out`, which the filter made of `record`, is nothing, or a JSON object that a host can take: UTF-8
/// without a NUL, on one line if the record was on one.
pub(crate) fn is_a_record(record: &[u8], out: &[u8]) {
    if out.is_empty() {
        return;
    }
    let name = || String::from_utf8_lossy(out);
    assert!(std::str::from_utf8(out).is_ok(), "not UTF-8: {}", name());
    assert!(!out.contains(&0), "a NUL: {}", name());
    assert!(record.contains(&b'\n') || !out.contains(&b'\n'), "more than a line: {}", name());
    // Whoever skips a value does not recurse, so that no nesting is too deep.
    let json = serde_json::from_slice::<IgnoredAny>(out);
    assert!(json.is_ok(), "not JSON: {json:?}: {}", name());
    assert!(members(out).is_some(), "no object: {}", name());
}

/// The members of an object as they are written: names with their quotes and escapes, values untouched. None where the
/// bytes are no JSON object.
pub(crate) fn members(object: &[u8]) -> Option<Vec<(&str, &str)>> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(&'de str, &'de str)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                members.push((name.get(), value.get()));
            }
            Ok(members)
        }
    }

    let mut reader = serde_json::Deserializer::from_slice(object);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok()?;
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::members;

    #[test]
    fn members_are_as_they_are_written() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(members(deep.as_bytes()).unwrap().len(), 1);
        for (object, expected) in [
            ("{}", Some(vec![])),
            (
                r#" { "a" : 1.0e0 , "\u0061" : {"b" : "\ud800"} } "#,
                Some(vec![(r#""a""#, "1.0e0"), (r#""\u0061""#, r#"{"b" : "\ud800"}"#)]),
            ),
            (r#"{"a":1} x"#, None),
            (r#"{"a":01}"#, None),
            ("[]", None),
        ] {
            assert_eq!(members(object.as_bytes()), expected, "{object}");
        }
    }
}

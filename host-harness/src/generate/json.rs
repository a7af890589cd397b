//! JSON as Go's `encoding/json` writes it, which is what is in an audit file.
//!
//! Two things differ from what `serde_json` would write: `&`, `<` and `>` become `\u0026`, `\u003c` and `\u003e`
//! (so every request URI with two parameters has an escape), and so do the line separators U+2028 and U+2029.

use serde_json::Value;

/// Appends `text` as a JSON string, quotes included.
pub(super) fn append_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, character) in text.char_indices() {
        let escape = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '&' => "\\u0026",
            '<' => "\\u003c",
            '>' => "\\u003e",
            '\u{2028}' => "\\u2028",
            '\u{2029}' => "\\u2029",
            '\0'..='\u{1f}' => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            out.push_str(escape);
        }
        plain_from = at + character.len_utf8();
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// Appends `value`, without spaces, keys in the order they are in.
pub(super) fn append_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => append_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                append_value(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (index, (key, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                append_string(out, key);
                out.push(':');
                append_value(out, field);
            }
            out.push('}');
        }
    }
}

/// The text of `value`.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    append_value(&mut out, value);
    out
}

/// `value` with the keys of every object in alphabetical order: what Go makes of a map, so of custom resources and
/// of what `kubectl` sends. Typed objects keep the order of their Go structs.
pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(fields.into_iter().map(|(key, field)| (key, sorted(field))).collect())
        }
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("/pods?a=1&b=2", r#""/pods?a=1\u0026b=2""#),
            ("<script>", r#""\u003cscript\u003e""#),
            ("say \"hi\" \\ bye", r#""say \"hi\" \\ bye""#),
            ("a\nb\tc\rd\u{8}e\u{c}f", r#""a\nb\tc\rd\be\ff""#),
            ("\u{1}\u{1f}\u{7f}", "\"\\u0001\\u001f\u{7f}\""),
            ("line\u{2028}para\u{2029}", r#""line\u2028para\u2029""#),
            ("日本 é 🙂", "\"日本 é 🙂\""),
        ] {
            let mut out = String::new();
            append_string(&mut out, text);
            assert_eq!(out, expected);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn keys_keep_their_order_unless_sorted() {
        let value = json!({"kind": "A", "apiVersion": null, "b": [{"z": 1, "a": -2}, true], "e": {}});
        assert_eq!(text(&value), r#"{"kind":"A","apiVersion":null,"b":[{"z":1,"a":-2},true],"e":{}}"#);
        assert_eq!(
            text(&sorted(value)),
            r#"{"apiVersion":null,"b":[{"a":-2,"z":1},true],"e":{},"kind":"A"}"#
        );
    }
}

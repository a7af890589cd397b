//! Last stage: copies the bytes that stay, leaves out what goes, adds the `audit` object.
//!
//! Nothing is parsed and written again: what is not cut or replaced is the same to the byte.

use crate::json;
use crate::record::Place;
use std::ops::Range;

/// What to change in a record, in any order, by offsets into its bytes.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    list: Vec<Edit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    range: Range<usize>,
    with: &'static [u8],
}

impl Edits {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// Leaves bytes out; the caller sees to it that what stays is JSON.
    pub(crate) fn cut(&mut self, range: Range<usize>) {
        self.list.push(Edit { range, with: b"" });
    }

    /// Leaves a member out together with the comma after it. Where none follows, the comma before it
    /// stays: [`write`] adds a member there.
    pub(crate) fn cut_member(&mut self, src: &[u8], place: Place) {
        let after = json::skip_whitespace(src, place.end);
        let end = match src.get(after) {
            Some(b',') => json::skip_whitespace(src, after + 1),
            _ => after,
        };
        self.cut(place.name..end);
    }

    /// Writes something else in place of a value.
    pub(crate) fn replace(&mut self, place: Place, with: &'static [u8]) {
        self.list.push(Edit { range: place.value..place.end, with });
    }
}

/// Appends the object `src`, edited, with one member more: `key` and what `value` holds.
///
/// `close` is the offset of the object's closing brace; nothing after it is copied.
pub(crate) fn write(
    src: &[u8],
    close: usize,
    edits: &mut Edits,
    key: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
) {
    out.reserve(close + key.len() + value.len() + 8);
    let start = out.len();
    copy_edited(src, 0..close, edits, out);
    // The last byte that says something tells whether a comma is due.
    let written = out.get(start..).unwrap_or_default().trim_ascii_end();
    if !matches!(written.last(), Some(b',' | b'{')) {
        out.push(b',');
    }
    json::push_string(out, key);
    out.push(b':');
    out.extend_from_slice(value);
    out.push(b'}');
}

/// Appends a range of `src` with the edits that fall into it.
fn copy_edited(src: &[u8], range: Range<usize>, edits: &mut Edits, out: &mut Vec<u8>) {
    edits.list.sort_by_key(|edit| edit.range.start);
    let mut from = range.start;
    for edit in &edits.list {
        // Where edits overlap, what any of them takes away is gone.
        if edit.range.start < from {
            from = from.max(edit.range.end);
            continue;
        }
        out.extend_from_slice(src.get(from..edit.range.start).unwrap_or_default());
        out.extend_from_slice(edit.with);
        from = edit.range.end;
    }
    out.extend_from_slice(src.get(from..range.end).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TopLevel;

    /// Removes the members named in `cut` from an object and adds `"audit":{}`.
    fn without(object: &str, cut: &[&str]) -> String {
        let mut edits = Edits::default();
        let mut members = TopLevel::new(object.as_bytes()).unwrap();
        while let Some((name, place)) = members.next().unwrap() {
            if cut.contains(&&*name.to_str()) {
                edits.cut_member(object.as_bytes(), place);
            }
        }
        let mut out = Vec::new();
        write(object.as_bytes(), members.close(), &mut edits, b"audit", b"{}", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_go_with_one_comma_each() {
        for (object, cut, expected) in [
            (r#"{"a":1,"b":2,"c":3}"#, &[][..], r#"{"a":1,"b":2,"c":3,"audit":{}}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["a"], r#"{"b":2,"c":3,"audit":{}}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["b"], r#"{"a":1,"c":3,"audit":{}}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["c"], r#"{"a":1,"b":2,"audit":{}}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["b", "c"], r#"{"a":1,"audit":{}}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["a", "b", "c"], r#"{"audit":{}}"#),
            ("{}", &[], r#"{"audit":{}}"#),
            ("{ \"a\" : 1 , \"b\" : 2 }\n", &["a"], "{ \"b\" : 2 ,\"audit\":{}}"),
            ("{ \"a\" : 1 , \"b\" : 2 }\n", &["b"], "{ \"a\" : 1 , \"audit\":{}}"),
        ] {
            assert_eq!(without(object, cut), expected, "{object} without {cut:?}");
        }
    }

    #[test]
    fn edits_inside_a_cut_are_moot() {
        let src = b"{\"a\":{\"b\":1},\"c\":2}";
        let mut edits = Edits::default();
        edits.cut(6..11);
        edits.cut(1..13);
        let mut out = Vec::new();
        write(src, src.len() - 1, &mut edits, b"k", b"0", &mut out);
        assert_eq!(out, br#"{"c":2,"k":0}"#);
    }

    #[test]
    fn cuts_that_overlap_take_away_what_either_does() {
        let src = br#"{"audit":1,"body":2}"#;
        let mut edits = Edits::default();
        edits.cut(1..11);
        edits.cut(10..19);
        let mut out = Vec::new();
        write(src, src.len() - 1, &mut edits, b"k", b"0", &mut out);
        assert_eq!(out, br#"{"k":0}"#);
    }
}

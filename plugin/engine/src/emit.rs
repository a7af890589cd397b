//! Last stage: copies the bytes that stay, leaves out what goes, adds the `audit` object.
//!
//! Nothing is parsed and written again: what is not cut or replaced is the same to the byte.

use crate::json;
use crate::policy::trim;
use crate::record::{Piece, Place};
use crate::sort::sort;
use std::borrow::Cow;
use std::ops::Range;

/// What to change in a record, in any order, by offsets into its bytes.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    list: Vec<Edit>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Edit {
    start: usize,
    end: usize,
    with: Cow<'static, [u8]>,
}

impl Edits {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// Leaves bytes out; the caller sees to it that what stays is JSON.
    pub(crate) fn cut(&mut self, range: Range<usize>) {
        self.push(range, Cow::Borrowed(b""));
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
        self.push(place.value..place.end, Cow::Borrowed(with));
    }

    fn push(&mut self, range: Range<usize>, with: Cow<'static, [u8]>) {
        self.list.push(Edit { start: range.start, end: range.end, with });
    }

    /// Turns changes to an event's text into changes to the record that it was taken from. What of the text
    /// stands in no piece does not stand in the record either.
    ///
    /// `pieces` are in the order of the text and do not overlap.
    pub(crate) fn put_back(&mut self, text: &[u8], pieces: &[Piece], record: &[u8]) {
        sort(&mut self.list);
        let list = std::mem::take(&mut self.list);
        let mut rest = list.as_slice();
        let mut gone = Vec::new();
        for piece in pieces {
            while let Some((first, later)) = rest.split_first()
                && first.end <= piece.text.start
            {
                rest = later;
            }
            let is_inside = |edit: &&Edit| piece.text.start <= edit.start && edit.end <= piece.text.end;
            let inside = rest.iter().take_while(is_inside).count();
            let (within, later) = rest.split_at_checked(inside).unwrap_or_default();
            if later.first().is_some_and(|edit| edit.start < piece.text.end) {
                gone.push(piece.place);
            } else if !within.is_empty() {
                self.put_back_into(text, piece, within);
                rest = later;
            }
        }
        sort(&mut gone);
        let mut cuts = Vec::new();
        for place in gone {
            trim::cut_member(record, place, &mut cuts);
        }
        for cut in cuts {
            self.cut(cut);
        }
    }

    fn put_back_into(&mut self, text: &[u8], piece: &Piece, edits: &[Edit]) {
        let Place { value, end, .. } = piece.place;
        if piece.quoted {
            let mut string = vec![b'"'];
            apply(text, piece.text.clone(), edits, |piece| json::push_escaped(&mut string, piece));
            string.push(b'"');
            self.push(value..end, Cow::Owned(string));
            return;
        }
        for edit in edits {
            let moved = |offset: usize| value + offset.saturating_sub(piece.text.start);
            self.push(moved(edit.start)..moved(edit.end), edit.with.clone());
        }
    }
}

/// What stands before the value of the member that [`write`] adds.
pub(crate) fn member_name(key: &[u8]) -> Vec<u8> {
    let mut name = vec![b','];
    json::push_string(&mut name, key);
    name.push(b':');
    name
}

/// Appends the object `src`, edited, with one member more. `last` is that: its [name](member_name), its value, and the brace
/// that closes the object.
///
/// `close` is the offset of the object's closing brace; nothing after it is copied.
pub(crate) fn write(src: &[u8], close: usize, edits: &mut Edits, last: &[u8], out: &mut Vec<u8>) {
    out.reserve(close + last.len());
    let start = out.len();
    sort(&mut edits.list);
    apply(src, 0..close, &edits.list, |piece| out.extend_from_slice(piece));
    // The last byte that says something tells whether a comma is due.
    let written = out.get(start..).unwrap_or_default().trim_ascii_end();
    let has_comma = matches!(written.last(), Some(b',' | b'{'));
    out.extend_from_slice(last.get(usize::from(has_comma)..).unwrap_or_default());
}

/// Gives `push` what remains of a range of `src` after the edits, which are in their order and within it.
#[inline(always)]
fn apply(src: &[u8], range: Range<usize>, edits: &[Edit], mut push: impl FnMut(&[u8])) {
    let mut from = range.start;
    for edit in edits {
        // Where edits overlap, what any of them takes away is gone.
        if edit.start < from {
            from = from.max(edit.end);
            continue;
        }
        push(src.get(from..edit.start).unwrap_or_default());
        if !edit.with.is_empty() {
            push(&edit.with);
        }
        from = edit.end;
    }
    push(src.get(from..range.end).unwrap_or_default());
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
        write(object.as_bytes(), members.close(), &mut edits, br#","audit":{}}"#, &mut out);
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
        write(src, src.len() - 1, &mut edits, br#","k":0}"#, &mut out);
        assert_eq!(out, br#"{"c":2,"k":0}"#);
    }

    #[test]
    fn cuts_that_overlap_take_away_what_either_does() {
        let src = br#"{"audit":1,"body":2}"#;
        let mut edits = Edits::default();
        edits.cut(1..11);
        edits.cut(10..19);
        let mut out = Vec::new();
        write(src, src.len() - 1, &mut edits, br#","k":0}"#, &mut out);
        assert_eq!(out, br#"{"k":0}"#);
    }
}

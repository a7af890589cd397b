//! The members of a record, one by one, proving on the way that the record is JSON.

use super::{Place, Unreadable};
use crate::json::{self, Text, skip_string, skip_value, skip_whitespace};

/// A single pass over an object's members.
pub(crate) struct TopLevel<'a> {
    src: &'a [u8],
    pos: usize,
    first: bool,
    /// All bytes of names and strings so far, or-ed together.
    high_bits: u64,
}

impl<'a> TopLevel<'a> {
    /// Starts at the object that `src` holds, whitespace around it aside.
    pub(crate) fn new(src: &'a [u8]) -> Result<Self, Unreadable> {
        let start = skip_whitespace(src, 0);
        match src.get(start) {
            Some(b'{') => Ok(Self { src, pos: start + 1, first: true, high_bits: 0 }),
            // Tell a list or a number from garbage.
            _ => {
                json::scan(src, start)?;
                Err(Unreadable::NotAnObject)
            }
        }
    }

    /// The next member's name and place; none at the closing brace, when nothing but whitespace follows it.
    pub(crate) fn next(&mut self) -> Result<Option<(Text<'a>, Place)>, Unreadable> {
        let src = self.src;
        let mut pos = skip_whitespace(src, self.pos);
        match src.get(pos) {
            Some(b'}') => return self.finish(pos),
            Some(b',') if !self.first => pos = skip_whitespace(src, pos + 1),
            _ if self.first => {}
            _ => return expected(pos, "a comma or a closing brace"),
        }
        self.first = false;
        if src.get(pos) != Some(&b'"') {
            return expected(pos, "a member name");
        }
        let name = pos;
        let name_end = skip_string(src, name + 1, &mut self.high_bits)?;
        let colon = skip_whitespace(src, name_end);
        if src.get(colon) != Some(&b':') {
            return expected(colon, "a colon");
        }
        let value = skip_whitespace(src, colon + 1);
        let end = skip_value(src, value, &mut self.high_bits)?;
        self.pos = end;
        let text = Text::new(src.get(name + 1..name_end - 1).unwrap_or_default());
        Ok(Some((text, Place { name, value, end })))
    }

    fn finish(&mut self, close: usize) -> Result<Option<(Text<'a>, Place)>, Unreadable> {
        let rest = skip_whitespace(self.src, close + 1);
        if rest != self.src.len() {
            return expected(rest, "nothing after the object");
        }
        self.pos = close;
        Ok(None)
    }

    /// Whether a byte above 0x7f may have been seen so far: only then can the record be other than UTF-8.
    pub(crate) fn non_ascii(&self) -> bool {
        self.high_bits & json::HIGH != 0
    }

    /// Offset of the closing brace, once [`next`](Self::next) has found it.
    pub(crate) fn close(&self) -> usize {
        self.pos
    }
}

fn expected<T>(offset: usize, expected: &'static str) -> Result<T, Unreadable> {
    Err(Unreadable::NotJson(json::Error { offset, expected }))
}

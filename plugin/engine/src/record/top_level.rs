//! The members of a record, one by one, proving on the way that the record is JSON.

use super::{Place, Unreadable};
use crate::json::{self, Text, is_plain_chunk, skip_string, skip_value, skip_whitespace};
use std::ops::Range;

/// A single pass over an object's members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TopLevel<'a> {
    src: &'a [u8],
    pos: usize,
    first: bool,
    /// All bytes of names and strings so far, or-ed together.
    high_bits: u64,
}

/// Where a member begins whose value has not been looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    /// Offset of the quote that opens the name.
    pub(crate) start: usize,
    /// Offset of the value's first byte.
    pub(crate) value: usize,
}

impl<'a> TopLevel<'a> {
    /// Starts at the object that `src` holds, whitespace around it aside.
    pub(crate) fn new(src: &'a [u8]) -> Result<Self, Unreadable> {
        let start = skip_whitespace(src, 0);
        match src.get(start) {
            Some(b'{') => Ok(Self { src, pos: start + 1, first: true, high_bits: 0 }),
            // Tell a list or a number from garbage.
            _ => {
                let end = json::scan(src, start)?.end;
                let rest = skip_whitespace(src, end);
                if rest == src.len() {
                    Err(Unreadable::NotAnObject)
                } else {
                    expected(rest, "the end of the record")
                }
            }
        }
    }

    /// Starts at the member that begins a part of an object, and ends with that part, if not with an error.
    pub(crate) fn within(src: &'a [u8], part: &Range<usize>) -> Self {
        Self { src: src.get(..part.end).unwrap_or_default(), pos: part.start, first: true, high_bits: 0 }
    }

    /// Goes past the first members, if they are just those of `beginning`, which is JSON up to the end of a value. Returns
    /// whether they are.
    pub(crate) fn skip_beginning(&mut self, beginning: &[u8]) -> bool {
        let found = self.src.starts_with(beginning);
        if found {
            self.pos = beginning.len();
            self.first = false;
        }
        found
    }

    /// The next member's name and place; none at the closing brace, when nothing but whitespace follows it.
    pub(crate) fn next(&mut self) -> Result<Option<(Text<'a>, Place)>, Unreadable> {
        let Some((text, name)) = self.next_name()? else { return Ok(None) };
        Ok(Some((text, self.skip_value(name)?)))
    }

    /// The next member's name and where it stands; none as for [`next`](Self::next). Its value is to be skipped before
    /// anything else.
    pub(crate) fn next_name(&mut self) -> Result<Option<(Text<'a>, Name)>, Unreadable> {
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
        let start = pos;
        let end = skip_string(src, start + 1, &mut self.high_bits)?;
        let colon = skip_whitespace(src, end);
        if src.get(colon) != Some(&b':') {
            return expected(colon, "a colon");
        }
        let text = Text::new(src.get(start + 1..end - 1).unwrap_or_default());
        Ok(Some((text, Name { start, value: skip_whitespace(src, colon + 1) })))
    }

    /// Skips the value of the member whose name has just been read.
    pub(crate) fn skip_value(&mut self, name: Name) -> Result<Place, Unreadable> {
        let end = self.value_end(name.value)?;
        Ok(self.skip_to(name, end))
    }

    /// Where the value ends that starts at `start`. Does not go there.
    pub(crate) fn value_end(&mut self, start: usize) -> Result<usize, Unreadable> {
        Ok(skip_value(self.src, start, &mut self.high_bits)?)
    }

    /// The same for a string.
    #[inline(always)]
    pub(crate) fn string_end(&mut self, start: usize) -> Result<usize, Unreadable> {
        Ok(skip_string(self.src, start + 1, &mut self.high_bits)?)
    }

    /// The same for one that mostly has so many characters: they are looked at all at once.
    #[inline(always)]
    pub(crate) fn end_of_string_of<const N: usize>(&mut self, start: usize) -> Result<usize, Unreadable> {
        let behind = self.src.get(start + 1..).and_then(<[u8]>::split_first_chunk::<N>);
        match behind {
            Some((text, [b'"', ..])) if is_plain_chunk(text) => Ok(start + N + 2),
            _ => self.value_end(start),
        }
    }

    /// The same for a value of a known form: `read` gives what it says and where it ends, and proves it to be JSON. Where
    /// it is of another form, nothing has been read.
    #[inline]
    pub(crate) fn read_value<T>(
        &mut self,
        start: usize,
        read: impl FnOnce(&'a [u8], usize, &mut u64) -> Option<(T, usize)>,
    ) -> Option<(T, usize)> {
        read(self.src, start, &mut self.high_bits)
    }

    /// Where the next member begins, with the comma before it, or the object ends, whitespace aside.
    pub(crate) fn offset(&self) -> usize {
        self.pos
    }

    /// Goes on at what [`offset`](Self::offset) is to be.
    pub(crate) fn go_to(&mut self, offset: usize) {
        self.pos = offset;
    }

    /// Goes on behind the value of the member whose name has just been read, known to end at `end`.
    pub(crate) fn skip_to(&mut self, name: Name, end: usize) -> Place {
        self.pos = end;
        Place { name: name.start, value: name.value, end }
    }

    fn finish<T>(&mut self, close: usize) -> Result<Option<T>, Unreadable> {
        let rest = skip_whitespace(self.src, close + 1);
        if rest != self.src.len() {
            return expected(rest, "the end of the record");
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

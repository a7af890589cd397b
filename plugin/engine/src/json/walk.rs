//! Walking over the parts of a value that has been scanned.

use super::scan::{skip_string, skip_value, skip_whitespace};
use super::text::Text;
use std::ops::Range;

/// A JSON value as it stands in the record, without surrounding whitespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

/// What a value is, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

impl<'a> Raw<'a> {
    /// Where in the value a part of it stands that was borrowed from it: start and end. None where it was not, or where
    /// the value is longer than 64 KiB.
    pub(crate) fn place_of(self, part: &[u8]) -> Option<(u16, u16)> {
        let start = (part.as_ptr() as usize).checked_sub(self.0.as_ptr() as usize)?;
        let end = start.checked_add(part.len()).filter(|&end| end <= self.0.len())?;
        Some((u16::try_from(start).ok()?, u16::try_from(end).ok()?))
    }

    /// What kind of value this is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.0.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The string, if the value is one.
    #[must_use]
    pub fn text(self) -> Option<Text<'a>> {
        Some(Text::new(self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?))
    }

    /// The number, if the value is one without fraction or exponent that fits.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        // What is short fits, and nearly all that is asked for is the three digits of a response's code.
        if self.0.len() <= 9 && self.0.first()?.is_ascii_digit() {
            return self.0.iter().try_fold(0, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
            });
        }
        std::str::from_utf8(self.0).ok()?.parse().ok()
    }

    /// The boolean, if the value is one.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The value of an object's first member of that name.
    #[must_use]
    pub fn get(self, name: &[u8]) -> Option<Raw<'a>> {
        members(self).find(|(key, _)| key.is(name)).map(|(_, value)| value)
    }
}

/// The members of an object in their order, duplicates included; of anything else, none.
pub fn members(value: Raw<'_>) -> impl Iterator<Item = (Text<'_>, Raw<'_>)> {
    let src = if value.kind() == Kind::Object { value.0 } else { &[] };
    let mut pos = 1;
    std::iter::from_fn(move || {
        pos = skip_separator(src, pos);
        if src.get(pos) != Some(&b'"') {
            return None;
        }
        let key_end = skip_string(src, pos + 1, &mut 0).ok()?;
        let key = Text::new(src.get(pos + 1..key_end - 1)?);
        let colon = skip_whitespace(src, key_end);
        let start = skip_whitespace(src, colon + 1);
        pos = skip_value(src, start, &mut 0).ok()?;
        Some((key, Raw(src.get(start..pos)?)))
    })
}

/// The elements of an array in their order; of anything else, none.
pub fn elements(value: Raw<'_>) -> impl Iterator<Item = Raw<'_>> {
    element_ranges(value).filter_map(move |range| value.0.get(range).map(Raw))
}

/// Where in an array its elements stand, in their order; of anything else, nowhere.
pub(crate) fn element_ranges(value: Raw<'_>) -> impl Iterator<Item = Range<usize>> {
    let src = if value.kind() == Kind::Array { value.0 } else { &[] };
    let mut pos = 1;
    std::iter::from_fn(move || {
        let start = skip_separator(src, pos);
        if let Some(b']') | None = src.get(start) {
            return None;
        }
        pos = skip_value(src, start, &mut 0).ok()?;
        Some(start..pos)
    })
}

fn skip_separator(src: &[u8], pos: usize) -> usize {
    let pos = skip_whitespace(src, pos);
    if src.get(pos) == Some(&b',') { skip_whitespace(src, pos + 1) } else { pos }
}

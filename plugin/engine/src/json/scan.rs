//! The scanner: finds where a JSON value ends and whether it is one, eight bytes at a time.
//!
//! This is where most of the filter's time goes in a host that interprets the module, so strings are
//! skipped a word at a time, nothing is decoded and nothing is allocated but one bit for each open
//! array or object. That bit stack replaces recursion: nesting is bounded by the input alone.

use std::fmt;

/// Why some bytes are not JSON, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// Offset of the offending byte from the start of the scanned bytes.
    pub offset: usize,
    /// What the grammar wanted there.
    pub expected: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON: expected {} at byte {}", self.expected, self.offset)
    }
}

impl std::error::Error for Error {}

/// What a scan found out beside the end of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// Offset just past the value.
    pub end: usize,
    /// Whether bytes above 0x7f were seen in it, which may or may not be UTF-8.
    pub non_ascii: bool,
}

/// Scans the one value that starts at `start`, leading whitespace aside.
///
/// # Errors
/// Whatever RFC 8259 does not allow, except invalid UTF-8, which [`Scanned::non_ascii`] hints at.
pub fn scan(src: &[u8], start: usize) -> Result<Scanned, Error> {
    let mut high_bits = 0;
    let end = skip_value(src, skip_whitespace(src, start), &mut high_bits)?;
    Ok(Scanned { end, non_ascii: high_bits & HIGH != 0 })
}

const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of each byte of a word.
pub(crate) const HIGH: u64 = 0x8080_8080_8080_8080;
const QUOTES: u64 = ONES * b'"' as u64;
const BACKSLASHES: u64 = ONES * b'\\' as u64;
const SPACES: u64 = ONES * b' ' as u64;

fn fail<T>(offset: usize, expected: &'static str) -> Result<T, Error> {
    Err(Error { offset, expected })
}

/// The eight bytes at `pos`, the first in the lowest bits.
#[inline(always)]
fn word(src: &[u8], pos: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*src.get(pos..)?.first_chunk()?))
}

/// The first offset at or after `pos` that holds no JSON whitespace.
#[inline(always)]
pub(crate) fn skip_whitespace(src: &[u8], mut pos: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = src.get(pos) {
        pos += 1;
    }
    pos
}

/// Skips a string whose opening quote is at `pos - 1`; returns the offset just past the closing one.
///
/// `high_bits` gathers the bytes seen, so that its top bits tell whether any was not ASCII.
#[inline]
pub(crate) fn skip_string(src: &[u8], mut pos: usize, high_bits: &mut u64) -> Result<usize, Error> {
    loop {
        while let Some(w) = word(src, pos) {
            // A byte's top bit is set in `stop` where the byte is a quote, a backslash or a control
            // character. Borrows can set it wrongly above a true hit, never below: the lowest is exact.
            let stop = ((w ^ QUOTES).wrapping_sub(ONES)
                | (w ^ BACKSLASHES).wrapping_sub(ONES)
                | w.wrapping_sub(SPACES))
                & !w
                & HIGH;
            *high_bits |= w;
            if stop != 0 {
                pos += (stop.trailing_zeros() >> 3) as usize;
                break;
            }
            pos += 8;
        }
        match src.get(pos) {
            Some(b'"') => return Ok(pos + 1),
            Some(b'\\') => pos = skip_escape(src, pos)?,
            Some(0..=0x1f) => return fail(pos, "no control character in a string"),
            // Only the last seven bytes of the input get here.
            Some(&byte) => {
                *high_bits |= u64::from(byte);
                pos += 1;
            }
            None => return fail(pos, "the end of a string"),
        }
    }
}

fn skip_escape(src: &[u8], pos: usize) -> Result<usize, Error> {
    match src.get(pos + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(pos + 2),
        Some(b'u') => match src.get(pos + 2..pos + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(pos + 6),
            _ => fail(pos, "four hexadecimal digits after \\u"),
        },
        _ => fail(pos, "an escape sequence"),
    }
}

#[inline]
fn skip_digits(src: &[u8], mut pos: usize) -> usize {
    while let Some(b'0'..=b'9') = src.get(pos) {
        pos += 1;
    }
    pos
}

fn skip_number(src: &[u8], start: usize) -> Result<usize, Error> {
    let mut pos = start;
    if src.get(pos) == Some(&b'-') {
        pos += 1;
    }
    match src.get(pos) {
        Some(b'0') => pos += 1,
        Some(b'1'..=b'9') => pos = skip_digits(src, pos + 1),
        _ => return fail(start, "a value"),
    }
    if src.get(pos) == Some(&b'.') {
        let end = skip_digits(src, pos + 1);
        if end == pos + 1 {
            return fail(end, "a digit");
        }
        pos = end;
    }
    if let Some(b'e' | b'E') = src.get(pos) {
        pos += 1;
        if let Some(b'+' | b'-') = src.get(pos) {
            pos += 1;
        }
        let end = skip_digits(src, pos);
        if end == pos {
            return fail(end, "a digit");
        }
        pos = end;
    }
    Ok(pos)
}

/// One bit for each open container, the innermost lowest: set for an object, clear for an array.
///
/// The first 64 levels cost no allocation; deeper ones cost one bit of memory for each byte of input.
#[derive(Default)]
struct Nesting {
    top: u64,
    below: Vec<u64>,
    depth: usize,
}

impl Nesting {
    #[inline(always)]
    fn open(&mut self, object: bool) {
        if self.depth != 0 && self.depth % 64 == 0 {
            self.below.push(self.top);
        }
        self.top = self.top << 1 | u64::from(object);
        self.depth += 1;
    }

    #[inline(always)]
    fn close(&mut self) {
        self.depth -= 1;
        self.top >>= 1;
        if self.depth != 0 && self.depth % 64 == 0 {
            self.top = self.below.pop().unwrap_or_default();
        }
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.top & 1 != 0
    }
}

/// From the opening quote of a key to the first byte of its value.
#[inline(always)]
fn skip_key(src: &[u8], pos: usize, high_bits: &mut u64) -> Result<usize, Error> {
    if src.get(pos) != Some(&b'"') {
        return fail(pos, "a member name");
    }
    let mut pos = skip_string(src, pos + 1, high_bits)?;
    // The compact form has neither space.
    if src.get(pos) != Some(&b':') {
        pos = skip_whitespace(src, pos);
        if src.get(pos) != Some(&b':') {
            return fail(pos, "a colon");
        }
    }
    Ok(skip_whitespace(src, pos + 1))
}

/// Skips the value that starts exactly at `pos`; returns the offset just past it.
///
/// `high_bits` is as for [`skip_string`].
pub(crate) fn skip_value(src: &[u8], mut pos: usize, high_bits: &mut u64) -> Result<usize, Error> {
    let mut nesting = Nesting::default();
    loop {
        // Here a value is due.
        match src.get(pos) {
            Some(b'"') => pos = skip_string(src, pos + 1, high_bits)?,
            Some(b'{') => {
                pos = skip_whitespace(src, pos + 1);
                if src.get(pos) == Some(&b'}') {
                    pos += 1;
                } else {
                    nesting.open(true);
                    pos = skip_key(src, pos, high_bits)?;
                    continue;
                }
            }
            Some(b'[') => {
                pos = skip_whitespace(src, pos + 1);
                if src.get(pos) == Some(&b']') {
                    pos += 1;
                } else {
                    nesting.open(false);
                    continue;
                }
            }
            Some(b't') if src.get(pos..pos + 4) == Some(b"true") => pos += 4,
            Some(b'f') if src.get(pos..pos + 5) == Some(b"false") => pos += 5,
            Some(b'n') if src.get(pos..pos + 4) == Some(b"null") => pos += 4,
            Some(_) => pos = skip_number(src, pos)?,
            None => return fail(pos, "a value"),
        }
        // Here a value has just ended: close what ends with it, up to the next value.
        loop {
            if nesting.depth == 0 {
                return Ok(pos);
            }
            pos = skip_whitespace(src, pos);
            match (src.get(pos), nesting.in_object()) {
                (Some(b','), true) => {
                    pos = skip_key(src, skip_whitespace(src, pos + 1), high_bits)?;
                    break;
                }
                (Some(b','), false) => {
                    pos = skip_whitespace(src, pos + 1);
                    break;
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    nesting.close();
                    pos += 1;
                }
                (_, true) => return fail(pos, "a comma or a closing brace"),
                (_, false) => return fail(pos, "a comma or a closing bracket"),
            }
        }
    }
}

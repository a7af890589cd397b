//! The scanner: finds where a JSON value ends and whether it is one, eight bytes at a time.
//!
//! This is where most of the filter's time goes in a host that interprets the module, so strings are
//! skipped a word at a time, nothing is decoded and nothing is allocated but one bit for each open
//! array or object. That bit stack replaces recursion: nesting is bounded by the input alone.

use super::words::{HIGH, stops, stops_beyond_ascii, word};
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

fn fail<T>(offset: usize, expected: &'static str) -> Result<T, Error> {
    Err(Error { offset, expected })
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
/// `high_bits` gathers bytes, so that its top bits tell whether any was not ASCII.
#[inline(always)]
pub(crate) fn skip_string(src: &[u8], mut pos: usize, high_bits: &mut u64) -> Result<usize, Error> {
    loop {
        while let Some(w) = word(src, pos) {
            let stop = stops(w);
            if stop != 0 {
                pos += (stop.trailing_zeros() >> 3) as usize;
                break;
            }
            pos += 8;
        }
        match src.get(pos) {
            Some(b'"') => return Ok(pos + 1),
            Some(b'\\') => match src.get(pos + 1) {
                Some(b'"' | b'\\' | b'n') => pos += 2,
                _ => pos = skip_escape(src, pos)?,
            },
            Some(0..=0x1f) => return fail(pos, "no control character in a string"),
            Some(0x80..) => {
                *high_bits |= HIGH;
                pos = skip_beyond_ascii(src, pos);
            }
            // Only the last seven bytes of the input get here.
            Some(_) => pos += 1,
            None => return fail(pos, "the end of a string"),
        }
    }
}

/// Goes on in a string that has more than ASCII, to where something else is due.
#[inline(never)]
fn skip_beyond_ascii(src: &[u8], mut pos: usize) -> usize {
    while let Some(w) = word(src, pos) {
        let stop = stops_beyond_ascii(w);
        if stop != 0 {
            return pos + (stop.trailing_zeros() >> 3) as usize;
        }
        pos += 8;
    }
    while let Some(0x80..) = src.get(pos) {
        pos += 1;
    }
    pos
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
        if self.depth != 0 && self.depth.is_multiple_of(64) {
            self.below.push(self.top);
        }
        self.top = self.top << 1 | u64::from(object);
        self.depth += 1;
    }

    #[inline(always)]
    fn close(&mut self) {
        self.depth -= 1;
        self.top >>= 1;
        if self.depth != 0 && self.depth.is_multiple_of(64) {
            self.top = self.below.pop().unwrap_or_default();
        }
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.top & 1 != 0
    }
}

/// From a key, whitespace aside, to behind its colon.
#[inline(always)]
fn skip_key(src: &[u8], mut pos: usize, high_bits: &mut u64) -> Result<usize, Error> {
    // The compact form has no spaces.
    if src.get(pos) != Some(&b'"') {
        pos = skip_whitespace(src, pos);
        if src.get(pos) != Some(&b'"') {
            return fail(pos, "a member name");
        }
    }
    pos = skip_string(src, pos + 1, high_bits)?;
    skip_colon(src, pos)
}

#[inline(always)]
fn skip_colon(src: &[u8], mut pos: usize) -> Result<usize, Error> {
    if src.get(pos) != Some(&b':') {
        pos = skip_whitespace(src, pos);
        if src.get(pos) != Some(&b':') {
            return fail(pos, "a colon");
        }
    }
    Ok(pos + 1)
}

/// Skips the value that starts exactly at `pos`; returns the offset just past it.
///
/// `high_bits` is as for [`skip_string`].
pub(crate) fn skip_value(src: &[u8], mut pos: usize, high_bits: &mut u64) -> Result<usize, Error> {
    let mut nesting = Nesting::default();
    'value: loop {
        // Here a value is due, whitespace aside.
        match src.get(pos) {
            Some(b'"') => {
                pos = skip_string(src, pos + 1, high_bits)?;
                // A member that is a string has mostly another behind it.
                while nesting.in_object() && src.get(pos..pos + 2) == Some(b",\"") {
                    pos = skip_string(src, pos + 2, high_bits)?;
                    if src.get(pos..pos + 2) != Some(b":\"") {
                        pos = skip_colon(src, pos)?;
                        continue 'value;
                    }
                    pos = skip_string(src, pos + 2, high_bits)?;
                }
            }
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
            Some(b' ' | b'\n' | b'\r' | b'\t') => {
                pos = skip_whitespace(src, pos + 1);
                continue;
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
            match (src.get(pos), nesting.in_object()) {
                (Some(b','), true) => {
                    pos = skip_key(src, pos + 1, high_bits)?;
                    break;
                }
                (Some(b','), false) => {
                    pos += 1;
                    break;
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    nesting.close();
                    pos += 1;
                }
                (Some(b' ' | b'\n' | b'\r' | b'\t'), _) => pos = skip_whitespace(src, pos + 1),
                (_, true) => return fail(pos, "a comma or a closing brace"),
                (_, false) => return fail(pos, "a comma or a closing bracket"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    /// Holds the scanner against serde_json: is this one value and nothing else?
    fn check(src: &[u8]) {
        let ours = scan(src, 0).is_ok_and(|scanned| skip_whitespace(src, scanned.end) == src.len());
        let theirs = serde_json::from_slice::<IgnoredAny>(src).is_ok();
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(src));
    }

    #[test]
    fn accepts_what_the_grammar_does_and_nothing_else() {
        for src in [
            "0",
            "-0",
            "01",
            "-",
            "1.",
            "1.5",
            ".5",
            "1e5",
            "1E+5",
            "1e",
            "1e-",
            "0.0e0",
            "-1.25e-3",
            "+1",
            "0x1",
            "NaN",
            "true",
            "tru",
            "false",
            "fals",
            "null",
            "nul",
            "nullx",
            "[]",
            "[ ]",
            "[1]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1",
            "]",
            "{}",
            "{ }",
            "{\"a\":1}",
            "{\"a\":1,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\" : 1 , \"b\" : [ ] }",
            "\"\"",
            "\"a",
            "\"\\",
            "\"\\\"",
            "\"\\\"\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12fG\"",
            "\"\\uD800\"",
            "\"\n\"",
            "\"\t\"",
            "\"\u{1f}\"",
            "\"\u{7f}\"",
            "\"123456789 abcdefgh ijk\\\"l\"",
            "",
            " ",
            "\n",
            "\u{feff}1",
        ] {
            check(src.as_bytes());
            check(format!("  {src}").as_bytes());
            check(format!("[{src}]").as_bytes());
            check(format!("{{\"key\":{src}}}").as_bytes());
        }
    }

    #[test]
    fn nesting_has_no_limit_but_the_input() {
        for depth in [1, 63, 64, 65, 127, 128, 129, 1000, 100_000] {
            let array = [vec![b'['; depth], vec![b']'; depth]].concat();
            assert_eq!(scan(&array, 0).unwrap().end, array.len(), "{depth}");
            let object =
                ["{\"a\":".repeat(depth), "[".to_owned(), "]".to_owned(), "}".repeat(depth)].concat();
            assert_eq!(scan(object.as_bytes(), 0).unwrap().end, object.len(), "{depth}");
            assert!(scan(&array[..2 * depth - 1], 0).is_err(), "{depth}");
            let mut crossed = array.clone();
            crossed[depth] = b'}';
            assert!(scan(&crossed, 0).is_err(), "{depth}");
        }
    }

    #[test]
    fn bytes_beyond_ascii_are_noticed() {
        for (src, non_ascii) in
            [(&b"\"plain\""[..], false), ("\"gr\u{fc}n\"".as_bytes(), true), (b"[\"a\",\"\xff\"]", true)]
        {
            assert_eq!(scan(src, 0).unwrap().non_ascii, non_ascii);
        }
    }

    /// JSON and what is nearly JSON: fragments that a scanner has to tell apart.
    fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
        let fragments: &[&[u8]] = &[
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"\"",
            b"\\",
            b"\"key\":",
            b"\"a longer string value\"",
            b"12.5e3",
            b"-",
            b"true",
            b"null",
            b"\\u00e9",
            b"\\n",
            b" ",
            b"\n",
            b"\xc3\xa9",
            b"\x01",
            b"x",
        ];
        let fragment = prop::sample::select(fragments);
        prop::collection::vec(fragment, 0..24).prop_map(|fragments| fragments.concat())
    }

    /// JSON as serde_json writes it.
    fn json() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        let value = leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        });
        (value, any::<bool>()).prop_map(|(value, pretty)| {
            let written = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
            written.unwrap()
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_what_is_nearly_json(src in nearly_json()) {
            check(&src);
        }

        #[test]
        fn agrees_with_serde_json_on_json(src in json()) {
            check(&src);
        }

        #[test]
        fn agrees_with_serde_json_on_damaged_json(src in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut src = src;
            let at = at.index(src.len());
            src[at] = byte;
            check(&src);
        }

        #[test]
        fn never_panics(src in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = scan(&src, 0);
        }
    }
}

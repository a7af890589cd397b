//! The scanner: finds where a JSON value ends and whether it is one, eight bytes at a time.
//!
//! This is where most of the filter's time goes in a host that interprets the module, so strings are
//! skipped a word at a time, nothing is decoded and nothing is allocated but one bit for each open
//! array or object. That bit stack replaces recursion: nesting is bounded by the input alone.

use super::words::{HIGH, no_digits, stops, stops_beyond_ascii, word};
use std::fmt;
use std::num::NonZero;

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
/// `high_bits` gets its top bits set where a byte was not ASCII.
#[inline(always)]
pub(crate) fn skip_string(src: &[u8], pos: usize, high_bits: &mut u64) -> Result<usize, Error> {
    let mut rest = src.get(pos..).unwrap_or_default();
    while let Some((word, behind)) = rest.split_first_chunk() {
        if let Some(stop) = NonZero::new(stops(u64::from_le_bytes(*word))) {
            let at = first_of(stop);
            let end = src.len() - rest.len() + at;
            return if word.get(at) == Some(&b'"') {
                Ok(end + 1)
            } else {
                skip_odd_string(src, end, high_bits)
            };
        }
        rest = behind;
    }
    skip_odd_string(src, src.len() - rest.len(), high_bits)
}

/// Which byte of a word the lowest top bit is of, at least one of which is set.
#[inline(always)]
fn first_of(top_bits: NonZero<u64>) -> usize {
    (top_bits.trailing_zeros() >> 3) as usize
}

/// Goes on in a string that has more than plain characters, or that stands at the end of what there is, or where a call is
/// not too much.
///
/// Out of line, as other things here that are rare: where the module is interpreted, a call takes the longer the more
/// constants and locals there are in the function, whether they are used or not.
#[inline(never)]
fn skip_odd_string(src: &[u8], pos: usize, high_bits: &mut u64) -> Result<usize, Error> {
    let from = |pos: usize| src.get(pos..).unwrap_or_default();
    let mut rest = from(pos);
    loop {
        while let Some((word, behind)) = rest.split_first_chunk() {
            if let Some(stop) = NonZero::new(stops(u64::from_le_bytes(*word))) {
                rest = rest.get(first_of(stop)..).unwrap_or_default();
                break;
            }
            rest = behind;
        }
        let pos = src.len() - rest.len();
        match rest {
            [b'"', ..] => return Ok(pos + 1),
            [b'\\', b'"' | b'\\' | b'n', behind @ ..] => rest = behind,
            [b'\\', ..] => rest = from(skip_escape(src, pos)?),
            [0..=0x1f, ..] => return fail(pos, "no control character in a string"),
            [0x80..=0xff, ..] => {
                *high_bits |= HIGH;
                rest = from(skip_beyond_ascii(src, pos));
            }
            // Only the last seven bytes of the input get here.
            [_, behind @ ..] => rest = behind,
            [] => return fail(pos, "the end of a string"),
        }
    }
}

/// Goes on in a string that has more than ASCII, to where something else is due.
#[inline(never)]
fn skip_beyond_ascii(src: &[u8], mut pos: usize) -> usize {
    while let Some(w) = word(src, pos) {
        if let Some(stop) = NonZero::new(stops_beyond_ascii(w)) {
            return pos + first_of(stop);
        }
        pos += 8;
    }
    while let Some(0x80..) = src.get(pos) {
        pos += 1;
    }
    pos
}

#[inline(never)]
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

#[inline(never)]
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

/// What stands behind a short integer, `true`, `false` or `null`, if it is plain from the next eight bytes that it is one.
#[inline(always)]
fn behind_literal(rest: &[u8]) -> Option<&[u8]> {
    let word = word(rest, 0)?;
    let end = first_of(NonZero::new(no_digits(word))?);
    let length = match word as u8 {
        // What goes on with a fraction or an exponent is longer, as is what begins with a zero and another digit.
        b'0'..=b'9'
            if matches!(rest.get(end), Some(b',' | b'}' | b']')) && (end == 1 || word as u8 != b'0') =>
        {
            end
        }
        b't' if word as u32 == u32::from_le_bytes(*b"true") => 4,
        b'n' if word as u32 == u32::from_le_bytes(*b"null") => 4,
        b'f' if (word >> 8) as u32 == u32::from_le_bytes(*b"alse") => 5,
        _ => return None,
    };
    rest.get(length..)
}

/// Skips what is neither a string nor a container.
#[inline(never)]
fn skip_literal(src: &[u8], pos: usize) -> Result<usize, Error> {
    match src.get(pos) {
        Some(b't') if src.get(pos..pos + 4) == Some(b"true") => Ok(pos + 4),
        Some(b'f') if src.get(pos..pos + 5) == Some(b"false") => Ok(pos + 5),
        Some(b'n') if src.get(pos..pos + 4) == Some(b"null") => Ok(pos + 4),
        Some(_) => skip_number(src, pos),
        None => fail(pos, "a value"),
    }
}

/// Skips the value that starts at `start`, whitespace aside; returns the offset just past it.
///
/// `high_bits` is as for [`skip_string`].
#[inline(always)]
pub(crate) fn skip_value(src: &[u8], start: usize, high_bits: &mut u64) -> Result<usize, Error> {
    match src.get(start) {
        // To call the other takes longer than to skip most strings.
        Some(b'"') => skip_odd_string(src, start + 1, high_bits),
        _ => skip_other_value(src, start, high_bits),
    }
}

/// The same for what is no string, or has whitespace before it.
#[inline(never)]
fn skip_other_value(src: &[u8], start: usize, high_bits: &mut u64) -> Result<usize, Error> {
    let start = skip_whitespace(src, start);
    match src.get(start) {
        Some(b'{' | b'[') => skip_container(src, start, high_bits),
        Some(b'"') => skip_odd_string(src, start + 1, high_bits),
        _ => skip_literal(src, start),
    }
}

/// Four bytes as one number, the first in its lowest bits.
const fn four(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes)
}

/// Two bytes as one number, as [`four`].
const fn two(bytes: &[u8; 2]) -> u16 {
    u16::from_le_bytes(*bytes)
}

/// The end of a string, and what mostly follows it: of a name, the beginning of a string that is the value; of a value, the
/// beginning of the next string. Three bytes of four.
const BEFORE_VALUE: u32 = four(b"\":\"\0");
const BEFORE_NEXT: u32 = four(b"\",\"\0");

/// What of it changes from one string to the next where names and values take turns.
const TURN: u32 = BEFORE_VALUE ^ BEFORE_NEXT;

/// Skips the object or array that starts at `start`.
///
/// What is asked first is what is most often so in compact JSON that consists of objects and strings: where the module is
/// interpreted, each question takes its time.
#[inline(always)]
fn skip_container(src: &[u8], start: usize, high_bits: &mut u64) -> Result<usize, Error> {
    let from = |pos: usize| src.get(pos..).unwrap_or_default();
    let offset = |rest: &[u8]| src.len() - rest.len();
    let mut rest = from(start);
    // One bit for each container that is open, the innermost lowest, set for an object; above them one that marks their end.
    // Those that there is no room for are in `outer`: each costs a bit of memory, so that any input may nest as it likes.
    let mut open = 1;
    let mut outer = Vec::new();
    // What the next string mostly ends with, and what of it changes for the one behind that.
    let mut expected = BEFORE_NEXT;
    let mut turn = 0;
    'value: loop {
        'ended: {
            // Here a value is due, or there is a name.
            match rest.split_first() {
                Some((b'"', behind)) => rest = behind,
                Some((b'{', mut behind)) => {
                    if !matches!(behind.first(), Some(b'"' | b'}')) {
                        behind = from(skip_whitespace(src, offset(behind)));
                    }
                    match behind.split_first() {
                        Some((b'"', behind)) => rest = behind,
                        Some((b'}', behind)) => {
                            rest = behind;
                            break 'ended;
                        }
                        _ => return fail(offset(behind), "a member name"),
                    }
                    open = with_room(open, &mut outer) << 1 | 1;
                    expected = BEFORE_VALUE;
                    turn = TURN;
                }
                Some((b'[', behind)) => {
                    rest = from(skip_whitespace(src, offset(behind)));
                    if let Some((b']', behind)) = rest.split_first() {
                        rest = behind;
                        break 'ended;
                    }
                    open = with_room(open, &mut outer) << 1;
                    expected = BEFORE_NEXT;
                    turn = 0;
                    continue 'value;
                }
                _ => {
                    if let Some(behind) = behind_literal(rest) {
                        rest = behind;
                        break 'ended;
                    }
                    let start = skip_whitespace(src, offset(rest));
                    if start != offset(rest) {
                        rest = from(start);
                        continue 'value;
                    }
                    rest = from(skip_literal(src, start)?);
                    break 'ended;
                }
            }
            // Here a string has begun.
            'string: loop {
                'odd: {
                    let Some(first) = rest.first_chunk::<12>() else { break 'odd };
                    let Some(stop) = word(first, 0).and_then(|word| NonZero::new(stops(word))) else {
                        rest = rest.get(8..).unwrap_or_default();
                        continue 'string;
                    };
                    let length = first_of(stop);
                    let end = first.get(length..).and_then(<[u8]>::first_chunk).map_or(0, four);
                    if end & 0xff_ffff == expected {
                        rest = rest.get(length + 3..).unwrap_or_default();
                        expected ^= turn;
                        continue 'string;
                    }
                    if expected == BEFORE_VALUE {
                        if end == four(b"\":{\"") {
                            rest = rest.get(length + 4..).unwrap_or_default();
                            open = with_room(open, &mut outer) << 1 | 1;
                            continue 'string;
                        }
                        if end == four(b"\":{}") {
                            rest = rest.get(length + 4..).unwrap_or_default();
                            expected = BEFORE_NEXT;
                            break 'ended;
                        }
                        if end as u16 == two(b"\":") {
                            rest = rest.get(length + 2..).unwrap_or_default();
                            expected = BEFORE_NEXT;
                            continue 'value;
                        }
                    } else if end as u8 == b'"' {
                        rest = rest.get(length + 1..).unwrap_or_default();
                        break 'ended;
                    }
                    if end as u16 == two(b"\\\"") {
                        rest = rest.get(length + 2..).unwrap_or_default();
                        continue 'string;
                    }
                    rest = rest.get(length..).unwrap_or_default();
                }
                rest = from(skip_odd_string(src, offset(rest), high_bits)?);
                if expected == BEFORE_VALUE {
                    rest = behind_colon(src, rest)?;
                    expected = BEFORE_NEXT;
                    continue 'value;
                }
                break 'ended;
            }
        }
        // Here a value has just ended: close what ends with it, up to the next value.
        while open != 1 {
            turn = if open & 1 != 0 { TURN } else { 0 };
            if turn != 0
                && let Some(next) = rest.first_chunk()
                && two(next) == two(b",\"")
            {
                rest = rest.get(1..).unwrap_or_default();
                expected = BEFORE_VALUE;
                continue 'value;
            }
            match (rest.split_first(), turn != 0) {
                (Some((b'}', behind)), true) | (Some((b']', behind)), false) => {
                    rest = behind;
                    open >>= 1;
                    if open == 1
                        && let Some(more) = outer.pop()
                    {
                        open = more;
                    }
                }
                (Some((b',', behind)), false) => {
                    rest = behind;
                    continue 'value;
                }
                (Some((b',', behind)), true) => {
                    rest = from(skip_whitespace(src, offset(behind)));
                    if rest.first() != Some(&b'"') {
                        return fail(offset(rest), "a member name");
                    }
                    expected = BEFORE_VALUE;
                    continue 'value;
                }
                (Some((b' ' | b'\n' | b'\r' | b'\t', behind)), _) => {
                    rest = from(skip_whitespace(src, offset(behind)));
                }
                (_, true) => return fail(offset(rest), "a comma or a closing brace"),
                (_, false) => return fail(offset(rest), "a comma or a closing bracket"),
            }
        }
        return Ok(offset(rest));
    }
}

/// The bits of what is open, if need be without those that have to go elsewhere for another container.
#[inline(always)]
fn with_room(open: u64, outer: &mut Vec<u64>) -> u64 {
    if open >> 63 == 0 {
        return open;
    }
    outer.push(open);
    1
}

/// What stands behind a colon and whitespace before it.
#[inline(never)]
fn behind_colon<'a>(src: &[u8], rest: &'a [u8]) -> Result<&'a [u8], Error> {
    let at = skip_whitespace(rest, 0);
    match rest.get(at..).and_then(<[u8]>::split_first) {
        Some((b':', behind)) => Ok(behind),
        _ => fail(src.len() - rest.len() + at, "a colon"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    /// Holds the scanner against serde_json: is this one value and nothing else?
    fn check(src: &[u8]) {
        let is_one =
            |src: &[u8]| scan(src, 0).is_ok_and(|scanned| skip_whitespace(src, scanned.end) == src.len());
        let theirs = serde_json::from_slice::<IgnoredAny>(src).is_ok();
        assert_eq!(is_one(src), theirs, "{}", String::from_utf8_lossy(src));
        // What stands at the end is read otherwise than what has more behind it.
        assert_eq!(is_one(&[src, &[b' '; 16]].concat()), theirs, "{}", String::from_utf8_lossy(src));
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
            "[{\"a\":{}},\"b\",[{\"c\":[]}],\"d\",{\"e\":{\"f\":{}},\"g\":\"h\"}]",
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
            b"\\\"",
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
            "[a-c\"{}:,\\\\]{0,12}".prop_map(Into::into),
            Just(serde_json::json!({})),
            Just(serde_json::json!({"a": {}})),
            Just(serde_json::json!([])),
        ];
        let value = leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(prop_oneof![any::<String>(), "[a-c]{0,12}"], inner, 0..8)
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

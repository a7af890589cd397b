//! Writing the few JSON values that the engine adds to a record.

use super::words::is_plain;
use crate::buffer::{Room, Short};

impl Room<'_> {
    /// Appends bytes as they stand inside a JSON string, as [`push_escaped`] does.
    #[inline(always)]
    pub(crate) fn push_escaped(&mut self, bytes: &[u8]) -> Result<(), Short> {
        self.hand_on(|room| escaped_into(room, bytes))
    }

    /// Appends what seldom is there.
    #[inline(always)]
    pub(crate) fn push_owned(&mut self, piece: Vec<u8>) -> Result<(), Short> {
        self.hand_on(|room| owned_into(room, piece))
    }

    /// Appends an integer in decimal.
    #[inline(always)]
    pub(crate) fn push_number(&mut self, number: i64) -> Result<(), Short> {
        self.push(decimal(number, &mut [0; DIGITS]))
    }
}

#[inline(never)]
fn escaped_into<'b>(mut room: Room<'b>, bytes: &[u8]) -> Result<Room<'b>, Short> {
    if !is_plain(bytes, b' ') {
        let mut escaped = Vec::new();
        push_with_escapes(&mut escaped, bytes);
        return owned_into(room, escaped);
    }
    room.push(bytes)?;
    Ok(room)
}

#[cold]
#[inline(never)]
fn owned_into(mut room: Room<'_>, piece: Vec<u8>) -> Result<Room<'_>, Short> {
    room.push(&piece)?;
    Ok(room)
}

/// Appends `bytes` as a JSON string, quotes included; what is no UTF-8 becomes U+FFFD.
pub fn push_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    push_escaped(out, bytes);
    out.push(b'"');
}

/// Appends `bytes` as they stand inside a JSON string; what is no UTF-8 becomes U+FFFD.
pub fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nearly all strings are plain ASCII, and to see that is cheaper than to tell UTF-8.
    if is_plain(bytes, b' ') { out.extend_from_slice(bytes) } else { push_with_escapes(out, bytes) }
}

// Out of line: its constants would be copied at each call of what calls it, where the module is interpreted.
#[cold]
#[inline(never)]
fn push_with_escapes(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        push_escaped_utf8(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn push_escaped_utf8(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(special) = bytes.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\') {
        let (plain, rest) = bytes.split_at(special);
        out.extend_from_slice(plain);
        let Some((&byte, rest)) = rest.split_first() else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(control >> 4), digit(control & 15)]);
            }
        }
        bytes = rest;
    }
    out.extend_from_slice(bytes);
}

/// Appends a finite number in decimal, to 6 places after the point or 15 digits. (The standard library's way of writing
/// floats would be a tenth of the module.)
pub(crate) fn push_decimal(out: &mut Vec<u8>, number: f64) {
    const PLACES: usize = 6;
    let mut rest = number.abs();
    let mut exponent = 0;
    while rest >= 1e15 {
        rest /= 10.0;
        exponent += 1;
    }
    let mut whole = rest.trunc();
    let mut fraction = ((rest - whole) * 1e6).round();
    if fraction >= 1e6 {
        (whole, fraction) = (whole + 1.0, 0.0);
    }
    if number < 0.0 && whole + fraction > 0.0 {
        out.push(b'-');
    }
    push_number(out, whole as i64);
    if exponent > 0 {
        out.push(b'e');
        return push_number(out, exponent);
    }
    let mut digits = fraction as u32;
    if digits == 0 {
        return;
    }
    let point = out.len();
    out.resize(point + 1 + PLACES, b'.');
    for place in out.iter_mut().skip(point + 1).rev() {
        *place = b'0' + (digits % 10) as u8;
        digits /= 10;
    }
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Appends an integer in decimal.
pub fn push_number(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(decimal(number, &mut [0; DIGITS]));
}

/// How many characters an integer has at most.
const DIGITS: usize = 20;

/// An integer in decimal, in the last of these places.
fn decimal(number: i64, digits: &mut [u8; DIGITS]) -> &[u8] {
    let mut at = DIGITS;
    let mut put = |byte: u8| {
        at -= 1;
        if let Some(place) = digits.get_mut(at) {
            *place = byte;
        }
    };
    let mut rest = number.unsigned_abs();
    loop {
        put(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        put(b'-');
    }
    digits.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_json_whatever_the_bytes() {
        for (bytes, written) in [
            (&b"plain"[..], r#""plain""#),
            (b"a\"b\\c\nd\te\x01\x1f", r#""a\"b\\c\nd\te\u0001\u001f""#),
            ("ü".as_bytes(), "\"ü\""),
            (b"a\xffb\xc3", "\"a\u{fffd}b\u{fffd}\""),
        ] {
            let mut out = Vec::new();
            push_string(&mut out, bytes);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, -1, 200, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}

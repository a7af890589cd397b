//! A JSON string as it stands in the record, decoded only when somebody needs what it says.

use super::words::{may_have_backslash, position};
use std::borrow::Cow;

/// What stands between the quotes of a JSON string, escapes as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Takes the bytes between the quotes of a string that has been scanned.
    #[must_use]
    pub fn new(between_quotes: &'a [u8]) -> Self {
        Self(between_quotes)
    }

    /// The bytes as written.
    #[must_use]
    pub fn raw(self) -> &'a [u8] {
        self.0
    }

    /// Whether the string says nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// What the string says, borrowed unless it has escapes. A lone surrogate becomes U+FFFD.
    ///
    /// kube-apiserver writes `&`, `<` and `>` as escapes, so whatever is compared is compared decoded.
    #[must_use]
    pub fn decode(self) -> Cow<'a, [u8]> {
        if may_have_backslash(self.0) { self.decode_escapes() } else { Cow::Borrowed(self.0) }
    }

    /// Out of line: where the module is interpreted, a call takes the longer the more constants and locals there are in the
    /// function, whether they are used or not.
    #[cold]
    #[inline(never)]
    fn decode_escapes(self) -> Cow<'a, [u8]> {
        match position(self.0, b'\\') {
            None => Cow::Borrowed(self.0),
            Some(first) => Cow::Owned(unescape(self.0, first)),
        }
    }

    /// Whether the string says exactly `what`.
    #[must_use]
    pub fn is(self, what: &[u8]) -> bool {
        // Escapes are longer than what they say.
        self.0 == what
            || self.0.len() > what.len() && may_have_backslash(self.0) && *self.decode_escapes() == *what
    }

    /// What the string says, as a `str`; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn to_str(self) -> Cow<'a, str> {
        match self.decode() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
            ),
        }
    }
}

fn unescape(raw: &[u8], first: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let (plain, mut rest) = raw.split_at(first);
    out.extend_from_slice(plain);
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'\\' {
            let run = rest.iter().position(|&b| b == b'\\').unwrap_or(rest.len());
            let (plain, tail) = rest.split_at(run);
            out.extend_from_slice(plain);
            rest = tail;
            continue;
        }
        let Some((&kind, tail)) = tail.split_first() else { break };
        rest = tail;
        match kind {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'u' => {
                let (character, tail) = unescape_unicode(rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail;
            }
            other => out.push(other),
        }
    }
    out
}

/// Reads the digits after `\u`, and a second escape where the two are a surrogate pair.
fn unescape_unicode(after: &[u8]) -> (char, &[u8]) {
    let Some((high, rest)) = hex4(after) else { return (char::REPLACEMENT_CHARACTER, &[]) };
    if let 0xd800..=0xdbff = high
        && let Some((low @ 0xdc00..=0xdfff, rest)) = rest.strip_prefix(b"\\u").and_then(hex4)
    {
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), rest);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), rest)
}

fn hex4(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<4>()?;
    let mut code = 0;
    for &digit in digits {
        code = code << 4 | char::from(digit).to_digit(16)?;
    }
    Some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn decodes_as_encoding_json_does() {
        for (written, says) in [
            ("plain", "plain"),
            ("", ""),
            (r"a\u0026b\u003c\u003e", "a&b<>"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\ud83d!", "\u{fffd}!"),
            (r"\ude00\u0041", "\u{fffd}A"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            ("übér", "übér"),
        ] {
            let text = Text::new(written.as_bytes());
            assert_eq!(text.to_str(), says, "{written}");
            assert!(text.is(says.as_bytes()), "{written}");
        }
    }

    #[test]
    fn malformed_escapes_end_quietly() {
        for written in [r"\", r"\u", r"\u12", r"\uzzzz", r"a\ud83d\u"] {
            let _ = Text::new(written.as_bytes()).decode();
        }
    }
}

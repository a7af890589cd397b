//! Numbers, texts and YAML nodes as bytes: the form of what `build.rs` has read for every start, so that none has to.
//!
//! Numbers of up to 32 bits are written seven bits to a byte, the lowest first, the last byte without the upper bit; texts
//! follow their length, and nodes what they are made of.

use crate::yaml::{Node, Scalar, Value};

/// What is said where something has been written that cannot be read.
pub(crate) const UNREADABLE: &str = "what the module was built with cannot be read; build it again";

/// Writes one thing after the other.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn number(&mut self, number: usize) {
        let mut rest = number;
        while rest >= 0x80 {
            self.byte((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    pub(crate) fn text(&mut self, text: &[u8]) {
        self.number(text.len());
        self.0.extend_from_slice(text);
    }

    pub(crate) fn texts(&mut self, texts: &[impl AsRef<[u8]>]) {
        self.number(texts.len());
        texts.iter().for_each(|text| self.text(text.as_ref()));
    }

    /// A node, after what it is made of.
    pub(crate) fn node(&mut self, root: &Node) {
        let mut nodes: Vec<&Node> = Vec::new();
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            nodes.push(node);
            match &node.value {
                Value::Scalar(_) => {}
                Value::Sequence(items) => open.extend(items),
                Value::Mapping(members) => members.iter().for_each(|(key, value)| open.extend([key, value])),
            }
        }
        self.number(nodes.len());
        for node in nodes.into_iter().rev() {
            self.number(node.line as usize);
            match &node.value {
                Value::Scalar(Scalar { text, plain, tag }) => {
                    let quoted = !plain && tag.is_none() || tag.as_deref() == Some("str");
                    self.byte(if quoted { b'q' } else { b'p' });
                    self.text(text.as_bytes());
                }
                Value::Sequence(items) => {
                    self.byte(b's');
                    self.number(items.len());
                }
                Value::Mapping(members) => {
                    self.byte(b'm');
                    self.number(members.len());
                }
            }
        }
    }
}

/// What is still to be read. Whatever reads gives none where there is less than it takes, or something else.
pub(crate) struct Reader<'b>(pub(crate) &'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(crate) fn number(&mut self) -> Option<usize> {
        let mut number = u32::from(self.byte()?);
        // Nearly all have one byte.
        if number >= 0x80 {
            number &= 0x7f;
            for shift in [7, 14, 21, 28] {
                let byte = u32::from(self.byte()?);
                number |= (byte & 0x7f) << shift;
                if byte < 0x80 {
                    return usize::try_from(number).ok();
                }
            }
            return None;
        }
        usize::try_from(number).ok()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn text(&mut self) -> Option<&'b [u8]> {
        let length = self.number()?;
        self.bytes(length)
    }

    pub(crate) fn str(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.text()?).ok()
    }

    /// As many of something as the number says that stands here.
    pub(crate) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.number()?;
        // Each has a byte at least, so that a wrong number makes no room for more than there is.
        let mut list = Vec::with_capacity(length.min(self.0.len()));
        for _ in 0..length {
            list.push(each(self)?);
        }
        Some(list)
    }

    pub(crate) fn node(&mut self) -> Option<Node> {
        let mut made: Vec<Node> = Vec::new();
        for _ in 0..self.number()? {
            let line = u32::try_from(self.number()?).ok()?;
            let value = match self.byte()? {
                kind @ (b'p' | b'q') => {
                    Value::Scalar(Scalar { text: self.str()?.to_owned(), plain: kind == b'p', tag: None })
                }
                b's' => Value::Sequence(made.split_off(made.len().checked_sub(self.number()?)?)),
                b'm' => {
                    let of = made.split_off(made.len().checked_sub(self.number()?.checked_mul(2)?)?);
                    let mut of = of.into_iter();
                    let mut members = Vec::with_capacity(of.len() / 2);
                    while let (Some(key), Some(value)) = (of.next(), of.next()) {
                        members.push((key, value));
                    }
                    Value::Mapping(members)
                }
                _ => return None,
            };
            made.push(Node { line, value });
        }
        made.pop().filter(|_| made.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;
    use proptest::prelude::*;

    #[test]
    fn nodes_come_back_as_they_were_written() {
        for text in [
            "a",
            "'a'",
            "[]",
            "{}",
            "- a\n- [b, {c: d}, []]\n- e: {}\n  f: 'no'\n",
            "a: 1\nb: {c: [x, y], d: ~}\n? [k]\n: v\n",
            crate::policy::builtin(crate::policy::DEFAULT).unwrap(),
        ] {
            let [node] = yaml::parse(text).unwrap().try_into().unwrap();
            let mut writer = Writer::default();
            writer.node(&node);
            let mut reader = Reader(&writer.0);
            assert_eq!(reader.node(), Some(node), "{text}");
            assert!(reader.0.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_tagged_string_comes_back_as_a_string() {
        let [node] = yaml::parse("!!str 5").unwrap().try_into().unwrap();
        let mut writer = Writer::default();
        writer.node(&node);
        assert_eq!(Reader(&writer.0).node().unwrap().str(), Some("5"));
    }

    proptest! {
        #[test]
        fn numbers_and_texts_come_back_and_what_is_cut_off_does_not(
            numbers in prop::collection::vec(any::<u32>().prop_map(|number| number >> (number % 32)), 1..20),
            text in ".{0,200}",
        ) {
            let mut writer = Writer::default();
            numbers.iter().for_each(|&number| writer.number(number as usize));
            writer.text(text.as_bytes());
            let mut reader = Reader(&writer.0);
            for &number in &numbers {
                prop_assert_eq!(reader.number(), Some(number as usize));
            }
            prop_assert_eq!(reader.str(), Some(text.as_str()));
            let mut cut = Reader(&writer.0[..writer.0.len() - 1]);
            prop_assert!(!(numbers.iter().all(|_| cut.number().is_some()) && cut.str().is_some()));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reader(&bytes).node();
            let _ = Reader(&bytes).list(Reader::str);
        }
    }
}

//! Which pairs of bytes a text has, roughly: a text without a pair that a test wants need not be searched for the rest.
//!
//! A value that has not come before is put to all tests of its field. Of a thousand strings that it might contain, this tells
//! nearly all in one operation each.

use super::modifier::Matcher;
use super::pattern::{Bytes, Form};

/// A bit for each pair of bytes that stand next to each other, as a Bloom filter has it: without regard to case, and several
/// pairs to one bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pairs(u64);

impl Pairs {
    /// Of nothing that is known.
    pub(crate) const ANY: Self = Self(u64::MAX);

    /// Of what needs none.
    pub(crate) const NONE: Self = Self(0);

    /// Those of a text.
    pub(crate) fn of(text: &[u8]) -> Self {
        let Some((first, rest)) = text.split_first() else { return Self::NONE };
        let mut before = u32::from(first | 0x20);
        Self(rest.iter().fold(0, |bits, byte| {
            let byte = u32::from(byte | 0x20);
            let pair = std::mem::replace(&mut before, byte) << 8 | byte;
            bits | 1 << (pair.wrapping_mul(0x9e37_79b9) >> 26)
        }))
    }

    /// Those that every text has which matches.
    pub(crate) fn needed_by(matcher: &Matcher) -> Self {
        let of_all = |texts: &[Bytes]| {
            texts.iter().map(|text| Self::of(text).0).reduce(|common, bits| common & bits).unwrap_or_default()
        };
        let of_form = |form: &Form| match form {
            Form::Exact(text) | Form::Prefix(text) | Form::Suffix(text) | Form::Contains(text) => {
                Self::of(text).0
            }
            Form::OneOf(texts) => of_all(texts),
            Form::Anything | Form::Steps(_) | Form::AnyOf(..) => 0,
        };
        Self(match matcher {
            Matcher::Text(pattern) => {
                pattern.forms().iter().map(of_form).reduce(|common, bits| common & bits).unwrap_or_default()
            }
            Matcher::Expression(expression) => expression.needed().map_or(0, of_all),
            _ => 0,
        })
    }

    /// Whether a text with these pairs may have those.
    #[inline]
    pub(crate) fn may_have(self, needed: Self) -> bool {
        needed.0 & !self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::pattern::{Pattern, parse_wildcards};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_matches_has_the_pairs_that_are_needed(
            pattern in prop::collection::vec("[a-cA-C/%*?]{0,4}", 1..3),
            text in "[a-cA-C/%]{0,12}",
            cased: bool,
        ) {
            let form = |text: &String| Pattern::new(parse_wildcards(text), cased).form;
            let forms: Vec<Form> = pattern.iter().map(form).filter(|form| *form != Form::Anything).collect();
            prop_assume!(!forms.is_empty());
            let pattern = Pattern { form: Form::any_of(forms), cased };
            let matches = pattern.is_match(text.as_bytes());
            let needed = Pairs::needed_by(&Matcher::Text(pattern));
            prop_assert!(!matches || Pairs::of(text.as_bytes()).may_have(needed));
            prop_assert!(Pairs::ANY.may_have(needed));
        }
    }

    #[test]
    fn most_texts_do_not_have_what_is_needed() {
        let path = Pairs::of(b"/api/v1/namespaces/shop/pods/web-0/log?container=app");
        for (text, may_have) in [
            (&b"/namespaces/SHOP/"[..], true),
            (b"/namespaces/team-7/", false),
            (b"registry.example.net", false),
            (b"x", true),
            (b"", true),
        ] {
            assert_eq!(path.may_have(Pairs::of(text)), may_have, "{}", text.escape_ascii());
        }
    }
}

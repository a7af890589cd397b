//! Which strings a regular expression cannot do without.
//!
//! To search a value for an expression takes a hundred times as long as to search it for a string. So an
//! expression says which strings every text that it is found in contains one of, as far as that is plain to see, and
//! is searched for only where one of them is.

/// How long a string has to be to be worth looking for.
const SHORTEST: usize = 3;

/// How many strings are worth looking for instead of the expression.
const MAX_STRINGS: usize = 64;

/// Strings of which one has to be there; none where nothing is known.
type Needed = Option<Vec<Vec<u8>>>;

/// What is known of a group, or of the whole, while it is being read.
#[derive(Default)]
struct Group {
    /// What its alternatives so far need, once there are any.
    alternatives: Option<Needed>,
    /// What the alternative at hand needs.
    needed: Needed,
    /// The plain characters read last.
    run: Vec<u8>,
}

impl Group {
    /// Plain characters end here.
    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if run.len() >= SHORTEST {
            self.need(Some(vec![run]));
        }
    }

    /// The alternative at hand needs this, too: of two needs, the one that says more is kept.
    fn need(&mut self, other: Needed) {
        let worth = |needed: &Needed| {
            let strings = needed.as_deref().unwrap_or_default();
            strings.iter().map(Vec::len).min().map(|shortest| (shortest, usize::MAX - strings.len()))
        };
        if worth(&other) > worth(&self.needed) {
            self.needed = other;
        }
    }

    /// The alternative at hand ends here.
    fn end_alternative(&mut self) {
        self.end_run();
        let needed = self.needed.take();
        self.alternatives = Some(match self.alternatives.take() {
            None => needed,
            Some(before) => before.zip(needed).map(|(mut before, mut more)| {
                before.append(&mut more);
                before
            }),
        });
    }

    /// What the whole group needs.
    fn finish(mut self) -> Needed {
        self.end_alternative();
        self.alternatives.flatten().filter(|strings| strings.len() <= MAX_STRINGS)
    }
}

/// The strings, in lower case and of [`SHORTEST`] bytes or more, of which one, in whatever case, stands in every text
/// in which the expression is found. None where that is not plain to see.
///
/// `source` has the syntax of `regex-lite`; what is not understood is taken for anything at all.
pub(crate) fn needed(source: &str) -> Option<Vec<Vec<u8>>> {
    let mut outer: Vec<Group> = Vec::new();
    let mut group = Group::default();
    let mut rest = source.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        // What an atom that has just been read needs, and whether it is a plain character.
        let (mut atom, mut plain) = (None, None);
        match byte {
            b'(' => {
                if let Some(flags) = rest.strip_prefix(b"?") {
                    rest = flags.strip_prefix(b":")?;
                }
                group.end_run();
                outer.push(std::mem::take(&mut group));
                continue;
            }
            b')' => atom = std::mem::replace(&mut group, outer.pop()?).finish(),
            b'|' => {
                group.end_alternative();
                continue;
            }
            b'[' => rest = after_class(rest)?,
            b'\\' => {
                let (&escaped, after) = rest.split_first()?;
                rest = after;
                match escaped {
                    b'd' | b'D' | b's' | b'S' | b'w' | b'W' | b'b' | b'B' | b'A' | b'z' | b'n' | b'r'
                    | b't' => {}
                    other if other.is_ascii_punctuation() => plain = Some(other),
                    _ => return None,
                }
            }
            b'.' | b'^' | b'$' => {}
            other => plain = Some(other),
        }
        let repeated = rest.first().copied().filter(|next| matches!(next, b'?' | b'*' | b'+' | b'{'));
        match (plain, repeated) {
            (Some(byte), None) => group.run.push(byte.to_ascii_lowercase()),
            (Some(byte), Some(b'+')) => {
                group.run.push(byte.to_ascii_lowercase());
                group.end_run();
            }
            _ => {
                group.end_run();
                if let None | Some(b'+') = repeated {
                    group.need(atom);
                }
            }
        }
        rest = after_repetition(rest)?;
    }
    if outer.is_empty() { group.finish() } else { None }
}

/// What follows a class whose bracket has been read.
fn after_class(mut rest: &[u8]) -> Option<&[u8]> {
    rest = rest.strip_prefix(b"^").unwrap_or(rest);
    // A bracket that closes nothing stands for itself.
    rest = rest.strip_prefix(b"]").unwrap_or(rest);
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b']' => return Some(rest),
            b'\\' => rest = rest.get(1..)?,
            // A class within a class.
            b'[' => return None,
            _ => {}
        }
    }
}

/// What follows the repetition that stands here, if one does.
fn after_repetition(rest: &[u8]) -> Option<&[u8]> {
    let after = match rest.split_first() {
        Some((b'?' | b'*' | b'+', after)) => after,
        Some((b'{', after)) => {
            let end = after.iter().position(|&byte| byte == b'}')?;
            after.get(end + 1..)?
        }
        _ => return Some(rest),
    };
    let after = after.strip_prefix(b"?").unwrap_or(after);
    // One repetition of another is rare enough not to be understood.
    let another = matches!(after.first(), Some(b'?' | b'*' | b'+' | b'{'));
    (!another).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::needed;
    use proptest::prelude::*;

    #[test]
    fn strings_that_an_expression_cannot_do_without_are_seen_where_it_is_plain() {
        for (source, expected) in [
            ("abc", Some(vec!["abc"])),
            ("ABC", Some(vec!["abc"])),
            (r"\bnmap\b", Some(vec!["nmap"])),
            (r"/proc/[^/\s]+/environ", Some(vec!["/environ"])),
            ("(^|[;|])(nsenter|insmod)(\\s|$)", Some(vec!["nsenter", "insmod"])),
            ("(curl|wget)\\s.*(https?|ftp)://", Some(vec!["curl", "wget"])),
            ("abc?d", None),
            ("abcd?", Some(vec!["abc"])),
            ("abc+d", Some(vec!["abc"])),
            ("abcd{2}efg", Some(vec!["abc"])),
            ("(abc)?def", Some(vec!["def"])),
            ("(abc)*", None),
            ("(?:abc)+", Some(vec!["abc"])),
            ("(?i)abc", None),
            ("abc|de", None),
            ("abc|def", Some(vec!["abc", "def"])),
            (r"a\.b", Some(vec!["a.b"])),
            (r"a\x41bcd", None),
            ("[abc]", None),
            ("[]abc]def", Some(vec!["def"])),
            (r"[\]abc]def", Some(vec!["def"])),
            ("[[:alpha:]]def", None),
            ("", None),
        ] {
            let expected = expected.map(|strings| strings.iter().map(|s| s.as_bytes().to_vec()).collect());
            assert_eq!(needed(source), expected, "{source}");
        }
    }

    /// Pieces of expressions.
    fn expression() -> impl Strategy<Value = String> {
        let pieces: &[&str] = &[
            "abc", "xyz", "q", "(", "(?:", ")", "|", "?", "*", "+", "{2}", "{0,1}", "[a-c]", "[^x]", r"\.",
            r"\s", r"\b", "^", "$", ".", "-",
        ];
        prop::collection::vec(prop::sample::select(pieces), 1..10).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn whatever_an_expression_is_found_in_has_one_of_them(
            source in expression(),
            text in "([abcxyzq. -]|abc|xyz|ABC){0,12}",
            ignoring_case: bool,
        ) {
            let expression = regex_lite::RegexBuilder::new(&source).case_insensitive(ignoring_case).build();
            if let (Ok(expression), Some(strings)) = (expression, needed(&source))
                && expression.is_match(&text)
            {
                let text = text.to_ascii_lowercase();
                let has = |string: &Vec<u8>| text.as_bytes().windows(string.len()).any(|part| part == string);
                prop_assert!(strings.iter().any(has), "{source:?} in {text:?}: {strings:?}");
            }
        }
    }
}

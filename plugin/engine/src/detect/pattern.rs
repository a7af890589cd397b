//! What a value is compared with: strings with wildcards, regular expressions, numbers.
//!
//! Strings compare without regard to the case of ASCII letters unless a rule says `cased`. Letters
//! outside ASCII compare as they are: Kubernetes names have none, and the tables for them would be
//! larger than the rest of the engine.

use super::literals;
use crate::json::{equal_in_any_case, position_in_case, position_of_pair};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// How many bytes of one value a regular expression looks at. The engine of `regex-lite` takes time in
/// proportion to both value and expression; whoever can create an object can make values of a megabyte.
const MAX_SEARCHED: usize = 16 << 10;

/// How long a regular expression may be, in bytes. A rule's author could make one that takes long to
/// compile at every start.
const MAX_EXPRESSION: usize = 4096;

/// How much memory a compiled expression may take, in bytes: bounds counted repetitions, which multiply
/// when nested.
const MAX_COMPILED: usize = 256 << 10;

/// How deep the groups of an expression may nest. Its parser recurses, on an operand stack of 8 KiB.
const MAX_GROUPS: usize = 3;

/// How deep groups, repetitions and sequences may nest, all counted, for the same reason.
const MAX_NESTING: u32 = 16;

/// A part of a string pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// These bytes.
    Literal(Vec<u8>),
    /// `*`: any characters, or none.
    Any,
    /// `?`: one character.
    One,
}

/// Reads a Sigma string: `*` and `?` are wildcards, a backslash before them or before another backslash
/// makes them plain, and any other backslash is itself.
pub(crate) fn parse_wildcards(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next_if(|next| matches!(next, b'*' | b'?' | b'\\')) {
                Some(escaped) => literal.push(escaped),
                None => literal.push(b'\\'),
            },
            b'*' | b'?' => {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                let wildcard = if byte == b'*' { Part::Any } else { Part::One };
                // Two stars in a row say what one says.
                if !(wildcard == Part::Any && parts.last() == Some(&Part::Any)) {
                    parts.push(wildcard);
                }
            }
            other => literal.push(other),
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

/// One step of a pattern with wildcards in odd places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Byte(u8),
    Any,
    One,
}

/// A string of a rule: of a built-in one, where the module has it.
pub(crate) type Bytes = Cow<'static, [u8]>;

/// A string pattern by its form: the plainer the form, the cheaper.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// `*`
    Anything,
    Exact(Bytes),
    /// Any of these, sorted; two or more.
    OneOf(Box<[Bytes]>),
    Prefix(Bytes),
    Suffix(Bytes),
    Contains(Bytes),
    Steps(Box<[Step]>),
    /// Any of these forms, two or more, none of which is such a list: see [`Pattern::forms`]. Where texts are given, a text
    /// without any of them has none of the forms.
    AnyOf(Box<[Form]>, Box<[Bytes]>),
}

/// A string pattern. Unless `cased`, its letters are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) form: Form,
    pub(crate) cased: bool,
}

impl Pattern {
    pub(crate) fn new(mut parts: Vec<Part>, cased: bool) -> Self {
        for part in &mut parts {
            if let Part::Literal(bytes) = part
                && !cased
            {
                bytes.make_ascii_lowercase();
            }
        }
        let form = match parts.as_mut_slice() {
            [] => Form::Exact(Bytes::default()),
            [Part::Any] => Form::Anything,
            [Part::Literal(bytes)] => Form::Exact(std::mem::take(bytes).into()),
            [Part::Literal(bytes), Part::Any] => Form::Prefix(std::mem::take(bytes).into()),
            [Part::Any, Part::Literal(bytes)] => Form::Suffix(std::mem::take(bytes).into()),
            [Part::Any, Part::Literal(bytes), Part::Any] => Form::Contains(std::mem::take(bytes).into()),
            parts => {
                let mut steps = Vec::new();
                for part in parts {
                    match part {
                        Part::Literal(bytes) => steps.extend(bytes.iter().map(|&byte| Step::Byte(byte))),
                        Part::Any => steps.push(Step::Any),
                        Part::One => steps.push(Step::One),
                    }
                }
                Form::Steps(steps.into())
            }
        };
        Self { form, cased }
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        if let Form::AnyOf(_, needed) = &self.form
            && !needed.is_empty()
            && !needed.iter().any(|needed| contains(text, needed, self.cased))
        {
            return false;
        }
        self.forms().iter().any(|form| form.is_match(text, self.cased))
    }

    /// Texts of which a text has to have one; none where that is not known.
    pub(crate) fn needed(&self) -> &[Bytes] {
        match &self.form {
            Form::Contains(text) => std::slice::from_ref(text),
            Form::AnyOf(_, needed) => needed,
            _ => &[],
        }
    }

    /// The forms of which a text has to have one.
    pub(crate) fn forms(&self) -> &[Form] {
        match &self.form {
            Form::AnyOf(forms, _) => forms,
            form => std::slice::from_ref(form),
        }
    }
}

impl Form {
    /// Any of these forms, of which there is at least one.
    pub(crate) fn any_of(forms: Vec<Self>) -> Self {
        match <[_; 1]>::try_from(forms) {
            Ok([only]) => only,
            Err(forms) => {
                let common = common_texts(&forms);
                Self::AnyOf(forms.into(), common.into())
            }
        }
    }

    fn is_match(&self, text: &[u8], cased: bool) -> bool {
        match self {
            Self::Anything => true,
            Self::Exact(what) => equal(text, what, cased),
            Self::OneOf(sorted) => one_of(text, sorted, cased),
            Self::Prefix(what) => text.get(..what.len()).is_some_and(|start| equal(start, what, cased)),
            Self::Suffix(what) => ends_with(text, what, cased),
            Self::Contains(what) => contains(text, what, cased),
            Self::Steps(steps) => follows(text, steps, cased),
            Self::AnyOf(..) => false,
        }
    }
}

pub(crate) fn equal(text: &[u8], what: &[u8], cased: bool) -> bool {
    if cased { text == what } else { equal_in_any_case(text, what) }
}

pub(crate) fn ends_with(text: &[u8], what: &[u8], cased: bool) -> bool {
    text.len()
        .checked_sub(what.len())
        .and_then(|start| text.get(start..))
        .is_some_and(|end| equal(end, what, cased))
}

pub(crate) fn contains(text: &[u8], what: &[u8], cased: bool) -> bool {
    let Some(first) = what.first() else { return true };
    let Some(last_start) = text.len().checked_sub(what.len()) else { return false };
    // Two bytes are seldom found where the rest is not.
    let pair = what.first_chunk::<2>();
    let folded = |byte: u8| if cased { byte } else { byte.to_ascii_lowercase() };
    let position = |text| match pair {
        Some(pair) => position_of_pair(text, pair.map(folded), !cased),
        None => position_in_case(text, folded(*first), !cased),
    };
    let overlap = usize::from(pair.is_some());
    let mut rest = text;
    let mut starts = last_start + 1;
    while let Some(at) = rest.get(..starts + overlap).and_then(position) {
        if rest.get(at..at + what.len()).is_some_and(|part| equal(part, what, cased)) {
            return true;
        }
        starts -= at + 1;
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    false
}

/// Fewer texts than there are forms, such that each form wants one of them contained; none where there are no such. They are
/// of two bytes, the first of three where that does not make them more.
fn common_texts(forms: &[Form]) -> Vec<Bytes> {
    let wanted = |form: &Form| if let Form::Contains(text) = form { text.clone() } else { Bytes::default() };
    let wanted: Vec<Bytes> = forms.iter().map(wanted).collect();
    let mut common = common_beginning_with(&wanted, 3);
    let by_pairs = common_beginning_with(&wanted, 2);
    if common.is_empty() || common.len() > by_pairs.len() {
        common = by_pairs;
    }
    if common.len() < forms.len() { common } else { Vec::new() }
}

/// Texts of which each of `wanted` contains one, the first of that length and the others of two bytes, if there are any.
fn common_beginning_with(wanted: &[Bytes], mut length: usize) -> Vec<Bytes> {
    let has = |text: &Bytes, part: &[u8]| text.windows(part.len()).any(|window| window == part);
    let mut left: Vec<&Bytes> = wanted.iter().collect();
    let mut common = Vec::new();
    while let Some(first) = left.first() {
        let crowd = |part: &&[u8]| left.iter().filter(|wanted| has(wanted, part)).count();
        let Some(best) = first.windows(length).max_by_key(crowd) else { return Vec::new() };
        left.retain(|wanted| !has(wanted, best));
        common.push(best.to_vec().into());
        length = 2;
    }
    common
}

fn one_of(text: &[u8], sorted: &[Bytes], cased: bool) -> bool {
    sorted
        .binary_search_by(|entry| {
            if cased {
                entry.as_ref().cmp(text)
            } else {
                entry.iter().copied().cmp(text.iter().map(u8::to_ascii_lowercase))
            }
        })
        .is_ok()
}

/// Matches steps by going back to the last star only, which is enough: whatever stood before it has
/// taken the shortest text it could.
fn follows(text: &[u8], steps: &[Step], cased: bool) -> bool {
    let (mut at, mut step) = (0, 0);
    let mut star = None;
    while let Some(&byte) = text.get(at) {
        match steps.get(step) {
            Some(Step::Any) => {
                step += 1;
                star = Some((at, step));
                continue;
            }
            Some(Step::One) => {
                step += 1;
                at += character_length(byte);
                continue;
            }
            Some(&Step::Byte(wanted)) if byte == wanted || !cased && byte.to_ascii_lowercase() == wanted => {
                step += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        let Some((from, after_star)) = star else { return false };
        let next = from + text.get(from).copied().map_or(1, character_length);
        star = Some((next, after_star));
        (at, step) = (next, after_star);
    }
    steps.get(step..).is_none_or(|rest| rest.iter().all(|&step| step == Step::Any))
}

/// How many bytes the UTF-8 character that starts with `lead` has.
fn character_length(lead: u8) -> usize {
    match lead {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 1,
    }
}

/// A regular expression, searched for anywhere in a value, in time linear in the value.
///
/// The only place that knows which engine does it: `regex-lite`, whose case-insensitivity is ASCII's,
/// like that of the strings above.
///
/// Compiling one takes long, and half of the operand stack that Fluent Bit gives the module. So it is compiled by
/// [`Self::compile`] alone, which whoever has read a rule calls when back near the top, or, for rules that are known to be
/// sound, whoever has found that an event wants it ([`Limits::uncompiled`]).
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    shared: Arc<Shared>,
    first: Option<FirstByte>,
    /// Strings in lower case of which one is in every text in which the expression is found, if any are known.
    needed: Option<Box<[Bytes]>>,
}

/// What all copies of an expression have in common.
#[derive(Debug)]
struct Shared {
    source: Cow<'static, str>,
    flags: Flags,
    /// Nothing before it has been compiled, none where it cannot be.
    compiled: OnceLock<Option<regex_lite::Regex>>,
    /// Whether a text has come that only the compiled expression could judge.
    wanted: AtomicBool,
}

/// What has kept a test from being decided.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// A value was longer than what is looked at.
    pub(crate) cut: bool,
    /// An expression is yet to be compiled.
    pub(crate) uncompiled: bool,
}

impl Limits {
    /// Adds what others have met with.
    pub(crate) fn add(&mut self, other: Self) {
        self.cut |= other.cut;
        self.uncompiled |= other.uncompiled;
    }
}

/// What a text has to start with for an expression that is anchored to its start: most texts can be told from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstByte {
    Is(u8),
    IsDigit,
}

impl FirstByte {
    /// What an expression demands, as far as that is plain to see.
    fn of(source: &str, flags: Flags) -> Option<Self> {
        let anchored = source.strip_prefix('^').filter(|_| !flags.multi_line)?;
        let (first, rest) = match anchored.strip_prefix("[0-9]").or_else(|| anchored.strip_prefix("\\d")) {
            Some(rest) => (Self::IsDigit, rest),
            None => {
                let byte = *anchored.as_bytes().first()?;
                let plain =
                    byte == b'/' || byte.is_ascii_digit() || byte.is_ascii_alphabetic() && !flags.ignore_case;
                (Self::Is(byte), anchored.get(1..).filter(|_| plain)?)
            }
        };
        // It must be there, and be so in every alternative.
        let optional = rest.starts_with(['?', '*', '{']);
        (!optional && !has_alternatives(source)).then_some(first)
    }

    fn is_met(self, text: &[u8]) -> bool {
        match (self, text.first()) {
            (Self::Is(wanted), Some(&first)) => wanted == first,
            (Self::IsDigit, Some(first)) => first.is_ascii_digit(),
            (_, None) => false,
        }
    }
}

/// Whether an expression may have alternatives that stand in no group.
fn has_alternatives(source: &str) -> bool {
    let mut depth = 0_usize;
    let mut escaped = false;
    source.bytes().any(|byte| {
        let plain = !std::mem::replace(&mut escaped, false);
        match byte {
            b'\\' if plain => escaped = true,
            b'(' if plain => depth += 1,
            b')' if plain => depth = depth.saturating_sub(1),
            // In a class it is none, but no harm is done by taking it for one.
            b'|' => return depth == 0,
            _ => {}
        }
        false
    })
}

/// The sub-modifiers of `re`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    /// `i`
    pub(crate) ignore_case: bool,
    /// `m`
    pub(crate) multi_line: bool,
    /// `s`
    pub(crate) dot_all: bool,
}

/// How deep the groups of an expression nest, those in brackets and after backslashes being none.
fn group_depth(source: &str) -> usize {
    let (mut depth, mut deepest, mut in_class) = (0_usize, 0, false);
    let mut bytes = source.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'[' => in_class = true,
            b']' => in_class = false,
            b'(' if !in_class => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' if !in_class => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl Expression {
    /// An expression that is yet to be compiled.
    pub(crate) fn new(source: &str, flags: Flags) -> Self {
        let needed = literals::needed(source).unwrap_or_default();
        Self::with_needed(source.to_owned().into(), flags, needed.into_iter().map(Into::into).collect())
    }

    /// The same, where it is known what is needed: nothing if there are no strings.
    pub(crate) fn with_needed(source: Cow<'static, str>, flags: Flags, needed: Vec<Bytes>) -> Self {
        let first = FirstByte::of(&source, flags);
        let needed = (!needed.is_empty()).then(|| needed.into());
        let shared = Shared { source, flags, compiled: OnceLock::new(), wanted: AtomicBool::new(false) };
        Self { shared: Arc::new(shared), first, needed }
    }

    /// The expression as its author wrote it.
    pub(crate) fn source(&self) -> (&str, Flags) {
        (&self.shared.source, self.shared.flags)
    }

    /// Compiles, where that has not been done; the error is a sentence for the rule's author.
    pub(crate) fn compile(&self) -> Result<(), String> {
        if self.shared.compiled.get().is_some() {
            return Ok(());
        }
        let compiled = self.compiled();
        let result = compiled.as_ref().map(|_| ()).map_err(String::clone);
        // Somebody else can only have set it to the same.
        let _ = self.shared.compiled.set(compiled.ok());
        result
    }

    fn compiled(&self) -> Result<regex_lite::Regex, String> {
        let (source, flags) = self.source();
        if source.len() > MAX_EXPRESSION {
            return Err(format!("the regular expression is longer than {MAX_EXPRESSION} bytes; split it"));
        }
        // Found out before anything recurses: the parser's own check comes too late for the module's stack.
        if group_depth(source) > MAX_GROUPS {
            return Err(format!(
                "the groups of the regular expression {source:?} nest deeper than {MAX_GROUPS}; split it"
            ));
        }
        regex_lite::RegexBuilder::new(source)
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_all)
            .size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| {
                format!(
                    "the regular expression {source:?} cannot be used: {error}; look-around, \
                     back-references and Unicode classes are not supported"
                )
            })
    }

    /// Whether an event has wanted it since it was made, and it has not been compiled.
    pub(crate) fn is_wanted(&self) -> bool {
        self.shared.wanted.load(Ordering::Relaxed) && self.shared.compiled.get().is_none()
    }

    /// Strings in lower case of which one is in every text in which the expression is found, if any are known.
    pub(crate) fn needed(&self) -> Option<&[Bytes]> {
        self.needed.as_deref()
    }

    /// Whether it matches anywhere in the first bytes of `text`; `limits` says where that is not known.
    pub(crate) fn is_match(&self, text: &[u8], limits: &mut Limits) -> bool {
        if self.first.is_some_and(|first| !first.is_met(text)) {
            return false;
        }
        let searched = text.get(..MAX_SEARCHED).unwrap_or(text);
        if let Some(needed) = &self.needed
            && searched.len() == text.len()
            && !needed.iter().any(|string| contains(text, string, false))
        {
            return false;
        }
        let Some(compiled) = self.shared.compiled.get() else {
            self.shared.wanted.store(true, Ordering::Relaxed);
            limits.uncompiled = true;
            return false;
        };
        let found =
            compiled.as_ref().is_some_and(|compiled| compiled.is_match(&String::from_utf8_lossy(searched)));
        limits.cut |= !found && searched.len() < text.len();
        found
    }
}

/// The number that `text` is, if it is one: what JSON and YAML both call a number.
pub(crate) fn number(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if !unsigned.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_expression_has_to_start_with_is_seen_where_it_is_plain() {
        let ignoring_case = Flags { ignore_case: true, ..Flags::default() };
        let by_line = Flags { multi_line: true, ..Flags::default() };
        for (source, flags, expected) in [
            ("^[0-9]+(-[0-9]+)?$", Flags::default(), Some(FirstByte::IsDigit)),
            (r"^\d\d", Flags::default(), Some(FirstByte::IsDigit)),
            (r"^\d{0,3}", Flags::default(), None),
            ("^/(healthz|livez)", Flags::default(), Some(FirstByte::Is(b'/'))),
            ("^abc", Flags::default(), Some(FirstByte::Is(b'a'))),
            ("^abc", ignoring_case, None),
            ("^/abc", by_line, None),
            ("^/?abc", Flags::default(), None),
            ("^[0-9]*", Flags::default(), None),
            ("^/a|b", Flags::default(), None),
            (r"^/(a\)|b)|c", Flags::default(), None),
            (r"^/\(|c", Flags::default(), None),
            ("^(/a)", Flags::default(), None),
            ("^.", Flags::default(), None),
            ("^", Flags::default(), None),
            ("/abc", Flags::default(), None),
        ] {
            assert_eq!(FirstByte::of(source, flags), expected, "{source}");
        }
    }

    #[test]
    fn an_expression_finds_what_it_found_without_a_look_at_the_first_byte() {
        for source in ["^[0-9]+(-[0-9]+)?$", r"^\d{3}", "^/(healthz|livez)", "^a", "^a?b"] {
            let expression = Expression::new(source, Flags::default());
            expression.compile().unwrap();
            let plain = regex_lite::Regex::new(source).unwrap();
            for text in ["", "1", "12-3", "123", "/healthz", "/livez?a", "x/livez", "a", "b", "ab", "-1"] {
                let found = expression.is_match(text.as_bytes(), &mut Limits::default());
                assert_eq!(found, plain.is_match(text), "{source} in {text:?}");
            }
        }
    }
}

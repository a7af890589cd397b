//! One item of a selection: `field|modifier|…: value`, made into a tree of tests.
//!
//! Source of the semantics: the modifiers appendix of the Sigma specification 2.1, and pySigma where it
//! is silent. Modifiers apply in the order written; a chain that cannot mean anything is refused.

use super::compile::{Builder, NodeId};
use super::pattern::{self, Bytes, Expression, Flags, Form, Part, Pattern};
use crate::normalize::{Network, Networks};
use crate::sort::sort;
use crate::yaml::{Node, Resolved, Value};

/// How many values one item may have once `windash` and `base64offset` have multiplied them.
const MAX_VALUES: usize = 10_000;

/// How many dashes of one value `windash` varies: each makes five of it.
const MAX_DASHES: usize = 4;

/// What a modifier does, by what it may stand beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modifier {
    // Of the list of values.
    All,
    Neq,
    // Of the comparison.
    Cased,
    Contains,
    StartsWith,
    EndsWith,
    // Of the value, before it is compared.
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    Utf16,
    WinDash,
    // Of the value's type: at most one.
    Re,
    Cidr,
    Exists,
    FieldRef,
    Compare(Comparison),
    Time(TimePart),
    // Of `re`.
    IgnoreCase,
    MultiLine,
    DotAll,
}

/// `lt`, `lte`, `gt`, `gte`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Lt,
    Lte,
    Gt,
    Gte,
}

impl Comparison {
    pub(crate) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Lt => left < right,
            Self::Lte => left <= right,
            Self::Gt => left > right,
            Self::Gte => left >= right,
        }
    }
}

/// `minute` … `year` of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

const KNOWN: &[(&str, Modifier)] = &[
    ("all", Modifier::All),
    ("base64", Modifier::Base64),
    ("base64offset", Modifier::Base64Offset),
    ("cased", Modifier::Cased),
    ("cidr", Modifier::Cidr),
    ("contains", Modifier::Contains),
    ("day", Modifier::Time(TimePart::Day)),
    ("endswith", Modifier::EndsWith),
    ("exists", Modifier::Exists),
    ("fieldref", Modifier::FieldRef),
    ("gt", Modifier::Compare(Comparison::Gt)),
    ("gte", Modifier::Compare(Comparison::Gte)),
    ("hour", Modifier::Time(TimePart::Hour)),
    ("i", Modifier::IgnoreCase),
    ("lt", Modifier::Compare(Comparison::Lt)),
    ("lte", Modifier::Compare(Comparison::Lte)),
    ("m", Modifier::MultiLine),
    ("minute", Modifier::Time(TimePart::Minute)),
    ("month", Modifier::Time(TimePart::Month)),
    ("neq", Modifier::Neq),
    ("re", Modifier::Re),
    ("s", Modifier::DotAll),
    ("startswith", Modifier::StartsWith),
    ("utf16", Modifier::Utf16),
    ("utf16be", Modifier::Utf16Be),
    ("utf16le", Modifier::Utf16Le),
    ("week", Modifier::Time(TimePart::Week)),
    ("wide", Modifier::Utf16Le),
    ("windash", Modifier::WinDash),
    ("year", Modifier::Time(TimePart::Year)),
];

impl Modifier {
    fn named(name: &str) -> Option<Self> {
        // pySigma also knows the flags of `re` by longer names.
        let name = match name {
            "ignorecase" => "i",
            "multiline" => "m",
            "dotall" => "s",
            short => short,
        };
        KNOWN.iter().find(|(known, _)| *known == name).map(|&(_, modifier)| modifier)
    }

    fn is_place(self) -> bool {
        matches!(self, Self::Contains | Self::StartsWith | Self::EndsWith)
    }

    fn is_encoding(self) -> bool {
        matches!(
            self,
            Self::Base64 | Self::Base64Offset | Self::Utf16Le | Self::Utf16Be | Self::Utf16 | Self::WinDash
        )
    }

    fn is_flag(self) -> bool {
        matches!(self, Self::IgnoreCase | Self::MultiLine | Self::DotAll)
    }
}

/// What stands before the colon.
#[derive(Debug, Default)]
struct Chain {
    encodings: Vec<Modifier>,
    place: Option<Modifier>,
    of_type: Option<Modifier>,
    flags: Flags,
    cased: bool,
    all: bool,
    neq: bool,
}

impl Chain {
    /// Reads the modifiers; the error says which one is wrong and what to write instead.
    fn parse<'t>(names: impl Iterator<Item = &'t str>) -> Result<Self, String> {
        let mut chain = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            let modifier = match Modifier::named(name) {
                Some(modifier) => modifier,
                None if name == "expand" => {
                    return Err("the modifier \"expand\" needs placeholders, which are not supported; \
                                write the values out"
                        .to_owned());
                }
                None => {
                    let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
                    return Err(format!("unknown modifier {name:?}; known: {}", known.join(", ")));
                }
            };
            if seen.contains(&name) {
                return Err(format!("modifier {name:?} is given twice; keep one of them"));
            }
            chain.add(name, modifier, seen.last().copied())?;
            seen.push(name);
        }
        chain.check()?;
        Ok(chain)
    }

    fn add(&mut self, name: &str, modifier: Modifier, before: Option<&str>) -> Result<(), String> {
        match modifier {
            Modifier::All => self.all = true,
            Modifier::Neq => self.neq = true,
            Modifier::Cased => self.cased = true,
            flag if flag.is_flag() => {
                if self.of_type != Some(Modifier::Re) {
                    return Err(format!("modifier {name:?} belongs to \"re\"; write \"re|{name}\""));
                }
                match flag {
                    Modifier::IgnoreCase => self.flags.ignore_case = true,
                    Modifier::MultiLine => self.flags.multi_line = true,
                    _ => self.flags.dot_all = true,
                }
            }
            place if place.is_place() => {
                if self.place.is_some() {
                    return Err(format!(
                        "modifier {name:?} cannot follow another of contains, startswith and endswith; \
                         keep one, or use wildcards"
                    ));
                }
                self.place = Some(place);
            }
            encoding if encoding.is_encoding() => {
                if self.place.is_some() || self.of_type.is_some() {
                    let before = before.unwrap_or_default();
                    return Err(format!("modifier {name:?} cannot follow {before:?}; write it before that"));
                }
                self.encodings.push(encoding);
            }
            of_type => {
                if self.of_type.is_some() {
                    let before = before.unwrap_or_default();
                    return Err(format!("modifier {name:?} cannot be combined with {before:?}; keep one"));
                }
                self.of_type = Some(of_type);
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let Some(of_type) = self.of_type else { return Ok(()) };
        let name = name_of(of_type);
        if let Some(&encoding) = self.encodings.first() {
            return Err(format!("modifier {name:?} cannot be combined with {:?}", name_of(encoding)));
        }
        if of_type != Modifier::FieldRef {
            if let Some(place) = self.place {
                let remedy = if of_type == Modifier::Re {
                    "; a regular expression is searched for anywhere, anchor it with ^ or $"
                } else {
                    ""
                };
                return Err(format!(
                    "modifier {name:?} cannot be combined with {:?}{remedy}",
                    name_of(place)
                ));
            }
            if self.cased {
                let remedy = if of_type == Modifier::Re {
                    "; regular expressions are case-sensitive unless \"i\" is given"
                } else {
                    ""
                };
                return Err(format!("modifier {name:?} cannot be combined with \"cased\"{remedy}"));
            }
        }
        if of_type == Modifier::Exists && (self.all || self.neq) {
            return Err("modifier \"exists\" takes no other; write true or false as its value".to_owned());
        }
        Ok(())
    }
}

fn name_of(modifier: Modifier) -> &'static str {
    KNOWN.iter().find(|(_, known)| *known == modifier).map_or("", |(name, _)| name)
}

/// What a value of the event is compared with.
#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    /// The field is there, be it null.
    Exists,
    /// A string, number or boolean, by how it is written. `*` takes any value but null.
    Text(Pattern),
    /// A number: the same number, or the same written in a string.
    Number(Number),
    /// A boolean, or one written in a string.
    Bool(bool),
    /// A number, or one written in a string, of that order.
    Compare(Comparison, f64),
    /// An address within one of the networks.
    Cidr(Networks),
    /// A string, number or boolean in which the expression is found.
    Expression(Expression),
    /// A time, as audit events have it, of which this part is that number.
    Time(TimePart, i64),
}

/// A number of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

/// A comparison of two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Likeness {
    pub(crate) place: Place,
    pub(crate) cased: bool,
}

/// Where one field's value stands in the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Whole,
    Start,
    End,
    Anywhere,
}

/// Compiles one item of a selection. The error says what is wrong with the key or a value.
pub(crate) fn compile(builder: &mut Builder, key: &str, value: &Node) -> Result<Compiled, ItemError> {
    let mut parts = key.split('|');
    let field = parts.next().unwrap_or_default();
    let chain = Chain::parse(parts).map_err(|message| ItemError::at(value, message))?;
    let values = match &value.value {
        Value::Sequence(items) if items.is_empty() => {
            return Err(ItemError::at(value, "an empty list matches nothing; give a value".to_owned()));
        }
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar(_) => std::slice::from_ref(value),
        Value::Mapping(_) => {
            let message = "expected a value or a list of values, found a mapping; write nested fields as \
                           one path joined by dots";
            return Err(ItemError::at(value, message.to_owned()));
        }
    };
    let mut item = Item::new(builder, field, chain);
    for value in values {
        item.value(value).map_err(|message| ItemError::at(value, message))?;
        if item.alternatives.len() + item.plain.len() + item.networks.len() > MAX_VALUES {
            let message = format!("more than {MAX_VALUES} values; split the selection");
            return Err(ItemError::at(value, message));
        }
    }
    let mut warnings = Vec::new();
    if item.chain.all && values.len() == 1 {
        warnings.push("\"all\" of a single value says nothing; leave it out");
    }
    if values.len() > 1 && values.iter().any(Node::is_null) {
        warnings.push("null in a list of values; Sigma wants it in a selection of its own");
    }
    let node = item.finish().map_err(|message| ItemError::at(value, message))?;
    Ok(Compiled { node, warnings })
}

/// An item of a selection, and what its author may not have meant.
pub(crate) struct Compiled {
    pub(crate) node: NodeId,
    pub(crate) warnings: Vec<&'static str>,
}

/// Compiles values that belong to no field: keywords, any of which may stand anywhere.
pub(crate) fn compile_keywords(builder: &mut Builder, values: &[Node]) -> Result<NodeId, ItemError> {
    let mut item = Item::new(builder, "", Chain::default());
    for value in values {
        item.value(value).map_err(|message| ItemError::at(value, message))?;
    }
    let line = values.first().map_or(0, |value| value.line);
    item.finish().map_err(|message| ItemError { line, message })
}

/// What is wrong with an item, and the line it is on.
#[derive(Debug)]
pub(crate) struct ItemError {
    pub(crate) line: u32,
    pub(crate) message: String,
}

impl ItemError {
    fn at(node: &Node, message: String) -> Self {
        Self { line: node.line, message }
    }
}

struct Item<'b, 't> {
    builder: &'b mut Builder,
    field: &'t str,
    chain: Chain,
    /// One tree for each value.
    alternatives: Vec<NodeId>,
    /// Values that are compared as a whole, gathered because a set is looked up faster than they are
    /// compared one by one.
    plain: Vec<Bytes>,
    /// Other strings of which any will do.
    forms: Vec<Form>,
    /// Networks, gathered for the same reason.
    networks: Vec<Network>,
}

impl<'b, 't> Item<'b, 't> {
    fn new(builder: &'b mut Builder, field: &'t str, chain: Chain) -> Self {
        Self {
            builder,
            field,
            chain,
            alternatives: Vec::new(),
            plain: Vec::new(),
            forms: Vec::new(),
            networks: Vec::new(),
        }
    }

    fn value(&mut self, value: &Node) -> Result<(), String> {
        let Some(scalar) = value.scalar() else {
            return Err(format!("expected a plain value, found {}", value.describe()));
        };
        let resolved = match scalar.resolve() {
            // PyYAML, and thus Sigma, does not take single letters for booleans as go-yaml does.
            Resolved::Bool(_) if scalar.text.len() == 1 => Resolved::Str(&scalar.text),
            resolved => resolved,
        };
        if resolved == Resolved::Null {
            return self.null();
        }
        match self.chain.of_type {
            None => self.text_or_number(&scalar.text, resolved),
            Some(Modifier::Re) => {
                let expression = Expression::new(&scalar.text, self.chain.flags);
                self.builder.compile_later(&expression, value.line);
                self.add(Matcher::Expression(expression))
            }
            Some(Modifier::Cidr) => {
                let network: Network = scalar
                    .text
                    .parse()
                    .map_err(|error| format!("\"cidr\" compares with a network: {error}"))?;
                if self.chain.all {
                    return self.add(Matcher::Cidr([network].into_iter().collect()));
                }
                self.networks.push(network);
                Ok(())
            }
            Some(Modifier::Exists) => {
                let Resolved::Bool(wanted) = resolved else {
                    return Err(format!("\"exists\" takes true or false, found {}", value.describe()));
                };
                if self.field.is_empty() {
                    return Err("\"exists\" needs a field; write field|exists".to_owned());
                }
                let test = self.builder.test(self.field, Matcher::Exists)?;
                let test = if wanted { test } else { self.builder.not(test) };
                self.alternatives.push(test);
                Ok(())
            }
            Some(Modifier::FieldRef) => self.reference(&scalar.text),
            Some(Modifier::Compare(comparison)) => {
                let number = number(resolved).ok_or_else(|| {
                    format!(
                        "{:?} compares with a number, found {}",
                        name_of(Modifier::Compare(comparison)),
                        value.describe()
                    )
                })?;
                self.add(Matcher::Compare(comparison, number))
            }
            Some(Modifier::Time(part)) => {
                let Resolved::Int(number) = resolved else {
                    return Err(format!(
                        "{:?} compares with a whole number, found {}",
                        name_of(Modifier::Time(part)),
                        value.describe()
                    ));
                };
                self.add(Matcher::Time(part, number))
            }
            Some(_) => Ok(()),
        }
    }

    /// Null is what is not there: not a value to be compared with.
    fn null(&mut self) -> Result<(), String> {
        let chain = &self.chain;
        if self.field.is_empty() {
            return Err("null needs a field; a keyword is a string".to_owned());
        }
        if chain.of_type.is_some() || chain.place.is_some() || !chain.encodings.is_empty() || chain.cased {
            return Err("null cannot be combined with a modifier other than \"neq\"; \
                        for an empty string write ''"
                .to_owned());
        }
        let any = Pattern { form: Form::Anything, cased: true };
        let test = self.builder.test(self.field, Matcher::Text(any))?;
        let test = self.builder.not(test);
        self.alternatives.push(test);
        Ok(())
    }

    fn text_or_number(&mut self, text: &str, resolved: Resolved<'_>) -> Result<(), String> {
        let as_written =
            self.chain.place.is_some() || !self.chain.encodings.is_empty() || self.field.is_empty();
        match resolved {
            // A number or boolean to be found within something is found as it is written.
            Resolved::Int(number) if !as_written => self.add(Matcher::Number(Number::Integer(number))),
            Resolved::Float(number) if !as_written => self.add(Matcher::Number(Number::Float(number))),
            Resolved::Bool(wanted) if !as_written => self.add(Matcher::Bool(wanted)),
            _ => self.strings(pattern::parse_wildcards(text)),
        }
    }

    fn strings(&mut self, parts: Vec<Part>) -> Result<(), String> {
        let mut values = vec![parts];
        for &encoding in &self.chain.encodings {
            values = values
                .into_iter()
                .map(|parts| encode(parts, encoding))
                .collect::<Result<Vec<_>, _>>()?
                .concat();
        }
        // A keyword may stand anywhere in a value.
        let place = match self.chain.place {
            None if self.field.is_empty() => Some(Modifier::Contains),
            place => place,
        };
        for mut parts in values {
            if matches!(place, Some(Modifier::Contains | Modifier::EndsWith))
                && parts.first() != Some(&Part::Any)
            {
                parts.insert(0, Part::Any);
            }
            if matches!(place, Some(Modifier::Contains | Modifier::StartsWith))
                && parts.last() != Some(&Part::Any)
            {
                parts.push(Part::Any);
            }
            let pattern = Pattern::new(parts, self.chain.cased);
            match pattern.form {
                // `all` wants each of them, which a set does not give.
                Form::Exact(text) if !self.chain.all => self.plain.push(text),
                form if !self.chain.all && form != Form::Anything => self.forms.push(form),
                form => {
                    let pattern = Pattern { form, cased: pattern.cased };
                    self.pattern(pattern)?;
                }
            }
        }
        Ok(())
    }

    fn reference(&mut self, other: &str) -> Result<(), String> {
        if self.field.is_empty() || other.is_empty() {
            return Err("\"fieldref\" compares two fields; name both".to_owned());
        }
        let place = match self.chain.place {
            None => Place::Whole,
            Some(Modifier::StartsWith) => Place::Start,
            Some(Modifier::EndsWith) => Place::End,
            Some(_) => Place::Anywhere,
        };
        let likeness = Likeness { place, cased: self.chain.cased };
        let test = self.builder.reference(self.field, other, likeness)?;
        self.alternatives.push(test);
        Ok(())
    }

    fn pattern(&mut self, pattern: Pattern) -> Result<(), String> {
        self.add(Matcher::Text(pattern))
    }

    fn add(&mut self, matcher: Matcher) -> Result<(), String> {
        let test = self.builder.test(self.field, matcher)?;
        self.alternatives.push(test);
        Ok(())
    }

    fn finish(mut self) -> Result<NodeId, String> {
        let mut plain = std::mem::take(&mut self.plain);
        sort(&mut plain);
        plain.dedup();
        if !plain.is_empty() {
            let form = match <[_; 1]>::try_from(plain) {
                Ok([only]) => Form::Exact(only),
                Err(many) => Form::OneOf(many.into()),
            };
            let pattern = Pattern { form, cased: self.chain.cased };
            self.pattern(pattern)?;
        }
        let mut forms = std::mem::take(&mut self.forms);
        sort(&mut forms);
        forms.dedup();
        if !forms.is_empty() {
            let pattern = Pattern { form: Form::any_of(forms), cased: self.chain.cased };
            self.pattern(pattern)?;
        }
        if !self.networks.is_empty() {
            let networks = self.networks.drain(..).collect();
            self.add(Matcher::Cidr(networks))?;
        }
        let node = if self.chain.all {
            self.builder.all(self.alternatives)
        } else {
            self.builder.any(self.alternatives)
        };
        Ok(if self.chain.neq { self.builder.not(node) } else { node })
    }
}

fn number(resolved: Resolved<'_>) -> Option<f64> {
    match resolved {
        Resolved::Int(number) => Some(number as f64),
        Resolved::Float(number) => Some(number),
        _ => None,
    }
}

fn encode(parts: Vec<Part>, encoding: Modifier) -> Result<Vec<Vec<Part>>, String> {
    if encoding == Modifier::WinDash {
        return dashes(parts);
    }
    let literal = match parts.as_slice() {
        [] => Vec::new(),
        [Part::Literal(bytes)] => bytes.clone(),
        _ => {
            return Err(format!(
                "modifier {:?} encodes whole values, not wildcards; escape * and ? with a backslash",
                name_of(encoding)
            ));
        }
    };
    let whole = |bytes: Vec<u8>| vec![vec![Part::Literal(bytes)]];
    let text = String::from_utf8_lossy(&literal);
    Ok(match encoding {
        Modifier::Utf16Le => whole(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        Modifier::Utf16Be => whole(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        Modifier::Utf16 => {
            whole([0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect())
        }
        Modifier::Base64 => whole(base64(&literal)),
        _ => (0..3).map(|offset| vec![Part::Literal(base64_at(&literal, offset))]).collect(),
    })
}

/// What of a value's base64 form does not depend on what stands around it, when it starts `offset` bytes
/// into a group of three.
fn base64_at(value: &[u8], offset: usize) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(b' ', offset).chain(value.iter().copied()).collect();
    let mut encoded = base64(&padded);
    // Characters that also carry bits of the bytes before and after.
    let before = [0, 2, 3].get(offset).copied().unwrap_or(0);
    let after = match padded.len() % 3 {
        0 => 0,
        1 => 3,
        _ => 2,
    };
    encoded.truncate(encoded.len().saturating_sub(after));
    encoded.drain(..before.min(encoded.len()));
    encoded
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for character in 0..4 {
            let index = (bits >> (18 - 6 * character)) & 0x3f;
            let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
            encoded.push(if character <= group.len() { letter } else { b'=' });
        }
    }
    encoded
}

/// Writes each dash or slash that starts a word in all the ways that Windows takes it.
fn dashes(parts: Vec<Part>) -> Result<Vec<Vec<Part>>, String> {
    const WAYS: [&str; 5] = ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"];
    let mut values: Vec<Vec<Part>> = vec![Vec::new()];
    let mut varied = 0;
    for part in parts {
        let Part::Literal(bytes) = part else {
            values.iter_mut().for_each(|value| value.push(part.clone()));
            continue;
        };
        let mut literals = vec![Vec::new()];
        for (at, &byte) in bytes.iter().enumerate() {
            let is_word = |index: Option<usize>| {
                index
                    .and_then(|index| bytes.get(index))
                    .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            };
            let starts_word = !is_word(at.checked_sub(1)) && is_word(Some(at + 1));
            if !(starts_word && matches!(byte, b'-' | b'/')) {
                literals.iter_mut().for_each(|literal| literal.push(byte));
                continue;
            }
            varied += 1;
            if varied > MAX_DASHES {
                return Err(format!(
                    "\"windash\" varies at most {MAX_DASHES} dashes of a value; use wildcards instead"
                ));
            }
            literals = literals
                .iter()
                .flat_map(|literal| WAYS.map(|way| [literal.as_slice(), way.as_bytes()].concat()))
                .collect();
        }
        values = values
            .iter()
            .flat_map(|value| {
                literals.iter().map(|literal| {
                    let mut value = value.clone();
                    value.push(Part::Literal(literal.clone()));
                    value
                })
            })
            .collect();
    }
    Ok(values)
}

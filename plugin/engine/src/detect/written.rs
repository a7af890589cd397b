//! Compiled rules as bytes: how the module carries the built-in ones, so that no start has to read them as Sigma.
//!
//! `build.rs` reads the rules as everybody's are read, and writes down with [`builtin`] what became of them: fields, tests,
//! trees of tests. [`Written::add_to`] gives them to a builder, where other rules may follow or have come before.
//!
//! A test as it is written here also tells it from other tests: see [`of_test`].

use super::compile::{Builder, Operation, Test, Tree};
use super::modifier::{Comparison, Likeness, Matcher, Number, Place, TimePart};
use super::pattern::{Expression, Flags, Form, Pattern, Step};
use super::rule::Report;
use super::{Rule, RuleSetBuilder, Severity};
use crate::hash::Numbering;
use crate::normalize::Networks;
use crate::problem::Problems;
use crate::written::{Reader, UNREADABLE, Writer};
use crate::yaml::{Node, Value};
use std::sync::Arc;

// What a document of a file has become.
const RULE: u8 = 0;
const CORRELATION: u8 = 1;

/// Members of a document that the engine makes no use of.
const FOR_PEOPLE: &[&str] = &["related", "status", "description", "references", "falsepositives"];

/// A test, which no other of the same builder is written like.
pub(crate) fn of_test(test: &Test) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.test(test);
    writer.0
}

/// The rules of these files and their correlations, each file with its name, written down. What is wrong with the rules
/// goes to `problems`.
#[allow(
    dead_code,
    reason = "build.rs, which has this module as its own, and tests call it; the library only reads"
)]
pub(crate) fn builtin(files: &[(String, Vec<Node>)], problems: &mut Problems) -> Vec<u8> {
    let mut builder = super::RuleSet::builder(Vec::new());
    let mut tags = Numbering::default();
    let mut documents = Writer::default();
    documents.number(files.len());
    for (name, nodes) in files {
        documents.text(name.as_bytes());
        let nodes: Vec<&Node> = nodes.iter().filter(|node| !node.is_null()).collect();
        documents.number(nodes.len());
        for node in nodes {
            let before = builder.rules.len();
            builder.add_documents(&Arc::from(name.as_str()), std::slice::from_ref(node), problems);
            match builder.rules.get(before) {
                Some(rule) => {
                    documents.byte(RULE);
                    documents.head(rule, &mut tags);
                    documents.tree(builder.builder.operations_of(before));
                }
                // Correlations are few, and little is made of them before all rules are known.
                None => {
                    let mut node = node.clone();
                    if let Value::Mapping(members) = &mut node.value {
                        members.retain(|(key, _)| !key.str().is_some_and(|key| FOR_PEOPLE.contains(&key)));
                    }
                    documents.byte(CORRELATION);
                    documents.node(&node);
                }
            }
        }
    }
    let mut writer = Writer::default();
    let (names, tests) = builder.builder.fields_and_tests();
    writer.texts(&names);
    writer.number(tests.len());
    tests.iter().for_each(|test| writer.test(test));
    writer.texts(&tags.keys().collect::<Vec<_>>());
    writer.0.append(&mut documents.0);
    writer.0
}

/// Rules that have been written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written(pub(crate) &'static [u8]);

impl Written {
    /// Adds the rules to a builder.
    pub(crate) fn add_to(self, builder: &mut RuleSetBuilder, problems: &mut Problems) {
        if Reader(self.0).add_to(builder, problems).is_none() {
            problems.error(&Arc::from("builtin"), 0, "", UNREADABLE);
        }
    }
}

impl Writer {
    fn test(&mut self, test: &Test) {
        match test {
            Test::Value { field, matcher } => {
                self.number(*field as usize + 1);
                self.matcher(matcher);
            }
            Test::Reference { left, right, likeness } => {
                self.number(0);
                self.number(*left as usize);
                self.number(*right as usize);
                self.byte(likeness.place as u8);
                self.byte(u8::from(likeness.cased));
            }
        }
    }

    fn matcher(&mut self, matcher: &Matcher) {
        match matcher {
            Matcher::Exists => self.byte(b'e'),
            Matcher::Text(Pattern { form, cased }) => {
                self.byte(if *cased { b'P' } else { b'p' });
                self.form(form);
            }
            Matcher::Number(Number::Integer(number)) => self.eight(b'i', number.to_le_bytes()),
            Matcher::Number(Number::Float(number)) => self.eight(b'f', number.to_le_bytes()),
            Matcher::Bool(wanted) => {
                self.byte(b'b');
                self.byte(u8::from(*wanted));
            }
            Matcher::Compare(comparison, number) => {
                self.eight(b'<', number.to_le_bytes());
                self.byte(*comparison as u8);
            }
            Matcher::Cidr(Networks { v4, v6 }) => {
                self.byte(b'c');
                self.number(v4.len());
                for (first, last) in v4 {
                    self.0.extend([first.to_le_bytes(), last.to_le_bytes()].concat());
                }
                self.number(v6.len());
                for (first, last) in v6 {
                    self.0.extend([first.to_le_bytes(), last.to_le_bytes()].concat());
                }
            }
            Matcher::Expression(expression) => {
                let (source, Flags { ignore_case, multi_line, dot_all }) = expression.source();
                self.byte(b'r');
                self.byte(u8::from(ignore_case) | u8::from(multi_line) << 1 | u8::from(dot_all) << 2);
                self.text(source.as_bytes());
                // Follows from the source, but not quickly.
                self.texts(expression.needed().unwrap_or_default());
            }
            Matcher::Time(part, number) => {
                self.eight(b't', number.to_le_bytes());
                self.byte(*part as u8);
            }
        }
    }

    fn eight(&mut self, kind: u8, bytes: [u8; 8]) {
        self.byte(kind);
        self.0.extend(bytes);
    }

    fn form(&mut self, form: &Form) {
        match form {
            Form::Anything => self.byte(b'*'),
            Form::Exact(text) => self.text_of(b'=', text),
            Form::Prefix(text) => self.text_of(b'^', text),
            Form::Suffix(text) => self.text_of(b'$', text),
            Form::Contains(text) => self.text_of(b'~', text),
            Form::OneOf(texts) => {
                self.byte(b'|');
                self.texts(texts);
            }
            Form::Steps(steps) => {
                self.byte(b'.');
                self.number(steps.len());
                for step in steps {
                    match step {
                        Step::Byte(byte) => self.0.extend([b'.', *byte]),
                        Step::Any => self.byte(b'*'),
                        Step::One => self.byte(b'?'),
                    }
                }
            }
            Form::AnyOf(forms, needed) => {
                self.byte(b'+');
                self.number(forms.len());
                // None of them is a list of forms itself.
                forms.iter().for_each(|form| self.form(form));
                self.texts(needed);
            }
        }
    }

    fn text_of(&mut self, kind: u8, text: &[u8]) {
        self.byte(kind);
        self.text(text);
    }

    fn tree(&mut self, operations: &[Operation]) {
        self.number(operations.len());
        for operation in operations {
            let (number, bit, is_group) = match *operation {
                Operation::Test { predicate, negated } => (predicate, negated, false),
                Operation::Group { all, end } => (end, all, true),
            };
            self.number((number as usize) << 2 | usize::from(bit) << 1 | usize::from(is_group));
        }
    }

    fn head(&mut self, rule: &Rule, known: &mut Numbering) {
        let Rule { id, name, title, level, tags, file: _, line } = rule;
        self.number(*line as usize);
        self.text(id.as_bytes());
        self.text(name.as_deref().unwrap_or_default().as_bytes());
        self.text(title.as_bytes());
        self.byte(*level as u8);
        self.number(tags.len());
        tags.iter().for_each(|tag| self.number(known.add(tag.as_bytes()) as usize));
    }
}

impl Reader<'static> {
    fn add_to(&mut self, builder: &mut RuleSetBuilder, problems: &mut Problems) -> Option<()> {
        // This program's fields and tests of those numbers.
        let fields = self.list(|reader| builder.builder.intern_field(reader.str()?).ok())?;
        let add = if builder.builder.has_no_tests() { Builder::add_test } else { Builder::intern_test };
        let tests = self.list(|reader| Some(add(&mut builder.builder, reader.test(&fields)?)))?;
        let tags = self.list(Self::str)?;
        for _ in 0..self.number()? {
            let file: Arc<str> = Arc::from(self.str()?);
            for _ in 0..self.number()? {
                let report = &mut Report::new(&file, problems);
                match self.byte()? {
                    RULE => {
                        let head = self.head(&file, &tags)?;
                        let tree = self.tree(&tests)?;
                        builder.add_compiled(head, tree, report);
                    }
                    _ => builder.add_document(&self.node()?, report),
                }
            }
        }
        self.0.is_empty().then_some(())
    }

    /// A test, whose fields have these numbers.
    fn test(&mut self, fields: &[u32]) -> Option<Test> {
        Some(match self.number()? {
            0 => {
                let (left, right) = (*fields.get(self.number()?)?, *fields.get(self.number()?)?);
                let place = *[Place::Whole, Place::Start, Place::End, Place::Anywhere]
                    .get(usize::from(self.byte()?))?;
                Test::Reference { left, right, likeness: Likeness { place, cased: self.byte()? != 0 } }
            }
            field => Test::Value { field: *fields.get(field - 1)?, matcher: self.matcher()? },
        })
    }

    fn matcher(&mut self) -> Option<Matcher> {
        Some(match self.byte()? {
            b'e' => Matcher::Exists,
            kind @ (b'p' | b'P') => Matcher::Text(Pattern { form: self.form()?, cased: kind == b'P' }),
            b'i' => Matcher::Number(Number::Integer(i64::from_le_bytes(self.array()?))),
            b'f' => Matcher::Number(Number::Float(f64::from_le_bytes(self.array()?))),
            b'b' => Matcher::Bool(self.byte()? != 0),
            b'<' => {
                const ALL: [Comparison; 4] =
                    [Comparison::Lt, Comparison::Lte, Comparison::Gt, Comparison::Gte];
                let number = f64::from_le_bytes(self.array()?);
                Matcher::Compare(*ALL.get(usize::from(self.byte()?))?, number)
            }
            b'c' => {
                let v4 = self.list(|reader| {
                    Some((u32::from_le_bytes(reader.array()?), u32::from_le_bytes(reader.array()?)))
                })?;
                let v6 = self.list(|reader| {
                    Some((u128::from_le_bytes(reader.array()?), u128::from_le_bytes(reader.array()?)))
                })?;
                Matcher::Cidr(Networks { v4, v6 })
            }
            b'r' => {
                let flags = self.byte()?;
                let flags = Flags {
                    ignore_case: flags & 1 != 0,
                    multi_line: flags & 2 != 0,
                    dot_all: flags & 4 != 0,
                };
                let source = self.str()?;
                let needed = self.list(|reader| Some(reader.text()?.into()))?;
                Matcher::Expression(Expression::with_needed(source.into(), flags, needed))
            }
            b't' => {
                const ALL: [TimePart; 6] = [
                    TimePart::Minute,
                    TimePart::Hour,
                    TimePart::Day,
                    TimePart::Week,
                    TimePart::Month,
                    TimePart::Year,
                ];
                let number = i64::from_le_bytes(self.array()?);
                Matcher::Time(*ALL.get(usize::from(self.byte()?))?, number)
            }
            _ => return None,
        })
    }

    fn form(&mut self) -> Option<Form> {
        if self.0.first() == Some(&b'+') {
            self.byte()?;
            let forms = self.list(Self::one_form)?;
            let needed = self.list(|reader| Some(reader.text()?.into()))?;
            return Some(Form::AnyOf(forms.into(), needed.into()));
        }
        self.one_form()
    }

    /// A form that is no list of forms.
    fn one_form(&mut self) -> Option<Form> {
        Some(match self.byte()? {
            b'*' => Form::Anything,
            b'=' => Form::Exact(self.text()?.into()),
            b'^' => Form::Prefix(self.text()?.into()),
            b'$' => Form::Suffix(self.text()?.into()),
            b'~' => Form::Contains(self.text()?.into()),
            b'|' => Form::OneOf(self.list(|reader| Some(reader.text()?.into()))?.into()),
            b'.' => {
                let steps = self.list(|reader| {
                    Some(match reader.byte()? {
                        b'.' => Step::Byte(reader.byte()?),
                        b'*' => Step::Any,
                        _ => Step::One,
                    })
                })?;
                Form::Steps(steps.into())
            }
            _ => return None,
        })
    }

    /// A tree, whose tests have these numbers.
    fn tree(&mut self, tests: &[u32]) -> Option<Tree> {
        let operations = self.list(|reader| {
            let number = reader.number()?;
            let bit = number & 2 != 0;
            Some(if number & 1 == 0 {
                Operation::Test { predicate: *tests.get(number >> 2)?, negated: bit }
            } else {
                Operation::Group { all: bit, end: u32::try_from(number >> 2).ok()? }
            })
        })?;
        Some(Tree(operations))
    }

    fn head(&mut self, file: &Arc<str>, known: &[&'static str]) -> Option<Rule> {
        let line = u32::try_from(self.number()?).ok()?;
        let id = self.str()?.into();
        let name = Some(self.str()?).filter(|name| !name.is_empty()).map(Into::into);
        let title = self.str()?.into();
        let (_, level) = *Severity::NAMES.get(usize::from(self.byte()?))?;
        let tags = self.list(|reader| Some((*known.get(reader.number()?)?).into()))?;
        Some(Rule { id, name, title, level, tags, file: Arc::clone(file), line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::RULES;
    use crate::detect::RuleSet;
    use crate::yaml;
    use proptest::prelude::*;

    /// One item of each kind, and a correlation.
    const ITEMS: &[&str] = &[
        "a|exists: false",
        "a: null",
        "a: [x, y, '*z', 'p*', '*c*', 'c*c', 'c?', '*']",
        "a|cased: [X, Y]",
        "a|contains: [one, two, twos]",
        "a: 1",
        "a: -1.5",
        "a: true",
        "a|gte: 10",
        "a|lt: 0.5",
        "a|cidr: [10.0.0.0/8, 192.0.2.7, '2001:db8::/32']",
        "a|re: '^x(y|z)$'",
        "a|re|i|m|s: nmap",
        "a|month: 12",
        "a|fieldref: b",
        "a|fieldref|endswith|cased: b",
        "a|base64offset|contains: secret",
    ];

    fn documents(item: &str) -> Vec<Node> {
        yaml::parse(&format!(
            "title: t\nname: first\nid: i\nlevel: high\ntags: [attack.t1, audit.exec]\n\
             logsource: {{product: kubernetes, service: audit}}\n\
             detection: {{one: {{{item}}}, two: {{verb: get}}, condition: one and not two}}\n---\n\
             title: c\nid: j\ndescription: d\ncorrelation: {{type: event_count, rules: [first], group-by: ['x.y'], \
             timespan: 5m, condition: {{gte: 3}}}}\n"
        ))
        .unwrap()
    }

    #[test]
    fn rules_come_back_as_they_were_written_down() {
        for item in ITEMS {
            let mut problems = Problems::default();
            let documents = documents(item);
            let mut read = RuleSet::builder(Vec::new());
            read.add_documents(&Arc::from("f"), &documents, &mut problems);
            let bytes = builtin(&[("f".to_owned(), documents)], &mut problems);
            let mut back = RuleSet::builder(Vec::new());
            Written(bytes.leak()).add_to(&mut back, &mut problems);
            assert!(problems.as_slice().is_empty(), "{item}: {:?}", problems.as_slice());
            let tests = |builder: &RuleSetBuilder| {
                let mut writer = Writer::default();
                let (names, tests) = builder.builder.fields_and_tests();
                writer.texts(&names);
                tests.iter().for_each(|test| writer.test(test));
                writer.tree(builder.builder.operations_of(0));
                writer.0
            };
            assert_eq!(tests(&back), tests(&read), "{item}");
            let (back, read) = (back.finish(&mut problems), read.finish(&mut problems));
            assert_eq!(back.rules(), read.rules(), "{item}");
            assert_eq!(back.correlations(), read.correlations());
            assert!(problems.as_slice().is_empty(), "{item}: {:?}", problems.as_slice());
        }
    }

    #[test]
    fn a_test_that_a_users_rule_has_in_common_with_a_built_in_one_is_one_test() {
        let mut problems = Problems::default();
        let mut builder = RuleSet::builder(Vec::new());
        RuleSet::add_builtin(&mut builder, &mut problems);
        let count = |builder: &RuleSetBuilder| builder.builder.fields_and_tests().1.len();
        let before = count(&builder);
        let rule = "title: t\nid: i\nlogsource: {product: kubernetes, service: audit}\n\
                    detection: {one: {verb: create, objectRef.resource: pods}, condition: one}\n";
        builder.add(&Arc::from("f"), rule, &mut problems);
        assert!(problems.as_slice().is_empty(), "{:?}", problems.as_slice());
        assert_eq!(count(&builder), before);
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_reported_or_read_but_never_panic(
            at in 0..RULES.len(),
            byte: u8,
            end in 0..RULES.len(),
            whole: bool,
        ) {
            let mut bytes = RULES.to_vec();
            bytes[at] = byte;
            if !whole {
                bytes.truncate(end);
            }
            let mut problems = Problems::default();
            let mut builder = RuleSet::builder(Vec::new());
            Written(bytes.leak()).add_to(&mut builder, &mut problems);
            prop_assert!(whole || problems.has_errors());
            let _ = builder.finish(&mut problems);
        }
    }
}

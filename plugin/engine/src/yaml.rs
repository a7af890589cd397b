//! YAML with line numbers: what policies, rules and the configuration are read from.
//!
//! The syntax is read by `saphyr-parser`; this module gives a plain tree in which every node knows its
//! line, so that every mistake can be pointed at. Scalars are resolved as YAML 1.1 (`yes`, `off` …), as
//! kube-apiserver's reader (go-yaml v2 under sigs.k8s.io/yaml) and PyYAML, Sigma's, resolve them.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

/// How deep a file may nest; real ones stay below 20. Nodes are dropped by recursion, on an operand stack of 8 KiB.
const MAX_DEPTH: usize = 32;

/// How many nodes a file may have once its aliases are written out. An alias of aliases doubles with
/// each line ("billion laughs"); the largest real rule collections stay far below.
const MAX_NODES: usize = 1 << 20;

/// A node and the line it starts at.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The line, from 1.
    pub line: u32,
    /// What stands there.
    pub value: Value,
}

/// The three kinds of node.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A scalar, not yet resolved.
    Scalar(Scalar),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping in its order, duplicate keys included, merge keys (`<<`) already merged.
    Mapping(Vec<(Node, Node)>),
}

/// A scalar as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The text, after unquoting and folding.
    pub text: String,
    /// Whether it had neither quotes nor a block indicator: only such a scalar can be other than a string.
    pub plain: bool,
    /// The suffix of an explicit core tag, such as `str` for `!!str`.
    pub tag: Option<String>,
}

/// What a scalar means in YAML 1.1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved<'a> {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean, `yes`/`no` and `on`/`off` among them.
    Bool(bool),
    /// An integer in decimal, hexadecimal, octal or binary.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Str(&'a str),
}

/// A syntax error and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

impl Scalar {
    /// What the scalar means.
    #[must_use]
    pub fn resolve(&self) -> Resolved<'_> {
        if !self.plain && self.tag.is_none() || self.tag.as_deref() == Some("str") {
            return Resolved::Str(&self.text);
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
                Resolved::Bool(true)
            }
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
                Resolved::Bool(false)
            }
            text => resolve_number(text).unwrap_or(Resolved::Str(text)),
        }
    }
}

fn resolve_number(text: &str) -> Option<Resolved<'_>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            let infinity = if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
            return Some(Resolved::Float(infinity));
        }
        ".nan" | ".NaN" | ".NAN" => return Some(Resolved::Float(f64::NAN)),
        _ => {}
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let digits = unsigned.replace('_', "");
    let integer = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2)
    } else if let Some(octal) =
        digits.strip_prefix("0o").or(digits.strip_prefix('0').filter(|rest| !rest.is_empty()))
    {
        i64::from_str_radix(octal, 8)
    } else {
        digits.parse()
    };
    let negative = text.starts_with('-');
    if let Ok(integer) = integer {
        return Some(Resolved::Int(if negative { -integer } else { integer }));
    }
    // Rust reads "inf" and "nan" as well, which the check for a leading digit has excluded.
    let float: f64 = digits.parse().ok()?;
    Some(Resolved::Float(if negative { -float } else { float }))
}

impl Node {
    /// The scalar, if the node is one.
    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        if let Value::Scalar(scalar) = &self.value { Some(scalar) } else { None }
    }

    /// The string, if the node is a scalar that means one.
    #[must_use]
    pub fn str(&self) -> Option<&str> {
        match self.scalar()?.resolve() {
            Resolved::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the node is a null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.resolve() == Resolved::Null)
    }

    /// The value of a mapping's last member of that name, as decoders that let the last win see it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        let Value::Mapping(members) = &self.value else { return None };
        members
            .iter()
            .rev()
            .find(|(key, _)| key.scalar().is_some_and(|key| key.text == name))
            .map(|(_, value)| value)
    }

    /// What the node is, for messages: "a mapping", "a list", "the number 4", "the string \"x\"".
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => "null".to_owned(),
                Resolved::Bool(_) => format!("the boolean {}", scalar.text),
                Resolved::Int(_) | Resolved::Float(_) => format!("the number {}", scalar.text),
                Resolved::Str(text) => format!("the string {text:?}"),
            },
        }
    }
}

/// Parses a stream of YAML documents. An empty stream gives none; an empty document a null.
///
/// # Errors
/// Bad syntax, an alias without its anchor, nesting deeper than 32, or more than a million nodes.
pub fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|e| SyntaxError { line: line(e.marker().line()), message: e.info().to_owned() })?;
        let line = line(span.start.line());
        builder.event(event, line).map_err(|message| SyntaxError { line, message })?;
    }
    Ok(builder.documents)
}

fn line(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// A collection whose end has not been seen.
struct Open {
    anchor: usize,
    line: u32,
    mapping: bool,
    /// A mapping's keys and values in turn.
    children: Vec<Node>,
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, line: u32) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let tag =
                    tag.as_deref().filter(|tag| Tag::is_yaml_core_schema(tag)).map(|tag| tag.suffix.clone());
                let value = Value::Scalar(Scalar { text: text.into_owned(), plain, tag });
                self.add(Node { line, value }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, line, false),
            Event::MappingStart(anchor, _) => self.open(anchor, line, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, line, mapping, children }) = self.open.pop() else { return Ok(()) };
                let value =
                    if mapping { Value::Mapping(pair_up(children)?) } else { Value::Sequence(children) };
                self.add(Node { line, value }, anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err("an alias refers to an anchor that is not complete yet".to_owned());
                };
                let (nodes, height) = measure(node);
                if self.nodes + nodes > MAX_NODES {
                    return Err(format!("aliases make more than {MAX_NODES} nodes of the file"));
                }
                if self.open.len() + height > MAX_DEPTH {
                    return Err(format!("aliases nest deeper than {MAX_DEPTH} levels"));
                }
                self.nodes += nodes;
                let mut node = node.clone();
                node.line = line;
                self.add(node, 0)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, line: u32, mapping: bool) -> Result<(), String> {
        if self.open.len() == MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.open.push(Open { anchor, line, mapping, children: Vec::new() });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("more than {MAX_NODES} nodes"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.documents.push(node),
        }
        Ok(())
    }
}

/// How many nodes a tree has, and how many levels of collections.
fn measure(node: &Node) -> (usize, usize) {
    let (mut nodes, mut height) = (0, 0);
    let mut pending = vec![(node, 1)];
    while let Some((node, level)) = pending.pop() {
        nodes += 1;
        match &node.value {
            Value::Scalar(_) => continue,
            Value::Sequence(items) => pending.extend(items.iter().map(|item| (item, level + 1))),
            Value::Mapping(members) => {
                pending
                    .extend(members.iter().flat_map(|(key, value)| [(key, level + 1), (value, level + 1)]));
            }
        }
        height = height.max(level);
    }
    (nodes, height)
}

/// Makes members of keys and values in turn, with what merge keys bring where they stand.
fn pair_up(children: Vec<Node>) -> Result<Vec<(Node, Node)>, String> {
    let mut members = Vec::with_capacity(children.len() / 2);
    let mut merged = Vec::new();
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        let is_merge = key.scalar().is_some_and(|key| key.plain && key.text == "<<");
        match value.value {
            Value::Mapping(inherited) if is_merge => merged.extend(inherited),
            Value::Sequence(sources) if is_merge => {
                for source in sources {
                    let Value::Mapping(inherited) = source.value else {
                        return Err("a merge key (<<) takes mappings only".to_owned());
                    };
                    merged.extend(inherited);
                }
            }
            Value::Scalar(_) if is_merge => return Err("a merge key (<<) takes mappings only".to_owned()),
            value_of => members.push((key, Node { line: value.line, value: value_of })),
        }
    }
    for (key, value) in merged {
        if !members.iter().any(|(own, _): &(Node, Node)| own.value == key.value) {
            members.push((key, value));
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        parse(text).unwrap().into_iter().next().unwrap()
    }

    #[test]
    fn scalars_are_resolved_as_yaml_1_1() {
        for (text, expected) in [
            ("yes", Resolved::Bool(true)),
            ("Off", Resolved::Bool(false)),
            ("\"yes\"", Resolved::Str("yes")),
            ("!!str yes", Resolved::Str("yes")),
            ("~", Resolved::Null),
            ("''", Resolved::Str("")),
            ("12", Resolved::Int(12)),
            ("-0x1f", Resolved::Int(-31)),
            ("0b101", Resolved::Int(5)),
            ("017", Resolved::Int(15)),
            ("1_000", Resolved::Int(1000)),
            ("1.5e3", Resolved::Float(1500.0)),
            ("-.inf", Resolved::Float(f64::NEG_INFINITY)),
            ("1.2.3", Resolved::Str("1.2.3")),
            ("10.0.0.0/8", Resolved::Str("10.0.0.0/8")),
            ("nano", Resolved::Str("nano")),
            ("-a", Resolved::Str("-a")),
        ] {
            let node = one(&format!("k: {text}\n"));
            assert_eq!(node.get("k").unwrap().scalar().unwrap().resolve(), expected, "{text}");
        }
    }

    #[test]
    fn every_node_knows_its_line() {
        let node = one("a: 1\nb:\n  - x\n  - y: z\n");
        let list = node.get("b").unwrap();
        let Value::Sequence(items) = &list.value else { panic!("{list:?}") };
        assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn documents_comments_and_json_are_read() {
        assert_eq!(parse("# nothing\n").unwrap().len(), 0);
        assert_eq!(parse("a: 1\n---\nb: 2\n").unwrap().len(), 2);
        assert_eq!(one("{\"a\": [1, \"b\"]}").get("a").unwrap().describe(), "a list");
        assert_eq!(one("a: 1\r\nb: two\r\n").get("b").unwrap().str(), Some("two"));
    }

    #[test]
    fn aliases_and_merge_keys_are_written_out() {
        let node = one("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n");
        let used = node.get("use").unwrap();
        assert_eq!(used.get("x").unwrap().describe(), "the number 1");
        assert_eq!(used.get("y").unwrap().describe(), "the number 3");
    }

    #[test]
    fn what_would_exhaust_memory_or_stack_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let previous = format!("*a{}, ", n - 1).repeat(10);
            bomb.push_str(&format!("a{n}: &a{n} [{previous}]\n"));
        }
        assert!(parse(&bomb).unwrap_err().message.contains("nodes"));
        let mut chain = "a0: &a0 [x]\n".to_owned();
        for n in 1..100 {
            chain.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
        }
        assert!(parse(&chain).unwrap_err().message.contains("deeper"));
        assert!(parse(&"[".repeat(5000)).is_err());
        assert!(parse(&"- ".repeat(5000)).is_err());
    }

    #[test]
    fn syntax_errors_name_their_line() {
        assert_eq!(parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err().line, 3);
        assert!(parse("a: *nowhere\n").is_err());
    }
}

//! The built-in rules, as `build.rs` has parsed them.

use crate::yaml::{Node, Scalar, Value};

include!(concat!(env!("OUT_DIR"), "/builtin_rules.rs"));

/// The documents of each file of built-in rules, under a name to call the file by. They are without what only people
/// read, and so without lines, too.
pub(super) fn files() -> impl Iterator<Item = (&'static str, Vec<Node>)> {
    let texts: Vec<&str> = TEXTS.split('\u{1f}').collect();
    FILES.iter().map(move |&(file, nodes)| (file, documents(nodes, &texts)))
}

/// Makes trees of nodes that stand after what they are made of.
fn documents(nodes: &[u16], texts: &[&str]) -> Vec<Node> {
    let mut made: Vec<Node> = Vec::new();
    for node in nodes {
        let number = usize::from(node & 0x3fff);
        let value = match node >> 14 {
            kind @ (0 | 1) => {
                let text = texts.get(number).copied().unwrap_or_default().to_owned();
                Value::Scalar(Scalar { text, plain: kind == 0, tag: None })
            }
            2 => Value::Sequence(made.split_off(made.len().saturating_sub(number))),
            _ => {
                let mut of = made.split_off(made.len().saturating_sub(2 * number)).into_iter();
                let mut members = Vec::with_capacity(number);
                while let (Some(key), Some(value)) = (of.next(), of.next()) {
                    members.push((key, value));
                }
                Value::Mapping(members)
            }
        };
        made.push(Node { line: 1, value });
    }
    made
}

//! The condition of a rule: `selection and not 1 of filter_*`.
//!
//! Read with two stacks instead of recursion, since the module's own stack is small.

use super::compile::{Builder, NodeId};
use super::pattern::{Pattern, parse_wildcards};

/// How many selections and operators a condition may have; SigmaHQ's longest has fewer than 50.
const MAX_TOKENS: usize = 1000;

/// How deep brackets and negations may nest.
const MAX_NESTING: usize = 64;

/// The selections of a rule by name, in their order.
#[derive(Debug, Default)]
pub(crate) struct Selections {
    list: Vec<Selection>,
}

#[derive(Debug)]
struct Selection {
    name: String,
    line: u32,
    node: NodeId,
    used: bool,
}

impl Selections {
    pub(crate) fn add(&mut self, name: String, line: u32, node: NodeId) {
        self.list.push(Selection { name, line, node, used: false });
    }

    /// The names and lines of those that no condition has named, in their order.
    pub(crate) fn unused(&self) -> impl Iterator<Item = (&str, u32)> {
        self.list.iter().filter(|selection| !selection.used).map(|one| (one.name.as_str(), one.line))
    }

    fn named(&mut self, name: &str) -> Option<NodeId> {
        let selection = self.list.iter_mut().find(|selection| selection.name == name)?;
        selection.used = true;
        Some(selection.node)
    }

    /// All that a pattern names; those that start with an underscore only where the pattern does.
    fn matching(&mut self, pattern: &str) -> Vec<NodeId> {
        let any = Pattern::new(parse_wildcards(if pattern == "them" { "*" } else { pattern }), true);
        let with_underscore = pattern.starts_with('_');
        let mut nodes = Vec::new();
        for selection in &mut self.list {
            if any.is_match(selection.name.as_bytes())
                && (with_underscore || !selection.name.starts_with('_'))
            {
                selection.used = true;
                nodes.push(selection.node);
            }
        }
        nodes
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.list.iter().map(|selection| selection.name.as_str()).collect();
        names.join(", ")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Not,
    Bracket,
}

/// Compiles a condition over these selections. The error names the offending word.
pub(crate) fn compile(
    builder: &mut Builder,
    condition: &str,
    selections: &mut Selections,
) -> Result<NodeId, String> {
    if condition.contains('|') {
        return Err("aggregations after \"|\" are no longer part of Sigma; write a correlation".to_owned());
    }
    let mut parser = Parser { builder, operands: Vec::new(), operators: Vec::new() };
    let mut words = words(condition);
    if words.len() > MAX_TOKENS {
        return Err(format!("the condition has more than {MAX_TOKENS} words; split the rule"));
    }
    words.reverse();
    let mut after_operand = false;
    while let Some(word) = words.pop() {
        let lower = word.to_ascii_lowercase();
        match (lower.as_str(), after_operand) {
            ("and", true) => parser.binary(Operator::And),
            ("or", true) => parser.binary(Operator::Or),
            (")", true) => {
                parser.close()?;
                continue;
            }
            ("not", false) => parser.prefix(Operator::Not)?,
            ("(", false) => parser.prefix(Operator::Bracket)?,
            (_, true) => {
                return Err(format!("expected \"and\", \"or\" or the end before {word:?}"));
            }
            ("and" | "or" | ")", false) => {
                return Err(format!("expected a selection before {word:?}"));
            }
            (quantifier @ ("1" | "any" | "all"), false)
                if words.last().is_some_and(|next| next.eq_ignore_ascii_case("of")) =>
            {
                words.pop();
                let pattern = words.pop().unwrap_or_default();
                let nodes = selections.matching(pattern);
                if nodes.is_empty() {
                    return Err(format!(
                        "no selection is named like {pattern:?}; there are: {}",
                        selections.names()
                    ));
                }
                let node =
                    if quantifier == "all" { parser.builder.all(nodes) } else { parser.builder.any(nodes) };
                parser.operands.push(node);
                after_operand = true;
                continue;
            }
            (_, false) => {
                let Some(node) = selections.named(word) else {
                    let remedy =
                        if words.last() == Some(&"of") { "; write 1 of, any of or all of" } else { "" };
                    return Err(format!(
                        "no selection is named {word:?}; there are: {}{remedy}",
                        selections.names()
                    ));
                };
                parser.operands.push(node);
                after_operand = true;
                continue;
            }
        }
        after_operand = false;
    }
    if !after_operand {
        return Err("the condition ends where a selection is expected".to_owned());
    }
    parser.finish()
}

fn words(condition: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for run in condition.split_whitespace() {
        let mut rest = run;
        while let Some(at) = rest.find(['(', ')']) {
            let (word, from_bracket) = rest.split_at(at);
            let (bracket, after) = from_bracket.split_at(1);
            words.extend((!word.is_empty()).then_some(word));
            words.push(bracket);
            rest = after;
        }
        words.extend((!rest.is_empty()).then_some(rest));
    }
    words
}

struct Parser<'b> {
    builder: &'b mut Builder,
    operands: Vec<NodeId>,
    operators: Vec<Operator>,
}

impl Parser<'_> {
    fn prefix(&mut self, operator: Operator) -> Result<(), String> {
        self.operators.push(operator);
        if self.operators.len() > MAX_NESTING {
            return Err(format!("the condition nests deeper than {MAX_NESTING} levels"));
        }
        Ok(())
    }

    /// Applies what binds at least as tightly, then waits for the right-hand side.
    fn binary(&mut self, operator: Operator) {
        while let Some(&top) = self.operators.last() {
            let binds_tighter = match top {
                Operator::Bracket => false,
                Operator::Not | Operator::And => true,
                Operator::Or => operator == Operator::Or,
            };
            if !binds_tighter {
                break;
            }
            self.operators.pop();
            self.apply(top);
        }
        self.operators.push(operator);
    }

    fn close(&mut self) -> Result<(), String> {
        loop {
            match self.operators.pop() {
                Some(Operator::Bracket) => return Ok(()),
                Some(operator) => self.apply(operator),
                None => return Err("a closing bracket has no opening one".to_owned()),
            }
        }
    }

    fn finish(mut self) -> Result<NodeId, String> {
        while let Some(operator) = self.operators.pop() {
            if operator == Operator::Bracket {
                return Err("an opening bracket has no closing one".to_owned());
            }
            self.apply(operator);
        }
        self.operands.pop().ok_or_else(|| "the condition is empty".to_owned())
    }

    fn apply(&mut self, operator: Operator) {
        let Some(right) = self.operands.pop() else { return };
        let node = match operator {
            Operator::Not => self.builder.not(right),
            Operator::And | Operator::Or => {
                let Some(left) = self.operands.pop() else { return };
                if operator == Operator::And {
                    self.builder.all(vec![left, right])
                } else {
                    self.builder.any(vec![left, right])
                }
            }
            Operator::Bracket => right,
        };
        self.operands.push(node);
    }
}

//! Sentences that can be told in another language: a template, and what goes into it.
//!
//! In Rust they read as English. As JSON they keep their parts, `["kept at {} {}", "Metadata", […]]`: the page looks the
//! template up in `plugin/browser/page/src/zh.json`, which has each that [`said!`] makes.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::text::printable;

/// A sentence, or a part of one, in a form that gives no orders to a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// English; each `{}` stands for a part.
    template: Cow<'static, str>,
    parts: Vec<Part>,
}

/// What stands in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Part {
    /// What the event, the configuration or the policy says: the same in all languages.
    Text(String),
    /// What the filter says.
    Said(Said),
}

impl Said {
    pub(crate) fn new(template: &'static str, parts: Vec<Part>) -> Self {
        Self { template: template.into(), parts }
    }

    /// A name of the filter's, such as a scope's, or a rule's title.
    pub(crate) fn name(name: &str) -> Self {
        Self { template: printable(name).into_owned().into(), parts: Vec::new() }
    }
}

/// `said!("by rule {} at line {}", 3, 41)`
macro_rules! said {
    ($template:literal $(, $part:expr)* $(,)?) => {
        $crate::said::Said::new($template, vec![$($crate::said::Part::from($part)),*])
    };
}
pub(crate) use said;

impl From<Said> for Part {
    fn from(said: Said) -> Self {
        Self::Said(said)
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::Text(printable(text).into_owned())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name of which nothing is known may have braces.
        if self.parts.is_empty() {
            return f.write_str(&self.template);
        }
        let mut parts = self.parts.iter();
        for (index, piece) in self.template.split("{}").enumerate() {
            if index > 0
                && let Some(part) = parts.next()
            {
                part.fmt(f)?;
            }
            f.write_str(piece)?;
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Said(said) => said.fmt(f),
        }
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Element<'s> {
            Template(&'s str),
            Part(&'s Part),
        }
        let template = std::iter::once(Element::Template(&self.template));
        serializer.collect_seq(template.chain(self.parts.iter().map(Element::Part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_reads_as_english_and_keeps_its_parts() {
        let by = said!("by rule {} of {}", "3", "{}.yaml");
        let said = said!("{} ({}): dropped {}", "ja\u{1b}ne", Said::name("user"), by);
        assert_eq!(said.to_string(), "ja\u{fffd}ne (user): dropped by rule 3 of {}.yaml");
        let json = serde_json::to_string(&said).unwrap();
        assert_eq!(json, r#"["{} ({}): dropped {}","ja�ne",["user"],["by rule {} of {}","3","{}.yaml"]]"#);
        assert_eq!(Said::name("{} of {}").to_string(), "{} of {}");
    }
}

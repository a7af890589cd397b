//! The filter's configuration, `audit-filter.yaml`: read once at start, from files that a host provides.
//!
//! Every key is optional and an unknown key is an error, because a misspelt one would silently filter
//! otherwise than its author believes. Paths are relative to the file and stay beneath its directory: a
//! collector gives the module that directory and nothing else.

use crate::problem::{Problem, Problems};
use crate::yaml::{self, Node, Resolved, Value};
use std::sync::Arc;

/// The name under which [`Files`] gives the configuration.
pub const FILE_NAME: &str = "audit-filter.yaml";

/// The name under which [`Files`] gives a plain audit policy that overrides the configuration's.
pub const POLICY_FILE_NAME: &str = "audit-policy.yaml";

/// The files that a configuration is made of, as a host has them.
///
/// Paths are relative to the configuration's directory, with forward slashes, without `..`.
pub trait Files {
    /// A file's contents, or none where there is no such file.
    ///
    /// # Errors
    /// Why a file that exists cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String>;

    /// The names in a directory, sorted, or none where there is no such directory. The empty path is the
    /// configuration's own directory.
    ///
    /// # Errors
    /// Why a directory that exists cannot be listed.
    fn list(&self, path: &str) -> Result<Option<Vec<String>>, String>;

    /// What to call a file in messages.
    fn display(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// No files at all: the built-in defaults apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn list(&self, _: &str) -> Result<Option<Vec<String>>, String> {
        Ok(None)
    }
}

/// A configuration, read and found usable.
#[derive(Debug)]
pub struct Config {
    pub(crate) omit_response_codes: Vec<i64>,
    pub(crate) output_key: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { omit_response_codes: Vec::new(), output_key: "audit".to_owned() }
    }
}

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, unless there is an error among the problems.
    pub config: Option<Config>,
    /// Errors and warnings in the order in which they were found.
    pub problems: Vec<Problem>,
}

/// Reads [`FILE_NAME`] and [`POLICY_FILE_NAME`] and whatever they refer to. Defaults stand for what is absent.
#[must_use]
pub fn load(files: &dyn Files) -> Loaded {
    let mut reader = Reader { files, problems: Problems::default(), config: Config::default() };
    reader.read_configuration();
    let config = if reader.problems.has_errors() { None } else { Some(reader.config) };
    Loaded { config, problems: reader.problems.into_iter().collect() }
}

struct Reader<'f> {
    files: &'f dyn Files,
    problems: Problems,
    config: Config,
}

/// A node with the name of its file and the path that leads to it, for messages.
#[derive(Clone)]
struct Field<'n> {
    node: &'n Node,
    file: Arc<str>,
    path: String,
}

impl<'n> Field<'n> {
    fn child(&self, name: &str, node: &'n Node) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { node, file: Arc::clone(&self.file), path }
    }

    fn item(&self, index: usize, node: &'n Node) -> Self {
        Self { node, file: Arc::clone(&self.file), path: format!("{}[{index}]", self.path) }
    }
}

impl Reader<'_> {
    fn read_configuration(&mut self) {
        let file: Arc<str> = self.files.display(FILE_NAME).into();
        let Some(text) = self.read_text(FILE_NAME, &file, 0, "") else { return };
        let documents = match yaml::parse(&text) {
            Ok(documents) => documents,
            Err(error) => {
                return self.problems.error(&file, error.line, "", format!("not YAML: {}", error.message));
            }
        };
        match documents.as_slice() {
            [] => {}
            [document] if document.is_null() => {}
            [document] => self.configuration(&Field { node: document, file, path: String::new() }),
            [_, second, ..] => {
                self.problems.error(
                    &file,
                    second.line,
                    "",
                    "a configuration is one YAML document; remove the others",
                );
            }
        }
    }

    fn configuration(&mut self, root: &Field<'_>) {
        const KEYS: &[&str] = &["omitResponseCodes", "output"];
        for (key, field) in self.mapping(root, KEYS) {
            match key {
                "omitResponseCodes" => self.config.omit_response_codes = self.response_codes(&field),
                "output" => self.output(&field),
                _ => {}
            }
        }
    }

    fn response_codes(&mut self, field: &Field<'_>) -> Vec<i64> {
        let mut codes = Vec::new();
        for item in self.list(field) {
            match item.node.scalar().map(yaml::Scalar::resolve) {
                Some(Resolved::Int(code @ 100..=599)) => codes.push(code),
                _ => {
                    let message = format!(
                        "{} is no HTTP status code; write a number from 100 to 599",
                        item.node.describe()
                    );
                    self.error(&item, message);
                }
            }
        }
        codes
    }

    fn output(&mut self, field: &Field<'_>) {
        for (_, key) in self.mapping(field, &["key"]) {
            match key.node.str() {
                Some("") | None => {
                    self.error(&key, format!("expected a member name, found {}", key.node.describe()))
                }
                Some(name) if crate::record::Member::named(name).is_some() => {
                    self.error(
                        &key,
                        format!("{name:?} is a member of the audit event itself; choose another name"),
                    );
                }
                Some(name) => self.config.output_key = name.to_owned(),
            }
        }
    }

    /// The members of a mapping that has no other keys than `known`, each once. Reports the rest.
    fn mapping<'n>(&mut self, field: &Field<'n>, known: &[&'static str]) -> Vec<(&'static str, Field<'n>)> {
        let Value::Mapping(members) = &field.node.value else {
            if !field.node.is_null() {
                self.error(field, format!("expected a mapping, found {}", field.node.describe()));
            }
            return Vec::new();
        };
        let mut fields: Vec<(&'static str, Field<'n>)> = Vec::new();
        for (key, value) in members {
            let name = key.scalar().map_or("", |scalar| scalar.text.as_str());
            let here = Field { node: key, ..field.child(name, key) };
            match known.iter().find(|known| **known == name) {
                None => self.error(&here, format!("unknown key; known here: {}", known.join(", "))),
                Some(known) if fields.iter().any(|(seen, _)| seen == known) => {
                    self.error(&here, "given twice; keep one of them".to_owned());
                }
                Some(known) => fields.push((known, field.child(name, value))),
            }
        }
        fields
    }

    /// The items of a list; a null is an empty one.
    fn list<'n>(&mut self, field: &Field<'n>) -> Vec<Field<'n>> {
        match &field.node.value {
            Value::Sequence(items) => {
                items.iter().enumerate().map(|(index, item)| field.item(index, item)).collect()
            }
            _ if field.node.is_null() => Vec::new(),
            _ => {
                self.error(field, format!("expected a list, found {}", field.node.describe()));
                Vec::new()
            }
        }
    }

    /// A file's text, or none where it is missing (which is the caller's to judge) or unreadable (which is
    /// reported at `line` and `field`).
    fn read_text(&mut self, path: &str, file: &Arc<str>, line: u32, field: &str) -> Option<String> {
        match self.files.read(path) {
            Ok(None) => None,
            Ok(Some(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => Some(text),
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    let message = format!("{path} is not UTF-8 (byte {at}); save it as UTF-8");
                    self.problems.error(file, line, field, message);
                    None
                }
            },
            Err(why) => {
                self.problems.error(file, line, field, format!("{path}: {why}"));
                None
            }
        }
    }

    fn error(&mut self, field: &Field<'_>, message: String) {
        self.problems.error(&field.file, field.node.line, field.path.clone(), message);
    }
}

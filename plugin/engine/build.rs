//! Makes what the module carries of the built-in rules from `plugin/rules`: each `*.yml` but the test events beside
//! them.
//!
//! They are parsed here, so that no start has to, and without what only people read of them. A document becomes a
//! list of numbers, one for each node, children before their parents; `detect/builtin.rs` makes a tree of it again.

use std::path::PathBuf;
use std::{env, fs, io};

#[path = "src/yaml.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the engine's own reader, of which only the parser is needed here"
)]
mod yaml;

use yaml::{Node, Scalar, Value};

/// Members of a rule that the engine makes no use of.
const FOR_PEOPLE: &[&str] = &["related", "status", "description", "references", "falsepositives"];

/// Stands between texts and in none.
const SEPARATOR: &str = "\u{1f}";

// What a node is, in the upper bits of its number; the lower ones have its text, or how many children it has.
const PLAIN: u16 = 0;
const QUOTED: u16 = 1 << 14;
const SEQUENCE: u16 = 2 << 14;
const MAPPING: u16 = 3 << 14;

fn main() -> io::Result<()> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| not_set("CARGO_MANIFEST_DIR"))?;
    let directory = PathBuf::from(manifest).join("../rules").canonicalize()?;
    for path in [directory.as_path(), "build.rs".as_ref(), "src/yaml.rs".as_ref()] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yml") && !name.ends_with(".events.yml") {
            names.push(name);
        }
    }
    // The order of the rules is that of their files' names, whatever the file system's.
    names.sort();
    let mut texts = Vec::new();
    let mut files = String::new();
    for name in names {
        let fault = |message: String| io::Error::other(format!("plugin/rules/{name}: {message}"));
        let documents = yaml::parse(&fs::read_to_string(directory.join(&name))?)
            .map_err(|error| fault(format!("line {}: {}", error.line, error.message)))?;
        let mut nodes = Vec::new();
        for mut document in documents.into_iter().filter(|document| !document.is_null()) {
            if let Value::Mapping(members) = &mut document.value {
                members.retain(|(key, _)| !key.str().is_some_and(|key| FOR_PEOPLE.contains(&key)));
            }
            write(&document, &mut nodes, &mut texts).map_err(fault)?;
        }
        files += &format!("    ({:?}, &{nodes:?}),\n", format!("builtin/{name}"));
    }
    let list = format!(
        "/// The texts of the built-in rules, each once.\n\
         const TEXTS: &str = {:?};\n\n\
         /// The built-in rules: a name to call each file by, and the nodes of its documents.\n\
         const FILES: &[(&str, &[u16])] = &[\n{files}];\n",
        texts.join(SEPARATOR)
    );
    let out = env::var_os("OUT_DIR").ok_or_else(|| not_set("OUT_DIR"))?;
    fs::write(PathBuf::from(out).join("builtin_rules.rs"), list)
}

fn not_set(name: &str) -> io::Error {
    io::Error::other(format!("cargo sets {name}"))
}

/// Appends the numbers of a node and of what it is made of.
fn write(node: &Node, nodes: &mut Vec<u16>, texts: &mut Vec<String>) -> Result<(), String> {
    let (kind, number) = match &node.value {
        Value::Scalar(Scalar { tag: Some(_), .. }) => {
            return Err(format!("line {}: a tag, which is not provided for; leave it out", node.line));
        }
        Value::Scalar(Scalar { text, plain, .. }) => {
            if text.contains(SEPARATOR) {
                return Err(format!("line {}: a control character, which is not provided for", node.line));
            }
            let number = texts.iter().position(|known| known == text).unwrap_or(texts.len());
            if number == texts.len() {
                texts.push(text.clone());
            }
            (if *plain { PLAIN } else { QUOTED }, number)
        }
        Value::Sequence(items) => {
            for item in items {
                write(item, nodes, texts)?;
            }
            (SEQUENCE, items.len())
        }
        Value::Mapping(members) => {
            for (key, value) in members {
                write(key, nodes, texts)?;
                write(value, nodes, texts)?;
            }
            (MAPPING, members.len())
        }
    };
    let number = u16::try_from(number).ok().filter(|number| *number < QUOTED);
    nodes.push(kind | number.ok_or("more texts or members than there are numbers for")?);
    Ok(())
}

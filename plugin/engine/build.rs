//! Makes a list of the built-in rules from `plugin/rules`: each `*.yml` but the test events beside them.
//!
//! What only people read of a rule stays out of the module, and what many rules have is in it once: the text as
//! it is would be a third of the module's size.

use std::path::PathBuf;
use std::{env, fs, io};

/// Members of a rule that the engine makes no use of.
const FOR_PEOPLE: &[&str] = &["related", "status", "description", "references", "falsepositives"];

fn main() -> io::Result<()> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| not_set("CARGO_MANIFEST_DIR"))?;
    let directory = PathBuf::from(manifest).join("../rules").canonicalize()?;
    println!("cargo::rerun-if-changed={}", directory.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yml") && !name.ends_with(".events.yml") {
            names.push(name);
        }
    }
    // The order of the rules is that of their files' names, whatever the file system's.
    names.sort();
    // Rules are much alike: each of their lines is there once, and a rule is a list of lines.
    let mut lines: Vec<String> = Vec::new();
    let mut rules = String::new();
    for name in names {
        let mut numbers = Vec::new();
        for line in for_the_engine(&fs::read_to_string(directory.join(&name))?) {
            let number = lines.iter().position(|known| *known == line).unwrap_or(lines.len());
            if number == lines.len() {
                lines.push(line);
            }
            numbers.push(u16::try_from(number).map_err(io::Error::other)?);
        }
        rules += &format!("    ({:?}, &{numbers:?}),\n", format!("builtin/{name}"));
    }
    let lines = lines.join("\n");
    let list = format!(
        "/// The lines of the built-in rules, each once.\n\
         const BUILTIN_LINES: &str = {lines:?};\n\n\
         /// The built-in rules: a name to call each file by, and the numbers of its lines.\n\
         const BUILTIN: &[(&str, &[u16])] = &[\n{rules}];\n"
    );
    let out = env::var_os("OUT_DIR").ok_or_else(|| not_set("OUT_DIR"))?;
    fs::write(PathBuf::from(out).join("builtin_rules.rs"), list)
}

fn not_set(name: &str) -> io::Error {
    io::Error::other(format!("cargo sets {name}"))
}

/// The lines of a rule without comments, without the members that are for people, and with no more indentation than YAML
/// takes: these, too, are bytes of the module.
fn for_the_engine(rule: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut keep = true;
    // The columns in which the blocks around a line start, in the file and in what is kept of it.
    let mut blocks = vec![(0, 0)];
    for line in rule.lines() {
        if !line.starts_with([' ', '#']) {
            let member = line.split(':').next().unwrap_or_default();
            keep = !FOR_PEOPLE.contains(&member);
        }
        let text = line.trim_start();
        if !keep || text.is_empty() || text.starts_with('#') {
            continue;
        }
        let column = line.len() - text.len();
        while blocks.len() > 1 && blocks.last().is_some_and(|&(start, _)| start > column) {
            blocks.pop();
        }
        let (start, mut kept_column) = blocks.last().copied().unwrap_or_default();
        if column > start {
            // A list may start in the column of the member that it is the value of.
            kept_column += usize::from(!text.starts_with('-'));
            blocks.push((column, kept_column));
        }
        if text.starts_with("- ") {
            // What an element is made of stands in the column after the dash.
            blocks.push((column + 2, kept_column + 2));
        }
        kept.push(format!("{:kept_column$}{text}", ""));
    }
    kept
}

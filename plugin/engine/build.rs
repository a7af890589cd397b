//! Makes a list of the built-in rules from `plugin/rules`: each `*.yml` but the test events beside them.
//!
//! What only people read of a rule stays out of the module: it would be a third of its size.

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
    let mut list = String::from(
        "/// The built-in rules: a name to call each file by, and its text as far as it is for the engine.\n\
         const BUILTIN: &[(&str, &str)] = &[\n",
    );
    for name in names {
        let text = for_the_engine(&fs::read_to_string(directory.join(&name))?);
        list += &format!("    ({:?}, {text:?}),\n", format!("builtin/{name}"));
    }
    list += "];\n";
    let out = env::var_os("OUT_DIR").ok_or_else(|| not_set("OUT_DIR"))?;
    fs::write(PathBuf::from(out).join("builtin_rules.rs"), list)
}

fn not_set(name: &str) -> io::Error {
    io::Error::other(format!("cargo sets {name}"))
}

/// A rule without comments and without the members that are for people.
fn for_the_engine(rule: &str) -> String {
    let mut kept = String::new();
    let mut keep = true;
    for line in rule.lines() {
        if !line.starts_with([' ', '#']) {
            let member = line.split(':').next().unwrap_or_default();
            keep = !FOR_PEOPLE.contains(&member);
        }
        if keep && !line.trim_start().starts_with('#') {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

//! Reads what is built in, so that no start has to: compiles the rules in `plugin/rules`, each `*.yml` but the test events
//! beside them, and parses the default policy.
//!
//! All of it is done by the library's own modules, which therefore stand here as well. What they make of it is written down
//! by `detect/written.rs` and `written.rs`, and read by the same.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the library's own modules, of which only a part is needed"
)]

use std::path::PathBuf;
use std::{env, fs, io};

#[path = "src/buffer.rs"]
mod buffer;
#[path = "src/detect/mod.rs"]
mod detect;
#[path = "src/hash.rs"]
mod hash;
#[path = "src/json/mod.rs"]
mod json;
#[path = "src/normalize/mod.rs"]
mod normalize;
#[path = "src/policy/mod.rs"]
mod policy;
#[path = "src/problem.rs"]
mod problem;
#[path = "src/recent.rs"]
mod recent;
#[path = "src/record/mod.rs"]
mod record;
#[path = "src/sort.rs"]
mod sort;
#[path = "src/sorted.rs"]
mod sorted;
#[path = "src/written.rs"]
mod written;
#[path = "src/yaml.rs"]
mod yaml;

/// Nothing is built in yet.
mod builtin {
    pub(crate) const RULES: &[u8] = &[];
}

fn main() -> io::Result<()> {
    for path in ["build.rs", "src", "../rules", "../policies"] {
        println!("cargo::rerun-if-changed={path}");
    }
    write("rules", &rules()?)?;
    write("default_policy", &default_policy()?)
}

fn write(name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::write(variable("OUT_DIR")?.join(name), bytes)
}

/// A directory that cargo tells of.
fn variable(name: &str) -> io::Result<PathBuf> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("cargo sets {name}")))
}

/// The built-in rules, compiled.
fn rules() -> io::Result<Vec<u8>> {
    let directory = variable("CARGO_MANIFEST_DIR")?.join("../rules");
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yml") && !name.ends_with(".events.yml") {
            names.push(name);
        }
    }
    // The order of the rules is that of their files' names, whatever the file system's.
    names.sort();
    let mut files = Vec::new();
    for name in names {
        let documents = parse(&name, &fs::read_to_string(directory.join(&name))?)?;
        files.push((format!("builtin/{name}"), documents));
    }
    let mut problems = problem::Problems::default();
    let rules = detect::written(&files, &mut problems);
    match problems.into_iter().next() {
        None => Ok(rules),
        Some(problem) => Err(io::Error::other(problem.to_string())),
    }
}

/// The default policy, read as YAML.
fn default_policy() -> io::Result<Vec<u8>> {
    let text =
        policy::builtin(policy::DEFAULT).ok_or_else(|| io::Error::other("there is no default policy"))?;
    let documents = parse(policy::DEFAULT, text)?;
    let mut writer = written::Writer::default();
    documents.iter().for_each(|document| writer.node(document));
    Ok(writer.0)
}

fn parse(name: &str, text: &str) -> io::Result<Vec<yaml::Node>> {
    yaml::parse(text).map_err(|error| io::Error::other(format!("{name}:{}: {}", error.line, error.message)))
}

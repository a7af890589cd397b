//! Compiles the built-in rules from `plugin/rules`, each `*.yml` but the test events beside them, so that no start has to.
//!
//! Here is the library's own code, as far as rules are read with it. What it makes of them is written down by
//! `detect/written.rs`, and read by the same.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the library's own modules, of which only a part is needed"
)]

use std::path::PathBuf;
use std::{env, fs, io};

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
#[path = "src/yaml.rs"]
mod yaml;

/// Nothing is built in yet.
mod builtin {
    pub(crate) const RULES: &[u8] = &[];
}

fn main() -> io::Result<()> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| not_set("CARGO_MANIFEST_DIR"))?;
    let directory = PathBuf::from(manifest).join("../rules").canonicalize()?;
    for path in [directory.as_path(), "build.rs".as_ref(), "src".as_ref()] {
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
    let mut files = Vec::new();
    for name in names {
        let documents = yaml::parse(&fs::read_to_string(directory.join(&name))?).map_err(|error| {
            io::Error::other(format!("plugin/rules/{name}:{}: {}", error.line, error.message))
        })?;
        files.push((format!("builtin/{name}"), documents));
    }
    let mut problems = problem::Problems::default();
    let rules = detect::written(&files, &mut problems);
    if let Some(problem) = problems.into_iter().next() {
        return Err(io::Error::other(problem.to_string()));
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| not_set("OUT_DIR"))?;
    fs::write(PathBuf::from(out).join("rules"), rules)
}

fn not_set(name: &str) -> io::Error {
    io::Error::other(format!("cargo sets {name}"))
}

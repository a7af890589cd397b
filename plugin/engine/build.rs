//! Makes a list of the built-in rules from `plugin/rules`: each `*.yml` but the test events beside them.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules").canonicalize()?;
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
        "/// The built-in rules: a name to call each file by, and its text.\n\
         const BUILTIN: &[(&str, &str)] = &[\n",
    );
    for name in names {
        let path = directory.join(&name);
        list += &format!("    ({:?}, include_str!({path:?})),\n", format!("builtin/{name}"));
    }
    list += "];\n";
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(Path::new(&out).join("builtin_rules.rs"), list)
}

//! Finding and reading the module to run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Misconfigured;

/// Where `cargo xtask plugin` puts the module, beneath the target directory.
const IN_TARGET: &str = "plugin/audit_filter.wasm";

/// The module's name where it is installed beside this program.
const INSTALLED: &str = "audit_filter.wasm";

/// How many directories up from this program the target directory may be: it runs from `target/release`, its tests
/// from `target/release/deps`.
const LEVELS_TO_TARGET: usize = 3;

/// Reads the module to run: `chosen`, or else the one beside this program, in the target directory that this program
/// lies in, or in `target` beneath the current directory.
///
/// # Errors
/// [`Misconfigured`] where there is none.
pub fn read(chosen: Option<&Path>) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    let path = match chosen {
        Some(path) => path.to_owned(),
        None => find(&candidates(env::current_exe().ok().as_deref()))?,
    };
    let bytes = fs::read(&path)
        .with_context(|| Misconfigured(format!("cannot read the module {}", path.display())))?;
    Ok((path, bytes))
}

fn candidates(program: Option<&Path>) -> Vec<PathBuf> {
    let directories = || program.into_iter().flat_map(|program| program.ancestors().skip(1));
    let mut candidates: Vec<_> = directories().take(1).map(|directory| directory.join(INSTALLED)).collect();
    candidates.extend(directories().take(LEVELS_TO_TARGET).map(|directory| directory.join(IN_TARGET)));
    candidates.push(Path::new("target").join(IN_TARGET));
    candidates
}

fn find(candidates: &[PathBuf]) -> Result<PathBuf, Misconfigured> {
    candidates.iter().find(|candidate| candidate.is_file()).cloned().ok_or_else(|| {
        Misconfigured(
            "there is no module: build it with `cargo xtask plugin`, name one with --module FILE, or run the engine \
             itself with --engine native"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_looked_for_near_the_program() {
        let found = candidates(Some(Path::new("/src/target/release/host-harness")));
        let expected = [
            "/src/target/release/audit_filter.wasm",
            "/src/target/release/plugin/audit_filter.wasm",
            "/src/target/plugin/audit_filter.wasm",
            "/src/plugin/audit_filter.wasm",
            "target/plugin/audit_filter.wasm",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        assert_eq!(candidates(None), [PathBuf::from("target/plugin/audit_filter.wasm")]);
    }

    #[test]
    fn the_first_that_is_there_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let [absent, present, later] = ["a", "b", "c"].map(|name| directory.path().join(name));
        fs::write(&present, "").unwrap();
        fs::write(&later, "").unwrap();
        assert_eq!(find(&[absent.clone(), present.clone(), later]).unwrap(), present);
        let error = find(&[absent]).unwrap_err().to_string();
        assert!(error.contains("cargo xtask plugin") && error.contains("--module"), "{error}");
    }
}

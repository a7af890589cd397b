//! Finding what `cargo xtask` has built and this program needs, wherever this program lies.

use std::env;
use std::path::{Path, PathBuf};

use crate::exit::Misconfigured;

/// How many directories up from this program the target directory may be: it runs from `target/release`, its tests
/// from `target/release/deps`.
const LEVELS_TO_TARGET: usize = 3;

/// Something that is built.
#[derive(Debug)]
pub(crate) struct Artifact {
    /// Where `cargo xtask` puts it, beneath the target directory.
    pub(crate) in_target: &'static str,
    /// Its name where it is installed beside this program.
    pub(crate) installed: &'static str,
    /// That there is none, and what to do.
    pub(crate) missing: &'static str,
}

impl Artifact {
    /// Where it is: `chosen`, or else beside this program, in the target directory that this program lies in, or in
    /// `target` beneath the current directory.
    ///
    /// # Errors
    /// [`Misconfigured`] where there is none.
    pub(crate) fn find(&self, chosen: Option<&Path>) -> Result<PathBuf, Misconfigured> {
        match chosen {
            Some(path) => Ok(path.to_owned()),
            None => self.first_of(&self.candidates(env::current_exe().ok().as_deref())),
        }
    }

    fn candidates(&self, program: Option<&Path>) -> Vec<PathBuf> {
        let directories = || program.into_iter().flat_map(|program| program.ancestors().skip(1));
        let mut candidates: Vec<_> =
            directories().take(1).map(|directory| directory.join(self.installed)).collect();
        candidates
            .extend(directories().take(LEVELS_TO_TARGET).map(|directory| directory.join(self.in_target)));
        candidates.push(Path::new("target").join(self.in_target));
        candidates
    }

    fn first_of(&self, candidates: &[PathBuf]) -> Result<PathBuf, Misconfigured> {
        let found = candidates.iter().find(|candidate| candidate.is_file());
        found.cloned().ok_or_else(|| Misconfigured(self.missing.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MODULE: Artifact = Artifact {
        in_target: "plugin/audit_filter.wasm",
        installed: "audit_filter.wasm",
        missing: "there is no module",
    };

    #[test]
    fn it_is_looked_for_near_the_program() {
        let found = MODULE.candidates(Some(Path::new("/src/target/release/host-harness")));
        let expected = [
            "/src/target/release/audit_filter.wasm",
            "/src/target/release/plugin/audit_filter.wasm",
            "/src/target/plugin/audit_filter.wasm",
            "/src/plugin/audit_filter.wasm",
            "target/plugin/audit_filter.wasm",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        assert_eq!(MODULE.candidates(None), [PathBuf::from("target/plugin/audit_filter.wasm")]);
    }

    #[test]
    fn the_first_that_is_there_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let [absent, present, later] = ["a", "b", "c"].map(|name| directory.path().join(name));
        fs::write(&present, "").unwrap();
        fs::write(&later, "").unwrap();
        assert_eq!(MODULE.first_of(&[absent.clone(), present.clone(), later]).unwrap(), present);
        assert_eq!(MODULE.first_of(&[absent]).unwrap_err().to_string(), "there is no module");
    }
}

//! Finding and reading the module to run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::artifact::Artifact;
use crate::exit::Misconfigured;

const MODULE: Artifact = Artifact {
    in_target: "plugin/audit_filter.wasm",
    installed: "audit_filter.wasm",
    missing: "there is no module: build it with `cargo xtask plugin`, name one with --module FILE, or run the engine \
              itself with --engine native",
};

/// Reads the module to run: `chosen`, or else the one beside this program, in the target directory that this program
/// lies in, or in `target` beneath the current directory.
///
/// # Errors
/// [`Misconfigured`] where there is none.
pub fn read(chosen: Option<&Path>) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    let path = MODULE.find(chosen)?;
    let bytes = fs::read(&path)
        .with_context(|| Misconfigured(format!("cannot read the module {}", path.display())))?;
    Ok((path, bytes))
}

//! Finding and reading the module to run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::artifact::Artifact;
use crate::exit::Misconfigured;

/// The module's name, where `cargo xtask plugin` puts it and where it is installed beside this program.
pub const MODULE: &str = "audit_filter.wasm";

/// The component's name.
pub const COMPONENT: &str = "audit_filter.component.wasm";

const MODULE_ARTIFACT: Artifact = Artifact {
    in_target: "plugin/audit_filter.wasm",
    installed: MODULE,
    missing: "there is no module: build it with `cargo xtask plugin`, name one with --module FILE, or run the engine \
              itself with --engine native",
};

const COMPONENT_ARTIFACT: Artifact = Artifact {
    in_target: "plugin/audit_filter.component.wasm",
    installed: COMPONENT,
    missing: "there is no component: build it with `cargo xtask plugin`, or name one with --module FILE",
};

/// Reads the module to run: `chosen`, or else the one beside this program, in the target directory that this program
/// lies in, or in `target` beneath the current directory.
///
/// # Errors
/// [`Misconfigured`] where there is none.
pub fn read(chosen: Option<&Path>) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    read_artifact(&MODULE_ARTIFACT, chosen)
}

/// The same with the component.
///
/// # Errors
/// [`Misconfigured`] where there is none.
pub fn read_component(chosen: Option<&Path>) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    read_artifact(&COMPONENT_ARTIFACT, chosen)
}

fn read_artifact(artifact: &Artifact, chosen: Option<&Path>) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    let path = artifact.find(chosen)?;
    let bytes = fs::read(&path)
        .with_context(|| Misconfigured(format!("cannot read the module {}", path.display())))?;
    Ok((path, bytes))
}

//! The places in a checkout: where its root is, where results go, which files are its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Directories that are never sources, for checkouts that git cannot list.
const NO_SOURCES: [&str; 4] = [".git", ".cache", "target", "node_modules"];

/// The root of the checkout that cargo runs this program for, which need not be the one it was built from: checkouts
/// may share a target directory.
pub(crate) fn root() -> PathBuf {
    let xtask =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    xtask.parent().unwrap_or(&xtask).to_path_buf()
}

/// Where the finished modules go. Always in the checkout, whatever `CARGO_TARGET_DIR` says: configurations of
/// collectors and tests name this place.
pub(crate) fn plugin_directory(root: &Path) -> PathBuf {
    root.join("target/plugin")
}

/// Where cargo builds: `target`, unless the environment says otherwise.
pub(crate) fn target_directory(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Cargo's home: downloaded crates lie there.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// The checkout's own files, relative to `root` and sorted: what git tracks and what it would add. Without git (an
/// unpacked archive, a checkout of another user's), every file outside of the directories that hold no sources.
///
/// # Errors
///
/// Where neither git nor the file system can list the checkout.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = match files_git_knows(root) {
        Some(files) => files,
        None => files_found(root)?,
    };
    // Tracked, but deleted and not yet committed so.
    files.retain(|file| root.join(file).symlink_metadata().is_ok());
    files.sort();
    files.dedup();
    Ok(files)
}

fn files_git_knows(root: &Path) -> Option<Vec<PathBuf>> {
    // A checkout inside of somebody else's repository is not that repository's.
    if !root.join(".git").exists() {
        return None;
    }
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Some(names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned())).collect())
}

fn files_found(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
            let kind =
                entry.file_type().with_context(|| format!("cannot look at {}", entry.path().display()))?;
            if !kind.is_dir() {
                let path = entry.path();
                files.push(path.strip_prefix(root).unwrap_or(&path).to_path_buf());
            } else if !NO_SOURCES.iter().any(|name| entry.file_name() == *name) {
                directories.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// Writes `bytes` to `path` in one step, so that no reader sees half a file.
///
/// Returns whether the file changed: one that holds these bytes already keeps its time of modification.
///
/// # Errors
///
/// Where the file or its directory cannot be written.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, bytes).with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

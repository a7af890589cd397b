//! `cargo xtask plugin`: builds the modules that collectors load, into `target/plugin/`.
//!
//! ```text
//! plugin/fluent-bit ─▶ rustc, wasm-ld ─▶ reencode ─▶ compact ─▶ interpreted ─▶ verify ─▶ target/plugin/audit_filter.wasm
//! plugin/component ──▶ rustc, wasm-ld ─▶ componentize ───────▶ target/plugin/audit_filter.component.wasm
//! ```
//!
//! The same sources give the same bytes, in whatever directory they lie: paths of the machine are replaced at
//! compilation, the linker's custom sections are dropped, and [`check_reproducible`] proves it.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use wit_component::ComponentEncoder;

use crate::compact;
use crate::interpreted;
use crate::reencode::{self, STACK_POINTER};
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace;
use module_check as verify;

/// What `cargo xtask plugin --help` ends with.
pub(crate) const HELP: &str = "\
The compiler is rustup's with the target wasm32-unknown-unknown, added if missing, or else the
distribution's with the sources of its standard library, installed if missing, by root, on Debian.

Environment:
  AUDIT_FILTER_TOOLCHAIN  rustup or distribution: use this one and never the other

Examples:
  cargo xtask plugin
  AUDIT_FILTER_TOOLCHAIN=distribution cargo xtask plugin --check-reproducible";

/// Something to build.
struct Product {
    package: &'static str,
    /// What cargo calls its result.
    linked: &'static str,
    /// What we call ours.
    file: &'static str,
    /// Makes ours of cargo's, given the paths that must not be named in it.
    finish: fn(&[u8], &[PathBuf]) -> Result<Vec<u8>>,
}

/// The core module with Fluent Bit's ABI.
const CORE: Product = Product {
    package: "audit-filter-fluent-bit",
    linked: "audit_filter.wasm",
    file: "audit_filter.wasm",
    finish: finish_core,
};

/// The component.
const COMPONENT: Product = Product {
    package: "audit-filter-component",
    linked: "audit_filter_component.wasm",
    file: "audit_filter.component.wasm",
    finish: componentize,
};

fn finish_core(linked: &[u8], machine_paths: &[PathBuf]) -> Result<Vec<u8>> {
    let module = interpreted::rewrite(&compact::compact(&reencode::finish(linked)?)?)?;
    verify::check(&module, machine_paths)?;
    check_size(module.len())?;
    Ok(module)
}

/// The most that the core module may have: in base64 it has to leave room in a `ConfigMap`, which takes 1 MiB.
const MAX_CORE_BYTES: usize = 700 * 1024;

fn check_size(bytes: usize) -> Result<()> {
    ensure!(
        bytes <= MAX_CORE_BYTES,
        "it has {bytes} bytes, {} more than the {MAX_CORE_BYTES} with which it fits into a ConfigMap: see what was added \
         since it did, dependencies and generic code first",
        bytes - MAX_CORE_BYTES
    );
    Ok(())
}

/// Wraps the module that wit-bindgen has described in a component, which imports nothing.
fn componentize(linked: &[u8], machine_paths: &[PathBuf]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default().validate(true).module(linked)?.encode()?;
    verify::paths(&component, machine_paths)?;
    Ok(component)
}

/// The cargo profile of the modules, in the workspace's manifest.
const PROFILE: &str = "plugin";

/// Bytes for the stack in linear memory, which holds what has an address: buffers, arrays, structures passed by
/// reference. Nothing recurses over input, so that what the deepest chain of calls needs does not grow with an event.
/// The compiler's own choice is 1 MiB, and each instance would pay for it (before Fluent Bit 4.1, one for every chunk).
const STACK_SIZE: usize = 64 * 1024;

/// Builds the modules and says what came of it.
///
/// # Errors
///
/// Where no toolchain can be found, the build fails, or a module would not load in every host.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let _turn = take_turn(&root)?;
    let toolchain = Toolchain::find(&root)?;
    make(&CORE, &toolchain, &root)?;
    make(&COMPONENT, &toolchain, &root)?;
    Ok(())
}

/// Makes a product's file and returns its bytes.
fn make(product: &Product, toolchain: &Toolchain, root: &Path) -> Result<Vec<u8>> {
    let module = build(product, toolchain, root, &root.join("target/wasm"))?;
    let path = workspace::plugin_directory(root).join(product.file);
    let changed = workspace::write_if_changed(&path, &module)?;
    let news = if changed { "" } else { ", unchanged" };
    eprintln!("{}: {} bytes{news}, built with {}", path.display(), module.len(), toolchain.describe());
    Ok(module)
}

/// Builds the core module here and from a copy of the sources elsewhere, with nothing kept from earlier builds there.
///
/// # Errors
///
/// Where the two modules differ, or for the reasons [`run`] has.
pub(crate) fn check_reproducible() -> Result<()> {
    let root = workspace::root();
    let _turn = take_turn(&root)?;
    let toolchain = Toolchain::find(&root)?;
    let here = make(&CORE, &toolchain, &root)?;

    let elsewhere = root.join("target/reproducible");
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere).with_context(|| format!("cannot delete {}", elsewhere.display()))?;
    }
    let copy = elsewhere.join("another checkout");
    copy_sources(&root, &copy)?;
    let there = build(&CORE, &toolchain, &copy, &elsewhere.join("intermediate"))?;

    if let Some(at) = first_difference(&here, &there) {
        // Both are kept for whoever looks for the reason.
        let (one, other) = (elsewhere.join("here.wasm"), elsewhere.join("there.wasm"));
        workspace::write_if_changed(&one, &here)?;
        workspace::write_if_changed(&other, &there)?;
        bail!(
            "the same sources gave different modules ({} and {} bytes, first difference at byte {at}): compare {} and {}",
            here.len(),
            there.len(),
            one.display(),
            other.display()
        );
    }
    fs::remove_dir_all(&elsewhere).with_context(|| format!("cannot delete {}", elsewhere.display()))?;
    eprintln!("reproducible: two builds in different directories gave the same {} bytes", here.len());
    Ok(())
}

/// Waits until no other process builds modules in this checkout; tests do, at the same time. The turn ends when the
/// file is dropped.
fn take_turn(root: &Path) -> Result<File> {
    let directory = workspace::plugin_directory(root);
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let path = directory.join(".lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("waiting for another build of the modules"),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Compiles, links and finishes a product; returns its bytes.
///
/// `root` is the checkout to build, `intermediate` where cargo may keep its files.
fn build(product: &Product, toolchain: &Toolchain, root: &Path, intermediate: &Path) -> Result<Vec<u8>> {
    let target_directory = intermediate.join(toolchain.directory_name());
    let mut crates = downloaded_crates();
    loop {
        compile(product, toolchain, root, &target_directory, &crates)?;
        // A first build on a machine may have made the directories whose names must not get into the module.
        let now = downloaded_crates();
        if now == crates {
            break;
        }
        crates = now;
    }
    let linked = target_directory.join(TARGET).join(PROFILE).join(product.linked);
    let linked = fs::read(&linked).with_context(|| format!("cannot read {}", linked.display()))?;
    let mut machine_paths = toolchain.library_paths();
    machine_paths.extend(crates);
    // Not the root itself, which may be short enough to occur in a rule: `/srv`.
    machine_paths.extend([root.join("plugin"), target_directory]);
    (product.finish)(&linked, &machine_paths).with_context(|| format!("cannot make {}", product.file))
}

fn compile(
    product: &Product,
    toolchain: &Toolchain,
    root: &Path,
    target_directory: &Path,
    crates: &[PathBuf],
) -> Result<()> {
    let mut command = toolchain.cargo();
    command
        .current_dir(root)
        .args(["build", "--package", product.package, "--profile", PROFILE])
        .args(toolchain.build_arguments())
        .arg("--target-dir")
        .arg(target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(toolchain, root, target_directory, crates)?);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "building {} for {TARGET} failed", product.package);
    Ok(())
}

/// The flags of rustc, in cargo's encoding that allows blanks in them.
fn rust_flags(
    toolchain: &Toolchain,
    root: &Path,
    target_directory: &Path,
    crates: &[PathBuf],
) -> Result<OsString> {
    let mut flags = vec![
        format!("-Clink-arg=-zstack-size={STACK_SIZE}"),
        // The stack lies below everything else, so that an overflow traps instead of writing into data.
        "-Clink-arg=--stack-first".to_owned(),
        "-Clink-arg=--gc-sections".to_owned(),
        "-Clink-arg=--strip-all".to_owned(),
        // Less inlining than at `opt-level = 2`: beyond this, frames grow, and the module.
        "-Cllvm-args=--inline-threshold=85".to_owned(),
        // What serves a processor and is a loss where each step is interpreted: loops that have a counter for each use they
        // make of theirs, and loops written out several times.
        "-Cllvm-args=--disable-lsr".to_owned(),
        "-Cllvm-args=--unroll-runtime=false".to_owned(),
        // For `reencode`, which finds the stack pointer by this and takes the export away again.
        format!("-Clink-arg=--export={STACK_POINTER}"),
    ];
    flags.extend(remap_flags(root, target_directory, crates)?);
    flags.extend(toolchain.rustc_arguments());
    Ok(OsString::from(flags.join("\u{1f}")))
}

/// The flags of rustc that keep the names of this machine's directories out of a module.
///
/// # Errors
///
/// Where a directory's name cannot be given to rustc.
pub(crate) fn remap_flags(root: &Path, target_directory: &Path, crates: &[PathBuf]) -> Result<Vec<String>> {
    // The last prefix that fits is the one that rustc takes: what lies inside of something else comes after it.
    let crate_prefixes = crates.iter().map(|directory| (directory.as_path(), "/crates"));
    let prefixes = [(root, "/audit-filter"), (target_directory, "/target")].into_iter().chain(crate_prefixes);
    prefixes
        .map(|(directory, name)| {
            let Some(directory) = directory.to_str() else {
                bail!("{} is not UTF-8: build in a directory whose name is", directory.display());
            };
            Ok(format!("--remap-path-prefix={directory}={name}"))
        })
        .collect()
}

/// The directories that cargo unpacks crates into: one for each registry, named after it.
pub(crate) fn downloaded_crates() -> Vec<PathBuf> {
    let Some(sources) = workspace::cargo_home().map(|home| home.join("registry/src")) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(sources) else { return Vec::new() };
    let mut directories: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    directories.sort();
    directories
}

fn copy_sources(root: &Path, copy: &Path) -> Result<()> {
    for file in workspace::files(root)? {
        let (from, to) = (root.join(&file), copy.join(&file));
        if !from.is_file() {
            continue;
        }
        if let Some(directory) = to.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
        fs::copy(&from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// The offset of the first byte that differs, or at which one ends before the other.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let common = one.iter().zip(other).take_while(|(left, right)| left == right).count();
    (common < one.len().max(other.len())).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::{check_size, first_difference};

    #[test]
    fn a_module_that_fits_into_no_config_map_is_refused() {
        assert!(check_size(716_800).is_ok());
        let error = check_size(716_900).unwrap_err().to_string();
        assert!(error.starts_with("it has 716900 bytes, 100 more than the 716800 "), "{error}");
    }

    #[test]
    fn the_first_difference_is_found() {
        for (one, other, expected) in [
            ("", "", None),
            ("abc", "abc", None),
            ("abc", "abd", Some(2)),
            ("ab", "abc", Some(2)),
            ("x", "", Some(0)),
        ] {
            assert_eq!(first_difference(one.as_bytes(), other.as_bytes()), expected, "{one:?} {other:?}");
        }
    }
}

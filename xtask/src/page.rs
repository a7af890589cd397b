//! `cargo xtask page`: builds the page that `host-harness report` puts reports into, into `target/page/`.
//!
//! ```text
//! plugin/browser ─▶ rustc ─▶ xtask/bindgen ─▶ target/page/engine ─┐
//! plugin/browser/page (TypeScript) ───────────────────────────────┴─▶ vite ─▶ target/page/audit-centre.html
//! ```
//!
//! The page is one file: everything that it needs is inside, and it may load nothing.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::plugin;
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace;

/// What `cargo xtask page --help` ends with.
pub(crate) const HELP: &str = "\
Takes Node.js from 20.19 on with npm, which fetches what package-lock.json names, and for --test Chromium.

Environment:
  CHROMIUM  the browser to test in, instead of /usr/bin/chromium

Examples:
  cargo xtask page
  cargo xtask page --test";

/// The package of the engine for browsers.
const PACKAGE: &str = "audit-filter-browser";

/// What the compiler calls its result.
const LINKED: &str = "audit_filter_browser.wasm";

/// The cargo profile, in the workspace's manifest.
const PROFILE: &str = "page";

/// Where the TypeScript is.
const SOURCES: &str = "plugin/browser/page";

/// Builds the page.
///
/// # Errors
///
/// Where a tool is missing or a step fails.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let module = compile(&Toolchain::find(&root)?, &root)?;
    bind(&root, &module)?;
    install(&root)?;
    npm(&root, &["run", "check"])?;
    npm(&root, &["run", "build"])?;
    let page = root.join("target/page/audit-centre.html");
    let bytes =
        fs::metadata(&page).with_context(|| format!("vite has not written {}", page.display()))?.len();
    eprintln!("{}: {bytes} bytes", page.display());
    Ok(())
}

/// Opens reports of the sample log in a browser and uses everything in them. Wants the page, and the command line in
/// `target/release`.
///
/// # Errors
///
/// Where a tool is missing or the page does not do what it should.
pub(crate) fn test() -> Result<()> {
    let root = workspace::root();
    install(&root)?;
    let host_harness = workspace::target_directory(&root).join("release/host-harness");
    ensure!(
        host_harness.exists(),
        "there is no {}: cargo build --release -p host-harness",
        host_harness.display()
    );
    let browser = env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    ensure!(
        Path::new(&browser).exists(),
        "there is no {}: apt-get install chromium, or name a browser in CHROMIUM",
        browser.display()
    );
    let mut command = npm_command(&root, &["test"]);
    let status = command.env("HOST_HARNESS", host_harness).env("CHROMIUM", browser).status();
    ensure!(status.context("cannot start npm")?.success(), "the page does not do what it should");
    Ok(())
}

/// Compiles the engine for browsers. Returns where the module is.
fn compile(toolchain: &Toolchain, root: &Path) -> Result<std::path::PathBuf> {
    let target_directory = root.join("target/wasm").join(toolchain.directory_name());
    let mut flags = plugin::remap_flags(root, &target_directory, &plugin::downloaded_crates())?;
    flags.extend(toolchain.rustc_arguments());
    let status = toolchain
        .cargo()
        .current_dir(root)
        .args(["build", "--package", PACKAGE, "--profile", PROFILE])
        .args(toolchain.build_arguments())
        .arg("--target-dir")
        .arg(&target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", OsString::from(flags.join("\u{1f}")))
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "building {PACKAGE} for {TARGET} failed");
    Ok(target_directory.join(TARGET).join(PROFILE).join(LINKED))
}

/// Writes the JavaScript through which the page calls the module.
fn bind(root: &Path, module: &Path) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["run", "--quiet", "--locked", "--manifest-path", "xtask/bindgen/Cargo.toml", "--target-dir"])
        .arg(root.join("target/bindgen"))
        .arg("--")
        .arg(module)
        .arg(root.join("target/page/engine"))
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "wasm-bindgen failed on {}", module.display());
    Ok(())
}

/// Fetches what the lock file names, unless it is there.
fn install(root: &Path) -> Result<()> {
    let sources = root.join(SOURCES);
    let time = |file: &str| fs::metadata(sources.join(file)).and_then(|metadata| metadata.modified()).ok();
    if time("node_modules/.package-lock.json") > time("package-lock.json") {
        return Ok(());
    }
    npm(root, &["ci"])
}

fn npm(root: &Path, arguments: &[&str]) -> Result<()> {
    let status = npm_command(root, arguments)
        .status()
        .context("cannot start npm: the page takes Node.js from 20.19 on, with npm")?;
    ensure!(status.success(), "`npm {}` failed in {SOURCES}", arguments.join(" "));
    Ok(())
}

fn npm_command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(root.join(SOURCES)).args(arguments);
    command
}

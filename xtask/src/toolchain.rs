//! Finds a Rust that can build for `wasm32-unknown-unknown`.
//!
//! Two are known, tried in this order:
//!
//! 1. **rustup's** active toolchain with the target's prebuilt standard library, added now if it is missing and
//!    rustup's server answers.
//! 2. **The distribution's** Rust in `/usr/bin`. Where it has no prebuilt library for the target, that is built with
//!    the module, from the distribution's own sources of it. On Debian, root gets missing packages installed.
//!
//! `AUDIT_FILTER_TOOLCHAIN` set to `rustup` or `distribution` asks for one and never takes the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};

use crate::process::{Outcome, clean_environment, run_within};
use crate::workspace;

/// What the modules are built for. The module asks WASI for what little it needs with imports of its own, so that it
/// needs neither WASI's C library nor a target that brings it.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Names the toolchain to use.
pub(crate) const CHOICE: &str = "AUDIT_FILTER_TOOLCHAIN";

/// The oldest Rust that builds the workspace, from its manifest.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Debian's packages: the compiler new enough for the workspace, the standard library's sources, the linker.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// A question to a compiler or to rustup takes milliseconds; a home directory on a slow network may add seconds.
const ASKING: Duration = Duration::from_secs(30);

/// The target's library is 20 MB; a server that drops packets would let rustup wait for minutes.
const DOWNLOADING: Duration = Duration::from_secs(90);

/// Packages come to some 200 MB.
const INSTALLING: Duration = Duration::from_secs(900);

/// How long a failed download is not tried again: tests build the module often.
const RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A compiler, its cargo, and where the standard library for [`TARGET`] comes from.
#[derive(Debug)]
pub(crate) struct Toolchain {
    origin: Origin,
    cargo: PathBuf,
    rustc: PathBuf,
    release: String,
    /// The commit the compiler was built from: prebuilt libraries name their source files `/rustc/<commit>/…`.
    commit: String,
    /// The standard library's sources, where they are installed.
    library: PathBuf,
    std: Std,
    /// Another linker than the compiler's own.
    linker: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Rustup,
    Distribution,
}

/// Where the standard library comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Std {
    Prebuilt,
    FromSource,
}

/// Why a toolchain cannot be used, for the middle of a sentence.
type Unusable = String;

impl Toolchain {
    /// Finds one, installing what is missing where that is possible.
    ///
    /// # Errors
    ///
    /// Where there is none: one message with the reason and the remedy for each.
    pub(crate) fn find(root: &Path) -> Result<Self> {
        let choice = std::env::var(CHOICE).unwrap_or_default();
        match choice.as_str() {
            "rustup" => {
                Self::of_rustup(root, true).or_else(|why| bail!("{}", missing(&[rustup_advice(&why)])))
            }
            "distribution" => {
                Self::of_distribution().or_else(|why| bail!("{}", missing(&[distribution_advice(&why)])))
            }
            "" => Self::of_rustup(root, false).or_else(|rustup| match Self::of_distribution() {
                Ok(toolchain) => {
                    eprintln!("rustup's Rust cannot be used: {rustup}; taking the distribution's");
                    Ok(toolchain)
                }
                Err(why) => bail!("{}", missing(&[rustup_advice(&rustup), distribution_advice(&why)])),
            }),
            other => bail!("{CHOICE} is `{other}`: it can be `rustup` or `distribution`"),
        }
    }

    /// A cargo command of this toolchain, in an environment that only this program decides about.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        clean_environment(&mut command);
        command.env("RUSTC", &self.rustc);
        if self.std == Std::FromSource {
            // Building the standard library is an unstable option, which only this variable opens on a release.
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    /// What `cargo build` needs to be told about the target and its standard library.
    pub(crate) fn build_arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["--target", TARGET];
        if self.std == Std::FromSource {
            arguments.push("-Zbuild-std=std,panic_abort");
        }
        arguments
    }

    /// What rustc needs to be told: the linker, and that files of the standard library are called what they are called
    /// in every build of it, wherever its sources lie here.
    pub(crate) fn rustc_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if let Some(linker) = &self.linker {
            arguments.push(format!("-Clinker={}", linker.display()));
        }
        for library in self.library_paths() {
            arguments.push(format!("--remap-path-prefix={}=/rustc/{}", library.display(), self.commit));
        }
        arguments
    }

    /// The directories that the standard library's sources may be called by.
    pub(crate) fn library_paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.library.clone()];
        // The distribution's is a symbolic link, and either end may become a file's name.
        paths.extend(fs::canonicalize(&self.library).ok().filter(|target| *target != self.library));
        paths
    }

    /// A directory name that keeps the two toolchains' intermediate files apart.
    pub(crate) fn directory_name(&self) -> &'static str {
        match self.origin {
            Origin::Rustup => "rustup",
            Origin::Distribution => "distribution",
        }
    }

    /// For people: whose it is, and which.
    pub(crate) fn describe(&self) -> String {
        let whose = match self.origin {
            Origin::Rustup => "rustup's",
            Origin::Distribution => "the distribution's",
        };
        let std = match self.std {
            Std::Prebuilt => "",
            Std::FromSource => ", standard library from source",
        };
        format!("{whose} Rust {}{std}", self.release)
    }

    /// rustup's active toolchain, with the target. `insist` tries a download that failed a short while ago again.
    fn of_rustup(root: &Path, insist: bool) -> Result<Self, Unusable> {
        let rustup = rustup_program();
        let which = |tool: &str| ask(Command::new(&rustup).args(["which", tool]).current_dir(root));
        let rustc = PathBuf::from(which("rustc").map_err(|why| format!("`rustup which rustc`: {why}"))?);
        let cargo = PathBuf::from(which("cargo").map_err(|why| format!("`rustup which cargo`: {why}"))?);
        let about = Compiler::ask(&rustc)?;
        if !about.has_target() {
            add_target(&rustup, root, insist)?;
        }
        Ok(Self {
            origin: Origin::Rustup,
            cargo,
            rustc,
            release: about.release,
            commit: about.commit,
            library: about.library,
            std: Std::Prebuilt,
            linker: None,
        })
    }

    /// The distribution's, after installing its packages where it has none and this is root's Debian.
    fn of_distribution() -> Result<Self, Unusable> {
        Self::installed_by_distribution().or_else(|why| {
            if !can_install() {
                return Err(why);
            }
            install_packages().map_err(|failure| format!("{why}, and {failure}"))?;
            Self::installed_by_distribution()
        })
    }

    fn installed_by_distribution() -> Result<Self, Unusable> {
        let (rustc, cargo) = (PathBuf::from("/usr/bin/rustc"), PathBuf::from("/usr/bin/cargo"));
        for tool in [&rustc, &cargo] {
            if !tool.exists() {
                return Err(format!("there is no {}", tool.display()));
            }
        }
        let about = Compiler::ask(&rustc)?;
        if version(&about.release) < version(OLDEST) {
            return Err(format!("{} is Rust {}, and {OLDEST} is needed", rustc.display(), about.release));
        }
        let std = if about.has_target() {
            Std::Prebuilt
        } else if about.library.join("library/std/Cargo.toml").exists() {
            Std::FromSource
        } else {
            return Err(format!(
                "{} has neither a standard library for {TARGET} nor its sources in {}",
                rustc.display(),
                about.library.display()
            ));
        };
        let linker = in_path("wasm-ld");
        if linker.is_none() && std == Std::FromSource {
            return Err("there is no wasm-ld".to_owned());
        }
        Ok(Self {
            origin: Origin::Distribution,
            cargo,
            rustc,
            release: about.release,
            commit: about.commit,
            library: about.library,
            std,
            linker,
        })
    }
}

/// What a compiler says about itself.
struct Compiler {
    release: String,
    commit: String,
    library: PathBuf,
    target_libraries: PathBuf,
}

impl Compiler {
    fn ask(rustc: &Path) -> Result<Self, Unusable> {
        let ask_rustc = |arguments: &[&str]| {
            let mut command = Command::new(rustc);
            clean_environment(&mut command);
            ask(command.args(arguments)).map_err(|why| format!("{}: {why}", rustc.display()))
        };
        let version = ask_rustc(&["-vV"])?;
        let field = |name: &str| {
            let value = version.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or("unknown").to_owned()
        };
        let sysroot = PathBuf::from(ask_rustc(&["--print", "sysroot"])?);
        Ok(Self {
            release: field("release"),
            commit: field("commit-hash"),
            library: sysroot.join("lib/rustlib/src/rust"),
            target_libraries: PathBuf::from(ask_rustc(&["--print", "target-libdir", "--target", TARGET])?),
        })
    }

    /// Whether the standard library for the target is there, prebuilt.
    fn has_target(&self) -> bool {
        fs::read_dir(&self.target_libraries)
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_std(&entry.path()))))
    }
}

fn is_std(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("libstd-") && name.ends_with(".rlib")
}

/// Runs a question and returns the answer without the end of its line.
fn ask(command: &mut Command) -> Result<String, Unusable> {
    // Asking must not install anything by itself, least of all without a limit on time.
    match run_within(ASKING, command.env("RUSTUP_AUTO_INSTALL", "0").env("RUST_BACKTRACE", "0")) {
        Outcome::Done(answer) => Ok(answer.trim_end().to_owned()),
        Outcome::Failed(why) => Err(why),
    }
}

fn rustup_program() -> PathBuf {
    let beside_cargo =
        || workspace::cargo_home().map(|home| home.join("bin/rustup")).filter(|file| file.exists());
    in_path("rustup").or_else(beside_cargo).unwrap_or_else(|| PathBuf::from("rustup"))
}

fn add_target(rustup: &Path, root: &Path, insist: bool) -> Result<(), Unusable> {
    let failed = workspace::plugin_directory(root).join(".rustup-failed");
    if !insist && happened_within(&failed, RETRY_AFTER) {
        return Err(format!(
            "adding {TARGET} failed less than an hour ago (delete {} to try again)",
            failed.display()
        ));
    }
    eprintln!("adding {TARGET} to rustup's toolchain");
    let mut command = Command::new(rustup);
    command.args(["target", "add", TARGET]).current_dir(root);
    match run_within(DOWNLOADING, command.env("RUST_BACKTRACE", "0").env("RUSTUP_AUTO_INSTALL", "0")) {
        Outcome::Done(_) => {
            // Nothing to delete is the usual case.
            let _ = fs::remove_file(&failed);
            Ok(())
        }
        Outcome::Failed(why) => {
            let why = ends_of(&why);
            // Without the note the next build tries again: slower, not wrong.
            let _ = fs::write(&failed, format!("{why}\n"));
            Err(format!("`rustup target add {TARGET}`: {why}"))
        }
    }
}

/// The first and the last link of a chain of causes: what was tried, and what stopped it.
fn ends_of(causes: &str) -> String {
    match (causes.split_once(": "), causes.rsplit_once(": ")) {
        (Some((first, _)), Some((_, last))) => format!("{first}: {last}"),
        _ => causes.to_owned(),
    }
}

fn happened_within(note: &Path, limit: Duration) -> bool {
    let written = fs::metadata(note).and_then(|metadata| metadata.modified());
    written.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age < limit))
}

/// Whether this is root on a machine with Debian's package manager.
fn can_install() -> bool {
    in_path("apt-get").is_some() && ask(Command::new("id").arg("-u")).is_ok_and(|user| user == "0")
}

fn install_packages() -> Result<(), Unusable> {
    eprintln!("installing Debian packages: {}", PACKAGES.join(" "));
    // Nothing is removed for them: they exclude the package of rustup, which somebody may be using.
    let mut install = vec!["-qq", "--yes", "--no-remove", "--no-install-recommends", "install"];
    install.extend(PACKAGES);
    for arguments in [vec!["-qq", "update"], install] {
        let mut command = Command::new("apt-get");
        command.args(&arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        if let Outcome::Failed(why) = run_within(INSTALLING, &mut command) {
            return Err(format!("`apt-get {}`: {why}", arguments.join(" ")));
        }
    }
    Ok(())
}

/// The first program of this name on the search path.
fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The numbers of a version, for comparison. What follows a `-` (a nightly's, a beta's mark) does not count.
fn version(text: &str) -> Vec<u32> {
    let numbers = text.split('-').next().unwrap_or_default();
    numbers.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

fn missing(advice: &[String]) -> String {
    let choice = match advice {
        [_] => format!("\n- or unset {CHOICE}, and whichever can be used is"),
        _ => String::new(),
    };
    format!("no Rust here builds for {TARGET}\n{}{choice}", advice.join("\n"))
}

fn rustup_advice(why: &str) -> String {
    format!("- with rustup: {why}\n  remedy: `rustup target add {TARGET}`, which needs its server")
}

fn distribution_advice(why: &str) -> String {
    let packages = PACKAGES.join(" ");
    format!(
        "- with the distribution's Rust, {OLDEST} or later: {why}\n  remedy: on Debian, `apt-get install {packages}`; \
         elsewhere rustc, cargo, the standard library for {TARGET} or its sources, and lld"
    )
}

#[cfg(test)]
mod tests {
    use super::{distribution_advice, ends_of, missing, rustup_advice, version};

    #[test]
    fn a_chain_of_causes_is_told_by_its_ends() {
        for (causes, expected) in [
            ("download failed: try again: 'http://x/y': client error: refused", "download failed: refused"),
            ("download failed: refused", "download failed: refused"),
            ("no end after 90 seconds", "no end after 90 seconds"),
        ] {
            assert_eq!(ends_of(causes), expected);
        }
    }

    #[test]
    fn versions_compare_by_number() {
        for (older, newer) in
            [("1.63.0", "1.95"), ("1.95", "1.95.0"), ("1.95.1-nightly", "1.100.0"), ("", "1.0")]
        {
            assert!(version(older) < version(newer), "{older} {newer}");
        }
        assert_eq!(version("1.96.0-beta.3"), version("1.96.0"));
    }

    #[test]
    fn the_message_names_both_remedies() {
        let message =
            missing(&[rustup_advice("no answer"), distribution_advice("there is no /usr/bin/rustc")]);
        for part in [
            "no answer",
            "there is no /usr/bin/rustc",
            "rustup target add wasm32-unknown-unknown",
            "apt-get install rustc-web cargo-web rust-web-src lld",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

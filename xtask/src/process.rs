//! Child processes: run with a limit on time, and without what cargo and rustup left in the environment.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a child with a deadline is looked at.
const POLL: Duration = Duration::from_millis(50);

/// What a child process said and how it ended.
pub(crate) enum Outcome {
    /// It ended with status 0; this is its standard output.
    Done(String),
    /// It could not be started, failed or was stopped; this says why, on one line.
    Failed(String),
}

/// Runs `command` silently for at most `limit`.
///
/// The reason for a failure is the first line on standard error that begins with `error` or `E:`, else the last.
pub(crate) fn run_within(limit: Duration, command: &mut Command) -> Outcome {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(format!("cannot start it: {error}")),
    };
    let stdout = child.stdout.take().map(read_aside);
    let stderr = child.stderr.take().map(read_aside);
    let deadline = Instant::now() + limit;
    let success = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            Ok(None) => {
                stop(&mut child);
                return Outcome::Failed(format!("no end after {} seconds", limit.as_secs()));
            }
            Err(error) => {
                stop(&mut child);
                return Outcome::Failed(error.to_string());
            }
        }
    };
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    if success { Outcome::Done(stdout) } else { Outcome::Failed(reason(&stderr)) }
}

/// Reads a pipe to its end on a thread of its own: a child blocks on a full one.
fn read_aside(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn stop(child: &mut Child) {
    // Both fail only when the child has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

fn reason(stderr: &str) -> String {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines.clone().find(|line| line.starts_with("error") || line.starts_with("E:"));
    let line = telling.or_else(|| lines.next_back()).unwrap_or("it said nothing");
    line.trim_start_matches("error:").trim_start_matches("E:").trim().to_owned()
}

/// Takes everything out of a child's environment that would change what a compiler does: `cargo xtask` runs under a
/// cargo, maybe rustup's, which names its own tools and libraries there, and the user may have flags for native builds.
///
/// What says how to reach a registry, how many jobs to run and where rustup and cargo live stays.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if changes_the_build(name) {
            command.env_remove(name);
        }
    }
}

fn changes_the_build(name: &str) -> bool {
    const STAYS: [&str; 10] = [
        "CARGO_HOME",
        "CARGO_BUILD_JOBS",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "RUSTUP_",
        "RUST_LOG",
    ];
    let ours = name.starts_with("CARGO") || name.starts_with("RUST") || name.starts_with("__CARGO");
    // Cargo lets the program it runs find the compiler's own libraries; another compiler must not find them.
    let libraries = name == "LD_LIBRARY_PATH" || name == "DYLD_FALLBACK_LIBRARY_PATH";
    libraries || name == "RUSTUP_TOOLCHAIN" || (ours && !STAYS.iter().any(|stay| name.starts_with(stay)))
}

#[cfg(test)]
mod tests {
    use super::{changes_the_build, reason};

    #[test]
    fn only_what_changes_the_build_leaves_the_environment() {
        for (name, leaves) in [
            ("CARGO", true),
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_BUILD_RUSTFLAGS", true),
            ("CARGO_PROFILE_PLUGIN_OPT_LEVEL", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", true),
            ("RUSTC", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTFLAGS", true),
            ("RUSTUP_TOOLCHAIN", true),
            ("LD_LIBRARY_PATH", true),
            ("CARGO_HOME", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_REGISTRIES_CRATES_IO_PROTOCOL", false),
            ("RUSTUP_HOME", false),
            ("RUSTUP_DIST_SERVER", false),
            ("HTTPS_PROXY", false),
            ("PATH", false),
        ] {
            assert_eq!(changes_the_build(name), leaves, "{name}");
        }
    }

    #[test]
    fn the_reason_is_the_telling_line() {
        for (stderr, expected) in [
            (
                "info: downloading\nerror: could not download\n\nCaused by:\n  0: no route\n",
                "could not download",
            ),
            ("E: Unable to locate package rustc-web\n", "Unable to locate package rustc-web"),
            ("first\nlast\n\n", "last"),
            ("", "it said nothing"),
        ] {
            assert_eq!(reason(stderr), expected, "{stderr:?}");
        }
    }
}

//! `cargo xtask ci`: every check, one after the other, until one fails.
//!
//! CI runs this and nothing else, so that what passes here passes there. A new check is a new row of [`STEPS`].

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{configs, fuzz, page, plugin, tidy};

/// What `cargo xtask ci --help` ends with.
pub(crate) const HELP: &str = "\
Each step says what it does and, at its end, how long it took; the first that fails is the last.

Example:
  cargo xtask ci";

/// One check.
struct Step {
    name: &'static str,
    action: Action,
}

enum Action {
    /// Cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// A task of this program.
    Task(fn() -> Result<()>),
}

/// The end-to-end tests run the module in Fluent Bit's runtime as well, which takes cmake and libclang.
const WITH_WAMR: &str = "--features=end-to-end-tests/wamr";

/// In the order in which a mistake shows soonest: what takes seconds comes first, and the tests, which run the finished
/// module through the finished command line, come after both are built.
const STEPS: [Step; 12] = [
    Step { name: "formatting", action: Action::Cargo(&["fmt", "--all", "--check"]) },
    Step {
        name: "lints",
        action: Action::Cargo(&["clippy", "--workspace", "--all-targets", WITH_WAMR, "--", "-D", "warnings"]),
    },
    Step {
        // Alone, so that no other member turns on a feature of a dependency that it forgot to ask for.
        name: "lints of the module's crate by itself",
        action: Action::Cargo(&["clippy", "--package", "audit-filter-fluent-bit", "--", "-D", "warnings"]),
    },
    Step {
        // Not compiled here: what VRL depends on would take as long as all the rest.
        name: "formatting of the script in VRL",
        action: Action::Cargo(&["fmt", "--manifest-path", "benches/vrl/Cargo.toml", "--check"]),
    },
    Step { name: "modules", action: Action::Task(plugin::run) },
    Step { name: "page", action: Action::Task(page::run) },
    Step {
        name: "command line",
        action: Action::Cargo(&["build", "--release", "--package", "host-harness"]),
    },
    Step { name: "tests", action: Action::Cargo(&["test", "--workspace", WITH_WAMR]) },
    Step { name: "page in a browser", action: Action::Task(page::test) },
    Step { name: "fuzzing", action: Action::Task(fuzz::run_shortly) },
    Step { name: "configurations", action: Action::Task(configs::run) },
    Step { name: "tidy", action: Action::Task(tidy::run) },
];

/// Runs every step.
///
/// # Errors
///
/// The first step that fails.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    for (index, step) in STEPS.iter().enumerate() {
        eprintln!("\n== {} of {}: {}", index + 1, STEPS.len(), step.name);
        let step_start = Instant::now();
        step.run().with_context(|| format!("step `{}` failed", step.name))?;
        eprintln!("== {}: passed in {:.1} s", step.name, step_start.elapsed().as_secs_f64());
    }
    eprintln!("\n== all {} steps passed in {:.1} s", STEPS.len(), start.elapsed().as_secs_f64());
    Ok(())
}

impl Step {
    fn run(&self) -> Result<()> {
        match self.action {
            Action::Task(task) => task(),
            Action::Cargo(arguments) => {
                let line = format!("cargo {}", arguments.join(" "));
                eprintln!("{line}");
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let status = Command::new(cargo)
                    .args(arguments)
                    .current_dir(crate::workspace::root())
                    .status()
                    .with_context(|| format!("cannot start `{line}`"))?;
                if !status.success() {
                    bail!("`{line}` ended with {status}");
                }
                Ok(())
            }
        }
    }
}

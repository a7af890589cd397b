//! What can be asked for on the command line, and how its end is told.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{bake, bench, check, compare, explain, follow, generate, report, run};
use crate::exit::ExitStatus;

/// Filters Kubernetes audit logs the way the WebAssembly module does in a collector.
///
/// What a person reads goes to stderr, what a program reads to stdout. The exit status is 0 for success, 1 for a
/// failure while working, and 2 for a wrong command line or configuration.
#[derive(Debug, Parser)]
#[command(
    name = "host-harness",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = "\
Examples:
  host-harness generate --events 10000 --seed 1 >audit.log
  host-harness run audit.log >kept.log
  host-harness follow /var/log/kubernetes.audit"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "each command has its help on its arguments, and this would take its place")]
pub enum Command {
    Run(run::Arguments),
    Explain(explain::Arguments),
    Check(check::Arguments),
    Compare(compare::Arguments),
    Report(report::Arguments),
    Follow(follow::Arguments),
    Generate(generate::Arguments),
    Bake(bake::Arguments),
    Bench(bench::Arguments),
}

/// What the filter is configured with.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigurationOptions {
    /// The filter's configuration, audit-filter.yaml by any name
    ///
    /// Without it the built-in defaults apply.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A Kubernetes audit policy that overrides the configuration's
    ///
    /// An audit.k8s.io Policy in YAML, as given to kube-apiserver with --audit-policy-file, or the name of a
    /// built-in one, such as ack-default.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// Which filter runs, and with what configuration: the options that all filtering commands have.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filter")]
pub struct FilterOptions {
    /// What it is configured with.
    #[command(flatten)]
    pub configuration: ConfigurationOptions,

    /// What runs the filter
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineName,

    /// The module or component to run instead of audit_filter.wasm
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,

    /// Run the component instead of the core module
    ///
    /// audit_filter.component.wasm, for whoever embeds the filter in a program of their own: the same answers through
    /// another interface.
    #[arg(long, conflicts_with = "module")]
    pub component: bool,

    /// Write a summary to FILE, in JSON
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
}

/// How a command that answers a question says what it has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// What runs the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum EngineName {
    /// The module, compiled to machine code by wasmtime
    #[default]
    Wasmtime,
    /// The module, interpreted by WAMR as in Fluent Bit; only in a program built with the feature "wamr"
    Wamr,
    /// The engine compiled into this program: no module, no sandbox
    Native,
}

/// Runs the command that the process's arguments ask for. Errors are said on stderr.
pub fn main() -> ExitStatus {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to stdout; nothing can be done where that is closed.
            let _ = error.print();
            return if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success };
        }
    };
    let done = match cli.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Follow(arguments) => follow::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Bake(arguments) => bake::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        let status = ExitStatus::of(&error);
        if status != ExitStatus::Success {
            crate::say(format_args!("{error:#}"));
        }
        status
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    /// One line, detail, examples: of every command and every option.
    #[test]
    fn everything_has_help() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no help");
            assert!(command.get_long_about().is_some(), "{name} has no long help");
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.starts_with("Examples:\n"), "{name} --help does not end in examples");
            assert!(examples.contains(&format!("host-harness {name}")), "{name} is in none of its examples");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name} {argument} has no help");
            }
        }
    }

    /// Examples that do not parse teach the wrong thing.
    #[test]
    fn examples_parse() {
        let mut all = Cli::command();
        let helps: Vec<String> = std::iter::once(&all)
            .chain(all.get_subcommands())
            .filter_map(clap::Command::get_after_help)
            .map(ToString::to_string)
            .collect();
        let mut parsed = 0;
        for line in helps.iter().flat_map(|help| help.lines()) {
            let Some((_, arguments)) = line.split_once("host-harness ") else { continue };
            let arguments = arguments.split(['|', '>', '#']).next().unwrap_or_default();
            let words = std::iter::once("host-harness").chain(arguments.split_whitespace());
            if let Err(error) = all.try_get_matches_from_mut(words) {
                panic!("{line}: {error}");
            }
            parsed += 1;
        }
        assert!(parsed > 3, "found {parsed} examples only");
    }
}

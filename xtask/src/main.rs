//! Build automation: everything that is more than one `cargo` command.
//!
//! Where things are:
//!
//! - [`plugin`] builds the WebAssembly module: [`toolchain`] finds a compiler that can, [`reencode`] turns what the
//!   linker wrote into what the hosts read, [`compact`] makes that shorter and [`interpreted`] faster, `module_check` checks the result against what they promise and demand
//! - [`fuzz`] looks for inputs that the engine does not take
//! - [`configs`] checks the configurations, dashboards and reports of `pipeline-configs`
//! - [`page`] builds the page of the reports, and tries it in a browser
//! - [`bench`] measures the filter beside what users would otherwise run
//! - [`ci`] runs every check, in the order in which a mistake shows soonest
//! - [`tidy`] checks what no compiler does: the texts, the links, the map in `ARCHITECTURE.md`
//! - [`workspace`] and [`process`] are what these share: the places in the checkout, child processes
//!
//! Everything printed is for people and goes to standard error. Exit status: 0 done, 1 a step failed, 2 wrong
//! command line.

mod bench;
mod ci;
mod compact;
mod configs;
mod demo;
mod fuzz;
mod interpreted;
mod page;
mod plugin;
mod process;
mod reencode;
mod tidy;
mod toolchain;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds and checks the audit filter.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Builds the WebAssembly module for Fluent Bit and the component, into target/plugin
    #[command(after_help = plugin::HELP)]
    Plugin {
        /// Build a second time, from a copy of the sources elsewhere, and fail unless every byte is the same
        #[arg(long)]
        check_reproducible: bool,
    },
    /// Builds the page that `host-harness report` puts reports into: target/page/audit-centre.html
    #[command(after_help = page::HELP)]
    Page {
        /// Instead, try the page that is there in a browser
        #[arg(long)]
        test: bool,
    },
    /// Builds everything and shows it on the sample log
    #[command(after_help = demo::HELP)]
    Demo,
    /// Looks for inputs that the engine does not take, for a time
    #[command(after_help = fuzz::HELP)]
    Fuzz {
        /// How long, for each target
        #[arg(long, value_name = "N", default_value_t = fuzz::DEFAULT_SECONDS)]
        seconds: u32,

        /// What to look at; all if none is named
        #[arg(value_enum, value_name = "TARGET")]
        targets: Vec<fuzz::Target>,
    },
    /// Checks the configurations, dashboards and reports: as text, in ClickHouse's engine, with the collectors found here
    #[command(after_help = configs::HELP)]
    Configs {
        /// Make the dashboards, SQL reports and alert rules anew, instead of checking
        #[arg(long)]
        write: bool,
    },
    /// Measures the filter beside what users would otherwise run
    #[command(after_help = bench::HELP)]
    Bench {
        /// Which part; all that can be run if none is named
        #[arg(value_enum, value_name = "PART")]
        part: Option<bench::Part>,

        /// The audit log to measure with, instead of a generated one
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,

        /// Fluent Bit's program, where it is not on the PATH
        #[arg(long, value_name = "PATH")]
        fluent_bit: Option<PathBuf>,
    },
    /// Runs what CI runs: formatting, lints, the module, the command line, all tests, fuzzing, configurations, tidy
    #[command(after_help = ci::HELP)]
    Ci,
    /// Checks what no compiler does: file openings, leftovers, sizes, links, the code map
    #[command(after_help = tidy::HELP)]
    Tidy,
}

fn main() -> ExitCode {
    let result = match CommandLine::parse().task {
        Task::Plugin { check_reproducible: false } => plugin::run(),
        Task::Plugin { check_reproducible: true } => plugin::check_reproducible(),
        Task::Page { test: false } => page::run(),
        Task::Page { test: true } => page::test(),
        Task::Demo => demo::run(),
        Task::Fuzz { seconds, targets } => fuzz::run(&targets, seconds),
        Task::Configs { write: false } => configs::run(),
        Task::Configs { write: true } => configs::write(),
        Task::Bench { part, log, fluent_bit } => bench::run(part, log.as_deref(), fluent_bit.as_deref()),
        Task::Ci => ci::run(),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_well_defined() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_task_has_an_example_in_its_help() {
        for task in CommandLine::command().get_subcommands() {
            let name = task.get_name();
            let help = task.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("cargo xtask {name}")), "{name}: {help:?}");
        }
    }
}

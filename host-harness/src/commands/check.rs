//! `host-harness check`: validates a configuration and says all that is wrong with it.

use std::io::{self, Write as _};

use anyhow::Context as _;
use audit_filter_engine::Config;
use audit_filter_engine::problem::{Problem, Severity};
use audit_filter_report::text::printable;
use clap::Args;

use crate::cli::{FilterOptions, Format};
use crate::configuration::{self, Checked};
use crate::exit::ExitStatus;
use crate::statistics::Statistics;

/// Files that the last line names; it counts the others.
const FILES_NAMED: usize = 4;

/// Validate a configuration: every problem with its file, line and remedy
///
/// Reads the configuration as the filter would and goes on after each mistake. Beside errors it warns of what is legal
/// but surely not meant: policy rules that are never reached, resources that do not exist, routes that nothing takes.
/// Rules are put to the test events beside them: those of rules/mine.yml to rules/mine.events.yml, which lists events
/// under "match" and "miss". Without --config and --policy it checks the built-in defaults.
///
/// Each problem is a line "file:line: severity: field: message" on stderr; the last line says what was checked. With
/// --format json the problems go to stdout as a list of objects. The exit status is 2 where there is an error; warnings
/// leave it at 0. Nothing is filtered, so --engine and --module make no difference.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness check --config audit-filter.yaml
  host-harness check --policy policy.yaml
  host-harness check --policy policy.yaml --format json | jq length")]
pub struct Arguments {
    /// How to say what is wrong: text on stderr, or json on stdout
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// What to check.
    #[command(flatten)]
    pub filter: FilterOptions,
}

/// Runs the command.
///
/// # Errors
/// [`Misconfigured`](crate::exit::Misconfigured) where a file that was named is not there.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let checked = configuration::check(&arguments.filter.configuration)?;
    match arguments.format {
        Format::Text => {
            let mut stderr = io::stderr().lock();
            for problem in &checked.problems {
                // That nobody reads it does not make the configuration better.
                let _ = writeln!(stderr, "{}", printable(&problem.to_string()));
            }
        }
        Format::Json => {
            let list: Vec<_> = checked.problems.iter().map(to_json).collect();
            let mut stdout = io::stdout().lock();
            serde_json::to_writer_pretty(&mut stdout, &list)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(stdout))
                .context("cannot write the problems")?;
        }
    }
    crate::say(summary(&checked));
    super::write_statistics(arguments.filter.stats.as_deref(), &Statistics::default())?;
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    Ok(if checked.problems.iter().any(is_error) { ExitStatus::Usage } else { ExitStatus::Success })
}

fn to_json(problem: &Problem) -> serde_json::Value {
    serde_json::json!({
        "severity": severity(problem),
        "file": &*problem.file,
        "line": problem.line,
        "field": problem.field,
        "message": problem.message,
    })
}

fn severity(problem: &Problem) -> &'static str {
    match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// What was checked, in one line: `checked a.yaml, p.yaml: 12 policy rules, 40 Sigma rules, 2 routes; 1 warning`.
fn summary(checked: &Checked) -> String {
    let count = |wanted| checked.problems.iter().filter(|problem| problem.severity == wanted).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let counts = match (errors, warnings) {
        (0, 0) => "no problems".to_owned(),
        (0, _) => number(warnings, "warning"),
        (_, 0) => number(errors, "error"),
        (_, _) => format!("{}, {}", number(errors, "error"), number(warnings, "warning")),
    };
    let mut what = checked.config.as_ref().map_or_else(|| "cannot be used".to_owned(), extent);
    if checked.cases > 0 {
        what += &format!(", {}", number(checked.cases, "test case"));
    }
    format!("checked {}: {what}; {counts}", files(&checked.files))
}

fn files(files: &[String]) -> String {
    match files {
        [] => "the built-in defaults".to_owned(),
        files => {
            let named = files.get(..FILES_NAMED).unwrap_or(files);
            match files.len() - named.len() {
                0 => named.join(", "),
                more => format!("{} and {more} more", named.join(", ")),
            }
        }
    }
}

fn extent(config: &Config) -> String {
    format!(
        "{}, {}, {}",
        number(config.policy().rules().len(), "policy rule"),
        number(config.rules().rules().len() + config.rules().correlations().len(), "Sigma rule"),
        number(config.routes().len(), "route"),
    )
}

/// `1 rule`, `2 rules`.
fn number(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use audit_filter_engine::problem::Problems;

    use super::*;

    #[test]
    fn the_last_line_counts() {
        for (errors, warnings, files, expected) in [
            (0, 0, 0, "checked the built-in defaults: cannot be used; no problems"),
            (1, 0, 1, "checked 0.yaml: cannot be used; 1 error"),
            (0, 2, 4, "checked 0.yaml, 1.yaml, 2.yaml, 3.yaml: cannot be used; 2 warnings"),
            (
                2,
                1,
                7,
                "checked 0.yaml, 1.yaml, 2.yaml, 3.yaml and 3 more: cannot be used; 2 errors, 1 warning",
            ),
        ] {
            let mut problems = Problems::default();
            let file = "a.yaml".into();
            (0..errors).for_each(|line| problems.error(&file, line, "", ""));
            (0..warnings).for_each(|line| problems.warning(&file, line, "", ""));
            let files = (0..files).map(|number| format!("{number}.yaml")).collect();
            let checked = Checked { problems: problems.into_iter().collect(), config: None, cases: 0, files };
            assert_eq!(summary(&checked), expected);
        }
    }
}

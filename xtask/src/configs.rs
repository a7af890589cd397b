//! `cargo xtask configs`: what stands in `pipeline-configs`, checked as far as this machine can.
//!
//! The checks are scripts in `xtask/configs`, because what they ask is theirs: ClickHouse's engine is a Python package,
//! Grafana's grammar and types are npm's. This module brings both into `target/configs`, at the versions that
//! `requirements.txt` and `package.json` name, filters the sample log, and runs the scripts one after the other.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{plugin, workspace};

/// What `cargo xtask configs --help` ends with.
pub(crate) const HELP: &str = "\
Needs Python 3.11 with pip, and Node.js 20 with npm; what else it needs it puts into target/configs. Collectors, kubectl
and amtool are asked where they are on the PATH; where not, it says so.

Examples:
  cargo xtask configs
  cargo xtask configs --write   after a change of pipeline-configs/grafana/panels.toml or the alert rules";

const SAMPLE: &str = "tests/fixtures/sample-audit.jsonl";
const CONFIGURATION: &str = "pipeline-configs/audit-filter.yaml";

/// The scripts, in the order in which a mistake shows soonest, and what each takes behind the checkout.
const SCRIPTS: [(&str, &[Argument]); 6] = [
    ("dashboards.py", &[]),
    ("alerts.py", &[]),
    ("collectors.py", &[Argument::Module]),
    ("kubernetes.py", &[Argument::NodeModules]),
    ("grafana.mjs", &[Argument::NodeModules]),
    ("reports.py", &[Argument::Kept, Argument::Examples]),
];

#[derive(Clone, Copy)]
enum Argument {
    /// The module, `audit_filter.wasm`.
    Module,
    /// What npm has installed.
    NodeModules,
    /// The filtered sample log.
    Kept,
    /// The filtered test events of the built-in rules.
    Examples,
}

/// Runs every check.
///
/// # Errors
///
/// Where a script's needs cannot be installed, the sample log not be filtered, or a check finds something.
pub(crate) fn run() -> Result<()> {
    let place = Place::new()?;
    place.install()?;
    let module = workspace::plugin_directory(&place.root).join("audit_filter.wasm");
    if !module.exists() {
        plugin::run()?;
    }
    place.check_filter_configurations()?;
    let kept = place.filter(Path::new(CONFIGURATION), Path::new(SAMPLE), "kept.jsonl")?;
    let examples = place.filter_examples()?;
    for (script, arguments) in SCRIPTS {
        let arguments = arguments.iter().map(|argument| match argument {
            Argument::Module => module.clone(),
            Argument::NodeModules => place.directory.join("node_modules"),
            Argument::Kept => kept.clone(),
            Argument::Examples => examples.clone(),
        });
        place.script(script, arguments)?;
    }
    Ok(())
}

/// Makes anew what is made from other files: dashboards, SQL reports, alert rules.
///
/// # Errors
///
/// Where the files they are made from cannot be read, or they cannot be written.
pub(crate) fn write() -> Result<()> {
    let place = Place::new()?;
    place.install()?;
    place.script("dashboards.py", [PathBuf::from("--write")])?;
    place.script("alerts.py", [PathBuf::from("--write")])
}

/// Where the checks run.
struct Place {
    root: PathBuf,
    /// `target/configs`: what pip and npm install, and the filtered log.
    directory: PathBuf,
}

impl Place {
    fn new() -> Result<Self> {
        let root = workspace::root();
        let directory = root.join("target/configs");
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(Self { root, directory })
    }

    /// Brings what the scripts need, unless it is there.
    fn install(&self) -> Result<()> {
        // Into a directory of their own: a virtual environment takes a package that Debian keeps apart.
        self.once("requirements.txt", |list| {
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--upgrade",
            ]);
            pip.arg("--target").arg(self.directory.join("python")).arg("--requirement").arg(list);
            pip
        })?;
        self.once("package.json", |_| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"]);
            npm.current_dir(&self.directory);
            npm
        })
    }

    /// Copies a list of packages to `target/configs` and runs what `installer` makes of it, unless the same list is
    /// there from a time when that succeeded.
    fn once(&self, list: &str, installer: impl FnOnce(&Path) -> Command) -> Result<()> {
        let wanted = self.root.join("xtask/configs").join(list);
        let wanted = fs::read(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
        let (copy, done) = (self.directory.join(list), self.directory.join(format!("{list}.installed")));
        if fs::read(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        fs::write(&copy, &wanted).with_context(|| format!("cannot write {}", copy.display()))?;
        run_command(&mut installer(&copy))?;
        fs::write(&done, &wanted).with_context(|| format!("cannot write {}", done.display()))
    }

    /// A log as the filter leaves it, in a file of this name.
    fn filter(&self, configuration: &Path, log: &Path, name: &str) -> Result<PathBuf> {
        let kept = self.directory.join(name);
        let output = fs::File::create(&kept).with_context(|| format!("cannot create {}", kept.display()))?;
        let mut command = self.host_harness();
        command.args(["run", "--engine", "native", "--config"]).arg(configuration).arg(log);
        run_command(command.stdout(output).stderr(Stdio::null()))?;
        Ok(kept)
    }

    /// The test events of the built-in rules, as the configuration of the alerts leaves them.
    fn filter_examples(&self) -> Result<PathBuf> {
        let [log, configuration] =
            ["examples.jsonl", "examples-audit-filter.yaml"].map(|name| self.directory.join(name));
        self.script("examples.py", [log.clone(), configuration.clone()])?;
        self.filter(&configuration, &log, "examples-kept.jsonl")
    }

    /// Has `host-harness check` read every configuration of the filter.
    fn check_filter_configurations(&self) -> Result<()> {
        let all = workspace::files(&self.root)?;
        let configurations = all.iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.starts_with("pipeline-configs") && name.ends_with("audit-filter.yaml")
        });
        let mut count = 0;
        for path in configurations {
            run_command(self.host_harness().args(["check", "--config"]).arg(path).stderr(Stdio::null()))
                .with_context(|| format!("see `host-harness check --config {}`", path.display()))?;
            count += 1;
        }
        ensure!(count > 0, "there is no configuration of the filter in pipeline-configs");
        eprintln!("{count} configurations of the filter");
        Ok(())
    }

    fn host_harness(&self) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--quiet", "--package", "host-harness", "--"]).current_dir(&self.root);
        command
    }

    /// Runs a script on the checkout.
    fn script(&self, name: &str, arguments: impl IntoIterator<Item = PathBuf>) -> Result<()> {
        let path = self.root.join("xtask/configs").join(name);
        let interpreter = if path.extension() == Some(OsStr::new("mjs")) { "node" } else { "python3" };
        let mut command = Command::new(interpreter);
        command.arg(&path).arg(&self.root).args(arguments);
        command.env("PYTHONPATH", self.directory.join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
        run_command(&mut command)
    }
}

fn run_command(command: &mut Command) -> Result<()> {
    let line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let status = command.status().with_context(|| {
        format!("cannot start `{line}`: Python 3.11 with pip and Node.js 20 with npm must be on the PATH")
    })?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

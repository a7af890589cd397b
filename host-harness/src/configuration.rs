//! The filter's configuration, from the command line's options: read once, for whichever host runs the filter.
//!
//! The engine reads it here first, so that a person is told what is wrong with it in terms of the files as they are
//! named on the command line. What the engine asked for on the way is all that the configuration consists of; a host
//! that gives the module a directory puts exactly these files into it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use audit_filter_engine::Config;
use audit_filter_engine::config::{self, Files, Loaded};
use audit_filter_engine::policy;
use audit_filter_engine::problem::Problem;

use crate::cli::ConfigurationOptions;
use crate::exit::Misconfigured;

/// Files by their path relative to the configuration's directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSet(BTreeMap<String, Vec<u8>>);

impl FileSet {
    /// Whether there are none: the built-in defaults apply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a file, or replaces it.
    pub fn insert(&mut self, path: impl Into<String>, contents: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), contents.into());
    }

    /// Their paths and contents.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(path, contents)| (&**path, &**contents))
    }

    /// Reads the configuration that they are, once more.
    ///
    /// # Errors
    /// [`Misconfigured`] where it cannot be used.
    pub fn load(&self) -> Result<Config, Misconfigured> {
        let loaded = config::load(&self.0);
        loaded.config.ok_or_else(|| unusable(&loaded.problems))
    }

    /// Writes the files beneath a directory.
    ///
    /// # Errors
    /// Which file cannot be written.
    pub fn write_to(&self, directory: &Path) -> anyhow::Result<()> {
        for (path, contents) in &self.0 {
            let path = directory.join(path);
            let written =
                path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, contents));
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// A configuration that was found usable.
#[derive(Debug)]
pub struct Configuration {
    /// For the engine.
    pub config: Config,
    /// For a module, which reads it by itself.
    pub files: FileSet,
}

/// What came of checking a configuration.
#[derive(Debug)]
pub struct Checked {
    /// All that is wrong with it, lints included.
    pub problems: Vec<Problem>,
    /// What it says, unless there is an error among the problems.
    pub config: Option<Config>,
    /// How many cases of test events the rules were put to.
    pub cases: usize,
    /// The files that were read, as they are named on the command line, sorted; none where the defaults apply.
    pub files: Vec<String>,
}

/// Reads the configuration that the options name, and says all that is wrong with it or surely not meant.
///
/// # Errors
/// [`Misconfigured`] where a file that was named is not there.
pub fn check(options: &ConfigurationOptions) -> Result<Checked, Misconfigured> {
    let files = NamedFiles::new(options)?;
    let config::Checked { problems, cases } = config::check(&files);
    let config = config::load(&files).config;
    let read = files.seen.borrow().keys().map(|path| files.display(path)).collect();
    Ok(Checked { problems, config, cases, files: read })
}

/// Reads the configuration that the options name, with the rules of one file instead of its own. Warnings go to stderr.
///
/// # Errors
/// [`Misconfigured`] with all that is wrong with it.
pub fn load_for_trial(options: &ConfigurationOptions, rules: &Path) -> anyhow::Result<Config> {
    let files = NamedFiles::new(options)?;
    let name: Arc<str> = rules.display().to_string().into();
    let text =
        fs::read_to_string(rules).map_err(|error| Misconfigured(format!("cannot read {name}: {error}")))?;
    usable(config::load_for_trial(&files, (&name, &text)))
}

/// Reads the configuration that the options name. Warnings go to stderr.
///
/// # Errors
/// [`Misconfigured`] with all that is wrong with it.
pub fn load(options: &ConfigurationOptions) -> anyhow::Result<Configuration> {
    let files = NamedFiles::new(options)?;
    let config = usable(config::load(&files))?;
    Ok(Configuration { config, files: FileSet(files.seen.into_inner()) })
}

/// The configuration, unless it has an error. Warnings go to stderr.
fn usable(loaded: Loaded) -> anyhow::Result<Config> {
    match loaded.config {
        Some(config) => {
            loaded.problems.iter().for_each(crate::say);
            Ok(config)
        }
        None => Err(unusable(&loaded.problems).into()),
    }
}

fn unusable(problems: &[Problem]) -> Misconfigured {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Misconfigured(format!("the configuration cannot be used:\n  {}", problems.join("\n  ")))
}

/// The files as the command line names them, and a record of those that were asked for.
struct NamedFiles {
    /// The configuration; its directory is that of the other files.
    config: Option<PathBuf>,
    policy: Option<PolicySource>,
    seen: RefCell<BTreeMap<String, Vec<u8>>>,
}

/// A policy that was named.
#[derive(Debug, PartialEq, Eq)]
enum PolicySource {
    File(PathBuf),
    BuiltIn { name: String, text: &'static str },
}

impl PolicySource {
    /// A file of that name, or else a built-in policy.
    fn named(name: &Path) -> Result<Self, Misconfigured> {
        let error = match fs::metadata(name) {
            Ok(_) => return Ok(Self::File(name.to_owned())),
            Err(error) => error,
        };
        if let Some(name) = name.to_str()
            && let Some(text) = policy::builtin(name)
        {
            return Ok(Self::BuiltIn { name: name.to_owned(), text });
        }
        let names: Vec<_> = policy::builtin_names().collect();
        Err(Misconfigured(format!(
            "cannot read the policy {}: {error}; built in are {}",
            name.display(),
            names.join(", ")
        )))
    }
}

impl NamedFiles {
    /// # Errors
    /// [`Misconfigured`] where a file that was named is not there: to the engine it would be one that needs not be.
    fn new(options: &ConfigurationOptions) -> Result<Self, Misconfigured> {
        if let Some(path) = &options.config
            && let Err(error) = fs::metadata(path)
        {
            return Err(Misconfigured(format!("cannot read the configuration {}: {error}", path.display())));
        }
        let policy = options.policy.as_deref().map(PolicySource::named).transpose()?;
        Ok(Self { config: options.config.clone(), policy, seen: RefCell::default() })
    }

    /// Where a file is that the engine asks for, if it can be anywhere.
    ///
    /// The two that have fixed names in a collector's directory are those that the options name, or none.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        match path {
            config::FILE_NAME => self.config.clone(),
            config::POLICY_FILE_NAME => match &self.policy {
                Some(PolicySource::File(path)) => Some(path.clone()),
                Some(PolicySource::BuiltIn { .. }) | None => None,
            },
            other => Some(self.config.as_deref()?.parent()?.join(other)),
        }
    }

    fn contents(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        if let Some(PolicySource::BuiltIn { text, .. }) = &self.policy
            && path == config::POLICY_FILE_NAME
        {
            return Ok(Some(text.as_bytes().to_vec()));
        }
        let Some(file) = self.locate(path) else { return Ok(None) };
        match fs::read(file) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Files for NamedFiles {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let contents = self.contents(path)?;
        if let Some(contents) = &contents {
            self.seen.borrow_mut().insert(path.to_owned(), contents.clone());
        }
        Ok(contents)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, String> {
        let Some(mut directory) = self.locate(path) else { return Ok(None) };
        if directory.as_os_str().is_empty() {
            directory.push(".");
        }
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            names.push(name.to_string_lossy().into_owned());
        }
        names.sort();
        Ok(Some(names))
    }

    fn display(&self, path: &str) -> String {
        match (&self.policy, self.locate(path)) {
            (_, Some(file)) => file.display().to_string(),
            (Some(PolicySource::BuiltIn { name, .. }), None) if path == config::POLICY_FILE_NAME => {
                format!("built-in policy {name}")
            }
            (_, None) => path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(config: Option<PathBuf>, policy: Option<PathBuf>) -> ConfigurationOptions {
        ConfigurationOptions { config, policy }
    }

    #[test]
    fn without_options_there_are_no_files() {
        assert!(load(&options(None, None)).unwrap().files.is_empty());
    }

    #[test]
    fn the_files_have_the_names_that_the_module_looks_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("mine.yaml"), "output: {key: k8s}\n").unwrap();
        fs::write(path("audit-filter.yaml"), "another: one\n").unwrap();
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n";
        fs::write(path("policy.yaml"), policy).unwrap();
        let loaded = load(&options(Some(path("mine.yaml")), Some(path("policy.yaml")))).unwrap();
        assert_eq!(loaded.config.output_key(), "k8s");
        let mut expected = FileSet::default();
        expected.insert(config::FILE_NAME, "output: {key: k8s}\n");
        expected.insert(config::POLICY_FILE_NAME, policy);
        assert_eq!(loaded.files, expected);

        let copy = tempfile::tempdir().unwrap();
        loaded.files.write_to(copy.path()).unwrap();
        assert_eq!(fs::read_to_string(copy.path().join(config::POLICY_FILE_NAME)).unwrap(), policy);
    }

    #[test]
    fn a_policy_may_be_built_in() {
        for name in policy::builtin_names() {
            let loaded = load(&options(None, Some(name.into()))).unwrap();
            let text = policy::builtin(name).unwrap();
            let expected = FileSet([(config::POLICY_FILE_NAME.to_owned(), text.into())].into());
            assert_eq!(loaded.files, expected, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_name_that_was_given() {
        let directory = tempfile::tempdir().unwrap();
        let wrong = directory.path().join("wrong.yaml");
        fs::write(&wrong, "omitResponseCodes: [404]\npolicies: x\n").unwrap();
        let absent = directory.path().join("absent.yaml");
        for (options, expected) in [
            (options(Some(wrong), None), &["wrong.yaml:2", "policies"][..]),
            (options(Some(absent.clone()), None), &["configuration", "absent.yaml"]),
            (options(None, Some(absent)), &["policy", "absent.yaml", "built in are", "ack-default"]),
            (options(None, Some("no-such".into())), &["policy", "no-such", "ack-default"]),
        ] {
            let error = load(&options).unwrap_err();
            assert!(error.is::<Misconfigured>());
            for expected in expected {
                assert!(error.to_string().contains(expected), "{error} does not say {expected}");
            }
        }
    }
}

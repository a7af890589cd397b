//! The filter's configuration, `audit-filter.yaml`: read once at start, from files that a host provides.
//!
//! Every key is optional and an unknown key is an error, because a misspelt one would silently filter
//! otherwise than its author believes. Paths are relative to the file and stay beneath its directory: a
//! collector gives the module that directory and nothing else.

use crate::detect::{MAX_GROUPS, Rule, RuleSet, Selections, Severity, trial};
use crate::normalize::{Network, Networks, Normalizer, Settings, lines};
use crate::policy::{self, Policy};
use crate::problem::{Problem, Problems};
use crate::record::Member;
use crate::yaml::{self, Node, Resolved, Value};
use crate::{builtin, written};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The name under which [`Files`] gives the configuration.
pub const FILE_NAME: &str = "audit-filter.yaml";

/// The name under which [`Files`] gives a plain audit policy that overrides the configuration's.
pub const POLICY_FILE_NAME: &str = "audit-policy.yaml";

/// The files that a configuration is made of, as a host has them.
///
/// Paths are relative to the configuration's directory, with forward slashes, without `..`.
pub trait Files {
    /// A file's contents, or none where there is no such file.
    ///
    /// # Errors
    /// Why a file that exists cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String>;

    /// The names in a directory, sorted, or none where there is no such directory. The empty path is the
    /// configuration's own directory.
    ///
    /// # Errors
    /// Why a directory that exists cannot be listed.
    fn list(&self, path: &str) -> Result<Option<Vec<String>>, String>;

    /// What to call a file in messages.
    fn display(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// No files at all: the built-in defaults apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn list(&self, _: &str) -> Result<Option<Vec<String>>, String> {
        Ok(None)
    }
}

/// Files in memory, by their path.
impl Files for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.get(path).cloned())
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, String> {
        let beneath = |file: &String| -> Option<String> {
            let name = if path.is_empty() { file } else { file.strip_prefix(path)?.strip_prefix('/')? };
            name.split('/').next().map(str::to_owned)
        };
        let names: BTreeSet<String> = self.keys().filter_map(beneath).collect();
        Ok((!names.is_empty()).then(|| names.into_iter().collect()))
    }
}

/// The name of the route that every record takes where no routes are given.
const DEFAULT_ROUTE: &str = "default";

/// A configuration, read and found usable.
#[derive(Debug)]
pub struct Config {
    pub(crate) policy: Policy,
    pub(crate) omit_response_codes: Vec<i64>,
    pub(crate) keep_severity: Option<Severity>,
    pub(crate) output_key: String,
    pub(crate) normalizer: Normalizer,
    pub(crate) rules: RuleSet,
    pub(crate) routes: Routes,
}

/// Names of destinations, each with the selection that leads there.
#[derive(Debug)]
pub(crate) struct Routes {
    pub(crate) selections: Selections,
    pub(crate) names: Vec<String>,
    /// The first route without a selection: that of records that are no audit events.
    pub(crate) catch_all: Option<usize>,
}

impl Config {
    /// The member of a record under which the filter writes its object.
    #[must_use]
    pub fn output_key(&self) -> &str {
        &self.output_key
    }

    /// The audit policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The Sigma rules, those that are built in included.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The names of the routes in their order.
    #[must_use]
    pub fn routes(&self) -> &[String] {
        &self.routes.names
    }
}

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, unless there is an error among the problems.
    pub config: Option<Config>,
    /// Errors and warnings in the order in which they were found.
    pub problems: Vec<Problem>,
}

/// Reads [`FILE_NAME`] and [`POLICY_FILE_NAME`] and whatever they refer to. Defaults stand for what is absent.
#[must_use]
pub fn load(files: &dyn Files) -> Loaded {
    load_with(Reader::new(files))
}

/// Reads a configuration as [`load`] does, but has the rules of one file speak instead of those that it names. The rules
/// that are built in are there for correlations that refer to them. Unless [`POLICY_FILE_NAME`] says otherwise, events
/// are kept as they are.
#[must_use]
pub fn load_for_trial(files: &dyn Files, rules: (&Arc<str>, &str)) -> Loaded {
    load_with(Reader { trial: Some(rules), ..Reader::new(files) })
}

fn load_with(mut reader: Reader<'_>) -> Loaded {
    let config = reader.read();
    let config = if reader.problems.has_errors() { None } else { config };
    Loaded { config, problems: reader.problems.into_iter().collect() }
}

/// What came of checking a configuration.
#[derive(Debug)]
pub struct Checked {
    /// Errors and warnings in the order in which they were found.
    pub problems: Vec<Problem>,
    /// How many cases of test events there were.
    pub cases: usize,
}

/// Reads a configuration as [`load`] does, warns of what is legal, but surely not meant, and puts its rules to the test
/// events that stand beside their files.
#[must_use]
pub fn check(files: &dyn Files) -> Checked {
    let mut reader = Reader { lint: Some(Policy::lint), ..Reader::new(files) };
    let config = reader.read();
    let cases = config.map_or(0, |config| reader.try_rules(&config));
    Checked { problems: reader.problems.into_iter().collect(), cases }
}

/// What warns of a policy's oddities: see [`Policy::lint`].
type Lint = fn(&Policy, &Arc<str>, &str, &mut Problems);

/// Keeps everything.
const KEEP_ALL: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n";

struct Reader<'f> {
    files: &'f dyn Files,
    problems: Problems,
    /// What warns of legal policies, if anything is to. By address, so that a module that never asks for it
    /// does not have it inside.
    lint: Option<Lint>,
    /// The name and text of the one file of rules that is to be tried.
    trial: Option<(&'f Arc<str>, &'f str)>,
    /// The paths of the files with rules.
    rule_files: Vec<String>,
}

/// The configuration file's keys, each with its node if it is there.
#[derive(Default)]
struct Keys<'n> {
    policy: Option<Field<'n>>,
    policy_file: Option<Field<'n>>,
    omit_response_codes: Option<Field<'n>>,
    keep_severity: Option<Field<'n>>,
    output: Option<Field<'n>>,
    network: Option<Field<'n>>,
    operators: Option<Field<'n>>,
    rules: Option<Field<'n>>,
    routes: Option<Field<'n>>,
}

/// A node with the name of its file and the path that leads to it, for messages.
#[derive(Clone)]
struct Field<'n> {
    node: &'n Node,
    file: Arc<str>,
    path: String,
}

impl<'n> Field<'n> {
    fn child(&self, name: &str, node: &'n Node) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { node, file: Arc::clone(&self.file), path }
    }

    fn place(&self) -> Place {
        Place { file: Arc::clone(&self.file), line: self.node.line, field: self.path.clone() }
    }

    fn item(&self, index: usize, node: &'n Node) -> Self {
        Self { node, file: Arc::clone(&self.file), path: format!("{}[{index}]", self.path) }
    }
}

// The parts are kept out of line: inlined, they would make one frame of a kilobyte on the operand stack, of
// which Fluent Bit gives the module eight, beneath everything that reading a rule puts there.
impl<'f> Reader<'f> {
    fn new(files: &'f dyn Files) -> Self {
        Self { files, problems: Problems::default(), lint: None, trial: None, rule_files: Vec::new() }
    }

    /// Puts the rules to the test events beside their files. Returns how many cases there were.
    fn try_rules(&mut self, config: &Config) -> usize {
        let mut cases = 0;
        for path in std::mem::take(&mut self.rule_files) {
            let Some(stem) = path.strip_suffix(".yml").or(path.strip_suffix(".yaml")) else { continue };
            let events_path = format!("{stem}.events.yml");
            let file: Arc<str> = self.files.display(&events_path).into();
            let place = Place { file: Arc::clone(&file), line: 0, field: String::new() };
            let Some(text) = self.read_text(&events_path, &place) else { continue };
            let rule_file = self.files.display(&path);
            let has_rules = |rules: &[Rule]| rules.iter().any(|rule| *rule.file == *rule_file);
            // Those that are disabled have nothing to say.
            if has_rules(config.rules.rules()) || has_rules(config.rules.correlations()) {
                let (rules, normalizer, problems) = (&config.rules, &config.normalizer, &mut self.problems);
                let tried = trial::run(rules, normalizer, &rule_file, &file, &text, problems);
                cases += tried.matching + tried.missing;
            }
        }
        cases
    }

    fn read(&mut self) -> Option<Config> {
        let file: Arc<str> = self.files.display(FILE_NAME).into();
        let text =
            self.read_text(FILE_NAME, &Place { file: Arc::clone(&file), line: 0, field: String::new() });
        let documents = match yaml::parse(text.as_deref().unwrap_or_default()) {
            Ok(documents) => documents,
            Err(error) => {
                self.problems.error(&file, error.line, "", format!("not YAML: {}", error.message));
                return None;
            }
        };
        if let [_, second, ..] = documents.as_slice() {
            self.problems.error(
                &file,
                second.line,
                "",
                "a configuration is one YAML document; remove the others",
            );
        }
        let root = documents.first().map(|node| Field { node, file, path: String::new() });
        self.configuration(root.as_ref())
    }

    fn configuration(&mut self, root: Option<&Field<'_>>) -> Option<Config> {
        let keys = root.map(|root| self.keys(root)).unwrap_or_default();
        let policy = self.policy(&keys);
        let omit_response_codes =
            keys.omit_response_codes.map(|field| self.response_codes(&field)).unwrap_or_default();
        let keep_severity = keys.keep_severity.and_then(|field| self.severity(&field));
        let output_key =
            keys.output.and_then(|field| self.output_key(&field)).unwrap_or_else(|| "audit".to_owned());
        let mut settings = Settings::default();
        if let Some(field) = keys.network {
            self.network(&field, &mut settings);
        }
        if let Some(field) = keys.operators {
            self.operators(&field, &mut settings);
        }
        let rules = self.rules(keys.rules.as_ref());
        let routes = self.routes(keys.routes.as_ref());
        let normalizer = Normalizer::new(settings);
        Some(Config {
            policy: policy?,
            omit_response_codes,
            keep_severity,
            output_key,
            normalizer,
            rules,
            routes,
        })
    }

    #[inline(never)]
    fn keys<'n>(&mut self, root: &Field<'n>) -> Keys<'n> {
        let mut keys = Keys::default();
        let known = [
            ("policy", &mut keys.policy),
            ("policyFile", &mut keys.policy_file),
            ("omitResponseCodes", &mut keys.omit_response_codes),
            ("keepSeverity", &mut keys.keep_severity),
            ("output", &mut keys.output),
            ("network", &mut keys.network),
            ("operators", &mut keys.operators),
            ("rules", &mut keys.rules),
            ("routes", &mut keys.routes),
        ];
        self.mapping(root, known);
        keys
    }

    /// The policy of [`POLICY_FILE_NAME`], else the configuration's, else the default.
    #[inline(never)]
    fn policy(&mut self, keys: &Keys<'_>) -> Option<Policy> {
        if let (Some(_), Some(file)) = (&keys.policy, &keys.policy_file) {
            self.error(file, "policy is given as well; keep one of the two");
        }
        let file: Arc<str> = self.files.display(POLICY_FILE_NAME).into();
        let overriding = self
            .read_text(POLICY_FILE_NAME, &Place { file: Arc::clone(&file), line: 0, field: String::new() });
        if let Some(text) = overriding {
            return self.policy_text(&text, &file);
        }
        if self.trial.is_some() {
            return Policy::from_yaml(KEEP_ALL, &"everything".into(), &mut self.problems);
        }
        if let Some(field) = &keys.policy {
            let policy = Policy::from_node(field.node, &field.file, &field.path, &mut self.problems)?;
            if let Some(lint) = self.lint {
                lint(&policy, &field.file, &field.path, &mut self.problems);
            }
            return Some(policy);
        }
        if let Some(field) = &keys.policy_file {
            let (path, text) = self.file_named(field)?;
            return self.policy_text(&text, &self.files.display(&path).into());
        }
        let file = format!("builtin/{}.yaml", policy::DEFAULT).into();
        let Some(node) = written::Reader(builtin::DEFAULT_POLICY).node() else {
            self.problems.error(&file, 0, "", written::UNREADABLE);
            return None;
        };
        Policy::from_node(&node, &file, "", &mut self.problems)
    }

    fn policy_text(&mut self, text: &str, file: &Arc<str>) -> Option<Policy> {
        let policy = Policy::from_yaml(text, file, &mut self.problems)?;
        if let Some(lint) = self.lint {
            lint(&policy, file, "", &mut self.problems);
        }
        Some(policy)
    }

    fn severity(&mut self, field: &Field<'_>) -> Option<Severity> {
        let severity = field.node.str().and_then(Severity::of_name);
        if severity.is_none() {
            let found = field.node.describe();
            self.error(
                field,
                format!("expected informational, low, medium, high or critical, found {found}"),
            );
        }
        severity
    }

    #[inline(never)]
    fn network(&mut self, field: &Field<'_>, settings: &mut Settings) {
        let (mut proxies, mut internal, mut high_risk, mut high_risk_files) = (None, None, None, None);
        let known = [
            ("trustedProxies", &mut proxies),
            ("internal", &mut internal),
            ("highRisk", &mut high_risk),
            ("highRiskFiles", &mut high_risk_files),
        ];
        self.mapping(field, known);
        settings.trusted_proxies = self.networks(proxies.as_ref()).into_iter().collect();
        settings.internal = self.networks(internal.as_ref()).into_iter().collect();
        let mut bad = self.networks(high_risk.as_ref());
        for item in high_risk_files.map(|field| self.list(&field)).unwrap_or_default() {
            for (path, text) in self.files_named(&item) {
                let file: Arc<str> = self.files.display(&path).into();
                for (line, network) in lines(&text) {
                    match network {
                        Ok(network) => bad.push(network),
                        Err(error) => self.problems.error(&file, line, "", error.to_string()),
                    }
                }
            }
        }
        settings.high_risk = bad.into_iter().collect::<Networks>();
    }

    fn networks(&mut self, field: Option<&Field<'_>>) -> Vec<Network> {
        let mut networks = Vec::new();
        for item in field.map(|field| self.list(field)).unwrap_or_default() {
            match self.string(&item, "an address or a network").map(str::parse::<Network>) {
                Some(Ok(network)) => networks.push(network),
                Some(Err(error)) => self.error(&item, error.to_string()),
                None => {}
            }
        }
        networks
    }

    #[inline(never)]
    fn operators(&mut self, field: &Field<'_>, settings: &mut Settings) {
        let mut shared = None;
        self.mapping(field, [("sharedAccounts", &mut shared)]);
        if let Some(field) = shared {
            let items = self.list(&field);
            settings.shared_accounts =
                items.iter().filter_map(|item| self.string(item, "a username")).map(str::to_owned).collect();
        }
    }

    #[inline(never)]
    fn rules(&mut self, field: Option<&Field<'_>>) -> RuleSet {
        let (mut builtin, mut disable, mut files, mut groups) = (None, None, None, None);
        if let Some(field) = field {
            let known = [
                ("builtin", &mut builtin),
                ("disable", &mut disable),
                ("files", &mut files),
                ("correlationGroups", &mut groups),
            ];
            self.mapping(field, known);
        }
        let disable: Vec<_> = disable.map(|field| self.list(&field)).unwrap_or_default();
        let disabled: Vec<String> =
            disable.iter().filter_map(|item| self.string(item, "a rule's id")).map(str::to_owned).collect();
        let mut builder = RuleSet::builder(disabled);
        if let Some(groups) = groups.and_then(|field| self.groups(&field)) {
            builder.set_groups(groups);
        }
        if let Some((file, text)) = self.trial {
            builder.add_for_trial(file, text, &mut self.problems);
            return builder.finish(&mut self.problems);
        }
        if builtin.is_none_or(|field| self.boolean(&field)) {
            RuleSet::add_builtin(&mut builder, &mut self.problems);
        }
        for item in files.map(|field| self.list(&field)).unwrap_or_default() {
            for (path, text) in self.files_named(&item) {
                builder.add(&self.files.display(&path).into(), &text, &mut self.problems);
                self.rule_files.push(path);
            }
        }
        let in_vain: Vec<String> = builder.disabled_in_vain().map(str::to_owned).collect();
        for item in disable {
            if item.node.str().is_some_and(|id| in_vain.iter().any(|other| other == id)) {
                self.error(&item, "no rule has this id; see each rule's `id`");
            }
        }
        builder.finish(&mut self.problems)
    }

    /// How many groups each correlation may keep.
    fn groups(&mut self, field: &Field<'_>) -> Option<usize> {
        let number = match field.node.scalar().map(yaml::Scalar::resolve) {
            Some(Resolved::Int(number)) => usize::try_from(number).ok(),
            _ => None,
        };
        let groups = number.filter(|groups| (1..=MAX_GROUPS).contains(groups));
        if groups.is_none() {
            let found = field.node.describe();
            self.error(field, format!("expected a number from 1 to {MAX_GROUPS}, found {found}"));
        }
        groups
    }

    #[inline(never)]
    fn routes(&mut self, field: Option<&Field<'_>>) -> Routes {
        let mut selections = Selections::builder();
        let mut names: Vec<String> = Vec::new();
        let mut catch_all = None;
        for item in field.map(|field| self.list(field)).unwrap_or_default() {
            let (mut name, mut when) = (None, None);
            self.mapping(&item, [("name", &mut name), ("when", &mut when)]);
            let Some(name) = name else {
                self.error(&item, "a route without a name; add `name: …`");
                continue;
            };
            let Some(text) = self.string(&name, "a name") else { continue };
            if names.iter().any(|earlier| earlier == text) {
                self.error(&name, format!("there is a route {text:?} already; give each its own name"));
            }
            if self.lint.is_some() && catch_all.is_some() {
                self.warning(
                    &item,
                    format!("never taken: the route {:?} before it takes everything", names.last()),
                );
            }
            match when {
                None => {
                    catch_all.get_or_insert(names.len());
                    selections.add_always();
                }
                Some(when) => selections.add(&when.file, &when.path, when.node, &mut self.problems),
            }
            names.push(text.to_owned());
        }
        match field {
            Some(field) if catch_all.is_none() && !names.is_empty() && self.lint.is_some() => {
                self.warning(
                    field,
                    "what no route takes has no `audit.route`; add a last one without `when`",
                );
            }
            Some(_) if !names.is_empty() => {}
            _ => {
                catch_all = Some(0);
                selections.add_always();
                names.push(DEFAULT_ROUTE.to_owned());
            }
        }
        Routes { selections: selections.finish(), names, catch_all }
    }

    #[inline(never)]
    fn response_codes(&mut self, field: &Field<'_>) -> Vec<i64> {
        let mut codes = Vec::new();
        for item in self.list(field) {
            match item.node.scalar().map(yaml::Scalar::resolve) {
                Some(Resolved::Int(code @ 100..=599)) => codes.push(code),
                _ => {
                    let message = format!(
                        "{} is no HTTP status code; write a number from 100 to 599",
                        item.node.describe()
                    );
                    self.error(&item, message);
                }
            }
        }
        codes
    }

    #[inline(never)]
    fn output_key(&mut self, field: &Field<'_>) -> Option<String> {
        let mut key = None;
        self.mapping(field, [("key", &mut key)]);
        let key = key?;
        match self.string(&key, "a member name")? {
            "" => self.error(&key, "the member name is empty; leave the key out for `audit`"),
            name if Member::named(name).is_some() => {
                self.error(
                    &key,
                    format!("{name:?} is a member of the audit event itself; choose another name"),
                );
            }
            name => return Some(name.to_owned()),
        }
        None
    }

    /// Sorts the members of a mapping into the places of the known keys, and reports the rest.
    fn mapping<'n, const N: usize>(
        &mut self,
        field: &Field<'n>,
        mut known: [(&'static str, &mut Option<Field<'n>>); N],
    ) {
        let Value::Mapping(members) = &field.node.value else {
            if !field.node.is_null() {
                self.error(field, format!("expected a mapping, found {}", field.node.describe()));
            }
            return;
        };
        for (key, value) in members {
            let name = key.scalar().map_or("", |scalar| scalar.text.as_str());
            let here = Field { node: key, ..field.child(name, key) };
            match known.iter_mut().find(|(known, _)| *known == name) {
                None => {
                    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                    self.error(&here, format!("unknown key; known here: {}", names.join(", ")));
                }
                Some((_, Some(_))) => self.error(&here, "given twice; keep one of them"),
                Some((_, place)) => **place = Some(field.child(name, value)),
            }
        }
    }

    /// A string, or an error that says what was expected.
    fn string<'n>(&mut self, field: &Field<'n>, expected: &str) -> Option<&'n str> {
        let text = field.node.str();
        if text.is_none() {
            let found = field.node.describe();
            self.error(
                field,
                format!("expected {expected}, found {found}; put quotes around it if it is meant so"),
            );
        }
        text
    }

    fn boolean(&mut self, field: &Field<'_>) -> bool {
        match field.node.scalar().map(yaml::Scalar::resolve) {
            Some(Resolved::Bool(value)) => value,
            _ => {
                self.error(field, format!("expected true or false, found {}", field.node.describe()));
                false
            }
        }
    }

    /// The items of a list; a null is an empty one.
    fn list<'n>(&mut self, field: &Field<'n>) -> Vec<Field<'n>> {
        match &field.node.value {
            Value::Sequence(items) => {
                items.iter().enumerate().map(|(index, item)| field.item(index, item)).collect()
            }
            _ if field.node.is_null() => Vec::new(),
            _ => {
                self.error(field, format!("expected a list, found {}", field.node.describe()));
                Vec::new()
            }
        }
    }

    /// The path and text of the one file that a field names.
    fn file_named(&mut self, field: &Field<'_>) -> Option<(String, String)> {
        let path = self.path(field)?;
        let text = self.read_text(&path, &field.place());
        if text.is_none() && !self.problems.has_errors() {
            self.error(field, format!("there is no file {}", self.files.display(&path)));
        }
        Some((path, text?))
    }

    /// The paths and texts of the files that a field names, `*` standing for any part of the last component.
    fn files_named(&mut self, field: &Field<'_>) -> Vec<(String, String)> {
        let Some(pattern) = self.path(field) else { return Vec::new() };
        let (directory, name) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
        if !name.contains('*') {
            return self.file_named(field).into_iter().collect();
        }
        if directory.contains('*') {
            self.error(field, "`*` is understood in the file name only; list the directories");
            return Vec::new();
        }
        let names = match self.files.list(directory) {
            Ok(names) => names.unwrap_or_default(),
            Err(why) => {
                self.error(field, format!("{}: {why}", self.files.display(directory)));
                return Vec::new();
            }
        };
        // The test events beside rules are no rules.
        let is_meant = |candidate: &&String| glob(name, candidate) && !candidate.ends_with(".events.yml");
        let matching: Vec<_> = names.iter().filter(is_meant).collect();
        if matching.is_empty() {
            self.error(field, format!("no file is called {}", self.files.display(&pattern)));
        }
        let mut files = Vec::new();
        for name in matching {
            let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
            files.extend(self.read_text(&path, &field.place()).map(|text| (path, text)));
        }
        files
    }

    /// A path that a host can be asked for.
    fn path(&mut self, field: &Field<'_>) -> Option<String> {
        let path = self.string(field, "a path")?;
        let outside = path.starts_with('/') || path.split('/').any(|part| part == "..");
        if outside || path.is_empty() {
            let message = "a path leads to a file beneath the configuration's directory, all that a collector lets the \
                           filter see; put the file there and write its relative path";
            self.error(field, message);
            return None;
        }
        Some(path.trim_start_matches("./").to_owned())
    }

    /// A file's text, or none where it is missing (which is the caller's to judge) or unreadable (which is
    /// reported at `place`).
    fn read_text(&mut self, path: &str, place: &Place) -> Option<String> {
        let why = match self.files.read(path) {
            Ok(None) => return None,
            Ok(Some(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => return Some(text),
                Err(error) => {
                    format!("not UTF-8 at byte {}; save it as UTF-8", error.utf8_error().valid_up_to())
                }
            },
            Err(why) => why,
        };
        let message = format!("{}: {why}", self.files.display(path));
        self.problems.error(&place.file, place.line, place.field.clone(), message);
        None
    }

    fn error(&mut self, field: &Field<'_>, message: impl Into<String>) {
        self.problems.error(&field.file, field.node.line, field.path.clone(), message);
    }

    fn warning(&mut self, field: &Field<'_>, message: impl Into<String>) {
        self.problems.warning(&field.file, field.node.line, field.path.clone(), message);
    }
}

/// Where a problem is to be reported.
struct Place {
    file: Arc<str>,
    line: u32,
    field: String,
}

/// Whether a name is one that a pattern with `*` in it means.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

//! The way of a line through a host, and the counting of what became of it: what every filtering command does with
//! every line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use audit_filter_engine::json;

use crate::cli::{EngineName, FilterOptions};
use crate::configuration::{self, Configuration, FileSet};
#[cfg(not(feature = "wamr"))]
use crate::exit::Misconfigured;
use crate::host::component::{ComponentHost, is_component};
use crate::host::native::NativeHost;
use crate::host::wasmtime::{Limits, WasmtimeHost};
use crate::host::{Failure, Host, Verdict, module_file};
use crate::statistics::Statistics;

/// Failures of the filter that are told in full. A module that fails on every record would otherwise bury the rest.
const FAILURES_TOLD: u64 = 10;

/// A host, and what it has done so far.
pub struct Pipeline {
    host: Box<dyn Host>,
    /// The member under which the filter writes its object.
    output_key: String,
    /// The number, from 1, of the record that comes next.
    next_record: u64,
    /// How many failures have been met, by all that work on the same input.
    failures: Arc<AtomicU64>,
    statistics: Statistics,
    started: Instant,
}

impl Pipeline {
    /// Sets up the host that the options ask for, with the configuration that they name.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::exit::Misconfigured) where configuration or module cannot be used.
    pub fn new(options: &FilterOptions) -> anyhow::Result<Self> {
        Self::configured(configuration::load(&options.configuration)?, options)
    }

    /// The same with a configuration that has been read already.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::exit::Misconfigured) where the module cannot be used.
    pub fn configured(configuration: Configuration, options: &FilterOptions) -> anyhow::Result<Self> {
        let mut pipelines = Self::several(configuration, options, 1)?;
        pipelines.pop().context("there is no host")
    }

    /// As many hosts as are to work on one input: see [`parallel`](crate::parallel). None shares with another what it
    /// knows of records.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::exit::Misconfigured) where the module cannot be used.
    pub fn several(
        configuration: Configuration,
        options: &FilterOptions,
        count: usize,
    ) -> anyhow::Result<Vec<Self>> {
        let output_key = configuration.config.output_key().to_owned();
        let failures = Arc::default();
        let pipeline = |host| Self { failures: Arc::clone(&failures), ..Self::of(host, &output_key) };
        Ok(hosts(configuration, options, count)?.into_iter().map(pipeline).collect())
    }

    /// Lines go through `host`, whose filter writes its object under `output_key`.
    #[must_use]
    pub fn of(host: Box<dyn Host>, output_key: &str) -> Self {
        Self {
            host,
            output_key: output_key.to_owned(),
            next_record: 1,
            failures: Arc::default(),
            statistics: Statistics::default(),
            started: Instant::now(),
        }
    }

    /// The record that comes next is the input's of this number, from 1, by which messages call it.
    pub fn continue_at(&mut self, number: u64) {
        self.next_record = number;
    }

    /// Filters a line (without its end) and appends to `out` what goes on, with a newline; nothing where it is dropped.
    ///
    /// Where the filter fails on it, that is said on stderr and the line goes on with `error` in the filter's object:
    /// only a policy drops events.
    ///
    /// # Errors
    /// Where the host cannot go on. The line has not been delivered then.
    pub fn pass(&mut self, line: &[u8], out: &mut Vec<u8>) -> anyhow::Result<()> {
        let start = out.len();
        let number = self.next_record;
        self.next_record += 1;
        match self.host.filter(line, out) {
            Ok(Verdict::Dropped) => {
                self.statistics.count_dropped(line);
                return Ok(());
            }
            Ok(Verdict::Kept) => {
                let output = out.get(start..).unwrap_or_default();
                self.statistics.count_output(line, output, &self.output_key);
            }
            Err(Failure::Record(why)) => {
                self.tell(number, &why);
                pass_through(line, &self.output_key, &why, out);
                self.statistics.count_failed(line, out.get(start..).unwrap_or_default());
            }
            Err(Failure::Host(error)) => return Err(error),
        }
        out.push(b'\n');
        Ok(())
    }

    fn tell(&self, number: u64, why: &str) {
        match self.failures.fetch_add(1, Ordering::Relaxed) {
            ..FAILURES_TOLD => crate::say(format_args!("record {number} was not filtered: {why}")),
            FAILURES_TOLD => crate::say("more records were not filtered; audit.error in them says why"),
            _ => {}
        }
    }

    /// The member under which the filter writes its object.
    #[must_use]
    pub fn output_key(&self) -> &str {
        &self.output_key
    }

    /// Counts a line that was too long to be filtered.
    pub fn count_too_long(&mut self) {
        self.statistics.count_too_long();
    }

    /// What was done so far.
    pub fn statistics(&mut self) -> &Statistics {
        self.statistics.took(self.started.elapsed());
        &self.statistics
    }
}

/// What the options ask for, so many times.
fn hosts(
    configuration: Configuration,
    options: &FilterOptions,
    count: usize,
) -> anyhow::Result<Vec<Box<dyn Host>>> {
    let Configuration { config, files } = configuration;
    match options.engine {
        EngineName::Native => several(NativeHost::new(config), count, |_| Ok(NativeHost::new(files.load()?))),
        EngineName::Wasmtime | EngineName::Wamr => {
            let read = if options.component { module_file::read_component } else { module_file::read };
            let (path, binary) = read(options.module.as_deref())?;
            let name = path.display().to_string();
            let limits = Limits::default();
            if options.engine == EngineName::Wamr {
                wamr(&name, &binary, &files, limits, count)
            } else if is_component(&binary) {
                several(ComponentHost::new(&name, &binary, &files, limits)?, count, ComponentHost::another)
            } else {
                several(WasmtimeHost::new(&name, &binary, &files, limits)?, count, WasmtimeHost::another)
            }
        }
    }
}

#[cfg(feature = "wamr")]
fn wamr(
    name: &str,
    module: &[u8],
    files: &FileSet,
    limits: Limits,
    count: usize,
) -> anyhow::Result<Vec<Box<dyn Host>>> {
    use crate::host::wamr::WamrHost;
    several(WamrHost::new(name, module, files, limits)?, count, WamrHost::another)
}

#[cfg(not(feature = "wamr"))]
fn wamr(_: &str, _: &[u8], _: &FileSet, _: Limits, _: usize) -> anyhow::Result<Vec<Box<dyn Host>>> {
    let text = "this program was built without WAMR: cargo build --release -p host-harness --features wamr";
    Err(Misconfigured(text.to_owned()).into())
}

/// A host, and what `another` makes of it, so many in all.
fn several<H: Host + 'static>(
    first: H,
    count: usize,
    another: impl Fn(&H) -> anyhow::Result<H>,
) -> anyhow::Result<Vec<Box<dyn Host>>> {
    let mut hosts: Vec<Box<dyn Host>> = Vec::with_capacity(count);
    for _ in 1..count {
        hosts.push(Box::new(another(&first)?));
    }
    hosts.push(Box::new(first));
    Ok(hosts)
}

/// Appends a record that goes on unfiltered, with the reason in a member `key`, as the engine does with one that it
/// cannot read: an object keeps its bytes, anything else becomes the string in a member `log`.
fn pass_through(record: &[u8], key: &str, why: &str, out: &mut Vec<u8>) {
    let mended = String::from_utf8_lossy(record);
    let record = mended.as_bytes().trim_ascii();
    let is_object =
        record.starts_with(b"{") && json::scan(record, 0).is_ok_and(|scanned| scanned.end == record.len());
    match record.strip_suffix(b"}").filter(|_| is_object) {
        Some(members) => {
            out.extend_from_slice(members);
            if members.trim_ascii_end() != b"{" {
                out.push(b',');
            }
        }
        None => {
            out.extend_from_slice(b"{\"log\":");
            json::push_string(out, record);
            out.push(b',');
        }
    }
    json::push_string(out, key.as_bytes());
    out.extend_from_slice(b":{\"error\":");
    json::push_string(out, why.as_bytes());
    out.extend_from_slice(b"}}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Drops what contains `drop`, fails on what contains `fail`, ends at what contains `end`.
    struct ByName;

    impl Host for ByName {
        fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, Failure> {
            let has = |name: &str| String::from_utf8_lossy(record).contains(name);
            if has("drop") {
                return Ok(Verdict::Dropped);
            }
            if has("fail") {
                return Err(Failure::Record("a \"trap\"".to_owned()));
            }
            if has("end") {
                return Err(Failure::Host(anyhow::anyhow!("no more")));
            }
            out.extend_from_slice(b"{\"kept\":1}");
            Ok(Verdict::Kept)
        }
    }

    #[test]
    fn only_the_filter_drops() {
        let mut pipeline = Pipeline::of(Box::new(ByName), "audit");
        let mut out = Vec::new();
        for (line, expected) in [
            ("{}", "{\"kept\":1}\n"),
            ("{\"drop\":1}", ""),
            ("{\"fail\":1}", "{\"fail\":1,\"audit\":{\"error\":\"a \\\"trap\\\"\"}}\n"),
            ("fail", "{\"log\":\"fail\",\"audit\":{\"error\":\"a \\\"trap\\\"\"}}\n"),
        ] {
            out.clear();
            pipeline.pass(line.as_bytes(), &mut out).unwrap();
            assert_eq!(String::from_utf8_lossy(&out), expected, "{line}");
        }
        assert!(pipeline.pass(b"end", &mut out).is_err());
        let statistics = pipeline.statistics();
        assert_eq!((statistics.read, statistics.kept, statistics.dropped), (4, 1, 1));
        assert_eq!((statistics.passed_through, statistics.failed), (2, 2));
    }

    #[test]
    fn what_goes_on_unfiltered_is_an_object() {
        for (record, expected) in [
            ("{}", r#"{"k":{"error":"e"}}"#),
            ("{ }", r#"{ "k":{"error":"e"}}"#),
            (" {\"a\":1 } ", r#"{"a":1 ,"k":{"error":"e"}}"#),
            ("[1]", r#"{"log":"[1]","k":{"error":"e"}}"#),
            ("{", r#"{"log":"{","k":{"error":"e"}}"#),
            ("{}{}", r#"{"log":"{}{}","k":{"error":"e"}}"#),
            ("}", r#"{"log":"}","k":{"error":"e"}}"#),
        ] {
            let mut out = Vec::new();
            pass_through(record.as_bytes(), "k", "e", &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{record}");
            serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        }
    }
}

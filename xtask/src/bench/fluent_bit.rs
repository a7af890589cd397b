//! Fluent Bit over a log: without a filter, with a WASM filter that returns its input, with ours, and with a Lua script
//! that does a part of what ours does.
//!
//! Before anything is timed, what each lets through is counted: a filter that loses records is fast.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};

use super::{median, succeed};

/// How much Fluent Bit reads.
const LOG_BYTES: u64 = 48 * 1024 * 1024;

/// How often each filter is timed, in turn.
const ROUNDS: usize = 7;

/// The least that a WASM filter can do.
const IDENTITY: &str = include_str!("identity.wat");

/// What somebody would write in Lua.
const LUA: &str = include_str!("ack-policy.lua");

/// What a run ends in.
#[derive(Clone, Copy)]
enum Output {
    /// Nothing, which costs nothing.
    Null,
    /// A file that has a line for each record.
    File,
}

/// What is compared: a name, and a configuration's list of filters.
struct Contender {
    name: &'static str,
    filters: String,
    /// Whether each record comes out, or only what ACK's policy keeps.
    keeps_all: bool,
}

/// Prints what each filter costs beside the others.
pub(super) fn run(root: &Path, program: &Path, log: Option<&Path>) -> Result<()> {
    let directory = super::directory(root)?;
    let host_harness = super::host_harness(root)?;
    let input = directory.join("input.jsonl");
    super::write_log(&input, LOG_BYTES, log, &host_harness)?;
    let contenders = contenders(root, &directory, compiler(program).as_deref())?;

    let read = count_lines(&input)?;
    let kept = {
        let output = directory.join("kept.jsonl");
        let file = File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        succeed(Command::new(&host_harness).args(["run", "--quiet"]).arg(&input).stdout(file))?;
        count_lines(&output)?
    };
    for contender in &contenders {
        let expected = if contender.keeps_all { read } else { kept };
        let records = directory.join("records.jsonl");
        // Fluent Bit would append.
        let _ = fs::remove_file(&records);
        time(program, &configuration(&directory, &input, contender, Output::File)?)?;
        let counted = if expected == 0 { 0 } else { count_lines(&records)? };
        ensure!(counted == expected, "{}: {counted} records of {expected} came out", contender.name);
    }

    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, times) in contenders.iter().zip(&mut times) {
            times.push(time(program, &configuration(&directory, &input, contender, Output::Null)?)?);
        }
    }
    let megabytes = fs::metadata(&input).map(|metadata| metadata.len()).unwrap_or_default() as f64 / 1e6;
    eprintln!(
        "\nFluent Bit over {megabytes:.1} MB, {read} records, {kept} of them kept; the median of {ROUNDS} rounds:"
    );
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    let untouched = medians.get(1).copied().unwrap_or(f64::NAN);
    for (contender, seconds) in contenders.iter().zip(&medians) {
        eprintln!(
            "  {:<44}{seconds:>7.2} s{:>7.2} times returning the input",
            contender.name,
            seconds / untouched
        );
    }
    Ok(())
}

fn contenders(root: &Path, directory: &Path, compiler: Option<&Path>) -> Result<Vec<Contender>> {
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = directory.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    let identity = write("identity.wasm", &wat::parse_str(IDENTITY).context("identity.wat")?)?;
    let lua = write("ack-policy.lua", LUA.as_bytes())?;
    let ours = crate::workspace::plugin_directory(root).join("audit_filter.wasm");
    // Without files: the defaults apply.
    let files = directory.join("files");
    fs::create_dir_all(&files).with_context(|| format!("cannot create {}", files.display()))?;
    let wasm = |module: &Path| {
        format!(
            "    - {{name: wasm, match: '*', wasm_path: '{}', function_name: audit_filter, accessible_paths: '{}'}}\n",
            module.display(),
            files.display()
        )
    };
    let lua = format!("    - {{name: lua, match: '*', script: '{}', call: filter}}\n", lua.display());
    let mut contenders = vec![
        Contender { name: "no filter", filters: String::new(), keeps_all: true },
        Contender { name: "WASM that returns its input", filters: wasm(&identity), keeps_all: true },
        Contender { name: "ours: ACK's policy, built-in rules", filters: wasm(&ours), keeps_all: false },
        Contender { name: "Lua: ACK's policy, the address", filters: lua, keeps_all: false },
    ];
    match compiler {
        Some(compiler) => {
            let object = directory.join("audit_filter.aot");
            succeed(Command::new(compiler).arg("--disable-simd").arg("-o").arg(&object).arg(&ours))?;
            let name = "ours, compiled ahead of time";
            contenders.push(Contender { name, filters: wasm(&object), keeps_all: false });
        }
        None => eprintln!("no flb-wamrc beside Fluent Bit or on the PATH: nothing is compiled ahead of time"),
    }
    Ok(contenders)
}

/// The compiler of modules that was built with a Fluent Bit: objects are for one version of its runtime.
fn compiler(fluent_bit: &Path) -> Option<PathBuf> {
    let beside = fluent_bit.with_file_name("flb-wamrc");
    if beside.is_file() { Some(beside) } else { super::on_path("flb-wamrc") }
}

/// Writes a configuration of Fluent Bit's. Returns its path.
fn configuration(directory: &Path, input: &Path, contender: &Contender, output: Output) -> Result<PathBuf> {
    let output = match output {
        Output::Null => "{name: 'null', match: '*'}".to_owned(),
        Output::File => {
            format!(
                "{{name: file, match: '*', path: '{}', file: records.jsonl, format: plain}}",
                directory.display()
            )
        }
    };
    let filters = match contender.filters.as_str() {
        "" => String::new(),
        filters => format!("  filters:\n{filters}"),
    };
    let text = format!(
        "service: {{flush: 1, grace: 5, log_level: error}}\n\
         parsers: [{{name: audit, format: json}}]\n\
         pipeline:\n  inputs:\n    - {{name: tail, tag: audit, path: '{}', parser: audit, read_from_head: true, exit_on_eof: true, \
         buffer_chunk_size: 1M, buffer_max_size: 64M}}\n{filters}  outputs:\n    - {output}\n",
        input.display()
    );
    let path = directory.join("fluent-bit.yaml");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Runs Fluent Bit to the input's end. Returns the processor's time that it took, in seconds.
fn time(program: &Path, configuration: &Path) -> Result<f64> {
    let before = of_children()?;
    let output = Command::new(program)
        .arg("--config")
        .arg(configuration)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} ended with {}:\n{said}", program.display(), output.status);
    Ok(of_children()? - before)
}

/// The processor's time of all children that have ended, in seconds.
fn of_children() -> Result<f64> {
    let usage: Usage =
        getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot read the time of child processes")?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn count_lines(file: &Path) -> Result<usize> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(bytes.iter().filter(|byte| **byte == b'\n').count())
}

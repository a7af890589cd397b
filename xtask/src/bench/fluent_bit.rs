//! Fluent Bit over a log: without a filter, with a WASM filter that returns its input, with one that only hands out what
//! ours makes, with ours, and with a Lua script that does a part of what ours does.
//!
//! Before anything is timed, what each lets through is counted: a filter that loses records is fast.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use wasm_encoder::{ConstExpr, DataSection, Section as _};

use super::{median, succeed};

/// How much Fluent Bit reads.
const LOG_BYTES: u64 = 48 * 1024 * 1024;

/// How often each filter is timed, in turn.
const ROUNDS: usize = 7;

/// The least that a WASM filter can do.
const LEAST: &str = include_str!("least.wat");

/// Where [`LEAST`] looks for what it hands out.
const ANSWERS: u32 = 16 << 20;

/// For how many records it has answers, which it gives over and over.
const MOST_ANSWERS: usize = 1000;

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
    keeps: Keeps,
}

/// Which records come out.
#[derive(Clone, Copy)]
enum Keeps {
    All,
    /// Those that ACK's policy keeps.
    AsPolicySays,
    /// As many as there are among [`answers`].
    Answers,
}

/// Prints what each filter costs beside the others.
pub(super) fn run(root: &Path, program: &Path, log: Option<&Path>) -> Result<()> {
    let directory = super::directory(root)?;
    let host_harness = super::host_harness(root)?;
    let input = directory.join("input.jsonl");
    super::write_log(&input, LOG_BYTES, log, &host_harness)?;
    let read = count_lines(&input)?;
    let output = directory.join("kept.jsonl");
    let file = File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
    succeed(Command::new(&host_harness).args(["run", "--quiet"]).arg(&input).stdout(file))?;
    let kept = count_lines(&output)?;
    let answers = answers(&output, read, kept)?;
    let contenders = contenders(root, &directory, &answers, compiler(program).as_deref())?;

    for contender in &contenders {
        let expected = match contender.keeps {
            Keeps::All => read,
            Keeps::AsPolicySays => kept,
            Keeps::Answers => (0..read)
                .filter(|turn| answers.get(turn % answers.len()).is_some_and(Option::is_some))
                .count(),
        };
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

/// What to hand out: the first records that our filter keeps, and in between nothing, so often as it drops one.
fn answers(kept: &Path, records_read: usize, records_kept: usize) -> Result<Vec<Option<Vec<u8>>>> {
    let log = fs::read(kept).with_context(|| format!("cannot read {}", kept.display()))?;
    let mut lines = log.split_inclusive(|byte| *byte == b'\n');
    let kept_until = |turn: usize| turn * records_kept / records_read.max(1);
    let is_kept = |turn: usize| kept_until(turn + 1) > kept_until(turn);
    let answer =
        |turn| if is_kept(turn) { lines.next().map(|line| line.trim_ascii_end().to_vec()) } else { None };
    Ok((0..records_read.min(MOST_ANSWERS)).map(answer).collect())
}

/// The module that hands out `answers`.
fn handing_out(answers: &[Option<Vec<u8>>]) -> Result<Vec<u8>> {
    let mut table = u32::try_from(answers.len())?.to_le_bytes().to_vec();
    let mut texts = Vec::new();
    let first_text = ANSWERS as usize + 4 * (answers.len() + 1);
    for answer in answers {
        let address = if answer.is_some() { u32::try_from(first_text + texts.len())? } else { 0 };
        table.extend(address.to_le_bytes());
        if let Some(answer) = answer {
            texts.extend_from_slice(answer);
            texts.push(0);
        }
    }
    table.append(&mut texts);
    let pages = (ANSWERS as usize + table.len()).div_ceil(1 << 16);
    let roomy =
        LEAST.replacen("(memory (export \"memory\") 1)", &format!("(memory (export \"memory\") {pages})"), 1);
    let mut module = wat::parse_str(roomy).context("least.wat")?;
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(ANSWERS.cast_signed()), table);
    data.append_to(&mut module);
    Ok(module)
}

fn contenders(
    root: &Path,
    directory: &Path,
    answers: &[Option<Vec<u8>>],
    compiler: Option<&Path>,
) -> Result<Vec<Contender>> {
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = directory.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    let least = write("least.wasm", &wat::parse_str(LEAST).context("least.wat")?)?;
    let handing_out = write("handing-out.wasm", &handing_out(answers)?)?;
    let lua = write("ack-policy.lua", LUA.as_bytes())?;
    let ours = crate::workspace::plugin_directory(root).join("audit_filter.wasm");
    // Without files: the defaults apply.
    let files = directory.join("files");
    fs::create_dir_all(&files).with_context(|| format!("cannot create {}", files.display()))?;
    let wasm = |module: &Path, function: &str| {
        format!(
            "    - {{name: wasm, match: '*', wasm_path: '{}', function_name: {function}, accessible_paths: '{}'}}\n",
            module.display(),
            files.display()
        )
    };
    let contender = |name, filters, keeps| Contender { name, filters, keeps };
    let lua = format!("    - {{name: lua, match: '*', script: '{}', call: filter}}\n", lua.display());
    let mut contenders = vec![
        contender("no filter", String::new(), Keeps::All),
        contender("WASM that returns its input", wasm(&least, "audit_filter"), Keeps::All),
        contender("WASM that hands out what ours makes", wasm(&handing_out, "hand_out"), Keeps::Answers),
        contender("ours: ACK's policy, built-in rules", wasm(&ours, "audit_filter"), Keeps::AsPolicySays),
        contender("Lua: ACK's policy, the address", lua, Keeps::AsPolicySays),
    ];
    match compiler {
        Some(compiler) => {
            let object = directory.join("audit_filter.aot");
            succeed(Command::new(compiler).arg("--disable-simd").arg("-o").arg(&object).arg(&ours))?;
            let filters = wasm(&object, "audit_filter");
            contenders.push(contender("ours, compiled ahead of time", filters, Keeps::AsPolicySays));
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

#[cfg(test)]
mod tests {
    use super::handing_out;

    #[test]
    fn what_hands_out_answers_is_a_module() {
        let answers = [Some(b"{\"a\":1}".to_vec()), None, Some(vec![b'x'; 100_000])];
        wasmparser::validate(&handing_out(&answers).unwrap()).unwrap();
    }
}

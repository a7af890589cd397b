//! The command line from outside: what goes to which stream, and how it ends.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/pods","verb":"list","user":{"username":"jane","groups":["system:authenticated"]},"sourceIPs":["192.0.2.1"],"objectRef":{"resource":"pods","namespace":"a","apiVersion":"v1"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-03-02T00:00:00.000000Z","stageTimestamp":"2026-03-02T00:00:00.100000Z"}"#;

/// Answers records that begin with `{` as they are, and traps on others.
const IDENTITY: &str = r#"(module
    (memory (export "memory") 40)
    (func (export "malloc") (param $size i32) (result i32)
        (select (i32.const 1024) (i32.const 8192) (i32.lt_u (local.get $size) (i32.const 22))))
    (func (export "free") (param i32))
    (func (export "audit_filter") (param i32 i32 i32 i32) (param $record i32) (param i32) (result i32)
        (if (i32.ne (i32.load8_u (local.get $record)) (i32.const 0x7b)) (then unreachable))
        (local.get $record)))"#;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host-harness"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run_in(directory: &Path, arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = command(arguments).current_dir(directory).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // One that ends at once does not read.
    let writer = std::thread::spawn(move || drop(to.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn what_is_wrong_is_said_once_and_nothing_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("good.log"), format!("{EVENT}\n")).unwrap();
    fs::write(path("wrong.yaml"), "polcy: {}\n").unwrap();
    fs::write(path("text.wasm"), "not a module").unwrap();
    fs::create_dir(path("directory")).unwrap();
    for (arguments, expected) in [
        (&["run", "good.log", "absent.log"][..], "cannot read absent.log: No such file"),
        (&["run", "good.log", "directory"], "cannot read directory: it is a directory"),
        (
            &["run", "--engine", "native", "--config", "absent.yaml"],
            "configuration absent.yaml: No such file",
        ),
        (&["run", "--engine", "native", "--config", "wrong.yaml"], "wrong.yaml:1"),
        (&["run", "--engine", "native", "--policy", "no-such"], "cannot read the policy no-such"),
        (&["run", "--module", "absent.wasm"], "cannot read the module absent.wasm: No such file"),
        (&["run", "--module", "text.wasm"], "cannot run text.wasm"),
        (&["run", "--engine", "v8"], "invalid value 'v8' for '--engine <ENGINE>'"),
        (&["run", "--max-line-bytes", "many"], "invalid value 'many'"),
        (&["run", "--jobs", "0"], "invalid value '0' for '--jobs <N>'"),
        (&["follow", "--poll-interval", "-1", "x"], "unexpected argument '-1'"),
        (&["follow"], "the following required arguments were not provided"),
        (&["folow"], "a similar subcommand exists: 'follow'"),
        (&[], "Usage: host-harness"),
    ] {
        let output = run_in(directory.path(), arguments, b"");
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert_eq!(
            stderr.matches(expected).count(),
            1,
            "{arguments:?} does not say {expected:?} once:\n{stderr}"
        );
    }
}

#[test]
fn help_goes_to_stdout() {
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"]] {
        let output = run_in(Path::new("."), arguments, b"");
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("host-harness") && output.stderr.is_empty(), "{arguments:?}");
    }
}

/// Runs the identity module on `stdin`: its status, stdout and stderr.
fn run_identity(arguments: &[&str], stdin: &[u8]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("identity.wasm"), wat::parse_str(IDENTITY).unwrap()).unwrap();
    let arguments = [&["run", "--module", "identity.wasm"], arguments].concat();
    let output = run_in(directory.path(), &arguments, stdin);
    (output.status.code(), text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
}

#[test]
fn records_go_to_stdout_in_order_and_all_else_to_stderr() {
    let long = format!("{{\"long\":\"{}\"}}", "x".repeat(300_000));
    for (stdin, expected) in [
        (String::new(), String::new()),
        ("{}".to_owned(), "{}\n".to_owned()),
        ("{\"a\":1}\r\n\n \n{\"b\":2}".to_owned(), "{\"a\":1}\n{\"b\":2}\n".to_owned()),
        (format!("{long}\n{{}}\n{long}\n"), format!("{long}\n{{}}\n{long}\n")),
    ] {
        let (status, stdout, stderr) = run_identity(&[], stdin.as_bytes());
        assert_eq!(status, Some(0), "{stderr}");
        assert!(stdout == expected, "{stdout:.200}");
        assert!(stderr.starts_with("read  ") && stderr.contains("bytes out"), "{stderr}");
        assert_eq!(run_identity(&["--quiet", "-"], stdin.as_bytes()), (Some(0), expected, String::new()));
    }
}

#[test]
fn a_failing_filter_loses_nothing() {
    let (status, stdout, stderr) = run_identity(&["--quiet"], b"{\"a\":1}\nbad\n{\"b\":2}\n");
    assert_eq!(status, Some(1));
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!((lines.first(), lines.last()), (Some(&"{\"a\":1}"), Some(&"{\"b\":2}")));
    assert!(
        lines.get(1).is_some_and(|line| line.starts_with(r#"{"log":"bad","audit":{"error":"audit_filter f"#))
    );
    assert_eq!(lines.len(), 3);
    assert!(stderr.starts_with("host-harness: record 2 was not filtered: audit_filter failed: wasm trap"));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn many_failures_are_told_as_some() {
    let (status, stdout, stderr) = run_identity(&["--quiet"], &b"bad\n".repeat(50));
    assert_eq!((status, stdout.lines().count()), (Some(1), 50));
    assert_eq!(stderr.lines().count(), 11, "{stderr}");
}

#[test]
fn several_instances_do_the_same_as_one() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("identity.wasm"), wat::parse_str(IDENTITY).unwrap()).unwrap();
    // Several batches, a record that fails in the second, and a line that is too long.
    let mut stdin: String =
        (0..30_000).map(|n| format!("{{\"number\":{n},\"more\":\"xxxxxxxx\"}}\n")).collect();
    stdin.push_str("bad\n{}\n");
    stdin.push_str(&"x".repeat(2_000_000));
    let mut expected = Vec::new();
    for (engine, failed) in [(&["--module", "identity.wasm"][..], 1), (&["--engine", "native"], 0)] {
        for jobs in ["1", "2", "5"] {
            let limits = ["run", "--jobs", jobs, "--stats", "stats.json", "--max-line-bytes", "1000000"];
            let output = run_in(directory.path(), &[&limits, engine].concat(), stdin.as_bytes());
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert_eq!(stderr.matches("record 30001 was not filtered").count(), failed, "{stderr}");
            let mut stats: serde_json::Value =
                serde_json::from_slice(&fs::read(directory.path().join("stats.json")).unwrap()).unwrap();
            stats.as_object_mut().unwrap().remove("seconds");
            assert_eq!(stats.get("too_long"), Some(&1.into()));
            let result = (text(&output.stdout).to_owned(), stats);
            match expected.last() {
                Some(first) if jobs != "1" => assert!(*first == result, "{engine:?} with {jobs} jobs"),
                _ => expected.push(result),
            }
        }
    }
}

#[test]
fn a_line_that_is_too_long_is_reported() {
    let stdin = b"{}\n{\"long\":1234567}\n{\"a\":1}\n";
    let (status, stdout, stderr) = run_identity(&["--quiet", "--max-line-bytes", "10"], stdin);
    assert_eq!((status, &*stdout), (Some(1), "{}\n{\"a\":1}\n"));
    assert!(stderr.contains("stdin, line 2: left out, since it has 16 bytes"), "{stderr}");
}

#[test]
fn files_are_read_in_order_compressed_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"not an event, compressed\n").unwrap();
    fs::write(path("1.log.gz"), gzip.finish().unwrap()).unwrap();
    fs::write(path("2.log"), format!("{EVENT}\nno event either")).unwrap();
    let arguments = ["run", "--engine", "native", "--stats", "stats.json", "2.log", "1.log.gz", "-", "2.log"];
    let output = run_in(directory.path(), &arguments, b"{\"from\":\"stdin\"}\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let marks = ["no event either", "compressed", "stdin", "no event either"];
    let stdout = text(&output.stdout);
    let mut rest = stdout;
    for mark in marks {
        rest = rest.split_once(mark).unwrap_or_else(|| panic!("no {mark} in its place in {stdout}")).1;
    }

    let stats: serde_json::Value = serde_json::from_slice(&fs::read(path("stats.json")).unwrap()).unwrap();
    let number = |name: &str| stats.get(name).and_then(serde_json::Value::as_u64).unwrap();
    assert_eq!(number("read"), 6);
    assert_eq!(number("passed_through"), 4);
    assert_eq!(number("kept") + number("dropped"), 2);
    assert_eq!(number("bytes_in") as usize, 2 * (EVENT.len() + 17) + 25 + 17);
    assert_eq!(number("bytes_out") as usize, output.stdout.len());
    assert!(stats.get("seconds").is_some_and(serde_json::Value::is_f64));
    assert!(
        ["by_route", "by_tag"].iter().all(|name| stats.get(name).is_some_and(serde_json::Value::is_object))
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lines = "not an event\n".repeat(100_000);
    for arguments in [&["run", "--engine", "native"][..], &["generate", "--events", "20000"]] {
        let mut child = command(arguments).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        let lines = lines.clone();
        let writer = std::thread::spawn(move || drop(to.write_all(lines.as_bytes())));
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 10]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn that_nobody_reads_the_messages_is_no_error() {
    let mut child = command(&["run", "--engine", "native", "--max-line-bytes", "10"]).spawn().unwrap();
    drop(child.stderr.take());
    child.stdin.take().unwrap().write_all(b"first\nmuch too long\nlast").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "one line was too long");
    assert_eq!(text(&output.stdout).lines().count(), 2);
}

#[test]
fn what_was_read_is_written_before_waiting_for_more() {
    let mut child = command(&["run", "--engine", "native"]).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut from = child.stdout.take().unwrap();
    to.write_all(b"first\n").unwrap();
    let mut start = [0; 14];
    from.read_exact(&mut start).unwrap();
    assert_eq!(text(&start), r#"{"log":"first""#);

    // The word to stop ends it, with the summary, though the writer is still there.
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("read  ") && stderr.ends_with("before the end of the input\n"), "{stderr}");
    drop(to);
}

#[test]
fn following_filters_too() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("audit.log"), "first\n\nsecond\n").unwrap();
    let arguments = ["follow", "--engine", "native", "--stats", "stats.json", "audit.log"];
    let mut child = command(&arguments).current_dir(directory.path()).spawn().unwrap();
    let mut from = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    for word in ["first", "second"] {
        let line = from.next().unwrap().unwrap();
        assert!(line.starts_with(&format!("{{\"log\":\"{word}\"")), "{line}");
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(from.next().map(Result::unwrap), None);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let stats = fs::read_to_string(directory.path().join("stats.json")).unwrap();
    assert!(stats.contains("\"read\": 2,") && stats.contains("\"passed_through\": 2,"), "{stats}");
}

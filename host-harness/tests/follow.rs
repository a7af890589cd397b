//! `host-harness follow` as a process: killed while its log is written and rotated, and told to stop.
//!
//! What rotation and restarts may do is tried with a clock of its own in `src/follow/tests.rs`; here it is real
//! signals, pipes and races. Nothing is asserted about how long anything takes: waits end with what is waited
//! for, or fail when it never comes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};

/// After this long, what is waited for is not going to come.
const NEVER: Duration = Duration::from_secs(120);

/// A directory with a log that a process follows, keeping every event.
struct Scene {
    directory: tempfile::TempDir,
    log: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n";
        fs::write(directory.path().join("policy.yaml"), policy).unwrap();
        let log = directory.path().join("kubernetes.audit");
        Self { directory, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts following, with everything that takes seconds cut down to fractions.
    fn follow(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_host-harness"))
            .args(["follow", "--engine", "native", "--policy"])
            .arg(self.path("policy.yaml"))
            .args(["--poll-interval", "0.005", "--rotation-grace", "0.05"])
            .args(["--checkpoint-interval", "0.02", "--checkpoint-delay", "0.1"])
            .arg(&self.log)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn append(&self, numbers: Range<usize>) {
        let mut log = File::options().append(true).create(true).open(&self.log).unwrap();
        for number in numbers {
            log.write_all(event(number).as_bytes()).unwrap();
        }
    }
}

fn event(number: usize) -> String {
    format!(
        concat!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{:08}","#,
            r#""stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/p","verb":"get","#,
            r#""user":{{"username":"alice"}},"sourceIPs":["10.0.0.1"],"#,
            r#""objectRef":{{"resource":"pods","namespace":"default","name":"p","apiVersion":"v1"}},"#,
            r#""responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-11-21T03:00:10.000000Z","#,
            r#""stageTimestamp":"2026-11-21T03:00:10.100000Z"}}"#,
            "\n"
        ),
        number
    )
}

/// The number of the event that a record is of.
fn number(record: &str) -> usize {
    let record: serde_json::Value = serde_json::from_str(record).unwrap_or_else(|e| panic!("{e}: {record}"));
    assert!(record["audit"].is_object(), "not filtered: {record}");
    record["auditID"].as_str().unwrap().parse().unwrap()
}

/// Reads records until `enough` of them have come, or the pipe ends. A last one cut off by a kill does not count.
fn read_until(records: &mut BufReader<ChildStdout>, mut enough: impl FnMut(&[usize]) -> bool) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut record = String::new();
    while !enough(&numbers) {
        if records.buffer().is_empty() {
            let mut pipe = [PollFd::new(records.get_ref(), PollFlags::IN)];
            let ready = poll(&mut pipe, Some(&NEVER.try_into().unwrap())).unwrap();
            assert!(ready > 0, "nothing comes after {numbers:?}");
        }
        record.clear();
        records.read_line(&mut record).unwrap();
        if !record.ends_with('\n') {
            break;
        }
        numbers.push(number(&record));
    }
    numbers
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits for the end and returns the exit status with what was said on stderr.
fn end(mut child: Child) -> (Option<i32>, String) {
    let deadline = Instant::now() + NEVER;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

/// Writes events and rotates, as kube-apiserver does, until all are written. A part of a line comes now and then.
fn write_and_rotate(log: &Path, events: Range<usize>) {
    let mut file = File::options().append(true).open(log).unwrap();
    for number in events {
        let event = event(number);
        let (first, rest) = event.split_at(if number % 7 == 0 { event.len() / 2 } else { 0 });
        file.write_all(first.as_bytes()).unwrap();
        file.write_all(rest.as_bytes()).unwrap();
        if number % 10 == 9 {
            thread::sleep(Duration::from_millis(1));
        }
        if number % 250 == 249 {
            let stamp = format!("2026-11-21T03-{:02}-{:02}.000", number / 250 / 60, number / 250 % 60);
            fs::rename(log, log.with_file_name(format!("kubernetes-{stamp}.audit"))).unwrap();
            file = File::options().append(true).create_new(true).open(log).unwrap();
        }
    }
}

#[test]
fn killed_again_and_again_it_loses_nothing() {
    const EVENTS: usize = 5000;
    let scene = Scene::new();
    let mut delivered = vec![false; EVENTS];
    let written = AtomicBool::new(false);
    let deadline = Instant::now() + NEVER;
    let mut kills = 0_usize;

    // What is rotated away before the first start is not followed. So it starts before the log grows.
    scene.append(0..1);
    let mut first = scene.follow();
    let mut records = BufReader::new(first.stdout.take().unwrap());
    assert_eq!(read_until(&mut records, |numbers| numbers.len() == 1), [0]);
    delivered[0] = true;
    first.kill().unwrap();
    first.wait().unwrap();

    thread::scope(|scope| {
        scope.spawn(|| {
            write_and_rotate(&scene.log, 1..EVENTS);
            written.store(true, Ordering::SeqCst);
        });
        while delivered.contains(&false) {
            assert!(Instant::now() < deadline, "missing: {:?}", delivered.iter().position(|seen| !seen));
            let mut child = scene.follow();
            let mut records = BufReader::new(child.stdout.take().unwrap());
            // While the log is being written it is killed after more and more records; then it may finish.
            let patience = 30 + 40 * kills;
            let last = EVENTS - 1;
            let finishing = written.load(Ordering::SeqCst);
            let mut numbers = read_until(&mut records, |numbers| {
                numbers.last() == Some(&last) || (!finishing && numbers.len() >= patience)
            });
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
            kills += 1;
            // The reader lives: it has what was still in the pipe.
            numbers.extend(read_until(&mut records, |_| false));

            for pair in numbers.windows(2) {
                assert_eq!(pair[0] + 1, pair[1], "in order, without a gap, nothing twice in one run");
            }
            let first_missing = delivered.iter().position(|seen| !seen).unwrap();
            assert!(
                numbers.first().is_none_or(|first| *first <= first_missing),
                "{numbers:?}, {first_missing}"
            );
            for number in numbers {
                delivered[number] = true;
            }
        }
    });
    assert!(kills > 1, "nothing was tried");
}

#[test]
fn told_to_stop_it_ends_well_and_goes_on_where_it_was() {
    for word in [Signal::TERM, Signal::INT] {
        let scene = Scene::new();
        for (from, to) in [(0, 40), (40, 41), (41, 90)] {
            scene.append(from..to);
            let mut child = scene.follow();
            let mut records = BufReader::new(child.stdout.take().unwrap());
            let mut numbers = read_until(&mut records, |numbers| numbers.len() == to - from);
            signal(&child, word);
            numbers.extend(read_until(&mut records, |_| false));
            assert_eq!(numbers, (from..to).collect::<Vec<_>>());
            assert_eq!(end(child), (Some(0), String::new()));
        }
    }
}

#[test]
fn told_to_stop_it_does_not_wait_for_a_reader_that_takes_nothing() {
    let scene = Scene::new();
    scene.append(0..2000);
    let mut child = scene.follow();
    let mut records = BufReader::new(child.stdout.take().unwrap());
    read_until(&mut records, |numbers| numbers.len() == 1);
    signal(&child, Signal::TERM);
    assert_eq!(end(child), (Some(0), String::new()));

    // What lay in the pipe was nobody's, and comes again.
    drop(records);
    let mut child = scene.follow();
    let mut records = BufReader::new(child.stdout.take().unwrap());
    let numbers = read_until(&mut records, |numbers| numbers.last() == Some(&1999));
    // A record has more than 500 bytes, and the reader's buffer 8 KiB.
    assert!(numbers[0] <= 16, "{}", numbers[0]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly_though_nothing_is_written() {
    let scene = Scene::new();
    scene.append(0..1);
    let mut child = scene.follow();
    let mut records = BufReader::new(child.stdout.take().unwrap());
    read_until(&mut records, |numbers| numbers.len() == 1);
    drop(records);
    assert_eq!(end(child), (Some(0), String::new()));
}

#[test]
fn a_second_one_with_the_same_checkpoint_is_refused() {
    let scene = Scene::new();
    scene.append(0..1);
    let mut first = scene.follow();
    let mut records = BufReader::new(first.stdout.take().unwrap());
    read_until(&mut records, |numbers| numbers.len() == 1);

    let (status, said) = end(scene.follow());
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("another process follows with the checkpoint"), "{said}");

    // The lock goes with the process, however it ends.
    first.kill().unwrap();
    first.wait().unwrap();
    scene.append(1..2);
    let mut second = scene.follow();
    let mut records = BufReader::new(second.stdout.take().unwrap());
    read_until(&mut records, |numbers| numbers.last() == Some(&1));
    second.kill().unwrap();
    second.wait().unwrap();
}

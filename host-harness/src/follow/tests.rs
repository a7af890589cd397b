//! Rotation as scenarios, and a model that mixes everything that may happen.
//!
//! Time is a number here: nothing sleeps, and a scenario of minutes runs in milliseconds.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::*;

/// A pipe whose reader takes what it is told to.
#[derive(Default)]
struct Pipe {
    unread: VecDeque<u8>,
    taken: Vec<u8>,
    broken: bool,
}

impl Pipe {
    fn take(&mut self, bytes: usize) {
        let bytes = bytes.min(self.unread.len());
        self.taken.extend(self.unread.drain(..bytes));
    }
}

impl Output for Pipe {
    fn write(&mut self, records: &[u8]) -> io::Result<()> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.unread.extend(records);
        Ok(())
    }

    fn unread(&mut self) -> io::Result<u64> {
        if self.broken { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(self.unread.len() as u64) }
    }
}

/// Keeps every line but those that say `drop`.
fn keep(line: &[u8], records: &mut Vec<u8>) -> anyhow::Result<()> {
    if line != b"drop" {
        records.extend_from_slice(line);
        records.push(b'\n');
    }
    Ok(())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What happens in a scenario, in order. Files are named within the scenario's directory; `a.log` is followed.
#[derive(Clone, Copy)]
enum Do {
    /// Appends to a file, which is made if need be.
    Append(&'static str, &'static str),
    Rename(&'static str, &'static str),
    Copy(&'static str, &'static str),
    Truncate(&'static str),
    Gzip(&'static str),
    Remove(&'static str),
    /// Starts following; with these options, the first time.
    Start,
    /// Lets so many seconds pass, with a reader that takes everything.
    Run(u64),
    /// One step, in which no time passes.
    Step,
    /// Ends following as a signal does.
    Stop,
    /// Ends following at once.
    Kill,
    /// The lines delivered since the last time this was asked.
    Delivered(&'static [&'static str]),
    /// A person has been told something with these words, since the last time, and nothing else.
    Told(&'static [&'static str]),
}
use Do::*;

/// A scenario being played.
struct Stage<'a> {
    directory: &'a Path,
    options: &'a Options,
    follower: Option<Follower<'a>>,
    pipe: Pipe,
    told: Rc<RefCell<Vec<String>>>,
    now: Duration,
}

impl<'a> Stage<'a> {
    fn new(directory: &'a Path, options: &'a Options) -> Self {
        let (follower, pipe, told) = (None, Pipe::default(), Rc::default());
        Self { directory, options, follower, pipe, told, now: Duration::ZERO }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn start(&mut self) {
        let told = Rc::clone(&self.told);
        let notices = Notices::new(move |text| told.borrow_mut().push(text.to_owned()));
        self.follower = Some(Follower::new(self.options, notices).unwrap());
    }

    fn step(&mut self) -> Progress {
        self.follower.as_mut().unwrap().step(self.now, &mut keep, &mut self.pipe).unwrap()
    }

    /// Does what can be done now. Says whether following goes on.
    fn work(&mut self) -> bool {
        for _ in 0..10_000 {
            match self.step() {
                Progress::Busy => {}
                Progress::Idle => return true,
                Progress::Ended => return false,
            }
        }
        panic!("it never comes to rest");
    }

    fn stop(&mut self) {
        self.pipe.take(usize::MAX);
        if let Some(follower) = self.follower.take() {
            follower.finish(&mut self.pipe);
        }
    }

    fn play(&mut self, step: Do, at: &str) {
        match step {
            Append(name, text) => {
                let mut file = File::options().append(true).create(true).open(self.path(name)).unwrap();
                file.write_all(text.as_bytes()).unwrap();
            }
            Rename(from, to) => fs::rename(self.path(from), self.path(to)).unwrap(),
            Copy(from, to) => drop(fs::copy(self.path(from), self.path(to)).unwrap()),
            Truncate(name) => drop(File::create(self.path(name)).unwrap()),
            Gzip(name) => {
                let text = fs::read(self.path(name)).unwrap();
                fs::write(self.path(&format!("{name}.gz")), gzip(&text)).unwrap();
                fs::remove_file(self.path(name)).unwrap();
            }
            Remove(name) => fs::remove_file(self.path(name)).unwrap(),
            Start => self.start(),
            Step => drop(self.step()),
            Run(seconds) => {
                let until = self.now + Duration::from_secs(seconds);
                while self.now < until {
                    assert!(self.work(), "{at}: ended");
                    self.pipe.take(usize::MAX);
                    self.now += self.options.poll_interval;
                }
                self.work();
                self.pipe.take(usize::MAX);
            }
            Stop => self.stop(),
            Kill => self.follower = None,
            Delivered(lines) => {
                let taken = String::from_utf8(std::mem::take(&mut self.pipe.taken)).unwrap();
                assert_eq!(taken.lines().collect::<Vec<_>>(), lines, "{at}");
            }
            Told(parts) => {
                let told = std::mem::take(&mut *self.told.borrow_mut());
                let said = told.len() == parts.len()
                    && told.iter().zip(parts).all(|(text, part)| text.contains(part));
                assert!(said, "{at}: expected {parts:#?}, found {told:#?}");
            }
        }
    }
}

fn check_with(what: &str, adjust: impl Fn(&mut Options), steps: &[Do]) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::new(directory.path().join("a.log"));
    adjust(&mut options);
    let mut stage = Stage::new(directory.path(), &options);
    for (index, step) in steps.iter().enumerate() {
        stage.play(*step, &format!("{what}, step {index}"));
    }
}

fn check(what: &str, steps: &[Do]) {
    check_with(what, |_| {}, steps);
}

/// As long as an event's beginning, so that it tells a copy of the file.
macro_rules! long {
    ($name:literal) => {
        concat!(
            $name,
            "................................................................",
            "................................................................"
        )
    };
}

#[test]
fn a_growing_log() {
    check(
        "lines come as they are completed",
        &[
            Append("a.log", "one\ntwo\nthr"),
            Start,
            Run(1),
            Delivered(&["one", "two"]),
            Run(60),
            Delivered(&[]),
            Append("a.log", "ee\nfour\n"),
            Run(1),
            Delivered(&["three", "four"]),
            Told(&[]),
        ],
    );
    check(
        "a log that does not exist yet",
        &[
            Start,
            Run(60),
            Told(&["a.log does not exist: waiting for it"]),
            Append("a.log", "one\n"),
            Run(1),
            Delivered(&["one"]),
            Told(&[]),
        ],
    );
    check(
        "a log that is something else for a while",
        &[
            Start,
            Append("x", ""),
            Run(1),
            Told(&["does not exist"]),
            Append("a.log", "one\n"),
            Run(1),
            Delivered(&["one"]),
        ],
    );
    check_with(
        "an overlong line is left out and reported, the rest comes",
        |options| options.max_line_bytes = 5,
        &[
            Append("a.log", "short\nlonger\nshort\n"),
            Start,
            Run(1),
            Delivered(&["short", "short"]),
            Told(&["a.log, offset 6: a line of 6 bytes is left out, more than 5 are not kept"]),
        ],
    );
}

#[test]
fn where_the_first_start_begins() {
    let from_end = |options: &mut Options| options.from = From::End;
    check_with(
        "from the end, with the line that is being written",
        from_end,
        &[Append("a.log", "old\nne"), Start, Run(1), Append("a.log", "w\n"), Run(1), Delivered(&["new"])],
    );
    check_with(
        "from the end only the first time",
        from_end,
        &[
            Append("a.log", "old\n"),
            Start,
            Step,
            Kill,
            Append("a.log", "meanwhile\n"),
            Start,
            Run(1),
            Delivered(&["meanwhile"]),
        ],
    );
    check_with(
        "a log that appears later has no old lines",
        from_end,
        &[Start, Step, Kill, Append("a.log", "meanwhile\n"), Start, Run(1), Delivered(&["meanwhile"])],
    );
    check(
        "files rotated before the first start are not read",
        &[Append("a.log.1", "old\n"), Append("a.log", "one\n"), Start, Run(1), Delivered(&["one"])],
    );
}

#[test]
fn rotation_by_renaming() {
    check(
        "the old file is finished, with what still comes, then the new one read",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Rename("a.log", "a.log.1"),
            Append("a.log", "four\n"),
            Run(2),
            Append("a.log.1", "two\n"),
            Run(4),
            Append("a.log.1", "three\n"),
            Run(4),
            Delivered(&["one", "two", "three"]),
            Run(2),
            Delivered(&["four"]),
            Told(&[]),
        ],
    );
    check(
        "as long as nothing is in the new file, the old one is not left",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Rename("a.log", "a.log.1"),
            Append("a.log", ""),
            Run(600),
            Append("a.log.1", "two\n"),
            Run(1),
            Append("a.log", "three\n"),
            Run(6),
            Delivered(&["one", "two", "three"]),
        ],
    );
    check(
        "a last line without a newline is delivered when its file is left",
        &[
            Append("a.log", "one\ntwo"),
            Start,
            Run(1),
            Rename("a.log", "a-2026-11-21T03-00-10.123.log"),
            Append("a.log", "three\n"),
            Run(4),
            Delivered(&["one"]),
            Run(2),
            Delivered(&["two", "three"]),
        ],
    );
    check(
        "the new file may come late",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Rename("a.log", "a.log.1"),
            Run(1),
            Told(&[]),
            Run(60),
            Told(&["a.log does not exist: waiting for it"]),
            Append("a.log", "two\n"),
            Run(6),
            Delivered(&["one", "two"]),
        ],
    );
    check(
        "several times between two looks, with files renamed on",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Append("a.log", "two\n"),
            Rename("a.log", "a.log.1"),
            Append("a.log", "three\n"),
            Rename("a.log.1", "a.log.2"),
            Rename("a.log", "a.log.1"),
            Append("a.log", "four\n"),
            Run(6),
            Delivered(&["one", "two", "three", "four"]),
        ],
    );
    check(
        "to a name nobody knows",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Append("a.log", "two\n"),
            Rename("a.log", "elsewhere"),
            Append("a.log", "three\n"),
            Run(6),
            Delivered(&["one", "two", "three"]),
        ],
    );
    check(
        "the old file is removed while it is open",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Append("a.log", "two\n"),
            Remove("a.log"),
            Append("a.log", "three\n"),
            Run(6),
            Delivered(&["one", "two", "three"]),
        ],
    );
    check(
        "compressed in a way nobody reads, between two looks",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Rename("a.log", "a.log.2"),
            Append("a.log.1.zst", "?"),
            Append("a.log", "three\n"),
            Run(6),
            Delivered(&["one", "three"]),
            Told(&["a.log.1.zst is lost: it was compressed, not with gzip, before it was read"]),
        ],
    );
}

#[test]
fn rotation_by_copying_and_truncating() {
    check(
        "what was not read yet is read from the copy",
        &[
            Append("a.log", long!("one")),
            Append("a.log", "\n"),
            Start,
            Run(1),
            Delivered(&[long!("one")]),
            Append("a.log", "two\n"),
            Copy("a.log", "a.log.1"),
            Truncate("a.log"),
            Append("a.log", "three\n"),
            Run(6),
            Delivered(&["two", "three"]),
            Told(&["a.log was truncated: finishing it in its copy "]),
        ],
    );
    check(
        "without a copy, the file is read from its start, and the start of a line delivered",
        &[
            Append("a.log", "one\ntwo\nthr"),
            Start,
            Run(1),
            Truncate("a.log"),
            Append("a.log", "four\n"),
            Run(1),
            Delivered(&["one", "two", "thr", "four"]),
            Told(&["a.log was truncated: what was not read of it is lost; going on with "]),
        ],
    );
    check(
        "truncated and longer again when looked at",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Truncate("a.log"),
            Append("a.log", "two\nthree\nfour\n"),
            Run(1),
            Delivered(&["one", "two", "three", "four"]),
        ],
    );
    check(
        "while nobody was looking",
        &[
            Append("a.log", long!("one")),
            Append("a.log", "\ntwo\n"),
            Start,
            Run(1),
            Stop,
            Delivered(&[long!("one"), "two"]),
            Append("a.log", "three\n"),
            Copy("a.log", "a.log.1"),
            Truncate("a.log"),
            Append("a.log", "four\n"),
            Start,
            Run(6),
            Delivered(&["three", "four"]),
            Told(&[]),
        ],
    );
}

#[test]
fn restarts() {
    check(
        "after a stop nothing is repeated",
        &[
            Append("a.log", "one\ntwo\nthr"),
            Start,
            Run(1),
            Stop,
            Delivered(&["one", "two"]),
            Append("a.log", "ee\n"),
            Start,
            Run(1),
            Delivered(&["three"]),
        ],
    );
    check(
        "after a kill, what was delivered just before is repeated",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(8),
            Append("a.log", "two\n"),
            Run(4),
            Kill,
            Delivered(&["one", "two"]),
            Start,
            Run(1),
            Delivered(&["two"]),
        ],
    );
    check(
        "killed before the first interval, the file rotated meanwhile",
        &[
            Append("a.log", "one\n"),
            Start,
            Step,
            Kill,
            Append("a.log", "two\n"),
            Rename("a.log", "a.log.1"),
            Append("a.log", "three\n"),
            Start,
            Run(6),
            Delivered(&["one", "two", "three"]),
        ],
    );
    check(
        "all files rotated meanwhile are read, in order; older ones not",
        &[
            Append("a-2026-11-21T00-00-00.000.log", "older\n"),
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Stop,
            Append("a.log", "two\n"),
            Rename("a.log", "a-2026-11-22T00-00-00.000.log"),
            Append("a.log", "three\n"),
            Rename("a.log", "a-2026-11-23T00-00-00.000.log"),
            Append("a.log", "four"),
            Rename("a.log", "a-2026-11-24T00-00-00.000.log"),
            Append("a.log", "five\n"),
            Start,
            Run(6),
            Delivered(&["one", "two", "three", "four", "five"]),
            Told(&[]),
        ],
    );
    check(
        "compressed meanwhile",
        &[
            Append("a.log", long!("one")),
            Append("a.log", "\n"),
            Start,
            Run(1),
            Stop,
            Delivered(&[long!("one")]),
            Append("a.log", "two\n"),
            Rename("a.log", "a.log.2"),
            Gzip("a.log.2"),
            Append("a.log.1", "three\n"),
            Gzip("a.log.1"),
            Append("a.log", "four\n"),
            Start,
            Run(1),
            Delivered(&["two", "three", "four"]),
            Told(&[]),
        ],
    );
    check(
        "a broken compressed file is a loss, and not the end",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Stop,
            Rename("a.log", "a.log.2"),
            Append("a.log.1.gz", "broken"),
            Append("a.log", "two\n"),
            Start,
            Run(6),
            Delivered(&["one", "two"]),
            Told(&["cannot read all of"]),
        ],
    );
    check(
        "the file and its inode are gone, what was written since is read",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Stop,
            Remove("a.log"),
            Append("a.log.1", "two\n"),
            Append("a.log", "three\n"),
            Start,
            Run(6),
            Delivered(&["one", "two", "three"]),
            Told(&["the file the checkpoint names was removed or truncated"]),
        ],
    );
    check(
        "stopped between renaming and making anew",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Rename("a.log", "a.log.1"),
            Run(1),
            Stop,
            Start,
            Run(1),
            Append("a.log", "two\n"),
            Run(6),
            Delivered(&["one", "two"]),
        ],
    );
    check(
        "a damaged checkpoint repeats everything and says so",
        &[
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Stop,
            Truncate(".a.log.checkpoint"),
            Start,
            Run(1),
            Stop,
            Told(&["is damaged (0 bytes, all zero)"]),
            Start,
            Run(1),
            Delivered(&["one", "one"]),
        ],
    );
}

#[test]
fn dropped_lines_move_the_checkpoint() {
    check(
        "at once",
        &[
            Append("a.log", "drop\ndrop\n"),
            Start,
            Run(2),
            Kill,
            Append("a.log", "one\n"),
            Start,
            Run(1),
            Delivered(&["one"]),
        ],
    );
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path().join("a.log"));
    let mut stage = Stage::new(directory.path(), &options);
    for step in [Append("a.log", "drop\ndrop\n"), Start, Run(2)] {
        stage.play(step, "");
    }
    assert_eq!(stage.follower.unwrap().deliveries.settled().unwrap().offset, 10);
}

#[test]
fn a_filter_that_fails_ends_following_and_keeps_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path().join("a.log"));
    let mut stage = Stage::new(directory.path(), &options);
    stage.play(Append("a.log", "one\ntwo\nthree\n"), "");
    stage.start();
    let mut fail_at_two = |line: &[u8], records: &mut Vec<u8>| {
        records.extend_from_slice(line);
        anyhow::ensure!(line != b"two", "the module is broken");
        records.push(b'\n');
        Ok(())
    };
    let mut follower = stage.follower.take().unwrap();
    let error = loop {
        if let Err(error) = follower.step(Duration::ZERO, &mut fail_at_two, &mut stage.pipe) {
            break error;
        }
    };
    assert_eq!(error.to_string(), "the module is broken");
    drop(follower);
    for step in [Start, Run(1), Delivered(&["one", "one", "two", "three"])] {
        stage.play(step, "the whole record before it was delivered, and the line is not lost");
    }
}

#[test]
fn a_reader_that_goes_away_ends_following_and_the_checkpoint_stays_behind() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path().join("a.log"));
    let mut stage = Stage::new(directory.path(), &options);
    for step in [Append("a.log", "one\n"), Start, Run(8), Append("a.log", "two\n"), Run(1)] {
        stage.play(step, "");
    }
    stage.pipe.broken = true;
    assert_eq!(stage.step(), Progress::Ended, "though there is nothing to write");
    stage.stop();
    stage.pipe = Pipe::default();
    for step in [Start, Run(1), Delivered(&["two"])] {
        stage.play(step, "");
    }
}

#[test]
fn what_cannot_be_read_is_told_once_and_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path().join("a.log"));
    let mut stage = Stage::new(directory.path(), &options);
    fs::create_dir(&options.path).unwrap();
    for step in [Start, Run(60), Told(&["a.log: not a regular file: trying again"])] {
        stage.play(step, "");
    }
    fs::remove_dir(&options.path).unwrap();
    for step in [Append("a.log", "one\n"), Run(1), Delivered(&["one"])] {
        stage.play(step, "");
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_told_once_and_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path().join("a.log"));
    let mut stage = Stage::new(directory.path(), &options);
    // Where the new checkpoint is to be written, there is a directory.
    let aside = directory.path().join(".a.log.checkpoint.new");
    fs::create_dir(&aside).unwrap();
    for step in [
        Append("a.log", "one\n"),
        Start,
        Run(60),
        Delivered(&["one"]),
        Told(&["cannot write the checkpoint"]),
    ] {
        stage.play(step, "");
    }
    fs::remove_dir(&aside).unwrap();
    for step in [Run(2), Kill, Start, Run(1), Delivered(&[])] {
        stage.play(step, "");
    }
}

#[test]
fn follow_returns_at_the_word_to_stop_with_a_summary() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        checkpoint: Some(directory.path().join("state/checkpoint")),
        poll_interval: Duration::from_millis(1),
        ..Options::new(directory.path().join("a.log"))
    };
    fs::write(&options.path, "one\ndrop\ntwo\n").unwrap();
    let stop = StopFlag::new();
    let mut taken = Pipe::default();
    let mut filter = |line: &[u8], records: &mut Vec<u8>| {
        if line == b"two" {
            stop.set();
        }
        keep(line, records)
    };
    /// A reader that takes everything at once.
    struct Taking<'a>(&'a mut Pipe);
    impl Output for Taking<'_> {
        fn write(&mut self, records: &[u8]) -> io::Result<()> {
            self.0.taken.extend(records);
            Ok(())
        }
        fn unread(&mut self) -> io::Result<u64> {
            Ok(0)
        }
    }
    let summary = follow(&options, &mut filter, &mut Taking(&mut taken), &stop).unwrap();
    let expected = Summary { lines: 3, bytes_in: 13, bytes_out: 8, ..Summary::default() };
    assert_eq!(summary, expected);
    assert_eq!(taken.taken, b"one\ntwo\n");
    assert!(
        fs::read_to_string(directory.path().join("state/checkpoint")).unwrap().contains(r#""offset":13"#)
    );
}

mod model {
    //! Everything that may happen, in any order, against what must hold.

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Event {
        /// The writer writes so many lines, padded to various lengths.
        Write {
            lines: usize,
            padding: usize,
        },
        /// The writer writes the first part of a line.
        WritePart {
            padding: usize,
        },
        /// The log is renamed and made anew, at once.
        Rotate,
        /// The log is renamed and made anew; before the writer notices, it writes so many lines to the old file.
        RotateLate {
            lines: usize,
        },
        /// The oldest rotated file that is not compressed is compressed.
        Compress,
        /// Time passes for the follower, if it runs; with a reader that takes so much at a time.
        Run {
            tenths: u64,
            taking: usize,
        },
        /// The follower does one step.
        Step,
        Start,
        /// The follower ends by a signal; its reader is still there.
        Stop,
        /// The follower dies. Its reader takes what is in the pipe.
        Kill,
        /// Both die: what is in the pipe is lost, and what the reader has taken during the checkpoint's delay.
        KillBoth,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (1..20usize, 0..900usize).prop_map(|(lines, padding)| Event::Write { lines, padding }),
            2 => (0..900usize).prop_map(|padding| Event::WritePart { padding }),
            3 => Just(Event::Rotate),
            1 => (0..4usize).prop_map(|lines| Event::RotateLate { lines }),
            1 => Just(Event::Compress),
            5 => (1..150u64, prop_oneof![Just(usize::MAX), 0..5000usize])
                .prop_map(|(tenths, taking)| Event::Run { tenths, taking }),
            3 => Just(Event::Step),
            3 => Just(Event::Start),
            1 => Just(Event::Stop),
            1 => Just(Event::Kill),
            1 => Just(Event::KillBoth),
        ]
    }

    /// How rotated files are called.
    #[derive(Debug, Clone, Copy)]
    enum Names {
        Stamped,
        Numbered,
    }

    /// A checkpoint is at most this old: the delay, the distance of two marks twice, an interval, two polls.
    const LAG: Duration = Duration::from_millis(5000 + 2 * 1000 + 1000 + 2 * 200);

    struct Model<'a> {
        stage: Stage<'a>,
        names: Names,
        /// The file the writer has open.
        writer: File,
        /// The lines that must be delivered, in order.
        expected: Vec<String>,
        /// What is on the way: the first part of a line.
        part: String,
        rotations: u32,
        /// Which of the expected lines are safe with the reader.
        safe: Vec<bool>,
        /// In this run of the follower: when how many bytes had been taken.
        takes: Vec<(Duration, usize)>,
        /// In this run of the follower: when the reader had everything, how many lines that was.
        even: Vec<(Duration, usize)>,
        /// The first line that this run may begin with, and the last.
        begins: (usize, usize),
        /// How many of the first lines have been given out by any run.
        given: usize,
        /// A clock for the files: strictly increasing, so that no two writes happen at the same time.
        tick: u64,
    }

    impl<'a> Model<'a> {
        fn new(directory: &'a Path, options: &'a Options, names: Names) -> Self {
            let writer = File::options().append(true).create(true).open(&options.path).unwrap();
            let mut model = Self {
                stage: Stage::new(directory, options),
                names,
                writer,
                expected: Vec::new(),
                part: String::new(),
                rotations: 0,
                safe: Vec::new(),
                takes: Vec::new(),
                even: Vec::new(),
                begins: (0, 0),
                given: 0,
                tick: 0,
            };
            model.touch();
            model
        }

        fn write(&mut self, text: &str) {
            self.writer.write_all(text.as_bytes()).unwrap();
            self.touch();
        }

        fn touch(&mut self) {
            self.tick += 1;
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000 + self.tick);
            self.writer.set_modified(time).unwrap();
        }

        fn expect(&mut self, line: String) {
            self.expected.push(line);
            self.safe.push(false);
        }

        /// Long enough for a fingerprint to tell.
        fn line(&self, padding: usize) -> String {
            format!("{:08} {}", self.expected.len(), "x".repeat(130 + padding))
        }

        fn write_lines(&mut self, lines: usize, padding: usize) {
            for index in 0..lines {
                let line =
                    if self.part.is_empty() { self.line(padding / (index + 1)) } else { String::new() };
                self.write(&format!("{line}\n"));
                let part = std::mem::take(&mut self.part);
                self.expect(part + &line);
                if index % 3 == 1 {
                    self.write("drop\n");
                }
            }
        }

        fn rename(&mut self) {
            let path = &self.stage.options.path;
            match self.names {
                Names::Stamped => {
                    let name = format!(
                        "a-2026-11-21T00-00-{:02}.{:03}.log",
                        self.rotations / 1000,
                        self.rotations % 1000
                    );
                    fs::rename(path, self.stage.path(&name)).unwrap();
                }
                Names::Numbered => {
                    for number in (0..=self.rotations).rev() {
                        for suffix in ["", ".gz"] {
                            let from = self.stage.path(&format!("a.log.{number}{suffix}"));
                            let to = self.stage.path(&format!("a.log.{}{suffix}", number + 1));
                            if from.exists() {
                                fs::rename(from, to).unwrap();
                            }
                        }
                    }
                    fs::rename(path, self.stage.path("a.log.1")).unwrap();
                }
            }
            self.rotations += 1;
        }

        /// The writer notices the rotation. What it had begun stays in the old file, as a line.
        fn reopen(&mut self, new: File) {
            if !self.part.is_empty() {
                let part = std::mem::take(&mut self.part);
                self.expect(part);
            }
            self.writer = new;
            self.touch();
        }

        fn make_anew(&self) -> File {
            File::options().append(true).create_new(true).open(&self.stage.options.path).unwrap()
        }

        fn compress(&mut self) {
            let mut plain: Vec<_> = rotation::generations(&self.stage.options.path)
                .unwrap()
                .into_iter()
                .filter(|generation| !generation.current && !generation.is_compressed())
                .map(|generation| generation.path)
                .collect();
            if plain.is_empty() {
                return;
            }
            let path = plain.remove(0);
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            let packed = path.with_file_name(format!("{}.gz", path.file_name().unwrap().to_string_lossy()));
            fs::write(&packed, gzip(&fs::read(&path).unwrap())).unwrap();
            // As gzip does.
            File::options().append(true).open(&packed).unwrap().set_modified(modified).unwrap();
            fs::remove_file(path).unwrap();
        }

        /// The lines among the first `bytes` bytes that the reader took in this run.
        fn taken_lines(&self, bytes: usize) -> Vec<usize> {
            let taken = std::str::from_utf8(&self.stage.pipe.taken[..bytes]).unwrap();
            let complete = taken.rfind('\n').map_or("", |end| &taken[..end]);
            complete
                .lines()
                .map(|line| self.expected.iter().position(|expected| expected == line).unwrap())
                .collect()
        }

        fn take(&mut self, bytes: usize) {
            self.stage.pipe.take(bytes);
            self.takes.push((self.stage.now, self.stage.pipe.taken.len()));
        }

        /// The follower has ended; of what the reader took, that before `lost_since` is safe.
        fn ended(&mut self, lost_since: Option<Duration>, clean: bool) {
            let now = self.stage.now;
            let lines = self.taken_lines(self.stage.pipe.taken.len());
            for pair in lines.windows(2) {
                assert_eq!(pair[0] + 1, pair[1], "lines are delivered in order and without a gap");
            }
            if let Some(&first) = lines.first() {
                let (from, to) = self.begins;
                assert!((from..=to).contains(&first), "begins with line {first}, not within {from}..={to}");
            }
            let safe = self
                .takes
                .iter()
                .filter(|(at, _)| lost_since.is_none_or(|since| *at < since))
                .map(|(_, bytes)| *bytes)
                .max()
                .unwrap_or(0);
            for line in self.taken_lines(safe) {
                self.safe[line] = true;
            }
            self.given = self.given.max(lines.last().map_or(0, |last| last + 1));
            // The next run begins with a line that is not safe yet, or a safe one from behind the checkpoint.
            let settled =
                self.even.iter().rev().find(|(at, _)| *at + LAG <= now).map_or(0, |(_, lines)| *lines);
            let first_unsafe = self.safe.iter().position(|safe| !safe).unwrap_or(self.safe.len());
            self.begins = if clean {
                let next = lines.last().map_or(self.begins, |last| (last + 1, last + 1));
                (next.0, next.1)
            } else {
                (self.begins.0.max(settled), first_unsafe)
            };
            self.stage.pipe = Pipe::default();
            self.takes.clear();
            self.even.clear();
        }

        fn happen(&mut self, event: &Event) {
            match *event {
                Event::Write { lines, padding } => self.write_lines(lines, padding),
                Event::WritePart { padding } => {
                    if self.part.is_empty() {
                        self.part = self.line(padding);
                        self.write(&self.part.clone());
                    }
                }
                Event::Rotate => {
                    self.rename();
                    let new = self.make_anew();
                    self.reopen(new);
                }
                Event::RotateLate { lines } => {
                    self.rename();
                    let new = self.make_anew();
                    self.run(70, usize::MAX);
                    self.write_lines(lines, 0);
                    self.run(2, usize::MAX);
                    self.reopen(new);
                }
                Event::Compress => self.compress(),
                Event::Run { tenths, taking } => self.run(tenths, taking),
                Event::Step => {
                    if self.stage.follower.is_some() {
                        self.stage.step();
                    }
                }
                Event::Start => {
                    if self.stage.follower.is_none() {
                        self.stage.start();
                    }
                }
                Event::Stop => {
                    if self.stage.follower.is_some() {
                        self.take(usize::MAX);
                        self.stage.stop();
                        self.ended(None, true);
                    }
                }
                Event::Kill => {
                    if self.stage.follower.take().is_some() {
                        self.take(usize::MAX);
                        self.ended(None, false);
                    }
                }
                Event::KillBoth => {
                    if self.stage.follower.is_some() {
                        self.stage.pipe.broken = true;
                        assert_eq!(self.stage.step(), Progress::Ended);
                        self.stage.stop_at_broken_pipe();
                        let since = self.stage.now.saturating_sub(self.stage.options.checkpoint_delay);
                        self.ended(Some(since), false);
                    }
                }
            }
        }

        fn run(&mut self, tenths: u64, taking: usize) {
            let until = self.stage.now + Duration::from_millis(100 * tenths);
            while self.stage.now < until {
                if self.stage.follower.is_some() {
                    assert!(self.stage.work());
                    self.take(taking);
                    if self.stage.pipe.unread.is_empty() {
                        let lines = self.taken_lines(self.stage.pipe.taken.len());
                        let lines = lines.last().map_or(self.begins.0, |last| last + 1);
                        self.even.push((self.stage.now, lines));
                    }
                }
                self.stage.now += self.stage.options.poll_interval;
            }
        }
    }

    impl Stage<'_> {
        fn stop_at_broken_pipe(&mut self) {
            if let Some(follower) = self.follower.take() {
                follower.finish(&mut self.pipe);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn every_line_is_delivered_in_order_and_repeated_only_behind_the_checkpoint(
            events in prop::collection::vec(event(), 1..40),
            numbered in any::<bool>(),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let options = Options::new(directory.path().join("a.log"));
            let names = if numbered { Names::Numbered } else { Names::Stamped };
            let mut model = Model::new(directory.path(), &options, names);
            // What is written before the first start and rotated away is not followed.
            model.happen(&Event::Start);
            model.happen(&Event::Step);
            for event in &events {
                model.happen(event);
            }
            model.happen(&Event::Start);
            model.happen(&Event::Write { lines: 1, padding: 0 });
            // Each file may take its grace.
            model.run(100 + 60 * u64::from(model.rotations), usize::MAX);
            model.happen(&Event::Stop);
            let missing: Vec<_> = (0..model.safe.len()).filter(|&line| !model.safe[line]).collect();
            prop_assert!(missing.is_empty(), "lines {missing:?} of {} were lost", model.safe.len());
        }
    }
}

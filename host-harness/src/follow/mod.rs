//! Follows a log across rotation and restarts, filtering its lines to an output: what stands behind
//! `host-harness follow PATH`, which Vector's `exec` source runs, or a shell with a pipe.
//!
//! ```text
//!  rotation            file                 filter              output
//!  which file next ──▶ its lines, one ──▶  (the caller's) ──▶  to the reader
//!        ▲             by one                                      │ how much has he taken?
//!        └──────────── checkpoint ◀──────── delivery ◀─────────────┘
//! ```
//!
//! # What is promised
//!
//! Every line is delivered, in order, at least once. A line is delivered twice only where the process or its
//! reader died: those behind the checkpoint, which trails the output by what the reader has not taken from the
//! pipe yet and by [`Options::checkpoint_delay`]. The word to stop is different: whoever sends it is alive and
//! goes on reading until the pipe ends (Vector does so when it shuts down), so the checkpoint is moved up to
//! what the reader has taken by then, and nothing is repeated. Whoever sends SIGTERM and then throws away what
//! it has read loses that.
//!
//! # What rotation may do
//!
//! - **Rename** (kube-apiserver, logrotate `create`): the old file is read until the new one exists and has
//!   something in it, and the old one has been quiet for [`Options::rotation_grace`]. What a writer appends to
//!   the old file later still is lost.
//! - **Copy and truncate** (logrotate `copytruncate`): the file begins anew. What had been written between the
//!   last look and the truncation is read from the copy, where it is found; what logrotate itself loses, between
//!   copying and truncating, is lost.
//! - **While nobody was looking**: the checkpoint names the file by its inode and a fingerprint of its
//!   beginning. It is looked for beside the log and finished, then the files rotated after it are read, then
//!   the log. [`rotation`] knows the names. Files compressed with gzip are read, others reported as lost.
//!
//! The file system is looked at a few times a second. That sees everything a notification would, misses
//! nothing when events overflow, and works on every file system.

mod checkpoint;
mod delivery;
mod file;
mod output;
mod rotation;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use checkpoint::{Start, Store};
use delivery::Deliveries;
use file::{Identity, LogFile, Next, Position};
use rotation::{Continuation, Successor};

pub use output::{Output, Stdout};

/// Longest line that is kept, by default. An audit event with a large list in its response has some megabytes;
/// whoever can write the log could otherwise fill the memory by leaving out newlines.
pub const DEFAULT_MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// Records are handed to the output in pieces of about this size.
const OUTPUT_CHUNK_BYTES: usize = 256 * 1024;

/// How long, after the word to stop, the reader is given to empty the pipe.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// What to follow, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The log. It need not exist yet, nor its directory.
    pub path: PathBuf,
    /// Where to remember the position; `None` is [`Options::default_checkpoint`].
    pub checkpoint: Option<PathBuf>,
    /// Where to begin when there is no checkpoint.
    pub from: From,
    /// How often an idle log is looked at. 200 ms by default.
    pub poll_interval: Duration,
    /// How long a rotated file must have been quiet before it is left for the new one. 5 s by default.
    pub rotation_grace: Duration,
    /// How often the checkpoint is written, at most. 1 s by default.
    pub checkpoint_interval: Duration,
    /// How long the checkpoint stays behind what the reader has taken: the time he needs to make it safe, in a
    /// buffer on disk or at the next station. 5 s by default.
    pub checkpoint_delay: Duration,
    /// Longer lines are left out, reported and counted. [`DEFAULT_MAX_LINE_BYTES`] by default.
    pub max_line_bytes: u64,
}

impl Options {
    /// Follows `path` with the defaults.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            checkpoint: None,
            from: From::Beginning,
            poll_interval: Duration::from_millis(200),
            rotation_grace: Duration::from_secs(5),
            checkpoint_interval: Duration::from_secs(1),
            checkpoint_delay: Duration::from_secs(5),
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
        }
    }

    /// The checkpoint used without [`Options::checkpoint`]: for `/var/log/kubernetes.audit` it is
    /// `/var/log/.kubernetes.audit.checkpoint`. Beside the log it outlives what the log outlives, a container
    /// for example, and two logs cannot share it. Where the log's directory is mounted read-only, a path has
    /// to be given.
    pub fn default_checkpoint(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".checkpoint");
        rotation::directory(&self.path).join(name)
    }
}

/// Where to begin in a log that has no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// With its first line.
    #[default]
    Beginning,
    /// With the line that is being written; in a log that does not exist yet, with its first.
    End,
}

/// The word to stop, given by a signal or another thread.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that SIGTERM and SIGINT set. A second signal ends the process at once.
    ///
    /// # Errors
    ///
    /// Where the system refuses the handlers.
    pub fn on_signals() -> io::Result<Self> {
        let flag = Self::new();
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // In this order: the first signal finds the flag not set.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag.0))?;
            signal_hook::flag::register(signal, Arc::clone(&flag.0))?;
        }
        Ok(flag)
    }

    /// Gives the word.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the word was given.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What the filter does with one line (without its newline): it appends the record and a newline, or nothing
/// where the record is dropped. An error ends following; the line is delivered after the next start.
pub type Filter<'a> = dyn FnMut(&[u8], &mut Vec<u8>) -> anyhow::Result<()> + 'a;

/// What was done, when following ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines given to the filter.
    pub lines: u64,
    /// Bytes of these lines, with a newline each.
    pub bytes_in: u64,
    /// Bytes given to the output.
    pub bytes_out: u64,
    /// Lines left out because they were longer than [`Options::max_line_bytes`].
    pub too_long: u64,
    /// How often reading went on in another file.
    pub rotations: u64,
    /// How often the log was truncated.
    pub truncations: u64,
    /// Files, or ends of files, that could not be read because they were gone or compressed unreadably.
    pub lost_files: u64,
}

/// Why following cannot begin: a wrong command line or configuration.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// Another process has the checkpoint's lock.
    InUse {
        /// The checkpoint.
        checkpoint: PathBuf,
    },
    /// The checkpoint, or its lock, can be neither made nor read.
    Inaccessible {
        /// The checkpoint.
        checkpoint: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is something else, and is not overwritten.
    NoCheckpoint {
        /// The file.
        checkpoint: PathBuf,
    },
    /// The checkpoint is one of another log.
    OtherLog {
        /// The checkpoint.
        checkpoint: PathBuf,
        /// The log it belongs to.
        log: String,
        /// The log that was to be followed.
        wanted: String,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { checkpoint } => write!(
                f,
                "another process follows with the checkpoint {}: stop it, or give each its own --checkpoint",
                checkpoint.display()
            ),
            Self::Inaccessible { checkpoint, error } => write!(
                f,
                "cannot use the checkpoint {}: {error}: give one in a directory that can be written to, with \
                 --checkpoint FILE",
                checkpoint.display()
            ),
            Self::NoCheckpoint { checkpoint } => write!(
                f,
                "{} is not a checkpoint and is left alone: give --checkpoint another file",
                checkpoint.display()
            ),
            Self::OtherLog { checkpoint, log, wanted } => write!(
                f,
                "the checkpoint {} belongs to {log}, not to {wanted}: give each log its own --checkpoint, or \
                 remove the file to read {wanted} from its start",
                checkpoint.display()
            ),
        }
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Inaccessible { error, .. } => Some(error),
            Self::InUse { .. } | Self::NoCheckpoint { .. } | Self::OtherLog { .. } => None,
        }
    }
}

/// Follows a log until `stop` is set or the output's reader is gone; both are a good end.
///
/// What a person should know (waiting for a file, a loss, an error that is tried again) goes to stderr, once.
///
/// # Errors
///
/// A [`SetupError`] before anything is read; an error of the filter, or one of the output other than the reader
/// going away, while working. Errors of the log are tried again for ever.
pub fn follow(
    options: &Options,
    filter: &mut Filter<'_>,
    output: &mut dyn Output,
    stop: &StopFlag,
) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let mut notices = Notices::new(|text| eprintln!("follow: {text}"));

    if options.checkpoint.is_none() {
        let directory = rotation::directory(&options.path);
        while !stop.is_set() && fs::metadata(directory).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            notices
                .trouble(Trouble::Log, format!("{} does not exist: waiting for it", options.path.display()));
            thread::sleep(options.poll_interval);
        }
        if stop.is_set() {
            return Ok(Summary::default());
        }
    }

    let mut follower = Follower::new(options, notices)?;
    while !stop.is_set() {
        match follower.step(started.elapsed(), filter, output)? {
            Progress::Busy => {}
            Progress::Idle => thread::sleep(options.poll_interval),
            Progress::Ended => break,
        }
    }

    let drained_by = Instant::now() + DRAIN_PATIENCE;
    while output.unread().is_ok_and(|unread| unread > 0) && Instant::now() < drained_by {
        thread::sleep(Duration::from_millis(10));
    }
    Ok(follower.finish(output))
}

/// What a [`step`](Follower::step) found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There may be more at once.
    Busy,
    /// There is nothing to do for now.
    Idle,
    /// The reader is gone, or was not waited for any longer.
    Ended,
}

/// Why lines could not be delivered.
enum Failure {
    Filter(anyhow::Error),
    Output(io::Error),
}

/// What is being read.
enum State {
    /// The log, for the first time.
    First(From),
    /// The place a checkpoint names.
    Resume(Position),
    Reading(Reading),
}

struct Reading {
    file: LogFile,
    /// When something last came.
    grown_at: Duration,
    /// When the log was first seen to be another file.
    replaced_at: Option<Duration>,
}

/// Follows a log step by step. Time comes from outside, and nothing here sleeps.
struct Follower<'a> {
    options: &'a Options,
    notices: Notices<'a>,
    store: Store,
    deliveries: Deliveries,
    state: State,
    /// Records that are not written yet.
    records: Vec<u8>,
    summary: Summary,
    saved_at: Option<Duration>,
}

impl<'a> Follower<'a> {
    fn new(options: &'a Options, mut notices: Notices<'a>) -> Result<Self, SetupError> {
        let path = options.checkpoint.clone().unwrap_or_else(|| options.default_checkpoint());
        let (store, start) = Store::open(&path, &options.path)?;
        let (position, state) = match start {
            Start::First => (None, State::First(options.from)),
            Start::Saved(None) => (None, State::First(From::Beginning)),
            Start::Saved(Some(position)) => (Some(position.clone()), State::Resume(position)),
            Start::Damaged(how) => {
                notices.say(&format!(
                    "the checkpoint {} is damaged ({how}): reading {} from its start, what was delivered before \
                     is repeated",
                    path.display(),
                    options.path.display()
                ));
                (None, State::First(From::Beginning))
            }
        };
        Ok(Self {
            options,
            notices,
            store,
            deliveries: Deliveries::new(position, options.checkpoint_delay, options.checkpoint_interval),
            state,
            records: Vec::new(),
            summary: Summary::default(),
            saved_at: None,
        })
    }

    /// Does a bounded piece of work: opens a file, or reads and filters a chunk, or looks for what comes next.
    ///
    /// `now` is the time since an arbitrary start.
    fn step(
        &mut self,
        now: Duration,
        filter: &mut Filter<'_>,
        output: &mut dyn Output,
    ) -> anyhow::Result<Progress> {
        let worked = match &self.state {
            State::First(_) | State::Resume(_) => Ok(self.open(now)),
            State::Reading(_) => self.read(now, filter, output),
        };
        let unread = |progress| output.unread().map(|unread| (progress, unread)).map_err(Failure::Output);
        let (progress, unread) = match worked.and_then(unread) {
            Ok(done) => done,
            Err(Failure::Output(error))
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut) =>
            {
                return Ok(Progress::Ended);
            }
            Err(Failure::Output(error)) => return Err(error).context("cannot write the records"),
            Err(Failure::Filter(error)) => return Err(error),
        };
        self.deliveries.taken(now, self.summary.bytes_out.saturating_sub(unread));
        if self.saved_at.is_none_or(|at| now.saturating_sub(at) >= self.options.checkpoint_interval) {
            self.save();
            self.saved_at = Some(now);
        }
        Ok(progress)
    }

    /// Writes the checkpoint for the last time. Where the reader is still there, he keeps what he has taken.
    fn finish(mut self, output: &mut dyn Output) -> Summary {
        if let Ok(unread) = output.unread() {
            self.deliveries.taken_for_good(self.summary.bytes_out.saturating_sub(unread));
        }
        self.save();
        self.summary
    }

    fn save(&mut self) {
        match self.store.save(self.deliveries.settled()) {
            Ok(()) => self.notices.over(Trouble::Checkpoint),
            Err(error) => {
                let path = self.store.path().display();
                let text =
                    format!("cannot write the checkpoint {path}: {error}: a restart would repeat lines");
                self.notices.trouble(Trouble::Checkpoint, text);
            }
        }
    }

    /// Opens the file to begin with. The next step tries again where there is none, or it cannot be read.
    fn open(&mut self, now: Duration) -> Progress {
        let opened = match &self.state {
            State::First(from) => self.open_first(*from),
            State::Resume(position) => self.open_continuation(&position.clone()),
            State::Reading(_) => return Progress::Busy,
        };
        match opened {
            Ok(file) => {
                self.switch_to(file, now);
                Progress::Busy
            }
            Err(error) => self.try_again(&error),
        }
    }

    fn open_first(&mut self, from: From) -> io::Result<LogFile> {
        let path = &self.options.path;
        let opened = match from {
            From::Beginning => LogFile::open(path, false, 0),
            From::End => LogFile::open_at_end(path),
        };
        match &opened {
            Ok(file) => {
                // Saved before the first line is read: should the log be rotated and the process die, there is
                // a file to look for.
                self.deliveries.reached(Duration::ZERO, file.position(), 0);
                self.saved_at = None;
            }
            // What appears from now on is new.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.state = State::First(From::Beginning)
            }
            Err(_) => {}
        }
        opened
    }

    /// Opens the file that holds `position`, or, that being gone, the one to go on with.
    fn open_continuation(&mut self, position: &Position) -> io::Result<LogFile> {
        let generations = rotation::generations(&self.options.path)?;
        match rotation::continuation(&generations, position) {
            Continuation::Same(found) => LogFile::open(&found.path, found.is_compressed(), position.offset),
            Continuation::Next(successor) => {
                let next = successor.generation.ok_or(io::ErrorKind::NotFound)?;
                let file = LogFile::open(&next.path, next.is_compressed(), 0)?;
                self.notices.say(&format!(
                    "the file the checkpoint names was removed or truncated: what was not read of it, from \
                     offset {} on, is lost; going on with {} from its start",
                    position.offset,
                    next.path.display()
                ));
                self.summary.lost_files += 1;
                self.report_unreadable(&successor);
                Ok(file)
            }
        }
    }

    /// Reads on, and filters what came.
    fn read(
        &mut self,
        now: Duration,
        filter: &mut Filter<'_>,
        output: &mut dyn Output,
    ) -> Result<Progress, Failure> {
        let State::Reading(reading) = &mut self.state else { return Ok(Progress::Busy) };
        let read = match reading.file.is_truncated() {
            Ok(true) => return self.after_truncation(now, filter, output),
            Ok(false) => reading.file.fill(),
            Err(error) => Err(error),
        };
        match read {
            Ok(0) => self.at_end(now, filter, output),
            Ok(_) => {
                reading.grown_at = now;
                self.notices.over(Trouble::Log);
                self.deliver(now, false, filter, output)?;
                Ok(Progress::Busy)
            }
            Err(error) if reading.file.is_compressed() => {
                let path = reading.file.path().display();
                self.notices.say(&format!("cannot read all of {path}: {error}: the rest of it is lost"));
                self.summary.lost_files += 1;
                Ok(Progress::Busy)
            }
            Err(error) => Ok(self.try_again(&error)),
        }
    }

    /// Filters the lines that have been read, writes the records, and notes how far that is. A last line without
    /// its end waits for it, unless the file is `finished`.
    fn deliver(
        &mut self,
        now: Duration,
        finished: bool,
        filter: &mut Filter<'_>,
        output: &mut dyn Output,
    ) -> Result<(), Failure> {
        let State::Reading(Reading { file, .. }) = &mut self.state else { return Ok(()) };
        let limit = self.options.max_line_bytes;
        let mut filtered = Ok(());
        while filtered.is_ok()
            && let Some(next) = file.next_line(finished, limit)
        {
            match next {
                Next::Line(line) => {
                    let complete = self.records.len();
                    filtered = filter(line, &mut self.records);
                    if filtered.is_err() {
                        self.records.truncate(complete);
                    }
                    self.summary.lines += 1;
                    self.summary.bytes_in += line.len() as u64 + 1;
                }
                Next::TooLong { offset, bytes } => {
                    self.notices.say(&format!(
                        "{}, offset {offset}: a line of {bytes} bytes is left out, more than {limit} are not kept",
                        file.path().display()
                    ));
                    self.summary.too_long += 1;
                }
            }
            if self.records.len() >= OUTPUT_CHUNK_BYTES {
                write(&mut self.records, output, &mut self.summary)?;
            }
        }
        write(&mut self.records, output, &mut self.summary)?;
        filtered.map_err(Failure::Filter)?;
        self.deliveries.reached(now, file.position(), self.summary.bytes_out);
        Ok(())
    }

    /// There is nothing more in the file, for now. Where it has been rotated away and its time is up, goes on
    /// with the next.
    fn at_end(
        &mut self,
        now: Duration,
        filter: &mut Filter<'_>,
        output: &mut dyn Output,
    ) -> Result<Progress, Failure> {
        let State::Reading(reading) = &mut self.state else { return Ok(Progress::Busy) };
        let log = &self.options.path;
        match fs::metadata(log) {
            Ok(metadata) if Identity::of(&metadata) == reading.file.identity() => {
                reading.replaced_at = None;
                self.notices.over(Trouble::Log);
                return Ok(Progress::Idle);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Ok(self.try_again(&error)),
        }
        let Some(replaced_at) = reading.replaced_at else {
            // What was appended before the rename may have come after the end was read: read once more.
            reading.replaced_at = Some(now);
            return Ok(Progress::Busy);
        };
        let quiet = now.saturating_sub(replaced_at.max(reading.grown_at));
        let in_grace = quiet < self.options.rotation_grace && !reading.file.is_compressed();

        let generations = match rotation::generations(log) {
            Ok(generations) => generations,
            Err(error) => return Ok(self.try_again(&error)),
        };
        let successor = rotation::successor(&generations, &reading.file.position());
        let next = match successor.generation {
            // While the new file is empty, its writer may still be writing to the old one.
            Some(next) if next.current && (next.is_empty() || in_grace) => return Ok(Progress::Idle),
            Some(next) => next,
            None if in_grace => return Ok(Progress::Idle),
            None => return Ok(self.try_again(&io::ErrorKind::NotFound.into())),
        };
        let file = match LogFile::open(&next.path, next.is_compressed(), 0) {
            Ok(file) => file,
            // Renamed meanwhile: the next look finds it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Progress::Idle),
            Err(error) => return Ok(self.try_again(&error)),
        };
        self.deliver(now, true, filter, output)?;
        self.report_unreadable(&successor);
        self.summary.rotations += 1;
        if !file.is_compressed() {
            self.deliveries.reached(now, file.position(), self.summary.bytes_out);
        }
        self.switch_to(file, now);
        Ok(Progress::Busy)
    }

    /// The file no longer holds what was read: goes on in the copy that `copytruncate` has made, or else in the
    /// file as it is now.
    fn after_truncation(
        &mut self,
        now: Duration,
        filter: &mut Filter<'_>,
        output: &mut dyn Output,
    ) -> Result<Progress, Failure> {
        let State::Reading(reading) = &self.state else { return Ok(Progress::Busy) };
        let position = reading.file.position();
        let generations = match rotation::generations(&self.options.path) {
            Ok(generations) => generations,
            Err(error) => return Ok(self.try_again(&error)),
        };
        let (successor, next, offset) = match rotation::continuation(&generations, &position) {
            Continuation::Same(copy) => (None, Some(copy), position.offset),
            Continuation::Next(successor) => {
                let next = successor.generation;
                (Some(successor), next, 0)
            }
        };
        let opened = next.ok_or(io::ErrorKind::NotFound.into()).and_then(|next: &rotation::Generation| {
            Ok((LogFile::open(&next.path, next.is_compressed(), offset)?, next.path.display()))
        });
        let (file, path) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(self.try_again(&error)),
        };
        let truncated = reading.file.path().display();
        match &successor {
            None => self.notices.say(&format!("{truncated} was truncated: finishing it in its copy {path}")),
            Some(successor) => {
                self.notices.say(&format!(
                    "{truncated} was truncated: what was not read of it is lost; going on with {path} from its \
                     start"
                ));
                // The start of a line whose end is gone: better than nothing.
                self.deliver(now, true, filter, output)?;
                self.report_unreadable(successor);
            }
        }
        self.summary.truncations += 1;
        self.switch_to(file, now);
        Ok(Progress::Busy)
    }

    fn switch_to(&mut self, file: LogFile, now: Duration) {
        self.notices.over(Trouble::Log);
        self.state = State::Reading(Reading { file, grown_at: now, replaced_at: None });
    }

    fn report_unreadable(&mut self, successor: &Successor<'_>) {
        for path in &successor.unreadable {
            let path = path.display();
            self.notices
                .say(&format!("{path} is lost: it was compressed, not with gzip, before it was read"));
            self.summary.lost_files += 1;
        }
    }

    /// The log cannot be read just now: says why, once, and leaves it to a later step.
    fn try_again(&mut self, error: &io::Error) -> Progress {
        let path = self.options.path.display();
        let text = match error.kind() {
            io::ErrorKind::NotFound => format!("{path} does not exist: waiting for it"),
            _ => format!("cannot read {path}: {error}: trying again"),
        };
        self.notices.trouble(Trouble::Log, text);
        Progress::Idle
    }
}

fn write(records: &mut Vec<u8>, output: &mut dyn Output, summary: &mut Summary) -> Result<(), Failure> {
    output.write(records).map_err(Failure::Output)?;
    summary.bytes_out += records.len() as u64;
    records.clear();
    records.shrink_to(2 * OUTPUT_CHUNK_BYTES);
    Ok(())
}

/// What can go wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Log,
    Checkpoint,
}

/// What a person is told. A trouble that lasts is told once.
struct Notices<'a> {
    say: Box<dyn FnMut(&str) + 'a>,
    lasting: BTreeMap<Trouble, String>,
}

impl<'a> Notices<'a> {
    fn new(say: impl FnMut(&str) + 'a) -> Self {
        Self { say: Box::new(say), lasting: BTreeMap::new() }
    }

    fn say(&mut self, text: &str) {
        (self.say)(text);
    }

    fn trouble(&mut self, trouble: Trouble, text: String) {
        if self.lasting.get(&trouble) != Some(&text) {
            self.say(&text);
            self.lasting.insert(trouble, text);
        }
    }

    fn over(&mut self, trouble: Trouble) {
        self.lasting.remove(&trouble);
    }
}

#[cfg(test)]
mod tests;

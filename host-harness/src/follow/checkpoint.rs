//! The checkpoint: a small file that remembers, across restarts, where to go on reading.
//!
//! It is replaced as a whole (written aside, synchronised, renamed), so that it is there and complete at any
//! moment. A lock beside it, held while the process lives, keeps a second process from using it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SetupError;
use super::file::Position;
use super::rotation::directory;

/// What every checkpoint begins with, so that no other file is taken for one and overwritten.
const OPENING: &str = r#"{"format":"host-harness follow checkpoint 1""#;
const FORMAT: &str = "host-harness follow checkpoint 1";

/// A checkpoint is a few hundred bytes; more is not one.
const MAX_BYTES: u64 = 64 * 1024;

/// The content of a checkpoint. `format` comes first: [`OPENING`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Checkpoint {
    format: String,
    /// The log's absolute path.
    log: String,
    /// `None` while the log has never existed.
    position: Option<Position>,
}

/// What the checkpoint said at the start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// There is none: this is the first start.
    First,
    /// Go on here; `None`: with whatever file appears first.
    Saved(Option<Position>),
    /// The checkpoint is damaged, with a word about how.
    Damaged(String),
}

/// Where the checkpoint is kept.
pub(super) struct Store {
    path: PathBuf,
    log: String,
    saved: Option<Option<Position>>,
    /// Held for its lock, which ends with the process at the latest.
    _lock: File,
}

impl Store {
    /// Takes the lock and reads the checkpoint at `path` for the log at `log`.
    ///
    /// A checkpoint that an outage has cut short or filled with zeros is [`Start::Damaged`]: reading everything
    /// again is better than never reading on.
    ///
    /// # Errors
    ///
    /// Where another process has the lock, the directory cannot be written to, or the file is no checkpoint or
    /// one of another log.
    pub(super) fn open(path: &Path, log: &Path) -> Result<(Self, Start), SetupError> {
        let inaccessible = |error| SetupError::Inaccessible { checkpoint: path.to_owned(), error };
        let log = std::path::absolute(log).map_err(inaccessible)?.to_string_lossy().into_owned();

        fs::create_dir_all(directory(path)).map_err(inaccessible)?;
        let lock = File::create(beside(path, ".lock")).map_err(inaccessible)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SetupError::InUse { checkpoint: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(inaccessible(error)),
        }

        let mut content = Vec::new();
        let start = match File::open(path) {
            Ok(file) => {
                file.take(MAX_BYTES).read_to_end(&mut content).map_err(inaccessible)?;
                parse(&content, path, &log)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Start::First,
            Err(error) => return Err(inaccessible(error)),
        };
        let saved = match &start {
            Start::Saved(position) => Some(position.clone()),
            Start::First | Start::Damaged(_) => None,
        };
        Ok((Self { path: path.to_owned(), log, saved, _lock: lock }, start))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a position, unless it is the one written last.
    pub(super) fn save(&mut self, position: Option<&Position>) -> io::Result<()> {
        if self.saved.as_ref().map(Option::as_ref) == Some(position) {
            return Ok(());
        }
        let checkpoint =
            Checkpoint { format: FORMAT.to_owned(), log: self.log.clone(), position: position.cloned() };
        let mut content = serde_json::to_vec(&checkpoint)?;
        content.push(b'\n');

        let aside = beside(&self.path, ".new");
        let mut file = File::create(&aside)?;
        file.write_all(&content)?;
        file.sync_all()?;
        fs::rename(&aside, &self.path)?;
        File::open(directory(&self.path))?.sync_all()?;
        self.saved = Some(checkpoint.position);
        Ok(())
    }
}

fn parse(content: &[u8], path: &Path, log: &str) -> Result<Start, SetupError> {
    if content.iter().all(|&byte| byte == 0) {
        return Ok(Start::Damaged(format!("{} bytes, all zero", content.len())));
    }
    let opening = OPENING.as_bytes();
    if !content.starts_with(opening) && !opening.starts_with(content) {
        return Err(SetupError::NoCheckpoint { checkpoint: path.to_owned() });
    }
    match serde_json::from_slice::<Checkpoint>(content) {
        Ok(checkpoint) if checkpoint.log != log => Err(SetupError::OtherLog {
            checkpoint: path.to_owned(),
            log: checkpoint.log,
            wanted: log.to_owned(),
        }),
        Ok(checkpoint) => Ok(Start::Saved(checkpoint.position)),
        Err(error) => Ok(Start::Damaged(error.to_string())),
    }
}

/// The path with something added to the file's name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::super::file::LogFile;
    use super::*;

    fn position() -> Option<Position> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "one\ntwo\n").unwrap();
        Some(LogFile::open(&path, false, 4).unwrap().position())
    }

    #[test]
    fn what_was_saved_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (path, log) = (directory.path().join("made/for/it/checkpoint"), directory.path().join("log"));
        for (expected, next) in
            [(Start::First, None), (Start::Saved(None), position()), (Start::Saved(position()), position())]
        {
            let (mut store, start) = Store::open(&path, &log).unwrap();
            // Inode and time differ from file to file.
            match (&start, &expected) {
                (Start::Saved(Some(found)), Start::Saved(Some(wanted))) => {
                    assert_eq!((found.offset, found.fingerprint), (wanted.offset, wanted.fingerprint));
                }
                _ => assert_eq!(start, expected),
            }
            store.save(next.as_ref()).unwrap();
        }
        assert!(fs::read_to_string(&path).unwrap().starts_with(OPENING));
    }

    #[test]
    fn a_second_user_is_told_apart_and_the_first_leaving_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let (path, log) = (directory.path().join("checkpoint"), directory.path().join("log"));
        let first = Store::open(&path, &log).unwrap();
        assert!(matches!(Store::open(&path, &log), Err(SetupError::InUse { .. })));
        drop(first);
        assert!(Store::open(&path, &log).is_ok());
    }

    #[test]
    fn every_truncation_is_damage_and_not_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let (path, log) = (directory.path().join("checkpoint"), directory.path().join("log"));
        Store::open(&path, &log).unwrap().0.save(position().as_ref()).unwrap();
        let whole = fs::read(&path).unwrap();
        // The last byte is a newline, and can be missed.
        for length in 0..whole.len() - 1 {
            fs::write(&path, &whole[..length]).unwrap();
            let (_, start) = Store::open(&path, &log).unwrap();
            assert!(matches!(start, Start::Damaged(_)), "{length} bytes: {start:?}");
        }
        fs::write(&path, [0; 300]).unwrap();
        assert_eq!(Store::open(&path, &log).unwrap().1, Start::Damaged("300 bytes, all zero".to_owned()));
    }

    #[test]
    fn other_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (path, log) = (directory.path().join("checkpoint"), directory.path().join("log"));
        fs::write(&path, r#"{"kind":"Event"}"#).unwrap();
        assert!(matches!(Store::open(&path, &log), Err(SetupError::NoCheckpoint { .. })));

        fs::remove_file(&path).unwrap();
        Store::open(&path, &log).unwrap().0.save(None).unwrap();
        let other = Store::open(&path, &directory.path().join("other")).err().unwrap();
        assert!(matches!(other, SetupError::OtherLog { .. }));
    }
}

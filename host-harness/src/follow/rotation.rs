//! The files a log has been rotated into, and their order.
//!
//! Recognised beside `kubernetes.audit` are, each of them also with `.gz`:
//!
//! | name | written by |
//! | --- | --- |
//! | `kubernetes-2026-11-21T03-00-10.123.audit` | kube-apiserver (lumberjack): the time of the rotation before the extension |
//! | `kubernetes.audit.1` | logrotate; the higher the number, the older |
//! | `kubernetes.audit-20261121`, `…-20261121-1732150810` | logrotate with `dateext` |
//! | `kubernetes.1.audit`, `kubernetes-20261121.audit` | logrotate with `extension .audit` |
//!
//! Only the directory of the log is looked at; where the log is a symbolic link, that is the link's.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, Identity, Position};

/// From how many bytes on a file is the same as another because it begins the same. Below, short lines that
/// every file begins with (a header, say) would be mistaken for it.
const TELLING_BYTES: usize = 128;

/// A date has at least eight digits: `audit-2.log` is another log, not a rotated `audit.log`.
const STAMP_DIGITS: usize = 8;

/// How often the directory is read to see it twice the same, before giving up until the next poll.
const LISTING_ATTEMPTS: usize = 16;

/// How a file is compressed, as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    /// By something this program does not read.
    Unreadable,
}

/// What a rotated file's name says about its age.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Age {
    /// The digits of a time; the greater, the younger.
    Stamp(String),
    /// A number; the greater, the older.
    Number(u64),
}

/// One of the files that make up a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) compression: Compression,
    /// The log itself, not rotated (yet).
    pub(super) current: bool,
    size: u64,
    modified: i64,
    age: Option<Age>,
}

impl Generation {
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compression == Compression::Gzip
    }
}

/// All files of the log, the oldest first, the log itself last.
///
/// Files are renamed while a directory is read, and one that is renamed just then may be missed or seen twice.
/// So the directory is read until two readings agree.
///
/// # Errors
///
/// Whatever reading the directory gives. [`io::ErrorKind::WouldBlock`] where it does not come to rest.
pub(super) fn generations(log: &Path) -> io::Result<Vec<Generation>> {
    let names = |found: &[Generation]| {
        found.iter().map(|generation| (generation.path.clone(), generation.identity)).collect::<Vec<_>>()
    };
    let mut previous = list(log)?;
    for _ in 0..LISTING_ATTEMPTS {
        let found = list(log)?;
        if names(&found) == names(&previous) {
            return Ok(found);
        }
        previous = found;
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "its files are being renamed all the time"))
}

fn list(log: &Path) -> io::Result<Vec<Generation>> {
    let log_name = log.file_name().unwrap_or_default().to_string_lossy();
    let mut rotated = Vec::new();
    let mut current = None;
    for entry in fs::read_dir(directory(log))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let (age, compression) = if name == log_name {
            (None, Compression::None)
        } else if let Some((age, compression)) = rotated_name(&log_name, &name) {
            (Some(age), compression)
        } else {
            continue;
        };
        // Through a symbolic link, as opening it goes. Gone meanwhile: the next reading will show.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if !metadata.is_file() {
            continue;
        }
        let generation = Generation {
            path: directory(log).join(entry.file_name()),
            identity: Identity::of(&metadata),
            compression,
            current: age.is_none(),
            size: metadata.len(),
            modified: file::modified(&metadata),
            age,
        };
        if generation.current {
            current = Some(generation);
        } else {
            rotated.push(generation);
        }
    }

    // While a file is being compressed both are there, and the plain one is complete.
    let plain: HashSet<PathBuf> = rotated
        .iter()
        .filter(|generation| generation.compression == Compression::None)
        .map(|generation| generation.path.clone())
        .collect();
    rotated.retain(|generation| {
        generation.compression == Compression::None || !plain.contains(&generation.path.with_extension(""))
    });

    sort(&mut rotated);
    rotated.extend(current);
    // A hard link is the same file under a second name; the last name, the log's own, counts.
    let mut seen = HashSet::new();
    rotated.reverse();
    rotated.retain(|generation| seen.insert(generation.identity));
    rotated.reverse();
    Ok(rotated)
}

/// Orders rotated files, the oldest first: by what their names say where all names are of one kind, else by
/// modification. (Compressing may change a file's modification, so names come first.)
fn sort(rotated: &mut [Generation]) {
    let stamps = rotated.iter().filter(|generation| matches!(generation.age, Some(Age::Stamp(_)))).count();
    if stamps == 0 || stamps == rotated.len() {
        rotated.sort_by_cached_key(|generation| match &generation.age {
            Some(Age::Stamp(digits)) => (digits.clone(), Reverse(0)),
            Some(Age::Number(number)) => (String::new(), Reverse(*number)),
            None => (String::new(), Reverse(0)),
        });
    } else {
        rotated.sort_by_cached_key(|generation| (generation.modified, generation.path.clone()));
    }
}

/// The directory a file is in.
pub(super) fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// What `name` says about its age, if it is one that rotating the log called `log` gives.
fn rotated_name(log: &str, name: &str) -> Option<(Age, Compression)> {
    let (name, compression) = match name.rsplit_once('.') {
        Some((plain, "gz")) => (plain, Compression::Gzip),
        Some((plain, "bz2" | "lz4" | "xz" | "zst" | "Z")) => (plain, Compression::Unreadable),
        _ => (name, Compression::None),
    };
    let behind = name.strip_prefix(log);
    let between = log.rfind('.').and_then(|dot| {
        let (base, extension) = log.split_at_checked(dot)?;
        name.strip_prefix(base)?.strip_suffix(extension)
    });
    let age = behind.and_then(age).or_else(|| between.and_then(age))?;
    Some((age, compression))
}

/// Reads `.1` and `-20261121`.
fn age(mark: &str) -> Option<Age> {
    if let Some(number) = mark.strip_prefix('.') {
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        return number.parse().ok().filter(|_| is_number).map(Age::Number);
    }
    let stamp = mark.strip_prefix('-')?;
    let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
    let is_stamp = stamp.starts_with(|first: char| first.is_ascii_digit())
        && stamp.chars().all(|c| c.is_ascii_digit() || "-_.:T+Z".contains(c));
    (is_stamp && digits.len() >= STAMP_DIGITS).then_some(Age::Stamp(digits))
}

/// Where reading goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Continuation<'a> {
    /// In the file of the position, perhaps under another name, perhaps in a copy.
    Same(&'a Generation),
    /// That file is gone: in the first of those written to since.
    Next(Successor<'a>),
}

/// The file to read next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Successor<'a> {
    /// Files that would have come before, but cannot be read.
    pub(super) unreadable: Vec<&'a Path>,
    /// `None` where there is no file yet.
    pub(super) generation: Option<&'a Generation>,
}

/// Finds the file that holds `position`, or the one to go on with where none does.
pub(super) fn continuation<'a>(generations: &'a [Generation], position: &Position) -> Continuation<'a> {
    match find(generations, position, |generation| holds(generation, position)) {
        Some((_, generation)) => Continuation::Same(generation),
        None => Continuation::Next(first_readable(written_since(generations, position))),
    }
}

/// Finds the file that follows the one of `position`, which has been read to its end.
///
/// `position`'s file is held open: no other can have its identity.
pub(super) fn successor<'a>(generations: &'a [Generation], position: &Position) -> Successor<'a> {
    match find(generations, position, |_| true) {
        Some((index, _)) => first_readable(generations.iter().skip(index + 1)),
        None => first_readable(written_since(generations, position)),
    }
}

/// Finds the file of `position`, by its identity if it `is_itself`, else by its content.
///
/// A copy counts as the file: `copytruncate` leaves what was read in one, and so does compressing.
fn find<'a>(
    generations: &'a [Generation],
    position: &Position,
    is_itself: impl Fn(&Generation) -> bool,
) -> Option<(usize, &'a Generation)> {
    let indexed = || generations.iter().enumerate();
    let itself =
        indexed().find(|(_, generation)| generation.identity == position.identity && is_itself(generation));
    let copy = || {
        let is_telling = position.fingerprint.bytes >= TELLING_BYTES;
        indexed().rev().filter(|_| is_telling).find(|(_, generation)| holds(generation, position))
    };
    itself.or_else(copy)
}

/// Whether a file has the text of `position`. One that cannot be looked into does not, for now; opening it will
/// tell why.
fn holds(generation: &Generation, position: &Position) -> bool {
    generation.compression != Compression::Unreadable
        && file::holds(&generation.path, generation.is_compressed(), position).unwrap_or(false)
}

/// The files not older than a position whose own file is gone, and the log itself.
fn written_since<'a>(
    generations: &'a [Generation],
    position: &Position,
) -> impl Iterator<Item = &'a Generation> {
    let modified = position.modified;
    generations.iter().filter(move |generation| generation.current || generation.modified >= modified)
}

fn first_readable<'a>(generations: impl Iterator<Item = &'a Generation>) -> Successor<'a> {
    let mut unreadable = Vec::new();
    for generation in generations {
        if generation.compression != Compression::Unreadable {
            return Successor { unreadable, generation: Some(generation) };
        }
        unreadable.push(generation.path.as_path());
    }
    Successor { unreadable, generation: None }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn names_of_rotated_files() {
        let stamp = |digits: &str| Some(Age::Stamp(digits.to_owned()));
        let number = |number| Some(Age::Number(number));
        let table = [
            ("kubernetes.audit", "kubernetes-2026-11-21T03-00-10.123.audit", stamp("20261121030010123")),
            ("kubernetes.audit", "kubernetes.audit.1", number(1)),
            ("kubernetes.audit", "kubernetes.audit.12", number(12)),
            ("kubernetes.audit", "kubernetes.audit-20261121", stamp("20261121")),
            ("kubernetes.audit", "kubernetes.audit-20261121-1732150810", stamp("202611211732150810")),
            ("kubernetes.audit", "kubernetes.2.audit", number(2)),
            ("kubernetes.audit", "kubernetes-20261121.audit", stamp("20261121")),
            ("audit", "audit-2026-11-21T03-00-10.123", stamp("20261121030010123")),
            ("audit", "audit.3", number(3)),
            ("a.b.log", "a.b-2026-11-21T03-00-10.123.log", stamp("20261121030010123")),
            // Other files.
            ("kubernetes.audit", "kubernetes.audit", None),
            ("kubernetes.audit", "kubernetes-extra.audit", None),
            ("kubernetes.audit", "kubernetes-2.audit", None),
            ("kubernetes.audit", "kubernetes.audit.bak", None),
            ("kubernetes.audit", "kubernetes.audit.", None),
            ("kubernetes.audit", "kubernetes.audit.+1", None),
            ("kubernetes.audit", "kubernetes.audit-", None),
            ("kubernetes.audit", "kubernetes.audit.1.old", None),
            ("kubernetes.audit", "etcd-2026-11-21T03-00-10.123.audit", None),
            ("kubernetes.audit", ".kubernetes.audit.checkpoint", None),
            ("kubernetes.audit", "kubernetes--20261121.audit", None),
        ];
        for (log, name, age) in table {
            for (suffix, compression) in [
                ("", Compression::None),
                (".gz", Compression::Gzip),
                (".xz", Compression::Unreadable),
                (".zst", Compression::Unreadable),
            ] {
                let expected = age.clone().map(|age| (age, compression));
                let name = format!("{name}{suffix}");
                if name != log {
                    assert_eq!(rotated_name(log, &name), expected, "{log}: {name}");
                }
            }
        }
    }

    /// Makes files, each a second younger than the one before, and lists them.
    fn listed(log: &str, names: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for (age, name) in (0..).zip(names) {
            let file = fs::File::create(directory.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + age)).unwrap();
        }
        generations(&directory.path().join(log))
            .unwrap()
            .iter()
            .map(|generation| generation.path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn the_oldest_comes_first_and_the_log_last() {
        let table: [(&[&str], &[&str]); 6] = [
            (&["a.log"], &["a.log"]),
            (&["a.log.1", "b.log"], &["a.log.1"]),
            (&["a.log", "a.log.2", "a.log.10", "a.log.1"], &["a.log.10", "a.log.2", "a.log.1", "a.log"]),
            (
                // Compressed out of order, as lumberjack does it: its names count.
                &["a.log", "a-2026-11-23T00-00-00.000.log", "a-2026-11-22T00-00-00.000.log.gz"],
                &["a-2026-11-22T00-00-00.000.log.gz", "a-2026-11-23T00-00-00.000.log", "a.log"],
            ),
            (&["a.log-20261121", "a.log.1", "a.log"], &["a.log-20261121", "a.log.1", "a.log"]),
            (&["a.log.1", "a.log.1.gz", "a.log"], &["a.log.1", "a.log"]),
        ];
        for (made, order) in table {
            assert_eq!(listed("a.log", made), order, "{made:?}");
        }
    }

    #[test]
    fn a_hard_link_is_not_read_twice() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("a.log");
        fs::write(&log, "x\n").unwrap();
        fs::hard_link(&log, directory.path().join("a.log.1")).unwrap();
        let found = generations(&log).unwrap();
        assert_eq!(found.iter().map(|generation| generation.current).collect::<Vec<_>>(), [true]);
    }

    #[test]
    fn an_inode_that_was_given_out_again_is_another_file() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("a.log");
        fs::write(&log, "").unwrap();
        let position = file::LogFile::open(&log, false, 0).unwrap().position();
        let found = generations(&log).unwrap();
        assert_eq!(continuation(&found, &position), Continuation::Same(&found[0]));

        // Nothing had been read yet, so that only its birth tells the file that was there before.
        let mut before = position;
        before.identity.born = before.identity.born.map(|born| born - 1).or(Some(0));
        let next = Successor { unreadable: Vec::new(), generation: Some(&found[0]) };
        assert_eq!(continuation(&found, &before), Continuation::Next(next));
    }
}

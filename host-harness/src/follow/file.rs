//! One file of the log: which file it is, what it begins with, and its lines.
//!
//! A name says little about a log: rotation moves it to another file. What stays is the inode, and where an
//! inode has been given to a new file, or the text has moved to a copy, the bytes the file begins with.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

/// How many of a file's first bytes tell it from another. The first audit event ends beyond its `auditID`,
/// which no other file begins with, well within these.
const FINGERPRINT_BYTES: usize = 1024;

/// How many bytes are read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// A buffer that one long line has made larger than this is given back.
const SPARE_BUFFER_BYTES: usize = 4 * CHUNK_BYTES;

/// What the file system calls a file, for as long as the file exists.
///
/// Inodes are given out again, at once by some file systems, and an empty file has no beginning that would
/// tell; its time of birth does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    /// In nanoseconds since 1970; `None` on a file system that does not keep it.
    pub(super) born: Option<i64>,
}

impl Identity {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            born: born.and_then(|since| i64::try_from(since.as_nanos()).ok()),
        }
    }
}

/// A file's last modification, in nanoseconds since 1970, in the file system's own time.
pub(super) fn modified(metadata: &fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// The number of bytes looked at, from the start of a file, and their FNV-1a hash.
///
/// The hash tells files apart, it does not guard against an author: whoever can choose the first kilobyte of
/// the log and reuse its inode can write the log anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    pub(super) bytes: usize,
    fnv1a: u64,
}

impl Fingerprint {
    pub(super) fn of(head: &[u8]) -> Self {
        let fnv1a = head.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { bytes: head.len(), fnv1a }
    }
}

/// A place in the log that survives rotation and restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) identity: Identity,
    pub(super) fingerprint: Fingerprint,
    /// Where the next line starts, in bytes of uncompressed text.
    pub(super) offset: u64,
    /// When the file had last been written to, by [`modified`]: where the file is gone, whatever was written
    /// later has not been read.
    pub(super) modified: i64,
}

/// What the lines of a log are read with.
enum Source {
    Plain(File),
    /// Reads once through, after `skip` bytes of text. Boxed, as the decoder is large.
    Gzip {
        decoder: Box<MultiGzDecoder<File>>,
        skip: u64,
    },
    /// A compressed file that could not be read further.
    Broken,
}

/// A file being read.
pub(super) struct LogFile {
    path: PathBuf,
    source: Source,
    identity: Identity,
    /// Size and modification when last looked at.
    seen: (u64, i64),
    /// The first bytes, up to [`FINGERPRINT_BYTES`] of them.
    head: Vec<u8>,
    /// Where in the file the next line starts.
    offset: u64,
    /// What has been read; the next line starts at `start`, and up to `scanned` it has no end.
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    /// How many bytes of the next line have been thrown away, since it is too long.
    skipped: u64,
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, without its newline.
    Line(&'a [u8]),
    /// A line that was longer than allowed.
    TooLong { offset: u64, bytes: u64 },
}

impl LogFile {
    /// Opens a file to be read from `offset`.
    ///
    /// A compressed file's content is looked at by the first [`fill`](Self::fill) only.
    pub(super) fn open(path: &Path, compressed: bool, offset: u64) -> io::Result<Self> {
        let file = open_regular(path)?;
        let metadata = file.metadata()?;
        let (source, head) = if compressed {
            (Source::Gzip { decoder: Box::new(MultiGzDecoder::new(file)), skip: offset }, Vec::new())
        } else {
            let mut head = vec![0; FINGERPRINT_BYTES];
            let length = read_head(&file, &mut head)?;
            head.truncate(length);
            (Source::Plain(file), head)
        };
        Ok(Self {
            path: path.to_owned(),
            source,
            identity: Identity::of(&metadata),
            seen: (metadata.len(), modified(&metadata)),
            head,
            offset,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            skipped: 0,
        })
    }

    /// Opens a file to be read from its last line on: from behind its last newline.
    pub(super) fn open_at_end(path: &Path) -> io::Result<Self> {
        let mut log = Self::open(path, false, 0)?;
        if let Source::Plain(file) = &log.source {
            log.offset = last_line_start(file)?;
        }
        Ok(log)
    }

    /// The name the file was opened by.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) fn is_compressed(&self) -> bool {
        !matches!(self.source, Source::Plain(_))
    }

    /// Where the next line starts.
    pub(super) fn position(&self) -> Position {
        Position {
            identity: self.identity,
            fingerprint: Fingerprint::of(&self.head),
            offset: self.offset,
            modified: self.seen.1,
        }
    }

    /// Where the next byte is read from.
    fn read_offset(&self) -> u64 {
        self.offset + self.skipped + (self.buffer.len() - self.start) as u64
    }

    /// Whether the file no longer holds what was read from it: it is shorter, or begins otherwise.
    ///
    /// A file that was truncated and has grown to the same first kilobyte, or is truncated right after this
    /// was asked, goes unnoticed: nothing in a file tells.
    pub(super) fn is_truncated(&mut self) -> io::Result<bool> {
        let Source::Plain(file) = &self.source else { return Ok(false) };
        let metadata = file.metadata()?;
        let now = (metadata.len(), modified(&metadata));
        if now.0 < self.read_offset() {
            return Ok(true);
        }
        if now != self.seen {
            let mut head = vec![0; self.head.len()];
            if read_head(file, &mut head)? < head.len() || head != self.head {
                return Ok(true);
            }
            self.seen = now;
        }
        Ok(false)
    }

    /// Reads further and returns how many bytes came: 0 at the end of the file, for now. The end of a plain file
    /// is where [`is_truncated`](Self::is_truncated) saw it last.
    ///
    /// # Errors
    ///
    /// For a plain file, asking again is worth while. A compressed one is broken; from then on it is at its end.
    pub(super) fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > SPARE_BUFFER_BYTES {
            self.buffer = Vec::new();
        }

        let at = self.read_offset();
        let held = self.buffer.len();
        let outcome = match &mut self.source {
            Source::Plain(file) => {
                let more = usize::try_from(self.seen.0.saturating_sub(at)).unwrap_or(usize::MAX);
                self.buffer.resize(held + more.min(CHUNK_BYTES), 0);
                retry_interrupted(|| file.read_at(self.buffer.get_mut(held..).unwrap_or_default(), at))
            }
            Source::Gzip { decoder, skip } => {
                let skipped = skip_text(decoder, std::mem::take(skip), &mut self.head);
                self.buffer.resize(held + CHUNK_BYTES, 0);
                skipped.and_then(|()| {
                    retry_interrupted(|| decoder.read(self.buffer.get_mut(held..).unwrap_or_default()))
                })
            }
            Source::Broken => Ok(0),
        };
        self.buffer.truncate(held + outcome.as_ref().map_or(0, |&read| read));
        if outcome.is_err() && self.is_compressed() {
            self.source = Source::Broken;
        }

        let fresh = self.buffer.get(held..).unwrap_or_default();
        if let Some(known) = (self.head.len() as u64).checked_sub(at) {
            let new = fresh.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
            self.head.extend(new.iter().take(FINGERPRINT_BYTES - self.head.len()));
        }
        outcome
    }

    /// The next line of what [`fill`](Self::fill) has read, if there is one. A last line without its newline is
    /// one where the file is `finished`.
    ///
    /// A line of more than `limit` bytes is not kept, whatever its length, so that whoever writes the log
    /// cannot fill the memory.
    pub(super) fn next_line(&mut self, finished: bool, limit: u64) -> Option<Next<'_>> {
        let unscanned = self.buffer.get(self.scanned..).unwrap_or_default();
        if let Some(length) = memchr::memchr(b'\n', unscanned) {
            return Some(self.take(self.scanned + length, 1, limit));
        }
        if finished && self.read_offset() > self.offset {
            return Some(self.take(self.buffer.len(), 0, limit));
        }
        self.scanned = self.buffer.len();
        let held = (self.buffer.len() - self.start) as u64;
        if self.skipped + held > limit {
            self.skipped += held;
            self.start = self.buffer.len();
        }
        None
    }

    /// Takes the line that ends at `end`, and the `newline` bytes behind it, out of the buffer.
    fn take(&mut self, end: usize, newline: usize, limit: u64) -> Next<'_> {
        let line = self.start..end;
        let offset = self.offset;
        let bytes = std::mem::take(&mut self.skipped) + line.len() as u64;
        self.start = end + newline;
        self.scanned = self.start;
        self.offset += bytes + newline as u64;
        if bytes > limit {
            Next::TooLong { offset, bytes }
        } else {
            Next::Line(self.buffer.get(line).unwrap_or_default())
        }
    }
}

/// Whether a file still holds what `position` says was read: it begins the same and reaches as far.
///
/// How far a compressed file reaches is not known before it has been read: its beginning decides.
pub(super) fn holds(path: &Path, compressed: bool, position: &Position) -> io::Result<bool> {
    let file = open_regular(path)?;
    let mut head = vec![0; position.fingerprint.bytes.min(FINGERPRINT_BYTES)];
    let length = if compressed {
        let mut text = Vec::new();
        MultiGzDecoder::new(file).take(head.len() as u64).read_to_end(&mut text)?;
        head.iter_mut().zip(&text).for_each(|(to, from)| *to = *from);
        text.len()
    } else if file.metadata()?.len() < position.offset {
        return Ok(false);
    } else {
        read_head(&file, &mut head)?
    };
    Ok(length == head.len() && Fingerprint::of(&head) == position.fingerprint)
}

/// Opens a file unless it is something else, such as a FIFO, that would block or never end.
fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// Fills `head` with a file's first bytes and returns how many there are.
fn read_head(file: &File, head: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = head.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match retry_interrupted(|| file.read_at(rest, length as u64))? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

/// Passes over the first `bytes` bytes of text, keeping the head of them.
fn skip_text(decoder: &mut dyn Read, bytes: u64, head: &mut Vec<u8>) -> io::Result<()> {
    let head_bytes = bytes.min(FINGERPRINT_BYTES as u64);
    let mut skipped = decoder.take(head_bytes).read_to_end(head)? as u64;
    skipped += io::copy(&mut decoder.take(bytes - head_bytes), &mut io::sink())?;
    if skipped < bytes {
        let message = format!("it ends at byte {skipped} of its text, before the checkpoint's {bytes}");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    Ok(())
}

/// The offset behind the last newline.
fn last_line_start(file: &File) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES as u64);
        let wanted = usize::try_from(end - start).unwrap_or(CHUNK_BYTES);
        let Some(part) = chunk.get_mut(..wanted) else { break };
        file.read_exact_at(part, start)?;
        if let Some(newline) = memchr::memrchr(b'\n', part) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Calls again what a signal has interrupted.
fn retry_interrupted(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// All lines of `text`, read in one go, with a limit of `limit` bytes a line.
    fn lines(text: &[u8], limit: u64) -> Vec<Result<Vec<u8>, (u64, u64)>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, text).unwrap();
        let mut file = LogFile::open(&path, false, 0).unwrap();
        let mut lines = Vec::new();
        let owned = |next: Next<'_>| match next {
            Next::Line(line) => Ok(line.to_vec()),
            Next::TooLong { offset, bytes } => Err((offset, bytes)),
        };
        while file.fill().unwrap() > 0 {
            while let Some(next) = file.next_line(false, limit) {
                lines.push(owned(next));
            }
        }
        lines.extend(file.next_line(true, limit).map(owned));
        assert_eq!(file.position().offset, text.len() as u64);
        lines
    }

    #[test]
    fn lines_end_at_newlines_and_at_the_end() {
        let line = |text: &str| Ok(text.as_bytes().to_vec());
        assert_eq!(lines(b"", 9), []);
        assert_eq!(lines(b"\n", 9), [line("")]);
        assert_eq!(lines(b"one\ntwo\n", 9), [line("one"), line("two")]);
        assert_eq!(lines(b"one\n\r\npart", 9), [line("one"), line("\r"), line("part")]);
    }

    #[test]
    fn a_line_above_the_limit_is_left_out_with_its_place_and_length() {
        let line = |text: &str| Ok(text.as_bytes().to_vec());
        assert_eq!(lines(b"ok\nlonger\nok\n", 5), [line("ok"), Err((3, 6)), line("ok")]);
        assert_eq!(lines(b"fives\nlonger", 5), [line("fives"), Err((6, 6))]);

        let mut text = vec![b'x'; 3 * CHUNK_BYTES];
        text.extend(b"\nok\n");
        assert_eq!(lines(&text, 5), [Err((0, 3 * CHUNK_BYTES as u64)), line("ok")]);
    }

    #[test]
    fn a_line_longer_than_a_chunk_passes_whole() {
        let mut text = vec![b'x'; 3 * CHUNK_BYTES + 7];
        text.push(b'\n');
        let (line, limit) = (text[..text.len() - 1].to_vec(), 1 << 30);
        assert_eq!(lines(&text, limit), [Ok(line)]);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(Fingerprint::of(text.as_bytes()), Fingerprint { bytes: text.len(), fnv1a: hash });
        }
    }

    #[test]
    fn a_fingerprint_grows_with_what_is_read_and_stays_the_same_for_what_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let text: Vec<u8> = (0..3000u32).map(|i| b'a' + u8::try_from(i % 26).unwrap()).collect();
        let mut writer = File::create(&path).unwrap();
        let mut file = LogFile::open(&path, false, 0).unwrap();
        for (written, fingerprinted) in [(0, 0), (10, 10), (1000, 1000), (2000, 1024), (3000, 1024)] {
            let from = usize::try_from(writer.metadata().unwrap().len()).unwrap();
            writer.write_all(&text[from..written]).unwrap();
            assert!(!file.is_truncated().unwrap());
            while file.fill().unwrap() > 0 {}
            assert_eq!(file.position().fingerprint, Fingerprint::of(&text[..fingerprinted]), "{written}");
        }
    }

    #[test]
    fn truncation_shows_in_the_size_or_in_the_beginning() {
        let table = [
            ("appended to", "first\nmore\n", false),
            ("untouched", "first\n", false),
            ("shorter", "one\n", true),
            ("as long, begins otherwise", "other\n", true),
            ("longer, begins otherwise", "other and more\n", true),
            ("empty", "", true),
        ];
        for (what, now, truncated) in table {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log");
            fs::write(&path, "first\n").unwrap();
            let mut file = LogFile::open(&path, false, 0).unwrap();
            assert_eq!(file.fill().unwrap(), 6);
            File::options()
                .write(true)
                .truncate(true)
                .open(&path)
                .unwrap()
                .write_all(now.as_bytes())
                .unwrap();
            // Two writes within one tick of the file system's clock leave size and time the same.
            file.seen.1 -= 1;
            assert_eq!(file.is_truncated().unwrap(), truncated, "{what}");
        }
    }

    #[test]
    fn the_last_line_starts_behind_the_last_newline() {
        let long = format!("one\n{}", "x".repeat(2 * CHUNK_BYTES));
        for (text, start) in [("", 0), ("part", 0), ("one\n", 4), ("one\npart", 4), (long.as_str(), 4)] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log");
            fs::write(&path, text).unwrap();
            assert_eq!(LogFile::open_at_end(&path).unwrap().position().offset, start);
        }
    }

    #[test]
    fn compressed_text_is_read_from_an_offset_with_the_fingerprint_of_the_plain_file() {
        let directory = tempfile::tempdir().unwrap();
        let (plain, packed) = (directory.path().join("log"), directory.path().join("log.gz"));
        let text = "0123456789abcde\n".repeat(200);
        fs::write(&plain, &text).unwrap();
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&packed).unwrap(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();

        for offset in [0, 16, 1024, 1600, 3200] {
            let mut from_plain = LogFile::open(&plain, false, offset).unwrap();
            let mut from_packed = LogFile::open(&packed, true, offset).unwrap();
            for file in [&mut from_plain, &mut from_packed] {
                let mut count = 0;
                while file.fill().unwrap() > 0 {
                    while file.next_line(false, 99).is_some() {
                        count += 1;
                    }
                }
                assert_eq!(count, 200 - offset / 16, "from {offset}");
            }
            let position = from_plain.position();
            assert_eq!(from_packed.position().fingerprint, position.fingerprint);
            assert!(holds(&packed, true, &position).unwrap());
        }
        let beyond = LogFile::open(&packed, true, 3201).unwrap().fill().unwrap_err();
        assert_eq!(beyond.to_string(), "it ends at byte 3200 of its text, before the checkpoint's 3201");
    }

    #[test]
    fn a_broken_compressed_file_says_so_once_and_is_then_at_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.gz");
        fs::write(&path, "not compressed at all").unwrap();
        let mut file = LogFile::open(&path, true, 0).unwrap();
        assert!(file.fill().is_err());
        assert_eq!(file.fill().unwrap(), 0);
    }
}

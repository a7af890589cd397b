//! Reading newline-delimited records from anything, in bounded memory.
//!
//! ```text
//! file, pipe ─▶ until told to stop ─▶ gunzip where compressed ─▶ lines
//! ```

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;

use anyhow::Context as _;
use flate2::bufread::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::follow::StopFlag;

/// Longest line that is read, by default. An audit event with a large list in its response has some megabytes;
/// whoever can write the log could otherwise fill the memory by leaving out newlines.
pub const DEFAULT_MAX_LINE_BYTES: u64 = crate::follow::DEFAULT_MAX_LINE_BYTES;

const BUFFER_BYTES: usize = 256 * 1024;

/// What every gzip file begins with (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How often a read that waits for its writer looks whether it is to stop.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A file or pipe that ends, with an error, when the word to stop is given while it has nothing to read.
#[derive(Debug)]
pub struct UntilStopped<F> {
    source: F,
    stop: StopFlag,
}

impl<F: Read + AsFd> UntilStopped<F> {
    /// Reads `source` until `stop` is set.
    pub fn new(source: F, stop: &StopFlag) -> Self {
        Self { source, stop: stop.clone() }
    }
}

impl<F: Read + AsFd> Read for UntilStopped<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // Signals restart a read that they interrupt, so this waits where it can look up.
        while !self.stop.is_set() {
            match poll(&mut [PollFd::new(&self.source, PollFlags::IN)], Some(&PATIENCE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.source.read(buf),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other("stopped"))
    }
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its newline, nor the carriage return before it.
    Record(&'a [u8]),
    /// A line that was longer than allowed, and is gone.
    TooLong {
        /// Its length.
        bytes: u64,
    },
}

/// The lines of a source, one by one. Blank ones are left out.
pub struct Lines<'r> {
    name: String,
    source: Box<dyn BufRead + 'r>,
    /// Whether all that was read has been handed out, so that the next read may wait.
    exhausted: bool,
    line: Vec<u8>,
    number: u64,
    max_line_bytes: u64,
}

impl<'r> Lines<'r> {
    /// Reads the lines of `source`, which may be compressed with gzip: its first bytes tell. Messages call it `name`.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn new(name: &str, source: impl Read + 'r, max_line_bytes: u64) -> anyhow::Result<Self> {
        let name = name.to_owned();
        let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
        let start = source.fill_buf().with_context(|| format!("cannot read {name}"))?;
        // A pipe may give its first byte alone, and no line of JSON begins with that one.
        let compressed =
            !start.is_empty() && start.iter().zip(&GZIP_MAGIC).all(|(byte, magic)| byte == magic);
        let source: Box<dyn BufRead + 'r> = if compressed {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(source)))
        } else {
            Box::new(source)
        };
        Ok(Self { name, source, exhausted: false, line: Vec::new(), number: 0, max_line_bytes })
    }

    /// What the source is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number, from 1, of the line that came last.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not blank, or none at the end. `before_waiting` is called before the source is asked for
    /// more, which may take as long as its writer likes.
    ///
    /// # Errors
    /// Those of the source and of `before_waiting`.
    pub fn next(
        &mut self,
        mut before_waiting: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Line<'_>>> {
        loop {
            let Some(bytes) = self.read_line(&mut before_waiting)? else { return Ok(None) };
            self.number += 1;
            if bytes > self.max_line_bytes {
                return Ok(Some(Line::TooLong { bytes }));
            }
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(Line::Record(&self.line)));
            }
        }
    }

    /// Reads a line into `self.line`, as far as it is not too long. Its length, or none at the end.
    fn read_line(
        &mut self,
        before_waiting: &mut impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<u64>> {
        self.line.clear();
        self.line.shrink_to(4 * BUFFER_BYTES);
        let mut bytes = 0;
        loop {
            if std::mem::take(&mut self.exhausted) {
                before_waiting()?;
            }
            let buffer = match self.source.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.name)),
            };
            if buffer.is_empty() {
                return Ok((bytes > 0).then_some(bytes));
            }
            let newline = memchr::memchr(b'\n', buffer);
            let piece = buffer.get(..newline.unwrap_or(buffer.len())).unwrap_or(buffer);
            bytes += piece.len() as u64;
            if bytes <= self.max_line_bytes {
                self.line.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(newline.is_some());
            self.exhausted = used == buffer.len();
            self.source.consume(used);
            if newline.is_some() {
                return Ok(Some(bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    /// Gives what it has in pieces, as a pipe does.
    struct Pieces<'a>(Vec<&'a [u8]>);

    impl Read for Pieces<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.first_mut() else { return Ok(0) };
            let read = piece.read(buf)?;
            if piece.is_empty() {
                self.0.remove(0);
            }
            Ok(read)
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// All lines with their numbers, those too long as `<BYTES>`.
    fn read(source: impl Read, max_line_bytes: u64) -> Vec<(u64, String)> {
        let mut lines = Lines::new("test", source, max_line_bytes).unwrap();
        let mut all = Vec::new();
        loop {
            let text = match lines.next(|| Ok(())).unwrap() {
                None => return all,
                Some(Line::Record(line)) => String::from_utf8_lossy(line).into_owned(),
                Some(Line::TooLong { bytes }) => format!("<{bytes}>"),
            };
            all.push((lines.number(), text));
        }
    }

    #[test]
    fn lines_come_whatever_their_ends() {
        for (source, expected) in [
            ("", &[][..]),
            ("{}", &[(1, "{}")]),
            ("{}\n", &[(1, "{}")]),
            ("{}\r\n[]\r\n", &[(1, "{}"), (2, "[]")]),
            ("\n\n{}\n \t\n\r\n[]", &[(3, "{}"), (6, "[]")]),
            ("12345678\n123456789\n1\n", &[(1, "12345678"), (2, "<9>"), (3, "1")]),
            ("123456789", &[(1, "<9>")]),
            ("a\rb\n", &[(1, "a\rb")]),
            ("\0\n", &[(1, "\0")]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(number, line)| (*number, (*line).to_owned())).collect();
            assert_eq!(read(source.as_bytes(), 8), expected, "{source:?}");
            assert_eq!(read(&*gzip(source.as_bytes()), 8), expected, "{source:?}, compressed");
            let bytes = source.as_bytes().chunks(1).collect();
            assert_eq!(read(Pieces(bytes), 8), expected, "{source:?}, byte by byte");
        }
    }

    #[test]
    fn compressed_files_may_be_joined() {
        let both = [gzip(b"1\n2"), gzip(b"3\n4\n")].concat();
        let lines: Vec<_> = read(&*both, 8).into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, ["1", "23", "4"]);
    }

    #[test]
    fn a_cut_compressed_file_is_an_error() {
        let whole = gzip(b"{}\n");
        let cut = whole.get(..whole.len() - 4).unwrap();
        let mut lines = Lines::new("cut.gz", cut, 8).unwrap();
        let mut next = || lines.next(|| Ok(())).map(|line| line.is_some());
        let error = [next(), next()].into_iter().find_map(Result::err).unwrap();
        assert_eq!(error.to_string(), "cannot read cut.gz");
    }

    #[test]
    fn whoever_waits_is_told_before_each_read_but_the_first() {
        let mut lines = Lines::new("test", Pieces(vec![b"1\n2\n3", b"\n", b"4\n"]), 8).unwrap();
        let mut waits = Vec::new();
        let mut waited = 0;
        while lines
            .next(|| {
                waited += 1;
                Ok(())
            })
            .unwrap()
            .is_some()
        {
            waits.push(waited);
        }
        waits.push(waited);
        assert_eq!(waits, [0, 0, 1, 2, 3]);
    }

    #[test]
    fn the_word_to_stop_ends_a_wait() {
        let (reader, _writer) = io::pipe().unwrap();
        let stop = StopFlag::new();
        stop.set();
        let error = UntilStopped::new(reader, &stop).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.to_string(), "stopped");
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(text in "[ab\r\n]{0,40}", size in 1_usize..9, limit in 0_u64..6) {
            let whole = read(text.as_bytes(), limit);
            prop_assert_eq!(read(Pieces(text.as_bytes().chunks(size).collect()), limit), whole);
        }
    }
}

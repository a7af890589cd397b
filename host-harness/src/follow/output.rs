//! Where the records go, and what can be known about whoever reads them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::StopFlag;

/// What a pipe takes at once, without blocking, when it takes anything (Linux's `PIPE_BUF`).
const PIPE_CHUNK_BYTES: usize = 4096;

/// How often a writer that waits for its reader looks whether it is to stop.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long, after the word to stop, a record is still tried on a reader that takes nothing.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Where [`follow`](super::follow) writes the records.
pub trait Output {
    /// Writes all of `records`, waiting for the reader as long as it takes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::BrokenPipe`] where the reader is gone, [`io::ErrorKind::TimedOut`] where the wait was
    /// given up because of a [`StopFlag`].
    fn write(&mut self, records: &[u8]) -> io::Result<()>;

    /// How many of the written bytes the reader has not taken yet, and would never see if it died now.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::BrokenPipe`] where the reader is gone.
    fn unread(&mut self) -> io::Result<u64>;
}

/// Standard output, unbuffered.
///
/// Where it is a pipe, the system is asked how much lies in it (`FIONREAD`), and a reader that goes away is
/// noticed even while there is nothing to write. Anything else (a file, a terminal) counts as having taken
/// what was written.
pub struct Stdout {
    file: File,
    is_pipe: bool,
    stop: StopFlag,
}

impl Stdout {
    /// Takes standard output. A write that waits for the reader gives up some time after `stop` is set.
    ///
    /// # Errors
    ///
    /// Where standard output is closed.
    pub fn new(stop: &StopFlag) -> io::Result<Self> {
        Self::of(io::stdout().as_fd(), stop)
    }

    fn of(fd: BorrowedFd<'_>, stop: &StopFlag) -> io::Result<Self> {
        let file = File::from(fd.try_clone_to_owned()?);
        let is_pipe = file.metadata()?.file_type().is_fifo();
        Ok(Self { file, is_pipe, stop: stop.clone() })
    }

    /// Waits, for `timeout` at most, until the pipe takes something. Says whether it does.
    fn is_writable(&self, timeout: Timespec) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [fd] = &fds;
        if fd.revents().contains(PollFlags::ERR) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(fd.revents().contains(PollFlags::OUT))
    }
}

impl Output for Stdout {
    fn write(&mut self, records: &[u8]) -> io::Result<()> {
        if !self.is_pipe {
            return self.file.write_all(records);
        }
        let mut stopped_at = None;
        for chunk in records.chunks(PIPE_CHUNK_BYTES) {
            while !self.is_writable(PATIENCE)? {
                if self.stop.is_set()
                    && stopped_at.get_or_insert_with(Instant::now).elapsed() >= STOP_PATIENCE
                {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            self.file.write_all(chunk)?;
        }
        Ok(())
    }

    fn unread(&mut self) -> io::Result<u64> {
        if !self.is_pipe {
            return Ok(0);
        }
        self.is_writable(Timespec { tv_sec: 0, tv_nsec: 0 })?;
        Ok(rustix::io::ioctl_fionread(&self.file)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn pipe() -> (io::PipeReader, Stdout, StopFlag) {
        let (reader, writer) = io::pipe().unwrap();
        let stop = StopFlag::new();
        (reader, Stdout::of(writer.as_fd(), &stop).unwrap(), stop)
    }

    #[test]
    fn what_lies_in_the_pipe_is_unread() {
        let (mut reader, mut output, _) = pipe();
        assert_eq!(output.unread().unwrap(), 0);
        output.write(&[b'x'; 10_000]).unwrap();
        assert_eq!(output.unread().unwrap(), 10_000);
        reader.read_exact(&mut [0; 9_999]).unwrap();
        assert_eq!(output.unread().unwrap(), 1);
        reader.read_exact(&mut [0; 1]).unwrap();
        assert_eq!(output.unread().unwrap(), 0);
    }

    #[test]
    fn a_reader_that_is_gone_shows_without_writing() {
        let (reader, mut output, _) = pipe();
        output.write(b"x\n").unwrap();
        drop(reader);
        assert_eq!(output.unread().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(output.write(b"x\n").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn more_than_the_pipe_holds_arrives_whole() {
        let (mut reader, mut output, _) = pipe();
        let sent: Vec<u8> = (0..1_000_000u32).map(|i| i.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let writer = std::thread::spawn(move || output.write(&sent));
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        writer.join().unwrap().unwrap();
        assert!(received == expected);
    }

    #[test]
    fn stopping_does_not_wait_for_a_reader_that_takes_nothing() {
        let (_reader, mut output, stop) = pipe();
        stop.set();
        assert_eq!(output.write(&[b'x'; 10_000_000]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_file_has_taken_what_was_written() {
        let file = tempfile::tempfile().unwrap();
        let mut output = Stdout::of(file.as_fd(), &StopFlag::new()).unwrap();
        output.write(b"record\n").unwrap();
        assert_eq!(output.unread().unwrap(), 0);
        assert_eq!(file.metadata().unwrap().len(), 7);
    }
}

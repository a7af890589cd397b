//! Several pipelines at work on one input: batches of its records are dealt to them in turn, and what comes of the batches
//! is taken from them in the same turn, which keeps it in the input's order.
//!
//! ```text
//!         ┌─▶ batch, batch ─▶ pipeline ─▶ output, output ─┐
//! reader ─┤                                               ├─▶ writer
//!         └─▶ batch, batch ─▶ pipeline ─▶ output, output ─┘
//! ```
//!
//! Reader, writer and each pipeline are a thread. No queue holds more than [`QUEUED_BATCHES`], so that whoever is slowest
//! sets the pace and memory has a bound, whatever the input.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::follow::StopFlag;
use crate::pipeline::Pipeline;

/// A batch is dealt when it has this many bytes, or when its reader has to wait for more. A longer record is a batch of
/// its own.
const BATCH_BYTES: usize = 256 * 1024;

/// What waits before a pipeline, and after it: enough for a slow batch not to make the others idle at once.
const QUEUED_BATCHES: usize = 3;

/// Consecutive records.
#[derive(Default)]
struct Batch {
    /// The number, from 1, of the first one in the input.
    first: u64,
    /// Each with a newline, which none has inside.
    lines: Vec<u8>,
}

/// Takes the input's records in their order and deals them to the pipelines.
pub struct Dealer {
    pipelines: Vec<SyncSender<Batch>>,
    turn: usize,
    batch: Batch,
    records: u64,
}

impl Dealer {
    fn new(pipelines: Vec<SyncSender<Batch>>) -> Self {
        Self { pipelines, turn: 0, batch: Batch::default(), records: 0 }
    }

    /// Adds a record, a line without its end. False where nobody takes records any more.
    #[must_use]
    pub fn add(&mut self, record: &[u8]) -> bool {
        self.records += 1;
        if self.batch.lines.is_empty() {
            self.batch.first = self.records;
        }
        self.batch.lines.extend_from_slice(record);
        self.batch.lines.push(b'\n');
        self.batch.lines.len() < BATCH_BYTES || self.deal()
    }

    /// Deals the records that were added since the last time: to be called before a wait for more. False where nobody
    /// takes records any more.
    #[must_use]
    pub fn deal(&mut self) -> bool {
        if self.batch.lines.is_empty() {
            return true;
        }
        let Some(pipeline) = self.pipelines.get(self.turn) else { return false };
        self.turn = (self.turn + 1) % self.pipelines.len();
        pipeline.send(std::mem::take(&mut self.batch)).is_ok()
    }
}

/// Filters what `read` gives the dealer and hands it to `write`, in its order, in pieces of whole lines.
///
/// What was read before an error of the reader's, or filtered before one of a pipeline's, is written all the same. An
/// error of `write` ends everything, and `stop` tells the reader. So does one of a pipeline's.
///
/// # Errors
/// The first of `write`'s, of the pipelines', and of `read`'s.
pub fn filter(
    pipelines: &mut [Pipeline],
    stop: &StopFlag,
    read: impl FnOnce(&mut Dealer) -> anyhow::Result<()> + Send,
    mut write: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let mut batches = Vec::with_capacity(pipelines.len());
        let mut outputs = Vec::with_capacity(pipelines.len());
        for pipeline in pipelines {
            let (batch_sender, batch_receiver) = sync_channel(QUEUED_BATCHES);
            let (output_sender, output_receiver) = sync_channel(QUEUED_BATCHES);
            batches.push(batch_sender);
            outputs.push(output_receiver);
            scope.spawn(move || work(pipeline, &batch_receiver, &output_sender));
        }
        let reader = scope.spawn(move || {
            let mut dealer = Dealer::new(batches);
            let done = read(&mut dealer);
            // What is left; that nobody takes it has a reason that is told elsewhere.
            let _ = dealer.deal();
            done
        });
        let written = outputs.iter().cycle().map_while(|output| output.recv().ok()).try_for_each(
            |Output { lines, error }| {
                let written = if lines.is_empty() { Ok(()) } else { write(&lines) };
                written.and(error.map_or(Ok(()), Err))
            },
        );
        if written.is_err() {
            stop.set();
            drop(outputs);
        }
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(read)
    })
}

/// What came of a batch.
struct Output {
    /// What goes on, each with a newline.
    lines: Vec<u8>,
    /// Why nothing more can be filtered.
    error: Option<anyhow::Error>,
}

/// Filters batches until there are no more, one cannot be filtered, or nobody takes what comes of them.
fn work(pipeline: &mut Pipeline, batches: &Receiver<Batch>, outputs: &SyncSender<Output>) {
    for Batch { first, lines } in batches {
        let mut output = Output { lines: Vec::with_capacity(lines.len() / 2), error: None };
        pipeline.continue_at(first);
        let mut rest = &*lines;
        while let Some(end) = memchr::memchr(b'\n', rest)
            && output.error.is_none()
        {
            let (record, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            output.error = pipeline.pass(record, &mut output.lines).err();
        }
        let failed = output.error.is_some();
        if outputs.send(output).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use anyhow::anyhow;

    use super::*;
    use crate::host::{Failure, Host, Verdict};

    /// Answers with the record; waits before those that contain `slow`, ends at those that contain `end`.
    struct Echo;

    impl Host for Echo {
        fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Verdict, Failure> {
            if record.windows(3).any(|word| word == b"end") {
                return Err(Failure::Host(anyhow!("no more")));
            }
            if record.starts_with(b"slow") {
                thread::sleep(Duration::from_millis(20));
            }
            out.extend_from_slice(record);
            Ok(Verdict::Kept)
        }
    }

    fn pipelines(count: usize) -> Vec<Pipeline> {
        (0..count).map(|_| Pipeline::of(Box::new(Echo), "audit")).collect()
    }

    /// Filters records, a batch each where `apart`: what was written, the error, and whether the word to stop was given.
    fn run(count: usize, records: &[String], apart: bool) -> (String, Option<String>, bool) {
        let (stop, mut out) = (StopFlag::new(), Vec::new());
        let read = |dealer: &mut Dealer| {
            let _ = records.iter().all(|record| dealer.add(record.as_bytes()) && (!apart || dealer.deal()));
            Ok(())
        };
        let write = |lines: &[u8]| {
            out.extend_from_slice(lines);
            Ok(())
        };
        let done = filter(&mut pipelines(count), &stop, read, write);
        (String::from_utf8(out).unwrap(), done.err().map(|error| error.to_string()), stop.is_set())
    }

    #[test]
    fn the_order_stays_whoever_is_slow() {
        let records: Vec<_> =
            (0..40).map(|n| format!("{} {n}", if n % 7 == 0 { "slow" } else { "fast" })).collect();
        let expected = records.join("\n") + "\n";
        for count in [1, 2, 3, 8, 64] {
            for apart in [true, false] {
                assert_eq!(run(count, &records, apart), (expected.clone(), None, false), "{count}, {apart}");
            }
        }
        assert_eq!(run(4, &[], true), (String::new(), None, false));
    }

    #[test]
    fn what_came_before_a_pipelines_end_is_written() {
        let mut records: Vec<_> = (0..100).map(|n| format!("slow {n}")).collect();
        records.get_mut(5).unwrap().push_str(" end");
        for (count, apart) in [(1, true), (1, false), (3, true), (3, false)] {
            let (written, error, stopped) = run(count, &records, apart);
            assert_eq!(written, "slow 0\nslow 1\nslow 2\nslow 3\nslow 4\n", "{count}, {apart}");
            assert_eq!((error.as_deref(), stopped), (Some("no more"), true));
        }
    }

    #[test]
    fn what_was_read_before_the_readers_error_is_written() {
        let mut out = Vec::new();
        let read = |dealer: &mut Dealer| {
            let _ = dealer.add(b"one") && dealer.deal() && dealer.add(b"two");
            Err(anyhow!("torn"))
        };
        let write = |lines: &[u8]| {
            out.extend_from_slice(lines);
            Ok(())
        };
        let error = filter(&mut pipelines(2), &StopFlag::new(), read, write).unwrap_err();
        assert_eq!((&*out, &*error.to_string()), (&b"one\ntwo\n"[..], "torn"));
    }

    /// One that cannot write is not read for without end, and ends a reader that would never.
    #[test]
    fn a_writer_that_fails_ends_the_reader() {
        let stop = StopFlag::new();
        let read = |dealer: &mut Dealer| {
            while dealer.add(b"x") && dealer.deal() {}
            Ok(())
        };
        let error = filter(&mut pipelines(2), &stop, read, |_| Err(anyhow!("full"))).unwrap_err();
        assert_eq!(error.to_string(), "full");
        assert!(stop.is_set());
    }

    #[test]
    fn reading_does_not_run_away_from_writing() {
        const COUNT: usize = 3;
        // In each queue, in each pipeline's and the writer's hands, and the one being dealt.
        const MOST: usize = COUNT * (2 * QUEUED_BATCHES + 1) + 2;
        let dealt = Arc::new(AtomicUsize::new(0));
        let (counting, mut written, mut furthest) = (Arc::clone(&dealt), 0, 0);
        let read = move |dealer: &mut Dealer| {
            while counting.fetch_add(1, Ordering::SeqCst) < 200 && dealer.add(b"x") && dealer.deal() {}
            Ok(())
        };
        let write = |_: &[u8]| {
            thread::sleep(Duration::from_millis(1));
            furthest = furthest.max(dealt.load(Ordering::SeqCst) - written);
            written += 1;
            Ok(())
        };
        filter(&mut pipelines(COUNT), &StopFlag::new(), read, write).unwrap();
        assert_eq!(written, 200);
        assert!(furthest <= MOST, "{furthest} batches under way");
    }
}

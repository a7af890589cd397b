//! How far the reader of the output has come, and so how far the checkpoint may.
//!
//! Nothing acknowledges what is written to a pipe. But whoever dies loses only what he has: the pipe's content
//! dies with its reader, and what the reader has taken, he may hold for a while before it is safe elsewhere.
//! So a position is settled once everything written up to there has left the pipe, a delay ago. The checkpoint
//! is at the last settled position; what lies behind it is delivered a second time after a crash. At least
//! once, then, rather than at most once.

use std::collections::VecDeque;
use std::time::Duration;

use super::file::Position;

/// How many positions wait to settle at most, however slow the reader.
const MAX_PENDING: usize = 1024;

/// A place in the log with what had been written when reading was there.
#[derive(Debug)]
struct Mark {
    position: Option<Position>,
    /// Bytes of output, in total.
    written: u64,
    made_at: Duration,
    /// When the output was first seen to have been taken by the reader.
    taken_at: Option<Duration>,
}

/// The positions on their way from read to settled.
#[derive(Debug)]
pub(super) struct Deliveries {
    settled: Mark,
    pending: VecDeque<Mark>,
    delay: Duration,
    /// Marks closer together than this count as one.
    spacing: Duration,
}

impl Deliveries {
    /// Starts at a settled position.
    pub(super) fn new(position: Option<Position>, delay: Duration, spacing: Duration) -> Self {
        let settled = Mark { position, written: 0, made_at: Duration::ZERO, taken_at: Some(Duration::ZERO) };
        Self { settled, pending: VecDeque::new(), delay, spacing }
    }

    /// The position up to which nothing can get lost any more.
    pub(super) fn settled(&self) -> Option<&Position> {
        self.settled.position.as_ref()
    }

    /// Notes that reading has come to `position`, with `written` bytes of output before it.
    pub(super) fn reached(&mut self, now: Duration, position: Position, written: u64) {
        let before = self.pending.iter().rev().nth(1).map_or(self.settled.made_at, |mark| mark.made_at);
        let full = self.pending.len() >= MAX_PENDING;
        let last = self.pending.back_mut().unwrap_or(&mut self.settled);
        if last.written == written {
            // Nothing has been written since (all lines were dropped), so there is nothing to wait for.
            last.position = Some(position);
            return;
        }
        let mark = Mark { position: Some(position), written, made_at: now, taken_at: None };
        match self.pending.back_mut() {
            Some(last) if full || now.saturating_sub(before) < self.spacing => *last = mark,
            _ => self.pending.push_back(mark),
        }
    }

    /// Notes that the reader has taken `taken` bytes of the output, in total.
    pub(super) fn taken(&mut self, now: Duration, taken: u64) {
        for mark in self.pending.iter_mut().filter(|mark| mark.written <= taken) {
            mark.taken_at.get_or_insert(now);
        }
        let delay = self.delay;
        self.settle(|mark| mark.taken_at.is_some_and(|at| now.saturating_sub(at) >= delay));
    }

    /// Settles what the reader has taken without waiting any longer: he stays, and it is we who leave.
    pub(super) fn taken_for_good(&mut self, taken: u64) {
        self.settle(|mark| mark.written <= taken);
    }

    fn settle(&mut self, mut is_settled: impl FnMut(&Mark) -> bool) {
        while let Some(mark) = self.pending.pop_front_if(|mark| is_settled(mark)) {
            self.settled = mark;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn position(offset: u64) -> Position {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "").unwrap();
        let position = super::super::file::LogFile::open(&path, false, 0).unwrap().position();
        Position { offset, ..position }
    }

    fn settled(deliveries: &Deliveries) -> u64 {
        deliveries.settled().map_or(0, |position| position.offset)
    }

    #[test]
    fn a_position_settles_a_delay_after_its_output_was_taken() {
        let mut deliveries = Deliveries::new(Some(position(0)), 5 * SECOND, SECOND);
        deliveries.reached(10 * SECOND, position(100), 50);
        let table = [
            // now, taken, settled
            (10, 0, 0),
            (20, 49, 0), // one byte is still in the pipe, however long
            (21, 50, 0), // taken: from now on
            (25, 50, 0),
            (26, 50, 100),
        ];
        for (now, taken, expected) in table {
            deliveries.taken(now * SECOND, taken);
            assert_eq!(settled(&deliveries), expected, "at {now} s, {taken} taken");
        }
    }

    #[test]
    fn dropped_lines_need_no_delivery() {
        let mut deliveries = Deliveries::new(Some(position(0)), 5 * SECOND, SECOND);
        deliveries.reached(SECOND, position(100), 0);
        assert_eq!(settled(&deliveries), 100);
        deliveries.reached(SECOND, position(200), 7);
        deliveries.reached(9 * SECOND, position(300), 7);
        deliveries.taken(10 * SECOND, 7);
        assert_eq!(settled(&deliveries), 100);
        deliveries.taken(15 * SECOND, 7);
        assert_eq!(settled(&deliveries), 300);
    }

    #[test]
    fn leaving_settles_what_was_taken_and_no_more() {
        let mut deliveries = Deliveries::new(Some(position(0)), 5 * SECOND, SECOND);
        deliveries.reached(SECOND, position(100), 50);
        deliveries.reached(3 * SECOND, position(200), 90);
        deliveries.taken_for_good(89);
        assert_eq!(settled(&deliveries), 100);
    }

    #[test]
    fn a_steady_stream_settles_steadily_and_keeps_few_marks() {
        let mut deliveries = Deliveries::new(Some(position(0)), 5 * SECOND, SECOND);
        let template = position(0);
        for tick in 1..=1000 {
            let now = SECOND / 10 * u32::try_from(tick).unwrap();
            deliveries.reached(now, Position { offset: tick, ..template.clone() }, tick);
            deliveries.taken(now, tick);
            assert!(deliveries.pending.len() <= 8, "{} marks", deliveries.pending.len());
            // The delay, and twice the distance of two marks.
            assert!(settled(&deliveries) + 70 >= tick, "at {tick}: {}", settled(&deliveries));
            assert!(settled(&deliveries) + 50 <= tick.max(50), "at {tick}: {}", settled(&deliveries));
        }
    }

    #[test]
    fn a_reader_that_never_takes_anything_costs_bounded_memory() {
        let mut deliveries = Deliveries::new(Some(position(0)), SECOND, SECOND);
        let template = position(0);
        for tick in 1..5000 {
            let now = SECOND * u32::try_from(tick).unwrap();
            deliveries.reached(now, Position { offset: tick, ..template.clone() }, tick);
            deliveries.taken(now, 0);
        }
        assert_eq!(deliveries.pending.len(), MAX_PENDING);
        assert_eq!(settled(&deliveries), 0);
        deliveries.taken_for_good(4999);
        assert_eq!(settled(&deliveries), 4999);
    }
}

//! The day as it goes by: what time it is, what is still to be written, how many events are left.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use super::clock::{DAY, HOUR, Micros, SECOND, arrival};
use super::cluster::Cluster;
use super::event::{Request, Settings};
use super::rng::Rng;
use super::{LAST_START, Options};

/// How many lines may wait for their time. Beyond it the earliest is written although its time has not come (and
/// the day goes on from there): `--events` may be any number, and watches stay open for minutes.
const MAX_WAITING: usize = 4_096;

/// A line waits with its time and its number: lines of one microsecond keep the order they were made in.
type Waiting = Reverse<(Micros, u64, String)>;

#[derive(Debug)]
pub(super) struct Day {
    pub rng: Rng,
    pub cluster: Cluster,
    options: Options,
    start: Micros,
    /// Now; never goes back.
    now: Micros,
    /// How many events were made, written or not.
    made: u64,
    /// How many of them belong to the story, which has times of its own.
    of_story: u64,
    waiting: BinaryHeap<Waiting>,
}

impl Day {
    pub(super) fn new(options: &Options) -> Self {
        let start = options.start.min(LAST_START) * SECOND;
        let mut rng = Rng::new(options.seed);
        let cluster = Cluster::new(&mut rng, start);
        Self {
            rng,
            cluster,
            options: options.clone(),
            start,
            now: start,
            made: 0,
            of_story: 0,
            waiting: BinaryHeap::new(),
        }
    }

    /// Ends the making of the story: what is made from here on fills the day evenly.
    pub(super) fn begin(&mut self) {
        self.of_story = self.made;
    }

    /// Moves on to the next arrival; false once all events are made.
    pub(super) fn advance(&mut self) -> bool {
        let jitter = self.rng.below(1 << 16);
        let next = self.start.saturating_add(arrival(
            self.made - self.of_story,
            self.options.events - self.of_story,
            jitter,
        ));
        self.now = self.now.max(next);
        self.made < self.options.events
    }

    pub(super) fn now(&self) -> Micros {
        self.now
    }

    /// The hour of the day, from 0.
    pub(super) fn hour(&self) -> usize {
        (((self.now - self.start) / HOUR) % 24) as usize
    }

    /// The time `after` the start of the day.
    pub(super) fn at(&self, after: Micros) -> Micros {
        self.start.saturating_add(after)
    }

    /// A request that arrives now.
    pub(super) fn send(&mut self, request: Request) {
        self.send_at(self.now, request);
    }

    /// A request that arrives `delay` from now: one act often leads to others. What would arrive tomorrow is not
    /// in today's log.
    pub(super) fn send_after(&mut self, delay: Micros, request: Request) {
        let at = self.now.saturating_add(delay);
        if at < self.end() {
            self.send_at(at, request);
        }
    }

    /// A request that arrives at `received`, which must not be past.
    pub(super) fn send_at(&mut self, received: Micros, request: Request) {
        let audit_id = self.rng.uuid();
        // What is still open at midnight closes in the last seconds before it: the log covers one day.
        let closing = self.rng.below(20 * SECOND) + 1;
        let settings = Settings {
            audit_id: &audit_id,
            // Few policies log this stage; some rules of some do.
            with_request_received: self.rng.chance(30),
            sensitive_bodies: self.options.sensitive_bodies,
            max_event_bytes: self.options.max_event_bytes,
            end: self.end().saturating_sub(closing),
        };
        let pace = self.rng.between(500, 2_500);
        for (time, line) in request.paced(pace).events(received, &settings) {
            if self.made < self.options.events {
                self.made += 1;
                self.waiting.push(Reverse((time, self.made, line)));
            }
        }
    }

    fn end(&self) -> Micros {
        self.start.saturating_add(DAY)
    }

    /// Writes what is due by now.
    pub(super) fn write_due(&mut self, out: &mut impl Write) -> io::Result<()> {
        while let Some(Reverse((time, _, _))) = self.waiting.peek() {
            if *time > self.now && self.waiting.len() <= MAX_WAITING {
                break;
            }
            self.write_next(out)?;
        }
        Ok(())
    }

    /// Writes all that is left.
    pub(super) fn write_rest(mut self, out: &mut impl Write) -> io::Result<()> {
        while self.write_next(out)? {}
        out.flush()
    }

    fn write_next(&mut self, out: &mut impl Write) -> io::Result<bool> {
        let Some(Reverse((time, _, line))) = self.waiting.pop() else { return Ok(false) };
        self.now = self.now.max(time);
        out.write_all(line.as_bytes())?;
        Ok(true)
    }
}

//! What one group has seen lately, in bounded memory.
//!
//! A window ends with the group's newest event and reaches back by the correlation's timespan, its beginning excluded:
//! events exactly one timespan apart are not in one window. An event that is late, but still within the window,
//! counts like any other. One that is later than that has come for nothing: its window is over. One that is later by
//! [`LATE`] besides is no straggler but another log (an older file, a clock set back), and the group begins anew.

use crate::sort::sort;

/// How much later than a timespan an event may come and still be taken for a straggler, in microseconds.
const LATE: i64 = 300 * 1_000_000;

/// How many entries a window has room for at least.
pub(super) const MIN_ENTRIES: usize = 64;

/// How many it may have room for where a condition counts that far. Whoever can make requests can fill it.
pub(super) const MAX_ENTRIES: usize = 512;

/// How many different values may be told apart: as many hashes a group may hold.
pub(super) const MAX_VALUES: usize = 1024;

/// What is found out about a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// How many events there are; with a share, how many of them another rule holds on, too.
    EventCount,
    /// How many different values they have.
    ValueCount,
    /// How many of the rules hold.
    Temporal,
    /// Whether the rules hold one after the other.
    TemporalOrdered,
    Sum,
    Average,
    /// The smallest value that at least so many per cent are not greater than.
    Percentile(f64),
    /// The one in the middle, or what is between the two there.
    Median,
}

/// What all groups of a correlation have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// The timespan in microseconds.
    pub(super) span: i64,
    /// How many rules are to hold, of a temporal one.
    pub(super) rules: u32,
    /// How many entries a window has room for.
    pub(super) capacity: usize,
}

/// An event, or what stands for several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub(super) time: i64,
    /// What must not count twice: the request, the value, or the rule.
    pub(super) key: u64,
    /// The number that the event has; of a count with a share, whether it is one of those.
    pub(super) value: f64,
    /// How many events this stands for.
    pub(super) count: u32,
    /// The rules that hold, a bit for each.
    pub(super) rules: u32,
}

/// What a window comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// Events, different values, or rules.
    pub(super) count: u64,
    /// The number that a numeric correlation is about, and the share.
    pub(super) value: f64,
}

/// What a group has seen within the timespan.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// By time; those of the same time in the order of their coming.
    entries: Vec<Entry>,
    /// When the correlation fired last.
    pub(super) fired: Option<i64>,
}

impl Window {
    /// The time of the newest event.
    pub(super) fn newest(&self) -> Option<i64> {
        self.entries.last().map(|entry| entry.time)
    }

    /// Whether an event of that time is still of interest. See the module's documentation.
    pub(super) fn admits(&mut self, time: i64, span: i64) -> bool {
        let Some(begin) = self.newest().map(|newest| newest.saturating_sub(span)) else { return true };
        if time > begin {
            return true;
        }
        if time > begin.saturating_sub(LATE) {
            return false;
        }
        *self = Self::default();
        true
    }

    /// Whether the correlation has fired less than a timespan before the newest event.
    pub(super) fn is_quiet(&self, span: i64) -> bool {
        let end = self.fired.map(|fired| fired.saturating_add(span));
        end.is_some_and(|end| self.newest().is_some_and(|newest| newest < end))
    }

    /// Adds an entry that is [admitted](Self::admits). Returns whether anything is different now.
    pub(super) fn add(&mut self, shape: &Shape, new: Entry) -> bool {
        let newest = self.newest().map_or(new.time, |newest| newest.max(new.time));
        let is_gone = |entry: &Entry| entry.time <= newest.saturating_sub(shape.span);
        // Mostly none is.
        let some_are = self.entries.first().is_some_and(is_gone);
        let gone = if some_are { self.entries.partition_point(is_gone) } else { 0 };
        let same = self.entries.iter().skip(gone).position(|entry| entry.key == new.key);
        if let Some(at) = same.map(|at| gone + at) {
            let Some(known) = self.entries.get_mut(at) else { return false };
            match shape.kind {
                // A value or a rule is as new as the last event that has it.
                Kind::ValueCount | Kind::Temporal => {
                    if new.time <= known.time {
                        return false;
                    }
                    self.entries.remove(at);
                }
                // The same request at another stage: it may tell more about it, but counts once.
                _ => {
                    let before = *known;
                    known.rules |= new.rules;
                    if shape.kind == Kind::EventCount && known.count == 1 {
                        known.value = known.value.max(new.value);
                    }
                    return *known != before;
                }
            }
        }
        self.entries.drain(..gone);
        if self.entries.len() >= shape.capacity {
            self.make_room(shape);
        }
        let at = self.entries.partition_point(|entry| entry.time <= new.time);
        self.entries.insert(at, new);
        true
    }

    /// Makes room for an entry where there is none.
    fn make_room(&mut self, shape: &Shape) {
        match shape.kind {
            // Of three in a row with the same rules, the one in the middle says nothing about the order.
            Kind::TemporalOrdered => {
                let same = |three: &[Entry]| {
                    three.iter().all(|entry| three.first().is_some_and(|first| first.rules == entry.rules))
                };
                let middle = self.entries.windows(3).position(same).map_or(0, |at| at + 1);
                self.entries.remove(middle);
            }
            // Fewer than the condition asks for there are not.
            Kind::ValueCount | Kind::Temporal => {
                self.entries.remove(0);
            }
            _ => self.merge(shape),
        }
    }

    /// Makes one entry of those that are close to each other: within a part of the timespan of which there are half
    /// as many as entries. It stays as long as the newest of them, so that the window is too long by such a part for
    /// the others; none is forgotten.
    fn merge(&mut self, shape: &Shape) {
        let parts = i64::try_from(shape.capacity / 2).unwrap_or(i64::MAX).max(1);
        let length = (shape.span / parts).max(1);
        let adds_up = !matches!(shape.kind, Kind::Percentile(_) | Kind::Median);
        self.entries.dedup_by(|later, earlier| {
            if later.time.div_euclid(length) != earlier.time.div_euclid(length) {
                return false;
            }
            let value = if adds_up { earlier.value + later.value } else { later.value };
            let count = earlier.count.saturating_add(later.count);
            *earlier = Entry { value, count, rules: earlier.rules | later.rules, ..*later };
            true
        });
        // A window may touch one part more than it has.
        if self.entries.len() >= shape.capacity {
            self.entries.remove(0);
        }
    }

    /// What the window comes to.
    pub(super) fn measure(&self, shape: &Shape) -> Measured {
        let events = self.events();
        let total: f64 = self.entries.iter().map(|entry| entry.value).sum();
        let (count, value) = match shape.kind {
            Kind::EventCount => (events, total / events.max(1) as f64),
            Kind::ValueCount => (events, events as f64),
            Kind::Temporal => {
                let count = self.rules().count_ones();
                (count.into(), count.into())
            }
            Kind::TemporalOrdered => {
                let count = self.in_order(shape.rules);
                (count.into(), count.into())
            }
            Kind::Sum => (events, total),
            Kind::Average => (events, total / events.max(1) as f64),
            Kind::Percentile(percent) => {
                let rank = (percent / 100.0 * events as f64).ceil() as u64;
                (events, self.ranked([rank.max(1); 2]))
            }
            Kind::Median => (events, self.ranked([events.div_ceil(2), events / 2 + 1])),
        };
        Measured { count, value }
    }

    fn events(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.count)).sum()
    }

    fn rules(&self) -> u32 {
        self.entries.iter().fold(0, |rules, entry| rules | entry.rules)
    }

    /// How many of the rules, from the first on, hold one after the other, each on an event of its own.
    fn in_order(&self, rules: u32) -> u32 {
        let mut reached = 0;
        for entry in &self.entries {
            if reached < rules && entry.rules >> reached & 1 == 1 {
                reached += 1;
            }
        }
        reached
    }

    /// What is in the middle between the values of two ranks, counted from 1.
    fn ranked(&self, ranks: [u64; 2]) -> f64 {
        let mut values: Vec<ByValue> =
            self.entries.iter().map(|entry| ByValue(entry.value, entry.count)).collect();
        sort(&mut values);
        let at = |rank: u64| {
            let mut below = 0;
            let found = values.iter().find(|value| {
                below += u64::from(value.1);
                below >= rank
            });
            found.map_or(0.0, |value| value.0)
        };
        let [first, second] = ranks.map(at);
        first + (second - first) / 2.0
    }

    /// The memory that the entries take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// How near the group is to firing, as far as that can be compared with other groups of the correlation, at a time:
    /// none where nothing it has seen can count any more.
    pub(super) fn progress(&self, shape: &Shape, now: i64) -> u32 {
        let lives = |time: i64| time.abs_diff(now) < shape.span.unsigned_abs();
        if self.fired.is_some_and(lives) {
            return u32::MAX;
        }
        let live = self.entries.iter().filter(|entry| lives(entry.time));
        match shape.kind {
            Kind::Temporal | Kind::TemporalOrdered => {
                live.fold(0, |rules, entry| rules | entry.rules).count_ones()
            }
            _ => live.fold(0, |count, entry| count.saturating_add(entry.count)),
        }
    }
}

/// A value and how many have it, ordered by the value.
struct ByValue(f64, u32);

impl Ord for ByValue {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for ByValue {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByValue {}

//! Counting by name, and by time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::filter::is_grave;
use crate::records::{ACTIONS, FAILURE, Records, Row, TextId, action_index};

/// How many events have a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The name; empty for what has none.
    pub name: String,
    /// How many.
    pub events: u64,
}

/// The names that occur most often, and how many there are in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Top<T> {
    /// Those, the most frequent first.
    pub rows: Vec<T>,
    /// Of all names, also of those that have no row.
    pub names: u64,
}

impl<T> Top<T> {
    /// The first `most` of `rows`.
    pub(crate) fn of(mut rows: Vec<T>, most: usize) -> Self {
        let names = rows.len() as u64;
        rows.truncate(most);
        Self { rows, names }
    }
}

/// Counts rows by a text of theirs; the most frequent first, then by name. Rows without are not counted.
pub(crate) fn by_text(records: &Records, rows: &[&Row], text: impl Fn(&Row) -> TextId) -> Vec<Count> {
    let mut numbers = vec![0_u64; records.texts().len()];
    for row in rows {
        if let id @ 1.. = text(row)
            && let Some(number) = numbers.get_mut(id as usize)
        {
            *number += 1;
        }
    }
    let named = records.texts().iter().zip(numbers).filter(|(_, events)| *events > 0);
    let mut counts: Vec<_> = named.map(|(name, events)| Count { name: name.clone(), events }).collect();
    counts.sort_by(|a, b| (Reverse(a.events), &a.name).cmp(&(Reverse(b.events), &b.name)));
    counts
}

/// Groups rows by a key that orders them; each group keeps their order.
pub(crate) fn groups<'r, K: Ord>(rows: &[&'r Row], key: impl Fn(&'r Row) -> K) -> BTreeMap<K, Vec<&'r Row>> {
    let mut groups = BTreeMap::new();
    rows.iter().for_each(|row| groups.entry(key(row)).or_insert_with(Vec::new).push(*row));
    groups
}

/// What rows add up to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    pub(crate) events: u64,
    /// With a severity of high or more.
    pub(crate) grave: u64,
    pub(crate) failures: u64,
    /// By [`ACTIONS`].
    pub(crate) actions: [u64; ACTIONS.len()],
}

impl Sum {
    pub(crate) fn of(rows: &[&Row]) -> Self {
        let mut sum = Self::default();
        rows.iter().for_each(|row| sum.add(row));
        sum
    }

    fn add(&mut self, row: &Row) {
        self.events += 1;
        self.grave += u64::from(is_grave(row));
        self.failures += u64::from(row.outcome == FAILURE);
        if let Some(number) = action_index(row).and_then(|index| self.actions.get_mut(index)) {
            *number += 1;
        }
    }
}

/// What the rows of each key add up to; the most events first, then by `name`.
pub(crate) fn sums<'r, K: Ord + Copy>(
    rows: &[&'r Row],
    key: impl Fn(&'r Row) -> K,
    name: impl Fn(K) -> &'r str,
) -> Vec<(K, Sum)> {
    let mut sums: BTreeMap<K, Sum> = BTreeMap::new();
    rows.iter().for_each(|row| sums.entry(key(row)).or_default().add(row));
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|(a, of_a), (b, of_b)| {
        (Reverse(of_a.events), name(*a)).cmp(&(Reverse(of_b.events), name(*b)))
    });
    sums
}

/// How many bars a chart has at most.
const MOST_BARS: i64 = 80;

/// The lengths of time that a bar can stand for, in milliseconds: from a second to a week.
const WIDTHS: [i64; 20] = {
    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    [
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        15 * SECOND,
        30 * SECOND,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
        7 * DAY,
    ]
};

/// Events over time, in several series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// When the first bar begins, in milliseconds since 1970.
    pub start: i64,
    /// What each bar stands for, in milliseconds.
    pub width: i64,
    /// The names of the series.
    pub series: Vec<String>,
    /// For each series, the number of events in each bar.
    pub events: Vec<Vec<u64>>,
}

impl Timeline {
    /// Of rows sorted by time; those without a time have no bar. `series_of` is a row's series, an index into `series`.
    pub(crate) fn new(rows: &[&Row], series: &[&str], series_of: impl Fn(&Row) -> Option<usize>) -> Self {
        let series_names = series.iter().map(ToString::to_string).collect();
        let mut times = rows.iter().filter_map(|row| row.time);
        let Some(first) = times.next() else { return Self { series: series_names, ..Self::default() } };
        let last = times.next_back().unwrap_or(first);
        let fits = |width: &i64| last.div_euclid(*width) - first.div_euclid(*width) < MOST_BARS;
        let [.., week] = WIDTHS;
        // Somebody's clock may be off by decades.
        let width =
            WIDTHS.into_iter().find(fits).unwrap_or_else(|| week * ((last - first) / week / MOST_BARS + 2));
        let start = first.div_euclid(width) * width;
        let bars = usize::try_from((last - start) / width + 1).unwrap_or_default();
        let mut events = vec![vec![0; bars]; series.len()];
        for row in rows {
            let bar = row.time.and_then(|time| usize::try_from((time - start) / width).ok());
            let place = bar.and_then(|bar| events.get_mut(series_of(row)?)?.get_mut(bar));
            if let Some(number) = place {
                *number += 1;
            }
        }
        Self { start, width, series: series_names, events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_cover_all_events_whatever_the_clocks_say() {
        const DAY: i64 = 86_400_000;
        for (times, width, bars) in [
            (&[5_500][..], 1_000, 1),
            (&[0, 999, 1_000], 1_000, 2),
            (&[0, 79_999], 1_000, 80),
            (&[0, 80_000], 2_000, 41),
            (&[-1_000, 1_000], 1_000, 3),
            (&[0, DAY - 1], 30 * 60_000, 48),
            (&[0, 365 * DAY], 7 * DAY, 53),
            (&[0, 20_000 * DAY], 7 * DAY * 37, 78),
        ] {
            let rows: Vec<Row> =
                times.iter().map(|time| Row { time: Some(*time), ..Row::default() }).collect();
            let rows: Vec<&Row> = rows.iter().collect();
            let timeline = Timeline::new(&rows, &["all"], |_| Some(0));
            assert_eq!((timeline.width, timeline.events[0].len()), (width, bars), "{times:?}");
            assert_eq!(timeline.events[0].iter().sum::<u64>(), times.len() as u64, "{times:?}");
            assert!(timeline.start <= times[0]);
        }
    }

    #[test]
    fn without_times_there_are_no_bars() {
        let timeline = Timeline::new(&[&Row::default()], &["all"], |_| Some(0));
        assert_eq!((timeline.series.len(), timeline.events.len()), (1, 0));
    }
}

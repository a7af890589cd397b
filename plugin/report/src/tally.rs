//! What the filter did with all that it read, in numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names of routes and tags that are counted each by itself; there are no more in a configuration, but filtered records
/// may come from anybody.
const MOST_NAMES: usize = 10_000;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It goes on whole.
    Kept,
    /// It goes on without what the policy removes.
    Trimmed,
    /// The policy does not want it.
    Dropped,
    /// It could not be treated as an audit event and goes on.
    PassedThrough,
    /// The filter had seen it before; it was taken as it is.
    FilteredBefore,
}

/// The numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Events, each of a list by itself.
    pub read: u64,
    /// Of these: audit events that go on.
    pub kept: u64,
    /// Of those kept: the ones that lost something on the way.
    pub trimmed: u64,
    /// Audit events that the policy does not want.
    pub dropped: u64,
    /// Records that are no audit events and go on.
    pub passed_through: u64,
    /// Of those kept: the ones that the filter had seen before.
    pub filtered_before: u64,
    /// Of those kept: the ones on which a rule holds.
    pub tagged: u64,
    /// Bytes read, with a newline for each event.
    pub bytes_in: u64,
    /// Bytes that go on, with a newline for each event.
    pub bytes_out: u64,
    /// Kept events by route.
    pub by_route: BTreeMap<String, u64>,
    /// Kept events by tag; an event with several counts for each.
    pub by_tag: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, fate: Fate, bytes_in: usize, bytes_out: usize) {
        self.read += 1;
        self.bytes_in += bytes_in as u64 + 1;
        self.bytes_out += if fate == Fate::Dropped { 0 } else { bytes_out as u64 + 1 };
        match fate {
            Fate::Kept => self.kept += 1,
            Fate::Trimmed => {
                self.kept += 1;
                self.trimmed += 1;
            }
            Fate::Dropped => self.dropped += 1,
            Fate::PassedThrough => self.passed_through += 1,
            Fate::FilteredBefore => {
                self.kept += 1;
                self.filtered_before += 1;
            }
        }
    }

    pub(crate) fn count_audit(&mut self, audit: &serde_json::Value) {
        let list = |name: &str| audit.get(name).and_then(serde_json::Value::as_array);
        self.tagged += u64::from(list("rules").is_some_and(|rules| !rules.is_empty()));
        let route = audit.get("route").and_then(serde_json::Value::as_str);
        route.into_iter().for_each(|route| increment(&mut self.by_route, route));
        let tags = list("tags").into_iter().flatten().filter_map(serde_json::Value::as_str);
        tags.for_each(|tag| increment(&mut self.by_tag, tag));
    }
}

fn increment(counts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else if counts.len() < MOST_NAMES {
        counts.insert(name.to_owned(), 1);
    }
}

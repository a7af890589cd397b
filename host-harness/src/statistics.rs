//! What came in, what went out, and where to: counted from the records, for a person and for a program.
//!
//! Of a record only the object is read that the filter added to it, so that the numbers are those of whatever
//! module ran.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use audit_filter_engine::json::{self, Raw, Text};
use audit_filter_engine::record::elements;
use audit_filter_report::text::{added_object, grouped};
use serde::Serialize;

/// Tags listed in a summary for people, most frequent first; the JSON has them all.
const TAGS_SHOWN: usize = 20;

/// What a run did. Serialises to the object that `--stats` writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Records given to the filter, of a list each element: `kept + dropped + passed_through`.
    pub read: u64,
    /// Audit events that went on.
    pub kept: u64,
    /// Audit events that the policy did not want.
    pub dropped: u64,
    /// Records that went on although they could not be treated as audit events, or though the filter failed.
    pub passed_through: u64,
    /// Of those passed through, the ones on which the filter failed: it trapped, took too long, or gave no record.
    pub failed: u64,
    /// Lines left out because they were too long to be given to the filter. Not in `read`.
    pub too_long: u64,
    /// Bytes of the records read, with a newline each.
    pub bytes_in: u64,
    /// Bytes of the records written, with a newline each.
    pub bytes_out: u64,
    /// How long it took, by the clock on the wall.
    pub seconds: f64,
    /// Kept events by the route they were given.
    pub by_route: BTreeMap<String, u64>,
    /// Kept events by tag; an event with several counts for each.
    pub by_tag: BTreeMap<String, u64>,
    /// Alerts by the id of their correlation.
    pub by_alert: BTreeMap<String, u64>,
}

/// What became of a record, as far as its bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// An audit event that went on.
    Kept,
    /// The policy did not want it.
    Dropped,
    /// It could not be treated as an audit event.
    PassedThrough,
    /// The filter failed on it, and it went on all the same.
    Failed,
}

impl Statistics {
    /// Counts a record that was dropped; of a list, each element was.
    pub fn count_dropped(&mut self, record: &[u8]) {
        self.bytes_in += record.len() as u64 + 1;
        for _ in 0..elements(record).len().max(1) {
            self.count(Fate::Dropped);
        }
    }

    /// Counts a record on which the filter failed, and what went on instead of its result.
    pub fn count_failed(&mut self, record: &[u8], output: &[u8]) {
        self.count_bytes(record, output);
        self.count(Fate::Failed);
    }

    /// Counts a record that the filter answered with `output`, in which it writes its object under `key`.
    ///
    /// The answer tells what the record was: an event has a level in that object. One that does not, or was left as
    /// it is (because it had a member of that name), was passed through. A list has no such object, but its elements.
    pub fn count_output(&mut self, record: &[u8], output: &[u8], key: &str) {
        self.count_bytes(record, output);
        if output == record {
            return self.count(Fate::PassedThrough);
        }
        match added_object(output, key) {
            Some(added) => self.count_added(added),
            None => self.count_elements(record, output, key),
        }
    }

    /// Counts what became of the elements of a list. An answer without an object that is no list is another module's.
    fn count_elements(&mut self, record: &[u8], output: &[u8], key: &str) {
        let left = elements(output);
        if left.is_empty() {
            return self.count(Fate::Kept);
        }
        for element in &left {
            match added_object(output.get(element.clone()).unwrap_or_default(), key) {
                Some(added) => self.count_added(added),
                None => self.count(Fate::PassedThrough),
            }
        }
        for _ in left.len()..elements(record).len() {
            self.count(Fate::Dropped);
        }
    }

    /// Counts a record by the object that the filter has added to it.
    fn count_added(&mut self, added: Raw<'_>) {
        let added = Members::of(added);
        if added.error && !added.level {
            return self.count(Fate::PassedThrough);
        }
        self.count(Fate::Kept);
        if let Some(route) = added.route {
            increment(&mut self.by_route, route.to_str());
        }
        for tag in added.tags.into_iter().flat_map(json::elements).filter_map(Raw::text) {
            increment(&mut self.by_tag, tag.to_str());
        }
        for rule in
            added.alerts.into_iter().flat_map(json::elements).filter_map(|alert| alert.get(b"rule")?.text())
        {
            increment(&mut self.by_alert, rule.to_str());
        }
    }

    fn count_bytes(&mut self, record: &[u8], output: &[u8]) {
        self.bytes_in += record.len() as u64 + 1;
        self.bytes_out += output.len() as u64 + 1;
    }

    fn count(&mut self, fate: Fate) {
        self.read += 1;
        match fate {
            Fate::Kept => self.kept += 1,
            Fate::Dropped => self.dropped += 1,
            Fate::PassedThrough => self.passed_through += 1,
            Fate::Failed => {
                self.passed_through += 1;
                self.failed += 1;
            }
        }
    }

    /// Counts a line that was too long to be given to the filter.
    pub fn count_too_long(&mut self) {
        self.too_long += 1;
    }

    /// Adds what another did meanwhile, on the same input. How long it took stays as it is.
    pub fn add(&mut self, other: &Self) {
        // All members, so that one that is new cannot be forgotten.
        let Self {
            read,
            kept,
            dropped,
            passed_through,
            failed,
            too_long,
            bytes_in,
            bytes_out,
            seconds: _,
            by_route,
            by_tag,
            by_alert,
        } = other;
        self.read += read;
        self.kept += kept;
        self.dropped += dropped;
        self.passed_through += passed_through;
        self.failed += failed;
        self.too_long += too_long;
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
        let sums = [&mut self.by_route, &mut self.by_tag, &mut self.by_alert];
        for (sum, counts) in sums.into_iter().zip([by_route, by_tag, by_alert]) {
            for (name, count) in counts {
                *sum.entry(name.clone()).or_default() += count;
            }
        }
    }

    /// Notes how long all that took.
    pub fn took(&mut self, time: Duration) {
        self.seconds = time.as_secs_f64();
    }
}

/// The members of the filter's object that are counted.
#[derive(Default)]
struct Members<'a> {
    level: bool,
    error: bool,
    route: Option<Text<'a>>,
    tags: Option<Raw<'a>>,
    alerts: Option<Raw<'a>>,
}

impl<'a> Members<'a> {
    fn of(object: Raw<'a>) -> Self {
        let mut found = Self::default();
        for (name, value) in json::members(object) {
            match &*name.to_str() {
                "level" => found.level = true,
                "error" => found.error = true,
                "route" => found.route = value.text(),
                "tags" => found.tags = Some(value),
                "alerts" => found.alerts = Some(value),
                _ => {}
            }
        }
        found
    }
}

fn increment(counts: &mut BTreeMap<String, u64>, name: Cow<'_, str>) {
    if let Some(count) = counts.get_mut(&*name) {
        *count += 1;
    } else {
        counts.insert(name.into_owned(), 1);
    }
}

/// The summary for a person, several lines, each with its end.
impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |count: u64| if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 };
        writeln!(
            f,
            "read            {:>14}  in {:.2} s, {} a second",
            grouped(self.read),
            self.seconds,
            grouped(rate(self.read) as u64)
        )?;
        let share = |count: u64| percent(count, self.read);
        writeln!(f, "kept            {:>14}  {}", grouped(self.kept), share(self.kept))?;
        writeln!(f, "dropped         {:>14}  {}", grouped(self.dropped), share(self.dropped))?;
        writeln!(f, "passed through  {:>14}  {}", grouped(self.passed_through), share(self.passed_through))?;
        if self.failed > 0 {
            writeln!(f, "  filter failed {:>14}", grouped(self.failed))?;
        }
        if self.too_long > 0 {
            writeln!(f, "too long        {:>14}  left out", grouped(self.too_long))?;
        }
        writeln!(f, "bytes in        {:>14}  {}/s", grouped(self.bytes_in), binary(rate(self.bytes_in)))?;
        let saved = self.bytes_in.saturating_sub(self.bytes_out);
        writeln!(
            f,
            "bytes out       {:>14}  {} saved",
            grouped(self.bytes_out),
            percent(saved, self.bytes_in)
        )?;
        table(f, "by route", &self.by_route, usize::MAX)?;
        table(f, "by tag", &self.by_tag, TAGS_SHOWN)?;
        table(f, "alerts", &self.by_alert, TAGS_SHOWN)
    }
}

fn table(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    counts: &BTreeMap<String, u64>,
    shown: usize,
) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rows_shown = rows.get(..shown).unwrap_or(&rows);
    let width = rows_shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(14);
    writeln!(f, "{title}")?;
    for (name, count) in rows_shown {
        // Another module's names are anything; a terminal takes orders from control characters.
        let name: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        writeln!(f, "  {name:<width$}{:>14}", grouped(**count))?;
    }
    match rows.len() - rows_shown.len() {
        0 => Ok(()),
        more => writeln!(f, "  … and {more} more"),
    }
}

fn percent(part: u64, whole: u64) -> String {
    let mut text = String::new();
    if whole > 0 {
        let _ = write!(text, "{:.1} %", part as f64 * 100.0 / whole as f64);
    } else {
        text.push('-');
    }
    text
}

fn binary(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = bytes;
    let mut unit = UNITS[0];
    for larger in UNITS.iter().skip(1) {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_what_the_record_was() {
        use Fate::{Kept, PassedThrough};
        for (record, output, expected) in [
            ("{}", r#"{"audit":{"level":"Metadata"}}"#, Kept),
            ("{}", r#"{"audit":{"level":"Metadata","error":"invalid UTF-8"}}"#, Kept),
            ("{}", r#"{"audit":{"error":"not an audit event"}}"#, PassedThrough),
            ("x", r#"{"log":"x","audit":{"error":"not JSON"}}"#, PassedThrough),
            // Somebody else's member of that name: the filter leaves the record alone.
            (r#"{"audit":1}"#, r#"{"audit":1}"#, PassedThrough),
            // The record's own member does not count, the filter's does.
            (
                r#"{"audit":{"level":"x"}}"#,
                r#"{"audit":{"level":"x"},"audit":{"error":"not JSON"}}"#,
                PassedThrough,
            ),
        ] {
            let mut statistics = Statistics::default();
            statistics.count_output(record.as_bytes(), output.as_bytes(), "audit");
            let fate = if statistics.kept == 1 { Kept } else { PassedThrough };
            assert_eq!(fate, expected, "{record} answered with {output}");
            assert_eq!(statistics.kept + statistics.passed_through, 1);
        }
    }

    #[test]
    fn each_element_of_a_list_counts() {
        let list = |elements: &str| {
            format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{elements}]}}"#)
        };
        let kept = r#"{"audit":{"level":"Metadata","route":"siem","tags":["exec"]}}"#;
        let passed = r#"{"audit":{"error":"not an audit event"}}"#;
        let mut statistics = Statistics::default();
        let record = list(r#"{},{},{},7,{}"#);
        let output = list(&format!("{kept},{passed},7,{kept}"));
        statistics.count_output(record.as_bytes(), output.as_bytes(), "audit");
        statistics.count_dropped(list("{},{}").as_bytes());
        let Statistics { read, kept, dropped, passed_through, bytes_in, bytes_out, by_route, by_tag, .. } =
            statistics;
        assert_eq!((read, kept, dropped, passed_through), (7, 2, 3, 2));
        assert_eq!(bytes_in as usize, record.len() + 1 + list("{},{}").len() + 1);
        assert_eq!(bytes_out as usize, output.len() + 1);
        assert_eq!(by_route, BTreeMap::from([("siem".to_owned(), 2)]));
        assert_eq!(by_tag, BTreeMap::from([("exec".to_owned(), 2)]));
    }

    #[test]
    fn the_object_has_the_configured_name() {
        let mut statistics = Statistics::default();
        let output = br#"{"audit":{"route":"wrong"},"k8s":{"level":"Metadata","route":"siem"}}"#;
        statistics.count_output(b"{}", output, "k8s");
        assert_eq!(statistics.by_route, BTreeMap::from([("siem".to_owned(), 1)]));
    }

    #[test]
    fn everything_is_counted_once() {
        let mut statistics = Statistics::default();
        let kept = br#"{"audit":{"level":"Metadata","route":"default","tags":["cve","ex\u0065c"],"alerts":[{"rule":"a"},{"rule":"b","count":2},{"rule":"a"}]}}"#;
        statistics.count_output(b"{}", kept, "audit");
        statistics.count_output(b"{}", kept, "audit");
        statistics.count_dropped(b"{ }");
        statistics.count_failed(b"{}", b"{\"audit\":{}}");
        statistics.count_too_long();
        statistics.took(Duration::from_millis(1500));
        let json = serde_json::to_value(&statistics).unwrap();
        let expected = serde_json::json!({
            "read": 4, "kept": 2, "dropped": 1, "passed_through": 1, "failed": 1, "too_long": 1,
            "bytes_in": 3 + 3 + 4 + 3, "bytes_out": 2 * (kept.len() + 1) + 13, "seconds": 1.5,
            "by_route": {"default": 2}, "by_tag": {"cve": 2, "exec": 2}, "by_alert": {"a": 4, "b": 2},
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_several_did_is_added_up() {
        let mut statistics = Statistics {
            read: 4,
            kept: 1,
            dropped: 1,
            passed_through: 2,
            failed: 1,
            too_long: 5,
            bytes_in: 400,
            bytes_out: 300,
            seconds: 2.0,
            by_route: [("siem".to_owned(), 1)].into(),
            by_tag: [("cve".to_owned(), 1)].into(),
            by_alert: [("burst".to_owned(), 2)].into(),
        };
        statistics.add(&Statistics {
            seconds: 1.0,
            by_route: [("siem".to_owned(), 2), ("default".to_owned(), 3)].into(),
            by_tag: BTreeMap::new(),
            ..statistics.clone()
        });
        let expected = serde_json::json!({
            "read": 8, "kept": 2, "dropped": 2, "passed_through": 4, "failed": 2, "too_long": 10,
            "bytes_in": 800, "bytes_out": 600, "seconds": 2.0,
            "by_route": {"default": 3, "siem": 3}, "by_tag": {"cve": 1}, "by_alert": {"burst": 4},
        });
        assert_eq!(serde_json::to_value(&statistics).unwrap(), expected);
    }

    #[test]
    fn a_person_sees_the_numbers() {
        let statistics = Statistics {
            read: 12_345,
            kept: 2_345,
            dropped: 10_000,
            bytes_in: 4 << 20,
            bytes_out: 1 << 20,
            seconds: 0.5,
            by_route: [("siem".to_owned(), 5), ("default".to_owned(), 2_340)].into(),
            by_tag: (0..30).map(|n| (format!("tag-{n:02}"), n)).collect(),
            ..Statistics::default()
        };
        let text = statistics.to_string();
        for line in [
            "read                    12,345  in 0.50 s, 24,690 a second",
            "kept                     2,345  19.0 %",
            "dropped                 10,000  81.0 %",
            "passed through               0  0.0 %",
            "bytes in             4,194,304  8.0 MiB/s",
            "bytes out            1,048,576  75.0 % saved",
            "by route\n  default                2,340\n  siem                       5\n",
            "by tag\n  tag-29                    29\n",
            "  … and 10 more",
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
        assert!(!text.contains("failed") && !text.contains("too long"), "{text}");
        assert!(!Statistics::default().to_string().contains("NaN"));
    }
}

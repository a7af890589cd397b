//! Time as the log has it: microseconds since 1970, written as Go writes `metav1.MicroTime`.
//!
//! There is no clock here. A log begins at the time its options say and is spread over one day.

/// Microseconds since 1970-01-01T00:00:00Z.
pub(super) type Micros = u64;

pub(super) const MILLISECOND: Micros = 1_000;
pub(super) const SECOND: Micros = 1_000_000;
pub(super) const MINUTE: Micros = 60 * SECOND;
pub(super) const HOUR: Micros = 60 * MINUTE;
pub(super) const DAY: Micros = 24 * HOUR;

/// How busy the cluster is in each hour (UTC): machines are at it day and night, people make the difference.
const DENSITY: [u64; 24] =
    [38, 44, 48, 50, 46, 44, 49, 50, 50, 48, 45, 41, 39, 38, 37, 36, 36, 36, 36, 36, 36, 36, 36, 36];

/// How likely people are at work in each hour (UTC), of 100: an office eight hours east of Greenwich, and somebody
/// on call.
pub(super) const OFFICE_HOURS: [u64; 24] =
    [35, 80, 100, 100, 60, 70, 100, 100, 100, 80, 45, 25, 12, 8, 5, 3, 2, 2, 2, 2, 2, 3, 5, 12];

/// The time, from the start of the day, of slot `slot` of `slots`, where `jitter` (below 65,536) says where in
/// the slot. Grows with `slot`; below [`DAY`] for every slot below `slots`.
pub(super) fn arrival(slot: u64, slots: u64, jitter: u64) -> Micros {
    let total: u128 = DENSITY.iter().map(|density| u128::from(*density)).sum();
    let whole = u128::from(slots.max(1)) << 16;
    // How much of the day's work, in (density × slots), is done before this moment.
    let mut done = ((u128::from(slot) << 16) + u128::from(jitter)).min(whole - 1) * total;
    for (hour, density) in (0..).zip(DENSITY) {
        let share = u128::from(density) * whole;
        if done < share {
            return hour * HOUR + (done * u128::from(HOUR) / share) as Micros;
        }
        done -= share;
    }
    DAY - 1
}

/// `2026-03-02T08:30:00.123456Z`: the form of `requestReceivedTimestamp` and `stageTimestamp`.
pub(super) fn micro_time(time: Micros) -> String {
    let seconds = time / SECOND;
    let mut text = seconds_text(seconds);
    text.push_str(&format!(".{:06}Z", time % SECOND));
    text
}

/// `2026-03-02T08:30:00Z`: the form of the times in objects.
pub(super) fn time(time: Micros) -> String {
    let mut text = seconds_text(time / SECOND);
    text.push('Z');
    text
}

fn seconds_text(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01, by shifting the year to begin in March, so that
/// the leap day is its last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_827_696_000_001, "2000-02-29T12:34:56.000001Z"),
            (1_772_409_600_000_000, "2026-03-02T00:00:00.000000Z"),
            (4_107_542_399_999_999, "2100-02-28T23:59:59.999999Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(micro_time(micros), text);
        }
        assert_eq!(time(1_772_409_600_999_999), "2026-03-02T00:00:00Z");
    }

    #[test]
    fn arrivals_fill_the_day_in_order() {
        for slots in [1, 7, 300, 100_000] {
            let times: Vec<_> = (0..slots).map(|slot| arrival(slot, slots, (slot * 7919) % 65_536)).collect();
            assert!(times.is_sorted() && times.iter().all(|time| *time < DAY), "{slots} slots");
        }
        assert!(arrival(99_999, 100_000, 65_535) > DAY - SECOND);
        assert!(arrival(u64::MAX / 2, u64::MAX, 0) < DAY);
    }
}

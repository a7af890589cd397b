//! The timestamps of events as numbers that can be compared and counted with.

/// Milliseconds in a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// The milliseconds since 1970 of a timestamp as the API server writes it, RFC 3339 in UTC
/// (`2026-03-02T08:00:00.123456Z`), or in any other zone. None for anything else.
#[must_use]
pub fn milliseconds(timestamp: &str) -> Option<i64> {
    let (date, rest) = timestamp.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-')?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second] = numbers(clock, ':')?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    // A leap second is the next minute's first.
    if !in_range || second > 60 || year > 9999 {
        return None;
    }
    let thousandths = match fraction.get(..fraction.len().min(3))? {
        "" => 0,
        digits => digits.parse::<u16>().ok()? * 10_u16.pow(3 - u32::try_from(digits.len()).ok()?),
    };
    let minutes_ahead = match zone.split_at_checked(1)? {
        ("+", offset) => offset_minutes(offset)?,
        ("-", offset) => -offset_minutes(offset)?,
        (_, "") => 0,
        _ => return None,
    };
    let of_day = ((hour * 60 + minute - minutes_ahead) * 60 + second) * 1000 + i64::from(thousandths);
    Some(days(year, month, day) * DAY + of_day)
}

fn offset_minutes(offset: &str) -> Option<i64> {
    let [hours, minutes] = numbers(offset, ':')?;
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// Numbers without signs, exactly that many.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for number in &mut numbers {
        let part = parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse::<u32>().ok()?.into();
    }
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970 of a date in the Gregorian calendar; of years from 0 on. The year begins with March here, so that
/// a leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn timestamps_are_those_of_rfc_3339() {
        for (timestamp, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.1Z", Some(100)),
            ("1969-12-31T23:59:59Z", Some(-1000)),
            ("2000-02-29T12:34:56Z", Some(951_827_696_000)),
            ("2026-03-02T00:02:36.339088Z", Some(1_772_409_756_339)),
            ("2026-03-02T08:02:36.339+08:00", Some(1_772_409_756_339)),
            ("2026-03-01T19:02:36-05:00", Some(1_772_409_756_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("", None),
            ("2026-03-02", None),
            ("2026-03-02T00:02:36", None),
            ("2026-03-02T00:02Z", None),
            ("2026-13-02T00:02:36Z", None),
            ("2026-03-02T24:02:36Z", None),
            ("2026-03-02T00:02:36Zulu", None),
            ("2026-03-02T00:02:36.xZ", None),
            ("2026-03-02T00:02:36.1é2Z", None),
            ("+026-03-02T00:02:36Z", None),
            ("99999999999-03-02T00:02:36Z", None),
        ] {
            assert_eq!(milliseconds(timestamp), expected, "{timestamp}");
        }
    }
}

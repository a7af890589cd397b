//! When an event happened.

use crate::record::{Event, Member};

/// Microseconds since 1970, by the event's own account: when its stage was reached, or else what comes nearest to
/// that. None where the event says nothing that is a time.
pub(super) fn of_event(event: &Event<'_>) -> Option<i64> {
    [Member::StageTimestamp, Member::RequestReceivedTimestamp, Member::Timestamp]
        .into_iter()
        .find_map(|member| parse(&event.text(member)?.decode()))
}

/// A time as RFC 3339 writes it, in microseconds since 1970.
fn parse(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(19)?;
    let [y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] =
        *date
    else {
        return None;
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[o1, o2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (micros, zone) = fraction(rest)?;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    Some(seconds * 1_000_000 + micros)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// The microseconds of a fraction of a second, if there is one, and what follows it.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let length = digits.iter().take_while(|digit| digit.is_ascii_digit()).count();
    let (digits, zone) = digits.split_at_checked(length)?;
    let mut micros = [b'0'; 6];
    micros.iter_mut().zip(digits).for_each(|(to, from)| *to = *from);
    (length > 0).then_some((number(&micros)?, zone))
}

/// By how many seconds a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let seconds = number(&[h1, h2])? * 3600 + number(&[m1, m2])? * 60;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// The days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_month = (153 * month + 2) / 5;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + before_month + day
        - 719_469
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_are_read_as_rfc_3339_writes_them() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.000001Z", Some(1)),
            ("1969-12-31T23:59:59Z", Some(-1_000_000)),
            ("2026-03-02T08:00:00.25Z", Some(1_772_438_400_250_000)),
            ("2026-03-02T08:00:00.123456789Z", Some(1_772_438_400_123_456)),
            ("2026-03-02T10:30:00+02:30", Some(1_772_438_400_000_000)),
            ("2026-03-02T03:00:00-05:00", Some(1_772_438_400_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000)),
            ("2000-03-01T00:00:00Z", Some(951_868_800_000_000)),
            ("", None),
            ("2026-03-02", None),
            ("2026-03-02T08:00:00", None),
            ("2026-03-02T08:00:00.Z", None),
            ("2026-13-02T08:00:00Z", None),
            ("2026-03-02T24:00:00Z", None),
            ("2026-03-02T08:00:00Zulu", None),
            ("2026-03-02T08:00:0\u{e9}Z", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }
}

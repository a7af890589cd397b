//! Finding the end of a body without reading the body.
//!
//! kube-apiserver writes the members of `Event` in the order of the Go struct, bodies before
//! `requestReceivedTimestamp`. Bodies are most of a log, and most of them the policy removes: whoever
//! wants only what follows them can look for that member from the record's end.

/// The member that follows the bodies, with the comma before it and the start of its value.
const NEEDLE: &[u8; 29] = b",\"requestReceivedTimestamp\":\"";

/// How far from the end to look. Annotations follow, which admission plugins and webhooks write; beyond this
/// the body is simply read.
const WINDOW: usize = 8 << 10;

/// The bytes at the start of a window by which it is told how far away the needle may be. Four, since names and values share
/// many a letter with the needle, and few of these.
type Sample = [u8; 4];

/// How far a window of the needle's length that is not the needle can move left, by the [place](place_of) of its sample.
static SHIFT: [u8; 256] = {
    let mut at = NEEDLE.len() - size_of::<Sample>();
    let mut shift = [at as u8 + 1; 256];
    while at > 0 {
        if let Some(sample) = NEEDLE.split_at(at).1.first_chunk() {
            shift[place_of(*sample)] = at as u8;
        }
        at -= 1;
    }
    shift
};

/// Samples that differ may have the same place, where the window then moves as little as for any of them.
const fn place_of(sample: Sample) -> usize {
    (u32::from_le_bytes(sample).wrapping_mul(0x9e37_79b1) >> 24) as usize
}

/// The offset of the comma before the last `requestReceivedTimestamp` in `src`, where what stands before
/// it, from `body` on, starts and ends as an object does.
///
/// The quotes of the name are not preceded by a backslash, so in JSON they are a name's and no part of a
/// string. That the name belongs to the record and not to something inside it is for the caller to prove,
/// by reading on from there to the record's end.
pub(super) fn after_bodies(src: &[u8], body: usize) -> Option<usize> {
    if src.get(body) != Some(&b'{') {
        return None;
    }
    let lowest = body.max(src.len().saturating_sub(WINDOW));
    let mut at = src.len().checked_sub(NEEDLE.len())?;
    while at > lowest {
        let candidate = src.get(at..)?.first_chunk::<{ NEEDLE.len() }>()?;
        let sample: Sample = *candidate.first_chunk()?;
        if NEEDLE.starts_with(&sample) && candidate == NEEDLE {
            return (src.get(at - 1) == Some(&b'}')).then_some(at);
        }
        let shift = SHIFT.get(place_of(sample)).copied()?;
        at = at.checked_sub(usize::from(shift))?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_one_is_found_wherever_it_stands(
            parts in prop::collection::vec((0..NEEDLE.len(), 0..=NEEDLE.len(), "[}a-z\",:]{0,40}"), 0..12),
            body in 0..40_usize,
        ) {
            let mut src = vec![b'{'];
            for (start, end, other) in &parts {
                src.extend_from_slice(NEEDLE.get(*start..*end).unwrap_or(b"}"));
                src.extend_from_slice(other.as_bytes());
                // Every other time all of it.
                src.extend_from_slice(NEEDLE.get(..(start % 2) * NEEDLE.len()).unwrap_or_default());
            }
            if let Some(first) = src.get_mut(body) {
                *first = b'{';
            }
            let last = src.windows(NEEDLE.len()).rposition(|window| window == NEEDLE);
            let expected = last.filter(|&at| at > body && src[at - 1] == b'}' && src[body] == b'{');
            prop_assert_eq!(after_bodies(&src, body), expected);
        }
    }
}

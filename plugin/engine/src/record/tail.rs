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

/// For each byte, how far a window of the needle's length can move left when it starts with that byte.
const SHIFT: [u8; 256] = {
    let mut shift = [NEEDLE.len() as u8; 256];
    let mut at = NEEDLE.len() - 1;
    while at > 0 {
        shift[NEEDLE[at] as usize] = at as u8;
        at -= 1;
    }
    shift
};

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
        if candidate == NEEDLE {
            return (src.get(at - 1) == Some(&b'}')).then_some(at);
        }
        let shift = SHIFT.get(usize::from(candidate[0])).copied()?;
        at = at.checked_sub(usize::from(shift))?;
    }
    None
}

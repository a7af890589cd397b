//! Looking at text eight bytes at a time, which in an interpreter costs little more than looking at one.

const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of each byte of a word.
pub(crate) const HIGH: u64 = 0x8080_8080_8080_8080;
/// The bit that tells the cases of a letter apart.
const CASE: u64 = ONES * 0x20;
const BACKSLASHES: u64 = every(b'\\');

/// A word of that byte.
const fn every(byte: u8) -> u64 {
    ONES * byte as u64
}

/// The eight bytes at `pos`, the first in the lowest bits.
#[inline(always)]
pub(super) fn word(src: &[u8], pos: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*src.get(pos..)?.first_chunk()?))
}

/// The top bits of the bytes that are less than `limit`, itself at most 0x80. Borrows can set others above a true
/// hit, never below: the lowest is exact, and so is none at all.
#[inline(always)]
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(every(limit)) & !word & HIGH
}

/// As for [`below`], where in a string of JSON scanning has to stop: at a quote, a backslash, a control character, or
/// what is not ASCII.
#[inline(always)]
pub(super) fn stops(word: u64) -> u64 {
    (special(word) | word) & HIGH
}

/// Whether scanning does not have to stop at any of these, eight at least.
#[inline(always)]
pub(crate) fn is_plain_chunk<const N: usize>(text: &[u8; N]) -> bool {
    const { assert!(N >= 8) };
    let (words, _) = text.as_chunks::<8>();
    // The last ones may overlap those before.
    let words = words.iter().chain(text.last_chunk::<8>());
    words.fold(0, |all, &word| all | stops(u64::from_le_bytes(word))) == 0
}

/// The same without what is not ASCII.
#[inline(always)]
pub(super) fn stops_beyond_ascii(word: u64) -> u64 {
    special(word) & !word & HIGH
}

/// The top bit of each byte of ASCII that is a quote, a backslash or a control character; of others any.
#[inline(always)]
fn special(word: u64) -> u64 {
    // Exchanges a quote and a space, so that the quote stands next to the control characters.
    (word ^ every(b'"' ^ b' ')).wrapping_sub(every(b' ' + 1)) | (word ^ BACKSLASHES).wrapping_sub(ONES)
}

/// The top bits of the bytes that are no digits; those above the lowest may be others.
#[inline(always)]
pub(super) fn no_digits(word: u64) -> u64 {
    ((word ^ every(b'0')).wrapping_add(every(0x80 - 10)) | word) & HIGH
}

/// Where in `text` the byte first stands.
#[inline]
pub(crate) fn position(text: &[u8], byte: u8) -> Option<usize> {
    find(text, every(byte), 0)
}

/// Whether `text` may have a backslash: whether it does, if it is ASCII. Of other text it may be said although it has none.
#[inline(always)]
pub(super) fn may_have_backslash(text: &[u8]) -> bool {
    let suspect = |word: u64| (word ^ BACKSLASHES).wrapping_sub(ONES);
    let (words, rest) = text.as_chunks::<8>();
    for &word in words {
        if suspect(u64::from_le_bytes(word)) & HIGH != 0 {
            return true;
        }
    }
    match last_word(text) {
        Some(word) => suspect(word) & HIGH != 0,
        None => rest.contains(&b'\\'),
    }
}

/// The same, of a lower-case letter in either case if `any_case`.
#[inline]
pub(crate) fn position_in_case(text: &[u8], byte: u8, any_case: bool) -> Option<usize> {
    find(text, every(byte), if any_case && byte.is_ascii_lowercase() { CASE } else { 0 })
}

#[inline(always)]
fn find(text: &[u8], wanted: u64, disregard: u64) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    let mut pos = 0;
    for &word in words {
        let found = below((u64::from_le_bytes(word) | disregard) ^ wanted, 1);
        if found != 0 {
            return Some(pos + (found.trailing_zeros() >> 3) as usize);
        }
        pos += 8;
    }
    let Some(word) = last_word(text) else {
        return rest.iter().position(|byte| byte | disregard as u8 == wanted as u8);
    };
    let found = below((word | disregard) ^ wanted, 1);
    if found == 0 {
        return None;
    }
    let at = (found.trailing_zeros() >> 3) as usize;
    Some(if text.len() < 8 && at < 4 { at } else { text.len() + at - 8 })
}

/// The last eight bytes; of a text that is shorter, the first four and the last four, if it has so many.
#[inline(always)]
fn last_word(text: &[u8]) -> Option<u64> {
    if let Some(last) = text.last_chunk() {
        return Some(u64::from_le_bytes(*last));
    }
    let (first, last) = (text.first_chunk()?, text.last_chunk()?);
    Some(u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32)
}

/// A number of a text that is seldom that of another: of texts as long as it, of four to eight bytes, never.
#[inline(always)]
pub(crate) fn tag(text: &[u8]) -> u64 {
    last_word(text).unwrap_or_else(|| text.iter().fold(0, |tag, &byte| tag << 8 | u64::from(byte)))
}

/// Where in `text` two bytes first stand one after the other; lower-case letters in either case if `any_case`.
#[inline]
pub(crate) fn position_of_pair(text: &[u8], pair: [u8; 2], any_case: bool) -> Option<usize> {
    find_pair(text, pair, pair, any_case)
}

/// Whether one of two such pairs stands in `text`.
#[inline]
pub(crate) fn has_pair(text: &[u8], pairs: [[u8; 2]; 2], any_case: bool) -> bool {
    let [first, second] = pairs;
    find_pair(text, first, second, any_case).is_some()
}

/// Where the first of two pairs stands, in one pass for both.
#[inline(always)]
fn find_pair(text: &[u8], pair: [u8; 2], other: [u8; 2], any_case: bool) -> Option<usize> {
    let case = |byte: u8| if any_case && byte.is_ascii_lowercase() { CASE } else { 0 };
    let words = |pair: [u8; 2]| pair.map(|byte| (every(byte), case(byte)));
    let differ = |one: u64, next: u64, [(first, first_case), (second, second_case)]: [(u64, u64); 2]| {
        (one | first_case) ^ first | (next | second_case) ^ second
    };
    let (sought, others) = (words(pair), words(other));
    find_in_nines(text, |one, next| {
        let found = below(differ(one, next, sought), 1);
        if pair == other { found } else { found | below(differ(one, next, others), 1) }
    })
}

/// Where `stops` first says that two bytes stand one after the other that are sought. It is given eight bytes and each's next,
/// and sets the top bits of those that it means, the lowest of which counts.
#[inline(always)]
fn find_in_nines(text: &[u8], stops: impl Fn(u64, u64) -> u64) -> Option<usize> {
    let Some(end) = text.last_chunk::<9>() else {
        let is_there = |&[one, next]: &[u8; 2]| stops(one.into(), next.into()) & 0x80 != 0;
        return (0..text.len())
            .find(|&at| text.get(at..).and_then(<[u8]>::first_chunk).is_some_and(is_there));
    };
    let mut rest = text;
    loop {
        // The last nine bytes may overlap those before, where nothing has been found.
        let (nine, is_last) = rest.first_chunk().map_or((end, true), |nine| (nine, false));
        let (one, next) = (u64::from_le_bytes(*nine.first_chunk()?), u64::from_le_bytes(*nine.last_chunk()?));
        let found = stops(one, next);
        if found != 0 {
            let start = text.len() - if is_last { 9 } else { rest.len() };
            return Some(start + (found.trailing_zeros() >> 3) as usize);
        }
        if is_last {
            return None;
        }
        rest = rest.get(8..)?;
    }
}

/// Whether JSON may say one of some texts, in whatever case: false only if it does not. `pairs` are what they begin with; they
/// are visible ASCII characters in lower case, none of them a quote or a backslash, or what Kubernetes escapes: `&`, `<` and
/// `>`.
#[inline(always)]
pub(crate) fn may_say<'t, T: AsRef<[u8]> + 't>(
    json: &[u8],
    pairs: [[u8; 2]; 2],
    texts: impl Fn() -> &'t [T],
) -> bool {
    let mut rest = json;
    while let Some(at) = find_pair_or_backslash(rest, pairs) {
        let Some((&first, after)) = rest.get(at..).and_then(<[u8]>::split_first) else { break };
        rest = after;
        if first == b'\\' {
            let Some((b"u0026" | b"u003c" | b"u003e", after)) = after.split_first_chunk::<5>() else {
                return true;
            };
            rest = after;
        } else if texts().iter().filter_map(|text| text.as_ref().split_first()).any(|(&letter, text)| {
            letter == first.to_ascii_lowercase()
                && after.get(..text.len()).is_some_and(|after| after.eq_ignore_ascii_case(text))
        }) {
            return true;
        }
    }
    false
}

/// Where the first of two pairs may stand, or a backslash, if there is any.
#[inline(always)]
fn find_pair_or_backslash(json: &[u8], pairs: [[u8; 2]; 2]) -> Option<usize> {
    // With the bit set that tells cases apart, other bytes look alike, too, and a backslash like a pipe: seldom.
    let [sought, others] = pairs.map(|pair| pair.map(|byte| every(byte | CASE as u8)));
    find_in_nines(json, |one, next| {
        let (one, next) = (one | CASE, next | CASE);
        let differ = |[first, second]: [u64; 2]| (one ^ first | next ^ second).wrapping_sub(ONES);
        (differ(sought) | differ(others) | (one ^ (BACKSLASHES | CASE)).wrapping_sub(ONES)) & HIGH
    })
}

/// Whether each byte is a visible ASCII character or, if `lowest` is one, a space, and none is a quote or a backslash.
#[inline(never)]
pub(crate) fn is_plain(text: &[u8], lowest: u8) -> bool {
    let is_plain = |word: u64| {
        let below_it = if lowest > b' ' { word.wrapping_sub(every(lowest)) } else { 0 };
        // The last character is followed by DEL, and that by what is not ASCII.
        (special(word) | below_it | word | word.wrapping_add(ONES)) & HIGH == 0
    };
    let (words, _) = text.as_chunks::<8>();
    if !words.iter().all(|&word| is_plain(u64::from_le_bytes(word))) {
        return false;
    }
    match last_word(text) {
        Some(word) => is_plain(word),
        None => text.iter().all(|&byte| is_plain(every(byte))),
    }
}

/// Whether a short text stands at `pos`. Two words tell that of up to 16 bytes, without a call.
#[inline(always)]
pub(crate) fn stands_at(src: &[u8], pos: usize, text: &[u8]) -> bool {
    let Some(found) = src.get(pos..pos + text.len()) else { return false };
    found.first_chunk::<8>() == text.first_chunk()
        && found.last_chunk::<8>() == text.last_chunk()
        && (matches!(text.len(), 8..=16) || found == text)
}

/// Whether two texts are the same, without a call for those that are not very short.
#[inline(always)]
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (blocks, _) = left.as_chunks::<32>();
    let (others, _) = right.as_chunks();
    if blocks.iter().zip(others).any(|(block, other)| differ(block, other) != 0) {
        return false;
    }
    // The last ones may overlap those before.
    if let (Some(last), Some(other)) = (left.last_chunk::<32>(), right.last_chunk()) {
        return differ(last, other) == 0;
    }
    if let (Some((first, last)), Some((other, last_other))) = (ends::<16>(left), ends(right)) {
        return differ(first, other) | differ(last, last_other) == 0;
    }
    if let (Some((first, last)), Some((other, last_other))) = (ends::<8>(left), ends(right)) {
        return differ(first, other) | differ(last, last_other) == 0;
    }
    left == right
}

/// The first bytes and the last ones.
#[inline(always)]
fn ends<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    Some((text.first_chunk()?, text.last_chunk()?))
}

/// By which bits two texts differ, all words put together: one decision for all of them.
#[inline(always)]
fn differ<const N: usize>(left: &[u8; N], right: &[u8; N]) -> u64 {
    let (left, _) = left.as_chunks();
    let (right, _) = right.as_chunks();
    let words = left.iter().zip(right);
    words.fold(0, |all, (left, right)| all | u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right))
}

/// A hash for tables of what has been seen, which anybody can find collisions of: what is found by it is to be compared.
#[inline]
pub(crate) fn hash_of_words(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let mut hash = text.len() as u64;
    let mut add = |word: u64| hash = mixed(hash, word);
    words.iter().for_each(|word| add(u64::from_le_bytes(*word)));
    match text.last_chunk() {
        // The last eight bytes may overlap those before.
        Some(last) => add(u64::from_le_bytes(*last)),
        None => rest.iter().for_each(|&byte| add(byte.into())),
    }
    // Products carry upwards only: what differs in a word's upper bits has yet to get to the lower ones.
    (hash ^ hash >> 32).wrapping_mul(HASH) >> 32
}

/// A hash of what `hash` is of, and a word more.
#[inline(always)]
pub(crate) fn mixed(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(HASH)
}

/// Two to the power of 64, divided by the golden ratio.
const HASH: u64 = 0x9e37_79b9_7f4a_7c15;

/// Whether two texts are the same but for the case of ASCII letters.
#[inline]
pub(crate) fn equal_in_any_case(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut pos = 0;
    while let (Some(left), Some(right)) = (word(left, pos), word(right, pos)) {
        if (left ^ right) & !CASE != 0 {
            return false;
        }
        pos += 8;
    }
    // Most that differ have been told from one another by now.
    left.eq_ignore_ascii_case(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn most_paths_have_nothing_rare() {
        for (path, may_have) in [
            ("/api/v1/namespaces/shop/pods/web-0/log?container=app", false),
            ("/apis/coordination.k8s.io/v1/leases?a=1\\u0026watch=true\\u0026b=2", false),
            ("\\u0026\\u0026", false),
            ("/api/v1/namespaces/shop/..", true),
            ("/api/v1\\u0026..", true),
            ("/api/v1/%2E", true),
            ("/api/v1/pods?labelSelector=a%2Cb%2Cc", false),
            ("/api/v1/pods?labelSelector=a%2Cb%2e", true),
            ("/api/v1/%2", false),
            ("/a|b|c|d/..", true),
            ("/api/v1\\u002e.", true),
            ("/..", true),
            ("/", false),
        ] {
            assert_eq!(may_say(path.as_bytes(), [*b"..", *b"%2"], || &["..", "%2e"]), may_have, "{path}");
        }
    }

    proptest! {
        #[test]
        fn words_say_what_bytes_say(
            text in prop::collection::vec(prop_oneof![any::<u8>(), b'0'..=b'9', b' '..=b'~', Just(b'"'), Just(b'\\'), Just(0x7f), Just(0x80)], 0..40),
            other in "[a-dA-D@`]{0,20}",
            byte: u8,
        ) {
            prop_assert_eq!(position(&text, byte), text.iter().position(|&b| b == byte));
            for pos in 0..=text.len() {
                for end in pos..=text.len() {
                    prop_assert!(stands_at(&text, pos, &text[pos..end]));
                    let mut changed = text[pos..end].to_vec();
                    changed.push(byte);
                    prop_assert_eq!(stands_at(&text, pos, &changed), text[pos..].starts_with(&changed));
                    if let Some(one) = changed.get_mut((end - pos) / 2) {
                        *one ^= 1;
                    }
                    prop_assert_eq!(stands_at(&text, pos, &changed), text[pos..].starts_with(&changed));
                }
            }
            let ascii: Vec<u8> = text.iter().map(|byte| byte & 0x7f).collect();
            prop_assert_eq!(may_have_backslash(&ascii), ascii.contains(&b'\\'));
            prop_assert!(may_have_backslash(&text) || !text.contains(&b'\\'));
            if let Some(word) = word(&text, 0) {
                let digits = text.iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
                prop_assert_eq!((no_digits(word).trailing_zeros() >> 3) as usize, digits);
            }
            let lower = byte.to_ascii_lowercase();
            prop_assert_eq!(
                position_in_case(&text, lower, true),
                text.iter().position(|b| b.to_ascii_lowercase() == lower)
            );
            for any_case in [false, true] {
                let folded = |b: u8| if any_case { b.to_ascii_lowercase() } else { b };
                let at = text.first_chunk().map_or(0, |first: &[u8; 2]| usize::from(first[0]) % (text.len() - 1));
                let pair = text.get(at..).and_then(<[u8]>::first_chunk).map_or([lower, byte], |pair: &[u8; 2]| *pair);
                let pair = pair.map(folded);
                prop_assert_eq!(
                    position_of_pair(&text, pair, any_case),
                    text.windows(2).position(|two| [folded(two[0]), folded(two[1])] == pair)
                );
                let other = [folded(byte), pair[0]];
                prop_assert_eq!(
                    has_pair(&text, [pair, other], any_case),
                    text.windows(2).any(|two| [pair, other].contains(&[folded(two[0]), folded(two[1])]))
                );
            }
            let visible = |b: u8| (b' ' + b % 0x5f).to_ascii_lowercase();
            let texts = [vec![byte, lower], text.iter().copied().take(3).chain([byte, byte]).collect()]
                .map(|text: Vec<u8>| text.into_iter().map(visible).collect::<Vec<u8>>());
            let pairs = [[texts[0][0], texts[0][1]], [texts[1][0], texts[1][1]]];
            let has_one = |text: &[u8]| {
                let has = |wanted: &Vec<u8>| text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted));
                texts.iter().any(has)
            };
            prop_assert!(may_say(&text, pairs, || &texts) || !has_one(&text));
            if texts.iter().flatten().all(|b| !b"\"\\&<>".contains(b)) {
                let says: String = text.iter().map(|&b| char::from(visible(b))).collect();
                let json = format!("{says:?}").replace('&', r"\u0026").replace('<', r"\u003c");
                let may_say = may_say(json.as_bytes(), pairs, || &texts);
                prop_assert!(may_say || !has_one(says.as_bytes()));
                prop_assert!(!may_say || has_one(says.as_bytes()) || says.contains(['"', '\\']));
            }
            for lowest in [b' ', b'!'] {
                let plain = |b: &u8| (lowest..=b'~').contains(b) && *b != b'"' && *b != b'\\';
                prop_assert_eq!(is_plain(&text, lowest), text.iter().all(plain));
            }
            let swapped: Vec<u8> = other.bytes().map(|b| if b == b'@' { b'`' } else { b.to_ascii_uppercase() }).collect();
            prop_assert_eq!(equal_in_any_case(other.as_bytes(), &swapped), other.as_bytes().eq_ignore_ascii_case(&swapped));
            prop_assert!(equal_in_any_case(other.as_bytes(), other.to_ascii_uppercase().as_bytes()));
        }

        #[test]
        fn texts_are_equal_that_differ_nowhere(text in prop::collection::vec(any::<u8>(), 0..140), change in 1..=u8::MAX) {
            prop_assert!(equal(&text, &text.clone()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= change;
                prop_assert!(!equal(&text, &other));
                prop_assert!(!equal(&text, &text[..at]));
            }
        }
    }
}

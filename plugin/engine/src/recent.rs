//! What has been found out about values that come again.
//!
//! An audit log repeats itself, so most of what a stage works out it has worked out for an earlier event. Entries are found
//! by a hash, which proves nothing: keys are kept, and compared. Whoever makes up new keys all the time makes every event
//! as dear as a first one, and pushes others out; the tables do not grow.

use crate::buffer::Buffer;
use crate::json::hash_of_words;

/// How many places there are for keys with the same hash; the newest takes that of the oldest. A power of two.
pub(crate) const WAYS: usize = 4;

/// How long a key may be that is kept, in bytes. Longer ones are what somebody made up; members that are long by nature
/// have numbers ([`Event::number`](crate::record::Event::number)).
const LONGEST_KEY: usize = 256;

/// The last values of one kind, and what is known of each.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    /// Empty until the first key has come.
    entries: Vec<Option<Entry<V>>>,
    /// How many entries there may be. A power of two.
    most: usize,
}

#[derive(Debug)]
struct Entry<V> {
    form: u8,
    key: Box<[u8]>,
    value: V,
}

impl<V: Clone> Recent<V> {
    /// Nothing yet, and never more than `most`, a power of two.
    pub(crate) const fn new(most: usize) -> Self {
        Self { entries: Vec::new(), most }
    }

    /// What is known of a key. The same bytes mean something else in another `form`.
    #[inline]
    pub(crate) fn get(&self, form: u8, key: &[u8]) -> Option<V> {
        let first = hash_of_words(key) as usize & (self.most - 1) & !(WAYS - 1);
        let entries = self.entries.get(first..first + WAYS)?;
        // A loop, since an iterator over what is there would be another call, or twice the code.
        for entry in entries {
            if let Some(entry) = entry
                && entry.form == form
                && *entry.key == *key
            {
                return Some(entry.value.clone());
            }
        }
        None
    }

    /// Remembers what is known of a key that was not.
    pub(crate) fn put(&mut self, form: u8, key: &[u8], value: V) {
        if key.len() > LONGEST_KEY {
            return;
        }
        self.entries.resize_with(self.most, || None);
        let first = hash_of_words(key) as usize & (self.most - 1) & !(WAYS - 1);
        if let Some(entries) = self.entries.get_mut(first..first + WAYS) {
            entries.rotate_right(1);
            if let Some(entry) = entries.first_mut() {
                *entry = Some(Entry { form, key: key.into(), value });
            }
        }
    }
}

/// Appends a part of a key that has several, such that no other parts give the same key.
#[inline(always)]
pub(crate) fn push_part(key: &mut Buffer, form: u8, part: &[u8]) {
    key.push_both(head_of_part(form, part.len()), part);
}

/// Begins such a part, to which more is appended until it [ends](end_part).
#[inline(always)]
pub(crate) fn begin_part(key: &mut Buffer) {
    key.push(&[0; 4]);
}

/// Ends a part that began where the key was so long.
#[inline(always)]
pub(crate) fn end_part(key: &mut Buffer, start: usize, form: u8) {
    let part = key.bytes_mut().get_mut(start..).unwrap_or_default();
    let length = part.len().saturating_sub(4);
    if let Some(head) = part.first_chunk_mut() {
        *head = head_of_part(form, length);
    }
}

/// The part with which the rest of a key begins, and what follows it.
pub(crate) fn split_part(rest: &[u8]) -> (&[u8], &[u8]) {
    let head = rest.first_chunk().map_or(0, |head| u32::from_le_bytes(*head));
    rest.split_at_checked(4 + (head >> 8) as usize).unwrap_or((rest, b""))
}

#[inline(always)]
fn head_of_part(form: u8, length: usize) -> [u8; 4] {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    (length << 8 | u32::from(form)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got_until_too_many_have_come() {
        let mut recent = Recent::new(64);
        assert_eq!(recent.get(0, b"a"), None);
        for round in 0..3 {
            for number in 0..10_000_u32 {
                let key = number.to_le_bytes();
                if let Some(value) = recent.get(1, &key) {
                    assert_eq!(value, number, "round {round}");
                }
                recent.put(1, &key, number);
                assert_eq!(recent.get(1, &key), Some(number), "round {round}");
                assert_eq!(recent.get(2, &key), None);
            }
        }
        assert_eq!(recent.entries.len(), 64);
        recent.put(1, &[b'x'; LONGEST_KEY + 1], 1);
        assert_eq!(recent.get(1, &[b'x'; LONGEST_KEY + 1]), None);
    }

    #[test]
    fn parts_of_a_key_are_told_from_one_another() {
        let key = |parts: &[(u8, &[u8])]| {
            let mut key = Buffer::default();
            parts.iter().for_each(|(form, part)| push_part(&mut key, *form, part));
            key.bytes().to_vec()
        };
        assert_ne!(key(&[(0, b"a"), (0, b"b")]), key(&[(0, b"ab")]));
        assert_ne!(key(&[(0, b"a"), (0, b"")]), key(&[(0, b"a")]));
        assert_ne!(key(&[(0, b"a")]), key(&[(1, b"a")]));
        let several = key(&[(0, b"a"), (7, b""), (1, b"bc")]);
        let (first, rest) = split_part(&several);
        let (second, third) = split_part(rest);
        assert_eq!([first, second, third], [key(&[(0, b"a")]), key(&[(7, b"")]), key(&[(1, b"bc")])]);
        assert_eq!(split_part(third), (third, &b""[..]));
        assert_eq!(split_part(b""), (&b""[..], &b""[..]));
    }
}

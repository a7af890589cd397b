//! Numbers for keys.
//!
//! The standard library's maps want a random seed, which a module without WASI cannot have, and a hash that is slow in an
//! interpreter. Tables here are built from a configuration, not from events, so nobody can fill them with collisions.

use crate::json::hash_of_words;

/// Gives each key that it has not seen the next number, from 0.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    keys: Vec<Box<[u8]>>,
    /// A key's number plus one, at the first free place from where its hash points; a power of two long.
    slots: Vec<u32>,
}

impl Numbering {
    /// How many keys have numbers.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// All keys in the order of their numbers.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| &**key)
    }

    /// The number of a key that has one.
    pub(crate) fn get(&self, key: &[u8]) -> Option<u32> {
        let (_, taken) = self.slot(key)?;
        taken.checked_sub(1)
    }

    /// The number of a key, the next one if it has none.
    pub(crate) fn add(&mut self, key: &[u8]) -> u32 {
        if self.slots.len() < self.keys.len() * 2 + 2 {
            self.grow();
        }
        let next = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        match self.slot(key) {
            Some((at, 0)) => {
                if let Some(slot) = self.slots.get_mut(at) {
                    *slot = next + 1;
                }
                self.keys.push(key.into());
                next
            }
            Some((_, taken)) => taken - 1,
            None => next,
        }
    }

    /// Where a key stands or would stand, and what stands there.
    fn slot(&self, key: &[u8]) -> Option<(usize, u32)> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash_of_words(key) as usize & mask;
        loop {
            let slot = *self.slots.get(at)?;
            if slot == 0 || self.keys.get(slot as usize - 1).is_some_and(|taken| **taken == *key) {
                return Some((at, slot));
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(16);
        self.slots.clear();
        self.slots.resize(length, 0);
        for number in 0..self.keys.len() {
            if let Some((at, _)) = self.keys.get(number).and_then(|key| self.slot(key))
                && let Some(slot) = self.slots.get_mut(at)
            {
                *slot = u32::try_from(number + 1).unwrap_or(u32::MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Numbering;

    #[test]
    fn keys_are_numbered_in_the_order_of_their_coming() {
        let mut numbering = Numbering::default();
        assert_eq!(numbering.get(b"0"), None);
        for round in 0..2 {
            for number in 0..1000u32 {
                assert_eq!(numbering.add(number.to_string().as_bytes()), number, "round {round}");
            }
        }
        assert_eq!(numbering.get(b"999"), Some(999));
        assert_eq!(numbering.get(b"1000"), None);
        assert_eq!(numbering.get(b""), None);
    }
}

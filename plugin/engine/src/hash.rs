//! The hash that the engine's own tables are keyed by: FNV-1a, 64 bits.
//!
//! The standard library's maps want a random seed, which a module without WASI cannot have, and a hash
//! that is slow in an interpreter. Tables keyed by this hash are built from a configuration, not from
//! events, so nobody can fill them with collisions.

/// A hash being taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in one byte.
    #[inline(always)]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// Takes in a string as if it were in lower case, ASCII that is.
    #[inline]
    pub(crate) fn lowercase(&mut self, text: &[u8]) {
        for byte in text {
            self.byte(byte.to_ascii_lowercase());
        }
    }

    pub(crate) fn finish(self) -> u64 {
        self.0
    }
}

/// Gives each key that it has not seen the next number, from 0.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    keys: Vec<Box<[u8]>>,
    /// A key's number plus one, at the first free place from where its hash points; a power of two long.
    slots: Vec<u32>,
}

impl Numbering {
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
        let mut hash = Fnv::new();
        key.iter().for_each(|&byte| hash.byte(byte));
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash.finish() as usize & mask;
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

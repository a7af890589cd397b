//! The only source of chance in a generated log.
//!
//! A generator of our own (SplitMix64, Steele, Lea and Flood 2014) because a log must come out the same to the byte
//! for ever, and general-purpose crates reserve the right to change their streams. Integers only: floating-point
//! functions differ between platforms in the last digit.

/// A seeded stream of numbers. Equal seeds give equal streams on every platform.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

/// The characters Kubernetes uses for generated names: no vowels, nothing easily mistaken.
const NAME_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// A number below `limit`; 0 where `limit` is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        // The high half of the product: no division, and a bias far below what a log could show.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `per_mille` of a thousand cases.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of `items`, which must not be empty.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// An index into something of length `len`, which must not be 0.
    pub(super) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number from `low` to `high`, where each doubling is half as likely as the one before: most are small,
    /// a few are very large, as durations and list lengths are.
    pub(super) fn long_tail(&mut self, low: u64, high: u64) -> u64 {
        let mut top = low.max(1) * 2;
        while top < high && self.chance(500) {
            top *= 2;
        }
        self.between(low.max(top / 2).min(high), top.min(high))
    }

    /// `len` characters as the API server appends them to a `generateName`.
    pub(super) fn suffix(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(*self.pick(NAME_ALPHABET))).collect()
    }

    /// `len` lower-case hexadecimal digits.
    pub(super) fn hex(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(*self.pick(b"0123456789abcdef"))).collect()
    }

    /// A random (version 4) UUID.
    pub(super) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        uuid(high, low)
    }
}

/// The UID of an object: the same name always has the same UID, so nothing needs to be remembered.
pub(super) fn uid_of(name: &str) -> String {
    // FNV-1a, then scrambled: neighbouring names must not have neighbouring UIDs.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    uuid(scramble(hash), scramble(!hash))
}

fn uuid(high: u64, low: u64) -> String {
    let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// The output function of SplitMix64.
fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // The reference implementation's first outputs for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut rng = Rng::new(7);
        let numbers: Vec<u64> = (0..10_000).map(|_| rng.between(3, 9)).collect();
        assert_eq!((numbers.iter().min(), numbers.iter().max()), (Some(&3), Some(&9)));
        let tail: Vec<u64> = (0..10_000).map(|_| rng.long_tail(5, 600)).collect();
        assert!(tail.iter().all(|n| (5..=600).contains(n)));
        assert!(tail.iter().filter(|n| **n < 20).count() > 5_000 && tail.iter().any(|n| *n > 300));
    }

    #[test]
    fn uids_are_version_4_uuids() {
        for uid in [uid_of("pods/shop/cart"), Rng::new(1).uuid()] {
            assert_eq!(uid.len(), 36);
            assert_eq!(&uid[14..15], "4");
            assert!("89ab".contains(&uid[19..20]), "{uid}");
        }
        assert_ne!(uid_of("a"), uid_of("b"));
    }
}

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

//! Comparing memory, which the compiler's own library does a byte at a time: slow where every step is interpreted.

/// As C's: below zero, zero or above, as the first byte that differs is less, there is none, or it is greater.
///
/// # Safety
/// At both addresses, so many bytes must be readable.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "memcmp"))]
unsafe extern "C" fn compare(left: *const u8, right: *const u8, length: usize) -> i32 {
    if length < 8 {
        for at in 0..length {
            // SAFETY: both have that byte, as the caller says.
            let (left, right) = unsafe { (*left.add(at), *right.add(at)) };
            if left != right {
                return i32::from(left) - i32::from(right);
            }
        }
        return 0;
    }
    let last = length - 8;
    let mut at = 0;
    // SAFETY: 32 bytes end where the last eight begin, or before.
    while at + 32 <= last && unsafe { is_alike(left.add(at), right.add(at)) } {
        at += 32;
    }
    loop {
        // SAFETY: the last eight bytes begin here, or later.
        let (left, right) = unsafe { (word(left.add(at)), word(right.add(at))) };
        if left != right {
            let first = (left ^ right).trailing_zeros() & !7;
            return (left >> first & 0xff) as i32 - (right >> first & 0xff) as i32;
        }
        if at == last {
            return 0;
        }
        // The last eight bytes may overlap those before.
        at = (at + 8).min(last);
    }
}

/// Whether the 32 bytes at two addresses are the same.
///
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn is_alike(left: *const u8, right: *const u8) -> bool {
    // One decision for all of them: each is a step of its own.
    let differ = |at| {
        // SAFETY: the caller's promise.
        unsafe { word(left.add(at)) ^ word(right.add(at)) }
    };
    differ(0) | differ(8) | differ(16) | differ(24) == 0
}

/// The eight bytes at an address, the first in the lowest bits.
///
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn word(start: *const u8) -> u64 {
    // SAFETY: the caller's promise; nothing is asked of the alignment.
    u64::from_le(unsafe { start.cast::<u64>().read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn memory_compares_as_slices_do() {
        let text: Vec<u8> = (0..60).map(|at| b"aa\x7f\x80\xff"[at % 5]).collect();
        for length in 0..text.len() {
            let left = &text[..length];
            let compared = |right: &[u8]| {
                assert_eq!(right.len(), length);
                // SAFETY: both have that length.
                unsafe { compare(left.as_ptr(), right.as_ptr(), length) }.cmp(&0)
            };
            assert_eq!(compared(left), Ordering::Equal);
            for at in 0..length {
                for bit in [0x01, 0x80] {
                    let mut right = left.to_vec();
                    right[at] ^= bit;
                    assert_eq!(compared(&right), left.cmp(&right), "{at} of {length}");
                    // What differs later does not count.
                    right[length - 1] ^= 0x42;
                    assert_eq!(compared(&right), left.cmp(&right), "{at} of {length}, and the last");
                }
            }
        }
    }
}

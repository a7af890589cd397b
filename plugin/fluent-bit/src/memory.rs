//! Comparing memory, which the compiler's own library does a byte at a time: slow where every step is interpreted.

/// As C's: below zero, zero or above, as the first byte that differs is less, there is none, or it is greater.
///
/// # Safety
/// At both addresses, so many bytes must be readable.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    let mut at = 0;
    while length - at >= 8 {
        // SAFETY: eight bytes are left from here, readable as the caller says.
        let (left, right) = unsafe { (word(left.add(at)), word(right.add(at))) };
        if left != right {
            let first = (left ^ right).trailing_zeros() & !7;
            return (left >> first & 0xff) as i32 - (right >> first & 0xff) as i32;
        }
        at += 8;
    }
    while at < length {
        // SAFETY: a byte is left here, readable as the caller says.
        let (left, right) = unsafe { (*left.add(at), *right.add(at)) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
        at += 1;
    }
    0
}

/// The eight bytes at an address, the first in the lowest bits.
///
/// # Safety
/// They must be readable.
unsafe fn word(start: *const u8) -> u64 {
    // SAFETY: the caller's promise; nothing is asked of the alignment.
    u64::from_le(unsafe { start.cast::<u64>().read_unaligned() })
}

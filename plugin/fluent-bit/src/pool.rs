//! The buffers that a host asks for to hand over a tag and a record.
//!
//! Fluent Bit calls `malloc` twice for each record. Since 4.2 it frees both afterwards; 4.1 never does,
//! on an instance that lives as long as the filter. So a buffer that was handed to a call is the pool's
//! again when the call returns, freed or not, and the next `malloc` that fits gets it.

use std::alloc::{Layout, alloc, dealloc};

/// Alignment of every buffer: what C promises of `malloc` on a 32-bit machine.
const ALIGN: usize = 8;

/// Buffers above this many that nobody uses are given back. Fluent Bit uses two.
const SPARE_BUFFERS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The host has it.
    Taken,
    /// Nobody has it.
    Free,
}

#[derive(Debug)]
struct Buffer {
    start: *mut u8,
    layout: Layout,
    state: State,
}

/// All buffers ever handed out and not given back to the allocator.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    buffers: Vec<Buffer>,
}

impl Pool {
    pub(crate) const fn new() -> Self {
        Self { buffers: Vec::new() }
    }

    /// A buffer of at least `size` bytes, aligned to 8; null where memory is exhausted.
    pub(crate) fn take(&mut self, size: usize) -> *mut u8 {
        // The smallest that fits: the tag must not sit in the record's buffer.
        let fitting = self.buffers.iter_mut().filter(|b| b.state == State::Free && b.layout.size() >= size);
        if let Some(buffer) = fitting.min_by_key(|buffer| buffer.layout.size()) {
            buffer.state = State::Taken;
            return buffer.start;
        }
        self.give_back_spares();
        // Round up so that records of about one size share a buffer.
        let Some(rounded) = size.max(1).checked_next_multiple_of(1024) else { return std::ptr::null_mut() };
        let Ok(layout) = Layout::from_size_align(rounded, ALIGN) else { return std::ptr::null_mut() };
        // SAFETY: the layout's size is at least 1024, so not zero.
        let start = unsafe { alloc(layout) };
        if !start.is_null() {
            self.buffers.push(Buffer { start, layout, state: State::Taken });
        }
        start
    }

    /// Takes a buffer back from the host. An address that the pool did not hand out is ignored.
    pub(crate) fn release(&mut self, start: *const u8) {
        if let Some(buffer) = self.buffers.iter_mut().find(|buffer| std::ptr::eq(buffer.start, start)) {
            buffer.state = State::Free;
        }
    }

    /// Nothing free was large enough: of the free buffers the smaller ones have had their day.
    fn give_back_spares(&mut self) {
        while self.buffers.iter().filter(|buffer| buffer.state == State::Free).count() >= SPARE_BUFFERS {
            let smallest = self
                .buffers
                .iter()
                .enumerate()
                .filter(|(_, buffer)| buffer.state == State::Free)
                .min_by_key(|(_, buffer)| buffer.layout.size())
                .map(|(index, _)| index);
            let Some(index) = smallest else { return };
            let buffer = self.buffers.swap_remove(index);
            // SAFETY: `start` came from `alloc` with this layout, and the entry that could free it a second
            // time has just been removed. It was free, so the host no longer uses it.
            unsafe { dealloc(buffer.start, buffer.layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_never_frees_gets_the_same_two_buffers() {
        let mut pool = Pool::new();
        let mut seen = std::collections::BTreeSet::new();
        for size in [900, 5000, 40, 5000, 1, 4999].repeat(100) {
            let (tag, record) = (pool.take(12), pool.take(size));
            assert_ne!(tag, record);
            seen.extend([tag as usize, record as usize]);
            pool.release(tag);
            pool.release(record);
        }
        assert!(seen.len() <= 3, "{} buffers", seen.len());
        assert!(pool.buffers.len() <= 3);
    }

    #[test]
    fn growing_records_do_not_pile_up() {
        let mut pool = Pool::new();
        for size in 1..200 {
            let (tag, record) = (pool.take(12), pool.take(size * 2048));
            pool.release(tag);
            pool.release(record);
        }
        assert!(pool.buffers.len() <= SPARE_BUFFERS + 1, "{} buffers", pool.buffers.len());
    }

    #[test]
    fn buffers_in_use_are_never_shared_and_strangers_are_ignored() {
        let mut pool = Pool::new();
        let taken: Vec<_> = (0..10).map(|_| pool.take(100)).collect();
        let distinct: std::collections::BTreeSet<_> = taken.iter().map(|p| *p as usize).collect();
        assert_eq!(distinct.len(), 10);
        pool.release(std::ptr::null());
        pool.release(8 as *const u8);
        assert!(!distinct.contains(&(pool.take(100) as usize)));
    }

    #[test]
    fn a_size_that_cannot_be_had_gives_null() {
        assert!(Pool::new().take(usize::MAX).is_null());
        assert!(Pool::new().take(isize::MAX as usize - 10).is_null());
    }
}

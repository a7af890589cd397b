//! The heap: the standard library's, which can be told to leave nothing behind in what is freed.
//!
//! `host-harness bake` writes the started module down, and there every byte that is not zero takes room, whether or not
//! anybody needs it any more. Most of what reading a configuration allocates is given back before the first record.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether blocks are zeroed when they are freed.
static TIDY: AtomicBool = AtomicBool::new(false);

/// Runs `f`, and zeroes what it frees.
pub(crate) fn tidily<R>(f: impl FnOnce() -> R) -> R {
    TIDY.store(true, Ordering::Relaxed);
    let result = f();
    TIDY.store(false, Ordering::Relaxed);
    result
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: every block is the system's, from its functions and back to them, with the layouts that the caller gives.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if TIDY.load(Ordering::Relaxed) {
            // SAFETY: the block has that size, and its owner has just given it up.
            unsafe { start.write_bytes(0, layout.size()) };
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !TIDY.load(Ordering::Relaxed) {
            // SAFETY: the caller's promise.
            return unsafe { System.realloc(start, layout, size) };
        }
        // SAFETY: the caller's promise that `size` is not zero, nor too large with this alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: two blocks, each with at least as many bytes as are copied.
            unsafe { start.copy_to_nonoverlapping(new, size.min(layout.size())) };
            // SAFETY: `start` has been copied and is given up, with its own layout.
            unsafe { self.dealloc(start, layout) };
        }
        new
    }
}

//! A global allocator that counts, so that a test can assert what a path allocates and what an object
//! weighs. Counters are the thread's own: tests that run beside each other do not disturb each other.
//!
//! ```
//! use tidegate_alloc::{Counting, Usage};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! let before = Usage::now();
//! let block = vec![0_u8; 100];
//! assert_eq!(Usage::since(before), Usage { allocations: 1, live_bytes: 100 });
//! drop(block);
//! assert_eq!(Usage::since(before).live_bytes, 0);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator with counters around it.
pub struct Counting;

/// What the calling thread has taken from the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Blocks asked for, growth of a block included.
    pub allocations: u64,
    /// Bytes taken and not given back. Negative where another thread's blocks were given back here.
    pub live_bytes: i64,
}

thread_local! {
    static USAGE: Cell<Usage> = const { Cell::new(Usage { allocations: 0, live_bytes: 0 }) };
}

impl Usage {
    /// Since the thread began.
    pub fn now() -> Self {
        USAGE.get()
    }

    /// Since `before` was read on the same thread.
    #[must_use]
    pub fn since(before: Self) -> Self {
        let now = Self::now();
        Self {
            allocations: now.allocations - before.allocations,
            live_bytes: now.live_bytes - before.live_bytes,
        }
    }
}

// SAFETY: every call goes on to the system's allocator with the arguments it came with, so its guarantees
// hold here. Counting touches one thread-local cell that is initialised at compile time and has no
// destructor: it neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are those the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as above; the block came from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as above; the block came from the system's allocator.
        unsafe { System.realloc(block, layout, size) }
    }
}

fn count(allocations: u64, bytes: i64) {
    // The cell is gone only while its thread ends, when nobody reads it any more.
    let _ = USAGE.try_with(|usage| {
        let Usage { allocations: a, live_bytes: b } = usage.get();
        usage.set(Usage { allocations: a.wrapping_add(allocations), live_bytes: b.wrapping_add(bytes) });
    });
}

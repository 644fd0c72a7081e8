//! Calls of functions that the embedder has given. What waits for the library to end must not be done in one.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Calls such a function.
pub(crate) fn call<T>(function: impl FnOnce() -> T) -> T {
    DEPTH.set(DEPTH.get() + 1);
    let result = function();
    DEPTH.set(DEPTH.get() - 1);
    result
}

/// Whether this thread is in one.
pub(crate) fn is_within() -> bool {
    DEPTH.get() > 0
}

//! Atomics under one name, so that a test can put a model checker's in their place.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is to be said once in the life of an SA, whichever thread comes first.
#[derive(Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    /// Whether this is the first time.
    pub(crate) fn first(&self) -> bool {
        // The plain load keeps the word shared once it has been said.
        !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed)
    }
}

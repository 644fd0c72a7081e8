//! How a snapshot gets from the publisher to the workers.

use super::Snapshot;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One worker's view of the tables.
#[derive(Debug)]
pub struct Reader<I, O> {
    shared: Arc<Shared<I, O>>,
    current: Arc<Snapshot<I, O>>,
}

/// Where the newest snapshot lies.
#[derive(Debug)]
pub(super) struct Shared<I, O> {
    generation: AtomicU64,
    latest: Mutex<Arc<Snapshot<I, O>>>,
}

impl<I, O> Reader<I, O> {
    pub(super) fn new(shared: Arc<Shared<I, O>>) -> Self {
        let current = Arc::clone(&shared.latest.lock().unwrap_or_else(PoisonError::into_inner));
        Self { shared, current }
    }

    /// The newest snapshot, to be asked for once a batch. Whoever publishes has the lock for as long as it takes to
    /// exchange a pointer, and readers take it once for each publication: a worker that was idle may have one from
    /// very long ago, so to go on with that is no choice.
    pub fn current(&mut self) -> &Snapshot<I, O> {
        if self.shared.generation.load(Ordering::Acquire) != self.current.generation {
            let latest = Arc::clone(&self.shared.latest.lock().unwrap_or_else(PoisonError::into_inner));
            // The one from before may be taken apart here, when the lock is free again.
            self.current = latest;
        }
        &self.current
    }
}

/// Another worker's view.
impl<I, O> Clone for Reader<I, O> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), current: Arc::clone(&self.current) }
    }
}

impl<I, O> Shared<I, O> {
    pub(super) fn new(snapshot: Snapshot<I, O>) -> Self {
        Self { generation: AtomicU64::new(snapshot.generation), latest: Mutex::new(Arc::new(snapshot)) }
    }

    pub(super) fn replace(&self, snapshot: Snapshot<I, O>) {
        let generation = snapshot.generation;
        let snapshot = Arc::new(snapshot);
        let old = {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *latest, snapshot)
        };
        self.generation.store(generation, Ordering::Release);
        // Taking the old one apart may take a while; nobody has to wait for it.
        drop(old);
    }
}

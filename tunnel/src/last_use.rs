//! When something was last used, as packet threads say and control reads.

use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_ike::Time;

/// When something was last used. All packets of a batch are of one moment, so this is written once a batch.
#[derive(Debug, Default)]
pub struct LastUse(AtomicU64);

impl LastUse {
    /// It is used now. Whoever says so again at the same time writes nothing: no line of memory moves between
    /// threads on a packet's account.
    #[inline]
    pub fn mark(&self, now: Time) {
        let now = now.as_nanos().max(1);
        if self.0.load(Ordering::Relaxed) != now {
            self.0.store(now, Ordering::Relaxed);
        }
    }

    /// When that was; `None` if it never was used.
    pub fn at(&self) -> Option<Time> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Time::from_nanos(nanos)),
        }
    }
}

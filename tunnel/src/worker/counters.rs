//! What a worker counts beside packets, bytes and drops.

use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_esp::{Counters, CountersSnapshot};

/// Counters of one worker; relaxed and never locked.
#[derive(Default)]
pub struct WorkerCounters {
    /// Packets, bytes, drops by reason.
    pub esp: Counters,
    ike: AtomicU64,
    keepalives: AtomicU64,
    held: AtomicU64,
    clamped: AtomicU64,
    answered: AtomicU64,
}

/// What they stand at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerCountersSnapshot {
    /// Packets, bytes, drops by reason.
    pub esp: CountersSnapshot,
    /// IKE messages handed on.
    pub ike: u64,
    /// Keepalives received.
    pub keepalives: u64,
    /// Packets that had to wait for an SA.
    pub held: u64,
    /// SYNs whose segment size was lowered.
    pub clamped: u64,
    /// Packets answered with ICMP.
    pub answered: u64,
}

impl WorkerCounters {
    /// What they stand at.
    pub fn snapshot(&self) -> WorkerCountersSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkerCountersSnapshot {
            esp: self.esp.snapshot(),
            ike: read(&self.ike),
            keepalives: read(&self.keepalives),
            held: read(&self.held),
            clamped: read(&self.clamped),
            answered: read(&self.answered),
        }
    }

    pub(crate) fn handed_on(&self) {
        self.ike.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn keepalive(&self) {
        self.keepalives.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn held(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn clamped(&self) {
        self.clamped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}

impl WorkerCountersSnapshot {
    /// Both taken together, as for several workers.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        Self {
            esp: self.esp.merged(&other.esp),
            ike: self.ike.wrapping_add(other.ike),
            keepalives: self.keepalives.wrapping_add(other.keepalives),
            held: self.held.wrapping_add(other.held),
            clamped: self.clamped.wrapping_add(other.clamped),
            answered: self.answered.wrapping_add(other.answered),
        }
    }
}

//! Packets, bytes and drops by reason; and under which reason each refusal of this crate counts.

use crate::flow::FlowError;
use crate::outbound::Spent;
use crate::outer::CongestionLoss;
use crate::policy::Refusal;
use crate::replay::Replay;
use crate::segment::SplitError;
use crate::sync::{AtomicU64, Ordering};
use crate::wire::Malformed;
use std::fmt;

/// Why a packet went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// No SA has its SPI, or none protects its addresses.
    NoSa,
    /// Too short for ESP, or for the SA's suite; on the way out, no packet that can be read or cut.
    Malformed,
    /// Its sequence number came before.
    Replayed,
    /// Its sequence number is below the window.
    TooOld,
    /// Forged or damaged.
    Integrity,
    /// Authentic, with bad padding.
    Padding,
    /// Authentic, with a next header that does not fit the datagram.
    NextHeader,
    /// Authentic, with a datagram whose length does not fit.
    InnerLength,
    /// Authentic, with a datagram whose headers do not lead to its ports.
    InnerHeader,
    /// Authentic, with a datagram that the SA does not cover.
    Selector,
    /// A dummy packet: no fault.
    Dummy,
    /// The SA has reached a hard limit or the end of its numbers.
    Expired,
    /// Congestion that could only be told by loss.
    Congestion,
    /// Policy says so.
    Policy,
    /// It would not fit the path.
    TooBig,
    /// A queue was full.
    Queue,
}

/// Counters of one worker. Relaxed and never locked: readers see each of them exactly, not all of them at
/// one instant.
#[derive(Default)]
pub struct Counters {
    opened: Traffic,
    sealed: Traffic,
    drops: [AtomicU64; DropReason::ALL.len()],
}

/// What the counters stood at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// Packets opened.
    pub opened_packets: u64,
    /// Bytes of datagrams opened.
    pub opened_bytes: u64,
    /// Packets sealed.
    pub sealed_packets: u64,
    /// Bytes of datagrams sealed.
    pub sealed_bytes: u64,
    drops: [u64; DropReason::ALL.len()],
}

#[derive(Default)]
struct Traffic {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl DropReason {
    /// All of them, in order.
    pub const ALL: [Self; 16] = [
        Self::NoSa,
        Self::Malformed,
        Self::Replayed,
        Self::TooOld,
        Self::Integrity,
        Self::Padding,
        Self::NextHeader,
        Self::InnerLength,
        Self::InnerHeader,
        Self::Selector,
        Self::Dummy,
        Self::Expired,
        Self::Congestion,
        Self::Policy,
        Self::TooBig,
        Self::Queue,
    ];

    /// A short name, fit for the label of a metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSa => "no_sa",
            Self::Malformed => "malformed",
            Self::Replayed => "replayed",
            Self::TooOld => "too_old",
            Self::Integrity => "integrity",
            Self::Padding => "padding",
            Self::NextHeader => "next_header",
            Self::InnerLength => "inner_length",
            Self::InnerHeader => "inner_header",
            Self::Selector => "selector",
            Self::Dummy => "dummy",
            Self::Expired => "expired",
            Self::Congestion => "congestion",
            Self::Policy => "policy",
            Self::TooBig => "too_big",
            Self::Queue => "queue",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Replay> for DropReason {
    fn from(replay: Replay) -> Self {
        match replay {
            Replay::Duplicate => Self::Replayed,
            Replay::TooOld => Self::TooOld,
        }
    }
}

impl From<Malformed> for DropReason {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Padding => Self::Padding,
            Malformed::NextHeader => Self::NextHeader,
            Malformed::InnerLength => Self::InnerLength,
        }
    }
}

impl From<Refusal> for DropReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(_) => Self::InnerHeader,
            Refusal::Selector(_) => Self::Selector,
        }
    }
}

impl From<CongestionLoss> for DropReason {
    fn from(_: CongestionLoss) -> Self {
        Self::Congestion
    }
}

impl From<FlowError> for DropReason {
    /// Of a packet on its way out; on the way in a [`Refusal`] tells.
    fn from(_: FlowError) -> Self {
        Self::Malformed
    }
}

impl From<SplitError> for DropReason {
    fn from(error: SplitError) -> Self {
        match error {
            SplitError::TooBig { .. } => Self::TooBig,
            SplitError::Kind | SplitError::Truncated | SplitError::Size | SplitError::Checksum(_) => {
                Self::Malformed
            }
        }
    }
}

impl From<Spent> for DropReason {
    fn from(_: Spent) -> Self {
        Self::Expired
    }
}

impl Counters {
    /// Counts packets opened, and the bytes of their datagrams.
    pub fn opened(&self, packets: u64, bytes: u64) {
        self.opened.add(packets, bytes);
    }

    /// Counts packets sealed, and the bytes of their datagrams.
    pub fn sealed(&self, packets: u64, bytes: u64) {
        self.sealed.add(packets, bytes);
    }

    /// Counts one drop.
    pub fn dropped(&self, reason: DropReason) {
        if let Some(counter) = self.drops.get(reason as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What they stand at.
    pub fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            opened_packets: self.opened.packets.load(Ordering::Relaxed),
            opened_bytes: self.opened.bytes.load(Ordering::Relaxed),
            sealed_packets: self.sealed.packets.load(Ordering::Relaxed),
            sealed_bytes: self.sealed.bytes.load(Ordering::Relaxed),
            drops: std::array::from_fn(|i| {
                self.drops.get(i).map_or(0, |drops| drops.load(Ordering::Relaxed))
            }),
        }
    }
}

impl Traffic {
    fn add(&self, packets: u64, bytes: u64) {
        self.packets.fetch_add(packets, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl CountersSnapshot {
    /// Drops for one reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    /// Both taken together, as for several workers.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        Self {
            opened_packets: self.opened_packets.wrapping_add(other.opened_packets),
            opened_bytes: self.opened_bytes.wrapping_add(other.opened_bytes),
            sealed_packets: self.sealed_packets.wrapping_add(other.sealed_packets),
            sealed_bytes: self.sealed_bytes.wrapping_add(other.sealed_bytes),
            drops: std::array::from_fn(|i| match (self.drops.get(i), other.drops.get(i)) {
                (Some(a), Some(b)) => a.wrapping_add(*b),
                _ => 0,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_counter_of_its_own() {
        for reason in DropReason::ALL {
            let counters = Counters::default();
            counters.dropped(reason);
            let snapshot = counters.snapshot();
            for other in DropReason::ALL {
                assert_eq!(snapshot.drops(other), u64::from(other == reason), "{other}");
            }
        }
    }

    #[test]
    fn workers_add_up() {
        let (one, two) = (Counters::default(), Counters::default());
        one.opened(2, 3000);
        two.opened(1, 100);
        two.sealed(4, 4000);
        two.dropped(DropReason::Queue);
        let all = one.snapshot().merged(&two.snapshot());
        assert_eq!((all.opened_packets, all.opened_bytes), (3, 3100));
        assert_eq!((all.sealed_packets, all.sealed_bytes), (4, 4000));
        assert_eq!(all.drops(DropReason::Queue), 1);
    }
}

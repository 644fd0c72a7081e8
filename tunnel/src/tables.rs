//! What control publishes and packet workers read: `esp`'s tables with what this crate adds to each SA.

use crate::last_use::LastUse;
use crate::stand_in;
use crate::worker::Turn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_esp::policy::Owner;
use tidegate_esp::snapshot::{Publisher, Reader};
use tidegate_esp::{Inbound, Outbound, Spi};

/// The writing side.
pub type Tables = Publisher<Opening, Sealing>;
/// A worker's view.
pub type View = Reader<Opening, Sealing>;

/// The half of a child that seals.
pub struct Sealing {
    /// The child, named by its inbound SPI.
    pub child: Spi,
    /// What seals.
    pub esp: Outbound,
    /// Where several workers send, one at a time does by this.
    pub turn: Turn,
    /// When it last sealed something.
    pub used: LastUse,
}

impl Sealing {
    /// A half whose turn nobody has, and that has sealed nothing.
    pub fn new(child: Spi, esp: Outbound) -> Self {
        Self { child, esp, turn: Turn::default(), used: LastUse::default() }
    }
}

/// The half of a child that opens.
pub struct Opening {
    /// The child, named by its inbound SPI.
    pub child: Spi,
    /// Whose packets it carries.
    pub owner: Owner,
    /// What opens.
    pub esp: Inbound,
    /// When something authentic last came.
    pub used: LastUse,
    /// Stands for the address that packets are expected from.
    expected: AtomicU64,
    /// When authentic packets were last told of, in nanoseconds.
    told: AtomicU64,
}

impl Opening {
    /// A half that expects its packets from `remote`.
    pub fn new(child: Spi, owner: Owner, esp: Inbound, remote: SocketAddr) -> Self {
        let (expected, told) = (AtomicU64::new(stand_in::end(remote)), AtomicU64::new(0));
        Self { child, owner, esp, used: LastUse::default(), expected, told }
    }

    /// Whether packets are expected from there. Two addresses with the same number would hide a move that only an
    /// authentic packet could have shown, until the next keepalive.
    pub fn expects(&self, remote: SocketAddr) -> bool {
        self.expected.load(Ordering::Relaxed) == stand_in::end(remote)
    }

    /// Packets are expected from there now.
    pub fn expect_from(&self, remote: SocketAddr) {
        self.expected.store(stand_in::end(remote), Ordering::Relaxed);
    }

    /// Whether it is time to tell of authentic packets again: at most once in `interval` nanoseconds.
    pub fn is_news(&self, now: u64, interval: u64) -> bool {
        let told = self.told.load(Ordering::Relaxed);
        if told != 0 && now.saturating_sub(told) < interval {
            return false;
        }
        self.told.store(now.max(1), Ordering::Relaxed);
        true
    }
}

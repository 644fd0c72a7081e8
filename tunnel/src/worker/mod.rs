//! The packet path, without I/O: [`Outgoing`] from the device to a send batch, [`Incoming`] from a receive batch
//! to the device. Neither locks, waits, reads a clock or allocates for a packet; both read the tables that
//! control publishes, and nothing else. What they have to say goes to a [`Control`].
//!
//! Of either there may be several. A flow stays with one of them, so that its order holds; whoever sends by an SA
//! that another one sends by just then has to wait (`turns`).
//!
//! # A packet's way out
//!
//! 1. What was held is tried again, if the tables are newer than at the last packet (`hold`).
//! 2. Parsed, and decided by flow: sealed by an SA, or held while control makes one, or dropped. Nothing is
//!    ever sent in clear (`outgoing`).
//! 3. Measured against the path: what was learned of it (`path_mtu`), less what ESP takes. The segment size
//!    that a SYN announces is lowered to that.
//! 4. Cut, or answered with what would fit.
//! 5. Numbers are taken for all segments at once, among several workers in turn, and each is sealed where it is sent from (`seal`).
//! 6. The batch goes to the [`Wire`](crate::io::Wire) when it is full, or at the end of the turn.
//!
//! # A packet's way in
//!
//! 1. Sorted: keepalive, IKE, ESP. IKE is handed on as it is (`incoming`).
//! 2. ESP by SPI, through the window, opened in place, through the window again, held against the selectors.
//! 3. What an authentic packet tells, admitted or not, goes to control: first of its SA, a sign of life, a
//!    peer that moved, a limit (`tidings`).
//! 4. The outer header's congestion mark is merged, a SYN's segment size lowered.
//! 5. All of a batch is opened before any of it is joined, as both happen in the same buffer. What is joined
//!    goes to the device in parts.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod counters;
mod hold;
mod incoming;
mod limiter;
mod outgoing;
mod path_mtu;
mod seal;
mod tidings;
mod turns;

pub use counters::{WorkerCounters, WorkerCountersSnapshot};
pub use hold::HoldLimits;
pub use incoming::{Incoming, Inward};
pub use outgoing::{Outgoing, Outward};
pub use path_mtu::PathMtus;
pub use turns::Turn;

use crate::notice::Notice;
use tidegate_ike::Path;

/// Who is told what packets have to say. Nothing here may wait: what there is no room for is lost.
pub trait Control {
    /// An IKE message, as it came from a socket.
    fn ike(&mut self, path: Path, bytes: &[u8]);

    /// Something that control has to know.
    fn notice(&mut self, notice: Notice);
}

/// How workers work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many flows are decided without a search; each costs 100 bytes.
    pub flows: usize,
    /// Random, so that nobody outside can tell which flows collide.
    pub seed: u64,
    /// What may wait for an SA.
    pub hold: HoldLimits,
    /// How many packets a second are answered with what would fit, or with there being no way.
    pub answers: u32,
}

impl Settings {
    /// For a node with few flows of which there are many in a process: its tables fit into a few pages.
    pub fn small() -> Self {
        let hold = HoldLimits { packets: 32, bytes: 1 << 16, ..HoldLimits::default() };
        Self { flows: 64, hold, ..Self::default() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { flows: 1024, seed: 0, hold: HoldLimits::default(), answers: 100 }
    }
}

//! Virtual clock and seeded network for the tests: it knows bytes only.
//!
//! A [`Simulation`] holds nodes and the [`Network`] between them. Time is a number of nanoseconds that jumps
//! to whatever happens next. All chance comes from one seed, everything is kept in ordered collections and
//! what happens at one instant happens in the order it was caused, so a run with the same seed repeats
//! itself to the last byte; [`Network::fingerprint`] shows it.
//!
//! The way of a datagram:
//! 1. its sender's link must be up; NATs in front of the sender translate the source;
//! 2. the adversary, if there is one, sees it as it would be seen on the open network;
//! 3. partitions and the [`Conditions`] of the path drop, double, damage or delay it;
//! 4. on arrival NATs in front of the receiver filter it and translate the destination;
//! 5. partitions are looked at again, then the receiver's link and the receiver itself must be up.
//!
//! ```
//! use std::net::SocketAddr;
//! use tidegate_sim::{Chance, Conditions, MILLISECOND, Node, Outcome, Outgoing, SECOND, Simulation};
//!
//! /// Repeats a question each second until it is answered, and answers the other's.
//! #[derive(Default)]
//! struct Talker {
//!     asks: Option<(SocketAddr, SocketAddr, u64)>,
//!     queue: Vec<Outgoing>,
//!     heard: usize,
//! }
//!
//! impl Node for Talker {
//!     fn receive(&mut self, _now: u64, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
//!         self.heard += 1;
//!         self.asks = None;
//!         if bytes == b"question" {
//!             self.queue.push(Outgoing { from: local, to: remote, bytes: b"answer".to_vec() });
//!         }
//!     }
//!     fn next_wakeup(&self) -> Option<u64> {
//!         self.asks.map(|(_, _, at)| at)
//!     }
//!     fn wake(&mut self, now: u64) {
//!         if let Some((from, to, at)) = &mut self.asks {
//!             self.queue.push(Outgoing { from: *from, to: *to, bytes: b"question".to_vec() });
//!             *at = now + SECOND;
//!         }
//!     }
//!     fn outgoing(&mut self) -> Option<Outgoing> {
//!         self.queue.pop()
//!     }
//! }
//!
//! let (a, b): (SocketAddr, SocketAddr) =
//!     ("192.0.2.1:500".parse().unwrap(), "192.0.2.2:500".parse().unwrap());
//! let mut simulation = Simulation::new(7);
//! simulation.network.set_conditions(Conditions {
//!     loss: Chance::percent(30),
//!     delay: 20 * MILLISECOND,
//!     ..Conditions::PERFECT
//! });
//! let asking = simulation.add(Talker { asks: Some((a, b, 0)), ..Talker::default() }, &[a.ip()]);
//! simulation.add(Talker::default(), &[b.ip()]);
//! let outcome = simulation.run_until(60 * SECOND, |simulation| simulation.node(asking).heard > 0);
//! assert_eq!(outcome, Outcome::Met);
//! ```

#![forbid(unsafe_code)]

mod conditions;
mod nat;
mod network;
mod partition;
mod random;
mod seeds;
mod simulation;
mod trace;

pub use conditions::{Chance, Conditions};
pub use nat::{NatConfig, NatKind};
pub use network::{Counters, Datagram, Delivery, Forgery, NatId, Network, Verdict};
pub use partition::{PartitionId, Way};
pub use random::SimRandom;
pub use seeds::for_each_seed;
pub use simulation::{Node, NodeId, Outcome, Outgoing, Simulation};
pub use trace::{DropCause, Fate, Record, Trace};

/// Nanoseconds in a microsecond.
pub const MICROSECOND: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

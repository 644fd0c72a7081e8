//! ESP and packet handling for Tidegate, without I/O.
//!
//! Nothing in this crate reads a clock, a random source, a socket or a global: bytes and randomness come
//! in as arguments, bytes and verdicts come out.

#![forbid(unsafe_code)]

pub mod checksum;
pub mod counters;
pub mod crypto;
pub mod encap;
pub mod flow;
mod headers;
pub mod icmp;
pub mod inbound;
mod iv;
pub mod mss;
pub mod outbound;
pub mod outer;
pub mod params;
pub mod policy;
pub mod replay;
pub mod segment;
pub mod selector;
pub mod snapshot;
pub mod spi;
mod sync;
mod transform;
pub mod virtio;
pub mod wire;

pub use counters::{Counters, CountersSnapshot, DropReason};
pub use flow::{Flow, FlowError, Fragment, Inner, Transport};
pub use inbound::{Admitted, Inbound, Opened, Opener, Rejected};
pub use iv::IvSecret;
pub use outbound::{NotSealed, Outbound, Reservation, Spent};
pub use outer::Marking;
pub use params::{Direction, Encapsulation, Limits, Params, Path, SequenceNumbers, TfcPadding};
pub use replay::Freshness;
pub use selector::{AddressRange, ParseSelectorError, Ports, SelectorPair, TrafficSelector};
pub use spi::Spi;

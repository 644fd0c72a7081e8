//! ESP and packet handling for Tidegate, without I/O.
//!
//! Nothing in this crate reads a clock, a random source, a socket or a global: bytes and randomness come
//! in as arguments, bytes and verdicts come out.

#![forbid(unsafe_code)]

pub mod checksum;
pub mod crypto;
pub mod flow;
mod headers;
pub mod icmp;
pub mod mss;
pub mod params;
pub mod policy;
pub mod segment;
pub mod selector;
pub mod snapshot;
pub mod spi;
pub mod virtio;

pub use flow::{Flow, FlowError, Fragment, Inner, Transport};
pub use params::{Direction, Encapsulation, Limits, Params, Path, SequenceNumbers};
pub use selector::{AddressRange, ParseSelectorError, Ports, SelectorPair, TrafficSelector};
pub use spi::Spi;

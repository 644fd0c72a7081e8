//! ESP and packet handling for Tidegate, without I/O.
//!
//! Nothing in this crate reads a clock, a random source, a socket or a global: bytes and randomness come
//! in as arguments, bytes and verdicts come out. Nothing allocates for a packet, and no packet panics it.
//!
//! # Where things are
//!
//! - [`Outbound`] seals and [`Inbound`] opens: the halves of an SA, made from [`Params`]. Below them [`wire`]
//!   lays out a packet, `transform` lays it before its suite, `iv` makes IVs, [`replay`] remembers numbers;
//!   [`crypto`] has the suites.
//! - [`flow`] reads an inner packet. [`selector`] says what an SA may carry, [`policy`] what becomes of a
//!   packet.
//! - [`snapshot`] is what workers read: SPI to [`Inbound`], flow to [`Outbound`]. [`spi`] gives indices out.
//! - [`segment`] cuts and joins super-packets, [`virtio`] is the header they travel with.
//! - [`outer`] marks the outer header and learns from it, [`encap`] sorts what comes to the UDP port.
//! - [`icmp`] tells a sender what does not fit, [`mss`] keeps TCP from trying.
//! - [`counters`] counts, and says why a packet went no further.
//! - `headers` and [`checksum`] are what all of these need of IP, TCP and UDP.
//!
//! # A packet's way
//!
//! Out: [`Inner::parse`](flow::Inner::parse), [`Snapshot::decide_cached`](snapshot::Snapshot::decide_cached),
//! [`Outbound::reserve`], then for each segment [`Split::write_next`](segment::Split::write_next) and
//! [`Reservation::seal`], in the send buffer.
//!
//! In: [`encap::sort`], [`Snapshot::inbound`](snapshot::Snapshot::inbound), [`Opener::open`], [`Opened::admit`],
//! [`outer::merge`], [`Joiner::push`](segment::Joiner::push).
//!
//! ```
//! use std::sync::Arc;
//! use tidegate_esp::crypto::{AesKey, Backend, Cipher, KeyMaterial, Suite};
//! use tidegate_esp::{
//!     Direction, DropReason, Encapsulation, Inbound, IvSecret, Limits, Marking, Outbound, Params, Path,
//!     SelectorPair, SequenceNumbers, Spi, TfcPadding,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let inbound = Params {
//!     direction: Direction::Inbound,
//!     spi: Spi::new(0x1000).ok_or("reserved")?,
//!     suite: Suite::aead(Cipher::AesGcm16(AesKey::Bits128)).ok_or("no AEAD")?,
//!     keys: KeyMaterial::new(&[7; 16 + 4], &[]),
//!     sequence_numbers: SequenceNumbers::Extended,
//!     selectors: Arc::new(SelectorPair {
//!         local: vec!["10.1.0.0/16".parse()?],
//!         remote: vec!["10.2.0.0/16".parse()?],
//!     }),
//!     path: Path {
//!         local: "192.0.2.1:4500".parse()?,
//!         remote: "192.0.2.2:4500".parse()?,
//!         encapsulation: Encapsulation::Udp,
//!     },
//!     limits: Limits::NONE,
//!     replay_window: 1024,
//!     tfc: TfcPadding::None,
//!     marking: Marking::default(),
//! };
//! // The peer has the same keys and sees the selectors from its side.
//! let outbound = Params {
//!     direction: Direction::Outbound,
//!     selectors: Arc::new(inbound.selectors.reversed()),
//!     ..inbound.clone()
//! };
//! let theirs = Outbound::new(Backend::Ring, &outbound, &IvSecret::new([9; 16]))?;
//! let ours = Inbound::new(Backend::Ring, &inbound)?;
//!
//! // A datagram of IPv4, 24 bytes, from 10.2.0.1 to 10.1.0.1.
//! let datagram = [0x45, 0, 0, 24, 0, 0, 0, 0, 64, 253, 0, 0, 10, 2, 0, 1, 10, 1, 0, 1, 1, 2, 3, 4];
//! let mut packet = vec![0; theirs.sealed_len(datagram.len())];
//! packet[theirs.front_len()..][..datagram.len()].copy_from_slice(&datagram);
//! theirs.reserve(1)?.seal(&mut packet, datagram.len())?;
//! let mut replayed = packet.clone();
//!
//! let mut opener = ours.opener();
//! let admitted = opener.open(&mut packet).and_then(|opened| opened.admit()).map_err(|r| r.reason.name())?;
//! assert_eq!(admitted.datagram, datagram);
//! assert_eq!(opener.open(&mut replayed).err(), Some(DropReason::Replayed.into()));
//! # Ok(())
//! # }
//! ```

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

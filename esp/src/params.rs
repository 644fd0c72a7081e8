//! One direction of an SA as plain data: what a key exchange hands to the packet side.

use crate::crypto::{KeyMaterial, Suite};
use crate::headers::{IPV4_HEADER, IPV6_HEADER, UDP_HEADER};
use crate::outer::Marking;
use crate::{SelectorPair, Spi};
use std::net::SocketAddr;
use std::sync::Arc;

/// Everything the packet side needs to carry one direction of an SA.
#[derive(Clone)]
pub struct Params {
    /// Whether we seal or open with it.
    pub direction: Direction,
    /// The index on the wire: ours when inbound, the peer's when outbound.
    pub spi: Spi,
    /// Cipher and integrity algorithm.
    pub suite: Suite,
    /// Keys for this direction alone.
    pub keys: KeyMaterial,
    /// 32-bit or extended sequence numbers.
    pub sequence_numbers: SequenceNumbers,
    /// What the SA protects; shared by both directions.
    pub selectors: Arc<SelectorPair>,
    /// Outer addresses and encapsulation.
    pub path: Path,
    /// When to ask for a successor and when to stop.
    pub limits: Limits,
    /// How many packets the anti-replay window spans; 0 switches the check off.
    pub replay_window: u16,
    /// How far datagrams are padded to hide their length.
    pub tfc: TfcPadding,
    /// What the outer header takes from the inner one.
    pub marking: Marking,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the peer to us.
    Inbound,
    /// From us to the peer.
    Outbound,
}

/// How wide the sequence number is (RFC 4303 §2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SequenceNumbers {
    /// 32 bits, all of them sent.
    Short,
    /// 64 bits, the low half sent.
    Extended,
}

/// Outer addresses of an SA and what surrounds the ESP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// What surrounds the ESP packet.
    pub encapsulation: Encapsulation,
}

/// What surrounds an ESP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encapsulation {
    /// IP protocol 50, the ports of the path unused.
    None,
    /// UDP on the ports of the path (RFC 3948).
    Udp,
}

/// Volume limits of one direction; `u64::MAX` where there is none. Past a soft limit the packet side asks
/// for a successor, at a hard limit it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Packets until a successor is asked for.
    pub soft_packets: u64,
    /// Packets until the SA stops.
    pub hard_packets: u64,
    /// Bytes until a successor is asked for.
    pub soft_bytes: u64,
    /// Bytes until the SA stops.
    pub hard_bytes: u64,
}

/// Padding for traffic flow confidentiality (RFC 4303 §2.7). Not to be used towards a peer that sent
/// ESP_TFC_PADDING_NOT_SUPPORTED (RFC 7296 §1.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TfcPadding {
    /// Datagrams show their length.
    #[default]
    None,
    /// Shorter datagrams are padded to this length; longer ones show theirs.
    To(u16),
}

impl Path {
    /// Bytes in front of the ESP packet: the outer IP header, and UDP's if there is one.
    #[inline]
    pub const fn headers_len(&self) -> usize {
        let ip = if self.remote.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
        match self.encapsulation {
            Encapsulation::None => ip,
            Encapsulation::Udp => ip + UDP_HEADER,
        }
    }
}

impl TfcPadding {
    /// Length of a datagram of this length with its TFC padding.
    #[inline]
    pub fn padded_len(self, datagram_len: usize) -> usize {
        match self {
            Self::None => datagram_len,
            Self::To(length) => datagram_len.max(length.into()),
        }
    }
}

impl Limits {
    /// No limit but the sequence number.
    pub const NONE: Self =
        Self { soft_packets: u64::MAX, hard_packets: u64::MAX, soft_bytes: u64::MAX, hard_bytes: u64::MAX };
}

//! The header that goes before a packet on a TUN device with offloads (`IFF_VNET_HDR`): what the kernel
//! left undone on the way out, and what it may leave undone on the way in.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::error::Error;
use std::fmt;

const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// The virtio-net header of one packet, in the byte order of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VirtioHeader {
    /// A checksum of which only the pseudo-header is summed up yet.
    pub checksum: Option<PartialChecksum>,
    /// How a packet larger than the MTU is to be cut.
    pub segmentation: Option<Segmentation>,
}

/// Where a checksum has to be finished: it runs from `start` to the end of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartialChecksum {
    /// Where the sum begins.
    pub start: u16,
    /// How far behind `start` the checksum stands.
    pub offset: u16,
}

/// A super-packet's kind and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segmentation {
    /// What is cut.
    pub kind: SegmentKind,
    /// Payload bytes of each segment but the last.
    pub size: u16,
    /// Bytes of all headers that each segment repeats; a hint of the kernel.
    pub header_length: u16,
    /// The first segment alone says that the sender slowed down (CWR).
    pub ecn: bool,
}

/// What a super-packet is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over either.
    Udp,
}

/// Why bytes are no virtio-net header we can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VirtioError {
    /// Fewer than [`VirtioHeader::LENGTH`] bytes.
    Truncated,
    /// A segmentation we did not ask for.
    Segmentation(u8),
}

impl VirtioHeader {
    /// The length on a TUN device whose header size was left alone.
    pub const LENGTH: usize = 10;

    /// Reads the header and returns it with the packet behind.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), VirtioError> {
        let (header, packet) = bytes.split_first_chunk::<10>().ok_or(VirtioError::Truncated)?;
        let &[flags, gso, h0, h1, s0, s1, c0, c1, o0, o1] = header;
        let kind = match gso & !GSO_ECN {
            GSO_NONE => None,
            GSO_TCPV4 => Some(SegmentKind::TcpV4),
            GSO_TCPV6 => Some(SegmentKind::TcpV6),
            GSO_UDP_L4 => Some(SegmentKind::Udp),
            _ => return Err(VirtioError::Segmentation(gso)),
        };
        let checksum =
            PartialChecksum { start: u16::from_ne_bytes([c0, c1]), offset: u16::from_ne_bytes([o0, o1]) };
        let header = Self {
            checksum: (flags & NEEDS_CSUM != 0).then_some(checksum),
            segmentation: kind.map(|kind| Segmentation {
                kind,
                size: u16::from_ne_bytes([s0, s1]),
                header_length: u16::from_ne_bytes([h0, h1]),
                ecn: gso & GSO_ECN != 0,
            }),
        };
        Ok((header, packet))
    }

    /// As it goes before a packet.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let (flags, checksum) = match self.checksum {
            Some(checksum) => (NEEDS_CSUM, checksum),
            None => (0, PartialChecksum { start: 0, offset: 0 }),
        };
        let (gso, header, size) = match self.segmentation {
            Some(cut) => {
                (cut.kind.to_byte() | if cut.ecn { GSO_ECN } else { 0 }, cut.header_length, cut.size)
            }
            None => (GSO_NONE, 0, 0),
        };
        let [h0, h1] = header.to_ne_bytes();
        let [s0, s1] = size.to_ne_bytes();
        let [c0, c1] = checksum.start.to_ne_bytes();
        let [o0, o1] = checksum.offset.to_ne_bytes();
        [flags, gso, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

impl SegmentKind {
    fn to_byte(self) -> u8 {
        match self {
            Self::TcpV4 => GSO_TCPV4,
            Self::TcpV6 => GSO_TCPV6,
            Self::Udp => GSO_UDP_L4,
        }
    }
}

impl fmt::Display for VirtioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "fewer bytes than a virtio-net header has"),
            Self::Segmentation(kind) => write!(f, "segmentation of kind {kind} was not asked for"),
        }
    }
}

impl Error for VirtioError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn what_is_read_is_written_back(bytes in any::<[u8; 12]>()) {
            if let Ok((header, packet)) = VirtioHeader::parse(&bytes) {
                prop_assert_eq!(packet.len(), 2);
                let again = header.to_bytes();
                prop_assert_eq!(VirtioHeader::parse(&again), Ok((header, &[][..])));
            }
        }
    }
}

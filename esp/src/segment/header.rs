//! Where the fields of TCP, UDP and IP headers stand, and how they are written.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::checksum::Sum;
use crate::flow::protocol;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const URG: u8 = 0x20;
pub(super) const CWR: u8 = 0x80;

pub(super) const TCP_HEADER: usize = 20;
pub(super) const UDP_HEADER: usize = 8;

/// TCP or UDP: what can be cut and joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
}

impl Kind {
    pub(super) fn protocol(self) -> u8 {
        match self {
            Self::Tcp => protocol::TCP,
            Self::Udp => protocol::UDP,
        }
    }

    /// Where in the transport header the checksum stands.
    pub(super) fn checksum_offset(self) -> u16 {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }

    pub(super) fn finish(self, sum: Sum) -> [u8; 2] {
        match self {
            Self::Tcp => sum.finish(),
            Self::Udp => sum.finish_udp(),
        }
    }
}

/// The length of the TCP header that begins here, options included; `None` when it is not all there.
pub(super) fn tcp_length(transport: &[u8]) -> Option<usize> {
    let length = usize::from(transport.get(12)? >> 4).saturating_mul(4);
    (length >= TCP_HEADER && length <= transport.len()).then_some(length)
}

/// Overwrites bytes at an offset; nothing happens where they do not fit.
pub(super) fn put<const N: usize>(bytes: &mut [u8], offset: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}

pub(super) fn word_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().copied().map(u16::from_be_bytes)
}

pub(super) fn double_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// Writes the length of an IP packet, and of IPv4 its identification and header checksum. `network` is the
/// IP header and nothing else.
pub(super) fn finish_network(network: &mut [u8], total_length: usize, identification: u16) {
    let low = |value: usize| {
        let [.., high, low] = value.to_be_bytes();
        [high, low]
    };
    if network.first().is_some_and(|first| first >> 4 == 4) {
        put(network, 2, low(total_length));
        put(network, 4, identification.to_be_bytes());
        put(network, 10, [0, 0]);
        let checksum = Sum::ZERO.bytes(network).finish();
        put(network, 10, checksum);
    } else {
        put(network, 4, low(total_length.saturating_sub(crate::flow::IPV6_HEADER)));
    }
}

//! Where the fields of IP, TCP and UDP headers stand, and how they are written.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::checksum::Sum;

/// IP protocol numbers that packets are told apart by.
pub(crate) mod protocol {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const DCCP: u8 = 33;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const DESTINATION_OPTIONS: u8 = 60;
    pub(crate) const SCTP: u8 = 132;
    pub(crate) const MOBILITY: u8 = 135;
    pub(crate) const UDP_LITE: u8 = 136;
}

/// The length of an IPv4 header without options.
pub(crate) const IPV4_HEADER: usize = 20;
/// The length of an IPv6 header without extensions.
pub(crate) const IPV6_HEADER: usize = 40;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const URG: u8 = 0x20;
pub(crate) const CWR: u8 = 0x80;

pub(crate) const TCP_HEADER: usize = 20;
pub(crate) const UDP_HEADER: usize = 8;

/// The length of the TCP header that begins here, options included; `None` when it is not all there.
pub(crate) fn tcp_length(transport: &[u8]) -> Option<usize> {
    let length = usize::from(transport.get(12)? >> 4).saturating_mul(4);
    (length >= TCP_HEADER && length <= transport.len()).then_some(length)
}

/// Overwrites bytes at an offset; nothing happens where they do not fit.
pub(crate) fn put<const N: usize>(bytes: &mut [u8], offset: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}

pub(crate) fn word_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().copied().map(u16::from_be_bytes)
}

pub(crate) fn double_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// The last two bytes of a length, which in a packet never has more.
pub(crate) fn low(length: usize) -> [u8; 2] {
    let [.., high, low] = length.to_be_bytes();
    [high, low]
}

/// Writes the length of an IP packet, and of IPv4 its identification and header checksum. `network` is the
/// IP header and nothing else.
pub(crate) fn finish_network(network: &mut [u8], total_length: usize, identification: u16) {
    if network.first().is_some_and(|first| first >> 4 == 4) {
        put(network, 2, low(total_length));
        put(network, 4, identification.to_be_bytes());
        put(network, 10, [0, 0]);
        let checksum = Sum::ZERO.bytes(network).finish();
        put(network, 10, checksum);
    } else {
        put(network, 4, low(total_length.saturating_sub(IPV6_HEADER)));
    }
}

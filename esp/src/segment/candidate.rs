//! A packet that may be part of a super-packet, its headers read once.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::join::{Offloads, Piece};
use super::kind::Kind;
use crate::checksum::Sum;
use crate::flow::{Fragment, Inner};
use crate::headers::{
    ACK, CWR, FIN, IPV4_HEADER, IPV6_HEADER, PSH, RST, SYN, UDP_HEADER, URG, double_at, protocol, put,
    tcp_length, word_at,
};

/// The longest headers that are joined: IPv6 without extensions, TCP with all options.
const HEADER: usize = IPV6_HEADER + 60;

/// A packet that may be part of a super-packet.
pub(super) struct Candidate {
    pub(super) kind: Kind,
    pub(super) header: Header,
    pub(super) payload: Piece,
    /// Whether the packet ends a super-packet by what it says: PSH or FIN.
    pub(super) ends: u8,
    pub(super) sequence: u32,
    pub(super) identification: u16,
}

/// Headers with everything that differs between the segments of one super-packet set to zero: lengths,
/// identification, checksums, sequence number, PSH and FIN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) bytes: [u8; HEADER],
    length: u8,
    network_length: u8,
}

impl Candidate {
    pub(super) fn new(packet: &[u8], start: usize, inner: &Inner, offloads: Offloads) -> Option<Self> {
        let kind = match inner.flow.protocol {
            protocol::TCP if offloads.tcp => Kind::Tcp,
            protocol::UDP if offloads.udp => Kind::Udp,
            _ => return None,
        };
        // IPv4 options and IPv6 extension headers speak of one packet each.
        let plain = if inner.flow.is_v4() { IPV4_HEADER } else { IPV6_HEADER };
        if inner.fragment != Fragment::Whole || inner.network_length != plain {
            return None;
        }
        let transport = packet.get(inner.network_length..)?;
        let (transport_length, sequence, ends) = match kind {
            Kind::Tcp => {
                let (length, flags) = joinable_tcp(transport)?;
                (length, double_at(transport, 4)?, flags & (PSH | FIN))
            }
            Kind::Udp => (joinable_udp(transport)?, 0, 0),
        };
        let header_length = inner.network_length.checked_add(transport_length)?;
        let payload_start = start.checked_add(header_length)?;
        if header_length >= packet.len() {
            return None;
        }
        Some(Self {
            kind,
            header: Header::new(packet.get(..header_length)?, inner.network_length, kind)?,
            payload: Piece::new(payload_start, start.checked_add(packet.len())?)?,
            ends,
            sequence,
            identification: word_at(packet, 4)?,
        })
    }

    pub(super) fn payload_length(&self) -> usize {
        self.payload.range().len()
    }
}

/// Header length and flags of a segment that carries data and says nothing else of its own. CWR is said
/// once, so the segment that says it stays alone.
fn joinable_tcp(transport: &[u8]) -> Option<(usize, u8)> {
    let length = tcp_length(transport)?;
    let flags = *transport.get(13)?;
    (flags & ACK != 0 && flags & (SYN | RST | URG | CWR) == 0).then_some((length, flags))
}

/// Header length of a datagram that says its length right and has a checksum: made again when the kernel
/// cuts it, the checksum would be there where it was not.
fn joinable_udp(transport: &[u8]) -> Option<usize> {
    let honest = usize::from(word_at(transport, 4)?) == transport.len();
    (honest && word_at(transport, 6)? != 0).then_some(UDP_HEADER)
}

impl Header {
    pub(super) const EMPTY: Self = Self { bytes: [0; HEADER], length: 0, network_length: 0 };

    fn new(header: &[u8], network_length: usize, kind: Kind) -> Option<Self> {
        let mut bytes = [0; HEADER];
        bytes.get_mut(..header.len())?.copy_from_slice(header);
        if header.first()? >> 4 == 4 {
            put(&mut bytes, 2, [0; 4]);
            put(&mut bytes, 10, [0; 2]);
        } else {
            put(&mut bytes, 4, [0; 2]);
        }
        let transport = bytes.get_mut(network_length..)?;
        match kind {
            Kind::Tcp => {
                put(transport, 4, [0; 4]);
                put(transport, 13, [transport.get(13)? & !(PSH | FIN)]);
            }
            Kind::Udp => put(transport, 4, [0; 2]),
        }
        put(transport, kind.checksum_offset().into(), [0; 2]);
        let (length, network_length) = (header.len().try_into().ok()?, network_length.try_into().ok()?);
        Some(Self { bytes, length, network_length })
    }

    pub(super) fn length(&self) -> usize {
        self.length.into()
    }

    pub(super) fn network_length(&self) -> usize {
        self.network_length.into()
    }

    pub(super) fn cannot_be_fragmented(&self) -> bool {
        let [first, _, _, _, _, _, fragment, ..] = self.bytes;
        first >> 4 == 6 || fragment & 0x40 != 0
    }
}

/// Whether the transport checksum holds, and the IPv4 header's: joined packets are not looked at again.
pub(super) fn is_intact(packet: &[u8], header: &Header, kind: Kind) -> bool {
    let Some((network, transport)) = packet.split_at_checked(header.network_length()) else { return false };
    let v4 = network.len() == IPV4_HEADER;
    (!v4 || Sum::ZERO.bytes(network).is_intact())
        && Sum::ZERO.pseudo_header(network, kind.protocol(), transport.len()).bytes(transport).is_intact()
}

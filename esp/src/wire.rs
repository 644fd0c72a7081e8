//! The ESP packet on the wire: header, trailer, and the inner datagram between them.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::Spi;
use crate::headers::{IPV4_HEADER, IPV6_HEADER};

/// Length of the SPI and the sequence number (RFC 4303 §2).
pub const HEADER_LEN: usize = 8;
/// Length of the pad length and the next header.
pub const TRAILER_LEN: usize = 2;
/// The most that padding can take: its length is one byte.
pub const MAX_PADDING: usize = 255;

/// Every padding there is, each from the start (RFC 4303 §2.4).
const COUNTING: [u8; MAX_PADDING] = {
    let mut bytes = [0; MAX_PADDING];
    let mut rest: &mut [u8] = &mut bytes;
    let mut value = 0;
    while let Some((first, behind)) = rest.split_first_mut() {
        value += 1;
        *first = value;
        rest = behind;
    }
    bytes
};

/// What is readable of an ESP packet before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which SA it belongs to.
    pub spi: Spi,
    /// The low half of its sequence number.
    pub sequence_low: u32,
}

/// Protocols that an opened packet may name as its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NextHeader {
    /// An IPv4 datagram: tunnel mode.
    Ipv4,
    /// An IPv6 datagram: tunnel mode.
    Ipv6,
    /// A dummy packet, to be thrown away (RFC 4303 §2.6).
    Dummy,
}

/// What is wrong with an opened packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The pad length reaches past the start, or the pad bytes do not count up from 1.
    Padding,
    /// The next header is not an IP version, or not the version of the datagram.
    NextHeader,
    /// The datagram's own lengths contradict each other or the packet.
    InnerLength,
}

impl Header {
    /// `None` when the packet is shorter than the header or its SPI is reserved.
    #[inline]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (spi, rest) = packet.split_first_chunk::<4>()?;
        let (sequence, _) = rest.split_first_chunk::<4>()?;
        Some(Self { spi: Spi::new(u32::from_be_bytes(*spi))?, sequence_low: u32::from_be_bytes(*sequence) })
    }

    /// As it stands on the wire.
    #[inline]
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [a, b, c, d] = self.spi.to_be_bytes();
        let [e, f, g, h] = self.sequence_low.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

impl NextHeader {
    /// IANA protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 => 41,
            Self::Dummy => 59,
        }
    }

    /// The protocol of a datagram by its version; `None` when it is neither IPv4 nor IPv6.
    #[inline]
    pub fn of(datagram: &[u8]) -> Option<Self> {
        match datagram.first()? >> 4 {
            4 => Some(Self::Ipv4),
            6 => Some(Self::Ipv6),
            _ => None,
        }
    }
}

/// Fills `room`, which begins where the datagram ends, with TFC padding, padding and trailer. `padding` is
/// the length of the padding; what is left in front of it is TFC padding (RFC 4303 §2.4, §2.7).
#[inline]
pub(crate) fn write_trailer(room: &mut [u8], padding: u8, next_header: NextHeader) -> Option<()> {
    let (front, trailer) = room.split_last_chunk_mut::<TRAILER_LEN>()?;
    *trailer = [padding, next_header.number()];
    let tfc = front.len().checked_sub(padding.into())?;
    let (tfc, padding) = front.split_at_mut_checked(tfc)?;
    tfc.fill(0);
    // RFC 4303 §2.4: padding bytes MUST count up from 1 where the cipher does not say otherwise.
    padding.copy_from_slice(COUNTING.get(..padding.len())?);
    Some(())
}

/// The datagram inside the plaintext of a packet whose integrity holds, without padding of either kind;
/// `None` for a dummy packet.
#[inline]
pub(crate) fn strip_trailer(plaintext: &mut [u8]) -> Result<Option<&mut [u8]>, Malformed> {
    let (front, &mut [padding, next_header]) =
        plaintext.split_last_chunk_mut::<TRAILER_LEN>().ok_or(Malformed::Padding)?;
    let payload_len = front.len().checked_sub(padding.into()).ok_or(Malformed::Padding)?;
    let (payload, padding) = front.split_at_mut_checked(payload_len).ok_or(Malformed::Padding)?;
    if next_header == NextHeader::Dummy.number() {
        return Ok(None);
    }
    // RFC 4303 §2.4: the receiver SHOULD look at the padding.
    if COUNTING.get(..padding.len()) != Some(&*padding) {
        return Err(Malformed::Padding);
    }
    let version = [NextHeader::Ipv4, NextHeader::Ipv6].into_iter().find(|ip| ip.number() == next_header);
    let version = version.ok_or(Malformed::NextHeader)?;
    if payload.is_empty() {
        return Err(Malformed::InnerLength);
    }
    if NextHeader::of(payload) != Some(version) {
        return Err(Malformed::NextHeader);
    }
    // RFC 4303 §2.7: TFC padding is what the datagram's own length leaves over.
    let length = datagram_len(payload).ok_or(Malformed::InnerLength)?;
    payload.get_mut(..length).map(Some).ok_or(Malformed::InnerLength)
}

/// The length a datagram gives itself, if it has a whole header that makes sense.
#[inline]
pub(crate) fn datagram_len(datagram: &[u8]) -> Option<usize> {
    match NextHeader::of(datagram)? {
        NextHeader::Ipv4 => {
            let header = datagram.first_chunk::<IPV4_HEADER>()?;
            let [version_and_header_len, _, high, low, ..] = *header;
            let header_len = usize::from(version_and_header_len & 0x0f).checked_mul(4)?;
            let length = usize::from(u16::from_be_bytes([high, low]));
            (header_len >= IPV4_HEADER && length >= header_len).then_some(length)
        }
        NextHeader::Ipv6 => {
            let header = datagram.first_chunk::<IPV6_HEADER>()?;
            let [_, _, _, _, high, low, ..] = *header;
            usize::from(u16::from_be_bytes([high, low])).checked_add(IPV6_HEADER)
        }
        NextHeader::Dummy => None,
    }
}

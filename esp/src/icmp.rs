//! ICMP and ICMPv6 answers to packets that cannot go into the tunnel.
//!
//! 1. [`answer`] asks whether the packet may be answered at all: never an error for an error, for a later
//!    fragment, or to or from anything but a single host (RFC 1122 §3.2.2, RFC 4443 §2.4).
//! 2. It writes the answer around as much of the packet as is allowed.
//! 3. A [`Budget`] bounds how many there are (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8).
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod budget;

pub use budget::Budget;

use crate::checksum::Sum;
use crate::flow::{Fragment, Inner, Transport};
use crate::headers::{IPV4_HEADER, IPV6_HEADER, low, protocol, put};
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest answer: what every IPv6 link carries. Answers over IPv4 stay below 576.
pub const ANSWER_MAX: usize = 1280;

/// The least MTU an ICMPv6 answer may name: hosts ignore less (RFC 8201 §4).
pub const IPV6_MTU_MIN: usize = 1280;
/// The least MTU an ICMP answer names: every IPv4 link carries that much (RFC 791 §3.2).
pub const IPV4_MTU_MIN: usize = 68;

/// RFC 1812 §4.3.2.3.
const IPV4_ANSWER_MAX: usize = 576;
const ICMP_HEADER: usize = 8;
const HOP_LIMIT: u8 = 64;
/// Internetwork control (RFC 1812 §4.3.2.5).
const TYPE_OF_SERVICE: u8 = 0xc0;

/// What the sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Packets of at most this size fit. Only for packets that must not be fragmented.
    TooBig {
        /// The largest inner packet that fits, in bytes.
        mtu: usize,
    },
    /// There is no way to the host just now: no SA, and none can be made.
    HostUnreachable,
    /// Policy forbids it.
    Prohibited,
}

/// Why a packet goes without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Silence {
    /// It is an error message itself, or may be one.
    Error,
    /// It is a later fragment.
    Fragment,
    /// It does not come from a single host.
    Source,
    /// It does not go to a single host.
    Destination,
    /// IPv4 without DF: it is to be fragmented instead.
    MayFragment,
    /// Our own address is of the other family.
    Family,
    /// The buffer is smaller than the answer.
    Buffer,
}

/// Writes an answer to `packet`, which `inner` was read from, to the beginning of `out` and returns its
/// length. `from` is an address of ours, of the packet's family. Bytes behind the packet's own length never
/// get into it. [`ANSWER_MAX`] bytes are always enough.
pub fn answer(
    packet: &[u8],
    inner: &Inner,
    answer: Answer,
    from: IpAddr,
    out: &mut [u8],
) -> Result<usize, Silence> {
    let packet = packet.get(..inner.total_length).unwrap_or(packet);
    match (inner.flow.source, inner.flow.destination, from) {
        (IpAddr::V4(source), IpAddr::V4(destination), IpAddr::V4(from)) => {
            may_answer_v4(packet, inner, answer, source, destination)?;
            write_v4(packet, answer, from, source, out)
        }
        (IpAddr::V6(source), IpAddr::V6(destination), IpAddr::V6(from)) => {
            may_answer_v6(inner, answer, source, destination)?;
            write_v6(packet, answer, from, source, out)
        }
        _ => Err(Silence::Family),
    }
}

// RFC 1122 §3.2.2
fn may_answer_v4(
    packet: &[u8],
    inner: &Inner,
    answer: Answer,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> Result<(), Silence> {
    if inner.fragment == Fragment::Later {
        return Err(Silence::Fragment);
    }
    if let Transport::Icmp { kind, .. } = inner.flow.transport
        && inner.flow.protocol == protocol::ICMP
        && !matches!(kind, 0 | 8..=10 | 13..=18)
    {
        return Err(Silence::Error);
    }
    if source.is_unspecified() || source.is_loopback() || !is_single_v4(source) {
        return Err(Silence::Source);
    }
    if !is_single_v4(destination) {
        return Err(Silence::Destination);
    }
    let may_fragment = packet.get(6).is_none_or(|flags| flags & 0x40 == 0);
    if matches!(answer, Answer::TooBig { .. }) && may_fragment {
        return Err(Silence::MayFragment);
    }
    Ok(())
}

/// Neither multicast nor broadcast nor reserved.
fn is_single_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first < 224 && first != 0
}

// RFC 4443 §2.4 (e)
fn may_answer_v6(
    inner: &Inner,
    answer: Answer,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Result<(), Silence> {
    if inner.flow.protocol == protocol::ICMPV6 {
        match inner.flow.transport {
            // Errors are below 128, and 137 is a redirect.
            Transport::Icmp { kind: 128..=136 | 138.., .. } => {}
            // Of a later fragment nobody knows.
            _ => return Err(Silence::Error),
        }
    }
    if source.is_unspecified() || source.is_loopback() || source.is_multicast() {
        return Err(Silence::Source);
    }
    // What is too big for the path of a multicast is said nevertheless.
    if destination.is_multicast() && !matches!(answer, Answer::TooBig { .. }) {
        return Err(Silence::Destination);
    }
    Ok(())
}

fn write_v4(
    packet: &[u8],
    answer: Answer,
    from: Ipv4Addr,
    to: Ipv4Addr,
    out: &mut [u8],
) -> Result<usize, Silence> {
    let quote = quoted(packet, IPV4_ANSWER_MAX.saturating_sub(IPV4_HEADER).saturating_sub(ICMP_HEADER));
    let length = IPV4_HEADER.saturating_add(ICMP_HEADER).saturating_add(quote.len());
    let (header, rest) =
        out.get_mut(..length).and_then(<[u8]>::split_first_chunk_mut).ok_or(Silence::Buffer)?;
    let [l0, l1] = low(length);
    let [s0, s1, s2, s3] = from.octets();
    let [d0, d1, d2, d3] = to.octets();
    #[rustfmt::skip]
    let fields: [u8; IPV4_HEADER] = [
        0x45, TYPE_OF_SERVICE, l0, l1, 0, 0, 0x40, 0,
        HOP_LIMIT, protocol::ICMP, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3,
    ];
    *header = fields;
    put(header, 10, Sum::ZERO.bytes(&fields).finish());
    let (code, mtu) = match answer {
        Answer::TooBig { mtu } => (4, low(mtu.clamp(IPV4_MTU_MIN, usize::from(u16::MAX)))),
        Answer::HostUnreachable => (1, [0, 0]),
        Answer::Prohibited => (13, [0, 0]),
    };
    let [m0, m1] = mtu;
    write_icmp(rest, [3, code, 0, 0, 0, 0, m0, m1], quote, Sum::ZERO);
    Ok(length)
}

fn write_v6(
    packet: &[u8],
    answer: Answer,
    from: Ipv6Addr,
    to: Ipv6Addr,
    out: &mut [u8],
) -> Result<usize, Silence> {
    // RFC 4443 §3.2: as much as fits without getting larger than what every link carries.
    let quote = quoted(packet, ANSWER_MAX.saturating_sub(IPV6_HEADER).saturating_sub(ICMP_HEADER));
    let payload = ICMP_HEADER.saturating_add(quote.len());
    let length = IPV6_HEADER.saturating_add(payload);
    let (header, rest) = out
        .get_mut(..length)
        .and_then(<[u8]>::split_first_chunk_mut::<IPV6_HEADER>)
        .ok_or(Silence::Buffer)?;
    let [l0, l1] = low(payload);
    let (fixed, addresses) = header.split_at_mut(8);
    fixed.copy_from_slice(&[0x60, 0, 0, 0, l0, l1, protocol::ICMPV6, HOP_LIMIT]);
    let (source, destination) = addresses.split_at_mut(16);
    source.copy_from_slice(&from.octets());
    destination.copy_from_slice(&to.octets());
    let (kind, code, mtu) = match answer {
        Answer::TooBig { mtu } => (2, 0, u32::try_from(mtu.max(IPV6_MTU_MIN)).unwrap_or(u32::MAX)),
        Answer::HostUnreachable => (1, 3, 0),
        Answer::Prohibited => (1, 1, 0),
    };
    let [m0, m1, m2, m3] = mtu.to_be_bytes();
    let sum = Sum::ZERO.pseudo_header(header, protocol::ICMPV6, payload);
    write_icmp(rest, [kind, code, 0, 0, m0, m1, m2, m3], quote, sum);
    Ok(length)
}

fn write_icmp(out: &mut [u8], header: [u8; ICMP_HEADER], quote: &[u8], sum: Sum) {
    let Some((head, body)) = out.split_first_chunk_mut::<ICMP_HEADER>() else { return };
    *head = header;
    put(head, 2, sum.bytes(&header).bytes(quote).finish());
    // As long as the quote, for the caller made it so.
    body.iter_mut().zip(quote).for_each(|(to, from)| *to = *from);
}

fn quoted(packet: &[u8], room: usize) -> &[u8] {
    packet.get(..room).unwrap_or(packet)
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "an error message is not answered with another",
            Self::Fragment => "a later fragment is not answered",
            Self::Source => "its source is no single host",
            Self::Destination => "its destination is no single host",
            Self::MayFragment => "it may be fragmented",
            Self::Family => "our address is of the other family",
            Self::Buffer => "the answer does not fit into the buffer",
        })
    }
}

impl Error for Silence {}

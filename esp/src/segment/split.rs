//! Cutting a super-packet into packets for the wire.
//!
//! 1. [`Split::new`] checks once that the packet is what its virtio-net header says. A whole IPv4 packet that
//!    is too big and may be fragmented becomes fragments (RFC 791 §3.2).
//! 2. [`Split::write_next`] writes one segment after the other to wherever the caller wants it, so that it
//!    can be sealed there: the payload is copied once.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::kind::Kind;
use crate::checksum::Sum;
use crate::flow::{Fragment, Inner};
use crate::headers::{
    CWR, FIN, IPV4_HEADER, PSH, TCP_HEADER, UDP_HEADER, double_at, finish_network, low, protocol, put,
    tcp_length, word_at,
};
use crate::virtio::{PartialChecksum, SegmentKind, Segmentation, VirtioHeader};
use std::error::Error;
use std::fmt;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
/// The bits of a fragment's offset, in units of eight bytes.
const OFFSET: u16 = 0x1fff;

/// A cursor over the segments of a packet that came from the TUN device. A packet that needs no cutting is
/// its own only segment, its checksum finished.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    network_length: usize,
    size: usize,
    work: Work,
    segments: usize,
    written: usize,
}

/// What has to be done to each segment.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// The packet is whole and complete.
    Nothing,
    /// One checksum is missing.
    Checksum(PartialChecksum),
    /// Headers are made for each segment from those of the super-packet.
    Cut { kind: Kind, identification: u16, sequence: u32, flags: u8 },
    /// The IPv4 header is made for each fragment from that of the packet.
    Fragment { identification: u16, flags_and_offset: u16, checksum: Option<Finished> },
}

/// A checksum summed up before the packet is taken apart.
#[derive(Clone, Copy, Debug)]
struct Finished {
    place: usize,
    value: [u8; 2],
}

/// Why a packet cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SplitError {
    /// Larger than what may go into the tunnel, and not to be cut smaller.
    TooBig {
        /// Bytes of the packet, or of each of its segments.
        length: usize,
    },
    /// The virtio-net header names another protocol than the packet's, or the packet is a fragment.
    Kind,
    /// The transport header does not end within the packet, or there is no payload.
    Truncated,
    /// A segment size of zero.
    Size,
    /// The checksum to be finished lies outside the packet.
    Checksum(PartialChecksum),
}

/// The buffer has no room for the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferTooSmall {
    /// Bytes that are needed.
    pub needed: usize,
}

impl<'a> Split<'a> {
    /// Prepares to cut `packet`, which `inner` was read from, into segments of at most `limit` bytes each.
    ///
    /// TCP segments are made smaller than asked for where the limit demands it, and whole IPv4 packets without
    /// DF and options are fragmented. Anything else is too big then.
    pub fn new(
        virtio: &VirtioHeader,
        inner: &Inner,
        packet: &'a [u8],
        limit: usize,
    ) -> Result<Self, SplitError> {
        let packet = packet.get(..inner.total_length).ok_or(SplitError::Truncated)?;
        match virtio.segmentation {
            Some(cut) => Self::cut(cut, inner, packet, limit),
            None => Self::whole(virtio.checksum, inner, packet, limit),
        }
    }

    /// How many segments there are, at least one.
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Bytes of each segment but the last, which may be shorter.
    pub fn segment_length(&self) -> usize {
        self.header.len().saturating_add(self.size)
    }

    /// Bytes of the next segment; `None` after the last.
    pub fn next_length(&self) -> Option<usize> {
        let start = self.written.saturating_mul(self.size);
        let left = self.payload.len().saturating_sub(start);
        (self.written < self.segments).then(|| self.header.len().saturating_add(left.min(self.size)))
    }

    /// Writes the next segment to the beginning of `out` and returns its length, `None` after the last. Where
    /// it does not fit, nothing is lost: the same segment comes again.
    pub fn write_next(&mut self, out: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        let Some(length) = self.next_length() else { return Ok(None) };
        let start = self.written.saturating_mul(self.size);
        let end = start.saturating_add(self.size).min(self.payload.len());
        let (Some(out), Some(payload)) = (out.get_mut(..length), self.payload.get(start..end)) else {
            return Err(BufferTooSmall { needed: length });
        };
        if let Some((header, body)) = out.split_at_mut_checked(self.header.len()) {
            header.copy_from_slice(self.header);
            body.copy_from_slice(payload);
        }
        match self.work {
            Work::Nothing => {}
            Work::Checksum(checksum) => finish_checksum(out, checksum),
            Work::Cut { .. } => self.finish_segment(out, start),
            Work::Fragment { .. } => self.finish_fragment(out, start),
        }
        self.written = self.written.saturating_add(1);
        Ok(Some(length))
    }

    fn whole(
        checksum: Option<PartialChecksum>,
        inner: &Inner,
        packet: &'a [u8],
        limit: usize,
    ) -> Result<Self, SplitError> {
        if let Some(checksum) = checksum.filter(|checksum| checksum_place(packet.len(), *checksum).is_none())
        {
            return Err(SplitError::Checksum(checksum));
        }
        if packet.len() > limit {
            return Self::fragments(checksum, inner, packet, limit)
                .ok_or(SplitError::TooBig { length: packet.len() });
        }
        let work = checksum.map_or(Work::Nothing, Work::Checksum);
        let size = packet.len();
        Ok(Self { header: &[], payload: packet, network_length: 0, size, work, segments: 1, written: 0 })
    }

    /// Prepares to fragment a packet, if that can be done to it.
    fn fragments(
        checksum: Option<PartialChecksum>,
        inner: &Inner,
        packet: &'a [u8],
        limit: usize,
    ) -> Option<Self> {
        let flags_and_offset = word_at(packet, 6)?;
        let plain = inner.flow.is_v4() && inner.network_length == IPV4_HEADER;
        // Fragments begin at multiples of eight bytes.
        let size = limit.checked_sub(IPV4_HEADER)? & !7;
        if !plain || flags_and_offset & DONT_FRAGMENT != 0 || size == 0 {
            return None;
        }
        let (header, payload) = packet.split_at_checked(IPV4_HEADER)?;
        // The packet may be a fragment itself, and one that claims to reach past the end of any datagram.
        let end = usize::from(flags_and_offset & OFFSET).saturating_add(payload.len() >> 3);
        if end > OFFSET.into() {
            return None;
        }
        let checksum = checksum.and_then(|checksum| {
            let value = finished_checksum(packet.get(checksum.start.into()..)?);
            Some(Finished { place: checksum_place(packet.len(), checksum)?, value })
        });
        let work = Work::Fragment { identification: word_at(packet, 4)?, flags_and_offset, checksum };
        let segments = payload.len().div_ceil(size);
        Some(Self { header, payload, network_length: IPV4_HEADER, size, work, segments, written: 0 })
    }

    /// Makes the header of a fragment right, whose payload begins at `start` of the whole.
    fn finish_fragment(&self, out: &mut [u8], start: usize) {
        let Work::Fragment { identification, flags_and_offset, checksum } = self.work else { return };
        let total_length = out.len();
        let last = self.written.saturating_add(1) == self.segments;
        let more = if last { 0 } else { MORE_FRAGMENTS };
        // That it stays within its 13 bits was seen to at the beginning.
        let offset = u16::try_from(start >> 3).unwrap_or(0);
        if let Some(checksum) = checksum
            && let Some(place) = checksum.place.checked_sub(start).filter(|place| *place >= IPV4_HEADER)
        {
            put(out, place, checksum.value);
        }
        put(out, 6, (flags_and_offset.wrapping_add(offset) | more).to_be_bytes());
        let network = out.get_mut(..self.network_length).unwrap_or_default();
        finish_network(network, total_length, identification);
    }

    fn cut(cut: Segmentation, inner: &Inner, packet: &'a [u8], limit: usize) -> Result<Self, SplitError> {
        let kind = kind_of(cut.kind, inner).ok_or(SplitError::Kind)?;
        let transport = packet.get(inner.network_length..).ok_or(SplitError::Truncated)?;
        let transport_length = match kind {
            Kind::Tcp => tcp_length(transport).ok_or(SplitError::Truncated)?,
            Kind::Udp => UDP_HEADER,
        };
        let header_length = inner.network_length.saturating_add(transport_length);
        let (header, payload) = packet.split_at_checked(header_length).ok_or(SplitError::Truncated)?;
        if payload.is_empty() {
            return Err(SplitError::Truncated);
        }
        let size = segment_size(cut.size.into(), kind, header_length, limit, payload.len())?;
        let work = Work::Cut {
            kind,
            identification: word_at(header, 4).unwrap_or(0),
            sequence: double_at(transport, 4).unwrap_or(0),
            flags: transport.get(13).copied().unwrap_or(0),
        };
        let segments = payload.len().div_ceil(size);
        let network_length = inner.network_length;
        Ok(Self { header, payload, network_length, size, work, segments, written: 0 })
    }

    /// Makes the headers of a segment right, whose payload begins at `start` of the whole.
    fn finish_segment(&self, out: &mut [u8], start: usize) {
        let Work::Cut { kind, identification, sequence, flags } = self.work else { return };
        let total_length = out.len();
        let Some((network, transport)) = out.split_at_mut_checked(self.network_length) else { return };
        // Neither a segment's index nor its offset is past 65,535.
        let index = u16::try_from(self.written).unwrap_or(u16::MAX);
        finish_network(network, total_length, identification.wrapping_add(index));
        match kind {
            Kind::Tcp => {
                let offset = u32::try_from(start).unwrap_or(u32::MAX);
                put(transport, 4, sequence.wrapping_add(offset).to_be_bytes());
                let last = self.written.saturating_add(1) == self.segments;
                put(transport, 13, [flags & flags_kept(self.written == 0, last)]);
            }
            Kind::Udp => {
                put(transport, 4, low(transport.len()));
            }
        }
        let place = kind.checksum_offset().into();
        put(transport, place, [0, 0]);
        let sum = Sum::ZERO.pseudo_header(network, kind.protocol(), transport.len()).bytes(transport);
        put(transport, place, kind.finish(sum));
    }
}

/// The end of a stream's data is said once, at its end; a reduced window once, at the beginning.
fn flags_kept(first: bool, last: bool) -> u8 {
    let beginning = if first { u8::MAX } else { !CWR };
    let end = if last { u8::MAX } else { !(FIN | PSH) };
    beginning & end
}

fn kind_of(kind: SegmentKind, inner: &Inner) -> Option<Kind> {
    if inner.fragment != Fragment::Whole {
        return None;
    }
    match (kind, inner.flow.protocol, inner.flow.is_v4()) {
        (SegmentKind::TcpV4, protocol::TCP, true) | (SegmentKind::TcpV6, protocol::TCP, false) => {
            Some(Kind::Tcp)
        }
        (SegmentKind::Udp, protocol::UDP, _) => Some(Kind::Udp),
        _ => None,
    }
}

fn segment_size(
    asked: usize,
    kind: Kind,
    header_length: usize,
    limit: usize,
    payload: usize,
) -> Result<usize, SplitError> {
    if asked == 0 {
        return Err(SplitError::Size);
    }
    let asked = asked.min(payload);
    let room = limit.saturating_sub(header_length);
    match kind {
        _ if asked <= room => Ok(asked),
        // A limit so small that headers outweigh the payload is a mistake, not a path.
        Kind::Tcp if room >= TCP_HEADER => Ok(room),
        Kind::Tcp | Kind::Udp => Err(SplitError::TooBig { length: header_length.saturating_add(asked) }),
    }
}

/// Where the checksum stands, if it and the bytes it covers lie within the packet.
fn checksum_place(length: usize, checksum: PartialChecksum) -> Option<usize> {
    let place = usize::from(checksum.start).saturating_add(checksum.offset.into());
    (place.saturating_add(2) <= length).then_some(place)
}

fn finish_checksum(packet: &mut [u8], checksum: PartialChecksum) {
    let Some(covered) = packet.get_mut(checksum.start.into()..) else { return };
    let value = finished_checksum(covered);
    put(covered, checksum.offset.into(), value);
}

/// The checksum of bytes that hold the sum of their pseudo-header already.
fn finished_checksum(covered: &[u8]) -> [u8; 2] {
    // All ones says the same as zero, except in UDP, where zero would mean that there is no checksum.
    Sum::ZERO.bytes(covered).finish_udp()
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooBig { length } => write!(f, "{length} bytes do not fit into the tunnel"),
            Self::Kind => write!(f, "packet is not of the kind that its virtio-net header names"),
            Self::Truncated => write!(f, "packet ends before its payload"),
            Self::Size => write!(f, "segment size is zero"),
            Self::Checksum(PartialChecksum { start, offset }) => {
                write!(f, "checksum at {start}+{offset} lies outside the packet")
            }
        }
    }
}

impl Error for SplitError {}

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment needs {} bytes", self.needed)
    }
}

impl Error for BufferTooSmall {}

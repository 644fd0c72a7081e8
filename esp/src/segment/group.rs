//! A super-packet in the making.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::candidate::{Candidate, Header, is_intact};
use super::join::{Joined, Piece};
use super::kind::Kind;
use crate::checksum::Sum;
use crate::flow::Flow;
use crate::headers::{finish_network, low, put};
use crate::virtio::{PartialChecksum, SegmentKind, Segmentation, VirtioHeader};

/// How many packets make one super-packet at most: what a full one has of the usual size, and no more than
/// what every kernel takes for UDP.
const PIECES: usize = 64;
/// What the length field of either IP version can say.
const TOTAL_LENGTH: usize = u16::MAX as usize;

/// How the identification of a group's packets goes on. The kernel counts up when it cuts a super-packet;
/// where DF is set the number means nothing (RFC 6864 §4.1), and senders may well leave it constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identification {
    /// Only one packet seen.
    Unknown,
    Counting,
    Constant,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    flow: Flow,
    header: Header,
    kind: Kind,
    /// The first packet as it came.
    first: Piece,
    /// Payloads, of which `count` are in use; none when the group is vacant.
    pieces: [Piece; PIECES],
    count: usize,
    /// Payload bytes of each packet but the last.
    size: usize,
    total_length: usize,
    sequence: u32,
    next_sequence: u32,
    identification: u16,
    progression: Identification,
    ends: u8,
    /// Nothing may follow.
    closed: bool,
    /// The first packet's checksum has been looked at; before a second one comes there is no need.
    verified: Option<bool>,
}

impl Group {
    pub(super) const EMPTY: Self = Self {
        flow: Flow::UNSPECIFIED,
        header: Header::EMPTY,
        kind: Kind::Tcp,
        first: Piece::EMPTY,
        pieces: [Piece::EMPTY; PIECES],
        count: 0,
        size: 0,
        total_length: 0,
        sequence: 0,
        next_sequence: 0,
        identification: 0,
        progression: Identification::Unknown,
        ends: 0,
        closed: false,
        verified: None,
    };

    pub(super) fn open(&mut self, candidate: &Candidate, packet: Piece, flow: Flow) {
        self.flow = flow;
        self.header = candidate.header;
        self.kind = candidate.kind;
        self.first = packet;
        self.size = candidate.payload_length();
        self.total_length = candidate.header.length();
        self.sequence = candidate.sequence;
        self.next_sequence = candidate.sequence;
        self.identification = candidate.identification;
        self.progression = Identification::Unknown;
        self.ends = 0;
        self.closed = false;
        self.verified = None;
        self.count = 0;
        self.take(candidate);
    }

    /// Whether it holds anything.
    pub(super) fn is_open(&self) -> bool {
        self.count > 0
    }

    /// Whether nothing may follow.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    /// Adds the packet if it continues the group.
    pub(super) fn append(&mut self, candidate: &Candidate, packet: &[u8], buffer: &[u8]) -> bool {
        let Some(progression) = self.continued_by(candidate) else { return false };
        if !is_intact(packet, &candidate.header, candidate.kind) {
            return false;
        }
        let first = || buffer.get(self.first.range()).is_some_and(|p| is_intact(p, &self.header, self.kind));
        if !*self.verified.get_or_insert_with(first) {
            return false;
        }
        self.progression = progression;
        self.take(candidate);
        true
    }

    /// How the identification goes on if the packet's headers continue the group, checksum aside.
    fn continued_by(&self, candidate: &Candidate) -> Option<Identification> {
        let length = candidate.payload_length();
        let fits = self.count > 0
            && !self.closed
            && self.count < PIECES
            && length <= self.size
            && self.total_length.saturating_add(length) <= TOTAL_LENGTH;
        let continues = self.header.length() == candidate.header.length()
            && self.header.bytes == candidate.header.bytes
            && self.next_sequence == candidate.sequence;
        if !(fits && continues) {
            return None;
        }
        let index = u16::try_from(self.count).ok()?;
        let counting =
            candidate.identification == self.identification.wrapping_add(index) || !self.flow.is_v4();
        let constant = candidate.identification == self.identification && self.header.cannot_be_fragmented();
        match self.progression {
            Identification::Unknown | Identification::Counting if counting => Some(Identification::Counting),
            Identification::Unknown | Identification::Constant if constant => Some(Identification::Constant),
            _ => None,
        }
    }

    fn take(&mut self, candidate: &Candidate) {
        let length = candidate.payload_length();
        let Some(piece) = self.pieces.get_mut(self.count) else { return };
        *piece = candidate.payload;
        self.count = self.count.saturating_add(1);
        self.total_length = self.total_length.saturating_add(length);
        if self.kind == Kind::Tcp {
            self.next_sequence = self.next_sequence.wrapping_add(u32::try_from(length).unwrap_or(u32::MAX));
        }
        self.ends |= candidate.ends;
        self.closed = self.ends != 0 || length < self.size || self.count == PIECES;
    }

    /// Lets the group go, if it holds anything.
    pub(super) fn emit(&mut self, buffer: &[u8], emit: &mut impl FnMut(Joined<'_>)) {
        let count = std::mem::take(&mut self.count);
        if count == 1 {
            emit(Joined { virtio: VirtioHeader::default(), header: &[], buffer, pieces: &[self.first] });
        } else if count > 1 {
            let virtio = self.finish();
            let header = self.header.bytes.get(..self.header.length()).unwrap_or_default();
            emit(Joined { virtio, header, buffer, pieces: self.pieces.get(..count).unwrap_or_default() });
        }
    }

    /// Writes the header of the super-packet and says what the kernel has to finish.
    fn finish(&mut self) -> VirtioHeader {
        let (length, network_length) = (self.header.length(), self.header.network_length());
        let transport_length = self.total_length.saturating_sub(network_length);
        let headers = self.header.bytes.get_mut(..length).unwrap_or_default();
        if let Some((network, transport)) = headers.split_at_mut_checked(network_length) {
            finish_network(network, self.total_length, self.identification);
            match self.kind {
                Kind::Tcp => {
                    put(transport, 4, self.sequence.to_be_bytes());
                    put(transport, 13, [transport.get(13).copied().unwrap_or(0) | self.ends]);
                }
                Kind::Udp => put(transport, 4, low(transport_length)),
            }
            let sum = Sum::ZERO.pseudo_header(network, self.kind.protocol(), transport_length);
            put(transport, self.kind.checksum_offset().into(), sum.partial());
        }
        let short = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        VirtioHeader {
            checksum: Some(PartialChecksum {
                start: short(network_length),
                offset: self.kind.checksum_offset(),
            }),
            segmentation: Some(Segmentation {
                kind: match self.kind {
                    Kind::Tcp if self.flow.is_v4() => SegmentKind::TcpV4,
                    Kind::Tcp => SegmentKind::TcpV6,
                    Kind::Udp => SegmentKind::Udp,
                },
                size: short(self.size),
                header_length: short(length),
                ecn: false,
            }),
        }
    }
}

//! Joining packets of one flow into a super-packet.
//!
//! 1. [`Joiner::push`] takes the packets of a batch in order. One that can be part of a super-packet has its
//!    headers read once ([`Candidate`]).
//! 2. It goes to the group of its flow if it continues it exactly: every header field equal but those that
//!    number and sum up, checksum intact. Otherwise that group leaves first, so that no flow is reordered.
//! 3. A group leaves as one header and the slices of the receive buffer that hold its payload, ready for one
//!    gather-write: no payload is copied.
//!
//! A group of one leaves as it came, with the checksum it came with.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::candidate::Candidate;
use super::group::Group;
use crate::flow::{Flow, Inner, Transport};
use crate::virtio::VirtioHeader;
use std::ops::Range;

/// How many flows are put together at a time.
const GROUPS: usize = 16;

/// What the kernel takes in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offloads {
    /// TCP super-packets (TSO).
    pub tcp: bool,
    /// UDP super-packets (USO).
    pub udp: bool,
}

/// Puts packets together. Its arrays are made once; it is empty between batches.
#[derive(Debug)]
pub struct Joiner {
    groups: Vec<Group>,
    /// So many of the first ones may be in use: the others need not be looked at.
    used: usize,
    offloads: Offloads,
    /// The group to leave next when all are taken.
    oldest: usize,
}

/// What leaves for the TUN device: the virtio-net header, then `header`, then every slice.
#[derive(Clone, Copy, Debug)]
pub struct Joined<'a> {
    /// What the kernel is to finish.
    pub virtio: VirtioHeader,
    /// IP and transport header of a super-packet; empty for a single packet, which has its own.
    pub header: &'a [u8],
    pub(super) buffer: &'a [u8],
    pub(super) pieces: &'a [Piece],
}

/// A range of the receive buffer, as offsets so that arrays of them outlive a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    start: u32,
    end: u32,
}

impl Joiner {
    /// A joiner for a device with these offloads.
    pub fn new(offloads: Offloads) -> Self {
        Self { groups: vec![Group::EMPTY; GROUPS], used: 0, offloads, oldest: 0 }
    }

    /// Takes the next packet of a batch: `inner`, read from `buffer` at `start`. What thereby is complete, or
    /// must stay apart, goes to `emit`.
    ///
    /// Until [`finish`](Self::finish) the bytes of the packet stay where they are, and every call names the
    /// same buffer.
    pub fn push(&mut self, buffer: &[u8], start: usize, inner: &Inner, mut emit: impl FnMut(Joined<'_>)) {
        let piece = start.checked_add(inner.total_length).and_then(|end| Piece::new(start, end));
        let Some((piece, packet)) = piece.and_then(|piece| Some((piece, buffer.get(piece.range())?))) else {
            return;
        };
        let Some(candidate) = Candidate::new(packet, start, inner, self.offloads) else {
            self.emit_related(buffer, &inner.flow, &mut emit);
            emit(Joined { virtio: VirtioHeader::default(), header: &[], buffer, pieces: &[piece] });
            return;
        };
        let of_flow = |group: &Group| group.is_open() && group.flow() == inner.flow;
        let Some(group) = (match self.in_use().iter().position(of_flow) {
            Some(index) => self.groups.get_mut(index),
            None => self.vacant(buffer, &mut emit),
        }) else {
            return;
        };
        if !group.append(&candidate, packet, buffer) {
            group.emit(buffer, &mut emit);
            group.open(&candidate, piece, inner.flow);
        }
        if group.is_closed() {
            group.emit(buffer, &mut emit);
        }
    }

    /// Ends the batch: everything still held goes to `emit`.
    pub fn finish(&mut self, buffer: &[u8], mut emit: impl FnMut(Joined<'_>)) {
        for group in self.in_use() {
            group.emit(buffer, &mut emit);
        }
        self.used = 0;
    }

    fn in_use(&mut self) -> &mut [Group] {
        self.groups.get_mut(..self.used).unwrap_or_default()
    }

    /// What is held of a flow leaves before a packet of it that cannot be joined: a bare acknowledgement, a
    /// reset. A fragment may belong to any flow between its hosts.
    fn emit_related(&mut self, buffer: &[u8], flow: &Flow, emit: &mut impl FnMut(Joined<'_>)) {
        let related = |of: Flow| {
            of == *flow
                || flow.transport == Transport::Opaque
                    && (of.protocol, of.source, of.destination)
                        == (flow.protocol, flow.source, flow.destination)
        };
        let related = |group: &&mut Group| group.is_open() && related(group.flow());
        self.in_use().iter_mut().filter(related).for_each(|group| group.emit(buffer, emit));
    }

    fn vacant(&mut self, buffer: &[u8], emit: &mut impl FnMut(Joined<'_>)) -> Option<&mut Group> {
        let index = match self.in_use().iter().position(|group| !group.is_open()) {
            Some(index) => index,
            None if self.used < GROUPS => {
                self.used = self.used.saturating_add(1);
                self.used.saturating_sub(1)
            }
            None => {
                self.oldest = self.oldest.wrapping_add(1) % GROUPS;
                self.oldest
            }
        };
        let group = self.groups.get_mut(index)?;
        group.emit(buffer, emit);
        Some(group)
    }
}

impl<'a> Joined<'a> {
    /// The slices behind the header, in order.
    pub fn slices(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let buffer = self.buffer;
        self.pieces.iter().map(move |piece| buffer.get(piece.range()).unwrap_or_default())
    }

    /// How many packets this was on the wire.
    pub fn packets(&self) -> usize {
        self.pieces.len()
    }

    /// Bytes of the IP packet.
    pub fn length(&self) -> usize {
        self.slices().map(<[u8]>::len).fold(self.header.len(), usize::saturating_add)
    }

    /// The IP packet in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut packet = self.header.to_vec();
        self.slices().for_each(|slice| packet.extend_from_slice(slice));
        packet
    }
}

impl Piece {
    pub(super) const EMPTY: Self = Self { start: 0, end: 0 };

    pub(super) fn new(start: usize, end: usize) -> Option<Self> {
        Some(Self { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    pub(super) fn range(self) -> Range<usize> {
        // Both came from a `usize`.
        let [start, end] = [self.start, self.end].map(|bound| usize::try_from(bound).unwrap_or(usize::MAX));
        start..end
    }
}

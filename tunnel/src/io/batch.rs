//! Batches of datagrams on their way between sockets and workers: one buffer each, made once, and frames
//! that say what lies where in it.
//!
//! Buffers are large and taken from the system as zeros, so that a page costs memory only once something was
//! written to it: what an idle node never fills it does not pay for. Datagrams of a send batch lie one behind
//! the other without gaps, as a run of equal ones has to for UDP_SEGMENT; a slot of a receive batch has room
//! for the longest datagram, or for what UDP_GRO makes of several, and may hold several frames.

use std::net::SocketAddr;
use std::ops::Range;
use tidegate_esp::Encapsulation;

/// The longest datagram there is.
pub const DATAGRAM_MAX: usize = 1 << 16;

/// How many datagrams are received at a time.
const SLOTS: usize = 32;
/// How many of them are offered where one datagram came at a time.
const SLOTS_AT_FIRST: usize = 2;
/// Bytes that are received at a time, as far as can be foreseen: what is opened and written soon after it came
/// is still in the cache of its core then.
const CACHED: usize = 1 << 17;
/// Bytes of a send batch: what a super-packet of full segments becomes, a few times over.
const SEND_BYTES: usize = 1 << 18;
/// Datagrams of a send batch.
const SEND_FRAMES: usize = 256;

/// What a socket has received.
#[derive(Debug)]
pub struct ReceiveBatch {
    /// As many slots of [`DATAGRAM_MAX`] bytes, one behind the other.
    buffer: Vec<u8>,
    frames: Vec<ReceivedFrame>,
    /// How many slots the next call is offered.
    offered: usize,
}

/// Where frames are noted down while the slots that they are in are lent out.
pub(super) struct Arrivals<'a>(&'a mut Vec<ReceivedFrame>);

/// Where a received datagram lies, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// The UDP payload, or the payload of the IP packet where ESP came bare; in the whole buffer.
    pub range: Range<usize>,
    /// How it came.
    pub arrival: Arrival,
}

/// How a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where it came to: one address of ours, even where the socket is bound to any; port 0 where ESP came bare.
    pub local: SocketAddr,
    /// Where it came from.
    pub remote: SocketAddr,
    /// DSCP and ECN of the outer header.
    pub traffic_class: u8,
    /// What kind of socket it came to.
    pub channel: Channel,
}

/// What kind of socket a datagram came to, which says what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The port of IKE alone, 500 as a rule: nothing stands before its header.
    Ike,
    /// The port that IKE shares with ESP, 4500 as a rule: IKE stands behind a marker.
    Shared,
    /// IP protocol 50: ESP alone.
    Esp,
}

/// One received datagram.
#[derive(Debug)]
pub struct Received<'a> {
    /// How it came.
    pub arrival: Arrival,
    /// The datagram, to be worked on in place.
    pub bytes: &'a mut [u8],
}

/// What is to be sent.
#[derive(Debug)]
pub struct SendBatch {
    buffer: Vec<u8>,
    used: usize,
    frames: Vec<SendFrame>,
}

/// A datagram to be sent, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFrame {
    /// Where it lies in the buffer.
    pub range: Range<usize>,
    /// How it goes.
    pub departure: Departure,
}

/// How a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The source; its port picks the socket.
    pub local: SocketAddr,
    /// The destination.
    pub remote: SocketAddr,
    /// What it goes in.
    pub encapsulation: Encapsulation,
    /// DSCP and ECN of the outer header.
    pub traffic_class: u8,
    /// Whether the network may fragment it.
    pub fragmentation: Fragmentation,
}

/// Whether the network may fragment a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fragmentation {
    /// It may.
    Allowed,
    /// It may not: DF is set.
    Forbidden,
}

impl ReceiveBatch {
    /// An empty batch.
    pub fn new() -> Self {
        let frames = Vec::with_capacity(SLOTS);
        Self { buffer: vec![0; SLOTS * DATAGRAM_MAX], frames, offered: SLOTS_AT_FIRST }
    }

    /// Forgets what is in it. The buffers stay.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// How many datagrams can be received at once.
    pub fn slot_count(&self) -> usize {
        SLOTS
    }

    /// The slots to receive into, in order.
    pub fn slots(&mut self) -> impl ExactSizeIterator<Item = &mut [u8]> {
        self.buffer.chunks_exact_mut(DATAGRAM_MAX)
    }

    /// As many slots as are worth offering to a call, with where to note down what came into them: twice what
    /// the last call has filled, as long as all stays in the cache. A place for each has to be laid out, and where one datagram comes at a time
    /// that would take longer than to receive it.
    pub(super) fn lend(&mut self) -> (impl ExactSizeIterator<Item = &mut [u8]>, Arrivals<'_>) {
        let slots = self.buffer.chunks_exact_mut(DATAGRAM_MAX).take(self.offered);
        (slots, Arrivals(&mut self.frames))
    }

    /// So many slots were filled, with all the frames that there are.
    pub(super) fn filled(&mut self, slots: usize) {
        let bytes: usize = self.frames.iter().map(|frame| frame.range.len()).sum();
        let usual = bytes.checked_div(slots).unwrap_or(0).max(1);
        self.offered = (2 * slots).min(CACHED / usual).clamp(SLOTS_AT_FIRST, SLOTS);
    }

    /// Says that a datagram lies at `range` of a slot. `false`, and nothing is remembered, when the slot has no
    /// such range.
    pub fn arrived(&mut self, slot: usize, range: Range<usize>, arrival: Arrival) -> bool {
        Arrivals(&mut self.frames).note(slot, range, arrival)
    }

    /// Copies a datagram into the next free slot; for whoever has its bytes already. `false` when there is
    /// no slot, or the datagram is too long.
    pub fn push(&mut self, bytes: &[u8], arrival: Arrival) -> bool {
        let slot = self.frames.last().map_or(0, |last| last.range.start / DATAGRAM_MAX + 1);
        let Some(room) = self.slots().nth(slot).and_then(|room| room.get_mut(..bytes.len())) else {
            return false;
        };
        room.copy_from_slice(bytes);
        self.arrived(slot, 0..bytes.len(), arrival)
    }

    /// What has arrived, in order.
    pub fn frames(&self) -> &[ReceivedFrame] {
        &self.frames
    }

    /// All of the buffer, which the ranges of the frames are in.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// One datagram by its place among the frames.
    pub fn received(&mut self, index: usize) -> Option<Received<'_>> {
        let ReceivedFrame { range, arrival } = self.frames.get(index)?;
        let bytes = self.buffer.get_mut(range.clone())?;
        Some(Received { arrival: *arrival, bytes })
    }
}

impl Arrivals<'_> {
    /// See [`ReceiveBatch::arrived`].
    pub(super) fn note(&mut self, slot: usize, range: Range<usize>, arrival: Arrival) -> bool {
        let fits = slot < SLOTS && range.start <= range.end && range.end <= DATAGRAM_MAX;
        if fits {
            let start = slot * DATAGRAM_MAX;
            let range = start + range.start..start + range.end;
            self.0.push(ReceivedFrame { range, arrival });
        }
        fits
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl SendBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self { buffer: vec![0; SEND_BYTES], used: 0, frames: Vec::with_capacity(SEND_FRAMES) }
    }

    /// Forgets what is in it. The buffer stays.
    pub fn clear(&mut self) {
        self.used = 0;
        self.frames.clear();
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Room for a datagram of up to this length, behind all others; `None` when the batch has to be sent first.
    /// What stands in it is left over from former batches.
    pub fn room(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.frames.len() >= SEND_FRAMES {
            return None;
        }
        self.buffer.get_mut(self.used..)?.get_mut(..length)
    }

    /// The first `length` bytes of what [`room`](Self::room) gave are a datagram.
    pub fn commit(&mut self, length: usize, departure: Departure) {
        let end = (self.used + length).min(self.buffer.len());
        self.frames.push(SendFrame { range: self.used..end, departure });
        self.used = end;
    }

    /// What is to be sent, in order.
    pub fn frames(&self) -> &[SendFrame] {
        &self.frames
    }

    /// The bytes of a frame of this batch.
    pub fn bytes(&self, frame: &SendFrame) -> &[u8] {
        self.buffer.get(frame.range.clone()).unwrap_or_default()
    }

    /// The bytes of frames of this batch that lie one behind the other.
    pub fn bytes_of(&self, run: &[SendFrame]) -> &[u8] {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return &[] };
        self.buffer.get(first.range.start..last.range.end).unwrap_or_default()
    }

    /// All of the buffer, which the ranges of the frames are in.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

//! The sealing half of an SA.
//!
//! 1. A worker [reserves](Outbound::reserve) the sequence numbers of a whole batch at once. This is where
//!    limits are met, and the only step that several threads contend for.
//! 2. It [seals](Reservation::seal) each datagram where it stands in the send buffer: header and IV go into
//!    the room in front, padding and ICV behind.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::crypto::{Backend, Cipher, KeyLengthError, SealingKey, Suite};
use crate::iv::{IvSecret, IvSource};
use crate::sync::{AtomicU64, Once, Ordering};
use crate::transform::Transform;
use crate::wire::{self, HEADER_LEN, Header, NextHeader, TRAILER_LEN};
use crate::{Limits, Marking, Params, Path, SelectorPair, SequenceNumbers, Spi, TfcPadding};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What the ciphertext of AES-GCM is padded to. Four bytes would do; the providers are a third slower where
/// the last block is not whole.
const GCM_ALIGNMENT: usize = 16;

/// One direction of an SA, from us to the peer.
pub struct Outbound {
    spi: Spi,
    key: SealingKey,
    transform: Transform,
    alignment: usize,
    iv: IvSource,
    tfc: TfcPadding,
    /// The last number taken.
    taken: AtomicU64,
    /// The number after which there is none: the SA's own end or its hard limit.
    last: u64,
    bytes: AtomicU64,
    limits: Limits,
    successor_asked: Once,
    selectors: Arc<SelectorPair>,
    marking: Marking,
}

/// Sequence numbers taken from an SA and not used yet. Those left over at its end are lost, which a peer
/// cannot tell from loss on the way.
pub struct Reservation<'a> {
    outbound: &'a Outbound,
    next: u64,
    left: u64,
    bytes: u64,
    soft_limit: bool,
}

/// Why an SA has no more sequence numbers to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spent {
    /// The last sequence number has been taken (RFC 4303 §3.3.3).
    Numbers,
    /// A hard limit is reached.
    HardLimit,
}

/// Why a datagram was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotSealed {
    /// The reservation is used up.
    NoNumber,
    /// The buffer has no room for the sealed packet.
    NoRoom,
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// The cipher refused it: longer than a packet can be.
    Cipher,
}

impl Outbound {
    /// Expands the keys of one direction.
    pub fn new(backend: Backend, params: &Params, iv_secret: &IvSecret) -> Result<Self, KeyLengthError> {
        let end = match params.sequence_numbers {
            SequenceNumbers::Short => u64::from(u32::MAX),
            SequenceNumbers::Extended => u64::MAX,
        };
        Ok(Self {
            spi: params.spi,
            key: SealingKey::new(backend, params.suite, &params.keys)?,
            transform: Transform::new(params.suite, params.sequence_numbers),
            alignment: alignment(params.suite),
            iv: IvSource::new(params.suite, iv_secret),
            tfc: params.tfc,
            taken: AtomicU64::new(0),
            last: end.min(params.limits.hard_packets),
            bytes: AtomicU64::new(0),
            limits: params.limits,
            successor_asked: Once::default(),
            selectors: Arc::clone(&params.selectors),
            marking: params.marking,
        })
    }

    /// The peer's index.
    pub fn spi(&self) -> Spi {
        self.spi
    }

    /// What the SA protects.
    pub fn selectors(&self) -> &Arc<SelectorPair> {
        &self.selectors
    }

    /// What the outer header takes from the inner one.
    pub fn marking(&self) -> Marking {
        self.marking
    }

    /// Sequence numbers taken so far.
    pub fn packets(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Bytes of datagrams sealed so far, by reservations that have ended.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Room that [`Reservation::seal`] needs in front of the datagram.
    #[inline]
    pub fn front_len(&self) -> usize {
        self.transform.front_len()
    }

    /// Length of the ESP packet that a datagram of this length becomes.
    #[inline]
    pub fn sealed_len(&self, datagram_len: usize) -> usize {
        self.packet_len(self.tfc.padded_len(datagram_len))
    }

    /// The longest datagram that becomes an ESP packet of no more than `packet_len` bytes when TFC padding
    /// gives way; 0 when there is none.
    #[inline]
    pub fn datagram_len_within(&self, packet_len: usize) -> usize {
        let around = self.front_len().saturating_add(self.transform.icv_len());
        let body_room = packet_len.saturating_sub(around);
        // Alignments are powers of two.
        let aligned = body_room & !self.alignment.saturating_sub(1);
        aligned.saturating_sub(TRAILER_LEN)
    }

    /// The longest datagram that goes over a path without being fragmented on it, whose packets are of at most
    /// `mtu` bytes (RFC 4301 §8.2.1); 0 when there is none.
    pub fn inner_mtu(&self, path: &Path, mtu: usize) -> usize {
        self.datagram_len_within(mtu.saturating_sub(path.headers_len()))
    }

    /// Takes up to `packets` consecutive numbers, fewer where fewer are left.
    ///
    /// The hard limit on bytes is looked at here alone: a batch that begins below it may end above it.
    #[inline]
    pub fn reserve(&self, packets: u32) -> Result<Reservation<'_>, Spent> {
        let bytes = self.bytes();
        if bytes >= self.limits.hard_bytes {
            return Err(Spent::HardLimit);
        }
        let mut taken = self.taken.load(Ordering::Relaxed);
        let granted = loop {
            // RFC 4303 §3.3.3: the number MUST NOT cycle.
            let granted = self.last.saturating_sub(taken).min(packets.into());
            if granted == 0 && packets != 0 {
                return Err(self.spent());
            }
            let after = taken.saturating_add(granted);
            match self.taken.compare_exchange_weak(taken, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break granted,
                Err(actual) => taken = actual,
            }
        };
        let crossed =
            taken.saturating_add(granted) >= self.limits.soft_packets || bytes >= self.limits.soft_bytes;
        Ok(Reservation {
            outbound: self,
            next: taken.saturating_add(1),
            left: granted,
            bytes: 0,
            soft_limit: crossed && self.successor_asked.first(),
        })
    }

    /// Length of a packet with this much payload, TFC padding included.
    #[inline]
    fn packet_len(&self, payload_len: usize) -> usize {
        let body_len = payload_len
            .saturating_add(TRAILER_LEN)
            .checked_next_multiple_of(self.alignment)
            .unwrap_or(usize::MAX);
        self.front_len().saturating_add(body_len).saturating_add(self.transform.icv_len())
    }

    #[cold]
    fn spent(&self) -> Spent {
        if self.last == self.limits.hard_packets { Spent::HardLimit } else { Spent::Numbers }
    }
}

impl Reservation<'_> {
    /// How many packets it can still seal.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Whether this reservation passed a soft limit: true for one reservation in the life of an SA.
    pub fn passed_soft_limit(&self) -> bool {
        self.soft_limit
    }

    /// Seals the datagram that stands in `buffer` behind [`Outbound::front_len`] bytes of room. Returns the
    /// length of the ESP packet, which begins where `buffer` does and never ends behind it: a buffer cut to
    /// the path's MTU makes TFC padding give way.
    #[inline]
    pub fn seal(&mut self, buffer: &mut [u8], datagram_len: usize) -> Result<usize, NotSealed> {
        let front_len = self.outbound.front_len();
        let next_header = buffer
            .get(front_len..)
            .and_then(|rest| rest.get(..datagram_len))
            .ok_or(NotSealed::NoRoom)
            .and_then(|datagram| NextHeader::of(datagram).ok_or(NotSealed::NotIp))?;
        let outbound = self.outbound;
        let payload_len =
            outbound.tfc.padded_len(datagram_len).min(outbound.datagram_len_within(buffer.len()));
        let length = outbound.packet_len(payload_len.max(datagram_len));
        self.seal_as(next_header, buffer.get_mut(..length).ok_or(NotSealed::NoRoom)?, datagram_len)
    }

    /// Seals a dummy packet as long as one with a datagram of `datagram_len` bytes (RFC 4303 §2.6). The
    /// peer drops it, once it has seen by it that the SA is in use.
    pub fn seal_dummy(&mut self, buffer: &mut [u8], datagram_len: usize) -> Result<usize, NotSealed> {
        let length = self.outbound.sealed_len(datagram_len);
        let packet = buffer.get_mut(..length).ok_or(NotSealed::NoRoom)?;
        packet.fill(0);
        self.seal_as(NextHeader::Dummy, packet, datagram_len)
    }

    #[inline]
    fn seal_as(
        &mut self,
        next_header: NextHeader,
        packet: &mut [u8],
        datagram_len: usize,
    ) -> Result<usize, NotSealed> {
        let number = self.take().ok_or(NotSealed::NoNumber)?;
        self.bytes = self.bytes.saturating_add(datagram_len as u64);
        self.outbound.seal(number, next_header, packet, datagram_len)?;
        Ok(packet.len())
    }

    #[inline]
    fn take(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        Some(number)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.outbound.bytes.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Outbound {
    #[inline]
    fn seal(
        &self,
        number: u64,
        next_header: NextHeader,
        packet: &mut [u8],
        datagram_len: usize,
    ) -> Result<(), NotSealed> {
        let (header, rest) = packet.split_first_chunk_mut::<HEADER_LEN>().ok_or(NotSealed::NoRoom)?;
        *header = Header { spi: self.spi, sequence_low: number as u32 }.to_bytes();
        let (iv, rest) = rest.split_at_mut_checked(self.transform.iv_len()).ok_or(NotSealed::NoRoom)?;
        self.iv.write(number, iv).ok_or(NotSealed::NoRoom)?;
        let body_len = rest.len().checked_sub(self.transform.icv_len()).ok_or(NotSealed::NoRoom)?;
        let room = rest.get_mut(datagram_len..body_len).ok_or(NotSealed::NoRoom)?;
        // Padding proper is what no TFC padding takes: up to the alignment, so that the last TFC byte is
        // where a packet without alignment would end.
        let fill = room.len().saturating_sub(TRAILER_LEN);
        let padding = fill.min(self.alignment.saturating_sub(1)) as u8;
        wire::write_trailer(room, padding, next_header).ok_or(NotSealed::NoRoom)?;
        self.transform.seal(&self.key, number, packet).map_err(|_| NotSealed::Cipher)
    }
}

fn alignment(suite: Suite) -> usize {
    match suite.cipher() {
        Cipher::AesGcm16(_) => GCM_ALIGNMENT,
        Cipher::AesCbc(_) | Cipher::Null | Cipher::AesGmac(_) | Cipher::ChaCha20Poly1305 => suite.block_len(),
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numbers => "the SA has no sequence number left",
            Self::HardLimit => "the SA has reached its hard limit",
        })
    }
}

impl Error for Spent {}

impl fmt::Display for NotSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "the reservation is used up",
            Self::NoRoom => "the buffer has no room for the sealed packet",
            Self::NotIp => "the datagram is neither IPv4 nor IPv6",
            Self::Cipher => "the cipher refused the packet",
        })
    }
}

impl Error for NotSealed {}

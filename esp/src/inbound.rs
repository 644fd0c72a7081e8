//! The opening half of an SA.
//!
//! 1. Header and lengths: what cannot be a packet of this SA goes first.
//! 2. The sequence number, its high half recovered, against the window: a look, nothing changes.
//! 3. Integrity, then decryption, in place.
//! 4. The window takes the number. Of several copies in flight one gets past this point.
//! 5. Padding, next header and the datagram's own length: only now do they come from the peer.
//! 6. The selectors: see [`Opened::admit`].

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::counters::DropReason;
use crate::crypto::{Backend, KeyLengthError, OpeningKey};
use crate::policy;
use crate::replay::{Freshness, Window};
use crate::sync::{AtomicU64, Once, Ordering};
use crate::transform::Transform;
use crate::wire::{self, Header};
use crate::{Inner, Limits, Params, SelectorPair, SequenceNumbers, Spi};
use std::sync::Arc;

/// One direction of an SA, from the peer to us. Any number of threads may open packets with it, each through
/// an [`Opener`] of its own.
pub struct Inbound {
    spi: Spi,
    key: OpeningKey,
    transform: Transform,
    sequence_numbers: SequenceNumbers,
    /// Below this a packet has no room for its trailer.
    shortest: usize,
    window: Window,
    packets: AtomicU64,
    bytes: AtomicU64,
    limits: Limits,
    successor_asked: Once,
    selectors: Arc<SelectorPair>,
}

/// Opens a batch of packets of one SA and counts them all at once, when it is dropped: two words less for
/// each packet that threads would fight for.
pub struct Opener<'a> {
    inbound: &'a Inbound,
    packets: Count,
    bytes: Count,
}

/// What stood when a batch began, and what it added.
struct Count {
    before: u64,
    added: u64,
}

/// A packet whose integrity holds and whose number was taken. Its datagram is still out of reach: it must
/// be shown to be one the SA covers.
pub struct Opened<'a> {
    datagram: &'a mut [u8],
    selectors: &'a SelectorPair,
    freshness: Freshness,
    soft_limit: bool,
}

/// A datagram that its peer may send.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted<'a> {
    /// The datagram, without padding of any kind.
    pub datagram: &'a mut [u8],
    /// Its flow and layout, which the check has read.
    pub inner: Inner,
}

/// A packet that went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub reason: DropReason,
    /// How its number stood, if it came from the peer beyond doubt: such a packet is a sign of life, and
    /// the SA it came on is in use, whatever is wrong with it.
    pub authentic: Option<Freshness>,
}

impl Inbound {
    /// Expands the keys of one direction.
    pub fn new(backend: Backend, params: &Params) -> Result<Self, KeyLengthError> {
        let transform = Transform::new(params.suite, params.sequence_numbers);
        let around = transform.front_len().saturating_add(transform.icv_len());
        Ok(Self {
            spi: params.spi,
            key: OpeningKey::new(backend, params.suite, &params.keys)?,
            transform,
            shortest: around.saturating_add(wire::TRAILER_LEN),
            sequence_numbers: params.sequence_numbers,
            window: Window::new(params.replay_window),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            limits: params.limits,
            successor_asked: Once::default(),
            selectors: Arc::clone(&params.selectors),
        })
    }

    /// Our index.
    pub fn spi(&self) -> Spi {
        self.spi
    }

    /// What the SA protects.
    pub fn selectors(&self) -> &Arc<SelectorPair> {
        &self.selectors
    }

    /// Authentic packets so far, of batches that have ended.
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Bytes of datagrams so far, of batches that have ended. Authentic packets without a datagram count whole.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Where in a packet its datagram begins: what is opened stays in place.
    #[inline]
    pub fn front_len(&self) -> usize {
        self.transform.front_len()
    }

    /// Begins a batch of packets.
    #[inline]
    pub fn opener(&self) -> Opener<'_> {
        Opener {
            inbound: self,
            packets: Count { before: self.packets(), added: 0 },
            bytes: Count { before: self.bytes(), added: 0 },
        }
    }

    #[inline]
    fn number(&self, low: u32) -> Option<u64> {
        match self.sequence_numbers {
            SequenceNumbers::Short => Some(low.into()),
            SequenceNumbers::Extended => self.window.recover(low),
        }
    }
}

impl<'a> Opener<'a> {
    /// Opens an ESP packet in place. On failure `packet` may have been overwritten, never with plaintext
    /// that is not authentic.
    ///
    /// If 2^32 packets on end are lost, extended numbers lose step for good. RFC 4303 appendix A3 would try
    /// higher halves in turn: here it is left to the liveness check of IKE, which takes seconds where that
    /// loss takes minutes at any rate a link can carry.
    #[inline]
    pub fn open<'p>(&mut self, packet: &'p mut [u8]) -> Result<Opened<'p>, Rejected>
    where
        'a: 'p,
    {
        let inbound = self.inbound;
        let header = Header::parse(packet).ok_or(DropReason::Malformed)?;
        if header.spi != inbound.spi {
            return Err(DropReason::NoSa.into());
        }
        if packet.len() < inbound.shortest {
            return Err(DropReason::Malformed.into());
        }
        if self.reached(inbound.limits.hard_packets, inbound.limits.hard_bytes) {
            return Err(DropReason::Expired.into());
        }
        let number = inbound.number(header.sequence_low).ok_or(DropReason::TooOld)?;
        let claim = inbound.window.check(number).map_err(DropReason::from)?;
        let plaintext =
            inbound.transform.open(&inbound.key, number, packet).map_err(|_| DropReason::Integrity)?;
        let freshness = claim.commit().map_err(DropReason::from)?;
        self.packets.add(1);
        let padded = plaintext.len();
        let stripped = wire::strip_trailer(plaintext);
        // As the peer counts them that sealed it; what holds none counts whole, so that it counts at all.
        let carried = if let Ok(Some(datagram)) = &stripped { datagram.len() } else { padded };
        self.bytes.add(carried as u64);
        match stripped {
            Ok(Some(datagram)) => Ok(Opened {
                datagram,
                selectors: &inbound.selectors,
                freshness,
                soft_limit: self.reached(inbound.limits.soft_packets, inbound.limits.soft_bytes)
                    && inbound.successor_asked.first(),
            }),
            Ok(None) => Err(Rejected { reason: DropReason::Dummy, authentic: Some(freshness) }),
            Err(malformed) => Err(Rejected { reason: malformed.into(), authentic: Some(freshness) }),
        }
    }

    #[inline]
    fn reached(&self, packets: u64, bytes: u64) -> bool {
        self.packets.now() >= packets || self.bytes.now() >= bytes
    }
}

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        self.inbound.packets.fetch_add(self.packets.added, Ordering::Relaxed);
        self.inbound.bytes.fetch_add(self.bytes.added, Ordering::Relaxed);
    }
}

impl Count {
    #[inline]
    fn add(&mut self, more: u64) {
        self.added = self.added.saturating_add(more);
    }

    #[inline]
    fn now(&self) -> u64 {
        self.before.saturating_add(self.added)
    }
}

impl<'a> Opened<'a> {
    /// How the packet's number stood: the first of an SA tells that the peer has moved to it, and only a
    /// packet newer than all others may move a peer's address.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Whether this packet passed a soft limit: true for one packet in the life of an SA.
    pub fn passed_soft_limit(&self) -> bool {
        self.soft_limit
    }

    /// Hands out the datagram if it is one that the SA covers (RFC 4301 §5.2 step 4): a peer may send from no
    /// address but its own.
    #[inline]
    pub fn admit(self) -> Result<Admitted<'a>, Rejected> {
        match policy::admit(self.selectors, self.datagram) {
            Ok(inner) => Ok(Admitted { datagram: self.datagram, inner }),
            Err(refusal) => Err(Rejected { reason: refusal.into(), authentic: Some(self.freshness) }),
        }
    }
}

impl From<DropReason> for Rejected {
    /// A packet of which nobody can say where it came from.
    fn from(reason: DropReason) -> Self {
        Self { reason, authentic: None }
    }
}

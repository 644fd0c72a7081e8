//! From packet threads to control: three bounded queues, and what does not fit is dropped and counted.
//!
//! 1. IKE messages of SPIs we know come before everything else.
//! 2. Then what workers have seen. A part of that queue is kept for what is told only once.
//! 3. IKE messages of nobody we know come last: a flood of IKE_SA_INIT starves no established SA.

use super::packets::Trouble;
use crate::notice::{IkeDatagram, Notice};
use crate::worker::Control;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_ike::{Framing, Path, Transmit};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// The longest message that a stranger has any reason to send, certificates and all: a full queue of them is to
/// stay within a few megabytes.
const STRANGER_MAX: usize = 1 << 14;
/// Bytes of a non-ESP marker.
const MARKER: usize = 4;
/// Of these in a header come both SPIs and, after two bytes more, what it says of its sender.
const SPI: usize = 8;
const FLAGS: usize = 19;
/// Set by whoever began the IKE SA (RFC 7296 §3.1).
const FROM_INITIATOR: u8 = 0x08;

/// How much there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// IKE messages of SPIs we know.
    pub known: usize,
    /// IKE messages of all others.
    pub unknown: usize,
    /// What workers have seen.
    pub reports: usize,
    /// SPIs that are known at a time; of two that share a place the one used last is.
    pub spis: usize,
}

/// What packet threads put in. Clones are for other threads.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    known: Sender<IkeDatagram>,
    unknown: Sender<IkeDatagram>,
    reports: Sender<Report>,
    spis: Arc<KnownSpis>,
    lost: Arc<Lost>,
}

/// What control takes out.
#[derive(Debug)]
pub struct Inbox {
    known: Receiver<IkeDatagram>,
    unknown: Receiver<IkeDatagram>,
    reports: Receiver<Report>,
    lost: Arc<Lost>,
}

/// One thing for control.
#[derive(Debug)]
pub enum Mail {
    /// An IKE message.
    Ike(IkeDatagram),
    /// What a packet thread has to say.
    Report(Report),
}

/// What a packet thread has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// For the engine.
    Notice(Notice),
    /// For an operator.
    Trouble(Trouble),
}

/// How much there was no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostMail {
    /// IKE messages of SPIs we know.
    pub known: u64,
    /// IKE messages of all others.
    pub unknown: u64,
    /// What workers have seen.
    pub reports: u64,
}

/// Our own IKE SPIs, as far as they are remembered. Control notes them as it transmits, packet threads look.
#[derive(Debug)]
pub struct KnownSpis {
    places: Box<[AtomicU64]>,
}

#[derive(Debug, Default)]
struct Lost {
    known: AtomicU64,
    unknown: AtomicU64,
    reports: AtomicU64,
}

/// Mailboxes and the inbox they lead to.
pub fn mailboxes(sizes: Sizes) -> (Mailboxes, Inbox) {
    let (known, known_inbox) = channel(sizes.known.max(1));
    let (unknown, unknown_inbox) = channel(sizes.unknown.max(1));
    let (reports, reports_inbox) = channel(sizes.reports.max(1));
    let (spis, lost) = (Arc::new(KnownSpis::new(sizes.spis)), Arc::<Lost>::default());
    let mailboxes = Mailboxes { known, unknown, reports, spis, lost: Arc::clone(&lost) };
    (mailboxes, Inbox { known: known_inbox, unknown: unknown_inbox, reports: reports_inbox, lost })
}

impl Mailboxes {
    /// The SPIs by which messages are sorted.
    pub fn spis(&self) -> &Arc<KnownSpis> {
        &self.spis
    }

    /// Tells an operator.
    pub fn trouble(&self, trouble: Trouble) {
        self.report(Report::Trouble(trouble));
    }

    fn report(&self, report: Report) {
        let full = report.comes_again() && self.reports.capacity() <= self.reports.max_capacity() / 2;
        if full || self.reports.try_send(report).is_err() {
            self.lost.reports.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Control for Mailboxes {
    fn ike(&mut self, path: Path, bytes: &[u8]) {
        let (queue, lost, longest) = match self.spis.knows(path.framing, bytes) {
            true => (&self.known, &self.lost.known, usize::MAX),
            false => (&self.unknown, &self.lost.unknown, STRANGER_MAX),
        };
        // Copied only where there is room.
        match queue.try_reserve() {
            Ok(place) if bytes.len() <= longest => {
                place.send(IkeDatagram { path, bytes: Bytes::copy_from_slice(bytes) });
            }
            Ok(_) | Err(TrySendError::Full(()) | TrySendError::Closed(())) => {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.report(Report::Notice(notice));
    }
}

impl Inbox {
    /// The next thing to be done; `None` when all mailboxes are gone. What is not waited for to its end is not
    /// lost.
    pub async fn next(&mut self) -> Option<Mail> {
        tokio::select! {
            biased;
            Some(datagram) = self.known.recv() => Some(Mail::Ike(datagram)),
            Some(report) = self.reports.recv() => Some(Mail::Report(report)),
            Some(datagram) = self.unknown.recv() => Some(Mail::Ike(datagram)),
            else => None,
        }
    }

    /// The next thing to be done, if there is one just now.
    pub fn try_next(&mut self) -> Option<Mail> {
        let known = |inbox: &mut Self| inbox.known.try_recv().ok().map(Mail::Ike);
        let report = |inbox: &mut Self| inbox.reports.try_recv().ok().map(Mail::Report);
        let unknown = |inbox: &mut Self| inbox.unknown.try_recv().ok().map(Mail::Ike);
        known(self).or_else(|| report(self)).or_else(|| unknown(self))
    }

    /// How much there was no room for.
    pub fn lost(&self) -> LostMail {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LostMail {
            known: read(&self.lost.known),
            unknown: read(&self.lost.unknown),
            reports: read(&self.lost.reports),
        }
    }
}

impl Report {
    /// Whether it is said again before long if it is lost, or little is.
    fn comes_again(&self) -> bool {
        match self {
            Self::Notice(Notice::SoftLimit(_) | Notice::FirstInbound(_) | Notice::HardLimit(_)) => false,
            Self::Notice(
                Notice::Acquire { .. }
                | Notice::PeerMoved { .. }
                | Notice::Activity(_)
                | Notice::UnknownSpi { .. }
                | Notice::PathMtu(_),
            ) => true,
            Self::Trouble(_) => true,
        }
    }
}

impl KnownSpis {
    /// Room for about as many.
    pub fn new(spis: usize) -> Self {
        Self { places: (0..spis.max(1).next_power_of_two()).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Remembers the SPI that we have chosen for the SA of this message, if it is IKE and has one yet.
    pub fn note(&self, transmitted: &Transmit) {
        let Some(header) = Header::read(transmitted.path.framing, &transmitted.bytes) else { return };
        let ours = if header.from_initiator { header.initiator } else { header.responder };
        if ours != 0
            && let Some(place) = self.place(ours)
        {
            place.store(ours, Ordering::Relaxed);
        }
    }

    /// Whether a received message names an SPI that we have chosen and sent from not long ago.
    pub fn knows(&self, framing: Framing, received: &[u8]) -> bool {
        let Some(header) = Header::read(framing, received) else { return false };
        let ours = if header.from_initiator { header.responder } else { header.initiator };
        ours != 0 && self.place(ours).is_some_and(|place| place.load(Ordering::Relaxed) == ours)
    }

    fn place(&self, spi: u64) -> Option<&AtomicU64> {
        // An odd number with bits all over; the upper ones of the product depend on all of the SPI.
        let hash = spi.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        // There is a power of two of them.
        self.places.get(hash as usize & (self.places.len() - 1))
    }
}

impl Sizes {
    /// For a node with few peers of which there are many in a process.
    pub fn small() -> Self {
        Self { known: 64, unknown: 32, reports: 128, spis: 64 }
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self { known: 1024, unknown: 256, reports: 1024, spis: 4096 }
    }
}

/// What sorting goes by (RFC 7296 §3.1).
struct Header {
    initiator: u64,
    responder: u64,
    from_initiator: bool,
}

impl Header {
    fn read(framing: Framing, bytes: &[u8]) -> Option<Self> {
        let bytes = match framing {
            Framing::Bare => bytes,
            Framing::Marked => bytes.get(MARKER..)?,
        };
        let spi = |bytes: &[u8]| bytes.first_chunk::<SPI>().map(|spi| u64::from_be_bytes(*spi));
        Some(Self {
            initiator: spi(bytes)?,
            responder: spi(bytes.get(SPI..)?)?,
            from_initiator: bytes.get(FLAGS)? & FROM_INITIATOR != 0,
        })
    }
}

//! From packet threads to control: three bounded queues, and what does not fit is dropped and counted.
//!
//! 1. IKE messages of SPIs we know come before everything else.
//! 2. Then what workers have seen. A part of that queue is kept for what is told only once.
//! 3. IKE messages of nobody we know come last: a flood of IKE_SA_INIT starves no established SA.
//!
//! And there are no more of 1 and 3 in a second than control has time for, whatever comes (`admission`).

mod admission;

pub use admission::Rates;

use super::packets::Trouble;
use crate::io::clock::Clock;
use crate::notice::{IkeDatagram, Notice};
use crate::worker::Control;
use admission::{Span, Strangers};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_ike::{Framing, Path, Time, Transmit};
use tokio::sync::mpsc::{self, Receiver, channel, error::TrySendError};

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
    /// How many IKE messages there may be in a second.
    pub rates: Rates,
}

/// What packet threads put in. Clones are for other threads.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    known: mpsc::Sender<IkeDatagram>,
    unknown: mpsc::Sender<IkeDatagram>,
    reports: mpsc::Sender<Report>,
    spis: Arc<KnownSpis>,
    strangers: Arc<Strangers>,
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
    places: Box<[Place]>,
    /// How many messages a second there may be of each.
    rate: u32,
}

/// One of them, and how often it has been named of late.
#[derive(Debug, Default)]
struct Place {
    spi: AtomicU64,
    span: Span,
}

/// Whose message one is.
enum Sender<'a> {
    /// Of an SA that has its SPI here.
    Known(&'a Place),
    /// Of nobody we know, who names these SPIs.
    Stranger(&'a [u8]),
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
    let (spis, lost) = (KnownSpis::new(sizes.spis, sizes.rates.known), Arc::<Lost>::default());
    let (spis, strangers) = (Arc::new(spis), Arc::new(Strangers::new(sizes.rates)));
    let mailboxes = Mailboxes { known, unknown, reports, spis, strangers, lost: Arc::clone(&lost) };
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

    /// An IKE message has come at this time.
    pub fn ike_at(&self, now: Time, path: Path, bytes: &[u8]) {
        let (queue, lost, admitted) = match self.spis.sender(path.framing, bytes) {
            Sender::Known(place) => (&self.known, &self.lost.known, place.span.take(now, self.spis.rate)),
            Sender::Stranger(spis) => {
                let admitted =
                    bytes.len() <= STRANGER_MAX && self.strangers.admit(now, path.remote.ip(), spis);
                (&self.unknown, &self.lost.unknown, admitted)
            }
        };
        // Copied only where there is room.
        match queue.try_reserve() {
            Ok(place) if admitted => {
                place.send(IkeDatagram { path, bytes: Bytes::copy_from_slice(bytes) });
            }
            Ok(_) | Err(TrySendError::Full(()) | TrySendError::Closed(())) => {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }
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
        self.ike_at(Clock.time(), path, bytes);
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
                | Notice::Activity { .. }
                | Notice::UnknownSpi { .. }
                | Notice::PathMtu(_),
            ) => true,
            Self::Trouble(_) => true,
        }
    }
}

impl KnownSpis {
    /// Room for about as many, with so many messages of each a second.
    pub fn new(spis: usize, rate: u32) -> Self {
        let places = (0..spis.max(1).next_power_of_two()).map(|_| Place::default());
        Self { places: places.collect(), rate }
    }

    /// Remembers the SPI that we have chosen for the SA of this message, if it is IKE and has one yet.
    pub fn note(&self, transmitted: &Transmit) {
        let Some(header) = Header::read(transmitted.path.framing, &transmitted.bytes) else { return };
        let ours = if header.from_initiator { header.initiator } else { header.responder };
        if ours != 0
            && let Some(place) = self.place(ours)
        {
            place.spi.store(ours, Ordering::Relaxed);
        }
    }

    /// Whether a received message names an SPI that we have chosen and sent from not long ago.
    pub fn knows(&self, framing: Framing, received: &[u8]) -> bool {
        matches!(self.sender(framing, received), Sender::Known(_))
    }

    fn sender<'a>(&'a self, framing: Framing, received: &'a [u8]) -> Sender<'a> {
        let Some(header) = Header::read(framing, received) else { return Sender::Stranger(&[]) };
        let ours = if header.from_initiator { header.responder } else { header.initiator };
        let place = self.place(ours).filter(|place| ours != 0 && place.spi.load(Ordering::Relaxed) == ours);
        place.map_or(Sender::Stranger(header.spis), Sender::Known)
    }

    fn place(&self, spi: u64) -> Option<&Place> {
        // An odd number with bits all over; the upper ones of the product depend on all of the SPI.
        let hash = spi.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        // There is a power of two of them.
        self.places.get(hash as usize & (self.places.len() - 1))
    }
}

impl Sizes {
    /// For a node with few peers of which there are many in a process.
    pub fn small() -> Self {
        Self { known: 64, unknown: 32, reports: 128, spis: 64, rates: Rates::small() }
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self { known: 1024, unknown: 256, reports: 1024, spis: 4096, rates: Rates::default() }
    }
}

/// What sorting goes by (RFC 7296 §3.1).
struct Header<'a> {
    /// Both, as they came.
    spis: &'a [u8],
    initiator: u64,
    responder: u64,
    from_initiator: bool,
}

impl<'a> Header<'a> {
    fn read(framing: Framing, bytes: &'a [u8]) -> Option<Self> {
        let bytes = match framing {
            Framing::Bare => bytes,
            Framing::Marked => bytes.get(MARKER..)?,
        };
        let spi = |bytes: &[u8]| bytes.first_chunk::<SPI>().map(|spi| u64::from_be_bytes(*spi));
        Some(Self {
            spis: bytes.get(..2 * SPI)?,
            initiator: spi(bytes)?,
            responder: spi(bytes.get(SPI..)?)?,
            from_initiator: bytes.get(FLAGS)? & FROM_INITIATOR != 0,
        })
    }
}

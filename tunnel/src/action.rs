//! What the engine tells its driver to do.

use crate::event::Event;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::SelectorPair;
use tidegate_ike::{Job, Transmit};

/// One thing to do. They come in the order in which they must be done.
#[derive(Debug)]
pub enum Action {
    /// Send a datagram: IKE, a keepalive, or an ESP packet that the engine made itself.
    Transmit(Transmit),
    /// Do some arithmetic and give its result back.
    Job(Job),
    /// Look names up and give the addresses back, in the order of the names.
    Resolve {
        /// Names the question.
        lookup: LookupId,
        /// What to look up.
        names: Vec<String>,
    },
    /// Tell whoever listens.
    Event(Event),
    /// Make the kernel send this traffic into the device, and nowhere else; several captures may overlap. One that
    /// is said again takes the place of what was said of it before.
    Capture {
        /// Names the capture.
        capture: CaptureId,
        /// What is to be caught: from the local side to the remote one.
        selectors: Arc<SelectorPair>,
    },
    /// Packets of a capture are to be no longer than this; what was said of it before is forgotten. Said as SAs
    /// come up, and as more or less becomes known of their paths.
    LimitMtu {
        /// Which capture; one that is over needs no limit.
        capture: CaptureId,
        /// Length of the longest packet, its header included.
        mtu: usize,
    },
    /// A capture is over.
    Release(CaptureId),
    /// Give the device this address: a peer has assigned it to us.
    AddAddress(IpAddr),
    /// Take it away again.
    RemoveAddress(IpAddr),
    /// What an agent has asked for has come to its end.
    Done {
        /// Which request.
        ticket: Ticket,
        /// What became of it.
        outcome: Outcome,
    },
}

/// Names a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureId(pub u64);

/// Names a question for the resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u64);

/// Names a request of an agent; the driver makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; to so many SAs.
    Done(usize),
    /// It was not, for this reason.
    Failed(tidegate_ike::Verdict),
    /// It makes no sense.
    Misuse(tidegate_ike::ApiMisuse),
}

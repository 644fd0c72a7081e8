//! One IKE SA, from its first packet to its last.
//!
//! [`State`] says how far it has come; each state is a type with the messages it can take. What all states
//! share is in [`Frame`]. A message goes through these stages:
//!
//! 1. the window says whether it is a request, a response, a repetition or a stray;
//! 2. integrity holds, or the message is dropped and counted and nothing about the SA has changed;
//! 3. fragments are put together;
//! 4. the payloads become a typed message;
//! 5. the state takes the message and says what it is now.

pub(crate) mod child;
pub(crate) mod closing;
pub(crate) mod crypt;
pub(crate) mod established;
pub(crate) mod initiate;
pub(crate) mod opening;
pub(crate) mod respond;
pub(crate) mod timers;
pub(crate) mod window;

use crate::SaId;
use crate::core::Core;
use crate::counters::Drop;
use crate::nat::{self, NatView, SourceClaim};
use crate::output::{Framing, JobDone, JobId, Path, Task};
use crate::tally::Way;
use crate::time::Time;
use crate::verdict::Verdict;
use crate::wire::{ExchangeType, Header, IkeSpi, MessageError, NatDetection, Progress, Sealed};
use closing::Closing;
use crypt::{Crypt, Opened};
use established::Established;
use initiate::Attempt;
use respond::HalfOpen;
use std::net::SocketAddr;
use std::time::Duration;
use timers::{Timer, Timers};
use window::{Due, Place, Window};

/// Which end of the IKE SA we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// We sent its first message.
    Initiator,
    /// The peer did.
    Responder,
}

/// The two SPIs of an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiPair {
    /// Chosen by the initiator.
    pub initiator: IkeSpi,
    /// Chosen by the responder.
    pub responder: IkeSpi,
}

/// One IKE SA.
pub(crate) struct IkeSa {
    pub(crate) frame: Frame,
    pub(crate) state: State,
}

/// What all states share.
pub(crate) struct Frame {
    pub(crate) id: SaId,
    pub(crate) role: Role,
    pub(crate) spis: SpiPair,
    /// Where the peer is.
    pub(crate) path: Path,
    /// Where the request that is being answered came from; its answer goes back there (RFC 7296 §2.11).
    pub(crate) answer_path: Path,
    pub(crate) window: Window,
    pub(crate) timers: Timers,
    /// When its first message was sent or came.
    pub(crate) began: Time,
    /// When it was established; until then when it began.
    pub(crate) opened: Time,
    /// When it began or was established, in the order of such things.
    pub(crate) turn: u64,
    job_serial: u32,
}

/// How far an IKE SA has come.
pub(crate) enum State {
    Initiating(Box<Attempt>),
    Responding(Box<HalfOpen>),
    Established(Box<Established>),
    Closing(Box<Closing>),
    /// Nothing is left of it.
    Closed,
}

/// A protected message whose integrity holds.
pub(crate) struct Verified {
    pub(crate) header: Header,
    pub(crate) path: Path,
    first: u8,
    payloads: Vec<u8>,
    unsupported_critical: Option<u8>,
}

impl Verified {
    /// Reads the payloads as the message that this exchange has.
    pub(crate) fn read<T>(
        &self,
        parse: impl FnOnce(u8, &[u8]) -> Result<T, MessageError>,
    ) -> Result<T, MessageError> {
        match self.unsupported_critical {
            Some(kind) => Err(MessageError::UnsupportedCritical(kind)),
            None => parse(self.first, &self.payloads),
        }
    }
}

impl Role {
    /// The header's initiator flag for messages that we send.
    pub(crate) fn sends_as_initiator(self) -> bool {
        self == Self::Initiator
    }
}

impl SpiPair {
    /// Ours, by which the endpoint finds the SA.
    pub(crate) fn ours(&self, role: Role) -> IkeSpi {
        match role {
            Role::Initiator => self.initiator,
            Role::Responder => self.responder,
        }
    }
}

impl SpiPair {
    /// NAT detection for a message of ours on this path.
    pub(crate) fn nat_hashes(&self, path: &Path, claim: SourceClaim) -> NatDetection {
        nat::nat_detection(self.initiator, self.responder, path.local, path.remote, claim)
    }

    /// What a message of the peer's on this path says of NATs.
    pub(crate) fn nat_view(&self, path: &Path, detection: &NatDetection) -> NatView {
        NatView::new(detection, self.initiator, self.responder, path.local, path.remote)
    }
}

impl Frame {
    pub(crate) fn new(core: &mut Core, id: SaId, role: Role, spis: SpiPair, path: Path) -> Self {
        Self {
            id,
            role,
            spis,
            path,
            answer_path: path,
            window: Window::default(),
            timers: Timers::default(),
            began: core.now.time,
            opened: core.now.time,
            turn: core.turn(),
            job_serial: 0,
        }
    }

    /// Gives a task away; its result is known by the id that comes back.
    pub(crate) fn submit(&mut self, core: &mut Core, task: Task) -> JobId {
        self.job_serial = self.job_serial.wrapping_add(1);
        let id = JobId { sa: self.id, serial: self.job_serial };
        core.submit(id, task);
        id
    }

    /// Sends a request, remembers it, and sets its deadline.
    pub(crate) fn send_request(
        &mut self,
        core: &mut Core,
        datagrams: window::Datagrams,
        policy: &crate::connection::Retransmission,
    ) {
        core.ledger.sent(&datagrams);
        core.transmit(self.path, &datagrams);
        let wait = self.window.sent(core.now.time, datagrams, policy);
        self.timers.set(Timer::Retransmit, core.now.time + wait);
    }

    /// Sends the answer to the request that is being worked on, and keeps it.
    pub(crate) fn send_answer(&mut self, core: &mut Core, datagrams: window::Datagrams) {
        core.ledger.sent(&datagrams);
        core.transmit(self.answer_path, &datagrams);
        self.window.keep_answer(datagrams);
    }

    /// A retransmission deadline has passed; true once the peer has not answered in time.
    pub(crate) fn retransmit(&mut self, core: &mut Core, policy: &crate::connection::Retransmission) -> bool {
        match self.window.due(core.now.time, policy) {
            Due::Again(datagrams, wait) => {
                core.transmit(self.path, datagrams);
                core.counters.retransmissions = core.counters.retransmissions.saturating_add(1);
                self.timers.set(Timer::Retransmit, core.now.time + wait);
                false
            }
            Due::GivenUp => true,
            Due::Nothing => false,
        }
    }

    /// The request that is unanswered gets this much time from now on, and is soon sent again.
    pub(crate) fn hurry(&mut self, now: Time, span: Duration, policy: &crate::connection::Retransmission) {
        if self.window.is_waiting() {
            let wait = self.window.hurry(now + span, policy).min(span);
            self.timers.set(Timer::Retransmit, now + wait);
        }
    }

    /// The peer wants to be authenticated again within this many seconds (RFC 4478 §3): early enough to be
    /// done before its patience ends.
    pub(crate) fn limit_authentication(&mut self, now: Time, seconds: u32) {
        let limit = Duration::from_secs(u64::from(seconds));
        self.timers.set_earlier(Timer::Reauthenticate, now + limit.mul_f64(0.9));
        self.timers.set_earlier(Timer::ExpireAuthentication, now + limit);
    }

    /// Our request is answered.
    pub(crate) fn request_answered(&mut self) {
        self.window.answered();
        self.timers.clear(Timer::Retransmit);
    }

    /// Leaves port 500 for the one that NATs are used to (RFC 7296 §2.23). A peer on another port than 500
    /// keeps it: it has but one.
    pub(crate) fn float(&mut self, core: &Core) {
        if self.path.framing == Framing::Marked {
            return;
        }
        let remote_port = match self.path.remote.port() {
            500 => core.config.nat_port,
            other => other,
        };
        self.path = Path {
            local: SocketAddr::new(self.path.local.ip(), core.config.nat_port),
            remote: SocketAddr::new(self.path.remote.ip(), remote_port),
            framing: Framing::Marked,
        };
    }
}

impl IkeSa {
    /// A protected datagram for this SA has come.
    pub(crate) fn receive(&mut self, core: &mut Core, path: Path, header: Header, datagram: &[u8]) {
        let place = self.frame.window.place(&header);
        if matches!(place, Place::Stray | Place::InProgress) {
            core.counters.drop(Drop::OutOfWindow);
            return;
        }
        // The initiator flag tells who of the two sent it; our own messages never come back to us.
        if header.from_initiator == self.frame.role.sends_as_initiator() {
            core.counters.drop(Drop::Reflected);
            return;
        }
        let Ok(sealed) = Sealed::parse(&header, datagram) else {
            core.counters.drop(Drop::Malformed);
            // RFC 7296 §2.21.4: perhaps INVALID_IKE_SPI, and in any case no more than a hint.
            if header.response {
                self.hint(core);
            }
            return;
        };
        let Some(crypt) = self.state.crypt() else {
            core.counters.drop(Drop::NoKeys);
            return;
        };
        let opened = match crypt.open(&sealed) {
            Ok(opened) => opened,
            Err(reason) => {
                core.counters.drop(reason);
                return;
            }
        };
        if place == Place::Repeated {
            // One fragment of a repeated request stands for them all (RFC 7383 §2.6.1).
            if opened.is_first() {
                core.transmit(path, self.frame.window.last_answer());
                core.counters.repeated_answers = core.counters.repeated_answers.saturating_add(1);
            }
            return;
        }
        let Some(message) = self.assemble(core, path, header, opened) else { return };
        self.take(core, place, &message);
        self.frame.refresh_reassembly();
    }

    /// Puts fragments together; gives the whole message once it is there.
    fn assemble(&mut self, core: &mut Core, path: Path, header: Header, opened: Opened) -> Option<Verified> {
        match opened {
            Opened::Whole { first, payloads, unsupported_critical } => {
                Some(Verified { header, path, first, payloads, unsupported_critical })
            }
            Opened::Fragment { payloads, .. } if !self.has_room(core, payloads.len()) => {
                core.counters.drop(Drop::Flood);
                None
            }
            Opened::Fragment { number, total, first, payloads } => {
                let now = core.now.time;
                let progress =
                    self.frame.window.reassembly(&header, now).add(number, total, first, &payloads);
                self.frame.refresh_reassembly();
                match progress {
                    Ok(Progress::Complete(chain)) => Some(Verified {
                        header,
                        path,
                        first: chain.first,
                        payloads: chain.bytes,
                        unsupported_critical: None,
                    }),
                    Ok(_) => None,
                    Err(_) => {
                        core.counters.drop(Drop::Fragment);
                        None
                    }
                }
            }
        }
    }

    /// Whether another fragment may be kept. All SAs share what memory there is for them; peers that have not
    /// said who they are may take half of it.
    fn has_room(&self, core: &Core, bytes: usize) -> bool {
        let most = match self.state {
            State::Responding(_) => core.config.fragment_memory / 2,
            _ => core.config.fragment_memory,
        };
        core.fragments_held.saturating_add(bytes) <= most
    }

    fn take(&mut self, core: &mut Core, place: Place, message: &Verified) {
        core.counters.messages_in = core.counters.messages_in.saturating_add(1);
        core.ledger.message(&message.header, Way::In);
        match place {
            Place::Request => {
                self.frame.answer_path = message.path;
                self.frame.window.begin_answer();
            }
            _ => {
                self.frame.window.answered_at(core.now.time);
                self.frame.request_answered();
            }
        }
        let state = std::mem::replace(&mut self.state, State::Closed);
        let frame = &mut self.frame;
        self.state = match (state, place) {
            (State::Initiating(attempt), Place::Response) => {
                attempt.on_protected_response(frame, core, message)
            }
            (State::Responding(half), Place::Request) => half.on_protected_request(frame, core, message),
            (State::Established(sa), Place::Request) => sa.on_request(frame, core, message),
            (State::Established(sa), Place::Response) => sa.on_response(frame, core, message),
            (State::Closing(sa), Place::Request) => sa.on_request(frame, core, message),
            (State::Closing(_), Place::Response) => State::Closed,
            (state, place) => {
                core.counters.drop(Drop::OutOfState);
                if place == Place::Request {
                    // When it comes again, this SA may have got as far as its sender.
                    frame.window.cancel_answer();
                }
                state
            }
        };
    }

    /// An IKE_SA_INIT response for an attempt of ours.
    pub(crate) fn receive_init_response(
        &mut self,
        core: &mut Core,
        path: Path,
        header: Header,
        body: &[u8],
        whole: &[u8],
    ) {
        if self.frame.window.place(&header) != Place::Response || header.exchange != ExchangeType::IkeSaInit {
            core.counters.drop(Drop::OutOfWindow);
            if let State::Initiating(attempt) = &mut self.state {
                attempt.on_second_init_response(&header, body, whole);
            }
            return;
        }
        core.ledger.message(&header, Way::In);
        let state = std::mem::replace(&mut self.state, State::Closed);
        self.state = match state {
            State::Initiating(attempt) => {
                attempt.on_init_response(&mut self.frame, core, path, &header, body, whole)
            }
            state => {
                core.counters.drop(Drop::OutOfState);
                state
            }
        };
    }

    /// A job of this SA is done.
    pub(crate) fn job_done(&mut self, core: &mut Core, done: JobDone) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let frame = &mut self.frame;
        self.state = match state {
            State::Initiating(attempt) => attempt.on_job(frame, core, done),
            State::Responding(half) => half.on_job(frame, core, done),
            State::Established(sa) => sa.on_job(frame, core, done),
            state => state,
        };
    }

    /// A deadline of this SA has passed.
    pub(crate) fn on_timer(&mut self, core: &mut Core, timer: Timer) {
        if timer == Timer::Reassembly {
            self.frame.window.expire_fragments(core.now.time);
            self.frame.refresh_reassembly();
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Closed);
        let frame = &mut self.frame;
        self.state = match state {
            State::Initiating(attempt) => attempt.on_timer(frame, core, timer),
            State::Responding(half) => half.on_timer(frame, core, timer),
            State::Established(sa) => sa.on_timer(frame, core, timer),
            State::Closing(sa) => sa.on_timer(frame, core, timer),
            State::Closed => State::Closed,
        };
    }

    /// The established SA, if it is one.
    pub(crate) fn established(&mut self) -> Option<(&mut Frame, &mut Established)> {
        match &mut self.state {
            State::Established(sa) => Some((&mut self.frame, sa)),
            _ => None,
        }
    }

    /// Lets an established SA do something that may end it.
    pub(crate) fn with_established(
        &mut self,
        core: &mut Core,
        step: impl FnOnce(Box<Established>, &mut Frame, &mut Core) -> State,
    ) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        self.state = match state {
            State::Established(sa) => step(sa, &mut self.frame, core),
            state => state,
        };
    }
}

impl State {
    fn crypt(&self) -> Option<&Crypt> {
        match self {
            Self::Initiating(attempt) => attempt.crypt(),
            Self::Responding(half) => half.crypt(),
            Self::Established(sa) => Some(&sa.crypt),
            Self::Closing(sa) => Some(&sa.crypt),
            Self::Closed => None,
        }
    }
}

impl IkeSa {
    /// Ends it, towards the peer too where there is one to tell.
    pub(crate) fn close(&mut self, core: &mut Core, verdict: Verdict) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let frame = &mut self.frame;
        self.state = match state {
            State::Initiating(attempt) => attempt.cancel(frame, core, Some(verdict)),
            State::Established(sa) => sa.close(frame, core, verdict),
            State::Responding(_) | State::Closed => State::Closed,
            State::Closing(sa) => State::Closing(sa),
        };
    }

    /// Ends it here at once.
    pub(crate) fn abandon(&mut self, core: &mut Core, verdict: Verdict) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let frame = &mut self.frame;
        self.state = match state {
            State::Initiating(attempt) => attempt.cancel(frame, core, Some(verdict)),
            State::Established(sa) => sa.abandon(frame, core, verdict),
            State::Responding(_) | State::Closing(_) | State::Closed => State::Closed,
        };
    }

    /// Something in clear suggests that the peer has lost this SA.
    pub(crate) fn hint(&mut self, core: &mut Core) {
        if let State::Initiating(attempt) = &mut self.state {
            attempt.hint();
        }
        self.with_established(core, Established::hint);
    }
}

impl Frame {
    fn refresh_reassembly(&mut self) {
        match self.window.reassembly_deadline() {
            Some(at) => self.timers.set(Timer::Reassembly, at),
            None => self.timers.clear(Timer::Reassembly),
        }
    }
}

//! Datagrams, from first sight to the SA that they belong to.
//!
//! 1. the marker that the port wants;
//! 2. the header;
//! 3. IKE_SA_INIT: an answer goes to its attempt, a request to the gate;
//! 4. everything else goes to the SA of its SPIs, or is answered without state and seldom.

use super::table::Knocked;
use super::{Endpoint, SaId};
use crate::core::NON_ESP_MARKER;
use crate::counters::Drop;
use crate::crypto::GroupId;
use crate::gate::{Judgment, Knock};
use crate::output::{Framing, Path};
use crate::proposal::{IkeChoice, ProposalMismatch, select_ike};
use crate::registry::Announces;
use crate::sa::respond::HalfOpen;
use crate::sa::{Frame, IkeSa, Role, SpiPair, State};
use crate::tally::Way;
use crate::time::Now;
use crate::wire::{
    ExchangeType, Header, IkeSpi, Informational, MessageId, Notify, NotifyType, PayloadChain, PayloadType,
    SaInitRequest, SaInitResponse, WireError,
};
use ring::digest::{SHA256, digest};

/// The longest IKE_SA_INIT request that is looked at: many proposals and the largest public value fit well.
const MAX_KNOCK: usize = 8192;

/// What an IKE_SA_INIT request came to.
enum Offer {
    Chosen(IkeChoice, Announces),
    NoConnection,
    Mismatch(Box<ProposalMismatch>),
}

impl Endpoint {
    /// A datagram has come, as it was on the wire, the non-ESP marker included where there is one.
    pub fn handle_datagram(&mut self, now: Now, path: Path, datagram: &[u8]) {
        self.enter(now);
        let message = match path.framing {
            Framing::Bare => datagram,
            Framing::Marked => match datagram.strip_prefix(&NON_ESP_MARKER) {
                Some(message) => message,
                None => return self.core.counters.drop(Drop::NotIke),
            },
        };
        let (header, body) = match Header::parse(message) {
            Ok(parts) => parts,
            Err(WireError::NoInitiatorSpi) if speaks_of_esp(message) => return self.hint_in_clear(path),
            Err(_) => return self.core.counters.drop(Drop::Malformed),
        };
        if header.major_version != Header::MAJOR_VERSION {
            return self.wrong_version(path, &header);
        }
        let ours = if header.from_initiator { header.responder_spi } else { header.initiator_spi };
        match (header.exchange, header.response) {
            (ExchangeType::IkeSaInit, false) => self.knock(path, &header, body, message),
            (ExchangeType::IkeSaInit, true) => match self.table.by_spi(ours) {
                Some(id) => {
                    self.step(id, |sa, core| sa.receive_init_response(core, path, header, body, message));
                }
                None => self.core.counters.drop(Drop::UnknownSpi),
            },
            _ => match self.find(&header, ours) {
                Some(id) => self.step(id, |sa, core| sa.receive(core, path, header, message)),
                None => self.unknown_spi(path, &header),
            },
        }
    }

    /// The SA that both SPIs belong to.
    fn find(&self, header: &Header, ours: IkeSpi) -> Option<SaId> {
        let id = self.table.by_spi(ours)?;
        let spis = self.table.get(id)?.frame.spis;
        let same = spis.initiator == header.initiator_spi && spis.responder == header.responder_spi;
        same.then_some(id)
    }

    /// A peer wants to set up an IKE SA.
    fn knock(&mut self, path: Path, header: &Header, body: &[u8], message: &[u8]) {
        let first_of_all =
            header.from_initiator && header.responder_spi == IkeSpi(0) && header.message_id == MessageId(0);
        if !first_of_all {
            return self.core.counters.drop(Drop::Malformed);
        }
        let knocked = knocked(path, message);
        if let Some(id) = self.table.half_open(&knocked.by) {
            return self.step(id, |sa, core| {
                if let State::Responding(half) = &sa.state {
                    half.repeat_answer(&sa.frame, core);
                }
            });
        }
        // It is kept until its sender has proved who it is, and anybody may be its sender.
        if message.len() > MAX_KNOCK {
            return self.core.counters.drop(Drop::Malformed);
        }
        let request = match SaInitRequest::parse(header.next_payload, body) {
            Ok(request) => request,
            Err(error) => {
                self.core.counters.drop(Drop::Malformed);
                return self.answer_statelessly(path, header, error.answer());
            }
        };
        let knock = Knock {
            source: path.remote.ip(),
            initiator_spi: header.initiator_spi,
            nonce: &request.nonce,
            cookie: request.cookie.as_deref(),
        };
        let judgment = self.gate.judge(
            self.core.now.time,
            &self.core.config,
            self.core.provider,
            &mut *self.core.random,
            &knock,
        );
        match judgment {
            Judgment::Admit { proven } => {
                self.admit(path, header, request, message, Knocked { proven, ..knocked });
            }
            Judgment::Challenge(cookie) => self.challenge(path, header, cookie),
            Judgment::BadCookie(cookie) => {
                self.core.counters.drop(Drop::Cookie);
                self.challenge(path, header, cookie);
            }
            Judgment::Full => self.core.counters.drop(Drop::Flood),
        }
    }

    fn challenge(&mut self, path: Path, header: &Header, cookie: Vec<u8>) {
        self.core.counters.cookies_sent = self.core.counters.cookies_sent.saturating_add(1);
        self.answer_clear(path, header, &SaInitResponse::Cookie(cookie).emit());
    }

    /// Chooses a proposal; only with one in hand does the request cost state and arithmetic.
    fn admit(
        &mut self,
        path: Path,
        header: &Header,
        request: SaInitRequest,
        message: &[u8],
        knocked: Knocked,
    ) {
        let (choice, announces) = match self.offer(path, &request) {
            Offer::Chosen(choice, announces) => (choice, announces),
            Offer::NoConnection => {
                self.core.counters.drop(Drop::NoConnection);
                return self.answer_statelessly(path, header, Notify::new(NotifyType::NO_PROPOSAL_CHOSEN));
            }
            Offer::Mismatch(mismatch) => {
                self.proposals_differ(path, mismatch);
                return self.answer_statelessly(path, header, Notify::new(NotifyType::NO_PROPOSAL_CHOSEN));
            }
        };
        if choice.group.transform_id() != request.key_exchange.group {
            // RFC 7296 §1.2: the peer guessed the wrong group.
            let wanted = choice.group.transform_id();
            return self.answer_clear(path, header, &SaInitResponse::InvalidKe(wanted).emit());
        }
        if self.table.len() >= self.core.config.most_sas {
            return self.core.counters.drop(Drop::Flood);
        }
        let spi = loop {
            let spi = self.core.ike_spi();
            if !self.table.has_spi(spi) {
                break spi;
            }
        };
        let id = self.core.ids.take();
        let spis = SpiPair { initiator: header.initiator_spi, responder: spi };
        self.core.ledger.message(header, Way::In);
        let mut frame = Frame::new(&mut self.core, id, Role::Responder, spis, path);
        let state = HalfOpen::begin(&mut frame, &mut self.core, request, message, choice, announces);
        self.table.insert(IkeSa { frame, state });
        self.table.begin_half_open(id, knocked);
        self.gate.entered(path.remote.ip(), knocked.proven);
        self.after_step(id);
    }

    fn offer(&self, path: Path, request: &SaInitRequest) -> Offer {
        let preferred = GroupId::from_transform(request.key_exchange.group);
        let mut nearest: Option<ProposalMismatch> = None;
        for welcome in self.core.registry.welcomes(path.local.ip(), path.remote.ip()) {
            match select_ike(welcome.proposals, &request.proposals, preferred) {
                Ok(choice) => return Offer::Chosen(choice, welcome.announces),
                Err(mismatch) => {
                    nearest.get_or_insert(mismatch);
                }
            }
        }
        nearest.map_or(Offer::NoConnection, |mismatch| Offer::Mismatch(Box::new(mismatch)))
    }

    /// Tells the operator, as often as the peer is told: whoever knocks is not known yet.
    fn proposals_differ(&mut self, path: Path, mismatch: Box<ProposalMismatch>) {
        use crate::event::Event;
        use crate::verdict::{Cause, Culprit, Verdict};
        self.core.counters.failed = self.core.counters.failed.saturating_add(1);
        if self.gate.may_answer_stateless(self.core.now.time) {
            let verdict = Verdict::new(Culprit::Mismatch, Cause::Proposals(mismatch));
            self.core.event(Event::Refused { path, verdict });
        }
    }

    fn wrong_version(&mut self, path: Path, header: &Header) {
        self.core.counters.drop(Drop::Version);
        // RFC 7296 §2.5: only a newer version is told, and only in answer to a request.
        if header.major_version > Header::MAJOR_VERSION && !header.response {
            self.answer_statelessly(path, header, Notify::new(NotifyType::INVALID_MAJOR_VERSION));
        }
    }

    fn unknown_spi(&mut self, path: Path, header: &Header) {
        self.core.counters.drop(Drop::UnknownSpi);
        // RFC 7296 §1.5: an INFORMATIONAL in clear says that somebody does not know an SPI of ours. It is
        // a hint, and never answered.
        let in_clear = header.next_payload == PayloadType::NOTIFY.0;
        if in_clear && header.exchange == ExchangeType::Informational {
            return self.hint_all(path);
        }
        // RFC 7296 §2.21.4: a response is never answered.
        if !header.response {
            self.answer_statelessly(path, header, Notify::new(NotifyType::INVALID_IKE_SPI));
        }
    }

    fn hint_in_clear(&mut self, path: Path) {
        self.core.counters.drop(Drop::UnknownSpi);
        self.hint_all(path);
    }

    fn hint_all(&mut self, path: Path) {
        for id in self.table.at(path.remote) {
            self.step(id, IkeSa::hint);
        }
    }

    /// Tells a peer without an IKE SA that it sends ESP to nobody. No IKE SPI would mean anything to it, so
    /// one is made up (RFC 7296 §1.5).
    pub(super) fn tell_invalid_spi(&mut self, path: Path, spi: u32) {
        if !self.gate.may_answer_stateless(self.core.now.time) {
            return;
        }
        self.core.counters.stateless_answers = self.core.counters.stateless_answers.saturating_add(1);
        let notify = Notify::with_data(NotifyType::INVALID_SPI, spi.to_be_bytes().to_vec());
        let chain = Informational { notifies: vec![notify], ..Informational::default() }.emit();
        let header = Header {
            initiator_spi: self.core.ike_spi(),
            responder_spi: IkeSpi(0),
            next_payload: PayloadType::NOTIFY.0,
            major_version: Header::MAJOR_VERSION,
            minor_version: 0,
            exchange: ExchangeType::Informational,
            from_initiator: true,
            higher_version: false,
            response: false,
            message_id: MessageId(0),
            length: 0,
        };
        if let Ok(datagram) = header.emit_with(&chain) {
            self.core.transmit(path, &[datagram]);
        }
    }

    /// Answers without state and without protection, seldom enough to be no amplifier.
    fn answer_statelessly(&mut self, path: Path, header: &Header, notify: Notify) {
        if self.gate.may_answer_stateless(self.core.now.time) {
            self.core.counters.stateless_answers = self.core.counters.stateless_answers.saturating_add(1);
            let chain = Informational { notifies: vec![notify], ..Informational::default() }.emit();
            self.answer_clear(path, header, &chain);
        }
    }

    /// The header goes back with its SPIs and message id as they came (RFC 7296 §2.21.4).
    fn answer_clear(&mut self, path: Path, header: &Header, chain: &PayloadChain) {
        let answer = Header {
            major_version: Header::MAJOR_VERSION,
            minor_version: 0,
            from_initiator: !header.from_initiator,
            higher_version: false,
            response: true,
            ..*header
        };
        if let Ok(datagram) = answer.emit_with(chain) {
            self.core.transmit(path, &[datagram]);
        }
    }
}

/// An INFORMATIONAL request in clear: the one message whose initiator's SPI may be zero, as it is about ESP
/// (RFC 7296 §1.5).
fn speaks_of_esp(message: &[u8]) -> bool {
    const FIRST_PAYLOAD: usize = 16;
    const EXCHANGE: usize = 18;
    message.get(FIRST_PAYLOAD) == Some(&PayloadType::NOTIFY.0)
        && message.get(EXCHANGE) == Some(&ExchangeType::Informational.number())
}

/// A request is the same if every byte of it is, and where it comes from.
fn knocked(path: Path, message: &[u8]) -> Knocked {
    let mut short = [0; 16];
    let whole = digest(&SHA256, message);
    short.iter_mut().zip(whole.as_ref()).for_each(|(to, from)| *to = *from);
    Knocked { by: (path.remote, short), proven: false }
}

//! An IKE SA whose ends have proved who they are.
//!
//! One exchange of ours and one request of the peer's may be under way at once. What each of them does is
//! in [`crate::exchange`]; here a message finds its handler. Work that is wanted waits in [`work`] for
//! the window, a successor gets its [`luggage`], and [`end`] is how an SA and what it holds go.

mod end;
mod luggage;
mod work;

pub(crate) use luggage::Luggage;
pub(crate) use work::Task;

use super::child::{Child, Ends, Fate, Ground, bury_inbound, encapsulation};
use super::crypt::{Crypt, Envoy};
use super::timers::Timer;
use super::{Frame, Role, State, Verified};
use crate::connection::Connection;
use crate::core::{Core, Effect};
use crate::counters::Drop;
use crate::exchange::informational::{close_child, settle_if_candidate};
use crate::exchange::{self, Answering, Exchange, mobike::Mobike};
use crate::identity::Identity;
use crate::nat::NatView;
use crate::output::{JobDone, Output, Path};
use crate::proposal::IkeChoice;
use crate::time::Time;
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{
    CreateChildRequest, CreateChildResponse, ExchangeType, Informational, Notify, NotifyType, PayloadChain,
};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::Spi;

/// More children than this on one IKE SA are refused.
pub(crate) const MAX_CHILDREN: usize = 256;

/// An IKE SA that stands.
pub(crate) struct Established {
    pub(crate) connection: Arc<Connection>,
    pub(crate) peer: Arc<Identity>,
    pub(crate) crypt: Crypt,
    pub(crate) choice: Agreed,
    pub(crate) nat: NatView,
    pub(crate) peer_fragments: bool,
    pub(crate) children: Vec<Child>,
    /// SPIs of children that never stood here, until the peer has deleted its halves of them.
    pub(crate) orphans: Vec<Spi>,
    pub(crate) exchange: Option<Exchange>,
    pub(crate) answering: Option<Answering>,
    pub(crate) tasks: VecDeque<Task>,
    /// Work that the peer put off.
    pub(crate) deferred: Vec<Task>,
    pub(crate) standing: Standing,
    /// Which end set up the first IKE SA of this line; a rekey does not change that, whoever asks for it.
    pub(crate) origin: Role,
    /// Where both ends speak MOBIKE.
    pub(crate) mobike: Option<Box<Mobike>>,
    /// Addresses that the responder gave the initiator.
    pub(crate) virtual_addresses: Vec<IpAddr>,
    /// The last time the peer proved to be where we send to.
    pub(crate) heard: Time,
    /// When an unauthenticated hint last led to a liveness check.
    pub(crate) hinted: Option<Time>,
    /// The IKE SA that this one takes the place of, once its children stand.
    pub(crate) replaces: Option<crate::SaId>,
    /// The IKE SA, or the attempt at one, that is to take the place of this one.
    pub(crate) replaced_by: Option<crate::SaId>,
}

/// What IKE_AUTH leaves behind.
pub(crate) struct Newborn {
    pub(crate) connection: Arc<Connection>,
    pub(crate) peer: Identity,
    pub(crate) crypt: Crypt,
    pub(crate) choice: Agreed,
    pub(crate) nat: NatView,
    pub(crate) peer_fragments: bool,
    pub(crate) origin: Role,
    /// Both ends speak MOBIKE.
    pub(crate) mobike: bool,
    pub(crate) now: Time,
}

/// What a later rekey of the IKE SA needs to know of the algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) group: crate::crypto::GroupId,
    pub(crate) prf: crate::crypto::PrfId,
    pub(crate) suite: tidegate_esp::crypto::Suite,
}

/// Whether an IKE SA is the one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It carries the children.
    Active,
    /// The peer made it while a rekey of our own was under way; which of the two lives is open, and the
    /// children are still on the old one.
    Candidate {
        /// The old one.
        of: crate::SaId,
    },
    /// Another has taken its place; the end that made the other will delete this one.
    Superseded,
}

impl From<&IkeChoice> for Agreed {
    fn from(choice: &IkeChoice) -> Self {
        Self { group: choice.group, prf: choice.prf, suite: choice.suite }
    }
}

impl Established {
    pub(crate) fn new(newborn: Newborn) -> Self {
        Self {
            connection: newborn.connection,
            peer: Arc::new(newborn.peer),
            crypt: newborn.crypt,
            choice: newborn.choice,
            nat: newborn.nat,
            peer_fragments: newborn.peer_fragments,
            // Most have one for life.
            children: Vec::with_capacity(1),
            orphans: Vec::new(),
            exchange: None,
            answering: None,
            tasks: VecDeque::new(),
            deferred: Vec::new(),
            standing: Standing::Active,
            origin: newborn.origin,
            mobike: newborn.mobike.then(Box::default),
            virtual_addresses: Vec::new(),
            heard: newborn.now,
            hinted: None,
            replaces: None,
            replaced_by: None,
        }
    }

    /// Its successor by a rekey, as yet without children.
    pub(crate) fn successor(&self, crypt: Crypt, choice: Agreed, old: crate::SaId, now: Time) -> Self {
        let newborn = Newborn {
            connection: Arc::clone(&self.connection),
            peer: (*self.peer).clone(),
            crypt,
            choice,
            nat: self.nat,
            peer_fragments: self.peer_fragments,
            origin: self.origin,
            mobike: false,
            now,
        };
        Self {
            peer: Arc::clone(&self.peer),
            mobike: self.mobike.clone(),
            standing: Standing::Candidate { of: old },
            ..Self::new(newborn)
        }
    }

    /// Sets the deadlines of an IKE SA that stands from now on.
    pub(crate) fn begin(&mut self, frame: &mut Frame, core: &mut Core) {
        let now = core.now.time;
        self.heard = now;
        frame.opened = now;
        frame.turn = core.turn();
        frame.timers.clear(Timer::GiveUp);
        let lifetimes = self.connection.lifetimes;
        if let Some(rekey) = lifetimes.rekey {
            frame.timers.set(Timer::RekeyIke, now + core.jittered(rekey, lifetimes.jitter));
            frame.timers.set(Timer::ExpireIke, now + rekey + lifetimes.overtime);
        } else {
            frame.timers.clear(Timer::ExpireIke);
        }
        if let Some(liveness) = self.connection.liveness {
            frame.timers.set(Timer::Liveness, now + liveness);
        }
        self.set_keepalive(frame, core);
    }

    /// Sets when the ends must see each other's credentials again; this outlives a rekey. The initiator
    /// sees to it in time, and in the end neither of them goes on without.
    pub(crate) fn begin_authentication(&self, frame: &mut Frame, core: &mut Core, peer_limit: Option<u32>) {
        let now = core.now.time;
        let lifetimes = self.connection.lifetimes;
        if self.origin == Role::Responder {
            if let Some(span) = lifetimes.authentication {
                // RFC 4478 §4: a peer that does not repeat the authentication loses the IKE SA.
                frame.timers.set(Timer::ExpireAuthentication, now + span);
            }
            return;
        }
        if let Some(span) = lifetimes.reauthenticate {
            frame.timers.set(Timer::Reauthenticate, now + core.jittered(span, lifetimes.jitter));
            frame.timers.set(Timer::ExpireAuthentication, now + span + lifetimes.overtime);
        }
        if let Some(seconds) = peer_limit {
            frame.limit_authentication(now, seconds);
        }
    }

    /// Keeps the mapping of a NAT in front of us alive (RFC 3948 §4).
    pub(crate) fn set_keepalive(&self, frame: &mut Frame, core: &Core) {
        if self.nat.local_behind_nat {
            frame.timers.set(Timer::Keepalive, core.now.time + core.config.keepalive);
        } else {
            frame.timers.clear(Timer::Keepalive);
        }
    }

    /// What children grow on.
    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground { crypt: &self.crypt, encapsulation: encapsulation(&self.connection, self.nat) }
    }

    /// What `dynamic` stands for on either side. Virtual addresses belong to the end that asked for them.
    pub(crate) fn ends(&self, frame: &Frame) -> Ends {
        match self.origin {
            Role::Initiator => Ends::of_initiator(&self.connection, &frame.path, &self.virtual_addresses),
            Role::Responder => Ends::of_responder(&self.virtual_addresses, &frame.path),
        }
    }

    pub(crate) fn child(&self, inbound: Spi) -> Option<&Child> {
        self.children.iter().find(|child| child.inbound == inbound)
    }

    pub(crate) fn child_mut(&mut self, inbound: Spi) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.inbound == inbound)
    }

    /// A child of this configuration that is not on its way out.
    pub(crate) fn child_named(&self, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| &*child.config.name == name && child.fate == Fate::Standing)
    }

    /// Whether such a child stands or has been asked for.
    pub(crate) fn has_or_awaits(&self, name: &str) -> bool {
        let asked = match &self.exchange {
            Some(Exchange::CreateChild(creating)) => &*creating.pending.config.name == name,
            _ => false,
        };
        asked || self.child_named(name).is_some()
    }

    /// The child that this one takes the place of.
    pub(crate) fn predecessor_of(&self, inbound: Spi) -> Option<Spi> {
        self.child(inbound)?;
        self.children.iter().find(|child| child.fate == Fate::Superseded(inbound)).map(|child| child.inbound)
    }

    pub(crate) fn remove_child(&mut self, inbound: Spi) -> Option<Child> {
        let position = self.children.iter().position(|child| child.inbound == inbound)?;
        Some(self.children.remove(position))
    }

    /// Has the peer's half of a child deleted that never stood here; until then its SPI stays reserved.
    pub(crate) fn delete_orphan(&mut self, spi: Spi) {
        self.orphans.push(spi);
        self.want(Task::DeleteChild(spi));
    }

    /// Begins what can begin. Called at the end of every step.
    pub(crate) fn advance(mut self: Box<Self>, frame: &mut Frame, core: &mut Core) -> State {
        while self.exchange.is_none() && !frame.window.is_waiting() && self.answering.is_none() {
            let Some(task) = self.tasks.pop_front() else { break };
            if let Task::DeleteIke(verdict) = task {
                return self.close(frame, core, verdict);
            }
            exchange::begin(&mut self, frame, core, task);
        }
        if self.tasks.is_empty() {
            // An idle SA is small.
            self.tasks = VecDeque::new();
        }
        self.finish_replacement(core);
        State::Established(self)
    }

    /// Make before break: the old IKE SA goes when all that should stand here does.
    fn finish_replacement(&mut self, core: &mut Core) {
        let busy = self.exchange.is_some() || !self.tasks.is_empty() || !self.deferred.is_empty();
        if busy {
            return;
        }
        if let Some(old) = self.replaces.take() {
            core.effects.push_back(Effect::Close(old, Verdict::new(Culprit::Us, Cause::Replaced)));
        }
    }

    /// Sends a request with these payloads.
    pub(crate) fn request(
        &mut self,
        frame: &mut Frame,
        core: &mut Core,
        exchange: ExchangeType,
        chain: &PayloadChain,
    ) -> bool {
        let Ok(id) = frame.window.next_id() else {
            self.tasks.push_front(Task::DeleteIke(Verdict::new(Culprit::Us, Cause::Exhausted)));
            return false;
        };
        let limit = self.fragment_limit(frame.path);
        let envoy = Envoy { exchange, response: false, id, limit };
        let Ok(datagrams) = self.crypt.seal(frame.spis, envoy, chain, &mut *core.random) else {
            return false;
        };
        let policy = self.connection.retransmission;
        frame.send_request(core, datagrams, &policy);
        true
    }

    /// Answers the peer's request with these payloads.
    pub(crate) fn answer(
        &mut self,
        frame: &mut Frame,
        core: &mut Core,
        exchange: ExchangeType,
        chain: &PayloadChain,
    ) {
        let id = frame.window.answering_id();
        let limit = self.fragment_limit(frame.answer_path);
        let envoy = Envoy { exchange, response: true, id, limit };
        if let Ok(datagrams) = self.crypt.seal(frame.spis, envoy, chain, &mut *core.random) {
            frame.send_answer(core, datagrams);
        }
    }

    /// Answers the peer's request with a notification alone.
    pub(crate) fn refuse(
        &mut self,
        frame: &mut Frame,
        core: &mut Core,
        exchange: ExchangeType,
        kind: NotifyType,
        data: Vec<u8>,
    ) {
        self.refuse_with(frame, core, exchange, Notify::with_data(kind, data));
    }

    pub(crate) fn refuse_with(
        &mut self,
        frame: &mut Frame,
        core: &mut Core,
        exchange: ExchangeType,
        notify: Notify,
    ) {
        let chain = Informational { notifies: vec![notify], ..Informational::default() }.emit();
        self.answer(frame, core, exchange, &chain);
    }

    fn fragment_limit(&self, path: Path) -> Option<usize> {
        if self.peer_fragments { self.connection.fragment_limit(path) } else { None }
    }

    /// A request of the peer's.
    pub(crate) fn on_request(
        mut self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        message: &Verified,
    ) -> State {
        self.follow_peer(frame, core, message);
        self.hear_request(frame, core, message.path.remote);
        let exchange = message.header.exchange;
        match exchange {
            ExchangeType::CreateChildSa => {
                if settle_if_candidate(&self, frame, core) {
                    return State::Established(self);
                }
                match message.read(CreateChildRequest::parse) {
                    Ok(CreateChildRequest::Child(request)) => match request.rekeys {
                        Some(_) => exchange::rekey_child::on_request(&mut self, frame, core, request),
                        None => exchange::create_child::on_request(&mut self, frame, core, request),
                    },
                    Ok(CreateChildRequest::RekeyIke(request)) => {
                        exchange::rekey_ike::on_request(&mut self, frame, core, &request);
                    }
                    Err(error) => return self.malformed_request(frame, core, exchange, error),
                }
                self.advance(frame, core)
            }
            ExchangeType::Informational => match message.read(Informational::parse) {
                Ok(request) => {
                    if request.names_children() && settle_if_candidate(&self, frame, core) {
                        return State::Established(self);
                    }
                    exchange::informational::on_request(self, frame, core, message, &request)
                }
                Err(error) => self.malformed_request(frame, core, exchange, error),
            },
            _ => {
                core.counters.drop(Drop::OutOfState);
                self.refuse(frame, core, exchange, NotifyType::INVALID_SYNTAX, Vec::new());
                self.fail(
                    frame,
                    core,
                    Verdict::new(Culprit::Misbehaviour, Cause::Unexpected("exchange type")),
                )
            }
        }
    }

    /// Answers what does not parse. INVALID_SYNTAX ends the IKE SA on both ends (RFC 7296 §2.21.3).
    fn malformed_request(
        mut self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        exchange: ExchangeType,
        error: crate::wire::MessageError,
    ) -> State {
        let notify = error.answer();
        let fatal = notify.kind == NotifyType::INVALID_SYNTAX;
        self.refuse_with(frame, core, exchange, notify);
        if fatal { self.fail(frame, core, Verdict::malformed(error)) } else { self.advance(frame, core) }
    }

    /// The answer to a request of ours.
    pub(crate) fn on_response(
        mut self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        message: &Verified,
    ) -> State {
        self.heard = core.now.time;
        self.settle_path(frame, core, message);
        let Some(exchange) = self.exchange.take() else { return self.advance(frame, core) };
        if message.header.exchange != exchange.kind() {
            exchange.abandon(core);
            return self.fail(
                frame,
                core,
                Verdict::new(Culprit::Misbehaviour, Cause::Unexpected("exchange type")),
            );
        }
        match exchange {
            Exchange::CreateChild(_) | Exchange::RekeyChild(_) | Exchange::RekeyIke(_) => {
                match message.read(CreateChildResponse::parse) {
                    Ok(response) => exchange::on_create_response(self, frame, core, exchange, response),
                    Err(error) => {
                        exchange.abandon(core);
                        self.fail(frame, core, Verdict::malformed(error))
                    }
                }
            }
            Exchange::DeleteChild(_) | Exchange::Liveness | Exchange::Mobike(_) => {
                match message.read(Informational::parse) {
                    Ok(response) => {
                        exchange::informational::on_response(self, frame, core, exchange, message, &response)
                    }
                    Err(error) => self.fail(frame, core, Verdict::malformed(error)),
                }
            }
        }
    }

    /// Arithmetic of an exchange is done.
    pub(crate) fn on_job(mut self: Box<Self>, frame: &mut Frame, core: &mut Core, done: JobDone) -> State {
        if self.answering.as_ref().is_some_and(|answering| answering.job() == done.id) {
            if let Err(verdict) = exchange::on_answer_job(&mut self, frame, core, done) {
                return self.fail(frame, core, verdict);
            }
        } else if self.exchange.as_ref().is_some_and(|exchange| exchange.job() == Some(done.id)) {
            return exchange::on_exchange_job(self, frame, core, done);
        }
        self.advance(frame, core)
    }

    /// A deadline has passed.
    pub(crate) fn on_timer(mut self: Box<Self>, frame: &mut Frame, core: &mut Core, timer: Timer) -> State {
        let now = core.now.time;
        match timer {
            Timer::Retransmit => {
                self.try_other_path(frame, core);
                let policy = self.connection.retransmission;
                if frame.retransmit(core, &policy) {
                    return self.peer_is_gone(frame, core);
                }
            }
            Timer::Liveness => self.check_liveness(frame, core),
            Timer::Keepalive => {
                core.outputs.push_back(Output::Transmit(crate::output::Transmit {
                    path: frame.path,
                    bytes: vec![0xff],
                }));
                frame.timers.set(Timer::Keepalive, now + core.config.keepalive);
            }
            Timer::RekeyIke => {
                if self.standing == Standing::Active {
                    self.want(Task::RekeyIke);
                }
            }
            Timer::Reauthenticate => {
                if self.origin == Role::Initiator && self.standing == Standing::Active {
                    core.effects.push_back(Effect::Reauthenticate(
                        frame.id,
                        Arc::clone(&self.connection),
                        frame.path,
                    ));
                    // In case nothing comes of it.
                    let policy = self.connection.retransmission;
                    frame.timers.set(Timer::Reauthenticate, now + policy.give_up * 2);
                }
            }
            Timer::ExpireIke | Timer::ExpireAuthentication | Timer::GiveUp => {
                let verdict = match self.standing {
                    Standing::Active => Verdict::new(Culprit::Network, Cause::Expired),
                    _ => Verdict::new(Culprit::Peer, Cause::Replaced),
                };
                return self.close(frame, core, verdict);
            }
            Timer::Retry => self.tasks.extend(self.deferred.drain(..)),
            Timer::RekeyChild(spi) => self.rekey_child(spi),
            Timer::ExpireChild(spi) => {
                // RFC 7296 §2.8: it carries nothing from now on, whatever the peer says to its end.
                if let Some(child) = self.child(spi).filter(|child| child.fate == Fate::Standing) {
                    child.halt(core);
                }
                let verdict = Verdict::new(Culprit::Network, Cause::Expired);
                close_child(&mut self, core, frame, spi, verdict);
            }
            Timer::Linger(spi) => bury_inbound(spi, core),
            Timer::Displaced => core.effects.push_back(Effect::Displaced(frame.id)),
            Timer::Reassembly => {}
        }
        self.advance(frame, core)
    }

    /// Wants new keys for a child, unless it is on its way out.
    pub(crate) fn rekey_child(&mut self, spi: Spi) {
        if self.child(spi).is_some_and(|child| child.fate == Fate::Standing) {
            self.want(Task::RekeyChild(spi));
        }
    }
}

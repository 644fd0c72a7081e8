//! The end of an IKE SA: how it is noticed that the peer has gone, and what goes with the SA.

use super::{Established, Standing, Task};
use crate::core::Core;
use crate::event::Event;
use crate::exchange::{self, Exchange};
use crate::sa::child::{Fate, bury_inbound};
use crate::sa::closing::Closing;
use crate::sa::timers::Timer;
use crate::sa::{Frame, State};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{Delete, ExchangeType, Informational, NotifyType};
use std::sync::Arc;
use std::time::Duration;

/// What an unauthenticated hint leaves of the time that the peer has to answer. It is long enough for two
/// repetitions, so that a forger alone ends nothing.
const QUICK_CHECK: Duration = Duration::from_secs(3);

impl Established {
    /// Asks for a sign of life if there has been none for long enough. Any request does.
    pub(super) fn check_liveness(&mut self, frame: &mut Frame, core: &mut Core) {
        let Some(limit) = self.connection.liveness else { return };
        let now = core.now.time;
        let due = self.heard + limit;
        if due > now {
            frame.timers.set(Timer::Liveness, due);
            return;
        }
        if !frame.window.is_waiting() {
            self.want(Task::Liveness);
        }
        frame.timers.set(Timer::Liveness, now + limit);
    }

    /// An unauthenticated message suggests that the peer has lost its state: ask it, but seldom
    /// (RFC 7296 §2.21.4), and do not wait long for the answer.
    pub(crate) fn hint(mut self: Box<Self>, frame: &mut Frame, core: &mut Core) -> State {
        const PAUSE: Duration = Duration::from_secs(5);
        let now = core.now.time;
        if self.hinted.is_some_and(|last| now < last + PAUSE) {
            return State::Established(self);
        }
        self.hinted = Some(now);
        if !frame.window.is_waiting() {
            self.want(Task::Liveness);
        }
        let policy = self.connection.retransmission;
        let state = self.advance(frame, core);
        frame.hurry(now, QUICK_CHECK, &policy);
        state
    }

    /// The peer has not answered a request in all its repetitions.
    pub(super) fn peer_is_gone(mut self: Box<Self>, frame: &mut Frame, core: &mut Core) -> State {
        if let Some(Exchange::RekeyIke(rekeying)) = &self.exchange
            && let Some(rival) = rekeying.rival()
        {
            self.exchange = None;
            exchange::rekey_ike::hand_over(&mut self, frame, core, rival);
            frame.request_answered();
            return State::Established(self);
        }
        let waited = frame.window.waited(core.now.time);
        self.vanish(frame, core, Verdict::new(Culprit::Network, Cause::Unanswered { waited }))
    }

    /// Deletes the IKE SA at both ends, as soon as the exchange under way is over.
    pub(crate) fn close(mut self: Box<Self>, frame: &mut Frame, core: &mut Core, verdict: Verdict) -> State {
        if self.exchange.is_some() || frame.window.is_waiting() {
            self.tasks.push_front(Task::DeleteIke(verdict));
            return State::Established(self);
        }
        if let Some(answering) = self.answering.take() {
            answering.abandon(core);
            let kind = NotifyType::TEMPORARY_FAILURE;
            self.refuse(frame, core, ExchangeType::CreateChildSa, kind, Vec::new());
        }
        self.bury(frame, core, verdict);
        Closing::announce(self.crypt, frame, core, self.connection.retransmission)
    }

    /// Ends the IKE SA here; the peer knows, or has been told in the answer just sent.
    pub(crate) fn fail(mut self: Box<Self>, frame: &mut Frame, core: &mut Core, verdict: Verdict) -> State {
        self.drop_work(core);
        self.bury(frame, core, verdict);
        Closing::linger(self.crypt, frame, core, self.connection.retransmission)
    }

    /// Ends the IKE SA here and now. The peer is told once, where the window lets us.
    pub(crate) fn abandon(
        mut self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        verdict: Verdict,
    ) -> State {
        if !frame.window.is_waiting() {
            let farewell = Informational { deletes: vec![Delete::Ike], ..Informational::default() };
            self.request(frame, core, ExchangeType::Informational, &farewell.emit());
        }
        self.vanish(frame, core, verdict)
    }

    /// Ends the IKE SA here and now; there is nobody to tell.
    pub(crate) fn vanish(mut self: Box<Self>, frame: &mut Frame, core: &mut Core, verdict: Verdict) -> State {
        self.drop_work(core);
        self.bury(frame, core, verdict);
        State::Closed
    }

    /// Forgets the exchanges under way.
    fn drop_work(&mut self, core: &mut Core) {
        if let Some(exchange) = self.exchange.take() {
            exchange.abandon(core);
        }
        if let Some(answering) = self.answering.take() {
            answering.abandon(core);
        }
    }

    /// Takes the children and all that was planned away, and tells of it.
    fn bury(&mut self, frame: &mut Frame, core: &mut Core, verdict: Verdict) {
        for child in self.children.drain(..) {
            child.discard(frame, core);
            if child.fate == Fate::Standing {
                child.closed(frame, core, verdict.clone());
            }
        }
        for spi in self.orphans.drain(..) {
            core.give_back_spi(spi);
        }
        let lingering: Vec<_> = frame.timers.take_children();
        for (_, timer) in lingering {
            if let Timer::Linger(spi) = timer {
                bury_inbound(spi, core);
            }
        }
        core.pools.release(frame.id);
        if self.standing == Standing::Active {
            core.event(Event::IkeClosed {
                sa: frame.id,
                connection: Arc::clone(&self.connection.name),
                verdict,
            });
        }
    }
}

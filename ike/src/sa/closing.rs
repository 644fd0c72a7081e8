//! An IKE SA on its way out: it keeps only what it takes to say goodbye properly.
//!
//! Either our Delete is out and waits for its answer, or the peer's has been answered and the answer may
//! have to be given again.

use super::crypt::{Crypt, Envoy};
use super::timers::Timer;
use super::{Frame, State, Verified};
use crate::connection::Retransmission;
use crate::core::Core;
use crate::wire::{Delete, ExchangeType, Informational, Notify, NotifyType, PayloadChain};
use std::time::Duration;

/// How long the last answer is kept for a peer that has not received it.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// An IKE SA that is being deleted.
pub(crate) struct Closing {
    pub(crate) crypt: Crypt,
    retransmission: Retransmission,
}

impl Closing {
    /// Sends a Delete for the IKE SA and waits for its answer.
    pub(crate) fn announce(
        crypt: Crypt,
        frame: &mut Frame,
        core: &mut Core,
        policy: Retransmission,
    ) -> State {
        let message = Informational { deletes: vec![Delete::Ike], ..Informational::default() };
        Self::say(crypt, frame, core, policy, &message)
    }

    /// Tells the responder that its authentication did not hold, and that the IKE SA is gone
    /// (RFC 7296 §2.21.2).
    pub(crate) fn reject(crypt: Crypt, frame: &mut Frame, core: &mut Core, policy: Retransmission) -> State {
        let notify = Notify::new(NotifyType::AUTHENTICATION_FAILED);
        let message = Informational { notifies: vec![notify], ..Informational::default() };
        Self::say(crypt, frame, core, policy, &message)
    }

    fn say(
        mut crypt: Crypt,
        frame: &mut Frame,
        core: &mut Core,
        policy: Retransmission,
        message: &Informational,
    ) -> State {
        let Ok(id) = frame.window.next_id() else { return State::Closed };
        let envoy = Envoy { exchange: ExchangeType::Informational, response: false, id, limit: None };
        let Ok(datagrams) = crypt.seal(frame.spis, envoy, &message.emit(), &mut *core.random) else {
            return State::Closed;
        };
        frame.timers = super::timers::Timers::default();
        frame.send_request(core, datagrams, &policy);
        State::Closing(Box::new(Self { crypt, retransmission: policy }))
    }

    /// Stays for a while, only to repeat the last answer.
    pub(crate) fn linger(crypt: Crypt, frame: &mut Frame, core: &mut Core, policy: Retransmission) -> State {
        frame.timers = super::timers::Timers::default();
        frame.window.answered();
        frame.timers.set(Timer::GiveUp, core.now.time + LAST_ANSWER);
        State::Closing(Box::new(Self { crypt, retransmission: policy }))
    }

    pub(crate) fn on_request(
        mut self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        message: &Verified,
    ) -> State {
        let exchange = message.header.exchange;
        let ends = exchange == ExchangeType::Informational
            && message.read(Informational::parse).is_ok_and(|request| request.deletes.contains(&Delete::Ike));
        let chain = match exchange {
            // RFC 7296 §2.25.2: a Delete is answered as usual, and our own is forgotten; all else has to
            // wait for ever.
            ExchangeType::Informational => PayloadChain::default(),
            _ => {
                let notify = Notify::new(NotifyType::TEMPORARY_FAILURE);
                Informational { notifies: vec![notify], ..Informational::default() }.emit()
            }
        };
        let envoy = Envoy { exchange, response: true, id: frame.window.answering_id(), limit: None };
        if let Ok(datagrams) = self.crypt.seal(frame.spis, envoy, &chain, &mut *core.random) {
            frame.send_answer(core, datagrams);
        }
        if ends {
            return Self::linger(self.crypt, frame, core, self.retransmission);
        }
        State::Closing(self)
    }

    pub(crate) fn on_timer(self: Box<Self>, frame: &mut Frame, core: &mut Core, timer: Timer) -> State {
        let over = match timer {
            Timer::GiveUp => true,
            Timer::Retransmit => frame.retransmit(core, &self.retransmission),
            _ => false,
        };
        if over { State::Closed } else { State::Closing(self) }
    }
}

//! Message ids, retransmission and duplicates, for a window of one either way (RFC 7296 §2.1 to §2.3).
//!
//! The window knows bytes and numbers, not meaning. One request of ours may be unanswered, and one request
//! of the peer's may be worked on; the answer to its last one is kept to be given again.

use crate::connection::Retransmission;
use crate::time::Time;
use crate::wire::{Header, MessageId, Reassembly};
use std::time::Duration;

/// Datagrams of one message: one, or its fragments in order.
pub(crate) type Datagrams = Vec<Vec<u8>>;

/// How long the fragments of one message are waited for.
pub(crate) const REASSEMBLY_TIME: Duration = Duration::from_secs(15);

/// The window of one IKE SA.
#[derive(Default)]
pub(crate) struct Window {
    next_request: u32,
    outstanding: Option<Box<Outstanding>>,
    round_trip: Option<Duration>,
    expected: u32,
    answering: bool,
    answer: Option<Datagrams>,
    collecting_request: Option<Box<Collecting>>,
    collecting_response: Option<Box<Collecting>>,
}

#[derive(Debug)]
struct Outstanding {
    id: MessageId,
    datagrams: Datagrams,
    attempts: u32,
    sent: Time,
    give_up: Time,
}

struct Collecting {
    id: MessageId,
    since: Time,
    parts: Reassembly,
}

/// Where a message stands in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The peer's next request.
    Request,
    /// The peer's last request once more: its answer goes out again.
    Repeated,
    /// The request that is being worked on, once more.
    InProgress,
    /// The answer to our request.
    Response,
    /// Neither: too old, too new, or an answer to nothing.
    Stray,
}

/// What a retransmission deadline asks for.
pub(crate) enum Due<'a> {
    /// Send these again, and wait this long.
    Again(&'a [Vec<u8>], Duration),
    /// The peer has not answered in time.
    GivenUp,
    /// Nothing is outstanding.
    Nothing,
}

/// No message id is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdsExhausted;

impl Window {
    /// The responder's window when its IKE_SA_INIT is over: the initiator's next request is its second.
    pub(crate) fn of_responder() -> Self {
        Self { expected: 1, ..Self::default() }
    }

    /// Where a message belongs. Says nothing of its authenticity.
    pub(crate) fn place(&self, header: &Header) -> Place {
        let id = header.message_id;
        if header.response {
            return match &self.outstanding {
                Some(outstanding) if outstanding.id == id => Place::Response,
                _ => Place::Stray,
            };
        }
        // The last number is never taken: after it the counter would stand still, and copies of that request
        // would count as new.
        if id.0 == self.expected && self.expected != u32::MAX {
            return if self.answering { Place::InProgress } else { Place::Request };
        }
        if self.answer.is_some() && id.0.checked_add(1) == Some(self.expected) {
            return Place::Repeated;
        }
        Place::Stray
    }

    /// The id of the next request. Only one may be outstanding.
    pub(crate) fn next_id(&self) -> Result<MessageId, IdsExhausted> {
        // The last number is never used, so that the counter cannot wrap.
        if self.next_request == u32::MAX { Err(IdsExhausted) } else { Ok(MessageId(self.next_request)) }
    }

    /// Remembers a request that has just been sent with [`Self::next_id`]; gives the wait for its answer.
    pub(crate) fn sent(&mut self, now: Time, datagrams: Datagrams, policy: &Retransmission) -> Duration {
        let id = MessageId(self.next_request);
        self.next_request = self.next_request.saturating_add(1);
        let give_up = now + policy.give_up;
        self.outstanding = Some(Box::new(Outstanding { id, datagrams, attempts: 0, sent: now, give_up }));
        policy.wait(0)
    }

    /// Whether a request of ours is unanswered.
    pub(crate) fn is_waiting(&self) -> bool {
        self.outstanding.is_some()
    }

    /// How often the outstanding request has been sent again.
    pub(crate) fn attempts(&self) -> u32 {
        self.outstanding.as_ref().map_or(0, |outstanding| outstanding.attempts)
    }

    /// How long the outstanding request has been unanswered.
    pub(crate) fn waited(&self, now: Time) -> Duration {
        self.outstanding.as_ref().map_or(Duration::ZERO, |outstanding| now.since(outstanding.sent))
    }

    /// Brings the end of an attempt nearer.
    pub(crate) fn give_up_by(&mut self, at: Time) {
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.give_up = outstanding.give_up.min(at);
        }
    }

    /// Brings the end of an attempt nearer, and begins the schedule of repetitions anew; gives the first
    /// wait.
    pub(crate) fn hurry(&mut self, at: Time, policy: &Retransmission) -> Duration {
        self.give_up_by(at);
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.attempts = 0;
        }
        policy.wait(0)
    }

    /// A retransmission deadline has passed.
    pub(crate) fn due(&mut self, now: Time, policy: &Retransmission) -> Due<'_> {
        let Some(outstanding) = &mut self.outstanding else {
            return Due::Nothing;
        };
        if now >= outstanding.give_up {
            return Due::GivenUp;
        }
        outstanding.attempts = outstanding.attempts.saturating_add(1);
        let left = outstanding.give_up.since(now);
        Due::Again(&outstanding.datagrams, policy.wait(outstanding.attempts).min(left))
    }

    /// Changes the outstanding request, for IKE_SA_INIT with a cookie or another group: same id, new bytes.
    pub(crate) fn replace(&mut self, datagrams: Datagrams) {
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.datagrams = datagrams;
        }
    }

    /// Our request has its answer now. After a repetition nobody knows which of them it answers.
    pub(crate) fn answered_at(&mut self, now: Time) {
        if let Some(outstanding) = self.outstanding.as_ref().filter(|outstanding| outstanding.attempts == 0) {
            self.round_trip = Some(now.since(outstanding.sent));
        }
        self.answered();
    }

    /// How long the last answer took that came without a repetition.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// No answer is waited for.
    pub(crate) fn answered(&mut self) {
        self.outstanding = None;
        self.collecting_response = None;
    }

    /// Work on the peer's request begins: copies of it are dropped until there is an answer.
    pub(crate) fn begin_answer(&mut self) {
        self.answering = true;
        self.collecting_request = None;
    }

    /// The request is put aside without an answer; the next copy of it counts as new.
    pub(crate) fn cancel_answer(&mut self) {
        self.answering = false;
    }

    /// The id of the request that is worked on.
    pub(crate) fn answering_id(&self) -> MessageId {
        MessageId(self.expected)
    }

    /// The answer is ready; it stays until the next request is answered.
    pub(crate) fn keep_answer(&mut self, datagrams: Datagrams) {
        self.answering = false;
        self.expected = self.expected.saturating_add(1);
        self.answer = Some(datagrams);
    }

    /// The answer to the peer's last request.
    pub(crate) fn last_answer(&self) -> &[Vec<u8>] {
        self.answer.as_deref().unwrap_or_default()
    }

    /// Where the fragments of a message are collected. Fragments of another message give way: the window
    /// has room for one each way.
    pub(crate) fn reassembly(&mut self, header: &Header, now: Time) -> &mut Reassembly {
        let slot = if header.response { &mut self.collecting_response } else { &mut self.collecting_request };
        if slot.as_ref().is_some_and(|collecting| collecting.id != header.message_id) {
            *slot = None;
        }
        &mut slot
            .get_or_insert_with(|| {
                Box::new(Collecting { id: header.message_id, since: now, parts: Reassembly::default() })
            })
            .parts
    }

    /// How much memory incomplete messages take.
    pub(crate) fn held(&self) -> usize {
        let slots = [&self.collecting_request, &self.collecting_response];
        slots.into_iter().flatten().map(|collecting| collecting.parts.held()).sum()
    }

    /// When the oldest incomplete message is thrown away.
    pub(crate) fn reassembly_deadline(&self) -> Option<Time> {
        [&self.collecting_request, &self.collecting_response]
            .into_iter()
            .flatten()
            .map(|collecting| collecting.since + REASSEMBLY_TIME)
            .min()
    }

    /// Throws away what has been incomplete for too long.
    pub(crate) fn expire_fragments(&mut self, now: Time) {
        for slot in [&mut self.collecting_request, &mut self.collecting_response] {
            if slot.as_ref().is_some_and(|collecting| collecting.since + REASSEMBLY_TIME <= now) {
                *slot = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7296 §2.2
    #[test]
    fn the_last_message_id_is_never_used() {
        let mut window = Window { next_request: u32::MAX - 1, ..Window::default() };
        assert_eq!(window.next_id(), Ok(MessageId(u32::MAX - 1)));
        window.sent(Time::ZERO, Vec::new(), &Retransmission::default());
        window.answered();
        assert_eq!(window.next_id(), Err(IdsExhausted));
    }
}

//! The initiator's way to an established SA (RFC 7296 §1.2).
//!
//! ```text
//! InitSent    SA, KEi, Ni  ───────▶
//!             ◀───────  COOKIE, or INVALID_KE_PAYLOAD: again, with it
//!             ◀───────  SA, KEr, Nr
//! Agreeing    the shared secret is worked out
//! Signing     our AUTH is made
//! AuthSent    SK{IDi, AUTH, SA, TSi, TSr, …}  ───────▶
//!             ◀───────  SK{IDr, AUTH, SA, TSi, TSr, …}
//! Verifying   the peer's AUTH is checked
//! ```
//!
//! Nothing before the first protected answer is authentic, so nothing in clear ends the attempt
//! (RFC 7296 §2.21.1): a refusal is kept for the verdict and only shortens the wait.

mod authenticate;

use super::child::PendingChild;
use super::closing::Closing;
use super::crypt::Crypt;
use super::opening::{Keyed, Opening};
use super::timers::Timer;
use super::window::Window;
use super::{Frame, SpiPair, State, Verified};
use crate::SaId;
use crate::auth::{AuthFailure, Authenticated, accepted_hashes};
use crate::connection::{Asked, ChildConfig, Childless, Connection, EncapsulationPolicy};
use crate::core::Core;
use crate::counters::Drop;
use crate::crypto::{GroupId, PrivateValue};
use crate::event::Event;
use crate::output::{JobDone, JobId, Path, Task as Arithmetic, TaskResult};
use crate::proposal::{confirm_ike, ike_offer};
use crate::time::Time;
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{
    ExchangeType, FurtherAccepted, FurtherResponse, Header, IdPayload, KeyExchange, MessageId, Notify,
    NotifyType, Proposal, SaInitAccepted, SaInitRequest, SaInitResponse,
};
use authenticate::{proven, read_answer, send_auth, send_further, sign, verify};
use std::sync::Arc;
use tidegate_esp::TrafficSelector;

/// A forger can make us repeat IKE_SA_INIT with a cookie of his; not more often than this.
const MAX_RESTARTS: u8 = 8;

/// Nor does he make us begin all over more often than this.
const MAX_FRESH_STARTS: u8 = 3;

/// An answer that somebody contests has been a forger's if IKE_AUTH is unanswered after so many repetitions.
const CONTESTED_PATIENCE: u32 = 3;

/// An IKE SA that we are setting up.
pub(crate) struct Attempt {
    goal: Goal,
    stage: Stage,
}

/// What it is for.
pub(crate) struct Goal {
    pub(crate) connection: Arc<Connection>,
    /// Children to set up; the first goes along with IKE_AUTH.
    pub(crate) children: Vec<Arc<ChildConfig>>,
    /// The packet that wanted the first of them.
    pub(crate) packet: Option<(TrafficSelector, TrafficSelector)>,
    /// The IKE SA to be replaced, in a reauthentication.
    pub(crate) replaces: Option<SaId>,
    /// When it has failed, whatever it is waiting for.
    pub(crate) deadline: Time,
    /// The last refusal in clear.
    pub(crate) refusal: Option<Verdict>,
    pub(crate) restarts: u8,
    /// The IKE_SA_INIT that we go on with may not be the responder's: there was a cookie that changed our
    /// request, or another answer, or the responder does not know what we talk of.
    pub(crate) contested: bool,
    pub(crate) fresh_starts: u8,
    /// Where the first message went.
    pub(crate) path: Option<Path>,
}

enum Stage {
    InitSent(InitSent),
    Agreeing { job: JobId, opening: Opening },
    Signing { job: JobId, keyed: Keyed, id: IdPayload, rounds: Rounds },
    AuthSent { keyed: Keyed, rounds: Rounds },
    Verifying { job: JobId, keyed: Keyed, rounds: Rounds, answer: Box<FurtherAccepted> },
}

/// How far the two ends have come with proving who they are.
#[derive(Default)]
struct Rounds {
    /// The child that goes along.
    child: Option<PendingChild>,
    /// How many proofs of ours have been sent.
    ours: usize,
    /// How many of the peer's have held.
    theirs: usize,
    /// Who it has proved to be in the first of them.
    peer: Option<Authenticated>,
}

struct InitSent {
    group: GroupId,
    private: Box<dyn PrivateValue>,
    offered: Vec<Proposal>,
    nonce: Vec<u8>,
    cookie: Option<Vec<u8>>,
    /// The message as sent, which our AUTH will cover.
    request: Vec<u8>,
}

impl Goal {
    pub(crate) fn new(connection: Arc<Connection>, children: Vec<Arc<ChildConfig>>, deadline: Time) -> Self {
        Self {
            connection,
            children,
            packet: None,
            replaces: None,
            deadline,
            refusal: None,
            restarts: 0,
            contested: false,
            fresh_starts: 0,
            path: None,
        }
    }
}

impl Attempt {
    /// Sends IKE_SA_INIT with the first group of the first proposal.
    pub(crate) fn begin(mut goal: Goal, frame: &mut Frame, core: &mut Core) -> State {
        goal.path = Some(frame.path);
        let group = goal.connection.proposals.iter().find_map(|proposal| proposal.groups.first().copied());
        match group {
            Some(group) => {
                let nonce = core.nonce();
                Self::begin_with(goal, frame, core, group, nonce, None)
            }
            None => fail(
                &goal,
                frame,
                core,
                Verdict::new(Culprit::Us, Cause::Unexpected("no key exchange method")),
            ),
        }
    }

    /// Begins all over, under another SPI, so that no answer to what was can be taken for one to what is.
    fn begin_afresh(mut goal: Goal, frame: &mut Frame, core: &mut Core) -> State {
        goal.contested = false;
        frame.spis.initiator = core.ike_spi();
        frame.path = goal.path.unwrap_or(frame.path);
        frame.timers.clear(Timer::Retransmit);
        Self::begin(goal, frame, core)
    }

    fn begin_with(
        goal: Goal,
        frame: &mut Frame,
        core: &mut Core,
        group: GroupId,
        nonce: Vec<u8>,
        cookie: Option<Vec<u8>>,
    ) -> State {
        let private = match core.generate(group) {
            Ok(private) => private,
            Err(error) => return fail(&goal, frame, core, error.into()),
        };
        let init = InitSent {
            group,
            private,
            offered: ike_offer(&goal.connection.proposals, &[]),
            nonce,
            cookie,
            request: Vec::new(),
        };
        frame.spis.responder = crate::wire::IkeSpi(0);
        frame.window = Window::default();
        init.send(goal, frame, core)
    }

    pub(crate) fn crypt(&self) -> Option<&Crypt> {
        match &self.stage {
            Stage::AuthSent { keyed, .. } => Some(&keyed.crypt),
            _ => None,
        }
    }

    /// Its connection.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.goal.connection
    }

    /// The IKE SA that it is to replace.
    pub(crate) fn replaces(&self) -> Option<SaId> {
        self.goal.replaces
    }

    /// The IKE SA that it is to replace has itself a successor now.
    pub(crate) fn replaces_instead(&mut self, old: SaId) {
        self.goal.replaces = Some(old);
    }

    /// An answer to IKE_SA_INIT, which anybody may have sent.
    pub(crate) fn on_init_response(
        mut self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        path: Path,
        header: &Header,
        body: &[u8],
        whole: &[u8],
    ) -> State {
        let Stage::InitSent(init) = self.stage else {
            core.counters.drop(Drop::OutOfState);
            return State::Initiating(self);
        };
        let response = match SaInitResponse::parse(header.next_payload, body) {
            Ok(response) => response,
            Err(error) => {
                self.goal.doubt(frame, core, Verdict::malformed(error));
                return init.wait(self.goal);
            }
        };
        match response {
            SaInitResponse::Cookie(cookie) if self.goal.may_restart() => {
                // The answer may yet be to the message without it.
                self.goal.contested = true;
                InitSent { cookie: Some(cookie), ..init }.send(self.goal, frame, core)
            }
            // A copy of the refusal that has led us to this group, or nonsense: no reason to hurry.
            SaInitResponse::InvalidKe(wanted) if wanted == init.group.transform_id() => {
                self.goal.refusal = Some(refused_in_clear(NotifyType::INVALID_KE_PAYLOAD));
                init.wait(self.goal)
            }
            SaInitResponse::InvalidKe(wanted) => {
                let group = GroupId::from_transform(wanted)
                    .filter(|group| self.goal.connection.proposals.iter().any(|p| p.groups.contains(group)));
                match group {
                    // RFC 7296 §2.6.1: a cookie is shown again, and it holds only with the nonce that it
                    // was made for.
                    Some(group) if self.goal.may_restart() => {
                        Self::begin_with(self.goal, frame, core, group, init.nonce, init.cookie)
                    }
                    _ => {
                        let kind = NotifyType::INVALID_KE_PAYLOAD;
                        self.goal.doubt(frame, core, refused_in_clear(kind));
                        init.wait(self.goal)
                    }
                }
            }
            SaInitResponse::Accepted(answer) => {
                init.accept(self.goal, frame, core, path, header, answer, whole)
            }
            SaInitResponse::Failed(notify) => {
                self.goal.doubt(frame, core, refused_in_clear(notify.kind));
                init.wait(self.goal)
            }
            SaInitResponse::Cookie(_) => init.wait(self.goal),
        }
    }

    /// Another answer to IKE_SA_INIT after the one that we have gone on with. One of the two is a forgery;
    /// which one, IKE_AUTH will tell (RFC 7296 §2.4, §2.21.1).
    pub(crate) fn on_second_init_response(&mut self, header: &Header, body: &[u8], whole: &[u8]) {
        let opening = match &self.stage {
            Stage::InitSent(_) => return,
            Stage::Agreeing { opening, .. } => opening,
            Stage::Signing { keyed, .. } | Stage::AuthSent { keyed, .. } | Stage::Verifying { keyed, .. } => {
                &keyed.opening
            }
        };
        let accepted = SaInitResponse::parse(header.next_payload, body)
            .is_ok_and(|response| matches!(response, SaInitResponse::Accepted(_)));
        self.goal.contested |= accepted && opening.response != whole;
    }

    /// Something in clear says that the responder does not know this IKE SA.
    pub(crate) fn hint(&mut self) {
        self.goal.contested = true;
    }

    /// The answer to IKE_AUTH.
    pub(crate) fn on_protected_response(
        self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        message: &Verified,
    ) -> State {
        let Self { goal, stage } = *self;
        let Stage::AuthSent { keyed, mut rounds } = stage else {
            return fail(&goal, frame, core, Verdict::new(Culprit::Us, Cause::Unexpected("answer")));
        };
        if message.header.exchange != ExchangeType::IkeAuth {
            let verdict = Verdict::new(Culprit::Misbehaviour, Cause::Unexpected("exchange type"));
            return give_up_child(&goal, frame, core, rounds.child, verdict);
        }
        match read_answer(message, &rounds) {
            Ok(FurtherResponse::Accepted(answer)) => verify(goal, frame, core, keyed, rounds, answer),
            // After a forged cookie, or a forged answer, what the two ends have signed may differ.
            Ok(FurtherResponse::Failed(notify))
                if notify.kind == NotifyType::AUTHENTICATION_FAILED && goal.contested =>
            {
                let mut goal = goal;
                if goal.may_start_afresh() {
                    if let Some(child) = rounds.child.take() {
                        child.abandon(core);
                    }
                    return Self::begin_afresh(goal, frame, core);
                }
                give_up_child(&goal, frame, core, rounds.child, Verdict::refused(notify.kind))
            }
            Ok(FurtherResponse::Failed(notify)) => {
                give_up_child(&goal, frame, core, rounds.child, Verdict::refused(notify.kind))
            }
            Err(error) => give_up_child(&goal, frame, core, rounds.child, Verdict::malformed(error)),
        }
    }

    /// Arithmetic is done.
    pub(crate) fn on_job(self: Box<Self>, frame: &mut Frame, core: &mut Core, done: JobDone) -> State {
        let Self { goal, stage } = *self;
        match (stage, done.result) {
            (Stage::Agreeing { job, opening }, TaskResult::Agreed(result)) if job == done.id => {
                match result {
                    Ok(agreement) => sign(goal, frame, core, opening, &agreement.shared),
                    // Perhaps the value was a forger's; the real one may still come, but our own is spent.
                    Err(error) => {
                        let mut goal = goal;
                        goal.doubt(frame, core, error.into());
                        if goal.may_start_afresh() {
                            Self::begin_afresh(goal, frame, core)
                        } else {
                            fail(&goal, frame, core, error.into())
                        }
                    }
                }
            }
            (Stage::Signing { job, keyed, id, rounds }, TaskResult::Signed(result)) if job == done.id => {
                match result {
                    Ok(auth) if rounds.ours == 0 => send_auth(goal, frame, core, keyed, id, auth),
                    Ok(auth) => send_further(goal, frame, core, keyed, rounds, Some((id, auth))),
                    Err(failure) => give_up_child(&goal, frame, core, rounds.child, failure.into()),
                }
            }
            (Stage::Verifying { job, keyed, rounds, answer }, TaskResult::Verified(result))
                if job == done.id =>
            {
                match result {
                    Ok(peer) => proven(goal, frame, core, keyed, rounds, answer, peer),
                    Err(failure) => {
                        if let Some(child) = rounds.child {
                            child.abandon(core);
                        }
                        // A forger may have changed nothing but what the responder has signed.
                        let mut goal = goal;
                        if goal.contested && goal.may_start_afresh() {
                            return Self::begin_afresh(goal, frame, core);
                        }
                        let policy = goal.connection.retransmission;
                        tell(&goal, frame, core, failure.into());
                        Closing::reject(keyed.crypt, frame, core, policy)
                    }
                }
            }
            (stage, _) => State::Initiating(Box::new(Self { goal, stage })),
        }
    }

    /// A deadline has passed.
    pub(crate) fn on_timer(self: Box<Self>, frame: &mut Frame, core: &mut Core, timer: Timer) -> State {
        let over = match timer {
            Timer::Retransmit if self.has_waited_in_vain(frame) => {
                let Self { mut goal, stage } = *self;
                if let Stage::AuthSent { rounds: Rounds { child: Some(child), .. }, .. } = stage {
                    child.abandon(core);
                }
                goal.fresh_starts = goal.fresh_starts.saturating_add(1);
                return Self::begin_afresh(goal, frame, core);
            }
            Timer::Retransmit => frame.retransmit(core, &self.goal.connection.retransmission),
            Timer::GiveUp => true,
            _ => false,
        };
        if !over {
            return State::Initiating(self);
        }
        self.cancel(frame, core, None)
    }

    /// Whether the answer that we have gone on with was most likely a forger's.
    fn has_waited_in_vain(&self, frame: &Frame) -> bool {
        matches!(self.stage, Stage::AuthSent { .. })
            && self.goal.contested
            && self.goal.fresh_starts < MAX_FRESH_STARTS
            && frame.window.attempts() >= CONTESTED_PATIENCE
    }

    /// Ends the attempt, for this reason or for what it has seen.
    pub(crate) fn cancel(
        self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        verdict: Option<Verdict>,
    ) -> State {
        let Self { goal, stage } = *self;
        let child = match stage {
            Stage::Signing { rounds, .. }
            | Stage::AuthSent { rounds, .. }
            | Stage::Verifying { rounds, .. } => rounds.child,
            _ => None,
        };
        let verdict = verdict.or_else(|| goal.refusal.clone()).unwrap_or_else(|| {
            let waited = core.now.time.since(frame.opened);
            Verdict::new(Culprit::Network, Cause::Unanswered { waited })
        });
        give_up_child(&goal, frame, core, child, verdict)
    }
}

impl InitSent {
    /// Sends the message, anew after a cookie or another group.
    fn send(mut self, goal: Goal, frame: &mut Frame, core: &mut Core) -> State {
        let policy = &goal.connection.retransmission;
        let claim = goal.connection.encapsulation.claim();
        let message = SaInitRequest {
            cookie: self.cookie.clone(),
            proposals: self.offered.clone(),
            key_exchange: KeyExchange {
                group: self.group.transform_id(),
                public: self.private.public().to_vec(),
            },
            nonce: self.nonce.clone(),
            nat: frame.spis.nat_hashes(&frame.path, claim),
            fragmentation: goal.connection.fragmentation.is_offered(),
            signature_hashes: accepted_hashes().to_vec(),
            notifies: Vec::new(),
        };
        let Ok(datagram) = clear_header(frame, false).emit_with(&message.emit()) else {
            return fail(&goal, frame, core, Verdict::new(Culprit::Us, Cause::Limit("message length")));
        };
        self.request.clone_from(&datagram);
        if frame.window.is_waiting() {
            core.ledger.sent(std::slice::from_ref(&datagram));
            core.transmit(frame.path, std::slice::from_ref(&datagram));
            frame.window.replace(vec![datagram]);
            frame.timers.set(Timer::Retransmit, core.now.time + policy.wait(0));
        } else {
            frame.send_request(core, vec![datagram], policy);
            frame.window.give_up_by(goal.deadline);
        }
        frame.timers.set(Timer::GiveUp, goal.deadline);
        self.wait(goal)
    }

    fn wait(self, goal: Goal) -> State {
        State::Initiating(Box::new(Attempt { goal, stage: Stage::InitSent(self) }))
    }

    /// The responder goes on, or somebody in its name.
    #[expect(clippy::too_many_arguments, reason = "a message and all that it is measured by")]
    fn accept(
        self,
        mut goal: Goal,
        frame: &mut Frame,
        core: &mut Core,
        path: Path,
        header: &Header,
        answer: SaInitAccepted,
        whole: &[u8],
    ) -> State {
        let choice = match confirm_ike(&self.offered, &answer.proposal) {
            Ok(choice) => choice,
            Err(mismatch) => {
                let cause = Cause::Proposals(Box::new(mismatch));
                goal.doubt(frame, core, Verdict::new(Culprit::Misbehaviour, cause));
                return self.wait(goal);
            }
        };
        let same_group = choice.group == self.group && answer.key_exchange.group == self.group.transform_id();
        if !same_group || header.responder_spi.0 == 0 {
            let cause = Cause::Unexpected("group or SPI of the answer");
            goal.doubt(frame, core, Verdict::new(Culprit::Misbehaviour, cause));
            return self.wait(goal);
        }
        let spis = SpiPair { initiator: frame.spis.initiator, responder: header.responder_spi };
        let nat = spis.nat_view(&path, &answer.nat);
        if nat.any() && goal.connection.encapsulation == EncapsulationPolicy::Raw {
            goal.doubt(frame, core, Verdict::new(Culprit::Network, Cause::NatFound));
            return self.wait(goal);
        }
        frame.request_answered();
        frame.spis = spis;
        let task = Arithmetic::Finish { private: self.private, peer: answer.key_exchange.public };
        let job = frame.submit(core, task);
        let opening = Opening {
            choice,
            nonce_i: self.nonce,
            nonce_r: answer.nonce,
            request: self.request,
            response: whole.to_vec(),
            nat,
            nat_traversal: answer.nat.destination.is_some(),
            fragmentation: answer.fragmentation,
            signature_hashes: answer.signature_hashes,
            childless: answer.childless,
            rounds: Notify::is_among(NotifyType::MULTIPLE_AUTH_SUPPORTED, &answer.notifies),
            asked: Asked::by(&answer.certificate_requests),
        };
        State::Initiating(Box::new(Attempt { goal, stage: Stage::Agreeing { job, opening } }))
    }
}

impl Goal {
    /// Keeps a refusal that nobody has authenticated, and waits a little for something better.
    fn doubt(&mut self, frame: &mut Frame, core: &Core, verdict: Verdict) {
        let end = (core.now.time + self.connection.retransmission.refusal_grace).min(self.deadline);
        frame.window.give_up_by(end);
        frame.timers.set(Timer::GiveUp, end);
        self.deadline = end;
        self.refusal = Some(verdict);
    }

    fn may_restart(&mut self) -> bool {
        self.restarts = self.restarts.saturating_add(1);
        self.restarts <= MAX_RESTARTS
    }

    fn may_start_afresh(&mut self) -> bool {
        self.fresh_starts = self.fresh_starts.saturating_add(1);
        self.fresh_starts <= MAX_FRESH_STARTS
    }

    /// Whether IKE_AUTH goes without a child (RFC 6023).
    fn goes_childless(&self, opening: &Opening) -> bool {
        let connection = &self.connection;
        let wanted = matches!(connection.childless, Childless::Prefer | Childless::Force)
            || connection.verify_pfs
            || (connection.childless == Childless::Allow && self.children.is_empty());
        wanted && opening.childless && connection.childless != Childless::Never
    }

    /// Whether a responder can do what the connection asks of it.
    fn suits(&self, opening: &Opening) -> Result<(), Verdict> {
        let connection = &self.connection;
        if connection.childless == Childless::Force && !opening.childless {
            let cause = Cause::Unexpected("no IKE_AUTH without a child");
            return Err(Verdict::new(Culprit::Mismatch, cause));
        }
        if connection.has_rounds() && !opening.rounds {
            let rounds = connection.local.further.len().max(connection.remote.further.len());
            let expected = rounds.saturating_add(1);
            return Err(AuthFailure::Rounds { expected, actual: 1 }.into());
        }
        Ok(())
    }
}

/// The header of a message without protection.
pub(crate) fn clear_header(frame: &Frame, response: bool) -> Header {
    Header {
        initiator_spi: frame.spis.initiator,
        responder_spi: frame.spis.responder,
        next_payload: 0,
        major_version: Header::MAJOR_VERSION,
        minor_version: 0,
        exchange: ExchangeType::IkeSaInit,
        from_initiator: frame.role.sends_as_initiator(),
        higher_version: false,
        response,
        message_id: MessageId(0),
        length: 0,
    }
}

fn refused_in_clear(kind: NotifyType) -> Verdict {
    Verdict::new(Verdict::refused(kind).culprit, Cause::RefusedInClear(kind))
}

/// Ends the attempt and gives back the SPI of its child.
fn give_up_child(
    goal: &Goal,
    frame: &mut Frame,
    core: &mut Core,
    child: Option<PendingChild>,
    verdict: Verdict,
) -> State {
    if let Some(child) = child {
        child.abandon(core);
    }
    fail(goal, frame, core, verdict)
}

fn fail(goal: &Goal, frame: &mut Frame, core: &mut Core, verdict: Verdict) -> State {
    tell(goal, frame, core, verdict);
    State::Closed
}

fn tell(goal: &Goal, frame: &Frame, core: &mut Core, verdict: Verdict) {
    core.counters.failed = core.counters.failed.saturating_add(1);
    core.event(Event::IkeFailed {
        sa: frame.id,
        connection: Some(Arc::clone(&goal.connection.name)),
        path: frame.path,
        verdict,
    });
}

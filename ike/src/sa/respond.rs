//! The responder's way to an established SA (RFC 7296 §1.2).
//!
//! ```text
//!               SA, KEi, Ni  ───────▶
//! Agreeing      a value is made, the shared secret is worked out
//!               ◀───────  SA, KEr, Nr
//! AwaitingAuth
//!               SK{IDi, AUTH, SA, TSi, TSr, …}  ───────▶
//! Verifying     the peer's AUTH is checked
//! Signing       our AUTH is made
//!               ◀───────  SK{IDr, AUTH, SA, TSi, TSr, …}
//! ```
//!
//! Where an end has more to prove the last two steps come again, and what belongs to the child waits for the last
//! answer (RFC 4739).
//!
//! Whether to take an IKE_SA_INIT at all is decided before this begins, in [`crate::gate`].

use super::child::{Ends, Exchanged, Refusal, Terms};
use super::closing::Closing;
use super::crypt::{Crypt, Envoy};
use super::established::{Agreed, Established, Newborn};
use super::initiate::clear_header;
use super::opening::{Keyed, Opening};
use super::timers::Timer;
use super::window::Window;
use super::{Frame, Role, SpiPair, State, Verified};
use crate::auth::{AuthFailure, Authenticated, SignTask, VerifyTask, accepted_hashes};
use crate::connection::{Asked, Childless, Connection, EncapsulationPolicy, Retransmission, Unique};
use crate::core::{Core, Effect};
use crate::counters::Drop;
use crate::event::Event;
use crate::exchange::mobike;
use crate::identity::Identity;
use crate::nat::SourceClaim;
use crate::output::{Duty, JobDone, JobId, Task as Arithmetic, TaskResult};
use crate::proposal::IkeChoice;
use crate::registry::{Announces, Claim};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{
    AuthPayload, AuthRequest, AuthResponse, ChildOutcome, Claimed, Configuration, ExchangeType,
    FurtherAccepted, FurtherRequest, IkeSpi, Informational, KeyExchange, MessageError, Notify, NotifyType,
    SaInitAccepted, SaInitRequest, SaInitResponse,
};
use std::sync::Arc;

/// An IKE SA that a peer is setting up with us.
pub(crate) struct HalfOpen {
    stage: Stage,
    /// Our IKE_SA_INIT response, given again when the request comes again.
    answer: Vec<u8>,
    /// What it says of us.
    announces: Announces,
}

enum Stage {
    Agreeing {
        job: JobId,
        opening: Opening,
    },
    AwaitingAuth {
        keyed: Keyed,
    },
    Verifying {
        job: JobId,
        keyed: Keyed,
        rounds: Box<Rounds>,
    },
    Signing {
        job: JobId,
        keyed: Keyed,
        rounds: Box<Rounds>,
    },
    /// One end has more to prove, and it is the peer's turn.
    AwaitingMore {
        keyed: Keyed,
        rounds: Box<Rounds>,
    },
}

/// How far the two ends have come with proving who they are.
struct Rounds {
    connection: Arc<Connection>,
    /// The first request: what it asks for it gets in the end.
    request: Box<AuthRequest>,
    /// Who the peer has proved to be in the first round.
    peer: Option<Authenticated>,
    /// How many proofs of the peer's have held.
    theirs: usize,
    /// The peer has said that it has another one.
    more: bool,
    /// How many proofs of ours have been sent.
    ours: usize,
}

impl HalfOpen {
    /// Takes an IKE_SA_INIT request for which a proposal has been chosen.
    pub(crate) fn begin(
        frame: &mut Frame,
        core: &mut Core,
        request: SaInitRequest,
        whole: &[u8],
        choice: IkeChoice,
        announces: Announces,
    ) -> State {
        // The request was made before there was an SPI of ours.
        let header_spis = SpiPair { responder: IkeSpi(0), ..frame.spis };
        let nat = header_spis.nat_view(&frame.path, &request.nat);
        let task = Arithmetic::Respond {
            provider: core.provider,
            group: choice.group,
            peer: request.key_exchange.public,
        };
        let job = frame.submit(core, task);
        let opening = Opening {
            choice,
            nonce_i: request.nonce,
            nonce_r: core.nonce(),
            request: whole.to_vec(),
            response: Vec::new(),
            nat,
            nat_traversal: request.nat.destination.is_some(),
            fragmentation: request.fragmentation && announces.fragments,
            signature_hashes: request.signature_hashes,
            childless: announces.childless,
            rounds: false,
            asked: Asked::No,
        };
        frame.timers.set(Timer::GiveUp, core.now.time + core.config.half_open_timeout);
        State::Responding(Box::new(Self {
            stage: Stage::Agreeing { job, opening },
            answer: Vec::new(),
            announces,
        }))
    }

    pub(crate) fn crypt(&self) -> Option<&Crypt> {
        match &self.stage {
            Stage::AwaitingAuth { keyed } | Stage::AwaitingMore { keyed, .. } => Some(&keyed.crypt),
            _ => None,
        }
    }

    /// Its connection, once the peer has said who it is.
    pub(crate) fn connection(&self) -> Option<&Arc<Connection>> {
        match &self.stage {
            Stage::Verifying { rounds, .. }
            | Stage::Signing { rounds, .. }
            | Stage::AwaitingMore { rounds, .. } => Some(&rounds.connection),
            Stage::Agreeing { .. } | Stage::AwaitingAuth { .. } => None,
        }
    }

    /// The same IKE_SA_INIT request has come again.
    pub(crate) fn repeat_answer(&self, frame: &Frame, core: &mut Core) {
        if !self.answer.is_empty() {
            core.transmit(frame.path, std::slice::from_ref(&self.answer));
            core.counters.repeated_answers = core.counters.repeated_answers.saturating_add(1);
        }
    }

    /// IKE_AUTH: the peer says who it is.
    pub(crate) fn on_protected_request(
        self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        message: &Verified,
    ) -> State {
        if message.header.exchange == ExchangeType::Informational && self.is_given_up(message) {
            return self.given_up(frame, core);
        }
        if message.header.exchange != ExchangeType::IkeAuth {
            // Nothing else is taken from a peer that has not said who it is.
            core.counters.drop(Drop::OutOfState);
            frame.window.cancel_answer();
            return State::Responding(self);
        }
        let Self { stage, answer, announces } = *self;
        // A peer that goes to port 4500 does so here (RFC 7296 §2.23).
        match stage {
            Stage::AwaitingAuth { keyed } => {
                frame.path = message.path;
                match message.read(AuthRequest::parse) {
                    Ok(request) => verify_first(frame, core, keyed, Box::new(request)),
                    Err(error) => refuse_malformed(frame, core, keyed, error),
                }
            }
            Stage::AwaitingMore { keyed, rounds } => {
                frame.path = message.path;
                match message.read(FurtherRequest::parse) {
                    Ok(request) => verify_further(frame, core, keyed, rounds, request),
                    Err(error) => refuse_malformed(frame, core, keyed, error),
                }
            }
            stage => State::Responding(Box::new(Self { stage, answer, announces })),
        }
    }

    /// Whether a peer that has proved something, and to which we have, does not believe us (RFC 7296 §2.21.2).
    fn is_given_up(&self, message: &Verified) -> bool {
        let refused =
            |request: Informational| Notify::is_among(NotifyType::AUTHENTICATION_FAILED, &request.notifies);
        matches!(self.stage, Stage::AwaitingMore { .. })
            && message.read(Informational::parse).is_ok_and(refused)
    }

    fn given_up(self: Box<Self>, frame: &mut Frame, core: &mut Core) -> State {
        let Self { stage, answer, announces } = *self;
        let (mut keyed, rounds) = match stage {
            Stage::AwaitingMore { keyed, rounds } => (keyed, rounds),
            stage => return State::Responding(Box::new(Self { stage, answer, announces })),
        };
        core.counters.failed = core.counters.failed.saturating_add(1);
        let connection = Some(Arc::clone(&rounds.connection.name));
        let verdict = Verdict::refused(NotifyType::AUTHENTICATION_FAILED);
        core.event(Event::IkeFailed { sa: frame.id, connection, path: frame.path, verdict });
        let id = frame.window.answering_id();
        let envoy = Envoy { exchange: ExchangeType::Informational, response: true, id, limit: None };
        let chain = Informational::default().emit();
        if let Ok(datagrams) = keyed.crypt.seal(frame.spis, envoy, &chain, &mut *core.random) {
            frame.send_answer(core, datagrams);
        }
        Closing::linger(keyed.crypt, frame, core, Retransmission::default())
    }

    /// Arithmetic is done.
    pub(crate) fn on_job(self: Box<Self>, frame: &mut Frame, core: &mut Core, done: JobDone) -> State {
        let Self { stage, answer, announces } = *self;
        match (stage, done.result) {
            (Stage::Agreeing { job, opening }, TaskResult::Agreed(result)) if job == done.id => {
                match result {
                    Ok(agreement) => answer_init(frame, core, opening, agreement, announces),
                    Err(_) => {
                        // The value makes no secret; its sender is unknown, so it is told nothing.
                        core.counters.drop(Drop::Malformed);
                        State::Closed
                    }
                }
            }
            (Stage::Verifying { job, keyed, rounds }, TaskResult::Verified(result)) if job == done.id => {
                match result {
                    Ok(peer) => proven(frame, core, keyed, rounds, peer),
                    Err(failure) => refuse(frame, core, keyed, Some(&rounds.connection), failure.into()),
                }
            }
            (Stage::Signing { job, keyed, rounds }, TaskResult::Signed(result)) if job == done.id => {
                match result {
                    Ok(auth) => answer_round(frame, core, keyed, rounds, Some(auth)),
                    Err(failure) => refuse(frame, core, keyed, Some(&rounds.connection), failure.into()),
                }
            }
            (stage, _) => State::Responding(Box::new(Self { stage, answer, announces })),
        }
    }

    /// A deadline has passed: the peer has not come back.
    pub(crate) fn on_timer(self: Box<Self>, _frame: &mut Frame, core: &mut Core, timer: Timer) -> State {
        if timer == Timer::GiveUp {
            core.counters.failed = core.counters.failed.saturating_add(1);
            return State::Closed;
        }
        State::Responding(self)
    }
}

/// The secret is there: our IKE_SA_INIT response goes out.
fn answer_init(
    frame: &mut Frame,
    core: &mut Core,
    mut opening: Opening,
    agreement: crate::output::Agreement,
    announces: Announces,
) -> State {
    let claim = if announces.forced { SourceClaim::Forced } else { SourceClaim::Honest };
    // RFC 4739 §3.1
    let rounds = announces.rounds.then(|| Notify::new(NotifyType::MULTIPLE_AUTH_SUPPORTED));
    let rounds = rounds.into_iter().collect();
    let response = SaInitResponse::Accepted(SaInitAccepted {
        proposal: opening.choice.to_wire(&[]),
        key_exchange: KeyExchange { group: opening.choice.group.transform_id(), public: agreement.public },
        nonce: opening.nonce_r.clone(),
        nat: frame.spis.nat_hashes(&frame.path, claim),
        certificate_requests: core
            .registry
            .certificate_requests(frame.path.local.ip(), frame.path.remote.ip()),
        fragmentation: opening.fragmentation,
        childless: announces.childless,
        signature_hashes: if opening.signature_hashes.is_empty() {
            Vec::new()
        } else {
            accepted_hashes().to_vec()
        },
        notifies: rounds,
    });
    let Ok(datagram) = clear_header(frame, true).emit_with(&response.emit()) else { return State::Closed };
    opening.response.clone_from(&datagram);
    match opening.key(core.provider, Role::Responder, frame.spis, &agreement.shared) {
        Ok(keyed) => {
            core.disclose(frame.spis, &keyed.crypt);
            core.ledger.sent(std::slice::from_ref(&datagram));
            core.transmit(frame.path, std::slice::from_ref(&datagram));
            frame.window = Window::of_responder();
            State::Responding(Box::new(HalfOpen {
                stage: Stage::AwaitingAuth { keyed },
                answer: datagram,
                announces,
            }))
        }
        Err(_) => State::Closed,
    }
}

/// Finds the connection that the peer asks for, and has its proof checked.
fn verify_first(frame: &mut Frame, core: &mut Core, mut keyed: Keyed, request: Box<AuthRequest>) -> State {
    let peer = match Identity::from_payload(&request.initiator_id) {
        Ok(peer) => peer,
        Err(error) => {
            let failure = AuthFailure::PeerIdentity(error);
            return refuse(frame, core, keyed, None, failure.into());
        }
    };
    let wanted = request.responder_id.as_ref().and_then(|id| Identity::from_payload(id).ok());
    let claim = Claim {
        local: frame.path.local.ip(),
        remote: frame.path.remote.ip(),
        peer: &peer,
        wanted: wanted.as_ref(),
        choice: &keyed.opening.choice,
    };
    let Some(connection) = core.registry.choose(&claim) else {
        let verdict = Verdict::new(Culprit::Mismatch, Cause::NoConnection { peer, wanted });
        return refuse(frame, core, keyed, None, verdict);
    };
    let nats_unexpected = request
        .no_nats_allowed
        .as_ref()
        .is_some_and(|data| *data != mobike::no_nats_data(frame.path.remote, frame.path.local));
    if nats_unexpected || (keyed.opening.nat.any() && connection.encapsulation == EncapsulationPolicy::Raw) {
        let verdict = Verdict::new(Culprit::Network, Cause::NatFound);
        let notify = Notify::new(NotifyType::UNEXPECTED_NAT_DETECTED);
        return refuse_with(frame, core, keyed, Some(&connection), notify, verdict);
    }
    let Some(auth) = request.authentication.clone() else {
        let verdict = Verdict::new(Culprit::Mismatch, Cause::Unexpected("EAP"));
        return refuse(frame, core, keyed, Some(&connection), verdict);
    };
    if let Some(cause) = unfit_child(&connection, &request) {
        // RFC 6023 §3
        let notify = Notify::new(NotifyType::INVALID_SYNTAX);
        let verdict = Verdict::new(Culprit::Mismatch, Cause::Unexpected(cause));
        return refuse_with(frame, core, keyed, Some(&connection), notify, verdict);
    }
    keyed.opening.asked = Asked::by(&request.certificate_requests);
    keyed.opening.rounds = Notify::is_among(NotifyType::MULTIPLE_AUTH_SUPPORTED, &request.notifies);
    let more = Notify::is_among(NotifyType::ANOTHER_AUTH_FOLLOWS, &request.notifies);
    let claim = Claimed {
        id: request.initiator_id.clone(),
        certificates: request.certificates.clone(),
        authentication: auth,
    };
    let rounds = Box::new(Rounds { connection, request, peer: None, theirs: 0, more, ours: 0 });
    verify(frame, core, keyed, rounds, claim)
}

/// What is wrong with a request that has a child, or has none.
fn unfit_child(connection: &Connection, request: &AuthRequest) -> Option<&'static str> {
    match (connection.childless, &request.child) {
        (Childless::Force, Some(_)) => Some("an IKE_AUTH with a child"),
        (Childless::Never, None) => Some("an IKE_AUTH without a child"),
        _ => None,
    }
}

/// Another proof, or nothing if we have more to prove.
fn verify_further(
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    mut rounds: Box<Rounds>,
    request: FurtherRequest,
) -> State {
    let announced = std::mem::replace(
        &mut rounds.more,
        Notify::is_among(NotifyType::ANOTHER_AUTH_FOLLOWS, &request.notifies),
    );
    match request.claim {
        Some(claim) if announced => verify(frame, core, keyed, rounds, claim),
        None if !announced && !rounds.more => go_on(frame, core, keyed, rounds),
        _ => refuse_rounds(frame, core, keyed, &rounds),
    }
}

/// Has a proof of the peer's checked.
fn verify(frame: &mut Frame, core: &mut Core, keyed: Keyed, rounds: Box<Rounds>, claim: Claimed) -> State {
    let Some((expected, remote)) = rounds.connection.their_round(rounds.theirs) else {
        return refuse_rounds(frame, core, keyed, &rounds);
    };
    let octets = match keyed.octets(core.provider, Role::Initiator, &claim.id) {
        Ok(octets) => octets,
        Err(verdict) => return refuse(frame, core, keyed, Some(&rounds.connection), verdict),
    };
    let task = VerifyTask {
        provider: core.provider,
        prf: keyed.opening.choice.prf,
        remote: Arc::clone(remote),
        expected: expected.clone(),
        id: claim.id,
        certificates: claim.certificates,
        auth: claim.authentication,
        octets,
        wall: core.now.wall,
    };
    let job = frame.submit(core, Arithmetic::Verify(Box::new(task)));
    waiting(Stage::Verifying { job, keyed, rounds })
}

/// One proof of the peer's holds.
fn proven(
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    mut rounds: Box<Rounds>,
    peer: Authenticated,
) -> State {
    rounds.theirs = rounds.theirs.saturating_add(1);
    rounds.peer.get_or_insert(peer);
    go_on(frame, core, keyed, rounds)
}

/// It is our turn: with another proof, if there is one.
fn go_on(frame: &mut Frame, core: &mut Core, keyed: Keyed, rounds: Box<Rounds>) -> State {
    let expected = rounds.connection.their_round(rounds.theirs).is_some();
    let able = keyed.opening.rounds || !rounds.connection.has_rounds();
    if rounds.more != expected || !able {
        return refuse_rounds(frame, core, keyed, &rounds);
    }
    match signing(frame, core, &keyed, &rounds) {
        Ok(Some(job)) => waiting(Stage::Signing { job, keyed, rounds }),
        Ok(None) => answer_round(frame, core, keyed, rounds, None),
        Err(verdict) => refuse(frame, core, keyed, Some(&rounds.connection), verdict),
    }
}

/// Our next proof, unless we have none left.
fn signing(
    frame: &mut Frame,
    core: &mut Core,
    keyed: &Keyed,
    rounds: &Rounds,
) -> Result<Option<JobId>, Verdict> {
    let Some((identity, auth)) = rounds.connection.our_round(rounds.ours) else { return Ok(None) };
    let octets = keyed.octets(core.provider, Role::Responder, &auth.id_payload(identity))?;
    let task = SignTask {
        provider: core.provider,
        prf: keyed.opening.choice.prf,
        local: auth.towards(rounds.peer.as_ref().map(Authenticated::identity))?,
        octets,
        peer_hashes: keyed.opening.signature_hashes.clone(),
    };
    Ok(Some(frame.submit(core, Arithmetic::Sign(Box::new(task)))))
}

/// Answers with our proof, if there was one to make. With the last answer the IKE SA stands.
fn answer_round(
    frame: &mut Frame,
    core: &mut Core,
    mut keyed: Keyed,
    mut rounds: Box<Rounds>,
    auth: Option<AuthPayload>,
) -> State {
    let connection = Arc::clone(&rounds.connection);
    let claim =
        auth.zip(connection.our_round(rounds.ours)).map(|(authentication, (identity, auth))| Claimed {
            id: auth.id_payload(identity),
            certificates: connection.certificates(auth, keyed.opening.asked),
            authentication,
        });
    if claim.is_some() {
        rounds.ours = rounds.ours.saturating_add(1);
    }
    let we_go_on = claim.is_some() && connection.our_round(rounds.ours).is_some();
    if !we_go_on && !rounds.more {
        let Rounds { request, peer, .. } = *rounds;
        return match peer {
            Some(peer) => establish(frame, core, keyed, &connection, &request, &peer, claim),
            None => State::Closed,
        };
    }
    let notifies = we_go_on.then(|| Notify::new(NotifyType::ANOTHER_AUTH_FOLLOWS)).into_iter().collect();
    let chain = FurtherAccepted { claim, notifies, ..FurtherAccepted::default() }.emit();
    let limit = if keyed.opening.fragmentation { connection.fragment_limit(frame.answer_path) } else { None };
    let id = frame.window.answering_id();
    let envoy = Envoy { exchange: ExchangeType::IkeAuth, response: true, id, limit };
    if let Ok(datagrams) = keyed.crypt.seal(frame.spis, envoy, &chain, &mut *core.random) {
        frame.send_answer(core, datagrams);
    }
    waiting(Stage::AwaitingMore { keyed, rounds })
}

/// The peer proves more or less than it has to, or cannot do as much as we want of it.
fn refuse_rounds(frame: &mut Frame, core: &mut Core, keyed: Keyed, rounds: &Rounds) -> State {
    let expected = rounds.connection.remote.further.len().saturating_add(1);
    let actual = rounds.theirs.saturating_add(usize::from(rounds.more));
    let failure = AuthFailure::Rounds { expected, actual };
    refuse(frame, core, keyed, Some(&rounds.connection), failure.into())
}

fn waiting(stage: Stage) -> State {
    let announces = Announces { forced: false, fragments: false, childless: false, rounds: false };
    State::Responding(Box::new(HalfOpen { stage, answer: Vec::new(), announces }))
}

/// Both ends have proved who they are: the SA stands, and perhaps its first child.
fn establish(
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    connection: &Arc<Connection>,
    request: &AuthRequest,
    peer: &Authenticated,
    claim: Option<Claimed>,
) -> State {
    let Keyed { opening, crypt, .. } = keyed;
    let mut sa = Box::new(Established::new(Newborn {
        connection: Arc::clone(connection),
        peer: peer.identity().clone(),
        crypt,
        choice: Agreed::from(&opening.choice),
        nat: opening.nat,
        peer_fragments: opening.fragmentation,
        origin: Role::Responder,
        mobike: connection.mobike && request.mobike,
        now: core.now.time,
    }));
    if let Some(addresses) = &request.additional_addresses {
        mobike::remember(&mut sa, addresses);
    }
    core.effects.push_back(Effect::HalfOpenOver(frame.id));
    let alone = request.initial_contact && connection.unique != Unique::Never;
    let alone_since = alone.then_some(frame.turn);
    core.effects.push_back(Effect::Authenticated { sa: frame.id, alone_since });
    core.counters.established(core.now.time.since(frame.began));
    core.event(Event::IkeEstablished {
        sa: frame.id,
        connection: Arc::clone(&connection.name),
        peer: peer.identity().clone(),
        path: frame.path,
    });
    let (configuration, no_address) = configure(&mut sa, frame, core, peer.identity(), request);
    let child = match (&request.child, no_address) {
        (None, _) => ChildOutcome::Absent,
        (Some(_), Some(refusal)) => {
            let name = None;
            core.event(Event::ChildFailed { sa: frame.id, name, verdict: refusal.verdict });
            ChildOutcome::Refused(Notify::new(refusal.notify))
        }
        (Some(offer), None) => first_child(&mut sa, frame, core, offer, &opening),
    };
    let response = FurtherAccepted {
        claim,
        configuration,
        child,
        mobike: sa.mobike.is_some(),
        additional_addresses: (sa.mobike.is_some() && core.local_addresses.len() > 1)
            .then(|| mobike::additional(frame, core)),
        lifetime: connection
            .lifetimes
            .authentication
            .map(|span| u32::try_from(span.as_secs()).unwrap_or(u32::MAX)),
        notifies: Vec::new(),
    };
    sa.begin(frame, core);
    sa.begin_authentication(frame, core, None);
    sa.answer(frame, core, ExchangeType::IkeAuth, &response.emit());
    sa.advance(frame, core)
}

/// Gives the peer the addresses it asks for, from the connection's pools.
fn configure(
    sa: &mut Established,
    frame: &Frame,
    core: &mut Core,
    peer: &Identity,
    request: &AuthRequest,
) -> (Option<Configuration>, Option<Refusal>) {
    let connection = Arc::clone(&sa.connection);
    let Some(wish) = &request.configuration else { return (None, None) };
    if connection.pools.is_empty() {
        return (None, None);
    }
    match core.pools.assign(&connection.pools, peer, frame.id, wish) {
        Ok(lease) => {
            sa.virtual_addresses = lease.addresses;
            (Some(lease.reply), None)
        }
        Err(_) => {
            let verdict = Verdict::new(Culprit::Us, Cause::PoolExhausted);
            let notify = NotifyType::INTERNAL_ADDRESS_FAILURE;
            (None, Some(Refusal { notify, data: Vec::new(), verdict }))
        }
    }
}

/// The child that came along with IKE_AUTH. It has no key exchange of its own.
fn first_child(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    offer: &crate::wire::ChildOffer,
    opening: &Opening,
) -> ChildOutcome {
    let ends = Ends::of_responder(&sa.virtual_addresses, &frame.path);
    let candidates = sa.connection.children.clone();
    let refused = |frame: &Frame, core: &mut Core, refusal: Refusal| {
        core.event(Event::ChildFailed { sa: frame.id, name: None, verdict: refusal.verdict });
        ChildOutcome::Refused(Notify::with_data(refusal.notify, refusal.data))
    };
    let terms = match Terms::answer(core, &candidates, offer, &ends, false, None) {
        Ok(terms) => terms,
        Err(refusal) => return refused(frame, core, *refusal),
    };
    let accepted = terms.accepted();
    let exchanged = Exchanged {
        role: Role::Responder,
        nonce_i: &opening.nonce_i,
        nonce_r: &opening.nonce_r,
        shared: None,
    };
    match terms.install(frame, core, &sa.ground(), &exchanged, Duty::Active) {
        Ok(child) => {
            child.established(frame, core);
            sa.children.push(child);
            ChildOutcome::Accepted(accepted)
        }
        Err(verdict) => {
            let notify = NotifyType::NO_ADDITIONAL_SAS;
            refused(frame, core, Refusal { notify, data: Vec::new(), verdict })
        }
    }
}

/// The peer is told that it was not authenticated, and no more (RFC 7296 §2.21.2).
fn refuse(
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    connection: Option<&Arc<Connection>>,
    verdict: Verdict,
) -> State {
    let notify = Notify::new(NotifyType::AUTHENTICATION_FAILED);
    refuse_with(frame, core, keyed, connection, notify, verdict)
}

fn refuse_malformed(frame: &mut Frame, core: &mut Core, keyed: Keyed, error: MessageError) -> State {
    refuse_with(frame, core, keyed, None, error.answer(), Verdict::malformed(error))
}

fn refuse_with(
    frame: &mut Frame,
    core: &mut Core,
    mut keyed: Keyed,
    connection: Option<&Arc<Connection>>,
    notify: Notify,
    verdict: Verdict,
) -> State {
    core.counters.failed = core.counters.failed.saturating_add(1);
    let name = connection.map(|connection| Arc::clone(&connection.name));
    core.event(Event::IkeFailed { sa: frame.id, connection: name, path: frame.path, verdict });
    let envoy = Envoy {
        exchange: ExchangeType::IkeAuth,
        response: true,
        id: frame.window.answering_id(),
        limit: None,
    };
    let chain = AuthResponse::Failed(notify).emit();
    if let Ok(datagrams) = keyed.crypt.seal(frame.spis, envoy, &chain, &mut *core.random) {
        frame.send_answer(core, datagrams);
    }
    Closing::linger(keyed.crypt, frame, core, Retransmission::default())
}

//! IKE_AUTH from the initiator's side (RFC 7296 §1.2): both ends prove who they are, and the first child
//! comes along.

use super::{Attempt, Goal, Rounds, Stage, fail, give_up_child, tell};
use crate::auth::{AuthFailure, Authenticated, SignTask, VerifyTask};
use crate::connection::{AddressRequest, Connection, EncapsulationPolicy};
use crate::core::{Core, Effect};
use crate::event::Event;
use crate::exchange::mobike;
use crate::identity::IdentityPattern;
use crate::output::{Duty, JobId, Task as Arithmetic};
use crate::sa::child::{Ends, Exchanged, PendingChild};
use crate::sa::closing::Closing;
use crate::sa::crypt::Envoy;
use crate::sa::established::{Agreed, Established, Newborn, Task};
use crate::sa::opening::{Keyed, Opening};
use crate::sa::timers::Timer;
use crate::sa::{Frame, Role, State, Verified};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{
    AuthPayload, AuthRequest, AuthResponse, ChildOutcome, Claimed, Configuration, ConfigurationAttribute,
    ConfigurationKind, ExchangeType, FurtherAccepted, FurtherRequest, FurtherResponse, IdPayload,
    MessageError, MessageId, Notify, NotifyType,
};
use std::net::IpAddr;
use std::sync::Arc;

/// The secret is there: keys, and our AUTH.
pub(super) fn sign(goal: Goal, frame: &mut Frame, core: &mut Core, opening: Opening, shared: &[u8]) -> State {
    let forced = goal.connection.encapsulation == EncapsulationPolicy::Udp;
    // Port 4500 is for peers that know what it is for (RFC 7296 §2.23); MOBIKE goes there ahead of any
    // NAT, because an address may change to one behind a NAT later (RFC 4555 §3.3).
    if opening.nat_traversal && (opening.nat.any() || forced || goal.connection.mobike) {
        frame.float(core);
    }
    let keyed = match opening.key(core.provider, Role::Initiator, frame.spis, shared) {
        Ok(keyed) => keyed,
        Err(verdict) => return fail(&goal, frame, core, verdict),
    };
    core.disclose(frame.spis, &keyed.crypt);
    if let Err(verdict) = goal.suits(&keyed.opening) {
        return fail(&goal, frame, core, verdict);
    }
    sign_round(goal, frame, core, keyed, Rounds::default())
}

/// Makes the next of our proofs.
fn sign_round(goal: Goal, frame: &mut Frame, core: &mut Core, keyed: Keyed, rounds: Rounds) -> State {
    match signing(&goal.connection, frame, core, &keyed, &rounds) {
        Ok((job, id)) => {
            let stage = Stage::Signing { job, keyed, id, rounds };
            State::Initiating(Box::new(Attempt { goal, stage }))
        }
        Err(verdict) => give_up_child(&goal, frame, core, rounds.child, verdict),
    }
}

fn signing(
    connection: &Connection,
    frame: &mut Frame,
    core: &mut Core,
    keyed: &Keyed,
    rounds: &Rounds,
) -> Result<(JobId, IdPayload), Verdict> {
    let round = connection.our_round(rounds.ours);
    let (identity, auth) = round.ok_or(Verdict::new(Culprit::Us, Cause::Unexpected("round")))?;
    let id = auth.id_payload(identity);
    let octets = keyed.octets(core.provider, Role::Initiator, &id)?;
    let peer = match (&rounds.peer, &connection.remote.identity) {
        (Some(peer), _) => Some(peer.identity()),
        (None, IdentityPattern::Exact(identity)) => Some(identity),
        (None, _) => None,
    };
    let task = SignTask {
        provider: core.provider,
        prf: keyed.opening.choice.prf,
        local: auth.towards(peer)?,
        octets,
        peer_hashes: keyed.opening.signature_hashes.clone(),
    };
    Ok((frame.submit(core, Arithmetic::Sign(Box::new(task))), id))
}

/// Our AUTH is there: IKE_AUTH goes out.
pub(super) fn send_auth(
    mut goal: Goal,
    frame: &mut Frame,
    core: &mut Core,
    mut keyed: Keyed,
    id: IdPayload,
    auth: AuthPayload,
) -> State {
    let connection = Arc::clone(&goal.connection);
    let childless = goal.goes_childless(&keyed.opening);
    if !childless && goal.children.is_empty() {
        // A peer that cannot do without gets the first child that there is.
        goal.children.extend(connection.children.first().cloned());
    }
    let first = if childless { None } else { goal.children.first().cloned() };
    let child = match first {
        None => None,
        Some(config) => {
            let ends = Ends::of_initiator(&connection, &frame.path, &[]);
            match PendingChild::new(core, &config, &ends, goal.packet.as_ref(), false) {
                Ok(child) => Some(child),
                Err(verdict) => return fail(&goal, frame, core, verdict),
            }
        }
    };
    let responder_id = match &connection.remote.identity {
        IdentityPattern::Exact(identity) => Some(identity.to_payload()),
        _ => None,
    };
    let request = AuthRequest {
        initiator_id: id,
        responder_id,
        certificates: connection.certificates(&connection.local.auth, keyed.opening.asked),
        certificate_requests: connection.certificate_requests(),
        authentication: Some(auth),
        configuration: configuration_request(&connection),
        child: child.as_ref().map(PendingChild::offer),
        initial_contact: goal.replaces.is_none() && core.is_first_contact(&connection),
        mobike: connection.mobike,
        additional_addresses: (connection.mobike && core.local_addresses.len() > 1)
            .then(|| mobike::additional(frame, core)),
        no_nats_allowed: (connection.encapsulation == EncapsulationPolicy::Raw)
            .then(|| mobike::no_nats_data(frame.path.local, frame.path.remote)),
        notifies: round_notifies(&connection, 1),
    };
    let limit = if keyed.opening.fragmentation { connection.fragment_limit(frame.path) } else { None };
    let envoy = Envoy { exchange: ExchangeType::IkeAuth, response: false, id: MessageId(1), limit };
    let Ok(datagrams) = keyed.crypt.seal(frame.spis, envoy, &request.emit(), &mut *core.random) else {
        return fail(&goal, frame, core, Verdict::new(Culprit::Us, Cause::Limit("message length")));
    };
    frame.send_request(core, datagrams, &connection.retransmission);
    // The answer of a peer that has come this far gets its full time.
    goal.refusal = None;
    goal.deadline = core.now.time + connection.retransmission.give_up;
    frame.timers.set(Timer::GiveUp, goal.deadline);
    let rounds = Rounds { child, ours: 1, ..Rounds::default() };
    State::Initiating(Box::new(Attempt { goal, stage: Stage::AuthSent { keyed, rounds } }))
}

/// What a request says of rounds, of which so many of ours are over with it (RFC 4739 §3).
fn round_notifies(connection: &Connection, over: usize) -> Vec<Notify> {
    let first = (over == 1 && connection.has_rounds()).then_some(NotifyType::MULTIPLE_AUTH_SUPPORTED);
    let more = connection.our_round(over).map(|_| NotifyType::ANOTHER_AUTH_FOLLOWS);
    first.into_iter().chain(more).map(Notify::new).collect()
}

/// IKE_AUTH goes out once more: with another proof of ours, or with nothing while the responder has more.
pub(super) fn send_further(
    mut goal: Goal,
    frame: &mut Frame,
    core: &mut Core,
    mut keyed: Keyed,
    mut rounds: Rounds,
    proof: Option<(IdPayload, AuthPayload)>,
) -> State {
    let connection = Arc::clone(&goal.connection);
    let auth = connection.our_round(rounds.ours).map(|(_, auth)| auth);
    let claim = proof.zip(auth).map(|((id, authentication), auth)| Claimed {
        id,
        certificates: connection.certificates(auth, keyed.opening.asked),
        authentication,
    });
    let mut notifies = Vec::new();
    if claim.is_some() {
        rounds.ours = rounds.ours.saturating_add(1);
        notifies = round_notifies(&connection, rounds.ours);
    }
    let limit = if keyed.opening.fragmentation { connection.fragment_limit(frame.path) } else { None };
    let sealed = frame.window.next_id().ok().and_then(|id| {
        let envoy = Envoy { exchange: ExchangeType::IkeAuth, response: false, id, limit };
        let chain = FurtherRequest { claim, notifies }.emit();
        keyed.crypt.seal(frame.spis, envoy, &chain, &mut *core.random).ok()
    });
    let Some(datagrams) = sealed else {
        let verdict = Verdict::new(Culprit::Us, Cause::Limit("message length"));
        return give_up_child(&goal, frame, core, rounds.child, verdict);
    };
    frame.send_request(core, datagrams, &connection.retransmission);
    goal.deadline = core.now.time + connection.retransmission.give_up;
    frame.timers.set(Timer::GiveUp, goal.deadline);
    State::Initiating(Box::new(Attempt { goal, stage: Stage::AuthSent { keyed, rounds } }))
}

/// The answer to IKE_AUTH: the first has a proof in any case, a further one may have none.
pub(super) fn read_answer(message: &Verified, rounds: &Rounds) -> Result<FurtherResponse, MessageError> {
    if rounds.theirs > 0 {
        return message.read(FurtherResponse::parse);
    }
    Ok(match message.read(AuthResponse::parse)? {
        AuthResponse::Accepted(answer) => FurtherResponse::Accepted(Box::new((*answer).into())),
        AuthResponse::Failed(notify) => FurtherResponse::Failed(notify),
    })
}

/// Asks for addresses.
fn configuration_request(connection: &Connection) -> Option<Configuration> {
    if connection.request_addresses.is_empty() {
        return None;
    }
    let mut attributes = Vec::new();
    for request in &connection.request_addresses {
        match *request {
            AddressRequest::V4(address) => attributes.extend([
                ConfigurationAttribute::Ip4Address(address),
                ConfigurationAttribute::Ip4Dns(None),
                ConfigurationAttribute::Ip4Subnet(None),
            ]),
            AddressRequest::V6(address) => attributes.extend([
                ConfigurationAttribute::Ip6Address(address.map(|address| (address, 128))),
                ConfigurationAttribute::Ip6Dns(None),
                ConfigurationAttribute::Ip6Subnet(None),
            ]),
        }
    }
    Some(Configuration { kind: ConfigurationKind::Request, attributes })
}

/// The responder says who it is: to be checked, if there is anything to check.
pub(super) fn verify(
    goal: Goal,
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    rounds: Rounds,
    answer: Box<FurtherAccepted>,
) -> State {
    let (claim, expected, remote) = match (&answer.claim, goal.connection.their_round(rounds.theirs)) {
        (Some(claim), Some((expected, remote))) => (claim, expected, remote),
        (None, None) => return go_on(goal, frame, core, keyed, rounds, answer),
        (Some(_), None) => return reject_rounds(&goal, frame, core, keyed, rounds, 1),
        (None, Some(_)) => return reject_rounds(&goal, frame, core, keyed, rounds, 0),
    };
    let octets = match keyed.octets(core.provider, Role::Responder, &claim.id) {
        Ok(octets) => octets,
        Err(verdict) => return give_up_child(&goal, frame, core, rounds.child, verdict),
    };
    let task = VerifyTask {
        provider: core.provider,
        prf: keyed.opening.choice.prf,
        remote: Arc::clone(remote),
        expected: expected.clone(),
        id: claim.id.clone(),
        certificates: claim.certificates.clone(),
        auth: claim.authentication.clone(),
        octets,
        wall: core.now.wall,
    };
    let job = frame.submit(core, Arithmetic::Verify(Box::new(task)));
    State::Initiating(Box::new(Attempt { goal, stage: Stage::Verifying { job, keyed, rounds, answer } }))
}

/// One proof of the peer's holds.
pub(super) fn proven(
    goal: Goal,
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    mut rounds: Rounds,
    answer: Box<FurtherAccepted>,
    peer: Authenticated,
) -> State {
    rounds.theirs = rounds.theirs.saturating_add(1);
    rounds.peer.get_or_insert(peer);
    go_on(goal, frame, core, keyed, rounds, answer)
}

/// Either end may have more to prove; when neither has, the IKE SA stands.
fn go_on(
    goal: Goal,
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    rounds: Rounds,
    answer: Box<FurtherAccepted>,
) -> State {
    let more = Notify::is_among(NotifyType::ANOTHER_AUTH_FOLLOWS, &answer.notifies);
    // RFC 4739 §2.1: each proof says whether another one follows.
    if more != goal.connection.their_round(rounds.theirs).is_some() {
        return reject_rounds(&goal, frame, core, keyed, rounds, usize::from(more));
    }
    if goal.connection.our_round(rounds.ours).is_some() {
        return sign_round(goal, frame, core, keyed, rounds);
    }
    if more {
        return send_further(goal, frame, core, keyed, rounds, None);
    }
    match rounds.peer {
        Some(peer) => establish(goal, frame, core, keyed, rounds.child, *answer, &peer),
        None => fail(&goal, frame, core, Verdict::new(Culprit::Us, Cause::Unexpected("round"))),
    }
}

/// The peer proves more or less than it has to: it is told that it is not who it should be.
fn reject_rounds(
    goal: &Goal,
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    rounds: Rounds,
    more: usize,
) -> State {
    if let Some(child) = rounds.child {
        child.abandon(core);
    }
    let expected = goal.connection.remote.further.len().saturating_add(1);
    let failure = AuthFailure::Rounds { expected, actual: rounds.theirs.saturating_add(more) };
    tell(goal, frame, core, failure.into());
    Closing::reject(keyed.crypt, frame, core, goal.connection.retransmission)
}

/// The peer is who it should be.
fn establish(
    goal: Goal,
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    child: Option<PendingChild>,
    answer: FurtherAccepted,
    peer: &Authenticated,
) -> State {
    let Keyed { opening, crypt, .. } = keyed;
    let connection = Arc::clone(&goal.connection);
    let mut sa = Box::new(Established::new(Newborn {
        connection: Arc::clone(&connection),
        peer: peer.identity().clone(),
        crypt,
        choice: Agreed::from(&opening.choice),
        nat: opening.nat,
        peer_fragments: opening.fragmentation,
        origin: Role::Initiator,
        mobike: connection.mobike && answer.mobike,
        now: core.now.time,
    }));
    sa.replaces = goal.replaces;
    if let Some(addresses) = &answer.additional_addresses {
        mobike::remember(&mut sa, addresses);
    }
    sa.begin(frame, core);
    sa.begin_authentication(frame, core, answer.lifetime);
    core.effects.push_back(Effect::Authenticated { sa: frame.id, alone_since: None });
    core.counters.established(core.now.time.since(frame.began));
    core.event(Event::IkeEstablished {
        sa: frame.id,
        connection: Arc::clone(&connection.name),
        peer: peer.identity().clone(),
        path: frame.path,
    });
    if let Some(configuration) = &answer.configuration {
        sa.virtual_addresses = configured(frame, core, configuration);
    }
    let first = child.as_ref().map(|child| Arc::clone(&child.config));
    if let Some(child) = child {
        first_child(&mut sa, frame, core, child, answer.child, &opening);
    }
    for config in
        goal.children.into_iter().filter(|config| first.as_ref().is_none_or(|f| !Arc::ptr_eq(f, config)))
    {
        sa.want(Task::CreateChild { config, packet: None });
    }
    if connection.verify_pfs
        && let Some(child) = sa.children.first()
    {
        let spi = child.inbound;
        sa.want(Task::RekeyChild(spi));
    }
    sa.advance(frame, core)
}

/// The child that went along with IKE_AUTH.
fn first_child(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    child: PendingChild,
    outcome: ChildOutcome,
    opening: &Opening,
) {
    let config = Arc::clone(&child.config);
    let id = frame.id;
    let refused = |core: &mut Core, verdict| {
        core.event(Event::ChildFailed { sa: id, name: Some(Arc::clone(&config.name)), verdict });
    };
    let answer = match outcome {
        ChildOutcome::Accepted(answer) => answer,
        ChildOutcome::Refused(notify) => {
            refused(core, Verdict::refused(notify.kind));
            return child.abandon(core);
        }
        ChildOutcome::Absent => {
            refused(core, Verdict::new(Culprit::Misbehaviour, Cause::Unexpected("no child in the answer")));
            return child.abandon(core);
        }
    };
    let spi = child.spi;
    let exchanged = Exchanged {
        role: Role::Initiator,
        nonce_i: &opening.nonce_i,
        nonce_r: &opening.nonce_r,
        shared: None,
    };
    match child.accept(&answer) {
        Ok(terms) => match terms.install(frame, core, &sa.ground(), &exchanged, Duty::Active) {
            Ok(child) => {
                child.established(frame, core);
                sa.children.push(child);
            }
            Err(verdict) => refused(core, verdict),
        },
        Err(verdict) => {
            refused(core, verdict);
            sa.delete_orphan(spi);
        }
    }
}

/// What the responder has given us.
fn configured(frame: &Frame, core: &mut Core, configuration: &Configuration) -> Vec<IpAddr> {
    let (mut addresses, mut dns, mut subnets) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in &configuration.attributes {
        match *attribute {
            ConfigurationAttribute::Ip4Address(Some(ip)) => addresses.push(IpAddr::V4(ip)),
            ConfigurationAttribute::Ip6Address(Some((ip, _))) => addresses.push(IpAddr::V6(ip)),
            ConfigurationAttribute::Ip4Dns(Some(ip)) => dns.push(IpAddr::V4(ip)),
            ConfigurationAttribute::Ip6Dns(Some(ip)) => dns.push(IpAddr::V6(ip)),
            ConfigurationAttribute::Ip4Subnet(Some((ip, mask))) => {
                let length = u8::try_from(mask.to_bits().leading_ones()).unwrap_or(32);
                subnets.push((IpAddr::V4(ip), length));
            }
            ConfigurationAttribute::Ip6Subnet(Some((ip, length))) => subnets.push((IpAddr::V6(ip), length)),
            _ => {}
        }
    }
    core.event(Event::Configured { sa: frame.id, addresses: addresses.clone(), dns, subnets });
    addresses
}

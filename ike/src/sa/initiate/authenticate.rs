//! IKE_AUTH from the initiator's side (RFC 7296 §1.2): both ends prove who they are, and the first child
//! comes along.

use super::{Attempt, Goal, Stage, fail, give_up_child};
use crate::auth::{Authenticated, SignTask, VerifyTask};
use crate::connection::{AddressRequest, Connection, EncapsulationPolicy};
use crate::core::{Core, Effect};
use crate::event::Event;
use crate::exchange::mobike;
use crate::identity::IdentityPattern;
use crate::output::{Duty, Task as Arithmetic};
use crate::sa::child::{Ends, Exchanged, PendingChild};
use crate::sa::crypt::Envoy;
use crate::sa::established::{Agreed, Established, Newborn, Task};
use crate::sa::opening::{Keyed, Opening};
use crate::sa::timers::Timer;
use crate::sa::{Frame, Role, State};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{
    AuthAccepted, AuthPayload, AuthRequest, ChildOutcome, Configuration, ConfigurationAttribute,
    ConfigurationKind, ExchangeType, IdPayload, MessageId,
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
    let id = goal.connection.local.auth.id_payload(&goal.connection.local.identity);
    let octets = match keyed.octets(core.provider, Role::Initiator, &id) {
        Ok(octets) => octets,
        Err(verdict) => return fail(&goal, frame, core, verdict),
    };
    let task = SignTask {
        provider: core.provider,
        prf: keyed.opening.choice.prf,
        local: Arc::clone(&goal.connection.local.auth),
        octets,
        peer_hashes: keyed.opening.signature_hashes.clone(),
    };
    let job = frame.submit(core, Arithmetic::Sign(Box::new(task)));
    State::Initiating(Box::new(Attempt { goal, stage: Stage::Signing { job, keyed, id } }))
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
        certificates: connection.local.auth.certificates(),
        certificate_requests: connection.remote.auth.certificate_requests(),
        authentication: Some(auth),
        configuration: configuration_request(&connection),
        child: child.as_ref().map(PendingChild::offer),
        initial_contact: goal.replaces.is_none() && core.is_first_contact(&connection),
        mobike: connection.mobike,
        additional_addresses: (connection.mobike && core.local_addresses.len() > 1)
            .then(|| mobike::additional(frame, core)),
        no_nats_allowed: (connection.encapsulation == EncapsulationPolicy::Raw)
            .then(|| mobike::no_nats_data(frame.path.local, frame.path.remote)),
        notifies: Vec::new(),
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
    State::Initiating(Box::new(Attempt { goal, stage: Stage::AuthSent { keyed, child } }))
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

/// The responder says who it is: to be checked.
pub(super) fn verify(
    goal: Goal,
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    child: Option<PendingChild>,
    answer: Box<AuthAccepted>,
) -> State {
    let octets = match keyed.octets(core.provider, Role::Responder, &answer.responder_id) {
        Ok(octets) => octets,
        Err(verdict) => return give_up_child(&goal, frame, core, child, verdict),
    };
    let task = VerifyTask {
        provider: core.provider,
        prf: keyed.opening.choice.prf,
        remote: Arc::clone(&goal.connection.remote.auth),
        expected: goal.connection.remote.identity.clone(),
        id: answer.responder_id.clone(),
        certificates: answer.certificates.clone(),
        auth: answer.authentication.clone(),
        octets,
        wall: core.now.wall,
    };
    let job = frame.submit(core, Arithmetic::Verify(Box::new(task)));
    State::Initiating(Box::new(Attempt { goal, stage: Stage::Verifying { job, keyed, child, answer } }))
}

/// The peer is who it should be.
pub(super) fn establish(
    goal: Goal,
    frame: &mut Frame,
    core: &mut Core,
    keyed: Keyed,
    child: Option<PendingChild>,
    answer: AuthAccepted,
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

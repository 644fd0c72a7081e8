//! Addresses that change under an IKE SA (RFC 4555), and NATs that map us anew (RFC 7296 §2.23).
//!
//! Only the end that first set up the relationship moves it: it tells the other with
//! UPDATE_SA_ADDRESSES. The other end says which further addresses it has, and checks with COOKIE2 that
//! the peer can really be reached at a new address before traffic goes there.

mod astray;

use super::{Exchange, inform};
use crate::connection::EncapsulationPolicy;
use crate::core::Core;
use crate::event::Event;
use crate::nat::nat_hash;
use crate::output::{Output, Path};
use crate::sa::established::{Established, Task};
use crate::sa::{Frame, Role, Verified};
use crate::time::Time;
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{AdditionalAddresses, Informational, NatDetection, Notify, NotifyType};
use astray::Doubt;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

/// A NAT on the way is believed after this many refusals: one of them may be an attacker's doing
/// (RFC 4555 §3.9).
const MAX_REFUSALS: u8 = 3;

/// More addresses of a peer than this are not remembered.
const MAX_ADDRESSES: usize = 16;

/// What an SA knows for moving.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mobike {
    /// Where else the peer can be reached.
    pub(crate) peer_addresses: Vec<IpAddr>,
    /// Our address as the peer last saw it; a change means that the NAT in front of us has a new mapping.
    seen_as: Option<[u8; 20]>,
    /// The path that both ends have agreed on; the frame's may be ahead of it.
    agreed: Option<Path>,
    /// Which of the other paths was tried last.
    tried: usize,
    /// How often in a row a NAT was said to be on the way.
    refusals: u8,
    /// Where the peer is, if that is open.
    doubt: Option<Doubt>,
    /// When the peer last came from elsewhere and was asked about it.
    doubted: Option<Time>,
}

/// So often a request is repeated on its path before it goes elsewhere.
const PATIENCE: u32 = 2;

/// A request of ours about addresses.
#[derive(Clone, Copy)]
pub(crate) enum MobikeRequest {
    /// UPDATE_SA_ADDRESSES, sent on this path.
    Update(Path),
    /// Our further addresses.
    Announce,
    /// COOKIE2, sent on this path to see whether the peer is reachable where it says.
    Route([u8; 16], Path),
}

/// Hashes of where a message of ours goes from and to.
pub(crate) fn nat_detection(sa: &Established, frame: &Frame) -> NatDetection {
    frame.spis.nat_hashes(&frame.path, sa.connection.encapsulation.claim())
}

/// Our further addresses, as a message says them.
pub(crate) fn additional(frame: &Frame, core: &Core) -> AdditionalAddresses {
    let others: Vec<_> =
        core.local_addresses.iter().copied().filter(|&ip| ip != frame.path.local.ip()).collect();
    if others.is_empty() { AdditionalAddresses::None } else { AdditionalAddresses::Some(others) }
}

/// Begins a piece of work about addresses.
pub(crate) fn begin(sa: &mut Established, frame: &mut Frame, core: &mut Core, task: &Task) {
    if sa.mobike.is_none() {
        return;
    }
    let (message, request) = match task {
        Task::UpdateAddresses => {
            let message = Informational {
                update_addresses: true,
                additional_addresses: Some(additional(frame, core)),
                nat: nat_detection(sa, frame),
                no_nats_allowed: no_nats(sa, &frame.path),
                ..Informational::default()
            };
            (message, MobikeRequest::Update(frame.path))
        }
        Task::AnnounceAddresses => {
            let message = Informational {
                additional_addresses: Some(additional(frame, core)),
                no_nats_allowed: no_nats(sa, &frame.path),
                ..Informational::default()
            };
            (message, MobikeRequest::Announce)
        }
        Task::CheckRoute => {
            if let Some(doubt) = sa.mobike.as_mut().and_then(|mobike| mobike.doubt.as_mut()) {
                doubt.turns = 0;
            }
            let cookie = core.random::<16>();
            let cookie2 = Some(cookie.to_vec());
            (Informational { cookie2, ..Informational::default() }, MobikeRequest::Route(cookie, frame.path))
        }
        _ => return,
    };
    if inform(sa, frame, core, &message) {
        sa.exchange = Some(Exchange::Mobike(request));
    }
}

/// NO_NATS_ALLOWED, where the operator allows none: the addresses and ports that the peer must see.
pub(crate) fn no_nats(sa: &Established, path: &Path) -> Option<Vec<u8>> {
    (sa.connection.encapsulation == EncapsulationPolicy::Raw).then(|| no_nats_data(path.local, path.remote))
}

/// Source address, destination address, source port, destination port (RFC 4555 §4.2.6).
pub(crate) fn no_nats_data(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut data = Vec::with_capacity(36);
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => data.extend(ip.octets()),
            IpAddr::V6(ip) => data.extend(ip.octets()),
        }
    }
    data.extend(source.port().to_be_bytes());
    data.extend(destination.port().to_be_bytes());
    data
}

/// A request of ours about addresses is answered.
pub(crate) fn on_response(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    request: MobikeRequest,
    message: &Verified,
    response: &Informational,
) {
    match request {
        MobikeRequest::Announce => {}
        MobikeRequest::Route(cookie, path) => {
            let same = response.cookie2.as_deref().is_some_and(|answer| answer.ct_eq(&cookie).into());
            if !same {
                // RFC 4555 §3.7: the IKE SA must be closed.
                let verdict = Verdict::new(Culprit::Misbehaviour, Cause::Unexpected("COOKIE2"));
                return sa.tasks.push_front(Task::DeleteIke(verdict));
            }
            let doubt = sa.mobike.as_ref().and_then(|mobike| mobike.doubt);
            // RFC 4555 §3.7: sent to several addresses, it does not tell which of them works.
            if path != frame.path || doubt.is_some_and(|doubt| doubt.turns > 0) {
                return sa.want(Task::CheckRoute);
            }
            sa.know_where_it_is();
            repath_children(sa, frame, core);
            if doubt.is_some_and(|doubt| doubt.known != path.remote) {
                core.event(Event::PeerMoved { sa: frame.id, path });
            }
        }
        MobikeRequest::Update(path) => {
            if response.unexpected_nat {
                return nat_on_the_way(sa, frame, core);
            }
            if response.unacceptable_addresses {
                let kind = NotifyType::UNACCEPTABLE_ADDRESSES;
                return warn(frame, core, Verdict::refused(kind));
            }
            // Another change came while this one was under way (RFC 4555 §3.5).
            if path != frame.path {
                return sa.want(Task::UpdateAddresses);
            }
            learn_nat(sa, frame, core, &message.path, &response.nat);
            if let Some(mobike) = &mut sa.mobike {
                mobike.seen_as = response.nat.destination;
                mobike.refusals = 0;
                mobike.agree(path);
            }
            repath_children(sa, frame, core);
            core.event(Event::PeerMoved { sa: frame.id, path });
        }
    }
}

/// The peer finds a NAT where we allow none.
fn nat_on_the_way(sa: &mut Established, frame: &Frame, core: &mut Core) {
    let Some(mobike) = &mut sa.mobike else { return };
    mobike.refusals = mobike.refusals.saturating_add(1);
    if mobike.refusals < MAX_REFUSALS {
        return sa.want(Task::UpdateAddresses);
    }
    mobike.refusals = 0;
    warn(frame, core, Verdict::new(Culprit::Network, Cause::NatFound));
}

/// A sign of life came; with MOBIKE it shows how the peer sees us (RFC 4555 §3.8).
pub(crate) fn on_liveness(sa: &mut Established, frame: &Frame, response: &Informational) {
    if sa.origin != Role::Initiator {
        return;
    }
    let (Some(mobike), Some(seen)) = (&mut sa.mobike, response.nat.destination) else { return };
    // The hash of IKE_SA_INIT was over other ports, so behind a NAT the first one after it counts as a
    // change: better one update too many than a mapping that is lost unnoticed.
    let changed = if seen == nat_hash(frame.spis.initiator, frame.spis.responder, frame.path.local) {
        sa.nat.local_behind_nat
    } else {
        mobike.seen_as != Some(seen)
    };
    mobike.seen_as = Some(seen);
    if changed {
        sa.want(Task::UpdateAddresses);
    }
}

/// What a request of the peer's says of addresses.
pub(crate) fn on_request(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    message: &Verified,
    request: &Informational,
    answer: &mut Informational,
) {
    // RFC 4555 §3.7: the cookie goes back as it came.
    answer.cookie2.clone_from(&request.cookie2);
    if sa.mobike.is_none() {
        return;
    }
    if request.nat.destination.is_some() {
        answer.nat = frame.spis.nat_hashes(&message.path, sa.connection.encapsulation.claim());
    }
    let about_addresses = request.update_addresses || request.additional_addresses.is_some();
    // RFC 4555 §3.9: what a NAT has touched moves nothing.
    if about_addresses
        && let Some(data) = &request.no_nats_allowed
        && *data != no_nats_data(message.path.remote, message.path.local)
    {
        answer.notifies.push(Notify::new(NotifyType::UNEXPECTED_NAT_DETECTED));
        return;
    }
    if let Some(addresses) = &request.additional_addresses {
        remember(sa, addresses);
        if sa.origin == Role::Initiator {
            leave_lost_address(sa, frame, message);
        }
    }
    if request.update_addresses && sa.origin == Role::Responder {
        update(sa, frame, core, message, request, answer);
    }
}

/// The responder has said which addresses it has; perhaps the one in use is no longer among them
/// (RFC 4555 §3.5).
fn leave_lost_address(sa: &mut Established, frame: &mut Frame, message: &Verified) {
    let Some(mobike) = &mut sa.mobike else { return };
    let (used, source) = (frame.path.remote.ip(), message.path.remote.ip());
    if used == source {
        return;
    }
    if mobike.peer_addresses.contains(&used) {
        mobike.peer_addresses.retain(|other| *other != used);
        mobike.peer_addresses.push(source);
        return;
    }
    mobike.agreed.get_or_insert(frame.path);
    frame.path = message.path;
    sa.want(Task::UpdateAddresses);
}

/// Keeps the peer's further addresses, replacing what was known (RFC 4555 §3.6).
pub(crate) fn remember(sa: &mut Established, addresses: &AdditionalAddresses) {
    let Some(mobike) = &mut sa.mobike else { return };
    mobike.peer_addresses = match addresses {
        AdditionalAddresses::None => Vec::new(),
        AdditionalAddresses::Some(list) => list.iter().copied().take(MAX_ADDRESSES).collect(),
    };
}

/// The peer moves the SA to where this message came from (RFC 4555 §3.5).
fn update(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    message: &Verified,
    request: &Informational,
    answer: &mut Informational,
) {
    if !sa.connection.remote.allows(message.path.remote.ip()) {
        answer.notifies.push(Notify::new(NotifyType::UNACCEPTABLE_ADDRESSES));
        return;
    }
    frame.path = message.path;
    sa.know_where_it_is();
    learn_nat(sa, frame, core, &message.path, &request.nat);
    sa.want(Task::CheckRoute);
    core.event(Event::PeerMoved { sa: frame.id, path: frame.path });
}

/// What the peer's hashes say of NATs on the way.
fn learn_nat(sa: &mut Established, frame: &mut Frame, core: &mut Core, path: &Path, seen: &NatDetection) {
    if seen.destination.is_some() {
        sa.nat = frame.spis.nat_view(path, seen);
    }
    sa.set_keepalive(frame, core);
}

/// Tells the packet side where the children go now.
fn repath_children(sa: &Established, frame: &Frame, core: &mut Core) {
    let path = frame.path.esp(sa.ground().encapsulation);
    for child in &sa.children {
        core.outputs.push_back(Output::Repath { child: child.inbound, path });
    }
}

fn warn(frame: &Frame, core: &mut Core, verdict: Verdict) {
    core.event(Event::Warning { sa: frame.id, verdict });
}

impl Established {
    /// Without MOBIKE, a peer behind a NAT is followed to where its new, authentic messages come from
    /// (RFC 7296 §2.23). With MOBIKE UPDATE_SA_ADDRESSES moves it, and behind a NAT of our own a changed
    /// source says nothing.
    pub(crate) fn follow_peer(&mut self, frame: &mut Frame, core: &mut Core, message: &Verified) {
        if self.mobike.is_none() && message.path.remote != frame.path.remote {
            self.peer_is_at(frame, core, message.path);
        }
    }

    /// The same, for authentic ESP of the peer's.
    pub(crate) fn peer_is_at(&mut self, frame: &mut Frame, core: &mut Core, path: Path) {
        if self.mobike.is_some() || self.nat.local_behind_nat || frame.path.remote == path.remote {
            return;
        }
        frame.path = path;
        repath_children(self, frame, core);
        core.event(Event::PeerMoved { sa: frame.id, path: frame.path });
    }

    /// Our own addresses have changed.
    pub(crate) fn local_addresses_changed(&mut self, frame: &mut Frame, core: &mut Core) {
        let Some(mobike) = &mut self.mobike else { return };
        mobike.agreed.get_or_insert(frame.path);
        if core.local_addresses.contains(&frame.path.local.ip()) {
            return self.want(Task::AnnounceAddresses);
        }
        let elsewhere = mobike.peer_addresses.iter().copied();
        let way = std::iter::once(frame.path.remote.ip())
            .chain(elsewhere)
            .find_map(|remote| core.local_for(&self.connection, remote).map(|local| (local, remote)));
        let Some((local, remote)) = way else { return };
        frame.path.local.set_ip(local);
        frame.path.remote.set_ip(remote);
        match self.origin {
            Role::Initiator => self.want(Task::UpdateAddresses),
            // RFC 4555 §3.5: without its address the responder may change its own side, and says so.
            Role::Responder => {
                repath_children(self, frame, core);
                self.want(Task::AnnounceAddresses);
            }
        }
    }

    /// A request goes unanswered: perhaps the peer can be reached at another of its addresses
    /// (RFC 4555 §3.5).
    pub(crate) fn try_other_path(&mut self, frame: &mut Frame, core: &Core) {
        if self.origin == Role::Responder {
            return self.ask_elsewhere(frame);
        }
        let Some(mobike) = &mut self.mobike else { return };
        if mobike.peer_addresses.is_empty() || frame.window.attempts() < PATIENCE {
            return;
        }
        let agreed = *mobike.agreed.get_or_insert(frame.path);
        // Every second time the agreed path: loss is likelier than a path that is gone, and of the others
        // nobody knows whether they ever worked.
        mobike.tried = mobike.tried.wrapping_add(1);
        let other = (mobike.tried % 2 == 1).then(|| mobike.tried / 2 % mobike.peer_addresses.len());
        let other = other.and_then(|at| mobike.peer_addresses.get(at));
        let remote = other.copied().unwrap_or_else(|| agreed.remote.ip());
        let usable =
            |local: IpAddr| local.is_ipv4() == remote.is_ipv4() && core.local_addresses.contains(&local);
        let local = Some(frame.path.local.ip()).filter(|&local| usable(local));
        let Some(local) = local.or_else(|| core.local_for(&self.connection, remote)) else { return };
        frame.path.remote.set_ip(remote);
        frame.path.local.set_ip(local);
    }

    /// The path that an answer came on works. Where it is not the agreed one, the peer is told to use it
    /// and the children follow.
    pub(crate) fn settle_path(&mut self, frame: &mut Frame, core: &Core, message: &Verified) {
        if self.origin == Role::Responder {
            return self.believe(frame, message);
        }
        let Some((mobike, agreed)) = self.mobike.as_ref().and_then(|it| Some((it, it.agreed?))) else {
            return;
        };
        let (local, remote) = (message.path.local.ip(), message.path.remote.ip());
        // A source address is not authentic: only those that the peer has told us of count.
        let known = remote == agreed.remote.ip() || mobike.peer_addresses.contains(&remote);
        if known && core.local_addresses.contains(&local) {
            frame.path.local.set_ip(local);
            frame.path.remote.set_ip(remote);
        }
        // The answer to an update is judged on its own.
        let updating = matches!(self.exchange, Some(Exchange::Mobike(MobikeRequest::Update(_))));
        if frame.path != agreed && !updating {
            self.want(Task::UpdateAddresses);
        }
    }
}

impl Mobike {
    /// Both ends use this path from now on; the address that it leaves remains one to come back to.
    fn agree(&mut self, path: Path) {
        let left =
            self.agreed.replace(path).map(|old| old.remote.ip()).filter(|old| *old != path.remote.ip());
        if let Some(left) = left
            && let Some(taken) = self.peer_addresses.iter_mut().find(|other| **other == path.remote.ip())
        {
            *taken = left;
        }
        self.tried = 0;
    }
}

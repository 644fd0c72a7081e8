//! Addresses that change under an IKE SA (RFC 4555), and NATs that map us anew (RFC 7296 §2.23).
//!
//! Only the end that first set up the relationship moves it: it tells the other with
//! UPDATE_SA_ADDRESSES. The other end says which further addresses it has, and checks with COOKIE2 that
//! the peer can really be reached at a new address before traffic goes there.

use super::{Exchange, inform};
use crate::connection::EncapsulationPolicy;
use crate::core::Core;
use crate::event::Event;
use crate::output::{Output, Path};
use crate::sa::established::{Established, Task};
use crate::sa::{Frame, Role, Verified};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{AdditionalAddresses, Informational, NatDetection, Notify, NotifyType};
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

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
}

/// A request of ours about addresses.
#[derive(Clone, Copy)]
pub(crate) enum MobikeRequest {
    /// UPDATE_SA_ADDRESSES, sent on this path.
    Update(Path),
    /// Our further addresses.
    Announce,
    /// COOKIE2, to see whether the peer is reachable where it says.
    Route([u8; 16]),
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
                nat: nat_detection(sa, frame),
                no_nats_allowed: no_nats(sa, &frame.path),
                ..Informational::default()
            };
            (message, MobikeRequest::Update(frame.path))
        }
        Task::AnnounceAddresses => {
            let additional_addresses = Some(additional(frame, core));
            (Informational { additional_addresses, ..Informational::default() }, MobikeRequest::Announce)
        }
        Task::CheckRoute => {
            let cookie = core.random::<16>();
            let cookie2 = Some(cookie.to_vec());
            (Informational { cookie2, ..Informational::default() }, MobikeRequest::Route(cookie))
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
        MobikeRequest::Route(cookie) => {
            let same = response.cookie2.as_deref().is_some_and(|answer| answer.ct_eq(&cookie).into());
            if same {
                repath_children(sa, frame, core);
            } else {
                warn(frame, core, Verdict::new(Culprit::Misbehaviour, Cause::Unexpected("COOKIE2")));
            }
        }
        MobikeRequest::Update(path) => {
            if response.unexpected_nat {
                return warn(frame, core, Verdict::new(Culprit::Network, Cause::NatFound));
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
                mobike.agreed = Some(path);
            }
            repath_children(sa, frame, core);
            core.event(Event::PeerMoved { sa: frame.id, path });
        }
    }
}

/// A sign of life came; with MOBIKE it shows how the peer sees us (RFC 4555 §3.8).
pub(crate) fn on_liveness(sa: &mut Established, frame: &Frame, response: &Informational) {
    let initiator = sa.origin == Role::Initiator;
    let Some(mobike) = &mut sa.mobike else { return };
    if !initiator {
        return;
    }
    // The first answer says nothing of whether the peer holds the mapping that it came through, so it leads
    // to an update too.
    let behind_nat = frame.spis.nat_view(&frame.path, &response.nat).local_behind_nat;
    if behind_nat && response.nat.destination != mobike.seen_as {
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
    if let Some(addresses) = &request.additional_addresses {
        remember(sa, addresses);
    }
    if request.update_addresses && sa.origin == Role::Responder {
        update(sa, frame, core, message, request, answer);
    }
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
    if let Some(data) = &request.no_nats_allowed
        && *data != no_nats_data(message.path.remote, message.path.local)
    {
        answer.notifies.push(Notify::new(NotifyType::UNEXPECTED_NAT_DETECTED));
        return;
    }
    if !sa.connection.remote.allows(message.path.remote.ip()) {
        answer.notifies.push(Notify::new(NotifyType::UNACCEPTABLE_ADDRESSES));
        return;
    }
    frame.path = message.path;
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
    /// (RFC 7296 §2.23). With MOBIKE only UPDATE_SA_ADDRESSES moves it, and behind a NAT of our own a
    /// changed source says nothing.
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
        let Some(local) = local_for(core, frame.path.remote.ip()) else { return };
        frame.path.local.set_ip(local);
        if self.origin == Role::Initiator {
            self.want(Task::UpdateAddresses);
        }
    }

    /// A request goes unanswered: perhaps the peer can be reached at another of its addresses
    /// (RFC 4555 §3.9).
    pub(crate) fn try_other_path(&mut self, frame: &mut Frame, core: &Core) {
        const PATIENCE: u32 = 2;
        let initiator = self.origin == Role::Initiator;
        let Some(mobike) = &mut self.mobike else { return };
        if !initiator || mobike.peer_addresses.is_empty() || frame.window.attempts() < PATIENCE {
            return;
        }
        let agreed = *mobike.agreed.get_or_insert(frame.path);
        let candidates = 1 + mobike.peer_addresses.len();
        mobike.tried = (mobike.tried + 1) % candidates;
        let remote = match mobike.tried.checked_sub(1).and_then(|i| mobike.peer_addresses.get(i)) {
            None => agreed.remote.ip(),
            Some(&other) => other,
        };
        let local = if remote.is_ipv4() == agreed.local.is_ipv4() {
            agreed.local.ip()
        } else {
            match local_for(core, remote) {
                Some(local) => local,
                None => return,
            }
        };
        frame.path.remote.set_ip(remote);
        frame.path.local.set_ip(local);
    }

    /// After an answer on another path than the agreed one, the children follow.
    pub(crate) fn settle_path(&mut self, frame: &Frame) {
        let strayed = self.mobike.as_ref().and_then(|mobike| mobike.agreed).is_some_and(|p| p != frame.path);
        if strayed && self.origin == Role::Initiator {
            self.want(Task::UpdateAddresses);
        }
    }
}

fn local_for(core: &Core, remote: IpAddr) -> Option<IpAddr> {
    core.local_addresses.iter().copied().find(|local| local.is_ipv4() == remote.is_ipv4())
}

//! One connection of a mesh.

use super::Address;
use crate::connection::{After, Child, Connection, Retry, Start};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::{AddressRange, Marking, TfcPadding, TrafficSelector};
use tidegate_ike::ChildConfig;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::{
    ChildLifetimes, ChildStart, Childless, EncapsulationPolicy, Fragmentation, IkeLifetimes, LocalEnd,
    RemoteEnd, RequestCertificates, Retransmission, SendCertificates, Unique,
};
use tidegate_ike::identity::{Identity, IdentityPattern};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::proposal::{EspProposal, IkeProposal};

/// One connection of a mesh, as data.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its name, which is the peer's.
    pub name: Arc<str>,
    /// Who we say we are.
    pub local: Identity,
    /// Who the peer must be.
    pub peer: Identity,
    /// Where the peer is; empty for anywhere.
    pub addresses: Vec<Address>,
    /// The port of the peer's first packet.
    pub port: u16,
    /// What is carried.
    pub children: Vec<LinkChild>,
    /// Who begins.
    pub initiator: Initiator,
}

/// What one child of a link carries.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkChild {
    /// Its name.
    pub name: Arc<str>,
    /// Our side. A connector that passes packets on has the same for thousands of edges.
    pub local: Arc<[AddressRange]>,
    /// The peer's side.
    pub remote: Arc<[AddressRange]>,
}

/// Who begins a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// We do, and again whenever it is gone.
    Us,
    /// We wait for the peer.
    Peer,
    /// Both do; what they make twice is settled to one.
    Either,
}

/// What the connections of a mesh have in common.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// How we prove who we are.
    pub local: Arc<LocalAuth>,
    /// How a peer has to.
    pub remote: Arc<RemoteAuth>,
    /// All else.
    pub defaults: Defaults,
}

/// How the connections of a mesh are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// Addresses of ours that they may use; empty for any.
    pub local_addresses: Vec<IpAddr>,
    /// The port that our first packet leaves from.
    pub local_port: u16,
    /// IKE proposals, the most wanted first.
    pub proposals: Vec<IkeProposal>,
    /// ESP proposals, the most wanted first.
    pub esp_proposals: Vec<EspProposal>,
    /// When IKE SAs are renewed.
    pub lifetimes: IkeLifetimes,
    /// When children are renewed.
    pub child_lifetimes: ChildLifetimes,
    /// Ask the peer for a sign of life after this much silence.
    pub liveness: Option<Duration>,
    /// How requests are sent again.
    pub retransmission: Retransmission,
    /// What to do with messages that are too long for one datagram.
    pub fragmentation: Fragmentation,
    /// What to do about NATs.
    pub encapsulation: EncapsulationPolicy,
    /// Speak MOBIKE.
    pub mobike: bool,
    /// How failed attempts are repeated.
    pub retry: Retry,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            local_addresses: Vec::new(),
            local_port: 500,
            proposals: IkeProposal::default_list(),
            esp_proposals: EspProposal::default_list(),
            lifetimes: IkeLifetimes::default(),
            child_lifetimes: ChildLifetimes::default(),
            liveness: Some(Duration::from_secs(10)),
            retransmission: Retransmission::default(),
            fragmentation: Fragmentation::default(),
            encapsulation: EncapsulationPolicy::Udp,
            mobike: true,
            retry: Retry { most: LONGEST_WAIT, ..Retry::default() },
        }
    }
}

/// A connector that comes back has its edges back in 15 seconds, so none of them may sleep longer: the last
/// two repetitions of a request are 10 s apart.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Credentials {
    /// These, and everything else as most want it.
    pub fn new(local: Arc<LocalAuth>, remote: Arc<RemoteAuth>) -> Self {
        Self { local, remote, defaults: Defaults::default() }
    }
}

impl Link {
    /// What the engine loads for it.
    pub fn connection(&self, credentials: &Credentials) -> Connection {
        let Defaults { retry, .. } = credentials.defaults;
        // As names, they say where to go and not where from: a node whose address has changed, or that is
        // behind a NAT, is known by what it proves.
        let names = self.addresses.iter().map(ToString::to_string).collect();
        let children = self.children.iter().map(|child| self.child(child, &credentials.defaults));
        Connection { names, children: children.collect(), retry, ..Connection::new(self.ike(credentials)) }
    }

    fn ike(&self, credentials: &Credentials) -> tidegate_ike::Connection {
        let defaults = &credentials.defaults;
        tidegate_ike::Connection {
            name: Arc::clone(&self.name),
            local: LocalEnd {
                identity: self.local.clone(),
                auth: Arc::clone(&credentials.local),
                further: Vec::new(),
                addresses: defaults.local_addresses.iter().copied().map(AddressRange::host).collect(),
                port: defaults.local_port,
            },
            remote: RemoteEnd {
                identity: IdentityPattern::Exact(self.peer.clone()),
                auth: Arc::clone(&credentials.remote),
                further: Vec::new(),
                addresses: Vec::new(),
                port: self.port,
            },
            proposals: defaults.proposals.clone(),
            children: Vec::new(),
            lifetimes: defaults.lifetimes,
            liveness: defaults.liveness,
            retransmission: defaults.retransmission,
            fragmentation: defaults.fragmentation,
            encapsulation: defaults.encapsulation,
            mobike: defaults.mobike,
            childless: Childless::Allow,
            request_addresses: Vec::new(),
            pools: Vec::new(),
            verify_pfs: false,
            send_certificates: SendCertificates::default(),
            request_certificates: RequestCertificates::default(),
            unique: Unique::default(),
        }
    }

    fn child(&self, child: &LinkChild, defaults: &Defaults) -> Child {
        let (start, end) = match self.initiator {
            Initiator::Peer => (Start::Wait, After::Clear),
            Initiator::Us | Initiator::Either => (Start::AtOnce, After::Restart),
        };
        let with_ike = match start {
            Start::AtOnce => ChildStart::WithIke,
            Start::Wait | Start::OnTraffic | Start::Trap => ChildStart::OnDemand,
        };
        let config = ChildConfig {
            name: Arc::clone(&child.name),
            local: selectors(&child.local),
            remote: selectors(&child.remote),
            proposals: defaults.esp_proposals.clone(),
            lifetimes: defaults.child_lifetimes,
            replay_window: REPLAY_WINDOW,
            tfc: TfcPadding::None,
            marking: Marking::default(),
            start: with_ike,
        };
        Child { start, on_close: end, on_death: end, ..Child::new(config) }
    }
}

/// As [`ChildConfig::new`] has it.
const REPLAY_WINDOW: u16 = 1024;

fn selectors(ranges: &[AddressRange]) -> Vec<ConfiguredSelector> {
    let fixed = |range: &AddressRange| ConfiguredSelector::Fixed(TrafficSelector::for_addresses(*range));
    ranges.iter().map(fixed).collect()
}

//! What the seed decides before a run begins: who there is, where, and how they are configured.

use crate::identities::{Proof, credentials, identity};
use crate::judge::host;
use std::net::IpAddr;
use std::time::Duration;
use tidegate::mesh::{Address, Community, Credentials, Defaults, Endpoint, Initiator, Link, Mesh, Role};
use tidegate_esp::{AddressRange, Limits};
use tidegate_ike::connection::{ChildLifetimes, Fragmentation, IkeLifetimes, Volume};
use tidegate_ike::proposal::{EspProposal, IkeProposal};
use tidegate_sim::{Chance, Conditions, MILLISECOND, NatKind, SECOND, SimRandom};

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub nodes: (u64, u64),
    /// Minutes in which things go wrong.
    pub minutes: (u64, u64),
}

/// Everything about a mesh that stays as it is while it runs.
#[derive(Debug)]
pub struct Recipe {
    pub sites: Vec<Site>,
    pub nats: Vec<NatKind>,
    pub proof: Proof,
    pub storm: u64,
    /// Between two things that go wrong.
    pub pause: u64,
    /// Between two bursts of packets of one node.
    pub pace: u64,
    /// What the adversary does to so many of the datagrams.
    pub malice: Chance,
    pub cookie_threshold: usize,
    defaults: Defaults,
}

/// A node as it is configured, in all of its lives.
#[derive(Debug)]
pub struct Site {
    pub endpoint: Endpoint,
    /// The addresses that it has in turn; one that cannot move has one.
    pub homes: Vec<IpAddr>,
    pub nat: Option<usize>,
    pub links: Vec<Link>,
}

impl Site {
    pub fn is_connector(&self) -> bool {
        self.endpoint.role == Role::Connector
    }
}

/// `range.0..=range.1`
pub fn between(random: &mut SimRandom, range: (u64, u64)) -> u64 {
    range.0 + random.below(range.1 - range.0 + 1)
}

pub fn happens(random: &mut SimRandom, percent: u64) -> bool {
    random.below(100) < percent
}

impl Recipe {
    pub fn draw(random: &mut SimRandom, scale: Scale) -> Self {
        let nodes = between(random, scale.nodes) as usize;
        let connectors = 1 + random.below(2) as usize;
        let nats: Vec<NatKind> = (0..1 + nodes / 4).map(|_| nat_kind(random)).collect();
        let mut sites: Vec<Site> = (0..nodes).map(|n| site(random, n, n < connectors, nats.len())).collect();
        let communities = communities(random, nodes, connectors);
        let endpoints: Vec<Endpoint> = sites.iter().map(|site| site.endpoint.clone()).collect();
        for (at, site) in sites.iter_mut().enumerate() {
            let mut peers = endpoints.clone();
            let node = peers.remove(at);
            let mesh = Mesh { node, peers, communities: communities.clone() };
            site.links = mesh.plan().expect("a mesh that makes sense");
        }
        Self {
            sites,
            nats,
            proof: if happens(random, 40) { Proof::Certificates } else { Proof::Secret },
            storm: between(random, scale.minutes) * 60 * SECOND,
            pause: between(random, (5, 60)) * SECOND,
            pace: between(random, (4, 30)) * SECOND,
            malice: Chance::per_million(between(random, (2_000, 60_000)) as u32),
            cookie_threshold: between(random, (4, 64)) as usize,
            defaults: defaults(random),
        }
    }

    pub fn credentials(&self, node: usize) -> Credentials {
        let (local, remote) = credentials(self.proof, node);
        Credentials { defaults: self.defaults.clone(), ..Credentials::new(local, remote) }
    }

    /// Nodes that one of the two connects with the other.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let nodes = self.sites.len();
        let all = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b)));
        all.filter(|(a, b)| self.begins(*a, *b) || self.begins(*b, *a)).collect()
    }

    fn begins(&self, us: usize, peer: usize) -> bool {
        self.link(us, peer).is_some_and(|link| link.initiator != Initiator::Peer)
    }

    pub fn link(&self, us: usize, peer: usize) -> Option<&Link> {
        self.sites[us].links.iter().find(|link| *link.name == *name(peer))
    }

    /// The nodes whose hosts a node's host reaches.
    pub fn reach(&self, from: usize) -> Vec<usize> {
        (0..self.sites.len()).filter(|to| *to != from && self.leads(from, from, *to)).collect()
    }

    /// Whether a packet that is at a node gets to where it goes.
    fn leads(&self, from: usize, at: usize, to: usize) -> bool {
        let holds = |ranges: &[AddressRange], node: usize| {
            ranges.iter().any(|range| range.contains(host(node).into()))
        };
        let carries = |link: &&Link| {
            let mut children = link.children.iter();
            children.any(|child| holds(&child.local, from) && holds(&child.remote, to))
        };
        let Some(link) = self.sites[at].links.iter().find(carries) else { return false };
        let Some(next) = (0..self.sites.len()).find(|node| *link.name == *name(*node)) else { return false };
        let connected = self.begins(at, next) || self.begins(next, at);
        connected && (next == to || (self.sites[next].is_connector() && self.leads(from, next, to)))
    }
}

pub fn name(node: usize) -> String {
    format!("node-{node:02}")
}

/// The DNS name of a node.
pub fn domain_name(node: usize) -> String {
    format!("node-{node:02}.example")
}

/// The outer address of a NAT, in its so manieth life.
pub fn nat_address(nat: usize, life: u64) -> IpAddr {
    IpAddr::from([203, 0, 100 + (life % 100) as u8, nat as u8 + 1])
}

fn nat_kind(random: &mut SimRandom) -> NatKind {
    match random.below(4) {
        0 => NatKind::FullCone,
        1 => NatKind::AddressRestricted,
        2 => NatKind::PortRestricted,
        _ => NatKind::Symmetric,
    }
}

/// An edge in the open or behind a NAT, alone or with others; a connector in the open. Nodes that are known by
/// name may move.
fn site(random: &mut SimRandom, node: usize, is_connector: bool, nats: usize) -> Site {
    let role = if is_connector { Role::Connector } else { Role::Edge };
    let nat = (!is_connector && happens(random, 50)).then(|| random.below(nats as u64) as usize);
    let named = happens(random, 50);
    let home = |way: u8| match nat {
        Some(_) => IpAddr::from([192, 168, node as u8, 2 + way]),
        None => IpAddr::from([198, 51 + way, 100, node as u8 + 1]),
    };
    let homes = if named || nat.is_some() { vec![home(0), home(1)] } else { vec![home(0)] };
    let mut endpoint = Endpoint::new(&name(node), identity(node), role);
    let [a, b, c, _] = host(node);
    endpoint.subnets = vec![AddressRange::from_prefix([a, b, c, 0].into(), 24).expect("a prefix")];
    endpoint.addresses = match nat {
        Some(_) => Vec::new(),
        None if named => vec![Address::Name(domain_name(node))],
        None => vec![Address::Ip(homes[0])],
    };
    Site { endpoint, homes, nat, links: Vec::new() }
}

/// Groups of three to six edges. Some edges are in several, some in none; a few groups go through a connector.
fn communities(random: &mut SimRandom, nodes: usize, connectors: usize) -> Vec<Community> {
    let count = (nodes / 4).max(1);
    let one = |index: usize| {
        let size = between(random, (3, 6)) as usize;
        let edges = (nodes - connectors) as u64;
        let mut members: Vec<usize> = (0..size).map(|_| connectors + random.below(edges) as usize).collect();
        members.sort_unstable();
        members.dedup();
        let via = happens(random, 25).then(|| name(random.below(connectors as u64) as usize));
        Community { name: format!("group-{index}"), members: members.into_iter().map(name).collect(), via }
    };
    (0..count).map(one).collect()
}

/// Everything is renewed far more often than anybody would want it, in proportion.
fn defaults(random: &mut SimRandom) -> Defaults {
    let seconds = |random: &mut SimRandom, range| Duration::from_secs(between(random, range));
    let (ike, child) = (seconds(random, (300, 3600)), seconds(random, (120, 1800)));
    let packets = between(random, (50, 500));
    let volume = match happens(random, 25) {
        true => Limits { soft_packets: packets, hard_packets: packets * 2, ..Limits::NONE },
        false => Limits::NONE,
    };
    let suite = if happens(random, 50) { "aes128gcm16" } else { "chacha20poly1305" };
    let proposal = format!("{suite}-prfsha256-x25519");
    let esp = if happens(random, 50) { format!("{suite}-x25519") } else { suite.to_owned() };
    Defaults {
        proposals: IkeProposal::parse_list(&proposal).expect("a proposal"),
        esp_proposals: EspProposal::parse_list(&esp).expect("a proposal"),
        lifetimes: IkeLifetimes {
            rekey: Some(ike),
            reauthenticate: happens(random, 25).then(|| seconds(random, (600, 3600))),
            overtime: ike / 2,
            jitter: ike / 4,
            authentication: None,
        },
        child_lifetimes: ChildLifetimes {
            rekey: Some(child),
            overtime: child / 2,
            jitter: child / 4,
            volume,
            volume_jitter: Volume::default(),
            unrenewed: None,
        },
        liveness: Some(seconds(random, (10, 40))),
        fragmentation: Fragmentation::Offer([300, 576, 1280][random.below(3) as usize]),
        mobike: happens(random, 75),
        ..Defaults::default()
    }
}

/// A network on a bad day.
pub fn weather(random: &mut SimRandom) -> Conditions {
    Conditions {
        loss: Chance::percent([0, 1, 2, 5, 10, 20, 40][random.below(7) as usize]),
        duplication: Chance::percent(random.below(11) as u32),
        reordering: Chance::percent(random.below(21) as u32),
        corruption: Chance::percent(random.below(3) as u32),
        delay: between(random, (2, 120)) * MILLISECOND,
        jitter: random.below(60) * MILLISECOND,
        hold: between(random, (100, 2_000)) * MILLISECOND,
    }
}

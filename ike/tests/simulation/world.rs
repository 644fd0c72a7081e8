//! A world from a seed: how two ends are configured, what is between them, and what befalls them.

use crate::node::{IkeNode, seconds};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::{AddressRange, Marking, TfcPadding};
use tidegate_ike::connection::{
    ChildConfig, ChildLifetimes, ChildStart, Childless, Connection, Fragmentation, IkeLifetimes,
};
use tidegate_ike::crypto::Secret;
use tidegate_ike::endpoint::ChildStatus;
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::proposal::{EspProposal, IkeProposal};
use tidegate_sim::{
    Chance, Conditions, MILLISECOND, NatConfig, NatId, NatKind, NodeId, SECOND, SimRandom, Simulation, Way,
};

pub const EDGE: &str = "10.9.0.2";
pub const EDGE_OTHER: &str = "10.9.0.3";
pub const CONNECTOR: &str = "198.51.100.1";
const NAT: &str = "203.0.113.7";

/// What both ends have in common.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub ike_rekey: Duration,
    pub child_rekey: Duration,
    pub reauthenticate: Option<Duration>,
    pub pfs: bool,
    pub mobike: bool,
    pub childless: bool,
    pub verify_pfs: bool,
    pub fragment_size: u16,
    pub nat: Option<NatKind>,
    pub conditions: Conditions,
    /// The connector keeps the connection up, too. Only where it can reach the edge.
    pub both_keep: bool,
}

/// Two ends and the network between them.
pub struct World {
    pub seed: u64,
    pub random: SimRandom,
    pub recipe: Recipe,
    pub simulation: Simulation<IkeNode>,
    pub edge: NodeId,
    pub connector: NodeId,
    nat: Option<NatId>,
    lives: u64,
    traced: bool,
}

/// Something that happens to a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    RekeyChild(Side),
    RekeyIke(Side),
    BothRekeyChild,
    BothRekeyIke,
    RekeyChildAndIke,
    DeleteChild(Side),
    Terminate(Side),
    Reauthenticate,
    Partition,
    OneWay(Side),
    Crash(Side),
    Sleep(Side),
    Rebind,
    Move,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Edge,
    Connector,
}

impl Recipe {
    pub fn draw(random: &mut SimRandom) -> Self {
        let nat = match random.below(6) {
            0 => Some(NatKind::FullCone),
            1 => Some(NatKind::AddressRestricted),
            2 => Some(NatKind::PortRestricted),
            3 => Some(NatKind::Symmetric),
            _ => None,
        };
        let conditions = Conditions {
            loss: Chance::percent([0, 1, 5, 10, 20, 30][random.below(6) as usize]),
            duplication: Chance::percent(random.below(11) as u32),
            reordering: Chance::percent(random.below(21) as u32),
            corruption: Chance::percent(random.below(3) as u32),
            delay: random.below(120) * MILLISECOND,
            jitter: random.below(60) * MILLISECOND,
            hold: 300 * MILLISECOND,
        };
        Self {
            ike_rekey: seconds((60, 600), random.next_u64()),
            child_rekey: seconds((20, 200), random.next_u64()),
            reauthenticate: (random.below(5) == 0).then(|| seconds((100, 500), random.next_u64())),
            pfs: random.below(2) == 0,
            mobike: random.below(2) == 0,
            childless: random.below(4) == 0,
            verify_pfs: random.below(8) == 0,
            fragment_size: [300, 576, 1280][random.below(3) as usize],
            nat,
            conditions,
            both_keep: nat.is_none() && random.below(4) == 0,
        }
    }

    fn connection(&self, side: Side) -> Connection {
        let (name, peer, ours, theirs) = match side {
            Side::Edge => ("edge.example", "connector.example", "10.1.0.0/16", "10.2.0.0/16"),
            Side::Connector => ("connector.example", "edge.example", "10.2.0.0/16", "10.1.0.0/16"),
        };
        let secret = Secret::new(b"shared by the two of them".to_vec());
        let fixed = |text: &str| vec![ConfiguredSelector::Fixed(text.parse().expect("a selector"))];
        let child = ChildConfig {
            name: "net".into(),
            local: fixed(ours),
            remote: fixed(theirs),
            proposals: EspProposal::parse_list(if self.pfs { "aes128gcm16-x25519" } else { "aes128gcm16" })
                .expect("a proposal"),
            lifetimes: ChildLifetimes {
                rekey: Some(self.child_rekey),
                overtime: Duration::from_secs(120),
                jitter: self.child_rekey / 4,
                ..ChildLifetimes::default()
            },
            replay_window: 64,
            tfc: TfcPadding::None,
            marking: Marking::default(),
            start: ChildStart::WithIke,
        };
        let addresses = match side {
            Side::Edge => vec![AddressRange::host(CONNECTOR.parse().expect("an address"))],
            Side::Connector if self.both_keep => vec![AddressRange::host(EDGE.parse().expect("an address"))],
            Side::Connector => Vec::new(),
        };
        let (local, remote) = (name.parse().expect("an identity"), peer.parse().expect("a pattern"));
        let mut connection = Connection::psk("tunnel", local, remote, secret);
        connection.remote.addresses = addresses;
        connection.proposals =
            IkeProposal::parse_list("aes128gcm16-prfsha256-x25519,aes128-sha256-x25519").expect("a proposal");
        connection.children = vec![Arc::new(child)];
        connection.lifetimes = IkeLifetimes {
            rekey: Some(self.ike_rekey),
            reauthenticate: self.reauthenticate.filter(|_| side == Side::Edge),
            overtime: Duration::from_secs(120),
            jitter: self.ike_rekey / 4,
            authentication: None,
        };
        connection.fragmentation = Fragmentation::Offer(self.fragment_size);
        connection.mobike = self.mobike && !self.both_keep;
        connection.childless = if self.childless { Childless::Prefer } else { Childless::Allow };
        connection.verify_pfs = self.verify_pfs && self.pfs;
        connection
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = SimRandom::new(seed);
        let recipe = Recipe::draw(&mut random);
        Self::with_recipe(seed, random, recipe)
    }

    pub fn with_recipe(seed: u64, random: SimRandom, recipe: Recipe) -> Self {
        let traced = std::env::var_os("TIDEGATE_TRACE").is_some();
        if traced {
            eprintln!("{recipe:?}");
        }
        let mut simulation = Simulation::new(seed ^ 0x5eed);
        simulation.network.set_conditions(recipe.conditions);
        let (edge_at, connector_at) = (address(EDGE), address(CONNECTOR));
        let nat = recipe.nat.map(|kind| {
            let timeout = 120 * SECOND;
            let nat = simulation.network.add_nat(NatConfig { outer: address(NAT), kind, timeout });
            simulation.network.put_behind(nat, edge_at);
            simulation.network.put_behind(nat, address(EDGE_OTHER));
            nat
        });
        let edge = simulation.add(node(seed, 0, &recipe, Side::Edge), &[edge_at]);
        let connector = simulation.add(node(seed, 1, &recipe, Side::Connector), &[connector_at]);
        Self { seed, random, recipe, simulation, edge, connector, nat, lives: 2, traced }
    }

    pub fn id(&self, side: Side) -> NodeId {
        match side {
            Side::Edge => self.edge,
            Side::Connector => self.connector,
        }
    }

    pub fn node(&self, side: Side) -> &IkeNode {
        self.simulation.node(self.id(side))
    }

    /// A node, to be told to send or not.
    pub fn packets(&mut self, side: Side) -> &mut IkeNode {
        let id = self.id(side);
        self.simulation.node_mut(id)
    }

    /// Draws something to happen.
    pub fn draw(&mut self) -> Mishap {
        let side = if self.random.below(2) == 0 { Side::Edge } else { Side::Connector };
        match self.random.below(20) {
            0..=2 => Mishap::RekeyChild(side),
            3 | 4 => Mishap::RekeyIke(side),
            5..=7 => Mishap::BothRekeyChild,
            8..=10 => Mishap::BothRekeyIke,
            11 => Mishap::RekeyChildAndIke,
            12 => Mishap::DeleteChild(side),
            13 => Mishap::Terminate(side),
            14 => Mishap::Reauthenticate,
            15 => Mishap::Partition,
            16 => Mishap::OneWay(side),
            17 => Mishap::Crash(side),
            18 => Mishap::Sleep(side),
            _ if self.nat.is_some() && self.random.below(2) == 0 => Mishap::Rebind,
            _ => Mishap::Move,
        }
    }

    /// Lets it happen, and time pass until it is over.
    pub fn befall(&mut self, mishap: Mishap) {
        if self.traced {
            eprintln!("{:9.3} {mishap:?}", self.simulation.now() as f64 / SECOND as f64);
        }
        match mishap {
            Mishap::RekeyChild(side) => self.rekey_child(side),
            Mishap::RekeyIke(side) => self.rekey_ike(side),
            Mishap::BothRekeyChild => {
                self.rekey_child(Side::Edge);
                self.pause();
                self.rekey_child(Side::Connector);
            }
            Mishap::BothRekeyIke => {
                self.rekey_ike(Side::Edge);
                self.pause();
                self.rekey_ike(Side::Connector);
            }
            Mishap::RekeyChildAndIke => {
                self.rekey_child(Side::Edge);
                self.pause();
                self.rekey_ike(Side::Connector);
            }
            Mishap::DeleteChild(side) => self.on_child(side, |endpoint, now, child| {
                let _ = endpoint.terminate_child(now, child);
            }),
            Mishap::Terminate(side) => self.on_sa(side, |endpoint, now, sa| {
                let _ = endpoint.terminate(now, sa);
            }),
            Mishap::Reauthenticate => self.on_sa(Side::Edge, |endpoint, now, sa| {
                let _ = endpoint.reauthenticate(now, sa);
            }),
            Mishap::Partition => self.cut(Way::Both, Side::Edge),
            Mishap::OneWay(side) => self.cut(Way::FirstToSecond, side),
            Mishap::Crash(side) => self.crash(side),
            Mishap::Sleep(side) => {
                let id = self.id(side);
                self.simulation.crash(id);
                let span = self.random.below(90) * SECOND;
                self.simulation.run_for(span);
                self.simulation.resume(id);
            }
            Mishap::Rebind => {
                if let Some(nat) = self.nat {
                    self.simulation.network.rebind(nat);
                }
            }
            Mishap::Move => self.move_edge(),
        }
    }

    fn pause(&mut self) {
        let span = self.random.below(200) * MILLISECOND;
        self.simulation.run_for(span);
    }

    fn on_sa(
        &mut self,
        side: Side,
        act: impl FnOnce(&mut tidegate_ike::Endpoint, tidegate_ike::Now, tidegate_ike::SaId),
    ) {
        let now = self.simulation.now();
        let id = self.id(side);
        let node = self.simulation.node_mut(id);
        if let Some(&sa) = node.standing("tunnel").first() {
            node.with(now, |endpoint, now| act(endpoint, now, sa));
        }
    }

    fn on_child(
        &mut self,
        side: Side,
        act: impl FnOnce(&mut tidegate_ike::Endpoint, tidegate_ike::Now, tidegate_esp::Spi),
    ) {
        self.on_sa(side, |endpoint, now, sa| {
            let child = endpoint
                .status(sa)
                .and_then(|sa| sa.children().find(ChildStatus::is_current).map(|child| child.inbound()));
            if let Some(child) = child {
                act(endpoint, now, child);
            }
        });
    }

    fn rekey_child(&mut self, side: Side) {
        self.on_child(side, |endpoint, now, child| {
            let _ = endpoint.rekey_child(now, child);
        });
    }

    fn rekey_ike(&mut self, side: Side) {
        self.on_sa(side, |endpoint, now, sa| {
            let _ = endpoint.rekey(now, sa);
        });
    }

    fn cut(&mut self, way: Way, from: Side) {
        let (edge, connector) = ([address(EDGE), address(EDGE_OTHER)], [address(CONNECTOR)]);
        let cut = match from {
            Side::Edge => self.simulation.network.cut(&edge, &connector, way),
            Side::Connector => self.simulation.network.cut(&connector, &edge, way),
        };
        let span = (1 + self.random.below(90)) * SECOND;
        self.simulation.run_for(span);
        self.simulation.network.heal(cut);
    }

    /// A node loses its memory and comes back after a while.
    fn crash(&mut self, side: Side) {
        let id = self.id(side);
        self.simulation.crash(id);
        let span = self.random.below(60) * SECOND;
        self.simulation.run_for(span);
        let mut fresh = node(self.seed, self.lives, &self.recipe, side);
        self.lives += 1;
        fresh.addresses.clone_from(&self.node(side).addresses);
        let now = self.simulation.now();
        let addresses = fresh.addresses.clone();
        fresh.with(now, |endpoint, now| endpoint.set_local_addresses(now, addresses));
        let pace = self.node(side).pace;
        fresh.start_packets(now, pace);
        self.simulation.restart(id, fresh);
    }

    /// The edge gets another address. With MOBIKE its SA follows; without, it has to start anew.
    fn move_edge(&mut self) {
        if self.recipe.both_keep {
            return;
        }
        let current = self.node(Side::Edge).addresses[0];
        let next = if current == address(EDGE) { address(EDGE_OTHER) } else { address(EDGE) };
        let now = self.simulation.now();
        self.simulation.set_addresses(self.edge, &[next]);
        let mobike = self.recipe.mobike;
        let node = self.simulation.node_mut(self.edge);
        node.addresses = vec![next];
        node.with(now, |endpoint, now| endpoint.set_local_addresses(now, vec![next]));
        if !mobike {
            for sa in node.standing("tunnel") {
                node.with(now, |endpoint, now| endpoint.terminate(now, sa)).expect("it stands");
            }
        }
    }

    /// The weather clears and everything heals.
    pub fn calm(&mut self) {
        self.simulation.network.heal_all();
        self.simulation.network.set_conditions(Conditions { delay: 20 * MILLISECOND, ..Conditions::PERFECT });
    }
}

fn node(seed: u64, life: u64, recipe: &Recipe, side: Side) -> IkeNode {
    let at = match side {
        Side::Edge => address(EDGE),
        Side::Connector => address(CONNECTOR),
    };
    let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(life);
    let mut node = IkeNode::new(seed, &[at], vec![recipe.connection(side)]);
    if side == Side::Edge || recipe.both_keep {
        node.keeps.push("tunnel".into());
    }
    node.start_packets(0, 500 * MILLISECOND);
    node
}

pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

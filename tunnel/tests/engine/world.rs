//! Nodes with their connections, as tests want them.

use crate::node::{EngineNode, Stream};
use std::net::IpAddr;
use tidegate::action::{Outcome, Ticket};
use tidegate::connection::{After, Child, Connection, Start};
use tidegate::engine::Engine;
use tidegate_ike::crypto::Secret;
use tidegate_ike::{ChildConfig, Now};
use tidegate_sim::{Conditions, MILLISECOND, NodeId, SECOND, Simulation};

pub type World = Simulation<EngineNode>;

/// One end of the connections between two nodes. Node `n` is at 192.0.2.n, named n.example, with 10.n.0.0/16
/// behind it.
#[derive(Clone, Copy)]
pub struct Between {
    pub us: u8,
    pub them: u8,
}

impl Between {
    pub const fn new(us: u8, them: u8) -> Self {
        Self { us, them }
    }

    pub fn child(self, name: &str, start: Start, after: After) -> Child {
        let net = |n: u8| format!("10.{n}.0.0/16").parse().expect("a selector");
        let config = ChildConfig::new(name, net(self.us), net(self.them));
        Child { start, on_close: after, on_death: after, ..Child::new(config) }
    }

    /// A connection without children.
    pub fn bare(self) -> Connection {
        let identity = |n: u8| format!("{n}.example");
        let secret = Secret::new(b"known to both".to_vec());
        let (us, them) = (identity(self.us), identity(self.them));
        let name = format!("to-{}", self.them);
        let parse = |text: &str| text.parse().expect("an identity");
        let pattern = them.parse().expect("an identity");
        let ike = tidegate_ike::Connection::psk(&name, parse(&us), pattern, secret);
        Connection::new(ike).with_peer_address(address(self.them))
    }

    pub fn connection(self, start: Start, after: After) -> Connection {
        self.bare().with_child(self.child("net", start, after))
    }

    /// Up at once and for ever.
    pub fn kept_up(self) -> Connection {
        self.connection(Start::AtOnce, After::Restart)
    }

    /// Left to the peer.
    pub fn passive(self) -> Connection {
        self.connection(Start::Wait, After::Clear)
    }

    pub fn stream(self) -> Stream {
        Stream { from: inner(self.us), to: inner(self.them) }
    }
}

pub fn address(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

pub fn inner(n: u8) -> IpAddr {
    IpAddr::from([10, n, 0, 1])
}

/// A world on whose paths a datagram takes 10 ms.
pub fn world(seed: u64) -> World {
    let mut world = World::new(seed);
    world.network.set_conditions(Conditions { delay: 10 * MILLISECOND, ..Conditions::PERFECT });
    world
}

pub fn add(world: &mut World, n: u8) -> NodeId {
    let seed = u64::from(n) + 100;
    world.add(EngineNode::new(seed, address(n)), &[address(n)])
}

/// Two nodes, 1 and 2, with these connections.
pub fn pair(seed: u64, one: Connection, two: Connection) -> (World, NodeId, NodeId) {
    let mut world = world(seed);
    let nodes =
        [1, 2].map(|n| world.add(EngineNode::new(seed * 2 + u64::from(n), address(n)), &[address(n)]));
    world.node_mut(nodes[1]).load(0, two);
    world.node_mut(nodes[0]).load(0, one);
    (world, nodes[0], nodes[1])
}

pub const ONE: Between = Between::new(1, 2);
pub const TWO: Between = Between::new(2, 1);

/// Tells a node something at the present time.
pub fn tell<T>(world: &mut World, node: NodeId, act: impl FnOnce(&mut EngineNode, u64) -> T) -> T {
    let now = world.now();
    act(world.node_mut(node), now)
}

pub fn ask(world: &mut World, node: NodeId, ask: impl FnOnce(&mut Engine, Now, Ticket)) -> Ticket {
    tell(world, node, |node, now| node.ask(now, ask))
}

/// Runs until a request is done, for no more than a minute.
pub fn wait_for(world: &mut World, node: NodeId, ticket: Ticket) -> Outcome {
    let limit = world.now() + 60 * SECOND;
    world.run_until(limit, |world| world.node(node).outcome(ticket).is_some());
    world.node(node).outcome(ticket).cloned().expect("it ends")
}

/// Both ends hold the same one set of SAs, and traffic passes both ways.
pub fn assert_one_set(world: &mut World, a: NodeId, b: NodeId) {
    let now = world.now();
    let spis = |node: &EngineNode, name: &str| {
        let sas = node.standing(now, name);
        let [sa] = &sas[..] else { panic!("{name}: {} IKE SAs at {now}", sas.len()) };
        let mut pairs: Vec<_> = sa
            .children
            .iter()
            .filter(|child| child.current)
            .map(|child| {
                (child.name.clone(), child.spi_in.min(child.spi_out), child.spi_in.max(child.spi_out))
            })
            .collect();
        pairs.sort();
        (sa.spis, pairs)
    };
    let (one, two) = (spis(world.node(a), "to-2"), spis(world.node(b), "to-1"));
    assert_eq!(one, two);
    let mut names: Vec<_> = one.1.iter().map(|(name, ..)| name).collect();
    names.dedup();
    assert_eq!(names.len(), one.1.len(), "a child is there twice: {:?}", one.1);
    assert_passes(world, a, b);
}

/// A packet gets from each of nodes 1 and 2 to the other.
pub fn assert_passes(world: &mut World, a: NodeId, b: NodeId) {
    let before = [a, b].map(|node| world.node(node).total_received());
    assert!(tell(world, a, |node, now| node.send(now, ONE.stream())), "1 has no SA for its packet");
    assert!(tell(world, b, |node, now| node.send(now, TWO.stream())), "2 has no SA for its packet");
    world.run_for(SECOND);
    let after = [a, b].map(|node| world.node(node).total_received());
    assert!(after[0] > before[0] && after[1] > before[1], "{before:?} then {after:?}");
}

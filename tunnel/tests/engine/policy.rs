//! What is captured, what is refused, and what never leaves without an SA.

use crate::world::{
    Between, ONE, TWO, World, add, address, assert_one_set, assert_passes, inner, pair, tell, world,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tidegate::action::Outcome;
use tidegate::connection::{After, Connection, Start};
use tidegate::event::Event;
use tidegate_esp::{Ports, TrafficSelector};
use tidegate_ike::ApiMisuse;
use tidegate_ike::connection::AddressRequest;
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::pool::Pool;
use tidegate_sim::{Chance, Conditions, MILLISECOND, NodeId, SECOND, for_each_seed};

const DYNAMIC: ConfiguredSelector = ConfiguredSelector::Dynamic { protocol: 0, ports: Ports::ANY };

fn captured(world: &World, node: NodeId) -> Vec<(String, String)> {
    let text = |list: &[TrafficSelector]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut all: Vec<_> =
        world.node(node).captures.values().map(|pair| (text(&pair.local), text(&pair.remote))).collect();
    all.sort();
    all
}

#[test]
fn what_is_loaded_is_captured_from_load_until_unload() {
    let (mut world, a, b) = pair(1, ONE.connection(Start::OnTraffic, After::OnTraffic), TWO.passive());
    let fixed = vec![("10.1.0.0/16".to_owned(), "10.2.0.0/16".to_owned())];
    assert_eq!(captured(&world, a), fixed);
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    world.run_for(SECOND);
    assert_passes(&mut world, a, b);
    assert_eq!(captured(&world, a), fixed);
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.unload(now, "to-2"))).expect("loaded");
    assert!(captured(&world, a).is_empty());
    world.run_for(20 * SECOND);
    assert!(world.node(a).engine.is_idle() && world.node(b).engine.is_idle());
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
}

#[test]
fn a_connection_that_is_replaced_is_never_without_its_capture_and_starts_anew() {
    let (mut world, a, b) = pair(2, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let old = world.node(a).standing(world.now(), "to-2")[0].id;
    let mut wider = ONE.kept_up();
    let net = |n: u8| ConfiguredSelector::Fixed(format!("172.16.{n}.0/24").parse().expect("a selector"));
    wider.children[0].config.remote.push(net(2));
    tell(&mut world, a, |node, now| node.load(now, wider));
    assert_eq!(captured(&world, a), [("10.1.0.0/16".to_owned(), "10.2.0.0/16 172.16.2.0/24".to_owned())]);
    world.run_for(5 * SECOND);
    assert_ne!(world.node(a).standing(world.now(), "to-2")[0].id, old);
    assert_one_set(&mut world, a, b);
}

#[test]
fn what_belongs_to_one_peer_is_refused_to_another() {
    let mut world = world(3);
    let (hub, first, second) = (add(&mut world, 1), add(&mut world, 2), add(&mut world, 3));
    // The third node says that 10.2.7.0/24 is behind it, and the hub takes its word for any prefix.
    let mut open = Between::new(1, 3).passive();
    open.children[0].config.remote = vec![ConfiguredSelector::Fixed(TrafficSelector::any_v4())];
    tell(&mut world, hub, |node, now| {
        node.load(now, ONE.passive());
        node.load(now, open);
    });
    tell(&mut world, first, |node, now| node.load(now, TWO.kept_up()));
    world.run_for(SECOND);
    let mut thief = Between::new(3, 1).kept_up();
    let stolen = "10.2.7.0/24".parse().expect("a selector");
    thief.children[0].config.local = vec![ConfiguredSelector::Fixed(stolen)];
    tell(&mut world, second, |node, now| node.load(now, thief));
    world.run_for(5 * SECOND);
    assert_passes(&mut world, hub, first);
    assert!(world.node(hub).children(world.now(), "to-3").is_empty());
    let taken = world.node(hub).events.iter().find_map(|(_, event)| match event {
        Event::PrefixTaken { connection, holder, selectors, .. } => Some((connection, holder, selectors)),
        _ => None,
    });
    let (connection, holder, selectors) = taken.expect("it is told");
    assert_eq!((&**connection, &**holder), ("to-3", "to-2"));
    assert_eq!(selectors.remote, [stolen]);
    // Once the holder has gone it may be had.
    tell(&mut world, first, |node, now| node.act(now, |engine, now| engine.unload(now, "to-1")))
        .expect("loaded");
    world.run_for(120 * SECOND);
    assert_eq!(world.node(hub).children(world.now(), "to-3").len(), 1);
}

/// A connector that takes any peer, and gives it an address.
fn giving() -> Connection {
    let mut connection = ONE.passive();
    connection.ike.remote.identity = "*.example".parse().expect("a pattern");
    connection.ike.remote.addresses.clear();
    connection.ike.pools = vec!["vips".into()];
    connection.children[0].config.remote = vec![DYNAMIC];
    connection
}

fn asking(n: u8) -> Connection {
    let mut connection = Between::new(n, 1).kept_up();
    connection.ike.request_addresses = vec![AddressRequest::V4(None)];
    connection.children[0].config.local = vec![DYNAMIC];
    connection
}

#[test]
fn virtual_addresses_come_and_go_with_their_sa_and_are_captured_as_long() {
    let mut world = world(4);
    let (connector, edge) = (add(&mut world, 1), add(&mut world, 2));
    let first: IpAddr = Ipv4Addr::new(10, 9, 0, 1).into();
    tell(&mut world, connector, |node, now| {
        let range = "10.9.0.1-10.9.0.9".parse::<TrafficSelector>().expect("a range").addresses;
        node.engine.load_pool(Pool {
            name: Arc::from("vips"),
            addresses: range,
            dns: Vec::new(),
            subnets: Vec::new(),
            attributes: Vec::new(),
        });
        node.load(now, giving());
    });
    assert!(captured(&world, connector).is_empty());
    tell(&mut world, edge, |node, now| node.load(now, asking(2)));
    assert!(captured(&world, edge).is_empty(), "its address is not known yet");
    world.run_for(SECOND);
    assert!(world.node(edge).addresses.contains(&first), "{:?}", world.node(edge).addresses);
    assert_eq!(captured(&world, edge), [("10.9.0.1/32".to_owned(), "10.1.0.0/16".to_owned())]);
    assert_eq!(captured(&world, connector), [("10.1.0.0/16".to_owned(), "10.9.0.1/32".to_owned())]);
    let there = crate::node::Stream { from: inner(1), to: first };
    assert!(tell(&mut world, connector, |node, now| node.send(now, there)));
    world.run_for(SECOND);
    assert_eq!(world.node(edge).total_received(), 1);
    // A rekey of the IKE SA keeps the address.
    let selection = tidegate::engine::Selection::All;
    crate::world::ask(&mut world, edge, |engine, now, ticket| engine.rekey(now, &selection, ticket));
    world.run_for(10 * SECOND);
    assert!(world.node(edge).addresses.contains(&first));
    tell(&mut world, edge, |node, now| node.act(now, |engine, now| engine.unload(now, "to-1")))
        .expect("loaded");
    world.run_for(10 * SECOND);
    assert!(world.node(edge).addresses.is_empty());
    assert!(captured(&world, edge).is_empty() && captured(&world, connector).is_empty());
}

#[test]
fn one_connection_serves_many_peers_by_their_identities() {
    let mut world = world(5);
    let connector = add(&mut world, 1);
    let mut any = ONE.kept_up();
    any.ike.remote.identity = "*.example".parse().expect("a pattern");
    any.ike.remote.addresses.clear();
    any.children[0].config.remote =
        vec![ConfiguredSelector::Fixed("10.0.0.0/8".parse().expect("a selector"))];
    tell(&mut world, connector, |node, now| node.load(now, any));
    let edges: Vec<_> = (2..12)
        .map(|n| {
            let edge = add(&mut world, n);
            tell(&mut world, edge, |node, now| node.load(now, Between::new(n, 1).kept_up()));
            edge
        })
        .collect();
    world.run_for(5 * SECOND);
    assert_eq!(captured(&world, connector).len(), 10);
    for (n, edge) in (2..12).zip(edges) {
        assert!(tell(&mut world, connector, |node, now| node.send(now, Between::new(1, n).stream())));
        assert!(tell(&mut world, edge, |node, now| node.send(now, Between::new(n, 1).stream())));
        world.run_for(SECOND);
        assert_eq!(world.node(edge).total_received(), 1, "edge {n}");
    }
    assert_eq!(world.node(connector).total_received(), 10);
    // Whom should it ask?
    let up = tell(&mut world, connector, |node, now| node.initiate(now, "to-2"));
    assert_eq!(world.node(connector).outcome(up), Some(&Outcome::Done(1)), "some peer has it up");
    for edge in world.nodes().map(|(id, _)| id).filter(|id| *id != connector).collect::<Vec<_>>() {
        world.crash(edge);
    }
    world.run_for(120 * SECOND);
    assert!(!world.node(connector).engine.is_active("to-2"));
    assert!(world.node(connector).engine.is_idle() && captured(&world, connector).is_empty());
    let up = tell(&mut world, connector, |node, now| node.initiate(now, "to-2"));
    assert_eq!(world.node(connector).outcome(up), Some(&Outcome::Misuse(ApiMisuse::NoRemoteAddress)));
}

/// Whatever happens, a packet leaves sealed or not at all, and each that was held back had no SA.
#[test]
fn packets_are_sealed_or_held_back_and_never_in_clear() {
    for_each_seed(20, |seed| {
        let (mut world, a, b) = pair(seed, ONE.kept_up(), TWO.kept_up());
        world.network.set_conditions(Conditions {
            loss: Chance::percent(20),
            delay: 20 * MILLISECOND,
            jitter: 20 * MILLISECOND,
            ..Conditions::PERFECT
        });
        for (node, stream) in [(a, ONE.stream()), (b, TWO.stream())] {
            tell(&mut world, node, |node, now| node.send_from(now, 50 * MILLISECOND, vec![stream]));
        }
        for round in 0..6 {
            world.run_for((3 + (seed + round) % 20) * SECOND);
            match (seed + round) % 4 {
                0 => {
                    let selection = tidegate::engine::Selection::All;
                    crate::world::ask(&mut world, a, |engine, now, t| engine.rekey(now, &selection, t));
                }
                1 => tell(&mut world, a, |node, now| node.load(now, ONE.kept_up())),
                2 => {
                    world.crash(b);
                    world.run_for(5 * SECOND);
                    let mut fresh = crate::node::EngineNode::new(seed * 100 + round, address(2));
                    fresh.load(world.now(), TWO.kept_up());
                    fresh.send_from(world.now(), 50 * MILLISECOND, vec![TWO.stream()]);
                    world.restart(b, fresh);
                }
                _ => tell(&mut world, b, |node, now| node.load(now, TWO.kept_up())),
            }
        }
        // A packet in clear panics where it would leave.
        world.network.set_conditions(Conditions { delay: 10 * MILLISECOND, ..Conditions::PERFECT });
        world.run_for(150 * SECOND);
        assert_one_set(&mut world, a, b);
        let sent = world.node(a).sealed.len() + world.node(a).held_back.len();
        assert!(sent > 1_000 && world.node(a).sealed.len() > 500, "{sent}");
    });
}

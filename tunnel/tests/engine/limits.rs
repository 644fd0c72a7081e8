//! How long packets may be: worked out from the path and the suite, and from what was learned of the path.

use crate::node::EngineNode;
use crate::world::{ONE, TWO, World, address, assert_passes, pair, tell, world};
use std::net::IpAddr;
use std::time::Duration;
use tidegate::action::Ticket;
use tidegate::connection::{Connection, Start};
use tidegate::engine::{Engine, Manner, Selection};
use tidegate::notice::Notice;
use tidegate_esp::{AddressRange, TrafficSelector};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::proposal::EspProposal;
use tidegate_sim::{NodeId, SECOND};

/// Of 1500 bytes 20 are the outer header's, 8 UDP's; 8 are SPI and number, 8 IV, 16 ICV. 1440 are left, a
/// multiple of 16, of which the trailer takes 2.
const GCM_V4: usize = 1438;

/// Two connections with this suite for their child.
fn with_suite(suite: &str) -> [Connection; 2] {
    [ONE.kept_up(), TWO.passive()].map(|mut connection| {
        connection.children[0].config.proposals = EspProposal::parse_list(suite).expect("a suite");
        connection
    })
}

fn standing(suite: &str) -> (World, NodeId, NodeId) {
    let [one, two] = with_suite(suite);
    let (mut world, a, b) = pair(1, one, two);
    world.run_for(SECOND);
    assert_passes(&mut world, a, b);
    (world, a, b)
}

/// The one limit that a node has.
fn limit(world: &World, node: NodeId) -> usize {
    let limits: Vec<_> = world.node(node).limits.values().copied().collect();
    let [limit] = limits[..] else { panic!("{limits:?}") };
    limit
}

/// The network tells a node what a path carries.
fn learn(world: &mut World, node: NodeId, remote: IpAddr, mtu: usize) {
    tell(world, node, |node, now| {
        node.act(now, |engine, now| {
            engine.path_mtus().learned(remote, mtu, now.time);
            engine.handle_notice(now, Notice::PathMtu(remote));
        });
    });
}

#[test]
fn a_suite_takes_what_it_takes_over_ipv4() {
    for (suite, expected) in [
        ("aes128gcm16", GCM_V4),
        ("aes256gcm16", GCM_V4),
        // 8 of SPI and number, 16 of IV, 16 of ICV; 1432 are left, whole blocks are 1424.
        ("aes128-sha256", 1422),
        // The same with a longer ICV: 1424.
        ("aes256-sha384", 1422),
    ] {
        let (world, a, b) = standing(suite);
        assert_eq!([a, b].map(|node| limit(&world, node)), [expected; 2], "{suite}");
    }
}

#[test]
fn ipv6_outside_takes_twenty_bytes_more() {
    // 1452 are left of UDP; 1420 and whole blocks of 1408; 1412 and the same.
    for (suite, expected) in [("aes128gcm16", 1406), ("aes128-sha256", 1406)] {
        let outer = [1, 2].map(|n| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n]));
        let mut world = world(1);
        let nodes = [0, 1].map(|n: usize| world.add(EngineNode::new(n as u64 + 1, outer[n]), &[outer[n]]));
        let [mut one, mut two] = with_suite(suite);
        one.ike.remote.addresses = vec![AddressRange::host(outer[1])];
        two.ike.remote.addresses = vec![AddressRange::host(outer[0])];
        world.node_mut(nodes[1]).load(0, two);
        world.node_mut(nodes[0]).load(0, one);
        world.run_for(SECOND);
        assert_passes(&mut world, nodes[0], nodes[1]);
        assert_eq!(nodes.map(|node| limit(&world, node)), [expected; 2], "{suite}");
    }
}

#[test]
fn less_is_learned_and_forgotten_again() {
    let (mut world, a, b) = standing("aes128gcm16");
    learn(&mut world, a, address(2), 1400);
    // 1340 are left, whole blocks are 1328.
    assert_eq!([a, b].map(|node| limit(&world, node)), [1326, GCM_V4]);
    world.run_for(300 * SECOND);
    learn(&mut world, a, address(2), 1300);
    // Forgotten it would be by now, had nothing been learned in the middle.
    world.run_for(500 * SECOND);
    assert_eq!(limit(&world, a), 1230);
    world.run_for(101 * SECOND);
    assert_eq!(limit(&world, a), GCM_V4);
}

#[test]
fn what_is_known_of_a_path_counts_for_a_new_sa() {
    let [one, two] = with_suite("aes128gcm16");
    let (mut world, a, _) = pair(1, one, two);
    learn(&mut world, a, address(2), 1400);
    world.run_for(SECOND);
    assert_eq!(limit(&world, a), 1326);
    world.run_for(600 * SECOND);
    assert_eq!(limit(&world, a), GCM_V4);
}

#[test]
fn what_was_learned_of_another_path_does_not_count() {
    let (mut world, a, _) = standing("aes128gcm16");
    learn(&mut world, a, address(7), 1000);
    assert_eq!(limit(&world, a), GCM_V4);
}

#[test]
fn the_limit_follows_a_peer_that_moves() {
    let (mut world, a, b) = standing("aes128gcm16");
    learn(&mut world, a, address(2), 1400);
    world.set_addresses(b, &[address(3)]);
    tell(&mut world, b, |node, now| {
        node.act(now, |engine, now| engine.set_local_addresses(now, vec![address(3)]));
    });
    world.run_for(5 * SECOND);
    assert_passes(&mut world, a, b);
    assert_eq!(limit(&world, a), GCM_V4);
    learn(&mut world, a, address(2), 1300);
    assert_eq!(limit(&world, a), GCM_V4, "the old path is of no interest any more");
    learn(&mut world, a, address(3), 1300);
    assert_eq!(limit(&world, a), 1230);
}

#[test]
fn a_successor_keeps_the_limit_and_an_end_takes_nothing_back() {
    let (mut world, a, b) = standing("aes128gcm16");
    learn(&mut world, a, address(2), 1400);
    let rekey = |engine: &mut Engine, now, ticket: Ticket| engine.rekey(now, &Selection::All, ticket);
    crate::world::ask(&mut world, a, rekey);
    let child = Selection::Child { connection: None, child: "net".into() };
    crate::world::ask(&mut world, a, |engine, now, ticket| engine.rekey(now, &child, ticket));
    world.run_for(20 * SECOND);
    assert_passes(&mut world, a, b);
    assert_eq!(limit(&world, a), 1326);
    crate::world::ask(&mut world, a, |engine, now, ticket| {
        engine.terminate(now, &Selection::All, Manner::Ask, ticket);
    });
    world.run_for(20 * SECOND);
    assert!(world.node(a).standing(world.now(), "to-2").is_empty());
    assert_eq!(limit(&world, a), 1326);
}

#[test]
fn sas_that_bring_their_own_rules_limit_those() {
    let mut connections =
        [ONE.connection(Start::AtOnce, tidegate::connection::After::Restart), TWO.passive()];
    // Whatever the peer narrows it to.
    connections[1].children[0].config.remote = vec![ConfiguredSelector::Fixed(TrafficSelector::any_v4())];
    connections[1].ike.remote.identity = "%any".parse().expect("a pattern");
    let [one, two] = connections;
    let (mut world, a, b) = pair(1, one, two);
    world.run_for(SECOND);
    assert_passes(&mut world, a, b);
    assert_eq!(limit(&world, b), limit(&world, a));
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.unload(now, "to-2"))).expect("loaded");
    world.run_for(Duration::from_secs(10).as_nanos() as u64);
    assert_eq!((world.node(b).captures.len(), world.node(b).limits.len()), (0, 0));
}

//! Two engines on a network that does its worst, from a seed.
//!
//! `TIDEGATE_SEEDS` sets how many seeds a run takes (2,000 by default), `TIDEGATE_SEED` runs one of them, and
//! `TIDEGATE_TRACE=1` tells what happens in it.

#![allow(
    unreachable_pub,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test binary: it is told its seeds by the environment, and may tell its run"
)]

mod node;
mod plane;
mod world;

use std::collections::BTreeMap;
use tidegate_ike::endpoint::Phase;
use tidegate_sim::{Conditions, MILLISECOND, SECOND, SimRandom, for_each_seed};
use world::{Mishap, Recipe, Side, World};

/// How many a run takes unless it is told otherwise.
const SEEDS: u64 = 2_000;

const BOTH: [Side; 2] = [Side::Edge, Side::Connector];

#[test]
fn whatever_the_network_does_two_engines_agree_in_the_end() {
    for_each_seed(SEEDS, |seed| {
        let mut world = World::new(seed);
        world.simulation.run_for(20 * SECOND);
        for _ in 0..12 {
            let mishap = world.draw();
            world.befall(mishap);
            let span = (1 + world.random.below(60)) * SECOND;
            world.simulation.run_for(span);
        }
        world.calm();
        world.simulation.run_for(200 * SECOND);
        // Rekeys go on; a moment without one has to come.
        let limit = world.simulation.now() + 100 * SECOND;
        world.simulation.run_until(limit, |simulation| simulation.nodes().all(|(_, node)| node.is_at_rest()));
        assert_agreement(&world);
        assert_traffic_flows(&mut world);
        assert_everything_goes(&mut world);
    });
}

#[test]
fn rekeys_lose_no_packet_on_a_network_that_loses_none() {
    for_each_seed(SEEDS, |seed| {
        let mut random = SimRandom::new(seed);
        let recipe = Recipe {
            conditions: Conditions {
                delay: random.below(80) * MILLISECOND,
                jitter: random.below(40) * MILLISECOND,
                ..Conditions::PERFECT
            },
            reauthenticate: None,
            both_keep: false,
            nat: None,
            ..Recipe::draw(&mut random)
        };
        let mut world = World::with_recipe(seed, random, recipe);
        // A new child's responder may send before its answer is there; that is no matter of rekeys.
        BOTH.iter().for_each(|side| world.packets(*side).stop_packets());
        world.simulation.run_for(5 * SECOND);
        let now = world.simulation.now();
        BOTH.iter().for_each(|side| world.packets(*side).start_packets(now, 20 * MILLISECOND));
        for _ in 0..10 {
            let mishap = match world.random.below(7) {
                0 => Mishap::RekeyChild(Side::Edge),
                1 => Mishap::RekeyChild(Side::Connector),
                2 => Mishap::RekeyIke(Side::Edge),
                3 => Mishap::RekeyIke(Side::Connector),
                4 => Mishap::BothRekeyChild,
                5 => Mishap::BothRekeyIke,
                _ => Mishap::RekeyChildAndIke,
            };
            world.befall(mishap);
            let span = world.random.below(6_000) * MILLISECOND;
            world.simulation.run_for(span);
        }
        world.simulation.run_for(5 * SECOND);
        BOTH.iter().for_each(|side| world.packets(*side).stop_packets());
        world.simulation.run_for(SECOND);
        let total = |node: &node::IkeNode| node.plane.received.values().sum::<u64>();
        let (edge, connector) = (world.node(Side::Edge), world.node(Side::Connector));
        assert_eq!(edge.plane.faults, Vec::<String>::new());
        assert_eq!(connector.plane.faults, Vec::<String>::new());
        assert_eq!(edge.packets_sent, total(connector), "from the edge to the connector");
        assert_eq!(connector.packets_sent, total(edge), "from the connector to the edge");
        assert!(edge.packets_sent > 300, "{}", edge.packets_sent);
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = World::new(seed);
        for _ in 0..6 {
            let mishap = world.draw();
            world.befall(mishap);
            world.simulation.run_for(20 * SECOND);
        }
        (world.simulation.network.fingerprint(), world.node(Side::Edge).events.clone())
    };
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// Both ends hold the same, with nothing half-dead beside it.
fn assert_agreement(world: &World) {
    let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for side in BOTH {
        let node = world.node(side);
        assert_eq!(node.plane.faults, Vec::<String>::new(), "{side:?}");
        for sa in node.endpoint.sas() {
            assert_eq!(sa.phase(), Phase::Established, "{side:?} holds {:?}", sa.id());
            assert!(sa.is_quiet(), "{side:?}: an exchange on {:?} does not end", sa.id());
            for child in sa.children() {
                assert!(child.is_current(), "{side:?}: child {} lingers", child.inbound());
                let (edge, connector) = match side {
                    Side::Edge => (child.inbound(), child.outbound()),
                    Side::Connector => (child.outbound(), child.inbound()),
                };
                let key = format!("{:?}", sa.spis());
                held.entry(format!("{side:?}")).or_default().push(format!("{key} {edge} {connector}"));
            }
        }
    }
    held.values_mut().for_each(|list| list.sort());
    let (edge, connector) = (held.get("Edge"), held.get("Connector"));
    assert_eq!(edge, connector, "the two ends hold different children");
    let count = edge.map_or(0, Vec::len);
    let most = if world.recipe.both_keep { 4 } else { 1 };
    assert!((1..=most).contains(&count), "{count} children in the end");
}

/// What one end sends, the other opens: the keys match in matching directions.
fn assert_traffic_flows(world: &mut World) {
    let before: Vec<u64> = BOTH.iter().map(|side| world.node(*side).plane.received.values().sum()).collect();
    world.simulation.run_for(5 * SECOND);
    for (side, before) in BOTH.into_iter().zip(before) {
        let after: u64 = world.node(side).plane.received.values().sum();
        assert!(after >= before + 5, "{side:?} hears nothing: {before} then {after}");
    }
}

/// After everything is ended, nothing is left.
fn assert_everything_goes(world: &mut World) {
    let now = world.simulation.now();
    for side in BOTH {
        let node = world.packets(side);
        node.keeps.clear();
        node.stop_packets();
    }
    let node = world.simulation.node_mut(world.edge);
    let all: Vec<_> = node.endpoint.sas().map(|sa| sa.id()).collect();
    for sa in all {
        node.with(now, |endpoint, now| endpoint.terminate(now, sa)).expect("it is there");
    }
    world.simulation.run_for(60 * SECOND);
    for side in BOTH {
        let node = world.node(side);
        assert!(node.endpoint.is_empty(), "{side:?} keeps {} IKE SAs", node.endpoint.len());
        assert!(node.plane.is_empty(), "{side:?} keeps children");
        assert_eq!(node.endpoint.resources(), [0, 0, 0], "{side:?} leaks");
    }
}

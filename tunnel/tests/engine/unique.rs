//! One IKE SA between the same two, or several.

use crate::world::{ONE, TWO, World, address, pair, tell, wait_for};
use tidegate::action::Outcome;
use tidegate::connection::Connection;
use tidegate_ike::connection::Unique;
use tidegate_sim::{NodeId, SECOND};

fn unique(connection: Connection, unique: Unique) -> Connection {
    let mut connection = connection;
    connection.ike.unique = unique;
    connection
}

/// The same peer under another address, which has forgotten nothing: it does not say that it is alone.
fn world(policy: Unique) -> (World, NodeId, NodeId, NodeId) {
    let mut two = unique(TWO.passive(), policy);
    two.ike.remote.addresses.clear();
    let (mut world, a, b) = pair(1, unique(ONE.passive(), Unique::Never), two);
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
    world.run_for(20 * SECOND);
    let twin = crate::world::add(&mut world, 3);
    world.node_mut(twin).load(0, unique(ONE.passive(), Unique::Never));
    (world, a, b, twin)
}

fn second(world: &mut World, twin: NodeId) -> Outcome {
    let up = tell(world, twin, |node, now| node.initiate(now, "to-2"));
    wait_for(world, twin, up)
}

fn peers(world: &World, b: NodeId) -> Vec<std::net::IpAddr> {
    world.node(b).standing(world.now(), "to-1").iter().map(|sa| sa.remote.ip()).collect()
}

#[test]
fn any_number_stands_where_nobody_minds() {
    for policy in [Unique::No, Unique::Never] {
        let (mut world, _, b, twin) = world(policy);
        assert_eq!(second(&mut world, twin), Outcome::Done(1));
        world.run_for(30 * SECOND);
        assert_eq!(peers(&world, b), [address(1), address(3)]);
    }
}

#[test]
fn the_newest_stays_where_it_replaces() {
    let (mut world, a, b, twin) = world(Unique::Replace);
    assert_eq!(second(&mut world, twin), Outcome::Done(1));
    world.run_for(SECOND);
    assert_eq!(peers(&world, b), [address(3)]);
    assert!(world.node(a).standing(world.now(), "to-2").is_empty(), "it was told");
}

#[test]
fn the_oldest_stays_where_it_is_kept() {
    let (mut world, a, b, twin) = world(Unique::Keep);
    assert!(matches!(second(&mut world, twin), Outcome::Failed(_)));
    assert_eq!(peers(&world, b), [address(1)]);
    assert_eq!(world.node(a).standing(world.now(), "to-2").len(), 1);
    // When it has gone there is room.
    let all = tidegate::engine::Selection::All;
    let down = crate::world::ask(&mut world, a, |engine, now, ticket| {
        engine.terminate(now, &all, tidegate::engine::Manner::Ask, ticket);
    });
    assert_eq!(wait_for(&mut world, a, down), Outcome::Done(1));
    assert_eq!(second(&mut world, twin), Outcome::Done(1));
}

#[test]
fn whoever_comes_from_the_same_place_takes_the_place_of_the_older_after_a_while() {
    for policy in [Unique::Keep, Unique::Replace] {
        let (mut world, a, b, _) = world(policy);
        world.crash(a);
        let mut fresh = crate::node::EngineNode::new(77, address(1));
        fresh.load(world.now(), unique(ONE.passive(), Unique::Never));
        world.restart(a, fresh);
        assert_eq!(second(&mut world, a), Outcome::Done(1));
        assert_eq!(peers(&world, b).len(), 2);
        // The old one goes when it has had its time, or when its peer says that it knows nothing of it.
        world.run_for(60 * SECOND);
        assert_eq!(peers(&world, b), [address(1)]);
        assert_eq!(world.node(a).standing(world.now(), "to-2").len(), 1);
    }
}

// RFC 7296 §2.4
#[test]
fn a_peer_that_says_it_is_alone_is_believed_unless_told_otherwise() {
    for (policy, left) in [(Unique::No, 1), (Unique::Never, 2)] {
        let (mut world, a, b, _) = world(policy);
        world.crash(a);
        let mut fresh = crate::node::EngineNode::new(78, address(1));
        fresh.load(world.now(), unique(ONE.passive(), Unique::No));
        world.restart(a, fresh);
        assert_eq!(second(&mut world, a), Outcome::Done(1));
        assert_eq!(peers(&world, b).len(), left, "{policy:?}");
    }
}

#[test]
fn two_ends_that_begin_at_once_end_with_one_where_the_newest_replaces() {
    for seed in 1..6 {
        let one = unique(ONE.kept_up(), Unique::Replace);
        let two = unique(TWO.kept_up(), Unique::Replace);
        let (mut world, a, b) = pair(seed, one, two);
        world.run_for(40 * SECOND);
        crate::world::assert_one_set(&mut world, a, b);
        assert_eq!(world.node(a).began.len() + world.node(b).began.len(), 2, "nothing was lost on the way");
    }
}

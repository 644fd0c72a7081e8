//! Two ends that begin at the same time end with one set of SAs.

use crate::node::EngineNode;
use crate::world::{ONE, TWO, World, address, ask, assert_one_set, pair, tell, wait_for, world};
use tidegate::action::Outcome;
use tidegate::connection::{After, Connection, Start};
use tidegate::engine::{Selection, Target};
use tidegate::event::Event;
use tidegate_ike::Event as Ike;
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_sim::{Chance, Conditions, MILLISECOND, NodeId, SECOND, SimRandom, Way, for_each_seed};

/// A connection with a second child.
fn with_more(between: crate::world::Between, start: Start, after: After) -> Connection {
    let mut child = between.child("more", start, after);
    let net =
        |n: u8| vec![ConfiguredSelector::Fixed(format!("172.16.{n}.0/24").parse().expect("a selector"))];
    (child.config.local, child.config.remote) = (net(between.us), net(between.them));
    between.connection(start, after).with_child(child)
}

/// Both begin within so many milliseconds of each other; whoever is later answers until then.
fn both_begin(
    seed: u64,
    apart: u64,
    conditions: Conditions,
    one: Connection,
    two: Connection,
) -> (World, NodeId, NodeId) {
    let mut world = world(seed);
    world.network.set_conditions(conditions);
    let (a, b) = (add_seeded(&mut world, seed, 1), add_seeded(&mut world, seed, 2));
    tell(&mut world, a, |node, now| node.load(now, one));
    tell(&mut world, b, |node, now| node.load(now, two));
    let order = if seed.is_multiple_of(2) { [(a, "to-2"), (b, "to-1")] } else { [(b, "to-1"), (a, "to-2")] };
    for (node, name) in order {
        tell(&mut world, node, |node, now| node.initiate(now, name));
        world.run_for(apart * MILLISECOND);
    }
    (world, a, b)
}

fn add_seeded(world: &mut World, seed: u64, n: u8) -> NodeId {
    let address = address(n);
    world.add(EngineNode::new(seed * 2 + u64::from(n), address), &[address])
}

#[test]
fn both_begin_and_one_set_is_left() {
    for_each_seed(60, |seed| {
        let mut random = SimRandom::new(seed);
        let conditions = Conditions {
            delay: (5 + random.below(60)) * MILLISECOND,
            jitter: random.below(60) * MILLISECOND,
            ..Conditions::PERFECT
        };
        let apart = random.below(150);
        let (mut world, a, b) = both_begin(
            seed,
            apart,
            conditions,
            ONE.connection(Start::Wait, After::Restart),
            TWO.connection(Start::Wait, After::Restart),
        );
        // From the first child on there is one at any time: what either end sends arrives.
        world.run_until(10 * SECOND, |world| {
            world.node(a).engine.is_active("to-2") && world.node(b).engine.is_active("to-1")
        });
        world.run_for(300 * MILLISECOND);
        let now = world.now();
        for (node, stream) in [(a, ONE.stream()), (b, TWO.stream())] {
            world.node_mut(node).send_from(now, 20 * MILLISECOND, vec![stream]);
        }
        world.run_for(30 * SECOND);
        for node in [a, b] {
            world.node_mut(node).stop_sending();
        }
        world.run_for(SECOND);
        let (one, two) = (world.node(a), world.node(b));
        assert!(one.held_back.is_empty() && two.held_back.is_empty(), "a moment without an SA");
        assert_eq!((one.sealed.len(), two.sealed.len()), (two.total_received(), one.total_received()));
        assert_one_set(&mut world, a, b);
    });
}

#[test]
fn both_begin_on_a_bad_network_with_two_children_and_one_set_is_left() {
    for_each_seed(60, |seed| {
        let mut random = SimRandom::new(seed);
        let conditions = Conditions {
            loss: Chance::percent(random.below(30) as u32),
            duplication: Chance::percent(5),
            delay: (5 + random.below(100)) * MILLISECOND,
            jitter: random.below(100) * MILLISECOND,
            ..Conditions::PERFECT
        };
        let (one, two) =
            (with_more(ONE, Start::Wait, After::Restart), with_more(TWO, Start::Wait, After::Restart));
        let apart = random.below(300);
        let (mut world, a, b) = both_begin(seed, apart, conditions, one, two);
        world.run_for(60 * SECOND);
        world.network.set_conditions(Conditions { delay: 10 * MILLISECOND, ..Conditions::PERFECT });
        world.run_for(120 * SECOND);
        assert_one_set(&mut world, a, b);
        assert_eq!(world.node(a).children(world.now(), "to-2").len(), 2);
    });
}

#[test]
fn both_ask_for_the_same_child_on_one_ike_sa_and_one_is_left() {
    for_each_seed(30, |seed| {
        let (one, two) =
            (with_more(ONE, Start::Wait, After::Clear), with_more(TWO, Start::Wait, After::Clear));
        let (mut world, a, b) = pair(seed, one, two);
        let net = Target::Child { connection: None, child: "net".into() };
        let up = ask(&mut world, a, |engine, now, ticket| engine.initiate(now, &net, ticket));
        assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
        world.run_for(5 * SECOND);
        let more = Target::Child { connection: None, child: "more".into() };
        let first = ask(&mut world, a, |engine, now, ticket| engine.initiate(now, &more, ticket));
        world.run_for(seed % 15 * MILLISECOND);
        let second = ask(&mut world, b, |engine, now, ticket| engine.initiate(now, &more, ticket));
        assert_eq!(wait_for(&mut world, a, first), Outcome::Done(1));
        assert_eq!(wait_for(&mut world, b, second), Outcome::Done(1));
        world.run_for(30 * SECOND);
        assert_one_set(&mut world, a, b);
    });
}

//  a                         b
//  ├── IKE SA ───────────────┤
//  ├── liveness ──────> X
//  ├── reauthentication > X
//  └─ the IKE SA is dead
//  ├── another IKE SA ───────┤
//  ├── reauthentication ─────┤ repeated: nothing is left that it could replace
#[test]
fn a_reauthentication_that_outlives_its_ike_sa_leaves_one() {
    let (mut world, a, b) = pair(5, ONE.kept_up(), TWO.passive());
    world.run_for(5 * SECOND);
    let cut = world.network.cut(&[address(1)], &[address(2)], Way::Both);
    // It is asked after ten seconds, and has half a minute to answer.
    world.run_for(32 * SECOND);
    ask(&mut world, a, |engine, now, ticket| engine.reauthenticate(now, &Selection::All, ticket));
    world.run_for(5 * SECOND);
    assert!(world.node(a).standing(world.now(), "to-2").is_empty(), "it is given up");
    world.network.heal(cut);
    world.run_for(40 * SECOND);
    let stood = |(_, event): &&(u64, Event)| matches!(event, Event::Ike(Ike::IkeEstablished { .. }));
    assert_eq!(world.node(b).events.iter().filter(stood).count(), 3, "both attempts have succeeded");
    assert_one_set(&mut world, a, b);
}

//  a                         b
//  │            X <────── L ─┤
//  ├─ W ─────────────────────┤
//  ├───────────────────── L ─┤ a has come to know of it after W stood: to a they are not of the same time
/// As far as this: L stands at a, and is about to stand at b.
fn one_end_alone_sees_two_at_once(seed: u64, one: Connection, two: Connection) -> (World, NodeId, NodeId) {
    let (mut world, a, b) = pair(seed, one, two);
    let cut = world.network.cut(&[address(1)], &[address(2)], Way::Both);
    tell(&mut world, b, |node, now| node.initiate(now, "to-1"));
    world.run_for(100 * MILLISECOND);
    world.network.heal(cut);
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert!(matches!(wait_for(&mut world, a, up), Outcome::Done(_)));
    let both = |world: &World| world.node(a).standing(world.now(), "to-2").len() == 2;
    let limit = world.now() + 5 * SECOND;
    world.run_until(limit, both);
    assert!(both(&world) && world.node(b).standing(world.now(), "to-1").len() == 1);
    (world, a, b)
}

/// Whether, of those that stand, one stays that the node has set up itself.
fn own_one_wins(world: &World, node: NodeId, connection: &str) -> bool {
    let standing = world.node(node).standing(world.now(), connection);
    standing.iter().max_by_key(|sa| sa.spis).is_some_and(|sa| sa.initiator)
}

fn renew_all(world: &mut World, node: NodeId) {
    ask(world, node, |engine, now, ticket| engine.reauthenticate(now, &Selection::All, ticket));
}

#[test]
fn a_loser_goes_although_the_winner_has_been_replaced_meanwhile() {
    let (mut world, a, b) = (0..32)
        .map(|seed| one_end_alone_sees_two_at_once(seed, ONE.passive(), TWO.passive()))
        .find(|(world, a, _)| own_one_wins(world, *a, "to-2"))
        .expect("one in two");
    renew_all(&mut world, b);
    world.run_for(100 * MILLISECOND);
    let left = world.node(b).standing(world.now(), "to-1");
    assert!(left.len() == 2 && left.iter().all(|sa| sa.initiator), "the winner is gone: {left:#?}");
    world.run_for(30 * SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn whichever_end_renews_all_of_two_that_were_set_up_at_once_one_set_is_left() {
    for_each_seed(128, |seed| {
        let (one, two) = match seed / 32 % 2 {
            0 => (ONE.passive(), TWO.passive()),
            _ => (with_more(ONE, Start::Wait, After::Clear), with_more(TWO, Start::Wait, After::Clear)),
        };
        let (mut world, a, b) = one_end_alone_sees_two_at_once(seed, one, two);
        world.run_for((15 + seed / 2 % 16 * 5) * MILLISECOND);
        renew_all(&mut world, if seed.is_multiple_of(2) { a } else { b });
        world.run_for(60 * SECOND);
        assert_one_set(&mut world, a, b);
    });
}

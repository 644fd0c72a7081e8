//! What brings children up, and keeps them up.

use crate::node::EngineNode;
use crate::world::{ONE, TWO, add, address, ask, assert_one_set, pair, tell, wait_for, world};
use std::time::Duration;
use tidegate::action::Outcome;
use tidegate::connection::{After, Retry, Start};
use tidegate::engine::{Manner, Selection, Target};
use tidegate::event::Event;
use tidegate::notice::Notice;
use tidegate_esp::Spi;
use tidegate_ike::Cause;
use tidegate_sim::{Chance, Conditions, MILLISECOND, SECOND, Way, for_each_seed};

#[test]
fn what_starts_at_once_is_up_in_a_moment() {
    let (mut world, a, b) = pair(1, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    assert_one_set(&mut world, a, b);
    for (node, name) in [(a, "to-2"), (b, "to-1")] {
        let up = |(_, event): &&(u64, Event)| matches!(event, Event::Up { connection, .. } if **connection == *name);
        assert_eq!(world.node(node).events.iter().filter(up).count(), 1, "{name}");
        assert!(world.node(node).engine.is_active(name));
    }
}

#[test]
fn what_waits_stays_down_until_it_is_asked_for() {
    let (mut world, a, b) = pair(2, ONE.passive(), TWO.passive());
    world.run_for(60 * SECOND);
    assert!(world.node(a).began.is_empty() && world.node(b).began.is_empty());
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    world.run_for(SECOND);
    assert!(world.node(a).began.is_empty(), "a packet is not enough");
    let ticket = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, ticket), Outcome::Done(1));
    assert_one_set(&mut world, a, b);
    let again = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(world.node(a).outcome(again), Some(&Outcome::Done(1)), "it is up already");
}

#[test]
fn the_first_packet_brings_up_what_starts_on_traffic() {
    let (mut world, a, b) = pair(3, ONE.connection(Start::OnTraffic, After::OnTraffic), TWO.passive());
    world.run_for(10 * SECOND);
    assert!(world.node(a).began.is_empty());
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    world.run_for(SECOND);
    assert_one_set(&mut world, a, b);
    let closed = ask(&mut world, b, |engine, now, ticket| {
        engine.terminate(now, &Selection::Connection("to-1".into()), Manner::Ask, ticket);
    });
    assert_eq!(wait_for(&mut world, b, closed), Outcome::Done(1));
    world.run_for(20 * SECOND);
    assert!(world.node(a).children(world.now(), "to-2").is_empty());
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    world.run_for(SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn several_children_come_up_on_one_ike_sa_and_one_alone_can_be_asked_for() {
    let extra = |between: crate::world::Between, start| {
        let mut child = between.child("more", start, After::Clear);
        let net = |n: u8| {
            vec![
                format!("172.16.{n}.0/24")
                    .parse()
                    .map(tidegate_ike::narrow::ConfiguredSelector::Fixed)
                    .expect("one"),
            ]
        };
        (child.config.local, child.config.remote) = (net(between.us), net(between.them));
        child
    };
    let two = TWO.passive().with_child(extra(TWO, Start::Wait));
    let (mut world, a, b) = pair(4, ONE.kept_up().with_child(extra(ONE, Start::Wait)), two);
    world.run_for(SECOND);
    assert_eq!(world.node(a).children(world.now(), "to-2").len(), 1);
    let target = Target::Child { connection: None, child: "more".into() };
    let ticket = ask(&mut world, a, |engine, now, ticket| engine.initiate(now, &target, ticket));
    assert_eq!(wait_for(&mut world, a, ticket), Outcome::Done(1));
    assert_one_set(&mut world, a, b);
    assert_eq!(world.node(a).children(world.now(), "to-2").len(), 2);
}

#[test]
fn a_peer_that_never_answers_is_tried_again_for_ever_and_ever_more_seldom() {
    let mut world = world(5);
    let a = add(&mut world, 1);
    let mut connection = ONE.kept_up();
    connection.ike.retransmission.give_up = Duration::from_secs(4);
    connection.retry =
        Retry { first: Duration::from_secs(1), factor: 2.0, most: Duration::from_secs(30), jitter: 0.0 };
    tell(&mut world, a, |node, now| node.load(now, connection));
    world.run_for(600 * SECOND);
    let waits: Vec<u64> = world
        .node(a)
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Retry { after_ms, verdict, .. } => {
                assert!(matches!(verdict.cause, Cause::Unanswered { .. }), "{verdict}");
                Some(*after_ms)
            }
            _ => None,
        })
        .collect();
    assert_eq!(waits[..7], [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    assert!(waits.len() > 15, "{}", waits.len());
    let status = world.node(a).connection(world.now(), "to-2");
    assert!(status.failures > 15 && status.last_verdict.is_some(), "{status:?}");
}

#[test]
fn traffic_does_not_wait_for_the_back_off_and_tries_once_a_second_at_most() {
    let mut world = world(7);
    let a = add(&mut world, 1);
    let mut connection = ONE.connection(Start::OnTraffic, After::OnTraffic);
    connection.ike.retransmission.give_up = Duration::from_millis(200);
    connection.retry.first = Duration::from_secs(60);
    tell(&mut world, a, |node, now| {
        node.load(now, connection);
        node.send_from(now, 20 * MILLISECOND, vec![ONE.stream()]);
    });
    world.run_for(20 * SECOND);
    let began = &world.node(a).began;
    assert!((18..=21).contains(&began.len()), "{began:?}");
    assert!(began.windows(2).all(|pair| pair[1] - pair[0] >= SECOND), "{began:?}");
}

#[test]
fn a_child_that_has_carried_all_that_it_may_is_followed_by_another() {
    let (mut world, a, b) = pair(8, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let child = world.node(a).children(world.now(), "to-2")[0].spi_in;
    let spent = Notice::HardLimit(Spi::new(child).expect("it is one"));
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.handle_notice(now, spent)));
    world.run_for(SECOND);
    assert_ne!(world.node(a).children(world.now(), "to-2")[0].spi_in, child);
    assert_eq!(world.node(a).began.len(), 1, "on the IKE SA that stands");
    assert_one_set(&mut world, a, b);
}

#[test]
fn whoever_asks_once_is_told_why_it_failed() {
    let mut world = world(6);
    let a = add(&mut world, 1);
    tell(&mut world, a, |node, now| node.load(now, ONE.passive()));
    let ticket = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    let Outcome::Failed(verdict) = wait_for(&mut world, a, ticket) else { panic!("nobody is there") };
    assert!(matches!(verdict.cause, Cause::Unanswered { .. }), "{verdict}");
    let began = world.node(a).began.len();
    world.run_for(120 * SECOND);
    assert_eq!(world.node(a).began.len(), began, "it was asked for once");
}

#[test]
fn tunnels_come_back_whatever_the_network_does() {
    for_each_seed(20, |seed| {
        let (mut world, a, b) = pair(seed, ONE.kept_up(), TWO.passive());
        world.network.set_conditions(Conditions {
            loss: Chance::percent(30),
            delay: 30 * MILLISECOND,
            jitter: 30 * MILLISECOND,
            ..Conditions::PERFECT
        });
        for _ in 0..4 {
            world.run_for(20 * SECOND);
            let (one, two) = ([address(1)], [address(2)]);
            let way = if seed.is_multiple_of(2) { Way::Both } else { Way::FirstToSecond };
            let cut = world.network.cut(&one, &two, way);
            world.run_for((20 + seed * 3) * SECOND);
            world.network.heal(cut);
        }
        world.network.set_conditions(Conditions { delay: 10 * MILLISECOND, ..Conditions::PERFECT });
        world.run_for(120 * SECOND);
        assert_one_set(&mut world, a, b);
    });
}

#[test]
fn a_peer_that_was_killed_and_restarted_is_back_in_15_seconds() {
    for_each_seed(10, |seed| {
        for busy in [true, false] {
            let (mut world, a, b) = pair(seed, ONE.kept_up(), TWO.passive());
            world.run_for(5 * SECOND + seed * 700 * MILLISECOND);
            if busy {
                tell(&mut world, a, |node, now| node.send_from(now, 200 * MILLISECOND, vec![ONE.stream()]));
            }
            world.run_for(SECOND);
            world.crash(b);
            world.run_for(SECOND);
            let mut fresh = EngineNode::new(seed + 1000, address(2));
            fresh.load(world.now(), TWO.passive());
            world.restart(b, fresh);
            let restarted = world.now();
            world.run_until(restarted + 60 * SECOND, |world| world.node(b).engine.is_active("to-1"));
            let took = (world.now() - restarted) / MILLISECOND;
            assert!(took < 15_000, "busy {busy}: {took} ms");
            world.run_for(SECOND);
            assert_one_set(&mut world, a, b);
        }
    });
}

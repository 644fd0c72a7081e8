//! How often something is tried, and how long it is kept without use.

use crate::world::{ONE, TWO, World, address, assert_one_set, pair, tell, wait_for};
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::action::Outcome;
use tidegate::connection::{After, Connection, Start};
use tidegate_ike::Cause;
use tidegate_sim::{NodeId, SECOND, Way};

fn tries(connection: Connection, tries: u32) -> Connection {
    Connection { tries: NonZeroU32::new(tries), ..connection }
}

fn cut(world: &mut World) {
    world.network.cut(&[address(1)], &[address(2)], Way::Both);
}

/// How many attempts a node has begun; each sends its first message several times.
fn attempts(world: &World, node: NodeId) -> usize {
    let failed = |(_, event): &&(u64, tidegate::event::Event)| {
        matches!(event, tidegate::event::Event::Ike(tidegate_ike::Event::IkeFailed { .. }))
    };
    world.node(node).events.iter().filter(failed).count()
}

#[test]
fn whoever_asks_is_answered_after_the_last_of_so_many_tries() {
    for (most, seconds) in [(1, 30), (3, 90)] {
        let (mut world, a, _) = pair(1, tries(ONE.passive(), most), TWO.passive());
        cut(&mut world);
        let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
        world.run_for((seconds - 1) * SECOND);
        assert_eq!(world.node(a).outcome(up), None, "{most} tries take {seconds} s at the least");
        world.run_for(60 * SECOND);
        assert!(matches!(world.node(a).outcome(up), Some(Outcome::Failed(_))), "{most}");
        assert_eq!(attempts(&world, a), most as usize);
        world.run_for(600 * SECOND);
        assert_eq!(attempts(&world, a), most as usize, "and then nothing more");
    }
}

#[test]
fn what_is_kept_up_is_given_up_after_so_many_tries_and_tried_as_often_when_asked_for() {
    let (mut world, a, b) = pair(2, tries(ONE.kept_up(), 2), TWO.passive());
    cut(&mut world);
    world.run_for(600 * SECOND);
    assert_eq!(attempts(&world, a), 2);
    assert!(world.node(a).engine.is_idle());
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    world.run_for(600 * SECOND);
    assert!(
        matches!(world.node(a).outcome(up), Some(Outcome::Failed(verdict)) if matches!(verdict.cause, Cause::Unanswered { .. }))
    );
    assert_eq!(attempts(&world, a), 4);
    world.network.heal_all();
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
    assert_one_set(&mut world, a, b);
}

#[test]
fn a_peer_that_dies_is_tried_for_so_often_and_no_more() {
    let (mut world, a, b) = pair(3, tries(ONE.kept_up(), 3), TWO.passive());
    world.run_for(SECOND);
    assert_one_set(&mut world, a, b);
    world.crash(b);
    world.run_for(1200 * SECOND);
    assert_eq!(attempts(&world, a), 3);
    assert!(world.node(a).engine.is_idle());
}

#[test]
fn without_a_number_it_goes_on_for_ever() {
    let (mut world, a, b) = pair(4, ONE.kept_up(), TWO.passive());
    cut(&mut world);
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert!(
        matches!(wait_for(&mut world, a, up), Outcome::Failed(_)),
        "who asked hears of the first failure"
    );
    world.run_for(1200 * SECOND);
    assert!(attempts(&world, a) > 10);
    world.network.heal_all();
    world.run_for(90 * SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn a_refused_child_is_asked_for_as_often_as_it_may_fail() {
    let mut two = TWO.passive();
    two.children[0].config.proposals =
        tidegate_ike::proposal::EspProposal::parse_list("aes256gcm16").expect("one");
    let mut one = tries(ONE.kept_up(), 2);
    one.children[0].config.proposals =
        tidegate_ike::proposal::EspProposal::parse_list("aes128gcm16").expect("one");
    let (mut world, a, _) = pair(5, one, two);
    world.run_for(600 * SECOND);
    let refused = |(_, event): &&(u64, tidegate::event::Event)| {
        matches!(event, tidegate::event::Event::Ike(tidegate_ike::Event::ChildFailed { .. }))
    };
    assert_eq!(world.node(a).events.iter().filter(refused).count(), 2);
}

#[test]
fn a_child_without_traffic_is_closed_and_one_with_traffic_is_not() {
    for (start, comes_back) in [(Start::AtOnce, false), (Start::OnTraffic, true), (Start::Trap, true)] {
        let mut one = ONE.connection(start, After::Restart);
        one.children[0].inactivity = Some(Duration::from_secs(30));
        // Rekeying is no traffic.
        one.children[0].config.lifetimes.rekey = Some(Duration::from_secs(25));
        one.children[0].config.lifetimes.jitter = Duration::ZERO;
        let (mut world, a, b) = pair(6, one, TWO.passive());
        let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
        assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
        tell(&mut world, b, |node, now| node.send_from(now, 10 * SECOND, vec![TWO.stream()]));
        world.run_for(200 * SECOND);
        assert_eq!(world.node(a).children(world.now(), "to-2").len(), 1, "it only receives, and that counts");
        world.node_mut(b).stop_sending();
        world.run_for(18 * SECOND);
        assert_eq!(world.node(a).children(world.now(), "to-2").len(), 1);
        world.run_for(30 * SECOND);
        assert!(world.node(a).children(world.now(), "to-2").is_empty());
        assert!(world.node(b).children(world.now(), "to-1").is_empty());
        assert_eq!(world.node(a).standing(world.now(), "to-2").len(), 1, "the IKE SA stays");
        tell(&mut world, a, |node, now| node.send(now, ONE.stream()));
        world.run_for(SECOND);
        assert_eq!(!world.node(a).children(world.now(), "to-2").is_empty(), comes_back, "{start:?}");
    }
}

//! Children that pass or drop what they carry, and traffic that brings up the others.

use crate::world::{ONE, TWO, assert_one_set, pair, tell, wait_for};
use tidegate::action::Outcome;
use tidegate::connection::{After, Child, ChildMode, Start};
use tidegate::engine::{Manner, Selection, Target};
use tidegate_esp::snapshot::Decision;
use tidegate_ike::ChildConfig;
use tidegate_sim::SECOND;

fn shunt(name: &str, mode: ChildMode, remote: &str, start: Start) -> Child {
    let config = ChildConfig::new(name, "10.1.0.0/16".parse().expect("one"), remote.parse().expect("one"));
    Child { mode, start, ..Child::new(config) }
}

fn named(child: &str) -> Target {
    Target::Child { connection: Some("to-2".into()), child: child.into() }
}

#[test]
fn the_more_specific_rule_decides_whether_traffic_is_protected_passed_or_dropped() {
    let mut one = ONE.kept_up();
    one.children.push(shunt("printer", ChildMode::Pass, "10.2.7.0/24", Start::Trap));
    one.children.push(shunt("never", ChildMode::Drop, "10.2.7.9", Start::AtOnce));
    one.children.push(shunt("later", ChildMode::Drop, "10.2.8.0/24", Start::Wait));
    let (mut world, a, b) = pair(1, one, TWO.passive());
    world.run_for(SECOND);
    let decide = |world: &mut crate::world::World, last: [u8; 2]| {
        let stream = crate::node::Stream { to: [10, 2, last[0], last[1]].into(), ..ONE.stream() };
        tell(world, a, |node, _| node.decide(stream))
    };
    assert!(matches!(decide(&mut world, [0, 1]), Decision::Protect(_)));
    assert_eq!(decide(&mut world, [7, 8]), Decision::Bypass);
    assert_eq!(decide(&mut world, [7, 9]), Decision::Drop);
    assert!(matches!(decide(&mut world, [8, 1]), Decision::Protect(_)), "it is not installed");
    assert_one_set(&mut world, a, b);
    let change = |world: &mut crate::world::World, child: &str, install: bool| {
        tell(world, a, |node, now| {
            node.act(now, |engine, now| match install {
                true => engine.install(now, &named(child)),
                false => engine.uninstall(now, &named(child)),
            })
        })
        .expect("there is such a child");
    };
    change(&mut world, "later", true);
    change(&mut world, "printer", false);
    assert_eq!(decide(&mut world, [8, 1]), Decision::Drop);
    assert!(matches!(decide(&mut world, [7, 8]), Decision::Protect(_)));
    let status = world.node(a).connection(world.now(), "to-2");
    let installed: Vec<_> = status.children.iter().map(|child| (child.mode, child.installed)).collect();
    assert_eq!(installed, [("TUNNEL", false), ("PASS", false), ("DROP", true), ("DROP", true)]);
    // All of it goes with the connection.
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.unload(now, "to-2"))).expect("loaded");
    assert_eq!(decide(&mut world, [8, 1]), Decision::NoRule);
    assert!(world.node(a).captures.is_empty());
}

#[test]
fn shunts_are_kept_by_an_update_that_has_them_and_taken_away_by_one_that_has_not() {
    let with = |start| {
        let mut one = ONE.kept_up();
        one.children.push(shunt("never", ChildMode::Drop, "10.2.7.0/24", start));
        one
    };
    let (mut world, a, _) = pair(2, with(Start::AtOnce), TWO.passive());
    world.run_for(SECOND);
    let captures = world.node(a).captures.clone();
    assert_eq!(captures.len(), 2, "what is dropped comes to us to be dropped");
    let update = |world: &mut crate::world::World, connection| {
        tell(world, a, |node, now| node.act(now, |engine, now| engine.update(now, connection)))
            .expect("fine");
    };
    update(&mut world, with(Start::AtOnce));
    assert_eq!(world.node(a).captures, captures);
    update(&mut world, with(Start::Wait));
    assert_eq!(world.node(a).captures.len(), 1);
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.install(now, &named("never"))))
        .expect("there is one");
    update(&mut world, with(Start::Wait));
    assert_eq!(world.node(a).captures.len(), 2, "what was installed by hand stays");
    update(&mut world, ONE.kept_up());
    assert_eq!(world.node(a).captures.len(), 1);
}

#[test]
fn a_connection_of_shunts_alone_is_nobodys_to_negotiate_with() {
    let mut one = ONE.bare();
    one.children.push(shunt("never", ChildMode::Drop, "10.2.0.0/16", Start::AtOnce));
    let (mut world, a, b) = pair(3, one, TWO.kept_up());
    world.run_for(20 * SECOND);
    assert!(world.node(b).standing(world.now(), "to-1").is_empty());
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, up), Outcome::Done(0));
    assert!(world.node(a).began.is_empty());
}

#[test]
fn a_trap_brings_its_child_up_again_whoever_has_closed_it() {
    let (mut world, a, b) = pair(4, ONE.connection(Start::Trap, After::Clear), TWO.passive());
    let to_2 = Selection::Connection("to-2".into());
    let to_1 = Selection::Connection("to-1".into());
    for (closer, which) in [(a, to_2.clone()), (b, to_1)] {
        world.run_for(5 * SECOND);
        assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
        world.run_for(SECOND);
        assert_one_set(&mut world, a, b);
        let down = crate::world::ask(&mut world, closer, |engine, now, ticket| {
            engine.terminate(now, &which, Manner::Ask, ticket);
        });
        assert_eq!(wait_for(&mut world, closer, down), Outcome::Done(1));
    }
    world.run_for(5 * SECOND);
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.uninstall(now, &named("net"))))
        .expect("there is one");
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    world.run_for(5 * SECOND);
    assert!(world.node(a).children(world.now(), "to-2").is_empty(), "and is protected all the same");
}

#[test]
fn any_child_may_be_made_to_come_up_on_traffic() {
    let (mut world, a, b) = pair(5, ONE.passive(), TWO.passive());
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    world.run_for(SECOND);
    assert!(world.node(a).began.is_empty());
    let all = Target::Connection("to-2".into());
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.install(now, &all))).expect("loaded");
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    world.run_for(SECOND);
    assert_one_set(&mut world, a, b);
    let none = tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.install(now, &named("x"))));
    assert_eq!(none, Err(tidegate_ike::ApiMisuse::NoSuchChild("x".into())));
}

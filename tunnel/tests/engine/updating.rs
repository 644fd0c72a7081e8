//! Connections that are described anew while their SAs stand.

use crate::node::EngineNode;
use crate::world::{Between, ONE, TWO, World, assert_one_set, assert_passes, pair, tell};
use std::sync::Arc;
use std::time::Duration;
use tidegate::connection::{After, Child, Connection, Start};
use tidegate::event::Event;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::crypto::Secret;
use tidegate_sim::{NodeId, SECOND};

/// A child between 172.16.n.0/24 and its like.
fn more(between: Between, start: Start) -> Child {
    let mut child = between.child("more", start, After::Clear);
    let net = |n: u8| format!("172.16.{n}.0/24").parse().map(tidegate_ike::narrow::ConfiguredSelector::Fixed);
    child.config.local = vec![net(between.us).expect("a selector")];
    child.config.remote = vec![net(between.them).expect("a selector")];
    child
}

fn update(world: &mut World, node: NodeId, connection: Connection) {
    let updated = tell(world, node, |node, now| node.act(now, |engine, now| engine.update(now, connection)));
    updated.expect("it is in order");
}

fn spis(node: &EngineNode, now: u64, name: &str) -> Vec<(String, u32)> {
    node.children(now, name).into_iter().map(|child| (child.name, child.spi_in)).collect()
}

#[test]
fn sas_stay_and_children_come_and_go_with_their_names() {
    let (mut world, a, b) = pair(1, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let (before, captures) = {
        let node = world.node(a);
        (spis(node, world.now(), "to-2"), node.captures.clone())
    };
    // The peer learns of it first, so that its IKE SA takes the new child.
    update(&mut world, b, TWO.passive().with_child(more(TWO, Start::Wait)));
    update(&mut world, a, ONE.kept_up().with_child(more(ONE, Start::AtOnce)));
    world.run_for(SECOND);
    let after = spis(world.node(a), world.now(), "to-2");
    assert_eq!(after.len(), 2);
    assert!(after.contains(&before[0]), "what is the same stays: {before:?} then {after:?}");
    assert!(captures.iter().all(|(id, pair)| world.node(a).captures.get(id) == Some(pair)));
    assert_one_set(&mut world, a, b);
    assert_eq!(world.node(a).began.len(), 1, "the IKE SA is the same");
    // And goes again, at both ends.
    update(&mut world, a, ONE.kept_up());
    world.run_for(SECOND);
    assert_eq!(spis(world.node(a), world.now(), "to-2"), before);
    assert_eq!(world.node(b).children(world.now(), "to-1").len(), 1);
    assert_eq!(world.node(a).captures, captures);
    assert_one_set(&mut world, a, b);
}

#[test]
fn what_stands_is_protected_though_it_is_not_described_any_more() {
    let (mut world, a, b) = pair(2, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let before = spis(world.node(a), world.now(), "to-2");
    let mut other = ONE.kept_up();
    other.children[0].config.remote =
        vec![tidegate_ike::narrow::ConfiguredSelector::Fixed("172.20.0.0/16".parse().expect("one"))];
    update(&mut world, a, other.clone());
    world.run_for(SECOND);
    assert_eq!(spis(world.node(a), world.now(), "to-2"), before);
    assert_passes(&mut world, a, b);
    assert_eq!(world.node(a).captures.len(), 2, "what is carried, and what is described");
    // It is closed like any other, and its rule goes with it.
    tell(&mut world, b, |node, now| node.act(now, |engine, now| engine.unload(now, "to-1"))).expect("loaded");
    world.run_for(SECOND);
    assert!(world.node(a).children(world.now(), "to-2").is_empty());
    assert_eq!(world.node(a).captures.len(), 1);
}

#[test]
fn an_attempt_under_way_begins_again_as_it_is_described_now() {
    let mut wrong = ONE.kept_up();
    wrong.ike.remote.addresses = vec![tidegate_esp::AddressRange::host([192, 0, 2, 99].into())];
    let (mut world, a, b) = pair(3, wrong, TWO.passive());
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    world.run_for(SECOND);
    update(&mut world, a, ONE.kept_up());
    world.run_for(SECOND);
    assert_eq!(world.node(a).outcome(up), Some(&tidegate::action::Outcome::Done(1)), "who waited waits on");
    assert_one_set(&mut world, a, b);
}

#[test]
fn what_was_given_up_is_tried_again_with_new_secrets() {
    let mut wrong = ONE.kept_up();
    wrong.tries = std::num::NonZeroU32::new(1);
    let secret = || Secret::new(b"not known to the other".to_vec());
    wrong.ike.local.auth = Arc::new(LocalAuth::Psk(secret()));
    wrong.ike.remote.auth = Arc::new(RemoteAuth::Psk(secret()));
    let (mut world, a, b) = pair(4, wrong, TWO.passive());
    world.run_for(60 * SECOND);
    let began = world.node(a).began.len();
    assert_eq!(began, 1);
    let right = Connection { tries: std::num::NonZeroU32::new(1), ..ONE.kept_up() };
    update(&mut world, a, right);
    world.run_for(SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn what_is_loaded_for_the_first_time_may_be_an_update() {
    let (mut world, a, b) = pair(5, ONE.passive(), TWO.passive());
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.unload(now, "to-2"))).expect("loaded");
    update(&mut world, a, ONE.kept_up());
    world.run_for(SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn children_come_up_and_go_down_once_for_all_their_keys() {
    let mut one = ONE.kept_up();
    one.children[0].config.lifetimes.rekey = Some(Duration::from_secs(20));
    one.children[0].config.lifetimes.jitter = Duration::ZERO;
    one.children[0].updown = Some("/bin/true".into());
    let (mut world, a, b) = pair(6, one, TWO.passive());
    world.run_for(90 * SECOND);
    let now = world.now();
    let reqid = world.node(a).children(now, "to-2")[0].reqid;
    assert_ne!(reqid, 0);
    let child = world.node(a).children(now, "to-2")[0].spi_in;
    let down = crate::world::ask(&mut world, a, |engine, now, ticket| {
        let all = tidegate::engine::Selection::Reqid(reqid);
        engine.terminate(now, &all, tidegate::engine::Manner::Ask, ticket);
    });
    assert_eq!(crate::world::wait_for(&mut world, a, down), tidegate::action::Outcome::Done(1));
    world.run_for(10 * SECOND);
    for (node, ours, theirs) in [(a, "1.example", "2.example"), (b, "2.example", "1.example")] {
        let told: Vec<_> = world
            .node(node)
            .events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::ChildUp(facts) => Some((true, Arc::clone(facts))),
                Event::ChildDown { child, .. } => Some((false, Arc::clone(child))),
                _ => None,
            })
            .collect();
        let [(true, up), (false, down)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((up.local_id.to_string(), up.remote_id.to_string()), (ours.into(), theirs.into()));
        assert_ne!(up.spi_in, down.spi_in, "the last of its line went");
        assert_eq!((up.reqid, &up.selectors), (down.reqid, &down.selectors));
        if node == a {
            assert_eq!((down.spi_in.value(), up.reqid), (child, reqid));
            assert_eq!(up.updown.as_deref(), Some("/bin/true"));
            assert_eq!((up.local.ip(), up.remote.ip()), (crate::world::address(1), crate::world::address(2)));
        }
    }
}

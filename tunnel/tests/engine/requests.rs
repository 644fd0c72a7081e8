//! What agents ask for: up, down, new keys, and gone.

use crate::world::{ONE, TWO, address, ask, assert_one_set, assert_passes, pair, tell, wait_for};
use std::net::IpAddr;
use tidegate::action::Outcome;
use tidegate::connection::{After, Start};
use tidegate::engine::{Engine, LoadError, Manner, Selection, Target};
use tidegate::event::Event;
use tidegate_ike::{ApiMisuse, Cause};
use tidegate_sim::{MILLISECOND, NatConfig, NatKind, SECOND};

const TO_2: fn() -> Selection = || Selection::Connection("to-2".into());

#[test]
fn what_is_taken_down_stays_down_at_both_ends_until_it_is_asked_for() {
    let (mut world, a, b) = pair(1, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let down = ask(&mut world, a, |engine, now, ticket| engine.terminate(now, &TO_2(), Manner::Ask, ticket));
    assert_eq!(world.node(a).outcome(down), None, "the peer has not agreed yet");
    assert_eq!(wait_for(&mut world, a, down), Outcome::Done(1));
    world.run_for(120 * SECOND);
    assert!(!world.node(a).engine.is_active("to-2") && !world.node(b).engine.is_active("to-1"));
    assert!(world.node(a).engine.is_idle() && world.node(b).engine.is_idle());
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
    assert_one_set(&mut world, a, b);
}

#[test]
fn a_child_alone_can_be_taken_down_by_name_and_by_its_spi() {
    let (mut world, a, b) = pair(2, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let named = Selection::Child { connection: None, child: "net".into() };
    let down = ask(&mut world, a, |engine, now, ticket| engine.terminate(now, &named, Manner::Ask, ticket));
    assert_eq!(wait_for(&mut world, a, down), Outcome::Done(1));
    world.run_for(30 * SECOND);
    assert_eq!(world.node(a).standing(world.now(), "to-2").len(), 1, "the IKE SA stays");
    assert!(world.node(b).children(world.now(), "to-1").is_empty());
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
    assert_one_set(&mut world, a, b);
    let spi = world.node(b).children(world.now(), "to-1")[0].spi_in;
    let spi = Selection::ChildSa(tidegate_esp::Spi::new(spi).expect("it is one"));
    let down = ask(&mut world, b, |engine, now, ticket| engine.terminate(now, &spi, Manner::Ask, ticket));
    assert_eq!(wait_for(&mut world, b, down), Outcome::Done(1));
    // It is kept up by the other end.
    world.run_for(10 * SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn sas_count_up_and_have_another_number_with_each_set_of_keys() {
    let mut one = ONE.kept_up();
    one.children.push(ONE.child("more", Start::AtOnce, After::Restart));
    let mut two = TWO.passive();
    two.children.push(TWO.child("more", Start::Wait, After::Clear));
    let (mut world, a, _) = pair(21, one, two);
    world.run_for(SECOND);
    let numbers = |world: &crate::world::World| {
        let sas = world.node(a).standing(world.now(), "to-2");
        let children = sas[0].children.iter().filter(|child| child.current);
        (sas[0].id, children.map(|child| child.id).collect::<Vec<_>>())
    };
    let (ike, children) = numbers(&world);
    assert_eq!((ike, children.len()), (1, 2));
    let mut sorted = children.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2]);
    let begun = world.node(a).events.iter().filter_map(|(_, event)| match event {
        Event::Attempt { child, ike_sa, peer, .. } => Some((child.as_deref(), *ike_sa, peer.ip())),
        _ => None,
    });
    let begun: Vec<_> = begun.collect();
    assert_eq!(begun[0], (None, 1, address(2)));
    let of_children =
        begun.iter().all(|(child, ike_sa, _)| child.is_none_or(|it| it == "more") && *ike_sa == 1);
    assert!(of_children, "{begun:?}");

    let first = Selection::ChildNumber(children[0]);
    let keys = ask(&mut world, a, |engine, now, ticket| engine.rekey(now, &first, ticket));
    assert_eq!(wait_for(&mut world, a, keys), Outcome::Done(1));
    let (_, mut after) = numbers(&world);
    after.sort_unstable();
    assert_eq!(after, [children[1], 3]);
    let keys = ask(&mut world, a, |engine, now, ticket| engine.rekey(now, &TO_2(), ticket));
    assert_eq!(wait_for(&mut world, a, keys), Outcome::Done(1));
    world.run_for(10 * SECOND);
    assert_eq!(numbers(&world).0, 2);
    let gone = ask(&mut world, a, |engine, now, ticket| {
        engine.terminate(now, &first, Manner::Ask, ticket);
    });
    assert_eq!(wait_for(&mut world, a, gone), Outcome::Misuse(ApiMisuse::NoSuchSa));
}

#[test]
fn ends_are_told_of_children_first_and_then_of_their_ike_sa() {
    let (mut world, a, b) = pair(22, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let keys = ask(&mut world, a, |engine, now, ticket| engine.rekey(now, &TO_2(), ticket));
    assert_eq!(wait_for(&mut world, a, keys), Outcome::Done(1));
    let down = ask(&mut world, a, |engine, now, ticket| engine.terminate(now, &TO_2(), Manner::Ask, ticket));
    wait_for(&mut world, a, down);
    world.run_for(SECOND);
    for (node, number) in [(a, 2), (b, 2)] {
        let told = world.node(node).events.iter().filter_map(|(_, event)| match event {
            Event::IkeUp(facts) => Some(("ike up", facts.number)),
            Event::IkeDown(facts) => Some(("ike down", facts.number)),
            Event::ChildUp(facts) => Some(("child up", facts.number)),
            Event::ChildDown { child, .. } => {
                assert_eq!(child.ike_sa, number, "it has moved there");
                Some(("child down", child.number))
            }
            _ => None,
        });
        let expected = [("ike up", 1), ("child up", 1), ("child down", 1), ("ike down", number)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn an_attempt_under_way_can_be_taken_down_and_whoever_waits_for_it_is_told() {
    let (mut world, a, _) = pair(3, ONE.kept_up(), TWO.passive());
    world.network.cut(&[address(1)], &[address(2)], tidegate_sim::Way::Both);
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    world.run_for(SECOND);
    let number = world.node(a).connection(world.now(), "to-2").sas[0].id;
    let down = ask(&mut world, a, |engine, now, ticket| {
        engine.terminate(now, &Selection::IkeSa(number), Manner::Ask, ticket);
    });
    assert_eq!(wait_for(&mut world, a, down), Outcome::Done(1));
    let Some(Outcome::Failed(verdict)) = world.node(a).outcome(up) else { panic!("nobody was told") };
    assert_eq!(verdict.cause, Cause::ClosedByUs);
    let began = world.node(a).began.len();
    world.run_for(60 * SECOND);
    assert_eq!(world.node(a).began.len(), began);
}

#[test]
fn new_keys_are_made_for_children_and_ike_sas_under_traffic() {
    let (mut world, a, b) = pair(4, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    for (node, stream) in [(a, ONE.stream()), (b, TWO.stream())] {
        tell(&mut world, node, |node, now| node.send_from(now, 5 * MILLISECOND, vec![stream]));
    }
    let child = Selection::Child { connection: Some("to-2".into()), child: "net".into() };
    let before = world.node(a).children(world.now(), "to-2")[0].spi_in;
    let rekeyed = ask(&mut world, a, |engine, now, ticket| engine.rekey(now, &child, ticket));
    assert_eq!(wait_for(&mut world, a, rekeyed), Outcome::Done(1));
    assert_ne!(world.node(a).children(world.now(), "to-2")[0].spi_in, before);
    let old = world.node(a).standing(world.now(), "to-2")[0].id;
    let rekeyed = ask(&mut world, a, |engine, now, ticket| engine.rekey(now, &TO_2(), ticket));
    assert_eq!(wait_for(&mut world, a, rekeyed), Outcome::Done(1));
    assert_ne!(world.node(a).standing(world.now(), "to-2")[0].id, old);
    world.run_for(10 * SECOND);
    for node in [a, b] {
        world.node_mut(node).stop_sending();
    }
    world.run_for(SECOND);
    let (one, two) = (world.node(a), world.node(b));
    assert_eq!((one.sealed.len(), two.sealed.len()), (two.total_received(), one.total_received()));
    assert!(one.sealed.len() > 2_000 && one.held_back.is_empty() && two.held_back.is_empty());
    assert_eq!(one.unknown_esp + two.unknown_esp, 0);
    assert_one_set(&mut world, a, b);
}

#[test]
fn an_idle_responder_moves_on_a_dummy_packet() {
    let (mut world, a, b) = pair(5, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let child = Selection::Child { connection: None, child: "net".into() };
    let rekeyed = ask(&mut world, a, |engine, now, ticket| engine.rekey(now, &child, ticket));
    assert_eq!(wait_for(&mut world, a, rekeyed), Outcome::Done(1));
    world.run_for(SECOND);
    let children = world.node(b).children(world.now(), "to-1");
    assert_eq!(children[0].received.packets, 1, "the dummy: {children:?}");
    assert_one_set(&mut world, a, b);
}

#[test]
fn what_nobody_waits_for_any_more_is_broken_off() {
    let (mut world, a, _) = pair(6, ONE.passive(), TWO.passive());
    let ups = [(); 2].map(|()| tell(&mut world, a, |node, now| node.initiate(now, "to-2")));
    for up in ups {
        assert!(!world.node(a).connection(world.now(), "to-2").sas.is_empty(), "somebody still waits");
        tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.cancel(now, up)));
    }
    world.run_for(10 * SECOND);
    assert_eq!(ups.map(|up| world.node(a).outcome(up).cloned()), [None, None]);
    assert!(!world.node(a).engine.is_active("to-2") && world.node(a).engine.is_idle());
}

#[test]
fn what_is_kept_up_is_gone_on_with_though_nobody_waits() {
    let (mut world, a, b) = pair(12, ONE.kept_up(), TWO.passive());
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.cancel(now, up)));
    world.run_for(10 * SECOND);
    assert_eq!(world.node(a).outcome(up), None);
    assert_one_set(&mut world, a, b);
}

#[test]
fn what_is_taken_down_by_force_is_gone_at_once_and_the_peer_hears_of_it_once() {
    let (mut world, a, b) = pair(13, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let down =
        ask(&mut world, a, |engine, now, ticket| engine.terminate(now, &TO_2(), Manner::Force, ticket));
    assert_eq!(world.node(a).outcome(down), Some(&Outcome::Done(1)));
    assert!(world.node(a).connection(world.now(), "to-2").sas.is_empty());
    world.run_for(SECOND);
    assert!(world.node(a).engine.is_idle() && !world.node(b).engine.is_active("to-1"), "the peer was told");
    // Nor does a peer that is not there hold anybody up.
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
    world.crash(b);
    let child = Selection::Child { connection: None, child: "net".into() };
    let down = ask(&mut world, a, |engine, now, ticket| engine.terminate(now, &child, Manner::Force, ticket));
    assert_eq!(world.node(a).outcome(down), Some(&Outcome::Done(1)));
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    let down =
        ask(&mut world, a, |engine, now, ticket| engine.terminate(now, &TO_2(), Manner::Force, ticket));
    assert_eq!(world.node(a).outcome(down), Some(&Outcome::Done(1)));
    world.run_for(SECOND);
    assert!(world.node(a).engine.is_idle());
}

#[test]
fn both_ends_prove_anew_who_they_are_under_traffic() {
    for initiator in [true, false] {
        let (mut world, a, b) = pair(14, ONE.kept_up(), TWO.passive());
        world.run_for(SECOND);
        for (node, stream) in [(a, ONE.stream()), (b, TWO.stream())] {
            tell(&mut world, node, |node, now| node.send_from(now, 5 * MILLISECOND, vec![stream]));
        }
        let old = world.node(a).standing(world.now(), "to-2")[0].spis;
        let (node, name) = if initiator { (a, "to-2") } else { (b, "to-1") };
        let which = Selection::Connection(name.into());
        let renewed = ask(&mut world, node, |engine, now, ticket| engine.reauthenticate(now, &which, ticket));
        assert_eq!(world.node(node).outcome(renewed), None);
        assert_eq!(wait_for(&mut world, node, renewed), Outcome::Done(1));
        world.run_for(10 * SECOND);
        assert_ne!(world.node(a).standing(world.now(), "to-2")[0].spis, old);
        for node in [a, b] {
            world.node_mut(node).stop_sending();
            assert!(world.node(node).held_back.is_empty(), "never without an SA");
        }
        assert_one_set(&mut world, a, b);
    }
}

#[test]
fn a_reauthentication_that_fails_is_told_and_the_old_ike_sa_stays() {
    let (mut world, a, b) = pair(15, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    // Nobody is let in any more; what stands is left alone.
    let mut other = TWO.passive();
    other.ike.remote.auth = std::sync::Arc::new(tidegate_ike::auth::RemoteAuth::Psk(
        tidegate_ike::crypto::Secret::new(b"another".to_vec()),
    ));
    tell(&mut world, b, |node, now| node.act(now, |engine, now| engine.update(now, other)))
        .expect("in order");
    let renewed = ask(&mut world, a, |engine, now, ticket| engine.reauthenticate(now, &TO_2(), ticket));
    assert!(matches!(wait_for(&mut world, a, renewed), Outcome::Failed(_)));
    world.run_for(5 * SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn what_makes_no_sense_is_said_at_once() {
    let mut nowhere = ONE.passive();
    nowhere.ike.remote.addresses.clear();
    let (mut world, a, _) = pair(7, nowhere, TWO.passive());
    let misuse = |world: &mut crate::world::World, target: Target| {
        let ticket = ask(world, a, |engine, now, ticket| engine.initiate(now, &target, ticket));
        world.node(a).outcome(ticket).cloned()
    };
    let child = |connection: Option<&str>, child: &str| Target::Child {
        connection: connection.map(Into::into),
        child: child.into(),
    };
    let no_child = Outcome::Misuse(ApiMisuse::NoSuchChild("x".into()));
    assert_eq!(misuse(&mut world, child(None, "x")), Some(no_child.clone()));
    assert_eq!(misuse(&mut world, child(Some("to-2"), "x")), Some(no_child));
    let no_connection = Outcome::Misuse(ApiMisuse::NoSuchConnection("to-9".into()));
    assert_eq!(misuse(&mut world, Target::Connection("to-9".into())), Some(no_connection));
    let no_address = Outcome::Misuse(ApiMisuse::NoRemoteAddress);
    assert_eq!(misuse(&mut world, Target::Connection("to-2".into())), Some(no_address));
    let unknown = ask(&mut world, a, |engine, now, ticket| {
        engine.terminate(now, &Selection::IkeSa(99), Manner::Ask, ticket);
    });
    assert_eq!(world.node(a).outcome(unknown), Some(&Outcome::Misuse(ApiMisuse::NoSuchSa)));
    let twice = ONE.passive().with_child(ONE.child("net", Start::Wait, After::Clear));
    let refused = tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.load(now, twice)));
    assert_eq!(refused, Err(LoadError::DuplicateChild("net".into())));
    let gone = tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.unload(now, "to-9")));
    assert_eq!(gone, Err(ApiMisuse::NoSuchConnection("to-9".into())));
}

#[test]
fn names_are_looked_up_before_each_attempt_and_their_addresses_tried_in_turn() {
    let mut named = ONE.kept_up();
    named.ike.remote.addresses.clear();
    named.names = vec!["two.example".into()];
    let (mut world, a, b) = pair(8, named, TWO.passive());
    // The resolver never answers the first question.
    world.run_for(25 * SECOND);
    let unresolved = |(_, event): &(u64, Event)| matches!(event, Event::Retry { verdict, .. } if verdict.cause == Cause::Unresolved);
    assert!(world.node(a).events.iter().any(unresolved));
    assert!(world.node(a).began.is_empty());
    // Then it knows one address too many, the wrong one first or second.
    let wrong: IpAddr = "192.0.2.99".parse().expect("an address");
    world.node_mut(a).names.insert("two.example".into(), vec![wrong, address(2)]);
    world.run_for(90 * SECOND);
    assert!(world.node(a).lookups.len() >= 2);
    assert_one_set(&mut world, a, b);
    // The peer moves to where its name says it is, and is found there.
    let moved: IpAddr = "192.0.2.77".parse().expect("an address");
    world.node_mut(a).names.insert("two.example".into(), vec![moved]);
    world.crash(b);
    world.set_addresses(b, &[moved]);
    let mut fresh = crate::node::EngineNode::new(99, moved);
    fresh.load(world.now(), TWO.passive());
    world.restart(b, fresh);
    world.run_for(90 * SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn without_an_address_of_ours_nothing_begins_and_with_one_it_does_at_once() {
    let (mut world, a, b) = pair(9, ONE.passive(), TWO.passive());
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.set_local_addresses(now, Vec::new())));
    tell(&mut world, a, |node, now| node.load(now, ONE.kept_up()));
    world.run_for(300 * SECOND);
    assert!(world.node(a).began.is_empty());
    tell(&mut world, a, |node, now| {
        node.act(now, |engine, now| engine.set_local_addresses(now, vec![address(1)]));
    });
    world.run_for(SECOND);
    assert_one_set(&mut world, a, b);
}

#[test]
fn everything_is_closed_at_the_peers_when_we_go() {
    let (mut world, a, b) = pair(10, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    let gone = ask(&mut world, a, Engine::shutdown);
    assert_eq!(wait_for(&mut world, a, gone), Outcome::Done(1));
    world.run_for(30 * SECOND);
    assert!(world.node(a).engine.is_idle() && world.node(b).engine.is_idle());
    assert!(!tell(&mut world, a, |node, now| node.send(now, ONE.stream())), "closed, and nothing in clear");
}

#[test]
fn a_peer_that_does_not_answer_holds_us_up_for_two_seconds() {
    let (mut world, a, b) = pair(11, ONE.kept_up(), TWO.passive());
    world.run_for(SECOND);
    world.crash(b);
    let began = world.now();
    let gone = ask(&mut world, a, Engine::shutdown);
    assert_eq!(wait_for(&mut world, a, gone), Outcome::Done(0));
    assert_eq!(world.now() - began, 2 * SECOND);
}

#[test]
fn an_end_behind_a_nat_is_followed_after_the_other_one_has_reauthenticated() {
    let mut two = TWO.passive();
    two.ike.remote.addresses.clear();
    let (mut world, a, b) = pair(9, ONE.kept_up(), two);
    let outer = "203.0.113.7".parse().expect("an address");
    let nat = NatConfig { outer, kind: NatKind::PortRestricted, timeout: 120 * SECOND };
    let nat = world.network.add_nat(nat);
    world.network.put_behind(nat, address(1));
    world.run_for(5 * SECOND);
    let renewed =
        ask(&mut world, b, |engine, now, ticket| engine.reauthenticate(now, &Selection::All, ticket));
    assert_eq!(wait_for(&mut world, b, renewed), Outcome::Done(1));
    assert_passes(&mut world, a, b);

    world.network.rebind(nat);
    assert!(tell(&mut world, a, |node, now| node.send(now, ONE.stream())));
    world.run_for(SECOND);

    assert_passes(&mut world, a, b);
}

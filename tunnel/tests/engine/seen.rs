//! What is there to be seen of it all.

use crate::world::{ONE, TWO, add, address, ask, assert_passes, pair, tell, wait_for, world};
use std::time::Duration;
use tidegate::action::Outcome;
use tidegate::connection::{After, Start};
use tidegate::engine::{Engine, Manner, Selection};
use tidegate::event::Event;
use tidegate_ike::proposal::{EspProposal, IkeProposal};
use tidegate_sim::{MILLISECOND, SECOND};

#[test]
fn an_engine_can_live_in_any_thread() {
    fn is_send<T: Send>() {}
    is_send::<Engine>();
}

#[test]
fn a_connection_that_is_up_is_told_of_in_full() {
    let mut connections = [ONE.kept_up(), TWO.passive()];
    for connection in &mut connections {
        connection.ike.proposals = IkeProposal::parse_list("aes256-sha384-prfsha384-x25519").expect("one");
        connection.children[0].config.proposals = EspProposal::parse_list("aes128gcm16").expect("one");
    }
    let [one, two] = connections;
    let (mut world, a, b) = pair(1, one, two);
    world.run_for(SECOND);
    assert_passes(&mut world, a, b);
    let status = world.node(a).connection(world.now(), "to-2");
    assert_eq!((status.state, status.failures, status.retry_in), ("up", 0, None));
    assert_eq!((&*status.local_id, &*status.remote_id), ("1.example", "2.example"));
    assert_eq!(status.children[0].start, "start");
    assert_eq!(status.children[0].remote, ["10.2.0.0/16"]);
    let [sa] = &status.sas[..] else { panic!("{:?}", status.sas) };
    assert_eq!((sa.phase, sa.initiator, sa.peer.as_deref()), ("ESTABLISHED", true, Some("2.example")));
    assert_eq!(sa.suite.as_deref(), Some("aes256-sha384-prfsha384-x25519"));
    let algorithms = sa.algorithms.expect("it stands");
    assert_eq!((algorithms.encryption, algorithms.key_bits, algorithms.integrity), (12, Some(256), Some(13)));
    assert_eq!((algorithms.prf, algorithms.group), (Some(6), Some(31)));
    // Two exchanges of 20 ms each.
    assert_eq!((sa.handshake_ms, sa.rtt_ms), (Some(40.0), Some(20.0)));
    assert!(sa.rekey_in.is_some_and(|after| after > 3_600.0) && sa.silence.is_some_and(|span| span < 3.0));
    let [child] = &sa.children[..] else { panic!("{:?}", sa.children) };
    assert_eq!((&*child.name, child.current, child.udp), ("net", true, true));
    assert!(child.suite.starts_with("aes128gcm16"), "{}", child.suite);
    assert_eq!((child.sent.packets, child.received.packets), (1, 1));
    assert_eq!(child.sent.bytes, 24);
    assert!((24..48).contains(&child.received.bytes), "with padding: {:?}", child.received);
    let other = &world.node(b).standing(world.now(), "to-1")[0];
    assert_eq!((other.children[0].spi_in, other.children[0].spi_out), (child.spi_out, child.spi_in));
    assert_eq!((other.initiator, other.handshake_ms, other.spis), (false, None, sa.spis));
}

#[test]
fn addresses_are_told_of_when_they_are_others_than_before() {
    let mut world = world(9);
    let node = add(&mut world, 1);
    for addresses in [vec![address(1)], vec![address(1), address(2)], vec![address(1), address(2)]] {
        tell(&mut world, node, |node, now| {
            node.act(now, |engine, now| engine.set_local_addresses(now, addresses));
        });
    }
    let told = world.node(node).events.iter().filter_map(|(_, event)| match event {
        Event::AddressesChanged(addresses) => Some(addresses.len()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn the_state_of_a_connection_is_one_word() {
    let state =
        |world: &crate::world::World, node, name: &str| world.node(node).connection(world.now(), name).state;
    let (mut world, a, b) = pair(2, ONE.connection(Start::OnTraffic, After::Clear), TWO.passive());
    assert_eq!((state(&world, a, "to-2"), state(&world, b, "to-1")), ("waiting", "down"));
    tell(&mut world, a, |node, now| node.send(now, ONE.stream()));
    assert_eq!(state(&world, a, "to-2"), "connecting");
    world.run_for(SECOND);
    assert_eq!((state(&world, a, "to-2"), state(&world, b, "to-1")), ("up", "up"));
    let mut alone = crate::world::world(3);
    let node = add(&mut alone, 1);
    let mut connection = ONE.kept_up();
    connection.ike.retransmission.give_up = Duration::from_secs(1);
    connection.retry.first = Duration::from_secs(600);
    connection.retry.most = Duration::from_secs(600);
    tell(&mut alone, node, |node, now| node.load(now, connection));
    alone.run_for(10 * SECOND);
    let status = alone.node(node).connection(alone.now(), "to-2");
    assert_eq!((status.state, status.failures), ("retrying", 1));
    assert!(status.retry_in.is_some_and(|after| (290.0..600.0).contains(&after)), "{:?}", status.retry_in);
    assert!(status.last_verdict.is_some_and(|verdict| verdict.contains("no answer")));
}

#[test]
fn an_end_is_told_with_its_reason() {
    let mut connection = ONE.kept_up();
    connection.children[0].on_death = After::Clear;
    let (mut world, a, b) = pair(4, connection, TWO.passive());
    world.run_for(SECOND);
    world.crash(b);
    world.run_for(60 * SECOND);
    let reason = world.node(a).events.iter().find_map(|(_, event)| match event {
        Event::Down { verdict, .. } => Some(verdict.to_string()),
        _ => None,
    });
    assert!(reason.is_some_and(|reason| reason.starts_with("no answer for")));
    // Nothing brings it back but being asked for.
    let began = world.node(a).began.len();
    world.run_for(60 * SECOND);
    assert_eq!(world.node(a).began.len(), began);
}

#[test]
fn credentials_are_seen_again_without_a_gap() {
    let mut one = ONE.kept_up();
    one.ike.lifetimes.reauthenticate = Some(Duration::from_secs(60));
    one.ike.lifetimes.jitter = Duration::from_secs(0);
    let (mut world, a, b) = pair(5, one, TWO.passive());
    world.run_for(SECOND);
    let first = world.node(a).standing(world.now(), "to-2")[0].id;
    for (node, stream) in [(a, ONE.stream()), (b, TWO.stream())] {
        tell(&mut world, node, |node, now| node.send_from(now, 50 * MILLISECOND, vec![stream]));
    }
    world.run_for(90 * SECOND);
    let standing = world.node(a).standing(world.now(), "to-2");
    assert_eq!(standing.len(), 1);
    assert_ne!(standing[0].id, first);
    assert!(world.node(a).held_back.is_empty() && world.node(b).held_back.is_empty());
    assert!(!world.node(a).events.iter().any(|(_, event)| matches!(event, Event::Down { .. })));
}

#[test]
fn what_is_taken_down_by_its_number_is_that_and_nothing_else() {
    let mut world = world(6);
    let hub = add(&mut world, 1);
    let peers = [2, 3].map(|n| {
        let peer = add(&mut world, n);
        let connection = crate::world::Between::new(n, 1).passive();
        tell(&mut world, peer, |node, now| node.load(now, connection));
        tell(&mut world, hub, |node, now| node.load(now, crate::world::Between::new(1, n).kept_up()));
        peer
    });
    world.run_for(SECOND);
    let number = world.node(hub).standing(world.now(), "to-2")[0].id;
    let selection = Selection::IkeSa(number);
    let down =
        ask(&mut world, hub, |engine, now, ticket| engine.terminate(now, &selection, Manner::Ask, ticket));
    assert_eq!(wait_for(&mut world, hub, down), Outcome::Done(1));
    world.run_for(60 * SECOND);
    assert!(!world.node(peers[0]).engine.is_active("to-1") && world.node(peers[1]).engine.is_active("to-1"));
}

//! Two ends that set up an IKE SA with each other at once, INITIAL_CONTACT, and reauthentication
//! (RFC 7296 §2.4, §2.8.3).

use crate::support::{End, Pair, connection};
use crate::world::{Act, Pfs, World, outcome};
use std::time::Duration;
use tidegate_esp::Direction;
use tidegate_ike::connection::Connection;
use tidegate_ike::{Config, Event};

fn quiet(end: End) -> Connection {
    Connection { liveness: None, ..connection(end) }
}

/// Every order in which two handshakes can pass through each other: the next datagram is A's or B's, as the
/// bits of `order` say.
fn both_initiate(order: u32) -> Pair {
    let mut pair = Pair::new(3, quiet(End::A), quiet(End::B));
    pair.initiate(End::A);
    pair.initiate(End::B);
    for bit in 0..12 {
        let first = if order >> bit & 1 == 0 { End::A } else { End::B };
        if !pair.pass(first) {
            pair.pass(first.other());
        }
    }
    pair.settle();
    pair
}

/// ```text
/// A                              B
/// SA, KEi, Ni ──╮ ╭── SA, KEi, Ni
/// SA, KEr, Nr ──┼─┼── SA, KEr, Nr
/// AUTH, N(INITIAL_CONTACT) ──╮ ╭── AUTH, N(INITIAL_CONTACT)
///                            ──┼─╯
/// ```
///
/// Each end has said that it holds no other IKE SA, and it was true when it was said. Whatever the order,
/// neither end may drop what the other one keeps.
#[test]
fn two_handshakes_that_cross_leave_both_ends_with_the_same_ike_sas() {
    for order in 0..1 << 8 {
        let mut pair = both_initiate(order);
        pair.run(Duration::from_secs(60));
        pair.assert_agree();
        let count = pair.a.standing().len();
        assert!((1..=2).contains(&count), "{count} in order {order:08b}");
        for (one, other) in [(&pair.a, &pair.b), (&pair.b, &pair.a)] {
            let carrier = one.carries["net"];
            let out = &one.installed[&(carrier, Direction::Outbound)];
            assert!(other.installed.contains_key(&(out.spi, Direction::Inbound)), "order {order:08b}");
        }
    }
}

/// ```text
/// A                                   B
/// IKE_SA_INIT ⇄ both ways
///              ╭───────────────────── AUTH, N(INITIAL_CONTACT)
/// AUTH  ───────┼────────────────────▶
/// established ◀┼───────────────────── AUTH
///           ◀──╯  was true when it was said, and does not mean what stands by now
/// ```
#[test]
fn initial_contact_that_was_overtaken_ends_nothing_that_was_set_up_since() {
    let mut pair = Pair::new(3, quiet(End::A), quiet(End::B));
    pair.initiate(End::A);
    pair.initiate(End::B);
    for from in [End::A, End::B, End::A] {
        pair.sleep(Duration::from_millis(10));
        assert!(pair.pass(from));
    }
    let overtaken = pair.host(End::B).sent.pop_back().unwrap();
    for from in [End::B, End::A, End::B] {
        pair.sleep(Duration::from_millis(10));
        assert!(pair.pass(from));
    }
    assert_eq!(pair.a.standing().len(), 1);
    pair.deliver(End::A, &overtaken);
    pair.settle();
    assert_eq!(pair.a.standing().len(), 2);
    pair.assert_agree();
}

/// ```text
/// A                            B
/// IKE_AUTH  ────────────────▶ established
///                     ╭────── IKE_AUTH
/// too early    ◀──────┼────── REKEY_SA(net), SA, Ni
/// established  ◀──────╯
///              ◀───────────── REKEY_SA(net), SA, Ni once more
/// ```
#[test]
fn a_request_that_overtakes_the_answer_to_ike_auth_is_taken_when_it_comes_again() {
    let mut pair = Pair::new(3, quiet(End::A), quiet(End::B));
    pair.initiate(End::A);
    for from in [End::A, End::B, End::A] {
        assert!(pair.pass(from));
    }
    let answer = pair.take(End::B);
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    assert!(pair.pass(End::B));
    pair.deliver(End::A, &answer);
    pair.run(Duration::from_secs(10));
    pair.assert_agree();
    assert_ne!(pair.child(End::B), child);
    assert_eq!(pair.b.events.iter().filter(|event| matches!(event, Event::ChildRekeyed { .. })).count(), 1);
}

/// A peer that has lost everything says so, and its old IKE SA goes at once, without a Delete.
#[test]
fn initial_contact_ends_what_a_peer_had_before_it_restarted() {
    let mut pair = Pair::new(3, quiet(End::A), quiet(End::B));
    pair.set_up();
    let old = pair.sa(End::B);
    pair.run(Duration::from_secs(5));
    // A crashes and comes back.
    let fresh = crate::support::Host::new(99, crate::support::A, Config::default());
    pair.a = fresh;
    pair.a.endpoint.load(quiet(End::A));
    pair.initiate(End::A);
    pair.settle();
    assert_ne!(pair.sa(End::B), old);
    pair.assert_agree();
    let told = |event: &Event| matches!(event, Event::IkeClosed { sa, .. } if *sa == old);
    assert!(pair.b.events.iter().any(told));
}

/// ```text
/// A                              B
/// reauthenticates: IKE_SA_INIT, IKE_AUTH ⇄ the new IKE SA with all children
/// D(IKE) on the old  ───────▶
/// ```
#[test]
fn reauthentication_makes_before_it_breaks() {
    let mut world = reauthenticating(0);
    let old = world.ike(End::A);
    while !world.pair.a.sent.is_empty() || !world.pair.b.sent.is_empty() {
        for end in [End::A, End::B] {
            if !world.pair.host(end).sent.is_empty() {
                world.pass(end);
            }
            assert_eq!(world.pair.host(end).carries.len(), 2, "a child carries no traffic");
        }
    }
    assert_ne!(world.ike(End::A), old);
    world.assert_settles(&[]);
}

/// The IKE SA that is to be replaced is itself rekeyed meanwhile, by either end and at any point: its
/// successor is what goes in the end.
#[test]
fn reauthentication_that_crosses_a_rekey_leaves_one_ike_sa() {
    for rekeys in [End::A, End::B] {
        for after in 0..12 {
            let mut world = reauthenticating(after);
            world.begin(rekeys, Act::RekeyIke);
            world.settle();
            world.assert_outcome(&outcome(&[]));
            world.assert_clean_end();
        }
    }
}

/// The same for what happens to the children.
#[test]
fn reauthentication_that_crosses_a_child_exchange_leaves_one_of_each() {
    for act in [Act::Rekey("net"), Act::Liveness] {
        for end in [End::A, End::B] {
            for after in 0..12 {
                let mut world = reauthenticating(after);
                world.begin(end, act);
                world.settle();
                world.assert_outcome(&outcome(&[act]));
                world.assert_clean_end();
            }
        }
    }
}

/// Asked for twice, done once.
#[test]
fn a_second_reauthentication_waits_for_the_first() {
    let mut world = reauthenticating(2);
    let sa = world.ike(End::A).unwrap();
    world.pair.with(End::A, |endpoint, now| endpoint.reauthenticate(now, sa)).unwrap();
    world.settle();
    world.assert_outcome(&outcome(&[]));
}

/// A reauthentication after so many datagrams.
fn reauthenticating(after: usize) -> World {
    let mut world = World::new(7, Pfs::Without);
    // With two children of one name the older carries again only when the newer is gone; that is for the
    // packet side to arrange.
    world.may_break();
    let old = world.ike(End::A).unwrap();
    world.pair.with(End::A, |endpoint, now| endpoint.reauthenticate(now, old)).unwrap();
    for _ in 0..after {
        let end = if world.pair.a.sent.is_empty() { End::B } else { End::A };
        if !world.pair.host(end).sent.is_empty() {
            world.pass(end);
        }
    }
    world
}

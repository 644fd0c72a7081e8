//! Exchanges about children that cross (RFC 7296 §2.8.1, §2.25.1), drawn one by one.

use crate::support::End;
use crate::world::{Act, Pfs, World};
use tidegate_ike::Event;

/// ```text
/// A                              B
/// SA, Ni, TS(three) ──╮ ╭── SA, Ni, TS(four)
///                   ──┼─╯
/// SA, Nr            ──┼─╮   two children do not concern each other
///                   ◀─╯ ╰─▶
/// ```
#[test]
fn two_new_children_do_not_concern_each_other() {
    let acts = [Act::Create("three"), Act::Create("four")];
    World::crossed(acts[0], acts[1]).assert_settles(&acts);
}

/// Both ends want the same child. Nothing forbids two with equal selectors (RFC 7296 §1.3.1); both stand.
#[test]
fn the_same_new_child_from_both_ends_stands_twice() {
    let acts = [Act::Create("three"), Act::Create("three")];
    World::crossed(acts[0], acts[1]).assert_settles(&acts);
}

/// ```text
/// A                               B
/// SA, Ni, TS(three) ──╮ ╭── REKEY_SA(net), SA, Ni
/// SA, Nr            ──┼─╯   both as usual, §2.25.1
///                     ╰─▶   SA, Nr
///                   ◀──── D(net)
/// ```
#[test]
fn a_new_child_and_a_rekey_do_not_concern_each_other() {
    for acts in [[Act::Create("three"), Act::Rekey("net")], [Act::Rekey("net"), Act::Create("three")]] {
        let mut world = World::crossed(acts[0], acts[1]);
        world.assert_settles(&acts);
        assert_eq!(world.told(End::A, |event| matches!(event, Event::ChildRekeyed { .. })), 1);
    }
}

/// ```text
/// A                               B
/// SA, Ni, TS(three) ──╮ ╭── D(net)
/// D(net)            ──┼─╯
///                     ╰─▶   SA, Nr
/// ```
#[test]
fn a_new_child_and_a_delete_do_not_concern_each_other() {
    for acts in [[Act::Create("three"), Act::Delete("net")], [Act::Delete("net"), Act::Create("three")]] {
        World::crossed(acts[0], acts[1]).assert_settles(&acts);
    }
}

/// ```text
/// A                                   B
/// REKEY_SA(net), SA, Ni1 ──╮ ╭── REKEY_SA(net), SA, Ni2
///                        ◀─┼─╯
/// SA, Nr2 ──╮              ╰─▶   makes 1
///           │            ╭────── SA, Nr1
/// makes 1 ◀─┼────────────╯       the lowest of four nonces loses (§2.8.1)
///           ╰─▶                  makes 2
/// the winner: D(net)             the loser: D(its own)
/// ```
#[test]
fn of_two_successors_of_one_child_the_one_with_the_lowest_nonce_goes() {
    let mut winners = Vec::new();
    for seed in 7..15 {
        let mut world = World::new(seed, Pfs::Without);
        let old = [End::A, End::B].map(|end| world.child(end, "net").unwrap());
        world.begin(End::A, Act::Rekey("net"));
        world.begin(End::B, Act::Rekey("net"));
        for from in [End::A, End::B, End::A, End::B] {
            world.pass(from);
        }
        // Both answers are there: each end deletes one child, the old one or its own.
        let kept = world.child(End::A, "net").unwrap();
        assert_ne!(kept, old[0]);
        let rekeyed_by_a = world.pair.a.events.iter().any(|event| {
            matches!(event, Event::ChildRekeyed { old: from, new, .. } if *from == old[0] && *new == kept)
        });
        assert!(rekeyed_by_a);
        world.settle();
        assert_eq!(world.child(End::A, "net"), Some(kept), "the loser stayed");
        winners.push(world.pair.a.events.len() > world.pair.b.events.len());
        world.assert_settles(&[]);
    }
    assert!(winners.contains(&true) && winners.contains(&false), "{winners:?}");
}

/// B has all of A's exchange before A sees any of B's.
///
/// ```text
/// A                                   B
/// REKEY_SA(net), SA, Ni1 ──╮ ╭── REKEY_SA(net), SA, Ni2
///                          ╰─┼─▶ makes 1
///                  ◀─────────┼── SA, Nr1
/// makes 1, moves             │
/// D(net) ────────────╮       │
///                  ◀─┼───────╯
/// TEMPORARY_FAILURE ─┼─▶         §2.25.1: A is closing it
/// ```
#[test]
fn a_rekey_that_comes_too_late_is_refused_and_not_tried_again() {
    let mut world = World::crossed(Act::Rekey("net"), Act::Rekey("net"));
    world.pass(End::A);
    let late = world.pair.host(End::B).sent.pop_front().unwrap();
    world.pass(End::B);
    let made = world.child(End::A, "net").unwrap();
    world.pair.deliver(End::A, &late);
    world.check();
    world.settle();
    assert_eq!(world.child(End::A, "net"), Some(made));
    assert_eq!(world.told(End::B, |event| matches!(event, Event::ChildRekeyed { .. })), 1);
    world.assert_settles(&[]);
}

#[test]
fn rekeys_of_two_children_do_not_concern_each_other() {
    let acts = [Act::Rekey("net"), Act::Rekey("two")];
    let mut world = World::crossed(acts[0], acts[1]);
    let old = ["net", "two"].map(|name| world.child(End::A, name));
    world.settle();
    for (name, old) in ["net", "two"].into_iter().zip(old) {
        assert_ne!(world.child(End::A, name), old);
    }
    world.assert_settles(&acts);
}

/// ```text
/// A                               B
/// REKEY_SA(net), SA, Ni ──╮ ╭── D(net)
/// D(net)                ──┼─╯   §2.25.1: answered as usual
///                         ╰─▶   TEMPORARY_FAILURE: B is closing it
/// ```
#[test]
fn a_rekey_of_a_child_that_the_peer_deletes_is_refused_and_the_child_goes() {
    for (rekeys, deletes) in [(End::A, End::B), (End::B, End::A)] {
        let mut world = World::new(7, Pfs::Without);
        world.begin(rekeys, Act::Rekey("net"));
        world.begin(deletes, Act::Delete("net"));
        world.pass(rekeys);
        world.pass(deletes);
        assert_eq!(world.child(rekeys, "net"), None);
        world.settle();
        assert_eq!(world.told(rekeys, |event| matches!(event, Event::ChildRekeyed { .. })), 0);
        world.assert_settles(&[Act::Delete("net")]);
    }
}

/// The Delete is carried out, and its answer given, before the rekey arrives: CHILD_SA_NOT_FOUND. What the
/// peer wanted to be rid of is not set up again.
///
/// ```text
/// A                               B
/// REKEY_SA(net), SA, Ni ──╮ ╭── D(net)
///                         │ ╰─▶
/// D(net)            ──────┼─▶
///                         ╰─▶   CHILD_SA_NOT_FOUND
/// ```
#[test]
fn a_rekey_that_arrives_after_the_delete_does_not_bring_the_child_back() {
    let mut world = World::crossed(Act::Rekey("net"), Act::Delete("net"));
    let late = world.pair.host(End::A).sent.pop_front().unwrap();
    world.pass(End::B);
    world.pass(End::A);
    world.pair.deliver(End::B, &late);
    world.assert_settles(&[Act::Delete("net")]);
}

#[test]
fn a_rekey_and_a_delete_of_two_children_do_not_concern_each_other() {
    for acts in [[Act::Rekey("net"), Act::Delete("two")], [Act::Delete("two"), Act::Rekey("net")]] {
        World::crossed(acts[0], acts[1]).assert_settles(&acts);
    }
}

/// ```text
/// A                B
/// D(net) ──╮ ╭── D(net)
/// (empty) ─┼─╯   §1.4.1: neither answer names it again
///          ╰─▶   (empty)
/// ```
#[test]
fn one_child_deleted_by_both_ends_goes_once() {
    let mut world = World::crossed(Act::Delete("net"), Act::Delete("net"));
    world.settle();
    for end in [End::A, End::B] {
        assert_eq!(world.told(end, |event| matches!(event, Event::ChildClosed { .. })), 1);
    }
    world.assert_settles(&[Act::Delete("net")]);
}

#[test]
fn two_children_deleted_by_one_end_each_both_go() {
    let acts = [Act::Delete("net"), Act::Delete("two")];
    World::crossed(acts[0], acts[1]).assert_settles(&acts);
}

/// ```text
/// A                                B
/// SA, Ni, TS(three) ────────────▶ makes it
///                        ╭─────── SA, Nr
/// does not know it ◀─────┼─────── D(three)
/// (empty)          ──────┼──────▶
/// made, and gone at once ◀╯
/// ```
#[test]
fn a_delete_that_overtakes_the_answer_which_made_the_child_counts() {
    for (first, name) in [(Act::Create("three"), "three"), (Act::Rekey("net"), "net")] {
        let mut world = World::new(7, Pfs::Without);
        world.begin(End::A, first);
        world.pass(End::A);
        let answer = world.pair.host(End::B).sent.pop_front().unwrap();
        world.begin(End::B, Act::Delete(name));
        world.pass(End::B);
        world.pair.deliver(End::A, &answer);
        world.assert_settles(&[first, Act::Delete(name)]);
    }
}

/// ```text
/// A                                B
/// SA, Ni, TS(three) ────────────▶ makes it
///                        ╭─────── SA, Nr
/// does not know it ◀─────┼─────── REKEY_SA(three), SA, Ni
/// TEMPORARY_FAILURE ─────┼──────▶ it must not think that the child is lost
/// made           ◀───────╯
/// ```
#[test]
fn a_rekey_that_overtakes_the_answer_which_made_the_child_is_tried_again() {
    let mut world = World::new(7, Pfs::Without);
    world.begin(End::A, Act::Create("three"));
    world.pass(End::A);
    let answer = world.pair.host(End::B).sent.pop_front().unwrap();
    world.begin(End::B, Act::Rekey("three"));
    world.pass(End::B);
    world.pass(End::A);
    assert!(world.retries(End::B));
    world.pair.deliver(End::A, &answer);
    world.assert_settles(&[Act::Create("three")]);
}

/// A's user has had enough of the child while A renews it; the successor goes too.
#[test]
fn a_child_that_is_closed_while_we_rekey_it_is_not_replaced() {
    for loses in [false, true] {
        let mut world = World::new(7, Pfs::Without);
        world.begin(End::A, Act::Rekey("net"));
        if loses {
            // B rekeys it too, and A has made B's successor when the user speaks.
            world.begin(End::B, Act::Rekey("net"));
            world.pass(End::B);
        }
        world.begin(End::A, Act::Delete("net"));
        world.assert_settles(&[Act::Delete("net")]);
    }
}

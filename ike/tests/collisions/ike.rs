//! New keys for the IKE SA, or its end, crossing everything else (RFC 7296 §2.8.2, §2.25.2).

use crate::support::End;
use crate::world::{Act, Pfs, World};
use tidegate_ike::Event;

/// ```text
/// A                            B
/// SA, Ni, KEi ──╮ ╭── any exchange about a child
/// usual answer ─┼─╯   §2.25.2: a Delete is answered, all else is put off
///               ╰─▶   TEMPORARY_FAILURE (§2.25.1)
/// ```
#[test]
fn a_rekey_of_the_ike_sa_waits_for_what_the_peer_does_with_its_children() {
    for act in [Act::Create("three"), Act::Rekey("net"), Act::Delete("net")] {
        for (rekeys, other) in [(End::A, End::B), (End::B, End::A)] {
            let mut world = World::new(7, Pfs::Without);
            let old = world.ike(End::A);
            world.begin(rekeys, Act::RekeyIke);
            world.begin(other, act);
            world.pass(rekeys);
            world.pass(other);
            world.pass(other);
            assert!(world.retries(rekeys), "{act:?}");
            world.pass(rekeys);
            assert_eq!(world.retries(other), !matches!(act, Act::Delete(_)), "{act:?}");
            world.settle();
            assert_ne!(world.ike(End::A), old, "the rekey was not tried again");
            world.assert_settles(&[act]);
        }
    }
}

/// ```text
/// A                                B
/// SA(a), Ni1, KEi ──╮ ╭── SA(b), Ni2, KEi
/// SA, Nr2, KEr    ──┼─╯
///                   ╰─▶   SA, Nr1, KEr
/// the lowest nonce loses (§2.8.2); its end deletes it, the other one the old SA
/// ```
#[test]
fn of_two_successors_of_the_ike_sa_the_one_with_the_lowest_nonce_goes() {
    let mut winners = Vec::new();
    for seed in 7..15 {
        let mut world = World::new(seed, Pfs::Without);
        let old = world.ike(End::A).unwrap();
        world.begin(End::A, Act::RekeyIke);
        world.begin(End::B, Act::RekeyIke);
        for from in [End::A, End::B, End::A, End::B] {
            world.pass(from);
        }
        let kept = world.ike(End::A).unwrap();
        assert_ne!(kept, old);
        let role = world.pair.a.endpoint.status(kept).unwrap().role();
        winners.push(role);
        let told = world.told(End::A, |event| matches!(event, Event::IkeRekeyed { .. }));
        assert_eq!(told, 1, "children moved more than once");
        world.settle();
        assert_eq!(world.ike(End::A), Some(kept), "the loser stayed");
        world.assert_settles(&[]);
    }
    winners.sort_unstable();
    winners.dedup();
    assert_eq!(winners.len(), 2, "the nonces never decided otherwise");
}

/// ```text
/// A                          B
/// SA(a), Ni1, KEi ──╮ ╭── SA(b), Ni2, KEi
///                   ╰─┼─▶
///               ◀─────┼── SA, Nr1, KEr     B has a rival to its own now
/// A goes on with a    │
/// D(IKE) on the old ──┼─▶                  §2.25.2: B's own is forgotten, a lives
///               ◀─────╯                    TEMPORARY_FAILURE, or nobody there
/// ```
#[test]
fn a_successor_that_the_peer_has_gone_on_with_is_kept() {
    let mut world = World::crossed(Act::RekeyIke, Act::RekeyIke);
    world.pass(End::A);
    let late = world.pair.host(End::B).sent.pop_front().unwrap();
    world.pass(End::B);
    let kept = world.ike(End::A);
    world.pass(End::A);
    assert!(world.ike(End::B).is_some());
    world.pair.deliver(End::A, &late);
    world.settle();
    assert_eq!(world.ike(End::A), kept);
    world.assert_settles(&[]);
}

/// B has both answers and goes on with its own successor, which A still weighs against its own. A request
/// about a child on it tells A that B has decided.
#[test]
fn a_request_about_children_decides_between_two_successors() {
    for seed in 7..15 {
        let mut world = World::new(seed, Pfs::Without);
        world.begin(End::A, Act::RekeyIke);
        world.begin(End::B, Act::RekeyIke);
        world.pass(End::A);
        world.pass(End::B);
        // B's answer to A is late; A's to B is not.
        let late = world.pair.host(End::B).sent.pop_front().unwrap();
        world.pass(End::A);
        world.begin(End::B, Act::Delete("net"));
        let last = world.pair.host(End::B).sent.pop_back().unwrap();
        world.pair.deliver(End::A, &last);
        world.pair.deliver(End::A, &late);
        world.settle();
        let told = world.told(End::A, |event| matches!(event, Event::IkeRekeyed { .. }));
        assert_eq!(told, 1, "children moved more than once");
        world.assert_settles(&[Act::Delete("net")]);
    }
}

/// ```text
/// A                      B
/// SA, Ni, KEi ──╮ ╭── D(IKE)
/// (empty)     ──┼─╯   §2.25.2: answered, and ours is forgotten
///               ╰─▶   TEMPORARY_FAILURE, for ever
/// ```
#[test]
fn an_ike_sa_that_one_end_deletes_is_not_rekeyed_by_the_other() {
    for (rekeys, deletes) in [(End::A, End::B), (End::B, End::A)] {
        for rekey_first in [false, true] {
            let mut world = World::new(7, Pfs::Without);
            world.begin(rekeys, Act::RekeyIke);
            world.begin(deletes, Act::DeleteIke);
            world.pass(if rekey_first { rekeys } else { deletes });
            world.assert_settles(&[Act::DeleteIke]);
        }
    }
}

/// ```text
/// A                B
/// D(IKE) ──╮ ╭── D(IKE)
/// (empty) ─┼─╯   §2.25.2: answered as usual, and our own is forgotten
///          ╰─▶   (empty)
/// ```
#[test]
fn an_ike_sa_deleted_by_both_ends_goes_once() {
    let mut world = World::crossed(Act::DeleteIke, Act::DeleteIke);
    world.settle();
    for end in [End::A, End::B] {
        assert_eq!(world.told(end, |event| matches!(event, Event::IkeClosed { .. })), 1);
    }
    world.assert_settles(&[Act::DeleteIke]);
}

/// ```text
/// A                B
/// D(IKE) ──╮ ╭── any exchange about a child
/// refusal ─┼─╯
///          ╰─▶   it goes with all that is under way
/// ```
#[test]
fn a_deleted_ike_sa_takes_every_exchange_with_it() {
    for act in [Act::Create("three"), Act::Rekey("net"), Act::Delete("net"), Act::Liveness] {
        for (deletes, other) in [(End::A, End::B), (End::B, End::A)] {
            for delete_first in [false, true] {
                let mut world = World::new(7, Pfs::Without);
                world.begin(deletes, Act::DeleteIke);
                world.begin(other, act);
                world.pass(if delete_first { deletes } else { other });
                world.assert_settles(&[Act::DeleteIke]);
            }
        }
    }
}

/// The user ends the IKE SA while its rekey is under way, ours or the peer's: the successor goes too.
#[test]
fn an_ike_sa_that_is_closed_while_it_is_rekeyed_leaves_no_successor() {
    for (rekeys, closes) in [(End::A, End::A), (End::A, End::B)] {
        let mut world = World::new(7, Pfs::Without);
        world.begin(rekeys, Act::RekeyIke);
        world.pass(rekeys);
        world.begin(closes, Act::DeleteIke);
        world.assert_settles(&[Act::DeleteIke]);
    }
    // B's own liveness check holds its Delete back while A's rekey arrives.
    let mut world = World::new(7, Pfs::Without);
    world.begin(End::B, Act::Liveness);
    world.begin(End::A, Act::RekeyIke);
    world.begin(End::B, Act::DeleteIke);
    world.pass(End::A);
    world.assert_settles(&[Act::DeleteIke]);
}

/// A sign of life is asked for while everything else happens; nothing waits for it and it hurts nothing.
#[test]
fn a_liveness_check_crosses_everything_unharmed() {
    let acts = [
        Act::Create("three"),
        Act::Rekey("net"),
        Act::Delete("net"),
        Act::RekeyIke,
        Act::DeleteIke,
        Act::Liveness,
    ];
    for act in acts {
        for (asks, other) in [(End::A, End::B), (End::B, End::A)] {
            let mut world = World::new(7, Pfs::Without);
            world.begin(asks, Act::Liveness);
            world.begin(other, act);
            world.pass(other);
            assert!(!world.retries(other), "{act:?}");
            world.assert_settles(&[act]);
        }
    }
}

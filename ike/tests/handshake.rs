//! Setting up, keeping and ending an IKE SA, with nothing lost on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;
use support::{End, Pair};
use tidegate_ike::{Cause, Event};

#[test]
fn two_ends_with_one_secret_end_up_with_one_child() {
    let mut pair = Pair::psk(1);
    pair.initiate(End::A);
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
    assert_eq!(pair.a.carries.len(), 1);
    assert_eq!(pair.b.carries.len(), 1);
}

#[test]
fn a_child_is_rekeyed_and_the_old_one_goes() {
    let mut pair = Pair::established(2);
    let old = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, old)).unwrap();
    pair.settle();
    let new = pair.child(End::A);
    assert_ne!(old, new);
    assert_eq!(pair.a.carries.values().collect::<Vec<_>>(), [&new]);
    assert_eq!(pair.b.carries.len(), 1);
    pair.run(Duration::from_secs(6));
    pair.assert_agree();
    assert_eq!(pair.a.installed.len(), 2, "the old one is gone, its stragglers seen");
    assert_eq!(pair.b.installed.len(), 2);
}

#[test]
fn an_ike_sa_is_rekeyed_and_takes_its_child_along() {
    for end in [End::A, End::B] {
        let mut pair = Pair::established(3);
        let (sa, child) = (pair.sa(end), pair.child(end));
        pair.with(end, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
        pair.settle();
        assert_ne!(pair.sa(end), sa);
        assert_eq!(pair.child(end), child);
        pair.run(Duration::from_secs(20));
        pair.assert_agree();
        assert_eq!(pair.a.endpoint.len(), 1);
        assert_eq!(pair.b.endpoint.len(), 1);
    }
}

#[test]
fn a_deleted_ike_sa_leaves_nothing_behind() {
    for end in [End::A, End::B] {
        let mut pair = Pair::established(4);
        let sa = pair.sa(end);
        pair.with(end, |endpoint, now| endpoint.terminate(now, sa)).unwrap();
        pair.run(Duration::from_secs(30));
        for host in [&pair.a, &pair.b] {
            assert!(host.endpoint.is_empty());
            assert!(host.installed.is_empty());
            assert_eq!(host.endpoint.resources(), [0, 0, 0]);
        }
        let told = pair.host(end.other()).events.iter().any(
            |event| matches!(event, Event::IkeClosed { verdict, .. } if verdict.cause == Cause::ClosedByPeer),
        );
        assert!(told);
    }
}

#[test]
fn a_day_passes_with_rekeys_on_both_sides() {
    let mut pair = Pair::established(5);
    pair.run(Duration::from_secs(24 * 3600));
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
    let rekeys = |events: &[Event]| events.iter().filter(|e| matches!(e, Event::IkeRekeyed { .. })).count();
    assert!(rekeys(&pair.a.events) >= 5, "{}", rekeys(&pair.a.events));
    let children = pair.a.events.iter().filter(|e| matches!(e, Event::ChildRekeyed { .. })).count();
    assert!(children >= 20, "{children}");
}

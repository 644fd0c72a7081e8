//! How long things live: rekeys, reauthentication, expiry, and IKE_AUTH without a child.

use crate::bench::{
    child_closings, closings, due, established_with, kind, pair_with, run_by, secs, set_up_by, straight,
};
use crate::support::{End, Host, Pair, connection};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::Direction;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::{ChildLifetimes, ChildStart, Childless, Connection, IkeLifetimes};
use tidegate_ike::crypto::Secret;
use tidegate_ike::proposal::EspProposal;
use tidegate_ike::wire::ExchangeType;
use tidegate_ike::{Cause, Event, SaId, Timer, Transmit};

fn ike_lifetimes(connection: &mut Connection, change: impl FnOnce(&mut IkeLifetimes)) {
    change(&mut connection.lifetimes);
}

fn child_lifetimes(connection: &mut Connection, change: impl FnOnce(&mut ChildLifetimes)) {
    change(&mut Arc::make_mut(&mut connection.children[0]).lifetimes);
}

/// Nothing ends by itself.
fn for_ever(connection: &mut Connection) {
    connection.liveness = None;
    ike_lifetimes(connection, |ike| ike.rekey = None);
    child_lifetimes(connection, |child| child.rekey = None);
}

fn count(host: &Host, what: impl Fn(&Event) -> bool) -> usize {
    host.events.iter().filter(|event| what(event)).count()
}

/// Every end has a child to send on, and it is installed.
#[track_caller]
fn assert_carrying(pair: &Pair) {
    for host in [&pair.a, &pair.b] {
        let carrier = host.carries.get("net").expect("a moment without a carrier");
        assert!(host.installed.contains_key(&(*carrier, Direction::Outbound)));
        assert!(host.installed.contains_key(&(*carrier, Direction::Inbound)));
    }
}

/// Runs and looks after every single datagram whether traffic could go on.
fn run_carrying(pair: &mut Pair, span: Duration) {
    let end = pair.now + span;
    while let Some(at) = crate::bench::next_deadline(pair).filter(|&at| at <= end) {
        pair.now = pair.now.max(at);
        crate::bench::tick(pair);
        for _ in 0..1_000 {
            assert_carrying(pair);
            if !(pair.pass(End::A) | pair.pass(End::B)) {
                break;
            }
        }
    }
    pair.now = end;
}

#[test]
fn a_rekey_begins_before_its_time_by_no_more_than_the_jitter() {
    let mut seen = Vec::new();
    for seed in 0..20 {
        let mut pair = established_with(seed, |end, connection| {
            for_ever(connection);
            if end == End::A {
                ike_lifetimes(connection, |ike| (ike.rekey, ike.jitter) = (Some(secs(1000)), secs(100)));
            }
        });
        let sa = pair.sa(End::A);
        let (at, timer) = due(&pair.a, sa).unwrap();
        assert_eq!(timer, Timer::RekeyIke);
        let wait = at.since(pair.now);
        assert!(wait > secs(900) && wait <= secs(1000), "{wait:?}");
        seen.push(wait);
        pair.run(secs(1001));
        assert_eq!(count(&pair.a, |event| matches!(event, Event::IkeRekeyed { .. })), 1);
        pair.assert_agree();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 20, "no two alike");
}

#[test]
fn a_child_is_renewed_before_its_time_and_carries_on() {
    let mut pair = established_with(1, |end, connection| {
        for_ever(connection);
        if end == End::B {
            child_lifetimes(connection, |child| (child.rekey, child.jitter) = (Some(secs(100)), secs(10)));
        }
    });
    run_carrying(&mut pair, secs(1000));
    let rekeys = count(&pair.b, |event| matches!(event, Event::ChildRekeyed { .. }));
    assert!((10..=11).contains(&rekeys), "{rekeys}");
    pair.assert_agree();
}

#[test]
fn a_child_whose_renewal_never_succeeds_ends_in_time() {
    // The two ends differ over PFS, so every rekey is refused.
    let mut pair = established_with(2, |end, connection| {
        for_ever(connection);
        let child = Arc::make_mut(&mut connection.children[0]);
        child.start = ChildStart::WithIke;
        if end == End::A {
            child.proposals = EspProposal::parse_list("aes128gcm16-x25519").unwrap();
            child.lifetimes.rekey = Some(secs(100));
            child.lifetimes.jitter = secs(0);
            child.lifetimes.overtime = secs(150);
        } else {
            child.proposals = EspProposal::parse_list("aes128gcm16").unwrap();
        }
    });
    pair.run(secs(249));
    assert_eq!(pair.a.children().len(), 1);
    pair.run(secs(2));
    assert!(pair.a.children().is_empty() && pair.b.children().is_empty());
    assert_eq!(child_closings(&pair.a)[0].cause, Cause::Expired);
    pair.run(secs(6));
    assert!(pair.a.installed.is_empty() && pair.b.installed.is_empty());
}

#[test]
fn reauthentication_makes_the_new_ike_sa_before_it_breaks_the_old() {
    let mut pair = established_with(3, |end, connection| {
        for_ever(connection);
        if end == End::A {
            ike_lifetimes(connection, |ike| {
                (ike.reauthenticate, ike.jitter) = (Some(secs(1000)), secs(0));
            });
        }
    });
    let old: SaId = pair.sa(End::A);
    run_carrying(&mut pair, secs(1010));
    assert_ne!(pair.sa(End::A), old);
    assert_eq!(pair.a.children().len(), 1);
    assert_eq!(closings(&pair.a)[0].cause, Cause::Replaced);
    assert_eq!(closings(&pair.b)[0].cause, Cause::ClosedByPeer);
    pair.run(secs(15));
    assert_eq!((pair.a.endpoint.len(), pair.b.endpoint.len()), (1, 1));
    assert_eq!((pair.a.installed.len(), pair.b.installed.len()), (2, 2));
    pair.assert_agree();
}

#[test]
fn a_responders_limit_on_authentication_makes_the_initiator_repeat_it() {
    // RFC 4478 §3
    let mut pair = established_with(4, |end, connection| {
        for_ever(connection);
        if end == End::B {
            ike_lifetimes(connection, |ike| ike.authentication = Some(secs(600)));
        }
    });
    let old = pair.sa(End::A);
    run_carrying(&mut pair, secs(599));
    assert_ne!(pair.sa(End::A), old);
    pair.run(secs(3600));
    let established = count(&pair.b, |event| matches!(event, Event::IkeEstablished { .. }));
    assert!((7..=9).contains(&established), "{established}");
    pair.assert_agree();
}

#[test]
fn a_rekey_does_not_put_reauthentication_off() {
    let mut pair = established_with(5, |end, connection| {
        for_ever(connection);
        ike_lifetimes(connection, |ike| {
            ike.rekey = (end == End::B).then_some(secs(250));
            ike.jitter = secs(0);
            ike.authentication = (end == End::B).then_some(secs(600));
        });
    });
    pair.run(secs(539));
    assert_eq!(count(&pair.a, |event| matches!(event, Event::IkeRekeyed { .. })), 2);
    assert_eq!(count(&pair.a, |event| matches!(event, Event::IkeEstablished { .. })), 1);
    pair.run(secs(2));
    assert_eq!(count(&pair.a, |event| matches!(event, Event::IkeEstablished { .. })), 2);
    pair.run(secs(20));
    pair.assert_agree();
}

#[test]
fn a_peer_that_does_not_authenticate_again_loses_its_ike_sa() {
    // RFC 4478 §4: no IKE_SA_INIT of A's arrives any more.
    let mut pair = pair_with(6, |end, connection| {
        for_ever(connection);
        if end == End::B {
            ike_lifetimes(connection, |ike| ike.authentication = Some(secs(600)));
        }
    });
    set_up_by(&mut pair, &mut straight);
    let mut wire = |from, transmit: &Transmit| {
        if kind(transmit).0 == ExchangeType::IkeSaInit { None } else { straight(from, transmit) }
    };
    run_by(&mut pair, secs(598), &mut wire);
    assert_eq!(pair.b.standing().len(), 1, "the old one is kept while it may be");
    run_by(&mut pair, secs(3), &mut wire);
    assert!(pair.b.standing().is_empty());
    let causes: Vec<_> = [&pair.a, &pair.b].map(|host| closings(host)[0].cause.clone()).into();
    assert!(causes.contains(&Cause::Expired), "{causes:?}");
}

#[test]
fn a_failed_reauthentication_is_repeated_and_the_old_ike_sa_ends_in_time() {
    let mut pair = established_with(7, |end, connection| {
        for_ever(connection);
        if end == End::A {
            ike_lifetimes(connection, |ike| {
                ike.reauthenticate = Some(secs(1000));
                ike.jitter = secs(0);
                ike.overtime = secs(300);
            });
        }
    });
    let mut changed = connection(End::B);
    changed.remote.auth = Arc::new(RemoteAuth::Psk(Secret::new(b"another secret".to_vec())));
    pair.b.endpoint.load(changed);
    pair.run(secs(1299));
    assert_eq!(pair.a.standing().len(), 1);
    assert!(count(&pair.a, |event| matches!(event, Event::IkeFailed { .. })) >= 3);
    pair.run(secs(2));
    assert!(pair.a.standing().is_empty());
    assert_eq!(closings(&pair.a)[0].cause, Cause::Expired);
}

#[test]
fn a_failed_reauthentication_succeeds_once_the_cause_is_mended() {
    let mut pair = established_with(8, |end, connection| {
        for_ever(connection);
        if end == End::A {
            ike_lifetimes(connection, |ike| (ike.reauthenticate, ike.jitter) = (Some(secs(1000)), secs(0)));
        }
    });
    let secret = |text: &[u8]| Secret::new(text.to_vec());
    let mut changed = connection(End::A);
    changed.local.auth = Arc::new(LocalAuth::Psk(secret(b"mistyped")));
    pair.a.endpoint.load(changed);
    run_carrying(&mut pair, secs(1050));
    assert_eq!(count(&pair.a, |event| matches!(event, Event::IkeFailed { .. })), 1);
    pair.a.endpoint.load(connection(End::A));
    run_carrying(&mut pair, secs(100));
    pair.run(secs(15));
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
    assert_eq!(count(&pair.a, |event| matches!(event, Event::IkeEstablished { .. })), 2);
}

#[test]
fn a_reauthentication_in_the_middle_of_a_rekey_doubles_no_child() {
    let mut pair = established_with(9, |_, connection| for_ever(connection));
    let (sa, child) = (pair.sa(End::A), pair.child(End::A));
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    pair.pass(End::A);
    pair.pass(End::B);
    pair.with(End::A, |endpoint, now| endpoint.reauthenticate(now, sa)).unwrap();
    pair.run(secs(20));
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
    assert_eq!(pair.a.installed.len(), 2);
}

#[test]
fn an_ike_sa_without_children_to_start_comes_up_without_one() {
    // RFC 6023
    let mut pair = established_with(10, |_, connection| {
        Arc::make_mut(&mut connection.children[0]).start = ChildStart::OnDemand;
    });
    assert!(pair.a.children().is_empty() && pair.b.children().is_empty());
    assert!(pair.a.failures().is_empty() && pair.b.failures().is_empty());
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.create_child(now, sa, "net")).unwrap();
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
}

#[test]
fn where_childless_is_not_allowed_the_first_child_comes_along_all_the_same() {
    let pair = established_with(11, |_, connection| {
        connection.childless = Childless::Never;
        Arc::make_mut(&mut connection.children[0]).start = ChildStart::OnDemand;
    });
    assert_eq!(pair.a.children().len(), 1);
    pair.assert_agree();
}

#[test]
fn where_childless_is_preferred_every_child_has_an_exchange_of_its_own() {
    let mut pair = pair_with(12, |_, connection| connection.childless = Childless::Prefer);
    pair.initiate(End::A);
    for _ in 0..2 {
        pair.pass(End::A);
        pair.pass(End::B);
    }
    assert_eq!(pair.a.standing().len(), 1);
    assert!(pair.b.children().is_empty());
    assert_eq!(kind(&pair.a.sent[0]), (ExchangeType::CreateChildSa, false));
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
}

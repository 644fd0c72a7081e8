//! Addresses that change under an IKE SA (RFC 4555).

use crate::bench::{
    Nat, Wire, closings, cut, deliver_at, header, kind, moves, outbound, pair_with, path, run_by, secs,
    set_up_by, settle_by, straight, verdict,
};
use crate::support::{A, B, End, Host, Pair, fixed, mirrored};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tidegate_esp::{AddressRange, Encapsulation, Ports};
use tidegate_ike::connection::{Connection, EncapsulationPolicy};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::wire::{ExchangeType, NotifyType};
use tidegate_ike::{Cause, DataEvent, Framing, Transmit};

pub(crate) const A2: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
pub(crate) const A3: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 3));
const B2: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));

pub(crate) const INFORM: (ExchangeType, bool) = (ExchangeType::Informational, false);

pub(crate) fn mobile(end: End, connection: &mut Connection) {
    connection.mobike = true;
    connection.encapsulation = EncapsulationPolicy::Auto;
    connection.liveness = (end == End::A).then_some(secs(10));
    if end == End::B {
        connection.remote.addresses.clear();
    }
}

fn addresses(pair: &mut Pair, end: End, list: &[IpAddr]) {
    let list = list.to_vec();
    pair.with(end, |endpoint, now| endpoint.set_local_addresses(now, list));
}

/// Set up, with these addresses of B's.
fn set_up(seed: u64, of_b: &[IpAddr], change: impl Fn(End, &mut Connection)) -> Pair {
    let mut pair = pair_with(seed, |end, connection| {
        mobile(end, connection);
        change(end, connection);
    });
    addresses(&mut pair, End::B, of_b);
    pair.set_up();
    pair
}

pub(crate) fn plain(seed: u64) -> Pair {
    set_up(seed, &[B], |_, _| {})
}

/// Where the packet side of an end sends its ESP from and to.
pub(crate) fn esp(host: &Host) -> (IpAddr, IpAddr) {
    let path = outbound(host).path;
    (path.local.ip(), path.remote.ip())
}

/// Both ends use these two addresses, for IKE and for ESP.
#[track_caller]
pub(crate) fn assert_on(pair: &mut Pair, a: IpAddr, b: IpAddr) {
    for (end, local, remote) in [(End::A, a, b), (End::B, b, a)] {
        let path = path(pair, end);
        assert_eq!((path.local.ip(), path.remote.ip()), (local, remote), "IKE of {end:?}");
        assert_eq!(esp(pair.host(end)), (local, remote), "ESP of {end:?}");
    }
    pair.assert_agree();
}

/// A wire on which nothing reaches these addresses.
fn without(dead: &[IpAddr]) -> impl FnMut(End, &Transmit) -> Option<tidegate_ike::Path> {
    let dead = dead.to_vec();
    move |_, transmit| (!dead.contains(&transmit.path.remote.ip())).then(|| mirrored(&transmit.path))
}

/// Runs for a while on a wire that gives each end its true neighbours.
pub(crate) fn run(pair: &mut Pair, seconds: u64, wire: &mut Wire<'_>) {
    run_by(pair, secs(seconds), wire);
}

#[test]
fn ike_goes_to_4500_ahead_of_any_nat_and_esp_stays_bare() {
    // RFC 4555 §3.3
    let mut pair = plain(1);
    for end in [End::A, End::B] {
        let path = path(&mut pair, end);
        assert_eq!((path.local.port(), path.remote.port(), path.framing), (4500, 4500, Framing::Marked));
        assert_eq!(outbound(pair.host(end)).path.encapsulation, Encapsulation::None);
    }
}

#[test]
fn an_initiator_that_loses_its_address_moves_and_traffic_follows_the_cookie() {
    // A (from A2): N(UPDATE_SA_ADDRESSES), NAT detection ──▶
    //                                                    ◀──  NAT detection      A: ESP moves
    //                                                    ◀──  N(COOKIE2)
    // A: N(COOKIE2)                                      ──▶                     B: ESP moves
    let mut pair = plain(2);
    addresses(&mut pair, End::A, &[A2]);
    let update = pair.take(End::A);
    assert_eq!((kind(&update), update.path.local.ip()), (INFORM, A2));
    pair.deliver(End::B, &update);
    assert_eq!(path(&mut pair, End::B).remote.ip(), A2);
    assert_eq!(esp(&pair.b), (B, A), "not before the peer has shown that it is there");
    let (answer, question) = (pair.take(End::B), pair.take(End::B));
    assert!(header(&answer).response && answer.path.remote.ip() == A2);
    assert_eq!((kind(&question), question.path.remote.ip()), (INFORM, A2));
    pair.deliver(End::A, &answer);
    assert_eq!(esp(&pair.a), (A2, B));
    pair.deliver(End::A, &question);
    pair.pass(End::A);
    assert_eq!(esp(&pair.b), (B, A2));
    pair.settle();
    assert_on(&mut pair, A2, B);
    assert_eq!((moves(&pair.a).len(), moves(&pair.b).len()), (1, 1));
    assert!(pair.a.failures().is_empty() && pair.b.failures().is_empty());
}

#[test]
fn traffic_never_goes_where_the_peer_does_not_answer() {
    // RFC 4555 §3.7: A claims an address at which nothing arrives.
    let mut pair = plain(3);
    addresses(&mut pair, End::A, &[A2]);
    for _ in 0..25 {
        run(&mut pair, 1, &mut without(&[A2]));
        assert_eq!(esp(&pair.b), (B, A));
    }
}

#[test]
fn an_answer_about_one_address_says_nothing_of_the_next() {
    // RFC 4555 §3.7: A goes on from A2 to A3 while its answer to COOKIE2 is under way.
    let mut pair = plain(26);
    addresses(&mut pair, End::A, &[A2]);
    pair.pass(End::A);
    while pair.pass(End::B) {}
    let cookie = pair.take(End::A);
    assert!(header(&cookie).response);
    addresses(&mut pair, End::A, &[A3]);
    pair.pass(End::A);
    assert_eq!(path(&mut pair, End::B).remote.ip(), A3);
    pair.deliver(End::B, &cookie);
    assert_eq!(esp(&pair.b), (B, A), "nobody has answered at A3");
    settle_by(&mut pair, &mut without(&[A, A2]));
    assert_on(&mut pair, A3, B);
}

#[test]
fn the_path_that_an_answer_came_on_is_taken_not_the_one_tried_last() {
    // Nothing reaches B. What goes to B2 is answered late, when B has been tried once more.
    let mut pair = set_up(27, &[B, B2], |_, _| {});
    let mut late = None;
    let mut tried = Vec::new();
    while tried.last() != Some(&B) || late.is_none() {
        assert!(tried.len() < 10, "{tried:?}");
        run(&mut pair, 1, &mut |from, transmit| {
            if from == End::A {
                tried.push(transmit.path.remote.ip());
                return (transmit.path.remote.ip() == B2).then(|| mirrored(&transmit.path));
            }
            late.get_or_insert_with(|| transmit.clone());
            None
        });
    }
    pair.deliver(End::A, &late.unwrap());
    settle_by(&mut pair, &mut without(&[B]));
    assert_on(&mut pair, A, B2);
}

#[test]
fn esp_from_elsewhere_moves_no_peer_that_speaks_mobike() {
    let mut pair = plain(28);
    let child = pair.child(End::B);
    let remote = SocketAddr::new(A2, 4500);
    pair.with(End::B, |endpoint, now| endpoint.handle_data(now, DataEvent::PeerMoved { child, remote }));
    assert_on(&mut pair, A, B);
}

#[test]
fn a_peer_without_mobike_is_not_moved() {
    let mut pair = set_up(4, &[B], |end, connection| connection.mobike = end == End::A);
    addresses(&mut pair, End::A, &[A2]);
    assert!(pair.a.sent.is_empty());
    assert_eq!(path(&mut pair, End::A).local.ip(), A);
}

#[test]
fn further_addresses_of_the_responder_are_used_when_it_does_not_answer() {
    // RFC 4555 §3.4, §3.5
    let mut pair = set_up(5, &[B, B2], |_, _| {});
    run(&mut pair, 25, &mut without(&[B]));
    settle_by(&mut pair, &mut straight);
    assert_on(&mut pair, A, B2);
    assert!(closings(&pair.a).is_empty());
    // And back: what was left remains known.
    run(&mut pair, 25, &mut without(&[B2]));
    settle_by(&mut pair, &mut straight);
    assert_on(&mut pair, A, B);
}

#[test]
fn addresses_that_the_responder_gets_later_are_announced() {
    // RFC 4555 §3.6
    let mut pair = plain(6);
    addresses(&mut pair, End::B, &[B, B2]);
    assert_eq!(kind(&pair.b.sent[0]), INFORM);
    pair.settle();
    assert_on(&mut pair, A, B);
    run(&mut pair, 25, &mut without(&[B]));
    settle_by(&mut pair, &mut straight);
    assert_on(&mut pair, A, B2);
}

#[test]
fn an_address_that_the_responder_takes_back_is_not_tried() {
    let mut pair = set_up(7, &[B, B2], |_, _| {});
    addresses(&mut pair, End::B, &[B]);
    pair.settle();
    run(&mut pair, 35, &mut |_, transmit: &Transmit| {
        assert_ne!(transmit.path.remote.ip(), B2);
        None
    });
}

#[test]
fn a_responder_that_loses_the_address_in_use_says_so_from_another() {
    // B (from B2): N(NO_ADDITIONAL_ADDRESSES) ──▶  A finds B missing
    //              ◀── N(UPDATE_SA_ADDRESSES), to B2
    let mut pair = set_up(8, &[B, B2], |_, _| {});
    addresses(&mut pair, End::B, &[B2]);
    let announcement = pair.b.sent[0].clone();
    assert_eq!((kind(&announcement), announcement.path.local.ip()), (INFORM, B2));
    settle_by(&mut pair, &mut without(&[B]));
    assert_on(&mut pair, A, B2);
}

#[test]
fn the_responder_alone_never_moves_the_peer() {
    // RFC 4555 §3.8: no dynamic updates of IKE, authentic or not.
    let mut pair = plain(9);
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    let request = pair.take(End::A);
    let seen = tidegate_ike::Path { remote: SocketAddr::new(A2, 4500), ..mirrored(&request.path) };
    deliver_at(&mut pair, End::B, seen, &request.bytes);
    assert_eq!(pair.b.sent[0].path.remote.ip(), A2, "but an answer goes where the request came from");
    pair.settle();
    assert_on(&mut pair, A, B);
}

#[test]
fn an_address_that_changes_during_an_update_makes_a_second_one() {
    // RFC 4555 §3.5
    let mut pair = plain(10);
    addresses(&mut pair, End::A, &[A2]);
    let first = pair.take(End::A);
    addresses(&mut pair, End::A, &[A3]);
    assert!(pair.a.sent.is_empty(), "one request at a time");
    pair.deliver(End::B, &first);
    settle_by(&mut pair, &mut without(&[A, A2]));
    run(&mut pair, 30, &mut without(&[A, A2]));
    assert_on(&mut pair, A3, B);
}

#[test]
fn a_late_answer_to_an_update_does_not_undo_the_next() {
    let mut pair = plain(11);
    addresses(&mut pair, End::A, &[A2]);
    pair.pass(End::A);
    let answer = pair.take(End::B);
    addresses(&mut pair, End::A, &[A3]);
    pair.deliver(End::A, &answer);
    assert_ne!(esp(&pair.a), (A2, B), "nothing is done for an address that is gone");
    assert!(moves(&pair.a).is_empty());
    run(&mut pair, 30, &mut without(&[A, A2]));
    assert_on(&mut pair, A3, B);
}

#[test]
fn a_lost_update_is_repeated() {
    let mut pair = plain(12);
    addresses(&mut pair, End::A, &[A2]);
    settle_by(&mut pair, &mut cut);
    run(&mut pair, 2, &mut without(&[A]));
    assert_on(&mut pair, A2, B);
}

#[test]
fn an_initiator_gets_back_an_address_that_it_had_lost() {
    let mut pair = plain(13);
    addresses(&mut pair, End::A, &[]);
    assert!(pair.a.sent.is_empty());
    addresses(&mut pair, End::A, &[A3]);
    pair.settle();
    assert_on(&mut pair, A3, B);
}

#[test]
fn the_original_initiator_moves_even_if_the_responder_has_rekeyed_the_ike_sa() {
    let mut pair = plain(14);
    let sa = pair.sa(End::B);
    pair.with(End::B, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    pair.run(secs(15));
    addresses(&mut pair, End::A, &[A2]);
    pair.settle();
    assert_on(&mut pair, A2, B);
    // And the other end still only announces.
    addresses(&mut pair, End::B, &[B, B2]);
    pair.settle();
    assert_on(&mut pair, A2, B);
    run(&mut pair, 25, &mut without(&[B]));
    settle_by(&mut pair, &mut straight);
    assert_on(&mut pair, A2, B2);
}

#[test]
fn further_addresses_outlive_an_ike_rekey() {
    let mut pair = set_up(15, &[B, B2], |_, _| {});
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    pair.run(secs(1));
    run(&mut pair, 25, &mut without(&[B]));
    settle_by(&mut pair, &mut straight);
    assert_on(&mut pair, A, B2);
}

#[test]
fn the_family_may_change_with_the_address() {
    let [a6, b6]: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
    let mut pair = set_up(16, &[B, b6], |_, _| {});
    addresses(&mut pair, End::A, &[a6]);
    pair.settle();
    assert_on(&mut pair, a6, b6);
}

#[test]
fn an_address_that_the_peers_policy_forbids_is_refused() {
    let mut pair = set_up(17, &[B], |end, connection| {
        if end == End::B {
            connection.remote.addresses = vec![AddressRange::host(A), AddressRange::host(A2)];
        }
    });
    addresses(&mut pair, End::A, &[A3]);
    pair.settle();
    assert_eq!(verdict(&pair.a).cause, Cause::Refused(NotifyType::UNACCEPTABLE_ADDRESSES));
    assert_eq!(path(&mut pair, End::B).remote.ip(), A);
    assert_eq!(esp(&pair.b), (B, A));
    addresses(&mut pair, End::A, &[A2]);
    pair.settle();
    assert_on(&mut pair, A2, B);
}

/// Behind a NAT from the beginning.
pub(crate) fn behind(nat: Nat) -> Pair {
    let mut pair = pair_with(18, mobile);
    set_up_by(&mut pair, &mut nat.wire());
    pair
}

pub(crate) fn seen_by_b(pair: &mut Pair) -> [SocketAddr; 2] {
    [path(pair, End::B).remote, outbound(&pair.b).path.remote]
}

#[test]
fn a_nat_that_maps_us_anew_is_noticed_in_a_liveness_reply() {
    // RFC 4555 §3.8, before and after there was a first reply to compare with.
    for quiet in [0, 60] {
        let nat = Nat::before(End::A);
        let mut pair = behind(nat);
        run(&mut pair, quiet, &mut nat.wire());
        assert_eq!(seen_by_b(&mut pair), [SocketAddr::new(nat.outside, 34_500); 2]);
        let rebound = Nat { shift: 31_000, ..nat };
        run(&mut pair, 11, &mut rebound.wire());
        assert_eq!(seen_by_b(&mut pair), [SocketAddr::new(nat.outside, 35_500); 2], "after {quiet} s");
        pair.assert_agree();
    }
}

#[test]
fn a_steady_nat_costs_one_update_and_no_more() {
    let nat = Nat::before(End::A);
    let mut pair = behind(nat);
    run(&mut pair, 300, &mut nat.wire());
    assert!(moves(&pair.b).len() <= 1, "{:?}", moves(&pair.b));
}

#[test]
fn without_a_nat_liveness_moves_nothing() {
    let mut pair = plain(19);
    run(&mut pair, 120, &mut straight);
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    run(&mut pair, 120, &mut straight);
    assert!(moves(&pair.a).is_empty() && moves(&pair.b).is_empty());
}

#[test]
fn a_move_behind_a_nat_and_out_again_turns_encapsulation_on_and_off() {
    let nat = Nat::before(End::A);
    let mut pair = plain(20);
    let inside = IpAddr::from([10, 99, 0, 7]);
    addresses(&mut pair, End::A, &[inside]);
    let mut wire = |from, transmit: &Transmit| nat.translate(from, inside, mirrored(&transmit.path));
    settle_by(&mut pair, &mut wire);
    for host in [&pair.a, &pair.b] {
        assert_eq!(outbound(host).path.encapsulation, Encapsulation::Udp);
    }
    assert_eq!(outbound(&pair.b).path.remote, SocketAddr::new(nat.outside, 34_500));
    let mut keepalives = [0, 0];
    run(&mut pair, 61, &mut |from, transmit| {
        keepalives[usize::from(from == End::B)] += usize::from(transmit.bytes == [0xff]);
        wire(from, transmit)
    });
    assert!(keepalives[0] >= 2 && keepalives[1] == 0, "{keepalives:?}");

    addresses(&mut pair, End::A, &[A2]);
    settle_by(&mut pair, &mut straight);
    assert_on(&mut pair, A2, B);
    for host in [&pair.a, &pair.b] {
        assert_eq!(outbound(host).path.encapsulation, Encapsulation::None);
    }
    run(&mut pair, 61, &mut |from, transmit| {
        assert_ne!(transmit.bytes, [0xff]);
        straight(from, transmit)
    });
}

/// Neither end allows a NAT.
fn raw(seed: u64) -> Pair {
    set_up(seed, &[B], |_, connection| connection.encapsulation = EncapsulationPolicy::Raw)
}

#[test]
fn where_no_nat_is_allowed_a_changed_address_moves_nothing() {
    // RFC 4555 §3.9
    let nat = Nat::before(End::A);
    let mut pair = raw(21);
    addresses(&mut pair, End::A, &[A2]);
    settle_by(&mut pair, &mut |from, transmit| nat.translate(from, A2, mirrored(&transmit.path)));
    assert_eq!(verdict(&pair.a).cause, Cause::NatFound);
    assert_eq!(path(&mut pair, End::B).remote.ip(), A);
    assert_eq!(esp(&pair.b), (B, A));
}

#[test]
fn one_packet_that_somebody_has_changed_is_not_taken_for_a_nat() {
    // RFC 4555 §3.9: several attempts, or an attacker with one packet would spoil the path.
    let nat = Nat::before(End::A);
    let mut pair = raw(22);
    addresses(&mut pair, End::A, &[A2]);
    let update = pair.take(End::A);
    let seen = nat.translate(End::A, A2, mirrored(&update.path)).unwrap();
    deliver_at(&mut pair, End::B, seen, &update.bytes);
    settle_by(&mut pair, &mut |from, transmit: &Transmit| {
        let mut path = mirrored(&transmit.path);
        if from == End::B && path.local.ip() == nat.outside {
            path.local = update.path.local;
        }
        Some(path)
    });
    assert!(pair.a.failures().is_empty());
    assert_on(&mut pair, A2, B);
}

#[test]
fn without_nats_everything_is_said_with_the_addresses_it_is_about() {
    let mut pair = raw(23);
    addresses(&mut pair, End::B, &[B, B2]);
    pair.settle();
    addresses(&mut pair, End::A, &[A2, A3]);
    pair.settle();
    assert_on(&mut pair, A2, B);
    assert!(pair.a.failures().is_empty() && pair.b.failures().is_empty());
}

#[test]
fn a_moved_child_with_dynamic_selectors_is_rekeyed_without_losing_any() {
    // RFC 7296 §2.9.2, whoever begins
    for end in [End::A, End::B] {
        let mut pair = set_up(24, &[B], |end, connection| {
            let child = Arc::make_mut(&mut connection.children[0]);
            let dynamic = vec![ConfiguredSelector::Dynamic { protocol: 0, ports: Ports::Range(0, 65_535) }];
            match end {
                End::A => (child.local, child.remote) = (dynamic, fixed(&["10.2.0.0/16"])),
                End::B => (child.remote, child.local) = (dynamic, fixed(&["10.2.0.0/16"])),
            }
        });
        let before = Arc::clone(&outbound(&pair.a).selectors);
        addresses(&mut pair, End::A, &[A2]);
        pair.settle();
        let old = pair.child(end);
        pair.with(end, |endpoint, now| endpoint.rekey_child(now, old)).unwrap();
        pair.run(secs(6));
        assert!(pair.a.failures().is_empty() && pair.b.failures().is_empty(), "{:?}", pair.b.failures());
        assert_ne!(pair.child(end), old);
        assert!(outbound(&pair.a).selectors.contains(&before));
        pair.assert_agree();
    }
}

#[test]
fn every_child_moves() {
    let mut pair = plain(25);
    let sa = pair.sa(End::A);
    for _ in 0..2 {
        pair.with(End::A, |endpoint, now| endpoint.create_child(now, sa, "net")).unwrap();
        pair.settle();
    }
    addresses(&mut pair, End::A, &[A2]);
    pair.settle();
    assert_eq!(pair.a.installed.len(), 6);
    assert!(pair.a.installed.values().all(|params| params.path.local.ip() == A2));
    assert!(pair.b.installed.values().all(|params| params.path.remote.ip() == A2));
}

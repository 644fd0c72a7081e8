//! NATs on the way, and a peer on another port (RFC 7296 §2.23, RFC 3948).

use crate::bench::{
    Nat, cut, deliver_at, header, ike, kind, moves, ms, outbound, pair_with, path, run_by, secs, set_up_by,
    settle_by, straight, verdict,
};
use crate::support::{A, B, End, Pair, mirrored};
use std::net::{IpAddr, SocketAddr};
use tidegate_esp::{AddressRange, Encapsulation, Spi};
use tidegate_ike::connection::{Connection, EncapsulationPolicy};
use tidegate_ike::wire::{ExchangeType, NotifyType};
use tidegate_ike::{Cause, Culprit, DataEvent, Framing, Transmit};

/// Both ends take ESP as it comes, and let the other come from anywhere.
fn open_minded(end: End, connection: &mut Connection) {
    connection.encapsulation = EncapsulationPolicy::Auto;
    connection.liveness = None;
    if end == End::B {
        connection.remote.addresses.clear();
    }
}

/// A pair with an IKE SA, and this NAT between.
fn behind(nat: Nat) -> Pair {
    let mut pair = pair_with(1, |end, connection| {
        open_minded(end, connection);
        if end == End::A && nat.behind == End::B {
            connection.remote.addresses = vec![AddressRange::host(nat.outside)];
        }
    });
    set_up_by(&mut pair, &mut nat.wire());
    pair
}

/// How many keepalives each end sends within a minute.
fn keepalives(
    pair: &mut Pair,
    wire: &mut dyn FnMut(End, &Transmit) -> Option<tidegate_ike::Path>,
) -> [usize; 2] {
    let mut count = [0, 0];
    run_by(pair, secs(60), &mut |from, transmit| {
        assert_eq!(transmit.bytes, [0xff], "nothing else is due");
        count[usize::from(from == End::B)] += 1;
        wire(from, transmit)
    });
    count
}

fn hop(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

#[test]
fn without_a_nat_everything_stays_on_port_500_and_esp_goes_bare() {
    let mut pair = pair_with(1, open_minded);
    pair.set_up();
    for (end, local, remote) in [(End::A, A, B), (End::B, B, A)] {
        let path = path(&mut pair, end);
        assert_eq!((path.local, path.remote), (hop(local, 500), hop(remote, 500)));
        assert_eq!(path.framing, Framing::Bare);
        assert_eq!(outbound(pair.host(end)).path.encapsulation, Encapsulation::None);
    }
    assert_eq!(keepalives(&mut pair, &mut straight), [0, 0]);
}

#[test]
fn a_nat_before_the_initiator_moves_both_ends_to_4500() {
    let nat = Nat::before(End::A);
    let mut pair = behind(nat);
    pair.assert_agree();
    assert_eq!(path(&mut pair, End::A).local, hop(A, 4500));
    assert_eq!(path(&mut pair, End::A).remote, hop(B, 4500));
    assert_eq!(path(&mut pair, End::B).remote, hop(nat.outside, 34_500));
    let esp = outbound(&pair.b).path;
    assert_eq!((esp.remote, esp.encapsulation), (hop(nat.outside, 34_500), Encapsulation::Udp));
    assert_eq!(outbound(&pair.a).path.encapsulation, Encapsulation::Udp);
    // RFC 3948 §4: only who is behind the NAT keeps its mapping alive.
    assert_eq!(keepalives(&mut pair, &mut nat.wire()), [3, 0]);
}

#[test]
fn the_move_to_4500_comes_with_ike_auth_and_the_marker() {
    // RFC 7296 §2.23
    let nat = Nat::before(End::A);
    let mut pair = pair_with(2, open_minded);
    pair.initiate(End::A);
    let first = pair.take(End::A);
    assert_eq!((first.path.local.port(), first.path.framing), (500, Framing::Bare));
    let (seen, bytes) = (nat.translate(End::A, A, mirrored(&first.path)).unwrap(), first.bytes);
    deliver_at(&mut pair, End::B, seen, &bytes);
    let answer = pair.take(End::B);
    assert_eq!(answer.path.remote, hop(nat.outside, 30_500), "an answer goes back where it came from");
    let seen = nat.translate(End::B, A, mirrored(&answer.path)).unwrap();
    deliver_at(&mut pair, End::A, seen, &answer.bytes);
    let auth = pair.take(End::A);
    assert_eq!(kind(&auth), (ExchangeType::IkeAuth, false));
    assert_eq!((auth.path.local.port(), auth.path.remote.port()), (4500, 4500));
    assert!(auth.bytes.starts_with(&[0; 4]));
}

#[test]
fn a_nat_before_the_responder_is_found_too() {
    let nat = Nat::forwarding(End::B);
    let mut pair = behind(nat);
    pair.assert_agree();
    assert_eq!(path(&mut pair, End::A).remote, hop(nat.outside, 4500));
    assert_eq!(path(&mut pair, End::B).local, hop(B, 4500));
    assert_eq!(outbound(&pair.a).path.encapsulation, Encapsulation::Udp);
    assert_eq!(outbound(&pair.b).path.encapsulation, Encapsulation::Udp);
    assert_eq!(keepalives(&mut pair, &mut nat.wire()), [0, 3]);
}

#[test]
fn both_ends_behind_nats_keep_their_mappings() {
    let (ours, theirs) = (Nat::before(End::A), Nat::forwarding(End::B));
    let mut pair = pair_with(3, |end, connection| {
        open_minded(end, connection);
        if end == End::A {
            connection.remote.addresses = vec![AddressRange::host(theirs.outside)];
        }
    });
    let mut wire = |from, transmit: &Transmit| {
        let path = ours.translate(from, A, mirrored(&transmit.path))?;
        theirs.translate(from, B, path)
    };
    set_up_by(&mut pair, &mut wire);
    pair.assert_agree();
    assert_eq!(keepalives(&mut pair, &mut wire), [3, 3]);
    assert_eq!(path(&mut pair, End::B).remote, hop(ours.outside, 34_500));
}

#[test]
fn forced_encapsulation_of_one_end_is_enough_and_needs_no_keepalives() {
    for forced in [End::A, End::B] {
        let mut pair = pair_with(4, |end, connection| {
            open_minded(end, connection);
            if end == forced {
                connection.encapsulation = EncapsulationPolicy::Udp;
            }
        });
        pair.set_up();
        for end in [End::A, End::B] {
            assert_eq!(path(&mut pair, end).local.port(), 4500);
            assert_eq!(outbound(pair.host(end)).path.encapsulation, Encapsulation::Udp);
        }
        assert_eq!(keepalives(&mut pair, &mut straight), [0, 0]);
    }
}

#[test]
fn a_peer_on_another_port_gets_the_marker_from_the_first_packet() {
    let mut pair = pair_with(5, |end, connection| {
        open_minded(end, connection);
        if end == End::A {
            connection.remote.port = 4600;
        }
    });
    pair.initiate(End::A);
    let first = pair.a.sent.front().unwrap().clone();
    assert_eq!(first.path.local, hop(A, 4500));
    assert_eq!(first.path.remote, hop(B, 4600));
    assert!(first.bytes.starts_with(&[0; 4]));
    assert_eq!(header(&first).exchange, ExchangeType::IkeSaInit);
    pair.settle();
    pair.assert_agree();
    assert_eq!(path(&mut pair, End::A).remote, hop(B, 4600), "it has but one port");
}

#[test]
fn raw_esp_at_the_initiator_refuses_a_nat() {
    let mut pair = pair_with(6, |end, connection| {
        open_minded(end, connection);
        if end == End::A {
            connection.encapsulation = EncapsulationPolicy::Raw;
        }
    });
    pair.initiate(End::A);
    run_by(&mut pair, secs(40), &mut Nat::before(End::A).wire());
    assert_eq!(verdict(&pair.a).cause, Cause::NatFound);
    assert_eq!(verdict(&pair.a).culprit, Culprit::Network);
}

#[test]
fn raw_esp_at_the_responder_refuses_a_nat_and_says_so() {
    let mut pair = pair_with(7, |end, connection| {
        open_minded(end, connection);
        if end == End::B {
            connection.encapsulation = EncapsulationPolicy::Raw;
        }
    });
    pair.initiate(End::A);
    settle_by(&mut pair, &mut Nat::before(End::A).wire());
    assert_eq!(verdict(&pair.b).cause, Cause::NatFound);
    assert_eq!(verdict(&pair.a).cause, Cause::Refused(NotifyType::UNEXPECTED_NAT_DETECTED));
    assert!(pair.a.endpoint.is_empty());
}

#[test]
fn a_nat_that_forgot_us_is_followed_with_the_next_request() {
    let nat = Nat::before(End::A);
    let mut pair = behind(nat);
    let rebound = Nat { shift: 31_000, ..nat };
    let child = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    settle_by(&mut pair, &mut rebound.wire());
    pair.assert_agree();
    assert_eq!(path(&mut pair, End::B).remote, hop(nat.outside, 35_500));
    assert_eq!(outbound_remotes(&pair), [hop(nat.outside, 35_500)]);
    assert_eq!(moves(&pair.b).len(), 1);
}

fn outbound_remotes(pair: &Pair) -> Vec<SocketAddr> {
    let mut all: Vec<_> = pair.b.installed.values().map(|params| params.path.remote).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn an_old_request_from_elsewhere_moves_nothing() {
    // RFC 7296 §2.23: only a new packet may move the peer, or an attacker reverts it with old ones.
    let nat = Nat::before(End::A);
    let mut pair = behind(nat);
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    let request = pair.take(End::A);
    let good = nat.translate(End::A, A, mirrored(&request.path)).unwrap();
    deliver_at(&mut pair, End::B, good, &request.bytes);
    let evil = tidegate_ike::Path { remote: hop(nat.outside, 6666), ..good };
    deliver_at(&mut pair, End::B, evil, &request.bytes);
    settle_by(&mut pair, &mut nat.wire());
    assert_eq!(path(&mut pair, End::B).remote, good.remote);
    assert!(moves(&pair.b).is_empty());
}

#[test]
fn a_forged_request_from_elsewhere_moves_nothing() {
    let nat = Nat::before(End::A);
    let mut pair = behind(nat);
    let child = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    let mut request = pair.a.sent.front().unwrap().clone();
    let good = nat.translate(End::A, A, mirrored(&request.path)).unwrap();
    *request.bytes.last_mut().unwrap() ^= 1;
    let evil = tidegate_ike::Path { remote: hop(nat.outside, 6666), ..good };
    deliver_at(&mut pair, End::B, evil, &request.bytes);
    assert_eq!(path(&mut pair, End::B).remote, good.remote);
    settle_by(&mut pair, &mut nat.wire());
    pair.assert_agree();
}

#[test]
fn behind_a_nat_nobody_is_followed() {
    // RFC 7296 §2.23: one packet with a changed source could otherwise break the connection.
    let nat = Nat::before(End::A);
    let mut pair = behind(nat);
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    settle_by(&mut pair, &mut |from, transmit: &Transmit| {
        let mut path = nat.wire()(from, transmit)?;
        if from == End::B {
            path.remote = hop(IpAddr::from([198, 51, 100, 66]), 4500);
        }
        Some(path)
    });
    assert_eq!(path(&mut pair, End::A).remote, hop(B, 4500));
    assert!(moves(&pair.a).is_empty());
}

#[test]
fn authentic_esp_from_elsewhere_is_followed_unless_we_are_behind_the_nat() {
    let nat = Nat::before(End::A);
    let elsewhere = hop(nat.outside, 40_000);
    let mut pair = behind(nat);
    let child: Spi = pair.child(End::B);
    pair.with(End::B, |endpoint, now| {
        endpoint.handle_data(now, DataEvent::PeerMoved { child, remote: elsewhere });
    });
    assert_eq!(path(&mut pair, End::B).remote, elsewhere);
    assert_eq!(outbound_remotes(&pair), [elsewhere]);

    let child: Spi = pair.child(End::A);
    pair.with(End::A, |endpoint, now| {
        endpoint.handle_data(now, DataEvent::PeerMoved { child, remote: elsewhere });
    });
    assert_eq!(path(&mut pair, End::A).remote, hop(B, 4500));
}

#[test]
fn a_peer_that_changes_to_4500_later_is_answered_from_4500() {
    // A NAT came between: the peer's new request leaves port 4500, marker and all.
    let mut pair = pair_with(8, open_minded);
    pair.set_up();
    let child = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    let request = pair.take(End::A);
    let outside = IpAddr::from([203, 0, 113, 50]);
    let seen =
        tidegate_ike::Path { local: hop(B, 4500), remote: hop(outside, 34_500), framing: Framing::Marked };
    let marked = [&[0; 4], ike(&request)].concat();
    deliver_at(&mut pair, End::B, seen, &marked);
    assert_eq!(pair.take(End::B).path, seen);
    assert_eq!(path(&mut pair, End::B), seen);
}

#[test]
fn a_keepalive_disturbs_nobody() {
    let nat = Nat::before(End::A);
    let mut pair = behind(nat);
    pair.sleep(secs(20));
    let keepalive = pair.take(End::A);
    assert_eq!(keepalive.bytes, [0xff]);
    assert_eq!(keepalive.path.remote, hop(B, 4500));
    let seen = nat.translate(End::A, A, mirrored(&keepalive.path)).unwrap();
    deliver_at(&mut pair, End::B, seen, &keepalive.bytes);
    assert!(pair.b.sent.is_empty());
    run_by(&mut pair, ms(1), &mut cut);
    pair.assert_agree();
}

//! Moving addresses (RFC 4555).

use crate::puppet::{Puppet, Stranger, message};
use crate::support::{End, Pair, connection};
use tidegate_ike::wire::{
    AuthRequest, AuthResponse, Delete, ExchangeType, Header, Informational, Notify, NotifyType, PayloadChain,
};
use tidegate_ike::{Cause, Event};

/// The engine, which speaks MOBIKE, and a puppet that says so of itself.
fn movable(seed: u64) -> (Pair, Puppet) {
    let mut b = connection(End::B);
    b.mobike = true;
    b.liveness = None;
    let mut pair = Pair::new(seed, connection(End::A), b);
    let mut stranger = Stranger::new(&mut pair);
    let request = AuthRequest { mobike: true, ..stranger.proof() };
    let AuthResponse::Accepted(accepted) = stranger.prove(&mut pair, &request) else { panic!("refused") };
    // RFC 4555 §3.2: announced by both, in IKE_AUTH.
    assert!(accepted.mobike);
    let mut puppet = stranger.puppet;
    puppet.inform(&mut pair, &Informational::default());
    (pair, puppet)
}

/// Moves the puppet to another port, and gives the engine's question whether it is there.
fn question(pair: &mut Pair, puppet: &mut Puppet) -> (Header, Vec<u8>) {
    let update = Informational { update_addresses: true, ..Informational::default() };
    let mut request = puppet.request(ExchangeType::Informational, &update.emit());
    request.path.local.set_port(1024);
    pair.deliver(End::B, &request);
    pair.take(End::B);
    puppet.evil.next += 1;
    let said = puppet.hear(pair);
    let question = Informational::parse(said.first, &said.bytes).unwrap();
    (said.header, question.cookie2.expect("a question"))
}

fn cookie2(value: Vec<u8>) -> PayloadChain {
    Informational { cookie2: Some(value), ..Informational::default() }.emit()
}

// RFC 4555 §3.2
#[test]
fn mobike_is_answered_only_where_it_is_on() {
    let mut pair = Pair::psk(1);
    let mut stranger = Stranger::new(&mut pair);
    let request = AuthRequest { mobike: true, ..stranger.proof() };
    let AuthResponse::Accepted(accepted) = stranger.prove(&mut pair, &request) else { panic!("refused") };
    assert!(!accepted.mobike);
    movable(1);
}

// RFC 4555 §3.7, §4.2.5
#[test]
fn a_cookie2_comes_back_as_it_went() {
    let (mut pair, mut puppet) = movable(2);
    for length in [8, 16, 64] {
        let request = Informational { cookie2: Some(vec![0xa5; length]), ..Informational::default() };
        assert_eq!(puppet.inform(&mut pair, &request).cookie2, request.cookie2);
    }
}

// RFC 4555 §4.2.5: whoever does not see it cannot say it.
#[test]
fn a_cookie2_of_ours_is_long_enough_and_another_each_time() {
    let cookies: Vec<_> = (3..8)
        .map(|seed| {
            let (mut pair, mut puppet) = movable(seed);
            question(&mut pair, &mut puppet).1
        })
        .collect();
    assert!(cookies.iter().all(|cookie| (8..=64).contains(&cookie.len())));
    assert!(cookies.windows(2).all(|pair| pair[0] != pair[1]));
}

// RFC 4555 §3.7
#[test]
fn a_cookie2_that_comes_back_changed_or_not_at_all_closes_the_ike_sa() {
    for answer in [cookie2(vec![1; 16]), PayloadChain::default()] {
        let (mut pair, mut puppet) = movable(9);
        let (header, _) = question(&mut pair, &mut puppet);
        puppet.answer(&mut pair, &header, &answer);
        let said = puppet.hear(&mut pair);
        assert_eq!(Informational::parse(said.first, &said.bytes).unwrap().deletes, [Delete::Ike]);
        assert!(pair.b.standing().is_empty());
        let closed = |event: &Event| matches!(event, Event::IkeClosed { verdict, .. } if verdict.cause == Cause::Unexpected("COOKIE2"));
        assert!(pair.b.events.iter().any(closed), "{:?}", pair.b.events);
    }
}

// RFC 4555 §3.8: what follows a NAT without MOBIKE does not with it.
#[test]
fn with_mobike_another_source_alone_moves_nothing() {
    let (mut pair, mut puppet) = movable(10);
    let sa = pair.sa(End::B);
    let before = pair.b.endpoint.status(sa).unwrap().path();
    let mut request = puppet.request(ExchangeType::Informational, &PayloadChain::default());
    request.path.local.set_port(1024);
    pair.deliver(End::B, &request);
    // The answer goes where the request came from, all else where the peer has said that it is.
    assert_eq!(pair.take(End::B).path.remote.port(), 1024);
    assert_eq!(pair.b.endpoint.status(sa).unwrap().path(), before);
}

// RFC 4555 §3.8
#[test]
fn a_request_with_nat_detection_gets_it_back() {
    let (mut pair, mut puppet) = movable(11);
    let nat = tidegate_ike::wire::NatDetection { sources: vec![[1; 20]], destination: Some([2; 20]) };
    let answer = puppet.inform(&mut pair, &Informational { nat, ..Informational::default() });
    assert_eq!(answer.nat.sources.len(), 1);
    assert!(answer.nat.destination.is_some());
    assert_eq!(puppet.inform(&mut pair, &Informational::default()).nat.destination, None);
}

// RFC 4555 §3.9: addresses that the notification contradicts move nothing, and are used for nothing.
#[test]
fn addresses_that_a_nat_has_touched_are_not_used() {
    let (mut pair, mut puppet) = movable(12);
    let sa = pair.sa(End::B);
    let before = pair.b.endpoint.status(sa).unwrap().path();
    let elsewhere = [&[198, 51, 100, 7, 192, 0, 2, 2][..], &[1, 244, 1, 244]].concat();
    let update = Informational {
        update_addresses: true,
        no_nats_allowed: Some(elsewhere),
        ..Informational::default()
    };
    let mut request = puppet.request(ExchangeType::Informational, &update.emit());
    request.path.local.set_port(1024);
    pair.deliver(End::B, &request);
    let answer = pair.take(End::B);
    // RFC 4555 §3.9: to where the request came from, not to where it says.
    assert_eq!(answer.path.remote, request.path.local);
    let said = puppet.evil.open(message(&answer)).unwrap();
    let answer = Informational::parse(said.first, &said.bytes).unwrap();
    assert!(
        answer.unexpected_nat || answer.notifies.contains(&Notify::new(NotifyType::UNEXPECTED_NAT_DETECTED))
    );
    assert_eq!(pair.b.endpoint.status(sa).unwrap().path(), before);
    assert!(pair.b.sent.is_empty());
}

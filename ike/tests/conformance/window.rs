//! Message ids, repetition and order (RFC 7296 §2.1 to §2.3).

use crate::puppet::{Puppet, child_request, message, notification};
use crate::support::{End, Pair, connection};
use std::time::Duration;
use tidegate_ike::wire::{CreateChildRequest, ExchangeType, Header, MessageId, NotifyType, PayloadChain};
use tidegate_ike::{Endpoint, Transmit};

fn header(transmit: &Transmit) -> Header {
    Header::parse(message(transmit)).unwrap().0
}

/// A pair at rest: nothing is due but what a test wants.
fn quiet(seed: u64) -> Pair {
    let [mut a, mut b] = [connection(End::A), connection(End::B)];
    for side in [&mut a, &mut b] {
        side.liveness = None;
    }
    let mut pair = Pair::new(seed, a, b);
    pair.set_up();
    pair
}

// RFC 7296 §2.1, §2.2, §2.4
#[test]
fn a_request_is_repeated_to_the_bit_and_ever_more_seldom() {
    let mut pair = quiet(1);
    let child = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    let first = pair.take(End::A);
    let mut times = vec![pair.now];
    for _ in 0..1_500 {
        pair.sleep(Duration::from_millis(20));
        while let Some(again) = pair.a.sent.pop_front() {
            assert_eq!(again, first);
            times.push(pair.now);
        }
    }
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(gaps.len() > 4, "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0].mul_f64(1.5)), "{gaps:?}");
}

// RFC 7296 §2.1
#[test]
fn an_answer_is_given_again_only_when_asked_and_is_the_same() {
    let (mut pair, mut puppet) = Puppet::with_engine(2);
    let request = puppet.request(ExchangeType::Informational, &PayloadChain::default());
    pair.deliver(End::B, &request);
    let answer = pair.take(End::B);
    // The responder has no timer for it.
    pair.sleep(Duration::from_secs(5));
    assert!(pair.b.sent.is_empty());
    for _ in 0..3 {
        pair.deliver(End::B, &request);
        assert_eq!(pair.take(End::B), answer);
    }
    assert!(pair.b.sent.is_empty());
}

// RFC 7296 §2.1: repeating it does the work once.
#[test]
fn a_repeated_request_is_carried_out_once() {
    let (mut pair, mut puppet) = Puppet::with_engine(4);
    let create = CreateChildRequest::Child(child_request(0x2000)).emit();
    let request = puppet.request(ExchangeType::CreateChildSa, &create);
    for _ in 0..5 {
        pair.deliver(End::B, &request);
    }
    assert_eq!(pair.b.sent.len(), 5);
    assert_eq!(pair.b.children().len(), 2);
}

// RFC 7296 §2.3
#[test]
fn a_second_request_waits_for_the_answer_to_the_first() {
    let mut pair = quiet(6);
    let child = pair.child(End::A);
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    pair.with(End::A, |endpoint, now| endpoint.create_child(now, sa, "net")).unwrap();
    pair.with(End::A, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    assert_eq!(pair.a.sent.len(), 1);
    // Not even a peer that announces a larger window changes that: we use one.
    pair.pass(End::A);
    assert!(pair.a.sent.is_empty());
    pair.pass(End::B);
    assert_eq!(pair.a.sent.len(), 1);
}

// RFC 7296 §2.3: nobody waits for the other for ever.
#[test]
fn a_request_is_answered_while_ours_waits_for_its_answer() {
    let mut pair = quiet(7);
    for end in [End::A, End::B] {
        let sa = pair.sa(end);
        pair.with(end, |endpoint, now| endpoint.create_child(now, sa, "net")).unwrap();
    }
    let [ours, theirs] = [pair.take(End::A), pair.take(End::B)];
    pair.deliver(End::A, &theirs);
    pair.deliver(End::B, &ours);
    for end in [End::A, End::B] {
        let answer = pair.host(end).sent.front().unwrap();
        assert!(header(answer).response);
    }
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 3);
}

// RFC 7296 §2.3, §3.10.1: SET_WINDOW_SIZE is a status that may be ignored.
#[test]
fn a_larger_window_of_the_peers_changes_nothing() {
    let (mut pair, mut puppet) = Puppet::with_engine(8);
    let mut chain = notification(NotifyType::SET_WINDOW_SIZE);
    chain.bytes[3] += 4;
    chain.bytes.extend([0, 0, 0, 8]);
    puppet.ask(&mut pair, ExchangeType::Informational, &chain);
    let sa = pair.sa(End::B);
    for _ in 0..3 {
        let child = pair.b.children()[0];
        let _ = pair.with(End::B, |endpoint, now| endpoint.rekey_child(now, child));
        let _ = pair.with(End::B, |endpoint, now| endpoint.create_child(now, sa, "net"));
    }
    assert_eq!(pair.b.sent.len(), 1);
}

// RFC 7296 §2.18: each direction counts from zero on the successor.
#[test]
fn a_rekeyed_ike_sa_counts_from_zero() {
    let mut pair = quiet(9);
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    pair.settle();
    for end in [End::A, End::B] {
        let new = pair.sa(end);
        let spis = pair.host(end).endpoint.status(new).unwrap().spis();
        let child = pair.child(end);
        pair.with(end, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
        let header = header(pair.host(end).sent.front().unwrap());
        assert_eq!(header.initiator_spi, spis.initiator);
        assert_eq!(header.message_id, MessageId(0));
        pair.settle();
    }
}

// RFC 7296 §2.8
#[test]
fn the_delete_is_the_last_request_on_a_rekeyed_ike_sa() {
    let mut pair = quiet(10);
    let sa = pair.sa(End::A);
    let old = pair.a.endpoint.status(sa).unwrap().spis();
    pair.with(End::A, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    pair.with(End::A, |endpoint, now| endpoint.create_child(now, sa, "net")).unwrap();
    let mut requests = Vec::new();
    for _ in 0..50 {
        for end in [End::A, End::B] {
            let sent = pair.host(end).sent.front().map(header);
            requests.extend(sent.filter(|it| !it.response && it.initiator_spi == old.initiator));
            pair.pass(end);
        }
    }
    let kinds: Vec<_> = requests.iter().map(|header| header.exchange).collect();
    assert_eq!(kinds, [ExchangeType::CreateChildSa, ExchangeType::Informational]);
    assert_eq!(pair.a.children().len(), 2);
    pair.assert_agree();
}

// RFC 7296 §2.8, §1.4.1: it is gone at both ends.
#[test]
fn a_rekeyed_ike_sa_is_deleted_by_whoever_rekeyed_it() {
    let mut pair = quiet(11);
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
    pair.settle();
    pair.run(Duration::from_secs(60));
    pair.with(End::A, Endpoint::handle_timeout);
    assert_eq!((pair.a.endpoint.len(), pair.b.endpoint.len()), (1, 1));
}

//! IKE messages in fragments (RFC 7383).

use crate::bench::{established_with, header, ms, pair_with, secs};
use crate::pki::{certificates, local, remote};
use crate::support::{End, Pair, identity};
use std::collections::VecDeque;
use std::sync::Arc;
use tidegate_ike::Transmit;
use tidegate_ike::connection::{Connection, Fragmentation};
use tidegate_ike::identity::IdentityPattern;

/// Certificates with intermediates, and datagrams of this size at most.
fn bulky(size: Option<u16>) -> impl Fn(End, &mut Connection) {
    move |end, connection| {
        let names = ["C=CH, O=Tidegate, CN=under-long6", "C=CH, O=Tidegate, CN=deep"];
        let [ours, theirs] = if end == End::A { names } else { [names[1], names[0]] };
        connection.local.identity = identity(ours);
        connection.remote.identity = IdentityPattern::Exact(identity(theirs));
        connection.local.auth = Arc::new(match end {
            End::A => local(&["under-long6", "long6", "long5", "long4", "long3", "long2", "long1"], "moon"),
            End::B => local(&["deep", "int2", "int1"], "moon"),
        });
        connection.remote.auth = Arc::new(remote(certificates(&["root"])));
        connection.fragmentation = size.map_or(Fragmentation::Never, Fragmentation::Offer);
    }
}

/// Takes all that an end has sent.
fn take_all(pair: &mut Pair, from: End) -> VecDeque<Transmit> {
    std::mem::take(&mut pair.host(from).sent)
}

/// The datagrams of A's IKE_AUTH request.
fn auth_request(pair: &mut Pair) -> VecDeque<Transmit> {
    pair.initiate(End::A);
    pair.pass(End::A);
    pair.pass(End::B);
    take_all(pair, End::A)
}

#[test]
fn no_datagram_is_longer_than_configured() {
    for size in [576, 1280] {
        let mut pair = pair_with(1, bulky(Some(size)));
        pair.initiate(End::A);
        let mut longest = 0;
        let mut count = 0;
        crate::bench::settle_by(&mut pair, &mut |from, transmit: &Transmit| {
            longest = longest.max(transmit.bytes.len());
            count += 1;
            crate::bench::straight(from, transmit)
        });
        pair.assert_agree();
        assert_eq!(pair.a.standing().len(), 1, "{:?} {:?}", pair.a.events, pair.b.events);
        assert!(longest <= usize::from(size), "{longest} of {size}");
        assert!(count > 6);
    }
}

#[test]
fn an_initiator_that_takes_no_fragments_gets_none_and_sends_none() {
    let mut pair = pair_with(2, |end, connection| {
        bulky(if end == End::A { None } else { Some(576) })(end, connection);
    });
    pair.a.sent = auth_request(&mut pair);
    assert_eq!(pair.a.sent.len(), 1);
    assert!(pair.a.sent[0].bytes.len() > 1280);
    pair.pass(End::A);
    assert_eq!(pair.b.sent.len(), 1);
    assert!(pair.b.sent[0].bytes.len() > 1280);
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.standing().len(), 1);
}

#[test]
fn a_responder_that_sends_no_fragments_still_takes_them() {
    let mut pair = pair_with(10, |end, connection| {
        bulky(Some(576))(end, connection);
        if end == End::B {
            connection.fragmentation = Fragmentation::AcceptOnly;
        }
    });
    pair.a.sent = auth_request(&mut pair);
    assert!(pair.a.sent.len() > 1);
    while pair.pass(End::A) {}
    assert_eq!(pair.b.sent.len(), 1);
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.standing().len(), 1);
}

#[test]
fn fragments_may_come_in_any_order() {
    for turn in 0..8_usize {
        let mut pair = pair_with(3, bulky(Some(576)));
        let mut sent = auth_request(&mut pair);
        assert!(sent.len() >= 4, "{}", sent.len());
        let length = sent.len();
        sent.rotate_left(turn % length);
        if turn % 2 == 1 {
            sent.make_contiguous().reverse();
        }
        sent.swap(0, (turn * 7) % length);
        pair.a.sent = sent;
        pair.settle();
        pair.assert_agree();
        assert_eq!(pair.a.standing().len(), 1, "turn {turn}");
    }
}

#[test]
fn every_fragment_twice_makes_one_message_and_one_answer() {
    let mut pair = pair_with(4, bulky(Some(576)));
    let sent = auth_request(&mut pair);
    let length = sent.len();
    for fragment in sent.iter().take(length - 1) {
        pair.deliver(End::B, fragment);
        pair.deliver(End::B, fragment);
        assert!(pair.b.sent.is_empty());
    }
    pair.deliver(End::B, &sent[length - 1]);
    let answer = take_all(&mut pair, End::B);
    assert!(answer.len() > 1);
    assert_eq!(pair.b.standing().len(), 1);
    pair.b.sent = answer;
    pair.settle();
    pair.assert_agree();
}

#[test]
fn a_repeated_fragmented_request_is_answered_once_not_once_a_fragment() {
    // RFC 7383 §2.6.1: the first fragment stands for all.
    let mut pair = pair_with(5, bulky(Some(576)));
    let sent = auth_request(&mut pair);
    for fragment in &sent {
        pair.deliver(End::B, fragment);
    }
    let answer = take_all(&mut pair, End::B);
    pair.sleep(ms(500));
    let again = take_all(&mut pair, End::A);
    assert_eq!(again, sent, "repeated as it was");
    for fragment in &again {
        pair.deliver(End::B, fragment);
    }
    assert_eq!(take_all(&mut pair, End::B), answer);
    assert_eq!(pair.b.endpoint.counters().repeated_answers, 1);
    pair.b.sent = answer;
    pair.settle();
    pair.assert_agree();
}

#[test]
fn a_lost_fragment_comes_with_the_repetition() {
    let mut pair = pair_with(6, bulky(Some(576)));
    let mut sent = auth_request(&mut pair);
    sent.remove(2);
    pair.a.sent = sent;
    pair.settle();
    assert!(pair.b.standing().is_empty());
    pair.run(secs(1));
    pair.assert_agree();
    assert_eq!(pair.b.standing().len(), 1);
}

#[test]
fn a_damaged_fragment_spoils_nothing() {
    let mut pair = pair_with(7, bulky(Some(576)));
    let sent = auth_request(&mut pair);
    let mut damaged = sent[1].clone();
    *damaged.bytes.last_mut().unwrap() ^= 1;
    pair.deliver(End::B, &damaged);
    pair.a.sent = sent;
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.standing().len(), 1);
}

#[test]
fn fragments_that_are_never_completed_are_forgotten() {
    let mut pair = established_with(8, bulky(Some(160)));
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.create_child(now, sa, "net")).unwrap();
    let sent = take_all(&mut pair, End::A);
    assert!(sent.len() > 1, "{}", sent.len());
    pair.deliver(End::B, &sent[0]);
    pair.sleep(secs(16));
    // All repetitions were lost; the rest alone makes no message now.
    for fragment in sent.iter().skip(1) {
        pair.deliver(End::B, fragment);
    }
    assert_eq!(pair.b.children().len(), 1);
    pair.deliver(End::B, &sent[0]);
    assert_eq!(pair.b.children().len(), 2);
}

#[test]
fn short_messages_are_never_in_fragments() {
    let mut pair = established_with(9, bulky(Some(576)));
    pair.sleep(secs(10));
    for end in [End::A, End::B] {
        for sent in &pair.host(end).sent {
            // 46 is an SK payload, 53 a fragment of one.
            assert_eq!(header(sent).next_payload, 46);
        }
    }
    pair.settle();
    pair.assert_agree();
}

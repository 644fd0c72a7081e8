//! Replay and reflection: every old message, to whom it was meant and back to where it came from, at every
//! later moment.

use crate::support::{End, Pair};
use std::time::Duration;
use tidegate_ike::Transmit;
use tidegate_ike::counters::Drop;

type Heard = Vec<(End, Transmit)>;

fn shape(pair: &mut Pair) -> Vec<(usize, usize, usize, usize)> {
    [End::A, End::B]
        .map(|end| {
            let host = pair.host(end);
            (host.standing().len(), host.children().len(), host.installed.len(), host.events.len())
        })
        .to_vec()
}

/// Delivers one message; then everything that was ever heard once more.
fn pass_and_replay(pair: &mut Pair, heard: &mut Heard, reflect: bool) -> bool {
    let Some(from) = [End::A, End::B].into_iter().find(|end| !pair.host(*end).sent.is_empty()) else {
        return false;
    };
    let transmit = pair.take(from);
    pair.deliver(from.other(), &transmit);
    heard.push((from.other(), transmit));
    let waiting = [End::A, End::B].map(|end| std::mem::take(&mut pair.host(end).sent));
    let before = shape(pair);
    for (to, transmit) in heard.iter() {
        pair.deliver(if reflect { to.other() } else { *to }, transmit);
    }
    assert_eq!(shape(pair), before);
    for (end, sent) in [End::A, End::B].into_iter().zip(waiting) {
        pair.host(end).sent = sent;
    }
    true
}

fn a_whole_life(reflect: bool) -> Pair {
    let mut pair = Pair::psk(31);
    let mut heard = Heard::new();
    pair.initiate(End::A);
    while pass_and_replay(&mut pair, &mut heard, reflect) {}
    for end in [End::A, End::B, End::A] {
        let child = pair.child(end);
        pair.with(end, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
        while pass_and_replay(&mut pair, &mut heard, reflect) {}
        pair.sleep(Duration::from_secs(6));
        let sa = pair.sa(end);
        pair.with(end, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
        while pass_and_replay(&mut pair, &mut heard, reflect) {}
        for _ in 0..8 {
            pair.sleep(Duration::from_secs(5));
            while pass_and_replay(&mut pair, &mut heard, reflect) {}
        }
    }
    pair.run(Duration::from_secs(100));
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
    assert_eq!(pair.b.endpoint.len(), 1, "what the replayed IKE_SA_INIT began is gone");
    pair
}

#[test]
fn replayed_messages_change_nothing_at_any_time() {
    let pair = a_whole_life(false);
    assert!(pair.b.endpoint.counters().dropped(Drop::UnknownSpi) > 0);
    assert!(pair.b.endpoint.counters().dropped(Drop::OutOfWindow) > 0);
}

#[test]
fn reflected_messages_change_nothing_at_any_time() {
    a_whole_life(true);
}

/// Its own request comes back to A when it has just the id that A expects of B next. The initiator flag tells
/// which of the two SPIs is its sender's, so it finds no IKE SA.
#[test]
fn a_reflected_request_is_not_taken_for_the_peers() {
    let mut pair = Pair::established(3);
    for _ in 0..2 {
        ask(&mut pair, End::B);
        pair.settle();
        pair.run(Duration::from_secs(6));
    }
    ask(&mut pair, End::A);
    let request = pair.take(End::A);
    let before = pair.a.endpoint.counters().clone();
    pair.deliver(End::A, &request);
    let after = pair.a.endpoint.counters();
    assert_eq!(after.dropped(Drop::UnknownSpi), before.dropped(Drop::UnknownSpi) + 1);
    assert_eq!(after.messages_in, before.messages_in);
    pair.deliver(End::B, &request);
    assert!(!pair.b.sent.is_empty());
}

/// One end asks the other for a sign of life.
fn ask(pair: &mut Pair, end: End) {
    let sa = pair.sa(end);
    let remote = pair.host(end).endpoint.status(sa).unwrap().path().remote;
    let event = tidegate_ike::DataEvent::UnknownSpi(remote);
    pair.with(end, |endpoint, now| endpoint.handle_data(now, event));
}

/// RFC 7296 §2.1: only the very last answer is given again, and only to the very last request.
#[test]
fn a_repeated_request_is_answered_from_memory_and_an_older_one_not_at_all() {
    let mut pair = Pair::established(3);
    let mut requests = Vec::new();
    let mut answers = Vec::new();
    for _ in 0..2 {
        pair.run(Duration::from_secs(6));
        ask(&mut pair, End::A);
        let request = pair.take(End::A);
        pair.deliver(End::B, &request);
        answers.push(pair.take(End::B));
        pair.deliver(End::A, &answers[answers.len() - 1].clone());
        requests.push(request);
    }
    pair.deliver(End::B, &requests[1]);
    assert_eq!(pair.take(End::B).bytes, answers[1].bytes);
    pair.deliver(End::B, &requests[0]);
    assert!(pair.b.sent.is_empty());
}

//! IKE_SA_INIT: cookies, another group, repetition.

use crate::bench::{header, ike, kind, ms, next_deadline, pair_with, secs, tick, verdict};
use crate::support::{End, Pair, connection};
use std::time::Duration;
use tidegate_ike::proposal::IkeProposal;
use tidegate_ike::wire::{ExchangeType, Header, SaInitRequest, SaInitResponse};
use tidegate_ike::{Cause, Config, Culprit, Transmit};

fn request(transmit: &Transmit) -> SaInitRequest {
    let (header, body) = Header::parse(ike(transmit)).unwrap();
    SaInitRequest::parse(header.next_payload, body).unwrap()
}

fn response(transmit: &Transmit) -> SaInitResponse {
    let (header, body) = Header::parse(ike(transmit)).unwrap();
    SaInitResponse::parse(header.next_payload, body).unwrap()
}

/// B asks everybody for a cookie.
fn suspicious(seed: u64, a: &str, b: &str) -> Pair {
    let [mut one, mut other] = [connection(End::A), connection(End::B)];
    one.proposals = IkeProposal::parse_list(a).unwrap();
    other.proposals = IkeProposal::parse_list(b).unwrap();
    let config = Config { cookie_threshold: 0, ..Config::default() };
    Pair::with_config(seed, one, other, config)
}

const PLAIN: &str = "aes128gcm16-prfsha256-x25519";
/// The first guess will be P-256.
const TWO_GROUPS: &str = "aes128gcm16-prfsha256-ecp256-x25519";

#[test]
fn a_cookie_goes_back_with_the_same_request_and_costs_no_state() {
    // A: SA, KE, N           ──▶
    //                        ◀──  N(COOKIE)
    // A: N(COOKIE), SA, KE, N ──▶
    let mut pair = suspicious(1, PLAIN, PLAIN);
    pair.initiate(End::A);
    let first = pair.take(End::A);
    pair.deliver(End::B, &first);
    assert!(pair.b.endpoint.is_empty());
    assert_eq!(pair.b.endpoint.resources(), [0, 0, 0]);
    let challenge = pair.take(End::B);
    let SaInitResponse::Cookie(cookie) = response(&challenge) else { panic!("no cookie") };
    pair.deliver(End::A, &challenge);
    let second = pair.take(End::A);
    // RFC 7296 §2.6: all but the cookie stays as it was.
    let expected = SaInitRequest { cookie: Some(cookie), ..request(&first) };
    assert_eq!(request(&second), expected);
    assert_eq!(header(&second).initiator_spi, header(&first).initiator_spi);
    assert_eq!(header(&second).message_id.0, 0);
    pair.deliver(End::B, &second);
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.b.endpoint.counters().cookies_sent, 1);
}

#[test]
fn a_lost_request_with_cookie_is_sent_again_cookie_and_all() {
    let mut pair = suspicious(2, PLAIN, PLAIN);
    pair.initiate(End::A);
    pair.pass(End::A);
    pair.pass(End::B);
    let lost = pair.take(End::A);
    pair.sleep(ms(500));
    let again = pair.take(End::A);
    assert_eq!(again, lost);
    // The answer is lost as well. Its repetition comes from the half-open SA, not from the gate.
    pair.deliver(End::B, &again);
    let answer = pair.take(End::B);
    pair.sleep(ms(900));
    pair.pass(End::A);
    assert_eq!(pair.take(End::B), answer);
    pair.deliver(End::A, &answer);
    pair.settle();
    pair.assert_agree();
}

#[test]
fn a_second_group_is_tried_when_the_first_is_refused() {
    // A: KE(P-256)  ──▶
    //               ◀──  N(INVALID_KE_PAYLOAD, x25519)
    // A: KE(x25519) ──▶
    let mut pair = pair_with(3, |end, connection| {
        let list = if end == End::A { TWO_GROUPS } else { PLAIN };
        connection.proposals = IkeProposal::parse_list(list).unwrap();
    });
    pair.initiate(End::A);
    let first = pair.take(End::A);
    assert_eq!(request(&first).key_exchange.group, 19);
    pair.deliver(End::B, &first);
    assert!(pair.b.endpoint.is_empty(), "a wrong guess leaves no state");
    let refusal = pair.take(End::B);
    assert_eq!(response(&refusal), SaInitResponse::InvalidKe(31));
    pair.deliver(End::A, &refusal);
    let second = pair.take(End::A);
    assert_eq!(request(&second).key_exchange.group, 31);
    // RFC 7296 §1.2: the whole list is offered again, or a forger could talk us down.
    assert_eq!(request(&second).proposals, request(&first).proposals);
    pair.deliver(End::B, &second);
    pair.settle();
    pair.assert_agree();
}

#[test]
fn a_cookie_survives_the_change_of_group() {
    // RFC 7296 §2.6.1: three requests, not four, for the cookie is shown again with the other group.
    let mut pair = suspicious(4, TWO_GROUPS, PLAIN);
    pair.initiate(End::A);
    let mut requests = Vec::new();
    while pair.a.standing().is_empty() {
        let sent = pair.take(End::A);
        requests.extend((kind(&sent) == (ExchangeType::IkeSaInit, false)).then(|| request(&sent)));
        pair.deliver(End::B, &sent);
        pair.pass(End::B);
    }
    let seen: Vec<_> = requests.iter().map(|r| (r.cookie.is_some(), r.key_exchange.group)).collect();
    assert_eq!(seen, [(false, 19), (true, 19), (true, 31)]);
}

#[test]
fn a_duplicate_of_the_group_refusal_does_not_cut_the_attempt_short() {
    let mut pair = pair_with(5, |end, connection| {
        let list = if end == End::A { TWO_GROUPS } else { PLAIN };
        connection.proposals = IkeProposal::parse_list(list).unwrap();
    });
    pair.initiate(End::A);
    pair.pass(End::A);
    let refusal = pair.take(End::B);
    pair.deliver(End::A, &refusal);
    pair.deliver(End::A, &refusal);
    // All is lost for 12 s: longer than the grace after a refusal, shorter than the attempt.
    for _ in 0..12 {
        pair.a.sent.clear();
        pair.sleep(secs(1));
    }
    assert!(!pair.a.endpoint.is_empty(), "{:?}", pair.a.events);
    pair.run(secs(10));
    pair.assert_agree();
    assert_eq!(pair.a.standing().len(), 1);
}

#[test]
fn a_request_is_sent_again_at_growing_intervals_and_given_up_after_30_seconds() {
    let mut pair = Pair::psk(6);
    let start = pair.now;
    pair.initiate(End::A);
    let first = pair.take(End::A);
    let mut times = Vec::new();
    while let Some(at) = next_deadline(&pair) {
        pair.now = at;
        tick(&mut pair);
        for again in pair.a.sent.drain(..) {
            assert_eq!(again, first, "RFC 7296 §2.1: bit by bit");
            times.push(at.since(start).as_millis());
        }
    }
    // 0.5 s × 1.8ⁿ
    assert_eq!(times, [500, 1400, 3020, 5936, 11184, 20632]);
    assert_eq!(pair.now.since(start), secs(30));
    let verdict = verdict(&pair.a);
    assert_eq!(verdict.culprit, Culprit::Network);
    assert_eq!(verdict.cause, Cause::Unanswered { waited: secs(30) });
    assert!(pair.a.endpoint.is_empty());
    assert_eq!(pair.a.endpoint.resources(), [0, 0, 0]);
}

#[test]
fn the_schedule_of_repetition_is_the_operators() {
    let mut pair = pair_with(7, |_, connection| {
        connection.retransmission.first = ms(100);
        connection.retransmission.factor = 2.0;
        connection.retransmission.give_up = secs(1);
    });
    let start = pair.now;
    pair.initiate(End::A);
    let mut times = Vec::new();
    pair.a.sent.clear();
    while let Some(at) = next_deadline(&pair) {
        pair.now = at;
        tick(&mut pair);
        times.extend(pair.a.sent.drain(..).map(|_| at.since(start).as_millis()));
    }
    assert_eq!(times, [100, 300, 700]);
    assert_eq!(pair.now.since(start), secs(1));
}

#[test]
fn a_repeated_request_gets_the_very_same_answer() {
    // Each request of set-up, of a rekey and of a delete is delivered twice.
    let mut pair = Pair::psk(8);
    pair.initiate(End::A);
    let mut exchanges = 0;
    let mut twice = |pair: &mut Pair| {
        while let Some(sent) = pair.a.sent.pop_front() {
            pair.deliver(End::B, &sent);
            let answer = pair.take(End::B);
            pair.deliver(End::B, &sent);
            assert_eq!(pair.take(End::B), answer);
            pair.deliver(End::A, &answer);
            exchanges += 1;
        }
    };
    twice(&mut pair);
    let child = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    twice(&mut pair);
    pair.assert_agree();
    // IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA and the Delete of the old child.
    assert_eq!(exchanges, 4);
    assert_eq!(pair.b.endpoint.counters().repeated_answers, 4);
    assert_eq!(pair.b.endpoint.len(), 1);
}

#[test]
fn a_request_that_is_being_worked_on_is_not_begun_twice() {
    let mut pair = Pair::psk(9);
    pair.b.hold_jobs = true;
    pair.initiate(End::A);
    let first = pair.take(End::A);
    pair.deliver(End::B, &first);
    pair.deliver(End::B, &first);
    assert_eq!(pair.b.jobs.len(), 1);
    let now = pair.now;
    pair.b.run_jobs(now);
    assert_eq!(pair.b.sent.len(), 1);
    pair.settle();
    pair.assert_agree();
}

#[test]
fn an_answer_in_clear_that_refuses_only_shortens_the_wait() {
    // RFC 7296 §2.21.1: nobody has authenticated it.
    let mut pair = Pair::psk(10);
    pair.initiate(End::A);
    let first = pair.take(End::A);
    let mut other = Pair::new(11, connection(End::A), {
        let mut b = connection(End::B);
        b.proposals = IkeProposal::parse_list("aes256gcm16-prfsha384-x25519").unwrap();
        b
    });
    other.deliver(End::B, &first);
    let refusal = other.take(End::B);
    pair.deliver(End::A, &refusal);
    assert_eq!(pair.a.endpoint.len(), 1);
    pair.sleep(ms(500));
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.standing().len(), 1);
}

#[test]
fn a_refusal_that_nothing_better_follows_becomes_the_verdict() {
    use tidegate_ike::wire::NotifyType;
    let mut pair = pair_with(12, |end, connection| {
        if end == End::B {
            connection.proposals = IkeProposal::parse_list("aes256gcm16-prfsha384-x25519").unwrap();
        }
    });
    let start = pair.now;
    pair.initiate(End::A);
    pair.run(Duration::from_secs(6));
    let verdict = verdict(&pair.a);
    assert_eq!(verdict.culprit, Culprit::Mismatch);
    assert_eq!(verdict.cause, Cause::RefusedInClear(NotifyType::NO_PROPOSAL_CHOSEN));
    assert!(pair.now.since(start) < secs(30));
}

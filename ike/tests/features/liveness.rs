//! Peers that are silent, gone or back again (RFC 7296 §2.4, §2.21.4).

use crate::bench::{
    closings, cut, established_with, header, kind, ms, next_deadline, run_by, secs, straight, tick,
};
use crate::support::{B, End, Host, Pair, connection};
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_ike::wire::{ExchangeType, Informational, Notify, NotifyType};
use tidegate_ike::{Cause, Config, Culprit, DataEvent, Transmit};

const INFORM: (ExchangeType, bool) = (ExchangeType::Informational, false);

/// Only A asks for signs of life.
fn watchful(seed: u64) -> Pair {
    established_with(seed, |end, connection| {
        connection.liveness = (end == End::A).then_some(secs(10));
    })
}

/// B as it is after a crash: configured, and with no memory.
fn restart(pair: &mut Pair, end: End, seed: u64) {
    let address = pair.host(end).address;
    let mut fresh = Host::new(seed, address, Config::default());
    fresh.endpoint.load(connection(end));
    *pair.host(end) = fresh;
}

/// Lets time pass with nothing delivered, until the IKE SA of A is gone; says how long that took.
fn time_to_notice(pair: &mut Pair) -> Duration {
    let start = pair.now;
    while !pair.a.endpoint.is_empty() {
        pair.now = next_deadline(pair).unwrap();
        tick(pair);
        pair.a.sent.clear();
        pair.b.sent.clear();
    }
    pair.now.since(start)
}

#[test]
fn a_silent_peer_is_asked_and_its_answer_is_enough() {
    let mut pair = watchful(1);
    pair.sleep(ms(9_900));
    assert!(pair.a.sent.is_empty());
    pair.sleep(ms(200));
    assert_eq!(pair.a.sent.len(), 1);
    assert_eq!(kind(&pair.a.sent[0]), INFORM);
    pair.settle();
    pair.run(secs(120));
    pair.assert_agree();
    assert!(pair.a.failures().is_empty());
}

#[test]
fn a_connection_without_liveness_asks_nothing() {
    let mut pair = established_with(2, |_, connection| connection.liveness = None);
    run_by(&mut pair, secs(600), &mut |_, transmit: &Transmit| panic!("{transmit:?}"));
}

#[test]
fn a_peer_that_is_gone_is_given_up_with_all_that_it_held() {
    let mut pair = watchful(3);
    let took = time_to_notice(&mut pair);
    assert_eq!(took, secs(40), "10 s of silence and 30 s of repetitions");
    let [closed] = &closings(&pair.a)[..] else { panic!("{:?}", pair.a.events) };
    assert_eq!(closed.culprit, Culprit::Network);
    assert_eq!(closed.cause, Cause::Unanswered { waited: secs(30) });
    assert!(pair.a.installed.is_empty() && pair.a.carries.is_empty());
    assert_eq!(pair.a.endpoint.resources(), [0, 0, 0]);
}

#[test]
fn authentic_esp_counts_as_a_sign_of_life() {
    let mut pair = watchful(4);
    let child = pair.child(End::A);
    for _ in 0..20 {
        pair.sleep(secs(5));
        let activity = DataEvent::Activity { child, remote: SocketAddr::new(B, 4500) };
        pair.with(End::A, |endpoint, now| endpoint.handle_data(now, activity));
        assert!(pair.a.sent.is_empty());
    }
    pair.sleep(secs(9));
    assert!(pair.a.sent.is_empty());
    pair.sleep(ms(1_200));
    assert_eq!(pair.a.sent.len(), 1);
}

#[test]
fn a_request_of_the_peers_counts_as_a_sign_of_life() {
    let mut pair = established_with(5, |end, connection| {
        connection.liveness = Some(secs(if end == End::A { 10 } else { 4 }));
    });
    run_by(&mut pair, secs(60), &mut |from, transmit: &Transmit| {
        assert!(from == End::B || header(transmit).response, "A has no need to ask");
        straight(from, transmit)
    });
}

#[test]
fn an_ike_sa_is_ended_even_if_the_peer_never_agrees() {
    let mut pair = watchful(6);
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.terminate(now, sa)).unwrap();
    // The packet side stops at once; only the Delete goes on for a while.
    assert!(pair.a.installed.is_empty());
    assert_eq!(closings(&pair.a)[0].cause, Cause::ClosedByUs);
    let start = pair.now;
    let mut sent = 0;
    run_by(&mut pair, secs(29), &mut |_, _| {
        sent += 1;
        None
    });
    assert_eq!(sent, 7);
    assert_eq!(pair.a.endpoint.len(), 1);
    run_by(&mut pair, secs(2), &mut cut);
    assert!(pair.a.endpoint.is_empty());
    assert!(pair.now.since(start) < secs(32));
    assert_eq!(pair.a.endpoint.resources(), [0, 0, 0]);
}

#[test]
fn a_restarted_peer_replaces_its_old_ike_sa_at_once() {
    // RFC 7296 §2.4: INITIAL_CONTACT
    let mut pair = watchful(7);
    let old = pair.sa(End::B);
    restart(&mut pair, End::A, 70);
    pair.initiate(End::A);
    pair.settle();
    assert_ne!(pair.sa(End::B), old);
    let [closed] = &closings(&pair.b)[..] else { panic!("{:?}", pair.b.events) };
    assert_eq!((closed.culprit, &closed.cause), (Culprit::Peer, &Cause::PeerRestarted));
    let child = pair.child(End::B);
    assert_eq!(pair.b.carries["net"], child);
    assert_eq!(pair.b.endpoint.len(), 1);
    pair.assert_agree();
}

#[test]
fn a_second_ike_sa_of_a_peer_that_remembers_the_first_leaves_it_alone() {
    let mut pair = watchful(8);
    pair.initiate(End::A);
    pair.settle();
    assert_eq!((pair.a.standing().len(), pair.b.standing().len()), (2, 2));
    assert!(closings(&pair.b).is_empty());
    pair.assert_agree();
}

#[test]
fn a_restarted_peer_that_answers_invalid_ike_spi_is_given_up_quickly() {
    // A: DPD ──▶
    //        ◀──  N(INVALID_IKE_SPI) in clear: only a hint, but the answer is no longer waited for long
    let mut pair = watchful(9);
    restart(&mut pair, End::B, 90);
    let start = pair.now;
    while !pair.a.endpoint.is_empty() {
        pair.now = next_deadline(&pair).unwrap();
        tick(&mut pair);
        pair.settle();
    }
    assert!(pair.now.since(start) <= secs(14), "{:?}", pair.now.since(start));
    assert!(pair.b.endpoint.counters().stateless_answers > 0);
    assert!(matches!(closings(&pair.a)[0].cause, Cause::Unanswered { .. }));
}

#[test]
fn esp_that_nobody_knows_leads_to_a_quick_check() {
    let mut pair = watchful(10);
    restart(&mut pair, End::B, 100);
    let remote = crate::bench::path(&mut pair, End::A).remote;
    pair.with(End::A, |endpoint, now| endpoint.handle_data(now, DataEvent::UnknownSpi(remote)));
    assert_eq!(kind(&pair.a.sent[0]), INFORM);
    let start = pair.now;
    pair.run(secs(4));
    assert!(pair.a.endpoint.is_empty());
    assert!(pair.now.since(start) < secs(5));
}

#[test]
fn hints_never_end_an_ike_sa_whose_peer_is_there() {
    let mut pair = watchful(11);
    let remote = crate::bench::path(&mut pair, End::A).remote;
    for _ in 0..50 {
        pair.with(End::A, |endpoint, now| endpoint.handle_data(now, DataEvent::UnknownSpi(remote)));
        let request = pair.a.sent.back().cloned();
        // A forger answers whatever A asks, before B does.
        if let Some(request) = request {
            let answer = tidegate_ike::wire::Header { response: true, ..header(&request) };
            let answer = tidegate_ike::wire::Header { from_initiator: false, ..answer };
            let notify = Notify::new(NotifyType::INVALID_IKE_SPI);
            let chain = Informational { notifies: vec![notify], ..Informational::default() }.emit();
            let bytes = [vec![0; 4], answer.emit_with(&chain).unwrap()].concat();
            let path = crate::support::mirrored(&request.path);
            pair.deliver(End::A, &Transmit { path, bytes });
        }
        pair.run(secs(1));
    }
    pair.assert_agree();
    assert_eq!(pair.a.standing().len(), 1);
    assert!(closings(&pair.a).is_empty());
}

#[test]
fn many_hints_cost_few_questions() {
    let mut pair = watchful(12);
    let remote = crate::bench::path(&mut pair, End::A).remote;
    let mut asked = 0;
    for _ in 0..100 {
        pair.with(End::A, |endpoint, now| endpoint.handle_data(now, DataEvent::UnknownSpi(remote)));
        asked += pair.a.sent.len();
        pair.settle();
        pair.sleep(ms(10));
    }
    assert_eq!(asked, 1);
}

/// INVALID_SPI in clear, with this initiator's SPI.
fn invalid_spi_in_clear(pair: &mut Pair, initiator_spi: u64) {
    let path = crate::bench::path(pair, End::A);
    let notify = Notify::with_data(NotifyType::INVALID_SPI, vec![1, 2, 3, 4]);
    let chain = Informational { notifies: vec![notify], ..Informational::default() }.emit();
    let header = tidegate_ike::wire::Header {
        initiator_spi: tidegate_ike::wire::IkeSpi(initiator_spi),
        responder_spi: tidegate_ike::wire::IkeSpi(0),
        next_payload: 0,
        major_version: 2,
        minor_version: 0,
        exchange: ExchangeType::Informational,
        from_initiator: true,
        higher_version: false,
        response: false,
        message_id: tidegate_ike::wire::MessageId(0),
        length: 0,
    };
    let bytes = [vec![0; 4], header.emit_with(&chain).unwrap()].concat();
    assert_eq!(path.remote.ip(), B);
    pair.deliver(End::A, &Transmit { path: crate::support::mirrored(&path), bytes });
    assert_eq!(pair.a.sent.len(), 1);
    let sent = pair.take(End::A);
    assert_eq!(kind(&sent), INFORM, "a question to the peer, under protection");
    assert_eq!(sent.path, path);
}

#[test]
fn invalid_spi_in_clear_is_a_hint_and_never_answered() {
    // RFC 7296 §1.5
    invalid_spi_in_clear(&mut watchful(13), 77);
}

#[test]
fn invalid_spi_in_clear_may_come_with_no_ike_spi_at_all() {
    // RFC 7296 §1.5
    invalid_spi_in_clear(&mut watchful(14), 0);
}

#[test]
fn a_peer_without_an_ike_sa_is_told_that_its_esp_meets_nobody() {
    // RFC 7296 §1.5
    let mut pair = watchful(15);
    let path = crate::support::mirrored(&crate::bench::path(&mut pair, End::A));
    restart(&mut pair, End::B, 150);
    for _ in 0..100 {
        pair.with(End::B, |endpoint, now| endpoint.unknown_esp(now, path, 0x0102_0304));
    }
    let told = pair.take(End::B);
    assert_eq!(kind(&told), INFORM);
    assert_eq!(told.path, path);
    assert!(pair.b.sent.len() < 100, "not one for each packet");
    pair.b.sent.clear();
    let start = pair.now;
    pair.deliver(End::A, &told);
    assert_eq!(kind(&pair.a.sent[0]), INFORM, "asked at once");
    pair.run(secs(4));
    assert!(pair.a.endpoint.is_empty() && pair.now.since(start) < secs(5));
}

#[test]
fn a_peer_with_an_ike_sa_is_asked_and_not_told_in_clear() {
    let mut pair = watchful(16);
    let path = crate::bench::path(&mut pair, End::A);
    pair.with(End::A, |endpoint, now| endpoint.unknown_esp(now, path, 0x0102_0304));
    assert_eq!(pair.a.sent.len(), 1);
    assert_eq!(pair.a.endpoint.counters().stateless_answers, 0);
    pair.settle();
    pair.assert_agree();
}

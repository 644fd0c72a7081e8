//! Versions, and payloads that nobody here knows (RFC 7296 §2.5).

use crate::bench::{header, ike, kind, secs, verdict};
use crate::support::{End, Pair};
use tidegate_ike::counters::Drop;
use tidegate_ike::wire::{
    ExchangeType, Header, Notify, NotifyType, PayloadChain, PayloadType, SaInitRequest, SaInitResponse,
};
use tidegate_ike::{Cause, Transmit};

/// Where the header has its versions.
const VERSION: usize = 17;

fn first_request(pair: &mut Pair) -> Transmit {
    pair.initiate(End::A);
    pair.take(End::A)
}

fn answered(pair: &mut Pair, request: &Transmit) -> SaInitResponse {
    pair.deliver(End::B, request);
    let answer = pair.take(End::B);
    let (header, body) = Header::parse(ike(&answer)).unwrap();
    SaInitResponse::parse(header.next_payload, body).unwrap()
}

/// The message with a payload of this type put in front.
fn with_payload(transmit: &Transmit, kind: u8, critical: bool) -> Transmit {
    let (header, body) = Header::parse(&transmit.bytes).unwrap();
    let mut bytes = vec![header.next_payload, if critical { 0x80 } else { 0 }, 0, 8, 1, 2, 3, 4];
    bytes.extend(body);
    let bytes = header.emit_with(&PayloadChain { first: kind, bytes }).unwrap();
    Transmit { path: transmit.path, bytes }
}

#[test]
fn a_higher_major_version_is_answered_with_ours() {
    let mut pair = Pair::psk(1);
    let mut request = first_request(&mut pair);
    request.bytes[VERSION] = 0x30;
    pair.deliver(End::B, &request);
    let answer = pair.take(End::B);
    assert_eq!(answer.bytes[VERSION] >> 4, 2);
    assert!(header(&answer).response);
    let (header, body) = Header::parse(&answer.bytes).unwrap();
    let response = SaInitResponse::parse(header.next_payload, body).unwrap();
    assert_eq!(response, SaInitResponse::Failed(Notify::new(NotifyType::INVALID_MAJOR_VERSION)));
    assert_eq!(pair.b.endpoint.counters().dropped(Drop::Version), 1);
    assert!(pair.b.endpoint.is_empty());
}

#[test]
fn a_lower_major_version_is_met_with_silence() {
    let mut pair = Pair::psk(2);
    let mut request = first_request(&mut pair);
    request.bytes[VERSION] = 0x10;
    pair.deliver(End::B, &request);
    assert!(pair.b.sent.is_empty());
    assert_eq!(pair.b.endpoint.counters().dropped(Drop::Version), 1);
}

#[test]
fn a_higher_minor_version_is_taken() {
    let mut pair = Pair::psk(3);
    let mut request = first_request(&mut pair);
    request.bytes[VERSION] = 0x27;
    assert!(matches!(answered(&mut pair, &request), SaInitResponse::Accepted(_)));
}

#[test]
fn a_peer_that_lacks_our_version_is_named_in_the_verdict() {
    let mut pair = Pair::psk(4);
    let request = first_request(&mut pair);
    let mut newer = request.clone();
    newer.bytes[VERSION] = 0x30;
    pair.deliver(End::B, &newer);
    pair.pass(End::B);
    pair.sleep(secs(6));
    assert_eq!(verdict(&pair.a).cause, Cause::RefusedInClear(NotifyType::INVALID_MAJOR_VERSION));
}

#[test]
fn vendor_ids_and_unknown_payloads_of_a_request_are_passed_over() {
    for payload in [PayloadType::VENDOR_ID.0, 200] {
        let mut pair = Pair::psk(5);
        let request = first_request(&mut pair);
        let request = with_payload(&request, payload, false);
        assert!(matches!(answered(&mut pair, &request), SaInitResponse::Accepted(_)), "{payload}");
    }
}

#[test]
fn a_vendor_id_in_the_answer_is_passed_over() {
    let mut pair = Pair::psk(6);
    pair.initiate(End::A);
    pair.pass(End::A);
    let answer = pair.take(End::B);
    pair.deliver(End::A, &with_payload(&answer, PayloadType::VENDOR_ID.0, false));
    assert_eq!(kind(&pair.take(End::A)), (ExchangeType::IkeAuth, false));
}

#[test]
fn a_critical_payload_that_we_do_not_know_is_refused_by_its_number() {
    let mut pair = Pair::psk(7);
    let request = first_request(&mut pair);
    let answer = answered(&mut pair, &with_payload(&request, 200, true));
    let expected = Notify::with_data(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, vec![200]);
    assert_eq!(answer, SaInitResponse::Failed(expected));
    assert!(pair.b.endpoint.is_empty());
}

#[test]
fn unknown_notifications_of_a_request_are_passed_over() {
    // RFC 7296 §3.10.1: unknown status types always, unknown error types in a request.
    let mut pair = Pair::psk(8);
    let request = first_request(&mut pair);
    let (header, body) = Header::parse(&request.bytes).unwrap();
    let mut message = SaInitRequest::parse(header.next_payload, body).unwrap();
    for kind in [NotifyType(40_961), NotifyType(16_000)] {
        message.notifies.push(Notify::with_data(kind, vec![1, 2, 3]));
    }
    let bytes = header.emit_with(&message.emit()).unwrap();
    let request = Transmit { path: request.path, bytes };
    assert!(matches!(answered(&mut pair, &request), SaInitResponse::Accepted(_)));
}

#[test]
fn an_unknown_error_in_the_answer_is_a_refusal() {
    // RFC 7296 §3.10.1
    let mut pair = Pair::psk(9);
    let request = first_request(&mut pair);
    pair.deliver(End::B, &request);
    let answer = pair.take(End::B);
    let (header, _) = Header::parse(&answer.bytes).unwrap();
    let refusal = SaInitResponse::Failed(Notify::new(NotifyType(16_000)));
    let bytes = header.emit_with(&refusal.emit()).unwrap();
    pair.deliver(End::A, &Transmit { path: answer.path, bytes });
    pair.sleep(secs(6));
    assert_eq!(verdict(&pair.a).cause, Cause::RefusedInClear(NotifyType(16_000)));
}

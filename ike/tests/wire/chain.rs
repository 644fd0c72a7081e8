//! The payload chain and its critical bit (RFC 7296 §2.5, §3.2).

use crate::build::*;
use tidegate_ike::wire::{
    Fault, Informational, MessageError, NotifyType, PayloadType, Payloads, RawPayload, SaInitRequest,
};

fn informational(pieces: &[Piece]) -> Result<Informational, MessageError> {
    let (first, bytes) = chain(pieces);
    Informational::parse(first, &bytes)
}

fn sa_init(pieces: &[Piece]) -> Result<SaInitRequest, MessageError> {
    let (first, bytes) = chain(pieces);
    SaInitRequest::parse(first, &bytes)
}

#[test]
fn payloads_are_walked_in_order() {
    let (first, bytes) = chain(&[piece(V, *b"ab"), critical(200, *b"c")]);
    let walked: Result<Vec<_>, _> = Payloads::new(first, &bytes).collect();
    let vendor =
        RawPayload { kind: PayloadType::VENDOR_ID, critical: false, next: PayloadType(200), body: b"ab" };
    let unknown = RawPayload { kind: PayloadType(200), critical: true, next: PayloadType::NONE, body: b"c" };
    assert_eq!(walked, Ok(vec![vendor, unknown]));
}

#[test]
fn an_unknown_payload_is_skipped() {
    let plain = sa_init(&sa_init_request());
    assert_eq!(sa_init(&with(sa_init_request(), piece(200, *b"whatever"))), plain);
    assert!(plain.is_ok());
}

/// RFC 7296 §2.5.
#[test]
fn an_unknown_critical_payload_refuses_the_message_and_is_named_in_the_answer() {
    let error = sa_init(&with(sa_init_request(), critical(200, *b"whatever"))).unwrap_err();
    assert_eq!(error, MessageError::UnsupportedCritical(200));
    let answer = error.answer();
    assert_eq!(answer.kind, NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD);
    assert_eq!(answer.data, [200]);
}

/// RFC 7296 §2.5: whoever knows the type ignores the bit.
#[test]
fn the_critical_bit_of_a_known_payload_is_ignored() {
    let mut pieces = with(sa_init_request(), piece(V, *b"vendor"));
    let plain = sa_init(&pieces);
    pieces.iter_mut().for_each(|piece| piece.critical = true);
    assert_eq!(sa_init(&pieces), plain);
    assert!(plain.is_ok());
}

/// RFC 7296 §2.5.
#[test]
fn payloads_may_come_in_any_order() {
    let pieces = sa_init_request();
    let plain = sa_init(&pieces);
    assert!(plain.is_ok());
    assert_eq!(sa_init(&pieces.into_iter().rev().collect::<Vec<_>>()), plain);
}

/// RFC 7296 §3.2.
#[test]
fn reserved_bits_of_the_generic_header_are_ignored() {
    let (first, mut bytes) = chain(&[notify(16385, &[])]);
    let plain = Informational::parse(first, &bytes);
    bytes[1] |= 0x7f;
    assert_eq!(Informational::parse(first, &bytes), plain);
    assert!(plain.is_ok());
}

#[test]
fn vendor_ids_are_ignored_wherever_they_stand() {
    let empty = informational(&[piece(V, *b"strange"), piece(V, [])]);
    assert_eq!(empty, Ok(Informational::default()));
}

#[test]
fn a_payload_length_below_four_is_refused() {
    for length in 0..4 {
        let error = Informational::parse(V, &[0, 0, 0, length]);
        assert_eq!(error, Err(MessageError::Chain(Fault::Length(usize::from(length)))));
    }
}

#[test]
fn a_payload_length_past_the_end_is_refused() {
    let error = Informational::parse(V, &[0, 0, 0, 9, 1, 2, 3, 4]);
    assert_eq!(error, Err(MessageError::Chain(Fault::Short { needed: 5, left: 4 })));
}

#[test]
fn bytes_behind_the_last_payload_are_refused() {
    let error = Informational::parse(V, &[0, 0, 0, 4, 0xff]);
    assert_eq!(error, Err(MessageError::Chain(Fault::Trailing(1))));
    assert_eq!(Informational::parse(0, &[0]), Err(MessageError::Chain(Fault::Trailing(1))));
}

#[test]
fn a_next_payload_without_a_payload_is_refused() {
    let error = Informational::parse(V, &[V, 0, 0, 4]);
    assert_eq!(error, Err(MessageError::Chain(Fault::Short { needed: 1, left: 0 })));
}

#[test]
fn more_payloads_than_anyone_needs_are_refused() {
    let full = vec![piece(V, []); Payloads::MAX];
    assert!(informational(&full).is_ok());
    let error = informational(&with(full, piece(V, [])));
    assert_eq!(error, Err(MessageError::Chain(Fault::TooMany { limit: Payloads::MAX })));
}

#[test]
fn every_fault_but_an_unknown_critical_payload_is_answered_with_invalid_syntax() {
    for pieces in [vec![], with(sa_init_request(), piece(D, [])), with(sa_init_request(), nonce())] {
        let answer = sa_init(&pieces).unwrap_err().answer();
        assert_eq!((answer.kind, answer.data), (NotifyType::INVALID_SYNTAX, vec![]));
    }
}

//! The SK and SKF envelopes (RFC 7296 §3.14, RFC 7383 §2.5).

use crate::build::{Piece, SK, SKF, V, chain, critical, piece};
use proptest::prelude::*;
use tidegate_ike::wire::{
    Envelope, ExchangeType, Fault, FragmentError, Header, IkeSpi, MessageId, Part, PayloadChain, Sealed,
    SealingSizes, WireError, unpad,
};

/// AES-GCM-16.
const AEAD: SealingSizes = SealingSizes { iv: 8, block: 1, icv: 16 };
/// AES-CBC with HMAC-SHA-256-128.
const CBC: SealingSizes = SealingSizes { iv: 16, block: 16, icv: 16 };

fn header() -> Header {
    Header {
        initiator_spi: IkeSpi(1),
        responder_spi: IkeSpi(2),
        next_payload: 0,
        major_version: 2,
        minor_version: 0,
        exchange: ExchangeType::IkeAuth,
        from_initiator: true,
        higher_version: false,
        response: false,
        message_id: MessageId(1),
        length: 0,
    }
}

/// A datagram of these payloads; `inner` is what the last of them says comes first in it.
fn datagram(pieces: &[Piece], inner: u8) -> Vec<u8> {
    let (first, mut bytes) = chain(pieces);
    if let Some(last) = pieces.last() {
        let at = bytes.len() - last.body.len() - 4;
        bytes[at] = inner;
    }
    header().emit_with(&PayloadChain { first, bytes }).unwrap()
}

fn sealed(datagram: &[u8]) -> Result<Sealed<'_>, WireError> {
    let (header, _) = Header::parse(datagram).unwrap();
    Sealed::parse(&header, datagram)
}

/// RFC 7296 §3.14 and RFC 5282 §5.1.
#[test]
fn an_sk_payload_splits_the_datagram_at_the_iv() {
    let datagram = datagram(&[piece(SK, *b"iv+ciphertext+icv")], 35);
    let read = sealed(&datagram).unwrap();
    assert_eq!((read.part, read.first), (Part::Whole, 35));
    assert_eq!((read.aad, read.sealed), (&datagram[..32], &b"iv+ciphertext+icv"[..]));
}

/// RFC 7383 §2.5: number and total are authenticated too.
#[test]
fn an_skf_payload_has_number_and_total_in_its_associated_data() {
    let datagram = datagram(&[piece(SKF, *b"\0\x02\0\x03sealed")], 0);
    let read = sealed(&datagram).unwrap();
    assert_eq!(read.part, Part::Fragment { number: 2, total: 3 });
    assert_eq!((read.aad, read.sealed), (&datagram[..36], &b"sealed"[..]));
}

#[test]
fn the_envelope_must_be_the_last_payload() {
    let (_, mut bytes) = chain(&[piece(SK, *b"sealed")]);
    bytes.extend(chain(&[piece(V, [])]).1);
    let datagram = header().emit_with(&PayloadChain { first: SK, bytes }).unwrap();
    assert_eq!(sealed(&datagram), Err(WireError::Chain(Fault::Trailing(4))));
}

#[test]
fn a_message_without_an_envelope_is_not_protected() {
    assert_eq!(sealed(&datagram(&[], 0)), Err(WireError::NotProtected));
    assert_eq!(sealed(&datagram(&[piece(V, [])], 0)), Err(WireError::NotProtected));
}

/// They lie in the associated data, and that is all that is done with them.
#[test]
fn payloads_in_clear_before_the_envelope_are_ignored() {
    let datagram = datagram(&[piece(41, [0, 0, 0, 24]), piece(200, []), piece(SK, *b"sealed")], 35);
    let read = sealed(&datagram).unwrap();
    assert_eq!((read.first, read.sealed, read.unsupported_critical), (35, &b"sealed"[..], None));
    assert_eq!(read.aad.len(), datagram.len() - 6);
}

/// RFC 7296 §2.5.
#[test]
fn an_unknown_critical_payload_in_clear_is_reported() {
    let pieces = [critical(41, [0, 0, 0, 24]), critical(200, []), critical(201, []), piece(SK, *b"sealed")];
    assert_eq!(sealed(&datagram(&pieces, 35)).unwrap().unsupported_critical, Some(200));
}

/// RFC 7383 §2.6.
#[test]
fn impossible_fragment_numbers_are_refused_before_anything_is_opened() {
    for (number, total) in [(0_u16, 0_u16), (0, 3), (4, 3), (1, 0), (65535, 1)] {
        let body = [number.to_be_bytes(), total.to_be_bytes()].concat();
        let error = sealed(&datagram(&[piece(SKF, body)], 0)).map(|_| ());
        assert_eq!(error, Err(WireError::Fragment(FragmentError::Number { number, total })));
    }
}

#[test]
fn an_skf_payload_without_its_fields_is_refused() {
    for length in 0..4 {
        let read = sealed(&datagram(&[piece(SKF, vec![1; length])], 0)).map(|_| ());
        assert!(matches!(read, Err(WireError::Chain(Fault::Short { .. }))), "{read:?}");
    }
}

#[test]
fn an_envelope_is_laid_out_with_room_for_its_cryptography() {
    let chain = PayloadChain { first: 35, bytes: vec![7; 20] };
    let envelope = Envelope::whole(&header(), &chain, AEAD).unwrap();
    assert_eq!(envelope.aad_len, 32);
    assert_eq!((envelope.iv.clone(), envelope.body.clone(), envelope.icv.clone()), (32..40, 40..61, 61..77));
    #[rustfmt::skip]
    let expected = [
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2,
        46, 0x20, 35, 0x08, 0, 0, 0, 1, 0, 0, 0, 77, // SK, IKE_AUTH, 77 bytes
        35, 0, 0, 49, // IDi first inside, 49 bytes
    ];
    assert_eq!(envelope.datagram[..32], expected);
    assert_eq!(envelope.datagram[envelope.body], [&[7; 20][..], &[0]].concat());
}

#[test]
fn a_fragment_is_laid_out_with_number_and_total() {
    let part = Part::Fragment { number: 2, total: 3 };
    let envelope = Envelope::lay_out(&header(), part, 0, &[7; 20], CBC).unwrap();
    assert_eq!(envelope.datagram[28..36], [0, 0, 0, 72, 0, 2, 0, 3]);
    assert_eq!((envelope.aad_len, envelope.iv, envelope.icv), (36, 36..52, 84..100));
    assert_eq!(envelope.datagram[16], SKF);
}

/// RFC 7296 §3.14.
#[test]
fn padding_fills_the_last_block_and_no_more() {
    for (plain, padded) in [(0, 16), (14, 16), (15, 16), (16, 32), (31, 32)] {
        let chain = PayloadChain { first: 35, bytes: vec![7; plain] };
        let envelope = Envelope::whole(&header(), &chain, CBC).unwrap();
        assert_eq!(envelope.body.len(), padded);
        assert_eq!(usize::from(envelope.datagram[envelope.body.end - 1]), padded - plain - 1);
    }
}

#[test]
fn a_message_too_long_for_a_datagram_is_not_laid_out() {
    let chain = PayloadChain { first: 35, bytes: vec![7; 65_536] };
    assert!(matches!(Envelope::whole(&header(), &chain, AEAD), Err(WireError::TooLong(_))));
}

/// RFC 7296 §3.14: any amount of padding, any bytes in it.
#[test]
fn padding_of_any_kind_is_taken_off() {
    assert_eq!(unpad(&[1, 2, 0]), Ok(&[1, 2][..]));
    assert_eq!(unpad(&[1, 9, 9, 2]), Ok(&[1][..]));
    assert_eq!(unpad(&[9, 9, 2]), Ok(&[][..]));
    assert_eq!(unpad(&[0]), Ok(&[][..]));
    assert_eq!(unpad(&[&[5; 10][..], &[9; 255], &[255]].concat()), Ok(&[5; 10][..]));
}

#[test]
fn padding_past_the_start_is_refused() {
    assert_eq!(unpad(&[]), Err(WireError::Padding { said: 0, opened: 0 }));
    assert_eq!(unpad(&[1]), Err(WireError::Padding { said: 1, opened: 1 }));
    assert_eq!(unpad(&[9, 9, 3]), Err(WireError::Padding { said: 3, opened: 3 }));
}

fn sizes() -> impl Strategy<Value = SealingSizes> {
    prop_oneof![Just(AEAD), Just(CBC), Just(SealingSizes { iv: 8, block: 4, icv: 12 })]
}

fn part() -> impl Strategy<Value = Part> {
    let fragment = (1_u16..).prop_flat_map(|total| (1..=total, Just(total)));
    prop_oneof![Just(Part::Whole), fragment.prop_map(|(number, total)| Part::Fragment { number, total })]
}

proptest! {
    #[test]
    fn what_is_laid_out_is_found_again(
        part in part(),
        first in any::<u8>(),
        plain in proptest::collection::vec(any::<u8>(), 0..200),
        sizes in sizes(),
    ) {
        let envelope = Envelope::lay_out(&header(), part, first, &plain, sizes).unwrap();
        prop_assert_eq!(envelope.datagram.len(), sizes.datagram_len(part, plain.len()));
        let read = sealed(&envelope.datagram).unwrap();
        prop_assert_eq!((read.part, read.first, read.aad.len()), (part, first, envelope.aad_len));
        prop_assert_eq!(read.sealed.len(), sizes.iv + envelope.body.len() + sizes.icv);
        prop_assert_eq!(envelope.body.len() % sizes.block, 0);
        prop_assert_eq!(unpad(&envelope.datagram[envelope.body]), Ok(&plain[..]));
    }

    #[test]
    fn the_room_of_a_datagram_is_used_to_the_last_byte(part in part(), max in 0_usize..600, sizes in sizes()) {
        match sizes.room(part, max) {
            Some(room) => {
                prop_assert!(sizes.datagram_len(part, room) <= max);
                prop_assert!(sizes.datagram_len(part, room + 1) > max);
            }
            None => prop_assert!(sizes.datagram_len(part, 0) > max),
        }
    }

    #[test]
    fn any_datagram_has_an_envelope_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 28..200)) {
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[24..28].copy_from_slice(&length.to_be_bytes());
        bytes[16] = if bytes[0] % 2 == 0 { SK } else { SKF };
        if let Ok((header, _)) = Header::parse(&bytes)
            && let Ok(read) = Sealed::parse(&header, &bytes)
        {
            prop_assert_eq!([read.aad, read.sealed].concat(), bytes);
        }
    }
}

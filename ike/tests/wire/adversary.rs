//! Classes of faults that have broken other engines, tried on the wire format.

use crate::build::*;
use tidegate_ike::wire::*;

/// What any of the messages makes of a chain, as text.
fn read_by_all(first: u8, bytes: &[u8]) -> Vec<Result<String, MessageError>> {
    vec![
        Informational::parse(first, bytes).map(|message| format!("{message:?}")),
        SaInitRequest::parse(first, bytes).map(|message| format!("{message:?}")),
        SaInitResponse::parse(first, bytes).map(|message| format!("{message:?}")),
        AuthRequest::parse(first, bytes).map(|message| format!("{message:?}")),
        AuthResponse::parse(first, bytes).map(|message| format!("{message:?}")),
        CreateChildRequest::parse(first, bytes).map(|message| format!("{message:?}")),
        CreateChildResponse::parse(first, bytes).map(|message| format!("{message:?}")),
    ]
}

fn whole_messages() -> Vec<Vec<Piece>> {
    let informational = vec![notify(16388, &[1; 20]), piece(D, [3, 4, 0, 1, 0, 0, 1, 0])];
    let cp = piece(CP, [1, 0, 0, 0, 0, 1, 0, 4, 10, 0, 0, 1]);
    let auth = [vec![cp, piece(CERT, [4, 1, 2, 3]), piece(CERTREQ, [4])], auth_request()].concat();
    vec![sa_init_request(), auth, auth_response(), create_child(), rekey_ike(), informational]
}

#[test]
fn lengths_in_tlvs_every_byte_of_every_message_may_be_wrong() {
    for pieces in whole_messages() {
        let (first, bytes) = chain(&pieces);
        for at in 0..bytes.len() {
            for value in [0, 1, 3, 4, 7, 8, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                read_by_all(first, &damaged);
            }
        }
    }
}

#[test]
fn lengths_in_tlvs_every_payload_may_end_early() {
    for pieces in whole_messages() {
        for index in 0..pieces.len() {
            for length in 0..pieces[index].body.len() {
                let mut short = pieces.clone();
                short[index].body.truncate(length);
                let (first, bytes) = chain(&short);
                read_by_all(first, &bytes);
            }
        }
    }
}

#[test]
fn lengths_in_tlvs_every_known_payload_may_be_empty() {
    let kinds = [SA, KE, IDI, IDR, CERT, CERTREQ, AUTH, NONCE, N, D, TSI, TSR, CP];
    for pieces in whole_messages() {
        for kind in kinds {
            let (first, bytes) = chain(&with(without(pieces.clone(), kind), piece(kind, [])));
            for read in read_by_all(first, &bytes) {
                // A payload that is ignored where it stands may be anything.
                let ignored = matches!(kind, CERTREQ | CP);
                assert!(read.is_err() || ignored, "payload {kind}: {read:?}");
            }
        }
    }
}

#[test]
fn empty_payload_lists_are_a_liveness_check_or_an_error() {
    let [informational, others @ ..] = &read_by_all(0, &[])[..] else { panic!() };
    assert!(informational.is_ok());
    assert!(others.iter().all(Result::is_err));
}

#[test]
fn our_own_error_replies_hold_nothing_of_the_peer_but_one_payload_type() {
    let poison = piece(N, [0x5a; 40]);
    for pieces in whole_messages() {
        let (first, bytes) = chain(&with(pieces, poison.clone()));
        for error in read_by_all(first, &bytes).into_iter().filter_map(Result::err) {
            let answer = error.answer();
            assert_eq!((answer.protocol, answer.spi.len()), (ProtocolId::None, 0));
            assert!(answer.data.len() <= 1);
        }
    }
}

#[test]
fn foreign_payloads_inside_an_envelope_are_refused() {
    for envelope in [SK, SKF] {
        for pieces in whole_messages() {
            let (first, bytes) = chain(&[pieces, vec![piece(envelope, [0; 40])]].concat());
            for read in read_by_all(first, &bytes) {
                assert!(read.is_err(), "{read:?}");
            }
        }
    }
}

#[test]
fn fragments_are_bounded_in_number() {
    let mut buffer = Reassembly::default();
    for total in [Reassembly::MAX_FRAGMENTS + 1, 1000, u16::MAX] {
        assert_eq!(buffer.check(1, total), Err(FragmentError::TooMany { total }));
        assert_eq!(buffer.add(1, total, 35, b"ab"), Err(FragmentError::TooMany { total }));
    }
    assert!(buffer.is_empty());
}

#[test]
fn fragments_are_bounded_in_bytes() {
    let mut buffer = Reassembly::default();
    let half = vec![0; Reassembly::MAX_BYTES / 2];
    assert_eq!(buffer.add(1, 4, 35, &half), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(2, 4, 0, &half), Ok(Progress::Incomplete));
    let refused = FragmentError::TooLong(Reassembly::MAX_BYTES + 1);
    assert_eq!(buffer.add(3, 4, 0, &[0]), Err(refused));
    assert_eq!(buffer.add(3, 4, 0, &[]), Ok(Progress::Incomplete));
}

/// A set that is refused for its size must not wipe out the one that is being gathered.
#[test]
fn fragments_that_are_refused_change_nothing() {
    let mut buffer = Reassembly::default();
    assert_eq!(buffer.add(1, 2, 35, b"ab"), Ok(Progress::Incomplete));
    let oversize = vec![0; Reassembly::MAX_BYTES + 1];
    assert!(buffer.add(1, 3, 36, &oversize).is_err());
    assert!(buffer.add(0, 3, 36, b"xx").is_err());
    assert!(buffer.add(1, 65, 36, b"xx").is_err());
    let whole = PayloadChain { first: 35, bytes: b"abcd".to_vec() };
    assert_eq!(buffer.add(2, 2, 0, b"cd"), Ok(Progress::Complete(whole)));
}

#[test]
fn fragment_totals_that_only_grow_end_at_the_bound() {
    let mut buffer = Reassembly::default();
    for total in 2..=Reassembly::MAX_FRAGMENTS {
        assert_eq!(buffer.add(1, total, 35, &[0; 1000]), Ok(Progress::Incomplete));
    }
    assert!(buffer.add(1, Reassembly::MAX_FRAGMENTS + 1, 35, &[0; 1000]).is_err());
}

#[test]
fn padding_of_every_length_is_taken_off_or_refused() {
    for opened in 0..300_usize {
        for pad_length in 0..=u8::MAX {
            let mut bytes = vec![0; opened];
            bytes.push(pad_length);
            let left = opened.checked_sub(usize::from(pad_length));
            assert_eq!(unpad(&bytes).ok().map(<[u8]>::len), left);
        }
    }
}

#[test]
fn integer_limits_lengths_of_all_ones_are_refused() {
    let (first, bytes) = chain(&[piece(V, [0xff; 60])]);
    for at in (0..bytes.len() - 1).step_by(2) {
        let mut damaged = bytes.clone();
        damaged[at..at + 2].fill(0xff);
        for kind in 33..=54 {
            read_by_all(kind, &damaged);
        }
        read_by_all(first, &damaged);
    }
}

#[test]
fn what_we_cannot_say_in_a_length_field_is_not_sent() {
    let huge = Notify::with_data(NotifyType(20000), vec![0; 70_000]);
    let chain = Informational { notifies: vec![huge], ..Informational::default() }.emit();
    let (header, _) = Header::parse(&[
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 32, 37, 8, 0, 0, 0, 0, 0, 0, 0, 28,
    ])
    .unwrap();
    let sizes = SealingSizes { iv: 8, block: 1, icv: 16 };
    assert!(matches!(header.emit_with(&chain), Err(WireError::TooLong(_))));
    assert!(matches!(Envelope::whole(&header, &chain, sizes), Err(WireError::TooLong(_))));
    assert!(matches!(split(&chain, 1400, sizes), Err(WireError::TooLong(_))));
}

#[test]
fn exhaustion_a_datagram_of_nothing_but_headers_is_refused_early() {
    let bytes = [200, 0, 0, 4].repeat(16_000);
    let limit = Payloads::MAX;
    let error = Informational::parse(200, &bytes);
    assert_eq!(error, Err(MessageError::Chain(Fault::TooMany { limit })));
}

//! The insides of the other payloads: every length, count and range that can be wrong.

use crate::build::*;
use tidegate_esp::{AddressRange, Ports, Spi};
use tidegate_ike::wire::*;

fn informational(piece: Piece) -> Result<Informational, MessageError> {
    let (first, bytes) = chain(&[piece]);
    Informational::parse(first, &bytes)
}

fn inside(kind: u8, fault: Fault) -> MessageError {
    MessageError::Payload { payload: PayloadType(kind), fault }
}

fn of_notify(kind: u16, fault: Fault) -> MessageError {
    MessageError::Notify { kind: NotifyType(kind), fault }
}

fn sa_init(extra: Piece) -> Result<SaInitRequest, MessageError> {
    let kept = if extra.kind == N { sa_init_request() } else { without(sa_init_request(), extra.kind) };
    let (first, bytes) = chain(&with(kept, extra));
    SaInitRequest::parse(first, &bytes)
}

fn auth(extra: Piece) -> Result<AuthRequest, MessageError> {
    let kept = if extra.kind == N { auth_request() } else { without(auth_request(), extra.kind) };
    let (first, bytes) = chain(&with(kept, extra));
    AuthRequest::parse(first, &bytes)
}

fn rekey_child(extra: Piece) -> Result<ChildRequest, MessageError> {
    let (first, bytes) = chain(&with(create_child(), extra));
    match CreateChildRequest::parse(first, &bytes)? {
        CreateChildRequest::Child(request) => Ok(request),
        CreateChildRequest::RekeyIke(rekey) => panic!("{rekey:?}"),
    }
}

// KE, ID, CERT, CERTREQ, AUTH, Nonce (§3.4 to §3.9)

#[test]
fn a_key_exchange_payload_needs_its_fixed_fields() {
    for length in 0_u8..4 {
        let error = sa_init(piece(KE, vec![0; usize::from(length)])).unwrap_err();
        assert!(matches!(error, MessageError::Payload { payload: PayloadType::KEY_EXCHANGE, .. }));
    }
    let read = sa_init(piece(KE, [0, 31, 0xff, 0xff, 5])).unwrap();
    assert_eq!(read.key_exchange, KeyExchange { group: 31, public: vec![5] });
}

#[test]
fn an_id_an_auth_and_a_certificate_payload_need_their_fixed_fields() {
    for (kind, fixed) in [(IDI, 4), (IDR, 4), (AUTH, 4), (CERT, 1), (CERTREQ, 1)] {
        for length in 0..fixed {
            let error = auth(piece(kind, vec![1; length])).unwrap_err();
            assert!(matches!(error, MessageError::Payload { payload, .. } if payload.0 == kind));
        }
        auth(piece(kind, vec![1; fixed])).unwrap();
    }
}

/// RFC 7296 §2.15: AUTH covers the ID payload behind its generic header.
#[test]
fn the_body_of_an_id_is_what_stood_on_the_wire() {
    let Piece { body, .. } = id(IDI);
    assert_eq!(auth(id(IDI)).unwrap().initiator_id.body(), body);
}

/// RFC 7296 §3.9.
#[test]
fn a_nonce_has_16_to_256_bytes() {
    for length in [0, 1, 15, 257, 1000] {
        let error = sa_init(piece(NONCE, vec![0; length])).unwrap_err();
        assert_eq!(error, inside(NONCE, Fault::Length(length)));
    }
    for length in [16, 256] {
        assert_eq!(sa_init(piece(NONCE, vec![0; length])).unwrap().nonce.len(), length);
    }
}

// Notify (§3.10)

#[test]
fn a_notification_needs_its_fixed_fields_and_the_spi_it_announces() {
    for body in [&[][..], &[0], &[0, 0], &[0, 0, 1], &[3, 4, 64, 9, 1, 2, 3]] {
        let error = informational(piece(N, body)).unwrap_err();
        assert!(matches!(error, MessageError::Payload { payload: PayloadType::NOTIFY, .. }), "{body:?}");
    }
}

/// RFC 7296 §3.10: none about the IKE SA, four bytes about a child.
#[test]
fn the_spi_of_a_notification_has_the_size_of_its_protocol() {
    for (number, protocol, sizes) in
        [(1, ProtocolId::Ike, &[0_usize][..]), (2, ProtocolId::Ah, &[0, 4]), (3, ProtocolId::Esp, &[0, 4])]
    {
        for size in 0..=9 {
            let read = informational(notify_spi(number, &vec![1; size], 20000, &[]));
            if sizes.contains(&size) {
                assert_eq!(read.unwrap().notifies[0].spi.len(), size);
            } else {
                assert_eq!(read.unwrap_err(), inside(N, Fault::SpiSize { protocol, size }));
            }
        }
    }
}

/// RFC 7296 §3.10.
#[test]
fn without_an_spi_the_protocol_of_a_notification_is_ignored_and_sent_as_zero() {
    let read = informational(notify_spi(1, &[], 20000, &[])).unwrap();
    assert_eq!(read.notifies, [Notify::new(NotifyType(20000))]);
    let notify = Notify { protocol: ProtocolId::Esp, ..Notify::new(NotifyType(20000)) };
    let sent = Informational { notifies: vec![notify], ..Informational::default() }.emit();
    assert_eq!(sent.bytes, [0, 0, 0, 8, 0, 0, 0x4e, 0x20]);
}

#[test]
fn notifications_go_by_their_registered_names() {
    assert_eq!(NotifyType(11).to_string(), "INVALID_SPI");
    assert_eq!(format!("{:?}", NotifyType(16431)), "SIGNATURE_HASH_ALGORITHMS");
    assert_eq!(NotifyType(20000).to_string(), "NOTIFY_20000");
    assert!(NotifyType(16383).is_error() && !NotifyType(16384).is_error());
}

/// RFC 7296 §2.6.
#[test]
fn a_cookie_has_1_to_64_bytes() {
    for length in [0, 65] {
        let error = sa_init(notify(16390, &vec![1; length])).unwrap_err();
        assert_eq!(error, of_notify(16390, Fault::Length(length)));
    }
    assert_eq!(sa_init(notify(16390, &[1; 64])).unwrap().cookie, Some(vec![1; 64]));
}

/// RFC 4555 §4.2.5.
#[test]
fn a_cookie2_has_8_to_64_bytes() {
    for length in [0, 7, 65] {
        let error = informational(notify(16401, &vec![1; length])).unwrap_err();
        assert_eq!(error, of_notify(16401, Fault::Length(length)));
    }
    assert_eq!(informational(notify(16401, &[1; 8])).unwrap().cookie2, Some(vec![1; 8]));
}

/// RFC 7296 §2.23.
#[test]
fn nat_detection_hashes_have_20_bytes() {
    for kind in [16388, 16389] {
        for length in [0, 16, 19, 21] {
            let error = sa_init(notify(kind, &vec![1; length])).unwrap_err();
            assert_eq!(error, of_notify(kind, Fault::Length(length)));
        }
    }
}

/// RFC 7296 §2.23: one for each source address that the sender may have, and one destination.
#[test]
fn there_may_be_several_source_hashes_and_one_destination_hash() {
    let source = |byte| notify(16388, &[byte; 20]);
    let destination = notify(16389, &[3; 20]);
    let (first, bytes) = chain(&[source(1), source(2), destination.clone()]);
    let nat = Informational::parse(first, &bytes).unwrap().nat;
    assert_eq!(nat, NatDetection { sources: vec![[1; 20], [2; 20]], destination: Some([3; 20]) });
    let (first, bytes) = chain(&[destination.clone(), destination]);
    let error = Informational::parse(first, &bytes).unwrap_err();
    assert_eq!(error, MessageError::RepeatedNotify(NotifyType::NAT_DETECTION_DESTINATION_IP));
}

/// RFC 4555 §4.2.2.
#[test]
fn additional_addresses_have_the_length_of_their_family() {
    for (kind, right) in [(16397, 4), (16398, 16)] {
        for length in [0, 3, 4, 5, 15, 16, 17] {
            let read = informational(notify(kind, &vec![1; length]));
            match read {
                Ok(_) => assert_eq!(length, right),
                Err(error) => assert_eq!(error, of_notify(kind, Fault::Length(length))),
            }
        }
    }
}

#[test]
fn an_additional_address_outweighs_the_claim_that_there_is_none() {
    let (first, bytes) = chain(&[notify(16399, &[]), notify(16397, &[10, 0, 0, 1])]);
    let addresses = Informational::parse(first, &bytes).unwrap().additional_addresses;
    let address = std::net::IpAddr::from([10, 0, 0, 1]);
    assert_eq!(addresses, Some(AdditionalAddresses::Some(vec![address])));
}

/// RFC 4555 §4.2.6.
#[test]
fn no_nats_allowed_holds_addresses_and_ports_of_one_family() {
    for length in [0, 11, 13, 35, 37] {
        let error = auth(notify(16402, &vec![1; length])).unwrap_err();
        assert_eq!(error, of_notify(16402, Fault::Length(length)));
    }
    for length in [12, 36] {
        assert!(auth(notify(16402, &vec![1; length])).is_ok());
    }
}

/// RFC 4478 §3.
#[test]
fn an_authentication_lifetime_has_four_bytes() {
    assert_eq!(informational(notify(16403, &[0, 0, 1, 0])).unwrap().lifetime, Some(256));
    let error = informational(notify(16403, &[0, 1, 0])).unwrap_err();
    assert_eq!(error, of_notify(16403, Fault::Length(3)));
}

/// RFC 7427 §4.
#[test]
fn signature_hash_algorithms_have_two_bytes_each() {
    assert_eq!(sa_init(notify(16431, &[0, 2, 0, 5])).unwrap().signature_hashes, [2, 5]);
    let error = sa_init(notify(16431, &[0, 2, 0])).unwrap_err();
    assert_eq!(error, of_notify(16431, Fault::Length(3)));
}

/// RFC 7383 §2.3 and RFC 4555 §4.2.1: data in them is ignored, and so is saying it twice.
#[test]
fn flags_may_carry_data_and_may_be_repeated() {
    let flag = notify(16430, b"future");
    let (first, bytes) = chain(&with(with(sa_init_request(), flag.clone()), flag));
    let request = SaInitRequest::parse(first, &bytes).unwrap();
    assert!(request.fragmentation && request.notifies.is_empty());
    assert!(auth(notify(16396, b"future")).unwrap().mobike);
}

/// RFC 7296 §1.3.3.
#[test]
fn rekey_sa_names_a_child_by_its_esp_spi() {
    let spi = [0, 0, 1, 0];
    assert_eq!(rekey_child(notify_spi(3, &spi, 16393, &[])).unwrap().rekeys, Spi::new(256));
    let nameless = rekey_child(notify(16393, &[])).unwrap_err();
    let fault = Fault::SpiSize { protocol: ProtocolId::None, size: 0 };
    assert_eq!(nameless, of_notify(16393, fault));
    let reserved = rekey_child(notify_spi(3, &[0, 0, 0, 255], 16393, &[])).unwrap_err();
    assert_eq!(reserved, of_notify(16393, Fault::ReservedSpi(255)));
}

#[test]
fn rekey_sa_of_ah_names_none_of_our_children() {
    let read = rekey_child(notify_spi(2, &[0, 0, 1, 0], 16393, &[])).unwrap();
    assert_eq!((read.rekeys, read.notifies[0].kind), (None, NotifyType::REKEY_SA));
}

// Delete (§3.11)

fn deletes(body: &[u8]) -> Result<Vec<Delete>, MessageError> {
    informational(piece(D, body)).map(|message| message.deletes)
}

#[test]
fn a_delete_of_the_ike_sa_carries_no_spi() {
    assert_eq!(deletes(&[1, 0, 0, 0]), Ok(vec![Delete::Ike]));
    let wrong = Fault::SpiSize { protocol: ProtocolId::Ike, size: 8 };
    assert_eq!(deletes(&[1, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]), Err(inside(D, wrong)));
    assert_eq!(deletes(&[1, 0, 0, 1]), Err(inside(D, Fault::Count { said: 1, found: 0 })));
}

#[test]
fn a_delete_of_children_carries_four_bytes_for_each() {
    let spis = vec![Spi::new(256).unwrap(), Spi::new(512).unwrap()];
    assert_eq!(deletes(&[3, 4, 0, 2, 0, 0, 1, 0, 0, 0, 2, 0]), Ok(vec![Delete::Esp(spis)]));
    assert_eq!(deletes(&[2, 4, 0, 1, 0, 0, 1, 0]), Ok(vec![Delete::Other(2)]));
    for (number, protocol) in [(2, ProtocolId::Ah), (3, ProtocolId::Esp)] {
        let wrong = Fault::SpiSize { protocol, size: 8 };
        assert_eq!(deletes(&[number, 8, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0]), Err(inside(D, wrong)));
    }
}

#[test]
fn the_count_of_a_delete_must_be_what_it_holds() {
    for (said, found) in [(0_u8, 1), (2, 1), (255, 1)] {
        let error = deletes(&[3, 4, 0, said, 0, 0, 1, 0]).unwrap_err();
        assert_eq!(error, inside(D, Fault::Count { said: usize::from(said), found }));
    }
    assert!(deletes(&[3, 4, 0, 1, 0, 0, 1]).is_err());
    assert!(deletes(&[3, 4, 0xff, 0xff]).is_err());
    assert!(deletes(&[77, 255, 0xff, 0xff]).is_err());
    assert!(deletes(&[3, 4, 0]).is_err());
}

#[test]
fn spis_that_can_name_no_sa_are_left_out_of_a_delete() {
    let read = deletes(&[3, 4, 0, 2, 0, 0, 0, 255, 0, 0, 1, 0]);
    assert_eq!(read, Ok(vec![Delete::Esp(vec![Spi::new(256).unwrap()])]));
}

// Traffic selectors (§3.13)

fn selectors(body: &[u8]) -> Result<Selectors, Fault> {
    match auth(piece(TSI, body)) {
        Ok(request) => Ok(request.child.unwrap().initiator_selectors),
        Err(MessageError::Payload { payload: PayloadType::INITIATOR_SELECTORS, fault }) => Err(fault),
        Err(other) => panic!("{other:?}"),
    }
}

/// One IPv4 selector behind the count.
fn ipv4(count: u8, ports: [u8; 4], start: [u8; 4], end: [u8; 4]) -> Vec<u8> {
    [&[count, 0, 0, 0, 7, 17, 0, 16][..], &ports, &start, &end].concat()
}

const ANY_PORT: [u8; 4] = [0, 0, 255, 255];

#[test]
fn selectors_of_both_families_are_read() {
    let mut body = ipv4(2, ANY_PORT, [10, 0, 0, 0], [10, 0, 0, 255]);
    body.extend([8, 58, 0, 40, 0, 0, 255, 255]);
    body.extend([0x20; 16]);
    body.extend([0x21; 16]);
    let read = selectors(&body).unwrap();
    let v4 = AddressRange::V4 { start: [10, 0, 0, 0].into(), end: [10, 0, 0, 255].into() };
    let v6 = AddressRange::V6 { start: [0x20; 16].into(), end: [0x21; 16].into() };
    assert_eq!(read.iter().map(|selector| selector.addresses).collect::<Vec<_>>(), [v4, v6]);
    assert_eq!(read.iter().map(|selector| selector.protocol).collect::<Vec<_>>(), [17, 58]);
}

#[test]
fn a_range_of_addresses_that_ends_before_it_starts_is_refused() {
    let body = ipv4(1, ANY_PORT, [10, 0, 0, 1], [10, 0, 0, 0]);
    assert_eq!(selectors(&body), Err(Fault::Range));
    let v6 = [&[1, 0, 0, 0, 8, 0, 0, 40, 0, 0, 255, 255][..], &[1; 16], &[0; 16]].concat();
    assert_eq!(selectors(&v6), Err(Fault::Range));
}

/// RFC 7296 §3.13.1.
#[test]
fn the_one_inverted_range_of_ports_is_opaque() {
    let opaque = selectors(&ipv4(1, [255, 255, 0, 0], [0; 4], [255; 4])).unwrap();
    assert_eq!(opaque[0].ports, Ports::Opaque);
    assert_eq!(selectors(&ipv4(1, [255, 255, 0, 1], [0; 4], [255; 4])), Err(Fault::Range));
    assert_eq!(selectors(&ipv4(1, [0, 2, 0, 1], [0; 4], [255; 4])), Err(Fault::Range));
}

#[test]
fn the_number_of_selectors_must_be_what_there_is() {
    for count in [0, 2, 255] {
        let fault = selectors(&ipv4(count, ANY_PORT, [0; 4], [255; 4])).unwrap_err();
        assert!(matches!(fault, Fault::Count { said, .. } if said == usize::from(count)));
    }
    assert_eq!(selectors(&[1, 0, 0, 0]), Err(Fault::Count { said: 1, found: 0 }));
    assert_eq!(selectors(&[1, 0, 0]), Err(Fault::Short { needed: 3, left: 2 }));
}

#[test]
fn a_selector_of_a_wrong_length_is_refused() {
    let body = ipv4(1, ANY_PORT, [0; 4], [255; 4]);
    for length in 0..=u8::MAX {
        let mut wrong = body.clone();
        wrong[7] = length;
        assert_eq!(selectors(&wrong).is_ok(), length == 16, "length {length}");
    }
    let long = [&[1, 0, 0, 0, 7, 0, 0, 20, 0, 0, 255, 255][..], &[0; 12]].concat();
    assert_eq!(selectors(&long), Err(Fault::Trailing(4)));
}

/// RFC 7296 §2.9: what cannot be understood is narrowed away; an empty list says that nothing is left.
#[test]
fn selectors_of_unknown_types_are_left_out() {
    let unknown = [9, 0, 0, 8, 0, 0, 0, 2];
    let known = ipv4(2, ANY_PORT, [0; 4], [255; 4]);
    assert_eq!(selectors(&[&known[..], &unknown].concat()).unwrap().len(), 1);
    assert_eq!(selectors(&[&[1, 0, 0, 0][..], &unknown].concat()), Ok(vec![]));
    assert_eq!(selectors(&[0, 0, 0, 0]), Ok(vec![]));
}

// Configuration (§3.15)

fn attributes(body: &[u8]) -> Result<Vec<ConfigurationAttribute>, Fault> {
    match auth(piece(CP, [&[1, 0, 0, 0], body].concat())) {
        Ok(request) => Ok(request.configuration.unwrap().attributes),
        Err(MessageError::Payload { payload: PayloadType::CONFIGURATION, fault }) => Err(fault),
        Err(other) => panic!("{other:?}"),
    }
}

/// RFC 7296 §3.15.1.
#[test]
fn a_known_attribute_has_its_one_length_or_none() {
    for (kind, right) in [(1, 4), (2, 4), (3, 4), (8, 17), (10, 16), (13, 8), (15, 17)] {
        for length in 0..=20_u8 {
            let body = [&[0, kind, 0, length][..], &vec![1; usize::from(length)]].concat();
            let read = attributes(&body);
            if length == 0 || length == right {
                assert_eq!(read.unwrap().len(), 1);
            } else {
                assert_eq!(read, Err(Fault::Length(usize::from(length))), "attribute {kind}");
            }
        }
    }
}

#[test]
fn an_ipv6_prefix_length_above_128_is_refused() {
    let body = [&[0, 8, 0, 17][..], &[1; 16], &[129]].concat();
    assert_eq!(attributes(&body), Err(Fault::PrefixLength(129)));
}

#[test]
fn unknown_attributes_survive_as_numbers_and_bytes() {
    let read = attributes(&[0x80 | 0x12, 0x34, 0, 2, 5, 6]);
    assert_eq!(read, Ok(vec![ConfigurationAttribute::Other(0x1234, vec![5, 6])]));
}

#[test]
fn an_attribute_past_the_end_is_refused() {
    assert_eq!(attributes(&[0, 1, 0, 4, 1, 2, 3]), Err(Fault::Short { needed: 4, left: 3 }));
    assert_eq!(attributes(&[0, 1, 0]), Err(Fault::Short { needed: 2, left: 1 }));
    assert!(auth(piece(CP, [1, 0, 0])).is_err());
}

#[test]
fn more_attributes_than_anyone_needs_are_refused() {
    let limit = Configuration::MAX_ATTRIBUTES;
    assert_eq!(attributes(&[0, 1, 0, 0].repeat(limit)).unwrap().len(), limit);
    assert_eq!(attributes(&[0, 1, 0, 0].repeat(limit + 1)), Err(Fault::TooMany { limit }));
}

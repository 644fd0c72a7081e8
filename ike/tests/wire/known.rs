//! Messages written by hand from the diagrams of RFC 7296 §3, read and written.

use std::net::Ipv6Addr;
use tidegate_esp::{AddressRange, Ports, Spi, TrafficSelector};
use tidegate_ike::wire::*;

/// IKE_SA_INIT request: `HDR, SAi1, KEi, Ni` with one AES-256-GCM suite and X25519.
#[rustfmt::skip]
const SA_INIT: &[u8] = &[
    // Header (§3.1).
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, // initiator's SPI
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // responder's SPI
    33, 0x20, 34, 0x08, // SA first, version 2.0, IKE_SA_INIT, from the initiator
    0, 0, 0, 0, // message id
    0, 0, 0, 132, // length
    // SA (§3.3)
    34, 0, 0, 40, // KE follows
    0, 0, 0, 36, 1, 1, 0, 3, // last proposal, number 1, IKE, no SPI, 3 transforms
    3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0x01, 0x00, // ENCR 20, key length 256
    3, 0, 0, 8, 2, 0, 0, 5, // PRF 5
    0, 0, 0, 8, 4, 0, 0, 31, // group 31
    // KE (§3.4)
    40, 0, 0, 40, 0, 31, 0, 0, // Nonce follows, group 31
    0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
    0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
    // Nonce (§3.9)
    0, 0, 0, 24, // nothing follows
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];

/// CREATE_CHILD_SA request that rekeys a child without PFS: `N(REKEY_SA), SA, Ni, TSi, TSr`.
#[rustfmt::skip]
const REKEY_CHILD: &[u8] = &[
    // N (§3.10): ESP, SPI of 4 bytes, REKEY_SA
    33, 0, 0, 12, 3, 4, 0x40, 0x09, 0xc0, 0xff, 0xee, 0x01,
    // SA (§3.3): AES-CBC-128 with HMAC-SHA-256-128, or AES-GCM-16 with 256 bits; ESN or none
    40, 0, 0, 84,
    2, 0, 0, 40, 1, 3, 4, 3, 0xc0, 0xff, 0xee, 0x02,
    3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 0, 128,
    3, 0, 0, 8, 3, 0, 0, 12,
    0, 0, 0, 8, 5, 0, 0, 0,
    0, 0, 0, 40, 2, 3, 4, 3, 0xc0, 0xff, 0xee, 0x02,
    3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 1, 0,
    3, 0, 0, 8, 5, 0, 0, 0,
    0, 0, 0, 8, 5, 0, 0, 1,
    // Nonce (§3.9)
    44, 0, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    // TSi (§3.13): UDP to port 53 of 192.0.2.0/24
    45, 0, 0, 24, 1, 0, 0, 0,
    7, 17, 0, 16, 0, 53, 0, 53, 192, 0, 2, 0, 192, 0, 2, 255,
    // TSr: all of 2001:db8::/32
    0, 0, 0, 48, 1, 0, 0, 0,
    8, 0, 0, 40, 0, 0, 0xff, 0xff,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];

/// IKE_AUTH response whose child was refused: `IDr, CERT, AUTH, CP(CFG_REPLY), N(TS_UNACCEPTABLE),
/// N(MOBIKE_SUPPORTED)`.
#[rustfmt::skip]
const AUTH_WITHOUT_CHILD: &[u8] = &[
    // IDr (§3.5): ID_FQDN
    37, 0, 0, 11, 2, 0, 0, 0, b'h', b'u', b'b',
    // CERT (§3.6): X.509 for signatures
    39, 0, 0, 8, 4, 0x30, 0x01, 0x00,
    // AUTH (§3.8): method 14
    47, 0, 0, 10, 14, 0, 0, 0, 0xab, 0xcd,
    // CP (§3.15): CFG_REPLY, INTERNAL_IP4_ADDRESS, INTERNAL_IP6_SUBNET
    41, 0, 0, 37, 2, 0, 0, 0,
    0, 1, 0, 4, 10, 1, 2, 3,
    0, 15, 0, 17, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32,
    // N (§3.10): TS_UNACCEPTABLE
    41, 0, 0, 8, 0, 0, 0, 38,
    // N: MOBIKE_SUPPORTED (RFC 4555 §4.2.1)
    0, 0, 0, 8, 0, 0, 0x40, 0x0c,
];

fn header() -> Header {
    Header {
        initiator_spi: IkeSpi(0x0102_0304_0506_0708),
        responder_spi: IkeSpi(0),
        next_payload: 33,
        major_version: 2,
        minor_version: 0,
        exchange: ExchangeType::IkeSaInit,
        from_initiator: true,
        higher_version: false,
        response: false,
        message_id: MessageId(0),
        length: 132,
    }
}

fn transform(kind: u8, id: u16, key_length: Option<u16>) -> Transform {
    Transform { kind, id, key_length, unknown_attribute: false }
}

fn rekey_child() -> CreateChildRequest {
    let proposal = |number, transforms| {
        let spi = vec![0xc0, 0xff, 0xee, 0x02];
        Proposal { number, protocol: ProtocolId::Esp, spi, transforms }
    };
    let documentation = AddressRange::V4 { start: [192, 0, 2, 0].into(), end: [192, 0, 2, 255].into() };
    let start = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
    let end = Ipv6Addr::from(u128::from(start) | u128::MAX >> 32);
    CreateChildRequest::Child(ChildRequest {
        offer: ChildOffer {
            proposals: vec![
                proposal(1, vec![transform(1, 12, Some(128)), transform(3, 12, None), transform(5, 0, None)]),
                proposal(2, vec![transform(1, 20, Some(256)), transform(5, 0, None), transform(5, 1, None)]),
            ],
            initiator_selectors: vec![TrafficSelector {
                addresses: documentation,
                protocol: 17,
                ports: Ports::Range(53, 53),
            }],
            responder_selectors: vec![TrafficSelector {
                addresses: AddressRange::V6 { start, end },
                protocol: 0,
                ports: Ports::ANY,
            }],
            transport_mode: false,
            no_tfc_padding: false,
        },
        nonce: (1..=16).collect(),
        key_exchange: None,
        rekeys: Spi::new(0xc0ff_ee01),
        notifies: vec![],
    })
}

fn auth_without_child() -> AuthResponse {
    let subnet = (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32);
    AuthResponse::Accepted(Box::new(AuthAccepted {
        responder_id: IdPayload { kind: 2, data: b"hub".to_vec() },
        certificates: vec![CertificatePayload { encoding: 4, data: vec![0x30, 0x01, 0x00] }],
        authentication: AuthPayload { method: 14, data: vec![0xab, 0xcd] },
        configuration: Some(Configuration {
            kind: ConfigurationKind::Reply,
            attributes: vec![
                ConfigurationAttribute::Ip4Address(Some([10, 1, 2, 3].into())),
                ConfigurationAttribute::Ip6Subnet(Some(subnet)),
            ],
        }),
        child: ChildOutcome::Refused(Notify::new(NotifyType::TS_UNACCEPTABLE)),
        mobike: true,
        additional_addresses: None,
        lifetime: None,
        notifies: vec![],
    }))
}

fn request() -> SaInitRequest {
    SaInitRequest {
        cookie: None,
        proposals: vec![Proposal {
            number: 1,
            protocol: ProtocolId::Ike,
            spi: vec![],
            transforms: vec![transform(1, 20, Some(256)), transform(2, 5, None), transform(4, 31, None)],
        }],
        key_exchange: KeyExchange { group: 31, public: vec![0xaa; 32] },
        nonce: (1..=20).collect(),
        nat: NatDetection::default(),
        fragmentation: false,
        signature_hashes: vec![],
        notifies: vec![],
    }
}

#[test]
fn an_ike_sa_init_request_is_read_as_the_rfc_draws_it() {
    let (read, body) = Header::parse(SA_INIT).unwrap();
    assert_eq!(read, header());
    assert_eq!(SaInitRequest::parse(read.next_payload, body), Ok(request()));
}

#[test]
fn an_ike_sa_init_request_is_written_as_the_rfc_draws_it() {
    assert_eq!(header().emit_with(&request().emit()).unwrap(), SA_INIT);
}

#[test]
fn a_request_to_rekey_a_child_is_read_and_written_as_the_rfc_draws_it() {
    assert_eq!(CreateChildRequest::parse(41, REKEY_CHILD), Ok(rekey_child()));
    assert_eq!(rekey_child().emit(), PayloadChain { first: 41, bytes: REKEY_CHILD.to_vec() });
}

#[test]
fn an_ike_auth_response_without_its_child_is_read_and_written_as_the_rfc_draws_it() {
    assert_eq!(AuthResponse::parse(36, AUTH_WITHOUT_CHILD), Ok(auth_without_child()));
    assert_eq!(auth_without_child().emit(), PayloadChain { first: 36, bytes: AUTH_WITHOUT_CHILD.to_vec() });
}

#[test]
fn an_empty_informational_message_has_no_payloads() {
    let chain = Informational::default().emit();
    assert_eq!((chain.first, chain.bytes.len()), (0, 0));
    assert_eq!(Informational::parse(0, &[]), Ok(Informational::default()));
}

/// Seeds that cannot be read any more would leave the fuzzer at the front door.
#[test]
fn the_seeds_of_the_fuzzer_are_messages() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/message");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let datagram = std::fs::read(&path).unwrap();
        let (header, body) = Header::parse(&datagram).unwrap();
        let read = match Sealed::parse(&header, &datagram) {
            Ok(Sealed { part: Part::Fragment { .. }, .. }) => true,
            Ok(sealed) => is_message(&header, sealed.first, unpad(sealed.sealed).unwrap()),
            Err(_) => is_message(&header, header.next_payload, body),
        };
        assert!(read, "{}", path.display());
        seen += 1;
    }
    assert!(seen > 10);
}

fn is_message(header: &Header, first: u8, body: &[u8]) -> bool {
    match (header.exchange, header.response) {
        (ExchangeType::IkeSaInit, false) => SaInitRequest::parse(first, body).is_ok(),
        (ExchangeType::IkeSaInit, true) => SaInitResponse::parse(first, body).is_ok(),
        (ExchangeType::IkeAuth, false) => AuthRequest::parse(first, body).is_ok(),
        (ExchangeType::IkeAuth, true) => AuthResponse::parse(first, body).is_ok(),
        (ExchangeType::CreateChildSa, false) => CreateChildRequest::parse(first, body).is_ok(),
        (ExchangeType::CreateChildSa, true) => CreateChildResponse::parse(first, body).is_ok(),
        _ => Informational::parse(first, body).is_ok(),
    }
}

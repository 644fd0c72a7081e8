//! Messages written by hand from the diagrams of RFC 7296 §3, read and written.

#![allow(clippy::unwrap_used)]

use tidegate_ike::wire::{
    ExchangeType, Header, IkeSpi, Informational, KeyExchange, MessageId, NatDetection, Proposal, ProtocolId,
    SaInitRequest, Transform,
};

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

fn request() -> SaInitRequest {
    let transform = |kind, id, key_length| Transform { kind, id, key_length, unknown_attribute: false };
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
fn an_empty_informational_message_has_no_payloads() {
    let chain = Informational::default().emit();
    assert_eq!((chain.first, chain.bytes.len()), (0, 0));
    assert_eq!(Informational::parse(0, &[]), Ok(Informational::default()));
}

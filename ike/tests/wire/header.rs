//! The fixed header (RFC 7296 §3.1).

use tidegate_ike::wire::{ExchangeType, Header, IkeSpi, MessageId, PayloadChain, WireError};

/// An empty INFORMATIONAL request.
#[rustfmt::skip]
const EMPTY: [u8; 28] = [
    0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, // SPIs
    0, 0x20, 37, 0x08, 0, 0, 0, 9, 0, 0, 0, 28,
];

fn with(at: usize, value: u8) -> [u8; 28] {
    let mut bytes = EMPTY;
    bytes[at] = value;
    bytes
}

fn parsed(bytes: &[u8]) -> Header {
    Header::parse(bytes).unwrap().0
}

#[test]
fn every_field_has_its_place() {
    let header = parsed(&EMPTY);
    assert_eq!((header.initiator_spi, header.responder_spi), (IkeSpi(1), IkeSpi(2)));
    assert_eq!((header.exchange, header.message_id), (ExchangeType::Informational, MessageId(9)));
    assert!(header.from_initiator && !header.response && !header.higher_version);
    assert_eq!(header.emit(), EMPTY);
}

#[test]
fn fewer_than_28_bytes_are_no_header() {
    for length in 0..28 {
        assert_eq!(Header::parse(&EMPTY[..length]), Err(WireError::ShortHeader(length)));
    }
}

#[test]
fn the_length_field_must_equal_the_datagram() {
    for (at, value, said) in [(27, 29, 29), (27, 27, 27), (24, 0xff, 0xff00_001c)] {
        let error = Header::parse(&with(at, value)).unwrap_err();
        assert_eq!(error, WireError::LengthField { said, datagram: 28 });
    }
}

#[test]
fn the_initiator_spi_is_never_zero() {
    assert_eq!(Header::parse(&with(7, 0)), Err(WireError::NoInitiatorSpi));
}

/// RFC 7296 §2.5: the caller answers with INVALID_MAJOR_VERSION.
#[test]
fn another_major_version_is_reported_and_not_refused() {
    assert_eq!(parsed(&with(17, 0x30)).major_version, 3);
    assert_eq!(parsed(&with(17, 0x10)).major_version, 1);
}

/// RFC 7296 §3.1: the minor version and the bits without a meaning are ignored.
#[test]
fn minor_version_and_reserved_bits_change_nothing() {
    let header = parsed(&with(17, 0x2f));
    assert_eq!((header.major_version, header.minor_version), (2, 15));
    assert_eq!(parsed(&with(19, 0x08 | 0xc7)), parsed(&EMPTY));
}

#[test]
fn unknown_exchanges_survive_as_numbers() {
    let header = parsed(&with(18, 43));
    assert_eq!(header.exchange, ExchangeType::Other(43));
    assert_eq!(header.emit()[18], 43);
}

#[test]
fn a_message_above_65535_bytes_is_not_written() {
    let chain = PayloadChain { first: 43, bytes: vec![0; 65508] };
    assert_eq!(parsed(&EMPTY).emit_with(&chain), Err(WireError::TooLong(65536)));
}

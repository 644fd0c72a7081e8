//! Any datagram: header, envelope and payloads. Whatever is understood must survive being written and read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;
use tidegate_ike::wire::{
    AuthRequest, AuthResponse, CreateChildRequest, CreateChildResponse, ExchangeType, FurtherRequest,
    FurtherResponse, Header, Informational, MessageError, PayloadChain, Payloads, SaInitRequest,
    SaInitResponse, Sealed, unpad,
};

fuzz_target!(|datagram: &[u8]| {
    // A length field that is wrong would hide everything behind it.
    let mut datagram = datagram.to_vec();
    if let (Ok(length), Some(field)) = (u32::try_from(datagram.len()), datagram.get_mut(24..28)) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    let Ok((header, body)) = Header::parse(&datagram) else { return };
    assert_eq!(Header::parse(&[&header.emit()[..], body].concat()), Ok((header, body)));

    if let Ok(sealed) = Sealed::parse(&header, &datagram) {
        assert_eq!(sealed.aad.len() + sealed.sealed.len(), datagram.len());
        // As if there were no cipher: the inside is a chain of its own.
        if let Ok(plain) = unpad(sealed.sealed) {
            exchange(&header, sealed.first, plain);
        }
    }
    assert!(Payloads::new(header.next_payload, body).take(70_000).count() <= body.len() / 4 + 1);
    exchange(&header, header.next_payload, body);
});

fn exchange(header: &Header, first: u8, body: &[u8]) {
    match (header.exchange, header.response) {
        (ExchangeType::IkeSaInit, false) => check(first, body, SaInitRequest::parse, SaInitRequest::emit),
        (ExchangeType::IkeSaInit, true) => check(first, body, SaInitResponse::parse, SaInitResponse::emit),
        (ExchangeType::IkeAuth, false) => {
            check(first, body, AuthRequest::parse, AuthRequest::emit);
            check(first, body, FurtherRequest::parse, FurtherRequest::emit);
        }
        (ExchangeType::IkeAuth, true) => {
            check(first, body, AuthResponse::parse, AuthResponse::emit);
            check(first, body, FurtherResponse::parse, FurtherResponse::emit);
        }
        (ExchangeType::CreateChildSa, false) => {
            check(first, body, CreateChildRequest::parse, CreateChildRequest::emit);
        }
        (ExchangeType::CreateChildSa, true) => {
            check(first, body, CreateChildResponse::parse, CreateChildResponse::emit);
        }
        (ExchangeType::Informational | ExchangeType::Other(_), _) => {
            check(first, body, Informational::parse, Informational::emit);
        }
    }
}

fn check<M: PartialEq + Debug>(
    first: u8,
    body: &[u8],
    parse: impl Fn(u8, &[u8]) -> Result<M, MessageError>,
    emit: impl Fn(&M) -> PayloadChain,
) {
    let message = match parse(first, body) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.answer().kind.is_error());
            return;
        }
    };
    let chain = emit(&message);
    let again = parse(chain.first, &chain.bytes).expect("what we write can be read");
    // Attributes that we do not know are not kept.
    if !format!("{message:?}").contains("unknown_attribute: true") {
        assert_eq!(message, again);
    }
    assert_eq!(emit(&again), chain);
}

//! Class "our own error replies": they are built from our types, and never from the peer's bytes.

use crate::evil::{Knock, Scene, clear, hear};
use tidegate_ike::wire::{
    ExchangeType, Header, IkeSpi, Informational, KeyExchange, MessageId, Notify, NotifyType, PayloadChain,
    Payloads, SaInitResponse, Transform,
};
use tidegate_ike::{Config, Time};

const NOW: Time = Time::from_nanos(1_000_000_000);

fn reply(datagram: &[u8]) -> Option<(Header, Informational)> {
    let mut victim = Scene::victim(Config::default());
    hear(&mut victim, NOW, datagram);
    let sent = victim.sent.pop_front()?;
    assert!(victim.sent.is_empty(), "one answer at most");
    assert!(victim.endpoint.is_empty());
    let (header, body) = Header::parse(&sent.bytes).unwrap();
    Some((header, Informational::parse(header.next_payload, body).unwrap()))
}

/// RFC 7296 §2.21.4: SPIs and message id as they came, response flag set, initiator flag the other way.
#[test]
fn a_request_for_an_unknown_ike_sa_is_answered_with_its_own_header() {
    let header = clear(IkeSpi(7), IkeSpi(8), ExchangeType::Informational, 77);
    let datagram = header.emit_with(&PayloadChain { first: 46, bytes: vec![0, 0, 0, 40] }).unwrap();
    let (answer, said) = reply(&datagram).unwrap();
    assert_eq!(said.notifies, [Notify::new(NotifyType::INVALID_IKE_SPI)]);
    assert!(answer.response && !answer.from_initiator);
    assert_eq!((answer.initiator_spi, answer.responder_spi), (IkeSpi(7), IkeSpi(8)));
    assert_eq!(answer.message_id, MessageId(77));
}

#[test]
fn a_response_is_never_answered() {
    for exchange in [34, 35, 36, 37, 200] {
        for major_version in [1, 2, 3] {
            let header = clear(IkeSpi(7), IkeSpi(8), ExchangeType::from(exchange), 0);
            let header = Header { response: true, major_version, ..header };
            assert!(reply(&header.emit_with(&PayloadChain::default()).unwrap()).is_none());
        }
    }
}

/// RFC 7296 §2.5: a version above ours is told which one we speak; no bit of its own comes back as ours.
#[test]
fn a_higher_version_is_answered_with_ours() {
    let header = clear(IkeSpi(7), IkeSpi(0), ExchangeType::IkeSaInit, 0);
    let header = Header { major_version: 3, minor_version: 9, higher_version: true, ..header };
    let (answer, said) = reply(&header.emit_with(&PayloadChain::default()).unwrap()).unwrap();
    assert_eq!((answer.major_version, answer.minor_version, answer.higher_version), (2, 0, false));
    assert_eq!(said.notifies, [Notify::new(NotifyType::INVALID_MAJOR_VERSION)]);
}

/// Whatever protocol, SPI or data a bad request names, the answer names none of it.
#[test]
fn refusals_of_bad_requests_hold_nothing_of_them() {
    let knock = Knock::new(1);
    let mut oversized = knock.message(None);
    oversized.notifies = vec![Notify::with_data(NotifyType(50_000), vec![0xee; 60_000])];
    let mut unknown = knock.message(None);
    unknown.proposals[0].transforms =
        vec![Transform { kind: 1, id: 0xeeee, key_length: Some(0xeeee), unknown_attribute: false }];
    let cases = [(oversized, None), (unknown, Some(NotifyType::NO_PROPOSAL_CHOSEN))];
    for (message, kind) in cases {
        let answer = reply(&knock.datagram(&message));
        match (answer, kind) {
            (None, None) => {}
            (Some((_, said)), Some(kind)) => assert_eq!(said.notifies, [Notify::new(kind)]),
            (answer, _) => panic!("{answer:?}"),
        }
    }
}

/// The wrong group is answered with ours, as a number of our own.
#[test]
fn a_request_with_another_group_is_told_ours() {
    let knock = Knock::new(1);
    let mut message = knock.message(None);
    let group = Transform { kind: 4, id: 14, key_length: None, unknown_attribute: false };
    message.proposals[0].transforms.push(group);
    message.key_exchange = KeyExchange { group: 14, public: vec![0xee; 256] };
    let mut victim = Scene::victim(Config::default());
    hear(&mut victim, NOW, &knock.datagram(&message));
    let sent = victim.sent.pop_front().unwrap();
    let (header, body) = Header::parse(&sent.bytes).unwrap();
    assert_eq!(header.responder_spi, IkeSpi(0));
    let answer = SaInitResponse::parse(header.next_payload, body).unwrap();
    assert_eq!(answer, SaInitResponse::InvalidKe(31));
    assert_eq!(Payloads::new(header.next_payload, body).count(), 1);
    assert!(victim.endpoint.is_empty(), "no state for a guess");
}

//! Every request of an authenticated peer has an answer, whatever is wrong with it (RFC 7296 §1.4, §2.21.3).

use crate::puppet::{Puppet, child_request, notification};
use crate::support::End;
use tidegate_ike::crypto::GroupId;
use tidegate_ike::proposal::{IkeProposal, ike_offer};
use tidegate_ike::wire::{
    Configuration, ConfigurationAttribute, ConfigurationKind, CreateChildRequest, CreateChildResponse,
    ExchangeType, Informational, KeyExchange, Notify, NotifyType, PayloadChain, RekeyIkeMessage,
};
use tidegate_ike::{Cause, Event};

// RFC 7296 §1.4
#[test]
fn an_empty_request_has_an_empty_answer() {
    let (mut pair, mut puppet) = Puppet::with_engine(1);
    let answer = puppet.ask(&mut pair, ExchangeType::Informational, &PayloadChain::default());
    assert_eq!(answer, PayloadChain::default());
}

// RFC 7296 §3.10.1
#[test]
fn notifications_that_nobody_knows_are_passed_over() {
    let (mut pair, mut puppet) = Puppet::with_engine(2);
    for kind in [NotifyType(8_000), NotifyType(16_000), NotifyType(40_000), NotifyType(60_000)] {
        let request =
            Informational { notifies: vec![Notify::with_data(kind, vec![1])], ..Informational::default() };
        assert_eq!(puppet.inform(&mut pair, &request), Informational::default());
    }
    assert_eq!(pair.b.standing().len(), 1);
}

// RFC 7296 §3.15.1, §2.20: nothing of a CFG_SET is accepted, and a question about versions is not answered.
#[test]
fn configuration_that_is_pushed_is_not_taken() {
    let (mut pair, mut puppet) = Puppet::with_engine(3);
    let wish = ConfigurationAttribute::Ip4Address(Some([10, 9, 9, 9].into()));
    for (kind, attribute) in [
        (ConfigurationKind::Set, wish),
        (ConfigurationKind::Request, ConfigurationAttribute::Other(7, Vec::new())),
        (ConfigurationKind::Request, ConfigurationAttribute::Other(5, vec![0; 4])),
    ] {
        let configuration = Some(Configuration { kind, attributes: vec![attribute] });
        let request = Informational { configuration, ..Informational::default() };
        assert_eq!(puppet.inform(&mut pair, &request).configuration, None);
    }
}

// RFC 7296 §2.21.3: a public value that is none is no better.
#[test]
fn a_public_value_that_is_none_is_answered_and_ends_the_ike_sa() {
    let (mut pair, mut puppet) = Puppet::with_engine(5);
    let proposals = IkeProposal::parse_list("aes128gcm16-prfsha256-x25519").unwrap();
    let request = CreateChildRequest::RekeyIke(RekeyIkeMessage {
        proposals: ike_offer(&proposals, &[9; 8]),
        nonce: vec![3; 32],
        key_exchange: KeyExchange { group: GroupId::X25519.transform_id(), public: vec![0; 32] },
        notifies: Vec::new(),
    });
    let CreateChildResponse::Failed(notify) = puppet.create(&mut pair, &request) else { panic!("accepted") };
    assert_eq!(notify.kind, NotifyType::INVALID_SYNTAX);
    assert!(pair.b.standing().is_empty());
    assert!(pair.b.events.iter().any(
        |event| matches!(event, Event::IkeClosed { verdict, .. } if matches!(verdict.cause, Cause::KeyExchange(_)))
    ));
}

// RFC 7296 §2.5, §4: without the critical bit it is skipped.
#[test]
fn an_unknown_payload_is_skipped() {
    let (mut pair, mut puppet) = Puppet::with_engine(7);
    let create = CreateChildRequest::Child(child_request(0x2000)).emit();
    let bytes = [&[create.first, 0, 0, 6, 1, 2], create.bytes.as_slice()].concat();
    puppet.ask(&mut pair, ExchangeType::CreateChildSa, &PayloadChain { first: 201, bytes });
    assert_eq!(pair.b.children().len(), 2);
}

// RFC 7296 §3.10.1: an error of a request has no meaning that ends anything, but for the two that say so.
#[test]
fn an_unknown_error_in_a_request_is_passed_over() {
    let (mut pair, mut puppet) = Puppet::with_engine(8);
    let answer = puppet.ask(&mut pair, ExchangeType::Informational, &notification(NotifyType(9_999)));
    assert_eq!(answer, PayloadChain::default());
    assert_eq!(pair.b.standing().len(), 1);
}

// RFC 7296 §3.10.1: the same in an answer fails the request that it answers.
#[test]
fn an_unknown_error_in_an_answer_fails_the_request() {
    let (mut pair, mut puppet) = Puppet::with_engine(9);
    let sa = pair.sa(End::B);
    pair.with(End::B, |endpoint, now| endpoint.create_child(now, sa, "net")).unwrap();
    let request = puppet.hear(&mut pair).header;
    puppet.answer(&mut pair, &request, &notification(NotifyType(9_999)));
    let failures = pair.b.failures();
    assert_eq!(failures[0].cause, Cause::Refused(NotifyType(9_999)));
    assert_eq!(pair.b.children().len(), 1);
}

// RFC 7296 §1.3.2, §2.18: new keys for an IKE SA come with a key exchange of their own.
#[test]
fn an_ike_sa_is_not_rekeyed_without_a_key_exchange() {
    let (mut pair, mut puppet) = Puppet::with_engine(10);
    let proposals = IkeProposal::parse_list("aes128gcm16-prfsha256-x25519").unwrap();
    let mut proposals = ike_offer(&proposals, &[9; 8]);
    // The group of no group.
    for transform in proposals[0].transforms.iter_mut().filter(|transform| transform.kind == 4) {
        transform.id = 0;
    }
    let request = CreateChildRequest::RekeyIke(RekeyIkeMessage {
        proposals,
        nonce: vec![3; 32],
        key_exchange: KeyExchange { group: 0, public: Vec::new() },
        notifies: Vec::new(),
    });
    let CreateChildResponse::Failed(notify) = puppet.create(&mut pair, &request) else { panic!("accepted") };
    assert_eq!(notify.kind, NotifyType::NO_PROPOSAL_CHOSEN);
    assert_eq!(pair.b.endpoint.len(), 1);
}

// RFC 7296 §2.25: a peer that cannot now is asked again, but not at once.
#[test]
fn after_a_temporary_failure_the_engine_waits() {
    let (mut pair, mut puppet) = Puppet::with_engine(11);
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    let request = puppet.hear(&mut pair).header;
    puppet.answer(&mut pair, &request, &notification(NotifyType::TEMPORARY_FAILURE));
    pair.sleep(std::time::Duration::from_millis(900));
    assert!(pair.b.sent.is_empty());
    pair.sleep(std::time::Duration::from_secs(2));
    let again = puppet.hear(&mut pair);
    assert_eq!(again.header.exchange, ExchangeType::CreateChildSa);
}

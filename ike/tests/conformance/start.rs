//! The first exchanges: what they hold, and what they refuse.

use crate::evil::Knock;
use crate::puppet::Stranger;
use crate::support::{End, Pair, connection, forged, identity, mirrored, selector};
use std::collections::BTreeSet;
use tidegate_esp::AddressRange;
use tidegate_ike::Config;
use tidegate_ike::pool::Pool;
use tidegate_ike::wire::{
    AuthResponse, ChildOutcome, Configuration, ConfigurationAttribute, ConfigurationKind, ExchangeType,
    Header, IkeSpi, Notify, NotifyType, PayloadChain, PayloadType, Payloads, SaInitRequest, SaInitResponse,
};

fn refusal(answer: AuthResponse) -> Notify {
    match answer {
        AuthResponse::Failed(notify) => notify,
        AuthResponse::Accepted(_) => panic!("accepted"),
    }
}

fn child(answer: AuthResponse) -> ChildOutcome {
    match answer {
        AuthResponse::Accepted(accepted) => accepted.child,
        AuthResponse::Failed(notify) => panic!("refused: {notify:?}"),
    }
}

fn init_response(bytes: &[u8]) -> SaInitResponse {
    let (header, body) = Header::parse(bytes).unwrap();
    SaInitResponse::parse(header.next_payload, body).unwrap()
}

// RFC 7296 §1.2, §2.15, and §2.21.2: no more is said than that.
#[test]
fn a_name_that_the_secret_is_not_for_is_refused() {
    let mut pair = Pair::psk(2);
    let mut stranger = Stranger::new(&mut pair);
    let mut request = stranger.proof();
    request.initiator_id = identity("c.example").to_payload();
    let notify = refusal(stranger.prove(&mut pair, &request));
    assert_eq!(notify, Notify::new(NotifyType::AUTHENTICATION_FAILED));
    assert!(pair.b.standing().is_empty());
    assert!(pair.b.installed.is_empty());
}

// RFC 7296 §1.2
#[test]
fn an_auth_value_that_is_wrong_in_one_bit_is_refused() {
    let mut pair = Pair::psk(3);
    let mut stranger = Stranger::new(&mut pair);
    let mut request = stranger.proof();
    request.authentication.as_mut().unwrap().data[31] ^= 1;
    assert_eq!(refusal(stranger.prove(&mut pair, &request)).kind, NotifyType::AUTHENTICATION_FAILED);
    assert!(pair.b.standing().is_empty());
}

// RFC 7296 §1.3.1: transport mode is declined by leaving it out; whether that will do is the initiator's
// to say.
#[test]
fn transport_mode_is_declined() {
    let mut pair = Pair::psk(4);
    let mut stranger = Stranger::new(&mut pair);
    let mut request = stranger.proof();
    request.child.as_mut().unwrap().transport_mode = true;
    let ChildOutcome::Accepted(child) = child(stranger.prove(&mut pair, &request)) else {
        panic!("no child")
    };
    assert!(!child.transport_mode);
}

// RFC 7296 §2.6: SPIs name an IKE SA, so no two are alike; §3.1: none is zero.
#[test]
fn ike_spis_are_unique_and_never_zero() {
    let mut pair = Pair::psk(5);
    let mut spis = BTreeSet::new();
    for _ in 0..300 {
        let sa = pair.initiate(End::A);
        let chosen = pair.a.endpoint.status(sa).unwrap().spis();
        // RFC 7296 §3.1: the responder's is zero in the first message.
        assert_eq!(chosen.responder, IkeSpi(0));
        spis.insert(chosen.initiator);
    }
    assert_eq!(spis.len(), 300);
    assert!(!spis.contains(&IkeSpi(0)));
}

// RFC 7296 §2.6
#[test]
fn a_wrong_cookie_counts_as_none() {
    let ask = |pair: &mut Pair, cookie| {
        pair.deliver(End::B, &forged(End::A, Knock::new(1).with_cookie(cookie)));
        init_response(&pair.take(End::B).bytes)
    };
    // Where no cookie is asked for, a wrong one is as good as none.
    let mut pair = Pair::psk(6);
    assert!(matches!(ask(&mut pair, Some(vec![1; 20])), SaInitResponse::Accepted(_)));
    // Where one is asked for, it is asked for again.
    let config = Config { cookie_threshold: 0, ..Config::default() };
    let mut pair = Pair::with_config(6, connection(End::A), connection(End::B), config);
    let SaInitResponse::Cookie(right) = ask(&mut pair, Some(vec![1; 20])) else { panic!("let in") };
    assert!((1..=64).contains(&right.len()));
    assert!(pair.b.endpoint.is_empty());
    assert!(matches!(ask(&mut pair, Some(right)), SaInitResponse::Accepted(_)));
}

// RFC 7296 §2.10, §3.9
#[test]
fn nonces_are_long_enough_for_every_prf_and_never_repeat() {
    let mut pair = Pair::psk(7);
    let mut nonces = Vec::new();
    for _ in 0..50 {
        pair.initiate(End::A);
        let request = pair.take(End::A);
        let (header, body) = Header::parse(&request.bytes).unwrap();
        nonces.push(SaInitRequest::parse(header.next_payload, body).unwrap().nonce);
        pair.deliver(End::B, &request);
        let SaInitResponse::Accepted(accepted) = init_response(&pair.take(End::B).bytes) else {
            panic!("refused")
        };
        nonces.push(accepted.nonce);
    }
    // Half of the largest key of a PRF that we speak, HMAC-SHA2-512, is 32 bytes.
    assert!(nonces.iter().all(|nonce| nonce.len() >= 32 && nonce.len() <= 256));
    let different: BTreeSet<_> = nonces.iter().collect();
    assert_eq!(different.len(), nonces.len());
}

// RFC 7296 §2.19
#[test]
fn the_configuration_payload_stands_before_the_sa_payload() {
    let mut pair = Pair::psk(8);
    let stranger = Stranger::new(&mut pair);
    let mut request = stranger.proof();
    request.configuration = Some(Configuration {
        kind: ConfigurationKind::Request,
        attributes: vec![ConfigurationAttribute::Ip4Address(None)],
    });
    let chain = request.emit();
    let order: Vec<_> =
        Payloads::new(chain.first, &chain.bytes).map(|payload| payload.unwrap().kind).collect();
    let at = |kind| order.iter().position(|other| *other == kind).unwrap();
    assert!(at(PayloadType::CONFIGURATION) < at(PayloadType::SECURITY_ASSOCIATION));
}

// RFC 7296 §2.5, §2.21.2
#[test]
fn an_unknown_critical_payload_in_ike_auth_is_refused_by_its_number() {
    let mut pair = Pair::psk(9);
    let mut stranger = Stranger::new(&mut pair);
    let chain = stranger.proof().emit();
    let bytes = [&[chain.first, 0x80, 0, 4], chain.bytes.as_slice()].concat();
    let answer = stranger.puppet.ask(&mut pair, ExchangeType::IkeAuth, &PayloadChain { first: 200, bytes });
    let notify = refusal(AuthResponse::parse(answer.first, &answer.bytes).unwrap());
    assert_eq!(notify, Notify::with_data(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, vec![200]));
    assert!(pair.b.standing().is_empty());
}

// RFC 7296 §2.11, §2.23
#[test]
fn an_answer_goes_to_the_port_that_the_request_came_from() {
    let mut pair = Pair::psk(12);
    let mut knock = forged(End::A, Knock::new(1).request);
    knock.path.local.set_port(1024);
    pair.deliver(End::B, &knock);
    assert_eq!(mirrored(&pair.take(End::B).path), knock.path);
}

// RFC 7296 §2.21.2: the child failed, the IKE SA did not.
#[test]
fn a_child_that_cannot_be_made_leaves_the_ike_sa() {
    let mut pair = Pair::psk(13);
    let mut stranger = Stranger::new(&mut pair);
    let mut request = stranger.proof();
    request.child.as_mut().unwrap().responder_selectors = vec![selector("172.16.0.0/12")];
    let ChildOutcome::Refused(notify) = child(stranger.prove(&mut pair, &request)) else { panic!("a child") };
    assert_eq!(notify.kind, NotifyType::TS_UNACCEPTABLE);
    assert_eq!(pair.b.standing().len(), 1);
}

// RFC 7296 §2.16: whoever leaves AUTH out asks for EAP, which we do not do.
#[test]
fn a_peer_that_wants_eap_is_refused() {
    let mut pair = Pair::psk(14);
    let mut stranger = Stranger::new(&mut pair);
    let mut request = stranger.proof();
    request.authentication = None;
    assert_eq!(refusal(stranger.prove(&mut pair, &request)).kind, NotifyType::AUTHENTICATION_FAILED);
}

// RFC 7296 §1.7, §3.15.1: number 5 had a meaning once.
#[test]
fn attributes_that_nobody_knows_are_left_out_of_the_reply() {
    let mut b = connection(End::B);
    b.pools = vec!["pool".into()];
    let mut pair = Pair::new(15, connection(End::A), b);
    let addresses = AddressRange::V4 { start: [10, 9, 0, 1].into(), end: [10, 9, 0, 9].into() };
    let (dns, subnets, attributes) = (Vec::new(), Vec::new(), Vec::new());
    pair.b.endpoint.load_pool(Pool { name: "pool".into(), addresses, dns, subnets, attributes });
    let mut stranger = Stranger::new(&mut pair);
    let mut request = stranger.proof();
    request.configuration = Some(Configuration {
        kind: ConfigurationKind::Request,
        attributes: vec![
            ConfigurationAttribute::Other(5, vec![0; 4]),
            ConfigurationAttribute::Ip4Address(None),
            ConfigurationAttribute::Other(16_000, vec![1]),
        ],
    });
    let AuthResponse::Accepted(accepted) = stranger.prove(&mut pair, &request) else { panic!("refused") };
    let reply = accepted.configuration.expect("an address");
    assert_eq!(reply.kind, ConfigurationKind::Reply);
    assert_eq!(reply.attributes, [ConfigurationAttribute::Ip4Address(Some([10, 9, 0, 1].into()))]);
}

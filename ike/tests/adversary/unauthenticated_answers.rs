//! Class "before authentication, state is touched", for an initiator: answers to IKE_SA_INIT that anybody may
//! have sent never end an attempt, and the real one wins (RFC 7296 §2.4, §2.6, §2.21.1).

use crate::support::{A, End, Pair, connection, forged, mirrored};
use std::time::Duration;
use tidegate_ike::connection::Connection;
use tidegate_ike::proposal::IkeProposal;
use tidegate_ike::wire::{
    ExchangeType, Header, IkeSpi, KeyExchange, Notify, NotifyType, PayloadChain, SaInitResponse,
};
use tidegate_ike::{Cause, Event, Transmit};

fn pair(proposals: &str) -> Pair {
    let with = |end| {
        let proposals = IkeProposal::parse_list(proposals).unwrap();
        Connection { proposals, ..connection(end) }
    };
    Pair::new(11, with(End::A), with(End::B))
}

/// An answer in B's name to A's request.
fn answer(request: &Transmit, chain: &PayloadChain, spi: u64) -> Transmit {
    let (header, _) = Header::parse(&request.bytes).unwrap();
    let header = Header { responder_spi: IkeSpi(spi), from_initiator: false, response: true, ..header };
    forged(End::B, header.emit_with(chain).unwrap())
}

fn error(kind: NotifyType) -> PayloadChain {
    SaInitResponse::Failed(Notify::new(kind)).emit()
}

/// The forger is faster than B, and says each of these.
fn forgeries(request: &Transmit, real: &Transmit) -> Vec<(&'static str, Transmit)> {
    let (header, body) = Header::parse(&real.bytes).unwrap();
    let SaInitResponse::Accepted(accepted) = SaInitResponse::parse(header.next_payload, body).unwrap() else {
        panic!("B accepts");
    };
    let with_key = |group, public: Vec<u8>| {
        let mut accepted = accepted.clone();
        accepted.key_exchange = KeyExchange { group, public };
        SaInitResponse::Accepted(accepted).emit()
    };
    let mut other_nonce = accepted.clone();
    other_nonce.nonce = vec![1; 32];
    let mut other_proposal = accepted.clone();
    other_proposal.proposal.transforms.truncate(1);
    let mut cut = real.bytes.clone();
    cut.truncate(60);
    cut[24..28].copy_from_slice(&60_u32.to_be_bytes());
    vec![
        ("a cookie", answer(request, &SaInitResponse::Cookie(vec![9; 32]).emit(), 0)),
        ("an empty cookie", answer(request, &SaInitResponse::Cookie(Vec::new()).emit(), 0)),
        ("another group of ours", answer(request, &SaInitResponse::InvalidKe(19).emit(), 0)),
        ("the same group", answer(request, &SaInitResponse::InvalidKe(31).emit(), 0)),
        ("a group of nobody's", answer(request, &SaInitResponse::InvalidKe(2).emit(), 0)),
        ("no proposal", answer(request, &error(NotifyType::NO_PROPOSAL_CHOSEN), 0)),
        ("invalid syntax", answer(request, &error(NotifyType::INVALID_SYNTAX), 0)),
        ("failed authentication", answer(request, &error(NotifyType::AUTHENTICATION_FAILED), 0)),
        ("an unknown error", answer(request, &error(NotifyType(8000)), 77)),
        ("an unknown version", answer(request, &error(NotifyType::INVALID_MAJOR_VERSION), 0)),
        ("a value that makes no secret", answer(request, &with_key(31, vec![0; 32]), 0xbad)),
        ("a value of another length", answer(request, &with_key(31, vec![5; 31]), 0xbad)),
        ("a value of another group", answer(request, &with_key(19, vec![5; 64]), 0xbad)),
        ("another value", answer(request, &with_key(31, vec![9; 32]), 0xbad)),
        ("another value, no SPI", answer(request, &with_key(31, vec![9; 32]), 0)),
        ("another nonce", answer(request, &SaInitResponse::Accepted(other_nonce).emit(), 0xbad)),
        ("half a proposal", answer(request, &SaInitResponse::Accepted(other_proposal).emit(), 0xbad)),
        ("half a message", Transmit { bytes: cut, ..real.clone() }),
        ("no payloads", answer(request, &PayloadChain::default(), 0xbad)),
    ]
}

#[test]
fn no_forged_answer_ends_an_attempt_and_the_real_one_wins() {
    let count = {
        let mut pair = pair("aes128gcm16-prfsha256-x25519-ecp256");
        pair.initiate(End::A);
        let request = pair.take(End::A);
        pair.deliver(End::B, &request);
        let real = pair.take(End::B);
        forgeries(&request, &real).len()
    };
    for index in 0..count {
        let mut pair = pair("aes128gcm16-prfsha256-x25519-ecp256");
        pair.initiate(End::A);
        let request = pair.take(End::A);
        pair.deliver(End::B, &request);
        let real = pair.take(End::B);
        let (what, forgery) = forgeries(&request, &real).swap_remove(index);
        let now = pair.now();
        pair.a.endpoint.handle_datagram(now, mirrored(&forgery.path), &forgery.bytes);
        pair.a.drain(now.time);
        pair.deliver(End::A, &real);
        pair.run(Duration::from_secs(20));
        assert_eq!(pair.a.standing().len(), 1, "{what}: {:?}", pair.a.events);
        let failed = pair.a.events.iter().any(|event| matches!(event, Event::IkeFailed { .. }));
        assert!(!failed, "{what}");
        // What the forgery has left at B half-open is gone as well.
        pair.run(Duration::from_secs(60));
        pair.assert_agree();
        assert_eq!(pair.b.endpoint.len(), 1, "{what}");
        assert_eq!(pair.b.endpoint.resources()[2], 0, "{what}");
    }
}

/// The real answer is there first; a forged one after it changes nothing at all.
#[test]
fn a_forged_answer_after_the_real_one_costs_nothing() {
    let mut pair = pair("aes128gcm16-prfsha256-x25519-ecp256");
    pair.initiate(End::A);
    let request = pair.take(End::A);
    pair.deliver(End::B, &request);
    let real = pair.take(End::B);
    let forgeries = forgeries(&request, &real);
    pair.deliver(End::A, &real);
    for (_, forgery) in forgeries {
        pair.deliver(End::A, &forgery);
    }
    let begun = pair.now;
    pair.settle();
    assert_eq!(pair.now, begun, "it took another try");
    assert_eq!(pair.sa(End::A), pair.sa(End::A));
    pair.assert_agree();
}

/// Nothing better is heard: the refusal is the verdict, and it says that nobody has authenticated it.
#[test]
fn a_refusal_in_clear_is_only_believed_after_a_wait() {
    let mut pair = pair("aes128gcm16-prfsha256-x25519");
    pair.initiate(End::A);
    let request = pair.take(End::A);
    let refusal = answer(&request, &error(NotifyType::NO_PROPOSAL_CHOSEN), 0);
    pair.deliver(End::A, &refusal);
    assert!(pair.a.failures().is_empty());
    pair.sleep(Duration::from_secs(6));
    let causes: Vec<_> = pair.a.failures().iter().map(|verdict| &verdict.cause).collect();
    assert_eq!(causes, [&Cause::RefusedInClear(NotifyType::NO_PROPOSAL_CHOSEN)]);
    assert!(pair.a.endpoint.is_empty());
}

/// A forger asks for cookies for ever. The attempt answers only so many of them and then comes to its end.
#[test]
fn cookies_without_end_are_not_answered_without_end() {
    let mut pair = pair("aes128gcm16-prfsha256-x25519");
    pair.initiate(End::A);
    let request = pair.take(End::A);
    let mut answered = 0;
    for number in 0..200_u8 {
        let cookie = SaInitResponse::Cookie(vec![number; 16]).emit();
        pair.deliver(End::A, &answer(&request, &cookie, 0));
        answered += pair.a.sent.drain(..).count();
    }
    assert!(answered <= 16, "{answered}");
    for _ in 0..20 {
        pair.sleep(Duration::from_secs(5));
        pair.a.sent.clear();
    }
    assert!(pair.a.endpoint.is_empty());
    assert_eq!(pair.a.endpoint.resources(), [0, 0, 0]);
}

/// Each time, the forger is faster. The attempt fails, but in its time, and leaves nothing.
#[test]
fn a_forger_that_is_always_first_wins_nothing_but_time() {
    let mut pair = pair("aes128gcm16-prfsha256-x25519");
    pair.initiate(End::A);
    for _ in 0..200 {
        while let Some(sent) = pair.a.sent.pop_front() {
            let Ok((header, _)) = Header::parse(&sent.bytes) else { continue };
            if header.exchange == ExchangeType::IkeSaInit {
                let mut twin = Pair::new(1, connection(End::A), connection(End::B));
                twin.deliver(End::B, &sent);
                let other = twin.take(End::B);
                let (real, _) = Header::parse(&other.bytes).unwrap();
                assert_eq!(real.initiator_spi, header.initiator_spi);
                pair.deliver(End::A, &other);
            }
        }
        pair.sleep(Duration::from_millis(500));
    }
    assert!(pair.a.endpoint.is_empty());
    assert_eq!(pair.a.endpoint.resources(), [0, 0, 0]);
    assert_eq!(pair.a.failures().len(), 1);
    assert_eq!(A, pair.a.address);
}

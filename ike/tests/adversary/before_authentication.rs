//! Classes "before authentication, state is touched" and "error paths before keys exist", for a responder and
//! for what stands: each state takes a closed set of messages, and nothing in clear changes an SA.

use crate::evil::{Knock, Scene, clear, hear, hear_from};
use crate::support::{A, B, End, Pair, WALL, forged, mirrored};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_ike::counters::Drop;
use tidegate_ike::endpoint::Phase;
use tidegate_ike::wire::{
    AuthResponse, ExchangeType, Header, IkeSpi, Informational, Notify, NotifyType, PayloadChain,
};
use tidegate_ike::{Config, Event, Now, Time};

const NOW: Time = Time::from_nanos(1_000_000_000);

/// The victim has answered IKE_SA_INIT and waits for IKE_AUTH.
fn half_open() -> (crate::support::Host, crate::evil::Evil, tidegate_ike::wire::AuthRequest) {
    let mut victim = Scene::victim(Config::default());
    let knock = Knock::new(1);
    hear(&mut victim, NOW, &knock.request);
    let answer = victim.sent.pop_front().unwrap().bytes;
    let (evil, auth) = knock.accepted(&answer);
    (victim, evil, auth)
}

fn later(victim: &mut crate::support::Host, seconds: u64) {
    let end = NOW + Duration::from_secs(seconds);
    while let Some((at, ..)) = victim.endpoint.next_deadline().filter(|(at, ..)| *at <= end) {
        victim.endpoint.handle_timeout(Now { time: at, wall: WALL });
        victim.drain(at);
    }
}

/// A peer that has keys and has not said who it is gets nothing for anything else, and may still say it.
#[test]
fn nothing_but_ike_auth_is_taken_from_a_peer_that_has_not_said_who_it_is() {
    let exchanges = [
        ExchangeType::Informational,
        ExchangeType::CreateChildSa,
        ExchangeType::IkeSaInit,
        ExchangeType::Other(43),
        ExchangeType::Other(0),
    ];
    for exchange in exchanges {
        for (response, id) in [(false, 0), (false, 1), (false, 2), (true, 0), (true, 1)] {
            let (mut victim, mut evil, auth) = half_open();
            let delete =
                Informational { deletes: vec![tidegate_ike::wire::Delete::Ike], ..Informational::default() };
            let message = evil.seal(exchange, response, id, &delete.emit());
            hear(&mut victim, NOW, &message);
            assert!(victim.sent.iter().all(|sent| evil.open(&sent.bytes).is_none()), "{exchange:?}");
            assert_eq!(victim.endpoint.resources()[2], 1);
            let message = evil.seal(ExchangeType::IkeAuth, false, 1, &auth.emit());
            hear(&mut victim, NOW, &message);
            assert_eq!(victim.standing().len(), 1, "{exchange:?} {response} {id}");
        }
    }
}

/// An IKE_AUTH that fails, for whatever reason, leaves nothing behind that its repetition could meet.
#[test]
fn a_failed_ike_auth_is_answered_again_and_never_taken_twice() {
    for case in 0..5 {
        let (mut victim, mut evil, mut auth) = half_open();
        match case {
            0 => auth.initiator_id = crate::support::identity("stranger.example").to_payload(),
            1 => auth.authentication.as_mut().unwrap().data[0] ^= 1,
            2 => auth.authentication = None,
            3 => auth.initiator_id.data.clear(),
            _ => auth.authentication.as_mut().unwrap().method = 200,
        }
        let chain = auth.emit();
        let message = evil.seal(ExchangeType::IkeAuth, false, 1, &chain);
        for _ in 0..3 {
            victim.sent.clear();
            hear(&mut victim, NOW, &message);
            let said = evil.open(&victim.sent[0].bytes).unwrap();
            let answer = AuthResponse::parse(said.first, &said.bytes).unwrap();
            let refused = matches!(&answer, AuthResponse::Failed(notify)
                if notify.kind == NotifyType::AUTHENTICATION_FAILED);
            assert!(refused, "{case}: {answer:?}");
        }
        // The keys are still there to repeat the answer; anything new is turned away.
        for exchange in [ExchangeType::IkeAuth, ExchangeType::CreateChildSa, ExchangeType::Informational] {
            let message = evil.seal(exchange, false, 2, &chain);
            hear(&mut victim, NOW, &message);
        }
        assert!(victim.standing().is_empty());
        assert!(victim.installed.is_empty());
        later(&mut victim, 120);
        assert!(victim.endpoint.is_empty());
        assert_eq!(victim.endpoint.resources(), [0, 0, 0]);
    }
}

#[test]
fn ike_auth_twice_makes_one_ike_sa() {
    let (mut victim, mut evil, auth) = half_open();
    let first = evil.seal(ExchangeType::IkeAuth, false, 1, &auth.emit());
    let second = evil.seal(ExchangeType::IkeAuth, false, 1, &auth.emit());
    hear(&mut victim, NOW, &first);
    let answer = victim.sent.pop_front().unwrap();
    // The same id once more, sealed anew: the last answer is given again, bit for bit.
    hear(&mut victim, NOW, &second);
    assert_eq!(victim.sent.pop_front().unwrap().bytes, answer.bytes);
    assert_eq!(victim.standing().len(), 1);
    assert_eq!(victim.children().len(), 1);
    let told = victim.events.iter().filter(|event| matches!(event, Event::IkeEstablished { .. })).count();
    assert_eq!(told, 1);
}

/// A forger knows the SPIs from the wire, and says what it likes about them in clear.
#[test]
fn nothing_in_clear_changes_an_established_ike_sa() {
    let mut pair = Pair::established(2);
    pair.run(Duration::from_secs(1));
    let spis = {
        let sa = pair.sa(End::B);
        pair.b.endpoint.status(sa).unwrap().spis()
    };
    let kinds = [
        NotifyType::INVALID_IKE_SPI,
        NotifyType::INVALID_SYNTAX,
        NotifyType::AUTHENTICATION_FAILED,
        NotifyType::INVALID_MESSAGE_ID,
        NotifyType::CHILD_SA_NOT_FOUND,
    ];
    let chains = kinds
        .map(|kind| Informational { notifies: vec![Notify::new(kind)], ..Informational::default() }.emit());
    let delete = Informational { deletes: vec![tidegate_ike::wire::Delete::Ike], ..Informational::default() };
    let events = pair.b.events.len();
    for chain in chains.into_iter().chain([delete.emit(), PayloadChain::default()]) {
        for exchange in [34, 35, 36, 37, 99].map(ExchangeType::from) {
            for response in [false, true] {
                for id in [0, 1, 2, 3, u32::MAX] {
                    for from_initiator in [false, true] {
                        let header = clear(spis.initiator, spis.responder, exchange, id);
                        let header = Header { response, from_initiator, ..header };
                        let datagram = header.emit_with(&chain).unwrap();
                        let forgery = forged(End::A, datagram);
                        // From the peer's address, and from elsewhere.
                        let mut path = mirrored(&forgery.path);
                        let now = pair.now();
                        pair.b.endpoint.handle_datagram(now, path, &forgery.bytes);
                        path.remote.set_ip(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66)));
                        pair.b.endpoint.handle_datagram(now, path, &forgery.bytes);
                        pair.b.drain(now.time);
                    }
                }
            }
        }
    }
    assert_eq!(pair.b.events.len(), events);
    let sa = pair.sa(End::B);
    let status = pair.b.endpoint.status(sa).unwrap();
    assert_eq!(status.phase(), Phase::Established);
    assert_eq!(status.path().remote.ip(), A, "the peer has not moved");
    assert_eq!(status.path().local.ip(), B);
    pair.a.sent.clear();
    pair.run(Duration::from_secs(60));
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
}

/// RFC 7296 §2.21.4, §2.4: the hint leads to one liveness check, not to one for each hint.
#[test]
fn hints_that_the_peer_has_lost_its_state_lead_to_one_question() {
    let mut pair = Pair::established(2);
    let sa = pair.sa(End::B);
    let remote = pair.b.endpoint.status(sa).unwrap().path().remote;
    for _ in 0..50 {
        pair.with(End::B, |endpoint, now| {
            endpoint.handle_data(now, tidegate_ike::DataEvent::UnknownSpi(remote));
        });
        let sent = pair.b.sent.len();
        assert!(sent <= 1, "{sent}");
    }
    pair.settle();
    for _ in 0..50 {
        pair.with(End::B, |endpoint, now| {
            endpoint.handle_data(now, tidegate_ike::DataEvent::UnknownSpi(remote));
        });
    }
    assert!(pair.b.sent.is_empty(), "not again so soon");
    assert_eq!(pair.b.standing().len(), 1);
}

/// The path follows an authenticated request that is new, and nothing else.
#[test]
fn a_replayed_message_from_elsewhere_does_not_move_the_peer() {
    let mut pair = Pair::established(2);
    let sa = pair.sa(End::A);
    let remote = pair.a.endpoint.status(sa).unwrap().path().remote;
    pair.with(End::A, |endpoint, now| {
        endpoint.handle_data(now, tidegate_ike::DataEvent::UnknownSpi(remote));
    });
    let request = pair.take(End::A);
    pair.deliver(End::B, &request);
    let theirs = pair.sa(End::B);
    let before = pair.b.endpoint.status(theirs).unwrap().path();
    let mut path = mirrored(&request.path);
    path.remote.set_ip(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66)));
    let now = pair.now();
    pair.b.endpoint.handle_datagram(now, path, &request.bytes);
    pair.b.drain(now.time);
    assert_eq!(pair.b.endpoint.status(theirs).unwrap().path(), before);
}

/// Until the peer has proved who it is, an IKE_SA_INIT that is not the first of all is nothing.
#[test]
fn an_ike_sa_init_out_of_place_is_dropped() {
    let mut victim = Scene::victim(Config::default());
    let knock = Knock::new(1);
    let (header, body) = Header::parse(&knock.request).unwrap();
    let chain = PayloadChain { first: header.next_payload, bytes: body.to_vec() };
    let wrong = [
        Header { responder_spi: IkeSpi(5), ..header },
        Header { from_initiator: false, ..header },
        Header { message_id: tidegate_ike::wire::MessageId(1), ..header },
        Header { response: true, ..header },
        Header { initiator_spi: IkeSpi(0), ..header },
        Header { major_version: 1, ..header },
        Header { major_version: 0, ..header },
    ];
    for header in wrong {
        hear_from(&mut victim, NOW, A, &header.emit_with(&chain).unwrap());
        assert!(victim.endpoint.is_empty(), "{header:?}");
        assert!(victim.sent.is_empty(), "{header:?}");
    }
    assert!(victim.endpoint.counters().dropped(Drop::Malformed) >= 4);
}

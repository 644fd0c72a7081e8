//! Class "amplification and exhaustion": floods of IKE_SA_INIT, cookies, limits per address, answers without
//! state (RFC 7296 §2.6).

use crate::evil::{Knock, Scene, clear, hear_from};
use crate::support::{A, Host, WALL};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_esp::AddressRange;
use tidegate_ike::connection::Connection;
use tidegate_ike::counters::Drop;
use tidegate_ike::wire::{ExchangeType, Header, IkeSpi, Notify, NotifyType, PayloadChain, SaInitResponse};
use tidegate_ike::{Config, Now, Time};

const NOW: Time = Time::from_nanos(1_000_000_000);

/// A victim that takes peers from anywhere.
fn open_house(config: Config) -> Host {
    let mut victim = Host::new(0xb, crate::support::B, config);
    let mut connection: Connection = crate::support::connection(crate::support::End::B);
    let all = AddressRange::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST));
    connection.remote.addresses = vec![all.unwrap()];
    victim.endpoint.load(connection);
    victim
}

fn small() -> Config {
    Config { cookie_threshold: 8, half_open_limit: 32, half_open_per_source: 4, ..Config::default() }
}

fn source(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0xcb00_7100 + number))
}

/// The cookie that the victim asks for, if it does.
fn cookie(victim: &mut Host) -> Option<Vec<u8>> {
    let sent = victim.sent.pop_front()?;
    let (header, body) = Header::parse(&sent.bytes).unwrap();
    match SaInitResponse::parse(header.next_payload, body) {
        Ok(SaInitResponse::Cookie(cookie)) => Some(cookie),
        _ => None,
    }
}

fn flood(victim: &mut Host, now: Time, salts: std::ops::Range<u64>) {
    for salt in salts {
        let from = source(u32::try_from(salt).unwrap());
        hear_from(victim, now, from, &Knock::new(salt).request);
        victim.sent.clear();
    }
}

fn later(victim: &mut Host, at: Time) {
    while victim.endpoint.next_deadline().is_some_and(|(due, ..)| due <= at) {
        victim.endpoint.handle_timeout(Now { time: at, wall: WALL });
        victim.drain(at);
    }
}

#[test]
fn past_the_threshold_a_peer_costs_nothing_until_its_cookie_holds() {
    let mut victim = open_house(small());
    flood(&mut victim, NOW, 0..200);
    assert_eq!(victim.endpoint.len(), 8);
    assert_eq!(victim.endpoint.resources()[2], 8);
    assert_eq!(victim.endpoint.counters().cookies_sent, 192);
    // An honest one shows its cookie and is let in.
    let knock = Knock::new(1000);
    hear_from(&mut victim, NOW, A, &knock.request);
    let cookie = cookie(&mut victim).unwrap();
    hear_from(&mut victim, NOW, A, &knock.with_cookie(Some(cookie)));
    assert_eq!(victim.endpoint.len(), 9);
}

#[test]
fn half_open_ike_sas_go_in_time() {
    let mut victim = open_house(small());
    flood(&mut victim, NOW, 0..200);
    later(&mut victim, NOW + Duration::from_secs(31));
    assert!(victim.endpoint.is_empty());
    assert_eq!(victim.endpoint.resources(), [0, 0, 0]);
}

/// A cookie is bound to address, SPI and nonce, and to its time.
#[test]
fn a_cookie_is_good_for_nobody_else_and_not_for_ever() {
    let mut victim = open_house(small());
    flood(&mut victim, NOW, 0..50);
    let knock = Knock::new(1000);
    hear_from(&mut victim, NOW, A, &knock.request);
    let real = cookie(&mut victim).unwrap();
    let count = victim.endpoint.len();
    let refused = |victim: &mut Host, now, from, datagram: &[u8]| {
        let before = victim.endpoint.counters().dropped(Drop::Cookie);
        hear_from(victim, now, from, datagram);
        assert_eq!(victim.endpoint.counters().dropped(Drop::Cookie), before + 1);
        assert!(cookie(victim).is_some(), "it may try again");
        assert_eq!(victim.endpoint.len(), count);
    };
    refused(&mut victim, NOW, source(77), &knock.with_cookie(Some(real.clone())));
    refused(&mut victim, NOW, A, &Knock::new(1001).with_cookie(Some(real.clone())));
    for wrong in [vec![1], vec![0; 64], real[1..].to_vec(), [real.clone(), vec![0]].concat()] {
        refused(&mut victim, NOW, A, &knock.with_cookie(Some(wrong)));
    }
    for index in 0..real.len() {
        let mut wrong = real.clone();
        wrong[index] ^= 0x80;
        refused(&mut victim, NOW, A, &knock.with_cookie(Some(wrong)));
    }
    // The secret is renewed; the one before it still counts, the one before that does not.
    for (seconds, good) in [(35, true), (70, false)] {
        let at = NOW + Duration::from_secs(seconds);
        later(&mut victim, at);
        flood(&mut victim, at, seconds * 1000..seconds * 1000 + 50);
        let count = victim.endpoint.len();
        hear_from(&mut victim, at, A, &knock.with_cookie(Some(real.clone())));
        assert_eq!(victim.endpoint.len() > count, good, "after {seconds} s");
        victim.sent.clear();
    }
}

/// The limit per address counts only what has shown its address.
#[test]
fn spoofed_requests_cannot_use_up_what_an_honest_peer_is_allowed() {
    let config = Config { cookie_threshold: 1000, ..small() };
    let mut victim = open_house(config);
    for salt in 0..200 {
        hear_from(&mut victim, NOW, A, &Knock::new(salt).request);
        victim.sent.clear();
    }
    let count = victim.endpoint.len();
    let knock = Knock::new(5000);
    hear_from(&mut victim, NOW, A, &knock.request);
    if let Some(cookie) = cookie(&mut victim) {
        hear_from(&mut victim, NOW, A, &knock.with_cookie(Some(cookie)));
    }
    assert_eq!(victim.endpoint.len(), count + 1, "the honest peer is locked out");
    assert_eq!(victim.endpoint.counters().dropped(Drop::Flood), 0);
}

#[test]
fn one_address_that_is_really_there_has_a_limit() {
    let mut victim = open_house(small());
    flood(&mut victim, NOW, 0..50);
    let mut admitted = 0;
    for salt in 1000..1020 {
        let knock = Knock::new(salt);
        hear_from(&mut victim, NOW, A, &knock.request);
        let Some(cookie) = cookie(&mut victim) else { continue };
        let count = victim.endpoint.len();
        hear_from(&mut victim, NOW, A, &knock.with_cookie(Some(cookie)));
        admitted += victim.endpoint.len() - count;
        victim.sent.clear();
    }
    assert_eq!(admitted, 4);
    assert!(victim.endpoint.counters().dropped(Drop::Flood) > 0);
    // Others are let in all the same.
    let knock = Knock::new(2000);
    hear_from(&mut victim, NOW, source(9), &knock.request);
    let cookie = cookie(&mut victim).unwrap();
    let count = victim.endpoint.len();
    hear_from(&mut victim, NOW, source(9), &knock.with_cookie(Some(cookie)));
    assert_eq!(victim.endpoint.len(), count + 1);
}

#[test]
fn there_is_a_limit_to_half_open_ike_sas_and_to_all() {
    for config in [small(), Config { most_sas: 20, ..small() }] {
        let most = config.half_open_limit.min(config.most_sas);
        let mut victim = open_house(config);
        for salt in 0..200 {
            let from = source(u32::try_from(salt).unwrap());
            let knock = Knock::new(salt);
            hear_from(&mut victim, NOW, from, &knock.request);
            if let Some(cookie) = cookie(&mut victim) {
                hear_from(&mut victim, NOW, from, &knock.with_cookie(Some(cookie)));
            }
            victim.sent.clear();
        }
        assert_eq!(victim.endpoint.len(), most);
        later(&mut victim, NOW + Duration::from_secs(40));
        assert!(victim.endpoint.is_empty());
        assert_eq!(victim.endpoint.resources(), [0, 0, 0]);
    }
}

/// What a half-open SA keeps is no longer than what an honest request needs.
#[test]
fn an_oversized_request_is_not_kept() {
    let mut victim = open_house(Config::default());
    let knock = Knock::new(1);
    for notifies in [vec![60_000], vec![1000; 60]] {
        let mut message = knock.message(None);
        let notify = |length| Notify::with_data(NotifyType(50_000), vec![0; length]);
        message.notifies = notifies.into_iter().map(notify).collect();
        hear_from(&mut victim, NOW, A, &knock.datagram(&message));
    }
    assert!(victim.endpoint.is_empty());
}

/// Nothing that anybody can send without proof makes us send more than it costs him, by more than a little.
#[test]
fn answers_without_proof_are_hardly_longer_than_what_they_answer() {
    let knock = Knock::new(1);
    let mut requests = vec![knock.request.clone(), knock.with_cookie(Some(vec![1; 8]))];
    let mut mismatch = knock.message(None);
    mismatch.proposals[0].transforms.truncate(1);
    requests.push(knock.datagram(&mismatch));
    for exchange in 0..=255 {
        for major_version in [2, 3] {
            let header = clear(IkeSpi(7), IkeSpi(8), ExchangeType::from(exchange), 0);
            let header = Header { major_version, ..header };
            requests.push(header.emit_with(&PayloadChain::default()).unwrap());
        }
    }
    for config in [Config::default(), Config { cookie_threshold: 0, ..Config::default() }] {
        for request in &requests {
            let mut victim = open_house(config.clone());
            hear_from(&mut victim, NOW, A, request);
            // And no second time, however often it is asked for within a while.
            let out: usize = victim.sent.iter().map(|sent| sent.bytes.len()).sum();
            assert!(out <= 2 * request.len(), "{out} for {}", request.len());
            later(&mut victim, NOW + Duration::from_secs(60));
            let out: usize = victim.sent.iter().map(|sent| sent.bytes.len()).sum();
            assert!(out <= 2 * request.len(), "an answer to nobody is sent again");
        }
    }
}

#[test]
fn answers_without_state_are_given_seldom() {
    let mut victim = open_house(Config::default());
    let mut answers = 0;
    for number in 0..10_000 {
        let header = clear(IkeSpi(number + 1), IkeSpi(8), ExchangeType::Informational, 0);
        hear_from(&mut victim, NOW, A, &header.emit_with(&PayloadChain::default()).unwrap());
        answers += victim.sent.drain(..).count();
    }
    assert!(answers <= 100, "{answers}");
    assert_eq!(victim.endpoint.counters().dropped(Drop::UnknownSpi), 10_000);
    assert!(victim.events.is_empty(), "a flood tells the operator nothing");
}

/// While all that goes on, an established peer is served as ever.
#[test]
fn a_flood_starves_no_established_ike_sa() {
    let mut scene = Scene::established();
    for salt in 100..2000 {
        let from = source(u32::try_from(salt).unwrap());
        let now = scene.now;
        hear_from(&mut scene.victim, now, from, &Knock::new(salt).request);
        if salt % 100 == 0 {
            assert!(scene.ask(ExchangeType::Informational, &PayloadChain::default()).is_some());
        }
    }
    assert_eq!(scene.victim.children().len(), 1);
}

//! A peer that holds the keys of an established IKE SA and says anything at all: the state machine, behind
//! integrity.
//!
//! The first byte says what kind of connection it is. What follows is a row of records: what happens, two bytes
//! that say how, the type of the first payload, the length of the payloads, the payloads. They are sealed with
//! real keys, so nothing is spent on guessing an ICV. Both may move: the victim's children go from where it has
//! been to where the peer has. Whatever was said, once the peer is silent for long enough nothing of it is left.

#![no_main]

#[path = "../../ike/tests/support/evil.rs"]
mod evil;
#[path = "../../ike/tests/support/mod.rs"]
mod support;

use evil::Scene;
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use support::{A, B, End};
use tidegate_esp::Spi;
use tidegate_ike::DataEvent;
use tidegate_ike::connection::{Connection, EncapsulationPolicy};
use tidegate_ike::wire::{ExchangeType, Part, PayloadChain};

fuzz_target!(|input: &[u8]| {
    let Some((&kind, mut rest)) = input.split_first() else { return };
    let mut scene = Scene::with(connection(kind));
    for _ in 0..32 {
        let Some((&[what, how, more, first, high, low], after)) = rest.split_first_chunk::<6>() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (bytes, after) = after.split_at(length);
        rest = after;
        happens(&mut scene, [what, how, more], &PayloadChain { first, bytes: bytes.to_vec() });
        assert!(scene.victim.children().len() <= 256);
        goes_where_they_are(&scene);
    }
    scene.sleep(Duration::from_secs(5 * 3600));
    assert!(scene.victim.endpoint.is_empty());
    assert!(scene.victim.installed.is_empty());
    assert_eq!(scene.victim.endpoint.resources(), [0, 0, 0]);
    assert_eq!(scene.victim.endpoint.fragments_held(), 0);
});

fn connection(kind: u8) -> Connection {
    let mut connection = support::connection(End::B);
    let mobile = match kind % 4 {
        0 => return connection,
        1 => EncapsulationPolicy::Auto,
        2 => EncapsulationPolicy::Raw,
        _ => EncapsulationPolicy::Udp,
    };
    (connection.mobike, connection.encapsulation) = (kind % 4 != 3, mobile);
    connection.remote.addresses.clear();
    connection
}

/// Where the peer may be, and the victim.
const THEIRS: [IpAddr; 3] =
    [A, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1))];
const OURS: [IpAddr; 3] =
    [B, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2))];

fn goes_where_they_are(scene: &Scene) {
    for params in scene.victim.installed.values() {
        assert!(OURS.contains(&params.path.local.ip()), "{:?}", params.path);
        assert!(THEIRS.contains(&params.path.remote.ip()), "{:?}", params.path);
    }
}

fn happens(scene: &mut Scene, [what, how, more]: [u8; 3], chain: &PayloadChain) {
    match what % 8 {
        0 => {
            scene.ask(exchange(how), chain);
        }
        // An answer to what the victim has asked, if it has.
        1 => {
            if let Some(request) = scene.request() {
                let kind = if more == 0 { exchange(how) } else { request.header.exchange };
                // As it was asked for, which is what a cookie wants.
                let echo = PayloadChain { first: request.first, bytes: request.bytes.clone() };
                scene.answer(&request, kind, if more == 2 { &echo } else { chain });
            }
        }
        2 => acts(scene, how),
        3 => scene.sleep(Duration::from_millis(u64::from(how) * u64::from(more))),
        // Any id, request or answer.
        4 => {
            let datagram = scene.evil.seal(exchange(how), more & 0x80 != 0, u32::from(more & 0x7f), chain);
            scene.say(&datagram);
        }
        5 => {
            let part = Part::Fragment { number: u16::from(more >> 4), total: u16::from(more & 15) };
            let id = scene.evil.next;
            let datagram =
                scene.evil.seal_part(exchange(how), how & 0x80 != 0, id, part, chain.first, &chain.bytes);
            scene.say(&datagram);
        }
        // From now on the peer speaks from there.
        6 => scene.from = THEIRS[usize::from(how) % THEIRS.len()],
        _ => moves(scene, how),
    }
}

/// The victim has these addresses from now on.
fn moves(scene: &mut Scene, which: u8) {
    let places = OURS.iter().enumerate().filter(|(at, _)| which & 1 << at != 0).map(|(_, ip)| *ip);
    let now = scene.now();
    scene.victim.endpoint.set_local_addresses(now, places.collect());
    scene.victim.drain(now.time);
}

/// The victim begins something of its own.
fn acts(scene: &mut Scene, how: u8) {
    let now = scene.now();
    let children = scene.victim.children();
    let child: Option<Spi> = children.get(usize::from(how >> 4) % children.len().max(1)).copied();
    let sa = scene.victim.standing().first().copied();
    let endpoint = &mut scene.victim.endpoint;
    let known = match (how % 8, child, sa) {
        (0, Some(child), _) => endpoint.rekey_child(now, child),
        (1, Some(child), _) => endpoint.terminate_child(now, child),
        (2, _, Some(sa)) => endpoint.rekey(now, sa),
        (3, _, Some(sa)) => endpoint.create_child(now, sa, "net"),
        (4, _, Some(sa)) => endpoint.terminate(now, sa),
        (5, _, Some(sa)) => endpoint.reauthenticate(now, sa).map(drop),
        (6, Some(child), _) => {
            endpoint.handle_data(now, DataEvent::FirstInbound(child));
            Ok(())
        }
        (7, Some(child), _) => {
            endpoint.handle_data(now, DataEvent::HardLimit(child));
            Ok(())
        }
        _ => Ok(()),
    };
    known.expect("it was there just now");
    scene.victim.drain(now.time);
}

fn exchange(how: u8) -> ExchangeType {
    match how & 7 {
        0..=2 => ExchangeType::CreateChildSa,
        3..=5 => ExchangeType::Informational,
        6 => ExchangeType::IkeAuth,
        _ => ExchangeType::Other(how),
    }
}

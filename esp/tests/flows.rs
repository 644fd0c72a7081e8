//! Reading inner packets, and the attacks that hide in them.
#![allow(clippy::unwrap_used)]

mod packets;

use packets::Packet;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use std::net::IpAddr;
use tidegate_esp::flow::EXTENSION_HEADERS_MAX;
use tidegate_esp::policy::{Refusal, admit};
use tidegate_esp::{Flow, FlowError, Fragment, Inner, SelectorPair, Transport};

fn v6_with(extensions: &[(u8, &[u8])], transport: u8) -> Vec<u8> {
    let mut packet = Packet::udp_v4(b"data").v6().bytes();
    let mut chain = Vec::new();
    for (index, (_, body)) in extensions.iter().enumerate() {
        chain.push(extensions.get(index + 1).map_or(transport, |(kind, _)| *kind));
        chain.extend_from_slice(body);
    }
    packet[6] = extensions.first().map_or(transport, |(kind, _)| *kind);
    packet.splice(40..40, chain);
    let length = u16::try_from(packet.len() - 40).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet
}

const OPTIONS: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
const LONG_OPTIONS: &[u8] = &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const ATOMIC: &[u8] = &[0, 0, 0, 0, 0, 0, 1];
const FIRST: &[u8] = &[0, 0, 1, 0, 0, 0, 1];
const LATER: &[u8] = &[0, 0, 9, 0, 0, 0, 1];

#[test]
fn ports_are_found_behind_options_and_extensions() {
    let ports = Transport::Ports { source: 40_000, destination: 443 };
    let v4 = Inner::parse(&Packet::tcp_v4(1, b"x").bytes()).unwrap();
    assert_eq!((v4.flow.transport, v4.network_length, v4.fragment), (ports, 20, Fragment::Whole));
    let mut with_options = Packet::udp_v4(b"data").bytes();
    with_options.splice(20..20, [1; 8]);
    with_options[0] = 0x47;
    with_options[3] += 8;
    let v4 = Inner::parse(&with_options).unwrap();
    assert_eq!((v4.flow.transport, v4.network_length), (ports, 28));
    let v6 = Inner::parse(&v6_with(&[(0, OPTIONS), (43, LONG_OPTIONS), (60, OPTIONS)], 17)).unwrap();
    assert_eq!((v6.flow.transport, v6.flow.protocol, v6.network_length), (ports, 17, 72));
}

#[test]
fn fragments_are_told_apart() {
    let parse = |body| Inner::parse(&v6_with(&[(44, body)], 17)).unwrap();
    assert_eq!(parse(ATOMIC).fragment, Fragment::Whole);
    assert_eq!(parse(FIRST).fragment, Fragment::First);
    assert!(matches!(parse(FIRST).flow.transport, Transport::Ports { .. }));
    let later = parse(LATER);
    assert_eq!(
        (later.fragment, later.flow.transport, later.flow.protocol),
        (Fragment::Later, Transport::Opaque, 17)
    );
    // What follows a later fragment's header is payload, whatever it calls itself.
    let chain = Inner::parse(&v6_with(&[(44, LATER), (60, OPTIONS)], 17)).unwrap();
    assert_eq!(chain.flow.protocol, 60);
    // That a fragment holds what calls itself whole does not make it whole.
    let nested = |outer, inner| Inner::parse(&v6_with(&[(44, outer), (44, inner)], 17)).unwrap().fragment;
    assert_eq!(nested(FIRST, ATOMIC), Fragment::First);
    assert_eq!(nested(ATOMIC, FIRST), Fragment::First);
}

#[test]
fn endless_extension_headers_are_not_walked() {
    let chain = |count| Inner::parse(&v6_with(&vec![(60, OPTIONS); count], 17));
    assert!(chain(EXTENSION_HEADERS_MAX).is_ok());
    assert_eq!(chain(EXTENSION_HEADERS_MAX + 1), Err(FlowError::ExtensionHeaders));
}

/// Threat: lengths.
#[test]
fn lengths_that_lie_are_found_out() {
    let packet = Packet::tcp_v4(1, b"x").bytes();
    let with = |at: usize, value: u8| {
        let mut packet = packet.clone();
        packet[at] = value;
        Inner::parse(&packet)
    };
    assert_eq!(Inner::parse(&[]), Err(FlowError::Empty));
    assert_eq!(with(0, 0x55), Err(FlowError::Version(5)));
    assert_eq!(with(0, 0x44), Err(FlowError::HeaderLength(4)));
    let present = packet.len();
    assert_eq!(with(3, 200), Err(FlowError::TotalLength { claimed: 200, present }));
    assert_eq!(with(3, 19), Err(FlowError::TotalLength { claimed: 19, present }));
    assert_eq!(with(3, 23), Err(FlowError::TransportHeader));
    assert_eq!(Inner::parse(&packet[..19]), Err(FlowError::NetworkHeader));
    let mut v6 = v6_with(&[(60, OPTIONS)], 17);
    v6[41] = 255;
    assert_eq!(Inner::parse(&v6), Err(FlowError::NetworkHeader));
}

fn negotiated(local: &str, remote: &str) -> SelectorPair {
    SelectorPair { local: vec![local.parse().unwrap()], remote: vec![remote.parse().unwrap()] }
}

/// Threat: spoofed inner source.
#[test]
fn a_peer_cannot_send_from_anothers_prefix() {
    let selectors = negotiated("10.2.0.0/16", "10.1.0.0/16");
    let honest = Packet::udp_v4(b"hello");
    assert!(admit(&selectors, &honest.bytes()).is_ok());
    for (source, destination) in [
        ([10, 3, 0, 1], [10, 2, 0, 1]),
        ([10, 1, 0, 1], [10, 3, 0, 1]),
        ([10, 2, 0, 1], [10, 1, 0, 1]),
        ([127, 0, 0, 1], [10, 2, 0, 1]),
    ] {
        let packet = Packet { source: source.into(), destination: destination.into(), ..honest.clone() };
        assert!(matches!(admit(&selectors, &packet.bytes()), Err(Refusal::Selector(_))), "{packet:?}");
    }
    assert!(matches!(admit(&selectors, &honest.v6().bytes()), Err(Refusal::Selector(_))));
}

/// Threat: spoofed inner source, by fragments whose ports cannot be seen.
#[test]
fn fragments_do_not_get_around_port_selectors() {
    // RFC 4301 §7
    let ports = negotiated("10.2.0.0/16[udp/443]", "10.1.0.0/16[udp]");
    let packet = Packet::udp_v4(&[0; 64]).bytes();
    assert!(admit(&ports, &packet).is_ok());
    let mut later = packet.clone();
    later[7] = 4;
    assert!(matches!(admit(&ports, &later), Err(Refusal::Selector(_))));
    assert!(admit(&negotiated("10.2.0.0/16", "10.1.0.0/16"), &later).is_ok());
    // A first fragment too short to show its ports, the rest to follow.
    let mut tiny = packet;
    tiny[3] = 22;
    tiny[6] = 0x20;
    assert_eq!(admit(&ports, &tiny), Err(Refusal::Malformed(FlowError::TransportHeader)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in vec(any::<u8>(), 0..200), v4 in any::<bool>(), next in 0..10_usize) {
        if bytes.len() > 7 {
            bytes[0] = if v4 { 0x40 | bytes[0] & 7 } else { 0x60 };
            let length = u16::try_from(bytes.len()).unwrap();
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            if !v4 {
                bytes[4..6].copy_from_slice(&length.saturating_sub(40).to_be_bytes());
                bytes[6] = [0, 43, 44, 60, 6, 17, 58, 135, 59, 51][next];
            }
        }
        if let Ok(inner) = Inner::parse(&bytes) {
            prop_assert!(inner.network_length <= inner.total_length && inner.total_length <= bytes.len());
            prop_assert_eq!(Flow::parse(&bytes[..inner.total_length]), Ok(inner.flow));
            prop_assert_eq!(inner.flow.reversed().reversed(), inner.flow);
        }
    }

    #[test]
    fn extension_headers_of_any_kind_are_walked_or_refused(
        chain in vec((0..4_usize, vec(any::<u8>(), 7)), 0..12), transport in any::<u8>(),
    ) {
        let chain: Vec<_> = chain.iter().map(|(kind, body)| ([0, 43, 44, 60][*kind], body.as_slice())).collect();
        let packet = v6_with(&chain, transport);
        if let Ok(inner) = Inner::parse(&packet) {
            prop_assert!(inner.network_length <= packet.len());
            prop_assert!(inner.network_length >= 40);
            prop_assert_eq!(inner.flow.source, IpAddr::from([0xfd00, 1, 0, 0, 0, 0, 0, 1]));
        }
    }
}

//! Packets that do not fit: what their senders are told, and when they are told nothing.
#![allow(clippy::unwrap_used)]

mod packets;

use packets::{ACK, Packet, SYN, Transport, checksum};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use std::net::IpAddr;
use tidegate_esp::icmp::{ANSWER_MAX, Answer, Silence, answer};
use tidegate_esp::mss::{Clamped, TransportChecksum, clamp};
use tidegate_esp::{Fragment, Inner};

const US: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 254)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0xfe)),
];

fn tell(packet: &[u8], what: Answer) -> Result<Vec<u8>, Silence> {
    let inner = Inner::parse(packet).unwrap();
    let mut out = [0xaa; ANSWER_MAX];
    let from = US[usize::from(!inner.flow.is_v4())];
    answer(packet, &inner, what, from, &mut out).map(|length| out[..length].to_vec())
}

fn too_big(packet: &[u8], mtu: usize) -> Result<Vec<u8>, Silence> {
    tell(packet, Answer::TooBig { mtu })
}

#[test]
fn an_ipv4_packet_with_df_learns_the_mtu() {
    let packet = Packet::tcp_v4(1, &[7; 1500]).bytes();
    let told = too_big(&packet, 1400).unwrap();
    assert_eq!(told.len(), 576, "as much of the packet as RFC 1812 §4.3.2.3 allows");
    assert_eq!(told[20..22], [3, 4]);
    assert_eq!(told[26..28], 1400_u16.to_be_bytes());
    assert_eq!(told[28..], packet[..548]);
    assert_eq!(checksum(&told[..20]), [0, 0]);
    assert_eq!(checksum(&told[20..]), [0, 0]);
    let inner = Inner::parse(&told).unwrap();
    assert_eq!((inner.flow.source, inner.flow.destination), (US[0], IpAddr::from([10, 1, 0, 1])));
}

#[test]
fn an_ipv6_packet_learns_the_mtu() {
    let packet = Packet::tcp_v4(1, &[7; 1500]).v6().bytes();
    let told = too_big(&packet, 1400).unwrap();
    assert_eq!(told.len(), 1280);
    assert_eq!(told[40..42], [2, 0]);
    assert_eq!(told[44..48], 1400_u32.to_be_bytes());
    assert_eq!(told[48..], packet[..1232]);
    let mut covered = told[8..40].to_vec();
    covered.extend_from_slice(&u32::try_from(told.len() - 40).unwrap().to_be_bytes());
    covered.extend_from_slice(&[0, 0, 0, 58]);
    covered.extend_from_slice(&told[40..]);
    assert_eq!(checksum(&covered), [0, 0]);
}

#[test]
fn no_answer_names_less_than_what_every_link_carries() {
    let told = too_big(&Packet::udp_v4(&[0; 1400]).v6().bytes(), 600).unwrap();
    assert_eq!(told[44..48], 1280_u32.to_be_bytes());
    let told = too_big(&Packet::udp_v4(&[0; 1400]).bytes(), 3).unwrap();
    assert_eq!(told[26..28], 68_u16.to_be_bytes());
}

#[test]
fn without_df_a_packet_is_to_be_fragmented() {
    let packet = Packet { dont_fragment: false, ..Packet::udp_v4(&[0; 1500]) }.bytes();
    assert_eq!(too_big(&packet, 1400), Err(Silence::MayFragment));
    assert!(tell(&packet, Answer::HostUnreachable).is_ok());
}

#[test]
fn padding_is_never_quoted() {
    let mut packet = Packet::udp_v4(b"short").bytes();
    packet.extend_from_slice(b"what lay in the buffer before");
    let told = too_big(&packet, 1400).unwrap();
    assert_eq!(told.len(), 20 + 8 + 20 + 8 + 5);
}

#[test]
fn an_error_is_not_answered_with_another() {
    // RFC 1122 §3.2.2, RFC 4443 §2.4 (e.1) and (e.2)
    let with_type = |packet: Packet, kind: u8| {
        let mut bytes = packet.bytes();
        let (protocol, at) = if bytes[0] >> 4 == 4 { (1, 9) } else { (58, 6) };
        bytes[at] = protocol;
        let start = if protocol == 1 { 20 } else { 40 };
        bytes[start] = kind;
        bytes
    };
    for (kind, silent) in [(3, true), (4, true), (5, true), (11, true), (12, true), (8, false), (0, false)] {
        let told = too_big(&with_type(Packet::udp_v4(&[0; 1500]), kind), 1400);
        assert_eq!(told == Err(Silence::Error), silent, "ICMP type {kind}");
    }
    for (kind, silent) in [(1, true), (2, true), (127, true), (137, true), (128, false), (129, false)] {
        let told = too_big(&with_type(Packet::udp_v4(&[0; 1500]).v6(), kind), 1400);
        assert_eq!(told == Err(Silence::Error), silent, "ICMPv6 type {kind}");
    }
}

#[test]
fn only_single_hosts_are_answered_and_spoken_of() {
    let from = |source: [u8; 4]| Packet { source: source.into(), ..Packet::udp_v4(&[0; 1500]) }.bytes();
    for source in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255], [240, 0, 0, 1]] {
        assert_eq!(too_big(&from(source), 1400), Err(Silence::Source), "{source:?}");
    }
    let to = |destination: [u8; 4]| {
        Packet { destination: destination.into(), ..Packet::udp_v4(&[0; 1500]) }.bytes()
    };
    for destination in [[224, 0, 0, 9], [255, 255, 255, 255]] {
        assert_eq!(too_big(&to(destination), 1400), Err(Silence::Destination), "{destination:?}");
    }
    // RFC 4443 §2.4 (e.3): what is too big is said even of a multicast.
    let multicast = Packet {
        destination: IpAddr::from([0xff0e, 0, 0, 0, 0, 0, 0, 1]),
        ..Packet::udp_v4(&[0; 1500]).v6()
    };
    assert!(too_big(&multicast.bytes(), 1400).is_ok());
    assert_eq!(tell(&multicast.bytes(), Answer::Prohibited), Err(Silence::Destination));
    let unspecified = Packet { source: IpAddr::from([0_u16; 8]), ..multicast };
    assert_eq!(too_big(&unspecified.bytes(), 1400), Err(Silence::Source));
}

#[test]
fn a_later_fragment_is_not_answered() {
    let mut packet = Packet::udp_v4(&[0; 1500]).bytes();
    packet[7] = 9;
    assert_eq!(tell(&packet, Answer::HostUnreachable), Err(Silence::Fragment));
}

fn syn(options: &[u8]) -> Packet {
    let mut packet = Packet::tcp_v4(1, &[]);
    packet.transport =
        Transport::Tcp { sequence: 1, acknowledgement: 0, flags: SYN, window: 9, options: options.to_vec() };
    packet
}

fn clamped(packet: &Packet, mtu: usize) -> (Option<Clamped>, Vec<u8>) {
    let mut bytes = packet.bytes();
    let inner = Inner::parse(&bytes).unwrap();
    let result = clamp(&mut bytes, &inner, mtu, TransportChecksum::Complete);
    (result, bytes)
}

#[test]
fn a_syn_announces_no_more_than_fits() {
    for before in [&[][..], &[1], &[1, 1, 1], &[4, 2], &[3, 3, 7]] {
        let options = |mss: u16| {
            let mut options = before.to_vec();
            options.extend_from_slice(&[2, 4]);
            options.extend_from_slice(&mss.to_be_bytes());
            options.resize(options.len().next_multiple_of(4), 0);
            options
        };
        for (v6, to) in [(false, 1360), (true, 1340)] {
            let family = |packet: Packet| if v6 { packet.v6() } else { packet };
            let (result, bytes) = clamped(&family(syn(&options(1460))), 1400);
            assert_eq!(result, Some(Clamped { from: 1460, to }));
            assert_eq!(bytes, family(syn(&options(to))).bytes(), "checksum included");
        }
        let (result, bytes) = clamped(&syn(&options(1360)), 1400);
        assert_eq!((result, bytes), (None, syn(&options(1360)).bytes()));
    }
}

#[test]
fn a_partial_checksum_is_left_alone() {
    let mut bytes = syn(&[2, 4, 5, 0xb4]).bytes();
    let before = [bytes[36], bytes[37]];
    let inner = Inner::parse(&bytes).unwrap();
    assert!(clamp(&mut bytes, &inner, 1400, TransportChecksum::Partial).is_some());
    assert_eq!([bytes[36], bytes[37]], before);
}

#[test]
fn only_a_syn_with_the_option_is_touched() {
    let data = Packet::tcp_v4(1, b"data").flags(ACK);
    assert_eq!(clamped(&data, 400).0, None);
    assert_eq!(clamped(&syn(&[1, 1, 1, 1]), 400).0, None);
    assert_eq!(clamped(&syn(&[0, 2, 4, 5]), 400).0, None, "behind the end of options");
    for broken in [[2, 0, 5, 0xb4], [2, 3, 5, 0xb4], [1, 1, 2, 4], [9, 0, 0, 0], [9, 1, 2, 4], [1, 2, 4, 5]] {
        let (result, bytes) = clamped(&syn(&broken), 400);
        assert_eq!((result, bytes), (None, syn(&broken).bytes()), "{broken:?}");
    }
    assert_eq!(clamped(&syn(&[2, 4, 5, 0xb4]), 39).0, None);
}

proptest! {
    #[test]
    fn whatever_comes_is_answered_well_or_not_at_all(
        mut packet in vec(any::<u8>(), 1..700),
        v4 in any::<bool>(),
        plausible in any::<bool>(),
        mtu in any::<u32>(),
    ) {
        packet[0] = if v4 { 0x45 } else { 0x60 };
        if plausible && packet.len() > 40 {
            let length = packet.len() - if v4 { 0 } else { 40 };
            let at = if v4 { 2 } else { 4 };
            packet[at..at + 2].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        let Ok(inner) = Inner::parse(&packet) else { return Ok(()) };
        let mtu = usize::try_from(mtu).unwrap();
        for what in [Answer::TooBig { mtu }, Answer::HostUnreachable, Answer::Prohibited] {
            let Ok(told) = tell(&packet, what) else { continue };
            let reply = Inner::parse(&told).unwrap();
            prop_assert_eq!(reply.total_length, told.len());
            prop_assert_eq!(reply.flow.destination, inner.flow.source);
            let most = if v4 { 576 } else { 1280 };
            prop_assert!(told.len() <= most);
            prop_assert!(!v4 || inner.fragment != Fragment::Later);
            // No answer is answered.
            prop_assert_eq!(too_big(&told, 1400).err(), Some(Silence::Error));
        }
        let before = packet.clone();
        if clamp(&mut packet, &inner, mtu, TransportChecksum::Complete).is_none() {
            prop_assert_eq!(packet, before);
        }
    }
}

//! From the device to the wire.

use crate::packets::Packet;
use crate::world::*;
use std::time::Duration;
use tidegate::io::batch::Fragmentation;
use tidegate::notice::Notice;
use tidegate_esp::policy::{Action, Owner};
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::{PartialChecksum, SegmentKind, Segmentation, VirtioHeader};
use tidegate_esp::{DropReason, Flow, Limits, TfcPadding};

#[test]
fn a_packet_goes_from_device_to_device() {
    let (mut left, mut right, _) = connected();
    let packet = udp(1000, 300);
    left.take(at(0), &packet);
    assert_eq!(left.seen.sent[0].1.remote, outer(2));
    assert_eq!(left.seen.sent[0].1.local, outer(1));
    assert_eq!(left.seen.sent[0].1.fragmentation, Fragmentation::Forbidden);
    carry(at(1), &mut left, &mut right);
    assert_eq!(right.seen.delivered, [(VirtioHeader::default(), packet.bytes())]);
    let answer = reversed(udp(2000, 10));
    right.take(at(2), &answer);
    carry(at(3), &mut right, &mut left);
    assert_eq!(left.seen.delivered, [(VirtioHeader::default(), answer.bytes())]);
    assert_eq!((left.drops(), right.drops()), (vec![], vec![]));
}

#[test]
fn dscp_and_congestion_marks_cross_the_tunnel() {
    let (mut left, mut right, _) = connected();
    let packet = Packet { traffic_class: 0xb8 | 0b10, ..udp(1, 20) };
    left.take(at(0), &packet);
    assert_eq!(left.seen.sent[0].1.traffic_class, 0xb8 | 0b10);
    left.seen.sent[0].1.traffic_class = 0xb8 | 0b11;
    carry(at(0), &mut left, &mut right);
    let marked = Packet { traffic_class: 0xb8 | 0b11, ..packet };
    assert_eq!(right.seen.delivered[0].1, marked.bytes());
}

#[test]
fn what_no_rule_protects_is_dropped_and_never_sent() {
    for action in [Some(Action::Bypass), Some(Action::Drop), None] {
        let (mut left, _, _) = connected();
        left.rule(action);
        left.take(at(0), &udp(1, 100));
        left.tend(at(10_000));
        assert!(left.seen.sent.is_empty(), "{action:?}");
        assert!(left.seen.notices.is_empty(), "{action:?}");
        assert_eq!(left.drops(), [(DropReason::Policy, 1)], "{action:?}");
    }
}

#[test]
fn what_is_no_packet_is_dropped() {
    let (mut left, _, _) = connected();
    for junk in [&[][..], &[0x45], &[0x12; 40], &[0x60; 39]] {
        left.take_super(at(0), &VirtioHeader::default(), junk);
    }
    assert!(left.seen.sent.is_empty());
    assert_eq!(left.drops(), [(DropReason::Malformed, 4)]);
}

#[test]
fn a_packet_of_one_owner_never_takes_the_sa_of_another() {
    let (mut left, _, _) = connected();
    left.rule(Some(Action::Protect(Owner(8))));
    left.take(at(0), &udp(1, 100));
    assert!(left.seen.sent.is_empty());
    assert!(matches!(left.seen.notices[..], [Notice::Acquire { owner: Owner(8), .. }]));
}

#[test]
fn packets_wait_for_an_sa_and_go_in_order_before_all_others() {
    let (mut left, mut right) = pair();
    for port in 1..=3 {
        left.take(at(0), &udp(port, 50));
    }
    let flow = Flow::parse(&udp(1, 50).bytes()).unwrap();
    assert_eq!(left.seen.notices, [Notice::Acquire { owner: PEER, flow }]);
    assert!(left.seen.sent.is_empty());
    install(&mut left, &mut right, 1, &Wish::default());
    left.take(at(100), &udp(4, 50));
    carry(at(100), &mut left, &mut right);
    let expected: Vec<_> = (1..=4).map(|port| (VirtioHeader::default(), udp(port, 50).bytes())).collect();
    assert_eq!(right.seen.delivered, expected);
    assert_eq!(left.drops(), []);
    assert_eq!(left.outgoing.counters().snapshot().held, 3);
}

#[test]
fn held_packets_go_when_control_wakes_the_worker() {
    let (mut left, mut right) = pair();
    left.take(at(0), &udp(1, 50));
    assert!(left.outgoing.next_deadline(at(0)).is_some());
    install(&mut left, &mut right, 1, &Wish::default());
    left.tend(at(1));
    assert_eq!(left.seen.sent.len(), 1);
    assert_eq!(left.outgoing.next_deadline(at(1)), None);
}

#[test]
fn held_packets_are_given_up_after_a_while_and_their_sender_is_told() {
    let (mut left, mut right) = pair();
    left.take(at(0), &udp(1, 50));
    left.tend(at(4999));
    assert_eq!(left.drops(), []);
    left.tend(at(5000));
    assert_eq!(left.drops(), [(DropReason::NoSa, 1)]);
    let [answer] = &left.seen.answers[..] else { panic!("one answer") };
    assert_eq!((&answer[12..16], &answer[16..20]), (&[10, 2, 0, 1][..], &[10, 1, 0, 1][..]));
    assert_eq!((answer[20], answer[21]), (3, 1), "host unreachable");
    install(&mut left, &mut right, 1, &Wish::default());
    left.tend(at(5001));
    assert!(left.seen.sent.is_empty());
    assert_eq!(left.outgoing.next_deadline(at(5001)), None);
}

#[test]
fn of_one_owner_the_newest_few_wait() {
    let (mut left, mut right) = pair();
    for port in 1..=20 {
        left.take(at(0), &udp(port, 50));
    }
    assert_eq!(left.drops(), [(DropReason::NoSa, 12)]);
    install(&mut left, &mut right, 1, &Wish::default());
    left.tend(at(1));
    carry(at(1), &mut left, &mut right);
    let expected: Vec<_> = (13..=20).map(|port| (VirtioHeader::default(), udp(port, 50).bytes())).collect();
    assert_eq!(right.seen.delivered, expected);
}

#[test]
fn packets_without_an_sa_ask_for_one_no_more_than_a_few_times_a_second() {
    let (mut left, _) = pair();
    for millis in 0..2000 {
        left.take(at(millis), &udp(1, 50));
        left.tend(at(millis));
    }
    assert_eq!(left.seen.notices.len(), 8);
}

#[test]
fn a_flow_that_was_not_told_of_at_once_is_told_of_later() {
    let (mut left, _) = pair();
    left.take(at(0), &udp(1, 50));
    left.take(at(1), &udp(2, 50));
    assert_eq!(left.seen.notices.len(), 1);
    left.tend(at(250));
    left.tend(at(600));
    let flow = Flow::parse(&udp(2, 50).bytes()).unwrap();
    assert_eq!(left.seen.notices[1..], [Notice::Acquire { owner: PEER, flow }]);
}

#[test]
fn a_held_packet_that_comes_to_another_owner_asks_that_one() {
    let (mut left, _) = pair();
    left.take(at(0), &udp(1, 50));
    left.rule(Some(Action::Protect(Owner(8))));
    left.tend(at(1));
    let asked = left.seen.notices.iter().map(|notice| match notice {
        Notice::Acquire { owner, .. } => *owner,
        other => panic!("{other:?}"),
    });
    assert_eq!(asked.collect::<Vec<_>>(), [PEER, Owner(8)]);
}

#[test]
fn a_held_packet_that_no_rule_protects_any_more_is_dropped() {
    for action in [Some(Action::Bypass), Some(Action::Drop), None] {
        let (mut left, _) = pair();
        left.take(at(0), &udp(1, 50));
        left.rule(action);
        left.tend(at(1));
        assert!(left.seen.sent.is_empty());
        assert_eq!(left.drops(), [(DropReason::Policy, 1)], "{action:?}");
    }
}

#[test]
fn a_packet_that_must_not_be_fragmented_is_answered_with_what_fits() {
    let (mut left, mut right, _) = connected();
    let big = udp(1, 1472);
    left.take(at(0), &big);
    assert!(left.seen.sent.is_empty());
    assert_eq!(left.drops(), [(DropReason::TooBig, 1)]);
    let [answer] = &left.seen.answers[..] else { panic!("one answer") };
    assert_eq!((answer[20], answer[21]), (3, 4), "fragmentation needed");
    assert_eq!(answer[16..20], [10, 1, 0, 1]);
    let mtu = usize::from(u16::from_be_bytes([answer[26], answer[27]]));
    let fitting = udp(1, mtu - 28);
    left.take(at(1), &fitting);
    let outer = left.seen.sent[0].0.len() + 28;
    assert!((LINK_MTU - 15..=LINK_MTU).contains(&outer), "{outer}");
    carry(at(1), &mut left, &mut right);
    assert_eq!(right.seen.delivered[0].1, fitting.bytes());
}

#[test]
fn a_packet_that_may_be_fragmented_is() {
    let (mut left, mut right, _) = connected();
    let packet = Packet { dont_fragment: false, ..udp(1, 2000) };
    left.take(at(0), &packet);
    assert_eq!(left.seen.sent.len(), 2);
    carry(at(0), &mut left, &mut right);
    let payload: usize = right.seen.delivered.iter().map(|(_, bytes)| bytes.len() - 20).sum();
    assert_eq!(payload, 2008);
}

#[test]
fn answers_have_an_end() {
    let (mut left, _, _) = connected();
    for _ in 0..1000 {
        left.take(at(0), &udp(1, 1472));
    }
    assert_eq!(left.seen.answers.len(), 100);
}

#[test]
fn a_learned_path_mtu_is_obeyed_and_forgotten() {
    let (mut left, _, _) = connected();
    left.mtus.learned(outer(2).ip(), 1300, at(0));
    left.take(at(0), &udp(1, 1300));
    assert_eq!((left.seen.sent.len(), left.seen.answers.len()), (0, 1));
    left.take(at(600_000), &udp(1, 1300));
    assert_eq!(left.seen.sent.len(), 1);
}

#[test]
fn ipv6_of_the_least_mtu_goes_over_any_path() {
    let (mut left, mut right, _) = connected();
    left.mtus.learned(outer(2).ip(), 1280, at(0));
    let packet = Packet::udp_v4(&[5; 1232]).v6();
    assert_eq!(packet.bytes().len(), 1280);
    left.take(at(0), &packet);
    assert_eq!(left.seen.sent[0].1.fragmentation, Fragmentation::Allowed);
    carry(at(0), &mut left, &mut right);
    assert_eq!(right.seen.delivered[0].1, packet.bytes());
}

#[test]
fn tfc_padding_gives_way_to_the_path() {
    let (mut left, mut right) = pair();
    let wish = Wish { tfc: TfcPadding::To(1500), ..Wish::default() };
    install(&mut left, &mut right, 1, &wish);
    left.take(at(0), &udp(1, 100));
    left.take(at(0), &udp(2, 1380));
    let lengths: Vec<_> = left.seen.sent.iter().map(|(bytes, _)| bytes.len()).collect();
    assert_eq!(lengths[0], lengths[1]);
    assert!(lengths[0] + 28 <= LINK_MTU);
    carry(at(0), &mut left, &mut right);
    assert_eq!(right.seen.delivered[0].1, udp(1, 100).bytes());
}

#[test]
fn a_syn_announces_what_fits() {
    let (mut left, mut right, _) = connected();
    left.take(at(0), &syn(1460));
    carry(at(0), &mut left, &mut right);
    let arrived = &right.seen.delivered[0].1;
    let announced = u16::from_be_bytes([arrived[42], arrived[43]]);
    assert_eq!(*arrived, syn(announced).bytes(), "nothing but size and checksum differs");
    let full = Packet::tcp_v4(1, &vec![0; usize::from(announced) - 12]);
    left.take(at(0), &full);
    assert_eq!(left.drops(), []);
    assert_eq!(left.outgoing.counters().snapshot().clamped, 1);
}

#[test]
fn limits_are_told_of() {
    let (mut left, mut right) = pair();
    let limits = Limits { soft_packets: 2, hard_packets: 4, ..Limits::NONE };
    let installed = install(&mut left, &mut right, 1, &Wish { limits, ..Wish::default() });
    for port in 1..=6 {
        left.take(at(0), &udp(port, 50));
    }
    assert_eq!(left.seen.sent.len(), 4);
    let child = installed.left_spi;
    assert_eq!(left.seen.notices, [Notice::SoftLimit(child), Notice::HardLimit(child)]);
    assert_eq!(left.drops(), [(DropReason::Expired, 2)]);
}

#[test]
fn a_super_packet_is_cut_and_joined_again() {
    let offloads = Offloads { tcp: true, udp: true };
    let (mut left, mut right) = (Node::new(1, offloads), Node::new(2, offloads));
    install(&mut left, &mut right, 1, &Wish::default());
    let data: Vec<u8> = (0..40_000_u32).map(|i| (i >> 3) as u8).collect();
    let packet = Packet::tcp_v4(100, &data).flags(crate::packets::ACK | crate::packets::PSH).bytes();
    let virtio = tso(1300);
    left.take_super(at(0), &virtio, &packet);
    assert_eq!(left.seen.sent.len(), 40_000_usize.div_ceil(1300));
    carry(at(0), &mut left, &mut right);
    let [(joined, bytes)] = &right.seen.delivered[..] else { panic!("one super-packet") };
    assert_eq!(joined.segmentation.unwrap().size, 1300);
    assert_eq!(bytes[52..], data);
}

#[test]
fn a_batch_that_is_full_goes_out_and_nothing_is_lost() {
    let (mut left, _, _) = connected();
    let packet = Packet::tcp_v4(100, &vec![1; 60_000]).bytes();
    // Many more segments than a batch has frames.
    left.take_super(at(0), &tso(50), &packet);
    assert_eq!(left.seen.sent.len(), 1200);
    assert_eq!(left.outgoing.counters().snapshot().esp.sealed_packets, 1200);
}

#[test]
fn what_is_in_hand_is_forgotten_by_a_reset() {
    let (mut left, mut right) = pair();
    left.take(at(0), &udp(1, 50));
    left.outgoing.reset();
    install(&mut left, &mut right, 1, &Wish::default());
    left.tend(at(1));
    assert!(left.seen.sent.is_empty());
    assert_eq!(left.outgoing.next_deadline(at(1) + Duration::from_secs(1)), None);
    left.take(at(2), &udp(2, 50));
    assert_eq!(left.seen.sent.len(), 1);
}

#[test]
fn a_moved_peer_is_sent_to_where_it_is() {
    let (mut left, _, installed) = connected();
    left.take(at(0), &udp(1, 50));
    let path = left.tables.draft().outbound(installed.outbound).unwrap().path;
    let moved = tidegate_esp::Path { remote: outer(9), ..path };
    assert!(left.tables.repath(installed.outbound, moved));
    left.tables.publish();
    left.take(at(1), &udp(1, 50));
    let remotes: Vec<_> = left.seen.sent.iter().map(|(_, departure)| departure.remote).collect();
    assert_eq!(remotes, [outer(2), outer(9)]);
}

/// A TCP super-packet of IPv4 with the headers that the packets of these tests have.
fn tso(size: u16) -> VirtioHeader {
    VirtioHeader {
        checksum: Some(PartialChecksum { start: 20, offset: 16 }),
        segmentation: Some(Segmentation { kind: SegmentKind::TcpV4, size, header_length: 52, ecn: false }),
    }
}

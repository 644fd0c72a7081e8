//! From the wire to the device.

use crate::world::*;
use std::net::SocketAddr;
use tidegate::io::batch::{Arrival, Channel};
use tidegate::notice::Notice;
use tidegate_esp::{DropReason, Limits, Spi};
use tidegate_ike::{Framing, Path};

fn from(remote: SocketAddr, channel: Channel) -> Arrival {
    Arrival { local: outer(2), remote, traffic_class: 0, channel }
}

/// A sign of life from there.
fn alive(child: Spi, remote: SocketAddr) -> Notice {
    Notice::Activity { child, remote }
}

#[test]
fn keepalives_are_counted_and_nothing_more() {
    let (_, mut right) = pair();
    right.receive(at(0), [(&[0xff][..], from(outer(1), Channel::Shared))]);
    assert_eq!(right.incoming.counters().snapshot().keepalives, 1);
    assert!(right.seen.notices.is_empty() && right.seen.ike.is_empty() && right.seen.delivered.is_empty());
    assert_eq!(right.drops(), []);
}

#[test]
fn ike_is_handed_on_as_it_came() {
    let (_, mut right) = pair();
    let marked = [0, 0, 0, 0, 1, 2, 3];
    let arrivals = [(&marked[..], from(outer(1), Channel::Shared)), (&[0xff], from(outer(1), Channel::Ike))];
    right.receive(at(0), arrivals);
    let path = |framing| Path { local: outer(2), remote: outer(1), framing };
    let expected = [(path(Framing::Marked), marked.to_vec()), (path(Framing::Bare), vec![0xff])];
    assert_eq!(right.seen.ike, expected);
}

#[test]
fn the_first_packet_of_an_sa_is_told_of_once_and_life_once_a_second() {
    let (mut left, mut right, installed) = connected();
    for millis in [0, 10, 999, 1000, 1500, 2001] {
        left.take(at(millis), &udp(1, 50));
        carry(at(millis), &mut left, &mut right);
    }
    let child = installed.right_spi;
    let activity = alive(child, outer(1));
    let expected = [Notice::FirstInbound(child), activity.clone(), activity.clone(), activity];
    assert_eq!(right.seen.notices, expected);
}

#[test]
fn a_flood_of_unknown_spis_is_told_of_a_few_times() {
    let (_, mut right, _) = connected();
    for spi in 0..10_000_u32 {
        let packet = [(0x7000_0000 + spi).to_be_bytes().as_slice(), &[7; 60]].concat();
        right.receive(at(0), [(&packet[..], from(outer(9), Channel::Shared))]);
    }
    assert_eq!(right.seen.notices.len(), 10);
    let spi = Spi::new(0x7000_0000).unwrap();
    assert_eq!(right.seen.notices[0], Notice::UnknownSpi { local: outer(2), remote: outer(9), spi });
    assert_eq!(right.drops(), [(DropReason::NoSa, 10_000)]);
}

#[test]
fn a_replayed_or_forged_packet_tells_nothing() {
    let (mut left, mut right, _) = connected();
    left.take(at(0), &udp(1, 50));
    let genuine = left.seen.sent[0].0.clone();
    carry(at(0), &mut left, &mut right);
    right.seen.notices.clear();
    let mut forged = genuine.clone();
    forged[7] += 1;
    let elsewhere = from(outer(9), Channel::Shared);
    right.receive(at(5000), [(&genuine[..], elsewhere), (&forged[..], elsewhere)]);
    assert_eq!(right.seen.notices, []);
    assert_eq!(right.drops(), [(DropReason::Replayed, 1), (DropReason::Integrity, 1)]);
    assert_eq!(right.seen.delivered.len(), 1);
}

#[test]
fn only_the_newest_packet_moves_its_peer() {
    let (mut left, mut right, installed) = connected();
    for port in 1..=3 {
        left.take(at(0), &udp(port, 50));
    }
    let sent = std::mem::take(&mut left.seen.sent);
    let elsewhere = from(outer(9), Channel::Shared);
    right.receive(at(0), [(&sent[1].0[..], arrival(&sent[1].1))]);
    right.seen.notices.clear();
    right.receive(at(1), [(&sent[0].0[..], elsewhere)]);
    assert_eq!(right.seen.notices, [], "late");
    right.receive(at(2), [(&sent[2].0[..], elsewhere)]);
    let child = installed.right_spi;
    assert_eq!(right.seen.notices, [Notice::PeerMoved { child, remote: outer(9) }]);
    assert_eq!(right.seen.delivered.len(), 3);
}

#[test]
fn a_move_that_control_knows_of_is_told_of_no_more() {
    let (mut left, mut right, installed) = connected();
    let elsewhere = from(outer(9), Channel::Shared);
    let opening = right.tables.draft().inbound(installed.right_spi).unwrap().clone();
    opening.expect_from(outer(9));
    left.take(at(0), &udp(1, 50));
    let sent = std::mem::take(&mut left.seen.sent);
    right.receive(at(0), [(&sent[0].0[..], elsewhere)]);
    assert!(!right.seen.notices.iter().any(|notice| matches!(notice, Notice::PeerMoved { .. })));
}

#[test]
fn a_peer_that_moves_with_every_packet_is_told_of_a_few_times_a_second() {
    let (mut left, mut right, _) = connected();
    for millis in 0..1000 {
        left.take(at(millis), &udp(1, 50));
        let sent = std::mem::take(&mut left.seen.sent);
        let moving = SocketAddr::from(([198, 51, 100, 1], millis as u16));
        right.receive(at(millis), [(&sent[0].0[..], from(moving, Channel::Shared))]);
    }
    let moves = right.seen.notices.iter().filter(|notice| matches!(notice, Notice::PeerMoved { .. }));
    assert_eq!(moves.count(), 4);
}

#[test]
fn a_peer_sends_from_no_address_but_its_own() {
    let (mut left, mut right, installed) = connected();
    // A rule of the left node's own making lets it seal what was not negotiated with the right one.
    let stranger = crate::packets::Packet { source: [10, 9, 0, 1].into(), ..udp(1, 50) };
    let carrier = left.tables.draft().outbound(installed.outbound).unwrap().clone();
    let (esp, bytes) = (&carrier.sa.esp, stranger.bytes());
    let mut packet = vec![0; esp.sealed_len(bytes.len())];
    packet[esp.front_len()..][..bytes.len()].copy_from_slice(&bytes);
    esp.reserve(1).unwrap().seal(&mut packet, bytes.len()).unwrap();
    right.receive(at(0), [(&packet[..], from(outer(1), Channel::Shared))]);
    assert!(right.seen.delivered.is_empty());
    assert_eq!(right.drops(), [(DropReason::Selector, 1)]);
    let child = installed.right_spi;
    assert_eq!(right.seen.notices, [Notice::FirstInbound(child), alive(child, outer(1))], "a sign of life");
    left.take(at(1), &udp(1, 50));
    carry(at(1), &mut left, &mut right);
    assert_eq!(right.seen.delivered.len(), 1);
}

#[test]
fn a_syn_from_the_peer_announces_what_fits_on_the_way_back() {
    let (mut left, mut right, _) = connected();
    // The left path carries all, the right one does not.
    right.mtus.learned(outer(1).ip(), 1000, at(0));
    left.take(at(0), &syn(1200));
    carry(at(0), &mut left, &mut right);
    let arrived = &right.seen.delivered[0].1;
    let announced = u16::from_be_bytes([arrived[42], arrived[43]]);
    assert_eq!(*arrived, syn(announced).bytes());
    let full = reversed(crate::packets::Packet::tcp_v4(1, &vec![0; usize::from(announced) - 12]));
    right.take(at(1), &full);
    assert_eq!(right.seen.sent.len(), 1);
    assert!((1000 - 15..=1000).contains(&(right.seen.sent[0].0.len() + 28)));
}

#[test]
fn what_the_device_has_no_room_for_is_counted() {
    let (mut left, mut right, _) = connected();
    right.seen.device_is_full = true;
    for port in 1..=3 {
        left.take(at(0), &udp(port, 50));
    }
    carry(at(0), &mut left, &mut right);
    assert_eq!(right.drops(), [(DropReason::Queue, 3)]);
}

#[test]
fn limits_of_what_is_opened_are_told_of() {
    let (mut left, mut right) = pair();
    let opening_limits = Limits { soft_packets: 2, hard_packets: 4, ..Limits::NONE };
    let installed = install(&mut left, &mut right, 1, &Wish { opening_limits, ..Wish::default() });
    for port in 1..=6 {
        left.take(at(0), &udp(port, 50));
    }
    carry(at(0), &mut left, &mut right);
    let child = installed.right_spi;
    right.seen.notices.retain(|notice| !matches!(notice, Notice::Activity { .. } | Notice::FirstInbound(_)));
    assert_eq!(right.seen.notices, [Notice::SoftLimit(child), Notice::HardLimit(child)]);
    assert_eq!(right.drops(), [(DropReason::Expired, 2)]);
    assert_eq!(right.seen.delivered.len(), 4);
}

#[test]
fn a_dummy_packet_is_a_sign_of_life_and_goes_nowhere() {
    let (left, mut right, installed) = connected();
    let carrier = left.tables.draft().outbound(installed.outbound).unwrap();
    let mut packet = vec![0; carrier.sa.esp.sealed_len(100)];
    carrier.sa.esp.reserve(1).unwrap().seal_dummy(&mut packet, 100).unwrap();
    right.receive(at(0), [(&packet[..], from(outer(1), Channel::Shared))]);
    let child = installed.right_spi;
    assert_eq!(right.seen.notices, [Notice::FirstInbound(child), alive(child, outer(1))]);
    assert!(right.seen.delivered.is_empty());
}

#[test]
fn bare_esp_is_opened_and_moves_nobody() {
    let (mut left, mut right, installed) = connected();
    left.take(at(0), &udp(1, 50));
    let sent = std::mem::take(&mut left.seen.sent);
    let bare = SocketAddr::from(([192, 0, 2, 1], 0));
    right.receive(at(0), [(&sent[0].0[..], from(bare, Channel::Esp))]);
    assert_eq!(right.seen.delivered.len(), 1);
    let child = installed.right_spi;
    assert_eq!(right.seen.notices, [Notice::FirstInbound(child), alive(child, bare)]);
}

#[test]
fn congestion_that_only_loss_can_tell_of_drops_the_packet() {
    let (mut left, mut right, _) = connected();
    left.take(at(0), &udp(1, 50));
    left.seen.sent[0].1.traffic_class = 0b11;
    carry(at(0), &mut left, &mut right);
    assert_eq!(right.drops(), [(DropReason::Congestion, 1)]);
    assert!(right.seen.delivered.is_empty());
}

#[test]
fn an_sa_that_is_removed_opens_nothing_more() {
    let (mut left, mut right, installed) = connected();
    right.tables.remove_inbound(installed.right_spi).unwrap();
    right.tables.publish();
    left.take(at(0), &udp(1, 50));
    carry(at(0), &mut left, &mut right);
    assert_eq!(right.drops(), [(DropReason::NoSa, 1)]);
}

#[test]
fn bytes_that_are_nothing_are_dropped() {
    let (_, mut right, _) = connected();
    let junk: [&[u8]; 4] = [&[], &[1], &[0, 0, 0, 9, 9, 9, 9, 9], &[0x60, 0, 0, 1, 0, 0, 0]];
    right.receive(at(0), junk.map(|bytes| (bytes, from(outer(1), Channel::Shared))));
    assert!(right.seen.delivered.is_empty() && right.seen.ike.is_empty() && right.seen.notices.is_empty());
    assert_eq!(right.drops(), [(DropReason::Malformed, 4)]);
}

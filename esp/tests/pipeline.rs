//! Packets through all of the engine: from a super-packet of one device to the same super-packet on another,
//! with everything that can happen on the way.
#![allow(clippy::unwrap_used)]

mod common;
mod packets;
mod worker;

use common::{forge, outbound, sealed};
use packets::{PSH, Packet};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate_alloc::{Counting, Usage};
use tidegate_esp::checksum::Sum;
use tidegate_esp::crypto::{AesKey, Backend, Cipher, Integrity, Suite};
use tidegate_esp::policy::{Action, Owner, Rule};
use tidegate_esp::snapshot::{NewOutbound, OutboundId, Standing};
use tidegate_esp::spi::SpiAllocator;
use tidegate_esp::virtio::{PartialChecksum, SegmentKind, Segmentation, VirtioHeader};
use tidegate_esp::{
    DropReason, Encapsulation, Inbound, Inner, IvSecret, Limits, Outbound, Params, Path, SelectorPair,
    SequenceNumbers,
};
use worker::{Batch, MTU, Receiver, Sender, Tables};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CLOUD: Owner = Owner(1);
const LAKE: Owner = Owner(2);

/// One edge with SAs to two peers, and both peers behind one set of tables.
///
/// ```text
///  10.1/16, fd00:1::/64  ── cloud (UDP over IPv4) ──►  10.2/16, fd00:2::/64
///                        ── lake (raw over IPv6)  ──►  10.3/16, fd00:3::/64
/// ```
struct World {
    here: Tables,
    there: Tables,
    spis: SpiAllocator,
    sender: Sender,
    receiver: Receiver,
    /// The receive buffer.
    arrived: Batch,
}

impl World {
    fn new() -> Self {
        let (mut here, there) = (Tables::new(), Tables::new());
        for (owner, remote) in [(CLOUD, 2), (LAKE, 3)] {
            let rule = Rule { selectors: Arc::new(selectors(remote)), action: Action::Protect(owner) };
            here.add_rule(rule).unwrap();
        }
        here.publish();
        let (sender, receiver) = (Sender::new(&here), Receiver::new(&there));
        let (spis, arrived) = (SpiAllocator::new(100), Batch::with_room());
        Self { here, there, spis, sender, receiver, arrived }
    }

    /// Both halves of an SA: the inbound one first, as in a rekey.
    fn install(&mut self, owner: Owner, change: impl FnOnce(&mut Params), standing: Standing) -> Installed {
        let mut params = common::params(common::gcm());
        params.spi = self.spis.allocate(77, 0).unwrap();
        let remote = if owner == CLOUD { 2 } else { 3 };
        params.selectors = Arc::new(selectors(remote));
        params.path = path(owner);
        change(&mut params);
        params.keys = common::keys(params.suite);
        let theirs = Params {
            selectors: Arc::new(params.selectors.reversed()),
            limits: Limits::NONE,
            ..params.clone()
        };
        self.there.install_inbound(params.spi, Arc::new(Inbound::new(Backend::Ring, &theirs).unwrap()));
        self.there.publish();
        let sa = Arc::new(Outbound::new(Backend::Ring, &params, &IvSecret::new([3; 16])).unwrap());
        let (selectors, path) = (Arc::clone(&params.selectors), params.path);
        let id = self.here.install_outbound(NewOutbound { owner, selectors, sa, path, standing }).unwrap();
        self.here.publish();
        Installed { id, params }
    }

    /// One packet from device to device.
    fn carry(&mut self, virtio: &VirtioHeader, packet: &[u8]) {
        self.sender.wire.clear();
        self.sender.send(virtio, packet);
        self.arrived.clear();
        for frame in &self.sender.wire.frames {
            self.arrived.push(self.sender.wire.bytes(frame), frame.encapsulation, frame.traffic_class);
        }
        self.receiver.receive(&mut self.arrived);
    }

    /// Bytes from somewhere on the network.
    fn receive(&mut self, bytes: &[u8], traffic_class: u8) {
        self.arrived.clear();
        self.arrived.push(bytes, Encapsulation::Udp, traffic_class);
        self.receiver.receive(&mut self.arrived);
    }

    /// What both ends dropped, by reason, leaving out what was not.
    fn drops(&self) -> Vec<(DropReason, u64)> {
        let all = self.sender.counters.snapshot().merged(&self.receiver.counters.snapshot());
        DropReason::ALL
            .map(|reason| (reason, all.drops(reason)))
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .collect()
    }
}

struct Installed {
    id: OutboundId,
    params: Params,
}

fn selectors(remote: u8) -> SelectorPair {
    let list =
        |side: u8| [format!("10.{side}.0.0/16"), format!("fd00:{side}::/64")].map(|s| s.parse().unwrap());
    SelectorPair { local: list(1).to_vec(), remote: list(remote).to_vec() }
}

fn path(owner: Owner) -> Path {
    let address = |host| match owner {
        CLOUD => SocketAddr::from(([192, 0, 2, host], 4500)),
        _ => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)], 0)),
    };
    let encapsulation = if owner == CLOUD { Encapsulation::Udp } else { Encapsulation::None };
    Path { local: address(1), remote: address(2), encapsulation }
}

fn chacha(params: &mut Params) {
    params.suite = Suite::aead(Cipher::ChaCha20Poly1305).and_then(Suite::with_implicit_iv).unwrap();
    params.sequence_numbers = SequenceNumbers::Extended;
}

fn cbc(params: &mut Params) {
    params.suite = Suite::with_integrity(Cipher::AesCbc(AesKey::Bits256), Integrity::HmacSha384_192).unwrap();
}

/// A super-packet as the kernel hands it out: of the checksum the pseudo-header alone.
fn super_packet(first: &Packet, size: u16, length: usize) -> (VirtioHeader, Vec<u8>) {
    let payload = (0..length).map(|i| (i * 7) as u8).collect();
    let mut packet = Packet { payload, ..first.clone() };
    if packet.protocol() == 6 {
        packet = packet.flags(packets::ACK | PSH);
    }
    let mut bytes = packet.bytes();
    let inner = Inner::parse(&bytes).unwrap();
    let (kind, offset) = match (packet.protocol(), inner.flow.is_v4()) {
        (6, true) => (SegmentKind::TcpV4, 16),
        (6, false) => (SegmentKind::TcpV6, 16),
        _ => (SegmentKind::Udp, 6),
    };
    let (start, transport_length) = (inner.network_length, bytes.len() - inner.network_length);
    let sum = Sum::ZERO.pseudo_header(&bytes, packet.protocol(), transport_length).partial();
    bytes[start + offset..start + offset + 2].copy_from_slice(&sum);
    let header_length = u16::try_from(bytes.len() - length).unwrap();
    let virtio = VirtioHeader {
        checksum: Some(PartialChecksum {
            start: u16::try_from(start).unwrap(),
            offset: u16::try_from(offset).unwrap(),
        }),
        segmentation: Some(Segmentation { kind, size, header_length, ecn: false }),
    };
    (virtio, bytes)
}

/// TCP and UDP in IPv4 and IPv6 towards both peers.
fn flows() -> Vec<Packet> {
    let towards = |packet: Packet, remote: u8| match packet.source.is_ipv4() {
        true => Packet { destination: [10, remote, 0, 1].into(), ..packet },
        false => Packet { destination: [0xfd00, u16::from(remote), 0, 0, 0, 0, 0, 1].into(), ..packet },
    };
    let kinds =
        [Packet::tcp_v4(1, b""), Packet::tcp_v4(1, b"").v6(), Packet::udp_v4(b""), Packet::udp_v4(b"").v6()];
    kinds.into_iter().flat_map(|packet| [2, 3].map(|remote| towards(packet.clone(), remote))).collect()
}

#[test]
fn a_super_packet_arrives_as_it_was_sent() {
    let mut world = World::new();
    world.install(CLOUD, chacha, Standing::Carrying);
    world.install(LAKE, cbc, Standing::Carrying);
    let mut segments = 0;
    for flow in flows() {
        for (size, length) in [(1200, 60_000), (1200, 1201), (500, 32_000), (1, 64)] {
            let (virtio, packet) = super_packet(&flow, size, length);
            world.receiver.device.clear();
            world.carry(&virtio, &packet);

            let mut packets = world.receiver.device.packets();
            assert_eq!(packets.next(), Some((&virtio, &packet[..])), "{size} of {length}");
            assert_eq!(packets.len(), 0);
            let frames = &world.sender.wire.frames;
            let first = frames[0].range.len();
            assert!(first + path(CLOUD).headers_len() <= MTU);
            let (last, full) = frames.split_last().unwrap();
            assert!(full.iter().all(|frame| frame.range.len() == first) && last.range.len() <= first);
            segments += frames.len() as u64;
        }
    }
    let (sent, received) = (world.sender.counters.snapshot(), world.receiver.counters.snapshot());
    assert_eq!((sent.sealed_packets, received.opened_packets), (segments, segments));
    assert_eq!(sent.sealed_bytes, received.opened_bytes);
    assert_eq!(world.drops(), []);
}

// RFC 7296 §2.8: the successor is installed on both sides before anything moves to it.
#[test]
fn a_stream_goes_on_over_a_successor_amid_replays_and_forgeries() {
    let mut world = World::new();
    let old = world.install(CLOUD, |_| (), Standing::Carrying);
    world.install(LAKE, cbc, Standing::Carrying);
    let mut successor = None;
    let streams: Vec<_> = flows().iter().map(|flow| super_packet(flow, 1000, 20_500)).collect();
    let (mut honest, mut allocated) = (0, 0);
    for round in 0..12 {
        match round {
            4 => successor = Some(world.install(CLOUD, chacha, Standing::Waiting)),
            6 => {
                let successor = successor.as_ref().unwrap().id;
                assert!(world.here.move_outbound(successor));
                world.here.publish();
            }
            9 => {
                world.here.remove_outbound(old.id).unwrap();
                world.here.publish();
            }
            _ => {}
        }
        for (virtio, packet) in &streams {
            world.receiver.device.clear();
            let before = Usage::now();
            honest += hostile_round(&mut world, virtio, packet);
            // The first round warms up, and control allocates when it publishes.
            allocated += if round == 0 { 0 } else { Usage::since(before).allocations };
            let mut arrived = world.receiver.device.packets();
            assert_eq!(arrived.next(), Some((virtio, &packet[..])), "round {round}");
            assert_eq!(arrived.len(), 0);
        }
    }
    assert_eq!(allocated, 0);
    let carried_by_successor = successor.unwrap().params.spi;
    assert_eq!(world.receiver.keepalives, world.receiver.ike);
    assert_eq!(world.receiver.counters.snapshot().opened_packets, honest);
    assert_eq!(
        world.drops(),
        [
            (DropReason::NoSa, 96),
            (DropReason::Malformed, honest),
            (DropReason::Replayed, honest),
            (DropReason::Integrity, 2 * honest)
        ]
    );
    let inbound = world.there.draft().inbound(carried_by_successor).unwrap();
    assert_eq!(inbound.packets(), 6 * 4 * 21);
}

/// Each packet arrives behind two forgeries of it and before a copy, and others come between. Returns how many
/// packets were sent.
fn hostile_round(world: &mut World, virtio: &VirtioHeader, packet: &[u8]) -> u64 {
    let World { sender, receiver, arrived, .. } = world;
    sender.wire.clear();
    sender.send(virtio, packet);
    arrived.clear();
    for frame in &sender.wire.frames {
        let bytes = sender.wire.bytes(frame);
        for damaged in [bytes.len() - 1, 30] {
            arrived.push(bytes, frame.encapsulation, 0);
            let start = arrived.frames[arrived.frames.len() - 1].range.start;
            arrived.buffer[start + damaged] ^= 0x40;
        }
        arrived.push(&bytes[..9], frame.encapsulation, 0);
        arrived.push(bytes, frame.encapsulation, frame.traffic_class);
        arrived.push(bytes, frame.encapsulation, frame.traffic_class);
    }
    arrived.push(&[0xff], Encapsulation::Udp, 0);
    arrived.push(&[0, 0, 0, 0, 1, 2, 3, 4], Encapsulation::Udp, 0);
    arrived.push(&[0x7f; 100], Encapsulation::Udp, 0);
    receiver.receive(arrived);
    sender.wire.frames.len() as u64
}

#[test]
fn what_does_not_leave_is_counted_under_its_reason() {
    let (mut world, mut tally) = (World::new(), Tally::default());
    let plain = VirtioHeader::default();

    world.carry(&plain, &to_cloud().bytes());
    tally.one_more(&world, DropReason::NoSa);
    world.carry(&plain, &Packet { destination: [8, 8, 8, 8].into(), ..to_cloud() }.bytes());
    tally.one_more(&world, DropReason::Policy);
    world.carry(&plain, &[0x45; 10]);
    tally.one_more(&world, DropReason::Malformed);

    let limits = Limits { soft_packets: 1, hard_packets: 2, ..Limits::NONE };
    world.install(CLOUD, |params| params.limits = limits, Standing::Carrying);
    let large = Packet { payload: vec![0; 1400], dont_fragment: true, ..to_cloud() };
    world.carry(&plain, &large.bytes());
    tally.one_more(&world, DropReason::TooBig);
    assert_eq!(Inner::parse(&world.sender.told).unwrap().flow.destination, large.source);
    assert_eq!(world.sender.told[26..28], 1326_u16.to_be_bytes());

    world.carry(&plain, &to_cloud().bytes());
    world.carry(&plain, &to_cloud().bytes());
    assert_eq!((world.sender.soft_limits, world.receiver.device.packets().len()), (1, 2));
    world.carry(&plain, &to_cloud().bytes());
    tally.one_more(&world, DropReason::Expired);
}

#[test]
fn what_the_network_may_do_is_counted_under_its_reason() {
    let (mut world, mut tally) = (World::new(), Tally::default());
    let params = world.install(CLOUD, |_| (), Standing::Carrying).params;
    world.carry(&VirtioHeader::default(), &to_cloud().bytes());
    let copy = world.sender.wire.buffer.clone();

    world.receive(&copy, 0);
    tally.one_more(&world, DropReason::Replayed);
    world.receive(&[0x7f; 60], 0);
    tally.one_more(&world, DropReason::NoSa);
    world.receive(&[0; 3], 0);
    tally.one_more(&world, DropReason::Malformed);
    let again = outbound(&params);
    drop(again.reserve(1));
    let mut damaged = sealed(&again, &to_cloud().bytes());
    damaged[60] ^= 1;
    world.receive(&damaged, 0);
    tally.one_more(&world, DropReason::Integrity);
    // RFC 6040 §4.2: congestion met on the way can be told to this transport by loss alone.
    world.receive(&sealed(&again, &to_cloud().bytes()), 0b11);
    tally.one_more(&world, DropReason::Congestion);
    assert_eq!(world.receiver.device.packets().len(), 1);
}

#[test]
fn what_a_peer_with_the_keys_may_do_is_counted_under_its_reason() {
    let (mut world, mut tally) = (World::new(), Tally::default());
    let null = |params: &mut Params| params.suite = common::null();
    let params = world.install(CLOUD, null, Standing::Waiting).params;
    let datagram = to_cloud().bytes();
    let cut_short = [&[0x45, 0, 0, 22], &datagram[4..22]].concat();
    let spoofed = Packet { source: [10, 9, 0, 1].into(), ..to_cloud() }.bytes();
    let cases: [(u64, &[u8], &[u8], DropReason); 7] = [
        (1, &datagram, &[1, 2, 99, 4], DropReason::Padding),
        (2, &datagram, &[1, 2, 2, 6], DropReason::NextHeader),
        (3, &datagram[..50], &[0, 4], DropReason::InnerLength),
        (4, &cut_short, &[0, 4], DropReason::InnerHeader),
        (5, &spoofed, &[1, 2, 2, 4], DropReason::Selector),
        (5000, &[0xee; 42], &[0, 59], DropReason::Dummy),
        (6, &datagram, &[1, 2, 2, 4], DropReason::TooOld),
    ];
    for (number, datagram, trailer, reason) in cases {
        world.receive(&forge(&params, number, &[datagram, trailer].concat()), 0);
        tally.one_more(&world, reason);
    }
    assert_eq!(world.receiver.device.packets().len(), 0);
}

/// What must have been dropped so far.
#[derive(Default)]
struct Tally(BTreeMap<DropReason, u64>);

impl Tally {
    fn one_more(&mut self, world: &World, reason: DropReason) {
        *self.0.entry(reason).or_default() += 1;
        assert_eq!(world.drops(), self.0.iter().map(|(reason, count)| (*reason, *count)).collect::<Vec<_>>());
    }
}

/// A small packet that no transport would mind losing.
fn to_cloud() -> Packet {
    Packet { payload: vec![1; 100], dont_fragment: false, ..flows().swap_remove(4) }
}

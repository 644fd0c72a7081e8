//! What happens to a packet besides the cipher: deciding, cutting, joining, summing up.
//!
//! Policy is asked for the same number of flows whatever the number of peers, so that what differs between the
//! rows is the tables alone.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tidegate_esp::checksum::Sum;
use tidegate_esp::policy::{Action, FlowCache, Owner, Rule};
use tidegate_esp::segment::{Joiner, Offloads, Split};
use tidegate_esp::snapshot::{NewOutbound, Publisher, Reader, Standing};
use tidegate_esp::virtio::{SegmentKind, Segmentation, VirtioHeader};
use tidegate_esp::{Encapsulation, Flow, Inner, Path, SelectorPair, Spi, TrafficSelector, Transport};

criterion_group!(benches, checksum, cut, join, policy, publish);
criterion_main!(benches);

const FLOWS: u32 = 1000;
const PEERS: [u32; 3] = [1, 100, 10_000];

fn checksum(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    for length in [20, 64, 576, 1408] {
        let bytes = vec![0x5a; length];
        group.throughput(Throughput::Bytes(length.try_into().unwrap()));
        group.bench_function(length.to_string(), |b| b.iter(|| Sum::ZERO.bytes(black_box(&bytes)).finish()));
    }
}

/// Headers and payload size of what one row is about.
struct Shape {
    name: &'static str,
    kind: SegmentKind,
    headers: usize,
    size: u16,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "tcp4", kind: SegmentKind::TcpV4, headers: 52, size: 1348 },
    Shape { name: "tcp6", kind: SegmentKind::TcpV6, headers: 72, size: 1328 },
    Shape { name: "udp4", kind: SegmentKind::Udp, headers: 28, size: 1372 },
    Shape { name: "tcp4-536", kind: SegmentKind::TcpV4, headers: 52, size: 536 },
];

impl Shape {
    /// A super-packet of 45 segments.
    fn super_packet(&self) -> (VirtioHeader, Vec<u8>) {
        let mut packet = vec![0x5a; self.headers + 45 * usize::from(self.size)];
        let length = packet.len();
        let v6 = self.kind == SegmentKind::TcpV6;
        let protocol = if self.kind == SegmentKind::Udp { 17 } else { 6 };
        if v6 {
            packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 0, protocol, 64]);
            packet[4..6].copy_from_slice(&u16::try_from(length - 40).unwrap().to_be_bytes());
        } else {
            packet[..10].copy_from_slice(&[0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol]);
            packet[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        if protocol == 6 {
            let tcp = if v6 { 40 } else { 20 };
            packet[tcp + 12..tcp + 14].copy_from_slice(&[0x80, 0x10]);
            packet[tcp + 18..tcp + 20].copy_from_slice(&[0, 0]);
        }
        let cut = Segmentation { kind: self.kind, size: self.size, header_length: 0, ecn: false };
        (VirtioHeader { checksum: None, segmentation: Some(cut) }, packet)
    }
}

/// Room before each segment for outer and ESP headers, and behind it for trailer and ICV.
const HEADROOM: usize = 16;
const TAILROOM: usize = 34;

fn cut_into(virtio: &VirtioHeader, packet: &[u8], out: &mut [u8], mut each: impl FnMut(usize, usize)) {
    let inner = Inner::parse(packet).unwrap();
    let mut split = Split::new(virtio, &inner, packet, 1400).unwrap();
    let mut at = HEADROOM;
    while let Some(length) = split.write_next(&mut out[at..]).unwrap() {
        each(at, length);
        at += length + TAILROOM + HEADROOM;
    }
}

fn cut(c: &mut Criterion) {
    let mut group = c.benchmark_group("cut");
    let mut out = vec![0; 80_000];
    for shape in &SHAPES {
        let (virtio, packet) = shape.super_packet();
        group.throughput(Throughput::Bytes(packet.len().try_into().unwrap()));
        group.bench_function(shape.name, |b| {
            b.iter(|| cut_into(&virtio, black_box(&packet), &mut out, |_, _| {}));
        });
    }
}

fn join(c: &mut Criterion) {
    let mut group = c.benchmark_group("join");
    for shape in &SHAPES {
        let (virtio, packet) = shape.super_packet();
        let mut buffer = vec![0; 80_000];
        let mut starts = Vec::new();
        cut_into(&virtio, &packet, &mut buffer, |start, _| starts.push(start));
        let mut joiner = Joiner::new(Offloads { tcp: true, udp: true });
        group.throughput(Throughput::Bytes(packet.len().try_into().unwrap()));
        group.bench_function(shape.name, |b| {
            b.iter(|| {
                let mut left = 0;
                for start in &starts {
                    let inner = Inner::parse(&buffer[*start..]).unwrap();
                    joiner.push(&buffer, *start, &inner, |joined| left += joined.slices().len());
                }
                joiner.finish(&buffer, |joined| left += black_box(joined).slices().len());
                assert_eq!(left, 45);
            });
        });
    }
}

type Tables = Publisher<u32, u32>;

fn path() -> Path {
    let address = SocketAddr::from(([192, 0, 2, 1], 4500));
    Path { local: address, remote: address, encapsulation: Encapsulation::Udp }
}

/// The /24 of a peer.
fn subnet(peer: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 | peer << 8)
}

fn selectors(peer: u32) -> Arc<SelectorPair> {
    let remote = TrafficSelector::for_prefix(subnet(peer).into(), 24).unwrap();
    let local = TrafficSelector::for_prefix(Ipv4Addr::new(172, 16, 0, 0).into(), 12).unwrap();
    Arc::new(SelectorPair { local: vec![local], remote: vec![remote] })
}

fn outbound(peer: u32) -> NewOutbound<u32> {
    NewOutbound {
        owner: Owner(peer.into()),
        selectors: selectors(peer),
        sa: Arc::new(peer),
        path: path(),
        standing: Standing::Carrying,
    }
}

fn add(tables: &mut Tables, peer: u32) {
    let owner = Owner(peer.into());
    tables.add_rule(Rule { selectors: selectors(peer), action: Action::Protect(owner) }).unwrap();
    tables.install_outbound(outbound(peer)).unwrap();
    tables.install_inbound(Spi::new(0x0010_0000 | peer).unwrap(), Arc::new(peer));
}

fn tables(peers: u32) -> (Tables, Reader<u32, u32>) {
    let mut tables = Tables::new();
    (0..peers).for_each(|peer| add(&mut tables, peer));
    tables.publish();
    let reader = tables.reader();
    (tables, reader)
}

/// As many flows as there are, one packet each, spread over all peers.
fn flows(peers: u32) -> Vec<Flow> {
    let flow = |number: u32| {
        let peer = number * peers.div_ceil(FLOWS) % peers;
        Flow {
            source: Ipv4Addr::new(172, 16, 0, 1).into(),
            destination: Ipv4Addr::from_bits(subnet(peer).to_bits() | (1 + number % 250)).into(),
            protocol: 6,
            transport: Transport::Ports { source: u16::try_from(number).unwrap(), destination: 443 },
        }
    };
    (0..FLOWS).map(flow).collect()
}

fn policy(c: &mut Criterion) {
    let mut group = c.benchmark_group("policy");
    group.throughput(Throughput::Elements(FLOWS.into()));
    for peers in PEERS {
        let (_tables, mut reader) = tables(peers);
        let flows = flows(peers);
        let mut cache = FlowCache::new(8192, 0x1234_5678);
        group.bench_function(format!("known flow, {peers} peers"), |b| {
            b.iter(|| {
                let snapshot = reader.current();
                for flow in &flows {
                    black_box(snapshot.decide_cached(&mut cache, flow));
                }
            });
        });
        group.bench_function(format!("new flow, {peers} peers"), |b| {
            b.iter(|| {
                let snapshot = reader.current();
                for flow in &flows {
                    black_box(snapshot.decide(flow));
                }
            });
        });
        group.bench_function(format!("inbound index, {peers} peers"), |b| {
            let spis: Vec<_> = (0..FLOWS).map(|n| n * peers.div_ceil(FLOWS) % peers).collect();
            b.iter(|| {
                let snapshot = reader.current();
                for spi in &spis {
                    black_box(snapshot.inbound(Spi::new(0x0010_0000 | spi).unwrap()));
                }
            });
        });
    }
}

fn publish(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish one SA");
    for peers in [1, 100, 10_000, 50_000] {
        let (mut tables, mut reader) = tables(peers);
        let mut next = 0;
        group.bench_function(format!("{peers} peers"), |b| {
            b.iter_batched(
                || {
                    next = (next + 7919) % peers.max(2);
                    next
                },
                |peer| {
                    let spi = Spi::new(0x0010_0000 | peer).unwrap();
                    let id = tables.install_outbound(outbound(peer));
                    tables.install_inbound(spi, Arc::new(peer));
                    tables.publish();
                    black_box(reader.current().generation());
                    tables.remove_outbound(id.unwrap());
                },
                BatchSize::SmallInput,
            );
        });
    }
}

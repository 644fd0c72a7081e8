//! No packet costs an allocation: reading, deciding, cutting, joining, clamping, answering.
#![allow(clippy::unwrap_used)]

mod packets;

use packets::{ACK, Packet, SYN, stream};
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate_alloc::{Counting, Usage};
use tidegate_esp::icmp::{ANSWER_MAX, Answer, answer};
use tidegate_esp::mss::{TransportChecksum, clamp};
use tidegate_esp::policy::{Action, FlowCache, Owner, Rule, admit};
use tidegate_esp::segment::{Joiner, Offloads, Split};
use tidegate_esp::snapshot::{Decision, NewOutbound, Publisher, Standing};
use tidegate_esp::virtio::{SegmentKind, Segmentation, VirtioHeader};
use tidegate_esp::{Encapsulation, Inner, Path, SelectorPair, TrafficSelector};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn packets_do_not_allocate() {
    let everything = TrafficSelector::any_v4();
    let selectors = Arc::new(SelectorPair { local: vec![everything], remote: vec![everything] });
    let owner = Owner(1);
    let mut tables: Publisher<(), ()> = Publisher::new();
    let rule = Rule { selectors: Arc::clone(&selectors), action: Action::Protect(owner) };
    tables.add_rule(rule).unwrap();
    let address = SocketAddr::from(([192, 0, 2, 1], 4500));
    let path = Path { local: address, remote: address, encapsulation: Encapsulation::Udp };
    let standing = Standing::Carrying;
    let outbound = NewOutbound { owner, selectors: Arc::clone(&selectors), sa: Arc::new(()), path, standing };
    tables.install_outbound(outbound).unwrap();
    tables.publish();
    let mut reader = tables.reader();
    let mut cache = FlowCache::new(64, 1);
    let mut joiner = Joiner::new(Offloads { tcp: true, udp: true });

    let large = Packet::tcp_v4(1, &[9; 14_000]).bytes();
    let cut = Segmentation { kind: SegmentKind::TcpV4, size: 1000, header_length: 52, ecn: false };
    let virtio = VirtioHeader { checksum: None, segmentation: Some(cut) };
    let mut received = Vec::new();
    for packet in stream(&Packet::udp_v4(&[]), 700, &[3; 9000]) {
        received.extend_from_slice(&packet.bytes());
    }
    let mut syn = Packet::tcp_v4(1, &[]).flags(SYN | ACK).bytes();
    let (mut out, mut told) = (vec![0; 20_000], [0; ANSWER_MAX]);

    let before = Usage::now();
    let snapshot = reader.current();
    for _ in 0..2 {
        let inner = Inner::parse(&large).unwrap();
        assert!(matches!(snapshot.decide_cached(&mut cache, &inner.flow), Decision::Protect(_)));
        let mut split = Split::new(&virtio, &inner, &large, 1400).unwrap();
        let mut segments = 0;
        while split.write_next(&mut out).unwrap().is_some() {
            segments += 1;
        }
        assert_eq!(segments, 14);
        answer(&large, &inner, Answer::TooBig { mtu: 1300 }, [10, 0, 0, 9].into(), &mut told).unwrap();
        let mut packets = 0;
        let mut start = 0;
        while start < received.len() {
            let inner = admit(&selectors, &received[start..]).unwrap();
            joiner.push(&received, start, &inner, |joined| packets += joined.packets());
            start += inner.total_length;
        }
        joiner.finish(&received, |joined| packets += joined.slices().len());
        assert_eq!(packets, 13);
        let inner = Inner::parse(&syn).unwrap();
        clamp(&mut syn, &inner, 1300, TransportChecksum::Complete);
    }
    assert_eq!(Usage::since(before), Usage::default());
}

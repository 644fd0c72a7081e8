//! No packet costs an allocation.

use crate::packets::Packet;
use crate::world::*;
use std::io::{self, IoSlice};
use std::sync::Arc;
use tidegate::io::batch::{ReceiveBatch, SendBatch};
use tidegate::notice::Notice;
use tidegate::tables::Tables;
use tidegate::worker::{Control, Incoming, Inward, Outgoing, Outward, PathMtus, Settings};
use tidegate_alloc::Usage;
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::VirtioHeader;

/// Carries what the one sends to the other's batch, and counts all else.
struct Direct {
    arrived: Option<ReceiveBatch>,
    delivered: usize,
    answers: usize,
    notices: usize,
}

impl Control for Direct {
    fn ike(&mut self, _: tidegate_ike::Path, _: &[u8]) {}

    fn notice(&mut self, _: Notice) {
        self.notices += 1;
    }
}

impl Outward for Direct {
    fn send(&mut self, batch: &SendBatch) {
        for frame in batch.frames() {
            let arrived = self.arrived.as_mut().unwrap();
            assert!(arrived.push(batch.bytes(frame), arrival(&frame.departure)));
        }
    }

    fn answer(&mut self, _: &[u8]) {
        self.answers += 1;
    }
}

impl Inward for Direct {
    fn deliver(&mut self, _: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.delivered += parts.iter().map(|part| part.len()).sum::<usize>();
        Ok(())
    }
}

#[test]
fn packets_do_not_allocate_sealed_opened_or_refused() {
    let offloads = Offloads { tcp: true, udp: true };
    let (mut left, mut right) = (Node::new(1, offloads), Node::new(2, offloads));
    install(&mut left, &mut right, 1, &Wish::default());
    left.mtus.learned(outer(9).ip(), 1300, at(0));
    let mut direct = Direct { arrived: Some(ReceiveBatch::new()), delivered: 0, answers: 0, notices: 0 };
    let mut fitting = [udp(1, 500).bytes(), Packet::tcp_v4(7, &[1; 1200]).bytes(), syn(9000).bytes()];
    let stranger = Packet { destination: [10, 7, 0, 1].into(), ..udp(3, 500) };
    let mut refused = [udp(2, 1472).bytes(), stranger.bytes(), vec![0x45; 3]];
    let junk = [7; 100];
    let mut bytes = 0;
    let before = Usage::now();
    for millis in 0..100 {
        for packet in fitting.iter_mut().chain(&mut refused) {
            left.outgoing.take(at(millis), &VirtioHeader::default(), packet, &mut direct);
        }
        left.outgoing.flush(&mut direct);
        let mut arrived = direct.arrived.take().unwrap();
        assert!(arrived.push(&junk, arrival_of_junk()));
        right.incoming.take(at(millis), &mut arrived, &mut direct);
        arrived.clear();
        direct.arrived = Some(arrived);
        bytes += fitting.iter().map(Vec::len).sum::<usize>();
    }
    assert_eq!(Usage::since(before).allocations, 0);
    assert_eq!(direct.delivered, bytes);
    assert!(direct.answers > 0 && direct.notices > 0);
}

#[test]
fn held_packets_use_the_same_buffers_again() {
    let (mut left, _) = pair();
    let mut direct = Direct { arrived: Some(ReceiveBatch::new()), delivered: 0, answers: 0, notices: 0 };
    let mut packet = udp(1, 500).bytes();
    let mut hold = |from: u64, to: u64| {
        for millis in from..to {
            left.outgoing.take(at(millis), &VirtioHeader::default(), &mut packet, &mut direct);
        }
    };
    hold(0, 10);
    let before = Usage::now();
    hold(10, 1000);
    assert_eq!(Usage::since(before).allocations, 0);
}

#[test]
fn workers_of_a_small_node_weigh_little_beside_buffers_that_nobody_touches() {
    let tables = Tables::new();
    let mtus = Arc::new(PathMtus::new(1500));
    let before = Usage::now();
    let buffers = SendBatch::new();
    let of_buffers = Usage::since(before).live_bytes;
    let before = Usage::now();
    let outgoing = Outgoing::new(tables.reader(), Arc::clone(&mtus), &Settings::small());
    let incoming = Incoming::new(tables.reader(), mtus, Offloads { tcp: true, udp: true });
    let weight = Usage::since(before).live_bytes - of_buffers;
    drop((buffers, outgoing, incoming));
    assert!((10_000..64_000).contains(&weight), "{weight}");
}

fn arrival_of_junk() -> tidegate::io::batch::Arrival {
    use tidegate::io::batch::{Arrival, Channel};
    Arrival { local: outer(2), remote: outer(1), traffic_class: 0, channel: Channel::Shared }
}

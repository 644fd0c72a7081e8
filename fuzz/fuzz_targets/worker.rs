//! Both packet paths of two nodes with keys between them: anything from the device, anything from the network,
//! datagrams of the other end late, twice, out of order or damaged, what a peer seals that keeps no rule, and
//! tables that change underneath.
//!
//! The input is a row of steps. Nothing but ESP of our SAs goes out while the rule protects, nothing comes in
//! that the other end has not sealed, none of it twice, and every packet inside belongs to the selectors. What
//! waits for an SA does not wait for ever.

#![no_main]

#[path = "../../esp/tests/packets/mod.rs"]
mod packets;
mod steps;
#[path = "../../tunnel/tests/worker/world.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "tests use the rest of it")]
mod world;

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use steps::Steps;
use tidegate::io::batch::{Arrival, Channel, Departure, ReceiveBatch};
use tidegate::worker::{HoldLimits, Outgoing, Settings};
use tidegate_esp::crypto::{Backend, SealingKey};
use tidegate_esp::policy::Action;
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::{Inner, Limits, TfcPadding};
use world::{Installed, Node, PEER, Wish, arrival, at, install, outer};

fuzz_target!(|input: &[u8]| {
    let Some((&shape, steps)) = input.split_first() else { return };
    let mut run = Run::new(shape);
    let mut steps = Steps(steps);
    // Each packet may become hundreds.
    for _ in 0..64 {
        let Some(step) = steps.byte() else { break };
        run.step(step, &mut steps);
    }
    run.check();
});

/// An SA that is soon spent.
const FEW: Limits = Limits { soft_packets: 15, hard_packets: 20, ..Limits::NONE };

thread_local! {
    /// Large, so that it is made once.
    static BATCH: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new());
}

struct Run {
    left: Node,
    right: Node,
    /// The SA that packets are sealed by hand for, so that the left end's numbers stay its own.
    spare: Installed,
    /// Those that the left end seals by: the newest of them, as long as there is one.
    installed: Vec<Installed>,
    /// Datagrams of the left end that wait to be carried.
    wire: Vec<(Vec<u8>, Departure)>,
    /// How many datagrams were sealed for the right end, by the left one or by hand.
    sealed: u64,
    /// The number of the last one that was sealed by hand.
    by_hand: u64,
    /// In milliseconds.
    now: u64,
    next_sa: u32,
}

impl Run {
    fn new(shape: u8) -> Self {
        let offloads = Offloads { tcp: shape & 1 != 0, udp: shape & 2 != 0 };
        let (mut left, mut right) = (Node::new(1, offloads), Node::new(2, offloads));
        if shape & 16 != 0 {
            let (tables, mtus) = (left.tables.reader(), Arc::clone(&left.mtus));
            left.outgoing = Outgoing::new(tables, mtus, &Settings::default()).among_others();
        }
        let wish = Wish {
            limits: if shape & 4 != 0 { FEW } else { Limits::NONE },
            tfc: if shape & 8 != 0 { TfcPadding::To(600) } else { TfcPadding::None },
            ..Wish::default()
        };
        let spare = install(&mut left, &mut right, 1, &Wish::default());
        left.tables.remove_outbound(spare.outbound);
        let installed = vec![install(&mut left, &mut right, 2, &wish)];
        Self { left, right, spare, installed, wire: Vec::new(), sealed: 0, by_hand: 0, now: 0, next_sa: 3 }
    }

    fn step(&mut self, step: u8, steps: &mut Steps<'_>) {
        match step % 12 {
            0 | 1 => self.device(steps),
            2 => self.network(steps),
            3 => self.carry(steps.byte().unwrap_or(1), None),
            4 => {
                let damage = Some((steps.word(), steps.byte().unwrap_or(1)));
                self.carry(1, damage);
            }
            5 => self.again(),
            6 => self.wire.reverse(),
            7 => self.authentic(steps),
            8 => self.time_passes(steps.word()),
            9 => self.path_mtu(steps.word()),
            10 => self.right.seen.device_is_full = steps.byte().unwrap_or(0) & 1 != 0,
            _ => self.tables_change(steps.byte().unwrap_or(0)),
        }
    }

    /// A packet of the device, with what a kernel might say of it.
    fn device(&mut self, steps: &mut Steps<'_>) {
        let header = steps.array::<10>();
        let virtio = VirtioHeader::parse(&header).map_or_else(|_| VirtioHeader::default(), |(it, _)| it);
        let packet = steps.long_bytes();
        self.left.take_super(at(self.now), &virtio, packet);
        self.collect();
    }

    /// Bytes that nobody has sealed, perhaps behind an index of ours.
    fn network(&mut self, steps: &mut Steps<'_>) {
        let channels = [Channel::Ike, Channel::Shared, Channel::Esp];
        let kind = steps.byte().unwrap_or(0);
        let channel = channels[usize::from(kind >> 1) % channels.len()];
        let mut bytes = steps.long_bytes().to_vec();
        let newest = self.installed.last().unwrap_or(&self.spare);
        if let Some(spi) = bytes.first_chunk_mut().filter(|_| kind & 1 != 0) {
            *spi = newest.right_spi.to_be_bytes();
        }
        let arrival = Arrival { local: outer(2), remote: outer(1), traffic_class: kind, channel };
        let before = self.opened();
        self.arrives(&[(bytes.clone(), arrival)]);
        assert_eq!(self.opened(), before, "nobody has sealed it");
        // What is none of ours to open is handed on as it came, if at all.
        let handed = std::mem::take(&mut self.right.seen.ike);
        assert!(handed.iter().all(|(path, whole)| path.remote == outer(1) && *whole == bytes));
        assert!(handed.is_empty() || channel != Channel::Esp, "ESP is nobody else's");
    }

    /// So many datagrams reach the other end in one batch, the last of them damaged.
    fn carry(&mut self, how_many: u8, damage: Option<(u16, u8)>) {
        let count =
            usize::from(how_many).min(self.wire.len()).min(BATCH.with_borrow(ReceiveBatch::slot_count));
        let sent: Vec<_> = self.wire.drain(..count).collect();
        let mut datagrams: Vec<_> =
            sent.into_iter().map(|(bytes, departure)| (bytes, arrival(&departure))).collect();
        if let (Some((place, change)), Some((bytes, _))) = (damage, datagrams.last_mut()) {
            let place = usize::from(place) % bytes.len();
            bytes[place] ^= change;
        }
        self.arrives(&datagrams);
    }

    /// The next datagram is on its way twice.
    fn again(&mut self) {
        let first = self.wire.first().cloned();
        self.wire.extend(first);
    }

    /// Any plaintext, sealed by a peer that has the keys and keeps no rule.
    fn authentic(&mut self, steps: &mut Steps<'_>) {
        let params = world::params(1, self.spare.right_spi, &Wish::default());
        let key = SealingKey::new(Backend::Ring, params.suite, &params.keys).expect("fitting keys");
        self.by_hand += 1;
        let number = self.by_hand.to_be_bytes();
        let (high, low) = number.split_at(4);
        let spi = params.spi.to_be_bytes();
        let plaintext = steps.long_bytes();
        let mut packet = [&spi, low, &number, plaintext, &vec![0; params.suite.icv_len()]].concat();
        let (body, icv) = packet[16..].split_at_mut(plaintext.len());
        key.seal(&number, &[&spi, high, low].concat(), body, &[], icv).expect("fitting lengths");
        self.sealed += 1;
        let class = steps.byte().unwrap_or(0);
        let arrival =
            Arrival { local: outer(2), remote: outer(1), traffic_class: class, channel: Channel::Shared };
        self.arrives(&[(packet, arrival)]);
    }

    fn time_passes(&mut self, millis: u16) {
        self.now += u64::from(millis);
        self.left.tend(at(self.now));
        self.right.tend(at(self.now));
        self.collect();
    }

    /// A router says what the path carries.
    fn path_mtu(&mut self, mtu: u16) {
        self.left.mtus.learned(outer(2).ip(), usize::from(mtu), at(self.now));
    }

    fn tables_change(&mut self, how: u8) {
        match how % 4 {
            0 => {
                if let Some(gone) = self.installed.pop() {
                    self.left.tables.remove_outbound(gone.outbound);
                    self.left.tables.publish();
                }
            }
            1 => {
                let next = install(&mut self.left, &mut self.right, self.next_sa, &Wish::default());
                self.installed.push(next);
                self.next_sa += 1;
            }
            2 => self.left.rule(Some(Action::Drop)),
            _ => self.left.rule(Some(Action::Protect(PEER))),
        }
    }

    /// What the left end has sent goes onto the wire.
    fn collect(&mut self) {
        for (bytes, departure) in self.left.seen.sent.drain(..) {
            let spi = bytes.first_chunk().map_or(0, |spi| u32::from_be_bytes(*spi));
            assert!((0x6000_0001..0x6000_0000 + self.next_sa).contains(&spi), "not ESP of ours: {spi:x}");
            self.sealed += 1;
            if self.wire.len() < 1024 {
                self.wire.push((bytes, departure));
            }
        }
        for answer in self.left.seen.answers.drain(..) {
            assert!(Inner::parse(&answer).is_ok(), "an answer is a packet");
        }
    }

    fn arrives(&mut self, datagrams: &[(Vec<u8>, Arrival)]) {
        BATCH.with_borrow_mut(|batch| {
            batch.clear();
            for (bytes, arrival) in datagrams {
                assert!(batch.push(bytes, *arrival));
            }
            self.right.incoming.take(at(self.now), batch, &mut self.right.seen);
        });
        for (virtio, packet) in self.right.seen.delivered.drain(..) {
            belongs(&virtio, &packet);
        }
    }

    fn opened(&self) -> u64 {
        self.right.incoming.counters().snapshot().esp.opened_packets
    }

    /// No more came in than went out, and whatever still waits for an SA has either got one or is given up.
    fn check(&mut self) {
        let patience = u64::try_from(HoldLimits::default().time.as_millis()).expect("seconds");
        self.now += patience;
        self.left.tend(at(self.now));
        self.collect();
        assert_eq!(self.left.outgoing.next_deadline(at(self.now)), None, "something waits for ever");
        assert!(self.opened() <= self.sealed, "{} of {}", self.opened(), self.sealed);
    }
}

/// What comes out is a packet from behind the one end to what is behind the other.
fn belongs(virtio: &VirtioHeader, packet: &[u8]) {
    let inner = match Inner::parse(packet) {
        Ok(inner) => inner,
        // A super-packet may say of itself that it is too long.
        Err(_) if virtio.segmentation.is_some() => return,
        Err(reason) => panic!("no packet: {reason:?}"),
    };
    let behind = |ip: IpAddr, number: u8| match ip {
        IpAddr::V4(ip) => ip.octets().starts_with(&[10, number]),
        IpAddr::V6(ip) => ip.segments()[..4] == [0xfd00, number.into(), 0, 0],
    };
    assert!(behind(inner.flow.source, 1) && behind(inner.flow.destination, 2), "{:?}", inner.flow);
}

//! Order, where several threads carry packets: of each flow, and of the numbers of each SA.

use crate::namespace::Namespace;
use crate::world::*;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tidegate::driver::mailbox::{Inbox, Sizes, mailboxes};
use tidegate::driver::packets::{PacketSettings, PacketThreads, Pinning, Threads};
use tidegate::io::batch::SendBatch;
use tidegate::io::offload_tun::{OffloadTun, Queues};
use tidegate::io::udp::{Listen, Sockets};
use tidegate::notice::Notice;
use tidegate::worker::{Control, Outgoing, Outward, Settings};
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::wire::Header;
use tidegate_ike::Path;

const FLOWS: u16 = 12;
const PACKETS: u32 = 400;
/// Comes before the packets that count.
const WARNING: [u8; 200] = [0xff; 200];

/// What several workers send, as the network would see it.
#[derive(Clone, Default)]
struct Network(Arc<Mutex<Vec<Header>>>);

impl Control for Network {
    fn ike(&mut self, _: Path, _: &[u8]) {}

    fn notice(&mut self, _: Notice) {}
}

impl Outward for Network {
    fn send(&mut self, batch: &SendBatch) {
        // Whoever has taken numbers is slow to use them: that is when another one might go before.
        thread::sleep(Duration::from_micros(20));
        let headers = batch.frames().iter().map(|frame| Header::parse(batch.bytes(frame)).unwrap());
        self.0.lock().unwrap().extend(headers);
    }

    fn answer(&mut self, _: &[u8]) {}
}

#[test]
fn the_numbers_of_an_sa_leave_in_order_whoever_sends_by_it() {
    let (node, _right, _) = connected();
    let network = Network::default();
    thread::scope(|scope| {
        for number in 1..=4 {
            let worker = Outgoing::new(node.tables.reader(), Arc::clone(&node.mtus), &Settings::default());
            let (mut worker, mut network) = (worker.among_others(), network.clone());
            scope.spawn(move || {
                for turn in 0..200 {
                    for _ in 0..=turn % 3 {
                        worker.take(
                            at(1),
                            &VirtioHeader::default(),
                            &mut udp(number, 100).bytes(),
                            &mut network,
                        );
                    }
                    worker.flush(&mut network);
                }
            });
        }
    });
    let sent = network.0.lock().unwrap();
    assert_eq!(sent.len(), 4 * (200 + 199));
    let numbers: Vec<u32> = sent.iter().map(|header| header.sequence_low).collect();
    assert!(numbers.is_sorted(), "a number has overtaken another");
}

#[test]
fn a_worker_that_is_reset_or_gone_leaves_no_turn_behind() {
    let (node, _right, _) = connected();
    let worker = || {
        let worker = Outgoing::new(node.tables.reader(), Arc::clone(&node.mtus), &Settings::default());
        worker.among_others()
    };
    let mut network = Network::default();
    let mut take = |worker: &mut Outgoing| {
        worker.take(at(1), &VirtioHeader::default(), &mut udp(1, 100).bytes(), &mut network);
    };
    let (mut one, mut other, mut third) = (worker(), worker(), worker());
    take(&mut one);
    one.reset();
    take(&mut other);
    drop(other);
    take(&mut third);
    third.flush(&mut network);
    assert_eq!(network.0.lock().unwrap().len(), 1);
}

/// A node in a namespace, with as many threads as are wanted.
struct Live {
    namespace: Namespace,
    _threads: PacketThreads,
    _inbox: Inbox,
}

impl Live {
    fn start(namespace: Namespace, node: &Node, number: u8, threads: Threads) -> Self {
        let mut listen = Listen { addresses: vec![outer(number).ip()], ike_port: 500, ..Listen::default() };
        listen.lanes = NonZero::new(threads.counts().1).unwrap();
        let (tun, sockets) = namespace.run(|| {
            let tun = OffloadTun::create_with("tide0", 1400, Queues::Several).unwrap();
            (tun, Sockets::bind(&listen).unwrap())
        });
        namespace.ip(&format!("address add 10.{number}.0.1/16 dev tide0"));
        namespace.ip(&format!("route add 10.{}.0.0/16 dev tide0", 3 - number));
        let (mailboxes, inbox) = mailboxes(Sizes::default());
        let settings = PacketSettings {
            device: Arc::new(tun),
            wire: Arc::new(sockets),
            view: node.tables.reader(),
            mailboxes,
            mtus: Arc::clone(&node.mtus),
            worker: Settings::default(),
            threads,
            pinning: Pinning::InOrder,
        };
        // Queues are added to the device of this namespace.
        let threads = namespace.run(|| PacketThreads::start(&settings)).unwrap();
        Self { namespace, _threads: threads, _inbox: inbox }
    }
}

/// Two nodes with a link between them.
fn nodes(threads: Threads) -> Option<[Live; 2]> {
    let (one, other) = (Namespace::new()?, Namespace::new()?);
    one.ip(&format!("link add link0 type veth peer name link0 netns {}", other.path()));
    for (namespace, number) in [(&one, 1), (&other, 2)] {
        namespace.ip(&format!("address add {}/24 dev link0", outer(number).ip()));
        namespace.ip("link set link0 up");
    }
    let offloads = Offloads { tcp: true, udp: true };
    let (mut left, mut right) = (Node::new(1, offloads), Node::new(2, offloads));
    install(&mut left, &mut right, 1, &Wish::default());
    Some([Live::start(one, &left, 1, threads), Live::start(other, &right, 2, threads)])
}

/// Waits until something goes through: neighbours have to be found first.
fn wait(from: &Live, receiver: &UdpSocket, address: SocketAddr) {
    let asking = from.namespace.run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    receiver.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    for _ in 0..250 {
        asking.send_to(&WARNING, address).unwrap();
        if receiver.recv(&mut [0; 200]).is_ok() {
            return receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        }
    }
    panic!("nothing goes through to {address}");
}

/// Sends numbered datagrams in many flows at once; says what came of each, by its source port.
fn exchange(from: &Live, to: &Live, address: SocketAddr) -> BTreeMap<u16, Vec<u32>> {
    let receiver = to.namespace.run(|| UdpSocket::bind(address).unwrap());
    wait(from, &receiver, address);
    let senders: Vec<_> =
        from.namespace.run(|| (0..FLOWS).map(|_| UdpSocket::bind("0.0.0.0:0").unwrap()).collect());
    let mut came = BTreeMap::<u16, Vec<u32>>::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..PACKETS {
                for sender in &senders {
                    let mut payload = [0; 200];
                    payload[..4].copy_from_slice(&number.to_be_bytes());
                    sender.send_to(&payload, address).unwrap();
                }
                // So that little has to be dropped, however busy the machine is.
                thread::sleep(Duration::from_micros(100));
            }
        });
        for _ in 0..u32::from(FLOWS) * PACKETS {
            let mut payload = [0; 200];
            let Ok((_, source)) = receiver.recv_from(&mut payload) else { break };
            if payload == WARNING {
                continue;
            }
            let number = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
            came.entry(source.port()).or_default().push(number);
        }
    });
    came
}

#[test]
fn every_flow_keeps_its_order_however_many_threads_there_are() {
    for count in [1, 2, 3, 4, 6] {
        let Some([one, other]) = nodes(Threads::of(NonZero::new(count).unwrap())) else { return };
        for (from, to, address) in [(&one, &other, "10.2.0.1:7000"), (&other, &one, "10.1.0.1:7000")] {
            let came = exchange(from, to, address.parse().unwrap());
            assert_eq!(came.len(), usize::from(FLOWS), "{count} threads");
            for (port, numbers) in came {
                assert!(numbers.is_sorted(), "{count} threads, port {port}: {numbers:?}");
                assert!(numbers.len() as u32 > PACKETS / 4, "{count} threads, port {port}: {numbers:?}");
            }
        }
    }
}

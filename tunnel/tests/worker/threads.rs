//! Packet threads over descriptors that are real and a network that is not.

use crate::world::*;
use std::io::{self, IoSlice, Write};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidegate::driver::mailbox::{Inbox, Mail, Report, Sizes, mailboxes};
use tidegate::driver::packets::{PacketSettings, PacketThreads, Pinning, Threads, Trouble};
use tidegate::io::batch::{Arrival, Channel, ReceiveBatch, SendBatch};
use tidegate::io::{Device, Wire};
use tidegate::notice::Notice;
use tidegate::worker::Settings;
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::VirtioHeader;

/// Makes the thread that reads it panic.
const POISON: [u8; 1] = [0xee];

/// One end of a pair of sockets, of which the test has the other.
struct Pipe {
    socket: UnixDatagram,
    reads: AtomicU64,
    /// Readable for ever, and never read.
    broken: AtomicBool,
}

impl Device for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let length = self.socket.recv(buffer)?;
        assert!(buffer[..length] != POISON, "poison");
        Ok((VirtioHeader::default(), length))
    }

    fn write(&self, _: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut packet = Vec::new();
        let _ = packet.write_vectored(parts)?;
        self.socket.send(&packet).map(drop)
    }

    fn offloads(&self) -> Offloads {
        Offloads { tcp: false, udp: false }
    }

    fn mtu(&self) -> usize {
        1400
    }

    fn interface(&self) -> Option<&str> {
        None
    }
}

/// One end of the network between both nodes.
struct Cable {
    socket: UnixDatagram,
    here: u8,
}

impl Wire for Cable {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.socket.as_fd()]
    }

    fn receive(&self, _: usize, batch: &mut ReceiveBatch) -> io::Result<usize> {
        let mut buffer = [0; 2000];
        let length = self.socket.recv(&mut buffer)?;
        let (local, remote) = (outer(self.here), outer(3 - self.here));
        let arrival = Arrival { local, remote, traffic_class: 0, channel: Channel::Shared };
        assert!(batch.push(&buffer[..length], arrival));
        Ok(1)
    }

    fn send(&self, batch: &SendBatch) -> io::Result<usize> {
        for frame in batch.frames() {
            self.socket.send(batch.bytes(frame))?;
        }
        Ok(batch.frames().len())
    }

    fn path_mtu_errors(&self, _: usize, _: &mut dyn FnMut(IpAddr, usize)) {}
}

/// A socket whose peer is not there, which the network says.
struct Dangling {
    socket: UdpSocket,
    asked: AtomicU64,
}

impl Wire for Dangling {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.socket.as_fd()]
    }

    fn receive(&self, _: usize, _: &mut ReceiveBatch) -> io::Result<usize> {
        self.socket.recv(&mut [0; 10])
    }

    fn send(&self, batch: &SendBatch) -> io::Result<usize> {
        batch.frames().iter().try_for_each(|frame| self.socket.send(batch.bytes(frame)).map(drop))?;
        Ok(batch.frames().len())
    }

    fn path_mtu_errors(&self, _: usize, found: &mut dyn FnMut(IpAddr, usize)) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        found(outer(2).ip(), 1300);
    }
}

/// A node whose threads run.
struct Live {
    node: Node,
    threads: PacketThreads,
    inbox: Inbox,
    device: Arc<Pipe>,
    /// What is behind it.
    host: UnixDatagram,
}

impl Live {
    fn start(number: u8, cable: UnixDatagram, threads: Threads) -> Self {
        cable.set_nonblocking(true).unwrap();
        Self::with_wire(number, Arc::new(Cable { socket: cable, here: number }), threads)
    }

    fn with_wire(number: u8, wire: Arc<dyn Wire>, threads: Threads) -> Self {
        let node = Node::new(number, Offloads { tcp: false, udp: false });
        let (host, socket) = UnixDatagram::pair().unwrap();
        host.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.set_nonblocking(true).unwrap();
        let device = Arc::new(Pipe { socket, reads: AtomicU64::new(0), broken: AtomicBool::new(false) });
        let (mailboxes, inbox) = mailboxes(Sizes::default());
        let threads = PacketThreads::start(&PacketSettings {
            device: Arc::clone(&device) as Arc<dyn Device>,
            wire,
            view: node.tables.reader(),
            mailboxes,
            mtus: Arc::clone(&node.mtus),
            worker: Settings::default(),
            threads,
            pinning: Pinning::None,
        });
        Self { node, threads: threads.unwrap(), inbox, device, host }
    }

    fn next_report(&mut self) -> Report {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            match self.inbox.try_next() {
                Some(Mail::Report(report)) => return report,
                Some(Mail::Ike(datagram)) => panic!("{datagram:?}"),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        panic!("no report");
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2000];
        let length = self.host.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }
}

fn start(threads: Threads) -> (Live, Live) {
    let (one, other) = UnixDatagram::pair().unwrap();
    (Live::start(1, one, threads), Live::start(2, other, threads))
}

#[test]
fn packets_cross_with_one_thread_or_two() {
    for threads in [Threads::One, Threads::PerDirection] {
        let (mut left, mut right) = start(threads);
        install(&mut left.node, &mut right.node, 1, &Wish::default());
        for port in 1..=20 {
            left.host.send(&udp(port, 200).bytes()).unwrap();
            assert_eq!(right.receive(), udp(port, 200).bytes());
            right.host.send(&reversed(udp(port, 100)).bytes()).unwrap();
            assert_eq!(left.receive(), reversed(udp(port, 100)).bytes());
        }
        let counted = [left.threads.counters(), right.threads.counters()];
        assert!(counted.iter().all(|counters| counters.esp.sealed_packets == 20), "{counted:?}");
        assert!(counted.iter().all(|counters| counters.esp.opened_packets == 20), "{counted:?}");
    }
}

#[test]
fn held_packets_go_on_their_way_when_control_wakes_the_thread() {
    let (mut left, mut right) = start(Threads::PerDirection);
    left.host.send(&udp(1, 200).bytes()).unwrap();
    let report = left.next_report();
    assert!(matches!(report, Report::Notice(Notice::Acquire { owner: PEER, .. })), "{report:?}");
    install(&mut left.node, &mut right.node, 1, &Wish::default());
    left.threads.wake();
    assert_eq!(right.receive(), udp(1, 200).bytes());
}

#[test]
fn a_thread_outlives_a_panic_and_says_so() {
    for threads in [Threads::One, Threads::PerDirection] {
        let (mut left, mut right) = start(threads);
        install(&mut left.node, &mut right.node, 1, &Wish::default());
        left.host.send(&POISON).unwrap();
        let report = left.next_report();
        let Report::Trouble(Trouble::Panicked { message, .. }) = report else { panic!("{report:?}") };
        assert_eq!(message, "poison");
        left.host.send(&udp(1, 200).bytes()).unwrap();
        assert_eq!(right.receive(), udp(1, 200).bytes());
        assert_eq!(left.threads.restarts(), 1);
    }
}

#[test]
fn a_device_that_fails_is_told_of_once_left_alone_for_a_while_and_tried_again() {
    let (mut left, mut right) = start(Threads::One);
    install(&mut left.node, &mut right.node, 1, &Wish::default());
    left.device.broken.store(true, Ordering::Relaxed);
    left.host.send(&udp(1, 200).bytes()).unwrap();
    assert_eq!(left.next_report(), Report::Trouble(Trouble::Device(io::ErrorKind::BrokenPipe)));
    std::thread::sleep(Duration::from_millis(350));
    assert!(left.device.reads.load(Ordering::Relaxed) <= 5);
    assert!(left.inbox.try_next().is_none());
    left.device.broken.store(false, Ordering::Relaxed);
    assert_eq!(right.receive(), udp(1, 200).bytes());
}

#[test]
fn what_the_network_tells_a_socket_is_learned_and_stops_nobody() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    socket.connect(closed).unwrap();
    socket.set_nonblocking(true).unwrap();
    let wire = Arc::new(Dangling { socket, asked: AtomicU64::new(0) });
    let mut left = Live::with_wire(1, Arc::clone(&wire) as Arc<dyn Wire>, Threads::PerDirection);
    let mut right = Node::new(2, Offloads { tcp: false, udp: false });
    install(&mut left.node, &mut right, 1, &Wish::default());
    left.host.send(&udp(1, 200).bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while wire.asked.load(Ordering::Relaxed) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(wire.asked.load(Ordering::Relaxed), 1, "asked once, as there was one thing to tell");
    assert_eq!(left.next_report(), Report::Notice(Notice::PathMtu(outer(2).ip())));
    assert!(left.inbox.try_next().is_none(), "no trouble");
    left.host.send(&udp(1, 1300).bytes()).unwrap();
    assert_eq!(left.receive()[20..22], [3, 4], "fragmentation needed");
}

#[test]
fn idle_threads_sleep() {
    let (left, _right) = start(Threads::PerDirection);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(left.device.reads.load(Ordering::Relaxed), 0);
}

#[test]
fn threads_end_when_they_are_dropped() {
    let (left, right) = start(Threads::PerDirection);
    let device = Arc::downgrade(&left.device);
    drop((left, right));
    assert!(device.upgrade().is_none());
}

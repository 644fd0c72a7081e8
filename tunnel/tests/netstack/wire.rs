//! The wire: a thread that carries packets from each device to the other, and may lose and reorder some.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate::io::Device;
use tidegate::io::netstack::{Netstack, NetstackDevice, NetstackSettings};

/// Two stacks, wired.
pub(crate) struct Pair {
    pub(crate) left: Netstack,
    pub(crate) right: Netstack,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What becomes of packets under way, of a hundred each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) late: u64,
}

pub(crate) const LEFT: &str = "10.1.0.1";
pub(crate) const RIGHT: &str = "10.2.0.1";
pub(crate) const LEFT_V6: &str = "fd00:1::1";
pub(crate) const RIGHT_V6: &str = "fd00:2::1";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn at(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(text), port)
}

pub(crate) fn settings(v4: &str, v6: &str) -> NetstackSettings {
    NetstackSettings::new(vec![(ip(v4), 24), (ip(v6), 64)])
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(Faults::default(), |_| ())
    }

    pub(crate) fn with(faults: Faults, change: impl Fn(&mut NetstackSettings)) -> Self {
        let make = |v4, v6| {
            let mut settings = settings(v4, v6);
            change(&mut settings);
            Netstack::new(settings).expect("a stack")
        };
        let ((left, left_device), (right, right_device)) = (make(LEFT, LEFT_V6), make(RIGHT, RIGHT_V6));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || carry(&left_device, &right_device, faults, &stopped));
        Self { left, right, stop, thread: Some(thread) }
    }

    /// Waits until both have just so many sockets.
    pub(crate) async fn settles_at(&self, left: usize, right: usize) -> bool {
        for _ in 0..1500 {
            if self.left.sockets() == left && self.right.sockets() == right {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Ends the wire: nothing gets through any more.
    pub(crate) fn cut(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the wire broke");
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.cut();
    }
}

fn carry(left: &NetstackDevice, right: &NetstackDevice, faults: Faults, stop: &AtomicBool) {
    let mut ways = [Way::new(faults, 1), Way::new(faults, 2)];
    while !stop.load(Ordering::Relaxed) {
        let (left_fd, right_fd) = (left.as_fd(), right.as_fd());
        let mut fds = [PollFd::new(&left_fd, PollFlags::IN), PollFd::new(&right_fd, PollFlags::IN)];
        let wait = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        poll(&mut fds, Some(&wait)).expect("descriptors that can be polled");
        ways[0].carry(left, right);
        ways[1].carry(right, left);
    }
}

/// One direction.
struct Way {
    faults: Faults,
    random: u64,
    late: VecDeque<Vec<u8>>,
}

impl Way {
    fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, random: seed, late: VecDeque::new() }
    }

    fn carry(&mut self, from: &NetstackDevice, to: &NetstackDevice) {
        let mut buffer = vec![0; from.mtu()];
        while let Ok((virtio, length)) = from.read(&mut buffer) {
            let packet = &buffer[..length];
            if self.chance() < self.faults.lost {
                continue;
            }
            if self.chance() < self.faults.late {
                self.late.push_back(packet.to_vec());
                continue;
            }
            // In parts, as a worker gives them.
            let (header, payload) = packet.split_at(20);
            let parts = [IoSlice::new(header), IoSlice::new(payload)];
            to.write(&virtio, &parts).expect("a device that takes packets");
            if self.late.len() > 3 {
                self.give_late(to);
            }
        }
        self.give_late(to);
    }

    fn give_late(&mut self, to: &NetstackDevice) {
        while let Some(packet) = self.late.pop_back() {
            to.write(&Default::default(), &[IoSlice::new(&packet)]).expect("a device that takes packets");
        }
    }

    /// 0 to 99, from xorshift64*.
    fn chance(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % 100
    }
}

//! Datagrams of anybody's, or of a peer's once more, at a steady rate.

use crate::support::namespace::Namespace;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, sockopt};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) const IKE: u16 = 500;
pub(crate) const NAT: u16 = 4500;
/// Stands before IKE on the port of both.
pub(crate) const MARKER: [u8; 4] = [0; 4];
const IPV4: usize = 20;
const UDP: usize = 8;
/// Addresses that nobody has, and that all routes lead to the router for.
const CROWD: [u8; 2] = [10, 66];

/// What a flood is made of.
#[derive(Clone)]
pub(crate) struct Draft {
    /// Of whom it says it is; a new one each time, if none.
    pub(crate) from: Option<Ipv4Addr>,
    pub(crate) port: u16,
    pub(crate) payload: Vec<u8>,
    /// What of the payload is random.
    pub(crate) random: Vec<Range<usize>>,
}

/// What came over UDP, with its port.
pub(crate) type Heard = Vec<(u16, Vec<u8>)>;

/// Listens to what comes to a node from this address, while something is done.
pub(crate) fn overhear<T>(node: &Namespace, from: Ipv4Addr, act: impl FnOnce() -> T) -> (T, Heard) {
    let socket = node.within(|| raw_socket(ipproto::UDP));
    let timeout = Some(Duration::from_millis(20));
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, timeout).expect("a timeout");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let listening = scope.spawn(|| listen(&socket, from, &over));
        let done = act();
        over.store(true, Ordering::Relaxed);
        (done, listening.join().expect("the listener"))
    })
}

fn listen(socket: &OwnedFd, from: Ipv4Addr, over: &AtomicBool) -> Heard {
    let mut heard = Heard::new();
    let mut buffer = vec![0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        let Ok((length, _)) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty()) else {
            continue;
        };
        let packet = &buffer[..length];
        if packet.len() > IPV4 + UDP && packet[12..16] == from.octets() {
            let port = u16::from_be_bytes([packet[IPV4 + 2], packet[IPV4 + 3]]);
            heard.push((port, packet[IPV4 + UDP..].to_vec()));
        }
    }
    heard
}

/// Datagrams on their way until this is dropped.
pub(crate) struct Flood {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Begins: all drafts in turn, so many packets a second, out of a namespace to an address.
    pub(crate) fn start(from: &Namespace, to: Ipv4Addr, drafts: Vec<Draft>, rate: u32) -> Self {
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, hear) = (Arc::clone(&sent), Arc::clone(&stop));
        let thread = from.spawn(move || send(to, &drafts, rate, &count, &hear));
        Self { sent, stop, thread: Some(thread) }
    }

    /// How many were sent by now.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn send(to: Ipv4Addr, drafts: &[Draft], rate: u32, sent: &AtomicU64, stop: &AtomicBool) {
    // Takes headers as they are.
    let socket = raw_socket(ipproto::RAW);
    let start = Instant::now();
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for (number, draft) in (0_u32..).zip(drafts.iter().cycle()) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let due = start + Duration::from_secs(1) / rate * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // What finds no room is lost, as it is on its way.
        let _ = rustix::net::sendto(
            &socket,
            &packet(to, draft, &mut random),
            SendFlags::empty(),
            &SocketAddrV4::new(to, 0),
        );
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// The kernel fills in what is left of the header of IPv4; UDP may go without a sum.
fn packet(to: Ipv4Addr, draft: &Draft, random: &mut u64) -> Vec<u8> {
    let [a, b, c, d, ..] = next(random).to_ne_bytes();
    let (from, port) = match draft.from {
        Some(from) => (from, draft.port.to_be_bytes()),
        None => (Ipv4Addr::new(CROWD[0], CROWD[1], a, b), [c | 0x80, d]),
    };
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    let length = ((UDP + draft.payload.len()) as u16).to_be_bytes();
    packet.extend([port, draft.port.to_be_bytes(), length, [0; 2]].concat());
    packet.extend(&draft.payload);
    for range in &draft.random {
        let range = range.start + IPV4 + UDP..range.end + IPV4 + UDP;
        packet[range].iter_mut().for_each(|byte| *byte = next(random) as u8);
    }
    packet
}

/// Marsaglia's xorshift: nobody has to be unable to foretell it.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn raw_socket(protocol: rustix::net::Protocol) -> OwnedFd {
    rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(protocol)).expect("a raw socket")
}

//! Numbered datagrams at a steady pace, to see which get lost.

use crate::support::namespace::Namespace;
use crate::support::tidegate::Losses;
use crate::support::{MARKER, wait};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PORT: u16 = 7001;

/// Datagrams on their way from one namespace to another until [`Self::finish`].
pub(crate) struct Flow {
    sent: Arc<AtomicU32>,
    arrived: Arc<Mutex<BTreeSet<u32>>>,
    sending: Arc<AtomicBool>,
    receiving: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of them.
#[derive(Debug)]
pub(crate) struct Tally {
    /// How many were sent.
    pub(crate) sent: u32,
    /// Which did not arrive.
    pub(crate) lost: Vec<u32>,
}

impl Flow {
    /// Starts `rate` datagrams a second.
    pub(crate) fn start(from: &Namespace, to: &Namespace, address: IpAddr, rate: u32) -> Self {
        let receiver =
            to.within(|| UdpSocket::bind((address, PORT))).expect("the receiver's address is there");
        receiver.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&receiver, 4 << 20);
        let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let sender = from.within(|| UdpSocket::bind((any, 0))).expect("a socket");
        let sent = Arc::new(AtomicU32::new(0));
        let arrived = Arc::new(Mutex::new(BTreeSet::new()));
        let (sending, receiving) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let receive = {
            let (arrived, receiving) = (Arc::clone(&arrived), Arc::clone(&receiving));
            move || receive(&receiver, &arrived, &receiving)
        };
        let send = {
            let (sent, sending) = (Arc::clone(&sent), Arc::clone(&sending));
            move || send(&sender, (address, PORT).into(), rate, &sent, &sending)
        };
        let threads = vec![to.spawn(receive), from.spawn(send)];
        Self { sent, arrived, sending, receiving, threads }
    }

    /// How many have arrived.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until another `more` have arrived, and says how long that took.
    #[track_caller]
    pub(crate) fn wait_for(&self, more: usize, limit: Duration) -> Duration {
        let goal = self.arrived() + more;
        wait::until_true("datagrams arrive", limit, || self.arrived() >= goal)
    }

    /// Stops sending, waits for stragglers, and counts.
    pub(crate) fn finish(mut self) -> Tally {
        self.end();
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = self.sent.load(Ordering::Relaxed);
        Tally { sent, lost: (0..sent).filter(|number| !arrived.contains(number)).collect() }
    }

    fn end(&mut self) {
        self.sending.store(false, Ordering::Relaxed);
        let sender = self.threads.pop().map(JoinHandle::join);
        let deadline = Instant::now() + Duration::from_millis(500);
        while Instant::now() < deadline && (self.arrived() as u32) < self.sent.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        self.receiving.store(false, Ordering::Relaxed);
        let receiver = self.threads.pop().map(JoinHandle::join);
        drop((sender, receiver));
    }
}

/// Waits until another `more` of each have arrived, at hardly less than the pace that they are sent at.
#[track_caller]
pub(crate) fn arrive(flows: &[Flow], more: usize) {
    for flow in flows {
        flow.wait_for(more, Duration::from_secs(5));
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.end();
    }
}

impl Tally {
    /// Makes sure that all arrived.
    #[track_caller]
    pub(crate) fn assert_whole(&self, what: &str) {
        assert!(self.lost.is_empty(), "{what}: of {} lost {}: {:?}", self.sent, self.lost.len(), self.lost);
    }
}

/// Makes sure that what arrived of some flows is all that the kernel handed to those who carry them, and that those
/// dropped nothing: a machine whose processors are all busy may hold them up until queues are full, and what is lost
/// by that the kernel counts.
#[track_caller]
pub(crate) fn assert_carried(tallies: &[Tally], losses: &Losses) {
    let lost: usize = tallies.iter().map(|tally| tally.lost.len()).sum();
    assert!(losses.dropped.is_empty(), "{losses:?}: {tallies:?}");
    assert!(lost as u64 <= losses.missed, "{lost} were lost, and {losses:?}: {tallies:?}");
}

fn send(socket: &UdpSocket, to: SocketAddr, rate: u32, sent: &AtomicU32, sending: &AtomicBool) {
    let start = Instant::now();
    while sending.load(Ordering::Relaxed) {
        let number = sent.load(Ordering::Relaxed);
        let due = start + Duration::from_secs(1) * number / rate;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut payload = number.to_be_bytes().to_vec();
        payload.extend(MARKER.bytes());
        // One that has nowhere to go counts as lost.
        let _ = socket.send_to(&payload, to);
        sent.store(number + 1, Ordering::Relaxed);
    }
}

fn receive(socket: &UdpSocket, arrived: &Mutex<BTreeSet<u32>>, receiving: &AtomicBool) {
    let mut buffer = [0; 2048];
    while receiving.load(Ordering::Relaxed) {
        let Ok((_, _)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(number) = buffer.first_chunk() {
            arrived.lock().unwrap_or_else(PoisonError::into_inner).insert(u32::from_be_bytes(*number));
        }
    }
}

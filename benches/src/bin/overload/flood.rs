//! Sends a flood, at an even rate or as fast as it can, until it is told to stop.

use crate::kinds::{Draft, From, PORT_AT};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use rustix::net::{AddressFamily, RecvFlags, SocketType, ipproto, sockopt};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::hash::BuildHasher;
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tidegate_benches::lab::{End, Lab, Namespace};
use tidegate_benches::load::{BURST, Pace, join};

/// Where it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Daemon,
    /// A socket in the same namespace.
    Sink,
}

/// A flood on its way.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<f64>>,
}

/// A socket whose reader throws all away, for as long as it is there.
pub(crate) struct Sink {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// No service of this name does anything else.
const DISCARD: u16 = 9;
const SINK_BUFFER: usize = 4 << 20;

impl Flood {
    /// Begins in the namespace of the crowd.
    pub(crate) fn begin(
        crowd: &Namespace,
        mut drafts: Vec<Draft>,
        target: Target,
        rate: Option<f64>,
    ) -> Result<Self, String> {
        if target == Target::Sink {
            drafts.iter_mut().for_each(|draft| draft.packet[PORT_AT].copy_from_slice(&DISCARD.to_be_bytes()));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let hear = Arc::clone(&stop);
        let thread = crowd.thread(move || {
            keep_to_last_core();
            // A raw socket of protocol 255 takes headers as they are.
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW))?;
            Ok(Sender::new(socket, drafts).send(rate, &hear))
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it and says how many packets a second there were.
    pub(crate) fn end(self) -> Result<f64, String> {
        self.stop.store(true, Ordering::Release);
        join(self.thread)
    }
}

/// It is always the same core that makes the flood, and that hands it on to whoever receives it.
fn keep_to_last_core() {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    if let Some(last) = (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core)) {
        let mut only = CpuSet::new();
        only.set(last);
        // Elsewhere it is a flood as well.
        let _ = sched_setaffinity(None, &only);
    }
}

struct Sender {
    socket: OwnedFd,
    drafts: Vec<Draft>,
    /// Packets of one call, each of a draft.
    packets: Vec<(usize, Vec<u8>)>,
    random: u64,
}

impl Sender {
    fn new(socket: OwnedFd, drafts: Vec<Draft>) -> Self {
        let packets = (0..BURST as usize).map(|_| (usize::MAX, Vec::new())).collect();
        // No flood is like another: who comes again with the same SPIs is let in before others.
        let random = std::hash::RandomState::new().hash_one(std::process::id()) | 1;
        Self { socket, drafts, packets, random }
    }

    /// Says how many a second there were.
    fn send(mut self, rate: Option<f64>, stop: &AtomicBool) -> f64 {
        let to = SockaddrIn::from(SocketAddrV4::new(End::Other.outside(), 0));
        let addresses = vec![Some(to); BURST as usize];
        let mut headers = MultiHeaders::preallocate(BURST as usize, None);
        let mut pace = rate.map(Pace::new);
        let begin = Instant::now();
        let (mut number, mut sent) = (0, 0_u64);
        while !stop.load(Ordering::Acquire) {
            let due = pace.as_mut().map_or(BURST, Pace::due) as usize;
            for place in 0..due {
                self.make(place, number % self.drafts.len());
                number += 1;
            }
            let slices: Vec<_> =
                self.packets[..due].iter().map(|(_, packet)| [IoSlice::new(packet)]).collect();
            // What finds no room is lost, as it is on its way.
            let done = sendmmsg(
                self.socket.as_raw_fd(),
                &mut headers,
                &slices,
                &addresses[..due],
                [],
                MsgFlags::empty(),
            );
            sent += done.map_or(0, Iterator::count) as u64;
        }
        sent as f64 / begin.elapsed().as_secs_f64()
    }

    /// Lays out a packet of a draft; what stays the same is written once.
    fn make(&mut self, place: usize, number: usize) {
        let draft = &self.drafts[number];
        let (of, packet) = &mut self.packets[place];
        if *of != number {
            *of = number;
            draft.packet.clone_into(packet);
        }
        for range in &draft.random {
            for bytes in packet[range.clone()].chunks_mut(8) {
                let fresh = next(&mut self.random).to_ne_bytes();
                bytes.copy_from_slice(&fresh[..bytes.len()]);
            }
        }
        if draft.from == From::Anybody {
            Draft::spoof(packet, next(&mut self.random));
        }
    }
}

/// Marsaglia's xorshift: nobody has to be unable to foretell it.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

impl Sink {
    pub(crate) fn open(lab: &Lab) -> Result<Self, String> {
        let socket = join(lab.thread(End::Other, || {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, DISCARD))?;
            sockopt::set_socket_recv_buffer_size_force(&socket, SINK_BUFFER)?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            Ok(socket)
        })?)?;
        let stop = Arc::new(AtomicBool::new(false));
        let hear = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !hear.load(Ordering::Acquire) {
                // Whatever it is, it is of no interest.
                let _ = rustix::net::recv(&socket, &mut [0; 64][..], RecvFlags::empty());
            }
            Ok(())
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

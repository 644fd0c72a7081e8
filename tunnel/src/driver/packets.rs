//! The threads that move packets.
//!
//! A thread sleeps until its device or a socket has something, a deadline of a held packet has come, or control
//! wakes it. Then it takes a turn:
//!
//! 1. Held packets are seen to.
//! 2. Each socket in error is asked what the network has told it, and each readable one for a batch.
//! 3. A packet of the device is read, or under load many, and what became of them is sent.
//!
//! A descriptor that fails is left alone for a while, so that nothing spins. A panic costs the packets in hand:
//! it is told of, and the thread goes on.

mod thread;
mod turn;
mod watch;

use super::mailbox::Mailboxes;
use crate::io::{Device, Wire};
use crate::tables::View;
use crate::worker::{Incoming, Outgoing, PathMtus, Settings, WorkerCounters, WorkerCountersSnapshot};
use rustix::event::{EventfdFlags, eventfd};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use tidegate_esp::segment::Offloads;

/// How many threads there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Threads {
    /// One does both directions: for a stack in this process, and for small nodes.
    One,
    /// One for each direction.
    #[default]
    PerDirection,
}

/// What packet threads need.
pub struct PacketSettings {
    /// Where inner packets come from and go to.
    pub device: Arc<dyn Device>,
    /// Where outer packets come from and go to.
    pub wire: Arc<dyn Wire>,
    /// The tables, once for each direction.
    pub views: [View; 2],
    /// Whom they tell.
    pub mailboxes: Mailboxes,
    /// What is known of paths.
    pub mtus: Arc<PathMtus>,
    /// How workers work.
    pub worker: Settings,
    /// How many there are.
    pub threads: Threads,
}

/// Running packet threads. They end when this is dropped.
pub struct PacketThreads {
    threads: Vec<Running>,
    counters: [Arc<WorkerCounters>; 2],
    restarts: Arc<AtomicU64>,
    offloads: Offloads,
}

/// Something that an operator should look at. Everything goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A packet made a thread panic; the packets in hand were lost.
    Panicked {
        /// Name of the thread.
        thread: &'static str,
        /// What it said.
        message: String,
    },
    /// The device could not be read.
    Device(io::ErrorKind),
    /// A socket could not be read.
    Socket {
        /// Its number.
        socket: usize,
        /// What the system said.
        error: io::ErrorKind,
    },
    /// A thread could not wait for its descriptors.
    Poll(io::ErrorKind),
}

/// A thread and how it is spoken to.
struct Running {
    bell: Arc<Bell>,
    handle: Option<JoinHandle<()>>,
}

/// Wakes a thread.
struct Bell {
    fd: OwnedFd,
    stop: AtomicBool,
}

impl PacketThreads {
    /// Starts the threads.
    pub fn start(settings: PacketSettings) -> io::Result<Self> {
        let PacketSettings { device, wire, views: [out, into], mailboxes, mtus, worker, threads } = settings;
        let outgoing = Outgoing::new(out, Arc::clone(&mtus), &worker);
        let offloads = device.offloads();
        let incoming = Incoming::new(into, mtus, offloads);
        let counters = [Arc::clone(outgoing.counters()), Arc::clone(incoming.counters())];
        let restarts = Arc::<AtomicU64>::default();
        let outlets = turn::Outlets { device, wire, mailboxes };
        let mut running = Vec::new();
        let mut spawn = |name, outgoing, incoming| {
            let bell = Arc::new(Bell::new()?);
            let seat = thread::Seat {
                name,
                outgoing,
                incoming,
                outlets: outlets.clone(),
                bell: Arc::clone(&bell),
                restarts: Arc::clone(&restarts),
            };
            let handle = std::thread::Builder::new().name(name.into()).spawn(move || seat.run())?;
            running.push(Running { bell, handle: Some(handle) });
            io::Result::Ok(())
        };
        match threads {
            Threads::One => spawn("tidegate-packet", Some(outgoing), Some(incoming))?,
            Threads::PerDirection => {
                spawn("tidegate-out", Some(outgoing), None)?;
                spawn("tidegate-in", None, Some(incoming))?;
            }
        }
        Ok(Self { threads: running, counters, restarts, offloads })
    }

    /// Held packets are tried again: to be called when tables were published.
    pub fn wake(&self) {
        self.threads.iter().for_each(|thread| thread.bell.ring());
    }

    /// What they have counted, both directions together.
    pub fn counters(&self) -> WorkerCountersSnapshot {
        let [outgoing, incoming] = &self.counters;
        outgoing.snapshot().merged(&incoming.snapshot())
    }

    /// What is joined before the device gets it.
    pub fn device_offloads(&self) -> Offloads {
        self.offloads
    }

    /// How often a thread had to start anew.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

impl Drop for PacketThreads {
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.bell.stop.store(true, Ordering::Release);
            thread.bell.ring();
        }
        for handle in self.threads.iter_mut().filter_map(|thread| thread.handle.take()) {
            // Its panics are caught inside; there is nothing more to know of it.
            let _ = handle.join();
        }
    }
}

impl Bell {
    fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd, stop: AtomicBool::new(false) })
    }

    /// Fails only where it has been rung more often than can be counted, and is heard anyway.
    fn ring(&self) {
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }

    fn heard(&self) {
        let _ = rustix::io::read(&self.fd, &mut [0; 8]);
    }

    fn says_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked { thread, message } => {
                write!(f, "thread {thread} panicked and goes on: {message}")
            }
            Self::Device(error) => write!(f, "the device cannot be read: {error}"),
            Self::Socket { socket, error } => write!(f, "socket {socket} cannot be read: {error}"),
            Self::Poll(error) => write!(f, "descriptors cannot be waited for: {error}"),
        }
    }
}

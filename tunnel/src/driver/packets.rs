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

mod crew;
mod thread;
mod turn;
mod watch;

use super::mailbox::Mailboxes;
use crate::io::{Device, Wire};
use crate::tables::View;
use crate::worker::{PathMtus, Settings, WorkerCounters, WorkerCountersSnapshot};
use crew::{Crew, crews};
use rustix::event::{EventfdFlags, eventfd};
use std::fmt;
use std::io;
use std::num::NonZero;
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
    /// Several for each direction: out of the device as far as it has queues, into it by peer.
    Several {
        /// Out of the device.
        out: NonZero<usize>,
        /// Into it.
        into: NonZero<usize>,
    },
}

/// Above this more threads than one a direction help where there is much to do.
const CORES_FOR_SEVERAL: usize = 4;
/// More than these nobody has measured yet, and each takes buffers of its own.
const THREADS_MAX: usize = 8;

impl Threads {
    /// So many in all, as evenly as can be; an odd one opens, which is the harder part.
    pub fn of(count: NonZero<usize>) -> Self {
        let half = |count: usize| NonZero::new(count / 2).unwrap_or(NonZero::<usize>::MIN);
        match count.get() {
            1 => Self::One,
            2 => Self::PerDirection,
            count => Self::Several { out: half(count), into: half(count.saturating_add(1)) },
        }
    }

    /// What suits this machine: one core has nothing of a second thread.
    pub fn for_this_machine() -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        match cores.get() {
            1 => Self::One,
            2..CORES_FOR_SEVERAL => Self::PerDirection,
            _ => Self::of(cores.min(const { NonZero::new(THREADS_MAX).unwrap() })),
        }
    }

    /// How many there are out of the device, and into it.
    pub fn counts(self) -> (usize, usize) {
        match self {
            Self::One | Self::PerDirection => (1, 1),
            Self::Several { out, into } => (out.get(), into.get()),
        }
    }
}

/// Which cores the threads run on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pinning {
    /// Any, as the kernel sees fit.
    #[default]
    None,
    /// The first one on the first core that this process may use, and so on.
    InOrder,
    /// On these, in turn.
    Cores(Vec<usize>),
}

/// What packet threads need.
pub struct PacketSettings {
    /// Where inner packets come from and go to.
    pub device: Arc<dyn Device>,
    /// Where outer packets come from and go to.
    pub wire: Arc<dyn Wire>,
    /// The tables, once for each direction of each thread.
    pub view: View,
    /// Whom they tell.
    pub mailboxes: Mailboxes,
    /// What is known of paths.
    pub mtus: Arc<PathMtus>,
    /// How workers work.
    pub worker: Settings,
    /// How many there are.
    pub threads: Threads,
    /// Which cores they run on.
    pub pinning: Pinning,
}

/// Running packet threads. They end when this is dropped.
pub struct PacketThreads {
    threads: Vec<Running>,
    counters: Vec<Arc<WorkerCounters>>,
    restarts: Arc<AtomicU64>,
    device: Arc<dyn Device>,
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
    /// Starts the threads. Of a device with one queue there is one thread to read it, whatever was asked for.
    pub fn start(settings: &PacketSettings) -> io::Result<Self> {
        let device = Arc::clone(&settings.device);
        let restarts = Arc::<AtomicU64>::default();
        let mut this = Self { threads: Vec::new(), counters: Vec::new(), restarts, device };
        for crew in crews(settings)? {
            this.counters.extend(crew.counters());
            this.spawn(crew, settings)?;
        }
        Ok(this)
    }

    fn spawn(&mut self, crew: Crew, settings: &PacketSettings) -> io::Result<()> {
        let Crew { name, lane, outgoing, incoming, device } = crew;
        let bell = Arc::new(Bell::new()?);
        let wire = Arc::clone(&settings.wire);
        let seat = thread::Seat {
            name,
            lane,
            core: settings.pinning.core(self.threads.len()),
            outgoing,
            incoming,
            outlets: turn::Outlets { device, wire, mailboxes: settings.mailboxes.clone() },
            bell: Arc::clone(&bell),
            restarts: Arc::clone(&self.restarts),
        };
        let number = lane.first;
        let full_name = if number == 0 { name.to_owned() } else { format!("{name}{number}") };
        let handle = std::thread::Builder::new().name(full_name).spawn(move || seat.run())?;
        self.threads.push(Running { bell, handle: Some(handle) });
        Ok(())
    }

    /// Held packets are tried again: to be called when tables were published.
    pub fn wake(&self) {
        self.threads.iter().for_each(|thread| thread.bell.ring());
    }

    /// What they have counted, all together.
    pub fn counters(&self) -> WorkerCountersSnapshot {
        let none = WorkerCountersSnapshot::default();
        self.counters.iter().fold(none, |sum, counters| sum.merged(&counters.snapshot()))
    }

    /// What is joined before the device gets it, by now.
    pub fn device_offloads(&self) -> Offloads {
        self.device.offloads()
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

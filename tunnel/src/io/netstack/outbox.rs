//! Packets that wait for the engine, and the device as the stack sees it.

use super::front::Fronts;
use super::layout::Layout;
use rustix::event::{EventfdFlags, eventfd};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::IpAddress;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Buffers that are kept for packets to come.
const SPARE_BUFFERS: usize = 16;

/// A bounded queue from the stack to the engine. Only the stack puts packets in, and it does so under its lock:
/// room that was seen there stays until it is used.
#[derive(Debug)]
pub(super) struct Outbox {
    packets: Mutex<Packets>,
    /// Readable while there are packets.
    ready: OwnedFd,
    capacity: usize,
}

/// Whether the stack had to stop for want of room, and may go on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    Now,
    No,
}

#[derive(Debug, Default)]
struct Packets {
    waiting: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    /// The stack has more to send than there was room for.
    starved: bool,
    dropped: u64,
}

impl Outbox {
    pub(super) fn new(capacity: usize) -> io::Result<Self> {
        let ready = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { packets: Mutex::default(), ready, capacity: capacity.max(1) })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }

    /// Whether the stack waits for room.
    pub(super) fn is_starved(&self) -> bool {
        self.lock().starved
    }

    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Gives the oldest packet away. The stack is let go on at half the capacity and not at every packet, so
    /// that the sockets take turns with a good many each.
    pub(super) fn pop(&self, buffer: &mut [u8]) -> io::Result<(usize, Resume)> {
        let mut packets = self.lock();
        let packet = packets.waiting.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        if packets.waiting.is_empty() {
            self.quiet()?;
        }
        let length = packet.len();
        let Some(room) = buffer.get_mut(..length) else {
            packets.dropped += 1;
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a buffer shorter than the packet"));
        };
        room.copy_from_slice(&packet);
        packets.keep(packet);
        if packets.starved && packets.waiting.len() <= self.capacity / 2 {
            packets.starved = false;
            return Ok((length, Resume::Now));
        }
        Ok((length, Resume::No))
    }

    fn has_room(&self) -> bool {
        let mut packets = self.lock();
        let room = packets.waiting.len() < self.capacity;
        packets.starved |= !room;
        room
    }

    /// Queues what `fill` writes if it says that it may leave; it is dropped and counted when there is no room.
    fn push<R>(&self, length: usize, fill: impl FnOnce(&mut [u8]) -> (R, bool)) -> R {
        let mut packets = self.lock();
        let mut packet = packets.spare.pop().unwrap_or_default();
        packet.clear();
        packet.resize(length, 0);
        let (result, may_leave) = fill(&mut packet);
        let has_room = packets.waiting.len() < self.capacity;
        if !may_leave || !has_room {
            packets.dropped += u64::from(!has_room);
            packets.keep(packet);
            return result;
        }
        packets.waiting.push_back(packet);
        if packets.waiting.len() == 1 {
            self.wake();
        }
        result
    }

    /// An eventfd takes any small number of additions, so this cannot fail for want of room.
    fn wake(&self) {
        if let Err(error) = rustix::io::write(&self.ready, &1_u64.to_ne_bytes()) {
            tracing::warn!(%error, "the engine was not told of a packet");
        }
    }

    fn quiet(&self) -> io::Result<()> {
        match rustix::io::read(&self.ready, &mut [0; 8]) {
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Packets> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packets {
    fn keep(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS {
            self.spare.push(buffer);
        }
    }
}

/// The device of one turn of the stack: at most one packet comes in, and any number leave.
#[derive(Debug)]
pub(super) struct Wire<'a> {
    pub(super) incoming: Option<&'a [u8]>,
    pub(super) outbox: &'a Outbox,
    pub(super) fronts: &'a mut Fronts,
    /// The addresses of the stack.
    pub(super) own: &'a [IpAddress],
    pub(super) mtu: usize,
}

impl Device for Wire<'_> {
    type RxToken<'b>
        = Incoming<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Outgoing<'b>
    where
        Self: 'b;

    fn receive(&mut self, _now: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let packet = self.incoming.take()?;
        Some((Incoming(packet), Outgoing { outbox: self.outbox, fronts: self.fronts, own: self.own }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        let room = self.outbox.has_room();
        room.then_some(Outgoing { outbox: self.outbox, fronts: self.fronts, own: self.own })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

#[derive(Debug)]
pub(super) struct Incoming<'a>(&'a [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    outbox: &'a Outbox,
    fronts: &'a mut Fronts,
    own: &'a [IpAddress],
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        self.outbox.push(length, |packet| {
            let result = fill(packet);
            let Some(layout) = Layout::of(packet) else { return (result, false) };
            self.fronts.leaving(packet, &layout);
            // What waited while its address was taken away, smoltcp 0.14 sends from one of nobody.
            (result, self.own.contains(&layout.source))
        })
    }
}

//! A device whose packets come and go by calls.

use crate::callback;
use crate::error::Failure;
use crate::queue::{Queue, Room};
use crate::text::tidegate_bytes;
use std::ffi::c_void;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use tidegate_esp::virtio::VirtioHeader;
use tunnel::io::Device;

/// What may wait in either direction: bursts, and not more than a few megabytes.
const ROOM: Room = Room { items: 4096, bytes: 4 << 20 };

/// Takes a packet that has come out of a tunnel: an IP datagram, which is there during the call alone. It runs on
/// a thread of the library, one call after the other, and keeps all other packets waiting. It must not end by a
/// C++ exception or longjmp.
pub type tidegate_packet_function =
    Option<unsafe extern "C" fn(context: *mut c_void, packet: tidegate_bytes)>;

/// The device.
pub(crate) struct Calls {
    outward: Queue<Vec<u8>>,
    inward: Inward,
    mtu: usize,
}

/// Where packets of tunnels go.
pub(crate) enum Inward {
    /// Until somebody asks for them.
    Queue(Queue<Vec<u8>>),
    /// To a function.
    Function(Consumer),
}

/// A function with its context.
pub(crate) struct Consumer {
    context: *mut c_void,
    function: unsafe extern "C" fn(*mut c_void, tidegate_bytes),
    /// One call after the other, and never half a packet.
    turn: Mutex<()>,
}

// SAFETY: whoever gave the function promises that it may be called with its context on any thread.
unsafe impl Send for Consumer {}
// SAFETY: as above; the lock lets but one call in at a time.
unsafe impl Sync for Consumer {}

impl Calls {
    pub(crate) fn new(
        function: tidegate_packet_function,
        context: *mut c_void,
        mtu: usize,
    ) -> Result<Arc<Self>, Failure> {
        let inward = match function {
            Some(function) => Inward::Function(Consumer { context, function, turn: Mutex::new(()) }),
            None => Inward::Queue(Queue::new(ROOM)?),
        };
        Ok(Arc::new(Self { outward: Queue::new(ROOM)?, inward, mtu }))
    }

    /// A packet for a tunnel; false if there is no room.
    pub(crate) fn send(&self, packet: &[u8]) -> bool {
        self.outward.push(packet.to_vec(), packet.len()).is_ok()
    }

    /// Where packets wait that came out of tunnels, unless a function takes them.
    pub(crate) fn received(&self) -> Option<&Queue<Vec<u8>>> {
        match &self.inward {
            Inward::Queue(queue) => Some(queue),
            Inward::Function(_) => None,
        }
    }
}

impl Device for Calls {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.outward.as_fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        let packet = self.outward.pop().ok_or(ErrorKind::WouldBlock)?;
        let room = buffer.get_mut(..packet.len()).ok_or(ErrorKind::InvalidInput)?;
        room.copy_from_slice(&packet);
        Ok((VirtioHeader::default(), packet.len()))
    }

    fn write(&self, _: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let joined;
        let packet = match parts {
            [whole] => &whole[..],
            parts => {
                joined = parts.iter().flat_map(|part| part.iter().copied()).collect::<Vec<u8>>();
                &joined
            }
        };
        match &self.inward {
            Inward::Queue(queue) => {
                queue.push(packet.to_vec(), packet.len()).map_err(|_| ErrorKind::WouldBlock.into())
            }
            Inward::Function(consumer) => {
                consumer.take(packet);
                Ok(())
            }
        }
    }

    fn mtu(&self) -> usize {
        self.mtu
    }
}

impl Consumer {
    fn take(&self, packet: &[u8]) {
        let _turn = self.turn.lock();
        let packet = tidegate_bytes { data: packet.as_ptr(), length: packet.len() };
        // SAFETY: the function was given for this, with its context; the packet is there during the call.
        callback::call(|| unsafe { (self.function)(self.context, packet) });
    }
}

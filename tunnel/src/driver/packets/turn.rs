//! What a packet thread does when there is something to do.

use super::Trouble;
use crate::driver::mailbox::Mailboxes;
use crate::io::batch::{DATAGRAM_MAX, ReceiveBatch, SendBatch};
use crate::io::{Device, Wire};
use crate::notice::Notice;
use crate::worker::{Control, Incoming, Inward, Outgoing, Outward};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use tidegate_esp::virtio::VirtioHeader;
use tidegate_ike::{Path, Time};

/// Packets of the device in a turn: then the sockets have theirs.
const PACKETS: usize = 64;
/// How often a socket may fail in a turn.
const ATTEMPTS: usize = 8;

/// Where packets and news go.
#[derive(Clone)]
pub(super) struct Outlets {
    pub(super) device: Arc<dyn Device>,
    pub(super) wire: Arc<dyn Wire>,
    pub(super) mailboxes: Mailboxes,
}

/// Whether a thread has slept before there was something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    Idle,
    Busy,
}

/// The direction out of a thread, with its buffer.
pub(super) struct Out {
    pub(super) worker: Outgoing,
    buffer: Vec<u8>,
}

/// The direction in of a thread, with its buffer.
pub(super) struct In {
    pub(super) worker: Incoming,
    batch: ReceiveBatch,
}

impl Out {
    pub(super) fn new(worker: Outgoing) -> Self {
        Self { worker, buffer: vec![0; DATAGRAM_MAX] }
    }

    /// Reads some packets of the device and sends what they become. After an idle time one packet is read and
    /// sent on its way at once: as a rule nothing is behind it, and to look would only keep it. Under load the
    /// next turn comes without sleep, and takes many at a time.
    pub(super) fn turn(&mut self, now: Time, load: Load, outlets: &mut Outlets) -> Result<(), Trouble> {
        let packets = match load {
            Load::Idle => 1,
            Load::Busy => PACKETS,
        };
        for _ in 0..packets {
            match outlets.device.read(&mut self.buffer) {
                Ok((virtio, length)) => {
                    let packet = self.buffer.get_mut(..length).unwrap_or_default();
                    self.worker.take(now, &virtio, packet, outlets);
                }
                Err(error) if is_nothing(&error) => break,
                Err(error) => {
                    self.worker.flush(outlets);
                    return Err(Trouble::Device(error.kind()));
                }
            }
        }
        self.worker.flush(outlets);
        Ok(())
    }

    pub(super) fn tend(&mut self, now: Time, outlets: &mut Outlets) {
        self.worker.tend(now, outlets);
        self.worker.flush(outlets);
    }
}

impl In {
    pub(super) fn new(worker: Incoming) -> Self {
        Self { worker, batch: ReceiveBatch::new() }
    }

    /// Receives one batch of a socket and delivers what is in it.
    ///
    /// What the network has told a socket of one peer, it says once when it is read; that is no reason to leave
    /// all others waiting. One that keeps failing is ill itself.
    pub(super) fn turn(&mut self, now: Time, socket: usize, outlets: &mut Outlets) -> Result<(), Trouble> {
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            self.batch.clear();
            match outlets.wire.receive(socket, &mut self.batch) {
                Ok(_) => {
                    self.worker.join(outlets.device.offloads());
                    self.worker.take(now, &mut self.batch, outlets);
                    return Ok(());
                }
                Err(error) if is_nothing(&error) => return Ok(()),
                Err(error) => failure = Some(error.kind()),
            }
        }
        failure.map_or(Ok(()), |error| Err(Trouble::Socket { socket, error }))
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl Control for Outlets {
    fn ike(&mut self, path: Path, bytes: &[u8]) {
        self.mailboxes.ike(path, bytes);
    }

    fn notice(&mut self, notice: Notice) {
        self.mailboxes.notice(notice);
    }
}

impl Outward for Outlets {
    fn send(&mut self, batch: &SendBatch) {
        // What could not be sent is counted by the sockets.
        let _ = self.wire.send(batch);
    }

    fn answer(&mut self, packet: &[u8]) {
        // Whoever misses an answer sends again and gets another.
        let _ = self.device.write(&VirtioHeader::default(), &[IoSlice::new(packet)]);
    }
}

impl Inward for Outlets {
    fn deliver(&mut self, virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.device.write(virtio, parts)
    }
}

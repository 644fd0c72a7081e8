//! What the packet path of an engine without threads has to say, until somebody asks for it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_ike::Path;
use tunnel::io::batch::{Departure, SendBatch};
use tunnel::notice::{IkeDatagram, Notice};
use tunnel::worker::{Control, Inward, Outward};

/// Datagrams, or packets, that wait for the caller. What comes beyond is dropped, as a network would.
const WAITING: usize = 4096;
/// Buffers that are kept for the next ones.
const SPARE: usize = 64;

/// Something for control.
pub(super) enum Mail {
    Ike(IkeDatagram),
    Notice(Notice),
}

/// All queues of one engine.
#[derive(Default)]
pub(super) struct Outlets {
    pub(super) datagrams: VecDeque<(Departure, Vec<u8>)>,
    pub(super) packets: VecDeque<Vec<u8>>,
    pub(super) mail: VecDeque<Mail>,
    /// How many datagrams and packets there was no room for.
    pub(super) lost: u64,
    spare: Vec<Vec<u8>>,
}

impl Outlets {
    pub(super) fn datagram(&mut self, departure: Departure, bytes: &[u8]) {
        if self.datagrams.len() >= WAITING {
            self.lost += 1;
            return;
        }
        let bytes = self.copy([bytes]);
        self.datagrams.push_back((departure, bytes));
    }

    /// A buffer is needed no more.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(buffer);
        }
    }

    fn copy<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        parts.into_iter().for_each(|part| buffer.extend_from_slice(part));
        buffer
    }
}

impl Control for Outlets {
    fn ike(&mut self, path: Path, bytes: &[u8]) {
        let bytes = bytes::Bytes::copy_from_slice(bytes);
        self.mail.push_back(Mail::Ike(IkeDatagram { path, bytes }));
    }

    fn notice(&mut self, notice: Notice) {
        self.mail.push_back(Mail::Notice(notice));
    }
}

impl Outward for Outlets {
    fn send(&mut self, batch: &SendBatch) {
        for frame in batch.frames() {
            self.datagram(frame.departure, batch.bytes(frame));
        }
    }

    fn answer(&mut self, packet: &[u8]) {
        if self.packets.len() >= WAITING {
            self.lost += 1;
            return;
        }
        let packet = self.copy([packet]);
        self.packets.push_back(packet);
    }
}

impl Inward for Outlets {
    fn deliver(&mut self, _: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        // The worker counts what is refused.
        if self.packets.len() >= WAITING {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let packet = self.copy(parts.iter().map(|part| &part[..]));
        self.packets.push_back(packet);
        Ok(())
    }
}

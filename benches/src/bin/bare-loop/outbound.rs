//! From the device to the socket.

use crate::PACKET_MAX;
use crate::packet::{
    BACK, FIN, FLAGS, IDENTIFICATION, IPV4, PSH, SEQUENCE, TCP_CHECKSUM, finish_ipv4, fold, front, headers,
    pseudo_header, put, seal, sum, u16_at, u32_at,
};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use ring::aead::LessSafeKey;
use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use tidegate::io::Device;
use tidegate_esp::virtio::{SegmentKind, VirtioHeader};

/// What the kernel takes in one call.
const SEGMENTS_MAX: usize = 64;
const BYTES_MAX: usize = 65_000;

/// Frames of one size that leave together; only the last may be shorter.
struct Train<'a> {
    socket: &'a UdpSocket,
    key: Option<&'a LessSafeKey>,
    bytes: Vec<u8>,
    /// Length of the first frame.
    size: usize,
    count: usize,
    number: u64,
}

/// Carries packets until the device is gone.
pub(crate) fn carry(device: &impl Device, socket: &UdpSocket, key: Option<&LessSafeKey>) -> io::Result<()> {
    let bytes = Vec::with_capacity(2 * PACKET_MAX);
    let mut train = Train { socket, key, bytes, size: 0, count: 0, number: 0 };
    let mut buffer = vec![0; VirtioHeader::LENGTH + PACKET_MAX];
    loop {
        let length = rustix::io::read(device.as_fd(), &mut buffer)?;
        let Ok((virtio, _)) = VirtioHeader::parse(&buffer[..length]) else { continue };
        let packet = &mut buffer[VirtioHeader::LENGTH..length];
        if packet.len() < IPV4 || packet[0] >> 4 != 4 {
            continue;
        }
        match virtio.segmentation {
            Some(cut) if cut.kind == SegmentKind::TcpV4 => train.cut(packet, usize::from(cut.size)),
            Some(_) => continue,
            None => train.whole(packet, &virtio),
        }
        train.leave();
    }
}

impl Train<'_> {
    /// Takes a packet that needs no more than a checksum.
    fn whole(&mut self, packet: &mut [u8], virtio: &VirtioHeader) {
        if let Some(left) = virtio.checksum {
            let start = usize::from(left.start);
            let checksum = !fold(sum(&packet[start..]));
            put(packet, start + usize::from(left.offset), &checksum.to_be_bytes());
        }
        self.frame(&[packet], |_| {});
    }

    /// Takes each segment of a super-packet.
    fn cut(&mut self, packet: &[u8], size: usize) {
        let (head, payload) = packet.split_at(headers(packet));
        let (identification, sequence) = (u16_at(head, IDENTIFICATION), u32_at(head, SEQUENCE));
        let last = payload.len().saturating_sub(1) / size;
        for (index, part) in payload.chunks(size).enumerate() {
            self.frame(&[head, part], |segment| {
                let identification = identification.wrapping_add(index as u16);
                put(segment, IDENTIFICATION, &identification.to_be_bytes());
                finish_ipv4(segment);
                let sequence = sequence.wrapping_add((index * size) as u32);
                put(segment, SEQUENCE, &sequence.to_be_bytes());
                if index < last {
                    segment[FLAGS] &= !(FIN | PSH);
                }
                put(segment, TCP_CHECKSUM, &[0, 0]);
                let checksum = !fold(pseudo_header(segment) + sum(&segment[IPV4..]));
                put(segment, TCP_CHECKSUM, &checksum.to_be_bytes());
            });
        }
    }

    /// One more frame, made of these parts and then corrected.
    fn frame(&mut self, parts: &[&[u8]], correct: impl FnOnce(&mut [u8])) {
        let start = self.bytes.len();
        self.number += 1;
        let front = front(self.number);
        self.bytes.extend_from_slice(&front);
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        correct(&mut self.bytes[start + front.len()..]);
        self.bytes.extend_from_slice(&[0; BACK]);
        if let Some(key) = self.key {
            seal(key, &mut self.bytes[start..]);
        }
        if self.count == 0 {
            self.size = self.bytes.len() - start;
        }
        self.count += 1;
        if self.count == SEGMENTS_MAX || self.bytes.len() + self.size > BYTES_MAX {
            self.leave();
        }
    }

    /// Sends what is there. What the kernel does not take is lost, as on a wire.
    fn leave(&mut self) {
        if self.count == 1 {
            let _ = self.socket.send(&self.bytes);
        } else if self.count > 1 {
            let size = self.size as u16;
            let segments = [ControlMessage::UdpGsoSegments(&size)];
            let parts = [IoSlice::new(&self.bytes)];
            let _ = sendmsg::<()>(self.socket.as_raw_fd(), &parts, &segments, MsgFlags::empty(), None);
        }
        self.bytes.clear();
        self.count = 0;
    }
}

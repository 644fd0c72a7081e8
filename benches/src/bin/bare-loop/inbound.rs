//! From the socket to the device.

use crate::PACKET_MAX;
use crate::packet::{
    ACK, BACK, FLAGS, FRONT, IPV4, PROTOCOL, PSH, SEQUENCE, TCP, TCP_CHECKSUM, finish_ipv4, fold, headers,
    open, pseudo_header, put, sum, u32_at,
};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use ring::aead::LessSafeKey;
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use tidegate::io::Device;
use tidegate_esp::virtio::{PartialChecksum, SegmentKind, Segmentation, VirtioHeader};

/// The longest packet that the device takes.
const JOINED_MAX: usize = 65_500;

/// Segments that follow on each other, put together.
struct Train<'a, D> {
    device: &'a D,
    /// A virtio header's room, then the packet.
    bytes: Vec<u8>,
    /// The sequence number that would follow.
    next: u32,
    /// Payload of the first segment.
    size: usize,
    count: usize,
}

/// Carries packets until the socket is gone.
pub(crate) fn carry(device: &impl Device, socket: &UdpSocket, key: Option<&LessSafeKey>) {
    let bytes = Vec::with_capacity(2 * PACKET_MAX);
    let mut train = Train { device, bytes, next: 0, size: 0, count: 0 };
    let mut buffer = vec![0; PACKET_MAX];
    let mut control = nix::cmsg_space!(i32);
    loop {
        let Ok((length, size)) = receive(socket, &mut buffer, &mut control) else { continue };
        for frame in buffer[..length].chunks_mut(size.max(1)) {
            if frame.len() < FRONT + IPV4 + BACK || key.is_some_and(|key| !open(key, frame)) {
                continue;
            }
            let end = frame.len() - BACK;
            train.take(&frame[FRONT..end]);
        }
        train.leave();
    }
}

/// What the kernel has gathered: how much, and the size of each datagram in it.
fn receive(socket: &UdpSocket, buffer: &mut [u8], control: &mut [u8]) -> io::Result<(usize, usize)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(control), MsgFlags::empty())?;
    let size = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::UdpGroSegments(size) => usize::try_from(size).ok(),
        _ => None,
    });
    Ok((message.bytes, size.unwrap_or(message.bytes)))
}

impl<D: Device> Train<'_, D> {
    fn take(&mut self, packet: &[u8]) {
        if !is_plain_segment(packet) {
            self.leave();
            self.start(packet, 0);
            return self.leave();
        }
        let headers = headers(packet);
        if fold(pseudo_header(packet) + sum(&packet[IPV4..])) != 0xffff {
            return;
        }
        let payload = packet.len() - headers;
        if self.count > 0 && !self.is_followed_by(packet, headers) {
            self.leave();
        }
        if self.count == 0 {
            self.start(packet, payload);
        } else {
            self.bytes.extend_from_slice(&packet[headers..]);
            self.bytes[VirtioHeader::LENGTH + FLAGS] |= packet[FLAGS];
            self.count += 1;
        }
        self.next = u32_at(packet, SEQUENCE).wrapping_add(payload as u32);
        if payload < self.size || packet[FLAGS] & PSH != 0 {
            self.leave();
        }
    }

    fn start(&mut self, packet: &[u8], size: usize) {
        self.bytes.extend_from_slice(&[0; VirtioHeader::LENGTH]);
        self.bytes.extend_from_slice(packet);
        (self.size, self.count) = (size, 1);
    }

    /// Same flow, same options, right behind, and no longer than the first one.
    fn is_followed_by(&self, packet: &[u8], headers: usize) -> bool {
        let first = &self.bytes[VirtioHeader::LENGTH..];
        // Addresses and ports; acknowledgement and data offset; TCP's options.
        let same = [12..IPV4 + 4, IPV4 + 8..IPV4 + 13, IPV4 + 20..headers];
        u32_at(packet, SEQUENCE) == self.next
            && packet.len() - headers <= self.size
            && first.len() + packet.len() < JOINED_MAX
            && same.into_iter().all(|range| first.get(range.clone()) == packet.get(range))
    }

    /// Writes what is there. What the device does not take is lost, as on a wire.
    fn leave(&mut self) {
        if self.count == 0 {
            return;
        }
        if self.count > 1 {
            self.finish();
        }
        let _ = rustix::io::write(self.device.as_fd(), &self.bytes);
        self.bytes.clear();
        self.count = 0;
    }

    /// Headers of a super-packet. The kernel finishes TCP's checksum if ever it has to.
    fn finish(&mut self) {
        let (front, packet) = self.bytes.split_at_mut(VirtioHeader::LENGTH);
        finish_ipv4(packet);
        let pseudo = fold(pseudo_header(packet));
        put(packet, TCP_CHECKSUM, &pseudo.to_be_bytes());
        let header_length = headers(packet) as u16;
        let kind = SegmentKind::TcpV4;
        let virtio = VirtioHeader {
            checksum: Some(PartialChecksum { start: IPV4 as u16, offset: (TCP_CHECKSUM - IPV4) as u16 }),
            segmentation: Some(Segmentation { kind, size: self.size as u16, header_length, ecn: false }),
        };
        front.copy_from_slice(&virtio.to_bytes());
    }
}

/// TCP that carries data and says nothing besides.
fn is_plain_segment(packet: &[u8]) -> bool {
    packet[PROTOCOL] == TCP
        && packet.len() >= IPV4 + 20
        && packet.len() > headers(packet)
        && packet[FLAGS] & !(ACK | PSH) == 0
}

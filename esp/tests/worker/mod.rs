//! Both halves of a packet worker without its sockets: from the device to a send buffer, and from a receive
//! buffer to the device. Every buffer is made once.

use std::net::IpAddr;
use std::ops::Range;
use tidegate_esp::encap::{self, Datagram};
use tidegate_esp::icmp::{ANSWER_MAX, Answer, answer};
use tidegate_esp::policy::FlowCache;
use tidegate_esp::segment::{Joiner, Offloads, Split, SplitError};
use tidegate_esp::snapshot::{Carrier, Decision, Publisher, Reader};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::wire::Header;
use tidegate_esp::{
    Counters, DropReason, Encapsulation, Inbound, Inner, Opened, Outbound, Reservation, outer,
};

pub(crate) type Tables = Publisher<Inbound, Outbound>;

/// Bytes of a packet on the wire between the two ends.
pub(crate) const MTU: usize = 1400;
const OUR_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 255, 254));
const OUR_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0xffff));

/// A batch of datagrams one behind the other, as `sendmsg` takes them and `recvmmsg` fills them in.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) buffer: Vec<u8>,
    pub(crate) frames: Vec<Frame>,
}

/// One datagram of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) range: Range<usize>,
    pub(crate) encapsulation: Encapsulation,
    pub(crate) traffic_class: u8,
}

impl Batch {
    pub(crate) fn with_room() -> Self {
        Self { buffer: Vec::with_capacity(1 << 20), frames: Vec::with_capacity(1 << 10) }
    }

    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.frames.clear();
    }

    pub(crate) fn push(&mut self, bytes: &[u8], encapsulation: Encapsulation, traffic_class: u8) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        self.frames.push(Frame { range: start..self.buffer.len(), encapsulation, traffic_class });
    }

    pub(crate) fn bytes(&self, frame: &Frame) -> &[u8] {
        &self.buffer[frame.range.clone()]
    }
}

/// From the device to the wire.
pub(crate) struct Sender {
    reader: Reader<Inbound, Outbound>,
    cache: FlowCache,
    pub(crate) counters: Counters,
    pub(crate) wire: Batch,
    /// What goes back to the device: the last ICMP answer.
    pub(crate) told: Vec<u8>,
    pub(crate) soft_limits: u32,
}

impl Sender {
    pub(crate) fn new(tables: &Tables) -> Self {
        Self {
            reader: tables.reader(),
            cache: FlowCache::new(64, 7),
            counters: Counters::default(),
            wire: Batch::with_room(),
            told: Vec::with_capacity(ANSWER_MAX),
            soft_limits: 0,
        }
    }

    /// Takes a packet of the device. What it becomes is in `wire`, or it is counted.
    pub(crate) fn send(&mut self, virtio: &VirtioHeader, packet: &[u8]) {
        if let Err(reason) = self.try_send(virtio, packet) {
            self.counters.dropped(reason);
        }
    }

    fn try_send(&mut self, virtio: &VirtioHeader, packet: &[u8]) -> Result<(), DropReason> {
        let inner = Inner::parse(packet)?;
        let snapshot = self.reader.current();
        let id = match snapshot.decide_cached(&mut self.cache, &inner.flow) {
            Decision::Protect(id) => id,
            Decision::Acquire(_) => return Err(DropReason::NoSa),
            Decision::Bypass | Decision::Drop | Decision::NoRule => return Err(DropReason::Policy),
        };
        let Carrier { sa, path, .. } = snapshot.outbound(id).ok_or(DropReason::NoSa)?;
        let mtu = sa.inner_mtu(path, MTU);
        let mut split = match Split::new(virtio, &inner, packet, mtu) {
            Ok(split) => split,
            Err(error) => {
                if let SplitError::TooBig { .. } = error {
                    tell(&mut self.told, packet, &inner, mtu);
                }
                return Err(error.into());
            }
        };
        let mut reservation = sa.reserve(split.segments() as u32)?;
        self.soft_limits += u32::from(reservation.passed_soft_limit());
        while let Some(length) = split.next_length() {
            if reservation.left() == 0 {
                return Err(DropReason::Expired);
            }
            seal_next(&mut split, sa, &mut reservation, &mut self.wire, path.encapsulation);
            self.counters.sealed(1, length as u64);
        }
        Ok(())
    }
}

/// Seals a segment where it is sent from: it is copied once, from the super-packet.
fn seal_next(
    split: &mut Split<'_>,
    sa: &Outbound,
    reservation: &mut Reservation<'_>,
    wire: &mut Batch,
    encapsulation: Encapsulation,
) {
    let length = split.next_length().expect("the caller has seen it");
    let start = wire.buffer.len();
    wire.buffer.resize(start + sa.sealed_len(length), 0);
    let packet = &mut wire.buffer[start..];
    split.write_next(&mut packet[sa.front_len()..]).expect("there is room");
    let traffic_class = outer::Marking::default().outer_traffic_class(&packet[sa.front_len()..]);
    let sealed = reservation.seal(packet, length).expect("there is room and a number");
    let range = start..start + sealed;
    wire.frames.push(Frame { range, encapsulation, traffic_class: traffic_class.unwrap_or(0) });
}

fn tell(told: &mut Vec<u8>, packet: &[u8], inner: &Inner, mtu: usize) {
    let from = if inner.flow.is_v4() { OUR_V4 } else { OUR_V6 };
    told.resize(ANSWER_MAX, 0);
    let length = answer(packet, inner, Answer::TooBig { mtu }, from, told).unwrap_or(0);
    told.truncate(length);
}

/// From the wire to the device.
pub(crate) struct Receiver {
    reader: Reader<Inbound, Outbound>,
    pub(crate) counters: Counters,
    joiner: Joiner,
    ready: Vec<(usize, Inner)>,
    pub(crate) device: Device,
    pub(crate) keepalives: u32,
    pub(crate) ike: u32,
}

/// What was written to the device, one behind the other.
#[derive(Default)]
pub(crate) struct Device {
    bytes: Vec<u8>,
    written: Vec<(VirtioHeader, Range<usize>)>,
}

impl Device {
    pub(crate) fn packets(&self) -> impl ExactSizeIterator<Item = (&VirtioHeader, &[u8])> {
        self.written.iter().map(|(virtio, range)| (virtio, &self.bytes[range.clone()]))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.written.clear();
    }
}

impl Receiver {
    pub(crate) fn new(tables: &Tables) -> Self {
        Self {
            reader: tables.reader(),
            counters: Counters::default(),
            joiner: Joiner::new(Offloads { tcp: true, udp: true }),
            ready: Vec::with_capacity(1 << 10),
            device: Device { bytes: Vec::with_capacity(1 << 20), written: Vec::with_capacity(1 << 10) },
            keepalives: 0,
            ike: 0,
        }
    }

    /// Takes a batch. All of it is opened before any of it is joined, as both happen in the same buffer.
    pub(crate) fn receive(&mut self, batch: &mut Batch) {
        for frame in &batch.frames {
            let datagram = &mut batch.buffer[frame.range.clone()];
            let packet = match frame.encapsulation {
                Encapsulation::None => datagram,
                Encapsulation::Udp => match encap::sort(datagram) {
                    Datagram::Esp(packet) => packet,
                    Datagram::Keepalive => {
                        self.keepalives += 1;
                        continue;
                    }
                    Datagram::Ike(_) => {
                        self.ike += 1;
                        continue;
                    }
                },
            };
            match open(&mut self.reader, packet, frame.traffic_class) {
                Ok((front_len, inner)) => {
                    self.counters.opened(1, inner.total_length as u64);
                    self.ready.push((frame.range.start + front_len, inner));
                }
                Err(reason) => self.counters.dropped(reason),
            }
        }
        let device = &mut self.device;
        let mut write = |joined: tidegate_esp::segment::Joined<'_>| {
            let start = device.bytes.len();
            device.bytes.extend_from_slice(joined.header);
            joined.slices().for_each(|slice| device.bytes.extend_from_slice(slice));
            device.written.push((joined.virtio, start..device.bytes.len()));
        };
        for (start, inner) in self.ready.drain(..) {
            self.joiner.push(&batch.buffer, start, &inner, &mut write);
        }
        self.joiner.finish(&batch.buffer, &mut write);
    }
}

/// Opens in place; returns where the datagram begins and what it is.
fn open(
    reader: &mut Reader<Inbound, Outbound>,
    packet: &mut [u8],
    traffic_class: u8,
) -> Result<(usize, Inner), DropReason> {
    let header = Header::parse(packet).ok_or(DropReason::Malformed)?;
    let sa = reader.current().inbound(header.spi).ok_or(DropReason::NoSa)?;
    let admitted = sa.opener().open(packet).and_then(Opened::admit).map_err(|rejected| rejected.reason)?;
    outer::merge(traffic_class, admitted.datagram)?;
    Ok((sa.front_len(), admitted.inner))
}

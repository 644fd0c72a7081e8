//! Sealing the segments of a packet into the send batch.

use super::{Outward, WorkerCounters};
use crate::io::batch::{Departure, Fragmentation, SendBatch};
use crate::tables::Sealing;
use tidegate_esp::segment::Split;
use tidegate_esp::snapshot::Carrier;
use tidegate_esp::{DropReason, Outbound, Reservation};

/// What all segments of a packet go by.
pub(super) struct Lane<'a> {
    pub(super) carrier: &'a Carrier<Sealing>,
    /// Bytes of an ESP packet that the path carries.
    pub(super) packet_max: usize,
}

/// What became of the segments of a packet, to be counted at once.
#[derive(Default)]
struct Sealed {
    packets: u64,
    bytes: u64,
}

impl Lane<'_> {
    /// Seals every segment. The batch goes out whenever it is full.
    pub(super) fn seal_all(
        &self,
        split: &mut Split<'_>,
        reservation: &mut Reservation<'_>,
        batch: &mut SendBatch,
        counters: &WorkerCounters,
        outward: &mut impl Outward,
    ) -> Result<(), DropReason> {
        let mut sealed = Sealed::default();
        let outcome = self.seal_each(split, reservation, batch, &mut sealed, outward);
        counters.esp.sealed(sealed.packets, sealed.bytes);
        outcome
    }

    fn seal_each(
        &self,
        split: &mut Split<'_>,
        reservation: &mut Reservation<'_>,
        batch: &mut SendBatch,
        sealed: &mut Sealed,
        outward: &mut impl Outward,
    ) -> Result<(), DropReason> {
        while let Some(length) = split.next_length() {
            if reservation.left() == 0 {
                return Err(DropReason::Expired);
            }
            let needed = self.needed(&self.carrier.sa.esp, length);
            if batch.room(needed).is_none() {
                outward.send(batch);
                batch.clear();
            }
            let room = batch.room(needed).ok_or(DropReason::TooBig)?;
            let (packet_len, departure) = self.seal_next(split, reservation, room)?;
            batch.commit(packet_len, departure);
            sealed.packets += 1;
            sealed.bytes += length as u64;
        }
        Ok(())
    }

    /// Room for a packet: what the path carries, where TFC padding would take more; more than that where the
    /// packet itself does, to be fragmented on its way.
    fn needed(&self, esp: &Outbound, length: usize) -> usize {
        let padded = esp.sealed_len(length);
        if length <= esp.datagram_len_within(self.packet_max) { padded.min(self.packet_max) } else { padded }
    }

    /// The payload is copied once, from the packet of the device to where it is sealed and sent.
    fn seal_next(
        &self,
        split: &mut Split<'_>,
        reservation: &mut Reservation<'_>,
        room: &mut [u8],
    ) -> Result<(usize, Departure), DropReason> {
        let esp = &self.carrier.sa.esp;
        let place = room.get_mut(esp.front_len()..).ok_or(DropReason::TooBig)?;
        let length = split.write_next(place).ok().flatten().ok_or(DropReason::TooBig)?;
        let datagram = place.get(..length).unwrap_or_default();
        let traffic_class = esp.marking().outer_traffic_class(datagram).unwrap_or(0);
        let whole = esp.marking().outer_dont_fragment(datagram);
        let sealed = reservation.seal(room, length).map_err(|_| DropReason::TooBig)?;
        let fragmentation = match whole && sealed <= self.packet_max {
            true => Fragmentation::Forbidden,
            false => Fragmentation::Allowed,
        };
        let path = self.carrier.path;
        let departure = Departure {
            local: path.local,
            remote: path.remote,
            encapsulation: path.encapsulation,
            traffic_class,
            fragmentation,
        };
        Ok((sealed, departure))
    }
}

//! Packets that wait for an SA: a few of each owner, so many in all, and not for long.

use std::collections::VecDeque;
use std::time::Duration;
use tidegate_esp::Flow;
use tidegate_esp::policy::Owner;
use tidegate_esp::virtio::VirtioHeader;
use tidegate_ike::Time;

/// Buffers above this are given back to the system when their packet is gone.
const SPARE_MAX: usize = 4096;

/// What may wait for an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// Packets of one owner: of more, the oldest are dropped.
    pub packets_per_owner: usize,
    /// Packets of all owners: more are not taken.
    pub packets: usize,
    /// Bytes of all packets: more are not taken.
    pub bytes: usize,
    /// For how long.
    pub time: Duration,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self { packets_per_owner: 8, packets: 128, bytes: 1 << 19, time: Duration::from_secs(5) }
    }
}

/// The packets that wait, the oldest first.
pub(super) struct Hold {
    queue: VecDeque<Held>,
    /// Buffers of packets that are gone.
    spare: Vec<Vec<u8>>,
    bytes: usize,
    limits: HoldLimits,
}

/// A packet that waits.
pub(super) struct Held {
    pub(super) owner: Owner,
    pub(super) flow: Flow,
    pub(super) virtio: VirtioHeader,
    pub(super) bytes: Vec<u8>,
    pub(super) since: Time,
    pub(super) asked: Asked,
}

/// Whether control was told of a packet that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Yes,
    /// Too much was told just then.
    NotYet,
}

impl Hold {
    pub(super) fn new(limits: HoldLimits) -> Self {
        let queue = VecDeque::with_capacity(limits.packets);
        Self { queue, spare: Vec::with_capacity(limits.packets), bytes: 0, limits }
    }

    /// Takes a packet in; says how many were lost thereby, be it this one or an older one.
    pub(super) fn push(
        &mut self,
        owner: Owner,
        flow: Flow,
        (virtio, packet): (&VirtioHeader, &[u8]),
        (since, asked): (Time, Asked),
    ) -> usize {
        let mut lost = self.make_room(owner);
        if self.queue.len() < self.limits.packets && self.bytes + packet.len() <= self.limits.bytes {
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(packet);
            self.put_back(Held { owner, flow, virtio: *virtio, bytes, since, asked });
        } else {
            lost += 1;
        }
        lost
    }

    /// Drops the oldest of an owner that has as many as it may.
    fn make_room(&mut self, owner: Owner) -> usize {
        let of_owner = |held: &Held| held.owner == owner;
        if self.queue.iter().filter(|held| of_owner(held)).count() < self.limits.packets_per_owner {
            return 0;
        }
        let Some(oldest) = self.queue.iter().position(of_owner) else { return 0 };
        let Some(oldest) = self.queue.remove(oldest) else { return 0 };
        self.bytes -= oldest.bytes.len();
        self.recycle(oldest);
        1
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes the oldest out. It comes back by [`put_back`](Self::put_back) or [`recycle`](Self::recycle).
    pub(super) fn pop(&mut self) -> Option<Held> {
        let held = self.queue.pop_front()?;
        self.bytes -= held.bytes.len();
        Some(held)
    }

    /// Whether the oldest has waited long enough.
    pub(super) fn is_overdue(&self, now: Time) -> bool {
        self.queue.front().is_some_and(|held| held.since + self.limits.time <= now)
    }

    /// Goes behind all others: whoever takes all out in turn leaves the order as it was.
    pub(super) fn put_back(&mut self, held: Held) {
        self.bytes += held.bytes.len();
        self.queue.push_back(held);
    }

    /// The packet is gone, its buffer serves another.
    pub(super) fn recycle(&mut self, held: Held) {
        if held.bytes.capacity() <= SPARE_MAX && self.spare.len() < self.limits.packets {
            self.spare.push(held.bytes);
        }
    }

    /// When the oldest has waited long enough.
    pub(super) fn until(&self) -> Option<Time> {
        self.queue.front().map(|held| held.since + self.limits.time)
    }

    /// Packets of which control is still to be told.
    pub(super) fn unasked(&mut self) -> impl Iterator<Item = &mut Held> {
        self.queue.iter_mut().filter(|held| held.asked == Asked::NotYet)
    }
}

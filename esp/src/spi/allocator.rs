//! Indices for inbound SAs.
//!
//! The low bits of an index are a slot, so that workers find an SA without a search. The bits above are a
//! random generation that changes each time a slot is used again: a datagram that is late by a lifetime
//! names an SA that is no more, not its successor in the slot. Generation 0 is never used, which keeps all
//! indices clear of the reserved ones (RFC 4303 §2.1).

use super::Spi;
use crate::snapshot::CAPACITY;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;

const SLOT_BITS: u32 = CAPACITY.trailing_zeros();
const GENERATIONS: u32 = 1 << (u32::BITS - SLOT_BITS);

/// The only source of inbound indices.
#[derive(Clone, Debug)]
pub struct SpiAllocator {
    /// By slot, for all that were ever used.
    slots: Vec<Slot>,
    /// Slots on their way back, in the order they were given up.
    quarantine: VecDeque<Quarantined>,
    limit: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    generation: u32,
    live: bool,
}

#[derive(Clone, Copy, Debug)]
struct Quarantined {
    slot: u32,
    until: u64,
}

/// No slot is free, nor out of quarantine yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpisExhausted;

impl SpiAllocator {
    /// For as many SAs at a time, those in quarantine included; at most 2^20.
    pub fn new(limit: u32) -> Self {
        Self { slots: Vec::new(), quarantine: VecDeque::new(), limit: limit.min(CAPACITY) }
    }

    /// A new index. `now` is in the same unit as what [`release`](Self::release) was told, and `random` is
    /// fresh.
    pub fn allocate(&mut self, random: u32, now: u64) -> Result<Spi, SpisExhausted> {
        let index = self.vacant(now).ok_or(SpisExhausted)?;
        let place = usize::try_from(index).map_err(|_| SpisExhausted)?;
        if place == self.slots.len() {
            self.slots.push(Slot { generation: 0, live: false });
        }
        let slot = self.slots.get_mut(place).ok_or(SpisExhausted)?;
        // One of those that are neither 0 nor the last one.
        let step = 1 + random % (GENERATIONS - 2);
        slot.generation = match slot.generation {
            0 => step,
            last => 1 + (last - 1 + step) % (GENERATIONS - 1),
        };
        slot.live = true;
        Spi::new(slot.generation << SLOT_BITS | index).ok_or(SpisExhausted)
    }

    /// Gives an index up; its slot is not used again before `until`, which is five seconds ahead or more
    /// so that nothing still under way finds another SA there. `false` when the index was not in use.
    pub fn release(&mut self, spi: Spi, until: u64) -> bool {
        let place = usize::try_from(spi.slot()).ok().and_then(|place| self.slots.get_mut(place));
        let Some(slot) = place.filter(|slot| slot.live && slot.generation == spi.value() >> SLOT_BITS) else {
            return false;
        };
        slot.live = false;
        self.quarantine.push_back(Quarantined { slot: spi.slot(), until });
        true
    }

    /// How many indices are in use.
    pub fn in_use(&self) -> usize {
        self.slots.len() - self.quarantine.len()
    }

    fn vacant(&mut self, now: u64) -> Option<u32> {
        if let Some(oldest) = self.quarantine.front().filter(|oldest| oldest.until <= now) {
            let slot = oldest.slot;
            self.quarantine.pop_front();
            return Some(slot);
        }
        u32::try_from(self.slots.len()).ok().filter(|next| *next < self.limit)
    }
}

impl Spi {
    /// The place of the SA in the tables.
    pub(crate) const fn slot(self) -> u32 {
        self.value() & (CAPACITY - 1)
    }
}

impl fmt::Display for SpisExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all inbound indices are in use or in quarantine")
    }
}

impl Error for SpisExhausted {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_ne, proptest};

    #[test]
    fn a_slot_rests_before_it_is_used_again() {
        let mut spis = SpiAllocator::new(1);
        let first = spis.allocate(7, 0).expect("a slot is free");
        assert_eq!(spis.allocate(7, 0), Err(SpisExhausted));
        assert!(spis.release(first, 50));
        assert!(!spis.release(first, 50));
        assert_eq!(spis.allocate(7, 49), Err(SpisExhausted));
        let second = spis.allocate(7, 50).expect("the slot is back");
        assert_eq!(second.slot(), first.slot());
        assert_ne!(second, first);
        assert!(!spis.release(first, 50), "a former life of the slot gives nothing up");
        assert_eq!(spis.in_use(), 1);
    }

    proptest! {
        #[test]
        fn an_index_is_not_reserved_and_not_the_last_one(randoms in proptest::collection::vec(any::<u32>(), 50)) {
            let mut spis = SpiAllocator::new(1);
            let mut last = None;
            for (now, random) in (0..).zip(randoms) {
                let spi = spis.allocate(random, now).expect("the only slot is free");
                prop_assert!(spi.value() >= Spi::MIN);
                prop_assert_ne!(Some(spi), last);
                prop_assert!(spis.release(spi, now));
                last = Some(spi);
            }
        }
    }
}

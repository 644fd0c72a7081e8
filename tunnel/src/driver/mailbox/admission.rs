//! How much control is given to look at in a second, so that a flood costs it no more than that.
//!
//! Each IKE message that control looks at takes the time that thousands of packets of a tunnel would, and it is
//! sent from an address that anybody may claim. So there is a rate for each SPI that we know, which others' floods
//! do not touch, and two for strangers:
//!
//! 1. Of those who come for the first time as many are let in as the first rate says.
//! 2. Who was turned away is remembered, by a tag of its address and its SPIs. A peer that means it comes again with
//!    the same ones, as it gets no answer, and again with its cookie; of these as many are let in as the second
//!    rate says, and a few of each. Who floods with ever new ones has no part in that, nor has who floods with one.
//!
//! Nothing here waits: threads that come at the same time at worst let one message more in, or forget a tag.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tidegate_ike::Time;

/// Rates are kept in each of these.
const SPAN_NANOS: u64 = 100_000_000;
const SPANS_PER_SECOND: u32 = 10;
/// Who was turned away is remembered for a minute.
const REMEMBERED_SPANS: u32 = 600;
/// A stranger who means it sends two messages one after the other; the network may double them.
const OF_ONE_IN_A_SPAN: u32 = 4;
/// Bits of a memory, from below: how many messages came in a span, and which span that was; above is the tag.
const COUNT_BITS: u32 = 4;
const SPAN_BITS: u32 = 10;
const TAG_SHIFT: u32 = COUNT_BITS + SPAN_BITS;

/// How many messages a second control is given to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of each SPI that we know. A message of many fragments comes all at once.
    pub known: u32,
    /// Of strangers.
    pub strangers: u32,
    /// Of strangers who come again, in addition.
    pub again: u32,
    /// How many of those who were turned away are remembered; each takes four bytes from the first one on. A flood of
    /// so many a second makes two in five forgotten within half a second, which is when peers come again.
    pub remembered: usize,
}

/// Who of all strangers is let in.
#[derive(Debug)]
pub(super) struct Strangers {
    rates: Rates,
    new: Span,
    again: Span,
    /// Random, so that nobody can tell whose tags share a place.
    hasher: RandomState,
    /// Made when somebody is turned away for the first time.
    memory: OnceLock<Box<[AtomicU32]>>,
}

/// A stranger, as far as one is remembered.
struct Stranger {
    place: usize,
    tag: u32,
}

/// How many there have been in a span of time: its number above, and theirs below.
#[derive(Debug, Default)]
pub(super) struct Span(AtomicU64);

impl Rates {
    /// For a node with few peers of which there are many in a process.
    pub fn small() -> Self {
        Self { remembered: 1 << 10, ..Self::default() }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self { known: 2000, strangers: 5000, again: 5000, remembered: 1 << 20 }
    }
}

impl Strangers {
    pub(super) fn new(rates: Rates) -> Self {
        let (new, again) = (Span::default(), Span::default());
        Self { rates, new, again, hasher: RandomState::new(), memory: OnceLock::new() }
    }

    /// Whether this one is let in, with the SPIs that it names.
    pub(super) fn admit(&self, now: Time, from: IpAddr, spis: &[u8]) -> bool {
        if self.new.take(now, self.rates.strangers) {
            // While there is a flood it comes again at once, with its cookie.
            if let Some(memory) = self.memory.get() {
                self.stranger(from, spis).comes(now, memory);
            }
            return true;
        }
        let memory = self.memory.get_or_init(|| empty(self.rates.remembered));
        self.stranger(from, spis).comes(now, memory) && self.again.take(now, self.rates.again)
    }

    fn stranger(&self, from: IpAddr, spis: &[u8]) -> Stranger {
        let hash = self.hasher.hash_one((from, spis));
        // The upper bits tell apart those who share a place, as far as there is room for them.
        Stranger { place: hash as usize, tag: (hash >> u32::BITS) as u32 >> TAG_SHIFT }
    }
}

impl Stranger {
    /// Whether it has been there before, and not too often just now; from now on it has been.
    fn comes(&self, now: Time, memory: &[AtomicU32]) -> bool {
        const SPANS: u32 = (1 << SPAN_BITS) - 1;
        const COUNTS: u32 = (1 << COUNT_BITS) - 1;
        // There is a power of two of them.
        let Some(place) = memory.get(self.place & (memory.len() - 1)) else { return false };
        let span = (now.as_nanos() / SPAN_NANOS) as u32 & SPANS;
        let seen = place.load(Ordering::Relaxed);
        let (tag, at, count) = (seen >> TAG_SHIFT, seen >> COUNT_BITS & SPANS, seen & COUNTS);
        let before = tag == self.tag && count > 0 && span.wrapping_sub(at) & SPANS <= REMEMBERED_SPANS;
        let count = if before && at == span { COUNTS.min(count + 1) } else { 1 };
        place.store(self.tag << TAG_SHIFT | span << COUNT_BITS | count, Ordering::Relaxed);
        before && count <= OF_ONE_IN_A_SPAN
    }
}

impl Span {
    /// Whether there may be one more, at so many a second.
    pub(super) fn take(&self, now: Time, per_second: u32) -> bool {
        let number = now.as_nanos() / SPAN_NANOS;
        let most = u64::from(per_second.div_ceil(SPANS_PER_SECOND));
        let seen = self.0.load(Ordering::Relaxed);
        let count = if seen >> u32::BITS == number { seen & u64::from(u32::MAX) } else { 0 };
        if count >= most {
            return false;
        }
        self.0.store(number << u32::BITS | (count + 1), Ordering::Relaxed);
        true
    }
}

fn empty(count: usize) -> Box<[AtomicU32]> {
    (0..count.max(1).next_power_of_two()).map(|_| AtomicU32::new(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { known: 10, strangers: 100, again: 100, remembered: 1 << 20 };

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn stranger(number: u32) -> (IpAddr, [u8; 16]) {
        (IpAddr::from(number.to_be_bytes()), u128::from(number).to_be_bytes())
    }

    fn admitted(strangers: &Strangers, now: Time, numbers: std::ops::Range<u32>) -> usize {
        let admit = |number: &u32| {
            let (from, spis) = stranger(*number);
            strangers.admit(now, from, &spis)
        };
        numbers.filter(admit).count()
    }

    #[test]
    fn strangers_are_let_in_at_a_rate() {
        let strangers = Strangers::new(RATES);
        assert_eq!(admitted(&strangers, at(0), 0..1000), 10);
        assert_eq!(admitted(&strangers, at(99), 1000..2000), 0);
        assert_eq!(admitted(&strangers, at(100), 2000..3000), 10);
    }

    #[test]
    fn who_was_turned_away_and_comes_again_gets_in_whatever_flood_there_is() {
        let strangers = Strangers::new(RATES);
        admitted(&strangers, at(0), 0..100);
        assert_eq!(admitted(&strangers, at(50), 7_000_000..7_000_001), 0, "at first");
        admitted(&strangers, at(100), 1000..1010);
        assert_eq!(admitted(&strangers, at(150), 7_000_000..7_000_001), 1, "again");
        assert_eq!(admitted(&strangers, at(160), 7_000_000..7_000_001), 1, "and with its cookie");
    }

    #[test]
    fn who_is_let_in_during_a_flood_is_let_in_again_at_once_with_its_cookie() {
        let strangers = Strangers::new(RATES);
        admitted(&strangers, at(0), 0..11);
        assert_eq!(admitted(&strangers, at(100), 42..43), 1, "at first");
        admitted(&strangers, at(110), 100..109);
        assert_eq!(admitted(&strangers, at(120), 42..43), 1, "with its cookie");
    }

    #[test]
    fn nobody_takes_the_room_of_others_by_coming_again_and_again() {
        let strangers = Strangers::new(RATES);
        admitted(&strangers, at(0), 0..10);
        assert_eq!(admitted(&strangers, at(10), 7..8), 0);
        let one = |_| admitted(&strangers, at(50), 42..43);
        assert_eq!((0..1000).map(one).sum::<usize>(), 3);
    }

    #[test]
    fn who_comes_again_late_is_new() {
        let strangers = Strangers::new(RATES);
        admitted(&strangers, at(0), 0..10);
        assert_eq!(admitted(&strangers, at(50), 42..43), 0);
        admitted(&strangers, at(70_000), 0..10);
        assert_eq!(admitted(&strangers, at(70_050), 42..43), 0);
    }

    #[test]
    fn those_who_come_again_have_a_rate_too() {
        let strangers = Strangers::new(RATES);
        admitted(&strangers, at(0), 0..10);
        admitted(&strangers, at(10), 1000..1100);
        assert_eq!(admitted(&strangers, at(20), 1000..1100), 10);
    }

    #[test]
    fn while_there_is_no_flood_nothing_is_remembered() {
        let strangers = Strangers::new(RATES);
        assert_eq!(admitted(&strangers, at(0), 0..10), 10);
        assert!(strangers.memory.get().is_none());
    }
}

//! The anti-replay window: which sequence numbers have come already.
//!
//! The window is a ring of blocks, after the idea of RFC 6479: sliding it forward touches only blocks, never
//! shifts bits. Each block is one atomic word: the bits of 32 numbers, and above them the round of the ring to which they
//! belong. A number therefore lives in exactly one word, and one compare-exchange both claims the block for
//! a newer round and sets the bit. So exactly one of several threads can commit a number, no thread ever
//! has to clear what another may be writing, and nobody waits.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::sync::{AtomicU64, Ordering};

/// Numbers a block holds.
const BLOCK_BITS: u32 = 1 << BLOCK_SHIFT;
const BLOCK_SHIFT: u32 = 5;
/// The smallest window that may be asked for (RFC 4303 §3.4.3).
pub const MIN_WINDOW: u16 = 32;
/// The largest window that may be asked for.
pub const MAX_WINDOW: u16 = 8192;

/// Which sequence numbers of one SA have come.
///
/// A number is [checked](Self::check) before its packet is opened and [committed](Claim::commit) after:
/// until integrity holds it is only a claim (RFC 4303 §3.4.3).
pub struct Window {
    /// One more than the highest block claimed, 0 before the first: it changes with every 32nd number, so
    /// that threads seldom fight for it. With the check off, the highest number.
    newest: AtomicU64,
    /// Numbers from the highest downwards that may still come; 0 when the check is off.
    size: u64,
    /// A power of two of them, spanning more than `size` numbers; none when the check is off.
    blocks: Box<[AtomicU64]>,
    /// The logarithm of their number.
    blocks_log2: u32,
}

/// A number that may come, from the check to the commit.
pub struct Claim<'a> {
    window: &'a Window,
    number: u64,
    place: Option<Place<'a>>,
}

/// Why a number is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replay {
    /// It came before.
    Duplicate,
    /// It is below the window, where nobody remembers.
    TooOld,
}

/// How a committed number stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// The first of its SA: told exactly once.
    First,
    /// Higher than all before.
    Newest,
    /// Late, yet not seen before.
    Late,
}

impl Window {
    /// A window over `size` numbers, at least 32 and at most 8,192; 0 switches the check off.
    pub fn new(size: u16) -> Self {
        if size == 0 {
            return Self { newest: AtomicU64::new(0), size: 0, blocks: Box::default(), blocks_log2: 0 };
        }
        let size = u32::from(size.clamp(MIN_WINDOW, MAX_WINDOW));
        // One block more than the window fills: a window seldom begins where a block does.
        let blocks = size.div_ceil(BLOCK_BITS).saturating_add(1).next_power_of_two();
        Self {
            newest: AtomicU64::new(0),
            size: u64::from(size),
            blocks: (0..blocks).map(|_| AtomicU64::new(0)).collect(),
            blocks_log2: blocks.trailing_zeros(),
        }
    }

    /// The highest number committed; 0 before the first.
    #[inline]
    pub fn top(&self) -> u64 {
        let newest = self.newest.load(Ordering::Relaxed);
        let Some(mask) = self.blocks.len().checked_sub(1) else {
            return newest;
        };
        let Some(index) = newest.checked_sub(1) else {
            return 0;
        };
        let (first, word) = (index << BLOCK_SHIFT, self.word(index, mask));
        if word.round == self.round(index) {
            first | u64::from(word.bits.checked_ilog2().unwrap_or(0))
        } else {
            // Claimed for a newer round in between, which its thread is about to announce.
            first | u64::from(BLOCK_BITS.saturating_sub(1))
        }
    }

    /// The full number of which a packet carries the low half (RFC 4303 appendix A2.2): the one that is in
    /// the window or the nearest above it. `None` when that would be before the first number or beyond the
    /// last.
    #[inline]
    pub fn recover(&self, low: u32) -> Option<u64> {
        // Without a window, half of the space counts as late: the best guess for any order.
        let span = if self.size == 0 { 1 << 31 } else { self.size };
        let (bottom, below_zero) = self.top().overflowing_sub(span.saturating_sub(1));
        let offset = low.wrapping_sub(bottom as u32);
        let (number, carried) = bottom.overflowing_add(offset.into());
        // A window that reaches below zero must be left upwards through zero, any other not at all.
        (carried == below_zero).then_some(number)
    }

    /// Whether the number may still come. Changes nothing.
    #[inline]
    pub fn check(&self, number: u64) -> Result<Claim<'_>, Replay> {
        // RFC 4303 §3.3.3: the first number sent is 1, so 0 is never one.
        if number == 0 {
            return Err(Replay::TooOld);
        }
        let Some(mask) = self.blocks.len().checked_sub(1) else {
            return Ok(Claim { window: self, number, place: None });
        };
        let index = number >> BLOCK_SHIFT;
        // What is in the newest block, or above, is in the window: no need to look where exactly that ends.
        if index.saturating_add(1) < self.newest.load(Ordering::Relaxed)
            && self.top().checked_sub(self.size).is_some_and(|forgotten| number <= forgotten)
        {
            return Err(Replay::TooOld);
        }
        let block = self.blocks.get(index as usize & mask).ok_or(Replay::TooOld)?;
        let place = Place {
            block,
            seen: block.load(Ordering::Relaxed),
            index,
            round: self.round(index),
            bit: 1_u32.wrapping_shl(number as u32),
        };
        place.admit(Word::from(place.seen))?;
        Ok(Claim { window: self, number, place: Some(place) })
    }

    /// How often the ring has gone round when it comes to a block.
    #[inline]
    fn round(&self, index: u64) -> u32 {
        index.wrapping_shr(self.blocks_log2) as u32
    }

    #[inline]
    fn word(&self, index: u64, mask: usize) -> Word {
        self.blocks
            .get(index as usize & mask)
            .map_or(Word { round: 0, bits: 0 }, |block| block.load(Ordering::Relaxed).into())
    }
}

impl Claim<'_> {
    /// Takes the number, once its packet has proved authentic. However many threads try, one succeeds.
    ///
    /// Relaxed ordering is enough: what must happen once is one exchange on one word, and no other memory
    /// is published through it.
    #[inline]
    pub fn commit(self) -> Result<Freshness, Replay> {
        let newest = &self.window.newest;
        let Some(place) = &self.place else {
            return Ok(announce(newest, self.number));
        };
        let mut current = place.seen;
        let before = loop {
            let word = Word::from(current);
            let next = place.admit(word)?;
            match place.block.compare_exchange(current, next.into(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break word,
                Err(actual) => current = actual,
            }
        };
        let block = place.index.saturating_add(1);
        if before.bits == 0 || before.round != place.round {
            return Ok(announce(newest, block));
        }
        let in_newest = block >= newest.load(Ordering::Relaxed);
        Ok(if in_newest && place.bit > before.bits { Freshness::Newest } else { Freshness::Late })
    }
}

/// Raises `newest` to `value`, unless it is there.
#[inline]
fn announce(newest: &AtomicU64, value: u64) -> Freshness {
    if value <= newest.load(Ordering::Relaxed) {
        return Freshness::Late;
    }
    match newest.fetch_max(value, Ordering::Relaxed) {
        0 => Freshness::First,
        before if before < value => Freshness::Newest,
        _ => Freshness::Late,
    }
}

/// A block's content.
#[derive(Clone, Copy)]
struct Word {
    round: u32,
    bits: u32,
}

impl From<u64> for Word {
    #[inline]
    fn from(word: u64) -> Self {
        Self { round: (word >> 32) as u32, bits: word as u32 }
    }
}

impl From<Word> for u64 {
    #[inline]
    fn from(word: Word) -> Self {
        Self::from(word.round) << 32 | Self::from(word.bits)
    }
}

/// One number's bit.
struct Place<'a> {
    block: &'a AtomicU64,
    /// The block when it was last looked at.
    seen: u64,
    index: u64,
    round: u32,
    bit: u32,
}

impl Place<'_> {
    /// The block with this number in it, unless `word` says that it came before or is forgotten.
    #[inline]
    fn admit(&self, word: Word) -> Result<Word, Replay> {
        let claimed = Word { round: self.round, bits: self.bit };
        if word.bits == 0 {
            // Never written: a block once claimed has a number in it.
            return Ok(claimed);
        }
        // Rounds are compared as serial numbers, which holds while no leap leaves a block untouched for 2^31
        // rounds: 2^37 numbers in the smallest window, where a packet can leap by no more than 2^32.
        match self.round.wrapping_sub(word.round) as i32 {
            0 if word.bits & self.bit != 0 => Err(Replay::Duplicate),
            0 => Ok(Word { bits: word.bits | self.bit, ..word }),
            1.. => Ok(claimed),
            _ => Err(Replay::TooOld),
        }
    }
}

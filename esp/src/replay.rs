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
/// Look with [`check`](Self::check) before opening a packet, [`commit`](Self::commit) after: until integrity
/// holds, a number is only a claim (RFC 4303 §3.4.3).
pub struct Window {
    /// The highest number committed; 0 before the first.
    top: AtomicU64,
    /// Numbers from `top` downwards that may still come; 0 when the check is off.
    size: u64,
    /// A power of two of them, spanning more than `size` numbers; none when the check is off.
    blocks: Box<[AtomicU64]>,
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
            return Self { top: AtomicU64::new(0), size: 0, blocks: Box::default() };
        }
        let size = u32::from(size.clamp(MIN_WINDOW, MAX_WINDOW));
        // One block more than the window fills: a window seldom begins where a block does.
        let blocks = size.div_ceil(BLOCK_BITS).saturating_add(1).next_power_of_two();
        Self {
            top: AtomicU64::new(0),
            size: u64::from(size),
            blocks: (0..blocks).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The highest number committed; 0 before the first.
    pub fn top(&self) -> u64 {
        self.top.load(Ordering::Relaxed)
    }

    /// The full number of which a packet carries the low half (RFC 4303 appendix A2.2): the one that is in
    /// the window or the nearest above it. `None` when that would be before the first number.
    #[inline]
    pub fn recover(&self, low: u32) -> Option<u64> {
        let top = self.top();
        // Without a window, half of the space counts as late: the best guess for any order.
        let behind = if self.size == 0 { 1 << 31 } else { self.size };
        let (top_high, top_low) = (top >> 32, top & u64::from(u32::MAX));
        let low = u64::from(low);
        let below_top = behind.saturating_sub(1);
        let high = match top_low.checked_sub(below_top) {
            // Case A: the window lies within one subspace.
            Some(bottom) if low >= bottom => top_high,
            Some(_) => top_high.checked_add(1)?,
            // Case B: the window reaches back into the subspace before.
            None if low >= top_low.wrapping_sub(below_top) & u64::from(u32::MAX) => {
                top_high.checked_sub(1)?
            }
            None => top_high,
        };
        if high > u64::from(u32::MAX) {
            return None;
        }
        Some(high << 32 | low)
    }

    /// Whether the number may still come. Changes nothing.
    #[inline]
    pub fn check(&self, number: u64) -> Result<(), Replay> {
        let Some(place) = self.place(number)? else {
            return Ok(());
        };
        match place.admit(place.block.load(Ordering::Relaxed)) {
            Ok(_) => Ok(()),
            Err(replay) => Err(replay),
        }
    }

    /// Takes the number, once its packet has proved authentic. However many threads try, one succeeds.
    ///
    /// Relaxed ordering is enough: what must happen once is one exchange on one word, and no other memory
    /// is published through it.
    #[inline]
    pub fn commit(&self, number: u64) -> Result<Freshness, Replay> {
        if let Some(place) = self.place(number)? {
            let mut current = place.block.load(Ordering::Relaxed);
            loop {
                let next = place.admit(current)?;
                match place.block.compare_exchange_weak(current, next, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(actual) => current = actual,
                }
            }
        }
        Ok(self.advance(number))
    }

    #[inline]
    fn advance(&self, number: u64) -> Freshness {
        // A late packet, once the window is moving, need not touch the word all threads share.
        if number <= self.top() {
            return Freshness::Late;
        }
        match self.top.fetch_max(number, Ordering::Relaxed) {
            0 => Freshness::First,
            top if top < number => Freshness::Newest,
            _ => Freshness::Late,
        }
    }

    /// Where the number's bit is; nowhere when the check is off.
    #[inline]
    fn place(&self, number: u64) -> Result<Option<Place<'_>>, Replay> {
        // RFC 4303 §3.3.3: the first number sent is 1, so 0 is never one.
        if number == 0 {
            return Err(Replay::TooOld);
        }
        let Some(mask) = self.blocks.len().checked_sub(1) else {
            return Ok(None);
        };
        if self.top().checked_sub(self.size).is_some_and(|forgotten| number <= forgotten) {
            return Err(Replay::TooOld);
        }
        let index = number >> BLOCK_SHIFT;
        let slot = index as usize & mask;
        Ok(self.blocks.get(slot).map(|block| Place {
            block,
            round: (index >> mask.count_ones()) as u32,
            bit: 1_u32.wrapping_shl(number as u32),
        }))
    }
}

/// One number's bit.
struct Place<'a> {
    block: &'a AtomicU64,
    round: u32,
    bit: u32,
}

impl Place<'_> {
    /// The block's word with this number in it, unless `word` says that it came before or is forgotten.
    #[inline]
    fn admit(&self, word: u64) -> Result<u64, Replay> {
        let (round, bits) = ((word >> 32) as u32, word as u32);
        let claimed = u64::from(self.round) << 32 | u64::from(self.bit);
        if bits == 0 {
            // Never written: a block once claimed has a number in it.
            return Ok(claimed);
        }
        // Rounds are compared as serial numbers, which holds while no leap leaves a block untouched for 2^31
        // rounds: 2^37 numbers in the smallest window, where a packet can leap by no more than 2^32.
        match self.round.wrapping_sub(round) as i32 {
            0 if bits & self.bit != 0 => Err(Replay::Duplicate),
            0 => Ok(word | u64::from(self.bit)),
            1.. => Ok(claimed),
            _ => Err(Replay::TooOld),
        }
    }
}

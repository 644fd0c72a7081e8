//! What a path does to the datagrams on it.

use crate::SimRandom;

/// How often something happens, in parts of a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

/// The weather on a path, in one direction. Durations are in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Datagrams that vanish.
    pub loss: Chance,
    /// Datagrams that arrive a second time, with a delay of their own.
    pub duplication: Chance,
    /// Datagrams that are held back by up to [`hold`](Self::hold), so that later ones overtake them.
    pub reordering: Chance,
    /// Datagrams of which one to four bits change.
    pub corruption: Chance,
    /// Every datagram takes this long.
    pub delay: u64,
    /// Up to this much comes on top, anew for each datagram; close neighbours change places by it.
    pub jitter: u64,
    /// Longest that a reordered datagram is held back.
    pub hold: u64,
}

impl Chance {
    /// It does not happen.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1_000_000);

    /// In parts of a hundred.
    pub const fn percent(parts: u32) -> Self {
        Self::per_million(parts.saturating_mul(10_000))
    }

    /// In parts of a million.
    pub const fn per_million(parts: u32) -> Self {
        if parts > Self::ALWAYS.0 { Self::ALWAYS } else { Self(parts) }
    }

    /// Draws. What never happens draws too, so that switching one thing off leaves the others where they
    /// were.
    pub fn happens(self, random: &mut SimRandom) -> bool {
        random.below(1_000_000) < u64::from(self.0)
    }
}

impl Conditions {
    /// Everything arrives at once, in order, as it was.
    pub const PERFECT: Self = Self {
        loss: Chance::NEVER,
        duplication: Chance::NEVER,
        reordering: Chance::NEVER,
        corruption: Chance::NEVER,
        delay: 0,
        jitter: 0,
        hold: 0,
    };

    /// How long one datagram takes, and whether it was held back.
    pub(crate) fn travel_time(&self, random: &mut SimRandom) -> (u64, bool) {
        let jitter = random.below(self.jitter.saturating_add(1));
        let reordered = self.reordering.happens(random);
        let held = if reordered { random.below(self.hold.saturating_add(1)) } else { 0 };
        (self.delay.saturating_add(jitter).saturating_add(held), reordered)
    }

    /// Flips one to four bits; an empty datagram has none.
    pub(crate) fn corrupt(bytes: &mut [u8], random: &mut SimRandom) {
        for _ in 0..=random.below(4) {
            let bit = random.below(bytes.len() as u64 * 8) as usize;
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chance_happens_as_often_as_it_says() {
        let mut random = SimRandom::new(11);
        let mut count = |chance: Chance| (0..100_000).filter(|_| chance.happens(&mut random)).count();
        assert_eq!(count(Chance::NEVER), 0);
        assert_eq!(count(Chance::ALWAYS), 100_000);
        assert!((29_000..31_000).contains(&count(Chance::percent(30))));
        assert_eq!(Chance::percent(200), Chance::ALWAYS);
    }

    #[test]
    fn corruption_changes_the_bytes_and_not_their_number() {
        let mut random = SimRandom::new(5);
        let mut changed = 0;
        for _ in 0..100 {
            let mut bytes = [0u8; 32];
            Conditions::corrupt(&mut bytes, &mut random);
            let bits: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            assert!(bits <= 4);
            changed += u32::from(bits > 0);
        }
        // Two flips of one bit undo each other, seldom.
        assert!(changed > 95);
        Conditions::corrupt(&mut [], &mut random);
    }
}

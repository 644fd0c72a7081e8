//! How many answers may be sent: a bucket that fills at a steady rate.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// A bucket of answers (RFC 4443 §2.4 (f)).
#[derive(Clone, Debug)]
pub struct Budget {
    /// Nanoseconds until one more answer is allowed.
    interval: u64,
    /// Nanoseconds' worth of answers that may be saved up.
    depth: u64,
    saved: u64,
    last: u64,
}

impl Budget {
    /// As many answers a second, as many of them at once.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = 1_000_000_000_u64.checked_div(per_second.into()).unwrap_or(u64::MAX);
        let depth = interval.saturating_mul(burst.into());
        Self { interval, depth, saved: depth, last: 0 }
    }

    /// Takes one answer out, at a time in nanoseconds that never goes back; `false` when there is none.
    pub fn take(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.last);
        self.last = self.last.max(now);
        self.saved = self.saved.saturating_add(passed).min(self.depth);
        match self.saved.checked_sub(self.interval) {
            Some(left) => {
                self.saved = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut budget = Budget::new(10, 3);
        assert_eq!((0..5).filter(|_| budget.take(7)).count(), 3);
        assert!(!budget.take(99_000_000));
        assert!(budget.take(100_000_007));
        assert!(!budget.take(100_000_007));
    }
}

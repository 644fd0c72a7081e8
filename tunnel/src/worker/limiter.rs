//! How often control is told the same thing.

use std::time::Duration;
use tidegate_esp::icmp::Budget;
use tidegate_ike::Time;

/// How many keys are remembered. Of two keys that share a place each is told of as often as the other drives
/// it out, within the budget for all.
const PLACES: usize = 256;

/// Lets one thing through in an interval for each key, and so many of all keys a second.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Key and when it may be told of again.
    places: Box<[(u64, Time)]>,
    interval: Duration,
    budget: Budget,
}

impl Limiter {
    pub(crate) fn new(interval: Duration, all_per_second: u32) -> Self {
        let places = vec![(0, Time::ZERO); PLACES].into();
        Self { places, interval, budget: Budget::new(all_per_second, all_per_second) }
    }

    /// Whether it is time.
    pub(crate) fn allows(&mut self, key: u64, now: Time) -> bool {
        // An odd number with bits all over; the upper ones of the product depend on all of the key.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let Some((known, again)) = self.places.get_mut(hash as usize % PLACES) else { return false };
        if *known == key && now < *again || !self.budget.take(now.as_nanos()) {
            return false;
        }
        (*known, *again) = (key, now + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_and_others_do_not() {
        let mut limiter = Limiter::new(Duration::from_secs(1), 1000);
        let later = |millis: u64| Time::from_nanos(millis * 1_000_000);
        assert!(limiter.allows(7, later(1)));
        assert!(!limiter.allows(7, later(1000)));
        assert!(limiter.allows(8, later(1000)));
        assert!(limiter.allows(7, later(1001)));
    }

    #[test]
    fn all_keys_together_have_an_end() {
        let mut limiter = Limiter::new(Duration::from_secs(1), 100);
        assert_eq!((0..10_000).filter(|key| limiter.allows(*key, Time::ZERO)).count(), 100);
    }
}

//! What happened how often, for status and metrics.

use std::time::Duration;

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Drop {
    /// It is no IKE message, or its envelope makes no sense.
    Malformed,
    /// It is ESP or a keepalive, or lacks the marker that its port wants.
    NotIke,
    /// Its SPIs belong to no IKE SA.
    UnknownSpi,
    /// Its message id is not the next, or it answers nothing.
    OutOfWindow,
    /// One of our own, sent back to us.
    Reflected,
    /// It is protected, and there are no keys yet.
    NoKeys,
    /// It is a forgery, or damaged.
    Integrity,
    /// A fragment that fits no message.
    Fragment,
    /// Its exchange has no place in the state of the IKE SA.
    OutOfState,
    /// An IKE_SA_INIT that came when no more could be taken.
    Flood,
    /// A cookie that we did not make, or too old.
    Cookie,
    /// Its major version is not ours.
    Version,
    /// It came from an address that no connection allows.
    NoConnection,
}

const REASONS: usize = Drop::NoConnection as usize + 1;

/// Counts since the endpoint was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    drops: [u64; REASONS],
    /// Messages of which integrity held.
    pub messages_in: u64,
    /// Requests sent again.
    pub retransmissions: u64,
    /// Answers given again.
    pub repeated_answers: u64,
    /// IKE_SA_INIT requests answered with a cookie.
    pub cookies_sent: u64,
    /// Notifications about unknown SPIs and versions sent outside any IKE SA.
    pub stateless_answers: u64,
    /// IKE SAs that were set up.
    pub established: u64,
    /// Attempts, of either side, that failed.
    pub failed: u64,
    /// How long it took from the first message of an IKE SA until it stood.
    pub handshakes: Times,
}

/// How long something took, all of it together and by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// All times together.
    pub sum: Duration,
    /// How many took no longer than each of [`Times::BOUNDS`], and longer than the one before.
    counts: [u64; Times::BOUNDS.len()],
    /// How many took longer than the last of them.
    longer: u64,
}

impl Times {
    /// Milliseconds.
    pub const BOUNDS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

    fn add(&mut self, time: Duration) {
        self.sum = self.sum.saturating_add(time);
        let place = Self::BOUNDS.iter().position(|bound| time <= Duration::from_millis(*bound));
        let count = place.and_then(|place| self.counts.get_mut(place)).unwrap_or(&mut self.longer);
        *count = count.saturating_add(1);
    }

    /// Each of [`Times::BOUNDS`] with how many took no longer.
    pub fn within(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let sums = self.counts.iter().scan(0_u64, |sum, count| {
            *sum = sum.saturating_add(*count);
            Some(*sum)
        });
        Self::BOUNDS.into_iter().zip(sums)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(self.longer, |sum, count| sum.saturating_add(*count))
    }
}

impl Drop {
    /// All of them, in order.
    pub const ALL: [Self; REASONS] = [
        Self::Malformed,
        Self::NotIke,
        Self::UnknownSpi,
        Self::OutOfWindow,
        Self::Reflected,
        Self::NoKeys,
        Self::Integrity,
        Self::Fragment,
        Self::OutOfState,
        Self::Flood,
        Self::Cookie,
        Self::Version,
        Self::NoConnection,
    ];

    /// A short name, fit for the label of a metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotIke => "not_ike",
            Self::UnknownSpi => "unknown_spi",
            Self::OutOfWindow => "out_of_window",
            Self::Reflected => "reflected",
            Self::NoKeys => "no_keys",
            Self::Integrity => "integrity",
            Self::Fragment => "fragment",
            Self::OutOfState => "out_of_state",
            Self::Flood => "flood",
            Self::Cookie => "cookie",
            Self::Version => "version",
            Self::NoConnection => "no_connection",
        }
    }
}

impl Counters {
    /// An IKE SA stands, so long after its first message.
    pub(crate) fn established(&mut self, took: Duration) {
        self.established = self.established.saturating_add(1);
        self.handshakes.add(took);
    }

    pub(crate) fn drop(&mut self, reason: Drop) {
        if let Some(count) = self.drops.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How many datagrams were dropped for this reason.
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_by_size() {
        let mut times = Times::default();
        for millis in [5, 6, 10, 20_000] {
            times.add(Duration::from_millis(millis));
        }
        let within: Vec<_> = times.within().take(3).collect();
        assert_eq!(within, [(5, 1), (10, 3), (25, 3)]);
        assert_eq!(times.within().last(), Some((10_000, 3)));
        assert_eq!((times.count(), times.sum), (4, Duration::from_millis(20_021)));
    }
}

//! Time as the engine sees it: a number that its driver hands in.

use std::ops::Add;
use std::time::Duration;

/// A moment on the driver's monotonic clock, in nanoseconds from an origin of the driver's choosing. The
/// clock should go on while the machine sleeps (CLOCK_BOOTTIME).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

/// A moment on the wall clock, in seconds since 1970-01-01 UTC. Only certificates look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

impl Time {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Saturates: a deadline past the end of the clock is never due.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// What a driver says of the present: both of its clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock, by which everything is timed.
    pub time: Time,
    /// The wall clock, by which certificates are judged.
    pub wall: WallTime,
}

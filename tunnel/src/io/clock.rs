//! The host's clocks.

use rustix::time::{ClockId, Timespec, clock_gettime};
use tidegate_ike::{Now, Time, WallTime};

/// Reads the host's clocks: the one that goes on while the machine sleeps, and the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The present by both clocks.
    pub fn now(self) -> Now {
        Now { time: self.time(), wall: wall_time(clock_gettime(ClockId::Realtime)) }
    }

    /// The present by the clock that everything is timed by.
    pub fn time(self) -> Time {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        let (seconds, nanos) = (tv_sec.unsigned_abs(), tv_nsec.unsigned_abs());
        Time::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

/// A clock set to before 1970 is as wrong as one that stands there.
fn wall_time(time: Timespec) -> WallTime {
    WallTime(u64::try_from(time.tv_sec).unwrap_or(0))
}

//! The clock by which everything is timed.

use rustix::time::{ClockId, clock_gettime};
use tidegate_ike::Time;

/// What CLOCK_BOOTTIME says: it goes on while the machine sleeps, and so do peers.
pub fn now() -> Time {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    Time::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

//! The host's clocks.
#![allow(unsafe_code)]

use tidegate_ike::{Now, Time, WallTime};

/// Reads the host's clocks: the one that goes on while the machine sleeps, and the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The present by both clocks.
    pub fn now(self) -> Now {
        Now { time: self.time(), wall: wall_time(read(libc::CLOCK_REALTIME)) }
    }

    /// The present by the clock that everything is timed by.
    pub fn time(self) -> Time {
        let libc::timespec { tv_sec, tv_nsec } = read(libc::CLOCK_BOOTTIME);
        let (seconds, nanos) = (tv_sec.unsigned_abs(), tv_nsec.unsigned_abs());
        Time::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

/// By the C library, which reads without a call of the kernel where it can. `rustix` looks for the way to do that
/// itself, and does not find out where there is none: a program that embeds us could not be run under valgrind.
fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: there is room for the time. It fails for clocks alone that the kernel does not have, and has both.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time
}

/// A clock set to before 1970 is as wrong as one that stands there.
fn wall_time(time: libc::timespec) -> WallTime {
    WallTime(u64::try_from(time.tv_sec).unwrap_or(0))
}

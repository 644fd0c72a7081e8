//! What one of two ends costs, while the other does its part on the same thread.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tidegate_alloc::Usage;

/// Watches some calls and not others.
pub trait Meter {
    /// Does something that counts.
    fn during<T>(&mut self, act: impl FnOnce() -> T) -> T;
}

/// Does not watch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

/// Sums up the processor's time: what neighbours on the machine take is not in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopwatch {
    spent: Duration,
}

/// Sums up what is allocated and kept. Counts nothing where [`tidegate_alloc::Counting`] is not the
/// allocator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scales {
    kept: i64,
    allocations: u64,
}

/// Gives what counts a name of its own, for a profiler to switch itself on and off by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marked;

impl Meter for Unwatched {
    fn during<T>(&mut self, act: impl FnOnce() -> T) -> T {
        act()
    }
}

impl Stopwatch {
    /// What has been spent since the last time it was asked.
    pub fn lap(&mut self) -> Duration {
        std::mem::take(&mut self.spent)
    }
}

impl Meter for Stopwatch {
    fn during<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let begun = processor_time();
        let result = act();
        self.spent += processor_time() - begun;
        result
    }
}

impl Scales {
    /// Bytes that were taken and not given back.
    pub fn kept(&self) -> i64 {
        self.kept
    }

    /// Blocks that were asked for.
    pub fn allocations(&self) -> u64 {
        self.allocations
    }
}

impl Meter for Scales {
    fn during<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let before = Usage::now();
        let result = act();
        let usage = Usage::since(before);
        self.kept += usage.live_bytes;
        self.allocations += usage.allocations;
        result
    }
}

impl Meter for Marked {
    fn during<T>(&mut self, act: impl FnOnce() -> T) -> T {
        watched(act)
    }
}

#[inline(never)]
fn watched<T>(act: impl FnOnce() -> T) -> T {
    std::hint::black_box(act())
}

/// How long a number of repetitions takes on the processor.
pub fn time(repetitions: u32, mut act: impl FnMut()) -> Duration {
    let begun = processor_time();
    for _ in 0..repetitions {
        act();
    }
    processor_time() - begun
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("the clock of a thread begins at zero")
}

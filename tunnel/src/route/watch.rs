//! Hears of changes, and wakes up by itself: one descriptor for both.

use super::netlink::{Message, Monitor};
use rustix::event::epoll;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Links, addresses, routes and rules of both families.
const GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];
/// How often a repair may follow another, and how many may come at once after a quiet time.
const REPAIR_EVERY: Duration = Duration::from_millis(500);
const REPAIRS_AT_ONCE: u32 = 4;
/// How far the wait after failures grows: to half a minute.
const MOST_DOUBLINGS: u32 = 6;
/// How often we look for what the kernel does not tell of.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Why it is time to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Only because of messages.
    Messages,
    /// A repair was put off, or failed.
    Retry,
    /// From time to time.
    Look,
}

/// Whether there is something to do at the next wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Wanted,
    Idle,
}

pub(super) struct Watch {
    either: OwnedFd,
    monitor: Monitor,
    timer: OwnedFd,
    retry: Retry,
    failures: u32,
    repairs: u32,
    last_repair: Instant,
}

impl Watch {
    pub(super) fn open() -> io::Result<Self> {
        let monitor = Monitor::open(netlink_sys::protocols::NETLINK_ROUTE, &GROUPS)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let either = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for source in [monitor.as_fd(), timer.as_fd()] {
            epoll::add(&either, source, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        let (retry, failures, repairs) = (Retry::Idle, 0, REPAIRS_AT_ONCE);
        let watch = Self { either, monitor, timer, retry, failures, repairs, last_repair: Instant::now() };
        watch.sleep(LOOK_EVERY)?;
        Ok(watch)
    }

    /// Hands one datagram of changes to `take`; false when there are none left.
    pub(super) fn read(&mut self, take: impl FnMut(Message<'_>)) -> io::Result<bool> {
        self.monitor.next(take)
    }

    /// Why we are awake.
    pub(super) fn woken(&mut self) -> Wake {
        let mut expirations = [0; 8];
        if rustix::io::read(&self.timer, &mut expirations).is_err() {
            return Wake::Messages;
        }
        let wake = match self.retry {
            Retry::Wanted => Wake::Retry,
            Retry::Idle => Wake::Look,
        };
        self.retry = Retry::Idle;
        // The timer was set before; nothing it can refuse now.
        let _ = self.sleep(LOOK_EVERY);
        wake
    }

    /// Something could not be done: wakes up to try it again, ever later.
    pub(super) fn failed(&mut self) {
        if self.retry == Retry::Idle {
            self.retry_in(REPAIR_EVERY * (1 << self.failures.min(MOST_DOUBLINGS)));
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// All is as it should be.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    fn retry_in(&mut self, time: Duration) {
        self.retry = Retry::Wanted;
        let _ = self.sleep(time);
    }

    /// Whether a repair may be made now. If not, there is a wake-up for it.
    pub(super) fn may_repair(&mut self) -> bool {
        let passed = self.last_repair.elapsed().as_millis() / REPAIR_EVERY.as_millis();
        if passed > 0 {
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            self.repairs = self.repairs.saturating_add(passed).min(REPAIRS_AT_ONCE);
            self.last_repair = Instant::now();
        }
        if self.repairs == 0 {
            if self.retry == Retry::Idle {
                self.retry_in(REPAIR_EVERY);
            }
            return false;
        }
        self.repairs -= 1;
        true
    }

    fn sleep(&self, time: Duration) -> io::Result<()> {
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec::try_from(time).map_err(|_| io::ErrorKind::InvalidInput)?;
        timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: once, it_value: value },
        )?;
        Ok(())
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.either.as_fd()
    }
}

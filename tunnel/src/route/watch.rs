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

pub(super) struct Watch {
    either: OwnedFd,
    monitor: Monitor,
    timer: OwnedFd,
    retry: bool,
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
        let watch = Self {
            either,
            monitor,
            timer,
            retry: false,
            repairs: REPAIRS_AT_ONCE,
            last_repair: Instant::now(),
        };
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
        let wake = if self.retry { Wake::Retry } else { Wake::Look };
        self.retry = false;
        // The timer was set before; nothing it can refuse now.
        let _ = self.sleep(LOOK_EVERY);
        wake
    }

    /// Wakes up in a while to repair what could not be repaired now.
    pub(super) fn retry(&mut self) {
        if !self.retry {
            self.retry = true;
            let _ = self.sleep(REPAIR_EVERY);
        }
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
            self.retry();
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

//! What a packet thread waits for.

use super::Bell;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tidegate_ike::Time;

/// How long a descriptor that failed is left alone.
const REST: Duration = Duration::from_millis(100);
/// How often one may fail before it is told of again: once a minute.
const TELL_EVERY: u32 = 600;

/// Descriptors, with how each of them is doing. The bell stands before all others.
pub(super) struct Watch<'a> {
    fds: Vec<PollFd<'a>>,
    watched: Vec<Watched<'a>>,
    bell: BorrowedFd<'a>,
}

/// What a descriptor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Device,
    Socket(usize),
}

/// How often in a row a descriptor has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failures(u32);

struct Watched<'a> {
    source: Source,
    fd: BorrowedFd<'a>,
    failures: u32,
    resting_until: Option<Time>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(bell: &'a Bell) -> Self {
        let bell = bell.fd.as_fd();
        Self { fds: vec![PollFd::from_borrowed_fd(bell, PollFlags::IN)], watched: Vec::new(), bell }
    }

    pub(super) fn add(&mut self, source: Source, fd: BorrowedFd<'a>) {
        self.fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        self.watched.push(Watched { source, fd, failures: 0, resting_until: None });
    }

    /// How many descriptors there are beside the bell.
    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }

    /// Sleeps until there is something to do, the deadline has come, or a descriptor has rested.
    pub(super) fn wait(&mut self, now: Time, deadline: Option<Time>) -> Result<(), Errno> {
        self.end_rests(now);
        let rests = self.watched.iter().filter_map(|watched| watched.resting_until);
        let timeout = rests.chain(deadline).min().map(|until| timespec(until.since(now)));
        match poll(&mut self.fds, timeout.as_ref()) {
            Ok(_) => Ok(()),
            Err(Errno::INTR) => {
                self.fds.iter_mut().for_each(PollFd::clear_revents);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn bell_rang(&self) -> bool {
        self.fds.first().is_some_and(|fd| !fd.revents().is_empty())
    }

    /// What has happened to a descriptor, by its place.
    pub(super) fn happened(&self, place: usize) -> Option<(Source, PollFlags)> {
        let watched = self.watched.get(place).filter(|watched| watched.resting_until.is_none())?;
        let events = self.fds.get(place + 1)?.revents();
        (!events.is_empty()).then_some((watched.source, events))
    }

    pub(super) fn is_well(&mut self, place: usize) {
        if let Some(watched) = self.watched.get_mut(place) {
            watched.failures = 0;
        }
    }

    /// The descriptor has failed: it is left alone for a while.
    pub(super) fn ails(&mut self, place: usize, now: Time) -> Failures {
        let (Some(watched), Some(fd)) = (self.watched.get_mut(place), self.fds.get_mut(place + 1)) else {
            return Failures(0);
        };
        watched.failures = watched.failures.saturating_add(1);
        watched.resting_until = Some(now + REST);
        // A descriptor in error is reported whatever is asked for, so another one stands in for it.
        *fd = PollFd::from_borrowed_fd(self.bell, PollFlags::IN);
        Failures(watched.failures)
    }

    fn end_rests(&mut self, now: Time) {
        for (watched, fd) in self.watched.iter_mut().zip(self.fds.iter_mut().skip(1)) {
            if watched.resting_until.is_some_and(|until| until <= now) {
                watched.resting_until = None;
                *fd = PollFd::from_borrowed_fd(watched.fd, PollFlags::IN);
            }
        }
    }
}

impl Failures {
    /// The first one, and then one in so many.
    pub(super) fn is_worth_telling(self) -> bool {
        self.0 % TELL_EVERY == 1
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}

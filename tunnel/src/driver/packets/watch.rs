//! What a packet thread waits for.
//!
//! The kernel keeps the list (epoll): to wait touches the descriptors that something has happened to, and none of
//! the others. With five of them that is less than half of what poll(2) does.

use super::Bell;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;
use tidegate_ike::Time;

/// How long a descriptor that failed is left alone.
const REST: Duration = Duration::from_millis(100);
/// How often one may fail before it is told of again: once a minute.
const TELL_EVERY: u32 = 600;
/// How many descriptors are heard of at a time; the others have their turn next.
const EVENTS: usize = 16;
/// Stands for the bell among the places.
const BELL: u64 = u64::MAX;

/// Descriptors, with how each of them is doing, and the bell.
pub(super) struct Watch<'a> {
    epoll: OwnedFd,
    watched: Vec<Watched<'a>>,
    /// What has happened, of which so many are new.
    events: [epoll::Event; EVENTS],
    count: usize,
    /// Whether any descriptor is left alone at present.
    rests: bool,
}

/// What a descriptor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Device,
    Socket(usize),
}

/// Something that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// Control has something to say.
    Bell,
    /// To the descriptor at this place.
    At { place: usize, source: Source, events: epoll::EventFlags },
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
    pub(super) fn new(bell: &Bell) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &bell.fd, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        let nothing =
            epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(BELL) };
        Ok(Self { epoll, watched: Vec::new(), events: [nothing; EVENTS], count: 0, rests: false })
    }

    pub(super) fn add(&mut self, source: Source, fd: BorrowedFd<'a>) -> Result<(), Errno> {
        self.listen(self.watched.len(), fd)?;
        self.watched.push(Watched { source, fd, failures: 0, resting_until: None });
        Ok(())
    }

    /// Sleeps until there is something to do, the deadline has come, or a descriptor has rested.
    pub(super) fn wait(&mut self, now: Time, deadline: Option<Time>) -> Result<(), Errno> {
        self.count = 0;
        let rested = if self.rests { self.end_rests(now) } else { None };
        let timeout = rested.into_iter().chain(deadline).min().map(|until| timespec(until.since(now)));
        match epoll::wait(&self.epoll, &mut self.events[..], timeout.as_ref()) {
            Ok(count) => {
                self.count = count;
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What has happened, one after the other.
    pub(super) fn happened(&self, index: usize) -> Option<Happened> {
        let event = self.events.get(..self.count)?.get(index)?;
        let place = match event.data.u64() {
            BELL => return Some(Happened::Bell),
            place => usize::try_from(place).ok()?,
        };
        let source = self.watched.get(place)?.source;
        Some(Happened::At { place, source, events: event.flags })
    }

    pub(super) fn is_well(&mut self, place: usize) {
        if let Some(watched) = self.watched.get_mut(place) {
            watched.failures = 0;
        }
    }

    /// The descriptor has failed: it is left alone for a while. One in error would be reported for ever, whatever
    /// is asked for, so it goes from the list.
    pub(super) fn ails(&mut self, place: usize, now: Time) -> Failures {
        let Some(watched) = self.watched.get_mut(place) else { return Failures(0) };
        watched.failures = watched.failures.saturating_add(1);
        watched.resting_until = Some(now + REST);
        self.rests = true;
        // One that is not on the list reports nothing either.
        let _ = epoll::delete(&self.epoll, watched.fd);
        Failures(watched.failures)
    }

    /// Listens again to what has rested; says when the next one will have.
    fn end_rests(&mut self, now: Time) -> Option<Time> {
        for place in 0..self.watched.len() {
            let Some(watched) = self.watched.get_mut(place) else { break };
            if watched.resting_until.is_some_and(|until| until <= now) {
                let fd = watched.fd;
                // What cannot be listened to now may be so after another rest.
                let again = self.listen(place, fd).is_err().then_some(now + REST);
                if let Some(watched) = self.watched.get_mut(place) {
                    watched.resting_until = again;
                }
            }
        }
        let next = self.watched.iter().filter_map(|watched| watched.resting_until).min();
        self.rests = next.is_some();
        next
    }

    fn listen(&self, place: usize, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(place as u64), epoll::EventFlags::IN)
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

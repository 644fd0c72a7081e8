//! A packet thread: waits, takes turns, survives.

use super::crew::{Lane, pin_to};
use super::turn::{In, Load, Out, Outlets};
use super::watch::{Happened, Source, Watch};
use super::{Bell, Trouble};
use crate::io::clock::Clock;
use crate::io::{Device, Wire};
use crate::notice::Notice;
use crate::worker::{Control, Incoming, Outgoing};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate_ike::Time;

/// The pause after a failure to wait, which can only come of a lack of memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Who has waited for less than that is in the midst of something: more may come while a packet is being seen to,
/// and what goes together costs less.
const NAP: Duration = Duration::from_micros(100);

/// All that a thread needs.
pub(super) struct Seat {
    pub(super) name: &'static str,
    pub(super) lane: Lane,
    /// Where it is to stay.
    pub(super) core: Option<usize>,
    pub(super) outgoing: Option<Outgoing>,
    pub(super) incoming: Option<Incoming>,
    pub(super) outlets: Outlets,
    pub(super) bell: Arc<Bell>,
    pub(super) restarts: Arc<AtomicU64>,
}

/// What a thread works with.
struct Works {
    out: Option<Out>,
    into: Option<In>,
    lane: Lane,
    outlets: Outlets,
}

impl Seat {
    /// Until it is told to stop.
    pub(super) fn run(self) {
        let Self { name, lane, core, outgoing, incoming, outlets, bell, restarts } = self;
        if let Some(core) = core
            && let Err(error) = pin_to(core)
        {
            tracing::warn!(area = "io", %error, thread = name, "cannot stay on core {core}");
        }
        let mut works = Works { out: outgoing.map(Out::new), into: incoming.map(In::new), lane, outlets };
        // Whatever a panic has left half done is thrown away before anything else is done.
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| works.run(&bell))) {
            restarts.fetch_add(1, Ordering::Relaxed);
            let trouble = Trouble::Panicked { thread: name, message: message(&*panic) };
            // Not even a panic here ends the thread, which ends only when it is told to.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                works.outlets.mailboxes.trouble(trouble);
                works.reset();
            }));
        }
    }
}

impl Works {
    fn run(&mut self, bell: &Bell) {
        let (device, wire) = (Arc::clone(&self.outlets.device), Arc::clone(&self.outlets.wire));
        let mut watch = loop {
            match self.watch(bell, &*device, &*wire) {
                Ok(watch) => break watch,
                Err(_) if bell.says_stop() => return,
                Err(error) => self.cannot_wait(error),
            }
        };
        let mut now = Clock.time();
        while !bell.says_stop() {
            let deadline = self.out.as_ref().and_then(|out| out.worker.next_deadline(now));
            if let Err(error) = watch.wait(now, deadline) {
                self.cannot_wait(error);
            }
            let woken = Clock.time();
            let load = if woken.since(now) >= NAP { Load::Idle } else { Load::Busy };
            self.turn(woken, load, bell, &mut watch);
            now = Clock.time();
        }
    }

    /// What this thread listens to.
    fn watch<'a>(&self, bell: &Bell, device: &'a dyn Device, wire: &'a dyn Wire) -> Result<Watch<'a>, Errno> {
        let mut watch = Watch::new(bell)?;
        if self.out.is_some() {
            watch.add(Source::Device, device.as_fd())?;
        }
        if self.into.is_some() {
            let sockets = wire.fds().into_iter().enumerate();
            for (number, fd) in sockets.filter(|(number, _)| self.lane.has(wire.lane(*number))) {
                watch.add(Source::Socket(number), fd)?;
            }
        }
        Ok(watch)
    }

    fn cannot_wait(&mut self, error: Errno) {
        self.outlets.mailboxes.trouble(Trouble::Poll(io::Error::from(error).kind()));
        std::thread::sleep(PAUSE);
    }

    fn turn(&mut self, now: Time, load: Load, bell: &Bell, watch: &mut Watch<'_>) {
        self.tend(now);
        for index in 0.. {
            match watch.happened(index) {
                None => break,
                Some(Happened::Bell) => bell.heard(),
                Some(Happened::At { place, source, events }) => match self.serve(now, load, source, events) {
                    Ok(()) => watch.is_well(place),
                    Err(trouble) => {
                        if watch.ails(place, now).is_worth_telling() {
                            self.outlets.mailboxes.trouble(trouble);
                        }
                    }
                },
            }
        }
    }

    /// As a rule nothing is held, and every packet that is taken looks for newer tables by itself.
    fn tend(&mut self, now: Time) {
        if let Some(out) = &mut self.out
            && out.worker.next_deadline(now).is_some()
        {
            out.tend(now, &mut self.outlets);
        }
    }

    fn serve(&mut self, now: Time, load: Load, source: Source, events: EventFlags) -> Result<(), Trouble> {
        match (source, &mut self.out, &mut self.into) {
            (Source::Device, Some(out), _) => {
                out.turn(now, load, &mut self.outlets)?;
                // Nothing more will come, and poll(2) would say so for ever.
                let gone = events.intersects(EventFlags::HUP | EventFlags::ERR);
                if gone { Err(Trouble::Device(io::ErrorKind::BrokenPipe)) } else { Ok(()) }
            }
            (Source::Socket(number), _, Some(into)) => {
                if events.contains(EventFlags::ERR) {
                    let (mtus, mailboxes) = (into.worker.path_mtus(), &mut self.outlets.mailboxes);
                    let mut learned = |remote, mtu| {
                        if mtus.learned(remote, mtu, now) {
                            mailboxes.notice(Notice::PathMtu(remote));
                        }
                    };
                    self.outlets.wire.path_mtu_errors(number, &mut learned);
                }
                into.turn(now, number, &mut self.outlets)
            }
            _ => Ok(()),
        }
    }

    fn reset(&mut self) {
        if let Some(out) = &mut self.out {
            out.worker.reset();
        }
        if let Some(into) = &mut self.into {
            into.worker.reset();
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word").to_owned()
}

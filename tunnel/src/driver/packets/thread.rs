//! A packet thread: waits, takes turns, survives.

use super::turn::{In, Out, Outlets};
use super::watch::{Source, Watch};
use super::{Bell, Trouble};
use crate::io::clock::Clock;
use crate::notice::Notice;
use crate::worker::{Control, Incoming, Outgoing};
use rustix::event::PollFlags;
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate_ike::Time;

/// The pause after a failure to wait, which can only come of a lack of memory.
const PAUSE: Duration = Duration::from_millis(100);

/// All that a thread needs.
pub(super) struct Seat {
    pub(super) name: &'static str,
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
    outlets: Outlets,
}

impl Seat {
    /// Until it is told to stop.
    pub(super) fn run(self) {
        let Self { name, outgoing, incoming, outlets, bell, restarts } = self;
        let mut works = Works { out: outgoing.map(Out::new), into: incoming.map(In::new), outlets };
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
        let mut watch = Watch::new(bell);
        if self.out.is_some() {
            watch.add(Source::Device, device.as_fd());
        }
        if self.into.is_some() {
            wire.fds().into_iter().enumerate().for_each(|(number, fd)| watch.add(Source::Socket(number), fd));
        }
        while !bell.says_stop() {
            let now = Clock.time();
            let deadline = self.out.as_ref().and_then(|out| out.worker.next_deadline(now));
            if let Err(error) = watch.wait(now, deadline) {
                self.outlets.mailboxes.trouble(Trouble::Poll(io::Error::from(error).kind()));
                std::thread::sleep(PAUSE);
                continue;
            }
            if watch.bell_rang() {
                bell.heard();
            }
            self.turn(Clock.time(), &mut watch);
        }
    }

    fn turn(&mut self, now: Time, watch: &mut Watch<'_>) {
        if let Some(out) = &mut self.out {
            out.tend(now, &mut self.outlets);
        }
        for place in 0..watch.len() {
            let Some((source, events)) = watch.happened(place) else { continue };
            match self.serve(now, source, events) {
                Ok(()) => watch.is_well(place),
                Err(trouble) => {
                    if watch.ails(place, now).is_worth_telling() {
                        self.outlets.mailboxes.trouble(trouble);
                    }
                }
            }
        }
    }

    fn serve(&mut self, now: Time, source: Source, events: PollFlags) -> Result<(), Trouble> {
        match (source, &mut self.out, &mut self.into) {
            (Source::Device, Some(out), _) => {
                out.turn(now, &mut self.outlets)?;
                // Nothing more will come, and poll(2) would say so for ever.
                let gone = events.intersects(PollFlags::HUP | PollFlags::NVAL | PollFlags::ERR);
                if gone { Err(Trouble::Device(io::ErrorKind::BrokenPipe)) } else { Ok(()) }
            }
            (Source::Socket(number), _, Some(into)) => {
                if events.contains(PollFlags::ERR) {
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

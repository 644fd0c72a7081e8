//! Who does what: workers and queues, dealt out to threads.

use super::{PacketSettings, Pinning, Threads};
use crate::io::Device;
use crate::worker::{Incoming, Outgoing, WorkerCounters};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;
use std::sync::Arc;

/// What one thread does.
pub(super) struct Crew {
    pub(super) name: &'static str,
    pub(super) lane: Lane,
    pub(super) outgoing: Option<Outgoing>,
    pub(super) incoming: Option<Incoming>,
    /// Its own queue, as far as there is one.
    pub(super) device: Arc<dyn Device>,
}

/// Which sockets a thread receives of: of so many threads the one with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) first: usize,
    pub(super) step: usize,
}

impl Lane {
    pub(super) fn has(self, lane: usize) -> bool {
        lane.checked_rem(self.step) == Some(self.first)
    }
}

impl Crew {
    pub(super) fn counters(&self) -> impl Iterator<Item = Arc<WorkerCounters>> {
        let outgoing = self.outgoing.as_ref().map(|worker| Arc::clone(worker.counters()));
        let incoming = self.incoming.as_ref().map(|worker| Arc::clone(worker.counters()));
        outgoing.into_iter().chain(incoming)
    }
}

/// All threads that there are to be.
pub(super) fn crews(settings: &PacketSettings) -> io::Result<Vec<Crew>> {
    let (out, into) = settings.threads.counts();
    let queues = queues(&settings.device, out)?;
    let queue = |number: usize| Arc::clone(queues.get(number).unwrap_or(&settings.device));
    let out = out.min(queues.len());
    if settings.threads == Threads::One {
        let (outgoing, incoming) = (Some(outgoing(settings, out)), Some(incoming(settings)));
        let lane = Lane { first: 0, step: 1 };
        return Ok(vec![Crew { name: "tidegate-packet", lane, outgoing, incoming, device: queue(0) }]);
    }
    let outwards = (0..out).map(|first| Crew {
        name: "tidegate-out",
        lane: Lane { first, step: out },
        outgoing: Some(outgoing(settings, out)),
        incoming: None,
        device: queue(first),
    });
    let inwards = (0..into).map(|first| Crew {
        name: "tidegate-in",
        lane: Lane { first, step: into },
        outgoing: None,
        incoming: Some(incoming(settings)),
        // What is written to a queue draws the other direction of its flow there: only to one that is read.
        device: queue(first % out),
    });
    Ok(outwards.chain(inwards).collect())
}

fn outgoing(settings: &PacketSettings, of: usize) -> Outgoing {
    let worker = Outgoing::new(settings.view.clone(), Arc::clone(&settings.mtus), &settings.worker);
    if of > 1 { worker.among_others() } else { worker }
}

fn incoming(settings: &PacketSettings) -> Incoming {
    Incoming::new(settings.view.clone(), Arc::clone(&settings.mtus), settings.device.offloads())
}

/// So many queues of a device, or as many as there are. Each that there is gets packets, so each has to be read.
fn queues(device: &Arc<dyn Device>, wanted: usize) -> io::Result<Vec<Arc<dyn Device>>> {
    let mut queues = vec![Arc::clone(device)];
    while queues.len() < wanted {
        match device.another_queue()? {
            Some(queue) => queues.push(queue),
            None => break,
        }
    }
    Ok(queues)
}

impl Pinning {
    /// Where the thread of this number runs.
    pub(super) fn core(&self, thread: usize) -> Option<usize> {
        match self {
            Self::None => None,
            Self::InOrder => {
                let allowed = sched_getaffinity(None).ok()?;
                let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
                cores.get(thread.checked_rem(cores.len())?).copied()
            }
            Self::Cores(cores) => cores.get(thread.checked_rem(cores.len())?).copied(),
        }
    }
}

/// Keeps the calling thread on a core.
pub(super) fn pin_to(core: usize) -> io::Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

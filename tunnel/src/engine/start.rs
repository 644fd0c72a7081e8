//! Attempts take turns: no more than so many begin in a second.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tidegate_ike::Time;

/// Connections that wait for their turn. One that needs it no more stays in the queue and is passed over.
pub(super) struct Starts {
    queue: VecDeque<Arc<str>>,
    interval: Duration,
    /// How far the rate has been used up, as a moment: more than [`BURST`] ahead of now means that it is.
    used: Time,
}

/// So much of a second's attempts may begin at once.
const BURST: Duration = Duration::from_millis(100);

impl Starts {
    pub(super) fn new(rate: u32) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Self { queue: VecDeque::new(), interval, used: Time::ZERO }
    }

    /// At the end of the queue.
    pub(super) fn push(&mut self, name: Arc<str>) {
        self.queue.push_back(name);
    }

    /// Somebody waits for it.
    pub(super) fn push_first(&mut self, name: Arc<str>) {
        self.queue.push_front(name);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When the next one may begin.
    pub(super) fn next(&self) -> Option<Time> {
        if self.queue.is_empty() {
            return None;
        }
        let ahead = BURST.saturating_sub(self.interval);
        Some(Time::from_nanos(self.used.as_nanos().saturating_sub(nanos(ahead))))
    }

    /// One that may begin now.
    pub(super) fn pop(&mut self, now: Time) -> Option<Arc<str>> {
        self.next().filter(|at| *at <= now)?;
        self.queue.pop_front()
    }

    /// One has begun.
    pub(super) fn begun(&mut self, now: Time) {
        self.used = self.used.max(now) + self.interval;
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

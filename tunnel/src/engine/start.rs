//! Attempts take turns: no more than so many begin in a second.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tidegate_ike::Time;

/// Connections that wait for their turn, each once. One that needs it no more is passed over when it comes.
pub(super) struct Starts {
    queue: Queue,
    /// Somebody waits for these.
    urgent: Queue,
    interval: Duration,
    /// How far the rate has been used up, as a moment: more than [`BURST`] ahead of now means that it is.
    used: Time,
}

#[derive(Default)]
struct Queue {
    order: VecDeque<Arc<str>>,
    members: BTreeSet<Arc<str>>,
}

impl Queue {
    fn push(&mut self, name: Arc<str>) {
        if self.members.insert(Arc::clone(&name)) {
            self.order.push_back(name);
        }
    }

    fn pop(&mut self) -> Option<Arc<str>> {
        let name = self.order.pop_front()?;
        self.members.remove(&name);
        Some(name)
    }
}

/// So much of a second's attempts may begin at once.
const BURST: Duration = Duration::from_millis(100);

impl Starts {
    pub(super) fn new(rate: u32) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Self { queue: Queue::default(), urgent: Queue::default(), interval, used: Time::ZERO }
    }

    /// At the end of the queue.
    pub(super) fn push(&mut self, name: Arc<str>) {
        self.queue.push(name);
    }

    /// Somebody waits for it.
    pub(super) fn push_first(&mut self, name: Arc<str>) {
        self.urgent.push(name);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.order.is_empty() && self.urgent.order.is_empty()
    }

    /// When the next one may begin.
    pub(super) fn next(&self) -> Option<Time> {
        if self.is_empty() {
            return None;
        }
        let ahead = BURST.saturating_sub(self.interval);
        Some(Time::from_nanos(self.used.as_nanos().saturating_sub(nanos(ahead))))
    }

    /// One that may begin now.
    pub(super) fn pop(&mut self, now: Time) -> Option<Arc<str>> {
        self.next().filter(|at| *at <= now)?;
        self.urgent.pop().or_else(|| self.queue.pop())
    }

    /// One has begun.
    pub(super) fn begun(&mut self, now: Time) {
        self.used = self.used.max(now) + self.interval;
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_whoever_is_waited_for_goes_first() {
        let mut starts = Starts::new(10);
        for name in ["a", "b", "c", "b", "a"] {
            starts.push(name.into());
        }
        starts.push_first("c".into());
        let mut order = Vec::new();
        let mut now = Time::from_nanos(1_000_000_000);
        while let Some(at) = starts.next() {
            now = now.max(at);
            let name = starts.pop(now).expect("it is its turn");
            starts.begun(now);
            order.push((now.as_nanos() / 1_000_000, name.to_string()));
        }
        let expected = [(1_000, "c"), (1_100, "a"), (1_200, "b"), (1_300, "c")];
        assert_eq!(order, expected.map(|(at, name)| (at, name.to_owned())));
        assert!(starts.is_empty() && starts.pop(now).is_none());
    }
}

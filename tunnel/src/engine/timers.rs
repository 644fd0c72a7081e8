//! The engine's own deadlines; those of IKE SAs are kept by their endpoint.

use crate::action::Ticket;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::Spi;
use tidegate_ike::{SaId, Time};

/// Why the engine wants to be woken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A connection may be looked after.
    Link(Arc<str>),
    /// One of two IKE SAs that were set up at once should be gone.
    Settle(SaId),
    /// One of two children that were set up at once should be gone.
    SettleChild(Spi),
    /// A request has had its time.
    Request(Ticket),
    /// A child may have had no traffic for long.
    Idle(Spi),
    /// What was learned of the path to there is forgotten.
    PathMtu(IpAddr),
}

/// Deadlines, each to be had once.
#[derive(Default)]
pub(super) struct Timers(BTreeSet<(Time, Due)>);

impl Timers {
    pub(super) fn set(&mut self, at: Time, due: Due) {
        self.0.insert((at, due));
    }

    pub(super) fn clear(&mut self, at: Time, due: Due) {
        self.0.remove(&(at, due));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Time) -> Option<Due> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(_, due)| due)
    }
}

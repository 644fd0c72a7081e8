//! The tables packet workers read: which SA opens a datagram, which one seals a packet.
//!
//! Control edits a draft through the [`Publisher`] and publishes it whole. All tables are trees whose nodes
//! drafts and snapshots share, so that a publication costs what was edited and not what there is. SAs are
//! behind `Arc`s that go from one snapshot to the next: counters and windows carry on.
//!
//! A worker looks, once a batch, at a number that says whether there is something newer ([`Reader`]). Only
//! then does it touch the place where the newest snapshot lies, and if anyone else is there just then, it
//! works on with the one it has and comes again with the next batch. So no reader ever waits, the common case
//! is one load of a line that rarely changes, and there is no unsafe code in it; `arc-swap` would cost more a
//! look and gain a freshness that a batch in progress could not use.

mod publisher;
mod reader;
mod slots;

pub use publisher::{InstallError, NewOutbound, Publisher, Standing};
pub use reader::Reader;
pub(crate) use slots::CAPACITY;

use crate::flow::Flow;
use crate::params::Path;
use crate::policy::{Action, Fit, FlowCache, Owner, Policy, SelectorTable};
use crate::spi::Spi;
use slots::Slots;
use std::sync::Arc;

/// One consistent state of all tables; `I` and `O` are the inbound and outbound halves of an SA.
#[derive(Debug)]
pub struct Snapshot<I, O> {
    inbound: Slots<(Spi, Arc<I>)>,
    outbound: Slots<Carrier<O>>,
    carriers: SelectorTable<Candidate>,
    policy: Policy,
    generation: u64,
    routes: u64,
}

/// An outbound half with where it goes.
#[derive(Debug)]
pub struct Carrier<O> {
    /// Its name in these tables.
    pub id: OutboundId,
    /// Whose packets it may carry.
    pub owner: Owner,
    /// What seals.
    pub sa: Arc<O>,
    /// Outer addresses and encapsulation.
    pub path: Path,
}

/// The name of an outbound half, never used twice by one publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboundId {
    slot: u32,
    serial: u64,
}

/// What becomes of a packet on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Sealed by this SA.
    Protect(OutboundId),
    /// To be protected, but its owner has no SA for it: held or dropped while one is made, never sent in
    /// clear.
    Acquire(Owner),
    /// On in clear.
    Bypass,
    /// Dropped by a rule.
    Drop,
    /// Dropped because no rule names it.
    NoRule,
}

/// What the table of selectors holds of an SA.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: OutboundId,
    owner: Owner,
}

impl<I, O> Snapshot<I, O> {
    /// The half that opens datagrams with this index.
    pub fn inbound(&self, spi: Spi) -> Option<&Arc<I>> {
        self.inbound.get(spi.slot()).filter(|(known, _)| *known == spi).map(|(_, sa)| sa)
    }

    /// The half of this name, while it is there.
    pub fn outbound(&self, id: OutboundId) -> Option<&Carrier<O>> {
        self.outbound.get(id.slot).filter(|carrier| carrier.id == id)
    }

    /// What becomes of a packet on its way out.
    pub fn decide(&self, flow: &Flow) -> Decision {
        match self.policy.action(flow) {
            Some(Action::Protect(owner)) => self.carrier(flow, owner),
            Some(Action::Bypass) => Decision::Bypass,
            Some(Action::Drop) => Decision::Drop,
            None => Decision::NoRule,
        }
    }

    /// What becomes of a packet, for flows seen before without a search. The cache has to be one that was
    /// only ever used with snapshots of the same publisher.
    pub fn decide_cached(&self, cache: &mut FlowCache, flow: &Flow) -> Decision {
        cache.get_or_decide(self.routes, flow, || self.decide(flow))
    }

    /// The rules in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many publications came before this one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn carrier(&self, flow: &Flow, owner: Owner) -> Decision {
        let of_owner = |candidate: &Candidate, fit| {
            (fit == Fit::Certain && candidate.owner == owner).then_some(candidate.id)
        };
        self.carriers.find(flow, of_owner).map_or(Decision::Acquire(owner), Decision::Protect)
    }

    fn empty() -> Self {
        Self {
            inbound: Slots::default(),
            outbound: Slots::default(),
            carriers: SelectorTable::default(),
            policy: Policy::default(),
            generation: 0,
            routes: 1,
        }
    }
}

impl<I, O> Clone for Snapshot<I, O> {
    fn clone(&self) -> Self {
        Self {
            inbound: self.inbound.clone(),
            outbound: self.outbound.clone(),
            carriers: self.carriers.clone(),
            policy: self.policy.clone(),
            generation: self.generation,
            routes: self.routes,
        }
    }
}

impl<O> Clone for Carrier<O> {
    fn clone(&self) -> Self {
        Self { sa: Arc::clone(&self.sa), ..*self }
    }
}

//! The writing side: control edits a draft and publishes it.

use super::reader::Shared;
use super::slots::CAPACITY;
use super::{Candidate, Carrier, OutboundId, Reader, Snapshot};
use crate::params::Path;
use crate::policy::{Owner, Rule, RuleId, TooManyPieces, check};
use crate::selector::SelectorPair;
use crate::spi::Spi;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Holds the draft. What it edits is seen by nobody until [`publish`](Self::publish).
#[derive(Debug)]
pub struct Publisher<I, O> {
    draft: Snapshot<I, O>,
    shared: Arc<Shared<I, O>>,
    rules: BTreeMap<RuleId, Rule>,
    outbounds: BTreeMap<OutboundId, Registered>,
    vacant: Vec<u32>,
    slots: u32,
    /// Names, ranks and rules are numbered in one sequence.
    last: u64,
    changed: bool,
    rerouted: bool,
}

/// An outbound half to be installed.
#[derive(Clone, Debug)]
pub struct NewOutbound<O> {
    /// Whose packets it may carry.
    pub owner: Owner,
    /// What was negotiated for it.
    pub selectors: Arc<SelectorPair>,
    /// What seals.
    pub sa: Arc<O>,
    /// Outer addresses and encapsulation.
    pub path: Path,
    /// Whether it carries at once.
    pub standing: Standing,
}

/// Whether a new outbound half carries packets from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It does, before older ones with the same selectors.
    Carrying,
    /// Not before [`Publisher::move_outbound`]: the peer may not be able to open what it seals yet
    /// (RFC 7296 §2.8).
    Waiting,
}

/// Why an outbound half was not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstallError {
    /// As many as there can be are there.
    Full,
    /// Its selectors are too many.
    Selectors(TooManyPieces),
}

#[derive(Debug)]
struct Registered {
    selectors: Arc<SelectorPair>,
    /// Its place among those with equal selectors; `None` while it waits.
    rank: Option<u64>,
}

impl<I, O> Default for Publisher<I, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I, O> Publisher<I, O> {
    /// Empty tables: everything is dropped.
    pub fn new() -> Self {
        let draft = Snapshot::empty();
        Self {
            shared: Arc::new(Shared::new(draft.clone())),
            draft,
            rules: BTreeMap::new(),
            outbounds: BTreeMap::new(),
            vacant: Vec::new(),
            slots: 0,
            last: 0,
            changed: false,
            rerouted: false,
        }
    }

    /// A view for one more worker.
    pub fn reader(&self) -> Reader<I, O> {
        Reader::new(Arc::clone(&self.shared))
    }

    /// What would be published now.
    pub fn draft(&self) -> &Snapshot<I, O> {
        &self.draft
    }

    /// Shows everything edited since the last time to all readers at once.
    pub fn publish(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        self.draft.generation += 1;
        if std::mem::take(&mut self.rerouted) {
            self.draft.routes += 1;
        }
        self.shared.replace(self.draft.clone());
    }

    /// Adds a rule; of equally specific ones the newest counts.
    pub fn add_rule(&mut self, rule: Rule) -> Result<RuleId, TooManyPieces> {
        check(&rule.selectors)?;
        let id = RuleId(self.number());
        self.draft.policy.insert(id, &rule);
        self.rules.insert(id, rule);
        self.reroute();
        Ok(id)
    }

    /// Takes a rule out; returns it if it was there.
    pub fn remove_rule(&mut self, id: RuleId) -> Option<Rule> {
        let rule = self.rules.remove(&id)?;
        self.draft.policy.remove(id, &rule);
        self.reroute();
        Some(rule)
    }

    /// Adds the half that opens datagrams with this index; returns the one it replaces. Indices come from
    /// the [`SpiAllocator`](crate::spi::SpiAllocator), so no two live ones share a slot.
    pub fn install_inbound(&mut self, spi: Spi, sa: Arc<I>) -> Option<Arc<I>> {
        self.changed = true;
        self.draft.inbound.set(spi.slot(), Some((spi, sa))).map(|(_, sa)| sa)
    }

    /// Takes an inbound half out; returns it if it was there.
    pub fn remove_inbound(&mut self, spi: Spi) -> Option<Arc<I>> {
        self.draft.inbound(spi)?;
        self.changed = true;
        self.draft.inbound.set(spi.slot(), None).map(|(_, sa)| sa)
    }

    /// Adds a half that seals packets.
    pub fn install_outbound(&mut self, outbound: NewOutbound<O>) -> Result<OutboundId, InstallError> {
        let NewOutbound { owner, selectors, sa, path, standing } = outbound;
        let slot = self.vacant.last().copied().unwrap_or(self.slots);
        if slot >= CAPACITY {
            return Err(InstallError::Full);
        }
        check(&selectors).map_err(InstallError::Selectors)?;
        let serial = self.number();
        let id = OutboundId { slot, serial };
        let rank = (standing == Standing::Carrying).then_some(serial);
        if let Some(rank) = rank {
            self.draft.carriers.insert(&selectors, rank, Candidate { id, owner });
        }
        if self.vacant.pop().is_none() {
            self.slots += 1;
        }
        self.draft.outbound.set(slot, Some(Carrier { id, owner, sa, path }));
        self.outbounds.insert(id, Registered { selectors, rank });
        self.reroute();
        Ok(id)
    }

    /// Lets this half carry from now on what equal selectors or its own name, before all others: a successor
    /// takes over. The predecessor stays behind it until it is removed. `false` when it is not there.
    pub fn move_outbound(&mut self, to: OutboundId) -> bool {
        let rank = self.number();
        let (Some(registered), Some(carrier)) = (self.outbounds.get_mut(&to), self.draft.outbound(to)) else {
            return false;
        };
        let candidate = Candidate { id: to, owner: carrier.owner };
        if let Some(old) = registered.rank.replace(rank) {
            self.draft.carriers.remove(&registered.selectors, old);
        }
        self.draft.carriers.insert(&registered.selectors, rank, candidate);
        self.reroute();
        true
    }

    /// Changes where a half sends to; its sequence numbers go on. `false` when it is not there.
    pub fn repath(&mut self, id: OutboundId, path: Path) -> bool {
        let Some(carrier) = self.draft.outbound(id) else { return false };
        let moved = Carrier { path, ..carrier.clone() };
        self.draft.outbound.set(id.slot, Some(moved));
        self.changed = true;
        true
    }

    /// Takes an outbound half out; older ones with equal selectors carry again. Returns it if it was there.
    pub fn remove_outbound(&mut self, id: OutboundId) -> Option<Carrier<O>> {
        let registered = self.outbounds.remove(&id)?;
        if let Some(rank) = registered.rank {
            self.draft.carriers.remove(&registered.selectors, rank);
        }
        self.vacant.push(id.slot);
        self.reroute();
        self.draft.outbound.set(id.slot, None)
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn reroute(&mut self) {
        self.changed = true;
        self.rerouted = true;
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "there are {CAPACITY} outbound SAs already"),
            Self::Selectors(error) => write!(f, "{error}"),
        }
    }
}

impl Error for InstallError {}

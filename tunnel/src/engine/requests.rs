//! What agents have asked for and wait for.

use crate::action::{Action, Outcome, Ticket};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tidegate_esp::Spi;
use tidegate_ike::{SaId, Time, Verdict};

/// Something that somebody may wait for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// A child of a connection stands.
    Up {
        /// The connection.
        link: Arc<str>,
        /// The child.
        child: Arc<str>,
    },
    /// Nothing is left of an IKE SA.
    Gone(SaId),
    /// A child is gone at both ends.
    ChildGone(Spi),
    /// An IKE SA has new keys.
    Keys(SaId),
    /// A child has new keys.
    ChildKeys(Spi),
    /// Another IKE SA has taken the place of this one, and both ends have proved anew who they are.
    Renewed(SaId),
}

/// Requests that are open, found by what they wait for.
#[derive(Default)]
pub(super) struct Requests {
    waiting: BTreeSet<(Item, Ticket)>,
    open: BTreeMap<Ticket, Open>,
}

/// A request as it was when it ended before its time.
pub(super) struct Cancelled {
    /// What it still waited for.
    pub(super) left: BTreeSet<Item>,
    /// How much was done.
    pub(super) done: usize,
    /// How long it would have waited.
    pub(super) until: Option<Time>,
}

struct Open {
    left: BTreeSet<Item>,
    done: usize,
    until: Option<Time>,
}

impl Requests {
    /// Opens a request; one that waits for nothing is done.
    pub(super) fn open(
        &mut self,
        actions: &mut VecDeque<Action>,
        ticket: Ticket,
        items: impl IntoIterator<Item = Item>,
        done: usize,
        until: Option<Time>,
    ) {
        let left: BTreeSet<Item> = items.into_iter().collect();
        if left.is_empty() {
            return tell(actions, ticket, Outcome::Done(done));
        }
        self.waiting.extend(left.iter().map(|item| (item.clone(), ticket)));
        self.open.insert(ticket, Open { left, done, until });
    }

    /// Something that may have been waited for is so.
    pub(super) fn happened(&mut self, actions: &mut VecDeque<Action>, item: &Item) {
        for ticket in self.tickets(item) {
            self.waiting.remove(&(item.clone(), ticket));
            let Some(open) = self.open.get_mut(&ticket) else { continue };
            open.left.remove(item);
            open.done += 1;
            if open.left.is_empty() {
                let done = open.done;
                self.open.remove(&ticket);
                tell(actions, ticket, Outcome::Done(done));
            }
        }
    }

    /// Something that may have been waited for does not happen.
    pub(super) fn failed(&mut self, actions: &mut VecDeque<Action>, item: &Item, outcome: &Outcome) {
        for ticket in self.tickets(item) {
            self.cancel(ticket);
            tell(actions, ticket, outcome.clone());
        }
    }

    /// What was waited for goes by another name.
    pub(super) fn rename(&mut self, old: &Item, new: &Item) {
        for ticket in self.tickets(old) {
            self.waiting.remove(&(old.clone(), ticket));
            self.waiting.insert((new.clone(), ticket));
            if let Some(open) = self.open.get_mut(&ticket) {
                open.left.remove(old);
                open.left.insert(new.clone());
            }
        }
    }

    /// Nobody waits any more.
    pub(super) fn cancel(&mut self, ticket: Ticket) -> Option<Cancelled> {
        let Open { left, done, until } = self.open.remove(&ticket)?;
        for item in &left {
            self.waiting.remove(&(item.clone(), ticket));
        }
        Some(Cancelled { left, done, until })
    }

    /// Whether somebody waits for it.
    pub(super) fn is_awaited(&self, item: &Item) -> bool {
        self.range(item).next().is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn tickets(&self, item: &Item) -> Vec<Ticket> {
        self.range(item).collect()
    }

    fn range(&self, item: &Item) -> impl Iterator<Item = Ticket> {
        let from_here = self.waiting.range((item.clone(), Ticket(0))..);
        from_here.take_while(move |(other, _)| other == item).map(|(_, ticket)| *ticket)
    }
}

pub(super) fn tell(actions: &mut VecDeque<Action>, ticket: Ticket, outcome: Outcome) {
    actions.push_back(Action::Done { ticket, outcome });
}

/// Refuses a request with a reason.
pub(super) fn fail(actions: &mut VecDeque<Action>, ticket: Ticket, verdict: Verdict) {
    tell(actions, ticket, Outcome::Failed(verdict));
}

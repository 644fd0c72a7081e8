//! Cuts between groups of addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// Names a cut, to heal it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionId(u64);

/// Which way a cut holds datagrams up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Both ways.
    Both,
    /// Only from the first group to the second.
    FirstToSecond,
}

#[derive(Default)]
pub(crate) struct Partitions {
    cuts: Vec<Cut>,
    next: u64,
}

struct Cut {
    id: PartitionId,
    first: BTreeSet<IpAddr>,
    second: BTreeSet<IpAddr>,
    way: Way,
}

impl Partitions {
    pub(crate) fn cut(&mut self, first: &[IpAddr], second: &[IpAddr], way: Way) -> PartitionId {
        let id = PartitionId(self.next);
        self.next += 1;
        let set = |group: &[IpAddr]| group.iter().copied().collect();
        self.cuts.push(Cut { id, first: set(first), second: set(second), way });
        id
    }

    pub(crate) fn heal(&mut self, id: PartitionId) {
        self.cuts.retain(|cut| cut.id != id);
    }

    pub(crate) fn heal_all(&mut self) {
        self.cuts.clear();
    }

    /// An end that stands behind NATs goes by several addresses; a cut that names any of them counts.
    pub(crate) fn hold_up(&self, from: &[IpAddr], to: &[IpAddr]) -> bool {
        let touches =
            |set: &BTreeSet<IpAddr>, end: &[IpAddr]| end.iter().any(|address| set.contains(address));
        self.cuts.iter().any(|cut| {
            touches(&cut.first, from) && touches(&cut.second, to)
                || cut.way == Way::Both && touches(&cut.second, from) && touches(&cut.first, to)
        })
    }
}

//! How long packets may be: what the path to a peer carries, less what its SAs take.
//!
//! Each half that seals limits the capture whose packets it carries. Where several do, as a child and its
//! successor, the smallest limit counts. When the last of them goes, what was said stays: the next one will most
//! likely say the same.

use super::Engine;
use super::timers::Due;
use crate::action::{Action, CaptureId};
use crate::worker::PathMtus;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::Spi;
use tidegate_ike::Time;

/// What a link carries as far as nobody says otherwise.
const LINK_MTU: usize = 1500;

/// Who limits what.
pub(super) struct Limits {
    paths: Arc<PathMtus>,
    children: BTreeMap<Spi, Limiting>,
    towards: BTreeMap<IpAddr, Towards>,
    captures: BTreeMap<CaptureId, Limit>,
}

/// A child that seals.
struct Limiting {
    capture: CaptureId,
    remote: IpAddr,
}

/// All children whose packets go to one address.
#[derive(Default)]
struct Towards {
    children: BTreeSet<Spi>,
    /// When what was learned of the path is looked at again.
    due: Option<Time>,
}

/// What children leave of a capture's packets.
#[derive(Default)]
struct Limit {
    by: BTreeMap<Spi, usize>,
    told: Option<usize>,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            paths: Arc::new(PathMtus::new(LINK_MTU)),
            children: BTreeMap::new(),
            towards: BTreeMap::new(),
            captures: BTreeMap::new(),
        }
    }

    pub(super) fn paths(&self) -> &Arc<PathMtus> {
        &self.paths
    }

    /// A child limits a capture; the new limit of the capture if it is another than before.
    fn set(&mut self, child: Spi, limiting: Limiting, mtu: usize) -> Option<usize> {
        let limit = self.captures.entry(limiting.capture).or_default();
        limit.by.insert(child, mtu);
        let changed = limit.changed();
        self.towards.entry(limiting.remote).or_default().children.insert(child);
        self.children.insert(child, limiting);
        changed
    }

    /// A child limits nothing any more; the capture that it limited, if others limit it otherwise.
    fn lift(&mut self, child: Spi) -> Option<(CaptureId, usize)> {
        let Limiting { capture, .. } = self.children.remove(&child)?;
        let limit = self.captures.get_mut(&capture)?;
        limit.by.remove(&child);
        if limit.by.is_empty() {
            self.captures.remove(&capture);
            return None;
        }
        limit.changed().map(|mtu| (capture, mtu))
    }
}

impl Limit {
    fn changed(&mut self) -> Option<usize> {
        let smallest = self.by.values().min().copied();
        if smallest == self.told {
            return None;
        }
        self.told = smallest;
        smallest
    }
}

impl Engine {
    /// A child seals, on a path that may be another than before or of which something was learned.
    pub(super) fn limit(&mut self, child: Spi) {
        let Some(known) = self.children.get(&child) else { return };
        let (Some((_, sealing)), Some(capture)) = (&known.sealing, known.capture) else { return };
        let remote = known.path.remote.ip();
        let carries = self.limits.paths.mtu(remote, self.now.time);
        let mtu = sealing.esp.inner_mtu(&known.path, carries);
        self.leave_path(child, Some(remote));
        if let Some(mtu) = self.limits.set(child, Limiting { capture, remote }, mtu) {
            self.actions.push_back(Action::LimitMtu { capture, mtu });
        }
        self.watch_path(remote);
    }

    /// A child seals no more.
    pub(super) fn unlimit(&mut self, child: Spi) {
        self.leave_path(child, None);
        if let Some((capture, mtu)) = self.limits.lift(child) {
            self.actions.push_back(Action::LimitMtu { capture, mtu });
        }
    }

    /// Something was learned of the path to an address, or forgotten.
    pub(super) fn limit_all_towards(&mut self, remote: IpAddr) {
        let Some(towards) = self.limits.towards.get(&remote) else { return };
        for child in towards.children.iter().copied().collect::<Vec<_>>() {
            self.limit(child);
        }
    }

    pub(super) fn path_due(&mut self, remote: IpAddr) {
        if let Some(towards) = self.limits.towards.get_mut(&remote) {
            towards.due = None;
        }
        self.limit_all_towards(remote);
    }

    /// What is known of a path is looked at again when it should have been forgotten. It may have been learned
    /// anew by then.
    fn watch_path(&mut self, remote: IpAddr) {
        let Some(towards) = self.limits.towards.get_mut(&remote).filter(|towards| towards.due.is_none())
        else {
            return;
        };
        if let Some(at) = self.limits.paths.forgotten_at(remote, self.now.time) {
            towards.due = Some(at);
            self.timers.set(at, Due::PathMtu(remote));
        }
    }

    /// The packets of a child go elsewhere, unless they went there before.
    fn leave_path(&mut self, child: Spi, unless: Option<IpAddr>) {
        let Some(before) = self.limits.children.get(&child).map(|limiting| limiting.remote) else { return };
        let Some(towards) = self.limits.towards.get_mut(&before).filter(|_| unless != Some(before)) else {
            return;
        };
        towards.children.remove(&child);
        if towards.children.is_empty() {
            if let Some(at) = towards.due {
                self.timers.clear(at, Due::PathMtu(before));
            }
            self.limits.towards.remove(&before);
        }
    }
}

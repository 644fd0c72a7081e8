//! Names of both ends: ours when a connection is loaded, and both before each attempt.

use super::Engine;
use super::link::{Link, Phase};
use crate::action::{Action, LookupId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::AddressRange;

/// A resolver that takes longer has no answer.
pub(super) const LOOKUP: Duration = Duration::from_secs(20);

/// Whose names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    Ours,
    Theirs,
}

impl Engine {
    /// Begins an attempt by looking up what there is to be looked up.
    pub(super) fn begin(&mut self, name: &Arc<str>) {
        match self.links.get(name).map(|link| link.connection.local_names.is_empty()) {
            Some(true) => self.seek_peer(name),
            Some(false) => self.look_up_for_attempt(name, Sought::Ours),
            None => {}
        }
    }

    /// Where we are is asked as soon as it matters, so that peers find us there.
    pub(super) fn seek_ourselves(&mut self, name: &Arc<str>) {
        if self.links.get(name).is_some_and(|link| !link.connection.local_names.is_empty()) {
            self.look_up(name, Sought::Ours);
        }
    }

    /// A trap for a peer that has names takes to know where it is.
    pub(super) fn seek_peer_of_traps(&mut self, name: &Arc<str>) {
        let named = |link: &Link| !link.connection.names.is_empty() && link.open_traps().next().is_some();
        if self.links.get(name).is_some_and(named) {
            self.look_up(name, Sought::Theirs);
        }
    }

    /// The resolver has an answer, or has none in time.
    pub(super) fn on_resolved(&mut self, lookup: LookupId, addresses: Vec<IpAddr>) {
        let Some((name, sought)) = self.lookups.remove(&lookup) else { return };
        let Some(link) = self.links.get_mut(&name) else { return };
        let attempting = link.phase == Phase::Resolving(lookup);
        if attempting {
            link.rest();
        }
        match sought {
            Sought::Ours => {
                self.we_are_at(&name, &addresses);
                if attempting {
                    self.seek_peer(&name);
                }
            }
            Sought::Theirs => {
                if !addresses.is_empty() {
                    link.found.clone_from(&addresses);
                    self.trap_at_addresses(&name);
                }
                if attempting {
                    self.attempt(&name, addresses);
                }
            }
        }
    }

    fn seek_peer(&mut self, name: &Arc<str>) {
        match self.links.get(name).map(|link| link.connection.names.is_empty()) {
            Some(true) => self.attempt(name, Vec::new()),
            Some(false) => self.look_up_for_attempt(name, Sought::Theirs),
            None => {}
        }
    }

    fn look_up_for_attempt(&mut self, name: &Arc<str>, sought: Sought) {
        let Some(lookup) = self.look_up(name, sought) else { return };
        if let Some(link) = self.links.get_mut(name) {
            link.phase = Phase::Resolving(lookup);
        }
        self.look_again(name, self.now.time + LOOKUP);
    }

    fn look_up(&mut self, name: &Arc<str>, sought: Sought) -> Option<LookupId> {
        let link = self.links.get(name)?;
        let names = match sought {
            Sought::Ours => link.connection.local_names.clone(),
            Sought::Theirs => link.connection.names.clone(),
        };
        self.last_lookup += 1;
        let lookup = LookupId(self.last_lookup);
        self.lookups.insert(lookup, (Arc::clone(name), sought));
        self.actions.push_back(Action::Resolve { lookup, names });
        Some(lookup)
    }

    /// Names that lead nowhere leave it as it was.
    fn we_are_at(&mut self, name: &Arc<str>, addresses: &[IpAddr]) {
        let Some(link) = self.links.get_mut(name) else { return };
        let hosts: Vec<AddressRange> = addresses.iter().copied().map(AddressRange::host).collect();
        if hosts.is_empty() || link.connection.ike.local.addresses == hosts {
            return;
        }
        link.connection.ike.local.addresses = hosts;
        let connection = Link::for_endpoint(&link.connection);
        self.ike.update(connection);
        self.trap_at_addresses(name);
    }
}

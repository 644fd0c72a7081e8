//! What a connection protects before there is an SA: what its configuration says, and for children that traffic
//! brings up and that carry what the ends themselves say, the addresses that the ends have now.

use super::Engine;
use super::link::{Link, at_addresses};
use crate::connection::Child;
use std::net::IpAddr;
use std::sync::Arc;

impl Engine {
    /// Puts in force all that a connection protects from now on.
    pub(super) fn protect(&mut self, name: &Arc<str>) {
        let Some(link) = self.links.get(name) else { return };
        let mut all = Link::fixed_selectors(&link.connection);
        if let Some((ours, theirs)) = self.ends(name, link) {
            let traps = link.open_traps();
            let placed = |child: &Child| Arc::new(at_addresses(child, ours, theirs));
            all.extend(traps.map(|child| (Arc::clone(&child.config.name), placed(child))));
        }
        let owner = link.owner;
        self.policy.replace(&mut self.tables, &mut self.actions, owner, &all);
    }

    /// The ends have other addresses than before, or may have.
    pub(super) fn trap_at_addresses(&mut self, name: &Arc<str>) {
        if self.links.get(name).is_some_and(|link| link.open_traps().next().is_some()) {
            self.protect(name);
        }
    }

    /// The same of all connections.
    pub(super) fn trap_anew(&mut self) {
        let open = self.links.iter().filter(|(_, link)| link.open_traps().next().is_some());
        let open: Vec<_> = open.map(|(name, _)| Arc::clone(name)).collect();
        open.iter().for_each(|name| self.protect(name));
    }

    /// Where an attempt would go from and to, were it made now.
    fn ends(&self, name: &str, link: &Link) -> Option<(IpAddr, IpAddr)> {
        let candidates = link.candidates(link.found.clone());
        candidates.into_iter().find_map(|theirs| Some((self.ike.address_towards(name, theirs)?, theirs)))
    }
}

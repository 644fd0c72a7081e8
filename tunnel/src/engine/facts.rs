//! What is told of children that come and go.

use super::Engine;
use crate::connection::ChildMode;
use crate::event::{ChildFacts, Event};
use std::sync::Arc;
use tidegate_esp::Spi;

impl Engine {
    /// A child has come up.
    pub(super) fn tell_up(&mut self, child: Spi) {
        let Some(facts) = self.facts(child).map(Arc::new) else { return };
        let Some(known) = self.children.get_mut(&child) else { return };
        known.facts = Some(Arc::clone(&facts));
        self.tell(Event::ChildUp(facts));
    }

    /// A successor has taken the place of a child, and is told of in its stead when it goes.
    pub(super) fn pass_facts_on(&mut self, old: Spi, new: Spi) {
        let outbound = self.child_status(new).map(|(_, status)| status.outbound());
        let Some(before) = self.children.get_mut(&old) else { return };
        let (facts, idle) = (before.facts.take(), before.idle.take());
        let since = idle.map_or(self.now.time, |idle| idle.since);
        if let (Some(known), Some(mut facts), Some(outbound)) = (self.children.get_mut(&new), facts, outbound)
        {
            let of_new = Arc::make_mut(&mut facts);
            (of_new.spi_in, of_new.spi_out) = (new, outbound);
            of_new.selectors = Arc::clone(&known.selectors);
            known.facts = Some(facts);
        }
        self.watch_idle(new, since, 1);
    }

    fn facts(&self, child: Spi) -> Option<ChildFacts> {
        let known = self.children.get(&child)?;
        let (id, status) = self.child_status(child)?;
        let sa = self.ike.status(id)?;
        let stands = self.sas.get(&id)?;
        let config = self.links.get(&known.link)?.child(&known.name);
        // They belong to the end that has asked for them.
        let given = sa.virtual_addresses();
        let peer_addresses = if stands.addresses.is_empty() { given.to_vec() } else { Vec::new() };
        Some(ChildFacts {
            connection: Arc::clone(&known.link),
            child: Arc::clone(&known.name),
            updown: config.and_then(|config| config.updown.clone()),
            reqid: known.reqid,
            mode: ChildMode::Tunnel,
            ike_sa: self.numbers.get(&id).copied().unwrap_or(0),
            spi_in: child,
            spi_out: status.outbound(),
            local_id: sa.connection()?.local.identity.clone(),
            remote_id: (*stands.peer).clone(),
            local: known.path.local,
            remote: known.path.remote,
            encapsulation: known.path.encapsulation,
            selectors: Arc::clone(&known.selectors),
            addresses: stands.addresses.clone(),
            dns: stands.dns.clone(),
            peer_addresses,
        })
    }
}

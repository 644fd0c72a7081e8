//! What is told of SAs that come and go.

use super::Engine;
use crate::connection::ChildMode;
use crate::event::{ChildFacts, Event, IkeFacts};
use std::sync::Arc;
use tidegate_esp::Spi;
use tidegate_ike::identity::Identity;
use tidegate_ike::{Path, Role, SaId};

impl Engine {
    /// An attempt of ours begins.
    pub(super) fn tell_attempt(&mut self, sa: SaId, child: Option<Arc<str>>) {
        let Some(status) = self.ike.status(sa) else { return };
        let Some(connection) = status.connection().map(|connection| Arc::clone(&connection.name)) else {
            return;
        };
        let (peer, ike_sa) = (status.path().remote, self.numbers.get(&sa).copied().unwrap_or(0));
        self.tell(Event::Attempt { connection, child, ike_sa, peer });
    }

    /// An IKE SA has come up.
    pub(super) fn tell_ike_up(&mut self, sa: SaId, peer: &Identity) {
        let Some(facts) = self.ike_facts(sa, peer).map(Arc::new) else { return };
        if let Some(known) = self.sas.get_mut(&sa) {
            known.facts = Some(Arc::clone(&facts));
            self.tell(Event::IkeUp(facts));
        }
    }

    /// The peer, or we, are at another address.
    pub(super) fn note_move(&mut self, sa: SaId, path: Path) {
        if let Some(facts) = self.sas.get_mut(&sa).and_then(|sa| sa.facts.as_mut()) {
            let facts = Arc::make_mut(facts);
            (facts.local, facts.remote) = (path.local, path.remote);
        }
    }

    /// Children have moved to this IKE SA.
    pub(super) fn note_successor(&mut self, sa: SaId) {
        let number = self.numbers.get(&sa).copied().unwrap_or(0);
        let children = self.ike.status(sa).into_iter().flat_map(|sa| sa.children().collect::<Vec<_>>());
        for child in children.map(|child| child.inbound()).collect::<Vec<_>>() {
            if let Some(facts) = self.children.get_mut(&child).and_then(|child| child.facts.as_mut()) {
                Arc::make_mut(facts).ike_sa = number;
            }
        }
    }

    /// What is told of an IKE SA that has taken the place of another.
    pub(super) fn renamed(&self, facts: &IkeFacts, new: SaId) -> Option<Arc<IkeFacts>> {
        self.ike_facts(new, &facts.remote_id).map(Arc::new)
    }

    fn ike_facts(&self, sa: SaId, peer: &Identity) -> Option<IkeFacts> {
        let status = self.ike.status(sa)?;
        let connection = status.connection()?;
        Some(IkeFacts {
            connection: Arc::clone(&connection.name),
            sa,
            number: self.numbers.get(&sa).copied().unwrap_or(0),
            initiator: status.role() == Role::Initiator,
            spis: (status.spis().initiator.0, status.spis().responder.0),
            local_id: connection.local.identity.clone(),
            remote_id: peer.clone(),
            local: status.path().local,
            remote: status.path().remote,
        })
    }

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
            of_new.number = known.number;
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
            host_access: config.map(|config| config.host_access).unwrap_or_default(),
            reqid: known.reqid,
            mode: ChildMode::Tunnel,
            ike_sa: self.numbers.get(&id).copied().unwrap_or(0),
            number: known.number,
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

//! What the endpoint tells: IKE SAs and children that come, go, or change their keys.

use super::Engine;
use super::children::Ending;
use super::requests::Item;
use super::settle::Loss;
use super::timers::Due;
use crate::action::{Action, Outcome};
use crate::event::{Event, IkeFacts};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::Spi;
use tidegate_ike::identity::Identity;
use tidegate_ike::wire::NotifyType;
use tidegate_ike::{Cause, Culprit, Role, SaId, Time, Verdict};

/// An IKE SA that stands.
pub(super) struct Sa {
    pub(super) link: Arc<str>,
    pub(super) peer: Arc<Identity>,
    /// We set it up.
    pub(super) ours: bool,
    pub(super) began: Time,
    pub(super) stood: Time,
    /// Another was set up at the same time, and it goes for that one.
    pub(super) lost: Option<Loss>,
    /// It does so, or somebody wants it closed; nothing new begins on it.
    pub(super) condemned: bool,
    /// Its children have been closed, and it follows.
    pub(super) emptied: bool,
    /// Addresses that the peer gave us.
    pub(super) addresses: Vec<IpAddr>,
    /// DNS servers that the peer told us of.
    pub(super) dns: Vec<IpAddr>,
    /// As it was told of.
    pub(super) facts: Option<Arc<IkeFacts>>,
}

/// So long is a peer that has just set up an IKE SA, or closed something, left to do the rest by itself.
const PATIENCE: Duration = Duration::from_secs(2);

impl Engine {
    pub(super) fn on_ike_event(&mut self, event: tidegate_ike::Event) {
        use tidegate_ike::Event as Ike;
        if !matches!(event, Ike::IkeGone { .. }) {
            self.tell(Event::Ike(event.clone()));
        }
        match event {
            Ike::IkeEstablished { sa, connection, peer, .. } => self.ike_stands(sa, connection, peer),
            Ike::IkeFailed { sa, connection, verdict, .. } => {
                self.peers_attempt_failed(connection.as_ref(), &verdict);
                self.ike_failed(sa, &verdict);
            }
            Ike::IkeRekeyed { old, new } => self.ike_rekeyed(old, new),
            Ike::IkeClosed { sa, connection, verdict } => self.ike_closed(sa, &connection, &verdict),
            Ike::IkeGone { sa } => {
                let unheard = Verdict { culprit: Culprit::Us, cause: Cause::ClosedByUs };
                self.ike_failed(sa, &unheard);
                if let Some(number) = self.numbers.remove(&sa) {
                    self.by_number.remove(&number);
                }
                self.requests.happened(&mut self.actions, &Item::Gone(sa));
            }
            Ike::Configured { sa, addresses, dns, .. } => self.configured(sa, addresses, dns),
            Ike::ChildEstablished { sa, child, .. } => self.child_established(sa, child),
            Ike::ChildRekeyed { old, new, .. } => self.child_rekeyed(old, new),
            Ike::ChildFailed { sa, name: Some(name), verdict } => self.child_failed(sa, &name, &verdict),
            Ike::ChildClosed { sa, child, name, verdict } => self.child_closed(sa, child, &name, verdict),
            Ike::ChildFailed { sa, name: None, verdict } => {
                if let Some(link) = self.sas.get(&sa).and_then(|sa| self.links.get_mut(&sa.link)) {
                    link.verdict = Some(verdict);
                }
            }
            Ike::PeerMoved { sa, path } => self.note_move(sa, path),
            Ike::Refused { .. } | Ike::Warning { .. } => {}
        }
    }

    fn ike_stands(&mut self, sa: SaId, name: Arc<str>, peer: Identity) {
        let now = self.now.time;
        self.number(sa);
        self.attempts.remove(&sa);
        self.replacements.remove(&sa);
        let status = self.ike.status(sa);
        let ours = status.is_some_and(|status| status.role() == Role::Initiator);
        let began = status.map_or(now, |status| status.began());
        let peer = Arc::new(peer);
        self.by_peer.insert((Arc::clone(&peer), sa));
        let link = Arc::clone(&name);
        let stands = Sa {
            link,
            peer,
            ours,
            began,
            stood: now,
            lost: None,
            condemned: false,
            emptied: false,
            addresses: Vec::new(),
            dns: Vec::new(),
            facts: None,
        };
        let who = Arc::clone(&stands.peer);
        self.sas.insert(sa, stands);
        let Some(link) = self.links.get_mut(&name) else {
            // It was unloaded while the peer was at it.
            return self.close_sa(sa);
        };
        link.sas.insert(sa);
        if link.is_attempting(sa) {
            link.rest();
        }
        if !ours {
            link.patience = Some(now + PATIENCE);
        }
        self.dirty.insert(name);
        self.tell_ike_up(sa, &who);
        match self.another_of_ours(sa).filter(|_| ours) {
            Some(other) => self.give_way(sa, other),
            None => self.settle_with_others(sa),
        }
    }

    /// Whoever looks why a connection is down is told about the peer's attempts too. A connection that is up
    /// is not blemished by them: they come from somebody who has proved nothing.
    fn peers_attempt_failed(&mut self, connection: Option<&Arc<str>>, verdict: &Verdict) {
        if let Some(link) = connection.and_then(|name| self.links.get_mut(name))
            && link.sas.is_empty()
        {
            link.verdict = Some(verdict.clone());
        }
    }

    fn ike_failed(&mut self, sa: SaId, verdict: &Verdict) {
        if let Some(old) = self.replacements.remove(&sa) {
            self.requests.failed(&mut self.actions, &Item::Renewed(old), &Outcome::Failed(verdict.clone()));
        }
        let Some(name) = self.attempts.remove(&sa) else { return };
        let Some(link) = self.links.get_mut(&name) else { return };
        link.forget_asked(sa);
        if link.is_attempting(sa) {
            link.rest();
            self.attempt_failed(&name, None, verdict, &Outcome::Failed(verdict.clone()));
        }
    }

    fn ike_rekeyed(&mut self, old: SaId, new: SaId) {
        self.number(new);
        self.requests.happened(&mut self.actions, &Item::Keys(old));
        self.requests.rename(&Item::Gone(old), &Item::Gone(new));
        self.requests.rename(&Item::Renewed(old), &Item::Renewed(new));
        self.replacements.values_mut().filter(|replaced| **replaced == old).for_each(|it| *it = new);
        let Some(mut sa) = self.sas.remove(&old) else { return };
        sa.facts = sa.facts.and_then(|facts| self.renamed(&facts, new));
        self.note_successor(new);
        self.by_peer.remove(&(Arc::clone(&sa.peer), old));
        self.by_peer.insert((Arc::clone(&sa.peer), new));
        if let Some(link) = self.links.get_mut(&sa.link) {
            if link.sas.remove(&old) {
                link.sas.insert(new);
            }
            link.wishes.iter_mut().filter(|wish| wish.asked == Some(old)).for_each(|w| w.asked = Some(new));
            self.dirty.insert(Arc::clone(&sa.link));
        }
        self.sas.insert(new, sa);
        self.rival_renamed(old, new);
    }

    fn ike_closed(&mut self, sa: SaId, name: &Arc<str>, verdict: &Verdict) {
        let known = self.sas.remove(&sa);
        let condemned = known.as_ref().is_some_and(|sa| sa.condemned);
        let failed = Outcome::Failed(verdict.clone());
        self.requests.failed(&mut self.actions, &Item::Keys(sa), &failed);
        match verdict.cause {
            Cause::Replaced => self.requests.happened(&mut self.actions, &Item::Renewed(sa)),
            _ => self.requests.failed(&mut self.actions, &Item::Renewed(sa), &failed),
        }
        if let Some(known) = known {
            self.by_peer.remove(&(Arc::clone(&known.peer), sa));
            self.rival_closed(sa, &known, &verdict.cause);
            self.drop_addresses(known.addresses);
            self.closed.extend(known.facts);
        }
        let Some(link) = self.links.get_mut(name) else { return };
        let counted = link.sas.remove(&sa);
        let cut_short = link.wishes.iter().any(|wish| wish.asked == Some(sa) && wish.is_missing());
        link.forget_asked(sa);
        if counted && by_peer(verdict) {
            link.patience = Some(self.now.time + PATIENCE);
        }
        self.dirty.insert(Arc::clone(name));
        if counted && cut_short && !condemned {
            self.attempt_failed(name, None, verdict, &Outcome::Failed(verdict.clone()));
        }
    }

    fn configured(&mut self, sa: SaId, addresses: Vec<IpAddr>, dns: Vec<IpAddr>) {
        let Some(known) = self.sas.get_mut(&sa) else { return };
        known.dns = dns;
        let old = std::mem::replace(&mut known.addresses, addresses.clone());
        for address in addresses {
            let users = self.addresses.entry(address).or_default();
            *users += 1;
            if *users == 1 {
                self.actions.push_back(Action::AddAddress(address));
            }
        }
        self.drop_addresses(old);
    }

    fn drop_addresses(&mut self, addresses: Vec<IpAddr>) {
        for address in addresses {
            let Some(users) = self.addresses.get_mut(&address) else { continue };
            *users -= 1;
            if *users == 0 {
                self.addresses.remove(&address);
                self.actions.push_back(Action::RemoveAddress(address));
            }
        }
    }

    fn child_established(&mut self, sa: SaId, child: Spi) {
        if self.refused.contains_key(&child) {
            return;
        }
        let Some(known) = self.children.get(&child) else { return };
        let (name, child_name) = (Arc::clone(&known.link), Arc::clone(&known.name));
        let asked_by_us = self.child_status(child).is_none_or(|(_, status)| status.role() == Role::Initiator);
        self.stands(child);
        let Some(link) = self.links.get_mut(&name) else { return };
        let Some(wish) = link.wish_mut(&child_name) else {
            // Its configuration has gone while it was negotiated.
            return self.close_child(child);
        };
        let crossed = if wish.asked == Some(sa) && asked_by_us {
            wish.asked = None;
            wish.crossed.take()
        } else {
            // The peer's may have crossed ours.
            wish.crossed = (wish.asked == Some(sa)).then_some(child);
            None
        };
        if let Some(other) = crossed {
            self.settle_children(child, other);
        }
        self.tell_up(child);
        self.watch_idle(child, self.now.time, 0);
        self.settle_for(sa);
    }

    /// A child counts from now on.
    pub(super) fn stands(&mut self, child: Spi) {
        let Some(known) = self.children.get(&child) else { return };
        let (name, child_name) = (Arc::clone(&known.link), Arc::clone(&known.name));
        let Some(link) = self.links.get_mut(&name) else { return };
        let Some(wish) = link.wish_mut(&child_name) else { return };
        wish.standing.insert(child);
        wish.packet = None;
        wish.tried = 0;
        link.failures = 0;
        link.retry_at = None;
        self.requests.happened(&mut self.actions, &Item::Up { link: Arc::clone(&name), child: child_name });
        self.dirty.insert(name);
    }

    fn child_rekeyed(&mut self, old: Spi, new: Spi) {
        self.requests.happened(&mut self.actions, &Item::ChildKeys(old));
        self.requests.rename(&Item::ChildGone(old), &Item::ChildGone(new));
        let condemned = self.children.get(&old).is_some_and(|child| child.condemned);
        if let Some(child) = self.children.get_mut(&new) {
            child.condemned = condemned;
        }
        self.pass_facts_on(old, new);
        self.stands(new);
        if condemned {
            self.timers.set(self.now.time, Due::SettleChild(new));
        }
        let Some(known) = self.children.get(&old) else { return };
        if let Some(wish) = self.links.get_mut(&known.link).and_then(|link| link.wish_mut(&known.name)) {
            wish.standing.remove(&old);
        }
    }

    fn child_failed(&mut self, sa: SaId, child: &Arc<str>, verdict: &Verdict) {
        let link = self.sas.get(&sa).map(|sa| Arc::clone(&sa.link));
        let Some(name) = link else { return };
        let Some(wish) = self.links.get_mut(&name).and_then(|link| link.wish_mut(child)) else { return };
        let outcome = Outcome::Failed(verdict.clone());
        if wish.asked == Some(sa) {
            wish.asked = None;
            wish.crossed = None;
            return self.attempt_failed(&name, Some(child), verdict, &outcome);
        }
        let Some(status) = self.ike.status(sa) else { return };
        for spi in status.children().filter(|other| other.name() == child).map(|other| other.inbound()) {
            self.requests.failed(&mut self.actions, &Item::ChildKeys(spi), &outcome);
        }
    }

    fn child_closed(&mut self, sa: SaId, child: Spi, child_name: &Arc<str>, verdict: Verdict) {
        let failed = Outcome::Failed(verdict.clone());
        self.requests.failed(&mut self.actions, &Item::ChildKeys(child), &failed);
        let of_sa = self.sas.get(&sa).map(|sa| &sa.link);
        let of_child = self.children.get(&child).map(|child| &child.link);
        let of_ending = self.ending.get(&child).map(|ending| &ending.link);
        let Some(name) = of_sa.or(of_child).or(of_ending).cloned() else { return };
        if let Some(verdict) = self.refused.remove(&child) {
            if let Some(wish) = self.links.get_mut(&name).and_then(|link| link.wish_mut(child_name)) {
                wish.asked = None;
            }
            return self.attempt_failed(&name, Some(child_name), &verdict, &Outcome::Failed(verdict.clone()));
        }
        let ending = self.ending.remove(&child).unwrap_or_else(|| {
            let known = self.children.get_mut(&child);
            let (condemned, facts) =
                known.map_or((true, None), |known| (known.condemned, known.facts.take()));
            Ending { link: name, name: Arc::clone(child_name), condemned, facts }
        });
        self.child_ended(child, ending, verdict, Some(sa));
    }

    /// A child that stood does so no more.
    pub(super) fn child_ended(&mut self, child: Spi, ending: Ending, verdict: Verdict, sa: Option<SaId>) {
        if let Some(child) = ending.facts {
            self.tell(Event::ChildDown { child, verdict: verdict.clone() });
        }
        let Some(link) = self.links.get_mut(&ending.link) else { return };
        self.dirty.insert(Arc::clone(&ending.link));
        let patience = self.now.time + PATIENCE;
        let Some(wish) = link.wish_mut(&ending.name) else { return };
        let last = wish.standing.remove(&child) && wish.standing.is_empty();
        if last && !ending.condemned {
            match verdict.cause {
                Cause::ClosedByUs | Cause::Replaced => {}
                // The endpoint asks for it anew by itself.
                Cause::Refused(NotifyType::CHILD_SA_NOT_FOUND) => wish.asked = sa,
                Cause::ClosedByPeer => wish.ended(wish.on_close),
                _ => wish.ended(wish.on_death),
            }
            if by_peer(&verdict) {
                link.patience = Some(patience);
            }
        }
        if last {
            link.leave_to_peers();
            link.verdict = Some(verdict);
            self.trap_at_addresses(&ending.link);
        }
    }

    /// Gives an IKE SA a number that people can say.
    pub(super) fn number(&mut self, sa: SaId) {
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.numbers.entry(sa) {
            self.last_number += 1;
            vacant.insert(self.last_number);
            self.by_number.insert(self.last_number, sa);
        }
    }
}

/// Whether the peer is there and has done it, so that it may do something about it as well.
fn by_peer(verdict: &Verdict) -> bool {
    matches!(verdict.cause, Cause::ClosedByPeer | Cause::PeerRestarted)
}

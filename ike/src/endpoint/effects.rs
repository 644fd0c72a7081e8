//! What one SA's step means for others, and for the tables.

use super::{Endpoint, SaId};
use crate::connection::Connection;
use crate::core::Effect;
use crate::event::Event;
use crate::exchange::rekey_ike;
use crate::identity::Identity;
use crate::output::Path;
use crate::sa::child::{Child, Fate};
use crate::sa::established::Luggage;
use crate::sa::initiate::Goal;
use crate::sa::{IkeSa, Role, State};
use crate::verdict::{Cause, Culprit, Verdict};
use std::sync::Arc;

impl Endpoint {
    /// Brings the tables up to date with an SA that has just made a step.
    pub(super) fn after_step(&mut self, id: SaId) {
        self.settle_tally(id);
        self.table.reindex(id);
        self.bury_if_closed(id);
        self.core.fragments_held = self.table.fragments_held();
        self.settle_effects();
    }

    /// Carries out what steps have left behind; carrying it out may be a step of another SA.
    pub(super) fn settle_effects(&mut self) {
        while let Some(effect) = self.core.effects.pop_front() {
            match effect {
                Effect::Spawn(sa) => {
                    let id = sa.frame.id;
                    let name = match &sa.state {
                        State::Established(sa) => {
                            Some((Arc::clone(&sa.connection.name), Arc::clone(&sa.peer)))
                        }
                        _ => None,
                    };
                    self.table.insert(*sa);
                    if let Some((name, peer)) = name {
                        self.table.name_connection(id, name);
                        self.table.set_peer(id, Arc::clone(&peer));
                        self.core.peers.add(peer, id);
                    }
                    self.table.reindex(id);
                }
                Effect::Adopt { from, to, luggage } => self.adopt(from, to, *luggage),
                Effect::Settle { old, winner } => self.settle(old, winner),
                Effect::Close(id, verdict) => self.close(id, verdict),
                Effect::ChildAdded(child, id) => self.table.add_child(child, id),
                Effect::ChildRemoved(child) => self.table.remove_child(child),
                Effect::Authenticated { sa, alone_since } => self.authenticated(sa, alone_since),
                Effect::Displaced(id) => self.displaced(id),
                Effect::HalfOpenOver(id) => self.half_open_over(id),
                Effect::Reauthenticate(old, connection, path) => self.begin_again(old, &connection, path),
            }
        }
    }

    /// What the step has counted belongs to the connection of its SA. Of connections that are gone nothing is
    /// kept, or every name that there ever was would stay.
    fn settle_tally(&mut self, id: SaId) {
        let name = self.table.connection_of(id).filter(|name| self.core.registry.get(name).is_some());
        self.core.ledger.settle(name.cloned());
    }

    fn bury_if_closed(&mut self, id: SaId) {
        let Some(sa) = self.table.get(id) else { return };
        match sa.state {
            State::Closed => {
                self.half_open_over(id);
                self.leave_peers(id);
                // Anybody may begin one and let it lie.
                let known = self.table.has_connection(id);
                self.table.remove(id);
                self.core.ids.give_back(id);
                if known {
                    self.core.event(Event::IkeGone { sa: id });
                }
            }
            State::Closing(_) => {
                self.half_open_over(id);
                self.leave_peers(id);
            }
            _ => {}
        }
    }

    /// The peer of an SA that ends is no longer known by it.
    fn leave_peers(&mut self, id: SaId) {
        if let Some(peer) = self.table.take_peer(id) {
            self.core.peers.remove(peer, id);
        }
    }

    pub(super) fn half_open_over(&mut self, id: SaId) {
        if let Some(knocked) = self.table.end_half_open(id) {
            self.gate.left(knocked.by.0.ip(), knocked.proven);
        }
    }

    fn adopt(&mut self, from: SaId, to: SaId, luggage: Luggage) {
        if self.table.established(to).is_none() {
            self.core.pools.release(to);
            return luggage.discard(&mut self.core);
        }
        let lingering: Vec<_> = luggage.spis().collect();
        for child in lingering {
            self.table.add_child(child, to);
        }
        self.replacement_moves(from, to, &luggage);
        let ours = self.table.get(to).is_some_and(|sa| sa.frame.role == Role::Initiator);
        self.core.ledger.ike_rekeyed(ours);
        self.core.event(Event::IkeRekeyed { old: from, new: to });
        self.step(to, |sa, core| {
            sa.with_established(core, |mut sa, frame, core| {
                sa.adopt(frame, core, luggage);
                sa.advance(frame, core)
            });
        });
    }

    /// A reauthentication is under way from or to an IKE SA that has just been rekeyed.
    fn replacement_moves(&mut self, from: SaId, to: SaId, luggage: &Luggage) {
        if let Some(replacement) = luggage.replaced_by {
            match self.table.get_mut(replacement).map(|sa| &mut sa.state) {
                Some(State::Initiating(attempt)) => attempt.replaces_instead(to),
                Some(State::Established(sa)) if sa.replaces == Some(from) => sa.replaces = Some(to),
                _ => {}
            }
        }
        if let Some(replaced) = luggage.replaces
            && let Some((_, sa)) = self.table.get_mut(replaced).and_then(IkeSa::established)
        {
            sa.replaced_by = Some(to);
        }
    }

    fn settle(&mut self, old: SaId, winner: SaId) {
        self.step(old, |sa, core| {
            if let Some((frame, sa)) = sa.established() {
                rekey_ike::hand_over(sa, frame, core, winner);
            }
        });
    }

    /// The peer has lost this SA; nobody needs to be told.
    fn forget(&mut self, id: SaId, verdict: Verdict) {
        self.step(id, |sa, core| {
            sa.with_established(core, |sa, frame, core| sa.vanish(frame, core, verdict));
        });
    }

    fn authenticated(&mut self, sa: SaId, alone_since: Option<u64>) {
        let Some(established) = self.table.established(sa) else { return };
        let peer = Arc::clone(&established.peer);
        let ours = established.connection.local.identity.clone();
        let name = Arc::clone(&established.connection.name);
        self.table.name_connection(sa, name);
        self.table.set_peer(sa, Arc::clone(&peer));
        self.core.peers.add(Arc::clone(&peer), sa);
        if let Some(since) = alone_since {
            self.forget_earlier(sa, &peer, &ours, since);
        }
        self.displace_earlier(sa);
    }

    /// The peer had no IKE SA with us when it began this one.
    fn forget_earlier(&mut self, sa: SaId, peer: &Arc<Identity>, ours: &Identity, since: u64) {
        // RFC 7296 §2.4: the peer says that it has no other IKE SA between these two identities. One that was
        // set up since may have crossed this one on the way: of that it speaks no word.
        let others: Vec<_> = self.core.peers.of(peer).filter(|old| *old != sa).collect();
        for old in others {
            let before = self.table.get(old).is_some_and(|old| old.frame.turn < since);
            let same = self.table.established(old).is_some_and(|old| old.connection.local.identity == *ours);
            if same && before {
                self.forget(old, Verdict::new(Culprit::Peer, Cause::PeerRestarted));
            }
        }
    }

    /// Reauthentication, make before break: a new IKE SA with the children of the old one, which goes when
    /// they all stand.
    fn begin_again(&mut self, old: SaId, connection: &Arc<Connection>, path: Path) {
        let Some(established) = self.table.established(old) else { return };
        // Once at a time.
        if established.replaced_by.is_some_and(|other| self.table.get(other).is_some()) {
            return;
        }
        let standing = established.children.iter().filter(|child| child.fate == Fate::Standing);
        // As they are loaded now, if they still are.
        let (connection, children) = match self.core.registry.get(&connection.name) {
            Some(loaded) => {
                let named = |child: &Child| loaded.children.iter().find(|it| it.name == child.config.name);
                (Arc::clone(loaded), standing.filter_map(named).cloned().collect())
            }
            None => (Arc::clone(connection), standing.map(|child| Arc::clone(&child.config)).collect()),
        };
        // RFC 4555 §3.5: only whoever has set an IKE SA up may move it, and it is the other end that had a reason
        // to: one behind a NAT perhaps. Without MOBIKE we follow it to where its packets come from.
        let mobike = established.origin == Role::Initiator && established.connection.mobike;
        let connection = match connection.mobike && !mobike {
            true => Arc::new(Connection { mobike, ..(*connection).clone() }),
            false => connection,
        };
        let deadline = self.core.now.time + connection.retransmission.give_up;
        let goal = Goal { replaces: Some(old), ..Goal::new(connection, children, deadline) };
        let replacement = self.attempt(goal, path).ok();
        if let Some((_, sa)) = self.table.get_mut(old).and_then(IkeSa::established) {
            sa.replaced_by = replacement;
        }
    }
}

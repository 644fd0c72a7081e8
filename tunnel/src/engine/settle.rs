//! Two ends that set up the same thing at once end with one of it.
//!
//! Which of the two it is follows from their SPIs, which both ends know. The end that set up the winner knows
//! that it stands at both ends, so it closes the loser; nothing is lost on the way. Should that end not know what it ought to do, the other one does it some seconds later. One end may
//! see no more than one after the other where the other end sees both at once: it takes but one to settle it.

use super::Engine;
use super::timers::Due;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::Spi;
use tidegate_ike::SaId;
use tidegate_ike::endpoint::Phase as SaPhase;
use tidegate_ike::identity::Identity;

/// So long is left to the end whose business it is.
const COURTESY: Duration = Duration::from_secs(8);

impl Engine {
    /// Looks for an IKE SA with the same peer that was set up by the other end at the same time.
    pub(super) fn settle_with_others(&mut self, sa: SaId) {
        let Some(known) = self.sas.get(&sa) else { return };
        let rival = self.of_peer(&known.peer).filter(|other| *other != sa).find(|other| {
            self.sas.get(other).is_some_and(|other| {
                let crossed = other.began <= known.stood && known.began <= other.stood;
                other.link == known.link && other.ours != known.ours && crossed && !other.condemned
            })
        });
        let Some(rival) = rival else { return };
        let (winner, loser) = if self.rank(sa) > self.rank(rival) { (sa, rival) } else { (rival, sa) };
        if let Some(winner) = self.sas.get_mut(&winner) {
            winner.loser = Some(loser);
        }
        if let Some(loser) = self.sas.get_mut(&loser) {
            loser.condemned = true;
        }
        self.timers.set(self.now.time + COURTESY, Due::Settle(loser));
        self.settle_for(winner);
    }

    /// Whether we have set up another one with the same peer, which this one is not to take the place of. Of two
    /// attempts both may succeed: one to replace an IKE SA that has gone in the meantime, and one since then.
    pub(super) fn is_one_too_many(&self, sa: SaId) -> bool {
        let Some(known) = self.sas.get(&sa) else { return false };
        let replaced = self.ike.status(sa).and_then(|sa| sa.replaces());
        self.of_peer(&known.peer).filter(|other| *other != sa && Some(*other) != replaced).any(|other| {
            let stands = self.ike.status(other).is_some_and(|sa| sa.phase() == SaPhase::Established);
            let same = |other: &super::Sa| other.link == known.link && other.ours && !other.condemned;
            stands && self.sas.get(&other).is_some_and(same)
        })
    }

    /// A winner may have got all that the loser has.
    pub(super) fn settle_for(&mut self, winner: SaId) {
        let Some(known) = self.sas.get(&winner) else { return };
        let Some(loser) = known.loser.filter(|_| known.ours) else { return };
        self.settle(winner, loser);
    }

    /// The end whose business it was has had its time.
    pub(super) fn settle_due(&mut self, loser: SaId) {
        let Some(known) = self.sas.get(&loser).filter(|sa| sa.condemned) else { return };
        match self.winner_over(&known.peer, loser) {
            Some(_) if known.emptied => self.close_sa(loser),
            Some(winner) => {
                self.settle(winner, loser);
                self.timers.set(self.now.time + COURTESY, Due::Settle(loser));
            }
            None => self.without_winner(loser),
        }
    }

    /// A loser has new keys, and with them another name.
    pub(super) fn loser_renamed(&mut self, peer: &Arc<Identity>, old: SaId, new: SaId) {
        let winner = self.winner_over(peer, old).and_then(|winner| self.sas.get_mut(&winner));
        if let Some(winner) = winner {
            winner.loser = Some(new);
        }
    }

    fn winner_over(&self, peer: &Arc<Identity>, loser: SaId) -> Option<SaId> {
        self.of_peer(peer).find(|sa| self.sas.get(sa).is_some_and(|sa| sa.loser == Some(loser)))
    }

    fn of_peer(&self, peer: &Arc<Identity>) -> impl Iterator<Item = SaId> {
        let from_here = self.by_peer.range((Arc::clone(peer), SaId::FIRST)..);
        from_here.take_while(move |(other, _)| other == peer).map(|(_, sa)| *sa)
    }

    /// Closes the loser once the winner has all that it has; what is missing there is asked for.
    fn settle(&mut self, winner: SaId, loser: SaId) {
        let (Some(status), Some(old)) = (self.ike.status(winner), self.ike.status(loser)) else { return };
        if status.phase() != SaPhase::Established {
            return;
        }
        let has = |name: &str| status.children().any(|child| child.is_current() && **child.name() == *name);
        let lacking: Vec<Arc<str>> = old
            .children()
            .filter(|child| child.is_current() && !has(child.name()))
            .map(|child| Arc::clone(child.name()))
            .collect();
        if lacking.is_empty() {
            return self.empty(loser);
        }
        let Some(link) = self.sas.get(&winner).map(|sa| Arc::clone(&sa.link)) else { return };
        for name in lacking {
            let wishes = self.links.get(&link).map(|link| &link.wishes);
            let at = wishes.and_then(|all| all.iter().position(|w| w.name == name && w.asked.is_none()));
            if let Some(at) = at {
                self.ask_for_child(&link, winner, at);
            }
        }
    }

    /// Takes the children of a loser out of use. They go one by one and the IKE SA after them: so what is
    /// still on its way is received.
    fn empty(&mut self, loser: SaId) {
        let Some(known) = self.sas.get_mut(&loser).filter(|sa| !sa.emptied) else { return };
        known.emptied = true;
        let status = self.ike.status(loser);
        let children: Vec<Spi> =
            status.into_iter().flat_map(|sa| sa.children()).map(|child| child.inbound()).collect();
        children.into_iter().for_each(|child| self.close_child(child));
    }

    /// There is nothing in its place any more: it goes on, unless nothing is left of it.
    pub(super) fn without_winner(&mut self, loser: SaId) {
        let Some(known) = self.sas.get_mut(&loser) else { return };
        if known.emptied {
            return self.close_sa(loser);
        }
        known.condemned = false;
        self.dirty.insert(Arc::clone(&known.link));
    }

    /// Two children of one name on one IKE SA, each set up by another end at the same time.
    pub(super) fn settle_children(&mut self, ours: Spi, theirs: Spi) {
        let (Some(a), Some(b)) = (self.child_rank(ours), self.child_rank(theirs)) else { return };
        if a.selectors != b.selectors || a.sa != b.sa {
            return;
        }
        if a.rank > b.rank {
            self.close_child(theirs);
        } else {
            self.timers.set(self.now.time + COURTESY, Due::SettleChild(ours));
            if let Some(child) = self.children.get_mut(&ours) {
                child.condemned = true;
            }
        }
    }

    /// A child that should be gone by now.
    pub(super) fn settle_child_due(&mut self, loser: Spi) {
        let Some((sa, status)) = self.child_status(loser) else { return };
        let name = Arc::clone(status.name());
        let another = self.ike.status(sa).is_some_and(|sa| {
            sa.children().any(|child| child.is_current() && *child.name() == name && child.inbound() != loser)
        });
        match another {
            true => self.close_child(loser),
            false => {
                if let Some(child) = self.children.get_mut(&loser) {
                    child.condemned = false;
                }
            }
        }
    }

    fn rank(&self, sa: SaId) -> (u64, u64) {
        self.ike.status(sa).map_or((0, 0), |sa| (sa.spis().initiator.0, sa.spis().responder.0))
    }

    fn child_rank(&self, child: Spi) -> Option<Ranked> {
        let (sa, status) = self.child_status(child).filter(|(_, status)| status.is_current())?;
        let (a, b) = (status.inbound().value(), status.outbound().value());
        Some(Ranked { sa, rank: (a.min(b), a.max(b)), selectors: Arc::clone(status.selectors()) })
    }
}

/// A child as both ends see it.
struct Ranked {
    sa: SaId,
    rank: (u32, u32),
    selectors: Arc<tidegate_esp::SelectorPair>,
}

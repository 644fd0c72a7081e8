//! Two ends that set up the same thing at once end with one of it.
//!
//! Which of the two it is follows from their SPIs, which both ends know. The end that set up the winner knows
//! that it stands at both ends, so it closes the loser; nothing is lost on the way. Should that end not know what
//! it ought to do, the other one does it some seconds later. One end may see no more than one after the other
//! where the other end sees both at once: it takes but one to settle it.
//!
//! Until it is settled, each of the two may get new keys, be replaced or end. A loser outlives its winner only if
//! nothing else stands that it could go for.

use super::timers::Due;
use super::{Engine, Sa};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::Spi;
use tidegate_ike::endpoint::Phase as SaPhase;
use tidegate_ike::identity::Identity;
use tidegate_ike::{Cause, SaId, Time};

/// So long is left to the end whose business it is.
const COURTESY: Duration = Duration::from_secs(8);

/// What an IKE SA goes for, and when somebody looks whether it has gone.
pub(super) struct Loss {
    winner: SaId,
    due: Time,
}

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
        self.lose(loser, winner, COURTESY);
        self.settle_for(winner);
    }

    /// Another one that we have set up with the same peer, which this one is not to take the place of. Of two
    /// attempts both may succeed: one to replace an IKE SA that has gone in the meantime, and one since then.
    pub(super) fn another_of_ours(&self, sa: SaId) -> Option<SaId> {
        self.rivals_that_stay(sa).find(|(_, other)| other.ours).map(|(other, _)| other)
    }

    /// Ends one that is too many, and what it was to replace.
    pub(super) fn give_way(&mut self, sa: SaId, other: SaId) {
        let replaced = self.replaced_by(sa);
        self.close_sa(sa);
        if let Some(old) = replaced.filter(|old| self.is_standing(*old)) {
            self.lose(old, other, COURTESY);
            self.settle_for(other);
        }
    }

    /// A winner may have got all that its losers have.
    pub(super) fn settle_for(&mut self, winner: SaId) {
        let Some(known) = self.sas.get(&winner).filter(|known| known.ours) else { return };
        for loser in self.losers_to(&known.peer, winner) {
            self.settle(winner, loser);
        }
    }

    /// The end whose business it was has had its time.
    pub(super) fn settle_due(&mut self, loser: SaId) {
        let Some(known) = self.sas.get(&loser) else { return };
        let Some(winner) = known.lost.as_ref().map(|loss| loss.winner) else { return };
        if known.emptied {
            return self.close_sa(loser);
        }
        self.lose(loser, winner, COURTESY);
        self.settle(winner, loser);
    }

    /// An IKE SA has new keys, and with them another name.
    pub(super) fn rival_renamed(&mut self, old: SaId, new: SaId) {
        let Some(known) = self.sas.get(&new) else { return };
        let losers = self.losers_to(&known.peer, old);
        if let Some(Loss { winner, due }) = known.lost {
            self.timers.clear(due, Due::Settle(old));
            self.lose(new, winner, Duration::ZERO);
        }
        for loser in losers {
            if let Some(loss) = self.sas.get_mut(&loser).and_then(|loser| loser.lost.as_mut()) {
                loss.winner = new;
            }
        }
    }

    /// An IKE SA is no more.
    pub(super) fn rival_closed(&mut self, sa: SaId, known: &Sa, cause: &Cause) {
        for loser in self.losers_to(&known.peer, sa) {
            self.without_winner(loser);
        }
        let Some(Loss { winner, due }) = known.lost else { return };
        self.timers.clear(due, Due::Settle(sa));
        // What takes a loser's place has lost as well.
        if *cause == Cause::Replaced
            && let Some(heir) = self.heir_beside(winner)
        {
            self.lose(heir, winner, COURTESY);
        }
    }

    /// From now on one goes for another.
    fn lose(&mut self, loser: SaId, winner: SaId, courtesy: Duration) {
        let Some(known) = self.sas.get_mut(&loser) else { return };
        let due = self.now.time + courtesy;
        known.condemned = true;
        if let Some(before) = known.lost.replace(Loss { winner, due }) {
            self.timers.clear(before.due, Due::Settle(loser));
        }
        self.timers.set(due, Due::Settle(loser));
    }

    /// The winner has gone. The loser goes for what else stands, such as what has replaced the winner; else it goes
    /// on, unless nothing is left of it.
    fn without_winner(&mut self, loser: SaId) {
        let Some(known) = self.sas.get_mut(&loser) else { return };
        if let Some(loss) = known.lost.take() {
            self.timers.clear(loss.due, Due::Settle(loser));
        }
        if known.emptied {
            return self.close_sa(loser);
        }
        if let Some((winner, courtesy)) = self.next_winner_over(loser) {
            self.lose(loser, winner, courtesy);
            return self.settle_for(winner);
        }
        if self.is_standing(loser)
            && let Some(known) = self.sas.get_mut(&loser)
        {
            known.condemned = false;
            self.dirty.insert(Arc::clone(&known.link));
        }
    }

    /// What a loser goes for in place of a winner that has gone, and how long that is the other end's business. Of
    /// two that the other end has set up it knows best which it wants. To it the two that are left may have been
    /// set up at once, and the one we call the winner be the loser: it has twice the time, and acts before us.
    fn next_winner_over(&self, loser: SaId) -> Option<(SaId, Duration)> {
        let ours = self.sas.get(&loser)?.ours;
        let others = self.rivals_that_stay(loser).filter(|(_, other)| ours || other.ours);
        let (winner, other) = others.max_by_key(|(_, other)| (other.ours, other.stood))?;
        Some((winner, if other.ours { COURTESY } else { COURTESY * 2 }))
    }

    /// What we have set up in the place of a loser, while its winner stands; not what is to replace the winner.
    fn heir_beside(&self, winner: SaId) -> Option<SaId> {
        let replaces_it = |sa| self.replaced_by(sa) == Some(winner);
        let mut ours = self.rivals_that_stay(winner).filter(|(sa, other)| other.ours && !replaces_it(*sa));
        ours.next().map(|(sa, _)| sa).filter(|_| self.is_standing(winner))
    }

    /// Other IKE SAs with the same peer that stand and are to stay, but for one whose place this one takes.
    fn rivals_that_stay(&self, sa: SaId) -> impl Iterator<Item = (SaId, &Sa)> {
        let replaced = self.replaced_by(sa);
        self.sas.get(&sa).into_iter().flat_map(move |known| {
            let others =
                self.of_peer(&known.peer).filter(move |other| *other != sa && Some(*other) != replaced);
            others.filter_map(move |other| {
                let rival = self.sas.get(&other)?;
                let stays = rival.link == known.link && !rival.condemned && self.is_standing(other);
                stays.then_some((other, rival))
            })
        })
    }

    /// The one whose place this one takes.
    fn replaced_by(&self, sa: SaId) -> Option<SaId> {
        self.ike.status(sa).and_then(|sa| sa.replaces())
    }

    fn losers_to(&self, peer: &Arc<Identity>, winner: SaId) -> Vec<SaId> {
        let lost = |sa: &Sa| sa.lost.as_ref().is_some_and(|loss| loss.winner == winner);
        self.of_peer(peer).filter(|sa| self.sas.get(sa).is_some_and(lost)).collect()
    }

    /// It does so while it gets new keys, too.
    fn is_standing(&self, sa: SaId) -> bool {
        self.ike.status(sa).is_some_and(|sa| matches!(sa.phase(), SaPhase::Established | SaPhase::Rekeyed))
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

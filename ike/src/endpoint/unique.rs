//! How many IKE SAs there may be between the same two identities.

use super::{Endpoint, SaId};
use crate::auth::AuthFailure;
use crate::connection::{Connection, Unique};
use crate::identity::Identity;
use crate::output::{JobDone, TaskResult};
use crate::sa::established::{Established, Standing};
use crate::sa::timers::Timer;
use crate::sa::{IkeSa, State};
use crate::verdict::{Cause, Culprit, Verdict};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One that comes from where the other does is perhaps its successor: the peer then closes the old one by
/// itself when it needs it no more. Two that were set up at once are sorted out by their ends in this time.
const SUCCESSION: Duration = Duration::from_secs(10);

impl Endpoint {
    /// Where the oldest IKE SA stays, a peer that has proved to be somebody who has one already is turned away,
    /// unless it comes from the same place.
    pub(super) fn refuse_one_too_many(&self, done: &mut JobDone) {
        let TaskResult::Verified(Ok(peer)) = &done.result else { return };
        let Some(sa) = self.table.get(done.id.sa) else { return };
        let connection = match &sa.state {
            State::Initiating(attempt) => Some(attempt.connection()),
            State::Responding(half) => half.connection(),
            _ => None,
        };
        let Some(connection) = connection.filter(|connection| connection.unique == Unique::Keep) else {
            return;
        };
        let from = sa.frame.path.remote;
        let elsewhere = |at: SocketAddr| at != from;
        if self.others(done.id.sa, peer.identity(), connection).any(|(_, at, _)| elsewhere(at)) {
            let peer = peer.identity().clone();
            done.result = TaskResult::Verified(Err(AuthFailure::NotUnique { peer }));
        }
    }

    /// Where the newest stays, those before it go; perhaps not at once.
    pub(super) fn displace_earlier(&mut self, newest: SaId) {
        let Some(established) = self.table.established(newest) else { return };
        if established.connection.unique != Unique::Replace {
            return;
        }
        let (peer, connection) = (Arc::clone(&established.peer), Arc::clone(&established.connection));
        let Some(from) = self.table.get(newest).map(|sa| sa.frame.path.remote) else { return };
        let now = self.core.now.time;
        let others: Vec<_> = self.others(newest, &peer, &connection).collect();
        for (id, at, age) in others {
            if at == from || age < SUCCESSION {
                self.step(id, |sa, _| sa.frame.timers.set(Timer::Displaced, now + SUCCESSION));
            } else {
                self.close(id, Verdict::new(Culprit::Us, Cause::Replaced));
            }
        }
    }

    /// One that another should have taken the place of goes, if that one is still there.
    pub(super) fn displaced(&mut self, old: SaId) {
        let Some(established) = self.table.established(old) else { return };
        let turn = self.table.get(old).map_or(0, |sa| sa.frame.turn);
        let others = self.others(old, &established.peer, &established.connection);
        let younger = |id: SaId| self.table.get(id).is_some_and(|other| other.frame.turn > turn);
        if others.into_iter().any(|(id, ..)| younger(id)) {
            self.close(old, Verdict::new(Culprit::Us, Cause::Replaced));
        }
    }

    /// Other IKE SAs of the same two under the same connection, where their peers are, and how long they have
    /// stood.
    fn others(
        &self,
        than: SaId,
        peer: &Identity,
        connection: &Connection,
    ) -> impl Iterator<Item = (SaId, SocketAddr, Duration)> {
        let all = self.core.peers.of(&Arc::new(peer.clone())).collect::<Vec<_>>().into_iter();
        let now = self.core.now.time;
        let alike = |other: &Established| {
            other.connection.name == connection.name
                && other.connection.local.identity == connection.local.identity
                && other.standing == Standing::Active
        };
        all.filter(move |id| *id != than).filter_map(move |id| {
            let sa: &IkeSa = self.table.get(id)?;
            self.table.established(id).filter(|other| alike(other))?;
            Some((id, sa.frame.path.remote, now.since(sa.frame.opened)))
        })
    }
}

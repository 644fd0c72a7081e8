//! Looking after a connection: what is missing is asked for on an IKE SA that stands, or on a new one, when
//! its time has come.

use super::Engine;
use super::link::{Link, Outlook, Packet, Phase};
use super::requests::Item;
use super::timers::Due;
use crate::action::Outcome;
use crate::event::Event;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_ike::endpoint::Phase as SaPhase;
use tidegate_ike::{ApiMisuse, Cause, Culprit, Initiate, SaId, Time, Verdict};

/// What was asked for is looked after again in this time, should nothing be heard of it.
const UNHEARD: Duration = Duration::from_secs(30);

impl Engine {
    /// Does for a connection what can be done now, and sees to it that it is looked after again in time.
    pub(super) fn tend(&mut self, name: &Arc<str>) {
        self.announce(name);
        let now = self.now.time;
        let closing = self.closing;
        let Some(link) = self.links.get_mut(name) else { return };
        if link.is_complete() || closing {
            link.stop_waiting();
            return;
        }
        // Whoever hears of an IKE SA first is not yet whoever should act on it.
        let not_before = [link.retry_at, link.patience].into_iter().flatten().max().filter(|at| *at > now);
        if let Some(at) = not_before {
            return self.look_again(name, at);
        }
        link.patience = None;
        match self.usable_sa(name) {
            Some(sa) => self.ask_for_children(name, sa),
            None => self.enqueue(name),
        }
    }

    /// Begins attempts whose turn has come; says whether there were any.
    pub(super) fn begin_attempts(&mut self) -> bool {
        let mut any = false;
        while let Some(name) = self.starts.pop(self.now.time) {
            let usable = self.usable_sa(&name).is_some();
            let Some(link) = self.links.get_mut(&name).filter(|link| link.phase == Phase::Queued) else {
                continue;
            };
            link.rest();
            if link.is_complete() || usable {
                self.dirty.insert(name);
                any = true;
                continue;
            }
            self.starts.begun(self.now.time);
            self.begin(&name);
            any = true;
        }
        any
    }

    /// An attempt at a connection, or at one of its children, has failed.
    pub(super) fn attempt_failed(
        &mut self,
        name: &Arc<str>,
        child: Option<&Arc<str>>,
        verdict: &Verdict,
        outcome: &Outcome,
    ) {
        let Some(link) = self.links.get_mut(name) else { return };
        let concerned = |wish: &super::link::Wish| wish.is_missing() && child.is_none_or(|c| *c == wish.name);
        let tries = link.connection.tries;
        let mut items = Vec::new();
        for wish in link.wishes.iter_mut().filter(|wish| concerned(wish)) {
            if wish.failed(tries) == Outlook::Over {
                items.push(Item::Up { link: Arc::clone(name), child: Arc::clone(&wish.name) });
            }
        }
        link.verdict = Some(verdict.clone());
        let again =
            !link.is_complete() && !self.closing && link.retry_at.is_none_or(|at| at <= self.now.time);
        if again {
            self.retry_later(name, verdict);
        }
        for item in items {
            self.requests.failed(&mut self.actions, &item, outcome);
        }
        self.dirty.insert(Arc::clone(name));
    }

    /// Somebody wants it now.
    pub(super) fn hasten(&mut self, name: &Arc<str>) {
        if let Some(link) = self.links.get_mut(name) {
            link.retry_at = None;
            link.patience = None;
            if link.phase == Phase::Queued {
                self.starts.push_first(Arc::clone(name));
            }
            self.dirty.insert(Arc::clone(name));
        }
    }

    /// A connection is due.
    pub(super) fn link_due(&mut self, name: Arc<str>) {
        let Some(link) = self.links.get_mut(&name) else { return };
        link.due = None;
        if let Phase::Resolving(lookup) = link.phase {
            return self.on_resolved(lookup, Vec::new());
        }
        self.dirty.insert(name);
    }

    /// An IKE SA on which children may be asked for.
    pub(super) fn usable_sa(&self, name: &Arc<str>) -> Option<SaId> {
        let link = self.links.get(name)?;
        link.sas.iter().rev().copied().find(|sa| {
            let established = self.ike.status(*sa).is_some_and(|sa| sa.phase() == SaPhase::Established);
            established && self.sas.get(sa).is_some_and(|sa| !sa.condemned)
        })
    }

    fn ask_for_children(&mut self, name: &Arc<str>, sa: SaId) {
        self.forget_unheard(name);
        let Some(link) = self.links.get(name) else { return };
        let missing: Vec<usize> = link.missing().collect();
        let unasked = |at: &usize| link.wishes.get(*at).is_some_and(|wish| wish.asked.is_none());
        for at in missing.into_iter().filter(unasked).collect::<Vec<_>>() {
            self.ask_for_child(name, sa, at);
        }
        self.look_again(name, self.now.time + UNHEARD);
    }

    /// What was asked for, on an IKE SA that has nothing to do, is not on its way.
    fn forget_unheard(&mut self, name: &Arc<str>) {
        let Some(link) = self.links.get_mut(name) else { return };
        for wish in &mut link.wishes {
            let asked = wish.asked.map(|sa| self.ike.status(sa));
            if asked.is_some_and(|sa| sa.is_none_or(|sa| sa.is_quiet())) {
                wish.asked = None;
            }
        }
    }

    pub(super) fn ask_for_child(&mut self, name: &Arc<str>, sa: SaId, at: usize) {
        let Some(wish) = self.links.get_mut(name).and_then(|link| link.wishes.get_mut(at)) else { return };
        wish.asked = Some(sa);
        let (child, packet) = (Arc::clone(&wish.name), wish.packet);
        match self.ike.create_child_for(self.now, sa, &child, packet) {
            Ok(()) => self.tell_attempt(sa, Some(child)),
            Err(misuse) => self.misused(name, sa, misuse),
        }
    }

    /// The SA is gone, or made from a configuration that had no such child.
    fn misused(&mut self, name: &Arc<str>, sa: SaId, misuse: ApiMisuse) {
        if let Some(link) = self.links.get_mut(name) {
            link.forget_asked(sa);
        }
        self.attempt_failed(name, None, &verdict_of(&misuse), &Outcome::Misuse(misuse));
    }

    fn enqueue(&mut self, name: &Arc<str>) {
        let Some(link) = self.links.get_mut(name) else { return };
        if link.phase == Phase::Idle && link.can_initiate() {
            link.phase = Phase::Queued;
            let urgent = link.wishes.iter().filter(|wish| wish.is_missing()).any(|wish| {
                let child = Arc::clone(&wish.name);
                self.requests.is_awaited(&Item::Up { link: Arc::clone(name), child })
            });
            match urgent {
                true => self.starts.push_first(Arc::clone(name)),
                false => self.starts.push(Arc::clone(name)),
            }
        }
    }

    pub(super) fn attempt(&mut self, name: &Arc<str>, resolved: Vec<IpAddr>) {
        let Some(link) = self.links.get(name) else { return };
        let Some(wish) = link.missing().next().and_then(|at| link.wishes.get(at)) else { return };
        let (child, packet) = (Arc::clone(&wish.name), wish.packet);
        let mut candidates = link.candidates(resolved);
        let Some(first) = link.turn.checked_rem(candidates.len()) else {
            let verdict = Verdict { culprit: Culprit::Network, cause: Cause::Unresolved };
            return self.attempt_failed(name, None, &verdict, &Outcome::Failed(verdict.clone()));
        };
        candidates.rotate_left(first);
        match self.initiate_towards(&candidates, name, &child, packet) {
            Ok(sa) => self.attempting(name, &child, sa),
            Err(misuse) => self.cannot_attempt(name, misuse),
        }
    }

    /// To the first address that we have one of the same family for.
    fn initiate_towards(
        &mut self,
        candidates: &[IpAddr],
        connection: &str,
        child: &str,
        packet: Option<Packet>,
    ) -> Result<SaId, ApiMisuse> {
        let mut result = Err(ApiMisuse::NoRemoteAddress);
        for remote in candidates {
            let wish = Initiate { connection, child: Some(child), local: None, remote: Some(*remote) };
            result = match packet {
                Some(packet) => self.ike.initiate_for(self.now, &wish, packet),
                None => self.ike.initiate(self.now, &wish),
            };
            if result != Err(ApiMisuse::NoLocalAddress) {
                break;
            }
        }
        result
    }

    fn attempting(&mut self, name: &Arc<str>, child: &str, sa: SaId) {
        self.number(sa);
        self.attempts.insert(sa, Arc::clone(name));
        if let Some(link) = self.links.get_mut(name) {
            link.phase = Phase::Attempting(sa);
            if let Some(wish) = link.wish_mut(child) {
                wish.asked = Some(sa);
            }
        }
        self.tell_attempt(sa, None);
    }

    fn cannot_attempt(&mut self, name: &Arc<str>, misuse: ApiMisuse) {
        if misuse == ApiMisuse::NoLocalAddress {
            self.homeless.insert(Arc::clone(name));
        }
        self.attempt_failed(name, None, &verdict_of(&misuse), &Outcome::Misuse(misuse));
    }

    fn retry_later(&mut self, name: &Arc<str>, verdict: &Verdict) {
        let draw = self.draw();
        let Some(link) = self.links.get_mut(name) else { return };
        link.failures = link.failures.saturating_add(1);
        link.turn = link.turn.wrapping_add(1);
        let wait = jittered(link, draw);
        link.retry_at = Some(self.now.time + wait);
        self.tell(Event::Retry {
            connection: Arc::clone(name),
            after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            verdict: verdict.clone(),
        });
    }

    /// A share of one, at random.
    fn draw(&mut self) -> f64 {
        let mut bytes = [0; 4];
        self.ike.random().fill(&mut bytes);
        f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
    }

    pub(super) fn look_again(&mut self, name: &Arc<str>, at: Time) {
        let Some(link) = self.links.get_mut(name) else { return };
        if let Some(old) = link.due.replace(at) {
            self.timers.clear(old, Due::Link(Arc::clone(name)));
        }
        self.timers.set(at, Due::Link(Arc::clone(name)));
    }

    /// Tells when a connection has come up, or has gone down.
    fn announce(&mut self, name: &Arc<str>) {
        let Some(link) = self.links.get_mut(name) else { return };
        let active = link.is_active();
        if !link.up && active && link.is_complete() {
            let sa = link.sas.iter().next_back().and_then(|sa| self.ike.status(*sa));
            let Some(peer) = sa.map(|sa| sa.path().remote) else { return };
            link.up = true;
            self.tell(Event::Up { connection: Arc::clone(name), peer });
        } else if link.up && !active {
            link.up = false;
            let unknown = Verdict { culprit: Culprit::Us, cause: Cause::ClosedByUs };
            let verdict = link.verdict.clone().unwrap_or(unknown);
            self.tell(Event::Down { connection: Arc::clone(name), verdict });
        }
    }
}

fn jittered(link: &Link, draw: f64) -> Duration {
    let retry = link.connection.retry;
    let share = 1.0 - retry.jitter.clamp(0.0, 1.0) * draw;
    retry.wait(link.failures).mul_f64(share)
}

/// A call that could not be made, as the reason of a failed attempt.
fn verdict_of(misuse: &ApiMisuse) -> Verdict {
    let cause = Cause::Unexpected(match misuse {
        ApiMisuse::NoLocalAddress => "no address of ours is of the peer's family",
        ApiMisuse::NoRemoteAddress => "the peer's address is not known",
        ApiMisuse::TooManySas => "as many IKE SAs as the configuration allows",
        ApiMisuse::NoSuchConnection(_) | ApiMisuse::NoSuchChild(_) | ApiMisuse::NoSuchSa => {
            "the configuration has changed"
        }
    });
    Verdict { culprit: Culprit::Us, cause }
}

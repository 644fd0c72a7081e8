//! What an agent asks for.

use super::link::{Phase, Want, packet_of};
use super::load::closed_by_us;
use super::requests::{Cancelled, Item, fail, tell};
use super::select::Selected;
use super::timers::Due;
use super::{Engine, Manner, Selection, Target};
use crate::action::{Outcome, Ticket};
use crate::connection::ChildMode;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::policy::Owner;
use tidegate_esp::{Flow, Spi};
use tidegate_ike::{ApiMisuse, Cause, Culprit, Now, SaId, Verdict};

/// New keys, or proofs, take no longer than this, or have failed.
const REKEY: Duration = Duration::from_secs(60);

/// So long do peers have to agree when we go.
const FAREWELL: Duration = Duration::from_secs(2);

/// Traffic alone has a connection tried no more often than this.
const EAGER: Duration = Duration::from_secs(1);

impl Engine {
    /// Brings something up. [`Action::Done`](crate::action::Action::Done) comes when it is, at once if it
    /// already is, or with a verdict: that of the last of as many attempts as its connection allows.
    pub fn initiate(&mut self, now: Now, target: &Target, ticket: Ticket) {
        self.now = now;
        match self.wanted(target) {
            Ok((name, children)) => self.ask(&name, &children, ticket),
            Err(misuse) => tell(&mut self.actions, ticket, Outcome::Misuse(misuse)),
        }
        self.follow_up();
    }

    /// Takes something down until it is asked for again. [`Action::Done`](crate::action::Action::Done) comes
    /// when the peer has agreed or is given up.
    pub fn terminate(&mut self, now: Now, selection: &Selection, manner: Manner, ticket: Ticket) {
        self.now = now;
        match self.select(selection) {
            Ok(selected) => {
                self.want_no_more(selection, &selected);
                let gone = selected.sas.iter().map(|sa| Item::Gone(*sa));
                let items = gone.chain(selected.children.iter().map(|child| Item::ChildGone(*child)));
                self.requests.open(&mut self.actions, ticket, items, 0, None);
                selected.sas.into_iter().for_each(|sa| self.close_sa_so(sa, manner));
                selected.children.into_iter().for_each(|child| self.close_child_so(child, manner));
            }
            Err(misuse) => tell(&mut self.actions, ticket, Outcome::Misuse(misuse)),
        }
        self.follow_up();
    }

    /// Makes new keys. [`Action::Done`](crate::action::Action::Done) comes when they are in use.
    pub fn rekey(&mut self, now: Now, selection: &Selection, ticket: Ticket) {
        self.now = now;
        match self.select(selection) {
            Ok(mut selected) => {
                // Attempts have new keys anyway.
                selected.sas.retain(|sa| self.ike.rekey(now, *sa).is_ok());
                selected.children.retain(|child| self.ike.rekey_child(now, *child).is_ok());
                let keys = selected.sas.iter().map(|sa| Item::Keys(*sa));
                let items = keys.chain(selected.children.iter().map(|child| Item::ChildKeys(*child)));
                let until = now.time + REKEY;
                self.requests.open(&mut self.actions, ticket, items, 0, Some(until));
                self.timers.set(until, Due::Request(ticket));
            }
            Err(misuse) => tell(&mut self.actions, ticket, Outcome::Misuse(misuse)),
        }
        self.follow_up();
    }

    /// Has both ends prove anew who they are, make before break. [`Action::Done`](crate::action::Action::Done)
    /// comes when the old IKE SAs have gone.
    pub fn reauthenticate(&mut self, now: Now, selection: &Selection, ticket: Ticket) {
        self.now = now;
        match self.select(selection) {
            Ok(selected) => {
                let mut renewed = Vec::new();
                for old in selected.sas {
                    if let Ok(new) = self.ike.reauthenticate(now, old) {
                        self.number(new);
                        self.replacements.insert(new, old);
                        self.tell_attempt(new, None);
                        renewed.push(Item::Renewed(old));
                    }
                }
                let until = now.time + REKEY;
                self.requests.open(&mut self.actions, ticket, renewed, 0, Some(until));
                self.timers.set(until, Due::Request(ticket));
            }
            Err(misuse) => tell(&mut self.actions, ticket, Outcome::Misuse(misuse)),
        }
        self.follow_up();
    }

    /// Whoever asked has gone away, and is told nothing any more. What nobody else wants is not gone on with.
    pub fn cancel(&mut self, now: Now, ticket: Ticket) {
        self.now = now;
        let Some(cancelled) = self.requests.cancel(ticket) else { return };
        if let Some(until) = cancelled.until {
            self.timers.clear(until, Due::Request(ticket));
        }
        for item in &cancelled.left {
            if let Item::Up { link, child } = item
                && !self.requests.is_awaited(item)
            {
                self.unask(link, child);
            }
        }
        self.follow_up();
    }

    /// Lets traffic bring children up, or puts the rules of those in force that pass or drop it.
    pub fn install(&mut self, now: Now, target: &Target) -> Result<(), ApiMisuse> {
        self.now = now;
        let (name, children) = self.named(target)?;
        for child in children {
            self.install_child(&name, &child);
        }
        self.follow_up();
        Ok(())
    }

    /// Undoes what [`Self::install`] does, and what a start on traffic has done; SAs that stand stay.
    pub fn uninstall(&mut self, now: Now, target: &Target) -> Result<(), ApiMisuse> {
        self.now = now;
        let (name, children) = self.named(target)?;
        for child in children {
            self.uninstall_child(&name, &child);
        }
        self.follow_up();
        Ok(())
    }

    /// Closes everything at all peers. [`Action::Done`](crate::action::Action::Done) comes when they have
    /// agreed, or after two seconds.
    pub fn shutdown(&mut self, now: Now, ticket: Ticket) {
        self.now = now;
        self.closing = true;
        let links: Vec<_> = self.links.keys().cloned().collect();
        for name in &links {
            // Nobody new is let in; rules and captures stay.
            let _ = self.ike.unload(name);
        }
        let selected = self.everything();
        self.want_no_more(&Selection::All, &selected);
        let until = now.time + FAREWELL;
        let items = selected.sas.iter().map(|sa| Item::Gone(*sa));
        self.requests.open(&mut self.actions, ticket, items, 0, Some(until));
        self.timers.set(until, Due::Request(ticket));
        selected.sas.into_iter().for_each(|sa| self.close_sa(sa));
        self.follow_up();
    }

    /// A packet has no SA to go by.
    pub(super) fn acquire(&mut self, owner: Owner, flow: &Flow) {
        let Some(name) = self.owners.get(&owner).cloned() else { return };
        let now = self.now.time;
        let Some(link) = self.links.get_mut(&name) else { return };
        let Some(wish) = link.child_for(flow).and_then(|at| link.wishes.get_mut(at)) else { return };
        if wish.want == Want::Nothing || !wish.standing.is_empty() || wish.asked.is_some() {
            return;
        }
        wish.packet = Some(packet_of(flow));
        wish.ask();
        if link.asked_by_traffic.is_none_or(|last| now >= last + EAGER) {
            link.asked_by_traffic = Some(now);
            self.hasten(&name);
        }
    }

    /// A request has had its time.
    pub(super) fn request_due(&mut self, ticket: Ticket) {
        let Some(Cancelled { done, .. }) = self.requests.cancel(ticket) else { return };
        if self.closing {
            return tell(&mut self.actions, ticket, Outcome::Done(done));
        }
        let cause = Cause::Unanswered { waited: REKEY };
        fail(&mut self.actions, ticket, Verdict { culprit: Culprit::Network, cause });
    }

    /// Ends an IKE SA, or an attempt at one; that it ends is no failure.
    pub(super) fn close_sa(&mut self, sa: SaId) {
        self.close_sa_so(sa, Manner::Ask);
    }

    fn close_sa_so(&mut self, sa: SaId, manner: Manner) {
        if let Some(known) = self.sas.get_mut(&sa) {
            known.condemned = true;
        }
        let children: Vec<_> = match self.ike.status(sa) {
            Some(status) => status.children().map(|child| child.inbound()).collect(),
            None => return,
        };
        children.into_iter().for_each(|child| self.condemn(child));
        let _ = match manner {
            Manner::Ask => self.ike.terminate(self.now, sa),
            Manner::Force => self.ike.abandon(self.now, sa),
        };
    }

    /// Ends a child; that it ends is no failure.
    pub(super) fn close_child(&mut self, child: Spi) {
        self.close_child_so(child, Manner::Ask);
    }

    fn close_child_so(&mut self, child: Spi, manner: Manner) {
        self.condemn(child);
        let _ = match manner {
            Manner::Ask => self.ike.terminate_child(self.now, child),
            Manner::Force => self.ike.abandon_child(self.now, child),
        };
    }

    fn condemn(&mut self, child: Spi) {
        if let Some(child) = self.children.get_mut(&child) {
            child.condemned = true;
        }
    }

    fn ask(&mut self, name: &Arc<str>, children: &[Arc<str>], ticket: Ticket) {
        let usable = self.usable_sa(name).is_some();
        let Some(link) = self.links.get_mut(name) else { return };
        let possible = link.can_ask() && (usable || link.can_initiate());
        let (mut items, mut shunts) = (Vec::new(), Vec::new());
        for wish in link.wishes.iter_mut().filter(|wish| children.contains(&wish.name)) {
            if wish.mode != ChildMode::Tunnel {
                shunts.push(Arc::clone(&wish.name));
                continue;
            }
            if wish.standing.is_empty() && possible {
                items.push(Item::Up { link: Arc::clone(name), child: Arc::clone(&wish.name) });
            }
            if possible {
                wish.ask();
            }
        }
        let standing = children.len().saturating_sub(items.len());
        if !possible && !link.is_active() && shunts.len() < children.len() {
            return tell(&mut self.actions, ticket, Outcome::Misuse(ApiMisuse::NoRemoteAddress));
        }
        self.requests.open(&mut self.actions, ticket, items, standing, None);
        shunts.iter().for_each(|child| self.install_child(name, child));
        self.hasten(name);
    }

    /// What is taken down does not come back by itself.
    fn want_no_more(&mut self, selection: &Selection, selected: &Selected) {
        match selection {
            Selection::All => {
                let all: Vec<_> = self.links.keys().cloned().collect();
                all.iter().for_each(|name| self.unwish(name, |_| true));
            }
            Selection::Connection(name) => self.unwish(&Arc::clone(name), |_| true),
            Selection::Child { connection, child } => {
                for name in self.links_of(connection.as_ref(), child).unwrap_or_default() {
                    self.unwish(&name, |wish| wish == &**child);
                }
            }
            Selection::Reqid(number) => {
                let all: Vec<_> = self
                    .reqids
                    .of(*number)
                    .map(|(link, child)| (Arc::clone(link), Arc::clone(child)))
                    .collect();
                for (link, child) in all {
                    self.unwish(&link, |wish| wish == &*child);
                }
            }
            Selection::IkeSa(_) | Selection::ChildSa(_) | Selection::ChildNumber(_) => {
                for (link, child) in self.names_of(selected) {
                    self.unwish(&link, |wish| wish == &*child);
                }
            }
        }
    }

    fn unwish(&mut self, name: &Arc<str>, which: impl Fn(&str) -> bool) {
        let Some(link) = self.links.get_mut(name) else { return };
        let mut items = Vec::new();
        for wish in link.wishes.iter_mut().filter(|wish| which(&wish.name)) {
            wish.rest();
            items.push(Item::Up { link: Arc::clone(name), child: Arc::clone(&wish.name) });
        }
        for item in items {
            self.requests.failed(&mut self.actions, &item, &Outcome::Failed(closed_by_us()));
        }
        self.stop_if_complete(name);
    }

    /// Nobody waits for a child any more. One that is kept up, or that a packet waits for, is wanted all the
    /// same.
    fn unask(&mut self, name: &Arc<str>, child: &Arc<str>) {
        let Some(wish) = self.links.get_mut(name).and_then(|link| link.wish_mut(child)) else { return };
        if wish.want == Want::Once && wish.packet.is_none() {
            wish.want = Want::at_rest(wish.start);
        }
        self.stop_if_complete(name);
    }

    /// An attempt that nothing needs any more ends.
    fn stop_if_complete(&mut self, name: &Arc<str>) {
        let Some(link) = self.links.get(name) else { return };
        if let Phase::Attempting(sa) = link.phase
            && link.is_complete()
        {
            self.close_sa(sa);
        }
        self.dirty.insert(Arc::clone(name));
    }
}

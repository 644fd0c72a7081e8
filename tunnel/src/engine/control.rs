//! What an agent asks for.

use super::inside::Told;
use super::link::{Link, Phase, Want, fixed, packet_of};
use super::requests::{Item, fail, tell};
use super::timers::Due;
use super::{Engine, LoadError, Selection, Target};
use crate::action::{Outcome, Ticket};
use crate::connection::{Child, Connection};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::policy::{Owner, PIECES_MAX};
use tidegate_esp::{Flow, Spi, TrafficSelector};
use tidegate_ike::pool::{Pool, PoolReport};
use tidegate_ike::{ApiMisuse, Cause, Culprit, Now, SaId, Verdict};

/// A rekey takes no longer than this, or has failed.
const REKEY: Duration = Duration::from_secs(60);

/// So long do peers have to agree when we go.
const FAREWELL: Duration = Duration::from_secs(2);

/// Traffic alone has a connection tried no more often than this.
const EAGER: Duration = Duration::from_secs(1);

/// What a selection comes to.
#[derive(Default)]
struct Selected {
    sas: Vec<SaId>,
    children: Vec<Spi>,
}

impl Engine {
    /// Adds a connection. One of the same name is replaced: its SAs are closed, then started anew.
    pub fn load(&mut self, now: Now, connection: Connection) -> Result<(), LoadError> {
        check(&connection)?;
        self.now = now;
        let name = Arc::clone(connection.name());
        let old = self.links.remove(&name);
        let owner = old.as_ref().map_or_else(|| self.next_owner(), |old| old.owner);
        // The new before the old, so that what both name is told once.
        let mut told = vec![self.inside.cover(&connection)];
        told.extend(old.as_ref().map(|old| self.inside.uncover(&old.connection)));
        if told.contains(&Told::Anew) {
            self.say_where_we_are();
        }
        self.ike.load(Link::for_endpoint(&connection));
        let all = Link::fixed_selectors(&connection);
        self.policy.replace(&mut self.tables, &mut self.actions, owner, &all);
        let mut link = Link::new(connection, owner);
        self.number_children(&name, &mut link, old.as_ref());
        if let Some(old) = &old {
            link.inherit(old);
            self.forget_names(old, &name);
            for gone in old.wishes.iter().filter(|wish| link.wish(&wish.name).is_none()) {
                let item = Item::Up { link: Arc::clone(&name), child: Arc::clone(&gone.name) };
                self.requests.failed(&mut self.actions, &item, &Outcome::Failed(closed_by_us()));
            }
        }
        self.by_child.extend(link.wishes.iter().map(|wish| (Arc::clone(&wish.name), Arc::clone(&name))));
        self.owners.insert(owner, Arc::clone(&name));
        self.links.insert(Arc::clone(&name), link);
        if let Some(old) = old {
            self.close_link(&old);
        }
        self.dirty.insert(name);
        self.follow_up();
        Ok(())
    }

    /// Takes a connection away, and closes its SAs at the peer too.
    pub fn unload(&mut self, now: Now, name: &str) -> Result<(), ApiMisuse> {
        self.now = now;
        let Some((name, mut link)) = self.links.remove_entry(name) else {
            return Err(ApiMisuse::NoSuchConnection(name.into()));
        };
        self.ike.unload(&name)?;
        if self.inside.uncover(&link.connection) == Told::Anew {
            self.say_where_we_are();
        }
        self.policy.replace(&mut self.tables, &mut self.actions, link.owner, &[]);
        self.owners.remove(&link.owner);
        self.forget_names(&link, &name);
        for wish in &link.wishes {
            self.reqids.give_back(wish.reqid, &name, &wish.name);
        }
        self.homeless.remove(&name);
        let verdict = closed_by_us();
        for wish in &mut link.wishes {
            let item = Item::Up { link: Arc::clone(&name), child: Arc::clone(&wish.name) };
            self.requests.failed(&mut self.actions, &item, &Outcome::Failed(verdict.clone()));
        }
        if link.up {
            self.tell(crate::event::Event::Down { connection: name, verdict });
        }
        self.close_link(&link);
        self.follow_up();
        Ok(())
    }

    /// Adds a pool of addresses.
    pub fn load_pool(&mut self, pool: Pool) {
        self.ike.load_pool(pool);
    }

    /// Takes a pool away; true if there was one.
    pub fn unload_pool(&mut self, name: &str) -> bool {
        self.ike.unload_pool(name)
    }

    /// Who has what of all pools.
    pub fn pools(&self) -> Vec<PoolReport> {
        self.ike.pools()
    }

    /// The names of all connections.
    pub fn connections(&self) -> impl Iterator<Item = &Arc<str>> {
        self.links.keys()
    }

    /// Whether a connection has a child that stands.
    pub fn is_active(&self, name: &str) -> bool {
        self.links.get(name).is_some_and(Link::is_active)
    }

    /// Brings something up. [`Action::Done`](crate::action::Action::Done) comes when it is, at once if it
    /// already is, or with the verdict of this attempt.
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
    pub fn terminate(&mut self, now: Now, selection: &Selection, ticket: Ticket) {
        self.now = now;
        match self.select(selection) {
            Ok(selected) => {
                self.want_no_more(selection, &selected);
                let gone = selected.sas.iter().map(|sa| Item::Gone(*sa));
                let items = gone.chain(selected.children.iter().map(|child| Item::ChildGone(*child)));
                self.requests.open(&mut self.actions, ticket, items, 0, None);
                selected.sas.into_iter().for_each(|sa| self.close_sa(sa));
                selected.children.into_iter().for_each(|child| self.close_child(child));
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

    /// Whoever asked has gone away, and is told nothing any more.
    pub fn cancel(&mut self, ticket: Ticket) {
        if let Some((_, Some(until))) = self.requests.cancel(ticket) {
            self.timers.clear(until, Due::Request(ticket));
        }
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
        let Some((done, _)) = self.requests.cancel(ticket) else { return };
        if self.closing {
            return tell(&mut self.actions, ticket, Outcome::Done(done));
        }
        let cause = Cause::Unanswered { waited: REKEY };
        fail(&mut self.actions, ticket, Verdict { culprit: Culprit::Network, cause });
    }

    /// Ends an IKE SA, or an attempt at one; that it ends is no failure.
    pub(super) fn close_sa(&mut self, sa: SaId) {
        if let Some(known) = self.sas.get_mut(&sa) {
            known.condemned = true;
        }
        let children: Vec<_> = match self.ike.status(sa) {
            Some(status) => status.children().map(|child| child.inbound()).collect(),
            None => return,
        };
        children.into_iter().for_each(|child| self.condemn(child));
        let _ = self.ike.terminate(self.now, sa);
    }

    /// Ends a child; that it ends is no failure.
    pub(super) fn close_child(&mut self, child: Spi) {
        self.condemn(child);
        let _ = self.ike.terminate_child(self.now, child);
    }

    fn condemn(&mut self, child: Spi) {
        if let Some(child) = self.children.get_mut(&child) {
            child.condemned = true;
        }
    }

    fn next_owner(&mut self) -> Owner {
        self.last_owner += 1;
        Owner(self.last_owner)
    }

    /// A child that was there before keeps its number, unless it is given another one.
    fn number_children(&mut self, name: &Arc<str>, link: &mut Link, old: Option<&Link>) {
        let wanted: Vec<_> = link.connection.children.iter().map(|child| child.reqid).collect();
        for (wish, wanted) in link.wishes.iter_mut().zip(wanted) {
            let before = old.and_then(|old| old.wish(&wish.name)).map(|before| before.reqid);
            wish.reqid = match before {
                Some(before) if wanted.is_none_or(|wanted| wanted.get() == before) => before,
                _ => self.reqids.take(wanted, name, &wish.name),
            };
        }
        for before in old.into_iter().flat_map(|old| &old.wishes) {
            if link.wish(&before.name).is_none_or(|wish| wish.reqid != before.reqid) {
                self.reqids.give_back(before.reqid, name, &before.name);
            }
        }
    }

    fn forget_names(&mut self, link: &Link, name: &Arc<str>) {
        for wish in &link.wishes {
            self.by_child.remove(&(Arc::clone(&wish.name), Arc::clone(name)));
        }
    }

    fn close_link(&mut self, link: &Link) {
        let attempt = match link.phase {
            Phase::Attempting(sa) => Some(sa),
            Phase::Idle | Phase::Queued | Phase::Resolving(_) => None,
        };
        link.sas.iter().copied().chain(attempt).for_each(|sa| self.close_sa(sa));
    }

    /// The connection and the children that a target means.
    fn wanted(&self, target: &Target) -> Result<(Arc<str>, Vec<Arc<str>>), ApiMisuse> {
        match target {
            Target::Connection(name) => {
                let (name, link) = self.link(name)?;
                Ok((name, link.wishes.iter().map(|wish| Arc::clone(&wish.name)).collect()))
            }
            Target::Child { connection: Some(name), child } => {
                let (name, link) = self.link(name)?;
                let wish = link.wish(child).ok_or_else(|| ApiMisuse::NoSuchChild(child.to_string()))?;
                Ok((name, vec![Arc::clone(&wish.name)]))
            }
            Target::Child { connection: None, child } => {
                let link = self.links_with(child).next();
                let link = link.ok_or_else(|| ApiMisuse::NoSuchChild(child.to_string()))?;
                Ok((link, vec![Arc::clone(child)]))
            }
        }
    }

    fn ask(&mut self, name: &Arc<str>, children: &[Arc<str>], ticket: Ticket) {
        let usable = self.usable_sa(name).is_some();
        let Some(link) = self.links.get_mut(name) else { return };
        let possible = link.can_ask() && (usable || link.can_initiate());
        let mut items = Vec::new();
        for wish in link.wishes.iter_mut().filter(|wish| children.contains(&wish.name)) {
            if wish.standing.is_empty() && possible {
                items.push(Item::Up { link: Arc::clone(name), child: Arc::clone(&wish.name) });
            }
            if possible {
                wish.ask();
            }
        }
        let standing = children.len().saturating_sub(items.len());
        if !possible && !link.is_active() {
            return tell(&mut self.actions, ticket, Outcome::Misuse(ApiMisuse::NoRemoteAddress));
        }
        self.requests.open(&mut self.actions, ticket, items, standing, None);
        self.hasten(name);
    }

    /// What a selection comes to just now.
    fn select(&self, selection: &Selection) -> Result<Selected, ApiMisuse> {
        let mut selected = Selected::default();
        match selection {
            Selection::Connection(name) => {
                let (_, link) = self.link(name)?;
                selected.sas.extend(&link.sas);
                if let Phase::Attempting(sa) = link.phase {
                    selected.sas.push(sa);
                }
            }
            Selection::Child { connection, child } => {
                for name in self.links_of(connection.as_ref(), child)? {
                    let wish = self.links.get(&name).and_then(|link| link.wish(child));
                    selected.children.extend(wish.into_iter().flat_map(|wish| &wish.standing));
                }
            }
            Selection::IkeSa(number) => {
                selected.sas.push(*self.by_number.get(number).ok_or(ApiMisuse::NoSuchSa)?);
            }
            Selection::ChildSa(child) => {
                self.ike.sa_of(*child).ok_or(ApiMisuse::NoSuchSa)?;
                selected.children.push(*child);
            }
            Selection::Reqid(number) => {
                for (link, child) in self.reqids.of(*number) {
                    let wish = self.links.get(link).and_then(|link| link.wish(child));
                    selected.children.extend(wish.into_iter().flat_map(|wish| &wish.standing));
                }
            }
            Selection::All => selected = self.everything(),
        }
        Ok(selected)
    }

    fn everything(&self) -> Selected {
        let sas = self.sas.keys().chain(self.attempts.keys()).copied().collect();
        Selected { sas, children: Vec::new() }
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
            Selection::IkeSa(_) | Selection::ChildSa(_) | Selection::Reqid(_) => {
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
            wish.want = Want::Nothing;
            items.push(Item::Up { link: Arc::clone(name), child: Arc::clone(&wish.name) });
        }
        let attempt = match link.phase {
            Phase::Attempting(sa) if link.is_complete() => Some(sa),
            _ => None,
        };
        for item in items {
            self.requests.failed(&mut self.actions, &item, &Outcome::Failed(closed_by_us()));
        }
        if let Some(attempt) = attempt {
            self.close_sa(attempt);
        }
        self.dirty.insert(Arc::clone(name));
    }

    /// Connections and names of the children of what was selected.
    fn names_of(&self, selected: &Selected) -> BTreeSet<(Arc<str>, Arc<str>)> {
        let statuses = selected.sas.iter().filter_map(|sa| self.ike.status(*sa));
        let of_sas = statuses.flat_map(|sa| sa.children().map(|child| child.inbound()).collect::<Vec<_>>());
        let children = of_sas.chain(selected.children.iter().copied());
        let known = children.filter_map(|child| self.children.get(&child));
        let mut names: BTreeSet<_> =
            known.map(|child| (Arc::clone(&child.link), Arc::clone(&child.name))).collect();
        for link in selected.sas.iter().filter_map(|sa| self.attempts.get(sa)) {
            let wishes = self.links.get(link).into_iter().flat_map(|link| &link.wishes);
            names.extend(wishes.map(|wish| (Arc::clone(link), Arc::clone(&wish.name))));
        }
        names
    }

    fn link(&self, name: &Arc<str>) -> Result<(Arc<str>, &Link), ApiMisuse> {
        let link = self.links.get_key_value(name);
        let (name, link) = link.ok_or_else(|| ApiMisuse::NoSuchConnection(name.to_string()))?;
        Ok((Arc::clone(name), link))
    }

    fn links_of(&self, connection: Option<&Arc<str>>, child: &Arc<str>) -> Result<Vec<Arc<str>>, ApiMisuse> {
        let no_such = || ApiMisuse::NoSuchChild(child.to_string());
        match connection {
            Some(name) => {
                let (name, link) = self.link(name)?;
                link.wish(child).map(|_| vec![name]).ok_or_else(no_such)
            }
            None => {
                let all: Vec<_> = self.links_with(child).collect();
                if all.is_empty() { Err(no_such()) } else { Ok(all) }
            }
        }
    }

    fn links_with(&self, child: &Arc<str>) -> impl Iterator<Item = Arc<str>> {
        let from_here = self.by_child.range((Arc::clone(child), Arc::from(""))..);
        from_here.take_while(move |(other, _)| other == child).map(|(_, link)| Arc::clone(link))
    }
}

fn closed_by_us() -> Verdict {
    Verdict { culprit: Culprit::Us, cause: Cause::ClosedByUs }
}

fn check(connection: &Connection) -> Result<(), LoadError> {
    if connection.name().is_empty() {
        return Err(LoadError::Nameless);
    }
    let mut names = BTreeSet::new();
    if let Some(child) = connection.children.iter().find(|child| !names.insert(&child.config.name)) {
        return Err(LoadError::DuplicateChild(Arc::clone(&child.config.name)));
    }
    let too_many = |child: &&Child| {
        let pair = fixed(child).unwrap_or_default();
        pieces(&pair.local).saturating_mul(pieces(&pair.remote)) > PIECES_MAX
    };
    match connection.children.iter().find(too_many) {
        Some(child) => Err(LoadError::TooManySelectors(Arc::clone(&child.config.name))),
        None => Ok(()),
    }
}

fn pieces(side: &[TrafficSelector]) -> usize {
    side.iter().map(|selector| selector.addresses.to_prefixes().count()).sum()
}

//! Connections that come, change and go.

use super::inside::Told;
use super::link::{Link, Phase, fixed};
use super::requests::Item;
use super::{Engine, LoadError};
use crate::action::Outcome;
use crate::connection::{Child, ChildMode, Connection};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_esp::policy::{Owner, PIECES_MAX};
use tidegate_esp::{Spi, TrafficSelector};
use tidegate_ike::pool::{Pool, PoolReport};
use tidegate_ike::{ApiMisuse, Cause, Culprit, Now, Verdict};

/// What becomes of the SAs of a connection that is loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// They are closed.
    Ends,
    /// They stay.
    Stays,
}

impl Engine {
    /// Adds a connection. One of the same name is replaced: its SAs are closed, then started anew.
    pub fn load(&mut self, now: Now, connection: Connection) -> Result<(), LoadError> {
        self.take_in(now, connection, Before::Ends)
    }

    /// Adds a connection, or puts it in place of the one of the same name. SAs that stand stay as they are, and
    /// all that is negotiated from now on is as this connection has it. Children that it does not name any more
    /// are closed at both ends; those that it names for the first time, or otherwise than before, start as it
    /// says.
    pub fn update(&mut self, now: Now, connection: Connection) -> Result<(), LoadError> {
        self.take_in(now, connection, Before::Stays)
    }

    /// Takes a connection away, and closes its SAs at the peer too.
    pub fn unload(&mut self, now: Now, name: &str) -> Result<(), ApiMisuse> {
        self.now = now;
        let Some((name, mut link)) = self.links.remove_entry(name) else {
            return Err(ApiMisuse::NoSuchConnection(name.into()));
        };
        // One with nothing to negotiate is not there.
        let _ = self.ike.unload(&name);
        if self.inside.uncover(&link.connection) == Told::Anew {
            self.say_where_we_are();
        }
        self.policy.replace(&mut self.tables, &mut self.actions, link.owner, &[]);
        self.policy.keep_shunts(&mut self.tables, &mut self.actions, link.owner, &[]);
        self.owners.remove(&link.owner);
        self.forget_names(&link, &name);
        for wish in &link.wishes {
            self.reqids.give_back(wish.reqid, &name, &wish.name);
        }
        self.homeless.remove(&name);
        for wish in &mut link.wishes {
            self.nobody_gets(&name, &wish.name);
        }
        if link.up {
            self.tell(crate::event::Event::Down { connection: name, verdict: closed_by_us() });
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

    fn take_in(&mut self, now: Now, connection: Connection, before: Before) -> Result<(), LoadError> {
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
        self.hand_to_endpoint(&connection, before);
        if let (Some(old), Before::Stays) = (&old, before) {
            self.keep_protected(old, &connection);
        }
        let mut link = Link::new(connection, owner);
        self.number_children(&name, &mut link, old.as_ref());
        if let Some(old) = &old {
            match before {
                Before::Ends => link.inherit(old),
                Before::Stays => link.go_on_from(old),
            }
            self.forget_names(old, &name);
            for gone in old.wishes.iter().filter(|wish| link.wish(&wish.name).is_none()) {
                self.nobody_gets(&name, &gone.name);
            }
        }
        self.by_child.extend(link.wishes.iter().map(|wish| (Arc::clone(&wish.name), Arc::clone(&name))));
        self.owners.insert(owner, Arc::clone(&name));
        self.links.insert(Arc::clone(&name), link);
        self.protect(&name);
        self.start_shunts(&name);
        self.seek_ourselves(&name);
        self.seek_peer_of_traps(&name);
        match (old, before) {
            (Some(old), Before::Ends) => self.close_link(&old),
            (Some(old), Before::Stays) => self.close_leftovers(&old, &name),
            (None, _) => {}
        }
        self.dirty.insert(name);
        self.follow_up();
        Ok(())
    }

    /// What has nothing but shunts is nobody's to negotiate.
    fn hand_to_endpoint(&mut self, connection: &Connection, before: Before) {
        let shunts = |child: &Child| child.mode != ChildMode::Tunnel;
        if !connection.children.is_empty() && connection.children.iter().all(shunts) {
            let _ = self.ike.unload(connection.name());
            return;
        }
        let connection = Link::for_endpoint(connection);
        match before {
            Before::Ends => self.ike.load(connection),
            Before::Stays => self.ike.update(connection),
        }
    }

    /// What a child that stands and stays carries stays protected, even where its connection says otherwise now.
    fn keep_protected(&mut self, old: &Link, new: &Connection) {
        let all = Link::fixed_selectors(new);
        for wish in &old.wishes {
            let stays = new.children.iter().any(|child| child.config.name == wish.name);
            let as_before = all.iter().any(|named| named.0 == wish.name && old.protects(named));
            if stays && !as_before {
                wish.standing.iter().for_each(|child| self.protect_alone(*child));
            }
        }
    }

    /// Gives a child a rule of its own.
    fn protect_alone(&mut self, spi: Spi) {
        let Some(child) = self.children.get_mut(&spi).filter(|child| !child.shares_policy) else { return };
        let (tables, actions) = (&mut self.tables, &mut self.actions);
        if let Ok(capture) = self.policy.share(tables, actions, child.owner, &child.selectors) {
            child.shares_policy = true;
            child.capture = Some(capture);
            self.unlimit(spi);
            self.limit(spi);
        }
    }

    /// Ends what a connection has no place for any more: an attempt at what it was before, and children that it
    /// does not name.
    fn close_leftovers(&mut self, old: &Link, name: &Arc<str>) {
        if let Phase::Attempting(sa) = old.phase {
            self.close_sa(sa);
        }
        let named = |wish: &super::link::Wish| {
            self.links
                .get(name)
                .and_then(|link| link.wish(&wish.name))
                .is_some_and(|now| now.mode == wish.mode)
        };
        let gone = old.wishes.iter().filter(|wish| !named(wish)).flat_map(|wish| &wish.standing);
        let gone: Vec<Spi> = gone.copied().collect();
        gone.into_iter().for_each(|child| self.close_child(child));
    }

    /// Whoever waits for a child waits in vain.
    fn nobody_gets(&mut self, link: &Arc<str>, child: &Arc<str>) {
        let item = Item::Up { link: Arc::clone(link), child: Arc::clone(child) };
        self.requests.failed(&mut self.actions, &item, &Outcome::Failed(closed_by_us()));
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
}

pub(super) fn closed_by_us() -> Verdict {
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

//! The SAs, and all that they are found by. Nothing here goes through all of them on a packet's account.

use crate::identity::Identity;
use crate::sa::established::Established;
use crate::sa::{IkeSa, State};
use crate::time::Time;
use crate::wire::IkeSpi;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tidegate_esp::Spi;

/// Names an IKE SA; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What a request to set up an IKE SA is known by: where it came from, and a digest of all of it.
pub(super) type Knocker = (SocketAddr, [u8; 16]);

/// A request that began a half-open SA.
#[derive(Clone, Copy)]
pub(super) struct Knocked {
    pub(super) by: Knocker,
    /// It brought a cookie of ours, so it does come from there.
    pub(super) proven: bool,
}

#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Option<Box<Entry>>>,
    count: usize,
    by_spi: BTreeMap<IkeSpi, SaId>,
    by_child: BTreeMap<Spi, SaId>,
    by_connection: BTreeSet<(Arc<str>, SaId)>,
    by_host: BTreeSet<(IpAddr, SaId)>,
    half_open: BTreeMap<Knocker, SaId>,
    deadlines: BTreeSet<(Time, SaId)>,
    fragments_held: usize,
}

struct Entry {
    sa: IkeSa,
    spi: IkeSpi,
    deadline: Option<Time>,
    fragments_held: usize,
    host: IpAddr,
    connection: Option<Arc<str>>,
    peer: Option<Arc<Identity>>,
    /// Apart, because it is wanted for a moment of a long life.
    knocked: Option<Box<Knocked>>,
}

impl SaId {
    /// None comes before it.
    pub const FIRST: Self = Self { slot: 0, generation: 0 };
}

impl Table {
    pub(super) fn insert(&mut self, sa: IkeSa) {
        let id = sa.frame.id;
        let spi = sa.frame.spis.ours(sa.frame.role);
        let host = sa.frame.path.remote.ip();
        let slot = id.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.by_spi.insert(spi, id);
        self.by_host.insert((host, id));
        self.slots[slot] = Some(Box::new(Entry {
            sa,
            spi,
            deadline: None,
            fragments_held: 0,
            host,
            connection: None,
            peer: None,
            knocked: None,
        }));
        self.count += 1;
    }

    pub(super) fn remove(&mut self, id: SaId) -> Option<IkeSa> {
        self.entry(id)?;
        let entry = self.slots.get_mut(id.slot as usize)?.take()?;
        self.count -= 1;
        self.fragments_held = self.fragments_held.saturating_sub(entry.fragments_held);
        self.by_spi.remove(&entry.spi);
        self.by_host.remove(&(entry.host, id));
        if let Some(name) = entry.connection {
            self.by_connection.remove(&(name, id));
        }
        if let Some(knocked) = &entry.knocked {
            self.half_open.remove(&knocked.by);
        }
        if let Some(at) = entry.deadline {
            self.deadlines.remove(&(at, id));
        }
        Some(entry.sa)
    }

    fn entry(&self, id: SaId) -> Option<&Entry> {
        self.slots.get(id.slot as usize)?.as_deref().filter(|entry| entry.sa.frame.id == id)
    }

    fn entry_mut(&mut self, id: SaId) -> Option<&mut Entry> {
        self.slots.get_mut(id.slot as usize)?.as_deref_mut().filter(|entry| entry.sa.frame.id == id)
    }

    pub(super) fn get(&self, id: SaId) -> Option<&IkeSa> {
        self.entry(id).map(|entry| &entry.sa)
    }

    pub(super) fn get_mut(&mut self, id: SaId) -> Option<&mut IkeSa> {
        self.entry_mut(id).map(|entry| &mut entry.sa)
    }

    pub(super) fn established(&self, id: SaId) -> Option<&Established> {
        match &self.get(id)?.state {
            State::Established(sa) => Some(sa),
            _ => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &IkeSa> {
        self.slots.iter().flatten().map(|entry| &entry.sa)
    }

    pub(super) fn ids(&self) -> Vec<SaId> {
        self.iter().map(|sa| sa.frame.id).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn by_spi(&self, spi: IkeSpi) -> Option<SaId> {
        self.by_spi.get(&spi).copied()
    }

    pub(super) fn has_spi(&self, spi: IkeSpi) -> bool {
        self.by_spi.contains_key(&spi)
    }

    pub(super) fn of_child(&self, child: Spi) -> Option<SaId> {
        self.by_child.get(&child).copied()
    }

    pub(super) fn add_child(&mut self, child: Spi, sa: SaId) {
        self.by_child.insert(child, sa);
    }

    pub(super) fn remove_child(&mut self, child: Spi) {
        self.by_child.remove(&child);
    }

    /// The SAs of a connection, the oldest slot first.
    pub(super) fn of_connection(&self, name: &Arc<str>) -> Vec<SaId> {
        let from_here = self.by_connection.range((Arc::clone(name), SaId::FIRST)..);
        from_here.take_while(|(other, _)| other == name).map(|(_, id)| *id).collect()
    }

    pub(super) fn name_connection(&mut self, id: SaId, name: Arc<str>) {
        if let Some(entry) = self.entry_mut(id) {
            entry.connection = Some(Arc::clone(&name));
            self.by_connection.insert((name, id));
        }
    }

    /// The connection of an SA, once that is known.
    pub(super) fn connection_of(&self, id: SaId) -> Option<&Arc<str>> {
        self.entry(id)?.connection.as_ref()
    }

    /// Whether the connection of an SA is known.
    pub(super) fn has_connection(&self, id: SaId) -> bool {
        self.entry(id).is_some_and(|entry| entry.connection.is_some())
    }

    /// Who the peer of an SA is; said once.
    pub(super) fn take_peer(&mut self, id: SaId) -> Option<Arc<Identity>> {
        self.entry_mut(id)?.peer.take()
    }

    /// Remembers who the peer of an SA is.
    pub(super) fn set_peer(&mut self, id: SaId, peer: Arc<Identity>) {
        if let Some(entry) = self.entry_mut(id) {
            entry.peer = Some(peer);
        }
    }

    /// The SAs with a peer at this address and port.
    pub(super) fn at(&self, remote: SocketAddr) -> Vec<SaId> {
        let from_here = self.by_host.range((remote.ip(), SaId::FIRST)..);
        let here = from_here.take_while(|(host, _)| *host == remote.ip()).map(|(_, id)| *id);
        here.filter(|id| self.get(*id).is_some_and(|sa| sa.frame.path.remote == remote)).collect()
    }

    pub(super) fn half_open(&self, knocker: &Knocker) -> Option<SaId> {
        self.half_open.get(knocker).copied()
    }

    pub(super) fn begin_half_open(&mut self, id: SaId, knocked: Knocked) {
        if let Some(entry) = self.entry_mut(id) {
            entry.knocked = Some(Box::new(knocked));
            self.half_open.insert(knocked.by, id);
        }
    }

    /// What began a half-open SA, if it still was one.
    pub(super) fn end_half_open(&mut self, id: SaId) -> Option<Knocked> {
        let knocked = self.entry_mut(id)?.knocked.take()?;
        self.half_open.remove(&knocked.by);
        Some(*knocked)
    }

    /// Brings what an SA is found by up to date after a step.
    pub(super) fn reindex(&mut self, id: SaId) {
        let Some(entry) = self.entry_mut(id) else { return };
        let deadline = entry.sa.frame.timers.next().map(|(at, _)| at);
        let host = entry.sa.frame.path.remote.ip();
        let (old_deadline, old_host) = (entry.deadline, entry.host);
        entry.deadline = deadline;
        entry.host = host;
        let held = entry.sa.frame.window.held();
        let old_held = std::mem::replace(&mut entry.fragments_held, held);
        // An attempt that begins all over does so under another SPI.
        let spi = entry.sa.frame.spis.ours(entry.sa.frame.role);
        let old_spi = std::mem::replace(&mut entry.spi, spi);
        self.fragments_held = self.fragments_held.saturating_sub(old_held).saturating_add(held);
        if old_spi != spi {
            self.by_spi.remove(&old_spi);
            self.by_spi.insert(spi, id);
        }
        if old_deadline != deadline {
            if let Some(at) = old_deadline {
                self.deadlines.remove(&(at, id));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, id));
            }
        }
        if old_host != host {
            self.by_host.remove(&(old_host, id));
            self.by_host.insert((host, id));
        }
    }

    /// What incomplete messages take, of all SAs together.
    pub(super) fn fragments_held(&self) -> usize {
        self.fragments_held
    }

    pub(super) fn next_deadline(&self) -> Option<(Time, SaId)> {
        self.deadlines.first().copied()
    }

    /// An SA that is due. Its deadlines are its own to take out.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<SaId> {
        let &(at, id) = self.deadlines.first().filter(|(at, _)| *at <= now)?;
        self.deadlines.remove(&(at, id));
        if let Some(entry) = self.entry_mut(id) {
            entry.deadline = None;
        }
        Some(id)
    }
}

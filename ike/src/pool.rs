//! Addresses that a responder gives to its peers by configuration payload (RFC 7296 §2.19).

use crate::SaId;
use crate::identity::Identity;
use crate::wire::{Configuration, ConfigurationAttribute, ConfigurationKind};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tidegate_esp::AddressRange;

/// For more peers than this nobody remembers what they had last.
const MOST_REMEMBERED: usize = 1 << 16;

/// A range of addresses to give away, and what goes along with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: Arc<str>,
    /// The addresses.
    pub addresses: AddressRange,
    /// DNS servers.
    pub dns: Vec<IpAddr>,
    /// Subnets behind us, as address and prefix length.
    pub subnets: Vec<(IpAddr, u8)>,
    /// Other attributes, as number and bytes.
    pub attributes: Vec<(u16, Vec<u8>)>,
}

/// Who has what of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolReport {
    /// The pool.
    pub pool: Pool,
    /// Addresses that peers have, and who has them.
    pub held: Vec<(IpAddr, Identity)>,
    /// Addresses that peers had last, and get again if they can.
    pub remembered: Vec<(IpAddr, Identity)>,
}

/// All pools, and who has what.
#[derive(Default)]
pub(crate) struct Pools {
    pools: BTreeMap<Arc<str>, State>,
    by_sa: BTreeMap<SaId, Vec<(Arc<str>, IpAddr)>>,
}

struct State {
    pool: Pool,
    /// The first address that was never given.
    fresh: Option<IpAddr>,
    /// Addresses that came back.
    free: BTreeSet<IpAddr>,
    held: BTreeMap<IpAddr, Holder>,
    /// What each peer had last; it gets the same again if it can.
    last: BTreeMap<Identity, IpAddr>,
}

/// Who has an address. One peer has it in two IKE SAs while the second takes the place of the first.
struct Holder {
    peer: Identity,
    sas: usize,
}

/// What a peer gets.
pub(crate) struct Lease {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) reply: Configuration,
}

/// No address of a wanted family is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoAddress;

impl Pools {
    /// Adds a pool; one of the same name keeps its leases if its addresses are the same.
    pub(crate) fn insert(&mut self, pool: Pool) {
        match self.pools.get_mut(&pool.name) {
            Some(state) if state.pool.addresses == pool.addresses => state.pool = pool,
            _ => {
                self.pools.insert(Arc::clone(&pool.name), State::new(pool));
            }
        }
    }

    /// Takes a pool away.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.pools.remove(name).is_some()
    }

    /// Who has what of all pools.
    pub(crate) fn report(&self) -> Vec<PoolReport> {
        self.pools.values().map(State::report).collect()
    }

    /// Answers a CFG_REQUEST: one address of each family that is asked for.
    pub(crate) fn assign(
        &mut self,
        names: &[Arc<str>],
        peer: &Identity,
        sa: SaId,
        request: &Configuration,
    ) -> Result<Lease, NoAddress> {
        let mut addresses = Vec::new();
        let mut attributes = Vec::new();
        for (v4, wish) in wishes(request) {
            let Some((name, address)) = self.take(names, peer, v4, wish) else {
                self.by_sa.entry(sa).or_default();
                self.release(sa);
                return Err(NoAddress);
            };
            self.by_sa.entry(sa).or_default().push((Arc::clone(&name), address));
            addresses.push(address);
            attributes.push(match address {
                IpAddr::V4(ip) => ConfigurationAttribute::Ip4Address(Some(ip)),
                IpAddr::V6(ip) => ConfigurationAttribute::Ip6Address(Some((ip, 128))),
            });
            if let Some(state) = self.pools.get(&name) {
                attributes.extend(state.pool.extras());
            }
        }
        let reply = Configuration { kind: ConfigurationKind::Reply, attributes };
        Ok(Lease { addresses, reply })
    }

    fn take(
        &mut self,
        names: &[Arc<str>],
        peer: &Identity,
        v4: bool,
        wish: Option<IpAddr>,
    ) -> Option<(Arc<str>, IpAddr)> {
        names.iter().find_map(|name| {
            let state = self.pools.get_mut(name).filter(|state| state.pool.addresses.is_v4() == v4)?;
            Some((Arc::clone(name), state.take(peer, wish)?))
        })
    }

    /// The SA is gone; what it had may be given to others.
    pub(crate) fn release(&mut self, sa: SaId) {
        for (name, address) in self.by_sa.remove(&sa).unwrap_or_default() {
            if let Some(state) = self.pools.get_mut(&name) {
                state.give_back(address);
            }
        }
    }

    /// A successor takes over what an SA had.
    pub(crate) fn hand_over(&mut self, from: SaId, to: SaId) {
        if let Some(leases) = self.by_sa.remove(&from) {
            self.by_sa.entry(to).or_default().extend(leases);
        }
    }

    /// How many addresses are given away.
    pub(crate) fn held(&self) -> usize {
        self.pools.values().map(|state| state.held.len()).sum()
    }
}

impl State {
    fn new(pool: Pool) -> Self {
        let fresh = Some(pool.addresses.start());
        Self { pool, fresh, free: BTreeSet::new(), held: BTreeMap::new(), last: BTreeMap::new() }
    }

    /// What the peer has or had last, or what it wishes, or one never given, or any that came back.
    fn take(&mut self, peer: &Identity, wish: Option<IpAddr>) -> Option<IpAddr> {
        let again = self.last.get(peer).copied().filter(|address| self.is_for(*address, peer));
        let address = again
            .or_else(|| wish.filter(|address| self.is_for(*address, peer)))
            .or_else(|| self.next_fresh())
            .or_else(|| self.free.first().copied())?;
        self.free.remove(&address);
        self.held.entry(address).or_insert_with(|| Holder { peer: peer.clone(), sas: 0 }).sas += 1;
        if self.last.len() >= MOST_REMEMBERED {
            self.last.clear();
        }
        self.last.insert(peer.clone(), address);
        Some(address)
    }

    fn report(&self) -> PoolReport {
        let held = self.held.iter().map(|(address, holder)| (*address, holder.peer.clone())).collect();
        let gone = self.last.iter().filter(|(_, address)| self.free.contains(address));
        let remembered = gone.map(|(peer, address)| (*address, peer.clone())).collect();
        PoolReport { pool: self.pool.clone(), held, remembered }
    }

    /// Whether the peer may have this address: it is one of ours, and nobody else has it.
    fn is_for(&self, address: IpAddr, peer: &Identity) -> bool {
        self.pool.addresses.contains(address)
            && self.held.get(&address).is_none_or(|holder| holder.peer == *peer)
    }

    fn give_back(&mut self, address: IpAddr) {
        let Some(holder) = self.held.get_mut(&address) else { return };
        holder.sas -= 1;
        if holder.sas == 0 {
            self.held.remove(&address);
            self.free.insert(address);
        }
    }

    fn next_fresh(&mut self) -> Option<IpAddr> {
        loop {
            let address = self.fresh?;
            self.fresh = successor(address).filter(|next| self.pool.addresses.contains(*next));
            // Somebody may have wished for it before its turn came.
            if !self.held.contains_key(&address) && !self.free.contains(&address) {
                return Some(address);
            }
        }
    }
}

impl Pool {
    fn extras(&self) -> Vec<ConfigurationAttribute> {
        let dns = self.dns.iter().map(|ip| match *ip {
            IpAddr::V4(ip) => ConfigurationAttribute::Ip4Dns(Some(ip)),
            IpAddr::V6(ip) => ConfigurationAttribute::Ip6Dns(Some(ip)),
        });
        let subnets = self.subnets.iter().map(|(ip, length)| match *ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from((*length).min(32))).unwrap_or(0);
                ConfigurationAttribute::Ip4Subnet(Some((ip, Ipv4Addr::from_bits(mask))))
            }
            IpAddr::V6(ip) => ConfigurationAttribute::Ip6Subnet(Some((ip, *length))),
        });
        let others = self.attributes.iter();
        let others = others.map(|(number, value)| ConfigurationAttribute::Other(*number, value.clone()));
        dns.chain(subnets).chain(others).collect()
    }
}

/// The first wish of each family.
fn wishes(request: &Configuration) -> Vec<(bool, Option<IpAddr>)> {
    let mut wishes: Vec<(bool, Option<IpAddr>)> = Vec::new();
    for attribute in &request.attributes {
        let wish = match *attribute {
            ConfigurationAttribute::Ip4Address(ip) => {
                (true, ip.filter(|ip| !ip.is_unspecified()).map(IpAddr::V4))
            }
            ConfigurationAttribute::Ip6Address(ip) => {
                (false, ip.map(|(ip, _)| ip).filter(|ip| !ip.is_unspecified()).map(IpAddr::V6))
            }
            _ => continue,
        };
        if wishes.iter().all(|(v4, _)| *v4 != wish.0) {
            wishes.push(wish);
        }
    }
    wishes
}

fn successor(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(ip) => ip.to_bits().checked_add(1).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        IpAddr::V6(ip) => ip.to_bits().checked_add(1).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    }
}

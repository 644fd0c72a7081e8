//! The connections of an endpoint, found by name, by address and by identity without going through all.

use crate::connection::{Childless, Connection, EncapsulationPolicy};
use crate::identity::{Identity, IdentityPattern};
use crate::proposal::{IkeChoice, IkeProposal};
use crate::wire::CertificatePayload;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::AddressRange;

/// All connections.
#[derive(Default)]
pub(crate) struct Registry {
    by_name: BTreeMap<Arc<str>, Arc<Connection>>,
    /// Those that expect one certain identity.
    by_identity: BTreeMap<Identity, Vec<Arc<str>>>,
    /// Those whose identity has wildcards: few, by their nature.
    by_pattern: Vec<Arc<str>>,
    /// What an IKE_SA_INIT may become.
    doors: Doors,
}

/// Connections by where their peers come from. Thousands that are configured alike share one door.
#[derive(Default)]
struct Doors {
    /// Peers at one certain address.
    hosts: BTreeMap<IpAddr, Vec<Door>>,
    /// Peers from anywhere, or from a range: as few as there are different configurations.
    ranges: Vec<Door>,
}

/// Connections that look the same until the peer says who it is.
struct Door {
    local: Vec<AddressRange>,
    remote: Vec<AddressRange>,
    proposals: Vec<IkeProposal>,
    announces: Announces,
    certificate_requests: Vec<CertificatePayload>,
    users: usize,
}

/// What an IKE_SA_INIT response says of us, before it is known which connection it will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announces {
    /// UDP encapsulation in any case: a NAT is claimed.
    pub(crate) forced: bool,
    /// Fragments are put together.
    pub(crate) fragments: bool,
    /// IKE_AUTH may come without a child.
    pub(crate) childless: bool,
    /// More than one proof may be given and asked for.
    pub(crate) rounds: bool,
}

impl Announces {
    fn of(connection: &Connection) -> Self {
        Self {
            forced: connection.encapsulation == EncapsulationPolicy::Udp,
            fragments: connection.fragmentation.is_offered(),
            childless: connection.childless != Childless::Never,
            rounds: connection.has_rounds(),
        }
    }
}

/// What a peer has shown in IKE_AUTH.
pub(crate) struct Claim<'a> {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) peer: &'a Identity,
    /// Who it wants us to be.
    pub(crate) wanted: Option<&'a Identity>,
    /// What was negotiated before it said so.
    pub(crate) choice: &'a IkeChoice,
}

/// What an IKE_SA_INIT may be answered with.
pub(crate) struct Welcome<'a> {
    pub(crate) proposals: &'a [IkeProposal],
    pub(crate) announces: Announces,
}

impl Registry {
    /// Adds a connection; one of the same name is replaced.
    pub(crate) fn insert(&mut self, connection: Arc<Connection>) {
        self.remove(&connection.name);
        match &connection.remote.identity {
            IdentityPattern::Exact(identity) => {
                self.by_identity.entry(identity.clone()).or_default().push(Arc::clone(&connection.name));
            }
            _ => self.by_pattern.push(Arc::clone(&connection.name)),
        }
        self.doors.add(&connection);
        self.by_name.insert(Arc::clone(&connection.name), connection);
    }

    /// Takes a connection away; SAs that were made from it go on.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Arc<Connection>> {
        let connection = self.by_name.remove(name)?;
        if let IdentityPattern::Exact(identity) = &connection.remote.identity
            && let Some(names) = self.by_identity.get_mut(identity)
        {
            names.retain(|other| **other != *name);
            if names.is_empty() {
                self.by_identity.remove(identity);
            }
        }
        self.by_pattern.retain(|other| **other != *name);
        self.doors.remove(&connection);
        Some(connection)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Connection>> {
        self.by_name.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    /// Every set of proposals that a peer at `remote` may mean when it knocks at `local`.
    pub(crate) fn welcomes(&self, local: IpAddr, remote: IpAddr) -> impl Iterator<Item = Welcome<'_>> {
        self.doors
            .open(local, remote)
            .map(|door| Welcome { proposals: &door.proposals, announces: door.announces })
    }

    /// Which authorities we can check certificates of.
    pub(crate) fn certificate_requests(&self, local: IpAddr, remote: IpAddr) -> Vec<CertificatePayload> {
        let mut requests: Vec<CertificatePayload> = Vec::new();
        for door in self.doors.open(local, remote) {
            for request in &door.certificate_requests {
                if !requests.contains(request) {
                    requests.push(request.clone());
                }
            }
        }
        requests
    }

    /// The connection that fits best: by address, then by identity, the closest match first.
    pub(crate) fn choose(&self, claim: &Claim<'_>) -> Option<Arc<Connection>> {
        let exact = self.by_identity.get(claim.peer).into_iter().flatten();
        let named = exact.chain(&self.by_pattern).filter_map(|name| self.by_name.get(name));
        let fitting = named.filter(|connection| claim.fits(connection));
        let best = fitting.max_by_key(|connection| {
            let identity = connection.remote.identity.matches(claim.peer);
            let address = !connection.remote.addresses.is_empty();
            (address, identity, std::cmp::Reverse(Arc::clone(&connection.name)))
        });
        best.cloned()
    }
}

impl Claim<'_> {
    fn fits(&self, connection: &Connection) -> bool {
        connection.local.allows(self.local)
            && connection.remote.allows(self.remote)
            && connection.remote.identity.matches(self.peer).is_some()
            && self.wanted.is_none_or(|wanted| *wanted == connection.local.identity)
            && connection.proposals.iter().any(|proposal| proposal.allows(self.choice))
    }
}

impl Doors {
    fn add(&mut self, connection: &Connection) {
        self.each_list(connection, |list| match list.iter_mut().find(|door| door.leads_to(connection)) {
            Some(door) => door.users += 1,
            None => list.push(Door::to(connection)),
        });
    }

    fn remove(&mut self, connection: &Connection) {
        self.each_list(connection, |list| {
            if let Some(door) = list.iter_mut().find(|door| door.leads_to(connection)) {
                door.users -= 1;
            }
            list.retain(|door| door.users > 0);
        });
    }

    /// Visits the lists that a connection has its door in.
    fn each_list(&mut self, connection: &Connection, mut visit: impl FnMut(&mut Vec<Door>)) {
        let remote = &connection.remote.addresses;
        if remote.is_empty() || remote.iter().any(|range| range.start() != range.end()) {
            return visit(&mut self.ranges);
        }
        let hosts: BTreeSet<_> = remote.iter().map(AddressRange::start).collect();
        for host in hosts {
            let list = self.hosts.entry(host).or_default();
            visit(list);
            if list.is_empty() {
                self.hosts.remove(&host);
            }
        }
    }

    /// Those that a peer at `remote` finds open at `local`, those for it alone first.
    fn open(&self, local: IpAddr, remote: IpAddr) -> impl Iterator<Item = &Door> {
        let hosts = self.hosts.get(&remote).into_iter().flatten();
        hosts.chain(&self.ranges).filter(move |door| door.opens(local, remote))
    }
}

impl Door {
    fn to(connection: &Connection) -> Self {
        Self {
            local: connection.local.addresses.clone(),
            remote: connection.remote.addresses.clone(),
            proposals: connection.proposals.clone(),
            announces: Announces::of(connection),
            certificate_requests: connection.certificate_requests(),
            users: 1,
        }
    }

    fn leads_to(&self, connection: &Connection) -> bool {
        self.local == connection.local.addresses
            && self.remote == connection.remote.addresses
            && self.proposals == connection.proposals
            && self.announces == Announces::of(connection)
            && self.certificate_requests == connection.certificate_requests()
    }

    fn opens(&self, local: IpAddr, remote: IpAddr) -> bool {
        (self.local.is_empty() || self.local.iter().any(|range| range.contains(local)))
            && (self.remote.is_empty() || self.remote.iter().any(|range| range.contains(remote)))
    }
}

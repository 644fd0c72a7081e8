//! From a mesh to its links.
//!
//! 1. [`Directory::of`] refuses a mesh that makes no sense.
//! 2. [`Planner::new`] finds the edges that we share a community with, and what is relayed.
//! 3. [`Planner::link`] decides for each peer whether there is a link, what it carries and who begins.

use super::check::{Directory, Place};
use super::ranges::{difference, joined};
use super::{Community, Endpoint, Initiator, Link, LinkChild, Mesh, MeshError, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_esp::AddressRange;

/// A message holds 255 selectors a side; a responder may have to put some of them in two.
const MOST_RANGES: usize = 120;

impl Mesh {
    /// The links of this node, in the order of its peers; or what is wrong with the mesh.
    pub fn plan(&self) -> Result<Vec<Link>, MeshError> {
        let directory = Directory::of(self)?;
        let mut planner = Planner::new(self, &directory);
        Ok((0..self.peers.len()).filter_map(|index| planner.link(index)).collect())
    }
}

struct Planner<'a> {
    mesh: &'a Mesh,
    /// Places of each community's members that are edges.
    members: Vec<BTreeSet<Place>>,
    /// The communities that a node passes on or has passed on for it, by index.
    relayed: BTreeMap<Place, Vec<usize>>,
    /// Edges that we share a community with that is not relayed.
    neighbours: BTreeSet<Place>,
    /// Edges that have the same communities relayed have the same sides.
    sides: BTreeMap<Vec<usize>, Side>,
    ours: Side,
}

/// What is at one side of a link, in portions of which each fits into a message.
#[derive(Clone, Default)]
struct Side {
    pods: Vec<Arc<[AddressRange]>>,
    hosts: Vec<Arc<[AddressRange]>>,
}

impl<'a> Planner<'a> {
    fn new(mesh: &'a Mesh, directory: &Directory<'_>) -> Self {
        let edge = |place: &Place| mesh.at(*place).is_some_and(|node| node.role == Role::Edge);
        let places = |community: &Community| -> BTreeSet<Place> {
            community.members.iter().filter_map(|name| directory.find(name)).filter(edge).collect()
        };
        let mut planner = Self {
            mesh,
            members: mesh.communities.iter().map(places).collect(),
            relayed: BTreeMap::new(),
            neighbours: BTreeSet::new(),
            sides: BTreeMap::new(),
            ours: Side::of(&mesh.node),
        };
        for (index, community) in mesh.communities.iter().enumerate() {
            match community.via.as_deref().and_then(|via| directory.find(via)) {
                Some(connector) => planner.relay(index, connector),
                None => planner.meet(index),
            }
        }
        planner
    }

    /// Members of a community without `via` meet directly.
    fn meet(&mut self, community: usize) {
        if let Some(members) = self.members.get(community).filter(|members| members.contains(&Place::Us)) {
            self.neighbours.extend(members.iter().filter(|place| **place != Place::Us));
        }
    }

    /// A connector has to know it of each of its edges, an edge of each of its connectors.
    fn relay(&mut self, community: usize, connector: Place) {
        let Some(members) = self.members.get(community) else { return };
        match connector {
            Place::Us => {
                members.iter().for_each(|edge| self.relayed.entry(*edge).or_default().push(community));
            }
            Place::Peer(_) if members.contains(&Place::Us) => {
                self.relayed.entry(connector).or_default().push(community);
            }
            Place::Peer(_) => {}
        }
    }

    fn link(&mut self, index: usize) -> Option<Link> {
        let peer = self.mesh.peers.get(index)?;
        let place = Place::Peer(index);
        let initiator = self.initiator(place, peer)?;
        let (ours, theirs) = match self.mesh.node.role {
            Role::Connector => (self.with_relayed(place), Side::of(peer)),
            Role::Edge => (self.ours.clone(), self.with_relayed(place)),
        };
        let children = children(&peer.name, &ours, &theirs);
        // A connector takes its edges from wherever they come.
        let serves = self.mesh.node.role == Role::Connector && peer.role == Role::Edge;
        let addresses = if serves { Vec::new() } else { peer.addresses.clone() };
        (!children.is_empty()).then(|| Link {
            name: peer.name.as_str().into(),
            local: self.mesh.node.identity.clone(),
            peer: peer.identity.clone(),
            addresses,
            port: peer.port,
            children,
            initiator,
        })
    }

    /// Who begins; nobody where there is to be no link. Two alike without addresses both wait.
    fn initiator(&self, place: Place, peer: &Endpoint) -> Option<Initiator> {
        match (self.mesh.node.role, peer.role) {
            (Role::Edge, Role::Connector) => Some(Initiator::Us),
            (Role::Connector, Role::Edge) => Some(Initiator::Peer),
            (Role::Edge, Role::Edge) if !self.neighbours.contains(&place) => None,
            _ if peer.addresses.is_empty() => Some(Initiator::Peer),
            _ if self.mesh.node.addresses.is_empty() => Some(Initiator::Us),
            _ => Some(Initiator::Either),
        }
    }

    /// The connector's side of a link with this peer. As seen from the connector, the edge itself may be
    /// among those behind it: the edge asks for the others alone, and gets no more than it asks for.
    fn with_relayed(&mut self, peer: Place) -> Side {
        let connector = match self.mesh.node.role {
            Role::Connector => &self.mesh.node,
            Role::Edge => match self.mesh.at(peer) {
                Some(connector) => connector,
                None => return Side::default(),
            },
        };
        let Some(communities) = self.relayed.get(&peer) else { return Side::of(connector) };
        if self.mesh.node.role == Role::Edge {
            let elsewhere = self.relayed_elsewhere(peer);
            let apart = self.neighbours.iter().chain([&Place::Us]).chain(&elsewhere);
            let apart = Side::behind(apart.filter_map(|place| self.mesh.at(*place)));
            return Side::relaying(connector, self.behind(communities)).without(apart);
        }
        if let Some(side) = self.sides.get(communities) {
            return side.clone();
        }
        let side = Side::relaying(connector, self.behind(communities));
        self.sides.insert(communities.clone(), side.clone());
        side
    }

    /// Edges that another connector passes packets on to: where several could, the community that stands first
    /// decides, which is the same one for both ends.
    fn relayed_elsewhere(&self, connector: Place) -> BTreeSet<Place> {
        let mut first: BTreeMap<Place, (usize, Place)> = BTreeMap::new();
        for (relay, communities) in &self.relayed {
            for index in communities {
                for edge in self.members.get(*index).into_iter().flatten() {
                    let way = first.entry(*edge).or_insert((*index, *relay));
                    *way = (*way).min((*index, *relay));
                }
            }
        }
        first.into_iter().filter(|(_, (_, relay))| *relay != connector).map(|(edge, _)| edge).collect()
    }

    /// What is behind the edges of some communities.
    fn behind(&self, communities: &[usize]) -> Behind {
        let members = communities.iter().filter_map(|index| self.members.get(*index)).flatten();
        let members: BTreeSet<&Place> = members.collect();
        Side::behind(members.into_iter().filter_map(|place| self.mesh.at(*place)))
    }
}

/// Subnets and hosts behind several nodes.
#[derive(Default)]
struct Behind {
    pods: Vec<AddressRange>,
    hosts: Vec<AddressRange>,
}

impl Side {
    fn of(node: &Endpoint) -> Self {
        Self::relaying(node, Behind::default())
    }

    /// What is behind a connector itself, and what it passes on. Both ends cut it into the same portions, as
    /// a child asked for by the edge has to fit into one of the connector's.
    fn relaying(connector: &Endpoint, others: Behind) -> Self {
        let cut = |own: &[AddressRange], others| -> Vec<Arc<[AddressRange]>> {
            let all: Vec<_> = own.iter().copied().chain(joined(others)).collect();
            all.chunks(MOST_RANGES).map(Arc::from).collect()
        };
        Self { pods: cut(&connector.subnets, others.pods), hosts: cut(&connector.hosts, others.hosts) }
    }

    fn without(self, apart: Behind) -> Self {
        let cut = |portions: Vec<Arc<[AddressRange]>>, apart| -> Vec<Arc<[AddressRange]>> {
            let apart = joined(apart);
            let rest = portions.iter().map(|portion| difference(portion, &apart));
            rest.flat_map(|rest| rest.chunks(MOST_RANGES).map(Arc::from).collect::<Vec<_>>()).collect()
        };
        Self { pods: cut(self.pods, apart.pods), hosts: cut(self.hosts, apart.hosts) }
    }

    fn behind<'a>(nodes: impl Iterator<Item = &'a Endpoint>) -> Behind {
        let mut behind = Behind::default();
        for node in nodes {
            behind.pods.extend(&node.subnets);
            behind.hosts.extend(&node.hosts);
        }
        behind
    }
}

fn children(name: &str, ours: &Side, theirs: &Side) -> Vec<LinkChild> {
    let kinds = [
        ("p2p", &ours.pods, &theirs.pods),
        ("n2p", &ours.hosts, &theirs.pods),
        ("p2n", &ours.pods, &theirs.hosts),
    ];
    let mut children = Vec::new();
    for (kind, local, remote) in kinds {
        let pairs = local.iter().flat_map(|local| remote.iter().map(move |remote| (local, remote)));
        for (at, (local, remote)) in pairs.enumerate() {
            let name = if at == 0 { format!("{name}-{kind}") } else { format!("{name}-{kind}-{}", at + 1) };
            let (local, remote) = (Arc::clone(local), Arc::clone(remote));
            children.push(LinkChild { name: name.into(), local, remote });
        }
    }
    children
}

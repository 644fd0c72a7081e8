//! What a mesh must not say.

use super::{Community, Endpoint, Mesh, Role};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use tidegate_esp::AddressRange;
use tidegate_ike::identity::Identity;

/// What is wrong with a mesh, with both culprits where there are two.
#[derive(Clone, Debug, PartialEq)]
pub enum MeshError {
    /// A node without a name.
    NoName(Identity),
    /// This node is among its own peers.
    SelfAmongPeers(String),
    /// Two nodes have one name.
    DuplicateName {
        /// The name.
        name: String,
        /// Who the two are.
        identities: [Identity; 2],
    },
    /// Two nodes have one identity.
    DuplicateIdentity {
        /// The identity.
        identity: Identity,
        /// The names of the two.
        names: [String; 2],
    },
    /// What is behind one node is also behind another.
    Overlap {
        /// The two nodes.
        nodes: [String; 2],
        /// What each has, in the same order.
        ranges: Box<[AddressRange; 2]>,
    },
    /// Two communities have one name.
    DuplicateCommunity(String),
    /// A community has a member that is no node.
    UnknownMember {
        /// The community.
        community: String,
        /// The member.
        member: String,
    },
    /// A community goes through something that is no node.
    UnknownVia {
        /// The community.
        community: String,
        /// What it wants to go through.
        via: String,
    },
    /// A community goes through an edge.
    ViaEdge {
        /// The community.
        community: String,
        /// The edge.
        via: String,
    },
    /// An edge has to go to a connector, and nothing says where that is.
    NowhereToGo {
        /// The connector.
        connector: String,
    },
}

/// Nodes by name.
pub(super) struct Directory<'a> {
    places: HashMap<&'a str, Place>,
}

/// Where a node stands in the mesh.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Place {
    Us,
    Peer(usize),
}

impl<'a> Directory<'a> {
    /// Refuses a mesh that makes no sense.
    pub(super) fn of(mesh: &'a Mesh) -> Result<Self, MeshError> {
        check_identities(mesh)?;
        let directory = Self { places: by_name(mesh)? };
        check_overlaps(mesh)?;
        directory.check_communities(mesh)?;
        check_connectors(mesh)?;
        Ok(directory)
    }

    pub(super) fn find(&self, name: &str) -> Option<Place> {
        self.places.get(name).copied()
    }

    fn check_communities(&self, mesh: &Mesh) -> Result<(), MeshError> {
        let mut names = BTreeSet::new();
        for community in &mesh.communities {
            if !names.insert(&community.name) {
                return Err(MeshError::DuplicateCommunity(community.name.clone()));
            }
            self.check_community(mesh, community)?;
        }
        Ok(())
    }

    fn check_community(&self, mesh: &Mesh, community: &Community) -> Result<(), MeshError> {
        let name = || community.name.clone();
        if let Some(member) = community.members.iter().find(|member| self.find(member).is_none()) {
            return Err(MeshError::UnknownMember { community: name(), member: member.clone() });
        }
        let Some(via) = &community.via else { return Ok(()) };
        match self.find(via).and_then(|place| mesh.at(place)) {
            None => Err(MeshError::UnknownVia { community: name(), via: via.clone() }),
            Some(node) if node.role == Role::Edge => {
                Err(MeshError::ViaEdge { community: name(), via: via.clone() })
            }
            Some(_) => Ok(()),
        }
    }
}

impl Mesh {
    pub(super) fn at(&self, place: Place) -> Option<&Endpoint> {
        match place {
            Place::Us => Some(&self.node),
            Place::Peer(index) => self.peers.get(index),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.node).chain(&self.peers)
    }
}

fn check_identities(mesh: &Mesh) -> Result<(), MeshError> {
    let mut seen: HashMap<&Identity, &Endpoint> = HashMap::new();
    for node in mesh.nodes() {
        let Some(earlier) = seen.insert(&node.identity, node) else { continue };
        if std::ptr::eq(earlier, &mesh.node) && earlier.name == node.name {
            return Err(MeshError::SelfAmongPeers(node.name.clone()));
        }
        let names = [earlier.name.clone(), node.name.clone()];
        return Err(MeshError::DuplicateIdentity { identity: node.identity.clone(), names });
    }
    Ok(())
}

fn by_name(mesh: &Mesh) -> Result<HashMap<&str, Place>, MeshError> {
    let mut places: HashMap<&str, Place> = HashMap::new();
    let peers = mesh.peers.iter().enumerate().map(|(index, peer)| (Place::Peer(index), peer));
    for (place, node) in std::iter::once((Place::Us, &mesh.node)).chain(peers) {
        if node.name.is_empty() {
            return Err(MeshError::NoName(node.identity.clone()));
        }
        if let Some(earlier) = places.insert(&node.name, place).and_then(|place| mesh.at(place)) {
            let identities = [earlier.identity.clone(), node.identity.clone()];
            return Err(MeshError::DuplicateName { name: node.name.clone(), identities });
        }
    }
    Ok(places)
}

/// Goes through all ranges by their start. Up to the first overlap of two nodes, whatever reaches as far as
/// the next start belongs to the node that reaches farthest, so looking at that one is enough.
fn check_overlaps(mesh: &Mesh) -> Result<(), MeshError> {
    let mut all: Vec<(AddressRange, &Endpoint)> = Vec::new();
    for node in mesh.nodes() {
        all.extend(node.subnets.iter().chain(&node.hosts).map(|range| (*range, node)));
    }
    all.sort_by_key(|(range, _)| *range);
    let mut farthest: Option<(AddressRange, &Endpoint)> = None;
    for (range, node) in all {
        if let Some((reached, holder)) = farthest {
            if !std::ptr::eq(holder, node) && reached.overlaps(&range) {
                let nodes = [holder.name.clone(), node.name.clone()];
                return Err(MeshError::Overlap { nodes, ranges: Box::new([reached, range]) });
            }
            if reached.is_v4() == range.is_v4() && reached.end() >= range.end() {
                continue;
            }
        }
        farthest = Some((range, node));
    }
    Ok(())
}

fn check_connectors(mesh: &Mesh) -> Result<(), MeshError> {
    if mesh.node.role == Role::Connector {
        return Ok(());
    }
    let lost = |peer: &&Endpoint| peer.role == Role::Connector && peer.addresses.is_empty();
    match mesh.peers.iter().find(lost) {
        Some(peer) => Err(MeshError::NowhereToGo { connector: peer.name.clone() }),
        None => Ok(()),
    }
}

impl fmt::Display for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName(identity) => write!(f, "the node {identity} has no name"),
            Self::SelfAmongPeers(name) => {
                write!(f, "{name:?} is this node itself and stands among its peers")
            }
            Self::DuplicateName { name, identities: [one, other] } => {
                write!(f, "{one} and {other} both have the name {name:?}")
            }
            Self::DuplicateIdentity { identity, names: [one, other] } => {
                write!(f, "{one:?} and {other:?} both have the identity {identity}")
            }
            Self::Overlap { nodes: [one, other], ranges } => {
                let [range, other_range] = ranges.as_ref();
                write!(f, "{range} of {one:?} and {other_range} of {other:?} overlap")
            }
            Self::DuplicateCommunity(name) => write!(f, "there are two communities {name:?}"),
            Self::UnknownMember { community, member } => {
                write!(f, "community {community:?} has the member {member:?}, which is no node")
            }
            Self::UnknownVia { community, via } => {
                write!(f, "community {community:?} goes via {via:?}, which is no node")
            }
            Self::ViaEdge { community, via } => {
                write!(f, "community {community:?} goes via {via:?}, which is an edge")
            }
            Self::NowhereToGo { connector } => {
                write!(f, "connector {connector:?} has no address, so this edge cannot go there")
            }
        }
    }
}

impl std::error::Error for MeshError {}

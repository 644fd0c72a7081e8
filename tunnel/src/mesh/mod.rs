//! This node, its peers, and communities by name: from them follows which connections there are.
//!
//! - Every edge connects to the connectors, and connectors to each other.
//! - Edges that share a community connect to each other, all to all; others cannot reach each other.
//! - Where a community says `via`, its members have no connection with each other: each has the others'
//!   subnets in its connection with that connector, which passes the packets on. Two that share several of those
//!   communities go through the connector of the first one: all nodes have to name them in one order.
//!
//! [`Mesh::plan`] makes [`Link`]s of it, one a connection: plain data that can be compared, so that
//! [`diff`] finds what a new mesh changes and everything else stays up. [`Link::connection`] makes of one
//! what the engine loads.
//!
//! # What a link carries
//!
//! Up to three children, named as FabEdge names them, all in one IKE SA:
//!
//! | child | our side | the peer's side |
//! |---|---|---|
//! | `<peer>-p2p` | subnets | subnets |
//! | `<peer>-n2p` | hosts | subnets |
//! | `<peer>-p2n` | subnets | hosts |
//!
//! A child with an empty side is left out, and a link without children as well. Hosts do not talk to hosts
//! through a tunnel. What a relay passes on is joined to as few ranges as may be; where they are more than
//! a message can hold, further children follow, `<peer>-p2p-2` and so on.
//!
//! # Who begins
//!
//! Edges go to connectors. Between two edges, or two connectors, either begins where both have addresses
//! (two that begin at once end with one set of SAs); where one has none, it is the one that begins.
//!
//! # For those who come from FabEdge
//!
//! Its manager's interface, and what takes its place here:
//!
//! | FabEdge | here |
//! |---|---|
//! | `IsRunning()` | `TunnelManager::is_running` |
//! | `ListConnNames()` | `TunnelManager::connections` |
//! | `LoadConn(conn)` | `TunnelManager::load`, one connection; or `TunnelManager::apply`, all that follow from a mesh |
//! | `InitiateConn(name)` | `TunnelManager::initiate`; resolves when it is up or with a verdict, and delays no other. Links that have to begin do so by themselves, for ever |
//! | `UnloadConn(name)` | `TunnelManager::unload`; closes the SAs at the peer as well |
//! | `IsActive(name)` | `TunnelManager::is_active`, or the events `Up` and `Down` in place of polling |
//!
//! Fields of its connections, which a [`Link`] has under these names:
//!
//! | FabEdge | here |
//! |---|---|
//! | `Name` | [`Link::name`], the peer's name |
//! | `LocalID`, `RemoteID` | [`Link::local`], [`Link::peer`] |
//! | `LocalAddress` | [`Defaults::local_addresses`], empty for any |
//! | `RemoteAddress` | [`Link::addresses`], empty for any |
//! | `LocalSubnets`, `LocalNodeSubnets` | [`Endpoint::subnets`], [`Endpoint::hosts`] of [`Mesh::node`] |
//! | `RemoteSubnets`, `RemoteNodeSubnets` | the same of a [`Mesh::peers`] |
//! | `LocalType`, `RemoteType` | [`Endpoint::role`] |
//! | `LocalCerts` | [`Credentials::local`] |
//! | `RemotePort` | [`Endpoint::port`] |
//! | `Mediation` and its three companions | none: where edges cannot reach each other, [`Community::via`] carries their packets |
//!
//! Its `tunnels.yaml` can be read as a [`Mesh`] by serde, since its names of fields are known here too
//! (`self`, `id`, `publicAddresses`, `nodeSubnets`, `type`). It lists those peers alone that a tunnel leads
//! to, so all of its names together are one [`Community`]; its `mediator` is not needed.

mod check;
mod diff;
mod link;
mod plan;
mod ranges;
mod text;

pub use check::MeshError;
pub use diff::{Changes, Named, diff};
pub use link::{Credentials, Defaults, Initiator, Link, LinkChild};
pub use text::AddressError;
pub(crate) use text::{RangeError, range};

use serde::{Deserialize, Serialize};
use tidegate_esp::AddressRange;
use tidegate_ike::identity::Identity;

/// This node, its peers, and who of them belongs together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mesh {
    /// This node.
    #[serde(alias = "self")]
    pub node: Endpoint,
    /// All others.
    #[serde(default)]
    pub peers: Vec<Endpoint>,
    /// Which edges may reach each other.
    #[serde(default)]
    pub communities: Vec<Community>,
}

/// A node of a mesh: this one, or a peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its name in communities; the connection with it has the same.
    pub name: String,
    /// What it proves to be.
    #[serde(alias = "id", with = "text::one")]
    pub identity: Identity,
    /// What it is for.
    #[serde(alias = "type")]
    pub role: Role,
    /// Where it can be reached; none for an edge that nobody can reach.
    #[serde(default, alias = "publicAddresses", with = "text::list")]
    pub addresses: Vec<Address>,
    /// The port of its first packet.
    #[serde(default = "ike_port")]
    pub port: u16,
    /// What is behind it.
    #[serde(default, with = "text::list_of_ranges")]
    pub subnets: Vec<AddressRange>,
    /// Addresses of the node itself that are carried too.
    #[serde(default, alias = "nodeSubnets", with = "text::list_of_ranges")]
    pub hosts: Vec<AddressRange>,
}

/// What a node is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Every edge connects to it.
    #[serde(alias = "Connector")]
    Connector,
    /// It connects to the connectors, and to the edges it shares a community with.
    #[default]
    #[serde(alias = "EdgeNode")]
    Edge,
}

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An address.
    Ip(std::net::IpAddr),
    /// A DNS name, looked up before each attempt.
    Name(String),
}

/// Edges that may reach each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Community {
    /// Its name.
    pub name: String,
    /// Names of nodes.
    pub members: Vec<String>,
    /// The connector that carries what its members have to say to each other; without one they connect
    /// directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}

impl Endpoint {
    /// A node to be adapted: there is nothing behind it, and nobody can reach it.
    pub fn new(name: &str, identity: Identity, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            identity,
            role,
            addresses: Vec::new(),
            port: ike_port(),
            subnets: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

const fn ike_port() -> u16 {
    500
}

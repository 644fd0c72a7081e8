//! A small mesh to change: a connector with the cloud behind it, and edges.

use std::sync::Arc;
use tidegate::mesh::{Community, Credentials, Endpoint, Link, LinkChild, Mesh, Role};
use tidegate_esp::{AddressRange, TrafficSelector};
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::crypto::Secret;

pub(crate) fn range(text: &str) -> AddressRange {
    text.parse::<TrafficSelector>().expect(text).addresses
}

pub(crate) fn node(name: &str, role: Role, subnets: &[&str]) -> Endpoint {
    let identity = format!("C=CN, O=fabedge.io, CN={name}").parse().expect("a name");
    Endpoint {
        subnets: subnets.iter().map(|text| range(text)).collect(),
        ..Endpoint::new(name, identity, role)
    }
}

/// The cloud, with an address.
pub(crate) fn cloud() -> Endpoint {
    let mut cloud = node("cloud", Role::Connector, &["10.233.0.0/16"]);
    cloud.addresses = vec!["192.0.2.1".parse().expect("an address")];
    cloud
}

/// The edge of this number.
pub(crate) fn edge(number: u8) -> Endpoint {
    node(&format!("edge-{number}"), Role::Edge, &[&format!("10.1.{number}.0/24")])
}

pub(crate) fn at(mut node: Endpoint, address: &str) -> Endpoint {
    node.addresses.push(address.parse().expect(address));
    node
}

pub(crate) fn community(name: &str, members: &[&str]) -> Community {
    Community { name: name.into(), members: members.iter().map(|&it| it.into()).collect(), via: None }
}

pub(crate) fn through(via: &str, community: Community) -> Community {
    Community { via: Some(via.into()), ..community }
}

/// The same nodes as seen by the one of this name.
pub(crate) fn seen_by(name: &str, nodes: &[Endpoint], communities: &[Community]) -> Mesh {
    let (node, peers): (Vec<_>, Vec<_>) = nodes.iter().cloned().partition(|node| node.name == name);
    let node = node.into_iter().next().expect("it is one of them");
    Mesh { node, peers, communities: communities.to_vec() }
}

pub(crate) fn plan(mesh: &Mesh) -> Vec<Link> {
    mesh.plan().expect("a mesh that makes sense")
}

pub(crate) fn names(links: &[Link]) -> Vec<&str> {
    links.iter().map(|link| &*link.name).collect()
}

pub(crate) fn link<'a>(links: &'a [Link], name: &str) -> &'a Link {
    links.iter().find(|link| &*link.name == name).unwrap_or_else(|| panic!("no link {name}"))
}

/// A child in one line: `name: ours === theirs`.
pub(crate) fn line(child: &LinkChild) -> String {
    let side = |ranges: &[AddressRange]| {
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        ranges.join(" ")
    };
    format!("{}: {} === {}", child.name, side(&child.local), side(&child.remote))
}

pub(crate) fn lines(link: &Link) -> Vec<String> {
    link.children.iter().map(line).collect()
}

pub(crate) fn credentials() -> Credentials {
    let secret = || Secret::new(b"known to all".to_vec());
    Credentials::new(Arc::new(LocalAuth::Psk(secret())), Arc::new(RemoteAuth::Psk(secret())))
}

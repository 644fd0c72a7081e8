//! `[[peer]]` and `[[community]]`: the mesh, and the connections that follow from it.

use super::files::{Fingerprint, Loaded};
use super::mistake::Fault;
use super::named::NamedConnection;
use super::node::{Node, ROLES};
use super::reader::{Context, Section, Span};
use super::schema;
use super::values::{self, ValueFault};
use crate::mesh::{Community, Credentials, Defaults, Endpoint, Mesh, MeshError};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};

/// What was read, and where it stands.
#[derive(Default)]
pub(super) struct Peers {
    peers: Vec<Endpoint>,
    communities: Vec<Community>,
    /// Of peers that prove themselves by a shared secret, by name.
    secrets: BTreeMap<String, (Loaded<LocalAuth>, Loaded<RemoteAuth>)>,
    /// The last of a name: that is the one too many.
    places: BTreeMap<String, Span>,
    community_places: BTreeMap<String, Span>,
    member_places: BTreeMap<(String, String), Span>,
    node_place: Span,
}

pub(super) fn read(context: &mut Context<'_>, top: &Section<'_>) -> Peers {
    let mut read = Peers::default();
    for section in top.sections(context, "peer", &schema::PEER) {
        read.peer(context, &section);
    }
    for section in top.sections(context, "community", &schema::COMMUNITY) {
        read.community(context, &section);
    }
    read
}

impl Peers {
    fn peer(&mut self, context: &mut Context<'_>, section: &Section<'_>) {
        for (key, reason) in [("name", "communities name it"), ("id", "it has to prove to be that")] {
            if !section.has(key) {
                section.missing(context, key, reason);
            }
        }
        let name = section.parse(context, "name", values::non_empty);
        let identity = section.parse(context, "id", |text| text.parse().map_err(ValueFault::Identity));
        let role = section.choice(context, "role", ROLES.0, &ROLES.1).unwrap_or_default();
        let addresses = section.parse_all(context, "addresses", values::address);
        let port = section.port(context, "port").unwrap_or(500);
        let subnets = section.parse_all(context, "subnets", values::range);
        let hosts = section.parse_all(context, "hosts", values::range);
        let secret = secret(context, section);
        let (Some(name), Some(identity)) = (name, identity) else { return };
        if let Some(secret) = secret {
            self.secrets.insert(name.clone(), secret);
        }
        self.places.insert(name.clone(), section.span.clone());
        self.peers.push(Endpoint { name, identity, role, addresses, port, subnets, hosts });
    }

    fn community(&mut self, context: &mut Context<'_>, section: &Section<'_>) {
        for (key, reason) in [("name", "mistakes are told by it"), ("members", "they may reach each other")] {
            if !section.has(key) {
                section.missing(context, key, reason);
            }
        }
        let name = section.parse(context, "name", values::non_empty);
        let members = section.texts(context, "members").unwrap_or_default();
        let via = section.parse(context, "via", values::non_empty);
        let Some(name) = name else { return };
        self.community_places.insert(name.clone(), section.span.clone());
        for member in &members {
            self.member_places.insert((name.clone(), member.value.to_owned()), member.span.clone());
        }
        let members = members.into_iter().map(|member| member.value.to_owned()).collect();
        self.communities.push(Community { name, members, via });
    }

    pub(super) fn mesh(&mut self, node: &Node, section: &Section<'_>) -> Mesh {
        self.node_place = section.span.clone();
        Mesh {
            node: node.endpoint.clone(),
            peers: std::mem::take(&mut self.peers),
            communities: std::mem::take(&mut self.communities),
        }
    }

    /// A connection for each link.
    pub(super) fn connections(
        &self,
        context: &mut Context<'_>,
        node: &Node,
        mesh: &Mesh,
    ) -> Vec<NamedConnection> {
        let links = match mesh.plan() {
            Ok(links) => links,
            Err(error) => {
                context.complain(&self.place(&error), Fault::Mesh(error));
                return Vec::new();
            }
        };
        let defaults = Defaults {
            local_port: node.settings.port,
            encapsulation: node.encapsulation,
            ..Defaults::default()
        };
        let common = credentials(node.local.as_ref(), node.remote.as_ref(), &defaults);
        let mut connections = Vec::with_capacity(links.len());
        for link in links {
            let own = self.secrets.get(link.name.as_ref());
            let own = own.and_then(|(local, remote)| credentials(Some(local), Some(remote), &defaults));
            match own.or_else(|| common.clone()) {
                Some((credentials, print)) => {
                    connections.push(NamedConnection::of_mesh(link, credentials, print));
                }
                None => self.no_credentials(context, node),
            }
        }
        connections
    }

    fn no_credentials(&self, context: &mut Context<'_>, node: &Node) {
        // A mistake in reading them was told already.
        if context.has_mistakes() {
            return;
        }
        let (key, reason) = match node.local {
            None => ("certificate", "a peer without psk_file wants to see one"),
            Some(_) => ("trust", "the certificate of a peer without psk_file is checked by it"),
        };
        context.complain(&self.node_place, Fault::Missing { key, section: schema::NODE.name, reason });
    }

    /// Where the one stands that is to blame, the later one of two.
    fn place(&self, error: &MeshError) -> Span {
        let peer = |name: &String| self.places.get(name).cloned();
        let community = |name: &String| self.community_places.get(name).cloned();
        let found = match error {
            MeshError::NoName(_) => None,
            MeshError::SelfAmongPeers(name) | MeshError::DuplicateName { name, .. } => peer(name),
            MeshError::DuplicateIdentity { names: [one, other], .. }
            | MeshError::Overlap { nodes: [one, other], .. } => {
                [peer(one), peer(other)].into_iter().flatten().max_by_key(|span| span.start)
            }
            MeshError::DuplicateCommunity(name)
            | MeshError::UnknownVia { community: name, .. }
            | MeshError::ViaEdge { community: name, .. } => community(name),
            MeshError::UnknownMember { community: name, member } => {
                self.member_places.get(&(name.clone(), member.clone())).cloned()
            }
            MeshError::NowhereToGo { connector } => peer(connector),
        };
        found.unwrap_or_else(|| self.node_place.clone())
    }
}

fn credentials(
    local: Option<&Loaded<LocalAuth>>,
    remote: Option<&Loaded<RemoteAuth>>,
    defaults: &Defaults,
) -> Option<(Arc<Credentials>, Fingerprint)> {
    let (local, remote) = (local?, remote?);
    let print = Fingerprint::of(&[local.print.bytes(), remote.print.bytes()]);
    let mut credentials = Credentials::new(Arc::clone(&local.auth), Arc::clone(&remote.auth));
    credentials.defaults = defaults.clone();
    Some((Arc::new(credentials), print))
}

/// The shared secret of a section that may have one.
pub(super) fn secret(
    context: &mut Context<'_>,
    section: &Section<'_>,
) -> Option<(Loaded<LocalAuth>, Loaded<RemoteAuth>)> {
    let name = section.text(context, "psk_file")?;
    match context.files.psk(name.value) {
        Ok(secret) => Some(secret),
        Err((path, fault)) => {
            context.complain_of_file("psk_file", &name.span, path, fault);
            None
        }
    }
}

//! Nodes of a mesh that know each other by certificates.

use crate::support::certificates::{Authority, Credentials, Key};
use crate::support::tidegate::config::{Community, Config, Peer};
use std::net::IpAddr;

/// A node as all others are told of it.
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: &'static str,
    /// `edge` or `connector`.
    pub(crate) role: &'static str,
    /// Where others find it.
    pub(crate) address: String,
    /// What is behind it.
    pub(crate) subnets: Vec<String>,
    /// Its own addresses that are carried too.
    pub(crate) hosts: Vec<String>,
    credentials: Credentials,
}

/// Members, and who may talk to whom.
pub(crate) struct Mesh {
    authority: Authority,
    organisation: &'static str,
    key: Key,
    members: Vec<Member>,
    communities: Vec<Community>,
}

impl Mesh {
    /// Nobody yet. Names are `C=CN, O=<organisation>, CN=<name>`.
    pub(crate) fn new(authority: Authority, organisation: &'static str, key: Key) -> Self {
        Self { authority, organisation, key, members: vec![], communities: vec![] }
    }

    /// Adds a node.
    pub(crate) fn add(&mut self, name: &'static str, role: &'static str, address: IpAddr, subnets: &[&str]) {
        let subject = format!("C=CN, O={}, CN={name}", self.organisation);
        self.members.push(Member {
            name,
            role,
            address: address.to_string(),
            subnets: subnets.iter().map(ToString::to_string).collect(),
            hosts: vec![],
            credentials: self.authority.issue(&subject, self.key),
        });
    }

    /// Has addresses of a node's own carried too.
    pub(crate) fn with_hosts(&mut self, name: &str, hosts: &[&str]) {
        let member = self.members.iter_mut().find(|member| member.name == name).expect("it was added");
        member.hosts = hosts.iter().map(ToString::to_string).collect();
    }

    /// Lets edges talk to each other.
    pub(crate) fn community(&mut self, name: &str, members: &[&str]) {
        let members = members.iter().map(ToString::to_string).collect();
        self.communities.push(Community { name: name.to_owned(), members });
    }

    /// What one of them is told.
    pub(crate) fn config(&self, name: &str) -> Config {
        let own = self.members.iter().find(|member| member.name == name).expect("it was added");
        let mut config = Config::of_member(name, own.role, &own.credentials, &self.authority.certificate);
        config.node.subnets.clone_from(&own.subnets);
        config.node.hosts.clone_from(&own.hosts);
        config.communities.clone_from(&self.communities);
        let others = self.members.iter().filter(|member| member.name != name);
        config.peers = others.map(|other| other.as_peer_of(own)).collect();
        config
    }
}

impl Member {
    fn as_peer_of(&self, other: &Self) -> Peer {
        // A connector takes edges from wherever they come.
        let is_expected = other.role == "connector";
        Peer {
            name: self.name.to_owned(),
            id: self.credentials.subject.clone(),
            role: self.role,
            addresses: if is_expected { vec![] } else { vec![self.address.clone()] },
            subnets: self.subnets.clone(),
            hosts: self.hosts.clone(),
        }
    }
}

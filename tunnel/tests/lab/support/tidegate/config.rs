//! The daemon's configuration file. All that the lab knows of its format is here.

use crate::support::certificates::Credentials;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a configuration file says.
#[derive(Clone, Serialize)]
pub(crate) struct Config {
    pub(crate) node: Node,
    #[serde(rename = "peer", skip_serializing_if = "Vec::is_empty")]
    pub(crate) peers: Vec<Peer>,
    #[serde(rename = "community", skip_serializing_if = "Vec::is_empty")]
    pub(crate) communities: Vec<Community>,
    #[serde(rename = "pool", skip_serializing_if = "Vec::is_empty")]
    pub(crate) pools: Vec<Pool>,
    #[serde(rename = "connection", skip_serializing_if = "Vec::is_empty")]
    pub(crate) connections: Vec<Connection>,
}

#[derive(Clone, Default, Serialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) trust: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) subnets: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encapsulation: Option<&'static str>,
    state: PathBuf,
    vici: PathBuf,
    log: Log,
}

#[derive(Clone, Serialize)]
struct Log {
    level: &'static str,
}

#[derive(Clone, Serialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) role: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<String>,
    pub(crate) subnets: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) hosts: Vec<String>,
}

#[derive(Clone, Serialize)]
pub(crate) struct Community {
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
}

#[derive(Clone, Serialize)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) addresses: String,
}

#[derive(Clone, Serialize)]
pub(crate) struct Connection {
    pub(crate) name: String,
    pub(crate) proposals: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    liveness: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmit: Option<Retransmit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) request_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pools: Vec<String>,
    pub(crate) local: Party,
    pub(crate) remote: Party,
    #[serde(rename = "child")]
    pub(crate) children: Vec<Child>,
}

#[derive(Clone, Copy, Serialize)]
struct Retransmit {
    first: &'static str,
    give_up: &'static str,
}

#[derive(Clone, Copy, Serialize)]
struct Retry {
    first: &'static str,
    most: &'static str,
}

/// One side of a connection.
#[derive(Clone, Default, Serialize)]
pub(crate) struct Party {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) psk_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) trust: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<String>,
}

#[derive(Clone, Serialize)]
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) local: Vec<String>,
    pub(crate) remote: Vec<String>,
    pub(crate) proposals: String,
    pub(crate) start: Start,
    pub(crate) on_close: After,
    pub(crate) on_death: After,
}

/// What brings a child up.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Start {
    AtOnce,
    OnTraffic,
    Wait,
}

/// What follows a child's end.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum After {
    Restart,
    Clear,
}

impl Config {
    /// A node without peers.
    pub(crate) fn new(name: &str) -> Self {
        let log = Log { level: "debug" };
        let node = Node { name: name.to_owned(), log, ..Node::default() };
        Self { node, peers: vec![], communities: vec![], pools: vec![], connections: vec![] }
    }

    /// A member of a mesh.
    pub(crate) fn of_member(
        name: &str,
        role: &'static str,
        credentials: &Credentials,
        authority: &Path,
    ) -> Self {
        let mut config = Self::new(name);
        config.node.role = Some(role);
        config.node.certificate = Some(credentials.chain.clone());
        config.node.key = Some(credentials.key.clone());
        config.node.trust = vec![authority.to_owned()];
        config
    }

    /// The file's text, with the state and the control socket at these places.
    pub(crate) fn text(&self, socket: &Path, state: &Path) -> String {
        let mut config = self.clone();
        config.node.vici = socket.to_owned();
        config.node.state = state.to_owned();
        toml::to_string(&config).expect("all of it can be written as TOML")
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info" }
    }
}

impl Connection {
    /// A connection of this name with a child.
    pub(crate) fn new(name: &str, local: Party, remote: Party, child: Child) -> Self {
        Self {
            name: name.to_owned(),
            proposals: "aes128gcm16-prfsha256-x25519".to_owned(),
            liveness: None,
            retransmit: None,
            retry: None,
            request_addresses: vec![],
            pools: vec![],
            local,
            remote,
            children: vec![child],
        }
    }

    /// Has it find out soon that the peer is gone, and try again soon.
    pub(crate) fn be_impatient(&mut self) {
        self.liveness = Some("1s");
        self.retransmit = Some(Retransmit { first: "200ms", give_up: "3s" });
        self.retry = Some(Retry { first: "200ms", most: "1s" });
    }
}

impl Child {
    /// A child that waits, and is gone when it is closed.
    pub(crate) fn new(name: &str, local: &str, remote: &str) -> Self {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Self {
            name: name.to_owned(),
            local: words(local),
            remote: words(remote),
            proposals: "aes128gcm16".to_owned(),
            start: Start::Wait,
            on_close: After::Clear,
            on_death: After::Clear,
        }
    }
}

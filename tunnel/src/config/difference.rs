//! What a new configuration changes of an old one.

use super::{Configuration, LogSettings, NodeSettings};
use crate::mesh::{Changes, diff};
use std::sync::Arc;
use tidegate_ike::connection::EncapsulationPolicy;
use tidegate_ike::pool::Pool;

/// What has to be done to get from one configuration to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Connections.
    pub connections: Changes,
    /// Pools to load, be they new or different.
    pub pools: Vec<Pool>,
    /// Names of pools to unload.
    pub unpooled: Vec<Arc<str>>,
    /// The log, if it is to be another.
    pub log: Option<LogSettings>,
    /// Keys whose change has no effect before a restart.
    pub restart: Vec<&'static str>,
}

impl Configuration {
    /// What leads from `old` to this one. Connections name the port that they leave from, so that nothing
    /// can be changed along with it before a restart.
    pub fn changes_since(&self, old: &Self) -> Update {
        if self.node.port != old.node.port {
            return Update { restart: self.node.fixed_since(&old.node), ..Update::default() };
        }
        let mut restart = self.node.fixed_since(&old.node);
        if self.wants_raw_esp() && !old.wants_raw_esp() {
            restart.push("encapsulation");
        }
        let absent = |pool: &&Pool| !self.pools.iter().any(|now| now.name == pool.name);
        Update {
            connections: diff(&old.connections, &self.connections),
            pools: self.pools.iter().filter(|pool| !old.pools.contains(pool)).cloned().collect(),
            unpooled: old.pools.iter().filter(absent).map(|pool| Arc::clone(&pool.name)).collect(),
            log: (self.node.log != old.node.log).then(|| self.node.log.clone()),
            restart,
        }
    }

    /// Whether any connection may want ESP without UDP, which takes sockets of its own.
    pub fn wants_raw_esp(&self) -> bool {
        self.connections.iter().any(|connection| connection.encapsulation() != EncapsulationPolicy::Udp)
    }
}

impl NodeSettings {
    /// Keys that differ and cannot be changed while it runs.
    fn fixed_since(&self, old: &Self) -> Vec<&'static str> {
        let all = [
            ("listen", self.listen == old.listen),
            ("port", self.port == old.port),
            ("nat_port", self.nat_port == old.nat_port),
            ("state", self.state == old.state),
            ("vici", self.vici == old.vici),
            ("metrics", self.metrics == old.metrics),
            ("key_log", self.key_log == old.key_log),
            ("workers", self.threads == old.threads),
            ("pin", self.pinning == old.pinning),
            ("device", self.device == old.device),
            ("routes", self.routes == old.routes),
        ];
        all.iter().filter(|(_, same)| !same).map(|(key, _)| *key).collect()
    }
}

impl Update {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

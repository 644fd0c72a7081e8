//! Two sites with Tidegate on both: an edge, and the connector that it calls.

use crate::support::Lab;
use crate::support::certificates::{Authority, Key};
use crate::support::flow::Flow;
use crate::support::member::Mesh;
use crate::support::network::{Internet, Prefix, Site, Uplink};
use crate::support::tidegate::Tidegate;
use crate::support::tidegate::config::Config;
use std::time::Duration;

/// Name of the edge's connection, and of the connector's, in `status`.
pub(crate) const EDGE: &str = "edge-1";
/// The other one.
pub(crate) const CONNECTOR: &str = "cloud-1";

/// The topology, with nothing running in it yet.
pub(crate) struct Twins {
    pub(crate) internet: Internet,
    pub(crate) edge: Site,
    pub(crate) connector: Site,
    pub(crate) edge_uplink: Uplink,
    pub(crate) connector_uplink: Uplink,
    mesh: Mesh,
}

impl Twins {
    /// Builds it.
    pub(crate) fn new(lab: &Lab) -> Self {
        let internet = Internet::new();
        let (edge, connector) = (Site::new(EDGE, 1), Site::new(CONNECTOR, 2));
        let edge_uplink = internet.attach(&edge.node, 1);
        let connector_uplink = internet.attach(&connector.node, 2);
        let mut mesh =
            Mesh::new(Authority::made_by_us(lab.folder(), "authority"), "fabedge.io", Key::Ecdsa(256));
        for (name, role, uplink, site) in
            [(EDGE, "edge", edge_uplink, &edge), (CONNECTOR, "connector", connector_uplink, &connector)]
        {
            let subnets = site.subnets().map(|subnet| subnet.to_string());
            mesh.add(name, role, uplink.v4.into(), &subnets.each_ref().map(String::as_str));
        }
        Self { internet, edge, connector, edge_uplink, connector_uplink, mesh }
    }

    /// Has the nodes' own addresses carried too, which are those that the tunnel goes between.
    pub(crate) fn with_hosts(mut self) -> Self {
        for (name, uplink) in [(EDGE, self.edge_uplink), (CONNECTOR, self.connector_uplink)] {
            self.mesh.with_hosts(name, &[&uplink.v4.to_string()]);
        }
        self
    }

    /// The edge's configuration.
    pub(crate) fn edge_config(&self) -> Config {
        self.mesh.config(EDGE)
    }

    /// The connector's.
    pub(crate) fn connector_config(&self) -> Config {
        self.mesh.config(CONNECTOR)
    }

    /// Starts the connector's daemon and then the edge's, and waits for the tunnel.
    pub(crate) fn start(&self, lab: &Lab) -> [Tidegate; 2] {
        let connector = Tidegate::start(lab, &self.connector.node, &self.connector_config());
        let edge = Tidegate::start(lab, &self.edge.node, &self.edge_config());
        edge.wait_until_all_up(Duration::from_secs(10));
        [edge, connector]
    }

    /// Datagrams both ways, 1,000 a second each: from the edge's pod first.
    pub(crate) fn flows(&self) -> [Flow; 2] {
        [
            Flow::start(&self.edge.pod, &self.connector.pod, self.connector.pod_v4.into(), 1000),
            Flow::start(&self.connector.pod, &self.edge.pod, self.edge.pod_v4.into(), 1000),
        ]
    }

    /// What must not be seen on the wire.
    pub(crate) fn inner(&self) -> Vec<Prefix> {
        [self.edge.subnets(), self.connector.subnets()].concat()
    }
}

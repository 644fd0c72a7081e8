//! FabEdge's three children between two of us: pods to pods, nodes to the other's pods, pods to the other's node.
//!
//! The nodes' addresses are those that the tunnel itself goes between, so its own packets, and whatever else the
//! nodes say to each other, must go past it.

use crate::harness::{Cases, Needs, Suite};
use crate::support::capture::Capture;
use crate::support::http::{self, Answer, Server};
use crate::support::namespace::Namespace;
use crate::support::tidegate::Tidegate;
use crate::support::twins::Twins;
use crate::support::{Lab, flow};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The cases.
pub(crate) fn suite() -> Suite {
    Cases::new("capturing", Needs::StrongSwan, Fixture::new)
        .case("pods_and_nodes_reach_pods_and_nodes", pods_and_nodes)
        .case("what_no_child_names_goes_past_the_tunnel", past_the_tunnel)
        .case("outer_packets_do_not_loop", outer_packets)
        .suite()
}

struct Fixture {
    twins: Twins,
    _servers: Vec<Server>,
    tidegates: [Tidegate; 2],
}

const PORT: u16 = 8080;

impl Fixture {
    fn new(lab: &Lab) -> Self {
        let twins = Twins::new(lab).with_hosts();
        let serve = |namespace: &Namespace, name: &str| {
            Server::start(namespace, name, SocketAddr::new([0_u16; 8].into(), PORT))
        };
        let servers = vec![
            serve(&twins.edge.node, "edge node"),
            serve(&twins.edge.pod, "edge pod"),
            serve(&twins.connector.node, "connector node"),
            serve(&twins.connector.pod, "connector pod"),
        ];
        let tidegates = twins.start(lab);
        Self { twins, _servers: servers, tidegates }
    }
}

#[track_caller]
fn assert_reaches(from: &Namespace, own: impl Into<IpAddr>, to: impl Into<IpAddr>, name: &str) {
    let (own, to) = (own.into(), to.into());
    let answer = http::get(from, SocketAddr::new(to, PORT), Duration::from_secs(5));
    let answer = answer.unwrap_or_else(|error| panic!("{own} asks {to}: {error}"));
    assert_eq!(answer, Answer { server: name.into(), client: own });
}

fn pods_and_nodes(_: &Lab, Fixture { twins, .. }: &mut Fixture) {
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    let (edge, connector) = (&twins.edge, &twins.connector);
    let (edge_node, connector_node) = (twins.edge_uplink.v4, twins.connector_uplink.v4);
    assert_reaches(&edge.pod, edge.pod_v4, connector.pod_v4, "connector pod");
    assert_reaches(&edge.node, edge_node, connector.pod_v4, "connector pod");
    assert_reaches(&edge.pod, edge.pod_v4, connector_node, "connector node");
    assert_reaches(&connector.pod, connector.pod_v4, edge.pod_v4, "edge pod");
    assert_reaches(&connector.node, connector_node, edge.pod_v4, "edge pod");
    assert_reaches(&connector.pod, connector.pod_v4, edge_node, "edge node");
    capture.assert_sealed();
}

fn past_the_tunnel(_: &Lab, Fixture { twins, .. }: &mut Fixture) {
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    let (edge, connector) = (twins.edge_uplink.v4, twins.connector_uplink.v4);
    assert_reaches(&twins.edge.node, edge, connector, "connector node");
    assert_reaches(&twins.connector.node, connector, edge, "edge node");
    assert!(!capture.seen().leaks.is_empty(), "what the nodes said to each other went into the tunnel");
}

fn outer_packets(_: &Lab, Fixture { twins, tidegates, .. }: &mut Fixture) {
    flow::arrive(&twins.flows(), 1000);
    // A packet of the tunnel's own that was captured would come up sealed once more, and count.
    for tidegate in tidegates {
        let status = tidegate.status();
        let children = status[0]["sas"][0]["children"].as_array().expect("children").clone();
        let node_to_pods =
            children.iter().filter(|child| !child["name"].as_str().is_some_and(|n| n.contains("p2p")));
        let packets: u64 = node_to_pods.filter_map(|child| child["sent"]["packets"].as_u64()).sum();
        assert!(packets < 1000, "{packets} packets for nodes, where only pods have talked: {status:#}");
    }
}

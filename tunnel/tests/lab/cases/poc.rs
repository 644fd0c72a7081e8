//! The proof of concept that edges were first joined by: certificates by DN, one connector, communities.
//!
//! ```text
//!   edge2 2.2.2.0/27 ──┐               ┌── node1 10.233.90.0/24 ── node2 10.233.96.0/24
//!   edge3 2.2.2.32/27 ─┼─ 10.20.8.0/24 ┤
//!   edge4 2.2.2.64/27 ─┘               └── (edge4 is in no community)
//! ```

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::capture::Capture;
use crate::support::certificates::{Authority, Key};
use crate::support::http::{self, Answer, Server};
use crate::support::member::Mesh;
use crate::support::namespace::Namespace;
use crate::support::network::{Prefix, bridge, plug};
use crate::support::tidegate::Tidegate;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The cases.
pub(crate) fn suite() -> Suite {
    Cases::new("poc", Needs::StrongSwan, Lan::new)
        .case("c1_edge_to_a_cloud_node_behind_the_connector", |_, lan: &mut Lan| {
            lan.assert_talk("edge2", "node2");
        })
        .case("c2_edge_to_edge_of_one_community", |_, lan: &mut Lan| lan.assert_talk("edge2", "edge3"))
        .case("c3_edge_to_the_connector", |_, lan: &mut Lan| lan.assert_talk("edge3", "node1"))
        .case("an_edge_of_no_community_has_the_cloud_alone", no_community)
        .suite()
}

struct Lan {
    switch: Namespace,
    nodes: Vec<Node>,
    tidegates: Vec<(&'static str, Tidegate)>,
    _servers: Vec<Server>,
}

struct Node {
    name: &'static str,
    node: Namespace,
    pod: Namespace,
    address: Ipv4Addr,
    pod_address: Ipv4Addr,
}

/// Name, address, the bridge's address, the pod's.
const NODES: [(&str, &str, &str, &str); 5] = [
    ("node1", "10.20.8.141", "10.233.90.1/24", "10.233.90.3"),
    ("node2", "10.20.8.142", "10.233.96.1/24", "10.233.96.2"),
    ("edge2", "10.20.8.4", "2.2.2.1/27", "2.2.2.2"),
    ("edge3", "10.20.8.12", "2.2.2.33/27", "2.2.2.34"),
    ("edge4", "10.20.8.13", "2.2.2.65/27", "2.2.2.66"),
];

impl Lan {
    fn new(lab: &Lab) -> Self {
        let switch = Namespace::new("lan");
        bridge(&switch, "lan", &[]);
        let nodes: Vec<_> = NODES.iter().map(|node| Node::new(&switch, *node)).collect();
        let [node1, node2] = ["node1", "node2"].map(|name| find(&nodes, name));
        // As Calico tells each cloud node about the other, and about edges behind the connector.
        node1.node.ip(&format!("route add 10.233.96.0/24 via {}", node2.address));
        node2.node.ip(&format!("route add 10.233.90.0/24 via {}", node1.address));
        node2.node.ip(&format!("route add 2.0.0.0/8 via {}", node1.address));
        let serve = |node: &Node| Server::start(&node.pod, node.name, (node.pod_address, 80).into());
        let servers = nodes.iter().map(serve).collect();
        let mesh = mesh(lab, &nodes);
        let tidegates: Vec<_> = ["node1", "edge2", "edge3", "edge4"]
            .map(|name| (name, Tidegate::start(lab, &find(&nodes, name).node, &mesh.config(name))))
            .into_iter()
            .collect();
        for (_, tidegate) in &tidegates {
            tidegate.wait_until_all_up(Duration::from_secs(15));
        }
        Self { switch, nodes, tidegates, _servers: servers }
    }

    #[track_caller]
    fn assert_talk(&self, one: &str, other: &str) {
        let capture = Capture::start(&self.switch, &[Prefix::new("2.2.2.0/24")]);
        for (from, to) in [(one, other), (other, one)] {
            let (from, to) = (find(&self.nodes, from), find(&self.nodes, to));
            let answer =
                from.ask(to).unwrap_or_else(|error| panic!("{} asks {}: {error}", from.name, to.name));
            let client = IpAddr::from(from.pod_address);
            assert_eq!(answer, Answer { server: to.name.into(), client });
        }
        // Between cloud nodes it goes in clear, as it does without us.
        if ![one, other].contains(&"node2") {
            capture.assert_sealed();
        }
    }
}

fn mesh(lab: &Lab, nodes: &[Node]) -> Mesh {
    let mut mesh =
        Mesh::new(Authority::new(lab.folder(), "Root CA", Key::Rsa(4096)), "StrongSwan", Key::Rsa(2048));
    let address = |name| find(nodes, name).address.into();
    mesh.add("node1", "connector", address("node1"), &["10.233.0.0/16"]);
    mesh.add("edge2", "edge", address("edge2"), &["2.2.2.0/27"]);
    mesh.add("edge3", "edge", address("edge3"), &["2.2.2.32/27"]);
    mesh.add("edge4", "edge", address("edge4"), &["2.2.2.64/27"]);
    mesh.community("app1", &["edge2", "edge3"]);
    mesh
}

fn find<'a>(nodes: &'a [Node], name: &str) -> &'a Node {
    nodes.iter().find(|node| node.name == name).expect("a node of the LAN")
}

impl Node {
    fn new(
        switch: &Namespace,
        (name, address, gateway, pod_address): (&'static str, &str, &str, &str),
    ) -> Self {
        let (node, pod) = (Namespace::new(name), Namespace::new(&format!("{name}-pod")));
        node.forward();
        plug((switch, "lan"), &node, name);
        node.ip(&format!("addr add {address}/24 dev eth0"));
        bridge(&node, "br-edge", &[gateway]);
        plug((&node, "br-edge"), &pod, "pod");
        let (gateway, length) = gateway.split_once('/').expect("a prefix");
        pod.ip(&format!("addr add {pod_address}/{length} dev eth0"));
        pod.ip(&format!("route add default via {gateway}"));
        let parse = |text: &str| text.parse().expect("an address");
        Self { name, node, pod, address: parse(address), pod_address: parse(pod_address) }
    }

    fn ask(&self, other: &Self) -> std::io::Result<Answer> {
        http::get(&self.pod, SocketAddr::from((other.pod_address, 80)), Duration::from_secs(3))
    }
}

fn no_community(_: &Lab, lan: &mut Lan) {
    lan.assert_talk("edge4", "node1");
    for (from, to) in [("edge4", "edge2"), ("edge2", "edge4"), ("edge3", "edge4")] {
        let answer = find(&lan.nodes, from).ask(find(&lan.nodes, to));
        assert!(answer.is_err(), "{from} reached {to}: {answer:?}");
    }
    for (name, tidegate) in &lan.tidegates {
        let expected = match *name {
            "node1" => 3,
            "edge4" => 1,
            _ => 2,
        };
        let status = tidegate.status();
        assert_eq!(
            status.as_array().map(Vec::len),
            Some(expected),
            "{name} has other connections: {status:#}"
        );
    }
}

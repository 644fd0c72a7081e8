//! A cluster as SuperEdge and FabEdge have it.
//!
//! ```text
//!   cloud-1 (connector)   cloud-2   master          a LAN, and VXLAN among them as flannel lays it
//!       └────────────┬───────┴─────────┘
//!                 internet                          lets nothing from the cloud in to edges that did not ask
//!             ┌──────┴──────┐
//!           edge-1        edge-2                    one community
//! ```

use super::checks::{CLOUD, Check, Deployment, EDGES, To};
use crate::support::Lab;
use crate::support::certificates::{Authority, Key};
use crate::support::http::{self, Server};
use crate::support::member::Mesh;
use crate::support::namespace::Namespace;
use crate::support::network::{Internet, bridge, plug};
use crate::support::tidegate::Tidegate;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// All of it, running.
pub(super) struct Cluster {
    pub(super) internet: Internet,
    nodes: Vec<Node>,
    tidegates: Vec<Tidegate>,
    _lan: Namespace,
    _servers: Vec<Server>,
}

struct Node {
    name: &'static str,
    node: Namespace,
    pod: Namespace,
    /// The node's address.
    host: Ipv4Addr,
    /// First three bytes of its pods' addresses.
    pods: [u8; 3],
}

/// Where a pod listens that has an address of its own, and one in its node's network.
const POD_PORT: u16 = 80;
const HOST_PORT: u16 = 8080;
/// Services listen here, and all ClusterIPs are in 10.96.0.0/24.
const SERVICE_PORT: u16 = 80;

impl Cluster {
    /// Builds it and starts a daemon on the connector and on each edge.
    pub(super) fn new(lab: &Lab) -> Self {
        let internet = Internet::new();
        let lan = Namespace::new("cloud-lan");
        bridge(&lan, "lan", &[]);
        plug((&lan, "lan"), &internet.router, "up");
        internet.router.ip("addr add 172.16.0.254/24 dev eth0");
        let mut nodes = vec![
            Node::in_cloud(&lan, "cloud-1", 1),
            Node::in_cloud(&lan, "cloud-2", 2),
            Node::in_cloud(&lan, "apiserver", 3),
            Node::on_edge(&internet, "edge-1", 1),
            Node::on_edge(&internet, "edge-2", 2),
        ];
        lay_vxlan(&nodes);
        nodes.iter_mut().for_each(Node::add_services);
        internet.router.nft(
            "table inet one_way { chain forward { type filter hook forward priority 0; \
             iifname eth0 ct state new drop; }; }",
        );
        let servers = nodes.iter().flat_map(Node::serve).collect();
        let mesh = mesh(lab, &nodes);
        let start = |node: &Node| Tidegate::start(lab, &node.node, &mesh.config(node.name));
        let running = ["cloud-1", "edge-1", "edge-2"].map(|name| find(&nodes, name));
        let tidegates = running.map(start).into_iter().collect();
        Self { internet, nodes, tidegates, _lan: lan, _servers: servers }
    }

    /// Waits until every tunnel is there.
    pub(super) fn wait_until_up(&self, limit: Duration) {
        self.tidegates.iter().for_each(|tidegate| tidegate.wait_until_all_up(limit));
    }

    /// Runs a check; an error says what happened in place of what should have.
    pub(super) fn check(&self, check: &Check) -> Result<(), String> {
        let (server, mut missing) = match check.to {
            To::Node(name) => (find(&self.nodes, name).server(check.target), BTreeSet::from([name])),
            To::Service(names) => (service(check.target, names), names.iter().copied().collect()),
        };
        let source = find(&self.nodes, check.from);
        // Endpoints take turns, so as many calls as endpoints reach them all.
        for _ in 0..missing.len() {
            let from = match check.source {
                Deployment::Pod => &source.pod,
                Deployment::Host => &source.node,
            };
            let answer =
                http::get(from, server, Duration::from_secs(3)).map_err(|error| error.to_string())?;
            if !missing.remove(answer.server.as_str()) {
                return Err(format!("{} answered", answer.server));
            }
            if check.source == Deployment::Pod && answer.client != source.pod_address() {
                return Err(format!("came from {}", answer.client));
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} did not answer")) }
    }
}

fn mesh(lab: &Lab, nodes: &[Node]) -> Mesh {
    let mut mesh =
        Mesh::new(Authority::new(lab.folder(), "fabedge", Key::Rsa(4096)), "fabedge.io", Key::Rsa(2048));
    mesh.add("cloud-1", "connector", find(nodes, "cloud-1").host.into(), &["10.233.0.0/16"]);
    // Nodes of the cloud that run no daemon are reached through the one that does.
    mesh.with_hosts("cloud-1", &["172.16.0.1", "172.16.0.2", "172.16.0.3"]);
    for (name, subnet) in [("edge-1", "10.234.1.0/24"), ("edge-2", "10.234.2.0/24")] {
        let host = find(nodes, name).host;
        mesh.add(name, "edge", host.into(), &[subnet]);
        mesh.with_hosts(name, &[&host.to_string()]);
    }
    mesh.community("app1", EDGES);
    mesh
}

fn find<'a>(nodes: &'a [Node], name: &str) -> &'a Node {
    nodes.iter().find(|node| node.name == name).expect("a node of the cluster")
}

impl Node {
    fn in_cloud(lan: &Namespace, name: &'static str, number: u8) -> Self {
        let node = Namespace::new(name);
        plug((lan, "lan"), &node, name);
        let host = Ipv4Addr::new(172, 16, 0, number);
        node.ip(&format!("addr add {host}/24 dev eth0"));
        node.ip("route add default via 172.16.0.254");
        Self::with_pod(name, node, host, [10, 233, number])
    }

    fn on_edge(internet: &Internet, name: &'static str, number: u8) -> Self {
        let node = Namespace::new(name);
        let host = internet.attach(&node, number).v4;
        Self::with_pod(name, node, host, [10, 234, number])
    }

    fn with_pod(name: &'static str, node: Namespace, host: Ipv4Addr, pods: [u8; 3]) -> Self {
        let pod = Namespace::new(&format!("{name}-pod"));
        node.forward();
        let node = Self { name, node, pod, host, pods };
        bridge(&node.node, "cni0", &[&format!("{}/24", node.in_pods(1))]);
        plug((&node.node, "cni0"), &node.pod, "pod");
        node.pod.ip(&format!("addr add {}/24 dev eth0", node.pod_address()));
        node.pod.ip(&format!("route add default via {}", node.in_pods(1)));
        node
    }

    fn in_pods(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.pods;
        Ipv4Addr::new(a, b, c, last)
    }

    fn pod_address(&self) -> Ipv4Addr {
        self.in_pods(2)
    }

    /// Where what runs on it listens.
    fn server(&self, deployment: Deployment) -> SocketAddr {
        match deployment {
            Deployment::Pod => (self.pod_address(), POD_PORT).into(),
            Deployment::Host => (self.host, HOST_PORT).into(),
        }
    }

    fn serve(&self) -> [Server; 2] {
        [
            Server::start(&self.pod, self.name, self.server(Deployment::Pod)),
            Server::start(&self.node, self.name, self.server(Deployment::Host)),
        ]
    }

    /// The rules of kube-proxy for all services.
    fn add_services(&mut self) {
        for deployment in [Deployment::Pod, Deployment::Host] {
            for endpoints in [EDGES, CLOUD, &EDGES[..1], &EDGES[1..]] {
                self.add_service(deployment, endpoints);
            }
        }
    }

    fn add_service(&self, deployment: Deployment, endpoints: &[&str]) {
        let cluster_ip = service(deployment, endpoints);
        let chain = format!("SVC-{}", cluster_ip.ip());
        let iptables = |words: String| self.node.iptables(&format!("-t nat {words}"));
        iptables(format!("-N {chain}"));
        for hook in ["PREROUTING", "OUTPUT"] {
            iptables(format!("-A {hook} -d {} -p tcp --dport {SERVICE_PORT} -j {chain}", cluster_ip.ip()));
        }
        for (number, name) in endpoints.iter().enumerate() {
            let turns = format!("-m statistic --mode nth --every {} --packet 0", endpoints.len() - number);
            iptables(format!(
                "-A {chain} -p tcp {turns} -j DNAT --to-destination {}",
                endpoint(deployment, name)
            ));
        }
    }
}

/// Where an endpoint listens; the same as its node's [`Node::server`].
fn endpoint(deployment: Deployment, name: &str) -> SocketAddr {
    let number: u8 = if name.ends_with('1') { 1 } else { 2 };
    let is_edge = EDGES.contains(&name);
    match (deployment, is_edge) {
        (Deployment::Pod, true) => (Ipv4Addr::new(10, 234, number, 2), POD_PORT).into(),
        (Deployment::Pod, false) => (Ipv4Addr::new(10, 233, number, 2), POD_PORT).into(),
        (Deployment::Host, true) => (Ipv4Addr::new(198, 18, number, 2), HOST_PORT).into(),
        (Deployment::Host, false) => (Ipv4Addr::new(172, 16, 0, number), HOST_PORT).into(),
    }
}

/// The ClusterIP of a service.
fn service(deployment: Deployment, endpoints: &[&str]) -> SocketAddr {
    let place = [EDGES, CLOUD, &EDGES[..1], &EDGES[1..]].iter().position(|known| *known == endpoints);
    let number =
        place.expect("a service of the cluster") as u8 * 2 + u8::from(deployment == Deployment::Host);
    (Ipv4Addr::new(10, 96, 0, 10 + number), SERVICE_PORT).into()
}

/// VXLAN among the nodes of the cloud, with static neighbours, as flannel does. Edges seem to be cloud-1: what is for
/// their pods, or for the nodes themselves by answer to them, is sent there.
fn lay_vxlan(nodes: &[Node]) {
    let (edges, cloud): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.name.starts_with("edge"));
    for node in &cloud {
        let number = node.pods[2];
        node.node.ip(&format!(
            "link add flannel.1 address {} type vxlan id 1 local {} dev eth0 dstport 8472 nolearning",
            vtep(number),
            node.host
        ));
        node.node.ip(&format!("addr add {}/32 dev flannel.1", node.in_pods(0)));
        node.node.ip("link set flannel.1 up");
        for other in cloud.iter().filter(|other| other.name != node.name) {
            let number = other.pods[2];
            node.node.ip(&format!("neigh add {} lladdr {} dev flannel.1", other.in_pods(0), vtep(number)));
            node.node.ip(&format!(
                "route add {}/24 via {} dev flannel.1 onlink",
                other.in_pods(0),
                other.in_pods(0)
            ));
            let bridge =
                ["fdb", "add", &vtep(number), "dev", "flannel.1", "dst", &other.host.to_string()].join(" ");
            node.node.bridge(&bridge);
        }
        for edge in edges.iter().filter(|_| node.name != "cloud-1") {
            node.node.ip(&format!("neigh add {} lladdr {} dev flannel.1", edge.in_pods(0), vtep(1)));
            node.node.ip(&format!(
                "route add {}/24 via {} dev flannel.1 onlink",
                edge.in_pods(0),
                edge.in_pods(0)
            ));
            node.node.ip(&format!("route add {}/32 via {} dev flannel.1 onlink", edge.host, edge.in_pods(0)));
        }
    }
}

/// The hardware address of a cloud node's end of the VXLAN.
fn vtep(number: u8) -> String {
    format!("02:00:00:00:00:0{number}")
}

//! FabEdge's whole life: a connector, two edges, and on each node an agent that does what FabEdge's does, in its order.
//!
//! Keys and the authority are in charon's files; certificates come as text with the connections. The agent writes
//! routes into table 220, and expects that nothing goes there in clear.

use super::peering::{KINDS, Member, Role};
use crate::harness::{Cases, Needs, Suite};
use crate::support::agent::{self, Agent, call};
use crate::support::capture::Capture;
use crate::support::certificates::{Authority, Credentials, Key};
use crate::support::etc::Etc;
use crate::support::http::{self, Server};
use crate::support::network::{Internet, Site, Uplink};
use crate::support::process::run;
use crate::support::tidegate::Tidegate;
use crate::support::tidegate::config::Config;
use crate::support::{Lab, wait};
use serde_json::{Value, json};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

/// The cases.
pub(super) fn suite() -> Suite {
    Cases::new("clients/fabedge", Needs::Python, Cluster::new)
        .case("two_edges_and_a_connector_live_through_restarts", whole_life)
        .case("edges_come_back_when_the_connector_was_killed", connector_restarts)
        .suite()
}

/// The nodes, the connector first.
struct Cluster {
    internet: Internet,
    nodes: Vec<Node>,
}

struct Node {
    name: &'static str,
    site: Site,
    uplink: Uplink,
    credentials: Credentials,
    /// What charon has in `/etc`.
    etc: Etc,
    _servers: [Server; 2],
}

/// A node with its daemon.
struct Running<'a> {
    node: &'a Node,
    tidegate: Tidegate,
    agent: Agent,
}

const NAMES: [&str; 3] = ["cloud-connector", "edge-1", "edge-2"];
/// What an agent waits for a child, in milliseconds.
const TIMEOUT: &str = "10000";
/// How often agents look here.
const POLL: Duration = Duration::from_millis(500);
/// An edge asks for signs of life every ten seconds, and then for a while before it gives a peer up.
const BACK: Duration = Duration::from_secs(60);

impl Cluster {
    fn new(lab: &Lab) -> Self {
        let internet = Internet::new();
        let authority = Authority::new(lab.folder(), "fabedge-ca", Key::Rsa(4096));
        let nodes =
            (1..).zip(NAMES).map(|(number, name)| Node::new(lab, &internet, &authority, name, number));
        Self { nodes: nodes.collect(), internet }
    }
}

impl Node {
    fn new(lab: &Lab, internet: &Internet, authority: &Authority, name: &'static str, number: u8) -> Self {
        let site = Site::new(name, number);
        let uplink = internet.attach(&site.node, number);
        let credentials = authority.issue(&format!("C=CN, O=fabedge.io, CN=beijing.{name}"), Key::Rsa(2048));
        let etc = Etc::new(&lab.folder().join(format!("etc-{name}")), authority, &credentials);
        let servers = [
            Server::start(&site.pod, name, SocketAddr::new([0_u16; 8].into(), 80)),
            Server::start(&site.node, name, SocketAddr::new(uplink.v4.into(), 8080)),
        ];
        Self { name, site, uplink, credentials, etc, _servers: servers }
    }

    /// As agents know it.
    fn member(&self) -> Member {
        let role = if self.name == "cloud-connector" { Role::Connector } else { Role::Edge };
        Member {
            name: self.name.to_owned(),
            subject: self.credentials.subject.clone(),
            role,
            address: self.uplink.v4.to_string(),
            pods: self.site.subnets().map(|subnet| subnet.to_string()).to_vec(),
        }
    }

    /// What the agent loads for a peer.
    fn connection_to(&self, peer: &Self) -> Value {
        let certificate = fs::read_to_string(&self.credentials.chain).expect("just written");
        self.member().connection_to(&peer.member(), &certificate)
    }

    /// What the agent writes into table 220 for a peer, and how it sees what is there.
    fn write_route(&self, peer: &Self) {
        self.site.node.ip(&format!(
            "route replace {} via {} table 220",
            peer.site.subnet_v4,
            self.uplink.router_v4()
        ));
    }

    fn table_220(&self) -> String {
        run(Command::new("ip").args(["-n", self.site.node.name(), "route", "show", "table", "220"]))
    }
}

impl<'a> Running<'a> {
    fn start(lab: &Lab, node: &'a Node) -> Self {
        let config = Config::new(node.name);
        let tidegate = Tidegate::start_like_charon(lab, &node.site.node, &config, node.etc.folder());
        Self::with(node, tidegate)
    }

    fn with(node: &'a Node, tidegate: Tidegate) -> Self {
        let agent = Agent::new(tidegate.socket());
        Self { node, tidegate, agent }
    }

    /// What it carried for `peer` must not go out in clear while it is not there, whatever table 220 says.
    fn restart(self, lab: &Lab, peer: &Node) -> Self {
        let left = self.tidegate.kill();
        assert_nothing_gets_through(self.node, peer);
        Self::with(self.node, Tidegate::start_again(lab, &self.node.site.node, &left))
    }

    /// A round of the agent: is it there, what does it know, load what it does not know.
    fn synchronize(&self, peers: &[&Node]) {
        let total = self.agent.ask("stats", json!({}))["ikesas"]["total"].clone();
        assert!(total.is_string(), "{total}");
        let known = self.agent.ask("get-conns", json!({}))["conns"].clone();
        let known: Vec<_> = known.as_array().expect("a list, even of none").clone();
        for peer in peers.iter().filter(|peer| !known.contains(&json!(peer.name))) {
            let answer = self.agent.ask("load-conn", self.node.connection_to(peer));
            assert_eq!(answer["success"], "yes");
            self.node.write_route(peer);
        }
    }

    /// The child that is up for each name.
    fn children(&self, peer: &Node) -> Vec<String> {
        let events = self.agent.sas(peer.name);
        let sas = events.iter().filter_map(|event| event.get(peer.name));
        let children = sas.flat_map(|sa| sa["child-sas"].as_object().expect("always there").values());
        let mut names: Vec<_> =
            children.filter_map(|child| child["name"].as_str().map(str::to_owned)).collect();
        names.sort();
        names
    }

    /// What an edge's agent does every five seconds: load what is lacking, and bring up what is down.
    fn look_after(&self, peer: &Node) {
        self.synchronize(&[peer]);
        let up = self.children(peer);
        for child in Member::children_of(peer.name).iter().filter(|child| !up.contains(child)) {
            // What is not there yet is tried again in the next round.
            let _ = self.agent.try_to("initiate", json!({ "child": child, "timeout": TIMEOUT }));
        }
    }

    /// As an edge's agent brings its connection up: child by child.
    fn initiate(&self, peer: &Node) {
        for kind in KINDS {
            let child = format!("{}-{kind}", peer.name);
            self.agent.ask("initiate", json!({ "child": child, "timeout": TIMEOUT }));
        }
        assert_eq!(self.children(peer), Member::children_of(peer.name));
    }
}

fn whole_life(lab: &Lab, cluster: &mut Cluster) {
    lab.say(format!("vici {} for Python", agent::version()));
    let [cloud, edges @ ..] = &cluster.nodes[..] else { panic!("three nodes") };
    let (first, second) = (&edges[0], &edges[1]);
    let inner: Vec<_> = cluster.nodes.iter().flat_map(|node| node.site.subnets()).collect();
    let capture = Capture::start(&cluster.internet.router, &inner);
    let connector = Running::start(lab, cloud);
    let running = edges.iter().map(|edge| Running::start(lab, edge)).collect::<Vec<_>>();
    connector.synchronize(&[first, second]);
    running.iter().for_each(|edge| edge.synchronize(&[cloud]));
    assert_nothing_gets_through(first, cloud);
    running.iter().for_each(|edge| edge.initiate(cloud));
    edges.iter().for_each(|edge| assert_all_talk(edge, cloud));
    poll(lab, &running[0]);
    let [one, other] = <[Running<'_>; 2]>::try_from(running).ok().expect("two edges");
    let one = one.restart(lab, cloud);
    assert_eq!(one.agent.ask("get-conns", json!({}))["conns"], json!([]));
    one.synchronize(&[cloud]);
    one.initiate(cloud);
    assert_all_talk(first, cloud);
    assert_all_talk(second, cloud);
    assert_eq!(other.children(cloud).len(), 3);
    unload_and_load(&other, cloud);
    assert_all_talk(second, cloud);
    for node in &cluster.nodes {
        assert!(node.table_220().contains(" via "), "routes of others were deleted: {}", node.table_220());
        let rules = run(Command::new("ip").args(["-n", node.site.node.name(), "rule"]));
        assert!(rules.contains("lookup 220"), "{rules}");
    }
    capture.assert_sealed();
}

fn connector_restarts(lab: &Lab, cluster: &mut Cluster) {
    let [cloud, edges @ ..] = &cluster.nodes[..] else { panic!("three nodes") };
    let both: Vec<_> = edges.iter().collect();
    let connector = Running::start(lab, cloud);
    let running = edges.iter().map(|edge| Running::start(lab, edge)).collect::<Vec<_>>();
    connector.synchronize(&both);
    running.iter().for_each(|edge| edge.look_after(cloud));
    edges.iter().for_each(|edge| assert_all_talk(edge, cloud));
    let inner: Vec<_> = cluster.nodes.iter().flat_map(|node| node.site.subnets()).collect();
    let capture = Capture::start(&cluster.internet.router, &inner);

    let connector = connector.restart(lab, &edges[0]);
    let start = Instant::now();
    assert_eq!(connector.agent.ask("get-conns", json!({}))["conns"], json!([]));
    connector.synchronize(&both);
    for (edge, running) in edges.iter().zip(&running) {
        let server = SocketAddr::new(cloud.site.pod_v4.into(), 80);
        wait::until(&format!("{} is back", edge.name), BACK, || {
            running.look_after(cloud);
            http::get(&edge.site.pod, server, POLL).ok()
        });
        lab.say(format!("{} is back {:.1?} after its connector", edge.name, start.elapsed()));
    }
    edges.iter().for_each(|edge| assert_all_talk(edge, cloud));
    for (edge, running) in edges.iter().zip(&running) {
        assert_eq!(running.children(cloud), Member::children_of(cloud.name));
        assert_eq!(connector.children(edge), Member::children_of(edge.name));
    }
    capture.assert_sealed();
}

/// The agent asks every five seconds; here without the pauses.
fn poll(lab: &Lab, edge: &Running<'_>) {
    let outcomes = edge.agent.call_all(1, vec![call("get-conns", json!({})); 50]);
    assert!(
        outcomes.iter().all(|outcome| outcome.reply["conns"] == json!(["cloud-connector"])),
        "{outcomes:?}"
    );
    let slowest = outcomes.iter().map(|outcome| outcome.took).max().expect("there are some");
    lab.say(format!("50 polls in sessions of their own, the slowest took {slowest:.1?}"));
}

/// What the agent does with a peer that is gone, and with its return.
fn unload_and_load(edge: &Running<'_>, peer: &Node) {
    edge.agent.ask("unload-conn", json!({ "name": peer.name }));
    let outcome = edge.agent.try_to("unload-conn", json!({ "name": peer.name }));
    assert!(outcome.error.is_some_and(|error| error.contains("not found")));
    let outcome = edge.agent.try_to("terminate", json!({ "ike": "nobody" }));
    assert!(outcome.error.is_some(), "what is not there cannot be terminated");
    edge.synchronize(&[peer]);
    edge.initiate(peer);
}

#[track_caller]
fn assert_nothing_gets_through(edge: &Node, cloud: &Node) {
    let server = SocketAddr::new(cloud.site.pod_v4.into(), 80);
    assert!(http::get(&edge.site.pod, server, Duration::from_millis(300)).is_err());
}

/// Pods with pods, the edge's node with pods, pods with the cloud's node.
#[track_caller]
fn assert_all_talk(edge: &Node, cloud: &Node) {
    let (pod, node): (IpAddr, IpAddr) = (cloud.site.pod_v4.into(), cloud.uplink.v4.into());
    let ways = [
        (&edge.site.pod, SocketAddr::new(pod, 80), cloud, edge.site.pod_v4),
        (&edge.site.node, SocketAddr::new(pod, 80), cloud, edge.uplink.v4),
        (&edge.site.pod, SocketAddr::new(node, 8080), cloud, edge.site.pod_v4),
        (&cloud.site.pod, SocketAddr::new(edge.site.pod_v4.into(), 80), edge, cloud.site.pod_v4),
    ];
    for (from, server, at, client) in ways {
        let what = format!("{} is answered by {server}", from.name());
        let answer = wait::until(&what, Duration::from_secs(6), || {
            http::get(from, server, Duration::from_secs(3)).ok()
        });
        assert_eq!(answer, http::Answer { server: at.name.into(), client: client.into() });
    }
    let v6 = SocketAddr::new(cloud.site.pod_v6.into(), 80);
    let answer = http::get(&edge.site.pod, v6, Duration::from_secs(5)).expect("pods talk over IPv6 too");
    assert_eq!(answer.client, IpAddr::from(edge.site.pod_v6));
}

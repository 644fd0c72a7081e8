//! Two hundred edges at one connector, each with its own agent, of which one dies.
//!
//! The connector is the daemon with charon's files. The edges are engines of this process, each with an address, a
//! certificate and a control socket of its own, and a pod on a stack of its own. Agents say what FabEdge's say, in
//! its order, and each call is a session. Keys of edges are on a curve: they are made at once, and the connector,
//! which is what is measured, works no less for them.

use super::peering::{KINDS, Member, Role};
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::agent::{self, Agent, Outcome, call, call_for_sas};
use crate::support::certificates::{Authority, Credentials, Key};
use crate::support::etc::Etc;
use crate::support::http::{Answer, Server};
use crate::support::namespace::{Namespace, like_this_thread};
use crate::support::network::{Internet, Site, Uplink};
use crate::support::swarm::{Start, Swarm};
use crate::support::tidegate::Tidegate;
use crate::support::tidegate::config::Config;
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The cases. Others would disturb their clocks.
pub(super) fn suite() -> Suite {
    Cases::new("clients/fleet", Needs::Python, Fleet::new)
        .alone()
        .case("a_dead_peer_slows_nobody_of_200_down", dead_peer)
        .suite()
}

const EDGES: usize = 200;
const HALF: usize = EDGES / 2;
/// Agents of edges that work at the same time.
const WIDTH: usize = 8;
/// The edge that dies.
const DYING: usize = 0;
/// How long a call for the dead waits.
const DEAD: Duration = Duration::from_secs(4);

struct Fleet {
    internet: Internet,
    hub: Site,
    nodes: Namespace,
    connector: Member,
    credentials: Credentials,
    etc: Etc,
    authority: Authority,
    grave: (Uplink, Namespace),
    _server: Server,
}

/// The edges, and their certificates as text.
struct Edges {
    swarm: Swarm,
    members: Vec<Member>,
    certificates: Vec<String>,
}

impl Fleet {
    fn new(lab: &Lab) -> Self {
        let internet = Internet::new();
        let (hub, nodes, grave) = (Site::new("hub", 1), Namespace::new("edges"), Namespace::new("dead"));
        let (at_hub, at_edges) = (internet.attach(&hub.node, 1), internet.attach(&nodes, 2));
        internet.router.ip(&format!("route add 198.19.0.0/16 via {}", at_edges.v4));
        nodes.ip("route add local 198.19.0.0/16 dev lo");
        let dead = internet.attach(&grave, 3);
        let authority = Authority::new(lab.folder(), "fabedge-ca", Key::Rsa(4096));
        let connector = Member {
            name: "cloud-connector".into(),
            subject: subject_of("cloud-connector"),
            role: Role::Connector,
            address: at_hub.v4.to_string(),
            pods: hub.subnets().map(|subnet| subnet.to_string()).to_vec(),
        };
        let credentials = authority.issue(&connector.subject, Key::Rsa(2048));
        let etc = Etc::new(&lab.folder().join("etc"), &authority, &credentials);
        let page = |client: SocketAddr| format!("hub\n{}\n", client.ip().to_canonical());
        let server = Server::start_with(&hub.pod, "hub", (hub.pod_v4, 80).into(), page);
        let grave = (dead, grave);
        Self { internet, hub, nodes, connector, credentials, etc, authority, grave, _server: server }
    }

    fn start_edges(&self, lab: &Lab) -> Edges {
        let members: Vec<_> = (0..EDGES).map(edge).collect();
        let subjects: Vec<_> = members.iter().map(|member| member.subject.clone()).collect();
        let (certificates, keys): (Vec<_>, Vec<_>) = self
            .authority
            .issue_many(&subjects)
            .into_iter()
            .map(|[certificate, key]| (certificate, key))
            .unzip();
        let authority = fs::read_to_string(&self.authority.certificate).expect("just written");
        let folder = lab.fresh("edges");
        fs::create_dir_all(&folder).expect("a folder");
        let starts = keys.into_iter().enumerate().map(|(number, key)| Start {
            socket: folder.join(number.to_string()),
            address: address(number).into(),
            pod: vec![(pod(number).into(), 24)],
            files: [authority.clone(), key],
        });
        let swarm = Swarm::start(&self.nodes, starts.collect());
        Edges { swarm, members, certificates }
    }

    /// A round of the connector's agent that has learned of all edges.
    fn load_at_connector(&self, hub: &Tidegate, edges: &Edges) -> Vec<Outcome> {
        let certificate = fs::read_to_string(&self.credentials.chain).expect("just written");
        let loads = edges
            .members
            .iter()
            .map(|edge| call("load-conn", self.connector.connection_to(edge, &certificate)));
        let calls = begin().into_iter().chain(loads).collect();
        agent::work(1, &[(hub.socket(), calls)]).remove(0)
    }

    /// What the agents of these edges do first: load, and bring up child by child.
    fn bring_up(&self, edges: &Edges, numbers: Range<usize>) -> Vec<Outcome> {
        let agents: Vec<_> = numbers.map(|number| edges.agent_of(number, &self.connector)).collect();
        let outcomes = agent::work(WIDTH, &agents);
        outcomes.iter().for_each(|calls| succeed(calls));
        for calls in &outcomes {
            assert_eq!(children_in(calls.last().expect("the SAs"), "cloud-connector"), KINDS.len());
        }
        let before = begin().len() + 1;
        outcomes.into_iter().flat_map(|calls| calls.into_iter().skip(before).take(KINDS.len())).collect()
    }

    /// A peer that has never been there.
    fn ghost(&self) -> Member {
        Member {
            name: "ghost".into(),
            subject: subject_of("ghost"),
            role: Role::Edge,
            address: self.grave.0.v4.to_string(),
            pods: vec!["10.9.0.0/24".into()],
        }
    }

    /// Two agents call the dead at the same time: that of the connector one that never was, that of an edge the
    /// one that has died.
    fn call_the_dead(&self, hub: &Tidegate, edges: &Edges) {
        let (ghost, died) = (self.ghost(), edges.member(DYING));
        let caller = DYING + 1;
        let certificate = fs::read_to_string(&self.credentials.chain).expect("just written");
        let mut to_ghost = self.connector.connection_to(&ghost, &certificate);
        to_ghost["ghost"]["remote_addrs"] = json!([ghost.address]);
        let to_died = edges.member(caller).connection_to(died, edges.certificate(caller));
        let agents = [
            (hub.socket(), vec![call("load-conn", to_ghost), initiate("ghost", "p2p", DEAD)]),
            (edges.swarm.socket(caller), vec![call("load-conn", to_died), initiate(&died.name, "p2p", DEAD)]),
        ];
        for outcomes in agent::work(agents.len(), &agents) {
            let [loaded, initiated] = &outcomes[..] else { panic!("two calls") };
            assert_eq!(loaded.error, None);
            assert!(initiated.error.is_some(), "the dead has answered");
            assert!(initiated.took >= DEAD - Duration::from_millis(100), "{:?}", initiated.took);
        }
    }

    /// What pods of the cloud go on sending to a pod of the edge that has died.
    fn send_to_the_dead(&self, measuring: &AtomicBool) {
        let socket = self.hub.pod.within(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("a socket");
        while measuring.load(Ordering::Relaxed) {
            // Nobody is there to take it.
            let _ = socket.send_to(b"are you there?", (pod(DYING), 9));
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Edges {
    fn member(&self, number: usize) -> &Member {
        self.members.get(number).expect("there are as many")
    }

    fn certificate(&self, number: usize) -> &str {
        self.certificates.get(number).expect("there are as many")
    }

    /// What the agent of an edge does when it starts.
    fn agent_of(&self, number: usize, connector: &Member) -> (&Path, Vec<Value>) {
        let mut calls = begin().to_vec();
        let connection = self.member(number).connection_to(connector, self.certificate(number));
        calls.push(call("load-conn", connection));
        calls.extend(KINDS.map(|kind| initiate(&connector.name, kind, Duration::from_secs(10))));
        calls.push(call_for_sas(&connector.name));
        (self.swarm.socket(number), calls)
    }

    /// Each pod of these asks in the cloud, and gets an answer that is meant for it.
    #[track_caller]
    fn talk(&self, numbers: Range<usize>, fleet: &Fleet) -> Vec<Duration> {
        let server = SocketAddr::new(fleet.hub.pod_v4.into(), 80);
        let answers = self.swarm.ask(numbers.clone(), server, Duration::from_secs(10));
        for ((answer, _), number) in answers.iter().zip(numbers) {
            assert_eq!(*answer, Answer { server: "hub".into(), client: pod(number).into() });
        }
        answers.into_iter().map(|(_, took)| took).collect()
    }
}

fn dead_peer(lab: &Lab, fleet: &mut Fleet) {
    let fleet = &*fleet;
    let hub = Tidegate::start_like_charon(lab, &fleet.hub.node, &Config::new("hub"), fleet.etc.folder());
    let start = Instant::now();
    let edges = fleet.start_edges(lab);
    lab.say(format!("{EDGES} edges started in {:.1?}", start.elapsed()));
    let loaded = fleet.load_at_connector(&hub, &edges);
    succeed(&loaded);
    lab.say(format!("{EDGES} connections of three children loaded: {}", Spread::of(&times(&loaded))));

    let alone = Spread::of(&times(&fleet.bring_up(&edges, 0..HALF)));
    let talk_alone = Spread::of(&edges.talk(0..HALF, fleet));
    let polls_alone = Spread::of(&times(&poll(&hub)));

    fleet.internet.silence(address(DYING));
    let measuring = AtomicBool::new(true);
    let (beside, talk_beside, polls_beside) = thread::scope(|scope| {
        let send = || fleet.send_to_the_dead(&measuring);
        let call = || {
            while measuring.load(Ordering::Relaxed) {
                fleet.call_the_dead(&hub, &edges);
            }
        };
        like_this_thread().spawn_scoped(scope, send).expect("a thread");
        like_this_thread().spawn_scoped(scope, call).expect("a thread");
        let _over = Over(&measuring);
        let beside = Spread::of(&times(&fleet.bring_up(&edges, HALF..EDGES)));
        let polls = Spread::of(&times(&poll(&hub)));
        let talk = Spread::of(&edges.talk(DYING + 1..HALF, fleet));
        (beside, talk, polls)
    });
    for (what, alone, beside) in [
        ("a child is up", alone, beside),
        ("a poll of the connector", polls_alone, polls_beside),
        ("an answer through a tunnel", talk_alone, talk_beside),
    ] {
        lab.say(format!("{what}: {alone}; beside the dead: {beside}"));
        assert!(beside.slowest < DEAD / 2, "somebody waited for the dead: {beside}");
        assert!(beside.median < alone.median * 4 + Duration::from_millis(50), "{alone}; {beside}");
    }
    edges.talk(HALF..EDGES, fleet);
    look_at_all(lab, &hub);
    fleet.internet.heal();
    edges.talk(DYING..DYING + 1, fleet);
}

/// Ends what goes on beside, also when something has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// All have their children, however they are asked for.
fn look_at_all(lab: &Lab, hub: &Tidegate) {
    let start = Instant::now();
    let message = json!({ "command": "list-sas", "event": "list-sa", "message": {} });
    let all = Agent::new(hub.socket()).call_all(1, vec![message]).remove(0);
    lab.say(format!(
        "all SAs of {EDGES} edges listed in {:.1?}, memory of the connector: {} MiB",
        start.elapsed(),
        hub.resident_memory() >> 20
    ));
    for number in 0..EDGES {
        let name = name(number);
        assert_eq!(children_in(&all, &name), KINDS.len(), "{name}");
    }
}

/// The agent of the connector asks for each of the first half, in sessions of their own.
fn poll(hub: &Tidegate) -> Vec<Outcome> {
    let calls =
        (DYING + 1..HALF).flat_map(|number| [call("get-conns", json!({})), call_for_sas(&name(number))]);
    let outcomes = agent::work(1, &[(hub.socket(), calls.collect())]).remove(0);
    succeed(&outcomes);
    for (poll, number) in outcomes.chunks(2).zip(DYING + 1..) {
        let [conns, sas] = poll else { panic!("two calls") };
        assert!(conns.reply["conns"].as_array().is_some_and(|conns| conns.len() >= EDGES));
        assert_eq!(children_in(sas, &name(number)), KINDS.len(), "{}", name(number));
    }
    outcomes
}

/// Every round of an agent begins so.
fn begin() -> [Value; 2] {
    [call("stats", json!({})), call("get-conns", json!({}))]
}

fn initiate(peer: &str, kind: &str, timeout: Duration) -> Value {
    call("initiate", json!({ "child": format!("{peer}-{kind}"), "timeout": timeout.as_millis().to_string() }))
}

fn edge(number: usize) -> Member {
    Member {
        name: name(number),
        subject: subject_of(&name(number)),
        role: Role::Edge,
        address: address(number).to_string(),
        pods: vec![format!("10.200.{number}.0/24"), format!("fd00:200:{number}::/64")],
    }
}

fn name(number: usize) -> String {
    format!("edge-{number}")
}

fn subject_of(name: &str) -> String {
    format!("C=CN, O=fabedge.io, CN=beijing.{name}")
}

fn octet(number: usize) -> u8 {
    number.try_into().expect("not too many of them")
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 19, 1, octet(number + 1))
}

fn pod(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 200, octet(number), 2)
}

/// How many of a connection's children are in what was streamed.
fn children_in(outcome: &Outcome, connection: &str) -> usize {
    let sas = outcome.events.iter().filter_map(|event| event.get(connection));
    let names = sas.flat_map(|sa| sa["child-sas"].as_object().expect("always there").values());
    let names: std::collections::BTreeSet<_> = names.filter_map(|child| child["name"].as_str()).collect();
    assert!(names.iter().all(|name| Member::children_of(connection).iter().any(|expected| expected == name)));
    names.len()
}

#[track_caller]
fn succeed(outcomes: &[Outcome]) {
    for outcome in outcomes {
        assert_eq!(outcome.error, None);
    }
}

fn times(outcomes: &[Outcome]) -> Vec<Duration> {
    outcomes.iter().map(|outcome| outcome.took).collect()
}

#[derive(Clone, Copy)]
struct Spread {
    median: Duration,
    slowest: Duration,
}

impl Spread {
    fn of(times: &[Duration]) -> Self {
        let mut times = times.to_vec();
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        Self { median, slowest: times.last().copied().unwrap_or_default() }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "median {:.1?}, slowest {:.1?}", self.median, self.slowest)
    }
}

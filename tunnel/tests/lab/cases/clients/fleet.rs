//! Two hundred edges at one connector, one of them dead.
//!
//! The edges' daemons are one here, with a connection for each: the connector sees two hundred peers, each with its
//! own identity and its own network.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::agent::{Agent, Outcome, call};
use crate::support::flow::{self, Flow};
use crate::support::namespace::Namespace;
use crate::support::network::{Internet, Site, Uplink};
use crate::support::tidegate::Tidegate;
use crate::support::tidegate::config::Config;
use serde_json::{Value, json};
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
/// Agents that work at the same time.
const WIDTH: usize = 8;
/// How long a call for the dead waits.
const DEAD: Duration = Duration::from_secs(4);

struct Fleet {
    internet: Internet,
    hub: Site,
    edges: Site,
    hub_uplink: Uplink,
    dead: Uplink,
    _grave: Namespace,
}

impl Fleet {
    fn new(_lab: &Lab) -> Self {
        let internet = Internet::new();
        let (hub, edges, grave) = (Site::new("hub", 1), Site::new("edges", 2), Namespace::new("dead"));
        let hub_uplink = internet.attach(&hub.node, 1);
        internet.attach(&edges.node, 2);
        let dead = internet.attach(&grave, 3);
        internet.cut(dead);
        Self { internet, hub, edges, hub_uplink, dead, _grave: grave }
    }

    /// The network of an edge. The first has a pod in it.
    fn network(&self, number: usize) -> String {
        match number {
            0 => self.edges.subnet_v4.to_string(),
            _ => format!("10.200.{number}.0/24"),
        }
    }

    fn at_hub(&self, number: usize) -> Value {
        let child =
            json!({ "local_ts": [self.hub.subnet_v4.to_string()], "remote_ts": [self.network(number)] });
        json!({ format!("edge-{number}"): {
            "local": { "id": "hub", "auth": "psk" },
            "remote": { "id": format!("edge-{number}"), "auth": "psk" },
            "children": { format!("edge-{number}-p2p"): child },
        }})
    }

    fn at_edge(&self, number: usize) -> Value {
        let child =
            json!({ "local_ts": [self.network(number)], "remote_ts": [self.hub.subnet_v4.to_string()] });
        json!({ format!("hub-{number}"): {
            "remote_addrs": [self.hub_uplink.v4.to_string()],
            "local": { "id": format!("edge-{number}"), "auth": "psk" },
            "remote": { "id": "hub", "auth": "psk" },
            "children": { format!("hub-{number}-p2p"): child },
            "dpd_delay": "10s",
        }})
    }

    fn to_the_dead(&self) -> Value {
        json!({ "dead": {
            "remote_addrs": [self.dead.v4.to_string()],
            "local": { "id": "hub", "auth": "psk" },
            "remote": { "id": "dead", "auth": "psk" },
            "children": { "dead-p2p": { "local_ts": ["10.1.0.0/24"], "remote_ts": ["10.9.0.0/24"] } },
        }})
    }
}

fn dead_peer(lab: &Lab, fleet: &mut Fleet) {
    let hub = Tidegate::start(lab, &fleet.hub.node, &Config::new("hub"));
    let edges = Tidegate::start(lab, &fleet.edges.node, &Config::new("edges"));
    let (at_hub, at_edges) = (Agent::new(hub.socket()), Agent::new(edges.socket()));
    for agent in [&at_hub, &at_edges] {
        agent.ask("load-shared", json!({ "id": "all", "type": "IKE", "data": "0123456789 long enough" }));
        agent.ask("load-conn", fleet.to_the_dead());
    }
    let start = Instant::now();
    let load = |connection: &dyn Fn(usize) -> Value| {
        (0..EDGES).map(|number| call("load-conn", connection(number))).collect()
    };
    succeed(&at_hub.call_all(WIDTH, load(&|number| fleet.at_hub(number))));
    succeed(&at_edges.call_all(WIDTH, load(&|number| fleet.at_edge(number))));
    lab.say(format!("{EDGES} connections loaded at both ends in {:.1?}", start.elapsed()));
    let half = EDGES / 2;
    let alone = at_edges.call_all(WIDTH, (0..half).map(initiate).collect());
    succeed(&alone);
    let flows = [
        Flow::start(&fleet.edges.pod, &fleet.hub.pod, fleet.hub.pod_v4.into(), 200),
        Flow::start(&fleet.hub.pod, &fleet.edges.pod, fleet.edges.pod_v4.into(), 200),
    ];
    flow::arrive(&flows, 20);
    let beside = thread::scope(|scope| {
        let timeout = DEAD.as_millis().to_string();
        let dying = [&at_hub, &at_edges].map(|agent| {
            let message = json!({ "child": "dead-p2p", "timeout": timeout });
            scope.spawn(move || agent.call_all(1, vec![call("initiate", message)]).remove(0))
        });
        let beside = at_edges.call_all(WIDTH, (half..EDGES).map(initiate).collect());
        let polls = at_hub.call_all(1, vec![call("get-conns", json!({})); 20]);
        succeed(&polls);
        lab.say(format!("polls of the connector meanwhile: {}", spread(&polls)));
        for outcome in dying.map(|thread| thread.join().expect("no panic")) {
            assert!(outcome.error.is_some(), "the dead has answered");
            assert!(outcome.took >= DEAD - Duration::from_millis(100), "{:?}", outcome.took);
        }
        beside
    });
    succeed(&beside);
    lab.say(format!("up without the dead peer: {}", spread(&alone)));
    lab.say(format!("up beside the dead peer:  {}", spread(&beside)));
    assert!(slowest(&beside) < DEAD / 2, "somebody waited for the dead: {}", spread(&beside));
    let status = hub.status();
    let up = status.as_array().expect("a list").iter().filter(|connection| connection["state"] == "up");
    assert_eq!(up.count(), EDGES);
    lab.say(format!("memory of the connector: {} MiB", hub.resident_memory() >> 20));
    for (flow, way) in flows.into_iter().zip(["from an edge", "to an edge"]) {
        flow.finish().assert_whole(way);
    }
    fleet.internet.heal();
}

fn initiate(number: usize) -> Value {
    call("initiate", json!({ "child": format!("hub-{number}-p2p"), "timeout": "10000" }))
}

#[track_caller]
fn succeed(outcomes: &[Outcome]) {
    for outcome in outcomes {
        assert_eq!(outcome.error, None);
    }
}

fn slowest(outcomes: &[Outcome]) -> Duration {
    outcomes.iter().map(|outcome| outcome.took).max().unwrap_or_default()
}

fn spread(outcomes: &[Outcome]) -> String {
    let mut times: Vec<_> = outcomes.iter().map(|outcome| outcome.took).collect();
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    format!("median {median:.1?}, slowest {:.1?}", slowest(outcomes))
}

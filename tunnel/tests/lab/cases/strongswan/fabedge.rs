//! FabEdge's three children: pods to pods, our node to their pods, our pods to their node.
//!
//! The addresses of the nodes are those that the tunnel itself goes between.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::capture::Capture;
use crate::support::http::{self, Server};
use crate::support::namespace::Namespace;
use crate::support::pair::{Behind, NAME, Outside, Pair, Setup};
use crate::support::swanctl::SwanChild;
use crate::support::tidegate::config::Child;
use crate::support::wait;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The cases.
pub(super) fn suite() -> Suite {
    Cases::new("strongswan/fabedge", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody))
        .case("three_children", three_children)
        .suite()
}

/// Name, our side, their side.
fn children(pair: &Pair) -> [(&'static str, String, String); 3] {
    let (our_pods, their_pods) = (pair.us.subnet_v4.to_string(), pair.them.subnet_v4.to_string());
    let (our_node, their_node) =
        (format!("{}/32", pair.our_uplink.v4), format!("{}/32", pair.their_uplink.v4));
    [
        ("p2p", our_pods.clone(), their_pods.clone()),
        ("n2p", our_node, their_pods),
        ("p2n", our_pods, their_node),
    ]
}

fn setup(pair: &Pair) -> Setup {
    let mut setup = pair.base(Outside::V4);
    setup.our().children.clear();
    setup.their().children.clear();
    for (name, ours, theirs) in children(pair) {
        setup.our().children.push(Child::new(name, &ours, &theirs));
        let options =
            vec![("local_ts", theirs), ("remote_ts", ours), ("esp_proposals", "aes128gcm16".into())];
        setup.their().children.push(SwanChild { name: name.into(), options });
    }
    setup
}

fn three_children(lab: &Lab, pair: &mut Pair) {
    let setup = setup(pair);
    let tidegate = pair.start(lab, &setup);
    tidegate.up(NAME);
    wait::until_true("all children are up", Duration::from_secs(5), || tidegate.current_children(NAME) == 3);
    let capture = Capture::start(&pair.internet.router, &pair.inner());
    let node = SocketAddr::new(pair.their_uplink.v4.into(), 8080);
    let _their_node = Server::start(&pair.them.node, "their node", node);
    pair.assert_pods_talk();
    assert_answer(
        &pair.us.node,
        SocketAddr::new(pair.them.pod_v4.into(), 80),
        "them",
        pair.our_uplink.v4.into(),
    );
    assert_answer(&pair.us.pod, node, "their node", pair.us.pod_v4.into());
    capture.assert_sealed();
    tidegate.stop();
}

#[track_caller]
fn assert_answer(from: &Namespace, server: SocketAddr, name: &str, client: IpAddr) {
    let answer = http::get(from, server, Duration::from_secs(5));
    let answer = answer.unwrap_or_else(|error| panic!("{} asks {server}: {error}", from.name()));
    assert_eq!(answer, http::Answer { server: name.into(), client });
}

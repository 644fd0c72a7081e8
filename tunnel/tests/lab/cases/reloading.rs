//! A configuration that changes under a running daemon.

use crate::harness::{Cases, Needs, Suite};
use crate::support::tidegate::config::{Config, Peer};
use crate::support::twins::Twins;
use crate::support::{Lab, flow, wait};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

/// The cases.
pub(crate) fn suite() -> Suite {
    Cases::new("reload", Needs::StrongSwan, Twins::new)
        .case("touches_only_what_changed", only_what_changed)
        .case("a_mistake_leaves_all_as_it_was", mistake)
        .suite()
}

fn with_another_peer(config: &Config) -> Config {
    let mut config = config.clone();
    config.peers.push(Peer {
        name: "cloud-9".into(),
        id: "C=CN, O=fabedge.io, CN=cloud-9".into(),
        role: "connector",
        addresses: vec!["198.18.99.2".into()],
        subnets: vec!["10.9.0.0/24".into()],
        hosts: vec![],
    });
    config
}

fn only_what_changed(lab: &Lab, twins: &mut Twins) {
    let [edge, _connector] = twins.start(lab);
    let flows = twins.flows();
    flow::arrive(&flows, 300);
    let before = edge.status()[0]["sas"][0]["spis"].clone();
    let connections = || edge.status().as_array().map_or(0, Vec::len);
    edge.reload(&with_another_peer(&twins.edge_config()));
    wait::until_true("the peer is there", SOON, || connections() == 2);
    flow::arrive(&flows, 300);
    edge.reload(&twins.edge_config());
    wait::until_true("the peer is gone", SOON, || connections() == 1);
    assert_eq!(edge.status()[0]["sas"][0]["spis"], before, "the SA of the other peer was set up anew");
    for (flow, way) in flows.into_iter().zip(["from the edge", "to the edge"]) {
        flow.finish().assert_whole(way);
    }
}

fn mistake(lab: &Lab, twins: &mut Twins) {
    let [edge, _connector] = twins.start(lab);
    let before = edge.status()[0]["sas"][0]["spis"].clone();
    let mut config = with_another_peer(&twins.edge_config());
    let peer = config.peers.last_mut().expect("just added");
    peer.subnets = vec!["10.9.0.0/240".into()];
    edge.reload(&config);
    wait::until_true("the log names the mistake", SOON, || edge.log().contains("10.9.0.0/240"));
    assert_eq!(edge.status().as_array().map(Vec::len), Some(1));
    assert_eq!(edge.status()[0]["sas"][0]["spis"], before);
}

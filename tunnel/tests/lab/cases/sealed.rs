//! Nothing of what is protected crosses in clear, in either direction, not even when we are killed.

use crate::harness::{Cases, Needs, Suite};
use crate::support::capture::Capture;
use crate::support::flow::{self, Flow};
use crate::support::tidegate::Tidegate;
use crate::support::twins::Twins;
use crate::support::{Lab, network, wait};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// The cases.
pub(crate) fn suite() -> Suite {
    Cases::new("sealed", Needs::StrongSwan, Twins::new)
        // First, as it shows what happens without a daemon, and one that was killed leaves its filter behind.
        .case("what_comes_in_clear_is_dropped", from_outside)
        .case("pods_talk_over_v4_and_v6", pods_talk)
        .case("nothing_leaves_before_the_tunnel_is_up", before_the_tunnel)
        .case("nothing_leaves_after_kill_9_under_load", after_kill)
        .case("keys_roll_without_loss", keys_roll)
        .case("a_clean_end_is_heard_at_the_peer", clean_end)
        .suite()
}

fn pods_talk(lab: &Lab, twins: &mut Twins) {
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    let _running = twins.start(lab);
    let (edge, connector) = (&twins.edge, &twins.connector);
    let pods: [[IpAddr; 2]; 2] =
        [[edge.pod_v4.into(), connector.pod_v4.into()], [edge.pod_v6.into(), connector.pod_v6.into()]];
    for [at_edge, at_connector] in pods {
        network::wait_until_reachable(&edge.pod, &connector.pod, at_connector, Duration::from_secs(5));
        network::wait_until_reachable(&connector.pod, &edge.pod, at_edge, Duration::from_secs(5));
    }
    capture.assert_sealed();
}

fn before_the_tunnel(lab: &Lab, twins: &mut Twins) {
    let edge = Tidegate::start(lab, &twins.edge.node, &twins.edge_config());
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    let flow = Flow::start(&twins.edge.pod, &twins.connector.pod, twins.connector.pod_v4.into(), 1000);
    let nothing_yet = || capture.seen().leaks.is_empty();
    wait::holds("nothing in clear while nobody answers", Duration::from_secs(1), nothing_yet);
    let _connector = Tidegate::start(lab, &twins.connector.node, &twins.connector_config());
    flow.wait_for(500, Duration::from_secs(15));
    edge.wait_until_all_up(Duration::from_secs(5));
    capture.assert_sealed();
}

fn after_kill(lab: &Lab, twins: &mut Twins) {
    let [edge, _connector] = twins.start(lab);
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    let flows = twins.flows();
    flow::arrive(&flows, 300);
    let left = edge.kill();
    let nothing_yet = || capture.seen().leaks.is_empty();
    wait::holds("nothing in clear after the edge was killed", Duration::from_secs(2), nothing_yet);
    let _edge = Tidegate::start_again(lab, &twins.edge.node, &left);
    for flow in &flows {
        let took = flow.wait_for(300, Duration::from_secs(15));
        lab.say(format!("traffic again {:.2} s after the restart", took.as_secs_f64()));
    }
    capture.assert_sealed();
}

/// Somebody between the sites pretends to be a pod behind the tunnel.
fn from_outside(lab: &Lab, twins: &mut Twins) {
    let router = &twins.internet.router;
    router.ip("addr replace 10.2.0.99/32 dev lo");
    router.ip(&format!("route replace {} via {}", twins.edge.subnet_v4, twins.edge_uplink.v4));
    let pod = twins.edge.pod.within(|| UdpSocket::bind((twins.edge.pod_v4, 9)).expect("a socket"));
    pod.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let forger = router.within(|| UdpSocket::bind("10.2.0.99:9").expect("a socket"));
    let target = SocketAddr::from((twins.edge.pod_v4, 9));
    let gets_through = || {
        forger.send_to(b"forged", target).expect("it is sent");
        pod.recv(&mut [0; 64]).is_ok()
    };
    assert!(gets_through(), "without a tunnel it should get through, or the case shows nothing");
    let [edge, _connector] = twins.start(lab);
    assert!(!gets_through(), "a forged packet got through");
    let left = edge.kill();
    assert!(!gets_through(), "a forged packet got through after the daemon was killed");
    let edge = Tidegate::start_again(lab, &twins.edge.node, &left);
    assert!(!gets_through(), "a forged packet got through after the restart");
    edge.stop();
    router.ip(&format!("route del {}", twins.edge.subnet_v4));
    router.ip("addr del 10.2.0.99/32 dev lo");
}

fn keys_roll(lab: &Lab, twins: &mut Twins) {
    let [edge, connector] = twins.start(lab);
    let name = |tidegate: &Tidegate| tidegate.status()[0]["name"].as_str().expect("a name").to_owned();
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    let flows = twins.flows();
    flow::arrive(&flows, 300);
    for tidegate in [&edge, &connector, &edge, &connector] {
        tidegate.rekey(&name(tidegate));
        flow::arrive(&flows, 300);
    }
    for (flow, way) in flows.into_iter().zip(["from the edge", "to the edge"]) {
        flow.finish().assert_whole(way);
    }
    capture.assert_sealed();
}

fn clean_end(lab: &Lab, twins: &mut Twins) {
    let [edge, connector] = twins.start(lab);
    edge.stop();
    let is_gone = || {
        let status = connector.status();
        status[0]["sas"].as_array().is_none_or(Vec::is_empty)
    };
    wait::until_true("the connector has heard of the end", Duration::from_secs(3), is_gone);
}

//! Networks at their worst: tunnels come back by themselves, and nothing leaves in clear meanwhile.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::capture::Capture;
use crate::support::flow::Flow;
use crate::support::tidegate::Tidegate;
use crate::support::twins::Twins;
use crate::support::wait;
use std::time::Duration;

/// How long an edge may be without its connector after that has started again.
const BACK: Duration = Duration::from_secs(15);

/// The cases. Each has a topology of its own, and all may run side by side.
pub(crate) fn suites() -> Vec<Suite> {
    let one = |name, case: fn(&Lab, &mut ())| {
        Cases::new("endurance", Needs::StrongSwan, |_| ()).case(name, case).suite()
    };
    vec![
        one("a_connector_killed_and_restarted", connector_restarts),
        one("an_edge_with_30_percent_loss", heavy_loss),
        one("an_edge_whose_address_changes", address_changes),
        one("a_network_cut_for_a_while", network_cut),
    ]
}

fn running(lab: &Lab) -> (Twins, [Tidegate; 2], Capture) {
    let twins = Twins::new(lab);
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    let tidegates = twins.start(lab);
    (twins, tidegates, capture)
}

/// Waits until datagrams arrive both ways again.
#[track_caller]
fn wait_for_both(lab: &Lab, flows: &[Flow; 2], limit: Duration) {
    for (flow, way) in flows.iter().zip(["from the edge", "to the edge"]) {
        let took = flow.wait_for(300, limit);
        lab.say(format!("traffic {way} again after {:.2} s", took.as_secs_f64()));
    }
}

fn connector_restarts(lab: &Lab, (): &mut ()) {
    let (twins, [edge, connector], capture) = running(lab);
    let flows = twins.flows();
    wait_for_both(lab, &flows, Duration::from_secs(5));
    let left = connector.kill();
    let _connector = Tidegate::start_again(lab, &twins.connector.node, &left);
    wait_for_both(lab, &flows, BACK);
    edge.wait_until_all_up(Duration::from_secs(1));
    capture.assert_sealed();
}

fn heavy_loss(lab: &Lab, (): &mut ()) {
    let twins = Twins::new(lab);
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    twins.internet.lose(twins.edge_uplink, 30);
    let _connector = Tidegate::start(lab, &twins.connector.node, &twins.connector_config());
    let edge = Tidegate::start(lab, &twins.edge.node, &twins.edge_config());
    edge.wait_until_all_up(Duration::from_secs(60));
    let flows = twins.flows();
    wait_for_both(lab, &flows, Duration::from_secs(10));
    // Keys roll all the same.
    let name = edge.status()[0]["name"].as_str().expect("a name").to_owned();
    edge.rekey(&name);
    wait_for_both(lab, &flows, Duration::from_secs(10));
    for flow in flows {
        let tally = flow.finish();
        let share = tally.lost.len() * 100 / tally.sent as usize;
        lab.say(format!("lost {share} % of {}", tally.sent));
        assert!(share < 60, "of {} datagrams {share} % were lost, and 30 % by the network", tally.sent);
    }
    capture.assert_sealed();
}

fn address_changes(lab: &Lab, (): &mut ()) {
    let (twins, [edge, _connector], capture) = running(lab);
    let flows = twins.flows();
    wait_for_both(lab, &flows, Duration::from_secs(5));
    let before = edge.status()[0]["sas"][0]["spis"].clone();
    twins.internet.attach_as(&twins.edge.node, "wan2", 21);
    twins.edge.node.ip("link del wan");
    wait_for_both(lab, &flows, BACK);
    assert_eq!(edge.status()[0]["sas"][0]["spis"], before, "the SA was set up anew in place of moved");
    capture.assert_sealed();
}

fn network_cut(lab: &Lab, (): &mut ()) {
    let (twins, [edge, _connector], capture) = running(lab);
    let flows = twins.flows();
    wait_for_both(lab, &flows, Duration::from_secs(5));
    twins.internet.cut(twins.edge_uplink);
    let is_gone = || edge.status()[0]["state"] != "up";
    wait::until_true("the edge notices the cut", Duration::from_secs(60), is_gone);
    twins.internet.heal();
    // Attempts back off while nobody answers; one in flight is heard at its next retransmission.
    wait_for_both(lab, &flows, Duration::from_secs(45));
    capture.assert_sealed();
}

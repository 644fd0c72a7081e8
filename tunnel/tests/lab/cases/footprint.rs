//! How little the daemon takes, and how soon it is there.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::capture::Capture;
use crate::support::flow::{self, Flow};
use crate::support::tidegate::Tidegate;
use crate::support::twins::Twins;
use crate::support::wait;
use std::time::Duration;

/// The cases. Others would disturb their clocks.
pub(crate) fn suite() -> Suite {
    Cases::new("footprint", Needs::StrongSwan, Twins::new)
        .alone()
        .case("memory_with_one_tunnel", memory)
        .case("start_to_first_esp", start_to_first_esp)
        .suite()
}

const MEBIBYTE: u64 = 1 << 20;

fn memory(lab: &Lab, twins: &mut Twins) {
    let tidegates = twins.start(lab);
    let flows = twins.flows();
    flow::arrive(&flows, 500);
    drop(flows);
    for (tidegate, name) in tidegates.iter().zip(["edge", "connector"]) {
        let resident = tidegate.resident_memory();
        lab.say(format!("{name}: {:.1} MiB", resident as f64 / MEBIBYTE as f64));
        assert!(resident < 16 * MEBIBYTE, "the {name} takes {resident} bytes");
    }
}

fn start_to_first_esp(lab: &Lab, twins: &mut Twins) {
    let _connector = Tidegate::start(lab, &twins.connector.node, &twins.connector_config());
    let _flow = Flow::start(&twins.edge.pod, &twins.connector.pod, twins.connector.pod_v4.into(), 1000);
    let capture = Capture::start(&twins.internet.router, &twins.inner());
    // What the pod sends until the daemon is there is of no interest, only how soon it is carried.
    let edge = Tidegate::spawn(lab, &twins.edge.node, &twins.edge_config());
    let first = wait::until("the first ESP packet", Duration::from_secs(10), || capture.seen().first_esp);
    let took = first - edge.started();
    lab.say(format!(
        "{:.1} ms from the start of the process to its first ESP packet",
        took.as_secs_f64() * 1e3
    ));
    // Only an optimised build is measured in earnest; a shared machine gets some slack.
    let limit = if cfg!(debug_assertions) { Duration::from_secs(2) } else { Duration::from_millis(50) };
    assert!(took < limit, "{took:?}");
}

//! MOBIKE: one side's address moves, and the tunnel with it.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::capture::Capture;
use crate::support::flow;
use crate::support::pair::{Behind, Initiator, NAME, Outside, Pair};
use std::time::Duration;

/// The cases. Each takes the topology apart, so each has one of its own.
pub(super) fn suite() -> Suite {
    Cases::new("strongswan/mobike", Needs::StrongSwan, |_| ())
        .case("we_move", we_move)
        .case("they_move", they_move)
        .suite()
}

fn connected(lab: &Lab) -> (Pair, crate::support::tidegate::Tidegate) {
    let pair = Pair::new(lab, Behind::Nobody);
    let mut setup = pair.base(Outside::V4);
    setup.their().set("mobike", "yes");
    setup.their().set("remote_addrs", "%any");
    setup.their().set("local_addrs", "%any");
    let tidegate = pair.connect(lab, &setup, Initiator::We);
    (pair, tidegate)
}

fn we_move(lab: &Lab, (): &mut ()) {
    let (pair, tidegate) = connected(lab);
    let capture = Capture::start(&pair.internet.router, &pair.inner());
    let flows = pair.flows();
    flow::arrive(&flows, 300);
    let moved = pair.internet.attach_as(&pair.us.node, "wan2", 11);
    pair.us.node.ip("link del wan");
    for flow in &flows {
        let took = flow.wait_for(500, Duration::from_secs(15));
        lab.say(format!("traffic again {:.2} s after the move", took.as_secs_f64()));
    }
    let sa = tidegate.connection(NAME)["sas"][0].clone();
    assert!(sa["local"].as_str().is_some_and(|local| local.starts_with(&moved.v4.to_string())), "{sa:#}");
    assert_eq!(pair.charon.established(), 1, "{}", pair.charon.sas());
    assert!(pair.charon.sas().contains(&moved.v4.to_string()), "{}", pair.charon.sas());
    capture.assert_sealed();
}

fn they_move(lab: &Lab, (): &mut ()) {
    let (pair, tidegate) = connected(lab);
    let flows = pair.flows();
    flow::arrive(&flows, 300);
    let moved = pair.internet.attach_as(&pair.them.node, "wan2", 12);
    pair.them.node.ip("link del wan");
    for flow in &flows {
        let took = flow.wait_for(500, Duration::from_secs(15));
        lab.say(format!("traffic again {:.2} s after the move", took.as_secs_f64()));
    }
    let sa = tidegate.connection(NAME)["sas"][0].clone();
    assert!(sa["remote"].as_str().is_some_and(|remote| remote.starts_with(&moved.v4.to_string())), "{sa:#}");
}

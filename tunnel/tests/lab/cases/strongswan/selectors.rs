//! Narrowing, and addresses that one side gives the other.

use super::ROLES;
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::http;
use crate::support::pair::{Behind, Initiator, NAME, Outside, Pair};
use crate::support::tidegate::config::Pool;
use std::net::SocketAddr;
use std::time::Duration;

/// The cases.
pub(super) fn suite() -> Suite {
    let mut cases =
        Cases::new("strongswan/selectors", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for (role, initiator) in ROLES {
        cases = cases
            .case(format!("narrowed_by_them/{role}"), move |lab, pair: &mut Pair| {
                let mut setup = pair.base(Outside::V4);
                setup.our_child().local = vec!["10.1.0.0/16".into()];
                setup.our_child().remote = vec!["10.2.0.0/16".into()];
                assert_narrowed(lab, pair, &setup, initiator);
            })
            .case(format!("narrowed_by_us/{role}"), move |lab, pair: &mut Pair| {
                let mut setup = pair.base(Outside::V4);
                setup.their().child().set("local_ts", "10.2.0.0/16");
                setup.their().child().set("remote_ts", "10.1.0.0/16");
                assert_narrowed(lab, pair, &setup, initiator);
            });
    }
    cases.case("we_get_an_address", we_get_an_address).case("we_give_an_address", we_give_an_address).suite()
}

#[track_caller]
fn assert_narrowed(lab: &Lab, pair: &Pair, setup: &crate::support::pair::Setup, initiator: Initiator) {
    let tidegate = pair.connect(lab, setup, initiator);
    let child = tidegate.connection(NAME)["sas"][0]["children"][0].clone();
    assert_eq!(child["local"], serde_json::json!(["10.1.0.0/24"]), "{child:#}");
    assert_eq!(child["remote"], serde_json::json!(["10.2.0.0/24"]), "{child:#}");
    pair.assert_pods_talk();
    tidegate.stop();
}

const POOL: &str = "10.9.0.0/24";

fn we_get_an_address(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.our().request_addresses = vec!["0.0.0.0".into()];
    setup.our_child().local = vec!["dynamic".into()];
    setup.theirs.pools = vec![("vips".into(), POOL.into())];
    setup.their().set("pools", "vips");
    setup.their().child().set("remote_ts", "dynamic");
    let tidegate = pair.connect(lab, &setup, Initiator::We);
    let sa = tidegate.connection(NAME)["sas"][0].clone();
    assert_eq!(sa["virtual_addresses"], serde_json::json!(["10.9.0.1"]), "{sa:#}");
    let server = SocketAddr::new(pair.them.pod_v4.into(), 80);
    let answer =
        http::get(&pair.us.node, server, Duration::from_secs(5)).expect("the node reaches their pod");
    assert_eq!(answer.client.to_string(), "10.9.0.1");
    tidegate.stop();
}

fn we_give_an_address(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.ours.pools = vec![Pool { name: "vips".into(), addresses: POOL.into() }];
    setup.our().pools = vec!["vips".into()];
    setup.our_child().remote = vec!["dynamic".into()];
    setup.their().set("vips", "0.0.0.0");
    setup.their().child().set("local_ts", "dynamic");
    let tidegate = pair.connect(lab, &setup, Initiator::They);
    let server = SocketAddr::new(pair.us.pod_v4.into(), 80);
    let answer =
        http::get(&pair.them.node, server, Duration::from_secs(5)).expect("their node reaches our pod");
    assert!(answer.client.to_string().starts_with("10.9.0."), "{answer:?}");
    tidegate.stop();
}

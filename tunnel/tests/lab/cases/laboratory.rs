//! The laboratory itself: what it would show if nothing were protected, and strongSwan against strongSwan.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::capture::Capture;
use crate::support::charon::Charon;
use crate::support::flow::Flow;
use crate::support::network::{self, Internet, Prefix, Site};
use crate::support::swanctl::{SwanChild, SwanConnection, Swanctl};
use crate::support::wait;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The cases.
pub(crate) fn suite() -> Suite {
    Cases::new("laboratory", Needs::StrongSwan, |_| ())
        .case("a_capture_sees_what_is_in_clear", a_capture_sees_what_is_in_clear)
        .case("losses_are_counted", losses_are_counted)
        .case("strongswan_reaches_strongswan", strongswan_reaches_strongswan)
        .suite()
}

struct Sites {
    internet: Internet,
    left: Site,
    right: Site,
    addresses: [Ipv4Addr; 2],
}

fn two_sites() -> Sites {
    let internet = Internet::new();
    let (left, right) = (Site::new("left", 1), Site::new("right", 2));
    let addresses = [internet.attach(&left.node, 1).v4, internet.attach(&right.node, 2).v4];
    Sites { internet, left, right, addresses }
}

/// Sites without tunnels: the router knows the way to the pods.
fn two_open_sites() -> Sites {
    let sites = two_sites();
    for (site, address) in [&sites.left, &sites.right].into_iter().zip(sites.addresses) {
        sites.internet.router.ip(&format!("route add {} via {address}", site.subnet_v4));
    }
    sites
}

fn a_capture_sees_what_is_in_clear(_: &Lab, (): &mut ()) {
    let sites = two_open_sites();
    let capture = Capture::start(&sites.internet.router, &[]);
    let address = IpAddr::from(sites.right.pod_v4);
    network::wait_until_reachable(&sites.left.pod, &sites.right.pod, address, Duration::from_secs(5));
    wait::until_true("the marker is seen", Duration::from_secs(2), || !capture.seen().leaks.is_empty());
    let capture = Capture::start(&sites.internet.router, &[Prefix::new("10.2.0.0/24")]);
    network::wait_until_reachable(&sites.left.pod, &sites.right.pod, address, Duration::from_secs(5));
    let by_address = || capture.seen().leaks.iter().any(|leak| leak.contains("by its address"));
    wait::until_true("the address is seen", Duration::from_secs(2), by_address);
}

fn losses_are_counted(_: &Lab, (): &mut ()) {
    let sites = two_open_sites();
    let whole = Flow::start(&sites.left.pod, &sites.right.pod, sites.right.pod_v4.into(), 1000);
    whole.wait_for(500, Duration::from_secs(5));
    whole.finish().assert_whole("without loss");
    let uplink = sites.internet.attach_as(&sites.left.node, "spare", 9);
    sites.internet.lose(uplink, 30);
    sites.internet.router.ip(&format!("route replace {} via {}", sites.left.subnet_v4, uplink.v4));
    let lossy = Flow::start(&sites.left.pod, &sites.right.pod, sites.right.pod_v4.into(), 1000);
    lossy.wait_for(500, Duration::from_secs(5));
    let tally = lossy.finish();
    let share = tally.lost.len() * 100 / tally.sent as usize;
    assert!((20..40).contains(&share), "{share} % lost where 30 % were to be");
}

//   pod 10.1.0.2 ── left ──(IKE, ESP in UDP)── internet ── right ── pod 10.2.0.2
fn strongswan_reaches_strongswan(lab: &Lab, (): &mut ()) {
    let Sites { internet, left, right, addresses: [left_address, right_address] } = two_sites();
    let (one, other) = (Charon::start(lab, &left.node, "left"), Charon::start(lab, &right.node, "right"));
    let sides = [(&left, "left", left_address), (&right, "right", right_address)];
    one.load(&swanctl(sides));
    let [ours, theirs] = sides;
    other.load(&swanctl([theirs, ours]));
    let capture = Capture::start(&internet.router, &[left.subnet_v4, right.subnet_v4]);
    one.initiate("net");
    assert_eq!(other.established(), 1, "{}", other.sas());
    network::wait_until_reachable(&left.pod, &right.pod, right.pod_v4.into(), Duration::from_secs(5));
    network::wait_until_reachable(&right.pod, &left.pod, left.pod_v4.into(), Duration::from_secs(5));
    capture.assert_sealed();
}

fn swanctl(
    [(own, own_name, own_address), (other, other_name, other_address)]: [(&Site, &str, Ipv4Addr); 2],
) -> Swanctl {
    let child = SwanChild {
        name: "net".into(),
        options: vec![("local_ts", own.subnet_v4.to_string()), ("remote_ts", other.subnet_v4.to_string())],
    };
    let connection = SwanConnection {
        name: "net".into(),
        options: vec![
            ("version", "2".into()),
            ("local_addrs", own_address.to_string()),
            ("remote_addrs", other_address.to_string()),
            ("encap", "yes".into()),
        ],
        local: vec![("auth", "psk".into()), ("id", own_name.into())],
        remote: vec![("auth", "psk".into()), ("id", other_name.into())],
        children: vec![child],
    };
    let secrets = vec![(other_name.into(), "secret".into())];
    Swanctl { connections: vec![connection], secrets, ..Swanctl::default() }
}

//! Communities that go through a connector.

use super::support::{at, cloud, community, edge, lines, link, names, node, plan, range, seen_by, through};
use tidegate::mesh::{Endpoint, Link, Role};
use tidegate_esp::AddressRange;

#[test]
fn members_have_no_link_with_each_other_and_reach_each_other_through_the_connector() {
    let nodes = [cloud(), at(edge(1), "198.51.100.1"), at(edge(3), "198.51.100.3"), edge(9)];
    let communities = [through("cloud", community("app", &["edge-1", "edge-3"]))];
    let first = plan(&seen_by("edge-1", &nodes, &communities));
    let second = plan(&seen_by("edge-3", &nodes, &communities));
    let relay = plan(&seen_by("cloud", &nodes, &communities));
    assert_eq!(names(&first), ["cloud"]);
    assert_eq!(lines(&first[0]), ["cloud-p2p: 10.1.1.0/24 === 10.233.0.0/16 10.1.3.0/24"]);
    assert_eq!(lines(&second[0]), ["cloud-p2p: 10.1.3.0/24 === 10.233.0.0/16 10.1.1.0/24"]);
    for edge in ["edge-1", "edge-3"] {
        let local = &link(&relay, edge).children[0].local;
        assert!(local.contains(&range("10.1.1.0/24")) && local.contains(&range("10.1.3.0/24")));
    }
    assert_eq!(lines(link(&relay, "edge-9")), ["edge-9-p2p: 10.233.0.0/16 === 10.1.9.0/24"]);
}

#[test]
fn hosts_of_members_are_passed_on_as_well() {
    let mut nodes = [cloud(), edge(1), edge(3)];
    nodes[2].hosts = vec![range("203.0.113.3")];
    let communities = [through("cloud", community("app", &["edge-1", "edge-3"]))];
    let first = plan(&seen_by("edge-1", &nodes, &communities));
    assert_eq!(lines(&first[0])[1], "cloud-p2n: 10.1.1.0/24 === 203.0.113.3/32");
    let relay = plan(&seen_by("cloud", &nodes, &communities));
    assert_eq!(lines(link(&relay, "edge-1"))[1], "edge-1-n2p: 203.0.113.3/32 === 10.1.1.0/24");
}

#[test]
fn a_direct_link_takes_the_place_of_the_relay() {
    let nodes = [cloud(), edge(1), at(edge(3), "198.51.100.3"), edge(5)];
    let communities = [
        through("cloud", community("far", &["edge-1", "edge-3", "edge-5"])),
        community("near", &["edge-1", "edge-3"]),
    ];
    let links = plan(&seen_by("edge-1", &nodes, &communities));
    assert_eq!(names(&links), ["cloud", "edge-3"]);
    assert_eq!(lines(&links[0]), ["cloud-p2p: 10.1.1.0/24 === 10.233.0.0/16 10.1.5.0/24"]);
}

#[test]
fn another_connector_is_not_concerned() {
    let nodes =
        [cloud(), at(node("cloud-2", Role::Connector, &["10.234.0.0/16"]), "192.0.2.2"), edge(1), edge(3)];
    let communities = [through("cloud", community("app", &["edge-1", "edge-3", "cloud-2"]))];
    let links = plan(&seen_by("edge-1", &nodes, &communities));
    assert_eq!(lines(link(&links, "cloud-2")), ["cloud-2-p2p: 10.1.1.0/24 === 10.234.0.0/16"]);
    assert_eq!(lines(link(&links, "cloud")), ["cloud-p2p: 10.1.1.0/24 === 10.233.0.0/16 10.1.3.0/24"]);
}

#[test]
fn of_two_connectors_that_could_pass_packets_on_the_first_communitys_does() {
    let second = at(node("cloud-2", Role::Connector, &["10.234.0.0/16"]), "192.0.2.2");
    let nodes = [cloud(), second, edge(1), edge(3), edge(5)];
    let communities = [
        through("cloud", community("app", &["edge-1", "edge-3"])),
        through("cloud-2", community("rest", &["edge-1", "edge-3", "edge-5"])),
    ];
    for (this, other) in [(1, 3), (3, 1)] {
        let links = plan(&seen_by(&format!("edge-{this}"), &nodes, &communities));
        let (ours, theirs) = (format!("10.1.{this}.0/24"), format!("10.1.{other}.0/24"));
        assert_eq!(lines(link(&links, "cloud")), [format!("cloud-p2p: {ours} === 10.233.0.0/16 {theirs}")]);
        let rest = format!("cloud-2-p2p: {ours} === 10.234.0.0/16 10.1.5.0/24");
        assert_eq!(lines(link(&links, "cloud-2")), [rest]);
    }
}

/// Every second /24, so that nothing can be joined.
fn scattered(count: usize) -> Vec<Endpoint> {
    let subnet = |at: usize| format!("10.{}.{}.0/24", at / 128, at % 128 * 2);
    let edge = |at| node(&format!("edge-{at}"), Role::Edge, &[&subnet(at)]);
    std::iter::once(Endpoint { subnets: vec![range("172.16.0.0/16")], ..cloud() })
        .chain((0..count).map(edge))
        .collect()
}

#[test]
fn more_ranges_than_a_message_holds_go_into_several_children_that_fit_those_of_the_other_end() {
    let nodes = scattered(400);
    let members: Vec<&str> = nodes[1..].iter().map(|node| node.name.as_str()).collect();
    let communities = [through("cloud", community("app", &members))];
    let edge = plan(&seen_by("edge-200", &nodes, &communities)).remove(0);
    let relay = plan(&seen_by("cloud", &nodes, &communities));
    let theirs = link(&relay, "edge-200");
    assert_eq!(edge.children[1].name.as_ref(), "cloud-p2p-2");
    let asked: Vec<AddressRange> = edge.children.iter().flat_map(|child| child.remote.to_vec()).collect();
    assert_eq!(asked.len(), 400, "the cloud and 399 others");
    for child in &edge.children {
        assert!(child.remote.len() < 255);
        let fits = |theirs: &Link| {
            theirs.children.iter().any(|it| child.remote.iter().all(|range| it.local.contains(range)))
        };
        assert!(fits(theirs), "{} has no counterpart", child.name);
    }
}

#[test]
fn ranges_side_by_side_are_joined() {
    let count = 200;
    let edge = |at: usize| node(&format!("edge-{at}"), Role::Edge, &[&format!("10.1.{at}.0/24")]);
    let nodes: Vec<Endpoint> = std::iter::once(cloud()).chain((0..count).map(edge)).collect();
    let members: Vec<&str> = nodes[1..].iter().map(|node| node.name.as_str()).collect();
    let links = plan(&seen_by("edge-100", &nodes, &[through("cloud", community("app", &members))]));
    assert_eq!(
        lines(&links[0]),
        ["cloud-p2p: 10.1.100.0/24 === 10.233.0.0/16 10.1.0.0-10.1.99.255 10.1.101.0-10.1.199.255"]
    );
}

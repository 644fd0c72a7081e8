//! Who connects to whom, who begins, and what is carried.

use super::support::{
    at, cloud, community, credentials, edge, lines, link, names, node, plan, range, seen_by,
};
use tidegate::connection::{After, Start};
use tidegate::mesh::{Initiator, Mesh, Role, diff};
use tidegate_ike::identity::IdentityPattern;

#[test]
fn every_edge_goes_to_every_connector_and_begins() {
    let nodes =
        [cloud(), at(node("cloud-2", Role::Connector, &["10.234.0.0/16"]), "192.0.2.2"), edge(1), edge(2)];
    let links = plan(&seen_by("edge-1", &nodes, &[]));
    assert_eq!(names(&links), ["cloud", "cloud-2"]);
    assert!(links.iter().all(|link| link.initiator == Initiator::Us));
    assert_eq!(links[0].addresses, cloud().addresses);
}

#[test]
fn a_connector_waits_for_its_edges_wherever_they_are() {
    let nodes = [cloud(), at(edge(1), "198.51.100.1"), edge(2)];
    let links = plan(&seen_by("cloud", &nodes, &[]));
    assert_eq!(names(&links), ["edge-1", "edge-2"]);
    for link in &links {
        assert_eq!(link.initiator, Initiator::Peer);
        assert!(link.addresses.is_empty(), "{} may come from anywhere", link.name);
    }
    assert_eq!(links[1].peer, nodes[2].identity);
}

#[test]
fn connectors_connect_to_each_other_and_either_begins() {
    let nodes = [cloud(), at(node("cloud-2", Role::Connector, &["10.234.0.0/16"]), "192.0.2.2")];
    let one = plan(&seen_by("cloud", &nodes, &[]));
    let other = plan(&seen_by("cloud-2", &nodes, &[]));
    assert_eq!((one[0].initiator, other[0].initiator), (Initiator::Either, Initiator::Either));
    assert_eq!(lines(&one[0]), ["cloud-2-p2p: 10.233.0.0/16 === 10.234.0.0/16"]);
}

#[test]
fn edges_connect_only_within_a_common_community() {
    let nodes =
        [cloud(), at(edge(1), "198.51.100.1"), at(edge(2), "198.51.100.2"), at(edge(3), "198.51.100.3")];
    let communities = [community("app", &["edge-1", "edge-2"]), community("other", &["edge-3"])];
    let links = |name| plan(&seen_by(name, &nodes, &communities));
    assert_eq!(names(&links("edge-1")), ["cloud", "edge-2"]);
    assert_eq!(names(&links("edge-2")), ["cloud", "edge-1"]);
    assert_eq!(names(&links("edge-3")), ["cloud"]);
    assert_eq!(link(&links("edge-1"), "edge-2").initiator, Initiator::Either);
}

#[test]
fn neighbours_that_nobody_can_reach_wait_for_each_other() {
    let nodes = [cloud(), edge(1), edge(2)];
    let communities = [community("app", &["edge-1", "edge-2"])];
    let initiator = |us, peer| link(&plan(&seen_by(us, &nodes, &communities)), peer).initiator;
    assert_eq!(initiator("edge-1", "edge-2"), Initiator::Peer);
    assert_eq!(initiator("edge-2", "edge-1"), Initiator::Peer);
}

#[test]
fn two_common_communities_make_one_link() {
    let nodes = [cloud(), edge(1), at(edge(2), "198.51.100.2")];
    let communities = [community("a", &["edge-1", "edge-2"]), community("b", &["edge-2", "edge-1"])];
    assert_eq!(names(&plan(&seen_by("edge-1", &nodes, &communities))), ["cloud", "edge-2"]);
}

#[test]
fn whoever_cannot_be_reached_begins() {
    let nodes = [cloud(), edge(1), at(edge(2), "198.51.100.2")];
    let communities = [community("app", &["edge-1", "edge-2"])];
    let hidden = plan(&seen_by("edge-1", &nodes, &communities));
    let open = plan(&seen_by("edge-2", &nodes, &communities));
    assert_eq!(link(&hidden, "edge-2").initiator, Initiator::Us);
    assert_eq!(link(&open, "edge-1").initiator, Initiator::Peer);
}

#[test]
fn what_the_two_ends_carry_is_the_same_seen_from_both_sides() {
    let mut nodes = [cloud(), edge(1)];
    nodes[0].hosts = vec![range("192.0.2.1")];
    nodes[1].hosts = vec![range("203.0.113.5"), range("fd00:5::5")];
    nodes[1].subnets.push(range("fd00:1::/64"));
    let ours = plan(&seen_by("edge-1", &nodes, &[]));
    let theirs = plan(&seen_by("cloud", &nodes, &[]));
    assert_eq!(
        lines(&ours[0]),
        [
            "cloud-p2p: 10.1.1.0/24 fd00:1::/64 === 10.233.0.0/16",
            "cloud-n2p: 203.0.113.5/32 fd00:5::5/128 === 10.233.0.0/16",
            "cloud-p2n: 10.1.1.0/24 fd00:1::/64 === 192.0.2.1/32",
        ]
    );
    assert_eq!(
        lines(&theirs[0]),
        [
            "edge-1-p2p: 10.233.0.0/16 === 10.1.1.0/24 fd00:1::/64",
            "edge-1-n2p: 192.0.2.1/32 === 10.1.1.0/24 fd00:1::/64",
            "edge-1-p2n: 10.233.0.0/16 === 203.0.113.5/32 fd00:5::5/128",
        ]
    );
}

#[test]
fn a_peer_with_nothing_to_carry_has_no_link() {
    let nodes = [cloud(), node("edge-1", Role::Edge, &[])];
    assert!(plan(&seen_by("cloud", &nodes, &[])).is_empty());
}

#[test]
fn a_link_that_begins_is_kept_up_for_ever() {
    let nodes = [cloud(), edge(1)];
    let connection = plan(&seen_by("edge-1", &nodes, &[]))[0].connection(&credentials());
    assert!(connection.ike.remote.addresses.is_empty(), "the peer is known by what it proves");
    assert_eq!(connection.names, ["192.0.2.1"]);
    assert_eq!(connection.ike.remote.identity, IdentityPattern::Exact(nodes[0].identity.clone()));
    assert_eq!(connection.ike.local.identity, nodes[1].identity);
    assert!(connection.ike.children.is_empty(), "the engine makes them of the children");
    let child = &connection.children[0];
    assert_eq!(
        (child.start, child.on_close, child.on_death),
        (Start::AtOnce, After::Restart, After::Restart)
    );
}

#[test]
fn a_link_that_waits_is_forgotten_when_it_ends() {
    let nodes = [cloud(), edge(1)];
    let connection = plan(&seen_by("cloud", &nodes, &[]))[0].connection(&credentials());
    assert!(connection.ike.remote.addresses.is_empty() && connection.names.is_empty());
    let child = &connection.children[0];
    assert_eq!((child.start, child.on_close, child.on_death), (Start::Wait, After::Clear, After::Clear));
}

#[test]
fn names_and_addresses_together_are_tried_in_the_order_written() {
    let mut nodes = [cloud(), edge(1)];
    nodes[0].addresses.push("cloud.example".parse().expect("a name"));
    nodes[0].port = 1500;
    let connection = plan(&seen_by("edge-1", &nodes, &[]))[0].connection(&credentials());
    assert_eq!(connection.names, ["192.0.2.1", "cloud.example"]);
    assert!(connection.ike.remote.addresses.is_empty(), "nobody knows yet where the name leads");
    assert_eq!(connection.ike.remote.port, 1500);
}

#[test]
fn a_change_touches_only_the_links_it_is_about() {
    let mut nodes = vec![cloud(), edge(1), edge(2), edge(3)];
    let before = plan(&seen_by("cloud", &nodes, &[]));
    nodes[2].subnets.push(range("10.7.0.0/24"));
    nodes.remove(1);
    nodes.push(edge(4));
    let changes = diff(&before, &plan(&seen_by("cloud", &nodes, &[])));
    assert_eq!(changes.added, ["edge-4".into()]);
    assert_eq!(changes.changed, ["edge-2".into()]);
    assert_eq!(changes.removed, ["edge-1".into()]);
    assert!(diff(&before, &before).is_empty());
}

#[test]
fn a_mesh_is_plain_data() {
    let nodes = [cloud(), at(edge(1), "edge.example"), edge(2)];
    let mesh = seen_by("edge-1", &nodes, &[community("app", &["edge-1", "edge-2"])]);
    let text = serde_json::to_string(&mesh).expect("it can be written");
    assert!(text.contains(r#""identity":"C=CN, O=fabedge.io, CN=edge-1""#), "{text}");
    assert!(text.contains(r#""addresses":["edge.example"]"#), "{text}");
    assert_eq!(serde_json::from_str::<Mesh>(&text).expect("and read"), mesh);
}

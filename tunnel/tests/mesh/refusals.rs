//! Meshes that make no sense, with those who are to blame.

use super::support::{at, cloud, community, edge, node, range, seen_by, through};
use proptest::prelude::*;
use tidegate::mesh::{Community, Endpoint, MeshError, Role};

fn refused(nodes: &[Endpoint], communities: &[Community]) -> MeshError {
    let mut mesh = seen_by("edge-1", &[edge(1)], communities);
    mesh.peers = nodes.to_vec();
    let error = mesh.plan().expect_err("refused");
    assert!(!error.to_string().is_empty());
    error
}

#[test]
fn overlapping_subnets_are_refused_with_both_nodes() {
    let error = refused(&[cloud(), node("edge-2", Role::Edge, &["10.9.0.0/24", "10.1.1.128/25"])], &[]);
    assert_eq!(error.to_string(), r#"10.1.1.0/24 of "edge-1" and 10.1.1.128/25 of "edge-2" overlap"#);
}

#[test]
fn a_host_within_the_subnet_of_another_is_refused() {
    let mut other = edge(2);
    other.hosts = vec![range("10.233.7.7")];
    let nodes = match refused(&[cloud(), other], &[]) {
        MeshError::Overlap { nodes, .. } => nodes,
        other => panic!("{other}"),
    };
    assert_eq!(nodes, ["cloud", "edge-2"]);
}

#[test]
fn a_node_may_overlap_with_itself() {
    let mut mesh = seen_by("edge-1", &[edge(1), cloud()], &[]);
    mesh.node.hosts = vec![range("10.1.1.1")];
    assert_eq!(mesh.plan().expect("it may").len(), 1);
}

#[test]
fn duplicate_identities_are_refused_with_both_names() {
    let twin = Endpoint { identity: edge(2).identity, ..edge(3) };
    let error = refused(&[edge(2), twin], &[]);
    let names = ["edge-2".to_owned(), "edge-3".to_owned()];
    assert_eq!(error, MeshError::DuplicateIdentity { identity: edge(2).identity, names });
}

#[test]
fn duplicate_names_are_refused_with_both_identities() {
    let twin = Endpoint { name: "edge-2".into(), ..edge(3) };
    let error = refused(&[edge(2), twin], &[]);
    let identities = [edge(2).identity, edge(3).identity];
    assert_eq!(error, MeshError::DuplicateName { name: "edge-2".into(), identities });
}

#[test]
fn a_node_is_not_its_own_peer() {
    assert_eq!(refused(&[cloud(), edge(1)], &[]), MeshError::SelfAmongPeers("edge-1".into()));
}

#[test]
fn a_node_needs_a_name() {
    let nameless = Endpoint { name: String::new(), ..edge(2) };
    assert_eq!(refused(&[nameless], &[]), MeshError::NoName(edge(2).identity));
}

#[test]
fn members_and_connectors_of_communities_have_to_be_known() {
    let pair = || community("app", &["edge-1", "cloud"]);
    let (app, name) = ("app".to_owned(), |name: &str| name.to_owned());
    let unknown = refused(&[cloud()], &[community("app", &["edge-1", "edge-9"])]);
    assert_eq!(unknown, MeshError::UnknownMember { community: app.clone(), member: name("edge-9") });
    let unknown = refused(&[cloud()], &[through("clout", pair())]);
    assert_eq!(unknown, MeshError::UnknownVia { community: app.clone(), via: name("clout") });
    let through_edge = refused(&[cloud(), edge(2)], &[through("edge-2", pair())]);
    assert_eq!(through_edge, MeshError::ViaEdge { community: app.clone(), via: name("edge-2") });
    assert_eq!(refused(&[cloud()], &[pair(), pair()]), MeshError::DuplicateCommunity(app));
}

#[test]
fn an_edge_has_to_know_where_its_connectors_are() {
    let lost = Endpoint { addresses: Vec::new(), ..cloud() };
    assert_eq!(refused(&[lost], &[]), MeshError::NowhereToGo { connector: "cloud".into() });
}

proptest! {
    #[test]
    fn an_overlap_is_found_wherever_it_is(
        ranges in prop::collection::vec((0u8..4, 0u8..=250, 0u8..5), 1..30),
    ) {
        let mut nodes: Vec<Endpoint> = (2..6).map(|number| node(&format!("edge-{number}"), Role::Edge, &[])).collect();
        let mut all = Vec::new();
        for (owner, start, length) in ranges {
            let range = range(&format!("10.7.7.{start}-10.7.7.{}", start + length));
            nodes[usize::from(owner)].subnets.push(range);
            all.push((owner, range));
        }
        let overlaps = all.iter().enumerate().any(|(at, (owner, range))| {
            all[..at].iter().any(|(other, earlier)| owner != other && earlier.overlaps(range))
        });
        let mut mesh = seen_by("edge-1", &[edge(1), at(edge(9), "192.0.2.9")], &[]);
        mesh.peers = nodes;
        match mesh.plan() {
            Err(MeshError::Overlap { ranges, .. }) => {
                prop_assert!(overlaps);
                prop_assert!(ranges[0].overlaps(&ranges[1]));
            }
            other => prop_assert!(other.is_ok() && !overlaps),
        }
    }
}

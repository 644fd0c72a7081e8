//! Thousands of edges.

use super::support::{cloud, community, node, plan, range, seen_by, through};
use std::time::{Duration, Instant};
use tidegate::mesh::{Community, Endpoint, Role, diff};

const EDGES: usize = 5000;

fn nodes() -> Vec<Endpoint> {
    // Not side by side, so that what is relayed cannot be joined.
    let subnet = |at: usize| format!("10.{}.{}.0/25", at / 256, at % 256);
    let edge = |at| Endpoint {
        hosts: vec![range(&format!("172.{}.{}.1", 16 + at / 256, at % 256))],
        addresses: vec!["192.0.2.77".parse().expect("an address")],
        ..node(&format!("edge-{at}"), Role::Edge, &[&subnet(at), &format!("fd00:{at:x}::/64")])
    };
    let cloud = Endpoint { subnets: vec![range("192.168.0.0/16")], ..cloud() };
    std::iter::once(cloud).chain((0..EDGES).map(edge)).collect()
}

fn everybody(nodes: &[Endpoint]) -> Community {
    let members: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    community("all", &members)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{what} took {took:?}");
    done
}

#[test]
fn a_connector_plans_five_thousand_edges_in_well_under_a_second() {
    let nodes = nodes();
    let mesh = seen_by("cloud", &nodes, &[everybody(&nodes)]);
    let links = timed("planning", || plan(&mesh));
    assert_eq!(links.len(), EDGES);
    let mut changed = mesh.clone();
    changed.peers[777].subnets[0] = range("10.200.0.0/24");
    let after = plan(&changed);
    let changes = timed("comparing", || diff(&links, &after));
    assert_eq!(changes.changed, ["edge-777".into()]);
    assert_eq!(changes.added.len() + changes.removed.len(), 0);
}

#[test]
fn an_edge_plans_links_with_five_thousand_others_in_well_under_a_second() {
    let nodes = nodes();
    let mesh = seen_by("edge-42", &nodes, &[everybody(&nodes)]);
    assert_eq!(timed("planning", || plan(&mesh)).len(), EDGES);
}

#[test]
fn a_connector_that_relays_for_five_thousand_edges_plans_in_well_under_a_second() {
    let nodes = nodes();
    let mesh = seen_by("cloud", &nodes, &[through("cloud", everybody(&nodes))]);
    assert_eq!(timed("planning", || plan(&mesh)).len(), EDGES);
}

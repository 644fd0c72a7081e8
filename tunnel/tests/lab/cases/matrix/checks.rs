//! The 48 checks, as the report that they come from lists them.

use std::fmt;

/// How a pod is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deployment {
    /// With an address of its own.
    Pod,
    /// In its node's network.
    Host,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// What runs on a node.
    Node(&'static str),
    /// A service that has an endpoint on each of these.
    Service(&'static [&'static str]),
}

/// One check.
pub(super) struct Check {
    pub(super) target: Deployment,
    pub(super) source: Deployment,
    pub(super) from: &'static str,
    pub(super) to: To,
}

/// Checks with a heading.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Headings of the columns.
    pub(super) called: &'static str,
    pub(super) calling: &'static str,
    pub(super) checks: Vec<Check>,
}

/// What runs on each edge is an endpoint of one service, what runs on each cloud node of another.
pub(super) const EDGES: &[&str] = &["edge-1", "edge-2"];
pub(super) const CLOUD: &[&str] = &["cloud-1", "cloud-2"];

/// The three tables.
pub(super) fn tables() -> [Table; 3] {
    [
        Table {
            name: "cloud to edge",
            called: "edge pod deployed as",
            calling: "cloud pod deployed as",
            checks: cloud_to_edge(),
        },
        Table {
            name: "edge to cloud",
            called: "cloud pod deployed as",
            calling: "edge pod deployed as",
            checks: edge_to_cloud(),
        },
        Table {
            name: "edge to edge",
            called: "edge pod called",
            calling: "edge pod calling",
            checks: edge_to_edge(),
        },
    ]
}

use Deployment::{Host, Pod};

fn cloud_to_edge() -> Vec<Check> {
    let calls = |target, source, from| calls(target, source, from, EDGES);
    [
        calls(Host, Pod, "cloud-1"),
        calls(Pod, Host, "apiserver"),
        calls(Pod, Pod, "cloud-1"),
        calls(Pod, Pod, "cloud-2"),
        calls(Pod, Host, "cloud-1"),
        calls(Pod, Host, "cloud-2"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn edge_to_cloud() -> Vec<Check> {
    let calls = |target, source, from| calls(target, source, from, CLOUD);
    [
        calls(Pod, Host, "edge-1"),
        calls(Pod, Host, "edge-2"),
        calls(Pod, Pod, "edge-1"),
        calls(Pod, Pod, "edge-2"),
        calls(Host, Pod, "edge-1"),
        calls(Host, Pod, "edge-2"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn edge_to_edge() -> Vec<Check> {
    let pair = |target, source| {
        let calls = |from, to, alone| {
            [
                Check { target, source, from, to: To::Node(to) },
                Check { target, source, from, to: To::Service(alone) },
            ]
        };
        [calls("edge-2", "edge-1", &EDGES[..1]), calls("edge-1", "edge-2", &EDGES[1..])].into_iter().flatten()
    };
    [pair(Host, Pod), pair(Pod, Pod), pair(Pod, Host)].into_iter().flatten().collect()
}

/// Each of these nodes, and the service with both.
fn calls(
    target: Deployment,
    source: Deployment,
    from: &'static str,
    to: &'static [&'static str],
) -> Vec<Check> {
    let mut checks: Vec<_> = to.iter().map(|to| Check { target, source, from, to: To::Node(to) }).collect();
    checks.push(Check { target, source, from, to: To::Service(to) });
    checks
}

impl fmt::Display for Deployment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pod => "podIP",
            Self::Host => "hostNetwork",
        })
    }
}

impl fmt::Display for To {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => formatter.write_str(name),
            Self::Service(_) => formatter.write_str("clusterIP"),
        }
    }
}

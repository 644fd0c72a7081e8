//! What FabEdge has in `tunnels.yaml`, and the connection it loads for a peer.

use super::support::{credentials, lines};
use tidegate::mesh::{Initiator, Mesh, Role};
use tidegate_ike::narrow::ConfiguredSelector;

/// As its agent writes it, in JSON, which YAML can be as well. Names are those of its fields.
const TUNNELS: &str = r#"{
    "self": {
        "id": "C=CN, O=fabedge.io, CN=beijing.edge1",
        "name": "beijing.edge1",
        "publicAddresses": [],
        "subnets": ["10.10.1.0/26", "fd96:ee88:0:2::/64"],
        "nodeSubnets": ["10.20.8.141", "2001:db8::8:141"],
        "type": "EdgeNode"
    },
    "peers": [{
        "id": "C=CN, O=fabedge.io, CN=beijing.connector",
        "name": "beijing.connector",
        "publicAddresses": ["connector.fabedge.example", "10.20.8.28"],
        "subnets": ["10.233.0.0/18", "10.233.64.0/18", "fd96:ee88:0:1::/64"],
        "nodeSubnets": ["10.20.8.28", "10.20.8.29"],
        "type": "Connector",
        "port": 45500
    }]
}"#;

#[test]
fn its_tunnels_are_read_as_a_mesh_and_become_its_three_children() {
    let mesh: Mesh = serde_json::from_str(TUNNELS).expect("its shape is known");
    assert_eq!((mesh.node.role, mesh.peers[0].role), (Role::Edge, Role::Connector));
    let links = mesh.plan().expect("it makes sense");
    assert_eq!(links[0].name.as_ref(), "beijing.connector");
    assert_eq!((links[0].initiator, links[0].port), (Initiator::Us, 45500));
    let pods = "10.10.1.0/26 fd96:ee88:0:2::/64";
    let theirs = "10.233.0.0/18 10.233.64.0/18 fd96:ee88:0:1::/64";
    assert_eq!(
        lines(&links[0]),
        [
            format!("beijing.connector-p2p: {pods} === {theirs}"),
            format!("beijing.connector-n2p: 10.20.8.141/32 2001:db8::8:141/128 === {theirs}"),
            format!("beijing.connector-p2n: {pods} === 10.20.8.28/32 10.20.8.29/32"),
        ]
    );
}

#[test]
fn the_connection_has_its_fields() {
    let mesh: Mesh = serde_json::from_str(TUNNELS).expect("its shape is known");
    let connection = mesh.plan().expect("it makes sense")[0].connection(&credentials());
    assert_eq!(&**connection.name(), "beijing.connector");
    assert_eq!(connection.ike.local.identity.to_string(), "C=CN, O=fabedge.io, CN=beijing.edge1");
    assert_eq!(connection.ike.remote.port, 45500);
    assert_eq!(connection.names, ["connector.fabedge.example", "10.20.8.28"]);
    let names: Vec<&str> = connection.children.iter().map(|child| &*child.config.name).collect();
    assert_eq!(names, ["beijing.connector-p2p", "beijing.connector-n2p", "beijing.connector-p2n"]);
    let text = |selector: &ConfiguredSelector| match selector {
        ConfiguredSelector::Fixed(selector) => selector.to_string(),
        ConfiguredSelector::Dynamic { .. } => "dynamic".into(),
    };
    let hosts: Vec<String> = connection.children[1].config.local.iter().map(text).collect();
    assert_eq!(hosts, ["10.20.8.141/32", "2001:db8::8:141/128"]);
}

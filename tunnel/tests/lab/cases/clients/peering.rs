//! What FabEdge's agents load, field by field: a connection to a peer, with three children.

use serde_json::{Value, json};

/// What an agent knows of a node.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its connection is called so at others.
    pub(super) name: String,
    /// Its name in its certificate.
    pub(super) subject: String,
    /// Where it is.
    pub(super) role: Role,
    /// Its own address.
    pub(super) address: String,
    /// What its pods have addresses of.
    pub(super) pods: Vec<String>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is called by edges.
    Connector,
    /// It calls.
    Edge,
}

/// Pods with pods, our node with their pods, our pods with their node.
pub(super) const KINDS: [&str; 3] = ["p2p", "n2p", "p2n"];

impl Member {
    /// What its agent loads to reach a peer, with its certificate as text.
    pub(super) fn connection_to(&self, peer: &Self, certificate: &str) -> Value {
        let name = &peer.name;
        let node = |member: &Self| json!([member.address]);
        let mut connection = json!({
            "local": { "id": self.subject, "auth": "pubkey", "certs": [certificate] },
            "remote": { "id": peer.subject, "auth": "pubkey" },
            "children": {
                format!("{name}-p2p"): self.child(json!(self.pods), json!(peer.pods)),
                format!("{name}-n2p"): self.child(node(self), json!(peer.pods)),
                format!("{name}-p2n"): self.child(json!(self.pods), node(peer)),
            },
            "mediation": "no",
        });
        if self.role == Role::Edge {
            connection["remote_addrs"] = json!([peer.address]);
            connection["dpd_delay"] = json!("10s");
        }
        json!({ name: connection })
    }

    fn child(&self, local: Value, remote: Value) -> Value {
        let mut child = json!({ "start_action": "clear" });
        (child["local_ts"], child["remote_ts"]) = (local, remote);
        if self.role == Role::Edge {
            child["dpd_action"] = json!("trap");
        }
        child
    }

    /// Its children to a peer by name, sorted.
    pub(super) fn children_of(peer: &str) -> [String; 3] {
        ["n2p", "p2n", "p2p"].map(|kind| format!("{peer}-{kind}"))
    }
}

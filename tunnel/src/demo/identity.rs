//! Who the nodes are, and how they prove it.

use super::Cause;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::crypto::Secret;
use tidegate_ike::identity::Identity;

/// Identities of nodes that trust each other.
pub(super) struct Identities {
    /// In words.
    pub(super) kind: String,
    pub(super) nodes: Vec<NodeIdentity>,
}

/// One node's.
pub(super) struct NodeIdentity {
    pub(super) name: String,
    pub(super) identity: Identity,
    pub(super) local: Arc<LocalAuth>,
    pub(super) trust: Arc<RemoteAuth>,
}

/// Makes them, by a secret that lives as long as they do.
pub(super) fn make(names: &[&str]) -> Result<Identities, Cause> {
    let mut secret = vec![0; 32];
    SystemRandom::new().fill(&mut secret).map_err(|_| Cause::Identity)?;
    let secret = Secret::new(secret);
    let node = |name: &&str| {
        let identity = format!("{name}.demo").parse().map_err(|_| Cause::Identity)?;
        let (local, trust) = (LocalAuth::Psk(secret.clone()), RemoteAuth::Psk(secret.clone()));
        Ok(NodeIdentity { name: (*name).to_owned(), identity, local: Arc::new(local), trust: Arc::new(trust) })
    };
    let nodes = names.iter().map(node).collect::<Result<Vec<_>, Cause>>()?;
    Ok(Identities { kind: format!("{} nodes with a secret in common", nodes.len()), nodes })
}

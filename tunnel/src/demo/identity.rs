//! Who the nodes are, and how they prove it: by certificates of an authority that lives as long as they do.

use super::Cause;
use crate::pki::{Authority, KeyChoice, Node, Validity};
use std::sync::Arc;
use std::time::SystemTime;
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    LocalAuth, LocalCertificate, RemoteAuth, RemoteCertificates, Revocation, RsaPadding, RsaSha1, TrustStore,
};
use tidegate_ike::crypto::RING;
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

/// Makes an authority, and a certificate for each name.
pub(super) fn make(names: &[&str]) -> Result<Identities, Cause> {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = WallTime(elapsed.as_secs());
    let subject = "O=tidegate demo, CN=CA".parse().map_err(|_| Cause::Identity)?;
    let (authority, _key) = Authority::create(subject, KeyChoice::EcdsaP256, Validity::days(now, 2))?;
    let trust = Arc::new(trust_in(&authority, now)?);
    let nodes =
        names.iter().map(|name| node(name, &authority, &trust, now)).collect::<Result<Vec<_>, _>>()?;
    let kind = format!("a CA and {} certificates, ECDSA P-256", nodes.len());
    Ok(Identities { kind, nodes })
}

/// A certificate of the authority will do. None of it is older than this process.
fn trust_in(authority: &Authority, now: WallTime) -> Result<RemoteAuth, Cause> {
    let mut store = TrustStore::new(WallTime(now.0.saturating_sub(1)), Revocation::Relaxed);
    store.add_anchor(authority.certificate()).map_err(|_| Cause::Identity)?;
    let (store, issuers) = (Arc::new(store), Vec::new());
    Ok(RemoteAuth::Certificates(RemoteCertificates { store, issuers, rsa_sha1: RsaSha1::Refuse }))
}

fn node(
    name: &str,
    authority: &Authority,
    trust: &Arc<RemoteAuth>,
    now: WallTime,
) -> Result<NodeIdentity, Cause> {
    let subject = format!("O=tidegate demo, CN={name}").parse().map_err(|_| Cause::Identity)?;
    let node = Node { subject, names: Vec::new(), validity: Validity::days(now, 1) };
    let issued = authority.issue(&node, KeyChoice::EcdsaP256)?;
    let key = (RING.load_key)(issued.key.der().as_ref()).map_err(|_| Cause::Identity)?;
    let chain = [issued.certificate];
    let local =
        LocalCertificate::new(&chain, Arc::from(key), RsaPadding::Pkcs1).map_err(|_| Cause::Identity)?;
    let identity = Identity::Dn(local.subject().clone());
    let local = Arc::new(LocalAuth::Certificate(local));
    Ok(NodeIdentity { name: name.to_owned(), identity, local, trust: Arc::clone(trust) })
}

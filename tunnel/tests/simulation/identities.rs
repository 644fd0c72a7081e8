//! Who the nodes are and how they prove it: by a secret that all of them know, or by certificates.

use std::sync::{Arc, OnceLock};
use tidegate::pki::{Authority, KeyChoice, Node, Validity};
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    LocalAuth, LocalCertificate, RemoteAuth, RemoteCertificates, Revocation, RsaPadding, RsaSha1, TrustStore,
};
use tidegate_ike::crypto::{RING, Secret};
use tidegate_ike::identity::Identity;

/// The wall clock when a simulation begins: 2026-01-01.
pub const BEGINNING: u64 = 1_767_225_600;
/// Certificates are good for so long before and after.
pub const GOOD_BEFORE: u64 = 30 * DAY;
pub const GOOD_AFTER: u64 = 300 * DAY;
pub const DAY: u64 = 24 * 60 * 60;
const MOST_NODES: usize = 64;

/// How nodes prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Secret,
    Certificates,
}

pub fn identity(node: usize) -> Identity {
    subject(node).parse().expect("a name")
}

fn subject(node: usize) -> String {
    format!("C=CN, O=fabedge.io, CN=node-{node:02}")
}

/// What a node has to show, and what it wants to see.
pub fn credentials(proof: Proof, node: usize) -> (Arc<LocalAuth>, Arc<RemoteAuth>) {
    let secret = || Secret::new(b"known to all of them".to_vec());
    match proof {
        Proof::Secret => (Arc::new(LocalAuth::Psk(secret())), Arc::new(RemoteAuth::Psk(secret()))),
        Proof::Certificates => {
            let issued = ISSUED.get_or_init(issue);
            (Arc::clone(&issued.nodes[node]), Arc::clone(&issued.trust))
        }
    }
}

/// Keys differ from run to run, but neither their lengths nor anything that follows from them.
struct Issued {
    nodes: Vec<Arc<LocalAuth>>,
    trust: Arc<RemoteAuth>,
}

static ISSUED: OnceLock<Issued> = OnceLock::new();

fn issue() -> Issued {
    let validity = Validity {
        not_before: WallTime(BEGINNING - GOOD_BEFORE),
        not_after: WallTime(BEGINNING + GOOD_AFTER),
    };
    let name = "C=CN, O=fabedge.io, CN=CA".parse().expect("a name");
    let (authority, _) = Authority::create(name, KeyChoice::Ed25519, validity).expect("an authority");
    let mut store = TrustStore::new(validity.not_before, Revocation::Relaxed);
    store.add_anchor(authority.certificate()).expect("an anchor");
    let certificates =
        RemoteCertificates { store: Arc::new(store), issuers: Vec::new(), rsa_sha1: RsaSha1::Refuse };
    let nodes = (0..MOST_NODES).map(|node| {
        let subject = subject(node).parse().expect("a name");
        let node = Node { subject, names: Vec::new(), validity };
        let issued = authority.issue(&node, KeyChoice::Ed25519).expect("a certificate");
        let key = (RING.load_key)(issued.key.der().as_ref()).expect("a key");
        let own = LocalCertificate::new(&[issued.certificate], Arc::from(key), RsaPadding::Pkcs1);
        Arc::new(LocalAuth::Certificate(own.expect("a certificate with its key")))
    });
    Issued { nodes: nodes.collect(), trust: Arc::new(RemoteAuth::Certificates(certificates)) }
}

//! Documents of nodes and communities, as an agent gets them from elsewhere: what makes sense is planned alike
//! by both ends of every link, and what does not is told in words.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tidegate::mesh::{Credentials, Initiator, Link, Mesh, diff};
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::crypto::Secret;

static CREDENTIALS: LazyLock<Credentials> = LazyLock::new(|| {
    let secret = || Secret::new(b"known to all".to_vec());
    Credentials::new(Arc::new(LocalAuth::Psk(secret())), Arc::new(RemoteAuth::Psk(secret())))
});

fuzz_target!(|input: &[u8]| {
    let Ok(mesh) = serde_json::from_slice::<Mesh>(input) else { return };
    let written = serde_json::to_vec(&mesh).expect("it has text keys alone");
    let again: Mesh = serde_json::from_slice(&written).expect("what we write can be read");
    assert_eq!(again, mesh);
    // All to all costs its square.
    if mesh.peers.len() > 24 {
        return;
    }
    let links = match mesh.plan() {
        Ok(links) => links,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let changes = diff(&links, &again.plan().expect("it is the same mesh"));
    assert!(changes.is_empty());
    for link in &links {
        check(&mesh, link);
    }
});

fn check(mesh: &Mesh, link: &Link) {
    let peer = mesh.peers.iter().find(|peer| peer.name == *link.name).expect("links lead to peers");
    assert_eq!((&link.local, &link.peer), (&mesh.node.identity, &peer.identity));
    assert!(!link.children.is_empty(), "a link without children is none");
    for child in &link.children {
        assert!((1..=255).contains(&child.local.len()) && (1..=255).contains(&child.remote.len()));
    }
    if link.initiator != Initiator::Peer {
        assert!(!link.addresses.is_empty(), "there is nowhere to go");
    }
    let connection = link.connection(&CREDENTIALS);
    assert_eq!((connection.name(), connection.children.len()), (&link.name, link.children.len()));
    from_there(mesh, link);
}

/// The other end plans the same link, the other way round.
fn from_there(mesh: &Mesh, link: &Link) {
    let mut other = mesh.clone();
    let Some(place) = other.peers.iter().position(|peer| peer.name == *link.name) else { return };
    std::mem::swap(&mut other.node, &mut other.peers[place]);
    // It may have something to complain of that does not concern us.
    let Ok(links) = other.plan() else { return };
    let back = links.iter().find(|back| *back.name == *mesh.node.name).expect("both ends have the link");
    let lost = mesh.node.addresses.is_empty() && other.node.addresses.is_empty();
    let begins = match link.initiator {
        Initiator::Us => Initiator::Peer,
        // Of two that cannot be reached, both wait. An edge goes to its connector wherever itself is.
        Initiator::Peer if lost && mesh.node.role == other.node.role => Initiator::Peer,
        Initiator::Peer => Initiator::Us,
        Initiator::Either => Initiator::Either,
    };
    assert_eq!(back.initiator, begins);
    assert_eq!(back.children.len(), link.children.len());
}

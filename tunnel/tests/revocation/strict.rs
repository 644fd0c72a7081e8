//! Whole attempts: a peer waits a little for lists, and the connection says whether it does without.

use crate::support::{MOON, Server, list, local, trust};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::connection::{Child, Connection};
use tidegate::engine::Target;
use tidegate::io::netstack::{Netstack, NetstackSettings};
use tidegate::io::udp::Listen;
use tidegate::revocation::Fetcher;
use tidegate::{Error, TunnelManager};
use tidegate_ike::ChildConfig;
use tidegate_ike::auth::{LocalAuth, RemoteAuth, Revocation};
use tidegate_ike::crypto::Secret;

async fn node(outside: &str, inside: &str) -> (TunnelManager, Netstack) {
    let settings = NetstackSettings::new(vec![(inside.parse().unwrap(), 24)]);
    let (stack, device) = Netstack::new(settings).unwrap();
    let addresses = vec![outside.parse().unwrap()];
    let listen = Listen { addresses, ike_port: 0, nat_port: 0, ..Listen::default() };
    let builder = TunnelManager::builder().device(Arc::new(device)).listen(listen);
    (builder.revocation_lists(Fetcher::new(None)).start().await.unwrap(), stack)
}

fn connection(us: &str, peer: &str, nets: [&str; 2], auth: (LocalAuth, Arc<RemoteAuth>)) -> Connection {
    let secret = Secret::new(b"not used".to_vec());
    let mut ike = tidegate_ike::Connection::psk("peer", us.parse().unwrap(), peer.parse().unwrap(), secret);
    ike.local.auth = Arc::new(auth.0);
    ike.remote.auth = auth.1;
    let child = ChildConfig::new("net", nets[0].parse().unwrap(), nets[1].parse().unwrap());
    Connection::new(ike).with_child(Child::new(child))
}

fn psk() -> Secret {
    Secret::new(b"known to both".to_vec())
}

/// The edge proves itself by a secret, the connector by the moon's certificate.
async fn initiate(octets: [u8; 2], mode: Revocation, uri: &str) -> Result<usize, Error> {
    let [edge_at, moon_at] = octets.map(|octet| format!("127.0.79.{octet}"));
    let (edge, _edge_inside) = node(&edge_at, "10.1.0.1").await;
    let (moon, _moon_inside) = node(&moon_at, "10.2.0.1").await;
    let nets = ["10.1.0.0/24", "10.2.0.0/24"];
    let theirs = (local("moon"), Arc::new(RemoteAuth::Psk(psk())));
    moon.load(connection(MOON, "edge.example", [nets[1], nets[0]], theirs)).await.unwrap();
    let mut ours = connection("edge.example", MOON, nets, (LocalAuth::Psk(psk()), trust(mode, uri)));
    ours.ike.remote.port = moon.ports().1;
    edge.load(ours.with_peer_address(moon_at.parse().unwrap())).await.unwrap();
    let outcome = edge.initiate(Target::Connection("peer".into())).await;
    edge.shutdown().await;
    moon.shutdown().await;
    outcome
}

#[tokio::test]
async fn a_strict_connection_comes_up_with_a_list_that_is_fetched_meanwhile() {
    let server = Server::with_file(list("crl-root")).await;
    initiate([1, 2], Revocation::Strict, &server.uri).await.expect("a list");
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn without_a_list_a_strict_connection_fails_and_names_what_is_lacking() {
    let server = Server::with_file(list("crl-impostor")).await;
    let error = initiate([3, 4], Revocation::Strict, &server.uri).await.expect_err("no list");
    assert!(error.to_string().contains("revocation list"), "{error}");
}

/// A server behind the very tunnel that waits for it is one that does not answer.
#[tokio::test]
async fn a_relaxed_connection_does_without_a_server_that_does_not_answer() {
    let server = Server::silent().await;
    let start = Instant::now();
    initiate([5, 6], Revocation::Relaxed, &server.uri).await.expect("lists are not needed");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(server.asked(), 1);
}

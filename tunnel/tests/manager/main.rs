//! What an agent does with a manager, on loopback and without privileges.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::{Node, Side, packet, rekeyed, up};
use tidegate::connection::{Child, Start};
use tidegate::driver::packets::Threads;
use tidegate::engine::{Manner, Selection, Target};
use tidegate::io::Device;
use tidegate::io::descriptor::Descriptor;
use tidegate::mesh::{Endpoint, Mesh, Role};
use tidegate::{Error, Event, TunnelManager};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::{AddressRange, Params};
use tidegate_ike::connection::AddressRequest;
use tidegate_ike::keys::{Disclosed, KeySink};
use tidegate_ike::pool::Pool;
use tidegate_ike::{ApiMisuse, Cause};

async fn pair() -> (Node, Node) {
    let (a, b) = (Node::start(1).await, Node::start(2).await);
    b.manager.load(b.connection_with(&a, Child::new)).await.unwrap();
    (a, b)
}

fn everything_of(name: &str) -> Selection {
    Selection::Connection(name.into())
}

#[tokio::test]
async fn packets_cross_both_ways_once_a_connection_is_initiated() {
    let (a, b) = pair().await;
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    a.manager.initiate(Target::Connection("to-2".into())).await.unwrap();
    assert!(a.manager.is_active("to-2").await.unwrap());
    for (from, to) in [(&a, &b), (&b, &a)] {
        let sent = packet(from, to, b"through the tunnel");
        from.inside.send(&sent).unwrap();
        assert_eq!(to.receive().await, sent);
    }
    let counters = a.manager.counters().await.unwrap();
    assert_eq!((counters.sent.packets, counters.received.packets), (1, 1));
    // IKE goes by the same sockets.
    assert!(counters.totals["datagrams_sent"] > 1, "{:?}", counters.totals);
    assert_eq!(counters.totals["datagrams_refused"], 0);
}

#[tokio::test]
async fn a_connection_that_starts_at_once_comes_up_by_itself_and_says_so() {
    let (a, b) = pair().await;
    let mut events = a.manager.events();
    a.manager.load(a.connection_with(&b, Child::kept_up)).await.unwrap();
    assert_eq!(up(&mut events).await.ip(), b.address);
    let status = a.manager.status().await.unwrap();
    assert_eq!(status[0].state, "up");
    assert_eq!(status[0].sas[0].peer.as_deref(), Some("node-2.example"));
    assert_eq!(status[0].sas[0].children[0].name, "net");
}

#[tokio::test]
async fn the_first_packet_brings_a_connection_up_and_is_not_lost() {
    let (a, b) = pair().await;
    let on_traffic = |config| Child { start: Start::OnTraffic, ..Child::new(config) };
    a.manager.load(a.connection_with(&b, on_traffic)).await.unwrap();
    let sent = packet(&a, &b, b"knock");
    a.inside.send(&sent).unwrap();
    assert_eq!(b.receive().await, sent);
}

#[tokio::test]
async fn new_keys_come_without_a_gap_and_traffic_goes_on() {
    let (a, b) = pair().await;
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    a.manager.initiate(Target::Connection("to-2".into())).await.unwrap();
    let mut events = a.manager.events();
    let child = Selection::Child { connection: None, child: "net".into() };
    assert_eq!(a.manager.rekey(child).await.unwrap(), 1);
    rekeyed(&mut events).await;
    let sent = packet(&a, &b, b"under new keys");
    a.inside.send(&sent).unwrap();
    assert_eq!(b.receive().await, sent);
}

#[tokio::test]
async fn terminating_ends_the_sas_at_both_ends_and_says_how_many() {
    let (a, b) = pair().await;
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    a.manager.initiate(Target::Connection("to-2".into())).await.unwrap();
    assert_eq!(a.manager.terminate(everything_of("to-2"), Manner::Ask).await.unwrap(), 1);
    assert!(!a.manager.is_active("to-2").await.unwrap());
    assert!(b.manager.status().await.unwrap()[0].sas.is_empty());
}

#[tokio::test]
async fn a_peer_that_never_answers_keeps_nobody_else_waiting() {
    let (a, b) = pair().await;
    let mut dead = a.connection_with(&b, Child::new);
    dead.ike.name = "dead".into();
    dead.ike.remote.port = 9;
    a.manager.load(dead).await.unwrap();
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    let manager = a.manager.clone();
    let hopeless = tokio::spawn(async move { manager.initiate(Target::Connection("dead".into())).await });
    let start = Instant::now();
    a.manager.initiate(Target::Connection("to-2".into())).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(!hopeless.is_finished());
    a.manager.unload("dead").await.unwrap();
    assert!(matches!(hopeless.await.unwrap(), Err(Error::Failed(_) | Error::Misuse(_))));
}

#[tokio::test]
async fn a_wrong_secret_fails_with_a_verdict_that_says_so() {
    let (a, b) = pair().await;
    let mut wrong = a.connection_with(&b, Child::new);
    wrong.ike.local.auth =
        Arc::new(tidegate_ike::auth::LocalAuth::Psk(tidegate_ike::crypto::Secret::new(b"x".to_vec())));
    a.manager.load(wrong).await.unwrap();
    let Err(Error::Failed(verdict)) = a.manager.initiate(Target::Connection("to-2".into())).await else {
        panic!("the peer let us in");
    };
    assert!(matches!(verdict.cause, Cause::Authentication(_) | Cause::Refused(_)), "{verdict}");
}

#[tokio::test]
async fn what_is_not_there_is_a_misuse_and_not_a_failure() {
    let node = Node::start(1).await;
    let nobody = node.manager.initiate(Target::Connection("nobody".into())).await;
    assert!(matches!(nobody, Err(Error::Misuse(ApiMisuse::NoSuchConnection(_)))));
    assert!(matches!(node.manager.unload("nobody").await, Err(Error::Misuse(_))));
    let mesh = Mesh {
        node: Endpoint::new("a", "a.example".parse().unwrap(), Role::Edge),
        peers: Vec::new(),
        communities: Vec::new(),
    };
    assert!(matches!(node.manager.apply(mesh).await, Err(Error::NoIdentity)));
}

/// Stands for any defect of the engine.
struct Panicking;

impl KeySink for Panicking {
    fn ike(&mut self, _: Disclosed<'_>) {
        panic!("as the test wants it");
    }

    fn child(&mut self, _: &Params) {}
}

#[tokio::test]
async fn an_engine_that_panics_says_that_it_has_stopped() {
    let b = Node::start(2).await;
    let a = Node::start_with(1, |builder| builder.key_sink(Box::new(Panicking))).await;
    let mut events = a.manager.events();
    b.manager.load(b.connection_with(&a, Child::new)).await.unwrap();
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    let up = a.manager.initiate(Target::Connection("to-2".into())).await;
    assert!(matches!(up, Err(Error::Stopped)), "{up:?}");
    let over = async { while events.next().await.is_some() {} };
    tokio::time::timeout(support::PATIENCE, over).await.expect("nobody waits for events for ever");
    assert!(!a.manager.is_running());
    assert!(matches!(a.manager.status().await, Err(Error::Stopped)));
}

/// A device like another, whose first packet has a defect of ours come to light.
struct Defective {
    device: Descriptor,
    reads: AtomicU32,
}

impl Device for Defective {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        let read = self.device.read(buffer)?;
        assert!(self.reads.fetch_add(1, Ordering::Relaxed) > 0, "as the test wants it");
        Ok(read)
    }

    fn write(&self, virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.device.write(virtio, parts)
    }

    fn mtu(&self) -> usize {
        self.device.mtu()
    }
}

#[tokio::test]
async fn a_packet_thread_that_panics_goes_on_says_so_and_keeps_every_sa() {
    let b = Node::start(22).await;
    let (inside, device) = UnixDatagram::pair().unwrap();
    let device = Descriptor::new(device.into(), 1400).unwrap();
    let device = Arc::new(Defective { device, reads: AtomicU32::new(0) });
    let mut a = Node::start_with(21, |builder| builder.device(device).threads(Threads::PerDirection)).await;
    a.inside = inside;
    a.inside.set_nonblocking(true).unwrap();
    b.manager.load(b.connection_with(&a, Child::new)).await.unwrap();
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    a.manager.initiate(Target::Connection("to-22".into())).await.unwrap();
    let sas = async || a.manager.status().await.unwrap()[0].sas.iter().map(|sa| sa.id).collect::<Vec<_>>();
    let (before, mut events) = (sas().await, a.manager.events());

    a.inside.send(&packet(&a, &b, b"lost")).unwrap();
    let trouble = |event| match event {
        Event::Trouble { area, message } => Some((area, message)),
        _ => None,
    };
    let (area, message) = support::until(&mut events, trouble).await;
    assert_eq!(area, "packets");
    assert!(message.contains("tidegate-out panicked and goes on: as the test wants it"), "{message}");

    let sent = packet(&a, &b, b"after it");
    a.inside.send(&sent).unwrap();
    assert_eq!(b.receive().await, sent);
    let back = packet(&b, &a, b"and back");
    b.inside.send(&back).unwrap();
    assert_eq!(a.receive().await, back);
    assert_eq!(sas().await, before);
    assert_eq!(a.manager.counters().await.unwrap().totals["packet_thread_restarts"], 1);
}

/// A traveller asks for an address, and its stack has it as long as the tunnel stands.
#[tokio::test]
async fn an_address_that_a_peer_gives_reaches_the_stack_in_this_process() {
    let (cloud, cloud_inside) = support::stack_node("127.0.77.11", &[("10.8.0.1", 24)]).await;
    let (edge, edge_inside) = support::stack_node("127.0.77.12", &[]).await;
    let pool = Pool {
        name: "vips".into(),
        addresses: AddressRange::from_prefix("10.9.0.0".parse().unwrap(), 24).unwrap(),
        dns: Vec::new(),
        subnets: Vec::new(),
        attributes: Vec::new(),
    };
    cloud.load_pool(pool).await.unwrap();
    let mut giving = support::virtual_addresses("cloud.example", "edge.example", Side::Giving);
    giving.ike.pools = vec!["vips".into()];
    cloud.load(giving).await.unwrap();
    let mut taking = support::virtual_addresses("edge.example", "cloud.example", Side::Taking);
    taking.ike.request_addresses = vec![AddressRequest::V4(None)];
    taking.ike.remote.port = cloud.ports().1;
    edge.load(taking.with_peer_address("127.0.77.11".parse().unwrap())).await.unwrap();

    edge.initiate(Target::Connection("peer".into())).await.unwrap();
    let given = edge_inside.addresses()[0].0;
    assert!(given.to_string().starts_with("10.9.0."), "{given}");
    edge_inside.ping("10.8.0.1".parse().unwrap(), 8, support::PATIENCE).await.unwrap();
    cloud_inside.ping(given, 8, support::PATIENCE).await.unwrap();
    edge.terminate(everything_of("peer"), Manner::Ask).await.unwrap();
    assert!(edge_inside.addresses().is_empty());
}

#[tokio::test]
async fn shutting_down_ends_the_sas_at_the_peer_and_every_handle() {
    let (a, b) = pair().await;
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    a.manager.initiate(Target::Connection("to-2".into())).await.unwrap();
    let (other, mut events) = (a.manager.clone(), a.manager.events());
    a.manager.shutdown().await;
    assert!(!other.is_running());
    assert!(matches!(other.status().await, Err(Error::Stopped)));
    while events.next().await.is_some() {}
    assert!(b.manager.status().await.unwrap()[0].sas.is_empty());
}

#[tokio::test]
async fn shutting_down_does_not_wait_long_for_a_peer_that_is_gone() {
    let a = Node::start(1).await;
    let theirs = tokio::runtime::Runtime::new().unwrap();
    let b = theirs.spawn(Node::start(2)).await.unwrap();
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    b.manager.load(b.connection_with(&a, Child::new)).await.unwrap();
    a.manager.initiate(Target::Connection("to-2".into())).await.unwrap();
    // Without a word.
    theirs.shutdown_background();
    let gone = tokio::time::timeout(Duration::from_secs(10), a.manager.shutdown()).await;
    assert!(gone.is_ok());
}

#[tokio::test]
async fn an_engine_ends_with_its_last_handle() {
    let (a, b) = pair().await;
    a.manager.load(a.connection_with(&b, Child::new)).await.unwrap();
    a.manager.initiate(Target::Connection("to-2".into())).await.unwrap();
    let mut events = b.manager.events();
    drop(a);
    support::until(&mut events, |event| matches!(event, Event::Down { .. }).then_some(())).await;
}

#[test]
fn handles_may_go_anywhere() {
    fn anywhere<T: Clone + Send + Sync + 'static>() {}
    anywhere::<TunnelManager>();
}

//! Two nodes in one process: engines with sockets on loopback, and a socket pair in place of each device.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::connection::{Child, Connection};
use tidegate::io::descriptor::Descriptor;
use tidegate::io::netstack::{Netstack, NetstackSettings};
use tidegate::io::udp::Listen;
use tidegate::{Builder, Event, Events, TunnelManager};
use tidegate_esp::Ports;
use tidegate_ike::crypto::Secret;
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::{ChildConfig, Event as IkeEvent};

/// Nothing that should happen takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running engine and the other end of its device.
pub(crate) struct Node {
    pub(crate) manager: TunnelManager,
    pub(crate) inside: UnixDatagram,
    pub(crate) address: IpAddr,
}

impl Node {
    pub(crate) async fn start(last_octet: u8) -> Self {
        Self::start_with(last_octet, |builder| builder).await
    }

    pub(crate) async fn start_with(last_octet: u8, change: impl FnOnce(Builder) -> Builder) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 77, last_octet));
        let (inside, device) = UnixDatagram::pair().unwrap();
        inside.set_nonblocking(true).unwrap();
        let listen = Listen { addresses: vec![address], ike_port: 0, nat_port: 0, ..Listen::default() };
        let device = Arc::new(Descriptor::new(device.into(), 1400).unwrap());
        let builder = change(TunnelManager::builder().device(device).listen(listen));
        let manager = builder.start().await.unwrap();
        Self { manager, inside, address }
    }

    /// A connection with another node: `10.<our octet>/16` to `10.<its octet>/16`.
    pub(crate) fn connection_with(&self, peer: &Self, child: fn(ChildConfig) -> Child) -> Connection {
        let name = |node: &Self| format!("node-{}.example", octet(node));
        let net = |node: &Self| format!("10.{}.0.0/16", octet(node)).parse().unwrap();
        let mut ike = tidegate_ike::Connection::psk(
            &format!("to-{}", octet(peer)),
            name(self).parse().unwrap(),
            name(peer).parse().unwrap(),
            Secret::new(b"known to both".to_vec()),
        );
        ike.remote.port = peer.manager.ports().1;
        let config = ChildConfig::new("net", net(self), net(peer));
        Connection::new(ike).with_peer_address(peer.address).with_child(child(config))
    }

    /// A packet that comes out of the node's device before long.
    pub(crate) async fn receive(&self) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = vec![0; 2048];
        loop {
            match self.inside.recv(&mut buffer) {
                Ok(length) => return buffer[..length].to_vec(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline, "no packet came");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn octet(node: &Node) -> u8 {
    match node.address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(_) => unreachable!("nodes have IPv4 addresses"),
    }
}

/// An inner packet of UDP between two nodes.
pub(crate) fn packet(from: &Node, to: &Node, payload: &[u8]) -> Vec<u8> {
    let length = 28 + payload.len();
    let mut bytes = vec![0x45, 0, (length >> 8) as u8, length as u8, 0, 0, 0, 0, 64, 17, 0, 0];
    bytes.extend([10, octet(from), 0, 1, 10, octet(to), 0, 1]);
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    // Without a checksum of its own, which IPv4 allows.
    let udp_length = 8 + payload.len();
    bytes.extend([0x13, 0x88, 0x13, 0x89, (udp_length >> 8) as u8, udp_length as u8, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// Waits for an event.
pub(crate) async fn until<T>(events: &mut Events, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = events.next().await.expect("the engine runs");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it happens before long")
}

/// Waits for a connection to be up.
pub(crate) async fn up(events: &mut Events) -> SocketAddr {
    until(events, |event| match event {
        Event::Up { peer, .. } => Some(peer),
        _ => None,
    })
    .await
}

/// Waits for a child to be rekeyed.
pub(crate) async fn rekeyed(events: &mut Events) {
    until(events, |event| matches!(event, Event::Ike(IkeEvent::ChildRekeyed { .. })).then_some(())).await;
}

/// A node with a stack in this process.
pub(crate) async fn stack_node(outside: &str, inside: &[(&str, u8)]) -> (TunnelManager, Netstack) {
    let addresses = inside.iter().map(|(address, prefix)| (address.parse().unwrap(), *prefix)).collect();
    let (stack, device) = Netstack::new(NetstackSettings::new(addresses)).unwrap();
    let addresses = vec![outside.parse().unwrap()];
    let listen = Listen { addresses, ike_port: 0, nat_port: 0, ..Listen::default() };
    let manager = TunnelManager::builder().device(Arc::new(device)).listen(listen).start().await.unwrap();
    (manager, stack)
}

/// Which end of a connection by virtual addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Giving,
    Taking,
}

/// A connection called `peer`, whose giving end has `10.8.0.0/24` behind it and whose taking end what it is given.
pub(crate) fn virtual_addresses(us: &str, peer: &str, side: Side) -> Connection {
    let secret = Secret::new(b"known to both".to_vec());
    let ike = tidegate_ike::Connection::psk("peer", us.parse().unwrap(), peer.parse().unwrap(), secret);
    let net = "10.8.0.0/24".parse().unwrap();
    let mut config = ChildConfig::new("net", net, net);
    let given = vec![ConfiguredSelector::Dynamic { protocol: 0, ports: Ports::ANY }];
    match side {
        Side::Giving => config.remote = given,
        Side::Taking => config.local = given,
    }
    Connection::new(ike).with_child(Child::new(config))
}

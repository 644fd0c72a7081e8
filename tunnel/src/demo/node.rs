//! One node: an engine with sockets on loopback, and a stack inside.

use super::Cause;
use super::identity::NodeIdentity;
use crate::driver::packets::Threads;
use crate::engine::{Selection, Target};
use crate::io::netstack::{Netstack, NetstackSettings};
use crate::io::udp::Listen;
use crate::manager::TunnelManager;
use crate::mesh::{Address, Community, Endpoint, Mesh, Role};
use crate::status::{ChildSaStatus, ConnectionStatus, IkeSaStatus};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_esp::AddressRange;
use tidegate_ike::identity::Identity;

pub(super) struct Node {
    pub(super) name: String,
    pub(super) stack: Netstack,
    pub(super) manager: TunnelManager,
    number: u8,
    identity: Identity,
}

impl Node {
    /// Numbers tell nodes apart: 10.60.`number`.0/24 is behind it. The first is the connector.
    pub(super) async fn start(number: u8, identity: NodeIdentity) -> Result<Self, Cause> {
        let settings = NetstackSettings::new(vec![(inner(number), 24)]);
        let (stack, device) = Netstack::new(settings)?;
        let listen = Listen { addresses: vec![outer(number)], ike_port: 0, nat_port: 0, ..Listen::default() };
        let manager = TunnelManager::builder()
            .identity(identity.local)
            .trust(identity.trust)
            .device(Arc::new(device))
            .listen(listen)
            .threads(Threads::One)
            .start()
            .await?;
        Ok(Self { name: identity.name, stack, manager, number, identity: identity.identity })
    }

    /// Puts it in a mesh with all of these.
    pub(super) async fn join(&self, all: &[Self]) -> Result<(), Cause> {
        let peers = all.iter().filter(|peer| peer.number != self.number);
        let everybody = Community {
            name: "demo".to_owned(),
            members: all.iter().map(|node| node.name.clone()).collect(),
            via: None,
        };
        let mesh = Mesh {
            node: self.endpoint(),
            peers: peers.map(Self::endpoint).collect(),
            communities: vec![everybody],
        };
        self.manager.apply(mesh).await?;
        Ok(())
    }

    /// Waits for the tunnel to a peer.
    pub(super) async fn wait_for(&self, peer: &Self, patience: Duration) -> Result<(), Cause> {
        let up = async {
            while !self.manager.is_active(&peer.name).await? {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        };
        tokio::time::timeout(patience, up).await?
    }

    /// Waits until there is one IKE SA with a peer: where both begin at once there are two for a moment.
    pub(super) async fn settle(&self, peer: &Self, patience: Duration) -> Result<(), Cause> {
        let settled = async {
            while self.status(peer).await?.sas.len() != 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        tokio::time::timeout(patience, settled).await?
    }

    /// What was negotiated with a peer: for IKE, and for ESP.
    pub(super) async fn suites(&self, peer: &Self) -> Result<(String, String), Cause> {
        let (sa, child) = self.sas(peer).await?;
        Ok((sa.suite.unwrap_or_default(), child.suite))
    }

    /// Names of the keys in use with a peer: SPIs of the IKE SA and of the child.
    pub(super) async fn keys(&self, peer: &Self) -> Result<((u64, u64), u32), Cause> {
        let (sa, child) = self.sas(peer).await?;
        Ok((sa.spis, child.spi_in))
    }

    /// Replaces keys: of the child and of the IKE SA in turn. How many were.
    pub(super) async fn rekey(&self, peer: &Self, round: usize) -> Result<usize, Cause> {
        let connection: Arc<str> = peer.name.as_str().into();
        let selection = if round % 2 == 0 {
            Selection::Child { connection: Some(connection), child: format!("{}-p2p", peer.name).into() }
        } else {
            Selection::Connection(connection)
        };
        Ok(self.manager.rekey(selection).await?)
    }

    pub(super) fn inner(&self) -> IpAddr {
        inner(self.number)
    }

    pub(super) fn outer(&self) -> SocketAddr {
        SocketAddr::new(outer(self.number), self.manager.ports().1)
    }

    pub(super) fn subnet(&self) -> AddressRange {
        let prefix = AddressRange::from_prefix(ten(self.number, 0), 24);
        prefix.unwrap_or(AddressRange::host(self.inner()))
    }

    /// The IKE SA and child that count.
    async fn sas(&self, peer: &Self) -> Result<(IkeSaStatus, ChildSaStatus), Cause> {
        let all = self.status(peer).await?.sas;
        let with_child = |sa: IkeSaStatus| {
            let child = sa.children.iter().find(|child| child.current).cloned()?;
            Some((sa, child))
        };
        all.into_iter().rev().find_map(with_child).ok_or(Cause::NoTunnel)
    }

    async fn status(&self, peer: &Self) -> Result<ConnectionStatus, Cause> {
        let all = self.manager.status().await?;
        all.into_iter().find(|connection| connection.name == peer.name).ok_or(Cause::NoTunnel)
    }

    fn endpoint(&self) -> Endpoint {
        let role = if self.number == 1 { Role::Connector } else { Role::Edge };
        Endpoint {
            addresses: vec![Address::Ip(outer(self.number))],
            port: self.manager.ports().1,
            subnets: vec![self.subnet()],
            ..Endpoint::new(&self.name, self.identity.clone(), role)
        }
    }
}

/// From the start of a manager to its first packet, as a peer sees it that runs already.
pub(super) async fn time_first_packet(
    waiting: NodeIdentity,
    started: NodeIdentity,
    patience: Duration,
) -> Result<Duration, Cause> {
    const PORT: u16 = 4000;
    let waiting = Node::start(1, waiting).await?;
    let socket = waiting.stack.bind_udp(SocketAddr::new(waiting.inner(), PORT))?;
    let begun = Instant::now();
    let started = Node::start(2, started).await?;
    let both = [waiting, started];
    let [waiting, started] = &both;
    waiting.join(&both).await?;
    started.join(&both).await?;
    started.manager.initiate(Target::Connection(waiting.name.as_str().into())).await?;
    let sender = started.stack.bind_udp(SocketAddr::new(started.inner(), PORT))?;
    sender.send_to(b"first", SocketAddr::new(waiting.inner(), PORT)).await?;
    tokio::time::timeout(patience, socket.recv_from(&mut [0; 16])).await??;
    let took = begun.elapsed();
    for node in &both {
        node.manager.shutdown().await;
    }
    Ok(took)
}

fn inner(number: u8) -> IpAddr {
    ten(number, 1)
}

fn ten(number: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 60, number, host).into()
}

fn outer(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 60, number).into()
}

//! IPsec tunnels in userspace: what an agent links to form them, and what the `tidegate` daemon is made of.
//!
//! # Where things are
//!
//! - [`TunnelManager`] is what an agent holds.
//! - [`connection`] is what it asks of one peer; [`mesh`] makes connections of communities.
//! - [`engine`] is all of control, without I/O: it wraps the IKE endpoint, keeps connections up, and owns the
//!   [`tables`] that packet workers read. [`action`] is what it tells its driver.
//! - [`worker`] is the packet path, without I/O; [`notice`] is what it tells the engine.
//! - [`driver`] runs both: a task for control, threads for packets, jobs, lookups.
//! - [`io`] has sockets and devices: TUN, a descriptor handed in, and a network stack in this process.
//! - [`route`] makes the kernel send captured traffic into the device, and nothing of it elsewhere.
//! - [`revocation`] gets lists of revoked certificates.
//! - [`status`] and [`event`] are what can be seen from outside; [`vici`] shows it to other processes, [`log`]
//!   and [`metrics`] to operators.
//! - [`config`] reads `tidegate.toml`, [`setup`] makes of it what a manager needs, [`daemon`] runs what it says,
//!   [`updown`] runs scripts, [`pki`] makes certificates.

//!
//! # Two nodes in one process
//!
//! ```
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use tidegate::TunnelManager;
//! use tidegate::connection::{Child, Connection};
//! use tidegate::engine::Target;
//! use tidegate::io::netstack::{Netstack, NetstackSettings};
//! use tidegate::io::udp::Listen;
//! use tidegate_ike::ChildConfig;
//! use tidegate_ike::crypto::Secret;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
//! // A node with sockets on loopback, and a network stack in place of an interface.
//! async fn node(outside: &str, inside: &str) -> Outcome<(TunnelManager, Netstack)> {
//!     let settings = NetstackSettings::new(vec![(inside.parse()?, 24)]);
//!     let (stack, device) = Netstack::new(settings)?;
//!     let listen = Listen { addresses: vec![outside.parse()?], ike_port: 0, nat_port: 0, ..Listen::default() };
//!     let manager = TunnelManager::builder().device(Arc::new(device)).listen(listen).start().await?;
//!     Ok((manager, stack))
//! }
//!
//! fn connection(us: &str, peer: &str, net: &str, peer_net: &str) -> Outcome<Connection> {
//!     let secret = Secret::new(b"known to both".to_vec());
//!     let ike = tidegate_ike::Connection::psk(peer, us.parse()?, peer.parse()?, secret);
//!     Ok(Connection::new(ike).with_child(Child::new(ChildConfig::new("net", net.parse()?, peer_net.parse()?))))
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Outcome<()> {
//! let (edge, edge_inside) = node("127.0.80.1", "10.1.0.1").await?;
//! let (cloud, cloud_inside) = node("127.0.80.2", "10.2.0.1").await?;
//! cloud.load(connection("cloud.example", "edge.example", "10.2.0.0/24", "10.1.0.0/24")?).await?;
//! let mut to_cloud = connection("edge.example", "cloud.example", "10.1.0.0/24", "10.2.0.0/24")?;
//! to_cloud.ike.remote.port = cloud.ports().1;
//! edge.load(to_cloud.with_peer_address("127.0.80.2".parse()?)).await?;
//! edge.initiate(Target::Connection("cloud.example".into())).await?;
//!
//! let address: SocketAddr = "10.2.0.1:80".parse()?;
//! let listener = cloud_inside.listen(address, 1)?;
//! let (sent, received) = tokio::join!(
//!     async {
//!         let mut stream = edge_inside.connect(address).await?;
//!         stream.write_all(b"through the tunnel").await?;
//!         stream.shutdown().await
//!     },
//!     async {
//!         let (mut stream, _) = listener.accept().await?;
//!         let mut text = String::new();
//!         stream.read_to_string(&mut text).await.map(|_| text)
//!     },
//! );
//! sent?;
//! assert_eq!(received?, "through the tunnel");
//! edge.shutdown().await;
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

pub mod action;
pub mod config;
pub mod connection;
#[cfg(feature = "cli")]
pub mod daemon;
pub mod demo;
pub mod driver;
pub mod engine;
pub mod event;
pub mod io;
pub mod keylog;
pub mod last_use;
pub mod log;
pub mod manager;
pub mod mesh;
pub mod metrics;
pub mod notice;
pub mod pki;
pub mod revocation;
pub mod route;
pub mod setup;
mod stand_in;
pub mod status;
pub mod tables;
pub mod updown;
pub mod vici;
pub mod worker;

pub use event::Event;
pub use manager::{Builder, Error, Events, TunnelManager};

/// The README's examples, so that they go on compiling.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

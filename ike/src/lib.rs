//! IKEv2 for Tidegate, without I/O.
//!
//! Nothing in this crate reads a clock, a random source, a socket or a global. Time, randomness and
//! datagrams come in as arguments; datagrams, deadlines, jobs and events come out.
//!
//! # Where things are
//!
//! - [`Endpoint`] is what a driver talks to: datagrams, deadlines and wishes in, [`Output`]s out.
//! - [`connection`] is what an operator wants; `registry` finds it, [`pool`] has addresses to give away.
//! - [`wire`] turns bytes into typed messages and back; nothing else reads payloads.
//! - [`crypto`] is a table of algorithms, [`keys`] the key schedule, [`auth`] and [`identity`] who is who.
//! - [`proposal`], [`narrow`] and [`nat`] are the negotiations, as pure functions.
//! - `gate` lets IKE_SA_INIT in or not; `sa` is one IKE SA from its first packet to its last;
//!   `exchange` is what an established one does.
//! - [`verdict`] says why something failed and whose fault it was.
//!
//! # Two ends and a driver
//!
//! A driver carries datagrams, does jobs and keeps time. Here one driver has both ends on its desk:
//!
//! ```
//! use std::{collections::VecDeque, net::IpAddr, sync::Arc};
//! use tidegate_ike::crypto::{RING, Secret, SystemRandom};
//! use tidegate_ike::{ChildConfig, Config, Connection, Endpoint, Event, Initiate, Now, Output, Path, Time, WallTime};
//!
//! fn end(name: &str, peer: &str, at: &str, peer_at: &str, net: &str, peer_net: &str) -> Endpoint {
//!     let secret = || Secret::new(b"known to both".to_vec());
//!     let child = ChildConfig::new("net", net.parse().unwrap(), peer_net.parse().unwrap());
//!     let mut connection = Connection::psk("peer", name.parse().unwrap(), peer.parse().unwrap(), secret());
//!     connection.remote.addresses = vec![tidegate_esp::AddressRange::host(peer_at.parse().unwrap())];
//!     connection.children = vec![Arc::new(child)];
//!     let mut endpoint = Endpoint::new(Config::default(), &RING, Box::new(SystemRandom::new()));
//!     endpoint.set_local_addresses(NOW, vec![at.parse::<IpAddr>().unwrap()]);
//!     endpoint.load(connection);
//!     endpoint
//! }
//!
//! const NOW: Now = Now { time: Time::ZERO, wall: WallTime(1_767_225_600) };
//! let mut ends = [
//!     end("edge.example", "cloud.example", "192.0.2.1", "192.0.2.2", "10.1.0.0/16", "10.2.0.0/16"),
//!     end("cloud.example", "edge.example", "192.0.2.2", "192.0.2.1", "10.2.0.0/16", "10.1.0.0/16"),
//! ];
//! let wish = Initiate { connection: "peer", child: None, local: None, remote: None };
//! ends[0].initiate(NOW, &wish).unwrap();
//!
//! let mut children = 0;
//! let mut todo = VecDeque::from([0, 1]);
//! while let Some(at) = todo.pop_front() {
//!     while let Some(output) = ends[at].poll_output() {
//!         match output {
//!             Output::Transmit(datagram) => {
//!                 let Path { local, remote, framing } = datagram.path;
//!                 let seen = Path { local: remote, remote: local, framing };
//!                 ends[1 - at].handle_datagram(NOW, seen, &datagram.bytes);
//!                 todo.push_back(1 - at);
//!             }
//!             Output::Job(job) => {
//!                 let done = job.run(&mut SystemRandom::new());
//!                 ends[at].job_done(NOW, done);
//!             }
//!             Output::Event(Event::ChildEstablished { .. }) => children += 1,
//!             // Keys and paths for the packet side, and other news.
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!(children, 2);
//! ```

#![forbid(unsafe_code)]

pub mod auth;
pub mod config;
pub mod connection;
mod core;
pub mod counters;
pub mod crypto;
pub mod endpoint;
pub mod event;
mod exchange;
mod gate;
pub mod identity;
pub mod keys;
pub mod narrow;
pub mod nat;
pub mod output;
pub mod pool;
pub mod proposal;
mod registry;
mod sa;
pub mod tally;
pub mod time;
pub mod verdict;
pub mod wire;

pub use config::Config;
pub use connection::{ChildConfig, Connection};
pub use core::Sources;
pub use endpoint::{ApiMisuse, DataEvent, Endpoint, Initiate, SaId};
pub use event::Event;
pub use output::{Framing, Job, JobDone, Output, Path, Transmit};
pub use sa::{Role, SpiPair, timers::Timer};
pub use time::{Now, Time, WallTime};
pub use verdict::{Cause, Culprit, Verdict};

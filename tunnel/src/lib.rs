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
//! - [`status`] and [`event`] are what can be seen from outside; [`vici`] shows it to other processes, [`log`]
//!   and [`metrics`] to operators.
//! - [`config`] reads `tidegate.toml`, [`daemon`] runs what it says, [`pki`] makes certificates.

#![deny(unsafe_code)]

pub mod action;
pub mod config;
pub mod connection;
pub mod daemon;
pub mod demo;
pub mod driver;
pub mod engine;
pub mod event;
pub mod io;
pub mod keylog;
pub mod log;
pub mod manager;
pub mod mesh;
pub mod metrics;
pub mod notice;
pub mod pki;
pub mod route;
pub mod status;
pub mod tables;
pub mod vici;
pub mod worker;

pub use event::Event;
pub use manager::{Builder, Error, Events, TunnelManager};

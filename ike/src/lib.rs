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
pub mod time;
pub mod verdict;
pub mod wire;

pub use config::Config;
pub use connection::{ChildConfig, Connection};
pub use endpoint::{ApiMisuse, DataEvent, Endpoint, Initiate, SaId};
pub use event::Event;
pub use output::{Framing, Job, JobDone, Output, Path, Transmit};
pub use sa::{Role, SpiPair, timers::Timer};
pub use time::{Now, Time, WallTime};
pub use verdict::{Cause, Culprit, Verdict};

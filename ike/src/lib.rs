//! IKEv2 for Tidegate, without I/O.
//!
//! Nothing in this crate reads a clock, a random source, a socket or a global. Time, randomness and
//! datagrams come in as arguments; datagrams, deadlines, jobs and events come out.

#![forbid(unsafe_code)]

pub mod auth;
pub mod crypto;
pub mod identity;
pub mod keys;
pub mod proposal;
pub mod time;
pub mod wire;

pub use time::{Time, WallTime};

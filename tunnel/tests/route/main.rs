//! Routes, rules and the packet filter, in a real kernel.
//!
//! ```text
//!   pod 10.1.0.5 ---- 10.1.0.1 node 192.0.2.1 ---- 192.0.2.2 peer 10.2.0.5
//!                         (tidegate0)
//! ```
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod capture;
mod charon;
mod clear;
mod life;
mod repair;
mod scale;
mod world;

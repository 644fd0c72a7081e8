//! Engines on a simulated network, with workers that seal and open what their tables say.

#![allow(
    unreachable_pub,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test binary: it is told its seeds by the environment, and may tell its run"
)]

mod addresses;
mod at_once;
mod limits;
mod many;
mod node;
mod policy;
mod requests;
mod seen;
mod shunts;
mod starting;
mod tries;
mod unique;
mod updating;
mod world;

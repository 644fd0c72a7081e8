//! What the cases are built of.

pub(crate) mod agent;
pub(crate) mod capture;
pub(crate) mod certificates;
pub(crate) mod charon;
pub(crate) mod etc;
pub(crate) mod flood;
pub(crate) mod flow;
mod folder;
pub(crate) mod http;
pub(crate) mod member;
pub(crate) mod namespace;
pub(crate) mod network;
pub(crate) mod newest;
pub(crate) mod pair;
pub(crate) mod prerequisites;
pub(crate) mod process;
pub(crate) mod swanctl;
pub(crate) mod swarm;
pub(crate) mod tidegate;
pub(crate) mod tool;
pub(crate) mod twins;
pub(crate) mod wait;

pub(crate) use folder::Lab;

/// Stands in every payload that the cases send, so that a packet in clear gives itself away.
pub(crate) const MARKER: &str = "seen-in-clear:tidegate-lab";

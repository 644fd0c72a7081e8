//! Revocation lists by HTTP, from a server on loopback.
#![allow(clippy::unwrap_used)]

mod fetching;
mod strict;
mod support;

//! The wire format of IKEv2, from the outside.

#![allow(clippy::unwrap_used, clippy::wildcard_imports)]

mod adversary;
mod build;
mod chain;
mod envelope;
mod exchanges;
mod fragments;
mod header;
mod known;
mod payloads;
mod proposals;
mod round_trip;
mod strategies;

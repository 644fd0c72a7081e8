//! What an IKE SA can do, one behaviour a test: two endpoints on a desk, and a test that holds the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod astray;
mod auth;
mod bench;
mod children;
mod choice;
mod configuration;
mod fragments;
mod init;
mod lifetimes;
mod liveness;
mod mobike;
mod nat;
mod options;
mod pki;
mod proposals;
mod rounds;
mod status;
mod version;

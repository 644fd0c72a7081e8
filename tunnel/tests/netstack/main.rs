//! Two stacks with a wire between them.
#![allow(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]

mod datagrams;
mod lives;
#[path = "../../../esp/tests/packets/mod.rs"]
mod packets;
mod strangers;
mod streams;
mod wire;

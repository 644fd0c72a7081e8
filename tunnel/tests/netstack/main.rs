//! Two stacks with a wire between them.
#![allow(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]

mod datagrams;
mod lives;
mod streams;
mod wire;

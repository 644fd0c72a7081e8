//! Sockets and devices against a real kernel.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod allocations;
mod descriptor;
mod host;
mod joined;
mod namespace;
mod offload_tun;
mod path_mtu;
mod raw_esp;
mod tun;
mod udp;
mod wire;

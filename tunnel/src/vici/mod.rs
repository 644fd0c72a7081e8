//! The control interface: the protocol that strongSwan calls vici, as server and as client.
//!
//! A client sends packets with a length in front over a Unix socket. A packet asks for a command, or
//! registers for an event; [`Message`] is the tree of sections, lists and values that most of them carry.
//!
//! - [`message`] and [`codec`] are the tree and its bytes, [`packet`] what surrounds it.
//! - [`Server`] answers for anything that is a [`Control`], as
//!   [`TunnelManager`](crate::manager::TunnelManager) is.
//! - [`sections`] say who has to prove what, and [`credentials`] what by.
//! - [`load`] reads what clients load, `registry` keeps it and has it follow the credentials.
//! - [`Client`] is what the command line is made of.
//!
//! Keys and spellings are those that charon uses, so that its tools can be used here. What its vocabulary
//! lacks has names that begin with `tidegate-`.

mod client;
pub mod codec;
pub mod control;
pub mod credentials;
pub mod load;
pub mod message;
mod names;
pub mod packet;
mod registry;
pub mod sections;
mod server;
mod transport;

pub use client::{Client, ClientError, Subscription};
pub use control::{Control, Refusal};
pub use credentials::Credentials;
pub use message::{Element, Message};
pub use server::{MAX_CLIENTS, PATIENCE, Server, serve};

/// Where the daemon listens unless it is told otherwise.
pub const DEFAULT_PATH: &str = "/run/tidegate/vici.sock";

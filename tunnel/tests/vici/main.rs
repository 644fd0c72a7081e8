//! The control interface: its protocol, its server and its client.

mod client;
mod codec;
mod commands;
mod events;
mod fake;
mod hostile;
mod socket;
mod swanctl;
#[cfg(feature = "cli")]
mod tools;

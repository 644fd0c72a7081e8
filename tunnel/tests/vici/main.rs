//! What operators see of a daemon: the control interface with its tools, and metrics.

mod client;
mod codec;
mod commands;
mod events;
mod fake;
mod hostile;
mod metrics;
mod socket;
mod swanctl;
#[cfg(feature = "cli")]
mod tools;

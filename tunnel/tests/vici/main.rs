//! What operators see of a daemon: the control interface with its tools, and metrics.

mod client;
mod codec;
mod commands;
mod credentials;
mod events;
mod fake;
mod files;
mod hostile;
mod loading;
mod manager;
mod metrics;
mod options;
mod python;
mod siege;
mod socket;
#[expect(dead_code, clippy::unwrap_used, reason = "what is there serves more tests than these")]
#[path = "../manager/support.rs"]
mod support;
mod swanctl;
#[cfg(feature = "cli")]
mod tools;

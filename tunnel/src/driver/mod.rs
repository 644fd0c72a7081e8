//! What runs the engine and the workers: threads, mailboxes, the clock.

pub(crate) mod askers;
pub(crate) mod control;
mod host;
pub(crate) mod hub;
mod jobs;
mod links;
mod lookups;
pub mod mailbox;
pub mod packets;
pub mod state;

use crate::io::udp::BindError;
use crate::route::RouteError;
use std::fmt;
use std::io;

/// Why an engine did not start.
#[derive(Debug)]
pub enum StartError {
    /// It was given no device.
    NoDevice,
    /// Routes are to lead to a device that is no network interface.
    NoInterface,
    /// A socket was not to be had.
    Bind(BindError),
    /// The kernel's routes could not be had.
    Routes(RouteError),
    /// The kernel does not tell of changes.
    Watch(io::Error),
    /// A packet thread could not be started.
    Threads(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice => f.write_str("there is no device for inner packets"),
            Self::NoInterface => f.write_str("routes need a device that is a network interface"),
            Self::Bind(error) => error.fmt(f),
            Self::Routes(error) => error.fmt(f),
            Self::Watch(error) => write!(f, "the kernel's routes cannot be watched: {error}"),
            Self::Threads(error) => write!(f, "packet threads cannot be started: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

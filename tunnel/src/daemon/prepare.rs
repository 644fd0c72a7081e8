//! Before anything runs: the configuration is read, and what the daemon does not need is given up.
//!
//! All of it happens in one thread, as what a thread gives up it gives up for those that it begins later:
//!
//! 1. The process that runs scripts is started, with all that it may need.
//! 2. Memory is kept out of core dumps and swap space. Nothing secret was read until then.
//! 3. Capabilities go but those that some configuration may need, and with them all hope of new ones. So files
//!    are read now with no more power than at a reload.
//! 4. The configuration is read, and those go that it does not need.
//! 5. Dangerous system calls go.

use super::log::Log;
use super::{RunError, RunOptions, Stamps};
use crate::config::{Configuration, NodeSettings};
use crate::io::privileges::{self, Capability, Locked};
use crate::io::seccomp;
use crate::updown::helper;
use std::io;
use std::os::unix::net::UnixStream;

/// A daemon that has given up what it does not need, and does nothing yet.
pub struct Prepared {
    pub(super) options: RunOptions,
    pub(super) configuration: Configuration,
    /// As files were when they were read.
    pub(super) stamps: Stamps,
    pub(super) log: Log,
    pub(super) scripts: Option<UnixStream>,
}

/// Reads the configuration, and gives up what the daemon does not need. To be called while the process has one
/// thread.
pub fn prepare(options: RunOptions) -> Result<Prepared, RunError> {
    let scripts = helper::start();
    let private = privileges::keep_memory_private();
    let locked = privileges::lock_memory();
    privileges::give_up_new_privileges().map_err(RunError::Privileges)?;
    privileges::keep_only(&EVER_NEEDED).map_err(RunError::Privileges)?;

    let stamps = Stamps::of(&options.config);
    let configuration = options.configuration().map_err(RunError::Config)?;
    let log = Log::install(&configuration.node.log).map_err(RunError::Log)?;
    let kept = needed(&configuration);
    privileges::keep_only(&kept).map_err(RunError::Privileges)?;
    let filtered = seccomp::refuse_dangerous_calls();

    tell("memory may get into core dumps", private);
    tell("dangerous system calls are not refused", filtered);
    tell_of_memory(locked);
    tracing::debug!(?kept, "capabilities");
    let scripts = scripts.map_err(|error| tracing::error!("scripts cannot be run: {error}")).ok();
    Ok(Prepared { options, configuration, stamps, log, scripts })
}

/// By any configuration, and by what comes after it.
const EVER_NEEDED: [Capability; 4] =
    [Capability::NetAdmin, Capability::NetBindService, Capability::NetRaw, Capability::SetPcap];

/// Ports do not change before a restart.
fn needed(configuration: &Configuration) -> Vec<Capability> {
    let NodeSettings { port, nat_port, metrics, .. } = configuration.node;
    let mut needed = vec![Capability::NetAdmin];
    let ports = [Some(port), Some(nat_port), metrics.map(|address| address.port())];
    if ports.into_iter().flatten().any(|port| (1..FIRST_FREE_PORT).contains(&port)) {
        needed.push(Capability::NetBindService);
    }
    if configuration.wants_raw_esp() {
        needed.push(Capability::NetRaw);
    }
    needed
}

/// Those below are for who may have them.
const FIRST_FREE_PORT: u16 = 1024;

/// What cannot be had is no reason not to run, but one to know.
fn tell(without: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("{without}: {error}");
    }
}

fn tell_of_memory(locked: io::Result<Locked>) {
    match locked {
        Ok(Locked::All) => {}
        Ok(Locked::Limited { limit }) => {
            tracing::info!("keys may get into swap space, as no more than {limit} bytes may be locked");
        }
        Err(error) => tracing::info!("keys may get into swap space: {error}"),
    }
}

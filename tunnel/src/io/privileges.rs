//! What this process may do, and giving up what it does not need.
//!
//! Capabilities and filters are those of a thread, and threads have those of the one that began them: all of
//! this is to be called while there is only one.

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use std::io;

/// What root may do, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Interfaces, routes, rules, marks.
    NetAdmin,
    /// Ports below 1024.
    NetBindService,
    /// Packets of other protocols than TCP and UDP.
    NetRaw,
    /// Taking more of them away from programs that are started later.
    SetPcap,
}

/// What is in memory stays out of swap space, or why it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// All of it, as soon as it is used.
    All,
    /// We may not lock as much as we may need, and to run out of it would be worse.
    Limited {
        /// How much that is, in bytes.
        limit: u64,
    },
}

/// Gives up all capabilities but these, for good: not even a program that is started gets them back. What the
/// process does not have it does not get.
pub fn keep_only(kept: &[Capability]) -> io::Result<()> {
    let kept = kept.iter().fold(CapabilitySet::empty(), |all, one| all | one.flag());
    let now = capabilities(None)?;
    if now.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().difference(kept).iter() {
            match remove_capability_from_bounding_set(capability) {
                // The kernel is older than the capability.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    // Kernels before 4.3 have no such set.
    let _ = clear_ambient_capability_set();
    set_capabilities(
        None,
        CapabilitySets {
            effective: now.effective & kept,
            permitted: now.permitted & kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

/// No program that is started may do more than this process, whatever its file says.
pub fn give_up_new_privileges() -> io::Result<()> {
    Ok(set_no_new_privs(true)?)
}

/// Nothing of our memory gets into a core dump, and no process of the same user reads it.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Keeps what is in memory out of swap space: pages as they come into use, those that never are cost nothing.
///
/// All or nothing: keys are in many places, and a lock on each would leave copies unlocked that arithmetic
/// makes. Where there is a limit we try to lift it, and if we may not we lock nothing: a limit that is reached
/// later would fail allocations.
pub fn lock_memory() -> io::Result<Locked> {
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    if let Some(limit) = getrlimit(Resource::Memlock).current {
        return Ok(Locked::Limited { limit });
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    Ok(Locked::All)
}

impl Capability {
    fn flag(self) -> CapabilitySet {
        match self {
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
            Self::NetBindService => CapabilitySet::NET_BIND_SERVICE,
            Self::NetRaw => CapabilitySet::NET_RAW,
            Self::SetPcap => CapabilitySet::SETPCAP,
        }
    }
}

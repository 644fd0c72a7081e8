//! Work that is wanted and waits for its turn.

use super::{Established, MAX_CHILDREN};
use crate::connection::ChildConfig;
use crate::core::Core;
use crate::sa::Frame;
use crate::sa::timers::Timer;
use crate::verdict::{Cause, Verdict};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::{Spi, TrafficSelector};

/// More work than this is never put off; what comes on top is dropped.
const MAX_TASKS: usize = 2 * MAX_CHILDREN;

/// The wait after a TEMPORARY_FAILURE, of which up to half is taken off at random so that two ends that
/// collided do not do it again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Work that waits for the window.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    CreateChild { config: Arc<ChildConfig>, packet: Option<(TrafficSelector, TrafficSelector)> },
    RekeyChild(Spi),
    DeleteChild(Spi),
    RekeyIke,
    DeleteIke(Verdict),
    Liveness,
    UpdateAddresses,
    AnnounceAddresses,
    CheckRoute,
}

impl Established {
    /// Puts work into the queue, once.
    pub(crate) fn want(&mut self, task: Task) {
        let known = self.tasks.iter().chain(&self.deferred).any(|other| other.same_as(&task));
        if !known && self.tasks.len() < MAX_TASKS {
            self.tasks.push_back(task);
        }
    }

    /// Tries something again after a while: the peer could not do it now (RFC 7296 §2.25).
    pub(crate) fn put_off(&mut self, frame: &mut Frame, core: &mut Core, task: Task) {
        if self.deferred.len() < MAX_TASKS {
            self.deferred.push(task);
        }
        let wait = core.jittered(RETRY_AFTER, RETRY_AFTER / 2);
        frame.timers.set(Timer::Retry, core.now.time + wait);
    }
}

impl Task {
    /// Whether it still makes sense on the successor of an IKE SA. Whoever wanted the end of the old one
    /// wants that of its successor too, unless it was for want of a successor.
    pub(super) fn outlives_rekey(&self) -> bool {
        match self {
            Self::RekeyIke | Self::Liveness => false,
            Self::DeleteIke(verdict) => !matches!(verdict.cause, Cause::Expired | Cause::Exhausted),
            _ => true,
        }
    }

    /// Whether both ask for the same thing.
    fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::CreateChild { config: a, .. }, Self::CreateChild { config: b, .. }) => Arc::ptr_eq(a, b),
            (Self::RekeyChild(a), Self::RekeyChild(b)) | (Self::DeleteChild(a), Self::DeleteChild(b)) => {
                a == b
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

//! Who is there, and who has to go when there are too many.

use super::session::{self, Presence};
use super::{Hall, MAX_CLIENTS};
use crate::vici::control::Control;
use rustix::process::{Resource, getrlimit};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::task::{AbortHandle, Id, JoinSet};

/// Who is there.
pub(super) struct Seats {
    taken: BTreeMap<Id, Seat>,
    most: usize,
}

struct Seat {
    task: AbortHandle,
    presence: Arc<Presence>,
}

impl Seats {
    pub(super) fn new() -> Self {
        // Tunnels need some as well.
        let descriptors =
            getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit / 2).ok());
        Self {
            taken: BTreeMap::new(),
            most: descriptors.map_or(MAX_CLIENTS, |half| half.clamp(1, MAX_CLIENTS)),
        }
    }

    /// A client comes.
    pub(super) fn take_in<C: Control>(
        &mut self,
        tasks: &mut JoinSet<()>,
        hall: &Arc<Hall<C>>,
        stream: UnixStream,
    ) {
        if self.taken.len() >= self.most && !self.make_room() {
            let most = self.most;
            tracing::warn!(target: "tidegate::vici", "{most} clients are busy, one more is turned away");
            return;
        }
        let presence = Arc::new(Presence::new(hall.started));
        let (input, output) = stream.into_split();
        let task = tasks.spawn(session::run(hall.clone(), input, output, presence.clone()));
        self.taken.insert(task.id(), Seat { task, presence });
    }

    /// A client has gone.
    pub(super) fn leave(&mut self, id: Id) {
        self.taken.remove(&id);
    }

    /// Sends away the client that has been idle for longest: none that waits for an answer or for events. False
    /// where there is none.
    pub(super) fn make_room(&mut self) -> bool {
        let idle = self.taken.iter().filter_map(|(id, seat)| Some((seat.presence.idle_since()?, *id)));
        let Some(seat) = idle.min().and_then(|(_, id)| self.taken.remove(&id)) else { return false };
        seat.task.abort();
        true
    }
}

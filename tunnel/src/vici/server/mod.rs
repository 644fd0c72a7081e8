//! Answers clients.
//!
//! 1. `listen` opens the socket.
//! 2. [`Server`] seats clients, up to a limit; past it, one that has long been idle makes room.
//! 3. `session` talks with one of them, in a task of its own.
//! 4. `command` does what they ask for: `query` shows, `order` changes, `describe` finds the words, and
//!    `credentials` is for what ends prove who they are by.
//! 5. `pump` turns events into what clients have registered for, once for all of them.
//!
//! A client that reads slowly loses events, and after [`PATIENCE`] its connection. One that sends what makes
//! no sense is answered where there is an answer, and dropped where there is none.

mod command;
mod connections;
mod credentials;
mod describe;
mod event_name;
mod listen;
mod order;
mod pools;
mod pump;
mod query;
mod session;

use super::control::Control;
use super::credentials::Credentials;
use super::registry::Registry;
use listen::Place;
use pools::Pools;
use pump::Happening;
use session::Presence;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;
use tokio::task::{AbortHandle, Id, JoinHandle, JoinSet};

/// Listens on a socket until it is dropped.
#[derive(Debug)]
pub struct Server {
    accepting: JoinHandle<()>,
}

/// No more clients than this at a time.
pub const MAX_CLIENTS: usize = 256;
/// How long a client may take to send the rest of a packet that it has begun, or to read one of ours.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl Server {
    /// Listens at `path`, for processes of the same user and root alone. Its folder is made where there is
    /// none, and must not be one that everybody may write into. A socket that a dead process has left is
    /// replaced, one that a process listens on is not.
    ///
    /// To be called within a tokio runtime.
    pub fn start(control: impl Control, path: &Path) -> io::Result<Self> {
        Self::with_credentials(control, Arc::default(), path)
    }

    /// The same with credentials that others have a hand in too.
    pub fn with_credentials(
        control: impl Control,
        credentials: Arc<Mutex<Credentials>>,
        path: &Path,
    ) -> io::Result<Self> {
        let (listener, place) = listen::open(path)?;
        let hall = Arc::new(Hall::new(control, credentials));
        Ok(Self { accepting: tokio::spawn(accept(hall, listener, place)) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What all sessions share.
struct Hall<C> {
    control: C,
    /// Never held across an await.
    credentials: Arc<Mutex<Credentials>>,
    registry: Registry,
    pools: Pools,
    started: Instant,
    since: SystemTime,
    happenings: broadcast::Sender<Arc<Happening>>,
    /// Sessions that want to see SAs as they come and go.
    watchers: AtomicUsize,
}

impl<C: Control> Hall<C> {
    fn new(control: C, credentials: Arc<Mutex<Credentials>>) -> Self {
        Self {
            control,
            credentials,
            registry: Registry::default(),
            pools: Pools::default(),
            started: Instant::now(),
            since: SystemTime::now(),
            happenings: broadcast::Sender::new(HAPPENINGS),
            watchers: AtomicUsize::new(0),
        }
    }

    /// What they hold makes sense after each step, so that one who panicked has left no harm.
    fn credentials(&self) -> MutexGuard<'_, Credentials> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes clients in. All their tasks end with this one, and the socket goes.
async fn accept<C: Control>(hall: Arc<Hall<C>>, listener: UnixListener, place: Place) {
    let _place = place;
    let mut tasks = JoinSet::new();
    let mut seats = Seats::default();
    let pump = tasks.spawn(pump::run(hall.clone())).id();
    tasks.spawn(connections::follow(hall.clone()));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => seats.take_in(&mut tasks, &hall, stream),
                // No more descriptors, most likely; they may come back.
                Err(error) => {
                    tracing::warn!(target: "tidegate::vici", "cannot take a client in: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = tasks.join_next_with_id() => {
                let id = match &ended {
                    Ok((id, ())) => *id,
                    Err(error) => error.id(),
                };
                seats.taken.remove(&id);
                if id == pump {
                    tracing::debug!(target: "tidegate::vici", "there are no more events");
                }
            }
        }
    }
}

/// Who is there.
#[derive(Default)]
struct Seats {
    taken: BTreeMap<Id, Seat>,
}

struct Seat {
    task: AbortHandle,
    presence: Arc<Presence>,
}

impl Seats {
    fn take_in<C: Control>(&mut self, tasks: &mut JoinSet<()>, hall: &Arc<Hall<C>>, stream: UnixStream) {
        if self.taken.len() >= MAX_CLIENTS && !self.make_room() {
            tracing::warn!(target: "tidegate::vici", "{MAX_CLIENTS} clients are busy, one more is turned away");
            return;
        }
        let presence = Arc::new(Presence::new(hall.started));
        let task = tasks.spawn(session::run(hall.clone(), stream, presence.clone()));
        self.taken.insert(task.id(), Seat { task, presence });
    }

    /// Sends away the client that has been idle for longest: none that waits for an answer or for events.
    fn make_room(&mut self) -> bool {
        let idle = self.taken.iter().filter_map(|(id, seat)| Some((seat.presence.idle_since()?, *id)));
        let Some(seat) = idle.min().and_then(|(_, id)| self.taken.remove(&id)) else { return false };
        seat.task.abort();
        true
    }
}

/// Events that wait for slow clients.
const HAPPENINGS: usize = 1024;

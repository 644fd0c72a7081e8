//! Answers clients.
//!
//! 1. `listen` opens the socket.
//! 2. [`Server`] gives clients their seats, up to a limit; past it, one that has long been idle makes room.
//! 3. `session` talks with one of them, in a task of its own.
//! 4. `command` does what they ask for: `query` and `counters` show, `order` changes, `selection` reads which
//!    SAs are meant, `describe` finds the words; `connections` and `pools` are for what is loaded, and
//!    `credentials` is for what ends prove who they are by.
//! 5. `pump` turns events into what clients have registered for, once for all of them; `album` has the SAs that
//!    they are about, and `alert` what somebody should look at.
//!
//! A client that reads slowly loses events, and after [`PATIENCE`] its connection. One that sends what makes
//! no sense is answered where there is an answer, and dropped where there is none.

mod album;
mod alert;
mod command;
mod connections;
mod counters;
mod credentials;
mod describe;
mod event_name;
mod listen;
mod order;
mod pools;
mod pump;
mod query;
mod seats;
mod selection;
mod session;

use super::control::Control;
use super::credentials::Credentials;
use super::registry::Registry;
use listen::Place;
use pools::Pools;
use pump::{Happening, Mark};
use seats::Seats;
use session::Presence;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// Listens on a socket until it is dropped.
#[derive(Debug)]
pub struct Server {
    accepting: JoinHandle<()>,
}

/// No more clients than this at a time, and no more than half of the descriptors that this process may have.
pub const MAX_CLIENTS: usize = 1024;
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
        let (hall, marks) = Hall::new(control, credentials);
        Ok(Self { accepting: tokio::spawn(accept(Arc::new(hall), marks, listener, place)) })
    }
}

/// Talks with one client over a stream that is there already, until it goes away or has to.
pub async fn serve<C: Control>(control: C, stream: impl AsyncRead + AsyncWrite + Send + Unpin) {
    let (hall, marks) = Hall::new(control, Arc::default());
    let hall = Arc::new(hall);
    let presence = Arc::new(Presence::new(hall.started));
    let (input, output) = tokio::io::split(stream);
    let mut talking = std::pin::pin!(session::run(hall.clone(), input, output, presence));
    let following = async { tokio::join!(pump::run(hall.clone(), marks), connections::follow(hall.clone())) };
    tokio::select! {
        () = &mut talking => {}
        // There will be no more events; commands are answered all the same.
        _ = following => talking.await,
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
    marks: mpsc::Sender<Mark>,
}

impl<C: Control> Hall<C> {
    fn new(control: C, credentials: Arc<Mutex<Credentials>>) -> (Self, mpsc::Receiver<Mark>) {
        let (marks, receiver) = mpsc::channel(MARKS);
        let hall = Self {
            control,
            credentials,
            registry: Registry::default(),
            pools: Pools::default(),
            started: Instant::now(),
            since: SystemTime::now(),
            happenings: broadcast::Sender::new(HAPPENINGS),
            watchers: AtomicUsize::new(0),
            marks,
        };
        (hall, receiver)
    }

    /// Waits until all that has happened so far is on its way to clients.
    async fn catch_up(&self) {
        let (mark, passed) = oneshot::channel();
        if self.marks.send(mark).await.is_ok() {
            // Without a pump there is nothing to wait for.
            let _ = passed.await;
        }
    }

    /// What they hold makes sense after each step, so that one who panicked has left no harm.
    fn credentials(&self) -> MutexGuard<'_, Credentials> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes clients in. All their tasks end with this one, and the socket goes.
async fn accept<C: Control>(
    hall: Arc<Hall<C>>,
    marks: mpsc::Receiver<Mark>,
    listener: UnixListener,
    place: Place,
) {
    let _place = place;
    let mut tasks = JoinSet::new();
    let mut seats = Seats::new();
    let pump = tasks.spawn(pump::run(hall.clone(), marks)).id();
    tasks.spawn(connections::follow(hall.clone()));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => seats.take_in(&mut tasks, &hall, stream),
                // No more descriptors, most likely; they may come back, and idle clients have some.
                Err(error) => {
                    tracing::warn!(target: "tidegate::vici", "cannot take a client in: {error}");
                    seats.make_room();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = tasks.join_next_with_id() => {
                let id = match &ended {
                    Ok((id, ())) => *id,
                    Err(error) => error.id(),
                };
                seats.leave(id);
                if id == pump {
                    tracing::debug!(target: "tidegate::vici", "there are no more events");
                }
            }
        }
    }
}

/// Events that wait for slow clients.
const HAPPENINGS: usize = 1024;
/// Orders whose last events are being gathered.
const MARKS: usize = 64;

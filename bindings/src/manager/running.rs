//! A manager that runs: its runtime, its requests, and the way of its events.

use crate::code::tidegate_code;
use crate::config::Reader;
use crate::device::Calls;
use crate::error::Failure;
use crate::event::tidegate_event;
use crate::options::{self, Listener, tidegate_options};
use crate::queue::{Queue, Refused, Room};
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tunnel::config::{Configuration, NamedConnection};
use tunnel::log::Narrator;
use tunnel::mesh::Named;
use tunnel::{Error, Events, TunnelManager};

/// Events that wait for a caller who does not ask for them; of further ones it is told how many there were.
const EVENTS: Room = Room { items: 1024, bytes: usize::MAX };
/// Requests that have been begun and whose ends were not taken.
const REQUESTS: usize = 1024;
/// A signature or a lookup that takes longer is left behind when all else has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is behind a manager's handle.
pub(super) struct Running {
    pub(super) manager: TunnelManager,
    pub(super) calls: Option<Arc<Calls>>,
    reader: Reader,
    /// The configuration that it was made by.
    base: Configuration,
    /// The whole configuration that was applied last.
    applied: Mutex<Configuration>,
    told: Arc<Told>,
    last_request: AtomicU64,
    speaker: Option<JoinHandle<()>>,
    /// Only missing while it is dropped.
    runtime: Option<Runtime>,
}

/// The way of events, which requests end on too.
struct Told {
    queue: Queue<tidegate_event>,
    /// Requests whose end nobody has taken.
    open: AtomicUsize,
    /// Requests that have no end yet, as permits that are missing.
    under_way: Arc<Semaphore>,
}

impl Running {
    /// # Safety
    ///
    /// As for [`options::builder`].
    pub(super) unsafe fn start(options: &tidegate_options) -> Result<Self, Failure> {
        // SAFETY: as for this function.
        let folder = unsafe { options.folder.read("the folder") }?;
        // SAFETY: as for this function.
        let text = unsafe { options.config.read("the configuration") }?;
        // SAFETY: as for this function.
        let reader = Reader::new(folder, unsafe { options::shared(options.credentials) });
        let base = reader.whole(text)?;
        // SAFETY: as for this function.
        let (builder, calls) = unsafe { options::builder(options, &base) }?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tidegate-control")
            .enable_all()
            .build()
            .map_err(Failure::system)?;
        let manager = runtime.block_on(builder.start()).map_err(Failure::system)?;
        let under_way = Arc::new(Semaphore::new(REQUESTS));
        let told = Arc::new(Told { queue: Queue::new(EVENTS)?, open: AtomicUsize::new(0), under_way });
        runtime.spawn(Arc::clone(&told).carry(manager.events()));
        let mut running = Self {
            manager,
            calls,
            reader,
            applied: Mutex::new(base.clone()),
            base,
            told,
            last_request: AtomicU64::new(0),
            speaker: None,
            runtime: Some(runtime),
        };
        if let Some(listener) = Listener::of(options) {
            running.speak(listener)?;
        }
        running.load_all(&running.base)?;
        Ok(running)
    }

    fn speak(&mut self, listener: Listener) -> Result<(), Failure> {
        let told = Arc::clone(&self.told);
        let speak = move || {
            while let Some(event) = told.queue.wait() {
                told.taken(&event);
                listener.tell(&event);
            }
        };
        let thread = std::thread::Builder::new().name("tidegate-events".into()).spawn(speak);
        self.speaker = Some(thread.map_err(Failure::system)?);
        Ok(())
    }

    /// Waits in this thread for what control has to do.
    pub(super) fn wait<T>(&self, task: impl Future<Output = T>) -> Result<T, Failure> {
        let runtime = self.runtime.as_ref().ok_or_else(|| Failure::misuse("the manager is being freed"))?;
        Ok(runtime.block_on(task))
    }

    /// The same for a while; 0 for as long as it takes. What is not done then goes on.
    pub(super) fn wait_for<T: Send + 'static>(
        &self,
        milliseconds: u32,
        task: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Failure> {
        if milliseconds == 0 {
            return Ok(self.wait(task)??);
        }
        let patience = Duration::from_millis(milliseconds.into());
        let ended = self.wait(async { tokio::time::timeout(patience, tokio::spawn(task)).await })?;
        let late = || Failure::new(tidegate_code::Timeout, format_args!("not done in {milliseconds} ms"));
        let ended = ended.map_err(|_| late())?;
        Ok(ended.map_err(|_| Failure::new(tidegate_code::Stopped, "the request was dropped"))??)
    }

    /// Begins a request whose end is an event; returns its number.
    pub(super) fn begin(
        &self,
        task: impl Future<Output = Result<usize, Error>> + Send + 'static,
    ) -> Result<u64, Failure> {
        let busy = || {
            let message = format!("{REQUESTS} requests have ended, and nobody has asked for it");
            Failure::new(tidegate_code::Busy, message)
        };
        let count = |open: usize| (open < REQUESTS).then_some(open + 1);
        self.told.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).map_err(|_| busy())?;
        let runtime = self.runtime.as_ref().ok_or_else(|| Failure::misuse("the manager is being freed"))?;
        // There are as many permits as may be open.
        let permit = Arc::clone(&self.told.under_way).try_acquire_owned().map_err(|_| busy())?;
        let number = self.last_request.fetch_add(1, Ordering::Relaxed) + 1;
        let told = Arc::clone(&self.told);
        runtime.spawn(async move {
            let result = task.await.map_err(Failure::from);
            told.queue.push_beyond(tidegate_event::done(number, result));
            drop(permit);
        });
        Ok(number)
    }

    /// The next event; `None` if there is none just now.
    pub(super) fn next_event(&self) -> Result<Option<tidegate_event>, Failure> {
        self.polls()?;
        let event = self.told.queue.pop();
        event.iter().for_each(|event| self.told.taken(event));
        Ok(event)
    }

    /// The queue that events wait in.
    pub(super) fn events(&self) -> Result<&Queue<tidegate_event>, Failure> {
        self.polls()?;
        Ok(&self.told.queue)
    }

    fn polls(&self) -> Result<(), Failure> {
        match self.speaker {
            Some(_) => Err(Failure::misuse("events go to on_event")),
            None => Ok(()),
        }
    }

    /// Adds connections and pools.
    pub(super) fn load(&self, text: &str) -> Result<(), Failure> {
        let added = self.reader.more(&self.base, text)?;
        for pool in added.pools {
            self.wait(self.manager.load_pool(pool))??;
        }
        added.connections.iter().try_for_each(|connection| self.load_one(connection))
    }

    /// Makes connections and pools those of a whole configuration, and touches only what differs.
    pub(super) fn apply(&self, text: &str) -> Result<(), Failure> {
        let mut new = self.reader.whole(text)?;
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let update = new.changes_since(&applied);
        // What the daemon alone has use for means nothing here.
        let fixed: Vec<_> = update
            .restart
            .iter()
            .copied()
            .filter(|key| !["state", "vici", "metrics"].contains(key))
            .collect();
        if !fixed.is_empty() {
            let message = format!("to change {}, make a new manager", fixed.join(", "));
            return Err(Failure::misuse(message));
        }
        for pool in update.pools {
            self.wait(self.manager.load_pool(pool))??;
        }
        for name in &update.connections.removed {
            // One that was unloaded by name is no less gone.
            let _ = self.wait(self.manager.unload(name))?;
        }
        let mut failed = Vec::new();
        let touched = [update.connections.added, update.connections.changed].concat();
        new.connections.retain(|connection| {
            let loaded = if touched.contains(connection.name()) { self.load_one(connection) } else { Ok(()) };
            loaded.map_err(|failure| failed.push(failure.message)).is_ok()
        });
        for name in &update.unpooled {
            self.wait(self.manager.unload_pool(name))??;
        }
        *applied = new;
        if failed.is_empty() { Ok(()) } else { Err(Failure::new(tidegate_code::Config, failed.join("\n"))) }
    }

    fn load_all(&self, configuration: &Configuration) -> Result<(), Failure> {
        for pool in &configuration.pools {
            self.wait(self.manager.load_pool(pool.clone()))??;
        }
        configuration.connections.iter().try_for_each(|connection| self.load_one(connection))
    }

    fn load_one(&self, named: &NamedConnection) -> Result<(), Failure> {
        let mut connection = named.connection();
        // Where options say another port than the configuration, that one is meant.
        if connection.ike.local.port == self.base.node.port {
            connection.ike.local.port = self.manager.ports().0;
        }
        Ok(self.wait(self.manager.load(connection))??)
    }
}

impl Told {
    /// Carries events to the queue until the engine has stopped and all requests have ended.
    async fn carry(self: Arc<Self>, mut events: Events) {
        let mut narrator = Narrator::default();
        while let Some(event) = events.next().await {
            let mut event = tidegate_event::new(&mut narrator, &event);
            loop {
                match self.queue.push(event, 0) {
                    Ok(()) => break,
                    Err(Refused::Closed) => return,
                    Err(Refused::Full(again)) => event = again,
                }
                self.queue.room().await;
            }
        }
        let all = u32::try_from(REQUESTS).unwrap_or(u32::MAX);
        let _ended = self.under_way.acquire_many(all).await;
        self.queue.push_beyond(tidegate_event::stopped());
        self.queue.close();
    }

    /// Somebody has taken it.
    fn taken(&self, event: &tidegate_event) {
        if event.ends_request() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        runtime.block_on(self.manager.shutdown());
        self.told.queue.close();
        runtime.shutdown_timeout(PATIENCE);
        if let Some(speaker) = self.speaker.take() {
            // What it calls may panic no further than to here.
            let _ = speaker.join();
        }
    }
}

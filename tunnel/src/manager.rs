//! What an agent holds: tunnels as a service of this process.
//!
//! A [`TunnelManager`] is a handle; clones share one engine. Every call is a message to the control task and
//! waits on its own: a peer that never answers keeps nobody waiting but those who asked for it.

use crate::connection::Connection;
use crate::driver::StartError;
use crate::driver::askers::Presence;
use crate::driver::control::{Command, Control, Parts, Question};
use crate::driver::hub::Hub;
use crate::driver::packets::{Pinning, Threads};
use crate::engine::{LoadError, Manner, Selection, Settings, Target};
use crate::event::Event;
use crate::io::Device;
use crate::io::udp::{Listen, RawEsp, Sockets};
use crate::mesh::{Changes, Credentials, Defaults, Mesh, MeshError};
use crate::revocation::Fetcher;
use crate::route::RouteSettings;
use crate::status::{ConnectionStatus, CountersReport};
use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::keys::KeySink;
use tidegate_ike::pool::{Pool, PoolReport};
use tidegate_ike::tally::{Tallies, TallyOf};
use tidegate_ike::{ApiMisuse, Verdict};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the control task; whoever comes later waits before it is one of them.
const REQUESTS: usize = 256;
/// Events that are kept for a listener that does not listen.
pub(crate) const EVENTS: usize = 4096;

/// A running engine. Clones are handles of the same one; it shuts down with the last of them, or when told.
#[derive(Clone)]
pub struct TunnelManager {
    requests: mpsc::Sender<Command>,
    hub: Arc<Hub>,
    ports: (u16, u16),
    raw_esp: RawEsp,
    fetcher: Option<Fetcher>,
}

/// Makes a [`TunnelManager`].
pub struct Builder {
    settings: Settings,
    identity: Option<Arc<LocalAuth>>,
    trust: Option<Arc<RemoteAuth>>,
    defaults: Defaults,
    device: Option<Arc<dyn Device>>,
    listen: Listen,
    state_folder: Option<PathBuf>,
    fetcher: Option<Fetcher>,
    routes: Option<RouteSettings>,
    threads: Threads,
    pinning: Pinning,
    key_sink: Option<Box<dyn KeySink>>,
}

/// Why a request was not done.
#[derive(Clone, Debug)]
pub enum Error {
    /// The attempt failed.
    Failed(Verdict),
    /// The request makes no sense.
    Misuse(ApiMisuse),
    /// The connection cannot be loaded.
    Load(LoadError),
    /// The mesh contradicts itself.
    Mesh(MeshError),
    /// A mesh needs the builder's identity and trust.
    NoIdentity,
    /// The engine has been shut down.
    Stopped,
}

/// Events of one engine, from the moment that it was asked for them.
pub struct Events {
    inbox: mpsc::Receiver<Event>,
}

impl TunnelManager {
    /// What a new engine is made of.
    pub fn builder() -> Builder {
        Builder {
            settings: Settings::default(),
            identity: None,
            trust: None,
            defaults: Defaults::default(),
            device: None,
            listen: Listen::default(),
            state_folder: None,
            fetcher: None,
            routes: None,
            threads: Threads::for_this_machine(),
            pinning: Pinning::default(),
            key_sink: None,
        }
    }

    /// Adds a connection, or replaces the one of the same name: its SAs end, and new ones are set up as its
    /// children want it.
    pub async fn load(&self, connection: Connection) -> Result<(), Error> {
        let connection = Box::new(connection);
        self.ask(|reply| Command::Load { connection, reply }).await?.map_err(Error::Load)
    }

    /// Adds a connection, or puts it in place of the one of the same name: its SAs stay, and all that is
    /// negotiated from now on is as it says. Children that it does not name any more are closed, those that are
    /// new start.
    pub async fn update(&self, connection: Connection) -> Result<(), Error> {
        let connection = Box::new(connection);
        self.ask(|reply| Command::Update { connection, reply }).await?.map_err(Error::Load)
    }

    /// Takes a connection away, and its SAs at both ends.
    pub async fn unload(&self, name: &str) -> Result<(), Error> {
        let name = name.into();
        self.ask(|reply| Command::Unload { name, reply }).await?.map_err(Error::Misuse)
    }

    /// Adds a pool of addresses for peers that ask for one.
    pub async fn load_pool(&self, pool: Pool) -> Result<(), Error> {
        self.ask(|reply| Command::LoadPool { pool, reply }).await
    }

    /// Takes a pool away; true if there was one.
    pub async fn unload_pool(&self, name: &str) -> Result<bool, Error> {
        let name = name.into();
        self.ask(|reply| Command::UnloadPool { name, reply }).await
    }

    /// Sets up what is named; ready when it stands, or when as many attempts have failed as its connection
    /// allows. Where nobody waits for it any more, and nobody else wants it, the attempt is broken off.
    pub async fn initiate(&self, target: Target) -> Result<(), Error> {
        let (presence, waiting): (Presence, _) = oneshot::channel();
        let waiting = Some(waiting);
        let outcome = self.ask(|reply| Command::Initiate { target, waiting, reply }).await?;
        drop(presence);
        outcome.map(drop)
    }

    /// The same, to be gone on with though nobody waits for it any more.
    pub async fn initiate_in_any_case(&self, target: Target) -> Result<(), Error> {
        self.ask(|reply| Command::Initiate { target, waiting: None, reply }).await?.map(drop)
    }

    /// Ends SAs at both ends, in this manner; how many, when they are gone.
    pub async fn terminate(&self, selection: Selection, manner: Manner) -> Result<usize, Error> {
        self.ask(|reply| Command::Terminate { selection, manner, reply }).await?
    }

    /// Has both ends prove anew who they are, and sets up new SAs before the old ones go; how many.
    pub async fn reauthenticate(&self, selection: Selection) -> Result<usize, Error> {
        self.ask(|reply| Command::Reauthenticate { selection, reply }).await?
    }

    /// Lets traffic bring children up, or puts the rules of those in force that pass or drop it.
    pub async fn install(&self, target: Target) -> Result<(), Error> {
        self.ask(|reply| Command::Install { target, reply }).await?.map_err(Error::Misuse)
    }

    /// Undoes what [`Self::install`] does; SAs that stand stay.
    pub async fn uninstall(&self, target: Target) -> Result<(), Error> {
        self.ask(|reply| Command::Uninstall { target, reply }).await?.map_err(Error::Misuse)
    }

    /// Gives SAs new keys; how many.
    pub async fn rekey(&self, selection: Selection) -> Result<usize, Error> {
        self.ask(|reply| Command::Rekey { selection, reply }).await?
    }

    /// Names of all connections.
    pub async fn connections(&self) -> Result<Vec<Arc<str>>, Error> {
        self.ask(|reply| Command::Ask(Question::Connections(reply))).await
    }

    /// Whether all children of a connection that should be up are up.
    pub async fn is_active(&self, name: &str) -> Result<bool, Error> {
        let name = name.into();
        self.ask(|reply| Command::Ask(Question::IsActive(name, reply))).await
    }

    /// All connections and their SAs.
    pub async fn status(&self) -> Result<Vec<ConnectionStatus>, Error> {
        self.ask(|reply| Command::Ask(Question::Status(reply))).await
    }

    /// What was carried and what was dropped, and why.
    pub async fn counters(&self) -> Result<CountersReport, Error> {
        self.ask(|reply| Command::Ask(Question::Counters(reply))).await
    }

    /// Messages and rekeyings, by connection.
    pub async fn tallies(&self) -> Result<Tallies, Error> {
        self.ask(|reply| Command::Ask(Question::Tallies(reply))).await
    }

    /// Begins some of them anew; true if there was something.
    pub async fn reset_tallies(&self, which: TallyOf) -> Result<bool, Error> {
        self.ask(|reply| Command::ResetTallies { which, reply }).await
    }

    /// Makes the connections of a mesh those that are loaded; others than a mesh's are left alone. Only what
    /// differs from the mesh before is touched.
    pub async fn apply(&self, mesh: Mesh) -> Result<Changes, Error> {
        let mesh = Box::new(mesh);
        self.ask(|reply| Command::Apply { mesh, reply }).await?
    }

    /// Who has what of all pools.
    pub async fn pools(&self) -> Result<Vec<PoolReport>, Error> {
        self.ask(|reply| Command::Ask(Question::Pools(reply))).await
    }

    /// The revocation lists that were fetched and are kept, in DER or in PEM.
    pub async fn revocation_lists(&self) -> Vec<Vec<u8>> {
        match &self.fetcher {
            Some(fetcher) => fetcher.kept().await,
            None => Vec::new(),
        }
    }

    /// Forgets them, so that they are fetched anew when they are wanted.
    pub async fn forget_revocation_lists(&self) {
        if let Some(fetcher) = &self.fetcher {
            fetcher.forget().await;
        }
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        let (listener, inbox) = mpsc::channel(EVENTS);
        self.hub.listen(listener);
        Events { inbox }
    }

    /// Whether the engine runs.
    pub fn is_running(&self) -> bool {
        self.hub.running.load(Ordering::Acquire)
    }

    /// The ports that IKE, and IKE and ESP together, are reached at.
    pub fn ports(&self) -> (u16, u16) {
        self.ports
    }

    /// Whether ESP can go without UDP.
    pub fn raw_esp(&self) -> RawEsp {
        self.raw_esp
    }

    /// Ends all SAs at both ends, gives back routes and sockets, and stops. Ready when that is done.
    pub async fn shutdown(&self) {
        // An engine that has stopped already needs no more of it.
        let _ = self.ask(|reply| Command::Shutdown { reply }).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)
    }
}

impl Builder {
    /// How this node proves to the peers of a mesh who it is.
    #[must_use]
    pub fn identity(self, auth: Arc<LocalAuth>) -> Self {
        Self { identity: Some(auth), ..self }
    }

    /// How the peers of a mesh prove who they are.
    #[must_use]
    pub fn trust(self, trust: Arc<RemoteAuth>) -> Self {
        Self { trust: Some(trust), ..self }
    }

    /// What the connections of a mesh have in common: proposals, lifetimes, and how they are kept.
    #[must_use]
    pub fn defaults(self, defaults: Defaults) -> Self {
        Self { defaults, ..self }
    }

    /// Where inner packets come from and go to.
    #[must_use]
    pub fn device(self, device: Arc<dyn Device>) -> Self {
        Self { device: Some(device), ..self }
    }

    /// Addresses and ports to be reached at.
    #[must_use]
    pub fn listen(self, listen: Listen) -> Self {
        Self { listen, ..self }
    }

    /// Where the last mesh is kept, for a start without whoever made it.
    #[must_use]
    pub fn state_folder(self, folder: PathBuf) -> Self {
        Self { state_folder: Some(folder), ..self }
    }

    /// Gets revocation lists that checks of peers lack. Without it there are only those that connections bring.
    #[must_use]
    pub fn revocation_lists(self, fetcher: Fetcher) -> Self {
        Self { fetcher: Some(fetcher), ..self }
    }

    /// Lets the kernel route into the device, which has to be a network interface. Its name, the sockets' ports
    /// and their mark are filled in.
    #[must_use]
    pub fn routes(self, routes: RouteSettings) -> Self {
        Self { routes: Some(routes), ..self }
    }

    /// How many threads carry packets; as suits this machine if nothing is said.
    #[must_use]
    pub fn threads(self, threads: Threads) -> Self {
        Self { threads, ..self }
    }

    /// Which cores these threads run on.
    #[must_use]
    pub fn pinning(self, pinning: Pinning) -> Self {
        Self { pinning, ..self }
    }

    /// Who is given all keys: a [`KeyLog`](crate::keylog::KeyLog), for one. Whoever reads them reads all traffic.
    #[must_use]
    pub fn key_sink(self, sink: Box<dyn KeySink>) -> Self {
        Self { key_sink: Some(sink), ..self }
    }

    /// Limits and rates of the engine.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Opens sockets and starts threads; has to be called within a tokio runtime, which control runs on.
    pub async fn start(mut self) -> Result<TunnelManager, StartError> {
        let device = self.device.ok_or(StartError::NoDevice)?;
        if let Some(routes) = &mut self.routes {
            routes.interface = device.interface().ok_or(StartError::NoInterface)?.to_owned();
            self.listen.mark = Some(routes.mark);
        }
        let (_, receivers) = self.threads.counts();
        self.listen.lanes = NonZero::new(receivers).unwrap_or(NonZero::<usize>::MIN);
        let sockets = Arc::new(Sockets::bind(&self.listen).map_err(StartError::Bind)?);
        let (ports, raw_esp) = (sockets.local_ports(), self.listen.raw_esp);
        if let Some(routes) = &mut self.routes {
            routes.ports = vec![ports.0, ports.1];
        }
        let queues = sockets.queues();
        tracing::info!(
            area = "io",
            socket_receive_bytes = queues.receive,
            socket_send_bytes = queues.send,
            device_packets = device.queue_length(),
            "sockets listen at ports {} and {}",
            ports.0,
            ports.1
        );
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let hub = Arc::new(Hub::new());
        let defaults = self.defaults;
        let credentials = self.identity.zip(self.trust);
        let credentials = credentials.map(|(local, remote)| Credentials { local, remote, defaults });
        let fetcher = self.fetcher.clone();
        let parts = Parts {
            settings: self.settings,
            credentials,
            device,
            sockets,
            listen: self.listen,
            state_folder: self.state_folder,
            fetcher: self.fetcher,
            routes: self.routes,
            threads: self.threads,
            pinning: self.pinning,
            key_sink: self.key_sink,
            requests: inbox,
            hub: Arc::clone(&hub),
        };
        let control = Control::start(parts)?;
        tokio::spawn(control.run());
        Ok(TunnelManager { requests, hub, ports, raw_esp, fetcher })
    }
}

impl Events {
    /// The next event; `None` when the engine has stopped.
    pub async fn next(&mut self) -> Option<Event> {
        self.inbox.recv().await
    }
}

impl futures_core::Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.inbox.poll_recv(context)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(verdict) => verdict.fmt(f),
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Load(error) => error.fmt(f),
            Self::Mesh(error) => error.fmt(f),
            Self::NoIdentity => f.write_str("a mesh needs the identity and trust that the builder takes"),
            Self::Stopped => f.write_str("the engine has been shut down"),
        }
    }
}

impl std::error::Error for Error {}

//! `tidegate run`: a manager that follows a configuration.
//!
//! 1. [`run`] reads the configuration, sets up the log, and starts a [`Daemon`].
//! 2. [`Daemon::start`] opens the device, starts the manager with its connections, and the services around it:
//!    the control socket, metrics.
//! 3. [`Daemon::serve`] reloads when the configuration or a file that it names changes, and on SIGHUP, until
//!    it is told to stop.
//! 4. [`Daemon::shut_down`] ends the SAs at the peers.

mod compat;
mod device;
mod log;
mod notify;
mod reload;
mod watch;

pub use compat::CHARON_FOLDER;
pub use device::DeviceError;
pub use log::LogError;
pub use watch::{Stamps, Watch};

use crate::config::{Configuration, DeviceKind, Mistakes, NodeSettings, RouteTable};
use crate::driver::StartError;
use crate::io::udp::{Listen, RawEsp};
use crate::keylog::KeyLog;
use crate::log::Narrator;
use crate::revocation::Fetcher;
use crate::route::RouteSettings;
use crate::{Events, TunnelManager};
use crate::{metrics, vici};
use compat::{CHARON_SOCKET, Compat};
use log::Log;
use notify::Notifier;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the command line says.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The configuration; without one all comes from clients.
    pub config: Option<PathBuf>,
    /// Where the control socket is, in place of what the configuration says.
    pub vici: Option<PathBuf>,
    /// The folder that has charon's files, to prove who we are by what they hold.
    pub charon_compat: Option<PathBuf>,
}

/// Why the daemon does not run.
#[derive(Debug)]
pub enum RunError {
    /// The configuration.
    Config(Mistakes),
    /// The log.
    Log(LogError),
    /// The device for inner packets.
    Device(DeviceError),
    /// The manager.
    Start(StartError),
    /// The control socket.
    Vici {
        /// Its path.
        path: PathBuf,
        /// Why it cannot be had.
        error: io::Error,
    },
    /// The folder that keys are to be written to.
    KeyLog {
        /// Its path.
        path: PathBuf,
        /// Why nothing can be written there.
        error: io::Error,
    },
    /// The socket that metrics are served at.
    Metrics {
        /// Its address.
        address: SocketAddr,
        /// Why it cannot be had.
        error: io::Error,
    },
    /// Signals cannot be heard.
    Signals(io::Error),
    /// The engine has stopped by itself.
    Stopped,
}

/// A manager that follows a configuration.
pub struct Daemon {
    options: RunOptions,
    configuration: Configuration,
    manager: TunnelManager,
    events: Events,
    watch: Watch,
    hangups: Signal,
    log: Option<Log>,
    narrator: Narrator,
    notifier: Notifier,
    compat: Option<Compat>,
    /// Services end with the daemon.
    _vici: vici::Server,
    _metrics: Option<metrics::Server>,
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let stamps = Stamps::of(&options.config);
    let configuration = options.configuration().map_err(RunError::Config)?;
    let log = Log::install(&configuration.node.log).map_err(RunError::Log)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut daemon = Daemon::start(options, configuration).await?;
    daemon.log = Some(log);
    if stamps != Stamps::of(&daemon.options.config) {
        daemon.reload_and_tell().await;
    }
    let served = daemon.serve(stop).await;
    daemon.shut_down().await;
    served
}

impl Daemon {
    /// Starts a manager with the connections of a configuration that was read from this file, and the services
    /// around it. Has to be called within a tokio runtime.
    pub async fn start(options: RunOptions, mut configuration: Configuration) -> Result<Self, RunError> {
        options.overrule(&mut configuration.node);
        let hangups = signal(SignalKind::hangup()).map_err(RunError::Signals)?;
        let manager = manager(&configuration).await?;
        let events = manager.events();
        for pool in &configuration.pools {
            let _ = manager.load_pool(pool.clone()).await;
        }
        reload::load_all(&manager, &mut configuration).await;
        let metrics = match configuration.node.metrics {
            Some(address) => Some(serve_metrics(&manager, address).await?),
            None => None,
        };
        let socket = &configuration.node.vici;
        let credentials = Arc::new(Mutex::new(vici::Credentials::new()));
        let charon = options.charon_compat.clone();
        let compat = charon.map(|path| Compat::start(path, Arc::clone(&credentials)));
        let vici = vici::Server::with_credentials(manager.clone(), credentials, socket);
        let vici = vici.map_err(|error| RunError::Vici { path: socket.clone(), error })?;
        let watch = Watch::new(&configuration.files);
        tracing::info!(
            connections = configuration.connections.len(),
            "{} runs with {}",
            configuration.mesh.node.name,
            options.config.as_deref().unwrap_or(Path::new("what clients say")).display()
        );
        Ok(Self {
            options,
            configuration,
            manager,
            events,
            watch,
            hangups,
            log: None,
            narrator: Narrator::default(),
            notifier: Notifier::from_environment(),
            compat,
            _vici: vici,
            _metrics: metrics,
        })
    }

    /// The manager that it runs.
    pub fn manager(&self) -> &TunnelManager {
        &self.manager
    }

    /// The configuration as it is followed.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Reloads when there is reason to, until `stop` is done.
    pub async fn serve(&mut self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        tokio::pin!(stop);
        self.notifier.ready();
        let mut beat = self.notifier.heartbeat();
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                Some(()) = self.hangups.recv() => {
                    self.reread();
                    self.reload_and_tell().await;
                }
                () = self.watch.changed() => self.reload_and_tell().await,
                () = Compat::changed(&mut self.compat) => self.reread(),
                event = self.events.next() => match event {
                    Some(event) => self.narrator.describe(&event).write(),
                    None => return Err(RunError::Stopped),
                },
                _ = beat.tick() => {
                    // Whoever still answers is alive.
                    if self.manager.connections().await.is_ok() {
                        self.notifier.alive();
                    }
                }
            }
        }
    }

    /// Ends all SAs at the peers, and stops.
    pub async fn shut_down(self) {
        self.notifier.stopping();
        tracing::info!("stopping");
        self.manager.shutdown().await;
    }

    fn reread(&mut self) {
        if let Some(compat) = &mut self.compat {
            compat.reload();
        }
    }

    async fn reload_and_tell(&mut self) {
        self.notifier.reloading();
        match self.reload().await {
            Ok(update) => reload::tell(&update),
            Err(mistakes) => {
                for mistake in &mistakes.all {
                    tracing::error!("{mistake}");
                }
                tracing::error!("nothing was changed, as the configuration has mistakes");
            }
        }
        self.notifier.ready();
    }
}

impl RunOptions {
    /// Reads the configuration, or makes one of a node that waits for clients.
    fn configuration(&self) -> Result<Configuration, Mistakes> {
        let Some(path) = &self.config else {
            let name = host_name();
            let mut configuration =
                Configuration::from_text(&format!("[node]\nname = \"{name}\"\n"), Path::new("(none)"))?;
            configuration.files.clear();
            configuration.node.vici = CHARON_SOCKET.into();
            return Ok(configuration);
        };
        Configuration::load(path)
    }

    fn overrule(&self, node: &mut NodeSettings) {
        if let Some(vici) = &self.vici {
            node.vici.clone_from(vici);
        }
    }
}

/// As the kernel knows it, if that can be a name of a node.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match name.trim() {
        name if !name.is_empty() && name.bytes().all(is_plain) => name.to_owned(),
        _ => "tidegate".to_owned(),
    }
}

async fn manager(configuration: &Configuration) -> Result<TunnelManager, RunError> {
    let node = &configuration.node;
    let listen = Listen {
        addresses: node.listen.clone(),
        ike_port: node.port,
        nat_port: node.nat_port,
        mark: None,
        raw_esp: if configuration.wants_raw_esp() { RawEsp::On } else { RawEsp::Off },
        ..Listen::default()
    };
    let device = device::open(&node.device).map_err(RunError::Device)?;
    let fetcher = Fetcher::new(Some(node.state.join("crls")));
    let mut builder = TunnelManager::builder()
        .device(device)
        .listen(listen)
        .state_folder(node.state.clone())
        .revocation_lists(fetcher);
    if node.device.kind == DeviceKind::Tun {
        builder = builder.routes(routes(node));
    }
    if let Some(folder) = &node.key_log {
        let log = KeyLog::open(folder).map_err(|error| RunError::KeyLog { path: folder.clone(), error })?;
        builder = builder.key_sink(Box::new(log));
    }
    builder.start().await.map_err(RunError::Start)
}

fn routes(node: &NodeSettings) -> RouteSettings {
    let RouteTable { table, priority, mark } = node.routes;
    let mtu = Some(node.device.mtu.into());
    RouteSettings { table, priority, mark, mtu, ..RouteSettings::default() }
}

async fn serve_metrics(manager: &TunnelManager, address: SocketAddr) -> Result<metrics::Server, RunError> {
    let started = metrics::Server::start(manager.clone(), address).await;
    started.map_err(|error| RunError::Metrics { address, error })
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(mistakes) => mistakes.fmt(f),
            Self::Log(error) => error.fmt(f),
            Self::Device(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::Vici { path, error } => {
                write!(f, "the control socket {} cannot be had: {error}", path.display())
            }
            Self::Metrics { address, error } => write!(f, "metrics cannot be served at {address}: {error}"),
            Self::KeyLog { path, error } => {
                write!(f, "keys cannot be written to {}: {error}", path.display())
            }
            Self::Signals(error) => write!(f, "signals cannot be heard: {error}"),
            Self::Stopped => f.write_str("the engine has stopped"),
        }
    }
}

impl std::error::Error for RunError {}

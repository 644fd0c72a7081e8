//! `tidegate run`: a manager that follows a configuration.
//!
//! 1. [`run`] reads the configuration, sets up the log, and starts a [`Daemon`].
//! 2. [`Daemon::start`] opens the device, starts the manager with its connections, and the services around it:
//!    the control socket, metrics.
//! 3. [`Daemon::serve`] reloads when the configuration or a file that it names changes, and on SIGHUP, until
//!    it is told to stop.
//! 4. [`Daemon::shut_down`] ends the SAs at the peers.

mod device;
mod log;
mod notify;
mod reload;
mod watch;

pub use log::LogError;
pub use watch::{Stamps, Watch};

use crate::config::{Configuration, Mistakes, NodeSettings};
use crate::driver::StartError;
use crate::io::udp::{Listen, RawEsp};
use crate::metrics;
use crate::{Events, TunnelManager};
use log::Log;
use notify::Notifier;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the command line says.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The configuration.
    pub config: PathBuf,
    /// Where the control socket is, in place of what the configuration says.
    pub vici: Option<PathBuf>,
}

/// Why the daemon does not run.
#[derive(Debug)]
pub enum RunError {
    /// The configuration.
    Config(Mistakes),
    /// The log.
    Log(LogError),
    /// The device for inner packets.
    Device {
        /// Its name.
        name: String,
        /// Why it cannot be had.
        error: io::Error,
    },
    /// The manager.
    Start(StartError),
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
    path: PathBuf,
    configuration: Configuration,
    manager: TunnelManager,
    events: Events,
    watch: Watch,
    hangups: Signal,
    log: Option<Log>,
    notifier: Notifier,
    _metrics: Option<metrics::Server>,
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let stamps = Stamps::of([&options.config]);
    let mut configuration = Configuration::load(&options.config).map_err(RunError::Config)?;
    let log = Log::install(&configuration.node.log).map_err(RunError::Log)?;
    if let Some(vici) = options.vici {
        configuration.node.vici = vici;
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut daemon = Daemon::start(options.config, configuration).await?;
    daemon.log = Some(log);
    if stamps != Stamps::of([&daemon.path]) {
        daemon.reload_and_tell().await;
    }
    let served = daemon.serve(stop).await;
    daemon.shut_down().await;
    served
}

impl Daemon {
    /// Starts a manager with the connections of a configuration that was read from this file, and the services
    /// around it. Has to be called within a tokio runtime.
    pub async fn start(path: PathBuf, mut configuration: Configuration) -> Result<Self, RunError> {
        let hangups = signal(SignalKind::hangup()).map_err(RunError::Signals)?;
        let manager = manager(&configuration.node).await?;
        let events = manager.events();
        for pool in &configuration.pools {
            let _ = manager.load_pool(pool.clone()).await;
        }
        reload::load_all(&manager, &mut configuration).await;
        let metrics = match configuration.node.metrics {
            Some(address) => Some(serve_metrics(&manager, address).await?),
            None => None,
        };
        let watch = Watch::new(&configuration.files);
        let notifier = Notifier::from_environment();
        tracing::info!(
            connections = configuration.connections.len(),
            "{} runs with {}",
            configuration.mesh.node.name,
            path.display()
        );
        Ok(Self {
            path,
            configuration,
            manager,
            events,
            watch,
            hangups,
            log: None,
            notifier,
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
                Some(()) = self.hangups.recv() => self.reload_and_tell().await,
                () = self.watch.changed() => self.reload_and_tell().await,
                event = self.events.next() => match event {
                    Some(event) => log::event(&event),
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

async fn manager(node: &NodeSettings) -> Result<TunnelManager, RunError> {
    let error = |error| RunError::Device { name: node.device.name.clone(), error };
    let listen = Listen {
        addresses: node.listen.clone(),
        ike_port: node.port,
        nat_port: node.nat_port,
        mark: device::mark(node),
        raw_esp: RawEsp::Off,
    };
    let builder = TunnelManager::builder().device(device::open(node).map_err(error)?).listen(listen);
    let builder = builder.state_folder(node.state.clone());
    let builder = match device::routes(node) {
        Some(routes) => builder.routes(routes),
        None => builder,
    };
    builder.start().await.map_err(RunError::Start)
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
            Self::Device { name, error } => {
                write!(f, "the device {name:?} cannot be had: {error}")?;
                match error.kind() {
                    io::ErrorKind::PermissionDenied => f.write_str("; run as root or with CAP_NET_ADMIN"),
                    _ => Ok(()),
                }
            }
            Self::Start(error) => error.fmt(f),
            Self::Metrics { address, error } => write!(f, "metrics cannot be served at {address}: {error}"),
            Self::Signals(error) => write!(f, "signals cannot be heard: {error}"),
            Self::Stopped => f.write_str("the engine has stopped"),
        }
    }
}

impl std::error::Error for RunError {}

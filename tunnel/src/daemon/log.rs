//! The log: set up once, its levels changed at a reload.

use crate::config::{LogFormat, LogSettings};
use std::env;
use std::fmt;
use std::io::{self, IsTerminal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Why there is no log.
#[derive(Debug)]
pub enum LogError {
    /// Its levels make no sense.
    Level(String),
    /// Those in `TIDEGATE_LOG` make none.
    Environment(String),
    /// The process has another already.
    Taken(TryInitError),
}

/// The log of this process.
pub(super) struct Log {
    filter: Handle<EnvFilter, Registry>,
}

impl Log {
    /// Writes to standard error from now on.
    pub(super) fn install(settings: &LogSettings) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(filter(settings)?);
        let colours = io::stderr().is_terminal();
        let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(io::stderr);
        let lines = match settings.format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().boxed(),
        };
        Registry::default().with(filter).with(lines).try_init().map_err(LogError::Taken)?;
        Ok(Self { filter: handle })
    }

    /// Levels change at once; the format stays as it was at the start.
    pub(super) fn change(&self, settings: &LogSettings) {
        if let Ok(filter) = filter(settings) {
            // It fails only when the log is gone, and then nobody would read of it.
            let _ = self.filter.reload(filter);
        }
    }
}

/// What the environment says counts more than the configuration, at reloads too: whoever started this process
/// wants to see something.
fn filter(settings: &LogSettings) -> Result<EnvFilter, LogError> {
    match env::var(VARIABLE).ok().filter(|levels| !levels.is_empty()) {
        Some(levels) => EnvFilter::try_new(levels).map_err(|error| LogError::Environment(error.to_string())),
        None => EnvFilter::try_new(&settings.level).map_err(|error| LogError::Level(error.to_string())),
    }
}

const VARIABLE: &str = "TIDEGATE_LOG";

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(error) => write!(f, "the log's levels: {error}"),
            Self::Environment(error) => write!(f, "the log's levels in {VARIABLE}: {error}"),
            Self::Taken(error) => write!(f, "the log cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for LogError {}

//! `run`: the daemon itself.

use super::Failure;
use clap::Args;
use std::path::PathBuf;
use tidegate::daemon::{self, RunOptions};

#[derive(Args)]
pub(super) struct Arguments {
    /// What to run
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where to listen for the tools, in place of what the configuration says
    #[arg(long, value_name = "PATH")]
    vici: Option<PathBuf>,
}

/// Runs until it is told to stop.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let vici = arguments.vici.or_else(super::named_by_environment);
    Ok(daemon::run(RunOptions { config: arguments.config, vici }).await?)
}

//! `run`: the daemon itself.

use super::Failure;
use clap::Args;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use tidegate::daemon::{self, RunOptions};
use tidegate::updown::helper;

#[derive(Args)]
pub(super) struct Arguments {
    /// What to run
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where to listen for the tools, in place of what the configuration says
    #[arg(long, value_name = "PATH")]
    vici: Option<PathBuf>,
}

/// Runs until it is told to stop. There is one thread until there is nothing left to give up.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let vici = arguments.vici.or_else(super::named_by_environment);
    let prepared = daemon::prepare(RunOptions { config: arguments.config, vici })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(daemon::run(prepared))?)
}

/// Runs scripts for a daemon, until it is gone.
pub(super) fn run_scripts() -> Result<(), Failure> {
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(helper::serve(stream)?)
}

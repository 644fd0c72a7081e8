//! `run`: the daemon itself.

use super::Failure;
use clap::Args;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use tidegate::daemon::{self, CHARON_FOLDER, RunOptions};
use tidegate::updown::helper;

#[derive(Args)]
pub(super) struct Arguments {
    /// What to run; with --charon-compat all may come from clients
    #[arg(long, value_name = "FILE", required_unless_present = "charon_compat")]
    config: Option<PathBuf>,
    /// Where to listen for the tools, in place of what the configuration says
    #[arg(long, value_name = "PATH")]
    vici: Option<PathBuf>,
    /// Takes keys, secrets and certificates from DIR/ipsec.secrets and DIR/ipsec.d as charon does, and without
    /// --config listens where it does [default DIR: /etc]
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = CHARON_FOLDER)]
    charon_compat: Option<PathBuf>,
}

/// Runs until it is told to stop. There is one thread until there is nothing left to give up.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let vici = arguments.vici.clone().or_else(super::named_by_environment);
    let Arguments { config, charon_compat, .. } = arguments;
    let prepared = daemon::prepare(RunOptions { config, vici, charon_compat })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(daemon::run(prepared))?)
}

/// Runs scripts for a daemon, until it is gone.
pub(super) fn run_scripts() -> Result<(), Failure> {
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(helper::serve(stream)?)
}

//! `run`: the daemon itself.

use super::Failure;
use clap::Args;
use std::path::PathBuf;
use tidegate::daemon::{self, CHARON_FOLDER, RunOptions};

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

/// Runs until it is told to stop.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let vici = arguments.vici.clone().or_else(super::named_by_environment);
    let Arguments { config, charon_compat, .. } = arguments;
    Ok(daemon::run(RunOptions { config, vici, charon_compat }).await?)
}

//! The command line.
//!
//! `run` is the daemon. All that concerns a running one is a client of its control socket: `status` shows, `order` changes,
//! `events` and `counters` tell. `output` and `failure` are what they share.

mod counters;
mod demo;
mod events;
mod failure;
mod order;
mod output;
#[cfg(feature = "pages")]
mod pages;
mod pki;
mod run;
mod status;
mod table;

use clap::{Args, Parser, Subcommand};
use failure::Failure;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tidegate::vici::{Client, DEFAULT_PATH};

/// IPsec tunnels in userspace.
#[derive(Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the daemon in the foreground
    Run(run::Arguments),
    /// Shows all connections, their SAs and what they carry
    Status(status::Arguments),
    /// Brings up a connection, or a child by its name
    Up(order::Arguments),
    /// Takes down a connection, or a child by its name
    Down(order::Arguments),
    /// Makes new keys for a connection, or a child by its name
    Rekey(order::Arguments),
    /// Shows what happens, as it happens
    Events(events::Arguments),
    /// Shows what happened how often, drops by their reason
    Counters(counters::Arguments),
    /// Makes and shows certificates
    Pki(pki::Arguments),
    /// Shows three nodes at work in this process, without root, and says how fast they are
    Demo,
    /// Writes man pages and completions for shells into a folder, for packages
    #[cfg(feature = "pages")]
    #[command(hide = true)]
    Pages(pages::Arguments),
}

/// Where the daemon listens.
#[derive(Args)]
struct Socket {
    /// The daemon's control socket [default: $TIDEGATE_VICI, or /run/tidegate/vici.sock]
    #[arg(long, value_name = "PATH")]
    vici: Option<PathBuf>,
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let outcome = run(Arguments::parse().command);
    outcome.unwrap_or_else(|failure| failure.report())
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    let mut runtime = match command {
        Command::Run(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Run(arguments) => run::run(arguments).await,
            Command::Status(arguments) => status::run(&arguments).await,
            Command::Up(arguments) => order::up(&arguments).await,
            Command::Down(arguments) => order::down(&arguments).await,
            Command::Rekey(arguments) => order::rekey(&arguments).await,
            Command::Events(arguments) => events::run(&arguments).await,
            Command::Counters(arguments) => counters::run(&arguments).await,
            Command::Pki(arguments) => pki::run(&arguments),
            Command::Demo => demo::run().await,
            #[cfg(feature = "pages")]
            Command::Pages(arguments) => {
                pages::run(&arguments, <Arguments as clap::CommandFactory>::command())
            }
        }
    });
    match outcome {
        // Whoever read our output has seen enough.
        Ok(()) | Err(Failure::Unread) => Ok(ExitCode::SUCCESS),
        Err(failure) => Err(failure),
    }
}

impl Socket {
    fn path(&self) -> PathBuf {
        self.vici.clone().or_else(named_by_environment).unwrap_or_else(|| DEFAULT_PATH.into())
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let path = self.path();
        Client::connect(&path).await.map_err(|error| Failure::unreachable(path, error))
    }
}

fn named_by_environment() -> Option<PathBuf> {
    std::env::var_os("TIDEGATE_VICI").map(PathBuf::from)
}

/// For what a daemon answers at once, unless it hangs.
async fn at_once<T, E: Into<Failure>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    match tokio::time::timeout(AT_ONCE, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Failure::Silent(AT_ONCE)),
    }
}

const AT_ONCE: Duration = Duration::from_secs(30);

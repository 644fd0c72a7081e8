//! What clients may ask for, and who does it.

use super::credentials::{self, authorities, certificates, keys, secrets};
use super::event_name::EventName;
use super::{Hall, connections, counters, order, pools, query};
use crate::vici::control::Control;
use crate::vici::message::Message;
use crate::vici::names;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A command that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Version,
    Stats,
    ListSas,
    ListConns,
    GetConns,
    LoadConn,
    UnloadConn,
    LoadPool,
    UnloadPool,
    GetPools,
    ReloadSettings,
    GetAlgorithms,
    Initiate,
    Terminate,
    Rekey,
    Install,
    Uninstall,
    Redirect,
    ListPolicies,
    GetCounters,
    ResetCounters,
    LoadCert,
    ListCerts,
    FlushCerts,
    LoadKey,
    UnloadKey,
    GetKeys,
    LoadToken,
    LoadShared,
    UnloadShared,
    GetShared,
    LoadAuthority,
    UnloadAuthority,
    GetAuthorities,
    ListAuthorities,
    ClearCreds,
    /// All connections with all that we know of them.
    Status,
    /// What happened how often.
    Counters,
}

/// An event that belongs to a command.
pub(super) struct Streamed {
    pub(super) name: EventName,
    pub(super) message: Message,
}

/// Where a command streams to.
pub(super) struct Reply {
    sender: mpsc::Sender<Streamed>,
    wanted: BTreeSet<EventName>,
}

impl Command {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "version" => Self::Version,
            "stats" => Self::Stats,
            "list-sas" => Self::ListSas,
            "list-conns" => Self::ListConns,
            "get-conns" => Self::GetConns,
            "load-conn" => Self::LoadConn,
            "unload-conn" => Self::UnloadConn,
            "load-pool" => Self::LoadPool,
            "unload-pool" => Self::UnloadPool,
            "get-pools" => Self::GetPools,
            "reload-settings" => Self::ReloadSettings,
            "get-algorithms" => Self::GetAlgorithms,
            "initiate" => Self::Initiate,
            "terminate" => Self::Terminate,
            "rekey" => Self::Rekey,
            "install" => Self::Install,
            "uninstall" => Self::Uninstall,
            "redirect" => Self::Redirect,
            "list-policies" => Self::ListPolicies,
            "get-counters" => Self::GetCounters,
            "reset-counters" => Self::ResetCounters,
            "load-cert" => Self::LoadCert,
            "list-certs" => Self::ListCerts,
            "flush-certs" => Self::FlushCerts,
            "load-key" => Self::LoadKey,
            "unload-key" => Self::UnloadKey,
            "get-keys" => Self::GetKeys,
            "load-token" => Self::LoadToken,
            "load-shared" => Self::LoadShared,
            "unload-shared" => Self::UnloadShared,
            "get-shared" => Self::GetShared,
            "load-authority" => Self::LoadAuthority,
            "unload-authority" => Self::UnloadAuthority,
            "get-authorities" => Self::GetAuthorities,
            "list-authorities" => Self::ListAuthorities,
            "clear-creds" => Self::ClearCreds,
            "tidegate-status" => Self::Status,
            "tidegate-counters" => Self::Counters,
            _ => return None,
        })
    }
}

impl Reply {
    /// A reply to a client that has registered for these.
    pub(super) fn new(sender: mpsc::Sender<Streamed>, wanted: BTreeSet<EventName>) -> Self {
        Self { sender, wanted }
    }

    /// Whether the client would see such an event.
    pub(super) fn wants(&self, name: EventName) -> bool {
        self.wanted.contains(&name)
    }

    /// Streams an event, when there is room.
    pub(super) async fn stream(&self, name: EventName, message: Message) {
        // The other end is where this future runs: it is there for as long.
        let _ = self.sender.send(Streamed { name, message }).await;
    }
}

/// Does what a client asks for, and gives the answer.
pub(super) async fn run<C: Control>(
    command: Command,
    hall: Arc<Hall<C>>,
    mut arguments: Message,
    reply: Reply,
) -> Message {
    match command {
        Command::Version => query::version(),
        Command::Stats => query::stats(&hall).await,
        Command::ListSas => query::list_sas(&hall, &arguments, &reply).await,
        Command::ListConns => connections::list(&hall, &arguments, &reply).await,
        Command::GetConns => connections::get(&hall).await,
        Command::LoadConn => connections::load(&hall, &arguments).await,
        Command::UnloadConn => connections::unload(&hall, &arguments).await,
        Command::LoadPool => pools::load(&hall, &arguments).await,
        Command::UnloadPool => pools::unload(&hall, &arguments).await,
        Command::GetPools => pools::get(&hall, &arguments).await,
        // Settings are followed as their files change.
        Command::ReloadSettings => success(),
        Command::GetAlgorithms => names::algorithms(),
        Command::Initiate => order::initiate(&hall, &arguments, &reply).await,
        Command::Terminate => order::terminate(&hall, &arguments, &reply).await,
        Command::Rekey => order::rekey(&hall, &arguments).await,
        Command::Install => order::install(&hall, &arguments).await,
        Command::Uninstall => order::uninstall(&hall, &arguments).await,
        Command::Redirect => order::redirect(&arguments),
        Command::ListPolicies => query::list_policies(&hall, &arguments, &reply).await,
        Command::GetCounters => counters::get(&hall, &arguments).await,
        Command::ResetCounters => counters::reset(&hall, &arguments).await,
        Command::LoadCert => certificates::load(&hall, &arguments),
        Command::ListCerts => certificates::list(&hall, &arguments, &reply).await,
        Command::FlushCerts => certificates::flush(&hall, &arguments).await,
        Command::LoadKey => keys::load(&hall, &mut arguments),
        Command::UnloadKey => keys::unload(&hall, &arguments),
        Command::GetKeys => keys::get(&hall),
        Command::LoadToken => keys::load_token(),
        Command::LoadShared => secrets::load(&hall, &mut arguments),
        Command::UnloadShared => secrets::unload(&hall, &arguments),
        Command::GetShared => secrets::get(&hall),
        Command::LoadAuthority => authorities::load(&hall, &arguments),
        Command::UnloadAuthority => authorities::unload(&hall, &arguments),
        Command::GetAuthorities => authorities::get(&hall),
        Command::ListAuthorities => authorities::list(&hall, &arguments, &reply).await,
        Command::ClearCreds => credentials::clear(&hall),
        Command::Status => query::status(&hall, &arguments, &reply).await,
        Command::Counters => query::counters(&hall).await,
    }
}

/// The answer to what was done.
pub(super) fn success() -> Message {
    Message::new().with("success", "yes")
}

/// The answer to what was not.
pub(super) fn failure(reason: impl Display) -> Message {
    // A reason may quote a peer at length, a value has its limit, and so has a person's patience.
    let mut reason = reason.to_string();
    reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    Message::new().with("success", "no").with("errmsg", reason)
}

const LONGEST_REASON: usize = 4000;

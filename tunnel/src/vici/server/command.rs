//! What clients may ask for, and who does it.

use super::event_name::EventName;
use super::{Hall, counters, order, query};
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
    GetAlgorithms,
    Initiate,
    Terminate,
    Rekey,
    Redirect,
    ListPolicies,
    GetCounters,
    ResetCounters,
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
            "get-algorithms" => Self::GetAlgorithms,
            "initiate" => Self::Initiate,
            "terminate" => Self::Terminate,
            "rekey" => Self::Rekey,
            "redirect" => Self::Redirect,
            "list-policies" => Self::ListPolicies,
            "get-counters" => Self::GetCounters,
            "reset-counters" => Self::ResetCounters,
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
    arguments: Message,
    reply: Reply,
) -> Message {
    match command {
        Command::Version => query::version(),
        Command::Stats => query::stats(&hall).await,
        Command::ListSas => query::list_sas(&hall, &arguments, &reply).await,
        Command::ListConns => query::list_conns(&hall, &arguments, &reply).await,
        Command::GetConns => query::get_conns(&hall).await,
        Command::GetAlgorithms => names::algorithms(),
        Command::Initiate => order::initiate(&hall, &arguments, &reply).await,
        Command::Terminate => order::terminate(&hall, &arguments, &reply).await,
        Command::Rekey => order::rekey(&hall, &arguments).await,
        Command::Redirect => order::redirect(&arguments),
        Command::ListPolicies => query::list_policies(&hall, &arguments, &reply).await,
        Command::GetCounters => counters::get(&hall, &arguments).await,
        Command::ResetCounters => counters::reset(&hall, &arguments).await,
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

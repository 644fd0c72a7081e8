//! All of control, without I/O.
//!
//! Every call says what has happened and when; what follows waits in order in [`Engine::poll_action`], and
//! [`Engine::next_deadline`] says when to call [`Engine::handle_timeout`] at the latest. What packet workers
//! read is published at the end of each call.

use crate::action::{Action, LookupId, Ticket};
use crate::connection::Connection;
use crate::notice::{IkeDatagram, Notice};
use crate::status::ConnectionStatus;
use crate::tables::{Tables, View};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::Spi;
use tidegate_esp::crypto::Backend;
use tidegate_ike::crypto::{Provider, Random};
use tidegate_ike::pool::Pool;
use tidegate_ike::{ApiMisuse, Endpoint, JobDone, Now, Time};

/// Keeps connections up, and owns the tables that packet workers read.
pub struct Engine {
    ike: Endpoint,
    tables: Tables,
    settings: Settings,
    actions: VecDeque<Action>,
}

/// Settings that belong to no one connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the IKE side.
    pub ike: tidegate_ike::Config,
    /// Whose ciphers seal and open.
    pub backend: Backend,
    /// No more attempts than this begin in a second.
    pub start_rate: u32,
}

/// What an agent wants up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All children of a connection.
    Connection(Arc<str>),
    /// One child.
    Child {
        /// The connection; `None` for the first one that has such a child.
        connection: Option<Arc<str>>,
        /// The child.
        child: Arc<str>,
    },
}

/// What of all that stands an agent means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All IKE SAs of a connection.
    Connection(Arc<str>),
    /// All child SAs of this name.
    Child {
        /// The connection; `None` for all that have such a child.
        connection: Option<Arc<str>>,
        /// The child.
        child: Arc<str>,
    },
    /// The IKE SA of this number, as in [`crate::status::IkeSaStatus::id`].
    IkeSa(u64),
    /// The child SA of this inbound SPI.
    ChildSa(Spi),
    /// Everything.
    All,
}

/// Why a connection was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// It has no name.
    Nameless,
    /// Two of its children have the same name.
    DuplicateChild(Arc<str>),
    /// The selectors of a child break into more pieces than the tables take.
    TooManySelectors(Arc<str>),
}

impl Engine {
    /// An engine without connections. Whoever predicts `random` knows all keys.
    pub fn new(settings: Settings, provider: &'static Provider, random: Box<dyn Random>) -> Self {
        let ike = Endpoint::new(settings.ike.clone(), provider, random);
        Self { ike, tables: Tables::new(), settings, actions: VecDeque::new() }
    }

    /// A view of the tables for one more worker.
    pub fn view(&self) -> View {
        self.tables.reader()
    }

    /// Adds a connection. One of the same name is replaced: its SAs are closed, then started anew.
    pub fn load(&mut self, now: Now, connection: Connection) -> Result<(), LoadError> {
        todo!()
    }

    /// Takes a connection away, and closes its SAs at the peer too.
    pub fn unload(&mut self, now: Now, name: &str) -> Result<(), ApiMisuse> {
        todo!()
    }

    /// Adds a pool of addresses.
    pub fn load_pool(&mut self, pool: Pool) {
        self.ike.load_pool(pool);
    }

    /// Takes a pool away; true if there was one.
    pub fn unload_pool(&mut self, name: &str) -> bool {
        self.ike.unload_pool(name)
    }

    /// Brings something up. [`Action::Done`] comes when it is, at once if it already is, or with the verdict
    /// of this attempt.
    pub fn initiate(&mut self, now: Now, target: &Target, ticket: Ticket) {
        todo!()
    }

    /// Takes something down until it is asked for again. [`Action::Done`] comes when the peer has agreed or
    /// is given up.
    pub fn terminate(&mut self, now: Now, selection: &Selection, ticket: Ticket) {
        todo!()
    }

    /// Makes new keys. [`Action::Done`] comes when they are in use.
    pub fn rekey(&mut self, now: Now, selection: &Selection, ticket: Ticket) {
        todo!()
    }

    /// Whoever asked has gone away, and is told nothing any more.
    pub fn cancel(&mut self, ticket: Ticket) {
        todo!()
    }

    /// Says which addresses we have now.
    pub fn set_local_addresses(&mut self, now: Now, addresses: Vec<IpAddr>) {
        todo!()
    }

    /// An IKE message has come.
    pub fn handle_datagram(&mut self, now: Now, datagram: &IkeDatagram) {
        todo!()
    }

    /// A packet worker has seen something.
    pub fn handle_notice(&mut self, now: Now, notice: Notice) {
        todo!()
    }

    /// A deadline has passed. Only what is due is looked at.
    pub fn handle_timeout(&mut self, now: Now) {
        todo!()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        todo!()
    }

    /// A job is done.
    pub fn job_done(&mut self, now: Now, done: JobDone) {
        todo!()
    }

    /// The resolver has an answer; an empty one when there is none.
    pub fn resolved(&mut self, now: Now, lookup: LookupId, addresses: Vec<IpAddr>) {
        todo!()
    }

    /// The next thing to do, if there is any.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The names of all connections.
    pub fn connections(&self) -> impl Iterator<Item = &Arc<str>> {
        std::iter::empty()
    }

    /// All connections and their SAs.
    pub fn status(&self, now: Now) -> Vec<ConnectionStatus> {
        todo!()
    }

    /// Whether a connection has a child that stands.
    pub fn is_active(&self, name: &str) -> bool {
        todo!()
    }

    /// What happened how often on the IKE side.
    pub fn ike_counters(&self) -> &tidegate_ike::counters::Counters {
        self.ike.counters()
    }

    /// Closes everything at all peers. [`Action::Done`] comes when they have agreed, or after two seconds.
    pub fn shutdown(&mut self, now: Now, ticket: Ticket) {
        todo!()
    }

    /// Whether there is no SA, none to come, and nothing to tell.
    pub fn is_idle(&self) -> bool {
        todo!()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { ike: tidegate_ike::Config::default(), backend: Backend::Ring, start_rate: 200 }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nameless => f.write_str("the connection has no name"),
            Self::DuplicateChild(name) => write!(f, "two children are named {name}"),
            Self::TooManySelectors(name) => write!(f, "child {name} has too many selectors"),
        }
    }
}

impl Error for LoadError {}

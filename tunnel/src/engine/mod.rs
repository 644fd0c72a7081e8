//! All of control, without I/O.
//!
//! Every call says what has happened and when; what follows waits in order in [`Engine::poll_action`], and
//! [`Engine::next_deadline`] says when to call [`Engine::handle_timeout`] at the latest. What packet workers
//! read is published at the end of each call. A call writes down what has happened and marks the connections
//! that it concerns; when nothing more follows, each of these is looked after once.
//!
//! - `mod.rs`: what a driver calls.
//! - `load.rs`: connections that come and go; `control.rs`: what an agent asks for, `select.rs`: of what,
//!   `requests.rs`: what it waits for.
//! - `link.rs`: one loaded connection; `tend.rs`: what is done for it; `start.rs`: when it is its turn;
//!   `lookup.rs`: where names of both ends lead.
//! - `events.rs`: what the endpoint tells; `settle.rs`: two ends that begin at once.
//! - `children.rs`: child SAs and the tables; `facts.rs`: what is told of them; `idle.rs`: those that nobody uses;
//!   `shunts.rs`: those that need no SA; `traps.rs`: what is protected before there is one; `policy.rs`: rules and captures,
//!   `exempt.rs`: what is left out of them; `claims.rs`: whose prefix it is;
//!   `limits.rs`: how long packets may be.
//! - `reqids.rs`: numbers that children are known by.
//! - `status.rs`: what is there to be seen; `holdings.rs`: how much there is; `timers.rs`: the engine's own
//!   deadlines.

mod children;
mod claims;
mod control;
mod events;
mod exempt;
mod facts;
mod holdings;
mod idle;
mod inside;
mod limits;
mod link;
mod load;
mod lookup;
mod policy;
mod reqids;
mod requests;
mod select;
mod settle;
mod shunts;
mod start;
mod status;
mod tend;
mod timers;
mod traps;

pub use holdings::Holdings;

use crate::action::{Action, LookupId};
use crate::event::{Event, IkeFacts};
use crate::notice::{IkeDatagram, Notice};
use crate::tables::{Tables, View};
use crate::worker::PathMtus;
use children::{Children, Ending};
use claims::Claims;
use events::Sa;
use inside::{Inside, Told};
use limits::Limits;
use link::Link;
use lookup::Sought;
use policy::Policy;
use reqids::Reqids;
use requests::Requests;
use start::Starts;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::Spi;
use tidegate_esp::crypto::Backend;
use tidegate_esp::policy::Owner;
use tidegate_ike::crypto::{Provider, Random};
use tidegate_ike::identity::Identity;
use tidegate_ike::keys::KeySink;
use tidegate_ike::tally::{Tallies, TallyOf};
use tidegate_ike::{
    DataEvent, Endpoint, Framing, JobDone, Now, Output, Path, SaId, Sources, Time, Verdict, WallTime,
};
use timers::{Due, Timers};

/// Keeps connections up, and owns the tables that packet workers read.
pub struct Engine {
    ike: Endpoint,
    tables: Tables,
    settings: Settings,
    now: Now,
    actions: VecDeque<Action>,
    links: BTreeMap<Arc<str>, Link>,
    owners: BTreeMap<Owner, Arc<str>>,
    /// Children by name, with their connections.
    by_child: BTreeSet<(Arc<str>, Arc<str>)>,
    /// IKE SAs that stand.
    sas: BTreeMap<SaId, Sa>,
    by_peer: BTreeSet<(Arc<Identity>, SaId)>,
    /// Attempts of ours, with their connections.
    attempts: BTreeMap<SaId, Arc<str>>,
    /// Attempts at IKE SAs that are to take the place of others, with those.
    replacements: BTreeMap<SaId, SaId>,
    numbers: BTreeMap<SaId, u64>,
    by_number: BTreeMap<u64, SaId>,
    children: Children,
    children_by_number: BTreeMap<u64, Spi>,
    /// Children that were not taken into use, until they are closed.
    refused: BTreeMap<Spi, Verdict>,
    /// Children that are gone, and whose end has not been told of yet.
    ending: BTreeMap<Spi, Ending>,
    /// IKE SAs that are gone, and whose end is told after that of their children.
    closed: Vec<Arc<IkeFacts>>,
    policy: Policy,
    inside: Inside,
    claims: Claims,
    reqids: Reqids,
    limits: Limits,
    requests: Requests,
    starts: Starts,
    timers: Timers,
    lookups: BTreeMap<LookupId, (Arc<str>, Sought)>,
    /// Connections that something has happened to.
    dirty: BTreeSet<Arc<str>>,
    /// Connections that had no address of ours to go from.
    homeless: BTreeSet<Arc<str>>,
    /// Addresses that peers gave us, and how many IKE SAs hold each.
    addresses: BTreeMap<IpAddr, usize>,
    last_owner: u64,
    last_number: u64,
    last_child: u64,
    last_lookup: u64,
    closing: bool,
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
    /// The child SA of this number, as in [`crate::status::ChildSaStatus::id`].
    ChildNumber(u64),
    /// All child SAs that are known by this number from outside.
    Reqid(u32),
    /// Everything.
    All,
}

/// How something is taken down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// The peer is asked to agree, and until it does we hold what is asked about.
    #[default]
    Ask,
    /// It is gone here at once. The peer is told once, and never asked again.
    Force,
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
        Self {
            ike: Endpoint::new(settings.ike.clone(), provider, random),
            tables: Tables::new(),
            starts: Starts::new(settings.start_rate),
            settings,
            now: Now { time: Time::ZERO, wall: WallTime(0) },
            actions: VecDeque::new(),
            links: BTreeMap::new(),
            owners: BTreeMap::new(),
            by_child: BTreeSet::new(),
            sas: BTreeMap::new(),
            by_peer: BTreeSet::new(),
            attempts: BTreeMap::new(),
            replacements: BTreeMap::new(),
            numbers: BTreeMap::new(),
            by_number: BTreeMap::new(),
            children: Children::new(),
            children_by_number: BTreeMap::new(),
            refused: BTreeMap::new(),
            ending: BTreeMap::new(),
            closed: Vec::new(),
            policy: Policy::default(),
            inside: Inside::default(),
            claims: Claims::default(),
            reqids: Reqids::default(),
            limits: Limits::new(),
            requests: Requests::default(),
            timers: Timers::default(),
            lookups: BTreeMap::new(),
            dirty: BTreeSet::new(),
            homeless: BTreeSet::new(),
            addresses: BTreeMap::new(),
            last_owner: 0,
            last_number: 0,
            last_child: 0,
            last_lookup: 0,
            closing: false,
        }
    }

    /// Says who knows which of our addresses leads to a peer.
    pub fn set_sources(&mut self, sources: Box<dyn Sources>) {
        self.ike.set_sources(sources);
    }

    /// Says who is given all keys from now on. Without that nobody is.
    pub fn set_key_sink(&mut self, sink: Box<dyn KeySink>) {
        self.ike.set_key_sink(sink);
    }

    /// A view of the tables for one more worker.
    pub fn view(&self) -> View {
        self.tables.reader()
    }

    /// What is known of the MTU of paths, to be shared with workers. Whoever learns of one writes it there and
    /// says so by [`Notice::PathMtu`].
    pub fn path_mtus(&self) -> &Arc<PathMtus> {
        self.limits.paths()
    }

    /// Says which addresses we have now. Nothing follows if they are those of before.
    pub fn set_local_addresses(&mut self, now: Now, addresses: Vec<IpAddr>) {
        if self.inside.set_addresses(&addresses) == Told::AsBefore {
            return;
        }
        self.now = now;
        self.say_where_we_are();
        self.tell(Event::AddressesChanged(addresses));
        self.trap_anew();
        for name in std::mem::take(&mut self.homeless) {
            self.hasten(&name);
        }
        self.follow_up();
    }

    fn say_where_we_are(&mut self) {
        self.ike.set_local_addresses(self.now, self.inside.ways_to_us());
    }

    /// An IKE message has come.
    pub fn handle_datagram(&mut self, now: Now, datagram: &IkeDatagram) {
        self.now = now;
        self.ike.handle_datagram(now, datagram.path, &datagram.bytes);
        self.follow_up();
    }

    /// A packet worker has seen something.
    #[expect(clippy::needless_pass_by_value, reason = "a notice is handed over")]
    pub fn handle_notice(&mut self, now: Now, notice: Notice) {
        self.now = now;
        match notice {
            Notice::Acquire { owner, flow } => self.acquire(owner, &flow),
            Notice::SoftLimit(child) => self.ike.handle_data(now, DataEvent::SoftLimit(child)),
            Notice::HardLimit(child) => self.ike.handle_data(now, DataEvent::HardLimit(child)),
            Notice::FirstInbound(child) => self.ike.handle_data(now, DataEvent::FirstInbound(child)),
            Notice::PeerMoved { child, remote } => {
                self.ike.handle_data(now, DataEvent::PeerMoved { child, remote });
            }
            Notice::Activity { child, remote } => {
                self.ike.handle_data(now, DataEvent::Activity { child, remote });
            }
            Notice::PathMtu(remote) => self.limit_all_towards(remote),
            Notice::UnknownSpi { local, remote, spi } => {
                let framing =
                    if local.port() == self.settings.ike.ike_port { Framing::Bare } else { Framing::Marked };
                self.ike.unknown_esp(now, Path { local, remote, framing }, spi.value());
            }
        }
        self.follow_up();
    }

    /// A deadline has passed. Only what is due is looked at.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        self.ike.handle_timeout(now);
        while let Some(due) = self.timers.pop_due(now.time) {
            match due {
                Due::Link(name) => self.link_due(name),
                Due::Settle(loser) => self.settle_due(loser),
                Due::SettleChild(loser) => self.settle_child_due(loser),
                Due::Request(ticket) => self.request_due(ticket),
                Due::PathMtu(remote) => self.path_due(remote),
                Due::Idle(child) => self.idle_due(child),
            }
        }
        self.follow_up();
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        let ike = self.ike.next_deadline().map(|(at, ..)| at);
        [ike, self.timers.next(), self.starts.next()].into_iter().flatten().min()
    }

    /// A job is done.
    pub fn job_done(&mut self, now: Now, done: JobDone) {
        self.now = now;
        self.ike.job_done(now, done);
        self.follow_up();
    }

    /// The resolver has an answer; an empty one when there is none.
    pub fn resolved(&mut self, now: Now, lookup: LookupId, addresses: Vec<IpAddr>) {
        self.now = now;
        self.on_resolved(lookup, addresses);
        self.follow_up();
    }

    /// The next thing to do, if there is any.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What happened how often on the IKE side.
    pub fn ike_counters(&self) -> &tidegate_ike::counters::Counters {
        self.ike.counters()
    }

    /// Messages and rekeyings, by connection.
    pub fn tallies(&self) -> Tallies {
        self.ike.tallies()
    }

    /// Begins some of them anew; true if there was something.
    pub fn reset_tallies(&mut self, which: &TallyOf) -> bool {
        self.ike.reset_tallies(which)
    }

    /// Whether there is no SA, none to come, and nothing to tell.
    pub fn is_idle(&self) -> bool {
        self.ike.is_empty() && self.starts.is_empty() && self.requests.is_empty() && self.actions.is_empty()
    }

    /// Carries out all that follows from a call, and shows the outcome to the workers.
    fn follow_up(&mut self) {
        loop {
            while let Some(output) = self.ike.poll_output() {
                self.carry_out(output);
            }
            self.end_the_silent();
            match self.dirty.pop_first() {
                Some(name) => self.tend(&name),
                None if self.begin_attempts() => {}
                None => break,
            }
        }
        self.tables.publish();
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit(transmit) => self.actions.push_back(Action::Transmit(transmit)),
            Output::Install(install) => self.take_into_use(&install),
            Output::MoveOutbound { to, .. } => self.move_outbound(to),
            Output::Repath { child, path } => self.repath(child, path),
            Output::Remove { child, direction } => self.remove(child, direction),
            Output::Job(job) => self.actions.push_back(Action::Job(job)),
            Output::Event(event) => self.on_ike_event(event),
        }
    }

    fn tell(&mut self, event: Event) {
        self.actions.push_back(Action::Event(event));
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

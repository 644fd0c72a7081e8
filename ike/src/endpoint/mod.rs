//! What a driver talks to.
//!
//! Every call says what has happened and when; what follows from it waits in order in
//! [`Endpoint::poll_output`], and [`Endpoint::next_deadline`] says when to call again at the latest.
//!
//! - `mod.rs`: what an agent wants.
//! - `receive.rs`: datagrams, from first sight to the SA that they belong to.
//! - `table.rs`: the SAs, and all that they are found by.
//! - `effects.rs`: what one SA's step means for others.
//! - `unique.rs`: one IKE SA for each peer, or more.
//! - `status.rs`: what is there to be seen.

mod effects;
mod receive;
mod status;
mod table;
mod unique;

pub use status::{ChildAlgorithms, ChildStatus, IkeAlgorithms, Phase, SaStatus, SuiteIds};
pub use table::SaId;

use crate::config::Config;
use crate::connection::{ChildConfig, ChildStart, Connection};
use crate::core::{Core, Effect, Ids, Peers, Sources};
use crate::counters::Counters;
use crate::crypto::{Provider, Random};
use crate::exchange::informational;
use crate::gate::Gate;
use crate::keys::KeySink;
use crate::output::{Framing, JobDone, Output, Outputs, Path};
use crate::pool::{Pool, PoolReport, Pools};
use crate::registry::Registry;
use crate::sa::established::{Standing, Task};
use crate::sa::initiate::{Attempt, Goal};
use crate::sa::timers::Timer;
use crate::sa::{Frame, IkeSa, Role, SpiPair, State};
use crate::tally::{Ledger, Tallies, TallyOf};
use crate::time::{Now, Time, WallTime};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::IkeSpi;
use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use table::Table;
use tidegate_esp::spi::SpiAllocator;
use tidegate_esp::{Spi, TrafficSelector};

/// As many inbound SPIs as the packet side has slots for.
const MOST_SPIS: u32 = 1 << 20;

/// An IKEv2 engine: any number of IKE SAs in both roles.
pub struct Endpoint {
    core: Core,
    table: Table,
    gate: Gate,
}

/// A wish for an IKE SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initiate<'a> {
    /// Name of the connection.
    pub connection: &'a str,
    /// Only this child; `None` for all that start with the IKE SA.
    pub child: Option<&'a str>,
    /// Our address, where the connection leaves it open.
    pub local: Option<IpAddr>,
    /// The peer's address, where the connection has none or names it by DNS.
    pub remote: Option<IpAddr>,
}

/// What the packet side has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataEvent {
    /// A packet wants a child that does not stand.
    Acquire {
        /// Name of the connection.
        connection: Arc<str>,
        /// Name of the child.
        child: Arc<str>,
        /// The packet itself as selectors of our side and the peer's.
        packet: (TrafficSelector, TrafficSelector),
    },
    /// A child, named by its inbound SPI, has carried so much that it wants new keys.
    SoftLimit(Spi),
    /// A child has carried all that it may, and carries no more.
    HardLimit(Spi),
    /// The first authentic packet has come in on a child.
    FirstInbound(Spi),
    /// An authentic, new packet of a child came from elsewhere.
    PeerMoved {
        /// The child.
        child: Spi,
        /// Where it came from.
        remote: SocketAddr,
    },
    /// Authentic packets have come in on a child: the peer is alive.
    Activity {
        /// The child.
        child: Spi,
        /// Where the last of them came from; port 0 where it came without UDP.
        remote: SocketAddr,
    },
    /// A peer at this address sends on SPIs that we do not know, or says that it does not know ours:
    /// perhaps one of us has lost its state.
    UnknownSpi(SocketAddr),
}

/// A call that makes no sense, by our own user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiMisuse {
    /// No connection has this name.
    NoSuchConnection(String),
    /// The connection has no child of this name.
    NoSuchChild(String),
    /// No IKE SA has this name, or it is not established.
    NoSuchSa,
    /// The peer's address is neither configured nor given.
    NoRemoteAddress,
    /// No address of ours is of the peer's family.
    NoLocalAddress,
    /// There are as many IKE SAs as the configuration allows.
    TooManySas,
}

impl Endpoint {
    /// An endpoint without connections. Whoever predicts `random` knows all keys.
    pub fn new(config: Config, provider: &'static Provider, random: Box<dyn Random>) -> Self {
        Self {
            core: Core {
                provider,
                config,
                random,
                registry: Registry::default(),
                pools: Pools::default(),
                peers: Peers::default(),
                local_addresses: Vec::new(),
                sources: None,
                key_sink: None,
                counters: Counters::default(),
                ledger: Ledger::default(),
                outputs: Outputs::new(),
                effects: VecDeque::new(),
                ids: Ids::default(),
                turn: 0,
                spis: SpiAllocator::new(MOST_SPIS),
                now: Now { time: Time::ZERO, wall: WallTime(0) },
                fragments_held: 0,
            },
            table: Table::default(),
            gate: Gate::default(),
        }
    }

    /// Adds a connection, or replaces the one of the same name for SAs to come.
    pub fn load(&mut self, connection: Connection) {
        self.core.registry.insert(Arc::new(connection));
    }

    /// As [`Self::load`], for IKE SAs that stand too as far as children are concerned: either end's next request
    /// for one meets those that the connection has now. All else stays as it was when they were set up.
    pub fn update(&mut self, connection: Connection) {
        let loaded = Arc::new(connection);
        for id in self.table.of_connection(&loaded.name) {
            if let Some((_, sa)) = self.table.get_mut(id).and_then(IkeSa::established) {
                let children = loaded.children.clone();
                sa.connection = Arc::new(Connection { children, ..(*sa.connection).clone() });
            }
        }
        self.core.registry.insert(loaded);
    }

    /// Takes a connection away. Its SAs go on; [`Self::terminate`] ends them.
    pub fn unload(&mut self, name: &str) -> Result<(), ApiMisuse> {
        let known = self.core.registry.remove(name).is_some();
        self.core.ledger.forget(name);
        if known { Ok(()) } else { Err(ApiMisuse::NoSuchConnection(name.into())) }
    }

    /// The names of all connections.
    pub fn connections(&self) -> impl Iterator<Item = &Arc<str>> {
        self.core.registry.names()
    }

    /// Adds a pool of addresses.
    pub fn load_pool(&mut self, pool: Pool) {
        self.core.pools.insert(pool);
    }

    /// Takes a pool away; true if there was one.
    pub fn unload_pool(&mut self, name: &str) -> bool {
        self.core.pools.remove(name)
    }

    /// Who has what of all pools.
    pub fn pools(&self) -> Vec<PoolReport> {
        self.core.pools.report()
    }

    /// Says who knows which of our addresses leads to a peer. Without that it is the first that fits.
    pub fn set_sources(&mut self, sources: Box<dyn Sources>) {
        self.core.sources = Some(sources);
    }

    /// Says who is given all keys from now on. Without that nobody is.
    pub fn set_key_sink(&mut self, sink: Box<dyn KeySink>) {
        self.core.key_sink = Some(sink);
    }

    /// The address of ours that an attempt at a connection would go from to there.
    pub fn address_towards(&self, connection: &str, remote: IpAddr) -> Option<IpAddr> {
        self.core.local_for(self.core.registry.get(connection)?, remote)
    }

    /// Says which addresses we have now. SAs that speak MOBIKE follow.
    pub fn set_local_addresses(&mut self, now: Now, addresses: Vec<IpAddr>) {
        self.enter(now);
        if self.core.local_addresses == addresses {
            return;
        }
        self.core.local_addresses = addresses;
        for id in self.table.ids() {
            self.step(id, |sa, core| {
                sa.with_established(core, |mut sa, frame, core| {
                    sa.local_addresses_changed(frame, core);
                    sa.advance(frame, core)
                });
            });
        }
    }

    /// Sets up an IKE SA. What becomes of it is told by events.
    pub fn initiate(&mut self, now: Now, wish: &Initiate<'_>) -> Result<SaId, ApiMisuse> {
        self.begin_attempt(now, wish, None)
    }

    /// Sets up an IKE SA for a packet that wants a child, which is given as selectors of our side and the
    /// peer's (RFC 7296 §2.9).
    pub fn initiate_for(
        &mut self,
        now: Now,
        wish: &Initiate<'_>,
        packet: (TrafficSelector, TrafficSelector),
    ) -> Result<SaId, ApiMisuse> {
        self.begin_attempt(now, wish, Some(packet))
    }

    /// Sets up a child on an IKE SA that stands.
    pub fn create_child(&mut self, now: Now, sa: SaId, name: &str) -> Result<(), ApiMisuse> {
        self.create_child_for(now, sa, name, None)
    }

    /// Sets up a child on an IKE SA that stands, for this packet if there is one.
    pub fn create_child_for(
        &mut self,
        now: Now,
        sa: SaId,
        name: &str,
        packet: Option<(TrafficSelector, TrafficSelector)>,
    ) -> Result<(), ApiMisuse> {
        self.enter(now);
        let established = self.table.established(sa).ok_or(ApiMisuse::NoSuchSa)?;
        let config = find_child(&established.connection, name)?;
        self.want(sa, Task::CreateChild { config, packet })
    }

    /// New keys for a child, named by its inbound SPI.
    pub fn rekey_child(&mut self, now: Now, child: Spi) -> Result<(), ApiMisuse> {
        self.enter(now);
        let sa = self.table.of_child(child).ok_or(ApiMisuse::NoSuchSa)?;
        self.want(sa, Task::RekeyChild(child))
    }

    /// New keys for an IKE SA.
    pub fn rekey(&mut self, now: Now, sa: SaId) -> Result<(), ApiMisuse> {
        self.enter(now);
        self.want(sa, Task::RekeyIke)
    }

    /// Authenticates anew, make before break: the attempt at the IKE SA that takes the place of this one.
    pub fn reauthenticate(&mut self, now: Now, sa: SaId) -> Result<SaId, ApiMisuse> {
        self.enter(now);
        let established = self.table.established(sa).ok_or(ApiMisuse::NoSuchSa)?;
        let connection = Arc::clone(&established.connection);
        let path = self.table.get(sa).ok_or(ApiMisuse::NoSuchSa)?.frame.path;
        self.core.effects.push_back(Effect::Reauthenticate(sa, connection, path));
        self.settle_effects();
        self.table.established(sa).and_then(|sa| sa.replaced_by).ok_or(ApiMisuse::TooManySas)
    }

    /// Ends a child at both ends.
    pub fn terminate_child(&mut self, now: Now, child: Spi) -> Result<(), ApiMisuse> {
        self.enter(now);
        let sa = self.table.of_child(child).ok_or(ApiMisuse::NoSuchSa)?;
        self.close_child(sa, child, Verdict::new(Culprit::Us, Cause::ClosedByUs));
        Ok(())
    }

    /// Ends an IKE SA at both ends, or an attempt at one here.
    pub fn terminate(&mut self, now: Now, sa: SaId) -> Result<(), ApiMisuse> {
        self.enter(now);
        if self.table.get(sa).is_none() {
            return Err(ApiMisuse::NoSuchSa);
        }
        self.close(sa, Verdict::new(Culprit::Us, Cause::ClosedByUs));
        Ok(())
    }

    /// Ends a child here at once. The peer is told like of any other.
    pub fn abandon_child(&mut self, now: Now, child: Spi) -> Result<(), ApiMisuse> {
        self.enter(now);
        let sa = self.table.of_child(child).ok_or(ApiMisuse::NoSuchSa)?;
        self.with_child(child, |sa, _, core| {
            if let Some(child) = sa.child(child) {
                child.halt(core);
            }
        });
        self.close_child(sa, child, Verdict::new(Culprit::Us, Cause::ClosedByUs));
        Ok(())
    }

    /// Ends an IKE SA here at once. The peer is told once, unless a request of ours is still unanswered.
    pub fn abandon(&mut self, now: Now, sa: SaId) -> Result<(), ApiMisuse> {
        self.enter(now);
        if self.table.get(sa).is_none() {
            return Err(ApiMisuse::NoSuchSa);
        }
        self.step(sa, |sa, core| sa.abandon(core, Verdict::new(Culprit::Us, Cause::ClosedByUs)));
        Ok(())
    }

    /// A deadline has passed. Only what is due is looked at.
    pub fn handle_timeout(&mut self, now: Now) {
        self.enter(now);
        while let Some(id) = self.table.pop_due(now.time) {
            self.step(id, |sa, core| {
                while let Some(timer) = sa.frame.timers.pop_due(now.time) {
                    sa.on_timer(core, timer);
                }
            });
        }
    }

    /// When to call [`Self::handle_timeout`] at the latest, on behalf of which SA, and why.
    pub fn next_deadline(&self) -> Option<(Time, SaId, Timer)> {
        let (at, id) = self.table.next_deadline()?;
        let timer = self.table.get(id)?.frame.timers.next().map(|(_, timer)| timer)?;
        Some((at, id, timer))
    }

    /// A job is done.
    pub fn job_done(&mut self, now: Now, mut done: JobDone) {
        self.enter(now);
        self.refuse_one_too_many(&mut done);
        self.step(done.id.sa, |sa, core| sa.job_done(core, done));
    }

    /// The packet side has seen something.
    pub fn handle_data(&mut self, now: Now, event: DataEvent) {
        self.enter(now);
        match event {
            DataEvent::Acquire { connection, child, packet } => self.acquire(&connection, &child, packet),
            DataEvent::SoftLimit(spi) => self.with_child(spi, |sa, _, _| sa.rekey_child(spi)),
            DataEvent::HardLimit(spi) => {
                if let Some(sa) = self.table.of_child(spi) {
                    self.close_child(sa, spi, Verdict::new(Culprit::Us, Cause::Exhausted));
                }
            }
            DataEvent::FirstInbound(spi) => self.with_child(spi, |sa, _, core| {
                if let Some(old) = sa.predecessor_of(spi) {
                    core.outputs.push_back(Output::MoveOutbound { from: old, to: spi });
                }
            }),
            DataEvent::PeerMoved { child, remote } => self.with_child(child, |sa, frame, core| {
                let path = Path { remote, ..frame.path };
                sa.peer_is_at(frame, core, path);
            }),
            DataEvent::Activity { child, remote } => {
                self.with_child(child, |sa, frame, core| sa.hear_esp(frame, core, remote));
            }
            DataEvent::UnknownSpi(remote) => {
                for id in self.table.at(remote) {
                    self.step(id, IkeSa::hint);
                }
            }
        }
    }

    /// A peer has sent ESP with an index that no child has, on this path. Where there is an IKE SA with it the
    /// peer is asked for a sign of life; where there is none it is told, in clear and seldom, that it sends to
    /// nobody (RFC 7296 §1.5).
    pub fn unknown_esp(&mut self, now: Now, path: Path, spi: u32) {
        self.handle_data(now, DataEvent::UnknownSpi(path.remote));
        if self.table.at(path.remote).is_empty() {
            self.tell_invalid_spi(path, spi);
        }
    }

    /// The next thing to do, if there is any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.outputs.pop_front()
    }

    /// What happened how often.
    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// Messages and rekeyings, by connection.
    pub fn tallies(&self) -> Tallies {
        self.core.ledger.read(&self.core.counters)
    }

    /// Begins some of them anew; true if there was something.
    pub fn reset_tallies(&mut self, which: &TallyOf) -> bool {
        self.core.ledger.reset(which, &self.core.counters)
    }

    /// The source of randomness that was handed in.
    pub fn random(&mut self) -> &mut dyn Random {
        &mut *self.core.random
    }

    /// The IKE SA that holds a child, named by its inbound SPI.
    pub fn sa_of(&self, child: Spi) -> Option<SaId> {
        self.table.of_child(child)
    }

    /// One IKE SA.
    pub fn status(&self, sa: SaId) -> Option<SaStatus<'_>> {
        self.table.get(sa).map(|entry| SaStatus::of(entry, self.core.now.time))
    }

    /// All IKE SAs, whatever their state.
    pub fn sas(&self) -> impl Iterator<Item = SaStatus<'_>> {
        self.table.iter().map(|entry| SaStatus::of(entry, self.core.now.time))
    }

    /// How many IKE SAs there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of incomplete messages are held.
    pub fn fragments_held(&self) -> usize {
        self.core.fragments_held
    }

    /// How many inbound SPIs are given away, addresses leased and SAs half-open: all zero once every SA is
    /// gone, or something leaks.
    pub fn resources(&self) -> [usize; 3] {
        [self.core.spis.in_use(), self.core.pools.held(), self.gate.half_open()]
    }

    fn enter(&mut self, now: Now) {
        self.core.now = now;
    }

    /// The path of a first packet. A peer on another port than 500 gets the marker at once, and from our
    /// port for that.
    fn first_path(
        &self,
        connection: &Connection,
        local: Option<IpAddr>,
        remote: Option<IpAddr>,
    ) -> Result<Path, ApiMisuse> {
        let remote = remote.or_else(|| connection.remote.address()).ok_or(ApiMisuse::NoRemoteAddress)?;
        let local =
            local.or_else(|| self.core.local_for(connection, remote)).ok_or(ApiMisuse::NoLocalAddress)?;
        let marked = connection.remote.port != 500 || connection.local.port == self.core.config.nat_port;
        let local_port = if marked { self.core.config.nat_port } else { connection.local.port };
        Ok(Path {
            local: SocketAddr::new(local, local_port),
            remote: SocketAddr::new(remote, connection.remote.port),
            framing: if marked { Framing::Marked } else { Framing::Bare },
        })
    }

    fn begin_attempt(
        &mut self,
        now: Now,
        wish: &Initiate<'_>,
        packet: Option<(TrafficSelector, TrafficSelector)>,
    ) -> Result<SaId, ApiMisuse> {
        self.enter(now);
        let connection = self
            .core
            .registry
            .get(wish.connection)
            .cloned()
            .ok_or_else(|| ApiMisuse::NoSuchConnection(wish.connection.into()))?;
        let children = match wish.child {
            Some(name) => vec![find_child(&connection, name)?],
            None => connection.children.iter().filter(|c| c.start == ChildStart::WithIke).cloned().collect(),
        };
        let path = self.first_path(&connection, wish.local, wish.remote)?;
        let deadline = now.time + connection.retransmission.give_up;
        self.attempt(Goal { packet, ..Goal::new(connection, children, deadline) }, path)
    }

    fn attempt(&mut self, goal: Goal, path: Path) -> Result<SaId, ApiMisuse> {
        if self.table.len() >= self.core.config.most_sas {
            return Err(ApiMisuse::TooManySas);
        }
        let id = self.core.ids.take();
        let spis = SpiPair { initiator: self.core.ike_spi(), responder: IkeSpi(0) };
        let mut frame = Frame::new(&mut self.core, id, Role::Initiator, spis, path);
        let name = Arc::clone(&goal.connection.name);
        let state = Attempt::begin(goal, &mut frame, &mut self.core);
        self.table.insert(IkeSa { frame, state });
        self.table.name_connection(id, name);
        self.after_step(id);
        Ok(id)
    }

    /// A packet wants a child: on the IKE SA that there is, or on a new one.
    fn acquire(&mut self, connection: &str, child: &str, packet: (TrafficSelector, TrafficSelector)) {
        let Some(connection) = self.core.registry.get(connection).cloned() else { return };
        let Ok(config) = find_child(&connection, child) else { return };
        let mut busy = false;
        for id in self.table.of_connection(&connection.name) {
            match self.table.established(id) {
                Some(sa) if sa.standing == Standing::Active => {
                    if !sa.has_or_awaits(&config.name) {
                        let _ = self.want(id, Task::CreateChild { config, packet: Some(packet) });
                    }
                    return;
                }
                Some(_) => {}
                None => busy |= self.table.get(id).is_some_and(|sa| matches!(sa.state, State::Initiating(_))),
            }
        }
        if busy {
            return;
        }
        if let Ok(path) = self.first_path(&connection, None, None) {
            let deadline = self.core.now.time + connection.retransmission.give_up;
            let goal = Goal { packet: Some(packet), ..Goal::new(connection, vec![config], deadline) };
            let _ = self.attempt(goal, path);
        }
    }

    fn want(&mut self, sa: SaId, task: Task) -> Result<(), ApiMisuse> {
        if self.table.established(sa).is_none() {
            return Err(ApiMisuse::NoSuchSa);
        }
        self.step(sa, |sa, core| {
            sa.with_established(core, |mut sa, frame, core| {
                sa.want(task);
                sa.advance(frame, core)
            });
        });
        Ok(())
    }

    fn close(&mut self, sa: SaId, verdict: Verdict) {
        self.step(sa, |sa, core| sa.close(core, verdict));
    }

    fn close_child(&mut self, sa: SaId, child: Spi, verdict: Verdict) {
        self.step(sa, |sa, core| {
            sa.with_established(core, |mut sa, frame, core| {
                informational::close_child(&mut sa, core, frame, child, verdict);
                sa.advance(frame, core)
            });
        });
    }

    /// Lets the SA of a child do something that cannot end it.
    fn with_child(
        &mut self,
        child: Spi,
        act: impl FnOnce(&mut crate::sa::established::Established, &mut Frame, &mut Core),
    ) {
        let Some(id) = self.table.of_child(child) else { return };
        self.step(id, |sa, core| {
            sa.with_established(core, |mut sa, frame, core| {
                act(&mut sa, frame, core);
                sa.advance(frame, core)
            });
        });
    }

    /// One step of one SA, and all that follows from it.
    fn step(&mut self, id: SaId, act: impl FnOnce(&mut IkeSa, &mut Core)) {
        if let Some(sa) = self.table.get_mut(id) {
            act(sa, &mut self.core);
            self.after_step(id);
        }
    }
}

fn find_child(connection: &Connection, name: &str) -> Result<Arc<ChildConfig>, ApiMisuse> {
    let child = connection.children.iter().find(|child| &*child.name == name);
    child.cloned().ok_or_else(|| ApiMisuse::NoSuchChild(name.into()))
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchConnection(name) => write!(f, "no connection named {name}"),
            Self::NoSuchChild(name) => write!(f, "no child named {name}"),
            Self::NoSuchSa => f.write_str("no such IKE SA"),
            Self::NoRemoteAddress => f.write_str("the peer's address is not known"),
            Self::NoLocalAddress => f.write_str("no address of ours is of the peer's family"),
            Self::TooManySas => f.write_str("as many IKE SAs as the configuration allows"),
        }
    }
}

impl std::error::Error for ApiMisuse {}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("sas", &self.table.len()).finish_non_exhaustive()
    }
}

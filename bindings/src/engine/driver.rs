//! What drives an engine without threads: every call in, and everything that follows from it.
//!
//! 1. A call tells the engine, or the packet path, what has happened.
//! 2. What the packet path says is told to the engine, and what the engine says is done, until neither says anything
//!    more.
//! 3. What is for the caller waits to be polled.

use super::options::{Source, polls_jobs, tidegate_engine_options};
use super::outlets::{Mail, Outlets};
use crate::config::Reader;
use crate::error::Failure;
use crate::event::tidegate_event;
use crate::options::shared;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tidegate_esp::Encapsulation;
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::VirtioHeader;
use tidegate_ike::crypto::{RING, Random};
use tidegate_ike::{ApiMisuse, Job, JobDone, Now, Time, Transmit};
use tunnel::action::{Action, LookupId, Outcome, Ticket};
use tunnel::config::{Configuration, NamedConnection};
use tunnel::driver::mailbox::LostMail;
use tunnel::engine::{Engine, Manner, Selection, Settings, Target};
use tunnel::io::batch::{Arrival, Channel, Departure, Fragmentation, ReceiveBatch};
use tunnel::log::Narrator;
use tunnel::notice::Notice;
use tunnel::status::CountersReport;
use tunnel::tables::View;
use tunnel::worker::{Incoming, Outgoing};
use tunnel::{config, worker};

/// Events that wait for the caller; of further ones it is told how many there were.
const EVENTS: usize = 4096;

/// An engine, its packet path, and all that waits.
pub(super) struct Driver {
    engine: Engine,
    outgoing: Outgoing,
    incoming: Incoming,
    batch: ReceiveBatch,
    view: View,
    published: u64,
    outlets: Outlets,
    events: VecDeque<tidegate_event>,
    missed: u64,
    narrator: Narrator,
    polls_jobs: bool,
    jobs: VecDeque<Job>,
    lookups: VecDeque<(LookupId, Vec<String>)>,
    random: Source,
    reader: Reader,
    base: Configuration,
    ports: (u16, u16),
    last_ticket: u64,
    /// What was polled last, as long as the caller may look at it.
    shown: Vec<u8>,
}

/// A datagram from a peer.
pub(super) struct Received<'a> {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) traffic_class: u8,
    pub(super) bytes: &'a [u8],
}

impl Driver {
    /// # Safety
    ///
    /// What the options point to is there during this call, and their function and context for as long as this.
    pub(super) unsafe fn new(options: &tidegate_engine_options) -> Result<Self, Failure> {
        // SAFETY: as for this function.
        let folder = unsafe { options.folder.read("the folder") }?;
        // SAFETY: as for this function.
        let text = unsafe { options.config.read("the configuration") }?;
        // SAFETY: as for this function.
        let reader = Reader::new(folder, unsafe { shared(options.credentials) });
        let base = reader.whole(text)?;
        let port = |wanted: u16, configured| if wanted == 0 { configured } else { wanted };
        let ports = (port(options.ike_port, base.node.port), port(options.nat_port, base.node.nat_port));
        let mut settings = Settings::default();
        (settings.ike.ike_port, settings.ike.nat_port) = ports;
        let mut random = Source::of(options);
        let mut seed = [0; 8];
        random.fill(&mut seed);
        let worker = worker::Settings { seed: u64::from_ne_bytes(seed), ..worker::Settings::default() };
        let engine = Engine::new(settings, &RING, Box::new(random.clone()));
        let mtus = engine.path_mtus();
        let plain = Offloads { tcp: false, udp: false };
        let mut driver = Self {
            outgoing: Outgoing::new(engine.view(), Arc::clone(mtus), &worker),
            incoming: Incoming::new(engine.view(), Arc::clone(mtus), plain),
            batch: ReceiveBatch::new(),
            view: engine.view(),
            published: 0,
            engine,
            outlets: Outlets::default(),
            events: VecDeque::new(),
            missed: 0,
            narrator: Narrator::default(),
            polls_jobs: polls_jobs(options)?,
            jobs: VecDeque::new(),
            lookups: VecDeque::new(),
            random,
            reader,
            base,
            ports,
            last_ticket: 0,
            shown: Vec::new(),
        };
        let (pools, connections) = (driver.base.pools.clone(), driver.base.connections.clone());
        driver.load_all(options.now.into(), config::Additions { connections, pools })?;
        Ok(driver)
    }

    pub(super) fn set_addresses(&mut self, now: Now, addresses: Vec<IpAddr>) {
        self.engine.set_local_addresses(now, addresses);
        self.follow_up(now);
    }

    pub(super) fn load(&mut self, now: Now, text: &str) -> Result<(), Failure> {
        let added = self.reader.more(&self.base, text)?;
        self.load_all(now, added)
    }

    pub(super) fn unload(&mut self, now: Now, name: &str) -> Result<(), Failure> {
        self.engine.unload(now, name)?;
        self.follow_up(now);
        Ok(())
    }

    pub(super) fn initiate(&mut self, now: Now, target: &Target) -> u64 {
        self.ask(now, |engine, ticket| engine.initiate(now, target, ticket))
    }

    pub(super) fn terminate(&mut self, now: Now, selection: &Selection, manner: Manner) -> u64 {
        self.ask(now, |engine, ticket| engine.terminate(now, selection, manner, ticket))
    }

    pub(super) fn rekey(&mut self, now: Now, selection: &Selection) -> u64 {
        self.ask(now, |engine, ticket| engine.rekey(now, selection, ticket))
    }

    pub(super) fn reauthenticate(&mut self, now: Now, selection: &Selection) -> u64 {
        self.ask(now, |engine, ticket| engine.reauthenticate(now, selection, ticket))
    }

    pub(super) fn install(&mut self, now: Now, target: &Target) -> u64 {
        self.do_at_once(now, |engine| engine.install(now, target))
    }

    pub(super) fn uninstall(&mut self, now: Now, target: &Target) -> u64 {
        self.do_at_once(now, |engine| engine.uninstall(now, target))
    }

    pub(super) fn shutdown(&mut self, now: Now) -> u64 {
        self.ask(now, |engine, ticket| engine.shutdown(now, ticket))
    }

    /// A datagram has come, to one of our ports or as ESP without UDP, which has none.
    pub(super) fn receive(&mut self, now: Now, datagram: &Received<'_>) -> Result<(), Failure> {
        let channel = match datagram.local.port() {
            0 => Channel::Esp,
            port if port == self.ports.1 => Channel::Shared,
            port if port == self.ports.0 => Channel::Ike,
            port => return Err(Failure::argument(format_args!("port {port} is none of the engine's"))),
        };
        let Received { local, remote, traffic_class, bytes } = *datagram;
        self.batch.clear();
        if !self.batch.push(bytes, Arrival { local, remote, traffic_class, channel }) {
            return Err(Failure::argument("no datagram is that long"));
        }
        self.incoming.take(now.time, &mut self.batch, &mut self.outlets);
        self.follow_up(now);
        Ok(())
    }

    /// A packet is to go into a tunnel.
    pub(super) fn send(&mut self, now: Now, packet: &[u8]) {
        self.shown.clear();
        self.shown.extend_from_slice(packet);
        self.outgoing.take(now.time, &VirtioHeader::default(), &mut self.shown, &mut self.outlets);
        self.outgoing.flush(&mut self.outlets);
        self.follow_up(now);
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.engine.handle_timeout(now);
        self.tend(now);
        self.follow_up(now);
    }

    pub(super) fn next_deadline(&self, now: Now) -> Option<Time> {
        self.engine.next_deadline().into_iter().chain(self.outgoing.next_deadline(now.time)).min()
    }

    pub(super) fn path_mtu(&mut self, now: Now, remote: IpAddr, mtu: usize) {
        if self.engine.path_mtus().learned(remote, mtu, now.time) {
            self.engine.handle_notice(now, Notice::PathMtu(remote));
            self.follow_up(now);
        }
    }

    pub(super) fn job_done(&mut self, now: Now, done: JobDone) {
        self.engine.job_done(now, done);
        self.follow_up(now);
    }

    pub(super) fn resolved(&mut self, now: Now, lookup: u64, addresses: Vec<IpAddr>) {
        self.engine.resolved(now, LookupId(lookup), addresses);
        self.follow_up(now);
    }

    pub(super) fn next_datagram(&mut self) -> Option<(Departure, &[u8])> {
        let (departure, bytes) = self.outlets.datagrams.pop_front()?;
        self.show(bytes);
        Some((departure, &self.shown))
    }

    pub(super) fn next_packet(&mut self) -> Option<&[u8]> {
        let packet = self.outlets.packets.pop_front()?;
        self.show(packet);
        Some(&self.shown)
    }

    pub(super) fn next_event(&mut self) -> Option<tidegate_event> {
        let event = self.events.pop_front();
        match event {
            None if self.missed > 0 => Some(tidegate_event::missed(std::mem::take(&mut self.missed))),
            event => event,
        }
    }

    pub(super) fn next_job(&mut self) -> Option<(Job, Source)> {
        self.jobs.pop_front().map(|job| (job, self.random.clone()))
    }

    pub(super) fn next_lookup(&mut self) -> Option<(LookupId, Vec<String>)> {
        self.lookups.pop_front()
    }

    pub(super) fn status(&self, now: Now) -> Vec<tunnel::status::ConnectionStatus> {
        self.engine.status(now)
    }

    pub(super) fn counters(&self) -> CountersReport {
        let (outgoing, incoming) = (self.outgoing.counters().snapshot(), self.incoming.counters().snapshot());
        let mut report = CountersReport::new(
            &outgoing.merged(&incoming),
            self.engine.ike_counters(),
            &LostMail::default(),
        );
        report.totals.insert("not_polled", self.outlets.lost);
        report
    }

    pub(super) fn is_idle(&self) -> bool {
        self.engine.is_idle() && self.jobs.is_empty()
    }

    fn load_all(&mut self, now: Now, added: config::Additions) -> Result<(), Failure> {
        for pool in added.pools {
            self.engine.load_pool(pool);
        }
        let loaded = added.connections.iter().try_for_each(|connection| self.load_one(now, connection));
        self.follow_up(now);
        loaded
    }

    fn load_one(&mut self, now: Now, named: &NamedConnection) -> Result<(), Failure> {
        let mut connection = named.connection();
        // Where options say another port than the configuration, that one is meant.
        if connection.ike.local.port == self.base.node.port {
            connection.ike.local.port = self.ports.0;
        }
        Ok(self.engine.load(now, connection)?)
    }

    fn ask(&mut self, now: Now, ask: impl FnOnce(&mut Engine, Ticket)) -> u64 {
        self.last_ticket += 1;
        ask(&mut self.engine, Ticket(self.last_ticket));
        self.follow_up(now);
        self.last_ticket
    }

    /// What the engine says nothing more of: its end is told here.
    fn do_at_once(&mut self, now: Now, act: impl FnOnce(&mut Engine) -> Result<(), ApiMisuse>) -> u64 {
        self.last_ticket += 1;
        let outcome = act(&mut self.engine);
        self.follow_up(now);
        self.tell_surely(tidegate_event::done(self.last_ticket, outcome.map(|()| 0).map_err(Failure::from)));
        self.last_ticket
    }

    fn show(&mut self, bytes: Vec<u8>) {
        let old = std::mem::replace(&mut self.shown, bytes);
        self.outlets.recycle(old);
    }

    /// Lets engine and packet path talk until neither says anything more.
    fn follow_up(&mut self, now: Now) {
        loop {
            if let Some(mail) = self.outlets.mail.pop_front() {
                match mail {
                    Mail::Ike(datagram) => self.engine.handle_datagram(now, &datagram),
                    Mail::Notice(notice) => self.engine.handle_notice(now, notice),
                }
            } else if let Some(action) = self.engine.poll_action() {
                self.carry_out(now, action);
            } else if self.has_new_tables() {
                self.tend(now);
            } else {
                return;
            }
        }
    }

    fn has_new_tables(&mut self) -> bool {
        let generation = self.view.current().generation();
        std::mem::replace(&mut self.published, generation) != generation
    }

    fn tend(&mut self, now: Now) {
        self.outgoing.tend(now.time, &mut self.outlets);
        self.outgoing.flush(&mut self.outlets);
    }

    fn carry_out(&mut self, now: Now, action: Action) {
        match action {
            Action::Transmit(Transmit { path, bytes }) => {
                let departure = Departure {
                    local: path.local,
                    remote: path.remote,
                    encapsulation: Encapsulation::Udp,
                    traffic_class: 0,
                    fragmentation: Fragmentation::Allowed,
                };
                self.outlets.datagram(departure, &bytes);
            }
            Action::Job(job) if self.polls_jobs => self.jobs.push_back(job),
            Action::Job(job) => {
                let done = job.run(&mut self.random);
                self.engine.job_done(now, done);
            }
            Action::Resolve { lookup, names } => self.lookups.push_back((lookup, names)),
            Action::Event(event) => {
                let event = tidegate_event::new(&mut self.narrator, &event);
                self.tell(event);
            }
            Action::Capture { capture, selectors } => {
                self.tell_surely(tidegate_event::capture(capture.0, &selectors));
            }
            Action::LimitMtu { capture, mtu } => self.tell(tidegate_event::limit_mtu(capture.0, mtu)),
            Action::Release(capture) => self.tell_surely(tidegate_event::release(capture.0)),
            Action::AddAddress(address) => self.tell_surely(tidegate_event::address_added(address)),
            Action::RemoveAddress(address) => self.tell_surely(tidegate_event::address_removed(address)),
            Action::Done { ticket, outcome } => {
                let result = match outcome {
                    Outcome::Done(count) => Ok(count),
                    Outcome::Failed(verdict) => Err(verdict.into()),
                    Outcome::Misuse(misuse) => Err(misuse.into()),
                };
                self.tell_surely(tidegate_event::done(ticket.0, result));
            }
        }
    }

    /// What nobody on the network can bring about at will.
    fn tell_surely(&mut self, event: tidegate_event) {
        self.events.push_back(event);
    }

    fn tell(&mut self, event: tidegate_event) {
        if self.events.len() >= EVENTS {
            self.missed += 1;
        } else {
            self.events.push_back(event);
        }
    }
}

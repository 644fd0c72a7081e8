//! A simulated node: an engine, and a small worker that seals and opens what its tables say.

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tidegate::action::{Action, CaptureId, LookupId, Outcome, Ticket};
use tidegate::connection::Connection;
use tidegate::engine::{Engine, Settings, Target};
use tidegate::event::Event;
use tidegate::notice::{IkeDatagram, Notice};
use tidegate::status::{ChildSaStatus, ConnectionStatus, IkeSaStatus};
use tidegate::tables::View;
use tidegate_esp::encap::{self, Datagram};
use tidegate_esp::snapshot::{Carrier, Decision};
use tidegate_esp::{DropReason, Freshness, Inner, Opened, SelectorPair, Spi};
use tidegate_ike::crypto::{SEEDED, SeededRandom};
use tidegate_ike::{Framing, Now, Path, Time, WallTime};
use tidegate_sim::{Node, Outgoing, SECOND};

/// A packet from one inner address to another, often enough to see whether it gets through.
#[derive(Clone, Copy)]
pub struct Stream {
    pub from: IpAddr,
    pub to: IpAddr,
}

pub struct EngineNode {
    pub engine: Engine,
    view: View,
    random: SeededRandom,
    queue: VecDeque<Outgoing>,
    pub events: Vec<(u64, Event)>,
    pub done: BTreeMap<Ticket, (u64, Outcome)>,
    pub captures: BTreeMap<CaptureId, Arc<SelectorPair>>,
    /// How long their packets may be.
    pub limits: BTreeMap<CaptureId, usize>,
    pub addresses: BTreeSet<IpAddr>,
    /// What the resolver knows; a name that is not here is never answered.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    pub lookups: Vec<(u64, LookupId, Vec<String>)>,
    pub streams: Vec<Stream>,
    pub pace: u64,
    send_at: u64,
    /// When packets of a stream were put into an SA, and when they had none.
    pub sealed: Vec<u64>,
    pub held_back: Vec<u64>,
    /// When packets have come in, by source.
    pub received: BTreeMap<IpAddr, Vec<u64>>,
    pub unknown_esp: u64,
    /// First messages of attempts of ours, with their times.
    pub began: Vec<u64>,
    heard: BTreeSet<Spi>,
    last_ticket: u64,
}

impl EngineNode {
    pub fn new(seed: u64, address: IpAddr) -> Self {
        Self::with(seed, address, Settings::default())
    }

    pub fn with(seed: u64, address: IpAddr, settings: Settings) -> Self {
        let mut engine = Engine::new(settings, &SEEDED, Box::new(SeededRandom::new(seed)));
        engine.set_local_addresses(moment(0), vec![address]);
        let view = engine.view();
        Self {
            engine,
            view,
            random: SeededRandom::new(seed ^ 0x0b5),
            queue: VecDeque::new(),
            events: Vec::new(),
            done: BTreeMap::new(),
            captures: BTreeMap::new(),
            limits: BTreeMap::new(),
            addresses: BTreeSet::new(),
            names: BTreeMap::new(),
            lookups: Vec::new(),
            streams: Vec::new(),
            pace: 0,
            send_at: u64::MAX,
            sealed: Vec::new(),
            held_back: Vec::new(),
            received: BTreeMap::new(),
            unknown_esp: 0,
            began: Vec::new(),
            heard: BTreeSet::new(),
            last_ticket: 0,
        }
    }

    /// Lets the engine do something, and carries out what follows.
    pub fn act<T>(&mut self, now: u64, act: impl FnOnce(&mut Engine, Now) -> T) -> T {
        let result = act(&mut self.engine, moment(now));
        while let Some(action) = self.engine.poll_action() {
            self.carry_out(now, action);
        }
        result
    }

    pub fn load(&mut self, now: u64, connection: Connection) {
        self.act(now, |engine, now| engine.load(now, connection)).expect("it is in order");
    }

    /// Opens a request.
    pub fn ask(&mut self, now: u64, ask: impl FnOnce(&mut Engine, Now, Ticket)) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.act(now, |engine, now| ask(engine, now, ticket));
        ticket
    }

    pub fn initiate(&mut self, now: u64, connection: &str) -> Ticket {
        let target = Target::Connection(connection.into());
        self.ask(now, |engine, now, ticket| engine.initiate(now, &target, ticket))
    }

    pub fn outcome(&self, ticket: Ticket) -> Option<&Outcome> {
        self.done.get(&ticket).map(|(_, outcome)| outcome)
    }

    pub fn send_from(&mut self, now: u64, pace: u64, streams: Vec<Stream>) {
        self.streams = streams;
        self.pace = pace;
        self.send_at = now;
    }

    pub fn stop_sending(&mut self) {
        self.send_at = u64::MAX;
    }

    pub fn connection(&self, now: u64, name: &str) -> ConnectionStatus {
        let all = self.engine.status(moment(now));
        all.into_iter().find(|connection| connection.name == name).expect("it is loaded")
    }

    /// IKE SAs of a connection that stand.
    pub fn standing(&self, now: u64, name: &str) -> Vec<IkeSaStatus> {
        let sas = self.connection(now, name).sas.into_iter();
        sas.filter(|sa| sa.phase == "ESTABLISHED").collect()
    }

    /// Children of a connection that stand.
    pub fn children(&self, now: u64, name: &str) -> Vec<ChildSaStatus> {
        let children = self.standing(now, name).into_iter().flat_map(|sa| sa.children);
        children.filter(|child| child.current).collect()
    }

    pub fn total_received(&self) -> usize {
        self.received.values().map(Vec::len).sum()
    }

    /// Sends one packet as a device would hand it over; says whether it went into an SA.
    pub fn send(&mut self, now: u64, stream: Stream) -> bool {
        let packet = packet(stream);
        let inner = Inner::parse(&packet).expect("a packet");
        let snapshot = self.view.current();
        match snapshot.decide(&inner.flow) {
            Decision::Protect(id) => {
                let Carrier { sa, path, .. } = snapshot.outbound(id).expect("it has just been found");
                let mut buffer = vec![0; sa.esp.sealed_len(packet.len())];
                buffer[sa.esp.front_len()..][..packet.len()].copy_from_slice(&packet);
                let child = sa.child;
                let Ok(mut numbers) = sa.esp.reserve(1) else {
                    let notice = Notice::HardLimit(child);
                    self.act(now, |engine, now| engine.handle_notice(now, notice));
                    return false;
                };
                let soft = numbers.passed_soft_limit();
                let length = numbers.seal(&mut buffer, packet.len()).expect("a small packet");
                buffer.truncate(length);
                self.queue.push_back(Outgoing { from: path.local, to: path.remote, bytes: buffer });
                self.sealed.push(now);
                drop(numbers);
                if soft {
                    let notice = Notice::SoftLimit(child);
                    self.act(now, |engine, now| engine.handle_notice(now, notice));
                }
                true
            }
            Decision::Acquire(owner) => {
                self.held_back.push(now);
                let flow = inner.flow;
                self.act(now, |engine, now| engine.handle_notice(now, Notice::Acquire { owner, flow }));
                false
            }
            Decision::Bypass => panic!("nothing goes in clear"),
            Decision::Drop | Decision::NoRule => false,
        }
    }

    /// What becomes of a packet.
    pub fn decide(&mut self, stream: Stream) -> Decision {
        let packet = packet(stream);
        let inner = Inner::parse(&packet).expect("a packet");
        self.view.current().decide(&inner.flow)
    }

    fn carry_out(&mut self, now: u64, action: Action) {
        match action {
            Action::Transmit(transmit) => {
                let Path { local, remote, framing } = transmit.path;
                let message = if framing == Framing::Marked { 4 } else { 0 };
                // IKE_SA_INIT with the initiator's bit.
                if transmit.bytes.get(message + 18..message + 20) == Some(&[34, 8]) {
                    self.began.push(now);
                }
                self.queue.push_back(Outgoing { from: local, to: remote, bytes: transmit.bytes });
            }
            Action::Job(job) => {
                let done = job.run(&mut self.random);
                self.engine.job_done(moment(now), done);
            }
            Action::Resolve { lookup, names } => {
                self.lookups.push((now, lookup, names.clone()));
                let known: Vec<_> = names.iter().filter_map(|name| self.names.get(name)).collect();
                if !known.is_empty() {
                    let addresses = known.into_iter().flatten().copied().collect();
                    self.engine.resolved(moment(now), lookup, addresses);
                }
            }
            Action::Event(event) => {
                if std::env::var_os("TIDEGATE_TRACE").is_some() {
                    eprintln!("{:9.3} {:?} {event:?}", now as f64 / SECOND as f64, self.last_ticket);
                }
                self.events.push((now, event));
            }
            Action::Capture { capture, selectors } => {
                // What is said again says something else.
                assert_ne!(self.captures.insert(capture, Arc::clone(&selectors)), Some(selectors), "twice");
            }
            Action::LimitMtu { capture, mtu } => {
                if self.captures.contains_key(&capture) {
                    self.limits.insert(capture, mtu);
                }
            }
            Action::Release(capture) => {
                self.captures.remove(&capture).expect("it was captured");
                self.limits.remove(&capture);
            }
            Action::AddAddress(address) => assert!(self.addresses.insert(address), "added twice"),
            Action::RemoveAddress(address) => assert!(self.addresses.remove(&address), "never added"),
            Action::Done { ticket, outcome } => {
                assert!(self.done.insert(ticket, (now, outcome)).is_none(), "done twice");
            }
        }
    }

    fn open(&mut self, now: u64, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let Datagram::Esp(packet) = encap::sort(&mut bytes) else { return };
        let spi = packet.get(..4).and_then(|spi| spi.try_into().ok()).map(u32::from_be_bytes);
        let Some(spi) = spi.and_then(Spi::new) else { return };
        let Some(opening) = self.view.current().inbound(spi).cloned() else {
            self.unknown_esp += 1;
            let notice = Notice::UnknownSpi { local, remote, spi };
            return self.act(now, |engine, now| engine.handle_notice(now, notice));
        };
        let (mut soft, mut hard) = (false, false);
        let mut opener = opening.esp.opener();
        let freshness = match opener.open(packet).and_then(|opened: Opened<'_>| {
            let freshness = opened.freshness();
            soft = opened.passed_soft_limit();
            opened.admit().map(|admitted| (freshness, admitted.inner.flow.source))
        }) {
            Ok((freshness, source)) => {
                self.received.entry(source).or_default().push(now);
                Some(freshness)
            }
            Err(rejected) => {
                hard = rejected.reason == DropReason::Expired;
                rejected.authentic
            }
        };
        drop(opener);
        let child = opening.child;
        if soft || hard {
            let notice = if hard { Notice::HardLimit(child) } else { Notice::SoftLimit(child) };
            self.act(now, |engine, now| engine.handle_notice(now, notice));
        }
        let Some(freshness) = freshness else { return };
        let mut notices = Vec::new();
        if self.heard.insert(child) {
            notices.push(Notice::FirstInbound(child));
        }
        if opening.is_news(now, SECOND) {
            notices.push(Notice::Activity { child, remote });
        }
        if freshness == Freshness::Newest && !opening.expects(remote) {
            notices.push(Notice::PeerMoved { child, remote });
        }
        for notice in notices {
            self.act(now, |engine, now| engine.handle_notice(now, notice));
        }
    }
}

impl Node for EngineNode {
    fn receive(&mut self, now: u64, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let framing = if local.port() == 500 { Framing::Bare } else { Framing::Marked };
        if framing == Framing::Bare || bytes.starts_with(&encap::NON_ESP_MARKER) {
            let path = Path { local, remote, framing };
            let datagram = IkeDatagram { path, bytes: Bytes::copy_from_slice(bytes) };
            return self.act(now, |engine, now| engine.handle_datagram(now, &datagram));
        }
        self.open(now, local, remote, bytes);
    }

    fn next_wakeup(&self) -> Option<u64> {
        let engine = self.engine.next_deadline().map(Time::as_nanos);
        let packets = (self.send_at != u64::MAX).then_some(self.send_at);
        [engine, packets].into_iter().flatten().min()
    }

    fn wake(&mut self, now: u64) {
        self.act(now, Engine::handle_timeout);
        if self.send_at <= now {
            self.send_at = now + self.pace;
            for stream in self.streams.clone() {
                self.send(now, stream);
            }
        }
    }

    fn outgoing(&mut self) -> Option<Outgoing> {
        self.queue.pop_front()
    }
}

/// The wall clock of the simulation: 2026-01-01, and on from there.
pub fn moment(now: u64) -> Now {
    Now { time: Time::from_nanos(now), wall: WallTime(1_767_225_600 + now / SECOND) }
}

/// A small datagram of a protocol without ports.
fn packet(stream: Stream) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (stream.from, stream.to) else { panic!("IPv4 alone") };
    let mut packet = vec![0x45, 0, 0, 24, 0, 0, 0, 0, 64, 253, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([1, 2, 3, 4]);
    packet
}

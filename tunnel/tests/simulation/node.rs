//! A simulated node: all that a daemon has below its sockets and its device. An engine, the two packet workers,
//! arithmetic that takes its time, a resolver, clocks of its own, and a host behind it that sends packets.

use crate::forge::Seen;
use crate::identities::BEGINNING;
use crate::judge::{Judge, Number, count_hop, destination, node_of};
use crate::recipe::between;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, IoSlice};
use std::mem::take;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use tidegate::action::{Action, LookupId, Ticket};
use tidegate::connection::Connection;
use tidegate::engine::{Engine, Settings};
use tidegate::io::batch::{Arrival, Channel, ReceiveBatch, SendBatch};
use tidegate::notice::{IkeDatagram, Notice};
use tidegate::tables::View;
use tidegate::worker::{self, Control, Incoming, Inward, Outward};
use tidegate_alloc::Usage;
use tidegate_esp::Inner;
use tidegate_esp::segment::Offloads;
use tidegate_esp::snapshot::{Carrier, Decision};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_ike::crypto::{SEEDED, SeededRandom};
use tidegate_ike::{Config, JobDone, Now, Path, Time, WallTime};
use tidegate_sim::{MILLISECOND, Node, Outgoing, SECOND, SimRandom};

/// What all nodes of a run have in common.
pub struct Shared {
    pub judge: RefCell<Judge>,
    /// What the resolver knows.
    pub directory: RefCell<BTreeMap<String, IpAddr>>,
    /// Where datagrams are received into, one at a time.
    batch: RefCell<ReceiveBatch>,
}

/// What a node is told when it starts.
pub struct Start {
    pub number: usize,
    pub seed: u64,
    pub clocks: Clocks,
    pub addresses: Vec<IpAddr>,
    pub config: Config,
    pub connections: Vec<Connection>,
    pub talk: Talk,
}

/// What a node's clocks show.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The monotonic one, in nanoseconds before the simulation's; it stays behind while the machine sleeps, on
    /// machines where it does.
    pub behind: i64,
    /// The wall clock, in seconds ahead of the true one.
    pub ahead: i64,
}

/// Packets that the host behind a node sends.
#[derive(Clone, Debug)]
pub struct Talk {
    pub to: Vec<usize>,
    /// Between two bursts, about.
    pub pace: u64,
}

pub struct MeshNode {
    pub number: usize,
    /// Each start of a node is another life.
    pub life: u64,
    pub engine: Engine,
    pub clocks: Clocks,
    pub addresses: Vec<IpAddr>,
    shared: Rc<Shared>,
    workers: Workers,
    view: View,
    random: SeededRandom,
    dice: SimRandom,
    queue: VecDeque<Outgoing>,
    /// What the node waits for, in the simulation's time.
    later: BTreeMap<(u64, u64), Later>,
    serial: u64,
    talk: Talk,
    talk_at: u64,
    last_ticket: u64,
    pub done: BTreeSet<Ticket>,
    /// What has gone by, for `TIDEGATE_TRACE=1`.
    traced: bool,
}

struct Workers {
    outgoing: worker::Outgoing,
    incoming: Incoming,
    said: Said,
    /// The tables that held packets were tried with.
    published: u64,
}

/// What workers have said and not yet been heard of.
#[derive(Default)]
struct Said {
    ike: Vec<(Path, Vec<u8>)>,
    notices: Vec<Notice>,
    sent: Vec<Outgoing>,
    delivered: Vec<Vec<u8>>,
}

enum Later {
    Job(JobDone),
    Resolved(LookupId, Vec<IpAddr>),
}

impl Shared {
    pub fn new(judge: Judge) -> Self {
        let batch = RefCell::new(ReceiveBatch::new());
        Self { judge: RefCell::new(judge), directory: RefCell::default(), batch }
    }
}

impl MeshNode {
    pub fn new(now: u64, start: Start, shared: &Rc<Shared>) -> Self {
        let settings = Settings { ike: start.config, ..Settings::default() };
        let engine = Engine::new(settings, &SEEDED, Box::new(SeededRandom::new(start.seed)));
        let mut dice = SimRandom::new(start.seed);
        let mut node = Self {
            number: start.number,
            life: start.seed,
            workers: Workers::new(&engine, dice.next_u64()),
            view: engine.view(),
            engine,
            clocks: start.clocks,
            addresses: start.addresses,
            shared: Rc::clone(shared),
            random: SeededRandom::new(start.seed ^ 0x0b5),
            queue: VecDeque::new(),
            later: BTreeMap::new(),
            serial: 0,
            talk_at: now + dice.below(start.talk.pace),
            talk: start.talk,
            dice,
            last_ticket: 0,
            done: BTreeSet::new(),
            traced: std::env::var_os("TIDEGATE_TRACE").is_some(),
        };
        let addresses = node.addresses.clone();
        node.with(now, |engine, now| engine.set_local_addresses(now, addresses));
        for connection in start.connections {
            node.with(now, |engine, now| engine.load(now, connection)).expect("it is in order");
        }
        node
    }

    /// Lets the engine do something, and carries out what follows.
    pub fn with<T>(&mut self, now: u64, act: impl FnOnce(&mut Engine, Now) -> T) -> T {
        let moment = self.moment(now);
        let result = act(&mut self.engine, moment);
        self.follow_up(now);
        result
    }

    /// Opens a request.
    pub fn ask(&mut self, now: u64, ask: impl FnOnce(&mut Engine, Now, Ticket)) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.with(now, |engine, now| ask(engine, now, ticket));
        ticket
    }

    /// What the node's clocks show.
    pub fn moment(&self, now: u64) -> Now {
        let time = now.saturating_add_signed(-self.clocks.behind);
        let wall = (BEGINNING + now / SECOND).saturating_add_signed(self.clocks.ahead);
        Now { time: Time::from_nanos(time), wall: WallTime(wall) }
    }

    pub fn move_to(&mut self, now: u64, addresses: Vec<IpAddr>) {
        self.addresses.clone_from(&addresses);
        self.with(now, |engine, now| engine.set_local_addresses(now, addresses));
    }

    pub fn stop_talking(&mut self) {
        self.talk.to.clear();
    }

    /// Sends one packet to the host behind another node.
    pub fn send(&mut self, now: u64, to: usize) -> Number {
        let filler = self.dice.below(200) as usize;
        let (number, packet) = self.shared.judge.borrow_mut().make(self.number, to, filler);
        self.take_packet(now, packet);
        self.follow_up(now);
        number
    }

    /// Seals a packet for a peer as if it came from elsewhere, past all that our own rules would say. `false` where
    /// there is no SA with the peer.
    pub fn spoof(&mut self, claims: usize, peer: usize) -> bool {
        let honest = Judge::new(&mut SimRandom::new(0)).make(self.number, peer, 0).1;
        let flow = Inner::parse(&honest).expect("a packet").flow;
        let snapshot = self.view.current();
        let Decision::Protect(id) = snapshot.decide(&flow) else { return false };
        let Some(Carrier { sa, path, .. }) = snapshot.outbound(id) else { return false };
        let packet = self.shared.judge.borrow_mut().spoof(claims, peer);
        let mut bytes = vec![0; sa.esp.sealed_len(packet.len())];
        bytes[sa.esp.front_len()..][..packet.len()].copy_from_slice(&packet);
        let Ok(mut numbers) = sa.esp.reserve(1) else { return false };
        let length = numbers.seal(&mut bytes, packet.len()).expect("a small packet");
        bytes.truncate(length);
        self.queue.push_back(Outgoing { from: path.local, to: path.remote, bytes });
        true
    }

    /// How many bytes the engine held; the packets that waited in the workers are not counted.
    pub fn into_weight(self) -> i64 {
        let Self { engine, workers, view, .. } = self;
        drop((workers, view));
        let before = Usage::now();
        drop(engine);
        -Usage::since(before).live_bytes
    }

    fn follow_up(&mut self, now: u64) {
        loop {
            while let Some(action) = self.engine.poll_action() {
                self.carry_out(now, action);
            }
            let time = self.moment(now).time;
            self.workers.look_at_tables(time, &mut self.view);
            if !self.hear_workers(now) {
                return;
            }
        }
    }

    /// `false` when they have said nothing.
    fn hear_workers(&mut self, now: u64) -> bool {
        let Said { ike, notices, sent, delivered } = take(&mut self.workers.said);
        let silent = ike.is_empty() && notices.is_empty() && sent.is_empty() && delivered.is_empty();
        self.queue.extend(sent);
        for (path, bytes) in ike {
            let datagram = IkeDatagram { path, bytes: Bytes::from(bytes) };
            let moment = self.moment(now);
            self.engine.handle_datagram(moment, &datagram);
        }
        for notice in notices {
            let moment = self.moment(now);
            self.engine.handle_notice(moment, notice);
        }
        delivered.into_iter().for_each(|packet| self.deliver(now, packet));
        !silent
    }

    /// A packet has come through a tunnel: it is for our host, or we are to pass it on.
    fn deliver(&mut self, now: u64, mut packet: Vec<u8>) {
        if node_of(destination(&packet)) == Some(self.number) {
            return self.shared.judge.borrow_mut().arrive(self.number, &packet);
        }
        self.shared.judge.borrow_mut().pass_on(self.number, &packet);
        if count_hop(&mut packet) {
            self.take_packet(now, packet);
        }
    }

    fn take_packet(&mut self, now: u64, mut packet: Vec<u8>) {
        let time = self.moment(now).time;
        let Workers { outgoing, said, .. } = &mut self.workers;
        outgoing.take(time, &VirtioHeader::default(), &mut packet, said);
        outgoing.flush(said);
    }

    fn carry_out(&mut self, now: u64, action: Action) {
        match action {
            Action::Transmit(transmit) => {
                let (from, to) = (transmit.path.local, transmit.path.remote);
                self.queue.push_back(Outgoing { from, to, bytes: transmit.bytes });
            }
            Action::Job(job) => {
                let done = job.run(&mut self.random);
                let takes = self.dice.below(3 * MILLISECOND);
                self.later(now + takes, Later::Job(done));
            }
            Action::Resolve { lookup, names } => {
                let found = names.iter().filter_map(|name| self.look_up(name)).collect();
                let takes = between(&mut self.dice, (MILLISECOND, 200 * MILLISECOND));
                self.later(now + takes, Later::Resolved(lookup, found));
            }
            Action::Done { ticket, .. } => {
                self.done.insert(ticket);
            }
            Action::Event(event) => {
                if self.traced {
                    eprintln!("{:10.3} {}: {event:?}", now as f64 / SECOND as f64, self.number);
                }
            }
            Action::Capture { .. }
            | Action::LimitMtu { .. }
            | Action::Release(_)
            | Action::AddAddress(_)
            | Action::RemoveAddress(_) => {}
        }
    }

    fn look_up(&self, name: &str) -> Option<IpAddr> {
        name.parse().ok().or_else(|| self.shared.directory.borrow().get(name).copied())
    }

    fn later(&mut self, at: u64, later: Later) {
        self.serial += 1;
        self.later.insert((at, self.serial), later);
    }

    /// The host behind us has something to say, to one or another.
    fn talk(&mut self, now: u64) {
        self.talk_at = now + self.talk.pace / 2 + self.dice.below(self.talk.pace);
        if self.talk.to.is_empty() {
            return;
        }
        let to = self.talk.to[self.dice.below(self.talk.to.len() as u64) as usize];
        for _ in 0..=self.dice.below(4) {
            self.send(now, to);
        }
    }

    /// A deadline of the engine or of the workers in the simulation's time.
    fn in_true_time(&self, time: Time) -> u64 {
        time.as_nanos().saturating_add_signed(self.clocks.behind)
    }
}

impl Workers {
    fn new(engine: &Engine, seed: u64) -> Self {
        let settings = worker::Settings { seed, ..worker::Settings::small() };
        let plain = Offloads { tcp: false, udp: false };
        let mtus = || std::sync::Arc::clone(engine.path_mtus());
        Self {
            outgoing: worker::Outgoing::new(engine.view(), mtus(), &settings),
            incoming: Incoming::new(engine.view(), mtus(), plain),
            said: Said::default(),
            published: 0,
        }
    }

    /// Held packets are tried again when control has published.
    fn look_at_tables(&mut self, time: Time, view: &mut View) {
        let generation = view.current().generation();
        if std::mem::replace(&mut self.published, generation) != generation {
            self.tend(time);
        }
    }

    fn tend(&mut self, time: Time) {
        self.outgoing.tend(time, &mut self.said);
        self.outgoing.flush(&mut self.said);
    }
}

impl Control for Said {
    fn ike(&mut self, path: Path, bytes: &[u8]) {
        self.ike.push((path, bytes.to_vec()));
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

impl Outward for Said {
    fn send(&mut self, batch: &SendBatch) {
        self.sent.extend(batch.frames().iter().map(|frame| Outgoing {
            from: frame.departure.local,
            to: frame.departure.remote,
            bytes: batch.bytes(frame).to_vec(),
        }));
    }

    fn answer(&mut self, _packet: &[u8]) {}
}

impl Inward for Said {
    fn deliver(&mut self, _virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.delivered.push(parts.iter().flat_map(|part| part.iter().copied()).collect());
        Ok(())
    }
}

impl Node for MeshNode {
    fn receive(&mut self, now: u64, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        if self.traced {
            let seen = Seen::of(local.port(), bytes);
            eprintln!("{:10.3} {}: {local} < {remote} {seen:?}", now as f64 / SECOND as f64, self.number);
        }
        let channel = match local.port() {
            500 => Channel::Ike,
            4500 => Channel::Shared,
            _ => return,
        };
        let time = self.moment(now).time;
        {
            let mut batch = self.shared.batch.borrow_mut();
            batch.clear();
            assert!(batch.push(bytes, Arrival { local, remote, traffic_class: 0, channel }));
            let Workers { incoming, said, .. } = &mut self.workers;
            incoming.take(time, &mut batch, said);
        }
        self.follow_up(now);
    }

    fn next_wakeup(&self) -> Option<u64> {
        let now = Time::from_nanos(u64::MAX);
        let engine = self.engine.next_deadline().map(|at| self.in_true_time(at));
        let held = self.workers.outgoing.next_deadline(now).map(|at| self.in_true_time(at));
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        [engine, held, later, Some(self.talk_at)].into_iter().flatten().min()
    }

    fn wake(&mut self, now: u64) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Later::Job(done) => self.with(now, |engine, now| engine.job_done(now, done)),
                Later::Resolved(lookup, found) => {
                    self.with(now, |engine, now| engine.resolved(now, lookup, found));
                }
            }
        }
        if self.talk_at <= now {
            self.talk(now);
        }
        let time = self.moment(now).time;
        if self.workers.outgoing.next_deadline(Time::from_nanos(u64::MAX)).is_some_and(|at| at <= time) {
            self.workers.tend(time);
        }
        self.with(now, Engine::handle_timeout);
    }

    fn outgoing(&mut self) -> Option<Outgoing> {
        let sent = self.queue.pop_front()?;
        if self.traced {
            let Outgoing { from, to, bytes } = &sent;
            eprintln!("{:>10} {}: {from} > {to} {:?}", "", self.number, Seen::of(to.port(), bytes));
        }
        Some(sent)
    }
}

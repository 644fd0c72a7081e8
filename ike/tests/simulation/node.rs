//! A simulated node: an engine, its packet side, and an agent that wants its connections up.

use crate::plane::{Plane, Seen};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tidegate_esp::SelectorPair;
use tidegate_ike::crypto::{SEEDED, SeededRandom};
use tidegate_ike::endpoint::Phase;
use tidegate_ike::wire::Header;
use tidegate_ike::{
    Config, Connection, DataEvent, Endpoint, Event, Framing, Initiate, Now, Output, Path, SaId, Time,
    WallTime,
};
use tidegate_sim::{Node, Outgoing, SECOND};

/// How often the agent looks after its connections.
const AGENT: u64 = 2 * SECOND;

pub struct IkeNode {
    pub endpoint: Endpoint,
    pub plane: Plane,
    pub addresses: Vec<IpAddr>,
    random: SeededRandom,
    queue: VecDeque<Outgoing>,
    pub events: Vec<Event>,
    /// Connections that this node keeps up.
    pub keeps: Vec<String>,
    agent_at: u64,
    /// Packets go out on every child this often; 0 for never.
    pub pace: u64,
    packets_at: u64,
    pub packets_sent: u64,
    pub packets_lost_here: u64,
    traced: bool,
}

impl IkeNode {
    pub fn new(seed: u64, addresses: &[IpAddr], connections: Vec<Connection>) -> Self {
        let config = Config { cookie_threshold: 8, ..Config::default() };
        let mut endpoint = Endpoint::new(config, &SEEDED, Box::new(SeededRandom::new(seed)));
        connections.into_iter().for_each(|connection| endpoint.load(connection));
        endpoint.set_local_addresses(moment(0), addresses.to_vec());
        Self {
            endpoint,
            plane: Plane::default(),
            addresses: addresses.to_vec(),
            random: SeededRandom::new(seed ^ 0x0b5),
            queue: VecDeque::new(),
            events: Vec::new(),
            keeps: Vec::new(),
            agent_at: 0,
            pace: 0,
            packets_at: u64::MAX,
            packets_sent: 0,
            packets_lost_here: 0,
            traced: std::env::var_os("TIDEGATE_TRACE").is_some(),
        }
    }

    /// Lets the engine do something, and carries out what follows.
    pub fn with<T>(&mut self, now: u64, act: impl FnOnce(&mut Endpoint, Now) -> T) -> T {
        let result = act(&mut self.endpoint, moment(now));
        while let Some(output) = self.endpoint.poll_output() {
            self.trace(now, &output);
            match output {
                Output::Transmit(transmit) => self.queue.push_back(Outgoing {
                    from: transmit.path.local,
                    to: transmit.path.remote,
                    bytes: transmit.bytes,
                }),
                Output::Install(install) => self.plane.install(&install),
                Output::MoveOutbound { from, to } => self.plane.move_outbound(from, to),
                Output::Repath { child, path } => self.plane.repath(child, path),
                Output::Remove { child, direction } => self.plane.remove(child, direction),
                Output::Job(job) => {
                    let done = job.run(&mut self.random);
                    self.endpoint.job_done(moment(now), done);
                }
                Output::Event(event) => self.note(event),
            }
        }
        result
    }

    /// `TIDEGATE_TRACE=1` tells a run as it goes, to be read beside the RFC.
    fn trace(&self, now: u64, output: &Output) {
        if !self.traced {
            return;
        }
        let at = now as f64 / SECOND as f64;
        let who = self.addresses.first();
        match output {
            Output::Job(_) => {}
            Output::Transmit(transmit) => {
                let bytes = transmit.bytes.strip_prefix(&[0; 4]).unwrap_or(&transmit.bytes);
                if let Ok((header, _)) = Header::parse(bytes) {
                    let way = if header.response { "answers" } else { "asks" };
                    let (exchange, id) = (header.exchange, header.message_id.0);
                    eprintln!("{at:9.3} {who:?} {way} {exchange:?} {id}, {} bytes", bytes.len());
                }
            }
            output => eprintln!("{at:9.3} {who:?} {output:?}"),
        }
    }

    fn note(&mut self, event: Event) {
        if let Event::ChildRekeyed { old, new, .. } = &event {
            let shrinks = match (self.plane.selectors.get(old), self.plane.selectors.get(new)) {
                (Some(old), Some(new)) => !SelectorPair::contains(new, old),
                _ => false,
            };
            if shrinks {
                self.plane.fault(format!("{new} carries less than {old} did"));
            }
        }
        self.events.push(event);
    }

    pub fn start_packets(&mut self, now: u64, pace: u64) {
        self.pace = pace;
        self.packets_at = now;
    }

    pub fn stop_packets(&mut self) {
        self.packets_at = u64::MAX;
    }

    /// The IKE SAs of a connection that count.
    pub fn standing(&self, connection: &str) -> Vec<SaId> {
        self.endpoint
            .sas()
            .filter(|sa| sa.phase() == Phase::Established)
            .filter(|sa| sa.connection().is_some_and(|c| &*c.name == connection))
            .map(|sa| sa.id())
            .collect()
    }

    /// Whether nothing is under way.
    pub fn is_at_rest(&self) -> bool {
        self.endpoint.sas().all(|sa| {
            sa.phase() == Phase::Established && sa.is_quiet() && sa.children().all(|child| child.is_current())
        })
    }

    /// What an agent does: no SA, a new one; no child, a new one.
    fn look_after(&mut self, now: u64) {
        for name in self.keeps.clone() {
            let connecting = self.endpoint.sas().any(|sa| {
                sa.phase() == Phase::Connecting && sa.connection().is_some_and(|c| *c.name == *name)
            });
            let standing = self.standing(&name);
            match standing.first() {
                None if !connecting => {
                    let local = self.addresses.first().copied();
                    let wish = Initiate { connection: &name, child: None, local, remote: None };
                    let _ = self.with(now, |endpoint, now| endpoint.initiate(now, &wish));
                }
                Some(&sa) => {
                    let status = self.endpoint.status(sa).expect("it stands");
                    let bare = status.is_quiet() && !status.children().any(|child| child.is_current());
                    if bare {
                        let _ = self.with(now, |endpoint, now| endpoint.create_child(now, sa, "net"));
                    }
                }
                None => {}
            }
        }
    }

    fn send_packets(&mut self) {
        for (path, packet) in self.plane.send_all() {
            self.packets_sent += 1;
            self.queue.push_back(Outgoing { from: path.local, to: path.remote, bytes: packet });
        }
    }
}

impl Node for IkeNode {
    fn receive(&mut self, now: u64, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let framing = if local.port() == 500 { Framing::Bare } else { Framing::Marked };
        let is_ike = framing == Framing::Bare || bytes.starts_with(&[0; 4]);
        if is_ike {
            let path = Path { local, remote, framing };
            return self.with(now, |endpoint, now| endpoint.handle_datagram(now, path, bytes));
        }
        match self.plane.receive(bytes) {
            Seen::Nothing => {}
            Seen::Unknown => self.packets_lost_here += 1,
            Seen::Packet { child, first, newest } => self.with(now, |endpoint, now| {
                if first {
                    endpoint.handle_data(now, DataEvent::FirstInbound(child));
                }
                endpoint.handle_data(now, DataEvent::Activity { child, remote });
                if newest {
                    endpoint.handle_data(now, DataEvent::PeerMoved { child, remote });
                }
            }),
        }
    }

    fn next_wakeup(&self) -> Option<u64> {
        let engine = self.endpoint.next_deadline().map(|(at, ..)| at.as_nanos());
        let agent = (!self.keeps.is_empty()).then_some(self.agent_at);
        let packets = (self.packets_at != u64::MAX).then_some(self.packets_at);
        [engine, agent, packets].into_iter().flatten().min()
    }

    fn wake(&mut self, now: u64) {
        self.with(now, Endpoint::handle_timeout);
        if !self.keeps.is_empty() && self.agent_at <= now {
            self.agent_at = now + AGENT;
            self.look_after(now);
        }
        if self.packets_at <= now {
            self.packets_at = now + self.pace;
            self.send_packets();
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

pub fn seconds(range: (u64, u64), draw: u64) -> Duration {
    Duration::from_secs(range.0 + draw % (range.1 - range.0 + 1))
}

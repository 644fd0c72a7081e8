//! Two endpoints on one desk: every datagram passes through the test's hands.
//!
//! Nothing here waits: time moves only when the test says so, and a datagram arrives only when it is
//! delivered. Jobs are done at once unless a test holds them back.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::{Direction, Limits, Marking, Params, Spi, TfcPadding, TrafficSelector};
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::{
    ChildConfig, ChildLifetimes, ChildStart, Childless, Connection, EncapsulationPolicy, Fragmentation,
    IkeLifetimes, LocalEnd, RemoteEnd, RequestCertificates, Retransmission, SendCertificates, Unique,
};
use tidegate_ike::crypto::{SEEDED, Secret, SeededRandom};
use tidegate_ike::endpoint::{ChildStatus, Phase};
use tidegate_ike::identity::{Identity, IdentityPattern};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::output::{Duty, Install};
use tidegate_ike::proposal::{EspProposal, IkeProposal};
use tidegate_ike::{
    Config, Endpoint, Event, Framing, Initiate, Job, Now, Output, Path, SaId, Time, Transmit, WallTime,
};

/// The wall clock of the tests: 2026-01-01.
pub const WALL: WallTime = WallTime(1_767_225_600);

/// One end, with what its packet side would hold.
pub struct Host {
    pub endpoint: Endpoint,
    pub address: IpAddr,
    pub random: SeededRandom,
    /// Datagrams that it has sent and nobody has delivered yet.
    pub sent: VecDeque<Transmit>,
    pub events: Vec<Event>,
    /// Both directions of every child, by the child's inbound SPI.
    pub installed: BTreeMap<(Spi, Direction), Params>,
    /// Where traffic of each child goes out: by name, the child that carries it.
    pub carries: BTreeMap<String, Spi>,
    /// Children that were ever installed for inbound, by name.
    pub names: BTreeMap<Spi, String>,
    /// Jobs held back.
    pub jobs: VecDeque<Job>,
    pub hold_jobs: bool,
}

/// Two ends.
pub struct Pair {
    pub now: Time,
    pub a: Host,
    pub b: Host,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    A,
    B,
}

pub const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub const B: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

impl End {
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl Host {
    pub fn new(seed: u64, address: IpAddr, config: Config) -> Self {
        let random = SeededRandom::new(seed);
        let mut endpoint = Endpoint::new(config, &SEEDED, Box::new(SeededRandom::new(seed ^ 0x5eed)));
        let now = Now { time: Time::ZERO, wall: WALL };
        endpoint.set_local_addresses(now, vec![address]);
        Self {
            endpoint,
            address,
            random,
            sent: VecDeque::new(),
            events: Vec::new(),
            installed: BTreeMap::new(),
            carries: BTreeMap::new(),
            names: BTreeMap::new(),
            jobs: VecDeque::new(),
            hold_jobs: false,
        }
    }

    /// Takes out everything that the endpoint has to say.
    pub fn drain(&mut self, now: Time) {
        while let Some(output) = self.endpoint.poll_output() {
            self.take(now, output);
        }
    }

    fn take(&mut self, now: Time, output: Output) {
        match output {
            Output::Transmit(transmit) => self.sent.push_back(transmit),
            Output::Install(install) => self.install(*install),
            Output::MoveOutbound { from, to } => {
                // What went out elsewhere stays there.
                for carrier in self.carries.values_mut().filter(|carrier| **carrier == from) {
                    *carrier = to;
                }
            }
            Output::Repath { child, path } => {
                for ((spi, _), params) in &mut self.installed {
                    if *spi == child {
                        params.path = path;
                    }
                }
            }
            Output::Remove { child, direction } => {
                self.installed.remove(&(child, direction));
                if direction == Direction::Outbound {
                    self.carries.retain(|_, carrier| *carrier != child);
                }
            }
            Output::Job(job) if self.hold_jobs => self.jobs.push_back(job),
            Output::Job(job) => {
                let done = job.run(&mut self.random);
                self.endpoint.job_done(Now { time: now, wall: WALL }, done);
            }
            Output::Event(event) => self.events.push(event),
        }
    }

    fn install(&mut self, install: Install) {
        let Install { child, name, params, duty } = install;
        self.names.insert(child, name.to_string());
        if params.direction == Direction::Outbound && duty == Duty::Active {
            self.carries.insert(name.to_string(), child);
        }
        self.installed.insert((child, params.direction), params);
    }

    /// Does the jobs that were held back.
    pub fn run_jobs(&mut self, now: Time) {
        self.hold_jobs = false;
        while let Some(job) = self.jobs.pop_front() {
            let done = job.run(&mut self.random);
            self.endpoint.job_done(Now { time: now, wall: WALL }, done);
            self.drain(now);
        }
    }

    /// Its established IKE SAs that count.
    pub fn standing(&self) -> Vec<SaId> {
        self.endpoint.sas().filter(|sa| sa.phase() == Phase::Established).map(|sa| sa.id()).collect()
    }

    /// Inbound SPIs of the children that count.
    pub fn children(&self) -> Vec<Spi> {
        self.endpoint
            .sas()
            .flat_map(|sa| {
                sa.children().filter(ChildStatus::is_current).map(|child| child.inbound()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// The verdicts of failed attempts.
    pub fn failures(&self) -> Vec<&tidegate_ike::Verdict> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::IkeFailed { verdict, .. }
                | Event::ChildFailed { verdict, .. }
                | Event::Refused { verdict, .. }
                | Event::Warning { verdict, .. } => Some(verdict),
                _ => None,
            })
            .collect()
    }
}

impl Pair {
    /// Two ends with these connections.
    pub fn new(seed: u64, a: Connection, b: Connection) -> Self {
        Self::with_config(seed, a, b, Config::default())
    }

    pub fn with_config(seed: u64, a: Connection, b: Connection, config: Config) -> Self {
        let mut pair = Self {
            now: Time::from_nanos(1_000_000_000),
            a: Host::new(seed, A, config.clone()),
            b: Host::new(seed ^ u64::MAX, B, config),
        };
        pair.a.endpoint.load(a);
        pair.b.endpoint.load(b);
        pair
    }

    /// Two ends that share a secret and one child each way.
    pub fn psk(seed: u64) -> Self {
        Self::new(seed, connection(End::A), connection(End::B))
    }

    /// The same with an IKE SA and its child up.
    pub fn established(seed: u64) -> Self {
        let mut pair = Self::psk(seed);
        pair.set_up();
        pair
    }

    pub fn set_up(&mut self) {
        self.initiate(End::A);
        self.settle();
        assert_eq!(self.a.standing().len(), 1, "{:?}", self.a.events);
        assert_eq!(self.b.standing().len(), 1, "{:?}", self.b.events);
    }

    pub fn host(&mut self, end: End) -> &mut Host {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    pub fn now(&self) -> Now {
        Now { time: self.now, wall: WALL }
    }

    /// Lets one end do something, and collects what follows.
    pub fn with<T>(&mut self, end: End, act: impl FnOnce(&mut Endpoint, Now) -> T) -> T {
        let now = self.now();
        let time = self.now;
        let host = self.host(end);
        let result = act(&mut host.endpoint, now);
        host.drain(time);
        result
    }

    pub fn initiate(&mut self, end: End) -> SaId {
        let wish = Initiate { connection: "peer", child: None, local: None, remote: None };
        self.with(end, |endpoint, now| endpoint.initiate(now, &wish)).unwrap()
    }

    /// The one IKE SA that counts.
    pub fn sa(&mut self, end: End) -> SaId {
        let standing = self.host(end).standing();
        assert_eq!(standing.len(), 1);
        standing[0]
    }

    /// The one child that counts.
    pub fn child(&mut self, end: End) -> Spi {
        let children = self.host(end).children();
        assert_eq!(children.len(), 1);
        children[0]
    }

    /// Takes the next datagram that an end has sent.
    pub fn take(&mut self, from: End) -> Transmit {
        self.host(from).sent.pop_front().expect("nothing was sent")
    }

    /// Hands a datagram over as if it came from where it says.
    pub fn deliver(&mut self, to: End, transmit: &Transmit) {
        let path = mirrored(&transmit.path);
        self.with(to, |endpoint, now| endpoint.handle_datagram(now, path, &transmit.bytes));
    }

    /// Delivers the oldest datagram of one end; false if there is none.
    pub fn pass(&mut self, from: End) -> bool {
        let Some(transmit) = self.host(from).sent.pop_front() else { return false };
        self.deliver(from.other(), &transmit);
        true
    }

    /// Delivers everything, in turn, until nothing is sent any more.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let any = self.pass(End::A) | self.pass(End::B);
            if !any {
                return;
            }
        }
        panic!("the two ends never stop talking");
    }

    /// Moves the clock, stopping at every deadline on the way; nothing is delivered.
    pub fn sleep(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let next = [&self.a, &self.b]
                .into_iter()
                .filter_map(|host| host.endpoint.next_deadline().map(|(at, ..)| at))
                .min();
            match next {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    self.with(End::A, Endpoint::handle_timeout);
                    self.with(End::B, Endpoint::handle_timeout);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// Moves the clock and delivers everything that is sent on the way.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        while self.now < end {
            let next = [&self.a, &self.b]
                .into_iter()
                .filter_map(|host| host.endpoint.next_deadline().map(|(at, ..)| at))
                .min();
            match next {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    self.with(End::A, Endpoint::handle_timeout);
                    self.with(End::B, Endpoint::handle_timeout);
                    self.settle();
                }
                _ => self.now = end,
            }
        }
    }

    /// Both ends hold the same children, with the same keys in matching directions, and what one sends on
    /// the other can open.
    #[track_caller]
    pub fn assert_agree(&self) {
        for (one, other) in [(&self.a, &self.b), (&self.b, &self.a)] {
            for ((_, direction), params) in &one.installed {
                if *direction == Direction::Inbound {
                    continue;
                }
                let twin = other.installed.get(&(params.spi, Direction::Inbound));
                let twin = twin.unwrap_or_else(|| panic!("the other end cannot open {}", params.spi));
                assert_eq!(twin.keys.encryption, params.keys.encryption, "keys differ");
                assert_eq!(twin.keys.integrity, params.keys.integrity, "keys differ");
                assert_eq!(twin.suite, params.suite);
                assert_eq!(twin.selectors.local, params.selectors.remote);
                assert_eq!(twin.selectors.remote, params.selectors.local);
            }
        }
        let count = |host: &Host| host.endpoint.sas().filter(|sa| sa.phase() == Phase::Established).count();
        assert_eq!(count(&self.a), count(&self.b), "one end holds an IKE SA that the other does not");
        assert_eq!(self.a.children().len(), self.b.children().len(), "one end holds a child more");
    }
}

/// As the receiver of a datagram sees its path.
pub fn mirrored(path: &Path) -> Path {
    Path { local: path.remote, remote: path.local, framing: path.framing }
}

pub fn selector(text: &str) -> TrafficSelector {
    text.parse().unwrap()
}

pub fn fixed(list: &[&str]) -> Vec<ConfiguredSelector> {
    list.iter().map(|text| ConfiguredSelector::Fixed(selector(text))).collect()
}

pub fn identity(text: &str) -> Identity {
    text.parse().unwrap()
}

pub fn subnet(end: End) -> &'static str {
    match end {
        End::A => "10.1.0.0/16",
        End::B => "10.2.0.0/16",
    }
}

pub fn child(end: End) -> ChildConfig {
    ChildConfig {
        name: "net".into(),
        local: fixed(&[subnet(end)]),
        remote: fixed(&[subnet(end.other())]),
        proposals: EspProposal::parse_list("aes128gcm16-x25519,aes128gcm16").unwrap(),
        lifetimes: ChildLifetimes::default(),
        replay_window: 1024,
        tfc: TfcPadding::default(),
        marking: Marking::default(),
        start: ChildStart::WithIke,
    }
}

/// One end's half of a connection with a shared secret.
pub fn connection(end: End) -> Connection {
    let (name, peer, remote) = match end {
        End::A => ("a.example", "b.example", B),
        End::B => ("b.example", "a.example", A),
    };
    let secret = || Secret::new(b"as secret as a test can be".to_vec());
    Connection {
        name: "peer".into(),
        local: LocalEnd {
            identity: identity(name),
            auth: Arc::new(LocalAuth::Psk(secret())),
            further: Vec::new(),
            addresses: Vec::new(),
            port: 500,
        },
        remote: RemoteEnd {
            identity: IdentityPattern::Exact(identity(peer)),
            auth: Arc::new(RemoteAuth::Psk(secret())),
            further: Vec::new(),
            addresses: vec![tidegate_esp::AddressRange::host(remote)],
            port: 500,
        },
        proposals: IkeProposal::parse_list("aes128gcm16-prfsha256-x25519").unwrap(),
        children: vec![Arc::new(child(end))],
        lifetimes: IkeLifetimes::default(),
        liveness: Some(Duration::from_secs(10)),
        retransmission: Retransmission::default(),
        fragmentation: Fragmentation::default(),
        encapsulation: EncapsulationPolicy::Udp,
        mobike: false,
        childless: Childless::Allow,
        request_addresses: Vec::new(),
        pools: Vec::new(),
        verify_pfs: false,
        send_certificates: SendCertificates::default(),
        request_certificates: RequestCertificates::default(),
        unique: Unique::default(),
    }
}

/// A datagram from one end's address to the other's, for forgeries.
pub fn forged(from: End, bytes: Vec<u8>) -> Transmit {
    let (local, remote) = match from {
        End::A => (A, B),
        End::B => (B, A),
    };
    let path = Path {
        local: SocketAddr::new(local, 500),
        remote: SocketAddr::new(remote, 500),
        framing: Framing::Bare,
    };
    Transmit { path, bytes }
}

pub const NO_LIMITS: Limits = Limits::NONE;

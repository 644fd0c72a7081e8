//! Two IKE endpoints on one thread, many SAs between them, each end watched by a meter of its own.
//!
//! Every peer has a name and an address of its own, and both ends have a connection for it, as a mesh has.
//! Messages of several handshakes go back and forth together, so that a meter is read seldom.

use crate::meter::{Meter, Stopwatch};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::crypto::Backend;
use tidegate_esp::{
    AddressRange, Direction, Inbound, IvSecret, Marking, Outbound, Params, TfcPadding, TrafficSelector,
};
use tidegate_ike::auth::{
    LocalAuth, LocalCertificate, RemoteAuth, RemoteCertificates, Revocation, RsaPadding, RsaSha1, TrustStore,
};
use tidegate_ike::connection::{
    ChildConfig, ChildLifetimes, ChildStart, Childless, Connection, EncapsulationPolicy, Fragmentation,
    IkeLifetimes, LocalEnd, RemoteEnd, RequestCertificates, Retransmission, SendCertificates, Unique,
};
use tidegate_ike::crypto::{RING, Secret, SigningKey, SystemRandom, pem};
use tidegate_ike::identity::{Identity, IdentityPattern};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::proposal::{EspProposal, IkeProposal};
use tidegate_ike::{Config, Endpoint, Initiate, Now, Output, Path, Time, Transmit, WallTime};

/// 2026-01-01, when the test certificates are valid.
const WALL: WallTime = WallTime(1_767_225_600);

const HUB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// How both ends prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A secret; each peer has a name of its own.
    Psk,
    /// A certificate with a P-256 key, signed by a root with such a key; all peers share it.
    EcdsaP256,
    /// The same with RSA keys of 2048 bits.
    Rsa2048,
}

/// Many initiators in one endpoint, and the responder of them all in another.
pub struct Pair<I, R> {
    /// The end that begins.
    pub initiator: End<I>,
    /// The end that answers.
    pub responder: End<R>,
    now: Time,
    credentials: Credentials,
    begun: u32,
}

/// One end, with what its packet side holds.
pub struct End<M> {
    endpoint: Endpoint,
    /// Watches all that this end does.
    pub meter: M,
    random: SystemRandom,
    sent: Vec<Transmit>,
    packet_side: Option<PacketSide>,
}

/// ESP state as it is kept for workers.
struct PacketSide {
    inbound: Vec<Arc<Inbound>>,
    outbound: Vec<Arc<Outbound>>,
}

impl Credentials {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Psk, Self::EcdsaP256, Self::Rsa2048];

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psk => "psk",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Rsa2048 => "rsa-2048",
        }
    }

    /// The key that signs, where one does.
    pub fn key(self) -> Option<Arc<dyn SigningKey>> {
        let text = match self {
            Self::Psk => return None,
            Self::EcdsaP256 => include_str!("../../ike/tests/data/certs/moon.key"),
            Self::Rsa2048 => include_str!("../../ike/tests/data/certs/moon-rsa.key"),
        };
        let der = pem::private_key(text).expect("a key in PEM");
        Some((RING.load_key)(&der).expect("a key that ring can use").into())
    }

    /// Who a peer is, and how it shows it.
    fn local(self, peer: &str) -> (Identity, LocalAuth) {
        let (identity, certificate) = match self {
            Self::Psk => return (identity(peer), LocalAuth::Psk(secret())),
            Self::EcdsaP256 => {
                ("C=CH, O=Tidegate, CN=moon.example.net", include_str!("../../ike/tests/data/certs/moon.pem"))
            }
            Self::Rsa2048 => (
                "C=CH, O=Tidegate, CN=by-root-rsa",
                include_str!("../../ike/tests/data/certs/by-root-rsa.pem"),
            ),
        };
        let chain = pem::certificates(certificate).expect("a certificate in PEM");
        let key = self.key().expect("certificates have keys");
        let certificate =
            LocalCertificate::new(&chain, key, RsaPadding::Pkcs1).expect("key and certificate fit");
        (self::identity(identity), LocalAuth::Certificate(certificate))
    }

    fn remote(self) -> RemoteAuth {
        let root = match self {
            Self::Psk => return RemoteAuth::Psk(secret()),
            Self::EcdsaP256 => include_str!("../../ike/tests/data/certs/root.pem"),
            Self::Rsa2048 => include_str!("../../ike/tests/data/certs/root-rsa.pem"),
        };
        let root = pem::certificates(root).expect("a certificate in PEM");
        let mut store = TrustStore::new(WallTime(0), Revocation::Relaxed);
        store.add_anchor(&root[0]).expect("the root is a CA");
        let store = Arc::new(store);
        RemoteAuth::Certificates(RemoteCertificates { store, issuers: Vec::new(), rsa_sha1: RsaSha1::Refuse })
    }
}

impl<I: Meter, R: Meter> Pair<I, R> {
    /// Two ends that know of as many peers.
    pub fn new(credentials: Credentials, peers: u32, initiator: I, responder: R) -> Self {
        let mut pair = Self {
            initiator: End::new(initiator),
            responder: End::new(responder),
            now: Time::from_nanos(1_000_000_000),
            credentials,
            begun: 0,
        };
        let (local, remote) = (credentials.local("hub.example"), Arc::new(credentials.remote()));
        let hub = (local.0, Arc::new(local.1));
        let shared = credentials.local("edge.example");
        let shared = (shared.0, Arc::new(shared.1));
        let (edge_child, hub_child) =
            (child("10.1.0.0/16", "10.2.0.0/16"), child("10.2.0.0/16", "10.1.0.0/16"));
        for peer in 0..peers {
            let edge = match credentials {
                Credentials::Psk => (identity(&edge_name(peer)), Arc::clone(&shared.1)),
                _ => (shared.0.clone(), Arc::clone(&shared.1)),
            };
            let expected = IdentityPattern::Exact(edge.0.clone());
            let here = AddressRange::host(IpAddr::V4(HUB));
            let from = connection(peer, edge, IdentityPattern::Any, &remote, vec![here], &edge_child);
            pair.initiator.endpoint.load(from);
            // Those with one certificate look the same to the responder.
            if credentials == Credentials::Psk || peer == 0 {
                let at = connection(peer, hub.clone(), expected, &remote, Vec::new(), &hub_child);
                pair.responder.endpoint.load(at);
            }
        }
        pair
    }

    /// Keeps ESP state of every child, for so many.
    pub fn keep_packet_side(&mut self, children: usize) {
        self.initiator.packet_side = Some(PacketSide::with_room(children));
        self.responder.packet_side = Some(PacketSide::with_room(children));
    }

    /// Sets up so many IKE SAs more, each with a child, all at once.
    pub fn establish(&mut self, count: u32) {
        let first = self.begun;
        self.begun += count;
        let held = self.begun as usize;
        let now = self.now();
        self.initiator.act(now, |endpoint| {
            for peer in first..first + count {
                let name = edge_name(peer);
                let local = Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a80_0000 + peer)));
                let wish = Initiate { connection: &name, child: None, local, remote: None };
                endpoint.initiate(now, &wish).expect("the connection is there");
            }
        });
        self.settle();
        assert_eq!(self.initiator.standing(), held as u64, "some {} did not stand", self.credentials.name());
        assert_eq!(self.responder.standing(), held as u64);
        assert_eq!(self.responder.endpoint.len(), held);
    }

    /// Lets time pass, second by second: each end asks the other for a sign of life where it was silent.
    pub fn sleep(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            let now = self.now();
            self.initiator.act(now, |endpoint| endpoint.handle_timeout(now));
            self.settle();
            self.responder.act(now, |endpoint| endpoint.handle_timeout(now));
            self.settle();
        }
    }

    fn settle(&mut self) {
        let now = self.now();
        while !self.initiator.sent.is_empty() || !self.responder.sent.is_empty() {
            let messages = self.initiator.take_sent();
            self.responder.receive(now, &messages);
            let messages = self.responder.take_sent();
            self.initiator.receive(now, &messages);
        }
    }

    fn now(&self) -> Now {
        Now { time: self.now, wall: WALL }
    }
}

impl Pair<Stopwatch, Stopwatch> {
    /// What has been measured so far does not count.
    pub fn forget(&mut self) {
        self.initiator.meter.lap();
        self.responder.meter.lap();
    }
}

impl<M: Meter> End<M> {
    fn new(meter: M) -> Self {
        Self {
            // A handshake is one of a batch, and a batch is no flood.
            endpoint: Endpoint::new(
                Config { cookie_threshold: usize::MAX, ..Config::default() },
                &RING,
                Box::new(SystemRandom::new()),
            ),
            meter,
            random: SystemRandom::new(),
            sent: Vec::new(),
            packet_side: None,
        }
    }

    /// IKE SAs that were ever set up.
    fn standing(&self) -> u64 {
        self.endpoint.counters().established
    }

    fn receive(&mut self, now: Now, messages: &[Transmit]) {
        self.act(now, |endpoint| {
            for Transmit { path, bytes } in messages {
                let path = Path { local: path.remote, remote: path.local, framing: path.framing };
                endpoint.handle_datagram(now, path, bytes);
            }
        });
    }

    /// Does something, and all that follows from it: jobs are part of a handshake.
    fn act(&mut self, now: Now, act: impl FnOnce(&mut Endpoint)) {
        let Self { endpoint, meter, random, sent, packet_side } = self;
        meter.during(|| {
            act(endpoint);
            while let Some(output) = endpoint.poll_output() {
                match output {
                    Output::Transmit(transmit) => sent.push(transmit),
                    Output::Job(job) => endpoint.job_done(now, job.run(random)),
                    Output::Install(install) => {
                        if let Some(packet_side) = packet_side {
                            packet_side.install(&install.params);
                        }
                    }
                    _ => {}
                }
            }
        });
    }

    /// What is on its way is no longer this end's.
    fn take_sent(&mut self) -> Vec<Transmit> {
        let sent = self.sent.clone();
        self.meter.during(|| self.sent.clear());
        sent
    }
}

impl PacketSide {
    fn with_room(children: usize) -> Self {
        Self { inbound: Vec::with_capacity(children), outbound: Vec::with_capacity(children) }
    }

    fn install(&mut self, params: &Params) {
        match params.direction {
            Direction::Inbound => {
                let inbound = Inbound::new(Backend::Ring, params).expect("the keys fit");
                self.inbound.push(Arc::new(inbound));
            }
            Direction::Outbound => {
                let secret = IvSecret::new([7; 16]);
                let outbound = Outbound::new(Backend::Ring, params, &secret).expect("the keys fit");
                self.outbound.push(Arc::new(outbound));
            }
        }
    }
}

fn edge_name(peer: u32) -> String {
    format!("edge-{peer:05}.example")
}

fn identity(text: &str) -> Identity {
    text.parse().expect("an identity")
}

fn secret() -> Secret {
    Secret::new(b"nobody guesses this in a benchmark".to_vec())
}

fn child(local: &str, remote: &str) -> Arc<ChildConfig> {
    let fixed = |text: &str| {
        let selector: TrafficSelector = text.parse().expect("a selector");
        vec![ConfiguredSelector::Fixed(selector)]
    };
    Arc::new(ChildConfig {
        name: "net".into(),
        local: fixed(local),
        remote: fixed(remote),
        proposals: EspProposal::parse_list("aes128gcm16").expect("a proposal"),
        lifetimes: ChildLifetimes::default(),
        replay_window: 1024,
        tfc: TfcPadding::default(),
        marking: Marking::default(),
        start: ChildStart::WithIke,
    })
}

fn connection(
    peer: u32,
    (identity, auth): (Identity, Arc<LocalAuth>),
    expected: IdentityPattern,
    remote: &Arc<RemoteAuth>,
    addresses: Vec<AddressRange>,
    child: &Arc<ChildConfig>,
) -> Connection {
    Connection {
        name: edge_name(peer).into(),
        local: LocalEnd { identity, auth, further: Vec::new(), addresses: Vec::new(), port: 500 },
        remote: RemoteEnd {
            identity: expected,
            auth: Arc::clone(remote),
            further: Vec::new(),
            addresses,
            port: 500,
        },
        proposals: IkeProposal::parse_list("aes128gcm16-prfsha256-x25519").expect("a proposal"),
        children: vec![Arc::clone(child)],
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

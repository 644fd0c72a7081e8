//! A peer that holds the keys and obeys nobody: it seals whatever it is told to.
//!
//! It is built from the wire and the key schedule alone, apart from the engine under test, so that what it
//! says owes nothing to the state machine that it talks to.

#![allow(dead_code, unreachable_pub, reason = "each user has its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use super::support::{A, B, Host, WALL, child, connection, forged, identity};
use super::support::{End, mirrored};
use tidegate_esp::Spi;
use tidegate_esp::crypto::{OpeningKey, SealingKey};
use tidegate_ike::auth::{method, psk_auth, signed_octets};
use tidegate_ike::connection::Connection;
use tidegate_ike::crypto::{PrivateValue, SEEDED, SeededRandom};
use tidegate_ike::keys::{IkeKeys, Inputs};
use tidegate_ike::proposal::{IkeChoice, IkeProposal, confirm_ike, esp_offer, ike_offer};
use tidegate_ike::wire::{
    AuthPayload, AuthRequest, AuthResponse, ChildOffer, ChildOutcome, Envelope, ExchangeType, Header, IkeSpi,
    KeyExchange, MessageId, NatDetection, Part, PayloadChain, Proposal, SaInitAccepted, SaInitRequest,
    SaInitResponse, Sealed, SealingSizes, unpad,
};
use tidegate_ike::{Config, Now, Time, Transmit};

/// An initiator with keys.
pub struct Evil {
    choice: IkeChoice,
    keys: IkeKeys,
    spis: (IkeSpi, IkeSpi),
    iv: u64,
    /// The id of its next request.
    pub next: u32,
    /// Its own SPI of the first child, and the victim's.
    pub child: (Spi, Spi),
}

/// What the victim has said, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub header: Header,
    pub first: u8,
    pub bytes: Vec<u8>,
}

/// The victim, at B, with the evil one at A.
pub struct Scene {
    pub victim: Host,
    pub evil: Evil,
    pub now: Time,
    /// Where the evil one speaks from.
    pub from: std::net::IpAddr,
}

/// What the evil one has sent and got back so far.
pub struct Knock {
    pub request: Vec<u8>,
    pub spi: IkeSpi,
    nonce: Vec<u8>,
    offered: Vec<Proposal>,
    private: Box<dyn PrivateValue>,
}

/// The SPI that the evil one gives its first child.
pub const EVIL_SPI: u32 = 0x6666_0001;

impl Knock {
    /// An IKE_SA_INIT like any other; `salt` makes it another one.
    pub fn new(salt: u64) -> Self {
        let mut random = SeededRandom::new(salt ^ 0xe711);
        let proposals = IkeProposal::parse_list("aes128gcm16-prfsha256-x25519").unwrap();
        let offered = ike_offer(&proposals, &[]);
        let group = SEEDED.group(proposals[0].groups[0]).unwrap();
        let private = group.generate(&mut random).unwrap();
        let spi = IkeSpi(salt | 0xe000_0000_0000_0000);
        let nonce: Vec<u8> = (0..32).map(|i| (salt as u8).wrapping_add(i)).collect();
        let mut knock = Self { request: Vec::new(), spi, nonce, offered, private };
        knock.request = knock.with_cookie(None);
        knock
    }

    pub fn message(&self, cookie: Option<Vec<u8>>) -> SaInitRequest {
        SaInitRequest {
            cookie,
            proposals: self.offered.clone(),
            key_exchange: KeyExchange { group: 31, public: self.private.public().to_vec() },
            nonce: self.nonce.clone(),
            nat: NatDetection::default(),
            fragmentation: true,
            signature_hashes: Vec::new(),
            notifies: Vec::new(),
        }
    }

    pub fn with_cookie(&self, cookie: Option<Vec<u8>>) -> Vec<u8> {
        self.datagram(&self.message(cookie))
    }

    pub fn datagram(&self, message: &SaInitRequest) -> Vec<u8> {
        let header = clear(self.spi, IkeSpi(0), ExchangeType::IkeSaInit, 0);
        header.emit_with(&message.emit()).unwrap()
    }

    /// Goes on with the victim's answer.
    pub fn accepted(self, answer: &[u8]) -> (Evil, AuthRequest) {
        let (header, body) = Header::parse(answer).unwrap();
        let SaInitResponse::Accepted(accepted) = SaInitResponse::parse(header.next_payload, body).unwrap()
        else {
            panic!("not accepted");
        };
        let SaInitAccepted { proposal, key_exchange, nonce, .. } = accepted;
        let choice = confirm_ike(&self.offered, &proposal).unwrap();
        let shared = self.private.agree(&key_exchange.public).unwrap();
        let prf = SEEDED.prf(choice.prf).unwrap();
        let spis = (header.initiator_spi, header.responder_spi);
        let inputs =
            Inputs { shared: &shared, nonce_i: &self.nonce, nonce_r: &nonce, spi_i: spis.0, spi_r: spis.1 };
        let (keys, auth) = IkeKeys::derive(prf, choice.suite, &inputs).unwrap();
        let id = identity("a.example").to_payload();
        let octets = signed_octets(&self.request, &nonce, &*prf.key(&auth.sk_pi), &id);
        let proof = psk_auth(prf, b"as secret as a test can be", &octets);
        let spi = Spi::new(EVIL_SPI).unwrap();
        let request = AuthRequest {
            initiator_id: id,
            responder_id: None,
            certificates: Vec::new(),
            certificate_requests: Vec::new(),
            authentication: Some(AuthPayload { method: method::SHARED_KEY, data: proof.to_vec() }),
            configuration: None,
            child: Some(offer(spi)),
            initial_contact: false,
            mobike: false,
            additional_addresses: None,
            no_nats_allowed: None,
            notifies: Vec::new(),
        };
        (Evil { choice, keys, spis, iv: 0, next: 1, child: (spi, spi) }, request)
    }
}

/// The offer of a child as the engine itself would make it.
pub fn offer(spi: Spi) -> ChildOffer {
    let config = child(End::A);
    let resolve = |list: &[_]| tidegate_ike::narrow::resolve(list, &[]);
    ChildOffer {
        proposals: esp_offer(&config.proposals, spi, false),
        initiator_selectors: resolve(&config.local),
        responder_selectors: resolve(&config.remote),
        transport_mode: false,
        no_tfc_padding: false,
    }
}

/// The header of a message in clear from an initiator.
pub fn clear(initiator: IkeSpi, responder: IkeSpi, exchange: ExchangeType, id: u32) -> Header {
    Header {
        initiator_spi: initiator,
        responder_spi: responder,
        next_payload: 0,
        major_version: 2,
        minor_version: 0,
        exchange,
        from_initiator: true,
        higher_version: false,
        response: false,
        message_id: MessageId(id),
        length: 0,
    }
}

impl Evil {
    fn header(&self, exchange: ExchangeType, response: bool, id: u32) -> Header {
        Header { response, ..clear(self.spis.0, self.spis.1, exchange, id) }
    }

    pub fn spis(&self) -> (IkeSpi, IkeSpi) {
        self.spis
    }

    /// Seals any payloads as a message of any kind.
    pub fn seal(&mut self, exchange: ExchangeType, response: bool, id: u32, chain: &PayloadChain) -> Vec<u8> {
        self.seal_part(exchange, response, id, Part::Whole, chain.first, &chain.bytes)
    }

    /// Seals any bytes as any part of a message.
    pub fn seal_part(
        &mut self,
        exchange: ExchangeType,
        response: bool,
        id: u32,
        part: Part,
        first: u8,
        plain: &[u8],
    ) -> Vec<u8> {
        let header = self.header(exchange, response, id);
        let suite = self.choice.suite;
        let sizes = SealingSizes { iv: suite.iv_len(), block: 1, icv: suite.icv_len() };
        let key = SealingKey::new(SEEDED.ciphers, suite, &self.keys.initiator()).unwrap();
        let Envelope { mut datagram, aad_len, iv, body, .. } =
            Envelope::lay_out(&header, part, first, plain, sizes).unwrap();
        self.iv += 1;
        let (aad, rest) = datagram.split_at_mut(aad_len);
        let (iv, rest) = rest.split_at_mut(iv.len());
        let (body, icv) = rest.split_at_mut(body.len());
        iv.copy_from_slice(&self.iv.to_be_bytes());
        key.seal(iv, aad, body, &[], icv).unwrap();
        datagram
    }

    /// Opens what the victim has sealed; `None` if it is not sealed, or not for us.
    pub fn open(&self, datagram: &[u8]) -> Option<Said> {
        let (header, _) = Header::parse(datagram).ok()?;
        let sealed = Sealed::parse(&header, datagram).ok()?;
        let suite = self.choice.suite;
        let key = OpeningKey::new(SEEDED.ciphers, suite, &self.keys.responder()).unwrap();
        let mut bytes = sealed.sealed.to_vec();
        let (iv, body) = bytes.split_at_mut(suite.iv_len());
        let plain = key.open(iv, sealed.aad, body, &[]).ok()?;
        Some(Said { header, first: sealed.first, bytes: unpad(plain).unwrap().to_vec() })
    }
}

impl Scene {
    /// A victim that has not heard of the evil one yet.
    pub fn victim(config: Config) -> Host {
        let mut victim = Host::new(0xb, B, config);
        victim.endpoint.load(connection(End::B));
        victim
    }

    /// The evil one has an IKE SA with a child.
    pub fn established() -> Self {
        Self::with(connection(End::B))
    }

    /// The same by a connection of the victim's that differs.
    pub fn with(connection: Connection) -> Self {
        let mut victim = Host::new(0xb, B, Config::default());
        let mobike = connection.mobike;
        victim.endpoint.load(connection);
        let now = Time::from_nanos(1_000_000_000);
        let knock = Knock::new(1);
        hear(&mut victim, now, &knock.request);
        let answer = victim.sent.pop_front().unwrap().bytes;
        let (evil, auth) = knock.accepted(&answer);
        let auth = AuthRequest { mobike, ..auth };
        let mut scene = Self { victim, evil, now, from: A };
        let said = scene.ask(ExchangeType::IkeAuth, &auth.emit()).unwrap();
        let AuthResponse::Accepted(accepted) = AuthResponse::parse(said.first, &said.bytes).unwrap() else {
            panic!("refused");
        };
        let ChildOutcome::Accepted(child) = accepted.child else { panic!("no child") };
        let theirs = Spi::new(u32::from_be_bytes(child.proposal.spi.try_into().unwrap())).unwrap();
        scene.evil.child.1 = theirs;
        scene
    }

    pub fn now(&self) -> Now {
        Now { time: self.now, wall: WALL }
    }

    /// Says something to the victim, whatever it is.
    pub fn say(&mut self, datagram: &[u8]) {
        hear_from(&mut self.victim, self.now, self.from, datagram);
    }

    /// Sends the next request; gives the answer.
    pub fn ask(&mut self, exchange: ExchangeType, chain: &PayloadChain) -> Option<Said> {
        let id = self.evil.next;
        self.evil.next += 1;
        let datagram = self.evil.seal(exchange, false, id, chain);
        self.victim.sent.clear();
        self.say(&datagram);
        let answers: Vec<Transmit> = self.victim.sent.iter().cloned().collect();
        answers
            .iter()
            .filter_map(|transmit| self.evil.open(&transmit.bytes))
            .find(|said| said.header.response && said.header.message_id == MessageId(id))
    }

    /// The victim's next request, opened.
    pub fn request(&mut self) -> Option<Said> {
        while let Some(transmit) = self.victim.sent.pop_front() {
            if let Some(said) = self.evil.open(&transmit.bytes).filter(|said| !said.header.response) {
                return Some(said);
            }
        }
        None
    }

    /// Answers a request of the victim's.
    pub fn answer(&mut self, request: &Said, exchange: ExchangeType, chain: &PayloadChain) {
        let datagram = self.evil.seal(exchange, true, request.header.message_id.0, chain);
        self.say(&datagram);
    }

    /// Moves the victim's clock, and hears nothing of what it says.
    pub fn sleep(&mut self, span: std::time::Duration) {
        let end = self.now + span;
        while let Some((at, ..)) = self.victim.endpoint.next_deadline().filter(|(at, ..)| *at <= end) {
            self.now = self.now.max(at);
            let now = self.now();
            self.victim.endpoint.handle_timeout(now);
            self.victim.drain(self.now);
        }
        self.now = end;
    }
}

/// Delivers a datagram from A to the victim at B.
pub fn hear(victim: &mut Host, now: Time, datagram: &[u8]) {
    hear_from(victim, now, A, datagram);
}

/// Delivers a datagram from anywhere to the victim at B.
pub fn hear_from(victim: &mut Host, now: Time, from: std::net::IpAddr, datagram: &[u8]) {
    let mut transmit = forged(End::A, datagram.to_vec());
    transmit.path.local.set_ip(from);
    victim.endpoint.handle_datagram(Now { time: now, wall: WALL }, mirrored(&transmit.path), datagram);
    victim.drain(now);
}

//! Two honest ends, and somebody on the way who has the keys of their IKE SA but nothing to prove who he is
//! by: IKE_SA_INIT and IKE_AUTH in all their forms, and what comes after, with any change to any payload.
//!
//! The first byte says how the two ends are configured. What follows is a row of records: what happens, to
//! which place, how many bytes go, how many come in their stead, and these. Whoever changes a first message
//! can bring about anything but an SA, and once nothing arrives any more nothing is left of either end.

#![no_main]

#[path = "../../ike/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{A, B, End, Pair, connection, fixed, identity, selector};
use tidegate_esp::crypto::{KeyMaterial, OpeningKey, SealingKey, Suite};
use tidegate_esp::{Params, Ports};
use tidegate_ike::auth::{
    LocalAuth, LocalCertificate, RemoteAuth, RemoteCertificates, RemoteKeys, Revocation, RsaPadding, RsaSha1,
    TrustStore,
};
use tidegate_ike::connection::{
    AddressRequest, Connection, EncapsulationPolicy, Fragmentation, LocalIdentity, RemoteIdentity, Unique,
};
use tidegate_ike::crypto::{SEEDED, Secret, SigningKey, pem};
use tidegate_ike::identity::IdentityPattern;
use tidegate_ike::keys::{Disclosed, KeySink};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::pool::Pool;
use tidegate_ike::proposal::IkeProposal;
use tidegate_ike::wire::{
    Envelope, ExchangeType, Header, Part, PayloadChain, SaInitResponse, Sealed, SealingSizes, unpad,
};
use tidegate_ike::{Config, DataEvent, Framing, Initiate, SpiPair, Transmit, WallTime};

fuzz_target!(|input: &[u8]| {
    let Some((&flavour, mut rest)) = input.split_first() else { return };
    let mut scene = Scene::new(flavour);
    scene.pair.initiate(End::A);
    for _ in 0..48 {
        let Some((&[what, high, low, gone, length], after)) = rest.split_first_chunk::<5>() else { break };
        let (bytes, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        let change = Change { at: u16::from_be_bytes([high, low]), gone, bytes };
        scene.happens(what, &change);
    }
    scene.settle();
    scene.check();
    scene.pair.sleep(Duration::from_secs(5 * 3600));
    for host in [&scene.pair.a, &scene.pair.b] {
        assert!(host.endpoint.is_empty());
        assert!(host.installed.is_empty());
        assert_eq!(host.endpoint.resources(), [0, 0, 0]);
        assert_eq!(host.endpoint.fragments_held(), 0);
    }
});

/// The ends, and what the one between them knows.
struct Scene {
    pair: Pair,
    keys: Arc<Mutex<Vec<Keys>>>,
    /// How many first messages have come through as they were sent: requests, and answers that go on.
    untouched: [usize; 2],
    iv: u64,
    /// Which of its places each end has ever had, a bit for each.
    had: [u8; 2],
}

struct Keys {
    spis: SpiPair,
    suite: Suite,
    /// What the initiator seals with, and the responder.
    ends: [KeyMaterial; 2],
}

/// What is done to a row of bytes.
struct Change<'a> {
    at: u16,
    gone: u8,
    bytes: &'a [u8],
}

impl Change<'_> {
    fn applied(&self, to: &[u8]) -> Vec<u8> {
        let at = usize::from(self.at) % (to.len() + 1);
        let end = (at + usize::from(self.gone)).min(to.len());
        [&to[..at], self.bytes, &to[end..]].concat()
    }
}

struct Sink(Arc<Mutex<Vec<Keys>>>);

impl KeySink for Sink {
    fn ike(&mut self, keys: Disclosed<'_>) {
        let ends = [keys.keys.initiator(), keys.keys.responder()];
        self.0.lock().expect("not poisoned").push(Keys { spis: keys.spis, suite: keys.suite, ends });
    }

    fn child(&mut self, _: &Params) {}
}

impl Scene {
    fn new(flavour: u8) -> Self {
        let mut ends = [connection(End::A), connection(End::B)];
        let mut config = Config::default();
        match flavour % 13 {
            1 => give_addresses(&mut ends),
            2 => prove_by_key(&mut ends),
            3 => prove_by_certificate(&mut ends),
            4 => prove_twice(&mut ends),
            5 => config.cookie_threshold = 0,
            6 => move_about(&mut ends, EncapsulationPolicy::Auto),
            7 => move_about(&mut ends, EncapsulationPolicy::Raw),
            8 => move_about(&mut ends, EncapsulationPolicy::Udp),
            9 => ends.iter_mut().for_each(stand_alone_for_an_hour),
            10 => ends[0].local.further = prove_twice_to_nobody(),
            11 => ends[0].proposals = IkeProposal::parse_list(TWO_GROUPS).expect("a list"),
            12 => ends.iter_mut().for_each(speak_in_pieces),
            _ => {}
        }
        let [a, b] = ends;
        let mut pair = Pair::with_config(1, a, b, config);
        let addresses = selector("10.8.0.0/30").addresses;
        pair.b.endpoint.load_pool(Pool {
            name: "four".into(),
            addresses,
            dns: vec![[10, 2, 0, 53].into()],
            subnets: vec![([10, 2, 0, 0].into(), 16)],
            attributes: Vec::new(),
        });
        let keys = Arc::<Mutex<Vec<Keys>>>::default();
        for host in [&mut pair.a, &mut pair.b] {
            host.endpoint.set_key_sink(Box::new(Sink(Arc::clone(&keys))));
        }
        let mut scene = Self { pair, keys, untouched: [0, 0], iv: 0, had: [1, 1] };
        if matches!(flavour % 13, 6..=8) {
            // So that they have something to tell each other of.
            scene.moves(End::B, 0b0011);
        }
        scene
    }

    fn happens(&mut self, what: u8, change: &Change<'_>) {
        let from = if what & 1 == 0 { End::A } else { End::B };
        match (what >> 1) % 8 {
            0 => self.passes(from, None),
            1 => self.passes_a_nat(from, change),
            2 | 3 => self.passes(from, Some(change)),
            4 => drop(self.pair.host(from).sent.pop_front()),
            5 => {
                // Once now and once later.
                let again = self.pair.host(from).sent.front().cloned();
                self.passes(from, None);
                self.pair.host(from).sent.extend(again);
            }
            6 => self.pair.sleep(Duration::from_millis(u64::from(change.at))),
            _ => self.acts(from, change),
        }
    }

    /// From now on everything arrives as it was sent.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.passes(End::A, None);
            self.passes(End::B, None);
            if self.pair.a.sent.is_empty() && self.pair.b.sent.is_empty() {
                return;
            }
        }
        panic!("the two ends never stop talking");
    }

    /// The next datagram arrives, as it was or with a change.
    fn passes(&mut self, from: End, change: Option<&Change<'_>>) {
        let Some(sent) = self.pair.host(from).sent.pop_front() else { return };
        let bytes =
            change.and_then(|change| self.changed(&sent, change)).unwrap_or_else(|| sent.bytes.clone());
        if bytes == sent.bytes {
            self.note_untouched(&sent);
        }
        self.arrives(from.other(), &Transmit { bytes, ..sent });
    }

    /// The next datagram arrives as if from elsewhere.
    fn passes_a_nat(&mut self, from: End, change: &Change<'_>) {
        let Some(mut sent) = self.pair.host(from).sent.pop_front() else { return };
        self.note_untouched(&sent);
        let place = usize::from(change.at) % (PLACES[0].len() + 1);
        if let Some(ip) = PLACES[side(from)].get(place) {
            sent.path.local.set_ip(*ip);
        }
        if change.gone != 0 {
            sent.path.local.set_port(1024 + u16::from(change.gone));
        }
        self.arrives(from.other(), &sent);
    }

    /// What goes to an address that an end never had does not arrive.
    fn arrives(&mut self, to: End, datagram: &Transmit) {
        if self.has_had(to, datagram.path.remote.ip()) {
            self.pair.deliver(to, datagram);
        }
        self.is_where_it_was(to);
    }

    fn has_had(&self, end: End, ip: IpAddr) -> bool {
        PLACES[side(end)]
            .iter()
            .enumerate()
            .any(|(at, place)| *place == ip && self.had[side(end)] & 1 << at != 0)
    }

    fn is_where_it_was(&self, end: End) {
        let host = if end == End::A { &self.pair.a } else { &self.pair.b };
        let sent = host.sent.iter().map(|sent| sent.path.local);
        let mut ours = sent.chain(host.installed.values().map(|params| params.path.local));
        assert!(ours.all(|local| self.has_had(end, local.ip())), "not from an address of {end:?}");
    }

    /// An end has these of its places from now on.
    fn moves(&mut self, end: End, which: u8) {
        self.had[side(end)] |= which;
        let places = PLACES[side(end)].iter().enumerate();
        let places = places.filter(|(at, _)| which & 1 << at != 0).map(|(_, ip)| *ip).collect();
        self.pair.with(end, |endpoint, now| endpoint.set_local_addresses(now, places));
        self.is_where_it_was(end);
    }

    /// Of a sealed message the payloads change, and it is sealed again; of any other whatever is behind the
    /// header.
    fn changed(&mut self, sent: &Transmit, change: &Change<'_>) -> Option<Vec<u8>> {
        let marker = if sent.path.framing == Framing::Marked { 4 } else { 0 };
        let (marker, message) = sent.bytes.split_at_checked(marker)?;
        let (header, body) = Header::parse(message).ok()?;
        let again = match Sealed::parse(&header, message) {
            Ok(sealed) => self.sealed_again(&header, &sealed, change)?,
            Err(_) => {
                let chain = PayloadChain { first: header.next_payload, bytes: change.applied(body) };
                header.emit_with(&chain).ok()?
            }
        };
        Some([marker, &again].concat())
    }

    fn sealed_again(&mut self, header: &Header, sealed: &Sealed<'_>, change: &Change<'_>) -> Option<Vec<u8>> {
        let keys = self.keys.lock().expect("not poisoned");
        let spis = (header.initiator_spi, header.responder_spi);
        let known = keys.iter().find(|keys| (keys.spis.initiator, keys.spis.responder) == spis)?;
        let (suite, material) = (known.suite, &known.ends[usize::from(!header.from_initiator)]);
        let mut bytes = sealed.sealed.to_vec();
        let (iv, body) = bytes.split_at_mut_checked(suite.iv_len())?;
        let key = OpeningKey::new(SEEDED.ciphers, suite, material).ok()?;
        let plain = unpad(key.open(iv, sealed.aad, body, &[]).ok()?).ok()?;
        let plain = change.applied(plain);
        let sizes = SealingSizes { iv: suite.iv_len(), block: 1, icv: suite.icv_len() };
        let Envelope { mut datagram, aad_len, iv, body, .. } =
            Envelope::lay_out(header, Part::Whole, sealed.first, &plain, sizes).ok()?;
        self.iv += 1;
        let (aad, rest) = datagram.split_at_mut(aad_len);
        let (iv, rest) = rest.split_at_mut(iv.len());
        let (body, icv) = rest.split_at_mut(body.len());
        iv.copy_from_slice(&self.iv.to_be_bytes());
        let key = SealingKey::new(SEEDED.ciphers, suite, material).ok()?;
        key.seal(iv, aad, body, &[], icv).ok()?;
        Some(datagram)
    }

    fn note_untouched(&mut self, sent: &Transmit) {
        let marker = if sent.path.framing == Framing::Marked { 4 } else { 0 };
        let Some((_, message)) = sent.bytes.split_at_checked(marker) else { return };
        let Ok((header, body)) = Header::parse(message) else { return };
        if header.exchange == ExchangeType::IkeSaInit {
            let goes_on = || SaInitResponse::parse(header.next_payload, body);
            match header.response {
                false => self.untouched[0] += 1,
                true => {
                    self.untouched[1] += usize::from(matches!(goes_on(), Ok(SaInitResponse::Accepted(_))))
                }
            }
        }
    }

    /// An end begins something, or its packet side has seen something.
    fn acts(&mut self, end: End, change: &Change<'_>) {
        let [_, which] = change.at.to_be_bytes();
        let (sa, child) = {
            let host = self.pair.host(end);
            (host.standing().first().copied(), host.children().first().copied())
        };
        let elsewhere = PLACES[side(end.other())][usize::from(which) % PLACES[0].len()];
        let elsewhere = SocketAddr::new(elsewhere, 4500);
        let known = self.pair.with(end, |endpoint, now| match (change.gone % 13, sa, child) {
            (0, Some(sa), _) => endpoint.rekey(now, sa),
            (1, _, Some(child)) => endpoint.rekey_child(now, child),
            (2, Some(sa), _) => endpoint.create_child(now, sa, "net"),
            (3, Some(sa), _) => endpoint.reauthenticate(now, sa).map(drop),
            (4, Some(sa), _) => endpoint.terminate(now, sa),
            (6, _, Some(child)) => {
                endpoint.handle_data(now, DataEvent::PeerMoved { child, remote: elsewhere });
                Ok(())
            }
            (7, ..) => {
                endpoint.handle_data(now, DataEvent::UnknownSpi(elsewhere));
                Ok(())
            }
            (8, ..) => {
                let wish = Initiate { connection: "peer", child: None, local: None, remote: None };
                // Who has no address, or none of the peer's, cannot.
                let _ = endpoint.initiate(now, &wish);
                Ok(())
            }
            (9, Some(sa), _) => endpoint.abandon(now, sa),
            (10, _, Some(child)) => endpoint.abandon_child(now, child),
            (11, _, Some(child)) => {
                endpoint.handle_data(now, DataEvent::SoftLimit(child));
                Ok(())
            }
            (12, _, Some(child)) => {
                endpoint.handle_data(now, DataEvent::Activity { child, remote: elsewhere });
                Ok(())
            }
            _ => Ok(()),
        });
        known.expect("it was there just now");
        if change.gone % 13 == 5 {
            self.moves(end, which);
        }
    }

    /// What both ends have sent first goes into what they prove who they are by (RFC 7296 §2.15).
    fn check(&mut self) {
        let [requests, answers] = self.untouched;
        assert!(requests > 0 || self.pair.b.standing().is_empty(), "a changed request was taken for A's");
        assert!(answers > 0 || self.pair.a.standing().is_empty(), "a changed answer was taken for B's");
        assert!(self.pair.a.children().len() <= 256 && self.pair.b.children().len() <= 256);
    }
}

/// Where A can be, and B: the first is where they begin.
static PLACES: [[IpAddr; 4]; 2] = [places(A, 1), places(B, 2)];

const fn places(first: IpAddr, number: u8) -> [IpAddr; 4] {
    [
        first,
        IpAddr::V4(Ipv4Addr::new(198, 51, 100, number)),
        IpAddr::V4(Ipv4Addr::new(203, 0, 113, number)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number as u16)),
    ]
}

fn side(end: End) -> usize {
    usize::from(end == End::B)
}

/// Both may move, and B takes A wherever it comes from (RFC 4555).
fn move_about([a, b]: &mut [Connection; 2], encapsulation: EncapsulationPolicy) {
    for end in [&mut *a, &mut *b] {
        (end.mobike, end.encapsulation) = (true, encapsulation);
    }
    b.remote.addresses.clear();
}

/// B gives A an address.
fn give_addresses([a, b]: &mut [Connection; 2]) {
    let dynamic = || vec![ConfiguredSelector::Dynamic { protocol: 0, ports: Ports::ANY }];
    a.request_addresses = vec![AddressRequest::V4(None), AddressRequest::V6(None)];
    b.pools = vec!["four".into()];
    let (ours, theirs) = (Arc::make_mut(&mut a.children[0]), Arc::make_mut(&mut b.children[0]));
    (ours.local, ours.remote) = (dynamic(), fixed(&["10.2.0.0/16"]));
    (theirs.local, theirs.remote) = (fixed(&["10.2.0.0/16"]), dynamic());
}

fn key(text: &str) -> Arc<dyn SigningKey> {
    let der = pem::private_key(text).expect("a key");
    (SEEDED.load_key)(&der).expect("a key").into()
}

fn prove_by_key(ends: &mut [Connection; 2]) {
    let key = key(include_str!("../../ike/tests/data/keys/ed25519.pk8.pem"));
    let pinned = RemoteKeys { keys: vec![key.public_key().to_vec()], rsa_sha1: RsaSha1::Refuse };
    let local = Arc::new(LocalAuth::RawKey { key, padding: RsaPadding::Pkcs1 });
    let remote = Arc::new(RemoteAuth::RawKeys(pinned));
    for end in ends {
        (end.local.auth, end.remote.auth) = (Arc::clone(&local), Arc::clone(&remote));
    }
}

fn prove_by_certificate([a, b]: &mut [Connection; 2]) {
    let certificate = |text| pem::certificates(text).expect("a certificate").remove(0);
    let moon = certificate(include_str!("../../ike/tests/data/certs/moon.pem"));
    let key = key(include_str!("../../ike/tests/data/certs/moon.key"));
    let local = LocalCertificate::new(&[moon], key, RsaPadding::Pkcs1).expect("a certificate and its key");
    let mut store = TrustStore::new(WallTime(1_709_251_200), Revocation::Relaxed);
    store.add_anchor(&certificate(include_str!("../../ike/tests/data/certs/root.pem"))).expect("a CA");
    let remote = RemoteCertificates { store: store.into(), issuers: Vec::new(), rsa_sha1: RsaSha1::Refuse };
    let name = identity("C=CH, O=Tidegate, CN=moon.example.net");
    a.local.auth = Arc::new(LocalAuth::Certificate(local));
    a.local.identity = name.clone();
    b.remote.auth = Arc::new(RemoteAuth::Certificates(remote));
    b.remote.identity = IdentityPattern::Exact(name);
}

/// The second is the one that the other end takes.
const TWO_GROUPS: &str = "aes128gcm16-prfsha256-ecp256-x25519";

/// One SA of a kind, which the responder wants to see proven anew in time.
fn stand_alone_for_an_hour(end: &mut Connection) {
    end.unique = Unique::Replace;
    end.lifetimes.reauthenticate = Some(Duration::from_secs(3600));
    end.lifetimes.authentication = Some(Duration::from_secs(7200));
}

/// As certificates would have it.
fn speak_in_pieces(end: &mut Connection) {
    end.fragmentation = Fragmentation::Offer(200);
}

/// To an end that wants no second proof.
fn prove_twice_to_nobody() -> Vec<LocalIdentity> {
    let auth = Arc::new(LocalAuth::Psk(Secret::new(b"another one".to_vec())));
    vec![LocalIdentity { identity: identity("second.a.example"), auth }]
}

/// With another secret each (RFC 4739).
fn prove_twice([a, b]: &mut [Connection; 2]) {
    prove_again(a, b, "second.a.example");
    prove_again(b, a, "second.b.example");
}

fn prove_again(end: &mut Connection, other: &mut Connection, name: &str) {
    let secret = || Secret::new(b"another one".to_vec());
    let (ours, theirs) = (Arc::new(LocalAuth::Psk(secret())), Arc::new(RemoteAuth::Psk(secret())));
    end.local.further = vec![LocalIdentity { identity: identity(name), auth: ours }];
    let identity = IdentityPattern::Exact(identity(name));
    other.remote.further = vec![RemoteIdentity { identity, auth: theirs }];
}

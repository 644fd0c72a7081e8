//! A peer that says who it is and brings certificates, revocation lists and an AUTH payload of any kind.
//!
//! The input is a row of pieces, each behind two octets of length: settings (a byte of flags, eight of the
//! clock), the identity with its type in front, the AUTH payload with its method in front, and then what there
//! is of certificates and lists, with a byte in front that says who has it.
//!
//! It is judged twice. By a provider that takes every signature on trust, so that what lies behind them is
//! reached (names, constraints, revocation, the search): of that a stricter mode must never take what a more
//! lenient one refuses, and what is taken must be certified and in its time. And by one that checks: nothing
//! here was signed for it, so nobody may ever get past.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    Algorithm, Authenticated, CertificateOutline, EndEntities, KeyKind, RemoteAuth, RemoteCertificates,
    RemoteKeys, Revocation, RevocationList, RevocationListOutline, RsaSha1, TrustStore, VerifyTask, encoding,
};
use tidegate_ike::crypto::{PrfId, Provider, RING, SignatureError, VerifyInput, pem};
use tidegate_ike::identity::{DistinguishedName, Identity, IdentityPattern};
use tidegate_ike::wire::{AuthPayload, CertificatePayload, IdPayload};

const NOW: WallTime = WallTime(1_780_272_000);
const BUILD: WallTime = WallTime(1_709_251_200);

static CREDULOUS: Provider = Provider { name: "credulous", verify: credulous, ..RING };

fn credulous(_: VerifyInput<'_>) -> Result<(), SignatureError> {
    Ok(())
}

/// What we trust: a CA of each kind of key, and two that say which names may stand below them.
static ANCHORS: LazyLock<Vec<(DistinguishedName, Vec<u8>)>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../ike/tests/data/certs/root.pem"),
        include_str!("../../ike/tests/data/certs/fabedge-ca.pem"),
        include_str!("../../ike/tests/data/certs/root-p384.pem"),
        include_str!("../../ike/tests/data/certs/root-p521.pem"),
        include_str!("../../ike/tests/data/certs/root-ed25519.pem"),
        include_str!("../../ike/tests/data/certs/int-permitted.pem"),
        include_str!("../../ike/tests/data/certs/int-excluded.pem"),
    ];
    let named = |text: &&str| {
        let der = pem::certificates(text).expect("a certificate").remove(0);
        (CertificateOutline::from_der(&der).expect("a certificate").subject, der)
    };
    texts.iter().map(named).collect()
});

/// Peers that need no certificate.
static PINNED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../ike/tests/data/keys/ed25519.pub.pem"),
        include_str!("../../ike/tests/data/keys/p256.pub.pem"),
        include_str!("../../ike/tests/data/keys/rsa2048.pub.pem"),
    ];
    texts.iter().map(|text| pem::public_key(text).expect("a key")).collect()
});

/// The one that is accepted where only one is, and of which it is known where its lists are.
static CHOSEN: LazyLock<DistinguishedName> = LazyLock::new(|| ANCHORS[0].0.clone());

/// Where a list of the chosen one would be had, besides what certificates say.
const ELSEWHERE: &str = "http://crl.example/root.crl";
/// More places than this are never looked at for one list.
const MAX_PLACES: usize = 8;

/// The strictest first.
const MODES: [Revocation; 4] = [Revocation::Strict, Revocation::IfUri, Revocation::Relaxed, Revocation::Off];

fuzz_target!(|data: &[u8]| {
    let pieces = pieces(data);
    pieces.iter().for_each(|piece| alone(piece));
    let [settings, [kind, id @ ..], [method, auth @ ..], rest @ ..] = pieces.as_slice() else { return };
    let id = IdPayload { kind: *kind, data: id.to_vec() };
    // Nothing else is looked at where that makes no sense.
    let Ok(identity) = Identity::from_payload(&id) else { return };
    assert_eq!(identity.to_string().parse(), Ok(identity));
    let auth = AuthPayload { method: *method, data: auth.to_vec() };
    Peer::new(settings, id, auth, rest).judge();
});

/// Pieces of the input, each behind two octets of length.
fn pieces(mut data: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        pieces.push(piece);
        data = rest;
    }
    pieces
}

/// What can be read of a piece by itself.
fn alone(piece: &[u8]) {
    let _ = Algorithm::from_der(piece);
    let _ = KeyKind::of(piece);
    if let Ok(name) = DistinguishedName::from_der(piece) {
        survives(&name);
    }
    if let Ok(text) = std::str::from_utf8(piece)
        && let Ok(pattern) = text.parse::<IdentityPattern>()
    {
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }
    let Some((_, der)) = piece.split_first() else { return };
    if let Ok(outline) = CertificateOutline::from_der(der) {
        survives(&outline.subject);
        survives(&outline.issuer);
        let written = |identity: &Identity| identity.to_string().parse().as_ref() == Ok(identity);
        assert!(outline.identities.iter().all(written), "{:?}", outline.identities);
    }
    if let Ok(outline) = RevocationListOutline::from_der(der) {
        survives(&outline.issuer);
    }
}

fn survives(name: &DistinguishedName) {
    if !name.is_empty() {
        assert_eq!(&name.to_string().parse(), &Ok(name.clone()));
    }
}

/// The peer, and who has what of its pieces.
struct Peer<'a> {
    flags: u8,
    wall: WallTime,
    id: IdPayload,
    auth: AuthPayload,
    sent: Vec<CertificatePayload>,
    /// What is in our store besides the anchors, each with what it is there for.
    held: Vec<(u8, &'a [u8])>,
    /// Those that a piece names as its issuer: no other can have anything to do with it.
    anchors: Vec<&'static [u8]>,
    /// Lists that came after the store was made.
    fetched: Vec<Arc<RevocationList>>,
}

/// Flags of a piece.
mod holder {
    pub(crate) const SENT: u8 = 1;
    pub(crate) const INTERMEDIATE: u8 = 2;
    pub(crate) const LIST: u8 = 4;
    pub(crate) const FETCHED: u8 = 8;
    pub(crate) const KNOWN: u8 = 16;
    pub(crate) const SENT_AS_KEY: u8 = 32;
}

/// Flags of the settings.
mod setting {
    pub(crate) const ONE_ISSUER: u8 = 1;
    pub(crate) const ONLY_KNOWN: u8 = 2;
    pub(crate) const RSA_SHA1: u8 = 4;
    pub(crate) const OWN_CLOCK: u8 = 8;
}

impl<'a> Peer<'a> {
    fn new(settings: &[u8], id: IdPayload, auth: AuthPayload, rest: &[&'a [u8]]) -> Self {
        let flags = settings.first().copied().unwrap_or(0);
        let clock = settings.get(1..).and_then(|rest| rest.first_chunk());
        let wall = clock.filter(|_| flags & setting::OWN_CLOCK != 0);
        let wall = wall.map_or(NOW, |clock| WallTime(u64::from_be_bytes(*clock)));
        let held: Vec<(u8, &[u8])> =
            rest.iter().filter_map(|piece| piece.split_first()).map(|(flags, der)| (*flags, der)).collect();
        let with = |flag| held.iter().filter(move |(flags, _)| flags & flag != 0).map(|(_, der)| *der);
        let payload = |encoding| move |der: &[u8]| CertificatePayload { encoding, data: der.to_vec() };
        let sent = with(holder::SENT).map(payload(encoding::X509));
        let sent = sent.chain(with(holder::SENT_AS_KEY).map(payload(encoding::RAW_PUBLIC_KEY))).collect();
        let outlines = held.iter().filter_map(|(_, der)| CertificateOutline::from_der(der).ok());
        let issuers: Vec<_> = outlines.map(|outline| outline.issuer).collect();
        let anchors = ANCHORS.iter().filter(|(name, _)| issuers.contains(name));
        let anchors = anchors.map(|(_, der)| der.as_slice()).collect();
        let fetched = with(holder::FETCHED).filter_map(|der| RevocationList::from_der(der).ok());
        let fetched = fetched.map(Arc::new).collect();
        Self { flags, wall, id, auth, sent, held, anchors, fetched }
    }

    fn judge(&self) {
        let remotes = MODES.map(|mode| self.by_certificate(mode, holder::KNOWN));
        let tasks = remotes.map(|remote| self.task(&CREDULOUS, remote));
        let verdicts = tasks.each_ref().map(|task| task.run_with(&self.fetched));
        for verdict in &verdicts {
            match verdict {
                Ok(proof) => self.is_in_order(proof),
                Err(failure) => assert!(!failure.to_string().is_empty()),
            }
        }
        for (stricter, lenient) in verdicts.iter().zip(&verdicts[1..]) {
            assert!(stricter.is_err() || lenient.is_ok(), "{stricter:?}, but {lenient:?}");
        }
        let [_, _, relaxed, _] = &tasks;
        let proven = relaxed.run().is_ok();
        for task in &tasks {
            self.is_not_sent_for_nothing(task, proven);
        }
        let pinned = self.task(&CREDULOUS, self.by_key()).run();
        assert!(pinned.is_err() || pinned.is_ok_and(|proof| proof.valid_until().is_none()));
        self.does_not_get_past();
    }

    /// Whoever was let in is who a certificate says that it is, and none of these has run out.
    fn is_in_order(&self, proof: &Authenticated) {
        assert!(proof.valid_until().is_some_and(|end| end >= self.wall));
        let mut shown = self.sent.iter().filter(|sent| sent.encoding == encoding::X509).peekable();
        let of_known = self.held.iter().filter(|(flags, _)| flags & holder::KNOWN != 0);
        let leaves: Vec<&[u8]> = match shown.peek() {
            Some(leaf) => vec![&leaf.data],
            None => of_known.map(|(_, der)| *der).collect(),
        };
        let certifies = |leaf: &&[u8]| {
            let outline = CertificateOutline::from_der(leaf).ok();
            outline.is_some_and(|outline| outline.identities.contains(proof.identity()))
        };
        assert!(leaves.iter().any(certifies), "{:?}", proof.identity());
    }

    /// Only one that would be let in, were it not for lists, makes us fetch some.
    fn is_not_sent_for_nothing(&self, task: &VerifyTask, proven: bool) {
        let wanted = task.wanted_lists();
        assert!(proven || wanted.is_empty());
        for list in &wanted {
            assert!((1..=MAX_PLACES).contains(&list.uris().len()));
            for fetched in &self.fetched {
                let fits = list.check(fetched).is_ok();
                assert!(!fits || fetched.issuer() == list.signer());
            }
        }
    }

    /// Signatures that are looked at: nobody has made any. What we know for a peer's own is left out, as
    /// nobody signs that.
    fn does_not_get_past(&self) {
        for remote in [self.by_certificate(Revocation::Off, 0), self.by_key()] {
            let task = self.task(&RING, remote);
            assert!(task.run_with(&self.fetched).is_err(), "nobody has signed that");
            assert!(task.wanted_lists().is_empty(), "nobody has signed that");
        }
    }

    fn by_certificate(&self, mode: Revocation, known: u8) -> RemoteAuth {
        let mut store = TrustStore::new(BUILD, mode);
        for anchor in &self.anchors {
            store.add_anchor(anchor).expect("a CA");
        }
        store.add_list_uri(CHOSEN.clone(), ELSEWHERE.into());
        // What is none of the kind is refused.
        for (flags, der) in &self.held {
            let _ = (flags & holder::INTERMEDIATE != 0).then(|| store.add_intermediate(der));
            let _ = (flags & holder::LIST != 0).then(|| store.add_revocation_list(der));
            let _ = (flags & known != 0).then(|| store.add_known(der));
        }
        if self.flags & setting::ONLY_KNOWN != 0 {
            store.accept(EndEntities::Known);
        }
        let issuers = if self.flags & setting::ONE_ISSUER != 0 { vec![CHOSEN.clone()] } else { Vec::new() };
        RemoteAuth::Certificates(RemoteCertificates {
            store: store.into(),
            issuers,
            rsa_sha1: self.rsa_sha1(),
        })
    }

    fn by_key(&self) -> RemoteAuth {
        RemoteAuth::RawKeys(RemoteKeys { keys: PINNED.clone(), rsa_sha1: self.rsa_sha1() })
    }

    fn rsa_sha1(&self) -> RsaSha1 {
        if self.flags & setting::RSA_SHA1 != 0 { RsaSha1::Accept } else { RsaSha1::Refuse }
    }

    fn task(&self, provider: &'static Provider, remote: RemoteAuth) -> VerifyTask {
        VerifyTask {
            provider,
            prf: PrfId::HmacSha256,
            remote: Arc::new(remote),
            expected: IdentityPattern::Any,
            id: self.id.clone(),
            certificates: self.sent.clone(),
            auth: self.auth.clone(),
            octets: Vec::new(),
            wall: self.wall,
        }
    }
}

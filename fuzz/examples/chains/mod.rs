//! Seeds of what certificates are judged by, of the test PKI of the IKE side; `fuzz_targets/certificates.rs` says what
//! the pieces are.

use crate::save;
use std::path::Path;
use tidegate_ike::auth::CertificateOutline;
use tidegate_ike::crypto::pem;

/// Who has a piece.
const SENT: u8 = 1;
const INTERMEDIATE: u8 = 2;
const LIST: u8 = 4;
const FETCHED: u8 = 8;
const KNOWN: u8 = 16;
const SENT_AS_KEY: u8 = 32;

/// Flags of the settings.
const ONE_ISSUER: u8 = 1;
const ONLY_KNOWN: u8 = 2;
const RSA_SHA1: u8 = 4;
const OWN_CLOCK: u8 = 8;

/// Methods, and what stands in front of a signature.
const ECDSA_SHA256: &[u8] = &[14, 12, 0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[14, 12, 0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const ECDSA_SHA512: &[u8] = &[14, 12, 0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];
const ED25519: &[u8] = &[14, 7, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
const RSA_SHA256: &[u8] = &[14, 15, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 11, 5, 0];
const RSA_PSS: &[u8] = &[
    14, 67, 0x30, 65, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 10, 0x30, 52, 0xa0, 15, 0x30, 13, 6, 9,
    0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13,
    1, 1, 8, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 0xa2, 3, 2, 1, 32,
];

/// Writes all of them.
pub(crate) fn save_all() -> std::io::Result<()> {
    certificates_alone()?;
    chains()?;
    lists()?;
    keys()?;
    settings()
}

fn certificates_alone() -> std::io::Result<()> {
    let of_p256 = "moon bare expired future twins policies unknown-critical unknown-harmless stranger self-signed \
        by-impostor by-impostor-keyed by-sha1 by-p384 by-p521 by-ed25519 by-rsa-sha256 by-rsa-sha384 by-rsa-sha512 \
        by-rsa-sha1 by-pss-sha256 by-pss-sha384 by-pss-sha512 by-pss-salt20 eku-any eku-client eku-code-signing \
        eku-ike eku-ike-intermediate eku-server usage-encipherment usage-non-repudiation pointed nc-good nc-dns \
        nc-dns-suffix nc-email nc-email-subject nc-ip nc-ip6 nc-dir nc-dir-alt nc-self nx-good nx-dns nx-dot nx-email \
        nx-mailbox nx-ip nx-dir";
    for name in of_p256.split_ascii_whitespace() {
        Seed::of(name, ECDSA_SHA256).save(name)?;
    }
    let others = [
        ("moon-p384", ECDSA_SHA384),
        ("moon-p521", ECDSA_SHA512),
        ("moon-ed25519", ED25519),
        ("moon-rsa", RSA_SHA256),
        ("moon-rsa3072", RSA_PSS),
        ("moon-rsa1024", RSA_SHA256),
        ("fabedge-connector", RSA_PSS),
        ("fabedge-edge", &[1]),
    ];
    for (name, auth) in others {
        Seed::of(name, auth).save(name)?;
    }
    for (name, leaf, method) in [
        ("method_9", "moon", 9),
        ("method_10", "moon-p384", 10),
        ("method_11", "moon-p521", 11),
        ("method_2", "moon", 2),
    ] {
        Seed::of(leaf, &[method]).save(name)?;
    }
    Ok(())
}

/// Each is what is sent, the peer's own first.
fn chains() -> std::io::Result<()> {
    let sent = "deep:int2,int1 under-int1:int1 under-root-expired:root-expired under-long6:long6,long5,long4,long3,long2,long1 \
        under-long7:long7,long6,long5,long4,long3,long2,long1 under-brief:int-brief under-expired:int-expired \
        under-not-ca:int-not-ca under-no-constraints:int-no-constraints under-length0:int-length0 \
        under-length0-next:int-length0-next,int-length0 under-below:int-below,int-length0 under-no-sign:int-no-sign \
        under-no-crl:int-no-crl under-unknown:int-unknown under-weak:weak-ca nd-good:int-dotted nd-itself:int-dotted \
        nc-next:int-permitted-next,int-permitted under-minimum:int-minimum under-mask:int-mask nu-uri:int-uri \
        nu-none:int-uri under-loop:loop1,loop2,loop3,loop4,loop5,loop6 under-revoked:int-revoked";
    for (leaf, issuers) in sent.split_ascii_whitespace().filter_map(|row| row.split_once(':')) {
        let chain = issuers.split(',').fold(Seed::of(leaf, ECDSA_SHA256), |seed, name| seed.with(SENT, name));
        chain.save(leaf)?;
    }
    Seed::of("deep", ECDSA_SHA256).with(INTERMEDIATE, "int2").with(SENT, "int1").save("held_in_part")
}

fn lists() -> std::io::Result<()> {
    let all = "authorities delta future impostor impostor-keyed indirect no-sign point root stale stale-empty unknown users";
    for list in all.split_ascii_whitespace() {
        let list = format!("crl-{list}");
        for leaf in ["moon", "revoked", "pointed"] {
            Seed::of(leaf, ECDSA_SHA256).with(LIST, &list).save(&format!("{leaf}_{list}"))?;
        }
    }
    let chain = || Seed::of("under-int1", ECDSA_SHA256).with(SENT, "int1");
    chain().with(LIST, "crl-root").with(LIST, "crl-int1").save("list_of_each")?;
    chain().with(LIST, "crl-int1").with(FETCHED, "crl-root").save("list_fetched")?;
    chain().with(FETCHED, "crl-root").with(FETCHED, "crl-stale").save("lists_fetched")?;
    Seed::of("pointed", ECDSA_SHA256)
        .with(FETCHED, "crl-point")
        .with(LIST, "crl-stale")
        .save("list_pointed_at")?;
    Seed::of("under-no-crl", ECDSA_SHA256)
        .with(SENT, "int-no-crl")
        .with(LIST, "crl-no-sign")
        .save("list_not_signed")?;
    let revoked = Seed::of("under-revoked", ECDSA_SHA256).with(SENT, "int-revoked");
    revoked.with(LIST, "crl-root").save("issuer_revoked")
}

/// Peers that have no certificate: pinned keys, and one that we have it of.
fn keys() -> std::io::Result<()> {
    for (name, auth) in [("ed25519", ED25519), ("p256", ECDSA_SHA256), ("rsa2048", RSA_SHA256)] {
        let mut seed = Seed::by(b"\x02peer.example", auth);
        seed.push(SENT_AS_KEY, &public_key(name));
        seed.save(&format!("key_{name}"))?;
    }
    Seed::by(b"\x02moon.example.org", ECDSA_SHA256).with(KNOWN, "moon").save("known")?;
    Seed::by(b"\x02moon.example.org", ECDSA_SHA256)
        .with(KNOWN | SENT, "self-signed")
        .with(KNOWN, "moon")
        .save("known_others")
}

fn settings() -> std::io::Result<()> {
    let with = |flags, seed: Seed| Seed { settings: vec![flags], ..seed };
    with(ONE_ISSUER, Seed::of("moon", ECDSA_SHA256)).save("issuer_allowed")?;
    with(ONE_ISSUER, Seed::of("by-p384", ECDSA_SHA256)).save("issuer_not_allowed")?;
    with(ONLY_KNOWN, Seed::of("moon", ECDSA_SHA256)).save("not_known")?;
    with(ONLY_KNOWN, Seed::of("self-signed", ECDSA_SHA256).with(KNOWN, "self-signed")).save("only_known")?;
    with(RSA_SHA1, Seed::of("fabedge-edge", &[1])).save("rsa_sha1")?;
    for (name, clock) in [("clock_behind", 1_u64), ("clock_ahead", 4_200_000_000)] {
        let settings = [&[OWN_CLOCK], &clock.to_be_bytes()[..]].concat();
        Seed { settings, ..Seed::of("moon", ECDSA_SHA256) }.save(name)?;
    }
    for (name, id) in [
        ("id_dns", &b"\x02moon.example.org"[..]),
        ("id_email", b"\x03carol@example.org"),
        ("id_v4", &[1, 192, 0, 2, 1]),
        ("id_v6", &[5, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("id_other", b"\x02mars.example.org"),
        ("id_key", b"\x0bkey"),
    ] {
        Seed::by(id, ECDSA_SHA256).with(SENT, "moon").save(name)?;
    }
    let words = ["C=CH, O=*, CN=moon", "*.example.org", "*@example.org", "192.0.2.0/24", "%any"];
    let pieces = words.iter().flat_map(|text| piece(text.as_bytes())).collect::<Vec<u8>>();
    save("certificates", "patterns", &pieces)
}

struct Seed {
    settings: Vec<u8>,
    id: Vec<u8>,
    auth: Vec<u8>,
    rest: Vec<u8>,
}

impl Seed {
    fn by(id: &[u8], auth: &[u8]) -> Self {
        let auth = [auth, &[0x5a; 64]].concat();
        Self { settings: vec![0], id: id.to_vec(), auth, rest: Vec::new() }
    }

    /// A peer that goes by the first name of its certificate.
    fn of(leaf: &str, auth: &[u8]) -> Self {
        let outline = CertificateOutline::from_der(&der(leaf)).ok();
        let id = outline.and_then(|outline| outline.identities.first().map(|name| name.to_payload()));
        let id = id.map_or_else(|| b"\x02peer.example".to_vec(), |id| [&[id.kind], &id.data[..]].concat());
        Self::by(&id, auth).with(SENT, leaf)
    }

    fn with(mut self, who: u8, name: &str) -> Self {
        self.push(who, &der(name));
        self
    }

    fn push(&mut self, who: u8, der: &[u8]) {
        self.rest.extend(piece(&[&[who], der].concat()));
    }

    fn save(&self, name: &str) -> std::io::Result<()> {
        let pieces = [&self.settings, &self.id, &self.auth].map(|bytes| piece(bytes)).concat();
        save("certificates", name, &[pieces, self.rest.clone()].concat())
    }
}

fn piece(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes(), bytes].concat()
}

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ike/tests/data").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A certificate or a list of the test PKI.
fn der(name: &str) -> Vec<u8> {
    let text = text(&format!("certs/{name}.pem"));
    let all = pem::certificates(&text).or_else(|_| pem::revocation_lists(&text));
    all.expect("a certificate or a list").remove(0)
}

fn public_key(name: &str) -> Vec<u8> {
    pem::public_key(&text(&format!("keys/{name}.pub.pem"))).expect("a key")
}

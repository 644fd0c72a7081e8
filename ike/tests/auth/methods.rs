//! AUTH payloads: what is signed, by which method, and what is taken.

use crate::support::{
    NOW, OCTETS, certificate, exchange, identity, key, local, local_with, remote, sign, store, task, x509,
};
use proptest::prelude::*;
use std::sync::Arc;
use tidegate_ike::auth::{
    Algorithm, AlgorithmError, AuthFailure, Blame, CannotSign, CertificateCheck, ExpectedMethod,
    HashAlgorithm, KeyKind, LocalAuth, LocalAuthError, LocalCertificate, RemoteAuth, RemoteCertificates,
    RemoteKeys, RsaPadding, RsaSha1, accepted_hashes, psk_auth, signed_octets,
};
use tidegate_ike::crypto::{PrfId, RING, Secret, SignatureError, SignatureScheme};
use tidegate_ike::identity::{Identity, IdentityError};
use tidegate_ike::wire::{AuthPayload, CertificatePayload, IdPayload};

const MOON: &str = "C=CH, O=Tidegate, CN=moon.example.net";

fn name_of(kind: &str) -> String {
    format!("C=CH, O=Tidegate, CN={kind}")
}

fn psk(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn moon() -> LocalAuth {
    local(&["moon"], "moon")
}

fn rsa(padding: RsaPadding, name: &str) -> LocalAuth {
    local_with(&[name], name, padding)
}

fn raw(name: &str) -> LocalAuth {
    LocalAuth::RawKey { key: key(name), padding: RsaPadding::Pkcs1 }
}

fn pinned(names: &[&str]) -> RemoteAuth {
    let keys = names.iter().map(|name| key(name).public_key().to_vec()).collect();
    RemoteAuth::RawKeys(RemoteKeys { keys, rsa_sha1: RsaSha1::Refuse })
}

/// The AUTH payload came from `moon` and is taken apart by a peer that trusts the root.
fn refusal_of(auth: AuthPayload, certificate: &str, id: &str) -> AuthFailure {
    task(remote(store(&["root"])), id, vec![x509(certificate)], auth).run().expect_err("refused")
}

fn digital(algorithm: &[u8], signature: &[u8]) -> AuthPayload {
    let data = [&[algorithm.len() as u8], algorithm, signature].concat();
    AuthPayload { method: 14, data }
}

fn hex(digits: &str) -> Vec<u8> {
    let digits: String = digits.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

/// RFC 7296 §2.15: message, nonce, and prf(SK_p, type, three zero bytes, data).
#[test]
fn the_signed_octets_cover_message_nonce_and_identity() {
    let sk_p = [7; 32];
    let id = identity("moon.example.org").to_payload();
    let mac = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &sk_p),
        &[&[2, 0, 0, 0], b"moon.example.org".as_slice()].concat(),
    );
    let prf = RING.prf(PrfId::HmacSha256).expect("there");

    let octets = signed_octets(b"message", b"nonce", &*prf.key(&sk_p), &id);

    assert_eq!(octets, [b"messagenonce", mac.as_ref()].concat());
}

/// RFC 7296 §2.15
#[test]
fn a_shared_secret_is_padded_before_it_is_used() {
    let hmac = |key: &[u8], data: &[u8]| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA512, key);
        ring::hmac::sign(&key, data).as_ref().to_vec()
    };
    let expected = hmac(&hmac(b"secret", b"Key Pad for IKEv2"), OCTETS);
    let prf = RING.prf(PrfId::HmacSha512).expect("there");
    assert_eq!(*psk_auth(prf, b"secret", OCTETS), expected);
}

#[test]
fn equal_secrets_authenticate_and_others_do_not() {
    let both =
        |ours: &str, theirs: &str| exchange(LocalAuth::Psk(psk(ours)), "moon", RemoteAuth::Psk(psk(theirs)));
    let proof = both("secret", "secret").expect("equal");
    assert_eq!(proof.identity(), &identity("moon"));
    assert_eq!(proof.method(), 2);
    assert_eq!(proof.valid_until(), None);
    assert_eq!(both("secret", "other").err(), Some(AuthFailure::WrongPsk));
    assert_eq!(both("", "").err(), Some(AuthFailure::EmptyPsk));
}

/// Adversary, lengths: an AUTH value cut short, empty or lengthened is not the right one.
#[test]
fn a_shared_secret_value_of_another_length_is_refused() {
    let good = sign(LocalAuth::Psk(psk("secret")), &[]).expect("signs");
    for data in [Vec::new(), good.data[..31].to_vec(), [good.data.as_slice(), &[0]].concat()] {
        let auth = AuthPayload { method: 2, data };
        let task = task(RemoteAuth::Psk(psk("secret")), "moon", Vec::new(), auth);
        assert_eq!(task.run().err(), Some(AuthFailure::WrongPsk));
    }
}

/// RFC 7427 §3, RFC 8420 §2
#[test]
fn with_hashes_every_kind_of_key_signs_by_method_14() {
    for kind in ["moon-p384", "moon-p521", "moon-ed25519", "moon-rsa", "moon-rsa3072"] {
        let proof = exchange(local(&[kind], kind), &name_of(kind), remote(store(&["root"])));
        let proof = proof.unwrap_or_else(|failure| panic!("{kind}: {failure}"));
        assert_eq!(proof.method(), 14);
        assert_eq!(proof.identity(), &identity(&name_of(kind)));
        assert!(proof.valid_until().is_some());
    }
}

/// RFC 4754 §2
#[test]
fn without_hashes_ecdsa_signs_by_the_method_of_its_curve() {
    for (kind, id, method, length) in [
        ("moon", MOON.to_owned(), 9, 64),
        ("moon-p384", name_of("moon-p384"), 10, 96),
        ("moon-p521", name_of("moon-p521"), 11, 132),
    ] {
        let auth = sign(local(&[kind], kind), &[]).expect("signs");
        assert_eq!((auth.method, auth.data.len()), (method, length));
        let proof = task(remote(store(&["root"])), &id, vec![x509(kind)], auth).run().expect("verifies");
        assert_eq!(proof.method(), method);
    }
}

#[test]
fn keys_that_cannot_sign_for_a_peer_say_so() {
    for (kind, key) in [("moon-rsa", KeyKind::Rsa { bits: 2048 }), ("moon-ed25519", KeyKind::Ed25519)] {
        assert_eq!(
            sign(local(&[kind], kind), &[]),
            Err(AuthFailure::CannotSign(CannotSign::NoHashesAnnounced { key }))
        );
        assert_eq!(
            sign(local(&[kind], kind), &[1, 99]),
            Err(AuthFailure::CannotSign(CannotSign::NoCommonHash { key, peer: vec![1, 99] }))
        );
    }
    let key = KeyKind::P256;
    assert_eq!(
        sign(moon(), &[3, 4, 5]),
        Err(AuthFailure::CannotSign(CannotSign::NoCommonHash { key, peer: vec![3, 4, 5] }))
    );
}

/// RFC 7427 §4: a hash of the peer's, and one that suits the key.
#[test]
fn rsa_picks_its_hash_by_key_size_and_peer() {
    let algorithm = |local: LocalAuth, hashes: &[u16]| {
        let auth = sign(local, hashes).expect("signs");
        let length = usize::from(auth.data[0]);
        Algorithm::from_der(&auth.data[1..=length]).expect("well-formed")
    };
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    use RsaPadding::{Pkcs1, Pss};
    for (padding, peer, expected) in [
        (Pkcs1, &[2, 3, 4, 5][..], Algorithm::RsaPkcs1(Sha256)),
        (Pkcs1, &[4, 3], Algorithm::RsaPkcs1(Sha384)),
        (Pkcs1, &[1, 4], Algorithm::RsaPkcs1(Sha512)),
        (Pss, &[2, 3, 4], Algorithm::RsaPss(Sha256)),
        (Pss, &[4], Algorithm::RsaPss(Sha512)),
    ] {
        assert_eq!(algorithm(rsa(padding, "moon-rsa"), peer), expected);
    }
    let trusting = || remote(store(&["root"]));
    for padding in [Pkcs1, Pss] {
        assert!(exchange(rsa(padding, "moon-rsa3072"), &name_of("moon-rsa3072"), trusting()).is_ok());
    }
}

/// RFC 7427 appendix A, RFC 8420 appendix A.1
#[test]
fn algorithm_identifiers_are_the_known_ones() {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    for (der, algorithm) in [
        ("300d 0609 2a86 4886 f70d 0101 0b05 00", Algorithm::RsaPkcs1(Sha256)),
        ("300d 0609 2a86 4886 f70d 0101 0c05 00", Algorithm::RsaPkcs1(Sha384)),
        ("300d 0609 2a86 4886 f70d 0101 0d05 00", Algorithm::RsaPkcs1(Sha512)),
        ("300a 0608 2a86 48ce 3d04 0302", Algorithm::Ecdsa(Sha256)),
        ("300a 0608 2a86 48ce 3d04 0303", Algorithm::Ecdsa(Sha384)),
        ("300a 0608 2a86 48ce 3d04 0304", Algorithm::Ecdsa(Sha512)),
        ("3005 0603 2b65 70", Algorithm::Ed25519),
    ] {
        assert_eq!(algorithm.to_der(), Some(hex(der).as_slice()));
        assert_eq!(Algorithm::from_der(&hex(der)), Ok(algorithm));
    }
    let only_read = [
        ("300d 0609 2a86 4886 f70d 0101 0505 00", Algorithm::RsaPkcs1(HashAlgorithm::Sha1)),
        ("3009 0607 2a86 48ce 3d04 01", Algorithm::Ecdsa(HashAlgorithm::Sha1)),
        ("300d 0609 2a86 4886 f70d 0101 0a30 00", Algorithm::RsaPss(HashAlgorithm::Sha1)),
        (PSS_DEFAULT, Algorithm::RsaPss(HashAlgorithm::Sha1)),
        (PSS_SHA256, Algorithm::RsaPss(Sha256)),
    ];
    for (der, algorithm) in only_read {
        assert_eq!(Algorithm::from_der(&hex(der)), Ok(algorithm), "{der}");
    }
    // What we send leaves the default trailer out, as DER wants it.
    for (hash, salt) in [(Sha256, 32), (Sha384, 48), (Sha512, 64)] {
        let der = Algorithm::RsaPss(hash).to_der().expect("ours");
        assert_eq!(der.len(), 67);
        assert_eq!(der[66], salt);
        assert_eq!(Algorithm::from_der(der), Ok(Algorithm::RsaPss(hash)));
    }
}

const PSS_DEFAULT: &str = "303e 0609 2a86 4886 f70d 0101 0a30 31a0 0b30 0906 052b 0e03 021a 0500
    a118 3016 0609 2a86 4886 f70d 0101 0830 0906 052b 0e03 021a 0500 a203 0201 14a3 0302 0101";
const PSS_SHA256: &str = "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0201 0500
    a11c 301a 0609 2a86 4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0201 0500 a203 0201 20a3 0302 0101";

/// Adversary, signatures: lax parameters.
#[test]
fn algorithm_parameters_beyond_the_known_ones_are_refused() {
    let cases = [
        // PKCS#1 with parameters that are not NULL, Ed25519 and ECDSA with any.
        ("300e 0609 2a86 4886 f70d 0101 0b02 0101", AlgorithmError::Parameters),
        ("3007 0603 2b65 7005 00", AlgorithmError::Parameters),
        ("300c 0608 2a86 48ce 3d04 0302 0500", AlgorithmError::Parameters),
        // PSS without parameters.
        ("300b 0609 2a86 4886 f70d 0101 0a", AlgorithmError::Parameters),
        // Ed448, and DSA.
        ("3005 0603 2b65 71", AlgorithmError::Unsupported("1.3.101.113".into())),
        ("300b 0609 6086 4801 6503 0403 02", AlgorithmError::Unsupported("2.16.840.1.101.3.4.3.2".into())),
        // Trailing bytes, inside and outside.
        ("3006 0603 2b65 70 00", AlgorithmError::Malformed),
        ("3005 0603 2b65 70 00", AlgorithmError::Malformed),
        ("3005 0603 2b65", AlgorithmError::Malformed),
        ("", AlgorithmError::Malformed),
    ];
    for (der, error) in cases {
        assert_eq!(Algorithm::from_der(&hex(der)), Err(error), "{der}");
    }
    // A short salt, another trailer, another hash in the mask.
    let good = hex(PSS_SHA256);
    for (at, value) in [(66, 0x14), (71, 2), (59, 2)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert_eq!(Algorithm::from_der(&bad), Err(AlgorithmError::Parameters), "{at}");
    }
    // Another mask generation function.
    let mut bad = good;
    bad[46] = 9;
    let unsupported = AlgorithmError::Unsupported("1.2.840.113549.1.1.9".into());
    assert_eq!(Algorithm::from_der(&bad), Err(unsupported));
}

/// RFC 7427 §4
#[test]
fn a_hash_that_was_not_announced_is_refused() {
    assert_eq!(accepted_hashes(), [2, 3, 4, 5]);
    for sha1 in ["300d 0609 2a86 4886 f70d 0101 0505 00", PSS_DEFAULT] {
        let failure = refusal_of(digital(&hex(sha1), &[0; 256]), "moon-rsa", &name_of("moon-rsa"));
        assert_eq!(failure, AuthFailure::HashNotAnnounced { hash: 1 });
        assert_eq!(failure.blame(), Blame::Protocol);
    }
}

/// Adversary, lengths in TLVs: the algorithm's length reaches past the end, or there is none.
#[test]
fn a_digital_signature_that_is_cut_short_is_malformed() {
    let good = sign(moon(), &[2]).expect("signs").data;
    for end in 0..=12 {
        let auth = AuthPayload { method: 14, data: good[..end].to_vec() };
        assert_eq!(refusal_of(auth, "moon", MOON), AuthFailure::Algorithm(AlgorithmError::Malformed));
    }
    let auth = AuthPayload { method: 14, data: good[..13].to_vec() };
    let (scheme, error) = (SignatureScheme::EcdsaP256Sha256, SignatureError::Invalid);
    assert_eq!(refusal_of(auth, "moon", MOON), AuthFailure::Signature { scheme, error });
}

/// Adversary, signatures: one over other octets, by another key, or of no bytes.
#[test]
fn a_signature_that_does_not_hold_is_refused() {
    for kind in ["moon-p384", "moon-p521", "moon-ed25519", "moon-rsa"] {
        let auth = sign(local(&[kind], kind), &accepted_hashes()).expect("signs");
        let mut forged = task(remote(store(&["root"])), &name_of(kind), vec![x509(kind)], auth);
        forged.octets.push(0);
        let failure = forged.run().expect_err("other octets");
        assert!(
            matches!(failure, AuthFailure::Signature { error: SignatureError::Invalid, .. }),
            "{kind}: {failure}"
        );
    }
    let other = sign(raw("moon-p384"), &accepted_hashes()).expect("signs");
    let (scheme, error) = (SignatureScheme::EcdsaP256Sha384, SignatureError::Invalid);
    assert_eq!(refusal_of(other, "moon", MOON), AuthFailure::Signature { scheme, error });
}

#[test]
fn the_two_encodings_of_ecdsa_are_not_mixed_up() {
    let fixed = sign(moon(), &[]).expect("signs");
    let der = sign(moon(), &[2]).expect("signs");
    let length = usize::from(der.data[0]) + 1;
    let algorithm = &der.data[1..length];

    let (scheme, error) = (SignatureScheme::EcdsaP256Sha256, SignatureError::Invalid);
    let invalid = AuthFailure::Signature { scheme, error };
    assert_eq!(refusal_of(digital(algorithm, &fixed.data), "moon", MOON), invalid);
    let swapped = AuthPayload { method: 9, data: der.data[length..].to_vec() };
    assert_eq!(refusal_of(swapped, "moon", MOON), invalid);
}

#[test]
fn a_key_of_another_kind_than_method_or_algorithm_is_named() {
    let fixed = sign(moon(), &[]).expect("signs");
    assert_eq!(
        refusal_of(fixed, "moon-p384", &name_of("moon-p384")),
        AuthFailure::KeyMismatch { method: 9, key: KeyKind::P384 }
    );
    let ecdsa = sign(moon(), &[2]).expect("signs");
    assert_eq!(
        refusal_of(ecdsa, "moon-rsa", &name_of("moon-rsa")),
        AuthFailure::KeyMismatch { method: 14, key: KeyKind::Rsa { bits: 2048 } }
    );
}

#[test]
fn a_method_of_another_kind_than_wanted_names_both() {
    let psk_auth = sign(LocalAuth::Psk(psk("secret")), &[]).expect("signs");
    let expected = ExpectedMethod::Signature;
    for certificates in [vec![], vec![x509("moon")]] {
        let task = task(remote(store(&["root"])), MOON, certificates, psk_auth.clone());
        assert_eq!(task.run().err(), Some(AuthFailure::MethodNotAllowed { expected, actual: 2 }));
    }
    let task = task(pinned(&["moon"]), MOON, vec![], psk_auth);
    assert_eq!(task.run().err(), Some(AuthFailure::MethodNotAllowed { expected, actual: 2 }));

    let failure = exchange(moon(), MOON, RemoteAuth::Psk(psk("secret"))).expect_err("a signature");
    assert_eq!(failure, AuthFailure::MethodNotAllowed { expected: ExpectedMethod::Psk, actual: 14 });
    for method in [0, 3, 12, 13, 200] {
        let auth = AuthPayload { method, data: vec![0; 64] };
        assert_eq!(
            refusal_of(auth, "moon", MOON),
            AuthFailure::MethodNotAllowed { expected, actual: method }
        );
    }
}

#[test]
fn method_1_is_refused_unless_it_is_asked_for() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/certs/rsa-sha1.sig");
    let auth = AuthPayload { method: 1, data: std::fs::read(path).expect(path) };
    let id = name_of("moon-rsa");
    assert_eq!(refusal_of(auth.clone(), "moon-rsa", &id), AuthFailure::RsaSha1Refused);
    assert_eq!(
        refusal_of(auth.clone(), "moon", MOON),
        AuthFailure::KeyMismatch { method: 1, key: KeyKind::P256 }
    );
    let (store, issuers) = (Arc::new(store(&["root"])), Vec::new());
    let legacy = RemoteCertificates { store, issuers, rsa_sha1: RsaSha1::Accept };
    let proof = task(RemoteAuth::Certificates(legacy), &id, vec![x509("moon-rsa")], auth).run();
    assert_eq!(proof.expect("verifies").method(), 1);
}

#[test]
fn a_peer_that_is_somebody_else_is_named_with_whom_was_expected() {
    let auth = sign(moon(), &accepted_hashes()).expect("signs");
    let mut other = task(remote(store(&["root"])), MOON, vec![x509("moon")], auth.clone());
    other.expected = "C=CH, O=Elsewhere, CN=*".parse().expect("a pattern");
    let failure = other.run().expect_err("somebody else");
    let (expected, actual) = (other.expected.clone(), identity(MOON));
    assert_eq!(failure, AuthFailure::IdentityMismatch { expected, actual });
    assert!(failure.to_string().contains("CN=moon.example.net"), "{failure}");

    other.expected = "C=CH, O=Tidegate, CN=*".parse().expect("a pattern");
    assert!(other.run().is_ok());
}

/// Adversary: a good certificate does not let its owner be somebody else.
#[test]
fn an_identity_that_the_certificate_does_not_name_is_refused() {
    for id in ["sun.example.org", "a.wild.example.org", "moon.example.net", "192.0.2.2"] {
        let failure = exchange(moon(), id, remote(store(&["root"]))).expect_err(id);
        let AuthFailure::IdentityNotCertified { identity: claimed, certified } = failure else {
            panic!("{id}: {failure}");
        };
        assert_eq!(claimed, identity(id));
        assert!(certified.contains(&identity("moon.example.org")));
    }
    for id in ["moon.example.org", "carol@example.org", "192.0.2.1", "2001:db8::1", MOON] {
        assert!(exchange(moon(), id, remote(store(&["root"]))).is_ok(), "{id}");
    }
}

#[test]
fn the_verdict_on_a_certificate_comes_through() {
    let failure = exchange(moon(), MOON, remote(store(&["other"]))).expect_err("unknown issuer");
    let AuthFailure::Certificate(verdict) = failure else { panic!("{failure}") };
    assert_eq!(verdict.check, CertificateCheck::NoTrustedIssuer);
    assert!(verdict.to_string().contains("CN=moon.example.net"), "{verdict}");

    let auth = sign(moon(), &accepted_hashes()).expect("signs");
    let mut early = task(remote(store(&["root"])), MOON, vec![x509("moon")], auth.clone());
    early.wall = tidegate_ike::WallTime(0);
    let AuthFailure::Certificate(verdict) = early.run().expect_err("no clock") else { panic!("no verdict") };
    assert_eq!(verdict.blame(), Blame::Us);

    // Certificates in encodings that we do not know are passed over.
    let unknown = CertificatePayload { encoding: 12, data: vec![1, 2, 3] };
    let with = |certificates| task(remote(store(&["root"])), MOON, certificates, auth.clone()).run();
    assert!(with(vec![unknown.clone(), x509("moon")]).is_ok());
    let Err(AuthFailure::Certificate(verdict)) = with(vec![unknown]) else { panic!("none left") };
    assert_eq!(verdict.check, CertificateCheck::Missing);
}

#[test]
fn a_malformed_identity_is_the_peers_fault() {
    let mut task = task(RemoteAuth::Psk(psk("x")), "moon", vec![], AuthPayload { method: 2, data: vec![] });
    task.id = IdPayload { kind: 1, data: vec![1] };
    let failure = task.run().expect_err("malformed");
    let error = IdentityError::AddressLength { expected: 4, actual: 1 };
    assert_eq!(failure, AuthFailure::PeerIdentity(error));
    assert_eq!(failure.blame(), Blame::Protocol);
}

/// RFC 7670 §3
#[test]
fn a_pinned_key_authenticates_with_and_without_its_payload() {
    for kind in ["moon", "moon-p384", "moon-p521", "moon-ed25519", "moon-rsa"] {
        assert!(exchange(raw(kind), "moon", pinned(&["moon-rsa3072", kind])).is_ok(), "{kind}");
        let auth = sign(raw(kind), &accepted_hashes()).expect("signs");
        let silent = task(pinned(&["moon-rsa3072", kind]), "moon", Vec::new(), auth);
        assert!(silent.run().is_ok(), "{kind}");
    }
    let failure = exchange(raw("moon"), "moon", pinned(&["moon-p384"])).expect_err("not pinned");
    assert_eq!(failure, AuthFailure::KeyNotPinned);
    assert_eq!(exchange(raw("moon"), "moon", pinned(&[])).err(), Some(AuthFailure::KeyNotPinned));
}

/// Adversary: to send a pinned key is not to own it.
#[test]
fn a_pinned_key_that_did_not_sign_is_refused() {
    let auth = sign(raw("moon"), &accepted_hashes()).expect("signs");
    let pinned_key = raw("moon-p384").certificates();
    let failure = task(pinned(&["moon-p384"]), "moon", pinned_key, auth).run().expect_err("another's");
    let (scheme, error) = (SignatureScheme::EcdsaP384Sha256, SignatureError::Invalid);
    assert_eq!(failure, AuthFailure::Signature { scheme, error });
}

/// RFC 7296 §3.6
#[test]
fn our_certificate_goes_first_and_the_root_stays_at_home() {
    let payloads = local(&["deep", "int2", "int1", "root"], "moon").certificates();
    assert_eq!(payloads, [x509("deep"), x509("int2"), x509("int1")]);
    assert_eq!(local(&["self-signed"], "moon").certificates(), [x509("self-signed")]);
    assert!(LocalAuth::Psk(psk("secret")).certificates().is_empty());
    let raw = raw("moon").certificates();
    assert_eq!((raw.len(), raw[0].encoding), (1, 15));
}

/// RFC 4945 §3.1.5
#[test]
fn a_name_of_our_certificate_is_sent_as_the_certificate_encodes_it() {
    // The operator's text makes PrintableStrings, the certificate holds UTF8Strings.
    let ours = identity("C=CN, O=Fabedge.io, CN=fabedge.connector");
    let connector = local(&["fabedge-connector"], "moon-rsa");
    let sent = connector.id_payload(&ours);
    assert_ne!(sent, ours.to_payload());
    assert_eq!(Identity::from_payload(&sent), Ok(ours));
    assert!(certificate("fabedge-connector").windows(sent.data.len()).any(|window| window == sent.data));

    for other in ["C=CN, O=fabedge.io, CN=other", "moon.example.org"] {
        assert_eq!(connector.id_payload(&identity(other)), identity(other).to_payload());
    }
    assert_eq!(LocalAuth::Psk(psk("secret")).id_payload(&identity(MOON)), identity(MOON).to_payload());
}

#[test]
fn a_certificate_of_ours_that_cannot_work_is_refused_when_it_is_loaded() {
    let load = |chain: &[Vec<u8>], key_name: &str| {
        LocalCertificate::new(chain, key(key_name), RsaPadding::Pkcs1).map(|_| ())
    };
    let subject = MOON.parse().expect("a name");
    assert_eq!(load(&[certificate("moon"), certificate("root")], "moon"), Ok(()));
    assert_eq!(load(&[certificate("moon")], "moon-rsa"), Err(LocalAuthError::KeyMismatch { subject }));
    assert_eq!(load(&[], "moon"), Err(LocalAuthError::Missing));
    assert_eq!(
        load(&[certificate("moon"), vec![0x30]], "moon"),
        Err(LocalAuthError::Unreadable { position: 1, check: CertificateCheck::Malformed })
    );
    assert_eq!(
        load(&[certificate("moon-rsa1024")], "moon"),
        Err(LocalAuthError::Key(SignatureError::WeakKey { bits: 1024 }))
    );
}

#[test]
fn what_we_can_check_is_what_we_request() {
    assert_eq!(remote(store(&["root"])).certificate_requests(), store(&["root"]).certificate_requests());
    let raw = CertificatePayload { encoding: 15, data: Vec::new() };
    assert_eq!(pinned(&["moon"]).certificate_requests(), [raw]);
    assert!(RemoteAuth::Psk(psk("secret")).certificate_requests().is_empty());
}

#[test]
fn debug_output_holds_no_secret() {
    let auth = AuthPayload { method: 2, data: b"secret".to_vec() };
    let verify = task(RemoteAuth::Psk(psk("secret")), "moon", Vec::new(), auth);
    let text = format!("{:?} {:?} {verify:?}", LocalAuth::Psk(psk("secret")), RemoteAuth::Psk(psk("secret")));
    assert!(!text.contains("secret") && !text.contains("115, 101, 99"), "{text}");
}

#[test]
fn every_failure_speaks() {
    let failures = [
        AuthFailure::WrongPsk,
        AuthFailure::KeyNotPinned,
        AuthFailure::HashNotAnnounced { hash: 1 },
        AuthFailure::MethodNotAllowed { expected: ExpectedMethod::Psk, actual: 14 },
        AuthFailure::CannotSign(CannotSign::NoHashesAnnounced { key: KeyKind::Ed25519 }),
    ];
    let texts: std::collections::BTreeSet<String> = failures.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), failures.len());
    assert_eq!(
        failures[3].to_string(),
        "the peer authenticates by a digital signature (method 14) where a shared secret is expected"
    );
}

proptest! {
    #[test]
    fn any_algorithm_identifier_is_read_or_refused(bytes: Vec<u8>, at in 0usize..72, value: u8) {
        let _ = Algorithm::from_der(&bytes);
        let mut changed = hex(PSS_SHA256);
        changed[at] = value;
        let _ = Algorithm::from_der(&changed);
    }

    #[test]
    fn any_auth_payload_but_the_right_one_is_refused(method: u8, data: Vec<u8>) {
        let auth = AuthPayload { method, data };
        for (remote, name) in [
            (remote(store(&["root"])), MOON),
            (pinned(&["moon"]), MOON),
            (RemoteAuth::Psk(psk("secret")), MOON),
        ] {
            prop_assert!(task(remote, name, vec![x509("moon")], auth.clone()).run().is_err());
        }
    }

    #[test]
    fn any_public_key_is_read_or_refused(bytes: Vec<u8>, at in 0usize..91, value: u8) {
        let _ = KeyKind::of(&bytes);
        let mut changed = key("moon").public_key().to_vec();
        changed[at] = value;
        let _ = KeyKind::of(&changed);
    }
}

/// The clock of the tests lies within the certificates' time.
#[test]
fn the_proof_ends_with_the_certificate() {
    let proof = exchange(moon(), MOON, remote(store(&["root"]))).expect("good");
    assert!(proof.valid_until().is_some_and(|end| end > NOW));
    assert!(matches!(proof.identity(), Identity::Dn(_)));
}

//! What these tests share: the test PKI, a clock, and exchanges of AUTH payloads.

use std::sync::Arc;
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    AuthFailure, Authenticated, CertificateCheck, CertificateVerdict, EndEntity, LocalAuth, LocalCertificate,
    RemoteAuth, RemoteCertificates, Revocation, RsaPadding, RsaSha1, SignTask, TrustStore, VerifyTask,
    WhichCertificate, accepted_hashes, encoding,
};
use tidegate_ike::crypto::{PrfId, RING, SigningKey, SystemRandom, pem};
use tidegate_ike::identity::{Identity, IdentityPattern};
use tidegate_ike::wire::{AuthPayload, CertificatePayload};

/// When the program under test was built: 2024-03-01.
pub(crate) const BUILD: WallTime = WallTime(1_709_251_200);
/// The clock of the tests: 2026-06-01.
pub(crate) const NOW: WallTime = WallTime(1_780_272_000);

pub(crate) fn identity(text: &str) -> Identity {
    text.parse().expect(text)
}

fn file(name: &str) -> String {
    let path = format!("{}/tests/data/certs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

pub(crate) fn certificate(name: &str) -> Vec<u8> {
    pem::certificates(&file(&format!("{name}.pem"))).expect(name).remove(0)
}

pub(crate) fn revocation_list(name: &str) -> Vec<u8> {
    pem::revocation_lists(&file(&format!("{name}.pem"))).expect(name).remove(0)
}

pub(crate) fn key(name: &str) -> Arc<dyn SigningKey> {
    let der = pem::private_key(&file(&format!("{name}.key"))).expect(name);
    (RING.load_key)(&der).expect(name).into()
}

pub(crate) fn store_with(anchors: &[&str], revocation: Revocation) -> TrustStore {
    let mut store = TrustStore::new(BUILD, revocation);
    for anchor in anchors {
        store.add_anchor(&certificate(anchor)).expect(anchor);
    }
    store
}

pub(crate) fn store(anchors: &[&str]) -> TrustStore {
    store_with(anchors, Revocation::Relaxed)
}

/// Verifies certificates by name, the end entity's first.
pub(crate) fn verify_in(store: &TrustStore, chain: &[&str]) -> Result<EndEntity, CertificateVerdict> {
    let chain: Vec<Vec<u8>> = chain.iter().map(|name| certificate(name)).collect();
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    store.verify(&RING, &chain, &[], NOW)
}

/// The same, with `root` and `fabedge-ca` for anchors.
pub(crate) fn verify(chain: &[&str]) -> Result<EndEntity, CertificateVerdict> {
    verify_in(&store(&["root", "fabedge-ca"]), chain)
}

/// The check that failed, and the subject of the certificate it failed on.
pub(crate) fn refused(result: Result<EndEntity, CertificateVerdict>) -> (CertificateCheck, String) {
    let verdict = result.expect_err("refused");
    assert!(!verdict.to_string().is_empty());
    let subject = match verdict.certificate {
        WhichCertificate::Named { subject, .. } => subject.to_string(),
        WhichCertificate::Unread { position } => format!("unread {position}"),
        WhichCertificate::None => String::new(),
    };
    (verdict.check, subject)
}

/// A certificate of the test PKI with its key.
pub(crate) fn local_with(chain: &[&str], key_name: &str, padding: RsaPadding) -> LocalAuth {
    let chain: Vec<Vec<u8>> = chain.iter().map(|name| certificate(name)).collect();
    LocalAuth::Certificate(LocalCertificate::new(&chain, key(key_name), padding).expect(key_name))
}

pub(crate) fn local(chain: &[&str], key_name: &str) -> LocalAuth {
    local_with(chain, key_name, RsaPadding::Pkcs1)
}

pub(crate) fn remote(store: TrustStore) -> RemoteAuth {
    let (store, issuers) = (Arc::new(store), Vec::new());
    RemoteAuth::Certificates(RemoteCertificates { store, issuers, rsa_sha1: RsaSha1::Refuse })
}

pub(crate) const OCTETS: &[u8] = b"message, nonce and maced identity";

pub(crate) fn sign(local: LocalAuth, peer_hashes: &[u16]) -> Result<AuthPayload, AuthFailure> {
    let task = SignTask {
        provider: &RING,
        prf: PrfId::HmacSha256,
        local: Arc::new(local),
        octets: OCTETS.to_vec(),
        peer_hashes: peer_hashes.to_vec(),
    };
    task.run(&mut SystemRandom::new())
}

/// A task that takes what it is given; tests change one field.
pub(crate) fn task(
    remote: RemoteAuth,
    id: &str,
    certificates: Vec<CertificatePayload>,
    auth: AuthPayload,
) -> VerifyTask {
    VerifyTask {
        provider: &RING,
        prf: PrfId::HmacSha256,
        remote: Arc::new(remote),
        expected: IdentityPattern::Any,
        id: identity(id).to_payload(),
        certificates,
        auth,
        octets: OCTETS.to_vec(),
        wall: NOW,
    }
}

/// One side signs with all hashes offered to it, the other verifies.
pub(crate) fn exchange(local: LocalAuth, id: &str, remote: RemoteAuth) -> Result<Authenticated, AuthFailure> {
    let certificates = local.certificates();
    let auth = sign(local, &accepted_hashes())?;
    task(remote, id, certificates, auth).run()
}

pub(crate) fn x509(name: &str) -> CertificatePayload {
    CertificatePayload { encoding: encoding::X509, data: certificate(name) }
}

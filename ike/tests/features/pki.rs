//! Keys and certificates of the test PKI.

use std::sync::Arc;
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    LocalAuth, LocalCertificate, RemoteAuth, RemoteCertificates, RemoteKeys, Revocation, RsaPadding, RsaSha1,
    TrustStore,
};
use tidegate_ike::crypto::{Provider, SEEDED, SigningKey, pem};

/// When the program under test was built: 2024-03-01.
const BUILD: WallTime = WallTime(1_709_251_200);

fn file(name: &str) -> String {
    let path = format!("{}/tests/data/certs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

pub(crate) fn certificate(name: &str) -> Vec<u8> {
    pem::certificates(&file(&format!("{name}.pem"))).expect(name).remove(0)
}

pub(crate) fn key_by(provider: &Provider, name: &str) -> Arc<dyn SigningKey> {
    let der = pem::private_key(&file(&format!("{name}.key"))).expect(name);
    (provider.load_key)(&der).expect(name).into()
}

/// A certificate, its intermediates and its key.
pub(crate) fn local_by(
    provider: &Provider,
    chain: &[&str],
    key_name: &str,
    padding: RsaPadding,
) -> LocalAuth {
    let chain: Vec<_> = chain.iter().map(|name| certificate(name)).collect();
    let key = key_by(provider, key_name);
    LocalAuth::Certificate(LocalCertificate::new(&chain, key, padding).expect(key_name))
}

pub(crate) fn local(chain: &[&str], key_name: &str) -> LocalAuth {
    local_by(&SEEDED, chain, key_name, RsaPadding::Pkcs1)
}

/// These anchors.
pub(crate) fn certificates(anchors: &[&str]) -> TrustStore {
    let mut store = TrustStore::new(BUILD, Revocation::Relaxed);
    for anchor in anchors {
        store.add_anchor(&certificate(anchor)).expect(anchor);
    }
    store
}

pub(crate) fn remote(store: TrustStore) -> RemoteAuth {
    let (store, issuers) = (Arc::new(store), Vec::new());
    RemoteAuth::Certificates(RemoteCertificates { store, issuers, rsa_sha1: RsaSha1::Refuse })
}

/// A bare key, and what the other end pins.
pub(crate) fn bare_key(name: &str) -> (LocalAuth, RemoteAuth) {
    let key = key_by(&SEEDED, name);
    let pinned = RemoteKeys { keys: vec![key.public_key().to_vec()], rsa_sha1: RsaSha1::Refuse };
    (LocalAuth::RawKey { key, padding: RsaPadding::Pkcs1 }, RemoteAuth::RawKeys(pinned))
}

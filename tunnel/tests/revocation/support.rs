//! The test PKI, peers that prove themselves with it, and a server that says what it is told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    LocalAuth, LocalCertificate, RemoteAuth, RemoteCertificates, Revocation, RsaPadding, RsaSha1, SignTask,
    TrustStore, VerifyTask, WantedList, accepted_hashes,
};
use tidegate_ike::crypto::{PrfId, RING, SystemRandom, pem};
use tidegate_ike::identity::{Identity, IdentityPattern};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const MOON: &str = "C=CH, O=Tidegate, CN=moon.example.net";
pub(crate) const POINTED: &str = "C=CH, O=Tidegate, CN=pointed";

/// When all certificates of the test PKI that should be are valid: 2026-06-01.
pub(crate) const NOW: WallTime = WallTime(1_780_272_000);

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ike/tests/data/certs").join(name);
    std::fs::read_to_string(path).expect(name)
}

pub(crate) fn certificate(name: &str) -> Vec<u8> {
    pem::certificates(&text(&format!("{name}.pem"))).expect(name).remove(0)
}

pub(crate) fn list(name: &str) -> Vec<u8> {
    pem::revocation_lists(&text(&format!("{name}.pem"))).expect(name).remove(0)
}

/// Both certificates are of one key.
pub(crate) fn local(name: &str) -> LocalAuth {
    let key = pem::private_key(&text("moon.key")).unwrap();
    let key = (RING.load_key)(&key).unwrap().into();
    LocalAuth::Certificate(LocalCertificate::new(&[certificate(name)], key, RsaPadding::Pkcs1).unwrap())
}

/// Trusts the root, whose lists are at this place.
pub(crate) fn trust(mode: Revocation, uri: &str) -> Arc<RemoteAuth> {
    let mut store = TrustStore::new(WallTime(0), mode);
    store.add_anchor(&certificate("root")).unwrap();
    let Ok(Identity::Dn(root)) = "C=CH, O=Tidegate, CN=Root".parse() else { panic!("a name") };
    store.add_list_uri(root, uri.to_owned());
    let (store, issuers) = (Arc::new(store), Vec::new());
    Arc::new(RemoteAuth::Certificates(RemoteCertificates { store, issuers, rsa_sha1: RsaSha1::Refuse }))
}

/// The check of a peer that proves itself with a certificate.
pub(crate) fn check(name: &str, id: &str, mode: Revocation, uri: &str) -> VerifyTask {
    let (local, octets) = (Arc::new(local(name)), b"what is signed".to_vec());
    let certificates = local.certificates();
    let task = SignTask {
        provider: &RING,
        prf: PrfId::HmacSha256,
        local,
        octets: octets.clone(),
        peer_hashes: accepted_hashes().to_vec(),
    };
    VerifyTask {
        provider: &RING,
        prf: PrfId::HmacSha256,
        remote: trust(mode, uri),
        expected: IdentityPattern::Any,
        id: id.parse::<Identity>().unwrap().to_payload(),
        certificates,
        auth: task.run(&mut SystemRandom::new()).unwrap(),
        octets,
        wall: NOW,
    }
}

/// What the check of the moon lacks.
pub(crate) fn wanted(uri: &str) -> Vec<WantedList> {
    let wanted = check("moon", MOON, Revocation::Strict, uri).wanted_lists();
    assert_eq!(wanted.len(), 1);
    wanted
}

/// A server that gives each caller the same answer, or none.
pub(crate) struct Server {
    pub(crate) uri: String,
    pub(crate) requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn with_file(file: Vec<u8>) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
        Self::start(Some([head.into_bytes(), file].concat())).await
    }

    /// Takes everybody in and says nothing.
    pub(crate) async fn silent() -> Self {
        Self::start(None).await
    }

    pub(crate) async fn start(answer: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/a.crl", listener.local_addr().unwrap());
        let requests = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut guests = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 2048];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                assert!(request.starts_with("GET /a.crl HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
                count.fetch_add(1, Ordering::Relaxed);
                match &answer {
                    Some(answer) => drop(stream.write_all(answer).await),
                    None => guests.push(stream),
                }
            }
        });
        Self { uri, requests, task }
    }

    pub(crate) fn asked(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A folder of its own, gone when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-crls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

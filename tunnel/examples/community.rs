//! An agent that keeps a community in sync with a folder of JSON files, as an agent of a cluster would with what
//! its API server tells:
//!
//! ```text
//! folder/self.json          {"name": "edge-1", "id": "C=CN, O=example, CN=edge-1", "subnets": ["10.1.0.0/24"]}
//! folder/peers/*.json       the same of each other node, with "addresses" and for connectors "role": "connector"
//! folder/communities/*.json {"name": "app", "members": ["edge-1", "edge-2"]}
//! folder/tls/               cert.pem, key.pem and ca.pem
//! ```
//!
//! Run it as root: `cargo run --example community -- FOLDER`. A file that comes, changes or goes is followed within a
//! second; only the connections that it concerns are touched. What is written by halves is told of, and left until
//! it is whole.

use serde::de::DeserializeOwned;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tidegate::TunnelManager;
use tidegate::io::Device;
use tidegate::io::offload_tun::OffloadTun;
use tidegate::log::Narrator;
use tidegate::mesh::Mesh;
use tidegate::route::RouteSettings;
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    LocalAuth, LocalCertificate, RemoteAuth, RemoteCertificates, Revocation, RsaPadding, RsaSha1, TrustStore,
};
use tidegate_ike::crypto::{RING, pem};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("which folder?")?.into();
    let manager = start(&folder).await?;
    tokio::spawn(tell(manager.clone()));
    let mut applied = None;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            interrupted = tokio::signal::ctrl_c() => break interrupted?,
        }
        let mesh = match read_mesh(&folder) {
            Ok(mesh) => mesh,
            Err(error) => {
                say(&format!("left as it is: {error}"));
                continue;
            }
        };
        if applied.as_ref() != Some(&mesh) {
            match manager.apply(mesh.clone()).await {
                Ok(changes) => say(&format!("applied: {changes:?}")),
                Err(error) => say(&format!("refused: {error}")),
            }
            applied = Some(mesh);
        }
    }
    manager.shutdown().await;
    Ok(())
}

/// An engine with an interface of its own, its routes, and this node's certificate.
async fn start(folder: &Path) -> Outcome<TunnelManager> {
    let tls = folder.join("tls");
    let device: Arc<dyn Device> = Arc::new(OffloadTun::create("tidegate0", 1400)?);
    let builder = TunnelManager::builder()
        .identity(Arc::new(identity(&tls)?))
        .trust(Arc::new(trust(&tls)?))
        .device(device)
        .routes(RouteSettings::default())
        .state_folder(folder.join("state"));
    Ok(builder.start().await?)
}

fn identity(tls: &Path) -> Outcome<LocalAuth> {
    let chain = pem::certificates(&fs::read_to_string(tls.join("cert.pem"))?)?;
    let key = pem::private_key(&fs::read_to_string(tls.join("key.pem"))?)?;
    let key = Arc::from((RING.load_key)(key.as_ref())?);
    Ok(LocalAuth::Certificate(LocalCertificate::new(&chain, key, RsaPadding::Pkcs1)?))
}

fn trust(tls: &Path) -> Outcome<RemoteAuth> {
    // A clock that is older than this program cannot judge certificates.
    let built = fs::metadata(std::env::current_exe()?)?.modified()?;
    let built = WallTime(built.duration_since(SystemTime::UNIX_EPOCH)?.as_secs());
    let mut store = TrustStore::new(built, Revocation::Relaxed);
    for anchor in pem::certificates(&fs::read_to_string(tls.join("ca.pem"))?)? {
        store.add_anchor(&anchor)?;
    }
    let (store, issuers) = (Arc::new(store), Vec::new());
    Ok(RemoteAuth::Certificates(RemoteCertificates { store, issuers, rsa_sha1: RsaSha1::Refuse }))
}

fn read_mesh(folder: &Path) -> Outcome<Mesh> {
    Ok(Mesh {
        node: read(&folder.join("self.json"))?,
        peers: read_all(&folder.join("peers"))?,
        communities: read_all(&folder.join("communities"))?,
    })
}

fn read_all<T: DeserializeOwned>(folder: &Path) -> Outcome<Vec<T>> {
    let mut files =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read<T: DeserializeOwned>(file: &Path) -> Outcome<T> {
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()).into())
}

async fn tell(manager: TunnelManager) {
    let mut events = manager.events();
    let mut narrator = Narrator::default();
    while let Some(event) = events.next().await {
        say(&narrator.describe(&event).text);
    }
}

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn say(line: &str) {
    println!("{line}");
}

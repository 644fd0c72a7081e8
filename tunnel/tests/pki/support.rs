use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate::pki::{Authority, KeyChoice, Node, RsaBits, Validity};
use tidegate_ike::WallTime;

pub(crate) const NOW: WallTime = WallTime(1_800_000_000);

pub(crate) const KINDS: [KeyChoice; 4] =
    [KeyChoice::EcdsaP256, KeyChoice::EcdsaP384, KeyChoice::Ed25519, KeyChoice::Rsa(RsaBits::Bits2048)];

pub(crate) fn authority(kind: KeyChoice) -> Authority {
    let subject = "C=CN, O=fabedge.io, CN=Fabedge CA".parse().unwrap();
    Authority::create(subject, kind, Validity::days(NOW, 3650)).unwrap().0
}

pub(crate) fn node(subject: &str, names: &[&str]) -> Node {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    Node { subject: subject.parse().unwrap(), names, validity: Validity::days(NOW, 365) }
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tidegate-pki-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

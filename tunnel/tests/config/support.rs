//! A folder with certificates, keys and secrets, and configurations in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate::config::{Configuration, Mistake};

/// A folder of its own, gone when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("tidegate-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// With a certificate, its key, its CA, another key, and a secret.
    pub(crate) fn with_files() -> Self {
        let folder = Self::new();
        folder.copy("moon.pem", "node.pem");
        folder.copy("root.pem", "ca.pem");
        folder.write_secret("node.key", &pki("moon.key"));
        folder.write_secret("other.key", &pki("moon-p384.key"));
        folder.write_secret("peer.psk", "known to both\n");
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect(name);
    }

    pub(crate) fn write_secret(&self, name: &str, text: &str) {
        self.write(name, text);
        self.permit(name, 0o600);
    }

    pub(crate) fn permit(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect(name);
    }

    pub(crate) fn copy(&self, certificate: &str, name: &str) {
        self.write(name, &pki(certificate));
    }

    pub(crate) fn load(&self, text: &str) -> Configuration {
        self.write("tidegate.toml", text);
        Configuration::load(&self.path("tidegate.toml")).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// The mistakes of a text, each of which has a place and a remedy.
    pub(crate) fn mistakes(&self, text: &str) -> Vec<Mistake> {
        self.write("tidegate.toml", text);
        let mistakes = Configuration::load(&self.path("tidegate.toml")).expect_err("a mistake").all;
        for mistake in &mistakes {
            assert_eq!(mistake.place.file, self.path("tidegate.toml"));
            assert!(!mistake.fault.remedy().is_empty(), "{mistake}");
        }
        mistakes
    }

    /// The one mistake of a text, as it is told without the name of the file: `line:column: what; remedy`.
    pub(crate) fn mistake(&self, text: &str) -> String {
        let mistakes = self.mistakes(text);
        let [mistake] = mistakes.as_slice() else { panic!("{mistakes:#?}") };
        let text = mistake.to_string().replace(&format!("{}/", self.0.display()), "");
        text.strip_prefix("tidegate.toml:").expect("the file comes first").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file of the test PKI.
pub(crate) fn pki(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ike/tests/data/certs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A node with certificates.
pub(crate) const NODE: &str = r#"
[node]
name = "edge-1"
certificate = "node.pem"
key = "node.key"
trust = ["ca.pem"]
subnets = ["10.1.0.0/24"]
"#;

/// Its connector.
pub(crate) const CLOUD: &str = r#"
[[peer]]
name = "cloud"
id = "CN=cloud"
role = "connector"
addresses = ["192.0.2.1"]
subnets = ["10.233.0.0/16"]
"#;

/// A connection by a shared secret.
pub(crate) const OFFICE: &str = r#"
[[connection]]
name = "office"
[connection.remote]
id = "gateway.example"
addresses = ["192.0.2.9"]
psk_file = "peer.psk"
[[connection.child]]
name = "net"
local = ["10.1.0.0/24"]
remote = ["10.4.0.0/16"]
"#;

//! What charon has in `/etc`: a secrets file, and folders of authorities, certificates and keys.

use crate::support::certificates::{Authority, Credentials};
use crate::support::process::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder in place of `/etc`.
pub(crate) struct Etc {
    folder: PathBuf,
}

impl Etc {
    /// Files as FabEdge mounts them: the authority, and a certificate with its key.
    pub(crate) fn new(folder: &Path, authority: &Authority, credentials: &Credentials) -> Self {
        let etc = Self { folder: folder.to_owned() };
        for name in ["cacerts", "certs", "private"] {
            fs::create_dir_all(folder.join("ipsec.d").join(name)).expect("a folder");
        }
        etc.put(&authority.certificate, "ipsec.d/cacerts/ca.crt");
        etc.put(&credentials.chain, "ipsec.d/certs/tls.crt");
        etc.put(&credentials.key, "ipsec.d/private/tls.key");
        etc.write_secrets(": RSA tls.key\n");
        etc
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a copy of a file into the place of another, as editors and Kubernetes do: at once.
    pub(crate) fn put(&self, file: &Path, name: &str) {
        let (place, fresh) = (self.folder.join(name), self.folder.join("fresh"));
        fs::copy(file, &fresh).expect("a copy");
        fs::rename(fresh, place).expect("a rename within a file system");
    }

    /// Writes `ipsec.secrets`.
    pub(crate) fn write_secrets(&self, text: &str) {
        let (place, fresh) = (self.folder.join("ipsec.secrets"), self.folder.join("fresh"));
        fs::write(&fresh, text).expect("a file");
        run(Command::new("chmod").arg("600").arg(&fresh));
        fs::rename(fresh, place).expect("a rename within a file system");
    }
}

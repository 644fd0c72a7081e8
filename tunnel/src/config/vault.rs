//! What stands for files: secrets and certificates that are in none, and keys that never leave where they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_ike::crypto::{Secret, SigningKey};

/// Contents and keys by the name that a configuration has for them. A name that is not here is a file's.
#[derive(Clone, Default)]
pub struct Vault {
    contents: BTreeMap<PathBuf, Secret>,
    signers: BTreeMap<PathBuf, Arc<dyn SigningKey>>,
}

impl Vault {
    /// Holds what a file of this name would.
    pub fn hold(&mut self, name: &str, content: Secret) {
        self.contents.insert(name.into(), content);
    }

    /// Holds a key that signs, in place of a file with a private key.
    pub fn hold_signer(&mut self, name: &str, signer: Arc<dyn SigningKey>) {
        self.signers.insert(name.into(), signer);
    }

    /// Forgets what has this name; true if there was something. Connections that were read keep theirs.
    pub fn forget(&mut self, name: &str) -> bool {
        let content = self.contents.remove(Path::new(name)).is_some();
        self.signers.remove(Path::new(name)).is_some() || content
    }

    pub(super) fn content(&self, name: &Path) -> Option<&Secret> {
        self.contents.get(name)
    }

    pub(super) fn signer(&self, name: &Path) -> Option<Arc<dyn SigningKey>> {
        self.signers.get(name).cloned()
    }
}

//! What came from one side.

use super::{CredentialFault, KeyId, SharedSecret, StoredCertificate, StoredKey, StoredList};
use std::sync::Arc;

/// Certificates, revocation lists, keys and secrets that came from one side, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    certificates: Vec<Arc<StoredCertificate>>,
    lists: Vec<Arc<StoredList>>,
    keys: Vec<Arc<StoredKey>>,
    secrets: Vec<Arc<SharedSecret>>,
    revision: u64,
}

/// How many of each are kept.
pub struct Limits;

impl Limits {
    /// Certificates of one side.
    pub const CERTIFICATES: usize = 4096;
    /// Revocation lists of one side.
    pub const LISTS: usize = 256;
    /// Private keys of one side.
    pub const KEYS: usize = 512;
    /// Shared secrets of one side.
    pub const SECRETS: usize = 8192;
    /// Owners of one secret.
    pub const OWNERS: usize = 64;
}

impl Shelf {
    /// Adds a certificate, unless it is there.
    pub fn add_certificate(&mut self, certificate: StoredCertificate) -> Result<(), CredentialFault> {
        if self.certificates.iter().any(|known| **known == certificate) {
            return Ok(());
        }
        room(&self.certificates, "certificates", Limits::CERTIFICATES)?;
        self.certificates.insert(0, Arc::new(certificate));
        self.changed();
        Ok(())
    }

    /// Adds a revocation list, unless it is there.
    pub fn add_list(&mut self, list: StoredList) -> Result<(), CredentialFault> {
        if self.lists.iter().any(|known| known.print() == list.print()) {
            return Ok(());
        }
        room(&self.lists, "revocation lists", Limits::LISTS)?;
        self.lists.insert(0, Arc::new(list));
        self.changed();
        Ok(())
    }

    /// Adds a private key, unless it is there.
    pub fn add_key(&mut self, key: StoredKey) -> Result<(), CredentialFault> {
        if self.keys.iter().any(|known| known.id() == key.id()) {
            return Ok(());
        }
        room(&self.keys, "private keys", Limits::KEYS)?;
        self.keys.insert(0, Arc::new(key));
        self.changed();
        Ok(())
    }

    /// Removes a private key; whether it was there.
    pub fn remove_key(&mut self, id: KeyId) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.id() != id);
        let removed = self.keys.len() != before;
        if removed {
            self.changed();
        }
        removed
    }

    /// Adds a shared secret. It takes the place of one that is called the same.
    pub fn add_secret(&mut self, secret: SharedSecret) -> Result<(), CredentialFault> {
        if self.secrets.iter().any(|known| known.is_same(&secret)) {
            return Ok(());
        }
        if secret.id().is_some() {
            self.secrets.retain(|known| known.id() != secret.id());
        }
        room(&self.secrets, "shared secrets", Limits::SECRETS)?;
        self.secrets.insert(0, Arc::new(secret));
        self.changed();
        Ok(())
    }

    /// Removes the shared secret that is called so; whether it was there.
    pub fn remove_secret(&mut self, id: &str) -> bool {
        let before = self.secrets.len();
        self.secrets.retain(|secret| secret.id() != Some(id));
        let removed = self.secrets.len() != before;
        if removed {
            self.changed();
        }
        removed
    }

    /// Certificates.
    pub fn certificates(&self) -> &[Arc<StoredCertificate>] {
        &self.certificates
    }

    /// Revocation lists.
    pub fn lists(&self) -> &[Arc<StoredList>] {
        &self.lists
    }

    /// Private keys.
    pub fn keys(&self) -> &[Arc<StoredKey>] {
        &self.keys
    }

    /// Shared secrets.
    pub fn secrets(&self) -> &[Arc<SharedSecret>] {
        &self.secrets
    }

    pub(super) fn clear(&mut self) {
        let revision = self.revision;
        *self = Self { revision, ..Self::default() };
        self.changed();
    }

    /// Another one after each change.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// There is the same on it.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        same(&self.certificates, &other.certificates, |one, other| one == other)
            && same(&self.lists, &other.lists, |one, other| one.print() == other.print())
            && same(&self.keys, &other.keys, |one, other| one.id() == other.id())
            && same(&self.secrets, &other.secrets, SharedSecret::is_same)
    }

    fn changed(&mut self) {
        self.revision = self.revision.wrapping_add(1);
    }
}

fn room<T>(there: &[T], what: &'static str, limit: usize) -> Result<(), CredentialFault> {
    match there.len() < limit {
        true => Ok(()),
        false => Err(CredentialFault::TooMany { what, limit }),
    }
}

fn same<T>(one: &[Arc<T>], other: &[Arc<T>], is_same: impl Fn(&T, &T) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
}

//! What we and our peers prove who we are by: certificates, keys, shared secrets, authorities, revocation lists.
//!
//! 1. A [`Shelf`] holds what came from one side: from clients, or from files. Clients cannot take away what
//!    files have brought, and reading files again replaces what files brought before and nothing else.
//! 2. [`Credentials`] has both shelves, and the authorities that clients describe. Everything is known by a key of its
//!    own, and limited in number.
//! 3. [`Credentials::local`] and [`Credentials::remote`] find what a connection's sections ask for, or say what
//!    is [`Lacking`]. What they give has a print that is the same as long as nothing of it has changed.
//!
//! Revocation lists that are fetched are not kept here: what is given out says where they are to be had.
//!
//! All of it is plain data in memory; [`folder`] reads the files of charon.

mod authority;
mod certificate;
mod fault;
pub mod folder;
mod key;
mod lacking;
mod list;
mod local;
mod locked;
mod print;
mod remote;
mod secret;
mod shelf;

pub use authority::Authority;
pub use certificate::StoredCertificate;
pub use fault::CredentialFault;
pub use key::{KeyId, StoredKey};
pub use lacking::Lacking;
pub use list::StoredList;
pub use locked::LockFault;
pub use print::Proof;
pub use secret::{Owner, SharedSecret};
pub use shelf::{Limits, Shelf};

use print::Printer;
use remote::Stores;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// What we and our peers prove who we are by.
pub struct Credentials {
    /// What clients have brought.
    clients: Shelf,
    /// What files have brought.
    files: Shelf,
    authorities: BTreeMap<String, Authority>,
    changes: watch::Sender<u64>,
    printer: Printer,
    stores: Stores,
}

impl Credentials {
    /// None yet.
    pub fn new() -> Self {
        Self {
            clients: Shelf::default(),
            files: Shelf::default(),
            authorities: BTreeMap::new(),
            changes: watch::Sender::new(0),
            printer: Printer::new(),
            stores: Stores::default(),
        }
    }

    /// Counts up at every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What clients have brought.
    pub fn clients(&self) -> &Shelf {
        &self.clients
    }

    /// Changes what clients have brought.
    pub fn change_clients<T>(
        &mut self,
        change: impl FnOnce(&mut Shelf) -> Result<T, CredentialFault>,
    ) -> Result<T, CredentialFault> {
        let before = self.clients.revision();
        let outcome = change(&mut self.clients);
        if self.clients.revision() != before {
            self.changed();
        }
        outcome
    }

    /// Forgets what clients have brought, but for authorities, as charon does.
    pub fn clear(&mut self) {
        self.clients.clear();
        self.changed();
    }

    /// What files have brought.
    pub fn files(&self) -> &Shelf {
        &self.files
    }

    /// Takes what files bring now in place of what they brought before.
    pub fn replace_files(&mut self, files: Shelf) {
        if !self.files.is_same(&files) {
            self.files = files;
            self.changed();
        }
    }

    /// Adds an authority, or replaces the one of this name.
    pub fn add_authority(&mut self, name: &str, authority: Authority) -> Result<(), CredentialFault> {
        let known = self.authorities.get(name);
        if known == Some(&authority) {
            return Ok(());
        }
        if known.is_none() && self.authorities.len() >= MAX_AUTHORITIES {
            return Err(CredentialFault::TooMany { what: "authorities", limit: MAX_AUTHORITIES });
        }
        self.authorities.insert(name.to_owned(), authority);
        self.changed();
        Ok(())
    }

    /// Removes an authority; whether it was there.
    pub fn remove_authority(&mut self, name: &str) -> bool {
        let removed = self.authorities.remove(name).is_some();
        if removed {
            self.changed();
        }
        removed
    }

    /// Authorities, by name.
    pub fn authorities(&self) -> impl Iterator<Item = (&str, &Authority)> {
        self.authorities.iter().map(|(name, authority)| (name.as_str(), authority))
    }

    /// Every certificate, each once.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<StoredCertificate>> {
        let of_authorities = self.authorities.values().map(Authority::certificate);
        let all = self.clients.certificates().iter().chain(self.files.certificates()).chain(of_authorities);
        let mut seen = std::collections::BTreeSet::new();
        all.filter(move |certificate| seen.insert(certificate.print()))
    }

    /// Every revocation list, each once.
    pub fn lists(&self) -> impl Iterator<Item = &Arc<StoredList>> {
        let all = self.clients.lists().iter().chain(self.files.lists());
        let mut seen = std::collections::BTreeSet::new();
        all.filter(move |list| seen.insert(list.print()))
    }

    /// Every private key; one that is on both shelves comes twice.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<StoredKey>> {
        self.clients.keys().iter().chain(self.files.keys())
    }

    fn secrets(&self) -> impl Iterator<Item = &Arc<SharedSecret>> {
        self.clients.secrets().iter().chain(self.files.secrets())
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("clients", &self.clients)
            .field("files", &self.files)
            .field("authorities", &self.authorities.len())
            .finish_non_exhaustive()
    }
}

const MAX_AUTHORITIES: usize = 512;

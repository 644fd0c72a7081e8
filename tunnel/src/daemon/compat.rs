//! `--charon-compat`: what we prove who we are by comes from the files of charon, and follows them.

use super::Watch;
use crate::vici::Credentials;
use crate::vici::credentials::folder::{Folder, FolderFault, Found};
use std::future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where charon has its files.
pub const CHARON_FOLDER: &str = "/etc";
/// Where charon listens.
pub(super) const CHARON_SOCKET: &str = "/var/run/charon.vici";

/// Credentials that follow the files of charon.
pub(super) struct Compat {
    folder: Folder,
    credentials: Arc<Mutex<Credentials>>,
    /// What was wrong when the files were last read. It is not said twice.
    told: Vec<FolderFault>,
    watch: Watch,
}

impl Compat {
    /// Reads the files for the first time. Has to be called within a tokio runtime.
    pub(super) fn start(path: PathBuf, credentials: Arc<Mutex<Credentials>>) -> Self {
        let mut folder = Folder::new(path);
        let found = folder.read();
        let watch = Watch::new(&found.files);
        let mut compat = Self { folder, credentials, told: Vec::new(), watch };
        let (keys, certificates) = (found.shelf.keys().len(), found.shelf.certificates().len());
        let secrets = found.shelf.secrets().len();
        tracing::info!(keys, secrets, certificates, "credentials of {}", compat.folder.path().display());
        compat.take(found);
        compat
    }

    /// Ready when one of the files is another than it was; never without files.
    pub(super) async fn changed(compat: &mut Option<Self>) {
        match compat {
            Some(compat) => compat.watch.changed().await,
            None => future::pending().await,
        }
    }

    /// Reads the files again. Connections take up what is new, and no SA goes.
    pub(super) fn reload(&mut self) {
        let before = super::Stamps::of(self.watch.paths());
        let found = self.folder.read();
        self.watch = Watch::new(&found.files).since(&before);
        tracing::info!("credentials of {} were read again", self.folder.path().display());
        self.take(found);
    }

    fn take(&mut self, found: Found) {
        for fault in found.faults.iter().filter(|fault| !self.told.contains(fault)) {
            match fault.is_harmless() {
                true => tracing::warn!("{fault}"),
                false => tracing::error!("{fault}"),
            }
        }
        self.told = found.faults;
        let mut credentials = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        credentials.replace_files(found.shelf);
    }
}

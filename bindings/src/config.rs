//! Texts of `tidegate.toml`, and what they are read against.

use crate::credentials::Shared;
use crate::error::Failure;
use std::path::{Path, PathBuf};
use tunnel::config::{Additions, Configuration};

/// A node that says nothing of itself: what there is without a configuration.
const NOBODY: &str = "[node]\nname = \"tidegate\"\n";

/// Where a text is said to stand when it has a mistake.
const FILE: &str = "tidegate.toml";

/// What all texts of one manager or engine have in common.
pub(crate) struct Reader {
    file: PathBuf,
    vault: Shared,
}

impl Reader {
    /// Files are looked for in this folder.
    pub(crate) fn new(folder: &str, vault: Shared) -> Self {
        Self { file: Path::new(folder).join(FILE), vault }
    }

    /// A whole configuration; without a text, that of a node without any.
    pub(crate) fn whole(&self, text: &str) -> Result<Configuration, Failure> {
        let text = if text.trim().is_empty() { NOBODY } else { text };
        let vault = self.vault.lock().clone();
        Ok(Configuration::with_vault(text, &self.file, &vault)?)
    }

    /// Connections and pools.
    pub(crate) fn more(&self, base: &Configuration, text: &str) -> Result<Additions, Failure> {
        let vault = self.vault.lock().clone();
        Ok(base.additions(text, &self.file, &vault)?)
    }
}

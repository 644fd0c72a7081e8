//! Lists on disk, for a start while their servers are out of reach.
//!
//! A file is named after where its list came from, and the list in it is checked like one that comes from there.
//! Other files are none of our business.

use super::{http, read};
use crate::driver::state;
use ring::digest;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tidegate_ike::auth::{RevocationList, WantedList};

/// Files that are kept.
const MOST_FILES: usize = 64;

/// A folder of lists.
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The list that came from there, and the bytes that it is read from. One that does not hold is set aside.
    pub(super) async fn read(
        &self,
        uri: &str,
        wanted: &Arc<WantedList>,
    ) -> Option<(Arc<RevocationList>, Vec<u8>)> {
        let path = self.0.join(name(uri));
        let file = path.clone();
        let found = tokio::task::spawn_blocking(move || state::read_file(&file, http::LONGEST as u64));
        let bytes = found.await.ok().and_then(Result::ok).flatten()?;
        match read(bytes, Arc::clone(wanted)).await {
            Ok(read) => Some(read),
            Err(error) => {
                // If it cannot be renamed either, a new one takes its place.
                let _ = state::set_aside(&path, &error);
                None
            }
        }
    }

    /// Keeps what came from there. What goes wrong is told, and costs a request at the next start.
    pub(super) async fn keep(&self, uri: &str, bytes: Vec<u8>) {
        let (folder, name) = (self.0.clone(), name(uri));
        let written = tokio::task::spawn_blocking(move || {
            state::write_whole(&folder, &name, &bytes)?;
            tidy(&folder)
        });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(area = "crl", folder = %self.0.display(), "a list cannot be kept: {error}");
        }
    }

    /// What all files hold that may be lists. One that cannot be read is none.
    pub(super) async fn files(&self) -> Vec<Vec<u8>> {
        let folder = self.0.clone();
        let read = move || {
            let paths = ours(&folder).unwrap_or_default();
            let file = |(_, path): &(SystemTime, PathBuf)| state::read_file(path, http::LONGEST as u64);
            paths.iter().filter_map(|path| file(path).ok().flatten()).collect()
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    /// Removes all of them.
    pub(super) async fn clear(&self) {
        let folder = self.0.clone();
        let remove = move || ours(&folder)?.iter().try_for_each(|(_, path)| fs::remove_file(path));
        if let Ok(Err(error)) = tokio::task::spawn_blocking(remove).await {
            tracing::warn!(area = "crl", folder = %self.0.display(), "a list cannot be removed: {error}");
        }
    }
}

fn name(uri: &str) -> String {
    let digest = digest::digest(&digest::SHA256, uri.as_bytes());
    let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    digits + EXTENSION
}

const EXTENSION: &str = ".crl";

/// Our files, the oldest first. A folder that nothing was written to yet has none.
fn ours(folder: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if is_ours(&entry.file_name().to_string_lossy()) {
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Of too many files the oldest go.
fn tidy(folder: &Path) -> io::Result<()> {
    let files = ours(folder)?;
    let excess = files.len().saturating_sub(MOST_FILES);
    files.iter().take(excess).try_for_each(|(_, path)| fs::remove_file(path))
}

fn is_ours(name: &str) -> bool {
    let digits = name.strip_suffix(EXTENSION);
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_files_the_oldest_go_and_others_stay() {
        let folder = std::env::temp_dir().join(format!("tidegate-shelf-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("notes.crl"), "").unwrap();
        let old = SystemTime::UNIX_EPOCH;
        for number in 0..MOST_FILES + 3 {
            let path = folder.join(name(&number.to_string()));
            fs::write(&path, "").unwrap();
            let time = if number < 3 { old } else { SystemTime::now() };
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        tidy(&folder).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), MOST_FILES + 1);
        assert!(!folder.join(name("0")).exists() && folder.join(name("3")).exists());
        assert!(folder.join("notes.crl").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}

//! Seeing that files change, however they are changed.
//!
//! Folders are watched in place of files: editors put a new file in the place of the old one, and in
//! Kubernetes a file is a link to a link, of which the inner one is exchanged. What happens there is only a
//! reason to look: what counts is whether a file is another than it was.

use crate::io::readable::Readable;
use rustix::fs::inotify;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Who writes one file is about to write the next.
const QUIET: Duration = Duration::from_millis(200);
/// However much is written, it is looked at after this long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where the kernel does not tell of changes, they are looked for this often.
const POLL: Duration = Duration::from_secs(5);

/// What tells a file from what was there before, by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(BTreeMap<PathBuf, Option<Stamp>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Watches files and folders.
pub struct Watch {
    stamps: Stamps,
    inotify: Option<Readable>,
    /// Something has happened that was not looked at yet.
    pending: bool,
}

impl Stamps {
    /// As they are now.
    pub fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let stamp = |path: P| (path.as_ref().to_owned(), Stamp::of(path.as_ref()));
        Self(paths.into_iter().map(stamp).collect())
    }

    fn now(&self) -> Self {
        Self::of(self.0.keys())
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Watch {
    /// Watches these from now on. Has to be called within a tokio runtime.
    pub fn new(files: &BTreeSet<PathBuf>) -> Self {
        let inotify = watch(&folders(files));
        if let Err(error) = &inotify {
            tracing::warn!("the kernel does not tell of changes to files, so they are looked for: {error}");
        }
        Self { stamps: Stamps::of(files), inotify: inotify.ok(), pending: false }
    }

    /// What it watches.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.stamps.0.keys()
    }

    /// Sees as well what has changed since `before`, in files that were known by then.
    #[must_use]
    pub fn since(mut self, before: &Stamps) -> Self {
        for (path, stamp) in &before.0 {
            if let Some(known) = self.stamps.0.get_mut(path) {
                self.pending |= known != stamp;
                *known = *stamp;
            }
        }
        self
    }

    /// Ready when one of them is another than it was, and has been for a moment. Nothing is lost by dropping
    /// it before.
    pub async fn changed(&mut self) {
        loop {
            match &self.inotify {
                Some(inotify) => {
                    if !self.pending && news(inotify).await.is_err() {
                        self.inotify = None;
                        continue;
                    }
                    self.pending = true;
                    settle(inotify).await;
                    self.pending = false;
                }
                None => sleep(POLL).await,
            }
            let now = self.stamps.now();
            if now != self.stamps {
                self.stamps = now;
                return;
            }
        }
    }
}

/// Waits until nothing more happens.
async fn settle(inotify: &Readable) {
    let end = Instant::now() + PATIENCE;
    loop {
        let quiet = (Instant::now() + QUIET).min(end);
        match timeout_at(quiet, news(inotify)).await {
            Ok(Ok(())) if Instant::now() < end => {}
            _ => return,
        }
    }
}

/// Something has happened; what it was is taken out and not looked at.
async fn news(inotify: &Readable) -> io::Result<()> {
    let mut buffer = [0u8; 4096];
    loop {
        let mut ready = inotify.ready().await?;
        match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut buffer)?)) {
            Ok(read) => return read.map(drop),
            Err(_) => continue,
        }
    }
}

fn watch(folders: &BTreeSet<PathBuf>) -> io::Result<Readable> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let what = inotify::WatchFlags::CREATE
        | inotify::WatchFlags::CLOSE_WRITE
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::MOVED_FROM
        | inotify::WatchFlags::DELETE
        | inotify::WatchFlags::ATTRIB
        | inotify::WatchFlags::DELETE_SELF
        | inotify::WatchFlags::MOVE_SELF
        | inotify::WatchFlags::ONLYDIR;
    for folder in folders {
        match inotify::add_watch(&fd, folder, what) {
            // A folder that is not there is nothing to watch: the mistake of it is told elsewhere.
            Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Readable::new(fd.as_fd())
}

/// Where something has to happen for one of the files to become another: where it is, and where each link
/// on the way to it is.
fn folders(files: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for file in files {
        let mut path = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        if path.is_dir() {
            folders.insert(path.clone());
        }
        for _ in 0..MOST_LINKS {
            folders.extend(path.parent().map(Path::to_owned));
            match resolve_one(&path, &mut folders) {
                Some(next) => path = next,
                None => break,
            }
        }
    }
    folders
}

/// As the kernel has it.
const MOST_LINKS: usize = 40;

/// The path with its first link followed, if there is one.
fn resolve_one(path: &Path, folders: &mut BTreeSet<PathBuf>) -> Option<PathBuf> {
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    ancestors.reverse();
    for ancestor in ancestors {
        let Ok(target) = fs::read_link(ancestor) else { continue };
        let folder = ancestor.parent()?;
        folders.insert(folder.to_owned());
        let rest = path.strip_prefix(ancestor).ok()?;
        let resolved = folder.join(target);
        return Some(if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) });
    }
    None
}

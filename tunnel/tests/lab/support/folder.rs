//! A suite's place on disk: configurations, keys, logs.

use std::cell::{Cell, RefCell};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// How much of each log a failure shows.
const TAIL: usize = 60;

static COUNTER: AtomicU32 = AtomicU32::new(0);

const PREFIX: &str = "tidegate-lab-";

/// A suite's folder, and what its current case says.
pub(crate) struct Lab {
    folder: PathBuf,
    keep: Cell<bool>,
    said: RefCell<String>,
    case_began: Cell<SystemTime>,
    files: Cell<u32>,
}

impl Lab {
    /// Makes the folder.
    pub(crate) fn new(suite: &str) -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}/{number}-{}", process::id(), suite.replace('/', "-"));
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder for the suite");
        Self {
            folder,
            keep: Cell::new(env::var_os("TIDEGATE_LAB_KEEP").is_some()),
            said: RefCell::default(),
            case_began: Cell::new(SystemTime::UNIX_EPOCH),
            files: Cell::new(0),
        }
    }

    /// Removes what earlier runs have kept.
    pub(crate) fn remove_leftovers() {
        for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix(PREFIX);
            if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path that nobody has been given before.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        self.files.set(self.files.get() + 1);
        self.folder.join(format!("{:03}-{name}", self.files.get()))
    }

    /// Has a line printed below the case's verdict.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        let _ = writeln!(self.said.borrow_mut(), "     {}", line.as_ref());
    }

    /// Has the folder stay when the suite is over.
    pub(crate) fn keep(&self) {
        self.keep.set(true);
    }

    /// From here on logs belong to the next case.
    pub(crate) fn begin_case(&self) {
        self.case_began.set(SystemTime::now());
    }

    /// What was said since the last call.
    pub(crate) fn take_said(&self) -> String {
        self.said.take()
    }

    /// The ends of the logs that were written to during this case.
    pub(crate) fn tails_of_logs(&self) -> String {
        let mut logs: Vec<_> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "log"))
            .filter(|entry| {
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                modified.is_ok_and(|modified| modified >= self.case_began.get())
            })
            .map(|entry| entry.path())
            .collect();
        logs.sort();
        logs.iter().fold(String::new(), |text, log| text + &tail(log))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.keep.get() {
            let _ = fs::remove_dir_all(&self.folder);
            // Goes only if it was the last one's.
            let _ = self.folder.parent().map(fs::remove_dir);
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    format!("---- {}\n{}\n", log.display(), lines.get(from..).unwrap_or_default().join("\n"))
}

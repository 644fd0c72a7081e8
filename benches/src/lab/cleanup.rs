//! What has to go when this goes, however it goes.
//!
//! Namespaces, folders and processes are written down here when they are made and struck off when they are
//! removed. On Ctrl-C and SIGTERM a thread removes what is still on the list and ends the program.

use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Pid, Signal as Kill, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

static LIST: Mutex<Vec<Leftover>> = Mutex::new(Vec::new());

/// Something of ours that outlives us if nobody sees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// By its id.
    Process(u32),
    /// By the name that `ip` knows.
    Namespace(String),
    /// With all that is in it.
    Folder(PathBuf),
}

impl Leftover {
    /// A program that was started.
    pub fn process(child: &Child) -> Self {
        Self::Process(child.id())
    }

    /// A folder that was made.
    pub fn folder(path: &Path) -> Self {
        Self::Folder(path.to_owned())
    }

    /// Puts it on the list.
    pub fn remember(self) {
        list().push(self);
    }

    /// Strikes it off: somebody has seen to it, or is about to.
    pub fn forget(&self) {
        list().retain(|other| other != self);
    }

    /// As far as it can be removed.
    pub fn remove(&self) {
        match self {
            Self::Process(id) => {
                let id = i32::try_from(*id).ok().and_then(Pid::from_raw);
                let _ = id.map(|id| kill_process(id, Kill::KILL));
            }
            Self::Namespace(name) => {
                let mut command = Command::new("ip");
                let _ = command.args(["netns", "delete", name]).stderr(Stdio::null()).status();
            }
            Self::Folder(path) => {
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }
}

/// Signals that would end the program wait for a thread that cleans up first. To be called before any other
/// thread is started. Programs that we start are not affected.
pub fn on_signals() -> Result<(), String> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().map_err(|error| format!("signals cannot be held back: {error}"))?;
    std::thread::spawn(move || {
        let signal = signals.wait().map_or(1, |signal| signal as i32);
        // Nobody adds to the list any more. Processes go first: a namespace lives as long as they do.
        let mut list = list();
        list.sort_by_key(|leftover| !matches!(leftover, Leftover::Process(_)));
        list.iter().for_each(Leftover::remove);
        std::process::exit(128 + signal);
    });
    Ok(())
}

fn list() -> MutexGuard<'static, Vec<Leftover>> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Two namespaces with a link between them.
//!
//! Their ends of the link are 192.0.2.1 and 192.0.2.2; what is behind them is 10.1.0.1 and 10.2.0.1, which
//! only a tunnel leads to.

pub mod cleanup;
mod machine;
mod namespace;
pub mod programs;
mod running;

pub use machine::Machine;
pub use namespace::Namespace;
pub use running::{Memory, Running, patiently};

use cleanup::Leftover;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Removed with all that is in it when this is dropped.
pub struct Lab {
    ends: [Namespace; 2],
    tag: String,
    folder: Folder,
}

/// Where files are, which go with it.
struct Folder(PathBuf);

/// One of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Which begins.
    One,
    /// Which waits.
    Other,
}

impl End {
    /// In order.
    pub const BOTH: [Self; 2] = [Self::One, Self::Other];

    /// 1 and 2.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Other => 2,
        }
    }

    /// The one across the link.
    pub fn opposite(self) -> Self {
        match self {
            Self::One => Self::Other,
            Self::Other => Self::One,
        }
    }

    /// The address that only a tunnel leads to.
    pub fn inside(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.number(), 0, 1)
    }

    /// The address on the link.
    pub fn outside(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number())
    }
}

impl Lab {
    /// Makes both ends and what is between them.
    pub fn new() -> Result<Self, String> {
        static LABS: AtomicUsize = AtomicUsize::new(0);
        let tag = format!("tg-side-{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let folder = Folder::new(std::env::temp_dir().join(&tag))?;
        let end = |number| Namespace::new(format!("{tag}-{number}"), folder.0.join(format!("{number}.log")));
        let ends = [end(1)?, end(2)?];
        let lab = Self { ends, tag, folder };
        let [one, other] = &lab.ends;
        one.ip(&format!("link add link0 type veth peer name link0 netns {}", other.name()))?;
        for end in End::BOTH {
            lab.ip(end, "link set link0 up")?;
            lab.ip(end, &format!("address add {}/24 dev link0", end.outside()))?;
            lab.ip(end, &format!("address add {}/32 dev lo", end.inside()))?;
        }
        Ok(lab)
    }

    /// One more namespace, with no link to anywhere yet.
    pub fn another(&self, label: &str) -> Result<Namespace, String> {
        Namespace::new(format!("{}-{label}", self.tag), self.folder.0.join(format!("{label}.log")))
    }

    /// A folder for the files of one end.
    pub fn folder(&self, end: End) -> Result<PathBuf, String> {
        self.folder_named(&end.number().to_string())
    }

    /// A folder for other files.
    pub fn folder_named(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.0.join(name);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(folder)
    }

    /// Has `ip` do something at one end.
    pub fn ip(&self, end: End, arguments: &str) -> Result<(), String> {
        self.at(end).ip(arguments)
    }

    /// Starts a program inside; what it says goes into a file.
    pub fn spawn(&self, end: End, command: &Command) -> Result<Child, String> {
        self.at(end).spawn(command)
    }

    /// The last lines that the program of one end has said.
    pub fn last_words(&self, end: End) -> String {
        self.at(end).last_words()
    }

    /// Runs something in a thread inside.
    pub fn thread<T: Send + 'static>(
        &self,
        end: End,
        inside: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, String> {
        self.at(end).thread(inside)
    }

    /// The namespace of one end.
    pub fn at(&self, end: End) -> &Namespace {
        let [one, other] = &self.ends;
        match end {
            End::One => one,
            End::Other => other,
        }
    }
}

impl Folder {
    fn new(path: PathBuf) -> Result<Self, String> {
        std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Leftover::folder(&path).remember();
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        let leftover = Leftover::folder(path);
        leftover.remove();
        leftover.forget();
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip cannot be started: {error}"))?;
    let said = || format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(said()) }
}

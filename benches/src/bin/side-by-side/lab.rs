//! Two namespaces with a link between them.
//!
//! Their ends of the link are 192.0.2.1 and 192.0.2.2; what is behind them is 10.1.0.1 and 10.2.0.1, which
//! only a tunnel leads to.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Removed with all that is in it when this is dropped.
pub(crate) struct Lab {
    names: [String; 2],
    folder: PathBuf,
}

/// One of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    One,
    Other,
}

impl End {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Other];

    pub(crate) fn number(self) -> usize {
        match self {
            Self::One => 1,
            Self::Other => 2,
        }
    }

    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::One => Self::Other,
            Self::Other => Self::One,
        }
    }
}

impl Lab {
    pub(crate) fn new() -> Result<Self, String> {
        static LABS: AtomicUsize = AtomicUsize::new(0);
        let tag = format!("tg-side-{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&tag);
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let lab = Self { names: [1, 2].map(|number| format!("{tag}-{number}")), folder };
        for name in &lab.names {
            ip(&format!("netns add {name}"))?;
        }
        let [one, other] = &lab.names;
        ip(&format!("-n {one} link add link0 type veth peer name link0 netns {other}"))?;
        for end in End::BOTH {
            let number = end.number();
            lab.ip(end, "link set lo up")?;
            lab.ip(end, "link set link0 up")?;
            lab.ip(end, &format!("address add 192.0.2.{number}/24 dev link0"))?;
            lab.ip(end, &format!("address add 10.{number}.0.1/32 dev lo"))?;
        }
        Ok(lab)
    }

    /// Files that go with it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn ip(&self, end: End, arguments: &str) -> Result<(), String> {
        ip(&format!("-n {} {arguments}", self.name(end)))
    }

    /// Starts a program inside; what it says goes into a file.
    pub(crate) fn spawn(&self, end: End, program: &Path, arguments: &[String]) -> Result<Child, String> {
        let failed = |error| format!("{} cannot be started: {error}", program.display());
        let log = File::create(self.folder.join(format!("{}.log", end.number()))).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(end)]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        command.spawn().map_err(failed)
    }

    /// Runs something in a thread inside.
    pub(crate) fn thread<T: Send + 'static>(
        &self,
        end: End,
        inside: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, String> {
        let path = Path::new("/run/netns").join(self.name(end));
        let namespace = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .unwrap_or_else(|error| panic!("{} cannot be entered: {error}", path.display()));
            inside()
        }))
    }

    fn name(&self, end: End) -> &str {
        let [one, other] = &self.names;
        match end {
            End::One => one,
            End::Other => other,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = ip(&format!("netns delete {name}"));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip cannot be started: {error}"))?;
    let said = || format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(said()) }
}

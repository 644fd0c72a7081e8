//! Two namespaces with a link between them.
//!
//! Their ends of the link are 192.0.2.1 and 192.0.2.2; what is behind them is 10.1.0.1 and 10.2.0.1, which
//! only a tunnel leads to.

use crate::cleanup::Leftover;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::Ipv4Addr;
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    One,
    Other,
}

impl End {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Other];

    pub(crate) fn number(self) -> u8 {
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

    /// The address that only a tunnel leads to.
    pub(crate) fn inside(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.number(), 0, 1)
    }

    /// The address on the link.
    pub(crate) fn outside(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number())
    }
}

impl Lab {
    pub(crate) fn new() -> Result<Self, String> {
        static LABS: AtomicUsize = AtomicUsize::new(0);
        let tag = format!("tg-side-{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&tag);
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Leftover::folder(&folder).remember();
        let lab = Self { names: [1, 2].map(|number| format!("{tag}-{number}")), folder };
        for name in &lab.names {
            Leftover::Namespace(name.clone()).remember();
            ip(&format!("netns add {name}"))?;
        }
        let [one, other] = &lab.names;
        ip(&format!("-n {one} link add link0 type veth peer name link0 netns {other}"))?;
        for end in End::BOTH {
            lab.ip(end, "link set lo up")?;
            lab.ip(end, "link set link0 up")?;
            lab.ip(end, &format!("address add {}/24 dev link0", end.outside()))?;
            lab.ip(end, &format!("address add {}/32 dev lo", end.inside()))?;
        }
        Ok(lab)
    }

    /// A folder for the files of one end.
    pub(crate) fn folder(&self, end: End) -> Result<PathBuf, String> {
        let folder = self.folder.join(end.number().to_string());
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(folder)
    }

    pub(crate) fn ip(&self, end: End, arguments: &str) -> Result<(), String> {
        ip(&format!("-n {} {arguments}", self.name(end)))
    }

    /// Starts a program inside; what it says goes into a file.
    pub(crate) fn spawn(&self, end: End, command: &Command) -> Result<Child, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error| format!("{program} cannot be started: {error}");
        let log = File::create(self.folder.join(format!("{}.log", end.number()))).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", self.name(end)]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            inside.env(name, value.unwrap_or_default());
        }
        inside.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = inside.spawn().map_err(failed)?;
        Leftover::process(&child).remember();
        Ok(child)
    }

    /// The last lines that the program of one end has said.
    pub(crate) fn last_words(&self, end: End) -> String {
        let log = std::fs::read_to_string(self.folder.join(format!("{}.log", end.number())));
        let log = log.unwrap_or_default();
        let lines: Vec<_> = log.trim_end().lines().collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
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
        let namespaces = self.names.iter().cloned().map(Leftover::Namespace);
        for leftover in namespaces.chain([Leftover::folder(&self.folder)]) {
            leftover.remove();
            leftover.forget();
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip cannot be started: {error}"))?;
    let said = || format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(said()) }
}

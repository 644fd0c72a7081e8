//! One network namespace.

use super::cleanup::Leftover;
use super::ip;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// A network namespace of ours. It goes with this value.
pub struct Namespace {
    name: String,
    /// Where programs in it say what they have to say.
    log: PathBuf,
}

impl Namespace {
    /// Makes one. What its programs say goes into this file.
    pub fn new(name: String, log: PathBuf) -> Result<Self, String> {
        Leftover::Namespace(name.clone()).remember();
        let namespace = Self { name, log };
        ip(&format!("netns add {}", namespace.name))?;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// What `ip` knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Has `ip` do something inside.
    pub fn ip(&self, arguments: &str) -> Result<(), String> {
        ip(&format!("-n {} {arguments}", self.name))
    }

    /// Starts a program inside; what it says goes into a file.
    pub fn spawn(&self, command: &Command) -> Result<Child, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error| format!("{program} cannot be started: {error}");
        let log = File::create(&self.log).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            inside.env(name, value.unwrap_or_default());
        }
        inside.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = inside.spawn().map_err(failed)?;
        Leftover::process(&child).remember();
        Ok(child)
    }

    /// All that its program has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of that.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.trim_end().lines().collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }

    /// Runs something in a thread inside.
    pub fn thread<T: Send + 'static>(
        &self,
        inside: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, String> {
        let path = Path::new("/run/netns").join(&self.name);
        let namespace = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .unwrap_or_else(|error| panic!("{} cannot be entered: {error}", path.display()));
            inside()
        }))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let leftover = Leftover::Namespace(self.name.clone());
        leftover.remove();
        leftover.forget();
    }
}

//! Commands that end by themselves, and daemons that are ended.

use crate::support::namespace::Namespace;
use crate::support::wait;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs to the end and returns what it printed.
///
/// # Panics
/// When it fails, with what it had to say about it.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}\n{out}{err}", output.status);
    out
}

/// A process in the background. It ends with this value, and all that it has started.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Daemon {
    /// Starts it inside a namespace, in a process group of its own, with its output in `log`.
    pub(crate) fn start(namespace: &Namespace, mut command: Command, log: &Path) -> Self {
        let out = File::create(log).expect("a log file");
        let err = out.try_clone().expect("a second descriptor");
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let started = Instant::now();
        let child = namespace.within(|| command.spawn());
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        Self { child, log: log.to_owned(), started }
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Memory that is its own and in use, in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of memory");
        let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
        kilobytes * 1024
    }

    /// Sends a signal to it alone.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Asks it to end and waits for that.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        wait::until_true("the daemon ends when told to", Duration::from_secs(8), || !self.is_running());
    }

    /// Ends it with no chance to say goodbye.
    pub(crate) fn end(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

//! The daemon under test, in a namespace.

pub(crate) mod config;

use crate::support::Lab;
use crate::support::namespace::Namespace;
use crate::support::process::{Daemon, run};
use crate::support::wait;
use config::Config;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program itself.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");

/// How long it may take to be there, or to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running daemon.
pub(crate) struct Tidegate {
    daemon: Daemon,
    /// How it was started.
    words: Vec<OsString>,
    config: PathBuf,
    socket: PathBuf,
}

/// What a daemon has lost, as it counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Never seen by it: the kernel's queues were full while it waited for a processor.
    pub(crate) missed: u64,
    /// Seen, and not carried, by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
}

impl Losses {
    /// What has been lost since.
    pub(crate) fn since(mut self, earlier: &Self) -> Self {
        self.missed -= earlier.missed;
        self.dropped.retain(|reason, count| {
            *count -= earlier.dropped.get(reason).copied().unwrap_or_default();
            *count > 0
        });
        self
    }

    /// What has been lost by both.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.missed += other.missed;
        for (reason, count) in other.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
        self
    }
}

impl Tidegate {
    /// Starts it and waits until it takes commands.
    pub(crate) fn start(lab: &Lab, namespace: &Namespace, config: &Config) -> Self {
        let mut tidegate = Self::spawn(lab, namespace, config);
        tidegate.wait_until_ready();
        tidegate
    }

    /// Starts it as clients of charon expect it: with charon's files in `folder`. Waits until it takes commands.
    pub(crate) fn start_like_charon(
        lab: &Lab,
        namespace: &Namespace,
        config: &Config,
        folder: &Path,
    ) -> Self {
        let words = ["--charon-compat".into(), folder.into()];
        let mut tidegate = Self::spawn_with(lab, namespace, config, &words);
        tidegate.wait_until_ready();
        tidegate
    }

    /// Starts it and waits for nothing.
    pub(crate) fn spawn(lab: &Lab, namespace: &Namespace, config: &Config) -> Self {
        Self::spawn_with(lab, namespace, config, &[])
    }

    fn spawn_with(lab: &Lab, namespace: &Namespace, config: &Config, words: &[OsString]) -> Self {
        let folder = lab.fresh(&config.node.name);
        fs::create_dir_all(&folder).expect("a folder for the daemon");
        let socket = folder.join("vici");
        let path = folder.join("tidegate.toml");
        let state = folder.join("state");
        let text = config.text(&socket, &state);
        fs::write(&path, text).expect("a file");
        let mut all: Vec<OsString> = vec!["run".into(), "--config".into(), path.clone().into()];
        all.extend_from_slice(words);
        let daemon = Daemon::start(namespace, program(&all), &folder.with_extension("log"));
        Self { daemon, words: all, config: path, socket }
    }

    /// Starts it once more where another has ended, with the state that it left.
    pub(crate) fn start_again(lab: &Lab, namespace: &Namespace, left: &Left) -> Self {
        let log = lab.fresh("again").with_extension("log");
        let daemon = Daemon::start(namespace, program(&left.words), &log);
        let (words, config, socket) = (left.words.clone(), left.config.clone(), left.socket.clone());
        let mut tidegate = Self { daemon, words, config, socket };
        tidegate.wait_until_ready();
        tidegate
    }

    #[track_caller]
    fn wait_until_ready(&mut self) {
        wait::until_true("tidegate takes commands", PATIENCE, || {
            assert!(self.daemon.is_running(), "tidegate has ended: {}", self.daemon.log());
            UnixStream::connect(&self.socket).is_ok()
        });
    }

    /// The state of a connection as `status --json` tells it.
    pub(crate) fn connection(&self, name: &str) -> Value {
        let status = self.status();
        let found = status.as_array().into_iter().flatten().find(|connection| connection["name"] == name);
        found.unwrap_or_else(|| panic!("no connection {name} in {status:#}")).clone()
    }

    /// All that `status --json` tells.
    pub(crate) fn status(&self) -> Value {
        let text = run(self.command("status").arg("--json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("status is no JSON: {error}\n{text}"))
    }

    /// All that `counters --json` tells.
    pub(crate) fn counters(&self) -> Value {
        let text = run(self.command("counters").arg("--json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("counters are no JSON: {error}\n{text}"))
    }

    /// What it has lost so far.
    pub(crate) fn losses(&self) -> Losses {
        const AT_SOCKETS: [&str; 5] = ["no_room", "too_big", "no_source", "refused", "unreadable"];
        let counters = self.counters();
        let count = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number: {value}"));
        let total = |name: &str| count(&counters["totals"][name]);
        let drops = counters["packet_drops"].as_object().expect("drops by reason");
        // Peers send dummies so that nothing is learnt of them, and kernels what no policy is about.
        let inside = drops.iter().filter(|(reason, _)| !["dummy", "policy"].contains(&reason.as_str()));
        let at_sockets = AT_SOCKETS.map(|reason| (reason.to_owned(), total(&format!("datagrams_{reason}"))));
        Losses {
            missed: total("device_missed") + total("datagrams_missed"),
            dropped: inside.map(|(reason, drops)| (reason.clone(), count(drops))).chain(at_sockets).collect(),
        }
    }

    /// Whether a connection is up.
    pub(crate) fn is_up(&self, name: &str) -> bool {
        self.connection(name)["state"] == "up"
    }

    /// Waits until a connection is up, and returns its state.
    #[track_caller]
    pub(crate) fn wait_until_up(&self, name: &str, limit: Duration) -> Value {
        wait::until_true(&format!("{name} is up"), limit, || self.is_up(name));
        self.connection(name)
    }

    /// Waits until all connections are up.
    #[track_caller]
    pub(crate) fn wait_until_all_up(&self, limit: Duration) {
        wait::until_true("all connections are up", limit, || {
            let status = self.status();
            status.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|one| one["state"] == "up"))
        });
    }

    /// Brings a connection up.
    #[track_caller]
    pub(crate) fn up(&self, name: &str) {
        run(self.command("up").arg(name));
    }

    /// Tries to bring a connection up, and returns what it said when it failed.
    #[track_caller]
    pub(crate) fn up_in_vain(&self, name: &str) -> String {
        let output = self.command("up").arg(name).stdin(Stdio::null()).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success(), "{name} is up, and should not be\n{said}");
        said
    }

    /// Closes a connection at both sides.
    #[track_caller]
    pub(crate) fn down(&self, name: &str) {
        run(self.command("down").arg(name));
    }

    /// Why a connection's last attempt or SA came to its end; empty if it did not.
    pub(crate) fn last_verdict(&self, name: &str) -> String {
        self.connection(name)["last_verdict"].as_str().unwrap_or_default().to_owned()
    }

    /// How many children of a connection carry.
    pub(crate) fn current_children(&self, name: &str) -> usize {
        let connection = self.connection(name);
        let sas = connection["sas"].as_array().into_iter().flatten();
        let children = sas.flat_map(|sa| sa["children"].as_array().into_iter().flatten());
        children.filter(|child| child["current"] == true).count()
    }

    /// Makes new keys for a connection or one of its children.
    #[track_caller]
    pub(crate) fn rekey(&self, name: &str) {
        run(self.command("rekey").arg(name));
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.daemon.log()
    }

    /// Where clients find it.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.daemon.started()
    }

    /// Memory that is its own and in use, in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        self.daemon.resident_memory()
    }

    /// Has it read its configuration again, changed to this.
    pub(crate) fn reload(&self, config: &Config) {
        let state = self.config.with_file_name("state");
        fs::write(&self.config, config.text(&self.socket, &state)).expect("a file");
        self.daemon.signal(Signal::HUP);
    }

    /// Ends it as an operator does.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.daemon.stop();
    }

    /// Ends it with no chance to say goodbye, and returns what is left to start again from.
    pub(crate) fn kill(self) -> Left {
        let Self { mut daemon, words, config, socket } = self;
        daemon.end();
        Left { words, config, socket }
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(BINARY);
        command.arg(action).arg("--vici").arg(&self.socket);
        command
    }
}

/// What a daemon leaves behind that was killed.
pub(crate) struct Left {
    words: Vec<OsString>,
    config: PathBuf,
    socket: PathBuf,
}

fn program(words: &[OsString]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(words).env("RUST_BACKTRACE", "1").env_remove("NOTIFY_SOCKET");
    command
}

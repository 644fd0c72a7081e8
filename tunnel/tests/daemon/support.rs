//! A daemon that runs in a folder of its own, without a device.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tidegate::TunnelManager;
use tidegate::config::Configuration;
use tidegate::daemon::{Daemon, RunOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Nothing that should happen takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of its own, gone when dropped.
pub(crate) struct Folder(PathBuf);

/// A daemon that serves until it is told to stop.
pub(crate) struct Running {
    pub(crate) manager: TunnelManager,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("tidegate-daemon-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        // The control socket wants a folder that is not everybody's.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
        let folder = Self(path);
        folder.secret("peer.psk", "known to both");
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect(name);
    }

    pub(crate) fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect(name);
    }

    /// As editors do it: a new file takes the place of the old one.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        self.write(".draft", text);
        fs::rename(self.path(".draft"), self.path(name)).expect(name);
    }

    /// A configuration with a connection for each of these.
    pub(crate) fn configuration(&self, connections: &[&str]) -> String {
        let (port, nat_port) = ports();
        let mut text = format!(
            "[node]\nname = \"edge-1\"\nlisten = [\"127.0.0.1\"]\nport = {port}\nnat_port = {nat_port}\n\
             state = \"state\"\nvici = \"vici.sock\"\n[node.device]\nkind = \"none\"\n"
        );
        for name in connections {
            text += &connection(name);
        }
        text
    }
}

pub(crate) fn connection(name: &str) -> String {
    format!(
        "[[connection]]\nname = \"{name}\"\n[connection.remote]\nid = \"{name}.example\"\npsk_file = \"peer.psk\"\n\
         [[connection.child]]\nname = \"net\"\nlocal = [\"10.1.0.0/24\"]\nremote = [\"10.2.0.0/24\"]\n"
    )
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Two ports that were free a moment ago, and that no other test was given.
pub(crate) fn ports() -> (u16, u16) {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().expect("nobody panicked");
    let mut found = Vec::new();
    while found.len() < 2 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let port = socket.local_addr().expect("it is bound").port();
        if !given.contains(&port) {
            given.push(port);
            found.push(port);
        }
    }
    (found[0], found[1])
}

impl Running {
    pub(crate) async fn start(config: &Path) -> Self {
        let options = RunOptions { config: Some(config.to_owned()), vici: None, charon_compat: None };
        let configuration = Configuration::load(config).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let mut daemon = Daemon::start(options, configuration).await.expect("it starts");
        let manager = daemon.manager().clone();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            daemon.serve(stop).await.expect("it runs until it is told to stop");
            daemon.shut_down().await;
        });
        Self { manager, stop, task }
    }

    pub(crate) async fn connections(&self) -> Vec<String> {
        let names = self.manager.connections().await.expect("it runs");
        names.iter().map(ToString::to_string).collect()
    }

    /// Waits until these connections are there, and no others.
    pub(crate) async fn expect(&self, wanted: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let names = self.connections().await;
            if names == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{names:?} where {wanted:?} are wanted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Long enough for a change to have had its effect.
    pub(crate) async fn expect_still(&self, wanted: &[&str]) {
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(self.connections().await, wanted);
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).expect("it serves");
        self.task.await.expect("it ends");
        assert!(!self.manager.is_running());
    }
}

//! `swanctl` as a client of a daemon's control socket, with a folder of its own.

use crate::support::namespace::Namespace;
use crate::support::newest;
use crate::support::process::{Daemon, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `swanctl` looks for in its folder, and complains about where it is not there.
const FOLDERS: [&str; 13] = [
    "x509", "x509ca", "x509ocsp", "x509aa", "x509ac", "x509crl", "pubkey", "private", "rsa", "ecdsa",
    "bliss", "pkcs8", "pkcs12",
];

/// It reads keys and certificates before it sends them.
const SETTINGS: &str = "swanctl { load = random nonce openssl pem pkcs1 pkcs8 x509 pubkey }\n";

/// Which `swanctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The one that is installed.
    Installed,
    /// The one of a newer Debian.
    Newest,
}

/// The tool, the folder that it loads from, and whom it talks to.
pub(crate) struct Tool {
    release: Release,
    folder: PathBuf,
    socket: PathBuf,
}

impl Tool {
    /// A tool with an empty folder.
    pub(crate) fn new(folder: &Path, socket: &Path) -> Self {
        for name in FOLDERS {
            fs::create_dir_all(folder.join(name)).expect("a folder for swanctl");
        }
        fs::write(folder.join("strongswan.conf"), SETTINGS).expect("a file");
        Self { release: Release::Installed, folder: folder.to_owned(), socket: socket.to_owned() }
    }

    /// Has another daemon to talk to from now on.
    pub(crate) fn talk_to(&mut self, socket: &Path) {
        socket.clone_into(&mut self.socket);
    }

    /// Is another from now on.
    pub(crate) fn become_of(&mut self, release: Release) {
        self.release = release;
    }

    /// Puts a file where `swanctl` looks for files of its kind.
    pub(crate) fn give(&self, file: &Path, folder: &str) {
        let name = file.file_name().expect("a file has a name");
        fs::copy(file, self.folder.join(folder).join(name)).expect("a copy");
    }

    /// Writes `swanctl.conf`.
    pub(crate) fn configure(&self, text: &str) {
        let path = self.folder.join("swanctl.conf");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }

    /// Runs it to its good end, and returns what it printed.
    #[track_caller]
    pub(crate) fn run(&self, words: &str) -> String {
        run(&mut self.command(words))
    }

    /// Runs it to its bad end, and returns what it had to say about that.
    #[track_caller]
    pub(crate) fn fail(&self, words: &str) -> String {
        match self.try_to(words) {
            Ok(said) => panic!("swanctl {words} should have failed\n{said}"),
            Err(said) => said,
        }
    }

    /// Runs it to whatever end, and returns what it printed.
    pub(crate) fn try_to(&self, words: &str) -> Result<String, String> {
        let output = self.command(words).stdin(Stdio::null()).output().expect("swanctl runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    /// Has it listen until this value goes; each line is in the log as soon as it is said. It is the one
    /// that is installed.
    pub(crate) fn listen(&self, namespace: &Namespace, words: &str, log: &Path) -> Daemon {
        let swanctl = self.command_of(Release::Installed, words);
        let mut command = Command::new("stdbuf");
        command.arg("-oL").arg(swanctl.get_program()).args(swanctl.get_args());
        for (key, value) in swanctl.get_envs() {
            command.env(key, value.unwrap_or_default());
        }
        Daemon::start(namespace, command, log)
    }

    fn command(&self, words: &str) -> Command {
        self.command_of(self.release, words)
    }

    fn command_of(&self, release: Release, words: &str) -> Command {
        let mut command = match release {
            Release::Installed => Command::new("swanctl"),
            Release::Newest => newest::swanctl(),
        };
        command.env("SWANCTL_DIR", &self.folder).env("STRONGSWAN_CONF", self.folder.join("strongswan.conf"));
        command.args(words.split_whitespace());
        command.arg("--uri").arg(format!("unix://{}", self.socket.display()));
        command
    }
}

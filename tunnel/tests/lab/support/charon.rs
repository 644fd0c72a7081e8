//! strongSwan's daemon in a namespace.

use crate::support::Lab;
use crate::support::namespace::Namespace;
use crate::support::process::{Daemon, run};
use crate::support::swanctl::Swanctl;
use crate::support::wait;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A running charon.
pub(crate) struct Charon {
    daemon: Daemon,
    folder: PathBuf,
    socket: PathBuf,
}

const PLUGINS: &str = "random nonce openssl aes sha2 sha1 hmac kdf curve25519 gcm chapoly pem pkcs1 pkcs8 x509 \
                       pubkey constraints revocation socket-default vici updown drbg counters";

/// Where its ESP is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Esp {
    /// In its own process, through a TUN device.
    Userspace,
    /// In the kernel, as far as it has it.
    Kernel,
}

/// How long a command may take that waits for the peer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Charon {
    /// Starts one with its ESP in userspace, and waits until it takes commands.
    pub(crate) fn start(lab: &Lab, namespace: &Namespace, label: &str) -> Self {
        Self::start_with(lab, namespace, label, Esp::Userspace)
    }

    /// The same with its ESP wherever it may be.
    pub(crate) fn start_with(lab: &Lab, namespace: &Namespace, label: &str, esp: Esp) -> Self {
        let folder = lab.fresh(label);
        for name in ["x509", "x509ca", "private"] {
            fs::create_dir_all(folder.join(name)).expect("a folder for strongSwan");
        }
        // Its socket's path must be short.
        let socket = folder.join("vici");
        let settings = folder.join("strongswan.conf");
        fs::write(&settings, strongswan_conf(&socket, &folder.with_extension("charon.log"), esp))
            .expect("a file");
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs tmpfs /run && exec /usr/lib/ipsec/charon";
        command.args(["--mount", "sh", "-c", script]).env("STRONGSWAN_CONF", &settings);
        let mut daemon = Daemon::start(namespace, command, &folder.with_extension("log"));
        wait::until_true("charon takes commands", PATIENCE, || {
            assert!(daemon.is_running(), "charon has ended: {}", daemon.log());
            UnixStream::connect(&socket).is_ok()
        });
        Self { daemon, folder, socket }
    }

    /// Has it know this and nothing else. SAs of connections that were there before are closed.
    pub(crate) fn load(&self, swanctl: &Swanctl) {
        self.close_all();
        fs::write(self.folder.join("swanctl.conf"), swanctl.text()).expect("a file");
        for name in ["x509", "x509ca", "private"] {
            for entry in fs::read_dir(self.folder.join(name)).expect("a folder").flatten() {
                fs::remove_file(entry.path()).expect("a file");
            }
        }
        swanctl.authorities.iter().for_each(|file| self.copy(file, "x509ca"));
        for credentials in &swanctl.credentials {
            credentials.files.iter().for_each(|file| self.copy(file, "x509"));
            self.copy(&credentials.key, "private");
        }
        self.swanctl(&["--load-all", "--clear"]);
    }

    /// Where clients find it.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Brings a child up.
    pub(crate) fn initiate(&self, child: &str) {
        self.swanctl(&["--initiate", "--child", child, "--timeout", "10"]);
    }

    /// Tries to bring a child up, and returns what it said when it failed.
    pub(crate) fn initiate_in_vain(&self, child: &str) -> String {
        let arguments = ["--initiate", "--child", child, "--timeout", "10"];
        let output = self.command(&arguments).stdin(Stdio::null()).output().expect("swanctl runs");
        assert!(!output.status.success(), "strongSwan brought {child} up, and should not");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes new keys for a child.
    pub(crate) fn rekey_child(&self, child: &str) {
        self.swanctl(&["--rekey", "--child", child]);
    }

    /// Makes new keys for an IKE SA.
    pub(crate) fn rekey_ike(&self, connection: &str) {
        self.swanctl(&["--rekey", "--ike", connection]);
    }

    /// Closes an IKE SA at both sides.
    pub(crate) fn terminate(&self, connection: &str) {
        self.swanctl(&["--terminate", "--ike", connection, "--timeout", "10"]);
    }

    /// Closes a child at both sides.
    pub(crate) fn terminate_child(&self, child: &str) {
        self.swanctl(&["--terminate", "--child", child, "--timeout", "10"]);
    }

    /// What it has of SAs, in its own words.
    pub(crate) fn sas(&self) -> String {
        self.swanctl(&["--list-sas"])
    }

    /// How many IKE SAs are established.
    pub(crate) fn established(&self) -> usize {
        self.sas().lines().filter(|line| line.contains(", ESTABLISHED, IKEv2")).count()
    }

    /// Ends it with no chance to say goodbye.
    pub(crate) fn end(&mut self) {
        self.daemon.end();
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.with_extension("charon.log")).unwrap_or_default()
    }

    fn close_all(&self) {
        for line in self.sas().lines() {
            if let Some((name, _)) = line.split_once(": #") {
                let arguments = ["--terminate", "--ike", name.trim(), "--force", "--timeout", "1"];
                let _ = self.command(&arguments).stdin(Stdio::null()).output();
            }
        }
    }

    fn copy(&self, file: &Path, folder: &str) {
        let name = file.file_name().expect("a file has a name");
        fs::copy(file, self.folder.join(folder).join(name)).expect("a copy");
    }

    fn swanctl(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("swanctl");
        let (action, rest) = arguments.split_first().expect("an action");
        command.env("SWANCTL_DIR", &self.folder).arg(action).args(rest);
        command.arg("--uri").arg(format!("unix://{}", self.socket.display()));
        command
    }
}

fn strongswan_conf(socket: &Path, log: &Path, esp: Esp) -> String {
    let kernel = match esp {
        Esp::Userspace => "kernel-libipsec kernel-netlink",
        Esp::Kernel => "kernel-netlink",
    };
    format!(
        "charon {{
            threads = 24
            load = {PLUGINS} {kernel}
            retransmit_tries = 3
            retransmit_timeout = 1.0
            retransmit_base = 1.5
            plugins {{
                vici {{ socket = unix://{} }}
                kernel-libipsec {{ allow_peer_ts = yes }}
                # Scripts are told of name servers.
                updown {{ dns_handler = yes }}
                # Where a peer's own address is carried too, IKE must not go where its route leads.
                kernel-netlink {{ fwmark = !0x42 }}
                socket-default {{ fwmark = 0x42 }}
            }}
            filelog {{ log {{ path = {}
                default = 1
                flush_line = yes
                time_format = %H:%M:%S
            }} }}
        }}
        swanctl {{ load = {PLUGINS} }}
        libtls {{ }}
        ",
        socket.display(),
        log.display()
    )
}

//! A program in C against strongSwan, each in a network namespace of its own.
//!
//! ```text
//!   program  192.0.2.1 ── us ════ them ── 192.0.2.2  charon, and 10.2.0.1
//! ```

mod support;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use support::{Folder, Linked, can_do, is_on_path, memcheck, succeed};

const CHARON: &str = "/usr/lib/ipsec/charon";
const OURS: &str = "192.0.2.1";
const THEIRS: &str = "192.0.2.2";
const PLUGINS: &str = "random nonce openssl aes sha2 sha1 hmac kdf curve25519 gcm kernel-libipsec kernel-netlink \
                       socket-default vici updown";

#[test]
fn a_program_in_c_has_a_tunnel_with_strongswan() {
    let needed = [
        ("root", rustix::process::geteuid().is_root()),
        ("/dev/net/tun", Path::new("/dev/net/tun").exists()),
        ("iproute2", is_on_path("ip")),
        ("strongswan-charon", Path::new(CHARON).exists()),
        ("strongswan-swanctl", is_on_path("swanctl")),
        ("libcharon-extra-plugins", plugin("kernel-libipsec")),
        ("libstrongswan-standard-plugins", plugin("openssl")),
        ("memcheck", is_on_path("valgrind")),
    ];
    if !can_do("strongSwan", &needed) {
        return;
    }
    let folder = Folder::new();
    let program = folder.build("tests/c/strongswan.c", Linked::Shared, &[]);
    let network = Network::new();
    let _charon = Charon::start(&folder, &network.them);
    let memcheck = memcheck(&program);
    let mut command = within(&network.us, memcheck.get_program().to_str().expect("a name"));
    let said = succeed(command.args(memcheck.get_args()).args([OURS, THEIRS]));
    assert!(said.ends_with("done\n"), "{said}");
}

fn plugin(name: &str) -> bool {
    Path::new(&format!("/usr/lib/ipsec/plugins/libstrongswan-{name}.so")).exists()
}

/// Two namespaces with a cable between them. They go with this value.
struct Network {
    us: String,
    them: String,
}

impl Network {
    fn new() -> Self {
        let name = |end: &str| format!("tg-ffi-{}-{end}", std::process::id());
        let network = Self { us: name("us"), them: name("them") };
        for name in [&network.us, &network.them] {
            ip(&["netns", "add", name]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        ip(&["-n", &network.us, "link", "add", "us", "type", "veth", "peer", "name", "them"]);
        ip(&["-n", &network.us, "link", "set", "them", "netns", &network.them]);
        for (name, device, address) in [(&network.us, "us", OURS), (&network.them, "them", THEIRS)] {
            ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", device]);
            ip(&["-n", name, "link", "set", device, "up"]);
        }
        ip(&["-n", &network.them, "address", "add", "10.2.0.1/32", "dev", "lo"]);
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in [&self.us, &self.them] {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}

/// strongSwan's daemon, with its ESP in userspace. It ends with this value.
struct Charon {
    daemon: Child,
}

impl Charon {
    fn start(folder: &Folder, namespace: &str) -> Self {
        let [socket, settings, connections] =
            ["vici", "strongswan.conf", "swanctl.conf"].map(|it| folder.path(it));
        let log = folder.path("charon.log");
        folder.write("strongswan.conf", &strongswan_conf(&socket, &log));
        folder.write("swanctl.conf", &swanctl_conf());
        let script = format!("mount -t tmpfs tmpfs /run && exec {CHARON}");
        let mut command = within(namespace, "unshare");
        command.args(["--mount", "sh", "-c", &script]).env("STRONGSWAN_CONF", settings);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let charon = Self { daemon: command.spawn().expect("it is installed") };
        for round in 0.. {
            if UnixStream::connect(&socket).is_ok() {
                break;
            }
            assert!(round < 200, "charon takes no commands: {:?}", std::fs::read_to_string(&log));
            sleep(Duration::from_millis(50));
        }
        let mut load = Command::new("swanctl");
        load.args(["--load-all", "--file"]).arg(connections);
        succeed(load.arg("--uri").arg(format!("unix://{}", socket.display())));
        charon
    }
}

impl Drop for Charon {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn within(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

#[track_caller]
fn ip(words: &[&str]) {
    succeed(Command::new("ip").args(words));
}

fn strongswan_conf(socket: &Path, log: &Path) -> String {
    format!(
        "charon {{
            load = {PLUGINS}
            plugins {{
                vici {{ socket = unix://{} }}
                kernel-libipsec {{ allow_peer_ts = yes }}
            }}
            filelog {{ log {{ path = {}
                flush_line = yes
            }} }}
        }}
        swanctl {{ load = {PLUGINS} }}
        ",
        socket.display(),
        log.display()
    )
}

fn swanctl_conf() -> String {
    format!(
        "connections {{ peer {{
            version = 2
            local_addrs = {THEIRS}
            remote_addrs = {OURS}
            encap = yes
            local {{
                auth = psk
                id = them.example
            }}
            remote {{
                auth = psk
                id = us.example
            }}
            children {{ net {{
                local_ts = 10.2.0.0/16
                remote_ts = 10.1.0.0/16
            }} }}
        }} }}
        secrets {{ ike {{
            id = us.example
            secret = \"known to both\"
        }} }}
        "
    )
}

//! strongSwan's charon with ESP in userspace (libipsec), driven by swanctl.

use super::{PORT, with_own_run};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use tidegate_benches::lab::{End, Lab, Running, patiently};

const PLUGINS: &str = "random nonce openssl aes sha2 sha1 hmac kdf curve25519 gcm chapoly pem pkcs1 pkcs8 x509 \
                       pubkey constraints kernel-libipsec kernel-netlink socket-default vici drbg";

pub(super) fn start(lab: &Lab, program: &Path) -> Result<Running, String> {
    let mut running = Running::default();
    for end in End::BOTH {
        let folder = lab.folder(end)?;
        let settings = folder.join("strongswan.conf");
        write(&settings, &strongswan_conf(&folder))?;
        write(&folder.join("swanctl.conf"), &swanctl_conf(end))?;
        let mut command = with_own_run("", program, &[]);
        command.env("STRONGSWAN_CONF", &settings);
        running.add(lab, end, &command)?;
    }
    for end in End::BOTH {
        let socket = lab.folder(end)?.join("vici");
        patiently(|| UnixStream::connect(&socket).map(drop).map_err(|error| error.to_string()))
            .map_err(|error| format!("charon takes no commands: {error}; {}", lab.last_words(end)))?;
        swanctl(lab, end, &["--load-all"])?;
    }
    swanctl(lab, End::One, &["--initiate", "--child", "net", "--timeout", "10"])?;
    Ok(running)
}

fn swanctl(lab: &Lab, end: End, arguments: &[&str]) -> Result<(), String> {
    let folder = lab.folder(end)?;
    let mut command = Command::new("swanctl");
    command.env("SWANCTL_DIR", &folder).env("STRONGSWAN_CONF", folder.join("strongswan.conf"));
    command.args(arguments).arg("--uri").arg(format!("unix://{}", folder.join("vici").display()));
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("swanctl cannot be started: {error}"))?;
    let said =
        || format!("swanctl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(said()) }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// With few threads, libipsec uses them all, and none is left to take commands.
fn strongswan_conf(folder: &Path) -> String {
    format!(
        "charon {{
            threads = 24
            load = {PLUGINS}
            plugins {{
                vici {{ socket = unix://{folder}/vici }}
                kernel-libipsec {{ allow_peer_ts = yes }}
            }}
            filelog {{ stderr {{ default = 0 }} }}
        }}
        swanctl {{ load = {PLUGINS} }}
        ",
        folder = folder.display(),
    )
}

/// libipsec wants its ESP in UDP.
fn swanctl_conf(end: End) -> String {
    let (own, other) = (end, end.opposite());
    format!(
        "connections {{ side {{
            version = 2
            encap = yes
            mobike = no
            local_addrs = {}
            remote_addrs = {}
            remote_port = {PORT}
            local_port = {PORT}
            proposals = aes128gcm16-prfsha256-curve25519
            local {{ auth = psk
                id = {} }}
            remote {{ auth = psk
                id = {} }}
            children {{ net {{
                local_ts = {}/32
                remote_ts = {}/32
                esp_proposals = aes128gcm16
            }} }}
        }} }}
        secrets {{ ike-1 {{ secret = \"known to both ends\" }} }}
        ",
        own.outside(),
        other.outside(),
        own.number(),
        other.number(),
        own.inside(),
        other.inside(),
    )
}

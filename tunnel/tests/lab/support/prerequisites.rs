//! What the machine must have.

use crate::harness::Needs;
use crate::support::{agent, newest};
use std::fmt;
use std::path::Path;

/// Something that is not there.
pub(crate) struct Missing {
    what: String,
    remedy: &'static str,
    /// The least that cannot be done without it.
    pub(crate) needed_for: Needs,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no {}: {}", self.what, self.remedy)
    }
}

const TOOLS: [(&str, &str, Needs); 6] = [
    ("ip", "apt-get install iproute2", Needs::Network),
    ("nft", "apt-get install nftables", Needs::Network),
    ("iptables", "apt-get install iptables", Needs::Network),
    ("unshare", "apt-get install util-linux", Needs::StrongSwan),
    ("swanctl", "apt-get install strongswan-swanctl", Needs::StrongSwan),
    ("pki", "apt-get install strongswan-pki", Needs::StrongSwan),
];

const FILES: [(&str, &str, Needs); 5] = [
    ("/dev/net/tun", "load the module tun, or let the container have the device", Needs::Network),
    ("/usr/lib/ipsec/charon", "apt-get install strongswan-charon", Needs::StrongSwan),
    (
        "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so",
        "apt-get install libcharon-extra-plugins",
        Needs::StrongSwan,
    ),
    (
        "/usr/lib/ipsec/plugins/libstrongswan-openssl.so",
        "apt-get install libstrongswan-standard-plugins",
        Needs::StrongSwan,
    ),
    (
        "/usr/lib/ipsec/plugins/libstrongswan-chapoly.so",
        "apt-get install libstrongswan-extra-plugins",
        Needs::StrongSwan,
    ),
];

/// All that is not there. What nobody needs is not fetched.
pub(crate) fn missing(needs: Needs) -> Vec<Missing> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        let remedy = "run the tests as root, in a container if you like";
        missing.push(Missing { what: "root".into(), remedy, needed_for: Needs::Network });
    }
    for (tool, remedy, needed_for) in TOOLS {
        if !is_on_path(tool) {
            missing.push(Missing { what: tool.into(), remedy, needed_for });
        }
    }
    for (file, remedy, needed_for) in FILES {
        if !Path::new(file).exists() {
            missing.push(Missing { what: file.into(), remedy, needed_for });
        }
    }
    if needs >= Needs::Python && !agent::is_available() {
        let remedy = "apt-get install python3-pip, and let it reach PyPI or a mirror; or pip install vici";
        let what = "package `vici` for python3".into();
        missing.push(Missing { what, remedy, needed_for: Needs::Python });
    }
    if needs >= Needs::NewestTool && !newest::is_available() {
        let remedy = "run the tests on Debian for amd64 or arm64, and let apt reach deb.debian.org";
        let what = "`swanctl` of a newer Debian".into();
        missing.push(Missing { what, remedy, needed_for: Needs::NewestTool });
    }
    missing
}

fn is_on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).exists())
}

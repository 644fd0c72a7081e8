//! The daemon of this repository.

use super::{DEVICE, MTU};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidegate_benches::lab::{End, Lab, Running};

/// What differs from one use to the next.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) suite: &'static str,
    pub(crate) offload: bool,
    /// How many children there are. The first one carries the load.
    pub(crate) children: u32,
}

/// A connection takes no more than 256. So many prefixes either end has then, and as many connections: a host's rules
/// are one for each prefix of its own, and no host has thousands of those, though it may well have thousands of peers'.
const CHILDREN_OF_ONE: u32 = 100;

impl Default for Settings {
    fn default() -> Self {
        Self { suite: "aes128gcm16", offload: true, children: 1 }
    }
}

pub(super) fn start(lab: &Lab, program: &Path, settings: &Settings) -> Result<Running, String> {
    let mut running = Running::default();
    // The one that waits is there before the one that begins.
    for end in [End::Other, End::One] {
        let folder = lab.folder(end)?;
        let config =
            write(&folder, end, settings).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(config);
        running.add(lab, end, &command)?;
    }
    Ok(running)
}

/// Writes a configuration and says where it is.
fn write(folder: &Path, end: End, settings: &Settings) -> std::io::Result<PathBuf> {
    let (config, secret) = (folder.join("tidegate.toml"), folder.join("psk"));
    fs::write(&secret, "known to both ends")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let mut text = node(end, settings);
    for number in 0..settings.children {
        if number % CHILDREN_OF_ONE == 0 {
            text.push_str(&connection(end, number / CHILDREN_OF_ONE));
        }
        text.push_str(&child(end, settings, number));
    }
    fs::write(&config, text)?;
    Ok(config)
}

fn node(end: End, settings: &Settings) -> String {
    format!(
        r#"[node]
name = "{}"
state = "state"
vici = "vici.sock"
[node.log]
level = "warn"
[node.device]
name = "{DEVICE}"
mtu = {MTU}
{}offload = {}
"#,
        end.number(),
        // What is so anyway is not said, so that releases that do not know of it can be compared with.
        if settings.offload { "#" } else { "" },
        settings.offload,
    )
}

fn connection(end: End, number: u32) -> String {
    let (own, other) = (end.number(), end.opposite().number());
    format!(
        r#"[[connection]]
name = "side{number}"
proposals = "aes128gcm16-prfsha256-x25519"
retry = {{ first = "100ms", most = "200ms" }}
[connection.local]
id = "end{own}.{number}.example"
psk_file = "psk"
[connection.remote]
id = "end{other}.{number}.example"
psk_file = "psk"
addresses = ["{}"]
"#,
        end.opposite().outside(),
    )
}

/// The first child carries the load. Each of the others is between an address that one end has for this connection, and
/// one that the other end has for all of them; it says no more than it has to, as a configuration is no longer than a
/// mebibyte.
fn child(end: End, settings: &Settings, number: u32) -> String {
    let address = |end: End| match number {
        0 => end.inside().to_string(),
        _ if end == End::One => format!("10.1.100.{}", 1 + number / CHILDREN_OF_ONE),
        _ => format!("10.2.100.{}", 1 + number % CHILDREN_OF_ONE),
    };
    let (own, other) = (address(end), address(end.opposite()));
    let start = if end == End::One { "start=\"at-once\"\n" } else { "" };
    let suite = if number == 0 { format!("proposals=\"{}\"\n", settings.suite) } else { String::new() };
    format!(
        "[[connection.child]]\nname=\"net{number}\"\nlocal=[\"{own}\"]\nremote=[\"{other}\"]\n{suite}{start}"
    )
}

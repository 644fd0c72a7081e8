//! What is measured.

use crate::lab::{End, Lab};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The MTU inside every tunnel.
const MTU: usize = 1400;
/// Where the others' packets go, as Tidegate's do to 4500.
const PORT: u16 = 4500;

/// A kind of tunnel, and the program that makes it.
pub(crate) struct Subject {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A loop between TUN and UDP without a cipher: PROGRAM TUN LOCAL:PORT REMOTE:PORT.
    Bare,
    /// The same with AES-128-GCM, which `--aead` says.
    BareAead,
    /// The daemon as it is.
    Tidegate,
    /// The daemon without offloads of the device.
    TidegatePlain,
}

/// Programs at both ends; they end when this is dropped.
pub(crate) struct Running(Vec<Child>);

impl Subject {
    pub(crate) fn start(&self, lab: &Lab) -> Result<Running, String> {
        let mut running = Running(Vec::new());
        for end in End::BOTH {
            let arguments = match self.kind {
                Kind::Bare => bare(end, None),
                Kind::BareAead => bare(end, Some("--aead")),
                Kind::Tidegate => tidegate(lab.folder(), end, true)?,
                Kind::TidegatePlain => tidegate(lab.folder(), end, false)?,
            };
            running.0.push(lab.spawn(end, &self.program, &arguments)?);
        }
        if matches!(self.kind, Kind::Bare | Kind::BareAead) {
            lead_into_device(lab)?;
        }
        Ok(running)
    }
}

fn bare(end: End, cipher: Option<&str>) -> Vec<String> {
    let at = |end: End| format!("192.0.2.{}:{PORT}", end.number());
    let mut arguments = vec!["tide0".to_owned(), at(end), at(end.opposite())];
    arguments.extend(cipher.map(str::to_owned));
    arguments
}

/// The daemon makes its own routes; the loop knows of none.
fn lead_into_device(lab: &Lab) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    for end in End::BOTH {
        let up = format!("link set tide0 mtu {MTU} up");
        while let Err(error) = lab.ip(end, &up) {
            if Instant::now() > deadline {
                return Err(error);
            }
            sleep(Duration::from_millis(20));
        }
        let (own, other) = (end.number(), end.opposite().number());
        lab.ip(end, &format!("route add 10.{other}.0.1 dev tide0 src 10.{own}.0.1"))?;
    }
    Ok(())
}

/// Writes a configuration and says how the daemon finds it.
fn tidegate(folder: &Path, end: End, offload: bool) -> Result<Vec<String>, String> {
    let (own, other) = (end.number(), end.opposite().number());
    let folder = folder.join(own.to_string());
    let start = if end == End::One { "at-once" } else { "wait" };
    let text = format!(
        r#"[node]
name = "{own}"
state = "state"
vici = "vici.sock"
[node.device]
name = "tide0"
mtu = {MTU}
{}offload = {offload}
[[connection]]
name = "side"
proposals = "aes128gcm16-prfsha256-x25519"
retry = {{ first = "100ms", most = "200ms" }}
[connection.local]
id = "{own}"
psk_file = "psk"
[connection.remote]
id = "{other}"
psk_file = "psk"
addresses = ["192.0.2.{other}"]
[[connection.child]]
name = "net"
local = ["10.{own}.0.1/32"]
remote = ["10.{other}.0.1/32"]
proposals = "aes128gcm16"
start = "{start}"
"#,
        // What is so anyway is not said, so that releases that do not know of it can be compared with.
        if offload { "#" } else { "" }
    );
    let (config, secret) = (folder.join("tidegate.toml"), folder.join("psk"));
    fs::create_dir(&folder)
        .and_then(|()| fs::write(&secret, "known to both ends"))
        .and_then(|()| fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)))
        .and_then(|()| fs::write(&config, text))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(vec!["run".into(), "--config".into(), config.display().to_string()])
}

impl Running {
    /// What both ends have used of all cores so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration, String> {
        let times = self.0.iter().map(|child| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
            // User and system time are the 14th and 15th field; the second one is a name in brackets.
            let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
            Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
        });
        times.sum::<Option<Duration>>().ok_or_else(|| "one of the programs has ended".to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &self.0 {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(3);
        for child in &mut self.0 {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

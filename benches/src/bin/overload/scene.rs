//! Who is there: two daemons with a tunnel between them, a crowd, and somebody new who comes and goes.

use crate::flood::{Flood, Sink, Target};
use crate::kinds::Kind;
use crate::overheard::{Ear, Overheard};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tidegate_benches::lab::programs::{order, ours};
use tidegate_benches::lab::{End, Lab, Memory, Namespace, Running, patiently};
use tidegate_benches::load::{ping, tcp, udp};

/// All that there is. Fields go in the order that they can.
pub(crate) struct Scene {
    _sink: Sink,
    daemons: Running,
    newcomer: Newcomer,
    heard: Overheard,
    lab: Lab,
}

/// In the namespace of the crowd, and a daemon like the others.
struct Newcomer {
    program: PathBuf,
    folder: PathBuf,
    _daemon: Running,
    crowd: Namespace,
}

/// What one slice of time has shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) gigabits_per_second: f64,
    /// Until somebody new was in; none if that did not work out in time.
    pub(crate) handshake: Option<Duration>,
    /// Packets of the flood a second.
    pub(crate) flood: f64,
    /// The flooded daemon's memory before and after, and the lines that it has logged by then.
    pub(crate) memory: [u64; 2],
    pub(crate) logged: usize,
}

/// How long things may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);
/// Whoever is not in by then gives up.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// The flood has filled what it fills by then.
const SETTLE: Duration = Duration::from_millis(200);
/// What is left of a slice is over by then.
const PAUSE: Duration = Duration::from_millis(150);
const MTU: usize = 1400;
const NEW: &str = "new";

/// The crowd's link; the second end has the second address.
const CROWD_LINK: &str = "198.51.100";
const CROWD: &str = "10.66.0.0/16";

impl Scene {
    /// Starts everything, and waits until the tunnel is up.
    pub(crate) fn new() -> Result<Self, String> {
        let lab = Lab::new()?;
        let crowd = crowd(&lab)?;
        let program = ours("tidegate")?;
        let ear = Ear::open(&lab)?;
        let mut daemons = Running::default();
        for end in [End::Other, End::One] {
            let config = config(&lab, &end.number().to_string(), end_config(end))?;
            daemons.add(&lab, end, &run(&program, &config))?;
        }
        ping::wait(&lab, PATIENCE)
            .map_err(|error| format!("no tunnel comes up: {error}; {}", lab.last_words(End::Other)))?;
        udp::carry(&lab, udp::Burst { size: 1300, time: SETTLE, rate: Some(2000.0) })?;
        let heard = ear.close()?;
        let newcomer = Newcomer::start(&lab, crowd, program)?;
        Ok(Self { _sink: Sink::open(&lab)?, daemons, newcomer, heard, lab })
    }

    /// A flood of this kind, while TCP goes through the tunnel and somebody new connects.
    pub(crate) fn slice(
        &self,
        kind: Kind,
        rate: Option<f64>,
        target: Target,
        time: Duration,
    ) -> Result<Slice, String> {
        let before = self.memory();
        let flood = Flood::begin(&self.newcomer.crowd, kind.drafts(&self.heard), target, rate)?;
        sleep(SETTLE);
        let (carried, handshake) = std::thread::scope(|scope| {
            let knocking = scope.spawn(|| self.newcomer.connect());
            let carried = self.carry(time);
            (carried, knocking.join())
        });
        let flood = flood.end()?;
        self.newcomer.leave();
        let handshake = handshake.map_err(|_| "the thread of somebody new has panicked".to_owned())?;
        sleep(PAUSE);
        Ok(Slice {
            gigabits_per_second: carried?,
            handshake,
            flood,
            memory: [before, self.memory()],
            logged: self.logged(),
        })
    }

    fn carry(&self, time: Duration) -> Result<f64, String> {
        let flow = tcp::Flow { from: End::One, streams: 1, time, rate: None };
        tcp::carry(&self.lab, flow).map(|carried| carried.gigabits_per_second())
    }

    fn memory(&self) -> u64 {
        self.daemons.process(End::Other).map_or(0, |process| Memory::of(process).now)
    }

    /// Lines that the flooded daemon has logged so far.
    pub(crate) fn logged(&self) -> usize {
        self.lab.at(End::Other).log().lines().count()
    }

    /// The last ones of these.
    pub(crate) fn last_words(&self) -> String {
        self.lab.last_words(End::Other)
    }

    /// What it counts, apart from what it has none of.
    pub(crate) fn counters(&self) -> Result<String, String> {
        order(&self.newcomer.program, &self.lab.folder(End::Other)?, &["counters"])
    }
}

impl Newcomer {
    fn start(lab: &Lab, crowd: Namespace, program: PathBuf) -> Result<Self, String> {
        let config = config(lab, NEW, new_config())?;
        let folder = lab.folder_named(NEW)?;
        let mut daemon = Running::default();
        daemon.add_in(&crowd, &run(&program, &config))?;
        let newcomer = Self { program, folder, _daemon: daemon, crowd };
        patiently(|| order(&newcomer.program, &newcomer.folder, &["status"]).map(drop))?;
        Ok(newcomer)
    }

    /// How long it takes to get in.
    fn connect(&self) -> Option<Duration> {
        let begin = Instant::now();
        let seconds = HANDSHAKE.as_secs().to_string();
        let up = order(&self.program, &self.folder, &["up", NEW, "--timeout", &seconds]);
        up.ok().map(|_| begin.elapsed())
    }

    fn leave(&self) {
        // It may not have got in.
        let _ = order(&self.program, &self.folder, &["down", NEW]);
    }
}

/// Where floods come from, with a link to the second end, which any of its addresses leads back to.
fn crowd(lab: &Lab) -> Result<Namespace, String> {
    let crowd = lab.another("crowd")?;
    let gate = lab.at(End::Other);
    crowd.ip(&format!("link add link0 type veth peer name link1 netns {}", gate.name()))?;
    crowd.ip("link set link0 up")?;
    crowd.ip(&format!("address add {CROWD_LINK}.1/24 dev link0"))?;
    crowd.ip("address add 10.3.0.1/32 dev lo")?;
    gate.ip("link set link1 up")?;
    gate.ip(&format!("address add {CROWD_LINK}.2/24 dev link1"))?;
    gate.ip(&format!("route add {CROWD} via {CROWD_LINK}.1"))?;
    // Who says that he is the first end comes by another link than that one does.
    let settings = gate.thread(|| {
        let settings = ["all", "link0", "link1"];
        settings.map(|name| fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "0"))
    })?;
    for set in settings.join().map_err(|_| "rp_filter cannot be set")? {
        set.map_err(|error| format!("rp_filter: {error}"))?;
    }
    crowd.ip(&format!("route add {}/32 via {CROWD_LINK}.2", End::Other.outside()))?;
    Ok(crowd)
}

fn run(program: &Path, config: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(config);
    command
}

fn config(lab: &Lab, name: &str, text: String) -> Result<PathBuf, String> {
    let folder = lab.folder_named(name)?;
    let (config, secret) = (folder.join("tidegate.toml"), folder.join("psk"));
    let write = || {
        fs::write(&secret, "known to all ends")?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        fs::write(&config, text)
    };
    write().map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(config)
}

/// One side of a connection, with its only child.
struct Side<'a> {
    name: &'a str,
    local: &'a str,
    remote: &'a str,
    address: Option<String>,
    inside: [String; 2],
    start: &'a str,
}

fn end_config(end: End) -> String {
    let inside = |end: End| end.inside().to_string();
    let start = if end == End::One { "start = \"at-once\"\n" } else { "" };
    let [local, remote] = match end {
        End::One => ["one.example", "gate.example"],
        End::Other => ["gate.example", "one.example"],
    };
    let tunnel = Side {
        name: "tunnel",
        local,
        remote,
        address: Some(end.opposite().outside().to_string()),
        inside: [inside(end), inside(end.opposite())],
        start,
    };
    let text = node(&end.number().to_string()) + &tunnel.text();
    match end {
        End::One => text,
        End::Other => {
            let newcomer = Side {
                name: NEW,
                local: "gate.example",
                remote: "new.example",
                address: None,
                inside: [inside(end), "10.3.0.1".into()],
                start: "",
            };
            text + &newcomer.text()
        }
    }
}

fn new_config() -> String {
    let side = Side {
        name: NEW,
        local: "new.example",
        remote: "gate.example",
        address: Some(format!("{CROWD_LINK}.2")),
        inside: ["10.3.0.1".into(), End::Other.inside().to_string()],
        start: "",
    };
    node(NEW) + &side.text()
}

fn node(name: &str) -> String {
    format!(
        r#"[node]
name = "{name}"
state = "state"
vici = "vici.sock"
[node.log]
level = "info"
[node.device]
name = "tide0"
mtu = {MTU}
"#
    )
}

impl Side<'_> {
    fn text(&self) -> String {
        let Self { name, local, remote, address, inside: [ours, theirs], start } = self;
        let addresses = address.iter().map(|address| format!("addresses = [\"{address}\"]\n"));
        let addresses: String = addresses.collect();
        format!(
            r#"[[connection]]
name = "{name}"
proposals = "aes128gcm16-prfsha256-x25519"
[connection.local]
id = "{local}"
psk_file = "psk"
[connection.remote]
id = "{remote}"
psk_file = "psk"
{addresses}[[connection.child]]
name = "net-{name}"
local = ["{ours}"]
remote = ["{theirs}"]
proposals = "aes128gcm16"
{start}"#
        )
    }
}

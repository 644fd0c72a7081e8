//! A client made of the package `vici` from PyPI, which talks as FabEdge's agents do.

use crate::support::process::run;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SCRIPT: &str = include_str!("agent.py");

/// The versions that this was written for.
const PACKAGE: &str = "vici>=5.9,<7";

/// Whoever drives a daemon.
pub(crate) struct Agent {
    socket: PathBuf,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// What was streamed before the answer.
    pub(crate) events: Vec<Value>,
    /// The answer.
    pub(crate) reply: Value,
    /// How long it took.
    pub(crate) took: Duration,
}

/// A call without events.
pub(crate) fn call(command: &str, message: Value) -> Value {
    let mut call = json!({ "command": command });
    call["message"] = message;
    call
}

/// A call for the SAs of a connection, which are streamed.
pub(crate) fn call_for_sas(connection: &str) -> Value {
    let message = json!({ "ike": connection });
    json!({ "command": "list-sas", "event": "list-sa", "message": message })
}

/// Has agents work, so many at a time: each makes its calls at its socket, one after the other.
#[track_caller]
pub(crate) fn work(width: usize, agents: &[(&Path, Vec<Value>)]) -> Vec<Vec<Outcome>> {
    let agents: Value =
        agents.iter().map(|(socket, calls)| json!({ "socket": socket, "calls": calls })).collect();
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT]).arg(width.to_string());
    command.env("PYTHONPATH", packages()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("python3 runs");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(agents.to_string().as_bytes()).expect("it reads all before it does anything");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let outcomes: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout).expect("JSON");
    outcomes.iter().map(|calls| calls.iter().map(Outcome::read).collect()).collect()
}

impl Agent {
    /// One that talks to the daemon at this socket.
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Makes a call that has to succeed.
    #[track_caller]
    pub(crate) fn ask(&self, command: &str, message: Value) -> Value {
        let outcome = self.call_all(1, vec![call(command, message)]).remove(0);
        assert_eq!(outcome.error, None, "{command}");
        outcome.reply
    }

    /// Makes a call, whatever comes of it.
    #[track_caller]
    pub(crate) fn try_to(&self, command: &str, message: Value) -> Outcome {
        self.call_all(1, vec![call(command, message)]).remove(0)
    }

    /// The SAs of a connection, as they are streamed.
    #[track_caller]
    pub(crate) fn sas(&self, connection: &str) -> Vec<Value> {
        let outcome = self.call_all(1, vec![call_for_sas(connection)]).remove(0);
        assert_eq!(outcome.error, None);
        outcome.events
    }

    /// Makes calls, so many at a time.
    #[track_caller]
    pub(crate) fn call_all(&self, width: usize, calls: Vec<Value>) -> Vec<Outcome> {
        let agents: Vec<_> = calls.into_iter().map(|call| (&*self.socket, vec![call])).collect();
        work(width, &agents).into_iter().flatten().collect()
    }
}

impl Outcome {
    fn read(value: &Value) -> Self {
        let seconds = value["seconds"].as_f64().expect("a time");
        Self {
            error: value["error"].as_str().map(str::to_owned),
            events: value["events"].as_array().expect("a list").clone(),
            reply: value["reply"].clone(),
            took: Duration::from_secs_f64(seconds),
        }
    }
}

fn packages() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab-python")
}

/// Whether the package can be had: as it is, or from an index, once for all runs.
pub(crate) fn is_available() -> bool {
    let imports = || {
        let mut command = Command::new("python3");
        command.args(["-c", "import vici"]).env("PYTHONPATH", packages());
        command.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if imports() {
        return true;
    }
    let mut install = Command::new("python3");
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--target",
    ]);
    install.arg(packages()).arg(PACKAGE);
    let installed = install.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    installed.is_ok_and(|status| status.success()) && imports()
}

/// Its version.
pub(crate) fn version() -> String {
    let script = "import importlib.metadata as m; print(m.version('vici'))";
    run(Command::new("python3").args(["-c", script]).env("PYTHONPATH", packages())).trim().to_owned()
}

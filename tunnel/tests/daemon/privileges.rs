//! What the daemon may still do once it is up.

use super::support::{Folder, connection, ports};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tidegate::io::{privileges, seccomp};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");

/// A daemon's process, ended with the test.
struct Daemon(Child);

impl Daemon {
    fn start(folder: &Folder, command: &mut Command) -> Self {
        Self::start_saying(folder, command, Stdio::inherit())
    }

    fn start_saying(folder: &Folder, command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        let (config, socket) = (folder.path("tidegate.toml"), folder.path("vici.sock"));
        command.args(["run", "--config"]).arg(&config).stderr(stderr).env_remove("NOTIFY_SOCKET");
        let daemon = Self(command.spawn().expect("it was built"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "it does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        daemon
    }

    /// What the kernel tells of each of its threads.
    fn threads(&self) -> Vec<BTreeMap<String, String>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("it runs");
        tasks.filter_map(|task| status(&task.ok()?.path())).collect()
    }

    /// The processes that it has started.
    fn children(&self) -> Vec<u32> {
        let id = self.0.id();
        let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("it runs");
        let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
        lists
            .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .map(|id| id.parse().expect("a number"))
            .collect()
    }

    fn end(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn status(path: &Path) -> Option<BTreeMap<String, String>> {
    let text = fs::read_to_string(path.join("status")).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    Some(lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

fn capabilities(thread: &BTreeMap<String, String>, set: &str) -> u64 {
    u64::from_str_radix(&thread[set], 16).expect("digits")
}

fn is_root() -> bool {
    let root = geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "these tests need root");
    if !root {
        eprintln!("left out: there is nothing to give up without root");
    }
    root
}

const NET_BIND_SERVICE: u64 = 1 << 10;
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;

#[test]
fn no_thread_may_do_more_than_the_daemon_needs() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    folder.write("tidegate.toml", &folder.configuration(&["one"]));
    let daemon = Daemon::start(&folder, &mut Command::new(BINARY));
    let threads = daemon.threads();
    assert!(threads.len() > 3, "{}", threads.len());
    for thread in &threads {
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(capabilities(thread, set), NET_ADMIN, "{set} of {}", thread["Name"]);
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(capabilities(thread, set), 0, "{set} of {}", thread["Name"]);
        }
        assert_eq!(
            (thread["NoNewPrivs"].as_str(), thread["Seccomp"].as_str()),
            ("1", "2"),
            "{}",
            thread["Name"]
        );
    }
}

/// On ports of its own, in a network of its own, without a word of raw ESP and with one.
#[test]
fn low_ports_and_raw_esp_are_allowed_where_they_are_configured() {
    if !is_root() {
        return;
    }
    let raw =
        connection("two").replace("[connection.remote]", "encapsulation = \"raw\"\n[connection.remote]");
    for (text, wanted) in
        [("", NET_ADMIN | NET_BIND_SERVICE), (raw.as_str(), NET_ADMIN | NET_BIND_SERVICE | NET_RAW)]
    {
        let folder = Folder::new();
        let (port, nat_port) = ports();
        let configuration = folder.configuration(&[]).replace("listen = [\"127.0.0.1\"]\n", "");
        let low = configuration.lines().map(|line| match line.split(" = ").next() {
            Some("port") => "port = 500".to_owned(),
            Some("nat_port") => "nat_port = 4500".to_owned(),
            _ => line.to_owned(),
        });
        let low = low.collect::<Vec<_>>().join("\n");
        assert!(!low.contains(&port.to_string()) && !low.contains(&nat_port.to_string()));
        folder.write("tidegate.toml", &format!("{low}\n{text}"));
        let daemon = Daemon::start(&folder, Command::new("unshare").args(["--net", BINARY]));
        assert_eq!(capabilities(&daemon.threads()[0], "CapEff"), wanted);
    }
}

#[test]
fn memory_stays_out_of_core_dumps_and_of_swap_space_where_that_is_allowed() {
    let folder = Folder::new();
    folder.write("tidegate.toml", &folder.configuration(&[]));
    let daemon = Daemon::start(&folder, &mut Command::new(BINARY));
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.0.id())).expect("it runs");
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.split_whitespace().map(str::to_owned).take(2).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    let thread = &daemon.threads()[0];
    let locked = thread["VmLck"].trim_end_matches(" kB").parse::<u64>().expect("a number");
    let unlimited = limit("Max locked memory")[0] == "unlimited";
    assert_eq!(locked > 1024, unlimited, "{locked} kB");
    // Pages that are not in use are not brought in by that.
    let resident = thread["VmRSS"].trim_end_matches(" kB").parse::<u64>().expect("a number");
    assert!(resident < 32 * 1024, "{resident} kB");
}

/// Root lifts the limit, unless it may not: then nothing is locked, as to run into the limit would be worse.
#[test]
fn where_memory_cannot_be_locked_the_daemon_runs_and_says_so() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    folder.write("tidegate.toml", &folder.configuration(&["one"]));
    let said = fs::File::create(folder.path("said")).expect("a folder of our own");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-sys_resource", "prlimit", "--memlock=65536:65536", BINARY]);
    let mut daemon = Daemon::start_saying(&folder, &mut command, said);
    assert_eq!(daemon.threads()[0]["VmLck"], "0 kB");
    daemon.end();
    let said = fs::read_to_string(folder.path("said")).expect("it said something");
    assert!(said.contains("no more than 65536 bytes may be locked"), "{said}");
}

#[test]
fn the_process_for_scripts_is_another_and_goes_with_the_daemon() {
    let folder = Folder::new();
    folder.write("tidegate.toml", &folder.configuration(&[]));
    let mut daemon = Daemon::start(&folder, &mut Command::new(BINARY));
    let [helper] = daemon.children()[..] else { panic!("{:?}", daemon.children()) };
    let line = fs::read(format!("/proc/{helper}/cmdline")).expect("it runs");
    assert!(String::from_utf8_lossy(&line).contains("updown-helper"));
    if geteuid().is_root() {
        let thread = status(Path::new(&format!("/proc/{helper}"))).expect("it runs");
        assert!(capabilities(&thread, "CapEff").count_ones() > 3, "scripts may need more");
    }
    daemon.end();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Path::new(&format!("/proc/{helper}/fd/0")).exists() {
        assert!(Instant::now() < deadline, "the helper goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The filter is that of a thread: this one is given up for it.
#[test]
fn no_program_can_be_started_once_calls_are_refused_and_all_else_goes_on() {
    let given_up = std::thread::spawn(|| {
        privileges::give_up_new_privileges().expect("anybody may");
        seccomp::refuse_dangerous_calls().expect("the kernel has filters");
        let started = Command::new("/bin/true").spawn();
        assert_eq!(started.expect_err("refused").kind(), ErrorKind::PermissionDenied);
        // SAFETY: takes a number; the thread alone would be moved.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, -1);
        assert_eq!(std::io::Error::last_os_error().kind(), ErrorKind::PermissionDenied);
        let thread = std::thread::spawn(|| Command::new("/bin/true").spawn().is_err());
        assert!(thread.join().expect("threads can be begun"), "they have the filter too");
        UdpSocket::bind("127.0.0.1:0").expect("sockets can be opened");
        fs::read("/proc/self/status").expect("files can be read");
    });
    given_up.join().expect("no panic");
}

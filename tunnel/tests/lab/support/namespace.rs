//! Network namespaces, with names that tell whose they are.

use crate::support::process::run;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const PREFIX: &str = "tg-lab-";
const FOLDER: &str = "/run/netns";

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A namespace of our own. It goes with this value.
pub(crate) struct Namespace {
    name: String,
    handle: File,
}

impl Namespace {
    /// Makes one. IPv6 addresses in it are usable at once, and it takes packets from any side.
    pub(crate) fn new(label: &str) -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{label}", process::id());
        run(Command::new("ip").args(["netns", "add", &name]));
        let handle = File::open(Path::new(FOLDER).join(&name)).expect("the namespace was just made");
        let namespace = Self { name, handle };
        namespace.ip("link set lo up");
        for setting in ["all/rp_filter", "default/rp_filter"] {
            namespace.set(&format!("ipv4/conf/{setting}"), "0");
        }
        namespace.set("ipv6/conf/default/accept_dad", "0");
        namespace.set("ipv6/conf/default/accept_ra", "0");
        namespace
    }

    /// Its name, as `ip netns` lists it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Does `work` inside, on a thread of its own.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let work = || {
                self.move_in();
                work()
            };
            let handle = like_this_thread().spawn_scoped(scope, work).expect("a thread");
            handle.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Starts `work` inside and goes on.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let handle = self.handle.try_clone().expect("a second descriptor");
        let work = move || {
            move_into(&handle);
            drop(handle);
            work()
        };
        like_this_thread().spawn(work).expect("a thread")
    }

    /// How many packets there was no room for in queues inside: to sockets of UDP, and to those who read a device.
    pub(crate) fn overruns(&self) -> u64 {
        const DROPPED_BEFORE_THEY_WERE_SENT: usize = 11;
        let read = |file: &str| {
            let text = self.within(|| fs::read_to_string(Path::new("/proc/thread-self/net").join(file)));
            text.unwrap_or_else(|error| panic!("{file} of {}: {error}", self.name))
        };
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|error| panic!("{text}: {error}"));
        let all = read("snmp");
        let mut udp = all.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let names = udp.next().unwrap_or_default().split_whitespace();
        let mut numbers = names.zip(udp.next().unwrap_or_default().split_whitespace());
        let (_, at_sockets) = numbers.find(|(name, _)| *name == "RcvbufErrors").expect("what sockets drop");
        let devices = read("dev");
        let numbers = devices.lines().filter_map(|line| Some(line.split_once(':')?.1));
        let at_devices =
            numbers.filter_map(|line| line.split_whitespace().nth(DROPPED_BEFORE_THEY_WERE_SENT));
        number(at_sockets) + at_devices.map(number).sum::<u64>()
    }

    /// `ip` with these words.
    pub(crate) fn ip(&self, words: &str) {
        run(Command::new("ip").args(["-n", &self.name]).args(words.split_whitespace()));
    }

    /// `bridge` with these words.
    pub(crate) fn bridge(&self, words: &str) {
        run(Command::new("bridge").args(["-n", &self.name]).args(words.split_whitespace()));
    }

    /// `iptables` with these words.
    pub(crate) fn iptables(&self, words: &str) {
        self.within(|| run(Command::new("iptables").arg("-w").args(words.split_whitespace())));
    }

    /// Loads rules of nftables.
    pub(crate) fn nft(&self, rules: &str) {
        self.within(|| run(Command::new("nft").arg(rules)));
    }

    /// Whether the kernel does ESP by itself here.
    pub(crate) fn has_esp(&self) -> bool {
        let words = format!(
            "-n {} xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1 mode tunnel \
             auth hmac(sha256) 0x{:064x} enc cbc(aes) 0x{:032x}",
            self.name, 1, 1
        );
        let mut command = Command::new("ip");
        command.args(words.split_whitespace()).stdin(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Sets what is below `/proc/sys/net`.
    pub(crate) fn set(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys/net").join(key);
        let result = self.within(|| fs::write(&path, value));
        result.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Lets it forward.
    pub(crate) fn forward(&self) {
        self.set("ipv4/ip_forward", "1");
        self.set("ipv6/conf/all/forwarding", "1");
    }

    fn move_in(&self) {
        move_into(&self.handle);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

fn move_into(handle: &File) {
    move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("root may enter a namespace of its own");
}

/// A thread whose panics are counted with those of this one.
pub(crate) fn like_this_thread() -> thread::Builder {
    let builder = thread::Builder::new();
    match thread::current().name() {
        Some(name) => builder.name(name.to_owned()),
        None => builder,
    }
}

/// Removes what runs that died have left behind, with the processes in it.
pub(crate) fn remove_leftovers() {
    for entry in fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            end_processes_in(&name);
            remove(&name);
        }
    }
}

fn end_processes_in(name: &str) {
    let found = Command::new("ip").args(["netns", "pids", name]).stdin(Stdio::null()).output();
    let Ok(found) = found else { return };
    for word in String::from_utf8_lossy(&found.stdout).split_whitespace() {
        if let Some(pid) = word.parse().ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn remove(name: &str) {
    let _ =
        Command::new("ip").args(["netns", "del", name]).stdin(Stdio::null()).stderr(Stdio::null()).status();
}

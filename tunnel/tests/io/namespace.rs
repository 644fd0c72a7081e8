//! Network namespaces without names: each is a descriptor, and goes with it whatever becomes of the test.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    /// A new namespace with its loopback up; `None`, and a word about it, where we may not make one.
    pub(crate) fn new() -> Option<Self> {
        let made = thread::spawn(|| {
            // SAFETY: takes a number; the thread alone is moved.
            let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            (result == 0).then(|| File::open("/proc/thread-self/ns/net").unwrap())
        });
        let Some(file) = made.join().unwrap() else {
            eprintln!("left out: making network namespaces needs root");
            return None;
        };
        let namespace = Self { file };
        namespace.ip("link set lo up");
        Some(namespace)
    }

    /// Runs something inside. Sockets that are opened there stay there.
    pub(crate) fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                // SAFETY: takes a descriptor that is open as long as `self`; the thread alone is moved.
                assert_eq!(unsafe { libc::setns(self.file.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
                inside()
            });
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub(crate) fn ip(&self, arguments: &str) {
        self.command("ip", arguments);
    }

    pub(crate) fn command(&self, program: &str, arguments: &str) {
        let run = || Command::new(program).args(arguments.split(' ')).status().unwrap();
        assert!(self.run(run).success(), "{program} {arguments}");
    }

    /// A path by which `ip` finds it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }
}

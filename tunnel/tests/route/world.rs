//! A node between a pod and a peer, each in a network namespace without a name.

use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::Duration;
use tidegate::action::CaptureId;
use tidegate::route::{RouteSettings, Routes};
use tidegate_esp::SelectorPair;
use tun_tap::{Iface, Mode};

pub(crate) struct Namespace {
    file: File,
}

pub(crate) struct World {
    pub(crate) node: Namespace,
    pub(crate) pod: Namespace,
    pub(crate) peer: Namespace,
}

impl Namespace {
    fn new() -> Option<Self> {
        let made = thread::spawn(|| {
            // SAFETY: takes a number; the thread alone is moved.
            let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            (result == 0).then(|| File::open("/proc/thread-self/ns/net").unwrap())
        });
        let Some(file) = made.join().unwrap() else {
            assert!(std::env::var_os("CI").is_none(), "these tests need root");
            eprintln!("left out: making network namespaces needs root");
            return None;
        };
        let namespace = Self { file };
        namespace.ip("link set lo up");
        // Neighbours are to be found at once.
        namespace.run(|| fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")).unwrap();
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

    /// What `ip` prints; empty for a failure that it has printed.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let output = self.run(|| Command::new("ip").args(arguments.split_whitespace()).output().unwrap());
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Where a packet would go: an interface, with the source if the packet has none yet, or `unreachable`.
    pub(crate) fn way(&self, packet: &str) -> String {
        let command = format!("route get {packet}");
        let output = self.run(|| Command::new("ip").args(command.split_whitespace()).output().unwrap());
        if !output.status.success() {
            return "unreachable".to_owned();
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let after = |word: &str| {
            let mut words = text.split_whitespace().skip_while(|found| *found != word);
            words.nth(1).map(ToOwned::to_owned)
        };
        let source = after("src")
            .filter(|_| !packet.contains("from"))
            .map(|source| format!(" {source}"))
            .unwrap_or_default();
        format!("{}{source}", after("dev").unwrap_or_default())
    }

    /// A path by which `ip` finds it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    pub(crate) fn udp(&self, address: &str) -> UdpSocket {
        let socket = self.run(|| UdpSocket::bind(address)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        socket
    }
}

impl World {
    /// `None` where we may not make one.
    pub(crate) fn new() -> Option<Self> {
        let world = Self { node: Namespace::new()?, pod: Namespace::new()?, peer: Namespace::new()? };
        let Self { node, pod, peer } = &world;
        node.ip(&format!("link add pods type veth peer name eth0 netns {}", pod.path()));
        node.ip(&format!("link add wan type veth peer name eth0 netns {}", peer.path()));
        for (place, link, v4, v6) in [
            (node, "pods", "10.1.0.1/24", "fd01::1/64"),
            (pod, "eth0", "10.1.0.5/24", "fd01::5/64"),
            (node, "wan", "192.0.2.1/24", "2001:db8::1/64"),
            (peer, "eth0", "192.0.2.2/24", "2001:db8::2/64"),
            (peer, "lo", "10.2.0.5/32", "fd02::5/128"),
        ] {
            place.ip(&format!("link set {link} up"));
            place.ip(&format!("address add {v4} dev {link}"));
            place.ip(&format!("address add {v6} dev {link} nodad"));
        }
        for (place, v4, v6) in [
            (pod, "10.1.0.1", "fd01::1"),
            (node, "192.0.2.2", "2001:db8::2"),
            (peer, "192.0.2.1", "2001:db8::1"),
        ] {
            place.ip(&format!("route add default via {v4}"));
            place.ip(&format!("-6 route add default via {v6}"));
        }
        node.run(|| {
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        });
        Some(world)
    }

    pub(crate) fn tun(&self) -> Iface {
        let tun = self.node.run(|| Iface::without_packet_info("tidegate0", Mode::Tun)).unwrap();
        // SAFETY: takes a descriptor that is open, and numbers.
        assert_eq!(unsafe { libc::fcntl(tun.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }, 0);
        tun
    }

    pub(crate) fn open(&self) -> Routes {
        self.node.run(|| Routes::open(RouteSettings::default())).unwrap()
    }

    /// Everything of routing that can be seen.
    pub(crate) fn picture(&self) -> String {
        ["rule", "-6 rule", "route show table all", "-6 route show table all", "address show"]
            .map(|what| self.node.ip(what))
            .concat()
            .lines()
            .filter(|line| !["fe80", "ff00", "valid_lft", "qdisc"].iter().any(|word| line.contains(word)))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Captures FabEdge's three children of one peer.
    pub(crate) fn capture_fabedge(&self, routes: &mut Routes) {
        self.capture(routes, 1, &["10.1.0.0/24", "fd01::/64"], &["10.2.0.0/24", "fd02::/64"]);
        self.capture(routes, 2, &["192.0.2.1", "2001:db8::1"], &["10.2.0.0/24", "fd02::/64"]);
        self.capture(routes, 3, &["10.1.0.0/24", "fd01::/64"], &["192.0.2.2", "2001:db8::2"]);
    }

    pub(crate) fn capture(&self, routes: &mut Routes, id: u64, local: &[&str], remote: &[&str]) {
        let pair = pair(local, remote);
        self.node.run(|| routes.capture(CaptureId(id), &pair)).unwrap();
    }

    pub(crate) fn release(&self, routes: &mut Routes, id: u64) {
        self.node.run(|| routes.release(CaptureId(id))).unwrap();
    }
}

pub(crate) fn pair(local: &[&str], remote: &[&str]) -> SelectorPair {
    let side = |side: &[&str]| side.iter().map(|text| text.parse().unwrap()).collect();
    SelectorPair { local: side(local), remote: side(remote) }
}

/// Whether what one socket sends arrives at the other.
pub(crate) fn arrives(from: &UdpSocket, to: &UdpSocket, at: &str) -> bool {
    let at: SocketAddr = at.parse().unwrap();
    // Nothing sent is nothing arrived.
    if from.send_to(b"hello", at).is_err() {
        return false;
    }
    to.recv(&mut [0; 64]).is_ok()
}

/// The next packet out of the device that is not the kernel's own chatter.
pub(crate) fn packet(tun: &Iface) -> Option<Vec<u8>> {
    let mut buffer = [0; 2048];
    for _ in 0..50 {
        match tun.recv(&mut buffer) {
            // IPv6 to a group.
            Ok(_) if buffer[0] >> 4 == 6 && buffer[24] == 0xff => {}
            Ok(length) => return Some(buffer[..length].to_vec()),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
    None
}

impl World {
    /// The device goes with its process, and another comes a little later.
    pub(crate) fn open_again(&self, tun: &mut Option<Iface>) -> Routes {
        drop(tun.take());
        thread::sleep(Duration::from_millis(50));
        *tun = Some(self.tun());
        self.open()
    }
}

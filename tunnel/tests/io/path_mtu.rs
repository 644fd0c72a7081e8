//! A path with a narrow hop: sender, 1500, router, 1320, receiver.

use crate::namespace::Namespace;
use crate::wire::{anywhere, at, batch, departure, path_mtus, receive, send};
use std::time::{Duration, Instant};
use tidegate::io::Wire;
use tidegate::io::batch::{Departure, Fragmentation};
use tidegate::io::udp::Sockets;

struct Path {
    sender: Sockets,
    receiver: Sockets,
    _namespaces: [Namespace; 3],
}

const ENDS: [(&str, &str); 2] = [("10.1.0.1", "10.2.0.1"), ("fd01::1", "fd02::1")];
const NARROW: usize = 1320;

fn narrow_path() -> Option<Path> {
    let namespaces = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
    let [from, router, to] = &namespaces;
    router.ip(&format!("link add left type veth peer name out netns {}", from.path()));
    router
        .ip(&format!("link add right mtu {NARROW} type veth peer name in mtu {NARROW} netns {}", to.path()));
    for (namespace, link, v4, v6) in [
        (from, "out", "10.1.0.1/24", "fd01::1/64"),
        (router, "left", "10.1.0.254/24", "fd01::fe/64"),
        (router, "right", "10.2.0.254/24", "fd02::fe/64"),
        (to, "in", "10.2.0.1/24", "fd02::1/64"),
    ] {
        namespace.ip(&format!("address add {v4} dev {link}"));
        namespace.ip(&format!("address add {v6} dev {link} nodad"));
        namespace.ip(&format!("link set {link} up"));
    }
    from.ip("route add default via 10.1.0.254");
    from.ip("route add default via fd01::fe");
    to.ip("route add default via 10.2.0.254");
    to.ip("route add default via fd02::fe");
    router.command("sysctl", "-q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let path = Path { sender: from.run(anywhere), receiver: to.run(anywhere), _namespaces: namespaces };
    for (here, there) in ENDS {
        path.warm_up(here, there);
    }
    Some(path)
}

impl Path {
    fn way(&self, here: &str, there: &str) -> Departure {
        departure(at(here, &self.sender), at(there, &self.receiver))
    }

    /// Links and neighbours take their time.
    fn warm_up(&self, here: &str, there: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            send(&self.sender, self.way(here, there), b"there?");
            if !receive(&self.receiver).is_empty() {
                return;
            }
        }
        panic!("no path from {here} to {there}");
    }

    fn learn(&self) -> (std::net::IpAddr, usize) {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match path_mtus(&self.sender)[..] {
                [told, ..] => return told,
                [] => assert!(Instant::now() < deadline, "nothing was told"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The lengths of all that comes until there is silence.
    fn lengths(&self) -> Vec<usize> {
        receive(&self.receiver).iter().map(|(_, bytes)| bytes.len()).collect()
    }
}

#[test]
fn the_mtu_of_a_path_is_learned_from_the_network_and_obeyed() {
    let Some(path) = narrow_path() else { return };
    for (here, there) in ENDS {
        let way = path.way(here, there);
        let long = [7; 1400];

        // The router says that it does not fit.
        assert_eq!(send(&path.sender, way, &long), 1);
        assert_eq!(path.learn(), (there.parse().unwrap(), NARROW));

        // The system knows now, and tells of each that does not fit; those that do go on.
        let before = path.sender.counters().too_big;
        assert_eq!(send(&path.sender, way, &long), 0);
        assert_eq!(path.sender.counters().too_big, before + 1);
        assert_eq!(path.learn(), (there.parse().unwrap(), NARROW));
        assert_eq!(send(&path.sender, way, &long[..1200]), 1);
        assert_eq!(path.lengths(), [1200]);
    }
}

#[test]
fn a_piece_whose_datagrams_are_too_long_is_reported_and_costs_the_others_nothing() {
    let Some(path) = narrow_path() else { return };
    for (here, there) in ENDS {
        let way = path.way(here, there);
        send(&path.sender, way, &[7; 1400]);
        assert_eq!(path.learn(), (there.parse().unwrap(), NARROW));

        let before = path.sender.counters();
        let (long, short) = ([7; 1400], [7; 1200]);
        let frames = [&long[..], &long, &short, &short, &short];
        // Those at the front are one piece, and the first short one is its end.
        assert_eq!(path.sender.send(&batch(frames.map(|bytes| (way, bytes)))).unwrap(), 3);

        let after = path.sender.counters();
        assert_eq!((after.too_big - before.too_big, after.refused - before.refused), (2, 0));
        assert_eq!(path.learn(), (there.parse().unwrap(), NARROW));
        assert_eq!(path.lengths(), [1200; 3]);
        assert!(path.sender.offloads().send, "it is the path that takes no more");
    }
}

#[test]
fn what_may_be_fragmented_goes_through_in_pieces() {
    let Some(path) = narrow_path() else { return };
    for (here, there) in ENDS {
        let way = Departure { fragmentation: Fragmentation::Allowed, ..path.way(here, there) };
        // Longer than the first link.
        assert_eq!(send(&path.sender, way, &[7; 3000]), 1);
        // IPv6 is fragmented by its sender alone, which has to learn first.
        if there.contains(':') {
            assert_eq!(path.learn(), (there.parse().unwrap(), NARROW));
            assert_eq!(send(&path.sender, way, &[7; 3000]), 1);
        }
        assert_eq!(path.lengths(), [3000]);
        // The next one may not.
        assert_eq!(send(&path.sender, path.way(here, there), &[7; 3000]), 0);
        assert!(!path_mtus(&path.sender).is_empty());
    }
}

#[test]
fn an_ike_message_that_is_too_long_goes_through_in_pieces() {
    let Some(path) = narrow_path() else { return };
    let (here, there) = ENDS[0];
    path.sender.send_one(at(here, &path.sender), at(there, &path.receiver), &[7; 3000], 0).unwrap();
    assert_eq!(path.lengths(), [3000]);
    assert_eq!(path.sender.counters().too_big, 0);
}

#[test]
fn a_report_about_one_peer_does_not_hold_up_another() {
    let Some(path) = narrow_path() else { return };
    let (here, there) = ENDS[0];
    for _ in 0..20 {
        send(&path.sender, path.way(here, there), &[7; 1400]);
        assert_eq!(send(&path.sender, path.way(here, there), b"short"), 1);
        assert_eq!(path.lengths(), [5]);
    }
}

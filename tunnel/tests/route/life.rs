//! Death, and what comes after it.

use crate::world::World;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const POD_TO_POD: &str = "10.2.0.5 from 10.1.0.5 iif pods";
const POD_TO_POD6: &str = "fd02::5 from fd01::5 iif pods";

#[test]
fn what_was_captured_goes_nowhere_when_the_process_is_gone() {
    let Some(world) = World::new() else { return };
    let tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    drop(routes);
    drop(tun);
    for packet in [POD_TO_POD, POD_TO_POD6, "10.2.0.5", "fd02::5", "192.0.2.2 from 10.1.0.5 iif pods"] {
        assert_eq!(world.node.way(packet), "unreachable", "{packet}");
    }
    // The next run has to get through.
    assert_eq!(world.node.way("10.2.0.5 mark 0x7d6"), "wan 192.0.2.1");
    assert_eq!(world.node.way("192.0.2.2"), "wan 192.0.2.1");
}

#[test]
fn what_the_dead_should_have_had_in_protected_packets_stays_out() {
    let Some(world) = World::new() else { return };
    let tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    drop(routes);
    drop(tun);
    let (pod, peer) = (world.pod.udp("10.1.0.5:7000"), world.peer.udp("10.2.0.5:0"));
    assert!(!crate::world::arrives(&peer, &pod, "10.1.0.5:7000"));
}

#[test]
fn the_next_run_adopts_what_was_left_and_gives_up_what_nobody_claims() {
    let Some(world) = World::new() else { return };
    let before = world.picture();
    let tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    world.capture(&mut routes, 4, &["10.1.0.0/24"], &["10.3.0.0/24"]);
    world.capture(&mut routes, 5, &["10.7.0.0/24"], &["10.3.0.0/24"]);
    let full = world.picture();
    drop(routes);
    drop(tun);

    let tun = world.tun();
    let mut routes = world.open();
    assert_eq!(world.node.way("10.3.0.5 from 10.1.0.5 iif pods"), "tidegate0");
    assert_eq!(world.picture().lines().count(), full.lines().count());
    world.capture_fabedge(&mut routes);
    world.node.run(|| routes.settled()).unwrap();
    assert_eq!(world.node.way("10.3.0.5 from 10.1.0.5 iif pods"), "wan");
    assert_eq!(world.node.way(POD_TO_POD), "tidegate0");
    assert_eq!(world.node.way(POD_TO_POD6), "tidegate0");
    assert!(!world.node.ip("rule").contains("10.7.0.0/24"));
    world.node.run(|| routes.close());
    drop(tun);
    assert_eq!(world.picture(), before);
}

/// A pod sends without end while the process dies and another takes over, twice.
#[test]
fn nothing_leaves_in_clear_from_one_run_to_the_next() {
    let Some(world) = World::new() else { return };
    let mut tun = Some(world.tun());
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    let peer = world.peer.udp("10.2.0.5:9");
    let pod = world.pod.udp("10.1.0.5:0");
    let node = world.node.udp("0.0.0.0:0");
    let over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sent = 0;
            while !over.load(Ordering::Relaxed) {
                // Unreachable is what it should be for a time.
                sent += usize::from(pod.send_to(b"secret", "10.2.0.5:9").is_ok());
                sent += usize::from(node.send_to(b"secret", "10.2.0.5:9").is_ok());
            }
            sent
        });
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(50));
            let dead = std::mem::replace(&mut routes, world.open_again(&mut tun));
            drop(dead);
            world.capture_fabedge(&mut routes);
            world.node.run(|| routes.settled()).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        sending.join().unwrap()
    });
    assert!(sent > 100, "{sent}");
    assert!(peer.recv(&mut [0; 64]).is_err(), "a packet in clear");
}

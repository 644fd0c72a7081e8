//! What others take away is put back.

use crate::world::World;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use tidegate::route::{Changes, RouteSettings, Routes};

const POD_TO_POD: &str = "10.2.0.5 from 10.1.0.5 iif pods";

/// Serves the routes as a driver does, until nothing happens for a while.
pub(crate) fn serve(world: &World, routes: &mut Routes) -> Changes {
    serve_for(world, routes, Duration::from_millis(800))
}

fn serve_for(world: &World, routes: &mut Routes, quiet: Duration) -> Changes {
    let mut all = Changes::default();
    let wait = Timespec::try_from(quiet).unwrap();
    while poll(&mut [PollFd::new(&routes.as_fd(), PollFlags::IN)], Some(&wait)).unwrap() > 0 {
        let changes = world.node.run(|| routes.handle_changes());
        all.addresses_changed |= changes.addresses_changed;
        all.repaired.extend(changes.repaired);
    }
    all
}

#[test]
fn our_own_changes_are_no_reason_to_repair() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    world.release(&mut routes, 3);
    let changes = serve(&world, &mut routes);
    assert_eq!(changes.repaired, Vec::<String>::new());
    assert!(!changes.addresses_changed);
}

#[test]
fn rules_routes_and_the_device_come_back() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    world.node.run(|| routes.add_address("10.9.0.7".parse().unwrap())).unwrap();
    serve(&world, &mut routes);
    let whole = world.picture();
    for (attack, what) in [
        ("rule del priority 210", "rule 210"),
        ("rule del priority 211 from 10.1.0.0/24", "rule 211"),
        ("rule del priority 214", "rule 214"),
        ("-6 rule flush", "rule 213"),
        ("route flush table 2460", "routes"),
        ("route flush table 2461", "routes"),
        ("-6 route flush table 2462", "routes"),
        ("link set tidegate0 down", "interface tidegate0"),
        ("address del 10.9.0.7/32 dev tidegate0", "address 10.9.0.7"),
    ] {
        world.node.ip(attack);
        let repaired = serve(&world, &mut routes).repaired;
        assert!(repaired.iter().any(|repaired| repaired.contains(what)), "{attack}: {repaired:?}");
        if attack == "-6 rule flush" {
            world.node.ip("-6 rule add priority 32766 lookup main");
        }
        assert_eq!(sorted(&world.picture()), sorted(&whole), "{attack}");
    }
}

fn sorted(picture: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = picture.lines().map(str::trim).collect();
    lines.sort_unstable();
    lines
}

/// Another of our kind ends and takes everything with it, the packet filter too.
#[test]
fn all_of_it_comes_back_together() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    serve(&world, &mut routes);
    world.node.run(|| Routes::open(RouteSettings::default()).unwrap().close());
    assert_eq!(world.node.way(POD_TO_POD), "wan");
    assert_eq!(routes.dropped_in_clear(), None);
    serve(&world, &mut routes);
    assert_eq!(world.node.way(POD_TO_POD), "tidegate0");
    assert_eq!(routes.dropped_in_clear(), Some(0));
}

#[test]
fn repairs_are_bounded_but_the_last_one_is_made() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    serve(&world, &mut routes);
    let start = Instant::now();
    let mut repairs = 0;
    while start.elapsed() < Duration::from_secs(2) {
        world.node.ip("route flush table 2460");
        repairs += serve_for(&world, &mut routes, Duration::from_millis(5)).repaired.len();
    }
    assert!((1..=12).contains(&repairs), "{repairs}");
    serve(&world, &mut routes);
    assert_eq!(world.node.way(POD_TO_POD), "tidegate0");
}

#[test]
fn changes_of_addresses_are_told_and_sources_follow() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture(&mut routes, 1, &["10.1.0.0/24"], &["10.2.0.0/24"]);
    serve(&world, &mut routes);
    assert_eq!(world.node.way("10.2.0.5"), "tidegate0 10.1.0.1");
    world.node.ip("address add 10.1.0.2/24 dev pods");
    world.node.ip("address del 10.1.0.1/24 dev pods");
    assert!(serve(&world, &mut routes).addresses_changed);
    // The kernel drops a secondary address with its primary one.
    world.node.ip("address replace 10.1.0.2/24 dev pods");
    serve(&world, &mut routes);
    assert!(routes.local_addresses().contains(&"10.1.0.2".parse().unwrap()));
    assert_eq!(world.node.way("10.2.0.5"), "tidegate0 10.1.0.2");
}

//! Beside a program that believes it drives strongSwan: FabEdge writes peers' ranges into table 220, by way of the
//! default gateway, and trusts that the kernel catches the packets.

use crate::world::{World, arrives, packet};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use tidegate::route::{CharonRule, RouteSettings, Routes};

const RULE: &str = "220:\tfrom all lookup 220";

fn open(world: &World) -> Routes {
    let settings = RouteSettings { charon_rule: CharonRule::Keep, ..RouteSettings::default() };
    world.node.run(|| Routes::open(settings)).unwrap()
}

/// What FabEdge writes.
fn write_routes(world: &World) {
    world.node.ip("route replace 10.2.0.0/24 via 192.0.2.2 dev wan table 220");
    world.node.ip("-6 route replace fd02::/64 via 2001:db8::2 dev wan table 220");
}

fn table_220(world: &World) -> Vec<String> {
    let tables = ["route show table 220", "-6 route show table 220"].map(|what| world.node.ip(what)).concat();
    tables.lines().map(|line| line.trim().to_owned()).collect()
}

fn has_rule(world: &World) -> bool {
    ["rule", "-6 rule"].iter().all(|what| world.node.ip(what).lines().any(|line| line.trim() == RULE))
}

#[test]
fn nothing_that_is_captured_goes_by_the_routes_in_table_220() {
    let Some(world) = World::new() else { return };
    let tun = world.tun();
    let mut routes = open(&world);
    write_routes(&world);
    world.capture_fabedge(&mut routes);
    // Written again, as it does every so often.
    write_routes(&world);
    for packet in
        ["10.2.0.5 from 10.1.0.5 iif pods", "fd02::5 from fd01::5 iif pods", "10.2.0.5 from 192.0.2.1"]
    {
        assert_eq!(world.node.way(packet), "tidegate0", "{packet}");
    }
    let (pod, peer) = (world.pod.udp("10.1.0.5:0"), world.peer.udp("10.2.0.5:7000"));
    assert!(!arrives(&pod, &peer, "10.2.0.5:7000"), "in clear");
    assert_eq!(packet(&tun).expect("captured")[12..16], [10, 1, 0, 5]);
    // Killed, it leaves nothing open either.
    drop((routes, tun));
    assert!(!arrives(&pod, &peer, "10.2.0.5:7000"), "in clear");
    assert_eq!(world.node.way("10.2.0.5 from 10.1.0.5 iif pods"), "unreachable");
}

#[test]
fn its_rule_is_there_while_we_are_and_its_routes_are_left_alone() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    assert!(!has_rule(&world));
    let mut routes = open(&world);
    assert!(has_rule(&world), "{}", world.node.ip("rule"));
    write_routes(&world);
    let written = table_220(&world);
    assert_eq!(written.len(), 2);
    world.capture_fabedge(&mut routes);
    world.node.run(|| routes.settled()).unwrap();
    assert_eq!(table_220(&world), written);
    world.node.run(|| routes.close());
    assert_eq!(table_220(&world), written);
    assert!(!has_rule(&world));
}

#[test]
fn a_rule_that_was_there_stays_and_nobody_else_gets_one() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    world.node.run(|| world.open().close());
    assert!(!has_rule(&world));
    for family in ["", "-6 "] {
        world.node.ip(&format!("{family}rule add priority 220 lookup 220"));
    }
    let routes = open(&world);
    assert!(has_rule(&world));
    assert_eq!(world.node.ip("rule").matches(RULE).count(), 1);
    world.node.run(|| routes.close());
    assert!(has_rule(&world));
}

#[test]
fn a_rule_that_somebody_takes_away_comes_back() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = open(&world);
    let mut repaired = Vec::new();
    world.node.ip("rule del priority 220");
    let wait = Timespec { tv_sec: 0, tv_nsec: 800_000_000 };
    while poll(&mut [PollFd::new(&routes.as_fd(), PollFlags::IN)], Some(&wait)).unwrap() > 0 {
        repaired.extend(world.node.run(|| routes.handle_changes()).repaired);
    }
    assert!(has_rule(&world));
    assert_eq!(repaired, ["rule 220: from all lookup 220"]);
}

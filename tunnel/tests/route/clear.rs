//! What comes in clear.

use crate::world::{World, arrives, packet};
use tidegate::route::Routes;

fn dropped(routes: &Routes) -> u64 {
    routes.dropped_in_clear().expect("a filter")
}

#[test]
fn clear_packets_that_should_be_protected_are_dropped_and_counted() {
    let Some(world) = World::new() else { return };
    let tun = world.tun();
    let mut routes = world.open();
    let (pod4, pod6) = (world.pod.udp("10.1.0.5:7000"), world.pod.udp("[fd01::5]:7000"));
    let (peer4, peer6) = (world.peer.udp("10.2.0.5:0"), world.peer.udp("[fd02::5]:0"));
    let outer = world.peer.udp("192.0.2.2:0");
    assert!(arrives(&peer4, &pod4, "10.1.0.5:7000"));
    assert!(arrives(&peer6, &pod6, "[fd01::5]:7000"));

    world.capture_fabedge(&mut routes);
    assert!(!arrives(&peer4, &pod4, "10.1.0.5:7000"));
    assert_eq!(dropped(&routes), 1);
    assert!(!arrives(&peer6, &pod6, "[fd01::5]:7000"));
    assert_eq!(dropped(&routes), 2);
    // The peer's node to our pods.
    assert!(!arrives(&outer, &pod4, "10.1.0.5:7000"));
    assert_eq!(dropped(&routes), 3);
    // Node to node is not selected.
    let node = world.node.udp("192.0.2.1:7000");
    assert!(arrives(&outer, &node, "192.0.2.1:7000"));
    assert_eq!(dropped(&routes), 3);

    // The same packet out of the device is welcome: one of the pod's with its ends exchanged.
    pod4.send_to(b"hello", "10.2.0.5:9").unwrap();
    let sent = packet(&tun).unwrap();
    let answer =
        [&sent[..12], &sent[16..20], &sent[12..16], &sent[22..24], &sent[20..22], &sent[24..]].concat();
    tun.send(&answer).unwrap();
    assert!(pod4.recv(&mut [0; 64]).is_ok());
    assert_eq!(dropped(&routes), 3);

    for id in 1..=3 {
        world.release(&mut routes, id);
    }
    assert!(arrives(&peer4, &pod4, "10.1.0.5:7000"));
    assert!(arrives(&peer6, &pod6, "[fd01::5]:7000"));
    assert_eq!(dropped(&routes), 3);
}

#[test]
fn outer_packets_pass_even_where_selectors_hold_both_nodes() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture(&mut routes, 1, &["192.0.2.1", "2001:db8::1"], &["192.0.2.2", "2001:db8::2"]);
    for (host, far) in [("192.0.2.1", "192.0.2.2:0"), ("[2001:db8::1]", "[2001:db8::2]:0")] {
        let peer = world.peer.udp(far);
        for (port, passes) in [(500, true), (4500, true), (7000, false)] {
            let at = format!("{host}:{port}");
            let node = world.node.udp(&at);
            assert_eq!(arrives(&peer, &node, &at), passes, "{at}");
        }
    }
    assert_eq!(dropped(&routes), 2);
    assert_eq!(world.node.way("192.0.2.2"), "tidegate0 192.0.2.1");
    assert_eq!(world.node.way("192.0.2.2 mark 0x7d6"), "wan 192.0.2.1");
}

#[test]
fn captures_that_overlap_are_filtered_each_on_its_own() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    let pod = world.pod.udp("10.1.0.5:7000");
    let peer = world.peer.udp("10.2.0.5:0");
    // Crossed: neither holds the other.
    world.capture(&mut routes, 1, &["10.1.0.0/24"], &["10.2.0.5/32"]);
    world.capture(&mut routes, 2, &["10.1.0.5/32"], &["10.2.0.0/24"]);
    world.capture(&mut routes, 3, &["10.1.0.0/16"], &["10.0.0.0/9"]);
    for id in 1..=3 {
        assert!(!arrives(&peer, &pod, "10.1.0.5:7000"), "{id}");
        world.release(&mut routes, id);
    }
    assert!(arrives(&peer, &pod, "10.1.0.5:7000"));
}

#[test]
fn only_the_ports_that_are_selected_are_filtered() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture(&mut routes, 1, &["10.1.0.0/24[udp/7000]"], &["10.2.0.0/24[udp]"]);
    let peer = world.peer.udp("10.2.0.5:0");
    let (protected, other) = (world.pod.udp("10.1.0.5:7000"), world.pod.udp("10.1.0.5:7001"));
    assert!(!arrives(&peer, &protected, "10.1.0.5:7000"));
    assert!(arrives(&peer, &other, "10.1.0.5:7001"));
    assert_eq!(dropped(&routes), 1);
}

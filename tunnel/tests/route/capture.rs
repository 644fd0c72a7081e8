//! What goes into the device, and what does not.

use crate::world::{World, packet, pair};
use tidegate::action::CaptureId;
use tidegate::route::{RouteSettings, Trouble};

/// FabEdge's children with the peer's outer address inside a remote selector.
#[test]
fn what_selectors_name_is_captured_and_nothing_else() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    for (packet, way) in [
        // Pods to pods, and pods to the peer's node.
        ("10.2.0.5 from 10.1.0.5 iif pods", "tidegate0"),
        ("192.0.2.2 from 10.1.0.5 iif pods", "tidegate0"),
        ("fd02::5 from fd01::5 iif pods", "tidegate0"),
        ("2001:db8::2 from fd01::5 iif pods", "tidegate0"),
        // The node to pods, with and without an address of its own choice.
        ("10.2.0.5 from 192.0.2.1", "tidegate0"),
        ("10.2.0.5", "tidegate0 192.0.2.1"),
        ("fd02::5 from 2001:db8::1", "tidegate0"),
        ("fd02::5", "tidegate0 2001:db8::1"),
        // A pod's gateway to pods and to the peer's node.
        ("10.2.0.5 from 10.1.0.1", "tidegate0"),
        ("192.0.2.2 from 10.1.0.1", "tidegate0"),
        // Node to node.
        ("192.0.2.2", "wan 192.0.2.1"),
        ("192.0.2.2 from 192.0.2.1", "wan"),
        ("2001:db8::2", "wan 2001:db8::1"),
        ("2001:db8::2 from 2001:db8::1", "wan"),
        // Our own sockets, wherever to.
        ("10.2.0.5 mark 0x7d6", "wan 192.0.2.1"),
        ("10.2.0.5 from 10.1.0.1 mark 0x7d6", "wan"),
        ("fd02::5 mark 0x7d6", "wan 2001:db8::1"),
        // The rest of the world.
        ("198.51.100.1 from 10.1.0.5 iif pods", "wan"),
        ("198.51.100.1", "wan 192.0.2.1"),
        ("2001:db8:1::1", "wan 2001:db8::1"),
        ("10.1.0.5", "pods 10.1.0.1"),
    ] {
        assert_eq!(world.node.way(packet), way, "{packet}");
    }
    assert_eq!(world.node.run(|| routes.troubles()), []);
}

#[test]
fn packets_come_out_of_the_device() {
    let Some(world) = World::new() else { return };
    let tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    for (socket, to, source) in [
        (world.pod.udp("10.1.0.5:0"), "10.2.0.5:9", [10, 1, 0, 5]),
        (world.pod.udp("0.0.0.0:0"), "192.0.2.2:9", [10, 1, 0, 5]),
        (world.node.udp("0.0.0.0:0"), "10.2.0.5:9", [192, 0, 2, 1]),
    ] {
        socket.send_to(b"hello", to).unwrap();
        let packet = packet(&tun).expect(to);
        assert_eq!(packet[12..16], source, "{to}");
    }
    let node = world.node.udp("[::]:0");
    node.send_to(b"hello", "[fd02::5]:9").unwrap();
    let packet = packet(&tun).unwrap();
    assert_eq!(packet[8..24], "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
}

#[test]
fn a_pods_gateway_is_the_source_where_selectors_hold_no_other_address_of_ours() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture(&mut routes, 1, &["10.1.0.0/24", "fd01::/64"], &["10.2.0.0/24", "fd02::/64"]);
    assert_eq!(world.node.way("10.2.0.5"), "tidegate0 10.1.0.1");
    assert_eq!(world.node.way("fd02::5"), "tidegate0 fd01::1");
}

#[test]
fn what_several_capture_stays_until_the_last_releases_it() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let before = world.picture();
    let mut routes = world.open();
    let packet = "10.2.0.5 from 10.1.0.5 iif pods";
    world.capture(&mut routes, 1, &["10.1.0.0/24"], &["10.2.0.0/24"]);
    world.capture(&mut routes, 2, &["10.1.0.0/24"], &["10.2.0.0/24"]);
    world.capture(&mut routes, 3, &["10.1.0.0/16"], &["10.0.0.0/8"]);
    world.release(&mut routes, 1);
    world.release(&mut routes, 3);
    assert_eq!(world.node.way(packet), "tidegate0");
    world.release(&mut routes, 2);
    assert_eq!(world.node.way(packet), "wan");
    world.node.run(|| routes.close());
    world.node.ip("link set tidegate0 down");
    assert_eq!(world.picture(), before);
}

#[test]
fn protocols_and_ports_are_told_apart_where_the_kernel_can() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture(&mut routes, 1, &["10.1.0.0/24[tcp]"], &["10.2.0.0/24[tcp/80]"]);
    for (flow, way) in [
        ("ipproto tcp sport 4000 dport 80", "tidegate0"),
        ("ipproto tcp sport 4000 dport 81", "wan"),
        ("ipproto udp sport 4000 dport 80", "wan"),
    ] {
        let packet = format!("10.2.0.5 from 10.1.0.5 iif pods {flow}");
        assert_eq!(world.node.way(&packet), way, "{packet}");
    }
}

#[test]
fn the_mtu_of_a_peer_is_that_of_its_routes() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    world.capture(&mut routes, 4, &["10.1.0.0/24"], &["10.3.0.0/24"]);
    world.node.run(|| routes.set_mtu(CaptureId(1), Some(1300))).unwrap();
    let mtu = |packet: &str| world.node.ip(&format!("route get {packet}")).contains("mtu 1300");
    assert!(mtu("10.2.0.5 from 10.1.0.5 iif pods"));
    assert!(mtu("10.2.0.5"));
    assert!(mtu("fd02::5"));
    assert!(!mtu("10.3.0.5 from 10.1.0.5 iif pods"));
    world.node.run(|| routes.set_mtu(CaptureId(1), None)).unwrap();
    assert!(!mtu("10.2.0.5 from 10.1.0.5 iif pods"));
}

#[test]
fn an_assigned_address_is_the_source_of_what_it_was_assigned_for() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let before = world.picture();
    let mut routes = world.open();
    for address in ["10.9.0.7", "fd09::7"] {
        let address = address.parse().unwrap();
        world.node.run(|| routes.add_address(address)).unwrap();
    }
    world.capture(&mut routes, 1, &["10.9.0.7", "fd09::7"], &["0.0.0.0/0", "::/0"]);
    assert_eq!(world.node.way("198.51.100.1"), "tidegate0 10.9.0.7");
    assert_eq!(world.node.way("192.0.2.99"), "tidegate0 10.9.0.7");
    assert_eq!(world.node.way("2001:db8:1::1"), "tidegate0 fd09::7");
    assert_eq!(world.node.way("192.0.2.2 mark 0x7d6"), "wan 192.0.2.1");
    assert_eq!(world.node.way("198.51.100.1 from 10.1.0.5 iif pods"), "wan");
    // The host can still talk to itself.
    let (here, there) = (world.node.udp("10.9.0.7:0"), world.node.udp("10.9.0.7:7000"));
    assert!(crate::world::arrives(&here, &there, "10.9.0.7:7000"));
    let local: Vec<String> = routes.local_addresses().iter().map(ToString::to_string).collect();
    assert_eq!(local, ["10.1.0.1", "192.0.2.1", "fd01::1", "2001:db8::1"]);

    world.release(&mut routes, 1);
    for address in ["10.9.0.7", "fd09::7"] {
        let address = address.parse().unwrap();
        world.node.run(|| routes.remove_address(address)).unwrap();
    }
    world.node.run(|| routes.close());
    world.node.ip("link set tidegate0 down");
    assert_eq!(world.picture(), before);
}

#[test]
fn what_strongswan_has_is_left_alone() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    world.node.ip("rule add priority 220 lookup 220");
    world.node.ip("route add 10.2.0.0/24 via 192.0.2.2 table 220");
    let before = world.picture();
    let mut routes = world.open();
    world.capture_fabedge(&mut routes);
    assert_eq!(world.node.way("10.2.0.5 from 10.1.0.5 iif pods"), "tidegate0");
    world.node.run(|| routes.close());
    world.node.ip("link set tidegate0 down");
    assert_eq!(world.picture(), before);
}

#[test]
fn a_priority_behind_strongswans_is_refused() {
    let settings = RouteSettings { priority: 216, ..RouteSettings::default() };
    let Err(error) = tidegate::route::Routes::open(settings) else { panic!("it was taken") };
    assert!(error.to_string().contains("216"));
}

#[test]
fn what_is_missing_is_named() {
    let Some(world) = World::new() else { return };
    let error = world.node.run(|| tidegate::route::Routes::open(RouteSettings::default()).err()).unwrap();
    assert_eq!(error.to_string(), "there is no interface tidegate0");
    let _tun = world.tun();
    world.node.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "0")).unwrap();
    let mut routes = world.open();
    world.capture(&mut routes, 1, &["10.1.0.0/24"], &["10.2.0.0/24"]);
    let troubles = world.node.run(|| routes.troubles());
    assert!(troubles.iter().any(|trouble| trouble.to_string().contains("net.ipv4.ip_forward")));
    assert_eq!(world.node.run(|| routes.troubles()), []);
}

#[test]
fn who_finds_no_table_left_does_not_send_in_clear() {
    const ENOUGH: u64 = 4096;
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    let of = |number: u64| pair(&[&format!("10.128.{}.{}", number / 256, number % 256)], &["10.2.0.0/24"]);
    for number in 0..=ENOUGH {
        world.node.run(|| routes.capture(CaptureId(number), &of(number))).unwrap();
    }
    assert_eq!(world.node.way("10.2.0.5 from 10.128.16.0 iif pods"), "tidegate0");
    assert_eq!(world.node.way("10.3.0.5 from 10.128.16.0 iif pods"), "wan");
    let troubles = world.node.run(|| routes.troubles());
    assert!(troubles.contains(&Trouble::Coarse { remotes: 1 }), "{troubles:?}");
    world.release(&mut routes, 7);
    world.node.run(|| routes.capture(CaptureId(ENOUGH), &of(ENOUGH))).unwrap();
    assert_eq!(world.node.way("10.2.0.5 from 10.128.16.0 iif pods"), "tidegate0");
}

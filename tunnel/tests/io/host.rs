use crate::namespace::Namespace;
use std::net::IpAddr;
use std::time::Duration;
use tidegate::io::addresses::host_addresses;
use tidegate::io::clock::Clock;

#[test]
fn addresses_that_others_can_reach_are_found() {
    let Some(namespace) = Namespace::new() else { return };
    for link in ["d0", "d1", "d2"] {
        namespace.ip(&format!("link add {link} type veth peer name far-{link}"));
        namespace.ip(&format!("link set {link} up"));
    }
    // The other side of d2 is down: d2 has no carrier.
    namespace.ip("link set far-d0 up");
    namespace.ip("link set far-d1 up");
    for (link, address) in [
        ("d0", "192.0.2.1/24"),
        ("d0", "169.254.1.1/16"),
        ("d0", "2001:db8::1/64"),
        ("d1", "192.0.2.129/32"),
        ("d2", "198.51.100.1/24"),
        ("lo", "203.0.113.1/32"),
    ] {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        namespace.ip(&format!("address add {address} dev {link}{nodad}"));
    }

    let find = |except| namespace.run(|| host_addresses(except)).unwrap();

    let texts = |found: Vec<IpAddr>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(find(None)), ["203.0.113.1", "192.0.2.1", "2001:db8::1", "192.0.2.129"]);
    assert_eq!(texts(find(Some("d1"))), ["203.0.113.1", "192.0.2.1", "2001:db8::1"]);
}

#[test]
fn the_clock_goes_on_and_knows_the_century() {
    let before = Clock.now();
    std::thread::sleep(Duration::from_millis(5));
    let after = Clock.now();
    assert!(after.time.since(before.time) >= Duration::from_millis(5));
    assert!(after.wall >= before.wall);
    assert!(after.wall.0 > 1_700_000_000);
}

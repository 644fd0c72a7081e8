//! Narrowing of traffic selectors, by example and against a count of every flow.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use tidegate_esp::{AddressRange, Ports, TrafficSelector};
use tidegate_ike::narrow::{ConfiguredSelector, narrow, resolve, within};

fn list(text: &str) -> Vec<TrafficSelector> {
    text.split_whitespace().map(|word| word.parse().expect("a selector")).collect()
}

// RFC 7296 §2.9
#[test]
fn an_acceptable_offer_is_returned_as_it_is() {
    let offered = list("10.1.0.0/16 10.2.0.0/16[tcp/443] fd00:1::/64");
    assert_eq!(narrow(&list("10.0.0.0/8 fd00::/16"), &offered), offered);
}

// RFC 7296 §2.9
#[test]
fn a_wide_offer_is_narrowed_to_what_is_configured() {
    let narrowed = narrow(&list("10.1.0.0/16 10.3.0.0/16"), &list("0.0.0.0/0 ::/0"));
    assert_eq!(narrowed, list("10.1.0.0/16 10.3.0.0/16"));
}

// RFC 7296 §2.9
#[test]
fn the_packets_own_selector_is_within_the_answer() {
    let packet = "10.1.0.43/32[tcp/50000]";
    let offered = list(&format!("{packet} 10.0.0.0/8"));
    let narrowed = narrow(&list("10.2.0.0/16 10.1.0.0/16"), &offered);
    assert!(within(&list(packet), &narrowed));
    // It came first, so what contains it comes first.
    assert_eq!(narrowed, list("10.1.0.0/16 10.2.0.0/16"));
}

#[test]
fn the_packets_own_selector_stands_alone_where_nothing_contains_it() {
    let offered = list("10.1.0.43/32[udp/53] 10.0.0.0/8[tcp]");
    assert_eq!(narrow(&list("10.1.0.0/16"), &offered), list("10.1.0.43/32[udp/53] 10.1.0.0/16[tcp]"));
}

// RFC 7296 §2.9: TS_UNACCEPTABLE
#[test]
fn nothing_in_common_is_nothing() {
    assert!(narrow(&list("10.1.0.0/16"), &list("10.2.0.0/16 ::/0")).is_empty());
    assert!(narrow(&[], &list("0.0.0.0/0")).is_empty());
    assert!(narrow(&list("10.1.0.0/16[tcp]"), &list("10.1.0.0/16[udp]")).is_empty());
}

#[test]
fn repetitions_and_parts_are_left_out() {
    let offered = list("10.1.1.0/24 10.1.1.0/24 10.1.2.0/24 10.1.0.0/16 10.9.0.0/16");
    assert_eq!(narrow(&list("10.0.0.0/8"), &offered), list("10.1.0.0/16 10.9.0.0/16"));
}

#[test]
fn the_answer_fits_a_payload() {
    let many: Vec<TrafficSelector> =
        (0..400).map(|at| TrafficSelector::for_addresses(AddressRange::host(host(at * 2)))).collect();
    let narrowed = narrow(&many, &list("0.0.0.0/0"));
    assert_eq!(narrowed, many[..255]);
}

#[test]
fn dynamic_stands_for_the_ends_addresses() {
    let tcp = ConfiguredSelector::Dynamic { protocol: 6, ports: Ports::ANY };
    let fixed = ConfiguredSelector::Fixed(list("10.1.0.0/16")[0]);
    let addresses = ["192.0.2.7".parse().expect("v4"), "2001:db8::7".parse().expect("v6")];
    let resolved = resolve(&[tcp, fixed, tcp], &addresses);
    assert_eq!(resolved, list("192.0.2.7/32[tcp] 2001:db8::7/128[tcp] 10.1.0.0/16"));
    assert!(resolve(&[tcp], &[]).is_empty());
}

// RFC 7296 §2.9.2
#[test]
fn several_selectors_together_may_hold_one() {
    assert!(within(&list("10.0.0.0/24"), &list("10.0.0.0/25 10.0.0.128/25")));
    assert!(!within(&list("10.0.0.0/24"), &list("10.0.0.0/25 10.0.0.129-10.0.0.255")));
    assert!(!within(&list("10.0.0.0/24"), &list("10.0.0.0/24[tcp] 10.0.0.0/24[udp]")));
    assert!(within(&[], &list("10.0.0.0/24")));
    assert!(!within(&list("::/0"), &list("0.0.0.0/0")));
}

// A world small enough to count: 8 addresses, 3 protocols, 4 ports and the port that cannot be seen.

const ADDRESSES: u32 = 8;
const PROTOCOLS: [u8; 3] = [6, 17, 50];
const PORTS: [Option<u16>; 5] = [Some(0), Some(1), Some(2), Some(3), None];

fn host(at: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + at))
}

fn flows() -> impl Iterator<Item = (IpAddr, u8, Option<u16>)> {
    (0..ADDRESSES)
        .flat_map(|at| PROTOCOLS.map(|protocol| (host(at), protocol)))
        .flat_map(|(address, protocol)| PORTS.map(|port| (address, protocol, port)))
}

fn matched(list: &[TrafficSelector], (address, protocol, port): (IpAddr, u8, Option<u16>)) -> bool {
    list.iter().any(|selector| selector.matches(address, protocol, port))
}

fn selector() -> impl Strategy<Value = TrafficSelector> {
    let v4 = |at: u32| Ipv4Addr::from_bits(0x0a00_0000 + at);
    let addresses = (0..ADDRESSES, 0..ADDRESSES)
        .prop_map(move |(a, b)| AddressRange::V4 { start: v4(a.min(b)), end: v4(a.max(b)) });
    let ports = prop_oneof![
        2 => Just(Ports::ANY),
        2 => (0u16..4, 0u16..4).prop_map(|(a, b)| Ports::Range(a.min(b), a.max(b))),
        1 => Just(Ports::Opaque),
    ];
    (addresses, proptest::sample::select(vec![0, 6, 17]), ports)
        .prop_map(|(addresses, protocol, ports)| TrafficSelector { addresses, protocol, ports })
}

fn selectors() -> impl Strategy<Value = Vec<TrafficSelector>> {
    proptest::collection::vec(selector(), 0..6)
}

proptest! {
    #[test]
    fn narrowing_keeps_exactly_what_both_hold(configured in selectors(), offered in selectors()) {
        let narrowed = narrow(&configured, &offered);
        for flow in flows() {
            let both = matched(&configured, flow) && matched(&offered, flow);
            prop_assert_eq!(matched(&narrowed, flow), both, "{:?}", flow);
        }
        prop_assert!(within(&narrowed, &offered));
        prop_assert!(within(&narrowed, &configured));
    }

    #[test]
    fn narrowing_leaves_nothing_redundant(configured in selectors(), offered in selectors()) {
        let narrowed = narrow(&configured, &offered);
        for (at, one) in narrowed.iter().enumerate() {
            for (other_at, other) in narrowed.iter().enumerate() {
                prop_assert!(at == other_at || !one.contains_selector(other));
            }
        }
    }

    #[test]
    fn narrowing_again_changes_nothing(configured in selectors(), offered in selectors()) {
        let narrowed = narrow(&configured, &offered);
        prop_assert!(within(&narrow(&configured, &narrowed), &narrowed));
        prop_assert!(within(&narrowed, &narrow(&configured, &narrowed)));
    }

    // The small world has every port that a selector of it begins or ends at, but not the ports between 4
    // and 65535, which only selectors of any port match.
    #[test]
    fn within_agrees_with_a_count(inner in selectors(), outer in selectors()) {
        let counted = flows()
            .chain((0..ADDRESSES).flat_map(|at| PROTOCOLS.map(|protocol| (host(at), protocol, Some(9)))))
            .all(|flow| !matched(&inner, flow) || matched(&outer, flow));
        prop_assert_eq!(within(&inner, &outer), counted);
    }
}

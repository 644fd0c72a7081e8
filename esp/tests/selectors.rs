//! Selectors as text and as sets of flows.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use tidegate_esp::selector::{SelectorFault, TrafficSelector};
use tidegate_esp::{AddressRange, Flow, Ports, SelectorPair, Transport};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

fn selector(text: &str) -> TrafficSelector {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn selectors_read_as_strongswan_writes_them() {
    for (text, printed) in [
        ("10.1.0.0/16[tcp/80]", "10.1.0.0/16[tcp/80]"),
        ("10.1.2.3/16[6/80]", "10.1.0.0/16[tcp/80]"),
        ("fd00::/64[udp]", "fd00::/64[udp]"),
        ("10.0.0.1-10.0.0.9[tcp/1000-2000]", "10.0.0.1-10.0.0.9[tcp/1000-2000]"),
        ("10.0.0.1..10.0.0.9", "10.0.0.1-10.0.0.9"),
        ("10.0.0.0-10.0.0.255", "10.0.0.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("0.0.0.0/0[icmp/8]", "0.0.0.0/0[icmp/8]"),
        ("0.0.0.0/0[icmp/3(4)]", "0.0.0.0/0[icmp/3(4)]"),
        ("0.0.0.0/0[icmp/3-3(255)]", "0.0.0.0/0[icmp/3-3(255)]"),
        ("0.0.0.0/0[icmp/2048]", "0.0.0.0/0[icmp/8]"),
        ("::/0[ipv6-icmp/135]", "::/0[ipv6-icmp/135]"),
        ("10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/opaque]"),
        ("10.0.0.0/8[any/53]", "10.0.0.0/8[any/53]"),
        ("10.0.0.0/8[/53]", "10.0.0.0/8[any/53]"),
        ("10.0.0.0/8[tcp/any]", "10.0.0.0/8[tcp]"),
        ("10.0.0.0/8[200]", "10.0.0.0/8[200]"),
        ("10.0.0.0/8[]", "10.0.0.0/8"),
    ] {
        assert_eq!(selector(text).to_string(), printed, "{text}");
        assert_eq!(selector(printed), selector(text), "{text}");
    }
    assert_eq!(selector("::/0[icmpv6/135]").ports, Ports::Range(0x8700, 0x8700));
}

#[test]
fn a_bad_selector_names_the_bad_word() {
    for (text, word, fault) in [
        ("dynamic", "dynamic", SelectorFault::Address),
        ("10.0.0/8", "10.0.0", SelectorFault::Address),
        ("", "", SelectorFault::Address),
        ("10.0.0.0/33", "33", SelectorFault::PrefixLength),
        ("10.0.0.0/+8", "+8", SelectorFault::PrefixLength),
        ("10.0.0.0/", "", SelectorFault::PrefixLength),
        ("10.0.0.9-10.0.0.1", "10.0.0.9-10.0.0.1", SelectorFault::AddressRange),
        ("10.0.0.1-::1", "10.0.0.1-::1", SelectorFault::AddressRange),
        ("10.0.0.0/8[tpc/80]", "tpc", SelectorFault::Protocol),
        ("10.0.0.0/8[256]", "256", SelectorFault::Protocol),
        ("10.0.0.0/8[tcp/65536]", "65536", SelectorFault::Ports),
        ("10.0.0.0/8[tcp/9-1]", "9-1", SelectorFault::Ports),
        ("10.0.0.0/8[tcp/-]", "-", SelectorFault::Ports),
        ("10.0.0.0/8[icmp/8(256)]", "8(256)", SelectorFault::Ports),
        ("10.0.0.0/8[tcp/80", "10.0.0.0/8[tcp/80", SelectorFault::Bracket),
        ("10.0.0.0/8[tcp]x", "10.0.0.0/8[tcp]x", SelectorFault::Bracket),
    ] {
        let error = text.parse::<TrafficSelector>().expect_err(text);
        assert_eq!((error.word.as_str(), error.fault), (word, fault), "{text}");
    }
}

#[test]
fn unseen_ports_match_only_any_and_opaque() {
    // RFC 4301 §4.4.1.1
    let fragment = Flow {
        source: Ipv4Addr::new(10, 0, 0, 1).into(),
        destination: Ipv4Addr::new(10, 1, 0, 1).into(),
        protocol: 6,
        transport: Transport::Opaque,
    };
    let pair =
        |ports: &str| SelectorPair { local: vec![selector("10.0.0.0/8")], remote: vec![selector(ports)] };
    assert!(pair("10.0.0.0/8[tcp]").matches(&fragment));
    assert!(pair("10.0.0.0/8[tcp/opaque]").matches(&fragment));
    assert!(!pair("10.0.0.0/8[tcp/80]").matches(&fragment));
    assert!(!pair("10.0.0.0/8[tcp/1-65535]").matches(&fragment));
}

#[test]
fn on_the_way_in_the_ends_change_places() {
    let pair =
        SelectorPair { local: vec![selector("10.0.0.0/24[tcp/80]")], remote: vec![selector("10.9.0.0/24")] };
    let request = Flow {
        source: Ipv4Addr::new(10, 9, 0, 1).into(),
        destination: Ipv4Addr::new(10, 0, 0, 1).into(),
        protocol: 6,
        transport: Transport::Ports { source: 40_000, destination: 80 },
    };
    assert!(pair.admits(&request));
    assert!(!pair.matches(&request));
    assert!(pair.reversed().matches(&request));
}

// A universe small enough to try every flow of: 16 addresses a family, 3 protocols, 6 ports.
const ADDRESSES: u8 = 16;
const PORTS: u16 = 6;

fn small_selector() -> impl Strategy<Value = TrafficSelector> {
    let ends = (0..ADDRESSES, 0..ADDRESSES).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let ports = prop_oneof![
        Just(Ports::ANY),
        Just(Ports::Opaque),
        (0..PORTS, 0..PORTS).prop_map(|(a, b)| Ports::Range(a.min(b), a.max(b))),
    ];
    let protocol = prop_oneof![Just(0), Just(6), Just(17)];
    (any::<bool>(), ends, protocol, ports).prop_map(|(v4, (first, last), protocol, ports)| TrafficSelector {
        addresses: AddressRange::new(small_address(v4, first), small_address(v4, last)).unwrap(),
        protocol,
        ports,
    })
}

fn small_pair() -> impl Strategy<Value = SelectorPair> {
    (vec(small_selector(), 0..4), vec(small_selector(), 0..4))
        .prop_map(|(local, remote)| SelectorPair { local, remote })
}

fn small_address(v4: bool, last: u8) -> IpAddr {
    if v4 { IpAddr::from([10, 0, 0, last]) } else { IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, u16::from(last)]) }
}

fn ends() -> impl Iterator<Item = (IpAddr, u8, Option<u16>)> {
    let addresses =
        [true, false].into_iter().flat_map(|v4| (0..ADDRESSES).map(move |a| small_address(v4, a)));
    addresses.flat_map(|address| {
        [6, 17, 47].into_iter().flat_map(move |protocol| {
            (0..PORTS).map(Some).chain([None]).map(move |port| (address, protocol, port))
        })
    })
}

fn one_matches(list: &[TrafficSelector], (address, protocol, port): (IpAddr, u8, Option<u16>)) -> bool {
    list.iter().any(|selector| selector.matches(address, protocol, port))
}

/// What the whole product holds when its ends are independent but for family and protocol.
fn flows_of(pair: &SelectorPair, v4: bool, protocol: u8) -> (Vec<bool>, Vec<bool>) {
    let of_kind = |list: &[TrafficSelector]| -> Vec<bool> {
        ends()
            .filter(|end| end.0.is_ipv4() == v4 && end.1 == protocol)
            .map(|end| one_matches(list, end))
            .collect()
    };
    (of_kind(&pair.local), of_kind(&pair.remote))
}

fn product_contains(outer: &(Vec<bool>, Vec<bool>), inner: &(Vec<bool>, Vec<bool>)) -> bool {
    let all = |outer: &[bool], inner: &[bool]| outer.iter().zip(inner).all(|(outer, inner)| *outer || !inner);
    let none = |side: &[bool]| side.iter().all(|matched| !matched);
    none(&inner.0) || none(&inner.1) || all(&outer.0, &inner.0) && all(&outer.1, &inner.1)
}

proptest! {
    #[test]
    fn one_selector_within_another_is_what_every_flow_says(a in small_selector(), b in small_selector()) {
        let both = a.intersect(&b);
        let mut covered = true;
        for (address, protocol, port) in ends() {
            let (in_a, in_b) = (a.matches(address, protocol, port), b.matches(address, protocol, port));
            let in_both = both.is_some_and(|both| both.matches(address, protocol, port));
            prop_assert_eq!(in_both, in_a && in_b);
            covered &= in_a || !in_b;
        }
        if a.contains_selector(&b) {
            prop_assert!(covered);
        }
    }

    #[test]
    fn pairs_contain_and_overlap_as_every_flow_says(a in small_pair(), b in small_pair()) {
        let kinds = [true, false].into_iter().flat_map(|v4| [6, 17, 47].map(|protocol| (v4, protocol)));
        let (mut covered, mut shared) = (true, false);
        for (v4, protocol) in kinds {
            let (a, b) = (flows_of(&a, v4, protocol), flows_of(&b, v4, protocol));
            covered &= product_contains(&a, &b);
            let meets = |a: &[bool], b: &[bool]| a.iter().zip(b).any(|(a, b)| *a && *b);
            shared |= meets(&a.0, &b.0) && meets(&a.1, &b.1);
        }
        // Ports outside the universe can only make the covered part smaller.
        if a.contains(&b) {
            prop_assert!(covered);
        }
        prop_assert_eq!(a.overlaps(&b), shared);
        prop_assert!(a.contains(&a));
    }

    #[test]
    fn prefixes_cover_a_range_exactly(start in any::<u32>(), span in 0..5000_u32) {
        let end = start.saturating_add(span);
        let range = AddressRange::new(Ipv4Addr::from(start).into(), Ipv4Addr::from(end).into()).unwrap();
        let mut next = u64::from(start);
        for (address, length) in range.to_prefixes() {
            prop_assert_eq!(address, IpAddr::from(Ipv4Addr::from(u32::try_from(next).unwrap())));
            prop_assert_eq!(AddressRange::from_prefix(address, length).unwrap().start(), address);
            next += 1_u64 << (32 - length);
        }
        prop_assert_eq!(next, u64::from(end) + 1);
    }

    #[test]
    fn what_is_printed_reads_back(selector in small_selector(), protocol in any::<u8>(),
                                  first in any::<u16>(), last in any::<u16>()) {
        let ports = Ports::Range(first.min(last), first.max(last));
        for selector in [selector, TrafficSelector { protocol, ports, ..selector }] {
            prop_assert_eq!(selector.to_string().parse::<TrafficSelector>(), Ok(selector));
        }
    }

    #[test]
    fn any_text_reads_or_names_a_word(text in "\\PC{0,40}") {
        if let Err(error) = text.parse::<TrafficSelector>() {
            prop_assert!(text.contains(&error.word));
        }
    }
}

use super::*;
use std::net::IpAddr;

fn pair(local: &[&str], remote: &[&str]) -> SelectorPair {
    let side = |side: &[&str]| side.iter().map(|text| text.parse().unwrap()).collect();
    SelectorPair { local: side(local), remote: side(remote) }
}

/// So many ranges each of which begins and ends as awkwardly as possible, side by side.
fn odd(ranges: u32) -> Vec<TrafficSelector> {
    let range = |number: u32| {
        let start = number << 20 | 1;
        let addresses = AddressRange::new(
            IpAddr::from(start.to_be_bytes()),
            IpAddr::from((start | 0xffffe).to_be_bytes()),
        );
        TrafficSelector { addresses: addresses.unwrap(), ..TrafficSelector::any_v4() }
    };
    (1..=ranges).map(range).collect()
}

fn captures(flows: &Flows, source: IpAddr, remote: IpAddr) -> bool {
    let from = |flow: &Flow| matches!(flow.class.source, Source::Network(prefix) if prefix.contains(source));
    flows.all.iter().any(|flow| flow.remote.contains(remote) && from(flow))
}

#[test]
fn families_are_not_mixed() {
    let flows = Flows::of(&pair(&["10.1.0.0/24", "fd01::/64"], &["10.2.0.0/24", "fd02::/64", "fd03::/64"]));
    assert_eq!(flows.all.len(), 3);
}

#[test]
fn ports_that_the_kernel_cannot_tell_are_widened() {
    let narrow = |local: (u8, Ports), remote: (u8, Ports)| {
        let side = |(protocol, ports)| TrafficSelector { protocol, ports, ..TrafficSelector::any_v4() };
        Narrow::of(&side(local), &side(remote))
    };
    let exact = Narrow { protocol: 6, local: None, remote: Some((80, 443)) };
    assert_eq!(narrow((0, Ports::ANY), (6, Ports::Range(80, 443))), Some(exact));
    let wide = Narrow { protocol: 17, local: None, remote: None };
    assert_eq!(narrow((17, Ports::Opaque), (17, Ports::Range(1024, 65535))), Some(wide));
    let echo = Narrow { protocol: 1, local: None, remote: None };
    assert_eq!(narrow((1, Ports::Range(0x800, 0x8ff)), (1, Ports::ANY)), Some(echo));
    assert_eq!(narrow((6, Ports::ANY), (17, Ports::ANY)), None);
}

#[test]
fn awkward_ranges_on_both_sides_cost_no_more_than_a_few_thousand_flows() {
    let [us, them] = [1_u32 << 20 | 77, 200 << 20 | 77].map(|address| IpAddr::from(address.to_be_bytes()));
    for (ours, theirs) in [(2, 2), (255, 3), (3, 255), (255, 255)] {
        let flows = Flows::of(&SelectorPair { local: odd(ours), remote: odd(theirs) });
        let exact = ours * theirs * 38 * 38 <= 16_384;
        assert_eq!(flows.grain, if exact { Grain::Exact } else { Grain::Coarse }, "{ours} and {theirs}");
        assert!(flows.all.len() <= 16_384, "{ours} and {theirs}: {}", flows.all.len());
        assert_eq!(captures(&flows, us, them), theirs >= 200);
    }
}

#[test]
fn ranges_that_make_too_many_prefixes_alone_are_captured_with_what_is_around_them() {
    let one = |number: u128| {
        let start = number << 100 | 1;
        let end = start | ((1 << 100) - 2);
        let addresses = AddressRange::new(IpAddr::from(start.to_be_bytes()), IpAddr::from(end.to_be_bytes()));
        TrafficSelector { addresses: addresses.unwrap(), ..TrafficSelector::any_v6() }
    };
    let side: Vec<TrafficSelector> = (1..=255).map(one).collect();
    let flows = Flows::of(&SelectorPair { local: side.clone(), remote: side });
    assert_eq!((flows.all.len(), flows.grain), (255, Grain::Coarse));
    let inside = |number: u128| IpAddr::from((number << 100 | 5).to_be_bytes());
    assert!(captures(&flows, inside(3), inside(255)));
    assert!(!captures(&flows, inside(3), inside(256)));
}

//! What is not to be captured, because a more specific rule lets it pass in clear.
//!
//! A packet that has been captured cannot go on in clear. So whatever passes is cut out of the captures around
//! it, as far as addresses tell it: where all that a capture has on our side is in a rule that passes any protocol,
//! the addresses of that rule's other side are left out. What passes by its ports, or for a part of our side, stays
//! captured, and is dropped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tidegate_esp::{AddressRange, Ports, SelectorPair, TrafficSelector};

/// What is left to be captured of this.
pub(super) fn except<'a>(
    captured: &SelectorPair,
    passed: impl Iterator<Item = &'a SelectorPair>,
) -> SelectorPair {
    let mut left = captured.clone();
    for pass in passed {
        let ours = |selector: &TrafficSelector| holds(&pass.local, &selector.addresses);
        if left.local.iter().all(ours) {
            let (inside, whole) = (&pass.remote, &left.remote);
            left.remote = whole.iter().flat_map(|selector| cut(selector, inside)).collect();
        }
    }
    left
}

/// Whether one of these selectors is about all traffic of all these addresses.
fn holds(side: &[TrafficSelector], addresses: &AddressRange) -> bool {
    side.iter().filter(|selector| is_any(selector)).any(|it| it.addresses.contains_range(addresses))
}

fn is_any(selector: &TrafficSelector) -> bool {
    selector.protocol == 0 && selector.ports == Ports::ANY
}

/// A selector without the addresses of those that are more specific.
fn cut(selector: &TrafficSelector, inside: &[TrafficSelector]) -> Vec<TrafficSelector> {
    let mut left = vec![selector.addresses];
    for hole in inside.iter().filter(|hole| is_any(hole)).map(|hole| hole.addresses) {
        // One that is as wide, or wider, comes after this one.
        if selector.addresses.contains_range(&hole) && selector.addresses != hole {
            left = left.iter().flat_map(|range| without(range, &hole)).collect();
        }
    }
    left.into_iter().map(|addresses| TrafficSelector { addresses, ..*selector }).collect()
}

/// What a range has before and behind another.
fn without(range: &AddressRange, hole: &AddressRange) -> Vec<AddressRange> {
    if !range.overlaps(hole) {
        return vec![*range];
    }
    let before = step(hole.start(), Step::Back).and_then(|end| AddressRange::new(range.start(), end));
    let behind = step(hole.end(), Step::On).and_then(|start| AddressRange::new(start, range.end()));
    before.into_iter().chain(behind).collect()
}

#[derive(Clone, Copy)]
enum Step {
    Back,
    On,
}

fn step(address: IpAddr, step: Step) -> Option<IpAddr> {
    Some(match (address, step) {
        (IpAddr::V4(ip), Step::Back) => Ipv4Addr::from_bits(ip.to_bits().checked_sub(1)?).into(),
        (IpAddr::V4(ip), Step::On) => Ipv4Addr::from_bits(ip.to_bits().checked_add(1)?).into(),
        (IpAddr::V6(ip), Step::Back) => Ipv6Addr::from_bits(ip.to_bits().checked_sub(1)?).into(),
        (IpAddr::V6(ip), Step::On) => Ipv6Addr::from_bits(ip.to_bits().checked_add(1)?).into(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pair(local: &str, remote: &str) -> SelectorPair {
        let list = |text: &str| text.split(' ').map(|one| one.parse().unwrap()).collect();
        SelectorPair { local: list(local), remote: list(remote) }
    }

    fn left(captured: (&str, &str), passed: &[(&str, &str)]) -> Vec<String> {
        let passed: Vec<_> = passed.iter().map(|(local, remote)| pair(local, remote)).collect();
        let left = except(&pair(captured.0, captured.1), passed.iter());
        left.remote.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_addresses_of_what_passes_are_left_out_of_what_is_around_them() {
        let all = ("10.1.0.0/16", "0.0.0.0/0");
        assert_eq!(
            left(all, &[("10.1.0.0/16", "10.1.0.0/16")]),
            ["0.0.0.0-10.0.255.255", "10.2.0.0-255.255.255.255"]
        );
        assert_eq!(
            left(all, &[("0.0.0.0/0", "0.0.0.0/8"), ("0.0.0.0/0", "128.0.0.0/1")]),
            ["1.0.0.0-127.255.255.255"]
        );
        assert_eq!(left(("fd00:1::/32", "fd00::/16"), &[("fd00::/16", "fd00::/17")]), ["fd00:8000::/17"]);
    }

    #[test]
    fn what_is_as_wide_or_concerns_others_or_some_ports_takes_nothing_away() {
        let narrow = ("10.1.0.0/16", "10.2.0.0/16");
        for pass in [
            ("10.1.0.0/16", "10.0.0.0/8"),
            ("10.1.0.0/16", "10.2.0.0/16"),
            ("10.1.7.0/24", "10.2.7.0/24"),
            ("10.1.0.0/16", "10.2.7.0/24[tcp/22]"),
            ("10.1.0.0/16", "fd00::/16"),
        ] {
            assert_eq!(left(narrow, &[pass]), ["10.2.0.0/16"], "{pass:?}");
        }
    }
}

//! Sets of addresses as ascending ranges that neither overlap nor touch.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tidegate_esp::AddressRange;

/// The same addresses in as few ranges as may be, in ascending order.
pub(super) fn joined(mut ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    ranges.sort_unstable();
    let mut joined: Vec<AddressRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if touches(last, &range) => {
                let end = last.end().max(range.end());
                *last = AddressRange::new(last.start(), end).unwrap_or(*last);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// `next` does not start before `last`: whether no address lies between them.
fn touches(last: &AddressRange, next: &AddressRange) -> bool {
    let reach = after(last.end()).unwrap_or(last.end());
    last.is_v4() == next.is_v4() && next.start() <= reach
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(ip) => Some(Ipv4Addr::from_bits(ip.to_bits().checked_add(1)?).into()),
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits().checked_add(1)?).into()),
    }
}

/// What of `ranges` is not in `apart`, which is joined.
pub(super) fn difference(ranges: &[AddressRange], apart: &[AddressRange]) -> Vec<AddressRange> {
    let mut left = Vec::new();
    for range in ranges {
        let mut rest = Some(*range);
        let first = apart.partition_point(|hole| hole.is_v4() && !range.is_v4() || ends_before(hole, range));
        for hole in apart.iter().skip(first) {
            let Some(current) = rest.filter(|current| current.overlaps(hole)) else { break };
            let before = before(hole.start()).and_then(|end| AddressRange::new(current.start(), end));
            left.extend(before);
            rest = after(hole.end()).and_then(|start| AddressRange::new(start, current.end()));
        }
        left.extend(rest);
    }
    left
}

/// Both are of one family, or it does not.
fn ends_before(hole: &AddressRange, range: &AddressRange) -> bool {
    hole.is_v4() == range.is_v4() && hole.end() < range.start()
}

fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(ip) => Some(Ipv4Addr::from_bits(ip.to_bits().checked_sub(1)?).into()),
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits().checked_sub(1)?).into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::mesh::text::range;
    use proptest::prelude::*;

    fn ranges(texts: &[&str]) -> Vec<AddressRange> {
        texts.iter().map(|text| range(text).unwrap()).collect()
    }

    #[test]
    fn ranges_that_touch_or_overlap_are_joined() {
        let many = ranges(&[
            "10.0.1.0/24",
            "10.0.0.0/24",
            "10.0.1.7",
            "10.0.3.0/24",
            "fd00::/65",
            "fd00::8000:0:0:0/65",
        ]);
        assert_eq!(joined(many), ranges(&["10.0.0.0/23", "10.0.3.0/24", "fd00::/64"]));
        let ends = ranges(&["255.255.255.255", "::"]);
        assert_eq!(joined(ends.clone()), ends);
    }

    #[test]
    fn a_hole_splits_a_range() {
        let apart = ranges(&["10.0.1.0/24", "fd00::1"]);
        let left = difference(&ranges(&["10.0.0.0/22", "10.0.1.9", "fd00::/126"]), &apart);
        assert_eq!(left, ranges(&["10.0.0.0/24", "10.0.2.0-10.0.3.255", "fd00::", "fd00::2-fd00::3"]));
    }

    proptest! {
        #[test]
        fn an_address_is_left_if_it_was_there_and_is_not_taken(
            ranges in prop::collection::vec((0u8..=255, 0u8..=40), 0..8),
            apart in prop::collection::vec((0u8..=255, 0u8..=40), 0..8),
        ) {
            let range = |(start, length): &(u8, u8)| {
                let end = start.saturating_add(*length);
                AddressRange::new(Ipv4Addr::new(255, 255, 255, *start).into(), Ipv4Addr::new(255, 255, 255, end).into()).unwrap()
            };
            let ranges: Vec<_> = ranges.iter().map(range).collect();
            let apart = joined(apart.iter().map(range).collect());
            let left = difference(&ranges, &apart);
            for last in 0..=255 {
                let ip = Ipv4Addr::new(255, 255, 255, last).into();
                let holds = |set: &[AddressRange]| set.iter().any(|range| range.contains(ip));
                prop_assert_eq!(holds(&left), holds(&ranges) && !holds(&apart));
            }
        }
    }
}

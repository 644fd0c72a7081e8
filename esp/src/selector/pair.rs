//! What a pair of selector lists covers.
//!
//! A flow has one protocol and one family, so the pair stands for as many products `local × remote` as
//! there are protocols and families; everything below looks at one of them at a time. The lists come from
//! peers, so the work depends on how long they are and never on how many addresses or ports they span.

use super::{AddressRange, Ports, SelectorPair, TrafficSelector};
use crate::flow::Flow;
use std::collections::BTreeSet;

impl SelectorPair {
    /// Whether a packet on its way out belongs here: its source is local, its destination remote.
    pub fn matches(&self, flow: &Flow) -> bool {
        any_matches(&self.local, flow.source_end()) && any_matches(&self.remote, flow.destination_end())
    }

    /// Whether a packet on its way in belongs here: its source is remote, its destination local
    /// (RFC 4301 §5.2, step 4).
    pub fn admits(&self, flow: &Flow) -> bool {
        any_matches(&self.remote, flow.source_end()) && any_matches(&self.local, flow.destination_end())
    }

    /// The same pair as the peer sees it.
    pub fn reversed(&self) -> Self {
        Self { local: self.remote.clone(), remote: self.local.clone() }
    }

    /// Whether every flow of `other` is one of this pair's, be it by one selector or by several together.
    ///
    /// ICMP types and port visibility are judged for each end by itself, so that `true` is always right and
    /// `false` may be too strict where both ends name different ICMP types.
    pub fn contains(&self, other: &Self) -> bool {
        Kind::all_in(other).all(|kind| {
            let (local, remote) = (kind.areas(&other.local), kind.areas(&other.remote));
            local.is_empty()
                || remote.is_empty()
                || covers(&kind.areas(&self.local), &local) && covers(&kind.areas(&self.remote), &remote)
        })
    }

    /// Whether any flow belongs to both pairs. Ends are judged each by itself, as in
    /// [`contains`](Self::contains): `false` is always right.
    pub fn overlaps(&self, other: &Self) -> bool {
        let local = shared_kinds(&self.local, &other.local);
        let remote = shared_kinds(&self.remote, &other.remote);
        local.iter().any(|&(v4, protocol)| {
            let compatible = |other: u8| remote.contains(&(v4, other));
            match protocol {
                0 => remote.iter().any(|(family, _)| *family == v4),
                protocol => compatible(protocol) || compatible(0),
            }
        })
    }
}

fn any_matches(selectors: &[TrafficSelector], end: crate::flow::End) -> bool {
    selectors.iter().any(|selector| selector.matches(end.address, end.protocol, end.port))
}

/// Families and protocols (0 for any) in which two lists have something in common.
fn shared_kinds(a: &[TrafficSelector], b: &[TrafficSelector]) -> BTreeSet<(bool, u8)> {
    let common = a.iter().flat_map(|a| b.iter().filter_map(|b| a.intersect(b)));
    common.map(|both| (both.addresses.is_v4(), both.protocol)).collect()
}

/// One family and one protocol.
#[derive(Clone, Copy)]
struct Kind {
    v4: bool,
    protocol: u8,
}

impl Kind {
    /// Every kind of flow the pair may have. Protocols it does not name behave alike, so one of them
    /// stands for all: 0, which only selectors of any protocol match.
    fn all_in(pair: &SelectorPair) -> impl Iterator<Item = Self> {
        let named = pair.local.iter().chain(&pair.remote).map(|selector| selector.protocol);
        let protocols: BTreeSet<u8> = named.chain([0]).collect();
        protocols.into_iter().flat_map(|protocol| [true, false].map(|v4| Self { v4, protocol }))
    }

    /// What the list holds of this kind.
    fn areas(self, selectors: &[TrafficSelector]) -> Vec<Area> {
        let of_kind = |selector: &&TrafficSelector| {
            (selector.protocol == 0 || selector.protocol == self.protocol)
                && selector.addresses.is_v4() == self.v4
        };
        selectors.iter().filter(of_kind).map(Area::of).collect()
    }
}

/// Addresses by ports: a rectangle.
struct Area {
    addresses: AddressRange,
    /// Ports as an interval; one past the last port stands for those that cannot be seen.
    ports: (u32, u32),
}

const UNSEEN: u32 = 0x1_0000;

impl Area {
    fn of(selector: &TrafficSelector) -> Self {
        let ports = match selector.ports {
            Ports::ANY => (0, UNSEEN),
            Ports::Range(first, last) => (first.into(), last.into()),
            Ports::Opaque => (UNSEEN, UNSEEN),
        };
        Self { addresses: selector.addresses, ports }
    }

    fn has_port(&self, port: u32) -> bool {
        self.ports.0 <= port && port <= self.ports.1
    }
}

/// Whether `cover` leaves nothing of `areas` out. Which areas hold a port changes only where one begins or
/// has just ended, so it is enough to look there.
fn covers(cover: &[Area], areas: &[Area]) -> bool {
    let edges = cover.iter().chain(areas).flat_map(|area| [area.ports.0, area.ports.1.saturating_add(1)]);
    let edges: BTreeSet<u32> = edges.collect();
    edges.into_iter().all(|port| {
        let mut asked = areas.iter().filter(|area| area.has_port(port)).peekable();
        if asked.peek().is_none() {
            return true;
        }
        let held = merged(cover.iter().filter(|area| area.has_port(port)));
        asked.all(|area| {
            let (start, end) = area.addresses.bounds();
            let after = held.partition_point(|range| range.0 <= start);
            after.checked_sub(1).and_then(|index| held.get(index)).is_some_and(|range| end <= range.1)
        })
    })
}

/// The addresses of some areas of one family as disjoint, ascending ranges with a gap between any two.
fn merged<'a>(areas: impl Iterator<Item = &'a Area>) -> Vec<(u128, u128)> {
    let mut ranges: Vec<_> = areas.map(|area| area.addresses.bounds()).collect();
    ranges.sort_unstable();
    let mut disjoint: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match disjoint.last_mut() {
            Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
            _ => disjoint.push((start, end)),
        }
    }
    disjoint
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pair(local: &str, remote: &str) -> SelectorPair {
        let list = |text: &str| text.split_whitespace().map(|word| word.parse().unwrap()).collect();
        SelectorPair { local: list(local), remote: list(remote) }
    }

    #[test]
    fn several_selectors_cover_one_together() {
        let halves = pair("10.0.0.0/25 10.0.0.128/25", "10.1.0.0/16[tcp] 10.1.0.0/16[udp]");
        assert!(halves.contains(&pair("10.0.0.0/24", "10.1.2.0/24[tcp/80]")));
        assert!(!halves.contains(&pair("10.0.0.0/23", "10.1.2.0/24[tcp/80]")));
        assert!(!halves.contains(&pair("10.0.0.0/24", "10.1.2.0/24")));
    }

    #[test]
    fn all_ports_need_the_unseen_ones_too() {
        let ranges = pair("10.0.0.0/8[tcp/0-1000] 10.0.0.0/8[tcp/1001-65535]", "0.0.0.0/0");
        let asked = pair("10.0.0.0/8[tcp/5-2000]", "0.0.0.0/0");
        // The second end at 65535 is a range that happens to reach the top, not the whole of it.
        assert!(ranges.contains(&asked));
        assert!(!ranges.contains(&pair("10.0.0.0/8[tcp]", "0.0.0.0/0")));
        let with_opaque =
            pair("10.0.0.0/8[tcp/0-1000] 10.0.0.0/8[tcp/1001-65535] 10.0.0.0/8[tcp/opaque]", "0.0.0.0/0");
        assert!(with_opaque.contains(&pair("10.0.0.0/8[tcp]", "0.0.0.0/0")));
    }

    #[test]
    fn what_no_flow_can_use_need_not_be_covered() {
        // IPv6 on one side alone and different protocols on the two sides match nothing.
        let v4 = pair("10.0.0.0/8", "10.1.0.0/16");
        assert!(v4.contains(&pair("10.0.0.0/8 fd00::/8", "10.1.0.0/16")));
        assert!(v4.contains(&pair("172.16.0.0/12[tcp]", "172.16.0.0/12[udp]")));
        assert!(!v4.overlaps(&pair("10.0.0.0/8[tcp]", "10.1.0.0/16[udp]")));
    }

    #[test]
    fn pairs_overlap_only_on_both_sides() {
        let a = pair("10.0.0.0/16", "10.1.0.0/16[tcp/80]");
        assert!(a.overlaps(&pair("10.0.5.0/24[tcp]", "10.1.0.0/20")));
        assert!(!a.overlaps(&pair("10.2.0.0/16", "10.1.0.0/16")));
        assert!(!a.overlaps(&pair("10.0.0.0/16", "10.1.0.0/16[tcp/81]")));
        assert!(!a.overlaps(&SelectorPair::default()));
    }
}

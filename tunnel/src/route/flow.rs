//! Pairs of prefixes, and what the kernel can tell apart by more than these.

use super::prefix::{Family, Prefix};
use std::collections::BTreeSet;
use tidegate_esp::{AddressRange, Ports, SelectorPair, TrafficSelector};

/// A pair of selectors may not make more pairs of prefixes than this; one that does is taken coarsely.
const MOST_PAIRS: usize = 16_384;

/// Where traffic comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// A prefix of ours.
    Network(Prefix),
    /// A socket of this host without an address.
    Unbound(Family),
}

/// What the kernel can tell of protocol and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Narrow {
    /// 0 for any.
    pub(crate) protocol: u8,
    /// `None` for any.
    pub(crate) local: Option<(u16, u16)>,
    /// `None` for any.
    pub(crate) remote: Option<(u16, u16)>,
}

/// Traffic that one rule selects and one table routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class {
    pub(crate) source: Source,
    pub(crate) narrow: Narrow,
}

/// A class and a destination: one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Flow {
    pub(crate) class: Class,
    pub(crate) remote: Prefix,
}

/// What a pair of selectors comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flows {
    pub(crate) all: BTreeSet<Flow>,
    pub(crate) grain: Grain,
}

/// Whether flows are what the selectors say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grain {
    Exact,
    /// They hold more: policy drops what is captured and not selected.
    Coarse,
}

impl Narrow {
    pub(crate) const ANY: Self = Self { protocol: 0, local: None, remote: None };

    /// What two selectors let the kernel tell; `None` when no packet can match both.
    fn of(local: &TrafficSelector, remote: &TrafficSelector) -> Option<Self> {
        let protocol = match (local.protocol, remote.protocol) {
            (0, protocol) | (protocol, 0) => protocol,
            (a, b) if a == b => a,
            _ => return None,
        };
        let has_ports = [libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_SCTP, libc::IPPROTO_DCCP]
            .contains(&i32::from(protocol));
        let ports = |ports| if has_ports { tellable(ports) } else { None };
        Some(Self { protocol, local: ports(local.ports), remote: ports(remote.ports) })
    }
}

/// The kernel's rules know no port 0 and no range that ends with the last port: there, and where ports cannot
/// be seen, all of them are captured, and policy drops what no selector names.
fn tellable(ports: Ports) -> Option<(u16, u16)> {
    match ports {
        Ports::Range(first, last) if first > 0 && last < u16::MAX => Some((first, last)),
        Ports::Range(..) | Ports::Opaque => None,
    }
}

impl Class {
    pub(crate) fn family(&self) -> Family {
        match self.source {
            Source::Network(prefix) => prefix.family(),
            Source::Unbound(family) => family,
        }
    }
}

impl Flow {
    /// The flow of the same remote prefix from sockets without an address.
    pub(crate) fn unbound(&self) -> Self {
        let source = Source::Unbound(self.class.family());
        Self { class: Class { source, narrow: self.class.narrow }, remote: self.remote }
    }

    pub(crate) fn is_from_anywhere(&self) -> bool {
        matches!(self.class.source, Source::Network(Prefix { length: 0, .. }))
    }

    /// All traffic to a prefix.
    pub(crate) fn from_anywhere(remote: Prefix) -> Self {
        let source = Source::Network(Prefix::all(remote.family()));
        Self { class: Class { source, narrow: Narrow::ANY }, remote }
    }
}

impl Flows {
    /// The flows of a pair of selectors, each once. A peer may have a say in selectors: however odd its ranges are, they
    /// come to no more than so many, by what goes there from anywhere if need be.
    pub(crate) fn of(selectors: &SelectorPair) -> Self {
        if pairs(selectors) <= MOST_PAIRS {
            return Self { all: exact(selectors), grain: Grain::Exact };
        }
        let remotes: usize =
            selectors.remote.iter().map(|remote| remote.addresses.to_prefixes().count()).sum();
        let all = match remotes {
            0..=MOST_PAIRS => from_anywhere(selectors, prefixes),
            _ => from_anywhere(selectors, |range| vec![Prefix::around(range)]),
        };
        Self { all, grain: Grain::Coarse }
    }
}

/// How many pairs of prefixes selectors make at most, without making them.
fn pairs(selectors: &SelectorPair) -> usize {
    let count = |side: &[TrafficSelector], v4| -> usize {
        let ranges = side.iter().map(|selector| &selector.addresses).filter(|range| range.is_v4() == v4);
        ranges.map(|range| range.to_prefixes().count()).sum()
    };
    let of_family = |v4| count(&selectors.local, v4).saturating_mul(count(&selectors.remote, v4));
    of_family(true).saturating_add(of_family(false))
}

fn prefixes(range: &AddressRange) -> Vec<Prefix> {
    range.to_prefixes().map(|(address, length)| Prefix { address, length }).collect()
}

fn exact(selectors: &SelectorPair) -> BTreeSet<Flow> {
    let mut flows = BTreeSet::new();
    for local in &selectors.local {
        for remote in &selectors.remote {
            let Some(narrow) = Narrow::of(local, remote) else { continue };
            let remotes = prefixes(&remote.addresses);
            for source in prefixes(&local.addresses) {
                let class = Class { source: Source::Network(source), narrow };
                let same_family = remotes.iter().filter(|remote| remote.family() == source.family());
                flows.extend(same_family.map(|remote| Flow { class, remote: *remote }));
            }
        }
    }
    flows
}

/// Everything that goes to the remote side, in those families that ours has.
fn from_anywhere(
    selectors: &SelectorPair,
    prefixes: impl Fn(&AddressRange) -> Vec<Prefix>,
) -> BTreeSet<Flow> {
    let ours: BTreeSet<bool> = selectors.local.iter().map(|local| local.addresses.is_v4()).collect();
    let remotes = selectors.remote.iter().map(|remote| &remote.addresses);
    let remotes = remotes.filter(|range| ours.contains(&range.is_v4())).flat_map(prefixes);
    remotes.map(Flow::from_anywhere).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "flow_tests.rs"]
mod tests;

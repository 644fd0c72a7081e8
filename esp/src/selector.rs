//! Traffic selectors: which addresses, protocols and ports an SA carries.

mod pair;
mod range;
mod text;

pub use range::Prefixes;
pub use text::{ParseSelectorError, SelectorFault};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An inclusive range of addresses of one family; `start` is never above `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressRange {
    /// IPv4 addresses.
    V4 {
        /// The first address of the range.
        start: Ipv4Addr,
        /// The last address of the range, itself included.
        end: Ipv4Addr,
    },
    /// IPv6 addresses.
    V6 {
        /// The first address of the range.
        start: Ipv6Addr,
        /// The last address of the range, itself included.
        end: Ipv6Addr,
    },
}

/// Ports of TCP, UDP and their like; for ICMP the type in the high byte and the code in the low
/// (RFC 7296 §3.13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// From the first to the second, both included; the first is never above the second.
    Range(u16, u16),
    /// Only packets whose ports cannot be seen (RFC 4301 §4.4.1.1 OPAQUE).
    Opaque,
}

/// One range of addresses with the protocol and ports that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrafficSelector {
    /// Addresses that match.
    pub addresses: AddressRange,
    /// IP protocol number, 0 for any.
    pub protocol: u8,
    /// Ports, or ICMP types and codes, that match.
    pub ports: Ports,
}

/// What an SA pair protects: a packet matches when its local end is in `local` and its remote end in
/// `remote`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct SelectorPair {
    /// Our side.
    pub local: Vec<TrafficSelector>,
    /// The peer's side.
    pub remote: Vec<TrafficSelector>,
}

impl Ports {
    /// Every port, visible or not.
    pub const ANY: Self = Self::Range(0, u16::MAX);

    /// Whether a packet with this port matches; `None` is a port that cannot be seen, which only
    /// [`Ports::ANY`] and [`Ports::Opaque`] let pass (RFC 4301 §4.4.1.1).
    pub fn contains(self, port: Option<u16>) -> bool {
        match (self, port) {
            (Self::ANY, _) | (Self::Opaque, None) => true,
            (Self::Range(first, last), Some(port)) => first <= port && port <= last,
            (Self::Range(..), None) | (Self::Opaque, Some(_)) => false,
        }
    }

    /// Whether everything `other` matches is matched here too.
    pub fn contains_range(self, other: &Self) -> bool {
        match (self, *other) {
            (Self::ANY, _) | (Self::Opaque, Self::Opaque) => true,
            (Self::Range(first, last), Self::Range(low, high)) => first <= low && high <= last,
            (Self::Range(..), Self::Opaque) | (Self::Opaque, Self::Range(..)) => false,
        }
    }

    /// What both match; `None` when nothing does.
    pub fn intersect(self, other: &Self) -> Option<Self> {
        match (self, *other) {
            (Self::ANY, ports) | (ports, Self::ANY) => Some(ports),
            (Self::Opaque, Self::Opaque) => Some(Self::Opaque),
            (Self::Range(a, b), Self::Range(c, d)) => {
                let (first, last) = (a.max(c), b.min(d));
                (first <= last).then_some(Self::Range(first, last))
            }
            (Self::Range(..), Self::Opaque) | (Self::Opaque, Self::Range(..)) => None,
        }
    }
}

impl TrafficSelector {
    /// Every protocol and port of these addresses.
    pub const fn for_addresses(addresses: AddressRange) -> Self {
        Self { addresses, protocol: 0, ports: Ports::ANY }
    }

    /// Every protocol and port of a prefix; host bits are cleared, `None` when the length is too great
    /// for the family.
    pub fn for_prefix(address: IpAddr, length: u8) -> Option<Self> {
        AddressRange::from_prefix(address, length).map(Self::for_addresses)
    }

    /// All of IPv4.
    pub const fn any_v4() -> Self {
        Self::for_addresses(AddressRange::V4 { start: Ipv4Addr::UNSPECIFIED, end: Ipv4Addr::BROADCAST })
    }

    /// All of IPv6.
    pub const fn any_v6() -> Self {
        let end = Ipv6Addr::from_bits(u128::MAX);
        Self::for_addresses(AddressRange::V6 { start: Ipv6Addr::UNSPECIFIED, end })
    }

    /// Whether one end of a packet matches; `port` is `None` where it cannot be seen.
    pub fn matches(&self, address: IpAddr, protocol: u8, port: Option<u16>) -> bool {
        (self.protocol == 0 || self.protocol == protocol)
            && self.addresses.contains(address)
            && self.ports.contains(port)
    }

    /// Whether everything `other` matches is matched here too.
    pub fn contains_selector(&self, other: &Self) -> bool {
        (self.protocol == 0 || self.protocol == other.protocol)
            && self.addresses.contains_range(&other.addresses)
            && self.ports.contains_range(&other.ports)
    }

    /// What both match; `None` when nothing does.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let protocol = match (self.protocol, other.protocol) {
            (0, protocol) | (protocol, 0) => protocol,
            (a, b) if a == b => a,
            _ => return None,
        };
        Some(Self {
            addresses: self.addresses.intersect(&other.addresses)?,
            protocol,
            ports: self.ports.intersect(&other.ports)?,
        })
    }
}

//! Traffic selectors: which addresses, protocols and ports an SA carries.

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
}

impl AddressRange {
    /// A single address.
    pub const fn host(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => Self::V4 { start: a, end: a },
            IpAddr::V6(a) => Self::V6 { start: a, end: a },
        }
    }
}

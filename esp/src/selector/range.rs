//! Arithmetic on address ranges.

use super::AddressRange;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl AddressRange {
    /// `None` when the families differ or `start` is above `end`.
    pub fn new(start: IpAddr, end: IpAddr) -> Option<Self> {
        match (start, end) {
            (IpAddr::V4(start), IpAddr::V4(end)) if start <= end => Some(Self::V4 { start, end }),
            (IpAddr::V6(start), IpAddr::V6(end)) if start <= end => Some(Self::V6 { start, end }),
            _ => None,
        }
    }

    /// A single address.
    pub const fn host(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => Self::V4 { start: a, end: a },
            IpAddr::V6(a) => Self::V6 { start: a, end: a },
        }
    }

    /// The addresses of a prefix; host bits are cleared, `None` when the length is too great for the
    /// family.
    pub fn from_prefix(address: IpAddr, length: u8) -> Option<Self> {
        let length = u32::from(length);
        match address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(length).unwrap_or(0);
                (length <= u32::BITS).then_some(Self::V4 {
                    start: Ipv4Addr::from_bits(address.to_bits() & !host),
                    end: Ipv4Addr::from_bits(address.to_bits() | host),
                })
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(length).unwrap_or(0);
                (length <= u128::BITS).then_some(Self::V6 {
                    start: Ipv6Addr::from_bits(address.to_bits() & !host),
                    end: Ipv6Addr::from_bits(address.to_bits() | host),
                })
            }
        }
    }

    /// The first address.
    pub const fn start(&self) -> IpAddr {
        match self {
            Self::V4 { start, .. } => IpAddr::V4(*start),
            Self::V6 { start, .. } => IpAddr::V6(*start),
        }
    }

    /// The last address, itself in the range.
    pub const fn end(&self) -> IpAddr {
        match self {
            Self::V4 { end, .. } => IpAddr::V4(*end),
            Self::V6 { end, .. } => IpAddr::V6(*end),
        }
    }

    /// Whether the addresses are IPv4.
    pub const fn is_v4(&self) -> bool {
        matches!(self, Self::V4 { .. })
    }

    /// Whether the address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4 { start, end }, IpAddr::V4(address)) => *start <= address && address <= *end,
            (Self::V6 { start, end }, IpAddr::V6(address)) => *start <= address && address <= *end,
            _ => false,
        }
    }

    /// Whether every address of `other` is in the range.
    pub fn contains_range(&self, other: &Self) -> bool {
        self.contains(other.start()) && self.contains(other.end())
    }

    /// The addresses in both; `None` when there are none.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        // Of one family, addresses order by value; of two, `new` finds start and end mixed or reversed.
        if self.is_v4() != other.is_v4() {
            return None;
        }
        Self::new(self.start().max(other.start()), self.end().min(other.end()))
    }

    /// Whether any address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.intersect(other).is_some()
    }

    /// The fewest prefixes that hold these addresses and no others, in ascending order.
    pub fn to_prefixes(&self) -> Prefixes {
        let (start, end) = self.bounds();
        Prefixes { next: Some(start), end, v4: self.is_v4() }
    }

    /// Both ends as numbers, for arithmetic within one family.
    pub(crate) fn bounds(&self) -> (u128, u128) {
        match self {
            Self::V4 { start, end } => (start.to_bits().into(), end.to_bits().into()),
            Self::V6 { start, end } => (start.to_bits(), end.to_bits()),
        }
    }
}

/// The prefixes of a range, from [`AddressRange::to_prefixes`].
#[derive(Clone, Debug)]
pub struct Prefixes {
    next: Option<u128>,
    end: u128,
    v4: bool,
}

impl Iterator for Prefixes {
    type Item = (IpAddr, u8);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next.filter(|start| *start <= self.end)?;
        let width = if self.v4 { u32::BITS } else { u128::BITS };
        // The largest block that begins here: as far as the alignment of its start goes and as there are
        // addresses left.
        let aligned = start.trailing_zeros().min(width);
        let left = self.end.abs_diff(start).checked_add(1).map_or(width, u128::ilog2);
        let host_bits = aligned.min(left);
        let size = 1u128.checked_shl(host_bits);
        self.next = size.and_then(|size| start.checked_add(size));
        let length = u8::try_from(width.saturating_sub(host_bits)).unwrap_or(0);
        Some((self.address(start), length))
    }
}

impl Prefixes {
    fn address(&self, bits: u128) -> IpAddr {
        match u32::try_from(bits) {
            Ok(bits) if self.v4 => Ipv4Addr::from_bits(bits).into(),
            _ => Ipv6Addr::from_bits(bits).into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn prefixes(start: &str, end: &str) -> Vec<String> {
        let range = AddressRange::new(start.parse().unwrap(), end.parse().unwrap()).unwrap();
        range.to_prefixes().map(|(address, length)| format!("{address}/{length}")).collect()
    }

    #[test]
    fn a_range_breaks_into_the_fewest_prefixes() {
        assert_eq!(
            prefixes("10.0.0.1", "10.0.0.6"),
            ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]
        );
        assert_eq!(prefixes("0.0.0.0", "255.255.255.255"), ["0.0.0.0/0"]);
        assert_eq!(prefixes("255.255.255.255", "255.255.255.255"), ["255.255.255.255/32"]);
        assert_eq!(prefixes("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ["::/0"]);
        assert_eq!(prefixes("::", "::ffff"), ["::/112"]);
        assert_eq!(prefixes("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").len(), 128);
    }

    #[test]
    fn host_bits_of_a_prefix_are_cleared() {
        let range = AddressRange::from_prefix("10.1.2.3".parse().unwrap(), 16).unwrap();
        assert_eq!(range.start().to_string(), "10.1.0.0");
        assert_eq!(range.end().to_string(), "10.1.255.255");
        assert!(AddressRange::from_prefix("10.1.2.3".parse().unwrap(), 33).is_none());
        assert!(AddressRange::from_prefix("::".parse().unwrap(), 129).is_none());
    }

    #[test]
    fn families_do_not_mix() {
        let v4 = AddressRange::from_prefix("0.0.0.0".parse().unwrap(), 0).unwrap();
        let v6 = AddressRange::from_prefix("::".parse().unwrap(), 0).unwrap();
        assert!(AddressRange::new(v4.start(), v6.end()).is_none());
        assert!(!v4.overlaps(&v6));
        assert!(!v6.contains(v4.start()));
    }
}

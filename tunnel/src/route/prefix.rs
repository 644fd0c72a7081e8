//! Prefixes, as routes and rules know addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tidegate_esp::AddressRange;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Addresses with their first bits in common; the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Prefix {
    pub(crate) address: IpAddr,
    pub(crate) length: u8,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// As the kernel numbers them.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::V4 => libc::AF_INET as u8,
            Self::V6 => libc::AF_INET6 as u8,
        }
    }

    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.number() == number)
    }

    /// Bits of an address.
    pub(crate) fn width(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The address that stands for none.
    pub(crate) fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

impl Prefix {
    pub(crate) fn new(address: IpAddr, length: u8) -> Option<Self> {
        let address = AddressRange::from_prefix(address, length)?.start();
        Some(Self { address, length })
    }

    /// All addresses.
    pub(crate) fn all(family: Family) -> Self {
        Self { address: family.unspecified(), length: 0 }
    }

    /// The smallest that holds all of a range.
    pub(crate) fn around(range: &AddressRange) -> Self {
        let family = Family::of(range.start());
        let of_length =
            |length| Self::new(range.start(), length).filter(|prefix| prefix.contains(range.end()));
        (1..=family.width()).rev().find_map(of_length).unwrap_or(Self::all(family))
    }

    pub(crate) fn family(&self) -> Family {
        Family::of(self.address)
    }

    pub(crate) fn is_host(&self) -> bool {
        self.length == self.family().width()
    }

    pub(crate) fn range(&self) -> AddressRange {
        AddressRange::from_prefix(self.address, self.length).unwrap_or(AddressRange::host(self.address))
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.range().contains(address)
    }

    /// The bits that count.
    pub(crate) fn mask(&self) -> Vec<u8> {
        let bytes = usize::from(self.family().width() / 8);
        (0..bytes)
            .map(|at| {
                let bits = usize::from(self.length).saturating_sub(at * 8).min(8);
                (0xff00_u16 >> bits) as u8
            })
            .collect()
    }
}

/// The bytes of an address.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// An address of as many bytes as there are.
pub(crate) fn from_octets(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = |bytes: [u8; 4]| IpAddr::from(bytes);
    let v6 = |bytes: [u8; 16]| IpAddr::from(bytes);
    bytes.try_into().map(v4).or_else(|_| bytes.try_into().map(v6)).ok()
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_as_many_bits_as_their_prefix() {
        let mask = |length| Prefix::new("10.0.0.0".parse().unwrap(), length).unwrap().mask();
        assert_eq!(mask(0), [0, 0, 0, 0]);
        assert_eq!(mask(1), [0x80, 0, 0, 0]);
        assert_eq!(mask(20), [0xff, 0xff, 0xf0, 0]);
        assert_eq!(mask(32), [0xff; 4]);
        assert_eq!(Prefix::new("::1".parse().unwrap(), 128).unwrap().mask(), [0xff; 16]);
    }
}

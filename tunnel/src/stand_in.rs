//! Numbers in place of addresses: one word can be read and written at once, and compared in no time. An address
//! of IPv4 has a number of its own; of IPv6 few would ever share one.

use std::net::{IpAddr, SocketAddr};

/// Stands for an address; never zero.
pub(crate) fn address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()) | 1 << 48,
        IpAddr::V6(address) => mixed(address.to_bits(), 0),
    }
}

/// Stands for an address and a port; never zero.
pub(crate) fn end(end: SocketAddr) -> u64 {
    match end.ip() {
        IpAddr::V4(address) => u64::from(address.to_bits()) << 16 | u64::from(end.port()) | 1 << 48,
        IpAddr::V6(address) => mixed(address.to_bits(), end.port().into()),
    }
}

/// Every bit of the address and the port counts. The top bit tells it from those of IPv4.
fn mixed(address: u128, port: u64) -> u64 {
    // Odd numbers with bits all over.
    let high = ((address >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(port);
    let low = (address as u64 ^ high.rotate_left(29)).wrapping_mul(0xd1b5_4a32_d192_ed03);
    (low ^ low >> 32) | 1 << 63
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn neighbours_have_numbers_of_their_own() {
        let four = (0..1000_u32).map(|number| IpAddr::from((0xc000_0200 + number).to_be_bytes()));
        let six = (0..1000_u128).map(|number| IpAddr::from((0x2001_0db8 << 96 | number).to_be_bytes()));
        let subnets =
            (0..1000_u128).map(|number| IpAddr::from((0x2001_0db8 << 96 | number << 64).to_be_bytes()));
        let all: BTreeSet<IpAddr> = four.chain(six).chain(subnets).collect();
        let numbers: BTreeSet<u64> = all.iter().map(|ip| address(*ip)).collect();
        assert_eq!(numbers.len(), all.len());
        assert!(!numbers.contains(&0));
        let ports = all.iter().flat_map(|ip| [0, 1, 500, 4500].map(|port| end(SocketAddr::new(*ip, port))));
        assert_eq!(ports.collect::<BTreeSet<u64>>().len(), 4 * all.len());
    }
}

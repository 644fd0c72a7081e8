//! Which of our addresses are ways to us, and which lie within what we protect.
//!
//! A node has an address in each subnet that is behind it: the bridge of its pods, say. Peers reach it through
//! the tunnel alone, so it is no address to tell them of, or to send from, outside of one (RFC 4555 §3.6
//! leaves the choice to us). A single host's selector says nothing of the kind: nodes protect their own outer
//! address as well.

use crate::connection::{ChildMode, Connection};
use std::collections::BTreeMap;
use std::net::IpAddr;
use tidegate_esp::AddressRange;
use tidegate_ike::narrow::ConfiguredSelector;

/// Our addresses, and the subnets behind us.
#[derive(Default)]
pub(super) struct Inside {
    addresses: Vec<IpAddr>,
    /// With how many children name each.
    subnets: BTreeMap<(IpAddr, IpAddr), usize>,
}

/// Whether what is told of us has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    AsBefore,
    Anew,
}

impl Inside {
    pub(super) fn set_addresses(&mut self, addresses: &[IpAddr]) -> Told {
        if self.addresses == addresses {
            return Told::AsBefore;
        }
        self.addresses = addresses.to_vec();
        Told::Anew
    }

    /// A connection is loaded.
    pub(super) fn cover(&mut self, connection: &Connection) -> Told {
        let mut told = Told::AsBefore;
        for subnet in subnets(connection) {
            let users = self.subnets.entry((subnet.start(), subnet.end())).or_default();
            *users += 1;
            if *users == 1 && self.has_address_in(&subnet) {
                told = Told::Anew;
            }
        }
        told
    }

    /// A connection is not loaded any more.
    pub(super) fn uncover(&mut self, connection: &Connection) -> Told {
        let mut told = Told::AsBefore;
        for subnet in subnets(connection) {
            let key = (subnet.start(), subnet.end());
            let Some(users) = self.subnets.get_mut(&key) else { continue };
            *users -= 1;
            if *users == 0 {
                self.subnets.remove(&key);
                if self.has_address_in(&subnet) {
                    told = Told::Anew;
                }
            }
        }
        told
    }

    /// The addresses that peers may reach us at. Where all of a family lie within what we protect, which of
    /// them is outside cannot be told, and all are.
    pub(super) fn ways_to_us(&self) -> Vec<IpAddr> {
        let outside: Vec<IpAddr> =
            self.addresses.iter().copied().filter(|address| !self.is_inside(*address)).collect();
        let none_of = |family: bool| outside.iter().all(|address| address.is_ipv4() != family);
        let (no_v4, no_v6) = (none_of(true), none_of(false));
        let counts = |address: &IpAddr| {
            let family_is_lost = if address.is_ipv4() { no_v4 } else { no_v6 };
            family_is_lost || outside.contains(address)
        };
        self.addresses.iter().copied().filter(counts).collect()
    }

    fn is_inside(&self, address: IpAddr) -> bool {
        self.subnets.keys().any(|(start, end)| (*start..=*end).contains(&address))
    }

    fn has_address_in(&self, subnet: &AddressRange) -> bool {
        self.addresses.iter().any(|address| subnet.contains(*address))
    }
}

fn subnets(connection: &Connection) -> impl Iterator<Item = AddressRange> {
    let tunnels = connection.children.iter().filter(|child| child.mode == ChildMode::Tunnel);
    let local = tunnels.flat_map(|child| &child.config.local);
    local.filter_map(|selector| match selector {
        ConfiguredSelector::Fixed(selector) => {
            Some(selector.addresses).filter(|range| range.start() != range.end())
        }
        ConfiguredSelector::Dynamic { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::connection::Child;
    use tidegate_ike::ChildConfig;
    use tidegate_ike::crypto::Secret;

    fn connection(locals: &[&str]) -> Connection {
        let name = "a.example";
        let ike = tidegate_ike::Connection::psk(
            "c",
            name.parse().unwrap(),
            name.parse().unwrap(),
            Secret::new(b"x".to_vec()),
        );
        let child = |(at, local): (usize, &&str)| {
            let remote = if local.contains(':') { "fd99::/64" } else { "10.99.0.0/16" };
            Child::new(ChildConfig::new(&at.to_string(), local.parse().unwrap(), remote.parse().unwrap()))
        };
        let children = locals.iter().enumerate().map(child).collect();
        Connection { children, ..Connection::new(ike) }
    }

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_in_a_subnet_behind_us_is_no_way_to_us_while_a_connection_names_it() {
        let mut inside = Inside::default();
        inside.set_addresses(&addresses(&["192.0.2.1", "10.1.0.1", "2001:db8::1"]));
        let (one, other) = (connection(&["10.1.0.0/24", "192.0.2.1/32"]), connection(&["10.1.0.0/24"]));
        assert_eq!(inside.cover(&one), Told::Anew);
        assert_eq!(inside.cover(&other), Told::AsBefore);
        assert_eq!(inside.ways_to_us(), addresses(&["192.0.2.1", "2001:db8::1"]));
        assert_eq!(inside.uncover(&one), Told::AsBefore);
        assert_eq!(inside.uncover(&other), Told::Anew);
        assert_eq!(inside.ways_to_us().len(), 3);
    }

    #[test]
    fn where_everything_is_protected_all_addresses_of_the_family_stay() {
        let mut inside = Inside::default();
        inside.set_addresses(&addresses(&["192.0.2.1", "10.1.0.1", "2001:db8::1", "fd00::1"]));
        inside.cover(&connection(&["0.0.0.0/0", "fd00::/64"]));
        assert_eq!(inside.ways_to_us(), addresses(&["192.0.2.1", "10.1.0.1", "2001:db8::1"]));
    }
}

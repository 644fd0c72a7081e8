//! The host's own addresses: where a peer may reach us.

use super::netlink;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

/// Addresses that packets can be sent from to other hosts, in the order of their interfaces: none of loopback
/// or of one link alone, none that IPv6 is still trying out or has found taken, and none of an interface that
/// is down, lost its carrier, or is `except`: our own device.
pub fn host_addresses(except: Option<&str>) -> io::Result<Vec<IpAddr>> {
    let links = netlink::dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let usable: BTreeSet<u32> = links.iter().filter_map(|link| usable_link(link, except)).collect();
    let answers = netlink::dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let mut addresses: Vec<_> = answers.iter().filter_map(|answer| usable_address(answer, &usable)).collect();
    addresses.sort_by_key(|(interface, _)| *interface);
    Ok(addresses.into_iter().map(|(_, address)| address).collect())
}

/// The interface that has an address; none if it cannot be found out.
pub fn interface_of(address: IpAddr) -> Option<String> {
    let answers = netlink::dump(RouteNetlinkMessage::GetAddress(AddressMessage::default())).ok()?;
    let number = answers.iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(message) if own(message) == Some(address) => {
            Some(message.header.index)
        }
        _ => None,
    })?;
    let links = netlink::dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).ok()?;
    links.iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) if link.header.index == number => name(link),
        _ => None,
    })
}

fn name(link: &LinkMessage) -> Option<String> {
    link.attributes.iter().find_map(|it| match it {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

fn usable_link(answer: &RouteNetlinkMessage, except: Option<&str>) -> Option<u32> {
    let RouteNetlinkMessage::NewLink(link) = answer else { return None };
    let named = |name| link.attributes.iter().any(|it| matches!(it, LinkAttribute::IfName(it) if it == name));
    let is_up = link.header.flags.contains(LinkFlags::Up | LinkFlags::Running);
    (is_up && !except.is_some_and(named)).then_some(link.header.index)
}

fn usable_address(answer: &RouteNetlinkMessage, links: &BTreeSet<u32>) -> Option<(u32, IpAddr)> {
    let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
    let address = own(message)?;
    let is_usable = links.contains(&message.header.index) && is_settled(message) && is_global(address);
    is_usable.then_some((message.header.index, address))
}

/// Of a point-to-point link, IPv4 tells the far end as the address and ours as the local one.
fn own(message: &AddressMessage) -> Option<IpAddr> {
    let find = |pick: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(pick);
    let local = find(|it| if let AddressAttribute::Local(local) = it { Some(*local) } else { None });
    local.or_else(|| find(|it| if let AddressAttribute::Address(it) = it { Some(*it) } else { None }))
}

fn is_settled(message: &AddressMessage) -> bool {
    let unsettled = AddressFlags::Tentative | AddressFlags::Dadfailed;
    let flags = message.attributes.iter().find_map(|it| match it {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    let flags = flags.unwrap_or(AddressFlags::from_bits_retain(message.header.flags.bits().into()));
    // One that may be used while it is tried out says so.
    !flags.intersects(unsettled) || flags.contains(AddressFlags::Optimistic)
}

fn is_global(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !is_link_local && !address.is_loopback() && !address.is_multicast() && !address.is_unspecified()
}

//! A look at a packet before the stack has it.

use smoltcp::wire::{IpAddress, IpEndpoint, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket};

/// What a packet is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It would open a TCP connection.
    Open { local: IpEndpoint, remote: IpEndpoint },
    /// Anything else that the stack may see.
    Other,
    /// Not for the stack: broken, a fragment, or from nobody in particular.
    Refused,
}

pub(super) fn screen(packet: &[u8]) -> Arrival {
    match packet.first().map(|first| first >> 4) {
        Some(4) => screen_v4(packet),
        Some(6) => screen_v6(packet),
        _ => Arrival::Refused,
    }
}

fn screen_v4(packet: &[u8]) -> Arrival {
    let Ok(packet) = Ipv4Packet::new_checked(packet) else { return Arrival::Refused };
    // The stack takes a fragment for a whole packet.
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Arrival::Refused;
    }
    sort(packet.src_addr().into(), packet.dst_addr().into(), packet.next_header(), packet.payload())
}

fn screen_v6(packet: &[u8]) -> Arrival {
    let Ok(packet) = Ipv6Packet::new_checked(packet) else { return Arrival::Refused };
    sort(packet.src_addr().into(), packet.dst_addr().into(), packet.next_header(), packet.payload())
}

fn sort(remote: IpAddress, local: IpAddress, protocol: IpProtocol, payload: &[u8]) -> Arrival {
    if remote.is_unspecified() || remote.is_multicast() || remote.is_broadcast() {
        return Arrival::Refused;
    }
    if protocol != IpProtocol::Tcp {
        return Arrival::Other;
    }
    let Ok(segment) = TcpPacket::new_checked(payload) else { return Arrival::Refused };
    if !segment.syn() || segment.ack() || segment.rst() || segment.dst_port() == 0 || segment.src_port() == 0
    {
        return Arrival::Other;
    }
    Arrival::Open {
        local: IpEndpoint::new(local, segment.dst_port()),
        remote: IpEndpoint::new(remote, segment.src_port()),
    }
}

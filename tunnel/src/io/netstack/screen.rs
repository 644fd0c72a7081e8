//! A look at a packet before the stack has it.

use smoltcp::wire::{IpAddress, IpEndpoint, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket};

/// What a packet is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It would open a TCP connection.
    Open { local: IpEndpoint, remote: IpEndpoint },
    /// Anything else that the stack may see.
    Other,
    /// Not for the stack: broken, a fragment, from nobody in particular, or for somebody else. smoltcp 0.14 answers
    /// to an IPv6 option that it does not know before it looks whom the packet is for.
    Refused,
}

pub(super) fn screen(packet: &[u8], is_own: impl Fn(IpAddress) -> bool) -> Arrival {
    let parts = match packet.first().map(|first| first >> 4) {
        Some(4) => Parts::of_v4(packet),
        Some(6) => Parts::of_v6(packet),
        _ => None,
    };
    parts.filter(|parts| is_own(parts.local)).map_or(Arrival::Refused, |parts| parts.sort())
}

struct Parts<'a> {
    remote: IpAddress,
    local: IpAddress,
    protocol: IpProtocol,
    payload: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of_v4(packet: &'a [u8]) -> Option<Self> {
        let packet = Ipv4Packet::new_checked(packet).ok()?;
        let (remote, local) = (packet.src_addr().into(), packet.dst_addr().into());
        // The stack takes a fragment for a whole packet.
        let is_whole = !packet.more_frags() && packet.frag_offset() == 0;
        is_whole.then(|| Self { remote, local, protocol: packet.next_header(), payload: packet.payload() })
    }

    fn of_v6(packet: &'a [u8]) -> Option<Self> {
        let packet = Ipv6Packet::new_checked(packet).ok()?;
        let (remote, local) = (packet.src_addr().into(), packet.dst_addr().into());
        Some(Self { remote, local, protocol: packet.next_header(), payload: packet.payload() })
    }

    fn sort(&self) -> Arrival {
        let Self { remote, local, protocol, payload } = *self;
        if remote.is_unspecified() || remote.is_multicast() || remote.is_broadcast() {
            return Arrival::Refused;
        }
        if protocol != IpProtocol::Tcp {
            return Arrival::Other;
        }
        let Ok(segment) = TcpPacket::new_checked(payload) else { return Arrival::Refused };
        let opens = segment.syn() && !segment.ack() && !segment.rst();
        if !opens || segment.dst_port() == 0 || segment.src_port() == 0 {
            return Arrival::Other;
        }
        Arrival::Open {
            local: IpEndpoint::new(local, segment.dst_port()),
            remote: IpEndpoint::new(remote, segment.src_port()),
        }
    }
}

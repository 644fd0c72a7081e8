//! A look at a packet before the stack has it.

use super::layout::Layout;
use smoltcp::wire::{IpAddress, IpEndpoint, TcpPacket};

/// What a packet is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It would open a TCP connection.
    Open { local: IpEndpoint, remote: IpEndpoint },
    /// Anything else that the stack may see.
    Other,
    /// Not for the stack: a broken segment, a fragment, from nobody in particular, or for somebody else. smoltcp 0.14 answers
    /// to an IPv6 option that it does not know before it looks whom the packet is for.
    Refused,
}

pub(super) fn screen(packet: &[u8], layout: &Layout, is_own: impl Fn(IpAddress) -> bool) -> Arrival {
    let (remote, local) = (layout.source, layout.destination);
    // The stack takes a fragment for a whole packet.
    if layout.is_fragment || !is_own(local) {
        return Arrival::Refused;
    }
    if remote.is_unspecified() || remote.is_multicast() || remote.is_broadcast() {
        return Arrival::Refused;
    }
    let Some(segment) = layout.segment() else { return Arrival::Other };
    let Some(Ok(segment)) = packet.get(segment).map(TcpPacket::new_checked) else { return Arrival::Refused };
    let opens = segment.syn() && !segment.ack() && !segment.rst();
    if !opens || segment.dst_port() == 0 || segment.src_port() == 0 {
        return Arrival::Other;
    }
    Arrival::Open {
        local: IpEndpoint::new(local, segment.dst_port()),
        remote: IpEndpoint::new(remote, segment.src_port()),
    }
}

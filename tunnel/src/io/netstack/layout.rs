//! What a packet's IP header says, read once for all that look at the packet.

use smoltcp::wire::{IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet};
use std::ops::Range;

#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) source: IpAddress,
    pub(super) destination: IpAddress,
    pub(super) protocol: IpProtocol,
    pub(super) is_fragment: bool,
    /// Where in the packet the rest is.
    pub(super) payload: Range<usize>,
}

impl Layout {
    /// Of a packet that is whole by its own account.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => {
                let packet = Ipv4Packet::new_checked(packet).ok()?;
                Some(Self {
                    source: packet.src_addr().into(),
                    destination: packet.dst_addr().into(),
                    protocol: packet.next_header(),
                    is_fragment: packet.more_frags() || packet.frag_offset() != 0,
                    payload: usize::from(packet.header_len())..usize::from(packet.total_len()),
                })
            }
            6 => {
                let packet = Ipv6Packet::new_checked(packet).ok()?;
                Some(Self {
                    source: packet.src_addr().into(),
                    destination: packet.dst_addr().into(),
                    protocol: packet.next_header(),
                    is_fragment: false,
                    payload: packet.header_len()..packet.total_len(),
                })
            }
            _ => None,
        }
    }

    /// Where the TCP segment is, if it is one.
    pub(super) fn segment(&self) -> Option<Range<usize>> {
        (self.protocol == IpProtocol::Tcp).then(|| self.payload.clone())
    }
}

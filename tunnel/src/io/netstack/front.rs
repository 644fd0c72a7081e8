//! Keeps acknowledgements acceptable while a connection retransmits.
//!
//! When its retransmission timer fires, smoltcp 0.14 takes its next sequence number back to the first byte that is
//! not acknowledged, and gives that number to its bare acknowledgements too. The peer may have that byte by then;
//! to it they are old, and it looks at none of what they say (RFC 9293 §3.10.7.4). Where both ends are such stacks
//! and both timers fire, either waits for an acknowledgement that the other has sent and it does not take, until
//! the connection is given up. So a bare acknowledgement that leaves has at least the number that the peer is known
//! to expect, from the acknowledgements in its packets: also in those that the socket itself does not look at.

use super::layout::Layout;
use smoltcp::wire::{IpEndpoint, TcpPacket, TcpSeqNumber};
use std::collections::BTreeMap;

/// How far each TCP connection has come, by its local and its remote end.
#[derive(Debug, Default)]
pub(super) struct Fronts(BTreeMap<(IpEndpoint, IpEndpoint), Front>);

#[derive(Clone, Copy, Debug)]
struct Front {
    /// Behind all that was sent.
    sent: TcpSeqNumber,
    /// What the peer expects; never beyond `sent`.
    expected: TcpSeqNumber,
}

impl Fronts {
    /// Looks at a packet from the peer.
    pub(super) fn arriving(&mut self, packet: &[u8], layout: &Layout) {
        let Some(range) = layout.segment() else { return };
        let Some(Ok(segment)) = packet.get(range).map(TcpPacket::new_checked) else { return };
        let local = IpEndpoint::new(layout.destination, segment.dst_port());
        let remote = IpEndpoint::new(layout.source, segment.src_port());
        let Some(front) = self.0.get_mut(&(local, remote)) else { return };
        let number = segment.ack_number();
        if segment.ack() && front.expected < number && number <= front.sent {
            front.expected = number;
        }
    }

    /// Looks at a packet of ours, and mends it.
    pub(super) fn leaving(&mut self, packet: &mut [u8], layout: &Layout) {
        let Some(range) = layout.segment() else { return };
        let Some(Ok(mut segment)) = packet.get_mut(range).map(TcpPacket::new_checked) else { return };
        let local = IpEndpoint::new(layout.source, segment.src_port());
        let remote = IpEndpoint::new(layout.destination, segment.dst_port());
        let number = segment.seq_number();
        let end = number + segment.segment_len();
        if segment.syn() {
            self.0.insert((local, remote), Front { sent: end, expected: number });
            return;
        }
        let Some(front) = self.0.get_mut(&(local, remote)) else { return };
        if front.sent < end {
            front.sent = end;
        }
        if end == number && !segment.rst() && number < front.expected {
            segment.set_seq_number(front.expected);
            segment.fill_checksum(&layout.source, &layout.destination);
        }
    }

    /// Whether the SYN of a connection has left.
    pub(super) fn has_begun(&self, local: IpEndpoint, remote: IpEndpoint) -> bool {
        self.0.contains_key(&(local, remote))
    }

    pub(super) fn forget(&mut self, local: IpEndpoint, remote: IpEndpoint) {
        self.0.remove(&(local, remote));
    }
}

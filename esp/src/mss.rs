//! Clamping the maximum segment size that TCP announces to what fits into the tunnel.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::checksum;
use crate::flow::{Fragment, Inner};
use crate::headers::{IPV4_HEADER, IPV6_HEADER, SYN, TCP_HEADER, protocol, tcp_length};

const OPTION_END: u8 = 0;
const OPTION_NOTHING: u8 = 1;
const OPTION_MSS: u8 = 2;

/// Whether the checksum of a packet covers all of it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportChecksum {
    /// As it goes over the wire.
    Complete,
    /// The pseudo-header alone so far, as the virtio-net header said.
    Partial,
}

/// What was announced and what is announced now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clamped {
    /// The size that stood there.
    pub from: u16,
    /// The size that stands there now.
    pub to: u16,
}

/// Lowers the segment size announced by a SYN (RFC 9293 §3.7.1) so that a whole segment fits into packets of
/// `mtu` bytes. `None` when there was nothing to do. `inner` was read from `packet`.
pub fn clamp(packet: &mut [u8], inner: &Inner, mtu: usize, checksum: TransportChecksum) -> Option<Clamped> {
    if inner.flow.protocol != protocol::TCP || inner.fragment != Fragment::Whole {
        return None;
    }
    let network = if inner.flow.is_v4() { IPV4_HEADER } else { IPV6_HEADER };
    let room = mtu.checked_sub(network)?.checked_sub(TCP_HEADER)?;
    let to = u16::try_from(room).ok().filter(|room| *room > 0)?;
    let transport = packet.get_mut(inner.network_length..inner.total_length)?;
    if transport.get(13)? & SYN == 0 {
        return None;
    }
    let place = mss_place(transport)?;
    let field: &mut [u8; 2] = transport.get_mut(place..)?.first_chunk_mut()?;
    let old = *field;
    let from = u16::from_be_bytes(old);
    if from <= to {
        return None;
    }
    let new = to.to_be_bytes();
    *field = new;
    if checksum == TransportChecksum::Complete {
        update_checksum(transport, place, old, new)?;
    }
    Some(Clamped { from, to })
}

/// Where in the TCP header the announced size stands.
fn mss_place(transport: &[u8]) -> Option<usize> {
    let options = transport.get(TCP_HEADER..tcp_length(transport)?)?;
    let mut at = 0_usize;
    while let Some(&[kind, length]) = options.get(at..).and_then(<[u8]>::first_chunk) {
        at = match kind {
            OPTION_END => return None,
            OPTION_NOTHING => at.saturating_add(1),
            OPTION_MSS if length == 4 => {
                let value = at.saturating_add(2);
                options.get(value..value.saturating_add(2))?;
                return value.checked_add(TCP_HEADER);
            }
            // Shorter than its own two bytes would be an option that never ends.
            _ if length < 2 => return None,
            _ => at.saturating_add(length.into()),
        };
    }
    None
}

/// Nothing says that options begin at even places; a word across two of them has its bytes swapped.
fn update_checksum(transport: &mut [u8], place: usize, old: [u8; 2], new: [u8; 2]) -> Option<()> {
    let swapped = |[high, low]: [u8; 2]| [low, high];
    let (old, new) = if place & 1 == 0 { (old, new) } else { (swapped(old), swapped(new)) };
    let field: &mut [u8; 2] = transport.get_mut(16..)?.first_chunk_mut()?;
    *field = checksum::update(*field, old, new);
    Some(())
}

//! What the outer IP header takes from the inner one and tells it: DSCP, ECN and DF (RFC 4301 §5.1.2, §8.1,
//! RFC 2983, RFC 6040).

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::checksum;

/// What the outer header takes from the inner one. What it gives back is the same for all: see [`merge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marking {
    /// Where the outer DSCP comes from.
    pub dscp: OuterDscp,
    /// What happens to ECN.
    pub ecn: OuterEcn,
    /// Whether the network may fragment what is sent.
    pub dont_fragment: OuterDontFragment,
}

/// Where the outer DSCP comes from. On the way in the inner one is never changed (RFC 4301 §5.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OuterDscp {
    /// The inner header. It lets the network between see which packets are of one class.
    #[default]
    Copy,
    /// Always this one; of the value the low six bits count.
    Fixed(u8),
}

/// What happens to ECN where the tunnel begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OuterEcn {
    /// Copied to the outer header (RFC 6040 §4.1 normal mode).
    #[default]
    Propagate,
    /// Cleared in the outer header (RFC 6040 §4.1 compatibility mode): for a network that drops what carries
    /// ECN, or a peer that loses what the network says. On the way in there is one mode only, as peers choose
    /// theirs without telling.
    Clear,
}

/// The DF bit of an outer IPv4 header (RFC 4301 §8.1): each SA MUST have the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OuterDontFragment {
    /// Set: what does not fit is cut or answered before it is sealed, and the MTU of the path is found out.
    #[default]
    Set,
    /// As in an inner IPv4 header. IPv6 is never fragmented on its way, so it counts as set.
    Copy,
    /// Clear: for a path whose MTU cannot be found out.
    Clear,
}

/// Explicit congestion notification of one IP header (RFC 3168 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecn {
    /// The transport does not know of it.
    NotCapable,
    /// Capable, codepoint 0.
    Capable0,
    /// Capable, codepoint 1.
    Capable1,
    /// Congestion was met.
    Congested,
}

/// The network met congestion, and the transport inside could not be told but by loss (RFC 6040 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionLoss;

impl Marking {
    /// The outer traffic class for a datagram; `None` when that is neither IPv4 nor IPv6.
    #[inline]
    pub fn outer_traffic_class(self, datagram: &[u8]) -> Option<u8> {
        let inner = traffic_class(datagram)?;
        let dscp = match self.dscp {
            OuterDscp::Copy => inner & DSCP_MASK,
            OuterDscp::Fixed(dscp) => dscp << 2,
        };
        let ecn = match self.ecn {
            OuterEcn::Propagate => Ecn::of(inner),
            OuterEcn::Clear => Ecn::NotCapable,
        };
        Some(dscp | ecn.bits())
    }

    /// Whether an outer IPv4 header is to have DF set.
    #[inline]
    pub fn outer_dont_fragment(self, datagram: &[u8]) -> bool {
        match (self.dont_fragment, datagram) {
            (OuterDontFragment::Set, _) => true,
            (OuterDontFragment::Clear, _) => false,
            (OuterDontFragment::Copy, [first, _, _, _, _, _, flags, ..]) if first >> 4 == 4 => {
                flags & DONT_FRAGMENT != 0
            }
            (OuterDontFragment::Copy, _) => true,
        }
    }
}

/// Merges what the outer header met on its way into an opened datagram. What is not IP is left alone.
#[inline]
pub fn merge(outer_traffic_class: u8, datagram: &mut [u8]) -> Result<(), CongestionLoss> {
    let Some(inner) = traffic_class(datagram) else { return Ok(()) };
    let before = Ecn::of(inner);
    let after = before.merged(Ecn::of(outer_traffic_class))?;
    if after != before {
        set_traffic_class(datagram, inner & DSCP_MASK | after.bits());
    }
    Ok(())
}

impl Ecn {
    /// The codepoint in a traffic class, the former type of service.
    #[inline]
    pub const fn of(traffic_class: u8) -> Self {
        match traffic_class & ECN_MASK {
            0b00 => Self::NotCapable,
            0b10 => Self::Capable0,
            0b01 => Self::Capable1,
            _ => Self::Congested,
        }
    }

    /// The codepoint.
    #[inline]
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotCapable => 0b00,
            Self::Capable0 => 0b10,
            Self::Capable1 => 0b01,
            Self::Congested => 0b11,
        }
    }

    /// What an inner header says after the tunnel, of which the outer one says `outer` (RFC 6040 §4.2).
    #[inline]
    pub fn merged(self, outer: Self) -> Result<Self, CongestionLoss> {
        match (self, outer) {
            (Self::NotCapable, Self::Congested) => Err(CongestionLoss),
            (Self::NotCapable, _) => Ok(Self::NotCapable),
            // The variants are in order of severity.
            (inner, outer) => Ok(inner.max(outer)),
        }
    }
}

const ECN_MASK: u8 = 0b11;
const DSCP_MASK: u8 = !ECN_MASK;
/// In the byte of an IPv4 header that has the flags.
const DONT_FRAGMENT: u8 = 0x40;

/// The traffic class of an IP header; `None` for what is not IP.
#[inline]
pub fn traffic_class(datagram: &[u8]) -> Option<u8> {
    let [first, second, ..] = *datagram else { return None };
    match first >> 4 {
        4 => Some(second),
        6 => Some(first << 4 | second >> 4),
        _ => None,
    }
}

fn set_traffic_class(datagram: &mut [u8], traffic_class: u8) {
    match datagram {
        [first, second, _, _, _, _, _, _, _, _, high, low, ..] if *first >> 4 == 4 => {
            let old = [*first, *second];
            *second = traffic_class;
            [*high, *low] = checksum::update([*high, *low], old, [*first, *second]);
        }
        [first, second, ..] if *first >> 4 == 6 => {
            *first = *first & 0xf0 | traffic_class >> 4;
            *second = *second & 0x0f | traffic_class << 4;
        }
        _ => {}
    }
}

//! The part of an inner packet that policy looks at: addresses, protocol, ports, ICMP type, fragments.
//!
//! 1. [`Inner::parse`] reads the IPv4 or IPv6 header and walks IPv6 extension headers, never more than
//!    [`EXTENSION_HEADERS_MAX`] of them.
//! 2. What stands behind them gives the ports, unless the packet is a later fragment.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::headers::{IPV4_HEADER, IPV6_HEADER, protocol};
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many IPv6 extension headers a packet may have before it is taken for an attack on whoever walks
/// them; RFC 8200 §4.1 knows of six that make sense together.
pub const EXTENSION_HEADERS_MAX: usize = 8;

/// What policy decides by; packets of one flow are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// The protocol behind all extension headers.
    pub protocol: u8,
    /// Ports, or what stands in for them.
    pub transport: Transport,
}

/// What a selector's ports are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP, UDP, UDP-Lite, SCTP, DCCP.
    Ports {
        /// The source port.
        source: u16,
        /// The destination port.
        destination: u16,
    },
    /// ICMP and ICMPv6.
    Icmp {
        /// The message type.
        kind: u8,
        /// The code.
        code: u8,
    },
    /// The type of a mobility header (RFC 4301 §4.4.1.1).
    Mobility(u8),
    /// A later fragment, or a protocol without ports (RFC 4301 §4.4.1.1 OPAQUE).
    Opaque,
}

/// What a later fragment does not show of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    Nothing,
    /// Ports, or type and code.
    Ports,
    /// The protocol too: the first fragment has extension headers before it (RFC 4301 §7).
    Protocol,
}

/// One end of a flow, as a single traffic selector sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// The address of this end.
    pub address: IpAddr,
    /// The protocol of the flow.
    pub protocol: u8,
    /// The port, or type and code, where it can be seen.
    pub port: Option<u16>,
}

/// An inner packet's flow and layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inner {
    /// What policy decides by.
    pub flow: Flow,
    /// Whether the packet is whole.
    pub fragment: Fragment,
    /// Bytes of the IP header with options and extension headers: where the transport header begins.
    pub network_length: usize,
    /// Bytes of the packet by its own header; anything behind is padding.
    pub total_length: usize,
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fragment {
    /// All of it.
    Whole,
    /// The beginning, transport header included.
    First,
    /// A later part, ports unseen.
    Later,
}

/// Why bytes are no packet we would carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowError {
    /// No bytes at all.
    Empty,
    /// Neither version 4 nor 6.
    Version(u8),
    /// Ends within the IP header or an extension header.
    NetworkHeader,
    /// An IPv4 header length below five words.
    HeaderLength(u8),
    /// The header claims more bytes than there are, or fewer than it has itself.
    TotalLength {
        /// What the header says.
        claimed: usize,
        /// What there is.
        present: usize,
    },
    /// More than [`EXTENSION_HEADERS_MAX`] extension headers.
    ExtensionHeaders,
    /// Ends before the ports: a first fragment cut so short would hide them from policy.
    TransportHeader,
}

impl Flow {
    /// A flow that no packet has, to fill an array with.
    pub(crate) const UNSPECIFIED: Self = Self {
        source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        destination: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        protocol: 0,
        transport: Transport::Opaque,
    };

    /// The flow of a packet; see [`Inner::parse`] for its layout too.
    pub fn parse(packet: &[u8]) -> Result<Self, FlowError> {
        Inner::parse(packet).map(|inner| inner.flow)
    }

    /// The source with its port.
    pub fn source_end(&self) -> End {
        let port = match self.transport {
            Transport::Ports { source, .. } => Some(source),
            other => other.kind_and_code(),
        };
        End { address: self.source, protocol: self.protocol, port }
    }

    /// The destination with its port.
    pub fn destination_end(&self) -> End {
        let port = match self.transport {
            Transport::Ports { destination, .. } => Some(destination),
            other => other.kind_and_code(),
        };
        End { address: self.destination, protocol: self.protocol, port }
    }

    /// The flow of the answers.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let transport = match self.transport {
            Transport::Ports { source, destination } => {
                Transport::Ports { source: destination, destination: source }
            }
            other => other,
        };
        Self { source: self.destination, destination: self.source, protocol: self.protocol, transport }
    }

    /// Whether the addresses are IPv4.
    pub const fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// What policy might go by and cannot see.
    pub(crate) fn hidden(&self) -> Hidden {
        match (self.transport, self.protocol) {
            (
                Transport::Opaque,
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::FRAGMENT | protocol::DESTINATION_OPTIONS,
            ) => Hidden::Protocol,
            (
                Transport::Opaque,
                protocol::TCP
                | protocol::UDP
                | protocol::UDP_LITE
                | protocol::SCTP
                | protocol::DCCP
                | protocol::ICMP
                | protocol::ICMPV6
                | protocol::MOBILITY,
            ) => Hidden::Ports,
            _ => Hidden::Nothing,
        }
    }
}

impl Transport {
    /// What is not a pair of ports, in the place of a port: type in the high byte (RFC 7296 §3.13.1).
    fn kind_and_code(self) -> Option<u16> {
        match self {
            Self::Icmp { kind, code } => Some(u16::from_be_bytes([kind, code])),
            Self::Mobility(kind) => Some(u16::from_be_bytes([kind, 0])),
            Self::Ports { .. } | Self::Opaque => None,
        }
    }

    fn parse(protocol: u8, bytes: &[u8]) -> Result<Self, FlowError> {
        match protocol {
            protocol::TCP | protocol::UDP | protocol::UDP_LITE | protocol::SCTP | protocol::DCCP => {
                let (source, rest) = bytes.split_first_chunk().ok_or(FlowError::TransportHeader)?;
                let destination = rest.first_chunk().ok_or(FlowError::TransportHeader)?;
                let (source, destination) = (u16::from_be_bytes(*source), u16::from_be_bytes(*destination));
                Ok(Self::Ports { source, destination })
            }
            protocol::ICMP | protocol::ICMPV6 => {
                let &[kind, code] = bytes.first_chunk().ok_or(FlowError::TransportHeader)?;
                Ok(Self::Icmp { kind, code })
            }
            protocol::MOBILITY => {
                let kind = bytes.get(2).ok_or(FlowError::TransportHeader)?;
                Ok(Self::Mobility(*kind))
            }
            _ => Ok(Self::Opaque),
        }
    }
}

impl Inner {
    /// Reads an IPv4 or IPv6 packet. Bytes behind the length in its header are ignored, as padding for
    /// traffic flow confidentiality is put there (RFC 4303 §2.7).
    pub fn parse(packet: &[u8]) -> Result<Self, FlowError> {
        match packet.first().ok_or(FlowError::Empty)? >> 4 {
            4 => Self::parse_v4(packet),
            6 => Self::parse_v6(packet),
            version => Err(FlowError::Version(version)),
        }
    }

    fn parse_v4(packet: &[u8]) -> Result<Self, FlowError> {
        let header: &[u8; IPV4_HEADER] = packet.first_chunk().ok_or(FlowError::NetworkHeader)?;
        let &[first, _, l0, l1, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
        let words = first & 0x0f;
        let network_length = usize::from(words).saturating_mul(4);
        if network_length < IPV4_HEADER {
            return Err(FlowError::HeaderLength(words));
        }
        let total_length = usize::from(u16::from_be_bytes([l0, l1]));
        let bytes = bounded(packet, total_length)?;
        let transport = bytes
            .get(network_length..)
            .ok_or(FlowError::TotalLength { claimed: total_length, present: packet.len() })?;
        let fragment = Fragment::of(u16::from_be_bytes([f0, f1]) & 0x1fff, f0 & 0x20 != 0);
        let transport = fragment.transport(protocol, transport)?;
        let source = Ipv4Addr::new(s0, s1, s2, s3).into();
        let destination = Ipv4Addr::new(d0, d1, d2, d3).into();
        let flow = Flow { source, destination, protocol, transport };
        Ok(Self { flow, fragment, network_length, total_length })
    }

    fn parse_v6(packet: &[u8]) -> Result<Self, FlowError> {
        let header: &[u8; IPV6_HEADER] = packet.first_chunk().ok_or(FlowError::NetworkHeader)?;
        let &[_, _, _, _, l0, l1, next_header, _, ..] = header;
        let total_length = usize::from(u16::from_be_bytes([l0, l1])).saturating_add(IPV6_HEADER);
        let bytes = bounded(packet, total_length)?;
        let mut walk = Walk { next_header, offset: IPV6_HEADER, fragment: Fragment::Whole };
        walk.run(bytes)?;
        let rest = bytes.get(walk.offset..).ok_or(FlowError::NetworkHeader)?;
        let transport = walk.fragment.transport(walk.next_header, rest)?;
        let flow = Flow {
            source: address_at(packet, 8)?.into(),
            destination: address_at(packet, 24)?.into(),
            protocol: walk.next_header,
            transport,
        };
        Ok(Self { flow, fragment: walk.fragment, network_length: walk.offset, total_length })
    }
}

/// The packet without what its header does not claim.
fn bounded(packet: &[u8], claimed: usize) -> Result<&[u8], FlowError> {
    packet.get(..claimed).ok_or(FlowError::TotalLength { claimed, present: packet.len() })
}

fn address_at(packet: &[u8], offset: usize) -> Result<Ipv6Addr, FlowError> {
    let bytes = packet.get(offset..).and_then(<[u8]>::first_chunk::<16>).ok_or(FlowError::NetworkHeader)?;
    Ok(Ipv6Addr::from(*bytes))
}

impl Fragment {
    /// RFC 4301 §7.2 asks for a least offset, so that no later IPv4 fragment overwrites what a first one was
    /// let through for: offsets count eight bytes, and ports, types and codes are within the first four.
    fn of(offset: u16, more: bool) -> Self {
        match (offset, more) {
            (0, false) => Self::Whole,
            (0, true) => Self::First,
            _ => Self::Later,
        }
    }

    fn transport(self, protocol: u8, bytes: &[u8]) -> Result<Transport, FlowError> {
        match self {
            Self::Whole | Self::First => Transport::parse(protocol, bytes),
            Self::Later => Ok(Transport::Opaque),
        }
    }
}

/// A walk over IPv6 extension headers.
struct Walk {
    next_header: u8,
    offset: usize,
    fragment: Fragment,
}

impl Walk {
    fn run(&mut self, packet: &[u8]) -> Result<(), FlowError> {
        let mut seen = 0_usize;
        while self.fragment != Fragment::Later {
            let step = match self.next_header {
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => Step::Options,
                protocol::FRAGMENT => Step::Fragment,
                // AH and ESP of the inner packet are what it carries, not something to look behind.
                _ => return Ok(()),
            };
            seen = seen.saturating_add(1);
            if seen > EXTENSION_HEADERS_MAX {
                return Err(FlowError::ExtensionHeaders);
            }
            self.step(packet, step)?;
        }
        Ok(())
    }

    fn step(&mut self, packet: &[u8], step: Step) -> Result<(), FlowError> {
        let header = packet.get(self.offset..).and_then(<[u8]>::first_chunk::<8>);
        let &[next_header, length, o0, o1, ..] = header.ok_or(FlowError::NetworkHeader)?;
        let size = match step {
            Step::Options => usize::from(length).saturating_add(1).saturating_mul(8),
            Step::Fragment => {
                // RFC 6946: one that is neither preceded nor followed by another is a whole packet. That it is
                // says nothing about a fragment it lies in.
                let inner = Fragment::of(u16::from_be_bytes([o0, o1]) >> 3, o1 & 1 != 0);
                self.fragment = self.fragment.max(inner);
                8
            }
        };
        self.next_header = next_header;
        self.offset = self.offset.saturating_add(size);
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Step {
    Options,
    Fragment,
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "packet is empty"),
            Self::Version(version) => write!(f, "IP version {version} is neither 4 nor 6"),
            Self::NetworkHeader => write!(f, "packet ends within its IP headers"),
            Self::HeaderLength(words) => write!(f, "IPv4 header of {words} words is too short"),
            Self::TotalLength { claimed, present } => {
                write!(f, "packet claims {claimed} bytes, {present} are present")
            }
            Self::ExtensionHeaders => write!(f, "more than {EXTENSION_HEADERS_MAX} IPv6 extension headers"),
            Self::TransportHeader => write!(f, "packet ends before its ports"),
        }
    }
}

impl Error for FlowError {}

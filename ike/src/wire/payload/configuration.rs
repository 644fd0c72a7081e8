//! CP payload (RFC 7296 §3.15).

use crate::wire::reader::{Fault, Reader, exactly};
use crate::wire::writer::saturating_u16;
use std::net::{Ipv4Addr, Ipv6Addr};

/// CP payload (RFC 7296 §3.15).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// What it is.
    pub kind: ConfigurationKind,
    /// Attributes in order.
    pub attributes: Vec<ConfigurationAttribute>,
}

/// CFG types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigurationKind {
    /// 1
    Request,
    /// 2
    Reply,
    /// 3
    Set,
    /// 4
    Ack,
    /// Anything else.
    Other(u8),
}

/// One configuration attribute. In a request the value may be absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigurationAttribute {
    /// INTERNAL_IP4_ADDRESS
    Ip4Address(Option<Ipv4Addr>),
    /// INTERNAL_IP4_NETMASK
    Ip4Netmask(Option<Ipv4Addr>),
    /// INTERNAL_IP4_DNS
    Ip4Dns(Option<Ipv4Addr>),
    /// INTERNAL_IP4_SUBNET: address and mask
    Ip4Subnet(Option<(Ipv4Addr, Ipv4Addr)>),
    /// INTERNAL_IP6_ADDRESS: address and prefix length
    Ip6Address(Option<(Ipv6Addr, u8)>),
    /// INTERNAL_IP6_DNS
    Ip6Dns(Option<Ipv6Addr>),
    /// INTERNAL_IP6_SUBNET: address and prefix length
    Ip6Subnet(Option<(Ipv6Addr, u8)>),
    /// Anything else, as number and bytes.
    Other(u16, Vec<u8>),
}

impl Configuration {
    /// How many attributes a CP payload may hold.
    pub const MAX_ATTRIBUTES: usize = 256;

    pub(in crate::wire) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(body);
        let kind = ConfigurationKind::from(reader.u8()?);
        let _reserved = reader.array::<3>()?;
        let mut attributes = Vec::new();
        while !reader.is_empty() {
            if attributes.len() == Self::MAX_ATTRIBUTES {
                return Err(Fault::TooMany { limit: Self::MAX_ATTRIBUTES });
            }
            // RFC 7296 §3.15.1: the top bit is reserved and ignored.
            let number = reader.u16()? & TYPE_BITS;
            let length = usize::from(reader.u16()?);
            attributes.push(ConfigurationAttribute::parse(number, reader.take(length)?)?);
        }
        Ok(Self { kind, attributes })
    }

    pub(in crate::wire) fn write(&self, body: &mut Vec<u8>) {
        body.extend([self.kind.number(), 0, 0, 0]);
        for attribute in self.attributes.iter().take(Self::MAX_ATTRIBUTES) {
            let value = attribute.value();
            body.extend((attribute.number() & TYPE_BITS).to_be_bytes());
            body.extend(saturating_u16(value.len()).to_be_bytes());
            body.extend(value);
        }
    }
}

impl ConfigurationKind {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::Set => 3,
            Self::Ack => 4,
            Self::Other(number) => number,
        }
    }
}

impl From<u8> for ConfigurationKind {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Request,
            2 => Self::Reply,
            3 => Self::Set,
            4 => Self::Ack,
            other => Self::Other(other),
        }
    }
}

impl ConfigurationAttribute {
    /// The number on the wire.
    pub const fn number(&self) -> u16 {
        match self {
            Self::Ip4Address(_) => IP4_ADDRESS,
            Self::Ip4Netmask(_) => IP4_NETMASK,
            Self::Ip4Dns(_) => IP4_DNS,
            Self::Ip4Subnet(_) => IP4_SUBNET,
            Self::Ip6Address(_) => IP6_ADDRESS,
            Self::Ip6Dns(_) => IP6_DNS,
            Self::Ip6Subnet(_) => IP6_SUBNET,
            Self::Other(number, _) => *number,
        }
    }

    fn parse(number: u16, value: &[u8]) -> Result<Self, Fault> {
        Ok(match number {
            IP4_ADDRESS => Self::Ip4Address(optional(value, ipv4)?),
            IP4_NETMASK => Self::Ip4Netmask(optional(value, ipv4)?),
            IP4_DNS => Self::Ip4Dns(optional(value, ipv4)?),
            IP4_SUBNET => Self::Ip4Subnet(optional(value, ipv4_and_mask)?),
            IP6_ADDRESS => Self::Ip6Address(optional(value, ipv6_and_prefix)?),
            IP6_DNS => Self::Ip6Dns(optional(value, ipv6)?),
            IP6_SUBNET => Self::Ip6Subnet(optional(value, ipv6_and_prefix)?),
            other => Self::Other(other, value.to_vec()),
        })
    }

    fn value(&self) -> Vec<u8> {
        match self {
            Self::Ip4Address(a) | Self::Ip4Netmask(a) | Self::Ip4Dns(a) => {
                a.map_or_else(Vec::new, |a| a.octets().to_vec())
            }
            Self::Ip4Subnet(s) => s.map_or_else(Vec::new, |(a, m)| [a.octets(), m.octets()].concat()),
            Self::Ip6Dns(a) => a.map_or_else(Vec::new, |a| a.octets().to_vec()),
            Self::Ip6Address(s) | Self::Ip6Subnet(s) => {
                s.map_or_else(Vec::new, |(a, prefix)| [&a.octets()[..], &[prefix]].concat())
            }
            Self::Other(_, value) => value.clone(),
        }
    }
}

/// RFC 7296 §3.15.1: each value has its one length, or none at all.
fn optional<T>(value: &[u8], parse: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
    if value.is_empty() { Ok(None) } else { parse(value).map(Some) }
}

fn ipv4(value: &[u8]) -> Result<Ipv4Addr, Fault> {
    exactly::<4>(value).map(Ipv4Addr::from)
}

fn ipv6(value: &[u8]) -> Result<Ipv6Addr, Fault> {
    exactly::<16>(value).map(Ipv6Addr::from)
}

fn ipv4_and_mask(value: &[u8]) -> Result<(Ipv4Addr, Ipv4Addr), Fault> {
    let [a, b, c, d, e, f, g, h] = exactly::<8>(value)?;
    Ok((Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h)))
}

fn ipv6_and_prefix(value: &[u8]) -> Result<(Ipv6Addr, u8), Fault> {
    let [address @ .., prefix] = exactly::<17>(value)?;
    if prefix > 128 {
        return Err(Fault::PrefixLength(prefix));
    }
    Ok((Ipv6Addr::from(address), prefix))
}

const TYPE_BITS: u16 = 0x7fff;

const IP4_ADDRESS: u16 = 1;
const IP4_NETMASK: u16 = 2;
const IP4_DNS: u16 = 3;
const IP6_ADDRESS: u16 = 8;
const IP6_DNS: u16 = 10;
const IP4_SUBNET: u16 = 13;
const IP6_SUBNET: u16 = 15;

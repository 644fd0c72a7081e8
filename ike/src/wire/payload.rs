//! Header and payloads as values (RFC 7296 §3).

use std::net::IpAddr;
use tidegate_esp::{Spi, TrafficSelector};

/// An IKE SPI; zero stands for the responder's before it has chosen one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct IkeSpi(pub u64);

/// Number of a request and its response within one direction of an IKE SA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct MessageId(pub u32);

/// Exchange types; unknown ones survive as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ExchangeType {
    /// 34
    IkeSaInit,
    /// 35
    IkeAuth,
    /// 36
    CreateChildSa,
    /// 37
    Informational,
    /// Anything else.
    Other(u8),
}

/// The fixed header (RFC 7296 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// SPI chosen by the initiator of the IKE SA.
    pub initiator_spi: IkeSpi,
    /// SPI chosen by the responder of the IKE SA.
    pub responder_spi: IkeSpi,
    /// Type of the first payload.
    pub next_payload: u8,
    /// Major version; ours is 2.
    pub major_version: u8,
    /// Minor version; ours is 0 and any is taken.
    pub minor_version: u8,
    /// Exchange.
    pub exchange: ExchangeType,
    /// The sender is the original initiator of the IKE SA.
    pub from_initiator: bool,
    /// The sender speaks a higher major version too.
    pub higher_version: bool,
    /// It answers a request.
    pub response: bool,
    /// Message id.
    pub message_id: MessageId,
    /// Length of the whole message.
    pub length: u32,
}

/// A security protocol id (RFC 7296 §3.3.1); unknown ones survive as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ProtocolId {
    /// 0, in notifications that concern no SA.
    None,
    /// 1
    Ike,
    /// 2
    Ah,
    /// 3
    Esp,
    /// Anything else.
    Other(u8),
}

/// One proposal of an SA payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// Its number; the answer repeats it.
    pub number: u8,
    /// What it is for.
    pub protocol: ProtocolId,
    /// SPI of the sender: empty, 4 or 8 bytes as the protocol and the exchange want it.
    pub spi: Vec<u8>,
    /// Transforms in the order sent.
    pub transforms: Vec<Transform>,
}

/// One transform of a proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Transform {
    /// Type: 1 encryption, 2 PRF, 3 integrity, 4 key exchange, 5 ESN, 6 to 12 further key exchanges.
    pub kind: u8,
    /// IANA transform id within that type.
    pub id: u16,
    /// The key length attribute in bits, where there is one.
    pub key_length: Option<u16>,
    /// It carries an attribute that we do not know, so it must not be chosen (RFC 7296 §3.3.6).
    pub unknown_attribute: bool,
}

/// KE payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyExchange {
    /// Key exchange method (group) number.
    pub group: u16,
    /// The sender's public value.
    pub public: Vec<u8>,
}

/// IDi and IDr payloads, as sent: the AUTH computation covers these very bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdPayload {
    /// Identification type number.
    pub kind: u8,
    /// Identification data.
    pub data: Vec<u8>,
}

/// CERT payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificatePayload {
    /// Encoding; 4 is an X.509 certificate for signatures.
    pub encoding: u8,
    /// Data in that encoding.
    pub data: Vec<u8>,
}

/// AUTH payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthPayload {
    /// Authentication method number.
    pub method: u8,
    /// Authentication data.
    pub data: Vec<u8>,
}

/// Notify payload. Status types of 16384 and above inform, those below are errors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    /// Protocol that `spi` belongs to.
    pub protocol: ProtocolId,
    /// SPI it concerns; empty when none.
    pub spi: Vec<u8>,
    /// Notify message type; names are in [`NotifyType`].
    pub kind: NotifyType,
    /// Notification data.
    pub data: Vec<u8>,
}

/// A notify message type; its known values are associated constants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotifyType(pub u16);

impl std::fmt::Debug for NotifyType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NotifyType({})", self.0)
    }
}

/// Delete payload (RFC 7296 §3.11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delete {
    /// The IKE SA that carries the message.
    Ike,
    /// ESP SAs, by the SPIs that the sender receives on; values that can name no SA are left out.
    Esp(Vec<Spi>),
    /// Another protocol, with its number.
    Other(u8),
}

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
    Ip4Address(Option<std::net::Ipv4Addr>),
    /// INTERNAL_IP4_NETMASK
    Ip4Netmask(Option<std::net::Ipv4Addr>),
    /// INTERNAL_IP4_DNS
    Ip4Dns(Option<std::net::Ipv4Addr>),
    /// INTERNAL_IP4_SUBNET: address and mask
    Ip4Subnet(Option<(std::net::Ipv4Addr, std::net::Ipv4Addr)>),
    /// INTERNAL_IP6_ADDRESS: address and prefix length
    Ip6Address(Option<(std::net::Ipv6Addr, u8)>),
    /// INTERNAL_IP6_DNS
    Ip6Dns(Option<std::net::Ipv6Addr>),
    /// INTERNAL_IP6_SUBNET: address and prefix length
    Ip6Subnet(Option<(std::net::Ipv6Addr, u8)>),
    /// Anything else, as number and bytes.
    Other(u16, Vec<u8>),
}

/// NAT_DETECTION hashes of a message (RFC 7296 §2.23).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NatDetection {
    /// NAT_DETECTION_SOURCE_IP, one or more.
    pub sources: Vec<[u8; 20]>,
    /// NAT_DETECTION_DESTINATION_IP.
    pub destination: Option<[u8; 20]>,
}

/// What the sender says of its further addresses (RFC 4555 §3.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdditionalAddresses {
    /// These, besides the one the message comes from.
    Some(Vec<IpAddr>),
    /// NO_ADDITIONAL_ADDRESSES.
    None,
}

/// The selectors of one side, as they stand in a TS payload.
pub type Selectors = Vec<TrafficSelector>;

//! Who a peer claims to be, and what we expect it to be.
//!
//! [`Identity`] is one side's name, as it stands in an ID payload. [`IdentityPattern`] is what an operator
//! expects the other side's name to be. Text is read and written the way strongSwan does it, so that
//! existing configurations keep their meaning.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod name;
mod name_text;
mod pattern;
mod text;

pub use name::{DistinguishedName, MAX_NAME_LEN};
pub use pattern::{IdentityPattern, MatchQuality, NamePattern};

use crate::wire::IdPayload;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// ID types of RFC 7296 §3.5.
mod kind {
    pub(super) const IPV4_ADDR: u8 = 1;
    pub(super) const FQDN: u8 = 2;
    pub(super) const RFC822_ADDR: u8 = 3;
    pub(super) const IPV6_ADDR: u8 = 5;
    pub(super) const DER_ASN1_DN: u8 = 9;
    pub(super) const KEY_ID: u8 = 11;
}

/// An identity of RFC 7296 §3.5. Two are equal when they name the same party: host names and
/// email addresses without regard to case, distinguished names by attribute type and value.
#[derive(Clone)]
pub enum Identity {
    /// ID_IPV4_ADDR
    Ipv4(Ipv4Addr),
    /// ID_IPV6_ADDR
    Ipv6(Ipv6Addr),
    /// ID_FQDN
    Fqdn(String),
    /// ID_RFC822_ADDR
    Email(String),
    /// ID_DER_ASN1_DN
    Dn(DistinguishedName),
    /// ID_KEY_ID
    KeyId(Vec<u8>),
    /// A type without a meaning to us, as number and bytes.
    Other(u8, Vec<u8>),
}

/// Why an identity cannot be read, from a payload or from an operator's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// An address of the wrong length.
    AddressLength {
        /// What the type wants.
        expected: usize,
        /// What came.
        actual: usize,
    },
    /// Nothing there.
    Empty,
    /// A host name or an email address with a byte that cannot stand in one, such as a terminator.
    ForbiddenByte {
        /// Where it stands.
        at: usize,
    },
    /// An email address that is not UTF-8.
    NotText,
    /// An email address without a user or a host.
    NotAnAddress,
    /// A distinguished name that is no DER, or has no attribute at all.
    Name,
    /// A distinguished name beyond [`MAX_NAME_LEN`].
    NameTooLong {
        /// Its length.
        length: usize,
    },
    /// An attribute type in a distinguished name that is neither a name we know nor an object identifier.
    UnknownAttribute(String),
    /// An attribute whose text does not fit its type.
    AttributeValue(String),
    /// Text that stands for many identities where one is wanted.
    Wildcard,
    /// Hexadecimal digits that are none, or an odd number of them.
    Hex,
    /// A prefix such as `dn:` with text that does not fit it.
    Prefix(String),
}

impl Identity {
    /// Reads an ID payload.
    pub fn from_payload(payload: &IdPayload) -> Result<Self, IdentityError> {
        let data = payload.data.as_slice();
        Ok(match payload.kind {
            kind::IPV4_ADDR => Self::Ipv4(octets::<4>(data)?.into()),
            kind::IPV6_ADDR => Self::Ipv6(octets::<16>(data)?.into()),
            kind::FQDN => Self::Fqdn(host_name(data)?),
            kind::RFC822_ADDR => Self::Email(email(data)?),
            kind::DER_ASN1_DN => {
                let name = DistinguishedName::from_der(data)?;
                if name.is_empty() {
                    return Err(IdentityError::Empty);
                }
                Self::Dn(name)
            }
            kind::KEY_ID if data.is_empty() => return Err(IdentityError::Empty),
            kind::KEY_ID => Self::KeyId(data.to_vec()),
            other => Self::Other(other, data.to_vec()),
        })
    }

    /// Its ID payload.
    pub fn to_payload(&self) -> IdPayload {
        let (kind, data) = match self {
            Self::Ipv4(address) => (kind::IPV4_ADDR, address.octets().to_vec()),
            Self::Ipv6(address) => (kind::IPV6_ADDR, address.octets().to_vec()),
            Self::Fqdn(name) => (kind::FQDN, name.clone().into_bytes()),
            Self::Email(address) => (kind::RFC822_ADDR, address.clone().into_bytes()),
            Self::Dn(name) => (kind::DER_ASN1_DN, name.as_der().to_vec()),
            Self::KeyId(id) => (kind::KEY_ID, id.clone()),
            Self::Other(kind, data) => (*kind, data.clone()),
        };
        IdPayload { kind, data }
    }

    /// What equality, order and hash go by.
    fn key(&self) -> (u8, std::borrow::Cow<'_, [u8]>) {
        match self {
            Self::Ipv4(address) => (kind::IPV4_ADDR, address.octets().to_vec().into()),
            Self::Ipv6(address) => (kind::IPV6_ADDR, address.octets().to_vec().into()),
            Self::Fqdn(name) => (kind::FQDN, lower(name).collect()),
            Self::Email(address) => (kind::RFC822_ADDR, lower(address).collect()),
            Self::Dn(name) => (kind::DER_ASN1_DN, name.canonical().into()),
            Self::KeyId(id) => (kind::KEY_ID, id.into()),
            Self::Other(kind, data) => (*kind, data.into()),
        }
    }
}

/// RFC 4945 §3.1.2 and §3.1.3: names are compared without regard to case.
fn lower(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|byte| byte.to_ascii_lowercase())
}

fn octets<const N: usize>(data: &[u8]) -> Result<[u8; N], IdentityError> {
    data.try_into().map_err(|_| IdentityError::AddressLength { expected: N, actual: data.len() })
}

/// RFC 7296 §3.5: ASCII only, and no terminators (NUL, CR and the like).
fn host_name(data: &[u8]) -> Result<String, IdentityError> {
    if data.is_empty() {
        return Err(IdentityError::Empty);
    }
    if let Some(at) = data.iter().position(|byte| !byte.is_ascii_graphic()) {
        return Err(IdentityError::ForbiddenByte { at });
    }
    String::from_utf8(data.to_vec()).map_err(|_| IdentityError::NotText)
}

/// RFC 7296 §3.5: UTF-8, and no terminators.
fn email(data: &[u8]) -> Result<String, IdentityError> {
    if let Some(at) = data.iter().position(u8::is_ascii_control) {
        return Err(IdentityError::ForbiddenByte { at });
    }
    let text = std::str::from_utf8(data).map_err(|_| IdentityError::NotText)?;
    match text.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() => Ok(text.to_owned()),
        _ => Err(IdentityError::NotAnAddress),
    }
}

impl From<IpAddr> for Identity {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4(address),
            IpAddr::V6(address) => Self::Ipv6(address),
        }
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Identity {}

impl PartialOrd for Identity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identity {
    /// Tables of many peers are searched by this, so that names are not copied for it.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Ipv4(a), Self::Ipv4(b)) => a.cmp(b),
            (Self::Ipv6(a), Self::Ipv6(b)) => a.cmp(b),
            (Self::Fqdn(a), Self::Fqdn(b)) | (Self::Email(a), Self::Email(b)) => lower(a).cmp(lower(b)),
            _ => self.key().cmp(&other.key()),
        }
    }
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Ipv4(_) => "Ipv4",
            Self::Ipv6(_) => "Ipv6",
            Self::Fqdn(_) => "Fqdn",
            Self::Email(_) => "Email",
            Self::Dn(_) => "Dn",
            Self::KeyId(_) => "KeyId",
            Self::Other(..) => "Other",
        };
        write!(f, "{kind}({self})")
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressLength { expected, actual } => {
                write!(f, "an address of {actual} bytes where {expected} are wanted")
            }
            Self::Empty => write!(f, "an empty identity"),
            Self::ForbiddenByte { at } => write!(f, "a forbidden byte at {at}"),
            Self::NotText => write!(f, "not UTF-8"),
            Self::NotAnAddress => write!(f, "no email address"),
            Self::Name => write!(f, "no distinguished name"),
            Self::NameTooLong { length } => write!(f, "a distinguished name of {length} bytes"),
            Self::UnknownAttribute(name) => write!(f, "unknown attribute type {name:?}"),
            Self::AttributeValue(name) => write!(f, "the value of attribute {name:?} does not fit it"),
            Self::Wildcard => write!(f, "a pattern where one identity is wanted"),
            Self::Hex => write!(f, "malformed hexadecimal digits"),
            Self::Prefix(prefix) => write!(f, "the text does not fit its prefix {prefix:?}"),
        }
    }
}

impl std::error::Error for IdentityError {}

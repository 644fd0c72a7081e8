//! Identities as operators write them.

use super::name_text::{decode_hex, trim, write_hex};
use super::{DistinguishedName, Identity, IdentityError, kind};
use crate::wire::IdPayload;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Prefixes that settle the type; what follows is text, or hexadecimal digits behind a `#`.
const PREFIXES: &[(&str, u8)] = &[
    ("ipv4:", kind::IPV4_ADDR),
    ("ipv6:", kind::IPV6_ADDR),
    ("fqdn:", kind::FQDN),
    ("dns:", kind::FQDN),
    ("email:", kind::RFC822_ADDR),
    ("rfc822:", kind::RFC822_ADDR),
    ("userfqdn:", kind::RFC822_ADDR),
    ("dn:", kind::DER_ASN1_DN),
    ("asn1dn:", kind::DER_ASN1_DN),
    ("keyid:", kind::KEY_ID),
];

impl FromStr for Identity {
    type Err = IdentityError;

    /// Reads text the way strongSwan does: a type prefix decides; else `=` makes a distinguished name; a
    /// leading `@#` a key id, `@@` an email address and `@` a host name; another `@` an email address; an
    /// address is an address, and anything else is a host name, or a key id if it holds a colon.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let text = trim(text);
        if text.is_empty() {
            return Err(IdentityError::Empty);
        }
        if is_any(text) {
            return Err(IdentityError::Wildcard);
        }
        if let Some(prefixed) = prefixed(text) {
            return prefixed;
        }
        if text.contains('=') {
            // An unreadable name stays a mistake: read as a key id it would fail later and less plainly.
            return Ok(Self::Dn(text.parse()?));
        }
        if let Some(rest) = text.strip_prefix('@') {
            if let Some(digits) = rest.strip_prefix('#') {
                return payload(kind::KEY_ID, decode_hex(digits)?);
            }
            return match rest.strip_prefix('@') {
                Some(address) => plain(kind::RFC822_ADDR, address),
                None => plain(kind::FQDN, rest),
            };
        }
        if text.contains('@') {
            return plain(kind::RFC822_ADDR, text);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ipv4(address));
        }
        match text.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Self::Ipv6(address)),
            Err(_) if text.contains(':') => payload(kind::KEY_ID, text.as_bytes().to_vec()),
            Err(_) => plain(kind::FQDN, text),
        }
    }
}

/// Text that stands for any identity.
pub(super) fn is_any(text: &str) -> bool {
    matches!(text, "%any" | "%any4" | "%any6" | "*" | "0.0.0.0" | "::" | "0::0")
}

/// The text behind a type prefix and the type, where there is one.
pub(super) fn split_prefix(text: &str) -> Option<(u8, &str)> {
    if let Some((number, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once("}:")) {
        return number.parse().ok().map(|number| (number, rest));
    }
    PREFIXES.iter().find_map(|(prefix, kind)| {
        let head = text.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then(|| (*kind, text.get(prefix.len()..).unwrap_or_default()))
    })
}

fn prefixed(text: &str) -> Option<Result<Identity, IdentityError>> {
    let (kind, rest) = split_prefix(text)?;
    Some(match rest.strip_prefix('#') {
        Some(digits) => decode_hex(digits).and_then(|data| payload(kind, data)),
        None => plain(kind, rest),
    })
}

fn plain(kind: u8, text: &str) -> Result<Identity, IdentityError> {
    let misfit = || IdentityError::Prefix(text.to_owned());
    if matches!(kind, kind::FQDN | kind::RFC822_ADDR) && text.starts_with('*') {
        return Err(IdentityError::Wildcard);
    }
    match kind {
        kind::IPV4_ADDR => text.parse().map(Identity::Ipv4).map_err(|_| misfit()),
        kind::IPV6_ADDR => text.parse().map(Identity::Ipv6).map_err(|_| misfit()),
        kind::DER_ASN1_DN => text.parse::<DistinguishedName>().map(Identity::Dn),
        _ => payload(kind, text.as_bytes().to_vec()),
    }
}

fn payload(kind: u8, data: Vec<u8>) -> Result<Identity, IdentityError> {
    Identity::from_payload(&IdPayload { kind, data })
}

impl fmt::Display for Identity {
    /// The shortest text that reads back as this very identity.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let candidates = match self {
            Self::Ipv4(address) => [address.to_string(), format!("ipv4:{address}")],
            Self::Ipv6(address) => [address.to_string(), format!("ipv6:{address}")],
            Self::Fqdn(name) => [name.clone(), format!("fqdn:{name}")],
            Self::Email(address) => [address.clone(), format!("email:{address}")],
            Self::Dn(name) => [name.to_string(), format!("dn:{name}")],
            Self::KeyId(id) | Self::Other(_, id) => match (self, printable(id)) {
                (Self::KeyId(_), Some(text)) => [format!("keyid:{text}"), String::new()],
                _ => [String::new(), String::new()],
            },
        };
        if let Some(text) = candidates.iter().find(|text| text.parse().as_ref() == Ok(self)) {
            return f.write_str(text);
        }
        let payload = self.to_payload();
        match self {
            Self::KeyId(_) => f.write_str("@#")?,
            _ => write!(f, "{{{}}}:#", payload.kind)?,
        }
        write_hex(f, &payload.data)
    }
}

fn printable(id: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(id).ok()?;
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ').then_some(text)
}

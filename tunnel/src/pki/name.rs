//! Names besides the subject that a certificate is for.

use der::asn1::{Ia5String, OctetString};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use x509_cert::ext::pkix::name::GeneralName;

/// A name besides the subject. `dns:`, `ip:` or `email:` before a text says what it is; without, an address
/// is one, an `@` makes an email address, and all else is a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// An email address.
    Email(String),
}

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNameError(String);

impl AlternativeName {
    pub(super) fn general(&self) -> der::Result<GeneralName> {
        Ok(match self {
            Self::Dns(name) => GeneralName::DnsName(Ia5String::new(name)?),
            Self::Email(address) => GeneralName::Rfc822Name(Ia5String::new(address)?),
            Self::Ip(IpAddr::V4(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
            Self::Ip(IpAddr::V6(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        })
    }
}

impl FromStr for AlternativeName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseNameError(text.to_owned());
        let ip = |address: &str| address.parse().map(Self::Ip).map_err(|_| wrong());
        let name = match text.split_once(':') {
            Some(("dns", name)) => Self::Dns(name.to_owned()),
            Some(("email", address)) => Self::Email(address.to_owned()),
            Some(("ip", address)) => ip(address)?,
            _ if text.parse::<IpAddr>().is_ok() => ip(text)?,
            _ if text.contains('@') => Self::Email(text.to_owned()),
            _ => Self::Dns(text.to_owned()),
        };
        let is_good = match &name {
            Self::Ip(_) => true,
            Self::Dns(name) => is_host_name(name),
            Self::Email(address) => {
                address.split_once('@').is_some_and(|(user, host)| is_word(user) && is_host_name(host))
            }
        };
        if is_good { Ok(name) } else { Err(wrong()) }
    }
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Ip(address) => write!(f, "ip:{address}"),
            Self::Email(address) => write!(f, "email:{address}"),
        }
    }
}

impl fmt::Display for ParseNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no host name, address or email address", self.0)
    }
}

impl std::error::Error for ParseNameError {}

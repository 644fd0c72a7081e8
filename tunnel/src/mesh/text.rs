//! Identities, addresses and ranges as text, for serde.

use super::Address;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use tidegate_esp::{AddressRange, ParseSelectorError, Ports, TrafficSelector};

/// Why a text is no address of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    /// The text.
    pub text: String,
}

/// A name has 253 characters at most, and each label 63 (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        match is_name(text) {
            true => Ok(Self::Name(text.to_owned())),
            false => Err(AddressError { text: text.to_owned() }),
        }
    }
}

/// A name whose last label is a number is a mistyped address (RFC 1123 §2.1).
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(plain);
    let text = text.strip_suffix('.').unwrap_or(text);
    let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= LONGEST_NAME && !numeric && text.split('.').all(label)
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither an IP address nor a DNS name", self.text)
    }
}

impl std::error::Error for AddressError {}

/// A range alone: a prefix, an address, or two with a hyphen between.
pub(crate) fn range(text: &str) -> Result<AddressRange, RangeError> {
    let selector: TrafficSelector = text.parse().map_err(RangeError::Selector)?;
    match (selector.protocol, selector.ports) {
        (0, Ports::ANY) => Ok(selector.addresses),
        _ => Err(RangeError::MoreThanAddresses),
    }
}

/// Why a text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RangeError {
    Selector(ParseSelectorError),
    MoreThanAddresses,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector(error) => error.fmt(f),
            Self::MoreThanAddresses => f.write_str("a protocol or port where addresses alone are wanted"),
        }
    }
}

/// One value by its text.
pub(super) mod one {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;
    use std::fmt::Display;
    use std::str::FromStr;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Several values by their texts.
pub(super) mod list {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(crate) fn serialize<T: Display, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(ToString::to_string))
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

/// Several ranges by their texts.
pub(super) mod list_of_ranges {
    use serde::{Deserialize, Deserializer, de::Error};
    use tidegate_esp::AddressRange;

    pub(crate) use super::list::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<AddressRange>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| super::range(text).map_err(D::Error::custom)).collect()
    }
}

//! From the text of a value to what it means.

use super::mistake::nearest;
use crate::mesh::{Address, AddressError, RangeError};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use tidegate_esp::{AddressRange, ParseSelectorError, TrafficSelector};
use tidegate_ike::connection::AddressRequest;
use tidegate_ike::identity::IdentityError;
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::proposal::ProposalError;

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueFault {
    /// Nothing there.
    Empty,
    /// No duration.
    Duration,
    /// None of these words.
    Choice(&'static [&'static str]),
    /// A number out of its bounds, both of which are allowed.
    Bounds {
        /// The least.
        least: f64,
        /// The most.
        most: f64,
    },
    /// No identity.
    Identity(IdentityError),
    /// No proposal.
    Proposal(ProposalError),
    /// No selector.
    Selector(ParseSelectorError),
    /// A protocol or a port where addresses alone are wanted.
    AddressesAlone,
    /// No address of a peer.
    Address(AddressError),
    /// No IP address.
    Ip,
    /// No prefix.
    Prefix,
    /// No IP address with a port.
    Socket,
    /// No name of a network interface.
    Interface,
}

impl ValueFault {
    pub(super) fn remedy(&self, value: &str) -> String {
        match self {
            Self::Empty => "write something, or leave the key out".to_owned(),
            Self::Duration => "write a number and its unit, such as \"500ms\", \"10s\", \"5m\", \"1h30m\" or \"2d\"".to_owned(),
            Self::Choice(words) => match nearest(value, words.iter().copied()) {
                Some(word) => format!("did you mean {word:?}?"),
                None => format!("write one of {}", words.join(", ")),
            },
            Self::Bounds { least, most } => format!("write a number from {least} to {most}"),
            Self::Identity(IdentityError::Wildcard) => "name one identity, without wildcards".to_owned(),
            Self::Identity(_) => "write a name such as \"C=CN, O=example, CN=edge-1\", \"edge.example\", \"user@example\" or an address".to_owned(),
            Self::Proposal(_) => "write algorithms with hyphens between, such as \"aes128gcm16-prfsha256-x25519\", or \"default\"".to_owned(),
            Self::Selector(_) => "write a prefix, an address or a range, such as \"10.1.0.0/24\", \"fd00::1\" or \"10.0.0.1-10.0.0.9\"".to_owned(),
            Self::AddressesAlone => "leave out the brackets".to_owned(),
            Self::Address(_) => "write an IP address such as \"192.0.2.1\" or a DNS name such as \"edge.example\"".to_owned(),
            Self::Ip => "write an IP address such as \"192.0.2.1\" or \"fd00::1\"".to_owned(),
            Self::Prefix => "write a prefix such as \"10.0.0.0/8\"".to_owned(),
            Self::Socket => "write an address and a port, such as \"127.0.0.1:9464\" or \"[::1]:9464\"".to_owned(),
            Self::Interface => "write at most 15 letters, digits, hyphens and dots".to_owned(),
        }
    }
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Duration => f.write_str("not a duration"),
            Self::Choice(_) => f.write_str("not one of the words for it"),
            Self::Bounds { .. } => f.write_str("out of bounds"),
            Self::Identity(error) => error.fmt(f),
            Self::Proposal(error) => error.fmt(f),
            Self::Selector(error) => error.fmt(f),
            Self::AddressesAlone => f.write_str("a protocol or port where addresses alone are wanted"),
            Self::Address(_) => f.write_str("neither an IP address nor a DNS name"),
            Self::Ip => f.write_str("not an IP address"),
            Self::Prefix => f.write_str("not a prefix"),
            Self::Socket => f.write_str("not an address with a port"),
            Self::Interface => f.write_str("not the name of a network interface"),
        }
    }
}

type Parsed<T> = Result<T, ValueFault>;

/// Numbers with units, the greater ones first: `1h30m`.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(ValueFault::Duration);
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, tail) = rest.split_at_checked(digits).ok_or(ValueFault::Duration)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(letters).ok_or(ValueFault::Duration)?;
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(ValueFault::Duration)?;
        let number: f64 = number.parse().map_err(|_| ValueFault::Duration)?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| ValueFault::Duration)?;
        total = total.checked_add(part).filter(|total| *total <= LONGEST).ok_or(ValueFault::Duration)?;
        rest = tail.trim_start();
    }
    Ok(total)
}

const UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A duration of at least a millisecond, as most times must not be nothing.
pub(super) fn span(text: &str) -> Parsed<Duration> {
    duration(text).and_then(|span| match span < Duration::from_millis(1) {
        true => Err(ValueFault::Duration),
        false => Ok(span),
    })
}

/// A duration, or `never`.
pub(super) fn maybe_span(text: &str) -> Parsed<Option<Duration>> {
    match text {
        "never" => Ok(None),
        text => span(text).map(Some),
    }
}

/// A range without protocol and ports.
pub(super) fn range(text: &str) -> Parsed<AddressRange> {
    crate::mesh::range(text).map_err(|error| match error {
        RangeError::Selector(error) => ValueFault::Selector(error),
        RangeError::MoreThanAddresses => ValueFault::AddressesAlone,
    })
}

/// `dynamic`, with or without protocol and ports, or anything that strongSwan takes.
pub(super) fn selector(text: &str) -> Parsed<ConfiguredSelector> {
    let text = text.trim();
    let parse = |text: &str| text.parse::<TrafficSelector>().map_err(ValueFault::Selector);
    match text.strip_prefix("dynamic") {
        Some(rest) if rest.is_empty() || rest.starts_with('[') => {
            let TrafficSelector { protocol, ports, .. } = parse(&format!("0.0.0.0/0{rest}"))?;
            Ok(ConfiguredSelector::Dynamic { protocol, ports })
        }
        _ => parse(text).map(ConfiguredSelector::Fixed),
    }
}

pub(super) fn ip(text: &str) -> Parsed<IpAddr> {
    text.parse().map_err(|_| ValueFault::Ip)
}

pub(super) fn address(text: &str) -> Parsed<Address> {
    text.parse().map_err(ValueFault::Address)
}

/// An address and the length of its prefix.
pub(super) fn prefix(text: &str) -> Parsed<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').ok_or(ValueFault::Prefix)?;
    let address = address.parse().map_err(|_| ValueFault::Prefix)?;
    let length = length.parse().map_err(|_| ValueFault::Prefix)?;
    AddressRange::from_prefix(address, length).map(|_| (address, length)).ok_or(ValueFault::Prefix)
}

/// An unspecified address asks for any of its family.
pub(super) fn address_request(text: &str) -> Parsed<AddressRequest> {
    Ok(match ip(text)? {
        IpAddr::V4(ip) => AddressRequest::V4((!ip.is_unspecified()).then_some(ip)),
        IpAddr::V6(ip) => AddressRequest::V6((!ip.is_unspecified()).then_some(ip)),
    })
}

pub(super) fn non_empty(text: &str) -> Parsed<String> {
    match text.trim() {
        "" => Err(ValueFault::Empty),
        text => Ok(text.to_owned()),
    }
}

/// The kernel takes no longer name than 15 bytes.
pub(super) fn interface(text: &str) -> Parsed<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=15).contains(&text.len()) && text.bytes().all(plain) && text != "." && text != "..";
    fits.then(|| text.to_owned()).ok_or(ValueFault::Interface)
}

/// Levels by area: `info`, or `warn,tidegate::engine=debug`.
pub(super) fn log_level(text: &str) -> Parsed<String> {
    let level = |word: &str| LEVELS.contains(&word);
    let area = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
        !word.is_empty() && word.bytes().all(plain)
    };
    let fits = |part: &str| match part.split_once('=') {
        Some((name, word)) => area(name) && level(word),
        None => level(part),
    };
    match text.split(',').map(str::trim).find(|part| !fits(part)) {
        Some(_) => Err(ValueFault::Choice(LEVELS)),
        None => Ok(text.to_owned()),
    }
}

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

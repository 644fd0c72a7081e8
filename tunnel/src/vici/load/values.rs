//! Single values, as charon reads them.

use super::fault::ValueFault;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate_esp::TrafficSelector;
use tidegate_ike::connection::AddressRequest;
use tidegate_ike::identity::{Identity, IdentityPattern};
use tidegate_ike::narrow::ConfiguredSelector;

type Parsed<T> = Result<T, ValueFault>;

pub(super) fn flag(text: &str) -> Parsed<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match (is(&["yes", "true", "enabled", "1"]), is(&["no", "false", "disabled", "0"])) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(ValueFault::Flag),
    }
}

/// Seconds, or a number with a unit.
pub(super) fn time(text: &str) -> Parsed<Duration> {
    let seconds = scaled(text, &[("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]);
    seconds.filter(|seconds| *seconds <= LONGEST).map(Duration::from_secs).ok_or(ValueFault::Time)
}

/// Bytes, or a number with a unit.
pub(super) fn size(text: &str) -> Parsed<u64> {
    scaled(text, &[("", 1), ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)]).ok_or(ValueFault::Size)
}

/// A number that counts something.
pub(super) fn count(text: &str) -> Parsed<u64> {
    scaled(text, &[("", 1)]).ok_or(ValueFault::Number { most: u64::MAX })
}

/// A number that is no greater than `most`.
pub(super) fn number(text: &str, most: u32) -> Parsed<u32> {
    let fault = ValueFault::Number { most: most.into() };
    let number = count(text).ok().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number <= most).ok_or(fault)
}

/// A port; 0 stands for the usual one.
pub(super) fn port(text: &str) -> Parsed<Option<u16>> {
    let port = number(text, u16::MAX.into())?;
    Ok(u16::try_from(port).ok().filter(|port| *port != 0))
}

/// How often to try; `None` for ever.
pub(super) fn tries(text: &str) -> Parsed<Option<NonZeroU32>> {
    match text {
        "%forever" => Ok(None),
        text => number(text, u32::MAX).map(NonZeroU32::new),
    }
}

/// Six binary digits.
pub(super) fn dscp(text: &str) -> Parsed<u8> {
    let digits = text.len() == 6 && text.bytes().all(|digit| matches!(digit, b'0' | b'1'));
    u8::from_str_radix(text, 2).ok().filter(|_| digits).ok_or(ValueFault::Dscp)
}

pub(super) fn ip(text: &str) -> Parsed<IpAddr> {
    text.parse().map_err(|_| ValueFault::Ip)
}

/// An address to ask for; an unspecified one asks for any of its family.
pub(super) fn address_request(text: &str) -> Parsed<AddressRequest> {
    Ok(match ip(text)? {
        IpAddr::V4(ip) => AddressRequest::V4(Some(ip).filter(|ip| !ip.is_unspecified())),
        IpAddr::V6(ip) => AddressRequest::V6(Some(ip).filter(|ip| !ip.is_unspecified())),
    })
}

pub(super) fn identity(text: &str) -> Parsed<Identity> {
    text.parse().map_err(ValueFault::Identity)
}

pub(super) fn identity_pattern(text: &str) -> Parsed<IdentityPattern> {
    text.parse().map_err(ValueFault::Identity)
}

/// `dynamic`, addresses, or both with a protocol and ports.
pub(super) fn selector(text: &str) -> Parsed<ConfiguredSelector> {
    let parse = |text: &str| text.parse::<TrafficSelector>().map_err(ValueFault::Selector);
    match text.trim().strip_prefix("dynamic") {
        Some(rest) if rest.is_empty() || rest.starts_with('[') => {
            let TrafficSelector { protocol, ports, .. } = parse(&format!("0.0.0.0/0{rest}"))?;
            Ok(ConfiguredSelector::Dynamic { protocol, ports })
        }
        _ => parse(text).map(ConfiguredSelector::Fixed),
    }
}

/// Digits, and one of these units, with blanks between.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at_checked(digits)?;
    let (_, scale) = units.iter().find(|(word, _)| word.eq_ignore_ascii_case(unit.trim_start()))?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

/// Longer than anything is up, and short enough to be counted with.
const LONGEST: u64 = 100 * 365 * 86_400;

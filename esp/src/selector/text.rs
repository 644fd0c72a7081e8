//! Traffic selectors as text, spelled the way strongSwan's configuration spells them:
//! `10.1.0.0/16[tcp/80]`, `fd00::/64[udp]`, `10.0.0.1-10.0.0.9[tcp/1000-2000]`, `10.0.0.1`, `10.0.0.1[icmp/8]`,
//! `10.0.0.0/8[tcp/opaque]`.
//!
//! For ICMP the number after the slash is a type with code 0, `3(4)` a type with a code, and anything from
//! 256 on both in one number.

use super::{AddressRange, Ports, TrafficSelector};
use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Names as in the IANA registry's usual spelling; the first of a number is the one printed.
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", ICMP),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", ICMPV6),
    ("icmpv6", ICMPV6),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("mh", 135),
    ("udplite", 136),
];

/// Why a text is no traffic selector, and the word that is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseSelectorError {
    /// The word as it was written.
    pub word: String,
    /// What is wrong with it.
    pub fault: SelectorFault,
}

/// What is wrong with a word of a traffic selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelectorFault {
    /// Not an IPv4 or IPv6 address.
    Address,
    /// Not a prefix length, or too great for the family.
    PrefixLength,
    /// A range whose ends are of two families or in the wrong order.
    AddressRange,
    /// Neither a protocol name we know nor a number up to 255.
    Protocol,
    /// Neither a port, a type, a range of them in ascending order, `any` nor `opaque`.
    Ports,
    /// A bracket missing, or something behind the closing one.
    Bracket,
}

impl FromStr for TrafficSelector {
    type Err = ParseSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let Some((addresses, rest)) = text.split_once('[') else {
            return parse_addresses(text).map(Self::for_addresses);
        };
        let inside = rest.strip_suffix(']').ok_or_else(|| error(text, SelectorFault::Bracket))?;
        let addresses = parse_addresses(addresses)?;
        let (protocol, ports) = match inside.split_once('/') {
            Some((protocol, ports)) => (parse_protocol(protocol)?, ports),
            None => (parse_protocol(inside)?, "any"),
        };
        Ok(Self { addresses, protocol, ports: parse_ports(ports, is_icmp(protocol))? })
    }
}

fn error(word: &str, fault: SelectorFault) -> ParseSelectorError {
    ParseSelectorError { word: word.to_owned(), fault }
}

fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMPV6)
}

fn parse_addresses(text: &str) -> Result<AddressRange, ParseSelectorError> {
    let parse = |word: &str| -> Result<IpAddr, _> {
        word.trim().parse().map_err(|_| error(word.trim(), SelectorFault::Address))
    };
    if let Some((address, length)) = text.split_once('/') {
        let address = parse(address)?;
        // A sign is no part of a length, though integers parse with one.
        let digits = length.bytes().all(|byte| byte.is_ascii_digit());
        let length_of = |text: &str| text.parse().ok().filter(|_| digits);
        return length_of(length)
            .and_then(|bits| AddressRange::from_prefix(address, bits))
            .ok_or_else(|| error(length, SelectorFault::PrefixLength));
    }
    match text.split_once("..").or_else(|| text.split_once('-')) {
        Some((start, end)) => AddressRange::new(parse(start)?, parse(end)?)
            .ok_or_else(|| error(text, SelectorFault::AddressRange)),
        None => parse(text).map(AddressRange::host),
    }
}

fn parse_protocol(word: &str) -> Result<u8, ParseSelectorError> {
    if matches!(word, "" | "any" | "%any") {
        return Ok(0);
    }
    let named = PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    match named {
        Some((_, number)) => Ok(*number),
        None => number(word)
            .and_then(|number| u8::try_from(number).ok())
            .ok_or_else(|| error(word, SelectorFault::Protocol)),
    }
}

fn parse_ports(word: &str, icmp: bool) -> Result<Ports, ParseSelectorError> {
    match word {
        "" | "any" | "%any" => return Ok(Ports::ANY),
        "opaque" | "%opaque" => return Ok(Ports::Opaque),
        _ => {}
    }
    let one = |word: &str| if icmp { type_and_code(word) } else { number(word) };
    let range = match word.split_once('-') {
        Some((first, last)) => one(first).zip(one(last)),
        None => one(word).map(|port| (port, port)),
    };
    match range {
        Some((first, last)) if first <= last => Ok(Ports::Range(first, last)),
        _ => Err(error(word, SelectorFault::Ports)),
    }
}

fn type_and_code(word: &str) -> Option<u16> {
    if let Some((kind, code)) = word.split_once('(') {
        let kind = u8::try_from(number(kind)?).ok()?;
        let code = u8::try_from(number(code.strip_suffix(')')?)?).ok()?;
        return Some(u16::from_be_bytes([kind, code]));
    }
    let value = number(word)?;
    Some(u8::try_from(value).map_or(value, |kind| u16::from_be_bytes([kind, 0])))
}

fn number(word: &str) -> Option<u16> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut prefixes = self.to_prefixes();
        match (prefixes.next(), prefixes.next()) {
            (Some((address, length)), None) => write!(f, "{address}/{length}"),
            _ => write!(f, "{}-{}", self.start(), self.end()),
        }
    }
}

impl fmt::Display for TrafficSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.addresses)?;
        if self.protocol == 0 && self.ports == Ports::ANY {
            return Ok(());
        }
        write!(f, "[")?;
        match PROTOCOLS.iter().find(|(_, number)| *number == self.protocol) {
            Some((name, _)) => write!(f, "{name}")?,
            None if self.protocol == 0 => write!(f, "any")?,
            None => write!(f, "{}", self.protocol)?,
        }
        write_ports(f, self.ports, is_icmp(self.protocol))?;
        write!(f, "]")
    }
}

fn write_ports(f: &mut fmt::Formatter<'_>, ports: Ports, icmp: bool) -> fmt::Result {
    let one = |f: &mut fmt::Formatter<'_>, port: u16| match port.to_be_bytes() {
        [kind, 0] if icmp => write!(f, "{kind}"),
        [kind, code] if icmp => write!(f, "{kind}({code})"),
        _ => write!(f, "{port}"),
    };
    match ports {
        Ports::ANY => Ok(()),
        Ports::Opaque => write!(f, "/opaque"),
        Ports::Range(first, last) => {
            write!(f, "/")?;
            one(f, first)?;
            if first != last {
                write!(f, "-")?;
                one(f, last)?;
            }
            Ok(())
        }
    }
}

impl fmt::Display for ParseSelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            SelectorFault::Address => "is not an IP address",
            SelectorFault::PrefixLength => "is not a prefix length of that family",
            SelectorFault::AddressRange => "is not a range of addresses in ascending order",
            SelectorFault::Protocol => "is not a protocol name or number",
            SelectorFault::Ports => "is not a port, an ICMP type, a range of them, `any` or `opaque`",
            SelectorFault::Bracket => "does not end with its closing bracket",
        };
        write!(f, "`{}` {what}", self.word)
    }
}

impl Error for ParseSelectorError {}

//! TS payloads (RFC 7296 §3.13).

use crate::wire::reader::{Fault, Reader};
use crate::wire::writer::{saturating_u8, with_length};
use std::net::{Ipv4Addr, Ipv6Addr};
use tidegate_esp::{AddressRange, Ports, TrafficSelector};

/// The selectors of one side, as they stand in a TS payload. Selectors of unknown types are left out, so an
/// empty list says that none of what the peer sent can be used.
pub type Selectors = Vec<TrafficSelector>;

pub(in crate::wire) fn parse_selectors(body: &[u8]) -> Result<Selectors, Fault> {
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u8()?);
    let _reserved = reader.array::<3>()?;
    let mut selectors = Vec::new();
    let mut found = 0_usize;
    while !reader.is_empty() {
        if found == count {
            return Err(Fault::Count { said: count, found: found.saturating_add(1) });
        }
        found = found.saturating_add(1);
        selectors.extend(parse_selector(&mut reader)?);
    }
    if found == count { Ok(selectors) } else { Err(Fault::Count { said: count, found }) }
}

pub(in crate::wire) fn write_selectors(selectors: &[TrafficSelector], body: &mut Vec<u8>) {
    let shown = selectors.get(..usize::from(u8::MAX)).unwrap_or(selectors);
    body.extend([saturating_u8(shown.len()), 0, 0, 0]);
    for selector in shown {
        write_selector(selector, body);
    }
}

/// `None` for a type without a meaning to us, whose length alone is known.
fn parse_selector(reader: &mut Reader<'_>) -> Result<Option<TrafficSelector>, Fault> {
    let kind = reader.u8()?;
    let protocol = reader.u8()?;
    let mut inside = reader.sub_after_length(2)?;
    if !matches!(kind, IPV4_RANGE | IPV6_RANGE) {
        return Ok(None);
    }
    let ports = parse_ports(inside.u16()?, inside.u16()?)?;
    let addresses = if kind == IPV4_RANGE { parse_ipv4(&mut inside)? } else { parse_ipv6(&mut inside)? };
    inside.finish()?;
    Ok(Some(TrafficSelector { addresses, protocol, ports }))
}

fn parse_ports(start: u16, end: u16) -> Result<Ports, Fault> {
    match (start, end) {
        // RFC 7296 §3.13.1: this one inverted range means ports that cannot be seen.
        (u16::MAX, 0) => Ok(Ports::Opaque),
        (start, end) if start <= end => Ok(Ports::Range(start, end)),
        _ => Err(Fault::Range),
    }
}

fn parse_ipv4(reader: &mut Reader<'_>) -> Result<AddressRange, Fault> {
    let start = Ipv4Addr::from(reader.array::<4>()?);
    let end = Ipv4Addr::from(reader.array::<4>()?);
    if start <= end { Ok(AddressRange::V4 { start, end }) } else { Err(Fault::Range) }
}

fn parse_ipv6(reader: &mut Reader<'_>) -> Result<AddressRange, Fault> {
    let start = Ipv6Addr::from(reader.array::<16>()?);
    let end = Ipv6Addr::from(reader.array::<16>()?);
    if start <= end { Ok(AddressRange::V6 { start, end }) } else { Err(Fault::Range) }
}

fn write_selector(selector: &TrafficSelector, body: &mut Vec<u8>) {
    let kind = match selector.addresses {
        AddressRange::V4 { .. } => IPV4_RANGE,
        AddressRange::V6 { .. } => IPV6_RANGE,
    };
    let (start, end) = match selector.ports {
        Ports::Range(start, end) => (start, end),
        Ports::Opaque => (u16::MAX, 0),
    };
    body.extend([kind, selector.protocol]);
    with_length(body, 2, |body| {
        body.extend(start.to_be_bytes());
        body.extend(end.to_be_bytes());
        match selector.addresses {
            AddressRange::V4 { start, end } => [start, end].iter().for_each(|a| body.extend(a.octets())),
            AddressRange::V6 { start, end } => [start, end].iter().for_each(|a| body.extend(a.octets())),
        }
    });
}

const IPV4_RANGE: u8 = 7;
const IPV6_RANGE: u8 = 8;

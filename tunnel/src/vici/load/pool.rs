//! Addresses to give away, with what goes along with them.

use super::fault::{LoadFault, ValueFault};
use super::options::Options;
use super::values;
use crate::vici::message::{Element, Message};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tidegate_esp::AddressRange;
use tidegate_ike::pool::Pool;

/// A pool as a client describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedPool {
    /// What is given away.
    pub pool: Pool,
    /// The address that charon shows it by: a subnet's, which itself is not given away.
    pub base: IpAddr,
}

impl DescribedPool {
    /// Reads the section that is named after a pool.
    pub fn read(name: &str, section: &Message) -> Result<Self, LoadFault> {
        let mut options = Options::new("", section);
        let found = options.parse("addrs", addresses)?;
        let (base, addresses) = found.ok_or_else(|| options.missing("addrs"))?;
        let mut pool = Pool {
            name: name.into(),
            addresses,
            dns: Vec::new(),
            subnets: Vec::new(),
            attributes: Vec::new(),
        };
        for (key, element) in options.others() {
            let Element::List(items) = element else { return Err(options.unknown(key)) };
            for item in items {
                let added = std::str::from_utf8(item).map_err(|_| Some(ValueFault::Text));
                let added = added.and_then(|text| add(&mut pool, key, text));
                added.map_err(|fault| match fault {
                    Some(fault) => options.invalid(key, item, fault),
                    None => options.unknown(key),
                })?;
            }
        }
        Ok(Self { pool, base })
    }
}

/// Adds an attribute; `Err(None)` if there is none of this name.
fn add(pool: &mut Pool, key: &str, text: &str) -> Result<(), Option<ValueFault>> {
    let both = |v4: u16, v6: Option<u16>, ip: IpAddr| match (ip, v6) {
        (IpAddr::V4(ip), _) => Ok((v4, ip.octets().to_vec())),
        (IpAddr::V6(ip), Some(v6)) => Ok((v6, ip.octets().to_vec())),
        (IpAddr::V6(_), None) => Err(Some(ValueFault::Ip)),
    };
    let ip = || values::ip(text).map_err(Some);
    match key {
        "dns" => pool.dns.push(ip()?),
        "subnet" => pool.subnets.push(prefix(text)?),
        "nbns" => pool.attributes.push(both(4, None, ip()?)?),
        "dhcp" => pool.attributes.push(both(6, Some(12), ip()?)?),
        "netmask" => pool.attributes.push(both(2, None, ip()?)?),
        "server" => pool.attributes.push(both(23_456, Some(23_457), ip()?)?),
        "split_include" => pool.attributes.push((28_676, octets(prefix(text)?))),
        "split_exclude" => pool.attributes.push((28_675, octets(prefix(text)?))),
        number => {
            let number: u16 = number.parse().map_err(|_| None)?;
            pool.attributes.push((number, text.as_bytes().to_vec()));
        }
    }
    Ok(())
}

/// A subnet, of which the first address given and the last of all are not given away; or a range, of which all
/// are.
fn addresses(text: &str) -> Result<(IpAddr, AddressRange), ValueFault> {
    let range = crate::mesh::range(text).map_err(|_| ValueFault::Addresses)?;
    let Some((first, length)) = text.split_once('/') else { return Ok((range.start(), range)) };
    let base = values::ip(first.trim()).map_err(|_| ValueFault::Addresses)?;
    let bits = if base.is_ipv4() { 32 } else { 128 };
    if length.trim().parse::<u32>().ok().is_none_or(|length| length + 1 >= bits) {
        return Ok((base, range));
    }
    let start = if base == range.start() { step(base, 1) } else { base };
    let inner = AddressRange::new(start, step(range.end(), -1)).ok_or(ValueFault::Addresses)?;
    Ok((base, inner))
}

fn step(ip: IpAddr, by: i8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits().saturating_add_signed(by.into())).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits().saturating_add_signed(by.into())).into(),
    }
}

/// An address and the length of its prefix; alone it is a host.
fn prefix(text: &str) -> Result<(IpAddr, u8), Option<ValueFault>> {
    let fault = || Some(ValueFault::Addresses);
    let (address, length) = text.split_once('/').map_or((text, None), |(it, length)| (it, Some(length)));
    let address: IpAddr = address.trim().parse().map_err(|_| fault())?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Ok(whole), |length| length.trim().parse()).map_err(|_| fault())?;
    AddressRange::from_prefix(address, length).map(|_| (address, length)).ok_or_else(fault)
}

/// Address and mask, as those who understand such attributes write them.
fn octets((address, length): (IpAddr, u8)) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            [ip.octets(), mask.to_be_bytes()].concat()
        }
        IpAddr::V6(ip) => [ip.octets().as_slice(), &[length]].concat(),
    }
}

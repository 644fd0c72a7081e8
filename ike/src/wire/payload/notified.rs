//! What notifications carry as values: NAT detection, cookies, addresses, hash algorithms, lifetimes.

use super::{Notifies, Notify, NotifyType, ProtocolId};
use crate::wire::MessageError;
use crate::wire::reader::{Fault, exactly};
use crate::wire::writer::ChainWriter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tidegate_esp::Spi;

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
    /// These, besides the one the message comes from; at least one.
    Some(Vec<IpAddr>),
    /// NO_ADDITIONAL_ADDRESSES.
    None,
}

impl Notifies {
    pub(in crate::wire) fn nat_detection(&mut self) -> Result<NatDetection, MessageError> {
        let sources = self
            .take_all(NotifyType::NAT_DETECTION_SOURCE_IP)
            .iter()
            .map(|notify| exactly(&notify.data).map_err(|fault| notify.faulty(fault)))
            .collect::<Result<_, _>>()?;
        let destination = self.take(NotifyType::NAT_DETECTION_DESTINATION_IP, |n| exactly(&n.data))?;
        Ok(NatDetection { sources, destination })
    }

    /// Addresses in the order sent, of both families. One that is named outweighs the claim that there is
    /// none.
    pub(in crate::wire) fn additional_addresses(
        &mut self,
    ) -> Result<Option<AdditionalAddresses>, MessageError> {
        let none = self.take_flag(NotifyType::NO_ADDITIONAL_ADDRESSES);
        let addresses = self.take_matching(|notify| {
            matches!(notify.kind, NotifyType::ADDITIONAL_IP4_ADDRESS | NotifyType::ADDITIONAL_IP6_ADDRESS)
        });
        let addresses = addresses
            .iter()
            .map(|notify| address(notify).map_err(|fault| notify.faulty(fault)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(match (addresses.is_empty(), none) {
            (false, _) => Some(AdditionalAddresses::Some(addresses)),
            (true, true) => Some(AdditionalAddresses::None),
            (true, false) => None,
        })
    }

    /// RFC 7296 §2.6: 1 to 64 bytes.
    pub(in crate::wire) fn cookie(&mut self) -> Result<Option<Vec<u8>>, MessageError> {
        self.take(NotifyType::COOKIE, |notify| within(&notify.data, 1, 64))
    }

    /// RFC 4555 §4.2.5: 8 to 64 bytes.
    pub(in crate::wire) fn cookie2(&mut self) -> Result<Option<Vec<u8>>, MessageError> {
        self.take(NotifyType::COOKIE2, |notify| within(&notify.data, 8, 64))
    }

    /// RFC 4555 §4.2.6: two addresses and two ports, of either family.
    pub(in crate::wire) fn no_nats_allowed(&mut self) -> Result<Option<Vec<u8>>, MessageError> {
        self.take(NotifyType::NO_NATS_ALLOWED, |notify| match notify.data.len() {
            12 | 36 => Ok(notify.data.clone()),
            length => Err(Fault::Length(length)),
        })
    }

    /// RFC 4478 §3: seconds.
    pub(in crate::wire) fn lifetime(&mut self) -> Result<Option<u32>, MessageError> {
        self.take(NotifyType::AUTH_LIFETIME, |notify| exactly(&notify.data).map(u32::from_be_bytes))
    }

    /// RFC 7427 §4: numbers of two bytes each.
    pub(in crate::wire) fn signature_hashes(&mut self) -> Result<Vec<u16>, MessageError> {
        let hashes =
            self.take(NotifyType::SIGNATURE_HASH_ALGORITHMS, |notify| match notify.data.as_chunks() {
                (numbers, []) => Ok(numbers.iter().map(|number| u16::from_be_bytes(*number)).collect()),
                _ => Err(Fault::Length(notify.data.len())),
            })?;
        Ok(hashes.unwrap_or_default())
    }

    /// RFC 7296 §1.3.3: names the child to be replaced. One of AH stays with the unknown ones, as we have
    /// none.
    pub(in crate::wire) fn rekeyed_child(&mut self) -> Result<Option<Spi>, MessageError> {
        let esp = |notify: &Notify| notify.protocol != ProtocolId::Ah;
        match self.take_matching(|n| n.kind == NotifyType::REKEY_SA && esp(n)).as_slice() {
            [] => Ok(None),
            [notify] => esp_spi(notify).map(Some).map_err(|fault| notify.faulty(fault)),
            _ => Err(MessageError::RepeatedNotify(NotifyType::REKEY_SA)),
        }
    }
}

impl ChainWriter {
    pub(in crate::wire) fn nat_detection(&mut self, nat: &NatDetection) {
        for source in &nat.sources {
            self.notify(NotifyType::NAT_DETECTION_SOURCE_IP, Some(*source));
        }
        self.notify(NotifyType::NAT_DETECTION_DESTINATION_IP, nat.destination);
    }

    pub(in crate::wire) fn additional_addresses(&mut self, addresses: Option<&AdditionalAddresses>) {
        match addresses {
            None => {}
            Some(AdditionalAddresses::None) => self.flag(NotifyType::NO_ADDITIONAL_ADDRESSES, true),
            Some(AdditionalAddresses::Some(addresses)) => {
                for address in addresses {
                    match address {
                        IpAddr::V4(a) => self.notify(NotifyType::ADDITIONAL_IP4_ADDRESS, Some(a.octets())),
                        IpAddr::V6(a) => self.notify(NotifyType::ADDITIONAL_IP6_ADDRESS, Some(a.octets())),
                    }
                }
            }
        }
    }

    pub(in crate::wire) fn lifetime(&mut self, seconds: Option<u32>) {
        self.notify(NotifyType::AUTH_LIFETIME, seconds.map(u32::to_be_bytes));
    }

    pub(in crate::wire) fn signature_hashes(&mut self, hashes: &[u16]) {
        if !hashes.is_empty() {
            let data: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
            self.notify(NotifyType::SIGNATURE_HASH_ALGORITHMS, Some(data));
        }
    }

    pub(in crate::wire) fn rekeyed_child(&mut self, rekeys: Option<Spi>) {
        if let Some(spi) = rekeys {
            let spi = spi.to_be_bytes().to_vec();
            let kind = NotifyType::REKEY_SA;
            Notify { protocol: ProtocolId::Esp, spi, kind, data: Vec::new() }.write(self);
        }
    }
}

/// The group that INVALID_KE_PAYLOAD asks for (RFC 7296 §1.3).
pub(in crate::wire) fn wanted_group(notify: &Notify) -> Result<u16, Fault> {
    exactly(&notify.data).map(u16::from_be_bytes)
}

fn address(notify: &Notify) -> Result<IpAddr, Fault> {
    if notify.kind == NotifyType::ADDITIONAL_IP4_ADDRESS {
        exactly::<4>(&notify.data).map(|octets| Ipv4Addr::from(octets).into())
    } else {
        exactly::<16>(&notify.data).map(|octets| Ipv6Addr::from(octets).into())
    }
}

fn esp_spi(notify: &Notify) -> Result<Spi, Fault> {
    let wrong = Fault::SpiSize { protocol: notify.protocol, size: notify.spi.len() };
    if notify.protocol != ProtocolId::Esp {
        return Err(wrong);
    }
    let value = u32::from_be_bytes(exactly(&notify.spi).map_err(|_| wrong)?);
    Spi::new(value).ok_or(Fault::ReservedSpi(value))
}

fn within(data: &[u8], least: usize, most: usize) -> Result<Vec<u8>, Fault> {
    if (least..=most).contains(&data.len()) { Ok(data.to_vec()) } else { Err(Fault::Length(data.len())) }
}
